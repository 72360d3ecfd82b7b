//! Why a directory cannot be used as a store.

use std::path::{Path, PathBuf};

use vouch_ledger::storage::StorageError;

/// Why the store cannot be opened or copied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process, or this one, has the directory open. Two nodes on one directory would destroy it.
    #[error("{path} is in use: another node runs on it")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The directory was written by another version of the software.
    #[error("{path} has format {found}, this version reads format {supported}")]
    Format {
        /// The directory.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What this version reads.
        supported: u32,
    },
    /// A checksum or the structure of a file is wrong, or a file is missing: restore from a backup or sync anew.
    #[error("{path} is damaged: {message}")]
    Damaged {
        /// The directory.
        path: PathBuf,
        /// What was found.
        message: String,
    },
    /// The file system refused: rights, space, hardware.
    #[error("cannot {operation} {path}: {message}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// Where.
        path: PathBuf,
        /// What it said.
        message: String,
    },
    /// The open store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl StoreError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "store.in_use",
            Self::Format { .. } => "store.format",
            Self::Damaged { .. } => "store.damaged",
            Self::Io { .. } => "store.io",
            Self::Storage(_) => "store.failed",
        }
    }

    /// Sorts out what RocksDB says. It has no kinds for a taken lock or a missing file, so its words decide.
    pub(crate) fn from_rocksdb(operation: &'static str, path: &Path, error: &rocksdb::Error) -> Self {
        let (path, message) = (path.to_path_buf(), error.as_ref().to_owned());
        let says = |words: &str| message.contains(words);
        match error.kind() {
            rocksdb::ErrorKind::IOError if says("LOCK:") || says("lock hold by current process") => {
                Self::InUse { path }
            }
            rocksdb::ErrorKind::Corruption => Self::Damaged { path, message },
            rocksdb::ErrorKind::IOError
                if says("No such file") && (says(".sst") || says(".log") || says("MANIFEST")) =>
            {
                Self::Damaged { path, message }
            }
            _ => Self::Io { operation, path, message },
        }
    }

    /// Sorts out why a read failed while the store was being opened.
    pub(crate) fn from_storage(path: &Path, error: StorageError) -> Self {
        if error.message.starts_with("Corruption") {
            return Self::Damaged { path: path.to_path_buf(), message: error.message };
        }
        Self::Storage(error)
    }
}
