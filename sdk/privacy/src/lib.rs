//! What keeps private data private and still provable: commitments, sealing, sensitive-data rules, de-identification,
//! credentials and evidence.
//!
//! Deliberately not here: any input or output, any clock, any source of randomness of its own (the caller hands one in),
//! any decision about who may see what (that is contract code), any storage or delivery (that is the vault).
//!
//! ```text
//! document --commitment--> root, on the chain
//!     |                      ^
//!     +--sealing--> ciphertext per field, keys wrapped per receiver --delivery--> opened, recomputed, compared
//!
//! file --stream--> values --scan, by rules--> findings --deid, by policy--> values without them, scanned again
//! ```
#![forbid(unsafe_code)]

pub mod attachment;
pub mod commitment;
pub mod construction;
pub mod deid;
pub mod entropy;
pub mod evidence;
pub mod grade;
pub mod issuing;
pub mod key_file;
mod lexical;
pub mod reading;
pub mod rules;
pub mod scan;
pub mod sd_jwt;
pub mod sealing;
pub mod stream;

pub use commitment::{
    Commitment, CommitmentError, Disclosure, Document, DocumentHeader, DocumentSecret, FieldProof, FieldSpec,
    SchemaFields,
};
pub use construction::ConstructionError;
pub use entropy::SeededRng;
pub use grade::{Grade, GradeError};
pub use scan::{Engine, Finding};
pub use sealing::{
    Delivery, DocumentKeys, FieldKeySet, RecipientKey, RecipientSecret, SealError, SealedDocument, SubjectKey, Wrap,
    WrapContext, open_wrap, seal, wrap,
};
