use tokio_postgres::types::FromSql;

use crate::IndexError;

/// A row of either database. Columns are counted from 0.
pub(crate) enum Row<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
}

/// A column of a server's row. What is of another type than the tables say was written by nobody here.
fn column<'a, T: FromSql<'a>>(row: &'a tokio_postgres::Row, at: usize) -> Result<T, IndexError> {
    row.try_get(at).map_err(|error| IndexError::Damaged(format!("column {at} of a row: {error}")))
}

/// Bytes that are the words of people.
fn text_of(bytes: Vec<u8>) -> Result<String, IndexError> {
    String::from_utf8(bytes).map_err(|_| IndexError::Damaged("a text that is none".into()))
}

impl Row<'_> {
    pub(crate) fn int(&self, at: usize) -> Result<i64, IndexError> {
        match self {
            Self::Sqlite(row) => Ok(row.get(at)?),
            Self::Postgres(row) => column(row, at),
        }
    }

    pub(crate) fn maybe_int(&self, at: usize) -> Result<Option<i64>, IndexError> {
        match self {
            Self::Sqlite(row) => Ok(row.get(at)?),
            Self::Postgres(row) => column(row, at),
        }
    }

    pub(crate) fn bytes(&self, at: usize) -> Result<Vec<u8>, IndexError> {
        match self {
            Self::Sqlite(row) => Ok(row.get(at)?),
            Self::Postgres(row) => column(row, at),
        }
    }

    /// Bytes of one length.
    pub(crate) fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], IndexError> {
        match self {
            Self::Sqlite(row) => Ok(row.get(at)?),
            Self::Postgres(row) => column::<&[u8]>(row, at)?
                .try_into()
                .map_err(|_| IndexError::Damaged(format!("column {at} of a row has not {N} bytes"))),
        }
    }

    /// A text of a column of texts.
    pub(crate) fn text(&self, at: usize) -> Result<String, IndexError> {
        match self {
            Self::Sqlite(row) => Ok(row.get(at)?),
            Self::Postgres(row) => text_of(column(row, at)?),
        }
    }

    /// The text of a word, whose column is bytes; `None` for no word, and for one that is no text.
    pub(crate) fn word(&self, at: usize) -> Result<Option<String>, IndexError> {
        let bytes: Option<Vec<u8>> = match self {
            Self::Sqlite(row) => row.get(at)?,
            Self::Postgres(row) => column(row, at)?,
        };
        Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
    }
}
