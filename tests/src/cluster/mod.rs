//! Networks of real processes on this machine: the program as its users run it, on loopback, in a temporary folder.
//!
//! Deliberately not here: simulated time or faults inside a process (the simulator has them), shells, fixed ports.
//!
//! ```text
//! Options --> Cluster::make --> `vouch dev net --plan-only` --> folder: homes, keys, genesis
//!                 | start, stop, kill, pause, wipe of one node; Client and command line for it
//!                 v
//!             dropped: every child is killed, then the folder is removed
//! ```
//!
//! A cluster takes the machine for itself: a second one waits until the first is gone, so that deadlines mean something
//! and ports do not collide.

mod folder;
mod network;
mod process;
mod program;
mod relay;
mod traffic;
mod watch;

pub use folder::{Turn, free_ports};
pub use network::{Cluster, Options, Plan, PlannedNode};
pub use process::{NodeProcess, Signal, Usage};
pub use program::{Output, Program, peak_memory, peak_of};
pub use relay::{Line, Relay, Wire};
pub use traffic::{Load, LoadReport, Pressure, Traffic, TrafficReport, contract, record_call};
pub use watch::{blocks, gaps_ms, metric, no_evidence, same_root, transaction_ids, until};
