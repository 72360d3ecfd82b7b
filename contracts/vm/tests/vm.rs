//! The engine against modules written as text.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod common;

#[path = "vm/deploy.rs"]
mod deploy;
#[path = "vm/fuel.rs"]
mod fuel;
#[path = "vm/host_functions.rs"]
mod host_functions;
#[path = "vm/limits.rs"]
mod limits;
