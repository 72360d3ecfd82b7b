//! RocksDB under the ledger's storage seam: one database per node, one column family per table, one synced batch per block.
//!
//! Deliberately not here: what the bytes mean (ledger), backups beyond a checkpoint on the same file system, retries. A
//! storage that failed once refuses everything until the process opened it anew.
//!
//! ```text
//! ledger --Batch--> RocksStore --write-ahead log, fdatasync--> memtables --flush--> SST files --compaction--> ...
//!    ^                  |
//!    +----- View -------+   a snapshot: later writes do not show
//! ```
//!
//! Architecture invariant: nothing outside this crate names RocksDB.
#![forbid(unsafe_code)]

mod error;
mod options;
mod stats;
mod store;

pub use error::StoreError;
pub use options::StoreOptions;
pub use stats::{StoreStats, TableStats};
pub use store::{FORMAT_KEY, FORMAT_VERSION, RocksStore};
