//! Where the ciphertext of files lies: large, apart from the storage's tables, named by its hash.

use std::{collections::BTreeMap, ops::Range};

use parking_lot::Mutex;

/// The place of files failed. Where something was written, the node must stop; where something was read, nothing is known of
/// it, and it is looked at again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the place of files failed while it should {operation}: {message}")]
pub struct BlobError {
    /// What was asked of it.
    pub operation: &'static str,
    /// What it said.
    pub message: String,
}

/// Which of a file's two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The ciphertext.
    Data,
    /// The hashes of its inner tree, by which pieces are verified.
    Tree,
}

/// The hash of a file's ciphertext.
pub type BlobId = [u8; 32];

/// Bytes by name. Writes may come in any order; what was never written reads as zeros.
pub trait Blobs: Send + Sync {
    /// How long it is; `None` when there is none.
    ///
    /// # Errors
    /// [`BlobError`].
    fn size(&self, id: &BlobId, part: Part) -> Result<Option<u64>, BlobError>;

    /// The bytes of a range, cut off at the end.
    ///
    /// # Errors
    /// [`BlobError`].
    fn read(&self, id: &BlobId, part: Part, range: Range<u64>) -> Result<Vec<u8>, BlobError>;

    /// Writes at an offset; durable after [`Blobs::sync`].
    ///
    /// # Errors
    /// [`BlobError`].
    fn write(&self, id: &BlobId, part: Part, offset: u64, bytes: &[u8]) -> Result<(), BlobError>;

    /// Makes durable what was written to a file.
    ///
    /// # Errors
    /// [`BlobError`].
    fn sync(&self, id: &BlobId) -> Result<(), BlobError>;

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// [`BlobError`].
    fn remove(&self, id: &BlobId) -> Result<(), BlobError>;

    /// Gives a file another name, durably and in the place of what had it; nothing happens when there is none.
    ///
    /// # Errors
    /// [`BlobError`].
    fn rename(&self, id: &BlobId, to: &BlobId) -> Result<(), BlobError>;

    /// Names of all files whose names begin with a byte, ascending.
    ///
    /// # Errors
    /// [`BlobError`].
    fn list(&self, first: u8) -> Result<Vec<BlobId>, BlobError>;

    /// Bytes that can still be written here; `None` when nobody can say.
    ///
    /// # Errors
    /// [`BlobError`].
    fn free_bytes(&self) -> Result<Option<u64>, BlobError>;
}

/// Files in memory, for tests and the simulator. They survive the vaults that use them, as a disk would.
#[derive(Debug, Default)]
pub struct MemoryBlobs {
    files: Mutex<BTreeMap<(BlobId, Part), Vec<u8>>>,
    durable: Mutex<BTreeMap<(BlobId, Part), Vec<u8>>>,
    free: Mutex<Option<u64>>,
    unreadable: Mutex<bool>,
}

impl MemoryBlobs {
    /// Loses what was not synced.
    pub fn crash(&self) {
        *self.files.lock() = self.durable.lock().clone();
    }

    /// From now on so much is free.
    pub fn set_free(&self, bytes: u64) {
        *self.free.lock() = Some(bytes);
    }

    /// From now on nothing can be read, or everything again: a disk that is not there for a while.
    pub fn set_unreadable(&self, is_so: bool) {
        *self.unreadable.lock() = is_so;
    }

    /// Takes a file away, or a part of it, as something else than this program would.
    pub fn lose(&self, id: &BlobId, part: Part) {
        self.files.lock().remove(&(*id, part));
        self.durable.lock().remove(&(*id, part));
    }

    fn readable(&self) -> Result<(), BlobError> {
        let failed = BlobError { operation: "read a file", message: "input/output error".into() };
        if *self.unreadable.lock() { Err(failed) } else { Ok(()) }
    }

    /// Loses everything.
    pub fn wipe(&self) {
        self.files.lock().clear();
        self.durable.lock().clear();
    }

    /// Everything that lies here, for a look at what a node holds.
    #[must_use]
    pub fn content(&self) -> Vec<(BlobId, Part, Vec<u8>)> {
        self.files.lock().iter().map(|((id, part), bytes)| (*id, *part, bytes.clone())).collect()
    }
}

impl Blobs for MemoryBlobs {
    fn size(&self, id: &BlobId, part: Part) -> Result<Option<u64>, BlobError> {
        self.readable()?;
        Ok(self.files.lock().get(&(*id, part)).map(|bytes| bytes.len() as u64))
    }

    fn read(&self, id: &BlobId, part: Part, range: Range<u64>) -> Result<Vec<u8>, BlobError> {
        self.readable()?;
        let files = self.files.lock();
        let bytes = files.get(&(*id, part)).map_or(&[][..], Vec::as_slice);
        let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        Ok(bytes[at(range.start)..at(range.end.max(range.start))].to_vec())
    }

    fn write(&self, id: &BlobId, part: Part, offset: u64, bytes: &[u8]) -> Result<(), BlobError> {
        let too_large = |_| BlobError { operation: "write", message: "the offset is too large".into() };
        let from = usize::try_from(offset).map_err(too_large)?;
        let mut files = self.files.lock();
        let file = files.entry((*id, part)).or_default();
        if file.len() < from + bytes.len() {
            file.resize(from + bytes.len(), 0);
        }
        file[from..from + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self, id: &BlobId) -> Result<(), BlobError> {
        let files = self.files.lock();
        let mut durable = self.durable.lock();
        for part in [Part::Data, Part::Tree] {
            match files.get(&(*id, part)) {
                Some(bytes) => durable.insert((*id, part), bytes.clone()),
                None => durable.remove(&(*id, part)),
            };
        }
        Ok(())
    }

    fn remove(&self, id: &BlobId) -> Result<(), BlobError> {
        for part in [Part::Data, Part::Tree] {
            self.files.lock().remove(&(*id, part));
            self.durable.lock().remove(&(*id, part));
        }
        Ok(())
    }

    fn rename(&self, id: &BlobId, to: &BlobId) -> Result<(), BlobError> {
        let (mut files, mut durable) = (self.files.lock(), self.durable.lock());
        for part in [Part::Data, Part::Tree] {
            if let Some(bytes) = files.remove(&(*id, part)) {
                files.insert((*to, part), bytes);
            }
            if let Some(bytes) = durable.remove(&(*id, part)) {
                durable.insert((*to, part), bytes);
            }
        }
        Ok(())
    }

    fn list(&self, first: u8) -> Result<Vec<BlobId>, BlobError> {
        self.readable()?;
        let mut found: Vec<BlobId> = self.files.lock().keys().map(|(id, _)| *id).filter(|id| id[0] == first).collect();
        found.dedup();
        Ok(found)
    }

    fn free_bytes(&self) -> Result<Option<u64>, BlobError> {
        Ok(*self.free.lock())
    }
}
