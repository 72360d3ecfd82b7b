use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use super::{DocumentId, Moment, Party};
use crate::hash::Hash32;

/// How far the erasure of a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub enum ErasureState {
    /// Nobody asked, or the request was withdrawn.
    None,
    /// Asked for, but law or a hold keep it: stored, and processed no further (PIPL 47).
    Restricted,
    /// Every holder must destroy keys and ciphertext and attest it.
    Ordered,
    /// Done: what is left on chain is a tombstone.
    Erased,
}

/// A holder's word that it destroyed its copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Attestation {
    /// The member.
    pub member: String,
    /// Hash of its signed receipt.
    pub receipt: Hash32,
    /// When.
    pub at: Moment,
}

/// The erasure of a document, all its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Erasure {
    /// The document.
    pub document: DocumentId,
    /// How far it is.
    pub state: ErasureState,
    /// Who asked for it.
    pub by: Party,
    /// Why: a code.
    pub code: String,
    /// When.
    pub requested: Moment,
    /// Before when the law forbids it, in milliseconds since 1970.
    pub earliest_ms: u64,
    /// When holders were ordered to destroy it.
    pub ordered: Option<Moment>,
    /// Until when they must have attested, in milliseconds since 1970; 0 before the order.
    pub deadline_ms: u64,
    /// Members that hold it, ascending.
    pub holders: Vec<String>,
    /// Who has attested.
    pub attestations: Vec<Attestation>,
    /// When it was done.
    pub closed: Option<Moment>,
    /// Holders that had not attested when the deadline passed and it was closed without them.
    pub missing: Vec<String>,
}

/// A legal hold: the document may not be erased while it lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Hold {
    /// The member that set it.
    pub member: String,
    /// Why: a code.
    pub code: String,
    /// When.
    pub at: Moment,
}
