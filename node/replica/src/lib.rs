//! The node without input and output: one deterministic machine of consensus, ledger, mempool and sync.
//!
//! ```text
//!             inputs                                  effects
//! messages, timers, checked   -->  Replica::step  -->  send, broadcast, set timer, committed, admit peers
//! transactions                        |
//!                                     +-- writes to the storage, synced before an effect that depends on it
//! ```
//!
//! Deliberately not here: sockets, threads, clocks, randomness. The node drives it in real time, the simulator in virtual.
#![forbid(unsafe_code)]

mod ahead;
mod answers;
mod log_writer;
pub mod message;
pub mod pace;
pub mod portion;
mod proposals;
pub mod replica;
pub mod snapshot;
pub mod status;
pub mod submissions;
pub mod sync;
pub mod voting;

pub use message::{Lane, Message};
pub use replica::{Effect, Input, Now, PeerId, Refusal, Replica, ReplicaConfig, ReplicaError, Timer};
pub use snapshot::StoragePolicy;
pub use status::ReplicaStatus;
pub use voting::{AbstentionStatus, Doubt, VolatileMemory, VotingMemory, VotingRecord, VotingState};
