//! Keys kept apart: one key per document, without which its copy cannot be read.
//!
//! A backup of the node's storage never holds these keys, so what was erased stays erased when an old backup is restored.
//! A destroyed key leaves a mark, so that a restored copy is known to be an erased one and not a damaged one.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::words::DocumentId;

/// The key of one document; erased from memory when dropped.
pub type DocumentKey = Zeroizing<[u8; 32]>;

/// What the shelf knows of a document.
#[derive(Clone, PartialEq, Eq)]
pub enum Shelved {
    /// Nothing.
    Absent,
    /// Its key.
    Key(DocumentKey),
    /// That its key was destroyed.
    Destroyed,
}

impl core::fmt::Debug for Shelved {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::Key(_) => "Key(<redacted>)",
            Self::Destroyed => "Destroyed",
        })
    }
}

/// The shelf failed; the node must stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the shelf of document keys failed while it should {operation}: {message}")]
pub struct ShelfError {
    /// What was asked of it.
    pub operation: &'static str,
    /// What it said.
    pub message: String,
}

/// Where document keys lie.
pub trait Shelf: Send + Sync {
    /// What it knows of a document.
    ///
    /// # Errors
    /// [`ShelfError`].
    fn get(&self, id: &DocumentId) -> Result<Shelved, ShelfError>;

    /// Keeps the key of a document it knows nothing of; durable after [`Shelf::sync`].
    ///
    /// # Errors
    /// [`ShelfError`], also for a document it knows already.
    fn put(&self, id: &DocumentId, key: &DocumentKey) -> Result<(), ShelfError>;

    /// Destroys the key of a document for good, whether there is one or not; durable when it returns.
    ///
    /// # Errors
    /// [`ShelfError`].
    fn destroy(&self, id: &DocumentId) -> Result<(), ShelfError>;

    /// Makes durable what was put.
    ///
    /// # Errors
    /// [`ShelfError`].
    fn sync(&self) -> Result<(), ShelfError>;
}

/// A shelf in memory, for tests and the simulator. It survives the vaults that use it, as a disk would.
#[derive(Debug, Default)]
pub struct MemoryShelf {
    state: Mutex<Shelves>,
}

#[derive(Debug, Default)]
struct Shelves {
    keys: BTreeMap<DocumentId, Shelved>,
    unsynced: Vec<DocumentId>,
}

impl MemoryShelf {
    /// Loses what was not synced.
    pub fn crash(&self) {
        let mut state = self.state.lock();
        for id in std::mem::take(&mut state.unsynced) {
            if matches!(state.keys.get(&id), Some(Shelved::Key(_))) {
                state.keys.remove(&id);
            }
        }
    }

    /// Loses what it knows of one document.
    pub fn lose(&self, id: &DocumentId) {
        self.state.lock().keys.remove(id);
    }

    /// Loses everything, the marks of destroyed keys included.
    pub fn wipe(&self) {
        *self.state.lock() = Shelves::default();
    }
}

impl Shelf for MemoryShelf {
    fn get(&self, id: &DocumentId) -> Result<Shelved, ShelfError> {
        Ok(self.state.lock().keys.get(id).cloned().unwrap_or(Shelved::Absent))
    }

    fn put(&self, id: &DocumentId, key: &DocumentKey) -> Result<(), ShelfError> {
        let mut state = self.state.lock();
        if state.keys.contains_key(id) {
            return Err(ShelfError { operation: "keep a key", message: "there is one already".into() });
        }
        state.keys.insert(*id, Shelved::Key(key.clone()));
        state.unsynced.push(*id);
        Ok(())
    }

    fn destroy(&self, id: &DocumentId) -> Result<(), ShelfError> {
        self.state.lock().keys.insert(*id, Shelved::Destroyed);
        Ok(())
    }

    fn sync(&self) -> Result<(), ShelfError> {
        self.state.lock().unsynced.clear();
        Ok(())
    }
}
