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
mod evidence;
mod file_reading;
mod governance;
mod issuing;
pub mod keystore;
mod outbox;
mod persons;
mod provenance;
mod random;
mod reading;
pub mod secret_file;
mod sse;
mod transaction;
mod transport;
mod uploads;

pub use client::{Client, ListQuery};
pub use config::{AdminToken, ClientCertificate, ClientConfig, Identity};
pub use document_calls::NewGrant;
pub use documents::{DocumentDraft, SubmittedDocument};
pub use error::{Error, Verdict};
pub use events::EventsRequest;
pub use evidence::EvidenceRequest;
pub use file_reading::{FileFacts, FileRequest, OpenFile};
pub use governance::ProposalDraft;
pub use issuing::{Issuing, Order, Previous};
pub use keystore::{KeystoreError, Password};
pub use outbox::{Acts, Fate, Outbox, OutboxOptions, OutboxReport};
pub use persons::{ProvenPerson, ProvenSignature, SignedBy};
pub use provenance::{PROVENANCE_STEPS_MAX, ProvenDocument, ProvenStep, Provenance};
pub use reading::DocumentFields;
pub use transaction::{SignedTransaction, TransactionBuilder};
pub use uploads::{DraftFile, FileProgress, OnProgress, Resumption, SubmitOptions};
pub use vouch_types as types;
