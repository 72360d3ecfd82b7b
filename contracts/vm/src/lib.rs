//! Runs contracts: WASM modules under wasmtime, metered, bounded and deterministic.
//!
//! Deliberately not here: where state lives, who the caller is, what a block is. The ledger answers through [`Host`].
#![forbid(unsafe_code)]

pub mod host;

pub use host::{CallContext, CallRequest, Host, HostError};
