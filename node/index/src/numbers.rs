use std::collections::HashMap;

use vouch_types::document::{Category, DocumentId, VersionState};

use crate::{
    IndexError,
    codes::{Coded as _, small},
    database::{Database, Row, values},
};

/// Documents remembered between two blocks.
const REMEMBERED_MAX: usize = 50_000;

/// The columns that [`Known::read`] reads.
pub(crate) const COLUMNS: &str = "n, category, state, version, disputes";

/// What is known of a document before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) n: i64,
    pub(crate) category: Category,
    pub(crate) state: VersionState,
    pub(crate) version: u32,
    pub(crate) is_disputed: bool,
}

impl Known {
    pub(crate) fn read(row: &Row<'_>) -> Result<Self, IndexError> {
        Ok(Self {
            n: row.int(0)?,
            category: Category::of(row.int(1)?),
            state: VersionState::of(row.int(2)?),
            version: small(row.int(3)?),
            is_disputed: row.int(4)? > 0,
        })
    }
}

/// The highest number of a table: whatever is above is new, without a look.
#[derive(Debug)]
pub(crate) struct Last(i64);

impl Last {
    fn load(database: &Database, sql: &str) -> Result<Self, IndexError> {
        Ok(Self(database.number(sql, &[])?.unwrap_or(0)))
    }

    pub(crate) const fn number(&self) -> i64 {
        self.0
    }

    /// Whether a row with this number can only be new.
    pub(crate) const fn is_new(&self, number: i64) -> bool {
        number > self.0
    }

    /// There is a row with this number.
    pub(crate) fn made(&mut self, number: i64) {
        self.0 = self.0.max(number);
    }
}

/// What the writer knows of rows without asking: it alone writes them.
#[derive(Debug)]
pub(crate) struct Numbers {
    /// Numbers of documents; without one: not in the database.
    ids: HashMap<DocumentId, Option<i64>>,
    /// Documents by number.
    rows: HashMap<i64, Known>,
    pub(crate) documents: Last,
    pub(crate) grants: Last,
    pub(crate) disputes: Last,
    pub(crate) relationships: Last,
}

impl Numbers {
    /// As they are in a database.
    pub(crate) fn load(database: &Database) -> Result<Self, IndexError> {
        Ok(Self {
            ids: HashMap::new(),
            rows: HashMap::new(),
            documents: Last::load(database, "SELECT max(n) FROM doc")?,
            grants: Last::load(database, "SELECT max(n) FROM permit")?,
            disputes: Last::load(database, "SELECT max(n) FROM dispute")?,
            relationships: Last::load(database, "SELECT max(n) FROM relationship")?,
        })
    }

    /// The number of a document that is in the database.
    pub(crate) fn of(&mut self, database: &Database, id: &DocumentId) -> Result<Option<i64>, IndexError> {
        if let Some(known) = self.ids.get(id) {
            return Ok(*known);
        }
        let number = database.number("SELECT n FROM doc WHERE id = ?1", values![id.as_bytes()])?;
        self.learn(*id, number);
        Ok(number)
    }

    /// What there is of a document by its number.
    pub(crate) fn known(&self, database: &Database, number: i64) -> Result<Option<Known>, IndexError> {
        if self.documents.is_new(number) {
            return Ok(None);
        }
        match self.rows.get(&number) {
            Some(known) => Ok(Some(*known)),
            None => {
                let sql = format!("SELECT {COLUMNS} FROM doc WHERE n = ?1");
                database.one(&sql, values![number], Known::read)
            }
        }
    }

    /// Whether somebody has looked for a document, and remembers all of it.
    pub(crate) fn is_known(&self, id: &DocumentId) -> bool {
        self.ids.get(id).is_some_and(|number| number.is_none_or(|number| self.rows.contains_key(&number)))
    }

    /// What a look has found.
    pub(crate) fn learn(&mut self, id: DocumentId, number: Option<i64>) {
        if self.ids.len() >= REMEMBERED_MAX {
            self.ids.clear();
        }
        self.ids.insert(id, number);
    }

    /// What is in a row now.
    pub(crate) fn remember(&mut self, known: Known) {
        if self.rows.len() >= REMEMBERED_MAX {
            self.rows.clear();
        }
        self.rows.insert(known.n, known);
        self.documents.made(known.n);
    }
}
