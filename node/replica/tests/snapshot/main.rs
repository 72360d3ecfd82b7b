//! Joining by snapshot, pruning, and votes after a loss, with whole replicas.
#![expect(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test stops where something cannot be")]

mod faults;
mod floods;
mod join;
mod network;
mod pruning;
mod votes;
