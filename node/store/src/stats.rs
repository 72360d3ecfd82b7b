//! What the store says about itself.

use vouch_ledger::storage::Table;

/// Sizes of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableStats {
    /// The table.
    pub table: Table,
    /// Keys, estimated.
    pub keys_estimate: u64,
    /// Files on disk, in bytes.
    pub files_bytes: u64,
    /// Writes still in memory, in bytes.
    pub memtable_bytes: u64,
    /// Bytes that compaction has still to rewrite, estimated.
    pub compaction_pending_bytes: u64,
}

/// Sizes and health of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreStats {
    /// Table by table, in the order of [`Table::ALL`].
    pub tables: Vec<TableStats>,
    /// Of the shared cache in use, in bytes.
    pub cache_used_bytes: u64,
    /// Compactions that run now.
    pub compactions_running: u64,
    /// Flushes that run now.
    pub flushes_running: u64,
    /// Errors of background work: more than none means that the node must be restarted.
    pub background_errors: u64,
    /// Whether writes wait for compaction.
    pub writes_stopped: bool,
}

impl StoreStats {
    /// All files on disk, the write-ahead log not included, in bytes.
    #[must_use]
    pub fn files_bytes(&self) -> u64 {
        self.tables.iter().map(|table| table.files_bytes).sum()
    }

    /// Bytes that compaction has still to rewrite, estimated.
    #[must_use]
    pub fn compaction_pending_bytes(&self) -> u64 {
        self.tables.iter().map(|table| table.compaction_pending_bytes).sum()
    }
}
