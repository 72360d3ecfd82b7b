//! Sessions that only read one index, of which some are kept.

mod postgres;
mod sqlite;

use crate::{IndexError, database::Database};

pub(crate) use self::{postgres::Pool, sqlite::Files};

/// Those who read one index, whichever database holds it.
pub(crate) enum Readers {
    /// None: the index is not open, so nobody knows yet whose it is.
    Closed,
    Sqlite(Files),
    Postgres(Pool),
}

impl Readers {
    /// Runs reads that see one moment of the index.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Database) -> Result<T, IndexError>) -> Result<T, IndexError> {
        match self {
            Self::Closed => Err(IndexError::Closed),
            Self::Sqlite(files) => files.read(work),
            Self::Postgres(pool) => pool.read(work),
        }
    }
}
