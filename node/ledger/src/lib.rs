//! The chain's memory: which transactions wait, what blocks do to the state, what anyone can be shown of it.
//!
//! ```text
//! transaction --> mempool --> propose / validate --> prepared block --commit--> storage, one synced batch
//!                                   |                                              |
//!                            vouch-vm runs calls                         reader: queries, receipts, proofs
//! ```
//!
//! Deliberately not here: who decides (consensus), how bytes travel (net), how they are kept (store), clocks and threads.
//!
//! Architecture invariant: a block's effect depends on nothing but the state before it and its own bytes.
#![forbid(unsafe_code)]

mod building;
pub mod chain;
pub mod decisions;
pub mod executor;
pub mod founding;
pub mod kernel;
pub mod keys;
pub mod memory;
pub mod mempool;
pub mod overlay;
pub mod prune;
pub mod reader;
pub mod records;
pub mod registry;
pub mod session;
pub mod shared_map;
pub mod snapshot;
pub mod storage;
pub mod tree;

pub use building::Built;
pub use chain::{BlockError, CommittedBlock, Head, Ledger, LedgerError};
pub use executor::{TransactionRecord, Unfit};
pub use mempool::{Mempool, MempoolError, MempoolLimits, PooledTransaction};
pub use reader::{Published, Reader};
pub use registry::Registry;
pub use session::Runtime;
pub use snapshot::{Due, HistoryBlock, JoinFault, Joined, Pinned, SnapshotOffer};
pub use storage::{Batch, Durability, Storage, StorageError, Table, View};
