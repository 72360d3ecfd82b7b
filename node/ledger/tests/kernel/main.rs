//! The kernel on a whole ledger in memory: what the members decide, what each decides about itself, what is refused.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod affairs;
mod blocks;
mod contracts;
mod decisions;
mod network;
