//! Joining by snapshot and pruning, with whole replicas.
#![expect(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test stops where something cannot be")]

mod faults;
mod join;
mod network;
mod pruning;
