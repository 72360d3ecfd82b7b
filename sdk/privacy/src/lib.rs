//! What keeps private data private and still provable: commitments, sealing, sensitive-data rules, de-identification,
//! credentials and evidence.
//!
//! Deliberately not here: any input or output, any clock, any source of randomness of its own (the caller hands one in),
//! any decision about who may see what (that is contract code), any storage or delivery (that is the vault).
#![forbid(unsafe_code)]

pub mod grade;

pub use grade::{Grade, GradeError};
