//! Keeps the consensus log in the storage: a row per appended piece, replaced as a whole at each new height.

use vouch_ledger::{Batch, Durability, Storage, StorageError, Table};

/// Rows read at once.
const SCAN_ROWS: usize = 1024;

/// Collects what the driver appends, and writes it at the end of a step in which the driver asked for durability.
#[derive(Debug, Default)]
pub struct LogWriter {
    rows: u64,
    bytes: u64,
    pending: Batch,
    is_due: bool,
}

impl LogWriter {
    /// The log's bytes as they were last synced, and a writer that goes on after them.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn read_back(storage: &dyn Storage) -> Result<(Vec<u8>, Self), StorageError> {
        let mut log = Vec::new();
        let mut writer = Self::default();
        let mut from = Vec::new();
        loop {
            let rows = storage.scan(Table::ConsensusLog, &from, None, SCAN_ROWS)?;
            let Some((last, _)) = rows.last() else { break };
            from.clone_from(last);
            from.push(0);
            for (_, mut piece) in rows {
                log.append(&mut piece);
                writer.rows += 1;
            }
        }
        writer.bytes = length(&log);
        Ok((log, writer))
    }

    /// How long the log is, whether synced or not.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Begins a new log with these bytes.
    pub fn reset(&mut self, bytes: Vec<u8>) {
        self.pending = Batch::new();
        if self.rows > 0 {
            self.pending.delete_range(Table::ConsensusLog, 0u64.to_be_bytes(), u64::MAX.to_be_bytes());
        }
        (self.rows, self.bytes) = (0, 0);
        self.append(bytes);
    }

    /// Adds bytes.
    pub fn append(&mut self, bytes: Vec<u8>) {
        self.bytes = self.bytes.saturating_add(length(&bytes));
        self.pending.put(Table::ConsensusLog, self.rows.to_be_bytes(), bytes);
        self.rows += 1;
    }

    /// Everything up to here is to be durable before the step is over.
    pub const fn ask(&mut self) {
        self.is_due = true;
    }

    /// Makes everything up to here durable, if that was asked for; whether it was.
    ///
    /// # Errors
    /// [`StorageError`]: the node must stop.
    pub fn sync(&mut self, storage: &dyn Storage) -> Result<bool, StorageError> {
        let is_due = core::mem::take(&mut self.is_due);
        if is_due && !self.pending.changes.is_empty() {
            storage.write(core::mem::take(&mut self.pending), Durability::Synced)?;
        }
        Ok(is_due)
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
