//! The node's index: what stands on the chain, once more, in an order that lists, filters and statistics ask for.
//!
//! Deliberately not here: private content, which never enters it; who may see what, since all of it stands on the chain
//! and every member may see that; proofs, which the ledger gives; the ledger, which is a trait here; HTTP.
//!
//! ```text
//! ledger --Source--> follow (a thread) --one transaction--> rows + roll-ups + height      one writer
//!                        |                                        |                        SQLite: a file
//!                        '-- rebuild: a second one beside it      |                        PostgreSQL: a schema
//!                                                                 '--> Readers --> query: lists, search, provenance, …
//! ```
//!
//! **Invariant:** a height and its rows become visible together, or neither does. After a crash the index goes on at the
//! height it has.
//!
//! A row about a document, dispute, grant or relationship is the contract's own record, read from the state when an event
//! says that it changed. While the index is behind it may therefore be newer than the height; at the head they agree.
#![forbid(unsafe_code)]

mod codes;
mod cursor;
mod database;
mod error;
mod follow;
mod home;
mod numbers;
mod prefetch;
mod project;
mod query;
mod readers;
pub mod sample;
mod schema;
mod source;
mod tally;
mod words;
mod writer;

pub use error::IndexError;
pub use follow::{Index, Progress};
pub use home::{IndexConfig, Owner, SCHEMA_NAME_MAX, is_schema_name};
pub use query::{Counts, Filtered, Query};
pub use schema::LAYOUT;
pub use source::{IndexBlock, IndexTransaction, Source, SourceError};
pub use writer::{Applied, Writer};
