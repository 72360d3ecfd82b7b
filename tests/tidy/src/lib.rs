//! The rules of the house as checks: what a reviewer would have to remember, a test finds.
//!
//! Deliberately not here: anything the compiler, the formatter or clippy already checks. The crate depends on none of
//! Vouch's own crates, so it builds and runs in seconds, before anything else.
//!
//! ```text
//! git ls-files   --> Tree  --> blobs, links, source, vectors, words --+
//! cargo metadata --> Graph --> arrows, licences                       +--> breaches --> a failing test
//! docs/figures   --> Figure --> notes, report                         |
//! Cargo.lock + advisory database --> advisories ----------------------+
//! ```
#![forbid(unsafe_code)]

pub mod advisories;
pub mod arrows;
pub mod blobs;
pub mod breach;
pub mod figures;
pub mod graph;
pub mod licences;
pub mod links;
pub mod notes;
pub mod policy;
pub mod report;
pub mod source;
pub mod tree;
pub mod vectors;
pub mod words;

pub use breach::Breach;
pub use graph::Graph;
pub use policy::Policy;
pub use tree::Tree;
