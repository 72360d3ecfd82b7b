//! Client of a Vouch chain for business systems: build, sign, submit, wait, prove, verify, follow.
//!
//! Deliberately not here: anything a node does, and any trust in one. A client may talk to several nodes and go on when one
//! is down; what a node says about finality is checked with [`Client::proof`], from the chain id alone.
//!
//! ```text
//! keystore --key--> TransactionBuilder --signed--> Client::submit --id--> Client::wait --> Client::proof --> verified
//! ```
#![forbid(unsafe_code)]

mod client;
mod config;
mod document_calls;
mod documents;
mod error;
mod events;
mod governance;
pub mod keystore;
mod random;
mod sse;
mod transaction;
mod transport;

pub use client::{Client, ListQuery};
pub use config::{AdminToken, ClientConfig, Identity};
pub use document_calls::NewGrant;
pub use documents::{DocumentDraft, DocumentFields, SubmittedDocument};
pub use error::Error;
pub use events::EventsRequest;
pub use governance::ProposalDraft;
pub use keystore::{KeystoreError, Password};
pub use transaction::{SignedTransaction, TransactionBuilder};
pub use vouch_types as types;
