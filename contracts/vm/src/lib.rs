//! Runs contracts: WASM modules under wasmtime, metered, bounded and deterministic.
//!
//! Deliberately not here: where state lives, who the caller is, what a block is, who may deploy. The ledger answers
//! through [`Host`]. The interface that contracts see is written down in `docs/contracts.md`.
//!
//! ```text
//! code --validate--> ModuleInfo
//!      --compile---> Module --call(context, method, arguments, fuel, host)--> outcome, fuel used, host
//!                                   |    ^
//!                      get, put, event … v
//!                                  Host (ledger)
//! ```
//!
//! Architecture invariant: the same module, context, method, arguments, fuel and answers of the host give the same result
//! and the same fuel on every node. Where that cannot be promised, for example when the operating system has no memory,
//! the answer is a [`FatalError`] and the node stops. One exact wasmtime version and one compiler belong to a protocol
//! version, because fuel differs between them.
#![forbid(unsafe_code)]

pub mod cache;
pub mod error;
pub mod host;
mod imports;
pub mod instrument;
pub mod limits;
mod state;
pub mod validate;
pub mod vm;
mod wire;

pub use cache::{ModuleCache, code_hash};
pub use error::{CallFailure, DeployError, FatalError, VmError, code};
pub use host::{CallContext, CallRequest, CalleeOutcome, Entries, Host, HostError};
pub use limits::{THREAD_STACK_BYTES_MIN, VmLimits, price};
pub use validate::ModuleInfo;
pub use vm::{CallOutcome, Module, Vm};
pub use vouch_types::abi::MethodKind;
