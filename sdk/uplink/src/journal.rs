//! What became of each row, durable: so that a run that was stopped or killed goes on and asks about nothing twice.
//!
//! ```text
//! begun --submitted, found on the chain--> final --a version begun--> open --submitted, found on the chain--> final
//! ```
//!
//! Losing the journal costs work, not correctness: ids follow from numbers, the chain takes an id once, and a version once behind the one
//! that it names. What was found of changed rows before a run is asked about lies beside it and goes with the process.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};
use vouch_types::{DocumentRoot, Height, TxId, api::kind_of, document::DocumentId};

use crate::{Before, Compared, Fault};

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
        /// Its version.
        version: u32,
        /// Whether a version behind it may have been sent: what the chain has is to be asked.
        is_open: bool,
    },
}

/// What is noted of a row that is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted<'a> {
    /// The version of its document.
    pub version: u32,
    /// Hash of its content.
    pub content: &'a [u8; 32],
    /// What it says, as [`crate::Applier::parts`] gives it; nothing if that is not known.
    pub parts: &'a [u8],
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
                     id BLOB PRIMARY KEY, content BLOB NOT NULL, is_final INTEGER NOT NULL, height INTEGER, tx BLOB,
                     version INTEGER NOT NULL DEFAULT 1, parts BLOB, is_open INTEGER NOT NULL DEFAULT 0
                 ) WITHOUT ROWID;
                 CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
                 COMMIT;
                 CREATE TEMP TABLE compared (
                     id BLOB PRIMARY KEY, version INTEGER, root BLOB, code TEXT, reason TEXT NOT NULL
                 ) WITHOUT ROWID;",
            )?;
            with_versions(&connection)?;
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
            let text = "SELECT content, is_final, version, is_open FROM rows WHERE id = ?1";
            let mut statement = self.connection.prepare_cached(text)?;
            let read = |row: &rusqlite::Row<'_>| {
                let content = row.get(0)?;
                Ok(if row.get(1)? {
                    Outcome::Final { content, version: row.get(2)?, is_open: row.get(3)? }
                } else {
                    Outcome::Begun { content }
                })
            };
            statement.query_row([id.as_bytes()], read).optional()
        };
        self.failed(ask())
    }

    /// What was noted of what a final document says; nothing if nothing was.
    ///
    /// # Errors
    /// `uplink.journal`.
    pub fn parts(&self, id: DocumentId) -> Result<Vec<u8>, Fault> {
        let ask = || {
            let text = "SELECT parts FROM rows WHERE id = ?1 AND is_final = 1";
            let mut statement = self.connection.prepare_cached(text)?;
            statement.query_row([id.as_bytes()], |row| row.get::<_, Option<Vec<u8>>>(0)).optional()
        };
        Ok(self.failed(ask())?.flatten().unwrap_or_default())
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

    /// A version behind the one that is final is about to be sent.
    ///
    /// # Errors
    /// `uplink.journal`.
    pub fn begin_version(&self, id: DocumentId) -> Result<(), Fault> {
        let write = || {
            let text = "UPDATE rows SET is_open = 1 WHERE id = ?1";
            self.connection.prepare_cached(text)?.execute([id.as_bytes()])
        };
        self.failed(write()).map(|_| ())
    }

    /// A document is final.
    ///
    /// # Errors
    /// `uplink.journal`.
    pub fn finish(&self, id: DocumentId, noted: &Noted<'_>, at: Option<(Height, TxId)>) -> Result<(), Fault> {
        let Noted { version, content, parts } = noted;
        let (height, tx) =
            at.map_or((None, None), |(height, tx)| (i64::try_from(height.0).ok(), Some(tx.as_bytes().to_vec())));
        let write = || {
            let text = "INSERT INTO rows (id, content, is_final, height, tx, version, parts) VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6)
                ON CONFLICT (id) DO UPDATE
                SET content = ?2, is_final = 1, height = ?3, tx = ?4, version = ?5, parts = ?6, is_open = 0";
            self.connection.prepare_cached(text)?.execute(params![id.as_bytes(), content, height, tx, version, parts])
        };
        self.failed(write()).map(|_| ())
    }

    /// Forgets what was found of changed rows.
    ///
    /// # Errors
    /// `uplink.journal`.
    pub fn begin_comparing(&self) -> Result<(), Fault> {
        self.failed(self.connection.execute("DELETE FROM compared", [])).map(|_| ())
    }

    /// A row is another than its document on the chain.
    ///
    /// # Errors
    /// `uplink.journal`.
    pub fn set_compared(&self, id: DocumentId, compared: &Compared) -> Result<(), Fault> {
        let (before, code, reason) = match compared {
            Compared::Changed(before, names) => (Some(before), None, names),
            Compared::Blocked(code, reason) => (None, Some(code), reason),
        };
        let (version, root) = (before.map(|before| before.version), before.map(|before| before.root.0));
        let write = || {
            let text = "INSERT OR REPLACE INTO compared (id, version, root, code, reason) VALUES (?1, ?2, ?3, ?4, ?5)";
            self.connection.prepare_cached(text)?.execute(params![id.as_bytes(), version, root, code, reason])
        };
        self.failed(write()).map(|_| ())
    }

    /// What was found of a row; `None` when its document is not there, or says the same.
    ///
    /// # Errors
    /// `uplink.journal`.
    pub fn compared(&self, id: DocumentId) -> Result<Option<Compared>, Fault> {
        type Columns = (Option<u32>, Option<[u8; 32]>, Option<String>, String);
        let ask = || -> rusqlite::Result<Option<Columns>> {
            let text = "SELECT version, root, code, reason FROM compared WHERE id = ?1";
            let mut statement = self.connection.prepare_cached(text)?;
            let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            statement.query_row([id.as_bytes()], read).optional()
        };
        let Some((version, root, code, reason)) = self.failed(ask())? else { return Ok(None) };
        Ok(Some(match (version, root) {
            (Some(version), Some(root)) => Compared::Changed(Before { version, root: DocumentRoot(root) }, reason),
            _ => {
                let code = code.and_then(|code| kind_of(&code)).map_or("uplink.changed", |kind| kind.code);
                Compared::Blocked(code, reason)
            }
        }))
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

/// A journal of before there were versions gets the columns for them.
fn with_versions(connection: &Connection) -> rusqlite::Result<()> {
    let text = "SELECT count(*) FROM pragma_table_info('rows') WHERE name = 'version'";
    if connection.query_row(text, [], |row| row.get::<_, i64>(0))? > 0 {
        return Ok(());
    }
    connection.execute_batch(
        "BEGIN IMMEDIATE;
         ALTER TABLE rows ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
         ALTER TABLE rows ADD COLUMN parts BLOB;
         ALTER TABLE rows ADD COLUMN is_open INTEGER NOT NULL DEFAULT 0;
         COMMIT;",
    )
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

    const fn first(content: &[u8; 32]) -> Noted<'_> {
        Noted { version: 1, content, parts: &[] }
    }

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
                        journal.finish(id, &first(&content), None).unwrap();
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
            let taken = *chain.entry(id).or_insert(content);
            if !step() {
                return false;
            }
            if taken == content {
                journal.finish(id, &first(&content), None).unwrap();
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
                    Some(Outcome::Final { content: noted, .. }) => prop_assert_eq!(noted, *content),
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
            journal.finish(id, &first(&content), Some((Height(7), TxId([3; 32])))).unwrap();
            journal.begin(id, &[9; 32]).unwrap();
            journal.set_mark("db", "17").unwrap();
            assert_eq!(Journal::open(folder.path()).unwrap_err().code, "uplink.busy");
        }
        let journal = Journal::open(folder.path()).unwrap();
        assert_eq!(journal.outcome(id).unwrap(), Some(Outcome::Final { content, version: 1, is_open: false }));
        journal.begin(DocumentId::new([2; 16]), &content).unwrap();
        assert_eq!((journal.finals().unwrap(), journal.known().unwrap()), (1, 2));
        assert_eq!(journal.mark("db").unwrap().as_deref(), Some("17"));
        drop(journal);
        std::fs::write(folder.path().join(FILE), "no database at all, but text").unwrap();
        assert_eq!(Journal::open(folder.path()).unwrap_err().code, "uplink.journal");
    }

    /// What the chain has of each id: contents of its versions, in order.
    type Versions = BTreeMap<DocumentId, Vec<[u8; 32]>>;

    /// Sends new writings of rows as new versions, as the command does, and dies after so many steps; whether it came to the end.
    fn revise(folder: &Path, rows: u8, writing: u8, chain: &mut Versions, mut steps: usize) -> bool {
        let (journal, key) = (Journal::open(folder).unwrap(), UplinkKey::new([5; 32]));
        let mut step = || {
            let goes_on = steps > 0;
            steps = steps.saturating_sub(1);
            goes_on
        };
        journal.begin_comparing().unwrap();
        let row = |row: u8| (key.document("works", "s", &row.to_string()), content_of(row, writing));
        let is_same = |id: DocumentId, content: &[u8; 32]| {
            let known = journal.outcome(id).unwrap();
            matches!(known, Some(Outcome::Final { content: noted, is_open: false, .. }) if noted == *content)
        };
        for (id, content) in (0..rows).map(row).filter(|(id, content)| !is_same(*id, content)) {
            let versions = chain.entry(id).or_default();
            let version = u32::try_from(versions.len()).unwrap();
            if versions.last() == Some(&content) {
                journal.finish(id, &Noted { version, ..first(&content) }, None).unwrap();
            } else if let Some(root) = versions.last() {
                let before = Before { version, root: DocumentRoot(*root) };
                journal.set_compared(id, &Compared::Changed(before, "a".into())).unwrap();
            }
        }
        for (id, content) in (0..rows).map(row).filter(|(id, content)| !is_same(*id, content)) {
            let compared = journal.compared(id).unwrap();
            if !step() {
                return false;
            }
            match compared {
                None => journal.begin(id, &content).unwrap(),
                Some(_) => journal.begin_version(id).unwrap(),
            }
            if !step() {
                return false;
            }
            // The chain takes a version once: only behind the one that it names.
            let versions = chain.entry(id).or_default();
            match compared {
                None if versions.is_empty() => versions.push(content),
                Some(Compared::Changed(before, _)) if versions.last() == Some(&before.root.0) => versions.push(content),
                other => panic!("{other:?}"),
            }
            let version = u32::try_from(versions.len()).unwrap();
            if !step() {
                return false;
            }
            journal.finish(id, &Noted { version, ..first(&content) }, None).unwrap();
        }
        true
    }

    fn content_of(row: u8, writing: u8) -> [u8; 32] {
        [writing.wrapping_mul(31) ^ row; 32]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn whatever_is_killed_lost_or_taken_back_each_version_is_there_once_and_in_order(
            rows in 1u8..8,
            runs in proptest::collection::vec((0u8..3, 0usize..24, any::<bool>()), 0..8),
            last in 0u8..3,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut chain = Versions::new();
            for (writing, steps, is_lost) in &runs {
                revise(folder.path(), rows, *writing, &mut chain, *steps);
                if *is_lost {
                    for entry in std::fs::read_dir(folder.path()).unwrap() {
                        std::fs::remove_file(entry.unwrap().path()).unwrap();
                    }
                }
            }
            prop_assert!(revise(folder.path(), rows, last, &mut chain, usize::MAX));
            let (journal, key) = (Journal::open(folder.path()).unwrap(), UplinkKey::new([5; 32]));
            for row in 0..rows {
                let id = key.document("works", "s", &row.to_string());
                let versions = &chain[&id];
                prop_assert_eq!(versions.last(), Some(&content_of(row, last)));
                prop_assert!(versions.windows(2).all(|pair| pair[0] != pair[1]), "a version twice");
                let mut written = runs.iter().map(|(writing, ..)| *writing).chain([last]);
                let in_order = versions.iter().all(|version| written.any(|writing| content_of(row, writing) == *version));
                prop_assert!(in_order, "versions in another order than they were written");
                let version = u32::try_from(versions.len()).unwrap();
                let noted = Outcome::Final { content: content_of(row, last), version, is_open: false };
                prop_assert_eq!(journal.outcome(id).unwrap(), Some(noted));
            }
        }
    }

    #[test]
    fn a_journal_of_before_there_were_versions_is_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let (id, content) = (DocumentId::new([1; 16]), [2; 32]);
        let old = Connection::open(folder.path().join(FILE)).unwrap();
        old.execute_batch(
            "CREATE TABLE rows (
                 id BLOB PRIMARY KEY, content BLOB NOT NULL, is_final INTEGER NOT NULL, height INTEGER, tx BLOB
             ) WITHOUT ROWID;",
        )
        .unwrap();
        old.execute("INSERT INTO rows VALUES (?1, ?2, 1, 7, NULL)", params![id.as_bytes(), content]).unwrap();
        drop(old);
        for _ in 0..2 {
            let journal = Journal::open(folder.path()).unwrap();
            assert_eq!(journal.outcome(id).unwrap(), Some(Outcome::Final { content, version: 1, is_open: false }));
            assert_eq!(journal.parts(id).unwrap(), Vec::<u8>::new());
        }
        let journal = Journal::open(folder.path()).unwrap();
        journal.finish(id, &Noted { version: 2, content: &[3; 32], parts: &[4; 16] }, None).unwrap();
        assert_eq!(journal.outcome(id).unwrap(), Some(Outcome::Final { content: [3; 32], version: 2, is_open: false }));
        assert_eq!(journal.parts(id).unwrap(), [4; 16]);
        // What was found before a run goes with the process.
        let blocked = Compared::Blocked("uplink.held", "a hold".into());
        journal.set_compared(id, &blocked).unwrap();
        assert_eq!(journal.compared(id).unwrap(), Some(blocked));
        drop(journal);
        assert_eq!(Journal::open(folder.path()).unwrap().compared(id).unwrap(), None);
    }
}
