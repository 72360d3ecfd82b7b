//! The words every part of Vouch speaks: ids, keys, transactions, blocks, certificates, receipts and the proofs over them.
//!
//! Deliberately not here: anything asynchronous, any input or output, any clock or randomness. The crate builds for
//! `wasm32-unknown-unknown`, so a browser checks a proof with the very code a node uses.
//!
//! ```text
//! secret key --sign--> transaction --in--> block --hash--> header --precommits--> certificate
//!                          |                                  |
//!                          +--> receipt, events, state  --roots in the header--> proofs anyone can check
//! ```
#![forbid(unsafe_code)]

pub mod abi;
pub mod api;
pub mod block;
pub mod certificate;
pub mod codec;
pub mod document;
pub mod governance;
pub mod hash;
pub mod hex_serde;
pub mod keys;
pub mod light;
pub mod merkle;
pub mod numbers;
pub mod receipt;
pub mod relation;
pub mod state;
pub mod transaction;
pub mod validators;
pub mod vote;

pub use abi::{Abi, AbiError, ValueError};
pub use block::{Block, GenesisHeader, Header};
pub use certificate::{CertificateError, CommitCertificate, CommitSignature};
pub use codec::{CodecError, decode, encode};
pub use document::{Category, Document, DocumentId, FieldSet, Party};
pub use hash::{
    AccountId, BlockHash, ChainId, CodeHash, DocumentRoot, EventsRoot, Hash32, NodeId, OutputHash, ReceiptsRoot,
    StateRoot, SubjectId, TransactionsRoot, TxId, ValidatorsHash,
};
pub use keys::{Algorithm, PublicKey, SecretKey, Signature, SignatureError};
pub use light::{FinalityProof, LightClient, ProofBundle, ProofError, VerifiedClaim};
pub use numbers::{Fuel, Height, Power, Round, TimestampMs};
pub use receipt::{Event, Failure, Outcome, Receipt};
pub use state::{RangeProof, StateEntry, StateProof, StateProofError};
pub use transaction::{
    AccountSignature, Call, ContractName, Transaction, TransactionBody, TransactionError, UnverifiedTransaction,
    VerifiedTransaction,
};
pub use validators::{Validator, ValidatorSet, ValidatorSetError};
pub use vote::{ProposalStatement, VoteKind, VoteStatement};
