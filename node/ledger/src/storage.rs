//! The seam between the ledger and whatever keeps its bytes: RocksDB in a node, memory in tests and the simulator.
//!
//! One [`Batch`] is the unit of atomicity: after a crash either all of it is there or nothing. A `write` with
//! [`Durability::Synced`] that returned is on stable storage. A storage error is never handled by going on: the caller
//! stops the node, because what the disk holds is no longer known.

use std::sync::Arc;

/// Groups of keys, each ordered by its bytes. The number is the stable on-disk name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// Single facts: head, versions, markers.
    Meta = 0,
    /// Height (big-endian) → encoded header.
    Headers = 1,
    /// Height (big-endian) → encoded list of transactions.
    Bodies = 2,
    /// Height (big-endian) → encoded commit certificate.
    Certificates = 3,
    /// Height (big-endian) → encoded list of receipts with outputs and events.
    Receipts = 4,
    /// Transaction id → height, index (big-endian).
    Transactions = 5,
    /// State key → slot, presence byte, value.
    State = 6,
    /// Slot (big-endian) → state key.
    Slots = 7,
    /// Level, page number (big-endian) → page of the state tree.
    Tree = 8,
    /// Height, sequence (big-endian) → evidence of misbehaviour.
    Evidence = 9,
    /// Validator sets by hash.
    Validators = 10,
    /// Blocks proposed but not decided, by hash.
    Undecided = 11,
    /// The consensus log of the current height, by sequence number.
    ConsensusLog = 12,
    /// Transactions accepted by this node that wait for a block, by id.
    Pending = 13,
    /// The vault's small records: what is to be delivered, fetched, attested; receipts; indexes.
    Vault = 14,
    /// Document id, version → sealed private document, never its keys.
    VaultCopies = 15,
    /// Document id, version → field keys, sealed under a key that is kept apart.
    VaultKeys = 16,
    /// Sequence (big-endian) → who read what and why, hash-chained.
    VaultAudit = 17,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 18] = [
        Self::Meta,
        Self::Headers,
        Self::Bodies,
        Self::Certificates,
        Self::Receipts,
        Self::Transactions,
        Self::State,
        Self::Slots,
        Self::Tree,
        Self::Evidence,
        Self::Validators,
        Self::Undecided,
        Self::ConsensusLog,
        Self::Pending,
        Self::Vault,
        Self::VaultCopies,
        Self::VaultKeys,
        Self::VaultAudit,
    ];
}

/// One change of a [`Batch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Sets a key.
    Put(Table, Vec<u8>, Vec<u8>),
    /// Removes a key.
    Delete(Table, Vec<u8>),
    /// Removes all keys from the first (included) to the second (excluded).
    DeleteRange(Table, Vec<u8>, Vec<u8>),
}

/// Changes that happen together or not at all, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The changes.
    pub changes: Vec<Change>,
}

impl Batch {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a put.
    pub fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.changes.push(Change::Put(table, key.into(), value.into()));
    }

    /// Adds a delete.
    pub fn delete(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        self.changes.push(Change::Delete(table, key.into()));
    }

    /// Adds a range delete.
    pub fn delete_range(&mut self, table: Table, from: impl Into<Vec<u8>>, to: impl Into<Vec<u8>>) {
        self.changes.push(Change::DeleteRange(table, from.into(), to.into()));
    }

    /// Appends another batch's changes.
    pub fn append(&mut self, mut other: Self) {
        self.changes.append(&mut other.changes);
    }
}

/// Whether a write must have reached stable storage when it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// On stable storage.
    Synced,
    /// In order with other writes, but a power cut may lose it together with all that came after.
    Buffered,
}

/// The storage failed; the node must stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("storage failed while it should {operation}: {message}")]
pub struct StorageError {
    /// What was asked of it.
    pub operation: &'static str,
    /// What it said.
    pub message: String,
}

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Reads, all from one moment.
pub trait View: Send + Sync {
    /// One value.
    ///
    /// # Errors
    /// [`StorageError`].
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError>;

    /// Many values, in the order of `keys`; cheaper than one by one, cheapest when `keys` is sorted.
    ///
    /// # Errors
    /// [`StorageError`].
    fn get_many(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StorageError>;

    /// Up to `limit` entries in ascending order, from `from` (included) to `to` (excluded; `None` for the end).
    ///
    /// # Errors
    /// [`StorageError`].
    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StorageError>;

    /// The last entry below `before` (`None` for the very last).
    ///
    /// # Errors
    /// [`StorageError`].
    fn last(&self, table: Table, before: Option<&[u8]>) -> Result<Option<Entry>, StorageError>;
}

/// A place for the ledger's bytes. Reads on it see the latest write.
pub trait Storage: View + 'static {
    /// A view that later writes do not change.
    fn view(&self) -> Box<dyn View + '_>;

    /// A view as [`Storage::view`] gives, for as long as it is held, be the storage closed meanwhile; `None` where there
    /// is no such thing. It may cost a flush and disk space, so its holders are few.
    ///
    /// # Errors
    /// [`StorageError`]; the storage itself is as it was.
    fn pin(&self) -> Result<Option<Arc<dyn View>>, StorageError> {
        Ok(None)
    }

    /// Applies a batch.
    ///
    /// # Errors
    /// [`StorageError`]; whether the batch took effect is then unknown until the storage is opened again.
    fn write(&self, batch: Batch, durability: Durability) -> Result<(), StorageError>;
}
