//! Tests of the crate from outside: formats against vectors and laws, signatures, proofs, the self-description of
//! contracts.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it set it up")]
#![expect(clippy::cast_possible_truncation, reason = "the numbers here are small and chosen")]

mod abi;
mod formats;
mod golden;
mod laws;
mod light;
mod signatures;
mod support;
