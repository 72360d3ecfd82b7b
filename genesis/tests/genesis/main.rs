//! Tests of the crate from outside.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it set it up")]

mod document;
mod vectors;
