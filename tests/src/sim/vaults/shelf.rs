//! A node's shelf of document keys, behind a place where planted bugs can sit.

use std::{collections::BTreeMap, sync::Mutex};

use vouch_vault::{DocumentId, MemoryShelf, Shelf, ShelfError, Shelved, shelf::DocumentKey};

use super::super::mutants::Mutant;

/// The shelf.
#[derive(Debug)]
pub struct SimShelf {
    memory: MemoryShelf,
    mutant: Option<Mutant>,
    /// Keys whose places were never overwritten.
    left: Mutex<BTreeMap<DocumentId, DocumentKey>>,
}

impl SimShelf {
    /// An empty one.
    pub fn new(mutant: Option<Mutant>) -> Self {
        Self { memory: MemoryShelf::default(), mutant, left: Mutex::default() }
    }

    /// Power cut.
    pub fn crash(&self) {
        self.memory.crash();
    }

    /// Makes durable what was put, whatever bug is planted: that one is about what comes from others.
    pub fn keep(&self) {
        self.memory.sync().expect("a shelf in memory does not fail");
    }

    /// Everything is lost.
    pub fn wipe(&self) {
        self.memory.wipe();
        self.left.lock().unwrap().clear();
    }

    /// Whether a document's key can be read off the medium, whatever the program takes it for.
    pub fn has_bytes_of(&self, id: &DocumentId) -> bool {
        matches!(self.memory.get(id), Ok(Shelved::Key(_))) || self.left.lock().unwrap().contains_key(id)
    }

    /// Whether it is known that a document's key was destroyed.
    pub fn is_destroyed(&self, id: &DocumentId) -> bool {
        self.memory.get(id) == Ok(Shelved::Destroyed)
    }
}

impl Shelf for SimShelf {
    fn get(&self, id: &DocumentId) -> Result<Shelved, ShelfError> {
        self.memory.get(id)
    }

    fn put(&self, id: &DocumentId, key: &DocumentKey) -> Result<(), ShelfError> {
        self.memory.put(id, key)
    }

    fn destroy(&self, id: &DocumentId) -> Result<(), ShelfError> {
        if self.mutant == Some(Mutant::LeaveKey)
            && let Shelved::Key(key) = self.memory.get(id)?
        {
            self.left.lock().unwrap().insert(*id, key);
        }
        self.memory.destroy(id)
    }

    fn sync(&self) -> Result<(), ShelfError> {
        if self.mutant == Some(Mutant::ReceiptFirst) { Ok(()) } else { self.memory.sync() }
    }
}
