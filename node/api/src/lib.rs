//! The node's HTTP interface: routes, limits, the event stream, TLS.
//!
//! Deliberately not here: what the answers are made of. Routes ask a [`Backend`], which the node implements over its ledger
//! and replica; the crate knows no storage, no network of nodes, no contract. The shapes are in [`vouch_types::api`].
//!
//! ```text
//! TCP --limits--> TLS --> HTTP/1.1 or 2 --request id, panic guard, rate, time--> route --> Backend
//!                                                        every error: application/problem+json
//! ```
//!
//! **Submitting is idempotent.** A transaction's id is the hash of its body. Submitting it again, to any node, answers with
//! the same id and the status `known` until it expires; it takes effect at most once.
#![forbid(unsafe_code)]

mod admin;
mod answers;
mod backend;
mod caller;
mod clients;
mod config;
mod connections;
mod documents;
mod error;
mod explorer;
mod extract;
mod feed;
mod lists;
mod metrics;
mod middleware;
mod openapi;
mod origin;
mod rate_limit;
mod rooms;
mod router;
mod routes;
mod server;
mod tls;

pub use admin::AdminToken;
pub use backend::Backend;
pub use clients::{ClientMode, ClientPolicy};
pub use config::{ApiConfig, Limits, RateLimit, Transport};
pub use documents::{Documents, FilePlace};
pub use error::ApiError;
pub use lists::Lists;
pub use openapi::document as openapi_document;
pub use router::{Api, ApiState, router};
pub use server::{ServeError, Server};
pub use tls::TlsReloader;
