use std::collections::{BTreeSet, HashMap};

use vouch_types::{AccountId, document::Party};

use crate::{
    IndexError,
    database::{Database, values},
    schema::word,
};

/// Words remembered; the least work when a consortium's members, methods and codes fit with room to spare.
const REMEMBERED_MAX: usize = 100_000;

/// A word as the database knows it: its kind and its bytes.
pub(crate) type Word = (i64, Vec<u8>);

/// A text as a word.
pub(crate) fn of_text(text: &str) -> Word {
    (word::TEXT, text.as_bytes().to_vec())
}

/// An account as a word.
pub(crate) fn of_account(account: &AccountId) -> Word {
    (word::ACCOUNT, account.as_bytes().to_vec())
}

/// A party as a word; none for nobody, which stands for everyone.
pub(crate) fn of_party(party: &Party) -> Option<Word> {
    match (&party.member, &party.subject) {
        (Some(member), _) => Some(of_text(member)),
        (None, Some(subject)) => Some((word::SUBJECT, subject.as_bytes().to_vec())),
        (None, None) => None,
    }
}

/// Texts, accounts and persons by number, those used of late from memory.
#[derive(Debug)]
pub(crate) struct Words {
    /// Without a number: not in the database, as far as somebody looked.
    known: HashMap<Word, Option<i64>>,
    /// The number of the next one.
    next: i64,
}

impl Words {
    /// As they are in a database.
    pub(crate) fn load(database: &Database) -> Result<Self, IndexError> {
        let last = database.number("SELECT max(id) FROM word", &[])?;
        Ok(Self { known: HashMap::new(), next: last.unwrap_or(0).saturating_add(1) })
    }

    /// The number of a word; a new one gets the next.
    fn number(&mut self, database: &Database, word: Word) -> Result<i64, IndexError> {
        let known = match self.known.get(&word) {
            Some(Some(number)) => return Ok(*number),
            Some(None) => None,
            None => find(database, &word)?,
        };
        let number = match known {
            Some(number) => number,
            None => {
                let number = self.next;
                let (kind, value) = &word;
                let sql = "INSERT INTO word(id, kind, value) VALUES (?1, ?2, ?3)";
                database.write(sql, values![number, *kind, value])?;
                self.next = number.saturating_add(1);
                number
            }
        };
        self.remember(word, Some(number));
        Ok(number)
    }

    fn remember(&mut self, word: Word, number: Option<i64>) {
        if self.known.len() >= REMEMBERED_MAX {
            self.known.clear();
        }
        self.known.insert(word, number);
    }

    /// Those of some words that are not remembered.
    pub(crate) fn unknown(&self, words: impl IntoIterator<Item = Word>) -> BTreeSet<Word> {
        words.into_iter().filter(|word| !self.known.contains_key(word)).collect()
    }

    /// Remembers what a look for some words found.
    pub(crate) fn learn(&mut self, looked_for: BTreeSet<Word>, mut found: HashMap<Word, i64>) {
        for word in looked_for {
            let number = found.remove(&word);
            self.remember(word, number);
        }
    }

    pub(crate) fn text(&mut self, database: &Database, text: &str) -> Result<i64, IndexError> {
        self.number(database, of_text(text))
    }

    pub(crate) fn account(&mut self, database: &Database, account: &AccountId) -> Result<i64, IndexError> {
        self.number(database, of_account(account))
    }

    /// 0 for nobody, which stands for everyone.
    pub(crate) fn party(&mut self, database: &Database, party: &Party) -> Result<i64, IndexError> {
        of_party(party).map_or(Ok(0), |word| self.number(database, word))
    }
}

/// The number of a word that is known.
pub(crate) fn find(database: &Database, (kind, value): &Word) -> Result<Option<i64>, IndexError> {
    database.number("SELECT id FROM word WHERE value = ?1 AND kind = ?2", values![value, *kind])
}

pub(crate) fn find_text(database: &Database, text: &str) -> Result<Option<i64>, IndexError> {
    find(database, &of_text(text))
}

pub(crate) fn find_party(database: &Database, party: &Party) -> Result<Option<i64>, IndexError> {
    of_party(party).map_or(Ok(Some(0)), |word| find(database, &word))
}

/// The text of a number; empty for one that is no text's.
pub(crate) fn text(database: &Database, number: i64) -> Result<String, IndexError> {
    let sql = "SELECT value FROM word WHERE id = ?1 AND kind = 1";
    Ok(database.one(sql, values![number], |row| row.word(0))?.flatten().unwrap_or_default())
}
