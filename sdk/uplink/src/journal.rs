//! What became of each row, durable: so that a run that was stopped or killed goes on and asks about nothing twice.
//!
//! ```text
//! begun --submitted, found on the chain--> final
//! ```
//!
//! Losing the journal costs work, not correctness: ids follow from numbers, and the chain takes an id once.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};
use vouch_types::{Height, TxId, document::DocumentId};

use crate::Fault;

/// Name of its file.
pub const FILE: &str = "journal.db";

/// What is known of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It may have been sent.
    Begun {
        /// Hash of its content.
        content: [u8; 32],
    },
    /// It is final on the chain.
    Final {
        /// Hash of its content.
        content: [u8; 32],
    },
}

/// A journal, open and locked.
#[derive(Debug)]
pub struct Journal {
    connection: Connection,
    place: String,
}

impl Journal {
    /// Opens or makes the journal of a folder.
    ///
    /// # Errors
    /// `uplink.busy` when another run has it open, `uplink.journal` when it cannot be used.
    pub fn open(folder: &Path) -> Result<Self, Fault> {
        let path = folder.join(FILE);
        let place = path.display().to_string();
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(&path)?;
            connection.busy_timeout(Duration::from_secs(2))?;
            connection.pragma_update(None, "locking_mode", "exclusive")?;
            connection.pragma_update(None, "journal_mode", "wal")?;
            // A power cut may take back the newest entries, never damage older ones.
            connection.pragma_update(None, "synchronous", "normal")?;
            connection.execute_batch(
                "BEGIN IMMEDIATE;
                 CREATE TABLE IF NOT EXISTS rows (
                     id BLOB PRIMARY KEY, content BLOB NOT NULL, is_final INTEGER NOT NULL, height INTEGER, tx BLOB
                 ) WITHOUT ROWID;
                 CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
                 COMMIT;",
            )?;
            Ok(connection)
        };
        match open() {
            Ok(connection) => Ok(Self { connection, place }),
            Err(error) => Err(fault(&place, &error)),
        }
    }

    fn failed<T>(&self, result: rusqlite::Result<T>) -> Result<T, Fault> {
        result.map_err(|error| fault(&self.place, &error))
    }

    /// What is known of a document.
    ///
    /// # Errors
    /// `uplink.journal`.
    pub fn outcome(&self, id: DocumentId) -> Result<Option<Outcome>, Fault> {
        let ask = || {
            let mut statement = self.connection.prepare_cached("SELECT content, is_final FROM rows WHERE id = ?1")?;
            statement
                .query_row([id.as_bytes()], |row| Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, bool>(1)?)))
                .optional()
        };
        let found = self.failed(ask())?;
        Ok(found
            .map(|(content, is_final)| if is_final { Outcome::Final { content } } else { Outcome::Begun { content } }))
    }

    /// A document is about to be sent.
    ///
    /// # Errors
    /// `uplink.journal`.
    pub fn begin(&self, id: DocumentId, content: &[u8; 32]) -> Result<(), Fault> {
        let write = || {
            let text = "INSERT INTO rows (id, content, is_final) VALUES (?1, ?2, 0)
                ON CONFLICT (id) DO UPDATE SET content = ?2 WHERE is_final = 0";
            self.connection.prepare_cached(text)?.execute(params![id.as_bytes(), content])
        };
        self.failed(write()).map(|_| ())
    }

    /// A document is final.
    ///
    /// # Errors
    /// `uplink.journal`.
    pub fn finish(&self, id: DocumentId, content: &[u8; 32], at: Option<(Height, TxId)>) -> Result<(), Fault> {
        let (height, tx) =
            at.map_or((None, None), |(height, tx)| (i64::try_from(height.0).ok(), Some(tx.as_bytes().to_vec())));
        let write = || {
            let text = "INSERT INTO rows (id, content, is_final, height, tx) VALUES (?1, ?2, 1, ?3, ?4)
                ON CONFLICT (id) DO UPDATE SET content = ?2, is_final = 1, height = ?3, tx = ?4";
            self.connection.prepare_cached(text)?.execute(params![id.as_bytes(), content, height, tx])
        };
        self.failed(write()).map(|_| ())
    }

    fn count(&self, text: &str) -> Result<u64, Fault> {
        let count = self.connection.query_row(text, [], |row| row.get::<_, i64>(0));
        self.failed(count).map(|count| u64::try_from(count).unwrap_or(0))
    }

    /// How many documents are final.
    ///
    /// # Errors
    /// `uplink.journal`.
    pub fn finals(&self) -> Result<u64, Fault> {
        self.count("SELECT count(*) FROM rows WHERE is_final = 1")
    }

    /// How many documents are begun or final.
    ///
    /// # Errors
    /// `uplink.journal`.
    pub fn known(&self) -> Result<u64, Fault> {
        self.count("SELECT count(*) FROM rows")
    }

    /// How far a database was read.
    ///
    /// # Errors
    /// `uplink.journal`.
    pub fn mark(&self, source: &str) -> Result<Option<String>, Fault> {
        let ask = || {
            self.connection.query_row("SELECT value FROM marks WHERE name = ?1", [source], |row| row.get(0)).optional()
        };
        self.failed(ask())
    }

    /// A database was read up to here, and all of it was sent or rejected.
    ///
    /// # Errors
    /// `uplink.journal`.
    pub fn set_mark(&self, source: &str, value: &str) -> Result<(), Fault> {
        let text = "INSERT INTO marks (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";
        self.failed(self.connection.execute(text, [source, value])).map(|_| ())
    }
}

fn fault(place: &str, error: &rusqlite::Error) -> Fault {
    let is_busy = matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked));
    if is_busy {
        Fault::new("uplink.busy", place, "another uplink has this state folder open")
    } else {
        Fault::new("uplink.journal", place, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::UplinkKey;

    /// What the chain has: it keeps the first content of an id.
    type Chain = BTreeMap<DocumentId, [u8; 32]>;

    /// Sends rows as the command does, in one writing of their content or another, and dies after so many steps; whether it came
    /// to the end.
    fn run(folder: &Path, rows: &[u8], writing: u8, chain: &mut Chain, mut steps: usize) -> bool {
        let (journal, key) = (Journal::open(folder).unwrap(), UplinkKey::new([5; 32]));
        let mut step = || {
            let goes_on = steps > 0;
            steps = steps.saturating_sub(1);
            goes_on
        };
        for row in rows {
            let (id, content) = (key.document("works", "s", &row.to_string()), [row.wrapping_add(writing); 32]);
            match journal.outcome(id).unwrap() {
                Some(Outcome::Final { .. }) => continue,
                Some(Outcome::Begun { .. }) if chain.contains_key(&id) => {
                    // Another content is rejected, and the journal left as it is.
                    if chain[&id] == content {
                        journal.finish(id, &content, None).unwrap();
                    }
                    continue;
                }
                _ => {}
            }
            if !step() {
                return false;
            }
            journal.begin(id, &content).unwrap();
            if !step() {
                return false;
            }
            // The chain takes an id once; a second time it says so, and nothing changes.
            let first = *chain.entry(id).or_insert(content);
            if !step() {
                return false;
            }
            if first == content {
                journal.finish(id, &content, None).unwrap();
            }
        }
        true
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn whatever_is_killed_or_lost_each_row_is_there_once(
            rows in proptest::collection::btree_set(0u8..30, 1..20),
            deaths in proptest::collection::vec((0usize..25, any::<bool>(), 0u8..3), 0..6),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let rows: Vec<u8> = rows.into_iter().collect();
            let mut chain = Chain::new();
            for (steps, is_lost, writing) in deaths {
                run(folder.path(), &rows, writing, &mut chain, steps);
                if is_lost {
                    for entry in std::fs::read_dir(folder.path()).unwrap() {
                        std::fs::remove_file(entry.unwrap().path()).unwrap();
                    }
                }
            }
            prop_assert!(run(folder.path(), &rows, 0, &mut chain, usize::MAX));
            prop_assert_eq!(chain.len(), rows.len());
            let journal = Journal::open(folder.path()).unwrap();
            // What is noted as final is what the chain has, and what was written otherwise is not noted.
            for (id, content) in &chain {
                match journal.outcome(*id).unwrap() {
                    Some(Outcome::Final { content: noted }) => prop_assert_eq!(noted, *content),
                    other => prop_assert!(matches!(other, Some(Outcome::Begun { .. })), "{:?}", other),
                }
            }
        }
    }

    #[test]
    fn what_is_final_stays_final_and_one_run_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let (id, content) = (DocumentId::new([1; 16]), [2; 32]);
        {
            let journal = Journal::open(folder.path()).unwrap();
            assert_eq!(journal.outcome(id).unwrap(), None);
            journal.begin(id, &content).unwrap();
            assert_eq!(journal.outcome(id).unwrap(), Some(Outcome::Begun { content }));
            journal.finish(id, &content, Some((Height(7), TxId([3; 32])))).unwrap();
            journal.begin(id, &[9; 32]).unwrap();
            journal.set_mark("db", "17").unwrap();
            assert_eq!(Journal::open(folder.path()).unwrap_err().code, "uplink.busy");
        }
        let journal = Journal::open(folder.path()).unwrap();
        assert_eq!(journal.outcome(id).unwrap(), Some(Outcome::Final { content }));
        journal.begin(DocumentId::new([2; 16]), &content).unwrap();
        assert_eq!((journal.finals().unwrap(), journal.known().unwrap()), (1, 2));
        assert_eq!(journal.mark("db").unwrap().as_deref(), Some("17"));
        drop(journal);
        std::fs::write(folder.path().join(FILE), "no database at all, but text").unwrap();
        assert_eq!(Journal::open(folder.path()).unwrap_err().code, "uplink.journal");
    }
}
