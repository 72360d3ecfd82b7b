use vouch_types::Height;

use crate::SourceError;

/// Why the index cannot do what it is asked for, or cannot go on. [`IndexError::code`] is stable.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The database failed: a full or broken disk, most likely.
    #[error("the index's database failed: {0}")]
    Storage(#[from] rusqlite::Error),
    /// The database server cannot be reached, or does not let the node in.
    #[error("the index's database server: {0}")]
    Connection(String),
    /// It is not open yet, or could not be opened.
    #[error("the index is not open")]
    Closed,
    /// The database server refuses.
    #[error("the index's database server refuses: {0}")]
    Refused(String),
    /// Something else holds what is to be changed.
    #[error("the index's tables are held by another session of the database")]
    Locked,
    /// What was found is not what this program writes.
    #[error("the index is damaged: {0}")]
    Damaged(String),
    /// The schema is somebody else's, so that nothing in it is touched.
    #[error("{place} belongs to {whose}")]
    Foreign {
        /// Which.
        place: String,
        /// Whose, as far as it is known.
        whose: String,
    },
    /// Another program writes the schema.
    #[error("another program writes the schema {0}")]
    InUse(String),
    /// A file could not be made, read or removed.
    #[error("the index's files: {0}")]
    Files(#[from] std::io::Error),
    /// The ledger could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The ledger does not keep the next block any more.
    #[error("the index is at height {at}, and the ledger keeps blocks from height {lowest} on only")]
    Gap {
        /// How far the index has come.
        at: Height,
        /// The lowest block of the ledger.
        lowest: Height,
    },
    /// The ledger has another block at a height that the index knows.
    #[error("the index holds another block of height {at} than the ledger: it was made from another chain")]
    Diverged {
        /// The height.
        at: Height,
    },
    /// A question that would take longer than any may.
    #[error("the question takes too long")]
    TooSlow,
    /// A filter that matches more than is looked through.
    #[error("more than {0} documents have a public text that begins so")]
    TooMany(usize),
    /// A cursor that is none of this list.
    #[error("that is no place in this list")]
    Cursor,
    /// No such document.
    #[error("the index knows no such document")]
    Unknown,
}

impl IndexError {
    /// Whether trying again cannot help: the index is damaged, or of another chain, or what comes next is gone. All of an
    /// index can be made again.
    #[must_use]
    pub fn is_final(&self) -> bool {
        use rusqlite::ErrorCode::{ConstraintViolation, DatabaseCorrupt, NotADatabase, TypeMismatch};
        match self {
            Self::Gap { .. } | Self::Diverged { .. } | Self::Damaged(_) => true,
            // Without a code of the database, a value in it is of another type than the tables say; of a constraint, rows
            // stand in it that nobody here wrote.
            Self::Storage(error) => matches!(
                error.sqlite_error_code(),
                None | Some(NotADatabase | DatabaseCorrupt | ConstraintViolation | TypeMismatch)
            ),
            _ => false,
        }
    }

    /// Stable code for API, command line and logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Storage(_) | Self::Files(_) | Self::Closed | Self::Refused(_) | Self::Locked | Self::Damaged(_) => {
                "index.storage"
            }
            Self::Connection(_) => "index.connection",
            Self::Foreign { .. } | Self::InUse(_) => "index.foreign",
            Self::Source(_) => "node.storage",
            Self::Gap { .. } => "index.gap",
            Self::Diverged { .. } => "index.diverged",
            Self::TooSlow => "index.too_slow",
            Self::TooMany(_) => "index.too_many",
            Self::Cursor => "request.bad_parameter",
            Self::Unknown => "vault.unknown_document",
        }
    }
}
