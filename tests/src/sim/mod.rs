//! The simulator: complete nodes of one chain under one seeded scheduler. `docs/testing.md` says how to use it.

mod byzantine;
mod contract;
mod disk;
mod faults;
mod genesis;
mod model;
pub mod mutants;
mod node;
mod oracle;
pub mod plan;
mod rng;
mod run;
pub mod shrink;
mod wires;
mod workload;
mod world;

pub use oracle::Violation;
pub use run::{Outcome, Stage};
