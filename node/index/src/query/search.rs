use vouch_types::{
    BlockHash, Height, TxId,
    api::{PublicText, SearchHit, SearchView},
    document::DocumentId,
};

use super::{
    Query,
    documents::{by_number, matching, text_range},
    indexed,
    lists::blocks_between,
};
use crate::{
    IndexError,
    codes::{int, uint},
    database::{Database, values},
};

/// Hits of one kind.
const HITS_MAX: usize = 10;
/// Fewest digits of the beginning of an id or hash.
const PREFIX_MIN: usize = 4;

/// Bytes from which on, and before which, ids with a beginning lie. Both ends are always there: a range without an upper
/// one is searched to the end of the table for more.
struct Range {
    from: Vec<u8>,
    to: Vec<u8>,
}

/// Above every id and hash.
const ABOVE_ALL: [u8; 33] = [u8::MAX; 33];

/// The range of ids that begin with these hexadecimal digits.
fn range(digits: &str) -> Option<Range> {
    let value = |padding: char| {
        let mut text = digits.to_owned();
        if text.len() % 2 == 1 {
            text.push(padding);
        }
        hex::decode(text).ok()
    };
    let from = value('0')?;
    let mut to = value('f')?;
    loop {
        match to.pop() {
            None => return Some(Range { from, to: ABOVE_ALL.to_vec() }),
            Some(u8::MAX) => {}
            Some(byte) => {
                to.push(byte + 1);
                return Some(Range { from, to });
            }
        }
    }
}

impl Range {
    fn holds(&self, id: &[u8]) -> bool {
        id >= self.from.as_slice() && id < self.to.as_slice()
    }
}

fn documents_by_id(database: &Database, range: &Range, most: i64) -> Result<Vec<SearchHit>, IndexError> {
    let sql = "SELECT n FROM doc WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3";
    let numbers = database.all(sql, values![&range.from, &range.to, most], |row| row.int(0))?;
    numbers.into_iter().filter_map(|n| document(database, n, None).transpose()).collect()
}

fn document(database: &Database, n: i64, text: Option<PublicText>) -> Result<Option<SearchHit>, IndexError> {
    let found = by_number(database, n)?;
    Ok(found.map(|document| SearchHit::Document { document: Box::new(document), text }))
}

fn transactions_by_id(database: &Database, range: &Range, most: i64) -> Result<Vec<SearchHit>, IndexError> {
    // Only the first 8 bytes are in the index; the rest is compared here.
    let cut = |bytes: &[u8]| bytes.get(..8).unwrap_or(bytes).to_vec();
    let sql = "SELECT id, height FROM tx WHERE substr(id, 1, 8) >= ?1 ORDER BY substr(id, 1, 8) LIMIT ?2";
    let mut hits = Vec::new();
    database.each(sql, values![&cut(&range.from), most], |row| {
        let id: [u8; 32] = row.array(0)?;
        if range.holds(&id) {
            hits.push(SearchHit::Transaction { id: TxId(id), height: Height(uint(row.int(1)?)) });
        }
        Ok(())
    })?;
    Ok(hits)
}

fn by_height(database: &Database, number: u64) -> Result<Option<SearchHit>, IndexError> {
    let sql = "SELECT hash FROM block WHERE height = ?1";
    let hash = database.one(sql, values![int(number)], |row| Ok(BlockHash(row.array(0)?)))?;
    Ok(hash.map(|hash| SearchHit::Block { height: Height(number), hash }))
}

fn by_text(database: &Database, text: &str) -> Result<(Vec<SearchHit>, bool), IndexError> {
    // A beginning that many texts have finds nothing: more of it has to be typed.
    let numbers = match matching(database, text, HITS_MAX * 20) {
        Ok(numbers) => numbers,
        Err(IndexError::TooMany(_)) => return Ok((Vec::new(), false)),
        Err(error) => return Err(error),
    };
    let Some((from, to)) = text_range(text) else { return Ok((Vec::new(), true)) };
    let sql = "SELECT w.value, p.value FROM doc_public p JOIN word w ON w.id = p.field
        WHERE p.n = ?1 AND p.match >= ?2 AND p.match < ?3 ORDER BY p.field LIMIT 1";
    let mut hits = Vec::new();
    for n in numbers.iter().take(HITS_MAX) {
        let found = database.one(sql, values![*n, &from, &to], |row| {
            Ok(PublicText { field: row.word(0)?.unwrap_or_default(), value: row.text(1)? })
        })?;
        hits.extend(document(database, *n, found)?);
    }
    Ok((hits, numbers.len() <= HITS_MAX))
}

impl Query {
    /// Blocks by height or hash, transactions and documents by id, documents by number and public text: what begins so.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn search(&self, wanted: &str) -> Result<SearchView, IndexError> {
        let wanted = wanted.trim();
        let most = i64::try_from(HITS_MAX).unwrap_or(i64::MAX) + 1;
        self.read(|database| {
            let mut hits = Vec::new();
            let mut complete = true;
            if let Ok(number) = wanted.trim_start_matches('#').parse::<u64>() {
                hits.extend(by_height(database, number)?);
                hits.extend(document(database, int(number), None)?);
            }
            if wanted.len() >= PREFIX_MIN
                && wanted.len() <= 64
                && let Some(range) = range(&wanted.to_ascii_lowercase())
            {
                let ids = documents_by_id(database, &range, most)?;
                let transactions = transactions_by_id(database, &range, most)?;
                let blocks = blocks_between(database, &range.from, &range.to, most)?;
                let blocks = blocks.into_iter().map(|(height, hash)| SearchHit::Block { height, hash });
                for kind in [ids, transactions, blocks.collect::<Vec<_>>()] {
                    complete &= kind.len() <= HITS_MAX;
                    hits.extend(kind.into_iter().take(HITS_MAX));
                }
            }
            if !wanted.is_empty() {
                let (found, all) = by_text(database, wanted)?;
                hits.extend(found);
                complete &= all;
            }
            let indexed = indexed(database)?;
            Ok(SearchView { head: self.head.max(indexed), indexed, hits, complete })
        })
    }

    /// The id of the document with a number among all.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn document_id(&self, number: u64) -> Result<Option<DocumentId>, IndexError> {
        self.read(|database| Ok(by_number(database, int(number))?.map(|document| document.id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_become_a_range() {
        let above_all = "ff".repeat(33);
        for (digits, from, to) in [
            ("ab", "ab", "ac"),
            ("abc", "abc0", "abd0"),
            ("00ff", "00ff", "01"),
            ("ffff", "ffff", above_all.as_str()),
            ("fff", "fff0", above_all.as_str()),
        ] {
            let range = range(digits).unwrap();
            assert_eq!((hex::encode(&range.from).as_str(), hex::encode(&range.to).as_str()), (from, to), "{digits}");
            assert!(range.holds(&range.from) && !range.holds(&range.to), "{digits}");
        }
        assert!(range("xyz0").is_none());
    }
}
