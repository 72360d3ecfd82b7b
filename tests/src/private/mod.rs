//! Members with private documents over real nodes: what the tests and measurements of documents share.
//!
//! Deliberately not here: what is to be so. The rules, the table of leaks and the bars stand in the tests and measurements.
//!
//! ```text
//! Cluster --> House: contracts, schemas, relationships --> Desk: one account at its own node
//!    Records: generated values of every kind of field           StandIn: a process of the test in a node's place
//!    Planted: those values in every form they could leak in --> Finder: looks for them in bytes
//! ```

mod finder;
mod house;
mod records;
mod stand_in;

pub use finder::{Finder, Planted, Traces};
pub use house::{Desk, House, SAMPLES, code_of, sample_schema};
pub use records::Records;
pub use stand_in::{Heard, Manner, StandIn};
