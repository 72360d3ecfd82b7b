//! A session with one database, whichever it is: the same statements, bound values and rows for both.
//!
//! Statements are written once, as SQLite takes them. For PostgreSQL they are put into its words by [`dialect`] when they are
//! prepared. All columns are whole numbers or bytes in both; texts are bytes for PostgreSQL, so that no collation and no
//! encoding of a server decides what comes before what.

pub(crate) mod dialect;
mod gathered;
pub(crate) mod postgres;
mod row;
pub(crate) mod server;
pub(crate) mod sqlite;
mod value;

use crate::IndexError;

use self::postgres::Session;
pub(crate) use self::{
    row::Row,
    value::{Value, values},
};

/// A session: of the one writer, or of a reader.
pub(crate) enum Database {
    /// A file.
    Sqlite(rusqlite::Connection),
    /// A schema on a server.
    Postgres(Session),
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_remote() { "Database::Postgres" } else { "Database::Sqlite" })
    }
}

impl Database {
    /// Whether each question takes a way to a server and back, so that few and large ones are better.
    pub(crate) const fn is_remote(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Does what a statement says; how many rows it changed.
    pub(crate) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, IndexError> {
        match self {
            Self::Sqlite(connection) => {
                let changed = connection.prepare_cached(sql)?.execute(rusqlite::params_from_iter(values))?;
                Ok(u64::try_from(changed).unwrap_or(u64::MAX))
            }
            Self::Postgres(session) => session.execute(sql, values),
        }
    }

    /// Does what a statement says within a transaction, where nobody asks how many rows it changed: a server is not waited
    /// for. What it then refuses is told by the next question, or by [`Database::commit`] at the latest.
    pub(crate) fn put(&self, sql: &str, values: &[Value<'_>]) -> Result<(), IndexError> {
        match self {
            Self::Sqlite(_) => self.execute(sql, values).map(drop),
            Self::Postgres(session) => session.send(sql, values),
        }
    }

    /// Writes a row within a transaction, in the company of others of the same kind: a new one by `INSERT … VALUES (…)`, or a
    /// change by `UPDATE … SET … WHERE …`, whose first value is the row's key and of which the last one for a key counts. Whatever
    /// is asked later, and whatever else is done to the table, sees it.
    pub(crate) fn write(&self, sql: &'static str, values: &[Value<'_>]) -> Result<(), IndexError> {
        match self {
            Self::Sqlite(_) => self.execute(sql, values).map(drop),
            Self::Postgres(session) => session.write(sql, values),
        }
    }

    /// Gives each row to `take`.
    pub(crate) fn each(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut take: impl FnMut(&Row<'_>) -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        match self {
            Self::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                let mut rows = statement.query(rusqlite::params_from_iter(values))?;
                while let Some(row) = rows.next()? {
                    take(&Row::Sqlite(row))?;
                }
                Ok(())
            }
            Self::Postgres(session) => session.rows(sql, values)?.iter().try_for_each(|row| take(&Row::Postgres(row))),
        }
    }

    /// What is made of the first row, if there is one.
    pub(crate) fn one<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        make: impl FnOnce(&Row<'_>) -> Result<T, IndexError>,
    ) -> Result<Option<T>, IndexError> {
        match self {
            Self::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                let mut rows = statement.query(rusqlite::params_from_iter(values))?;
                rows.next()?.map(|row| make(&Row::Sqlite(row))).transpose()
            }
            Self::Postgres(session) => {
                session.rows(sql, values)?.first().map(|row| make(&Row::Postgres(row))).transpose()
            }
        }
    }

    /// What is made of every row.
    pub(crate) fn all<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut make: impl FnMut(&Row<'_>) -> Result<T, IndexError>,
    ) -> Result<Vec<T>, IndexError> {
        let mut found = Vec::new();
        self.each(sql, values, |row| {
            found.push(make(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// The number in the only column of the first row; `None` without a row, and where it is null.
    pub(crate) fn number(&self, sql: &str, values: &[Value<'_>]) -> Result<Option<i64>, IndexError> {
        Ok(self.one(sql, values, |row| row.maybe_int(0))?.flatten())
    }

    /// Whether there is a row.
    pub(crate) fn exists(&self, sql: &str, values: &[Value<'_>]) -> Result<bool, IndexError> {
        Ok(self.one(sql, values, |_| Ok(()))?.is_some())
    }

    /// Begins reads that see one moment.
    pub(crate) fn begin_reading(&self) -> Result<(), IndexError> {
        match self {
            Self::Sqlite(connection) => Ok(connection.execute_batch("BEGIN")?),
            Self::Postgres(session) => session.send_text("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        }
    }

    /// Begins the writer's transaction.
    pub(crate) fn begin(&self) -> Result<(), IndexError> {
        match self {
            Self::Sqlite(connection) => Ok(connection.execute_batch("BEGIN IMMEDIATE")?),
            Self::Postgres(session) => session.send_text("BEGIN"),
        }
    }

    /// Ends it with all that was done.
    pub(crate) fn commit(&self) -> Result<(), IndexError> {
        match self {
            Self::Sqlite(connection) => Ok(connection.execute_batch("COMMIT")?),
            Self::Postgres(session) => session.commit(),
        }
    }

    /// Ends it with nothing done.
    pub(crate) fn rollback(&self) {
        match self {
            // What failed may have ended the transaction already.
            Self::Sqlite(connection) => drop(connection.execute_batch("ROLLBACK")),
            Self::Postgres(session) => session.rollback(),
        }
    }

    /// Whether the session is lost, as far as that is known without asking.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self, Self::Postgres(session) if session.is_lost())
    }

    /// Connects again where the session was lost.
    pub(crate) fn revive(&mut self) -> Result<(), IndexError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(session) => session.revive(),
        }
    }

    /// Folds the write-ahead log into the file, as far as readers let it. A server does that by itself.
    pub(crate) fn checkpoint(&self) -> Result<(), IndexError> {
        match self {
            Self::Sqlite(connection) => sqlite::checkpoint(connection),
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Makes all that was written survive a power cut.
    pub(crate) fn make_durable(&self) -> Result<(), IndexError> {
        match self {
            Self::Sqlite(connection) => sqlite::checkpoint_whole(connection),
            Self::Postgres(session) => session.make_durable(),
        }
    }
}
