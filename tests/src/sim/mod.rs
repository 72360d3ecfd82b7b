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
pub mod regressions;
mod rng;
mod run;
pub mod shrink;
mod signatures;
mod vaults;
mod wires;
mod workload;
mod world;

pub use oracle::Violation;
pub use run::{Outcome, Stage};

/// What happens in some of the runs; that two hundred seeds meet each shows that the faults are awake.
pub const MARKS: &[&str] = &[
    "accepted transaction expired",
    "accepted transaction still waiting at the end",
    "accepted transaction waits again after a restart",
    "block announced ahead",
    "block asked for",
    "block durable but not reported before a crash",
    "block given on request",
    "blocks sent to one behind",
    "decided in a later round",
    "disk lost",
    "disk replaced by an older copy",
    "evidence kept",
    "failing transaction in a block",
    "mempool full",
    "message corrupted",
    "network cut in two",
    "network cut one way",
    "network cut to a ring",
    "node cut off",
    "node joined",
    "peer blamed",
    "power cut between two effects",
    "power cut everywhere",
    "removed node disconnected",
    "stopped by a failing disk",
    "system change",
    "validators changed",
    "votes forgotten on purpose",
    "votes not remembered",
    "waiting transaction expired",
];

/// The same of private documents, which fewer runs have: a thousand seeds meet each.
pub const VAULT_MARKS: &[&str] = &[
    "all vaults stand still",
    "document destroyed",
    "document held whole",
    "document staged",
    "documents asked for by a liar",
    "erasure asked for",
    "false attestation",
    "false receipt",
    "fields granted",
    "forged receipt",
    "grant ended",
    "peer blamed by a vault",
    "power cut between two effects of a vault",
    "sealed bytes altered",
    "vault stands still",
];
