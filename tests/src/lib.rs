//! Tests of the whole: the deterministic simulator that runs complete nodes over a simulated network, disk and clock.
//!
//! Deliberately not here: tests of one crate, which stand beside it; real processes, sockets and files.
//!
//! ```text
//! seed --> plan (genesis, faults, workload) --> world: nodes, links, disks, clocks --> oracle: counted checks --> report
//! ```
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a test stops where something cannot be, and its numbers are small and drawn here"
)]

pub mod bench;
pub mod cluster;
pub mod month;
pub mod private;
pub mod sim;
