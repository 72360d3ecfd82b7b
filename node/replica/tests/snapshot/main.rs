//! Joining by snapshot, pruning, votes after a loss, and blocks run ahead, with whole replicas.
#![expect(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test stops where something cannot be")]

mod ahead;
mod faults;
mod floods;
mod join;
mod network;
mod pruning;
mod votes;
