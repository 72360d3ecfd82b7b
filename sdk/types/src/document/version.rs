use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use super::{Category, DocumentId, ErasureState, FieldSet, Moment};
use crate::hash::{AccountId, DocumentRoot, Hash32, SubjectId};

/// A member or a subject: exactly one of the two, where a record does not say otherwise.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, SchemaRead, SchemaWrite,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Party {
    /// The member's name.
    pub member: Option<String>,
    /// The subject.
    pub subject: Option<SubjectId>,
}

impl Party {
    /// A member.
    #[must_use]
    pub fn member(name: impl Into<String>) -> Self {
        Self { member: Some(name.into()), subject: None }
    }

    /// A person.
    #[must_use]
    pub const fn subject(subject: SubjectId) -> Self {
        Self { member: None, subject: Some(subject) }
    }
}

/// A party and what it is in the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct PartyEntry {
    /// A role of the schema.
    pub role: String,
    /// Who has it.
    pub party: Party,
}

/// A field that everyone may read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct PublicField {
    /// Its slot.
    pub slot: u16,
    /// Its value as JSON text, as in the commitment.
    pub value: String,
}

/// A document that this one names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct ReferenceEntry {
    /// What it is to this one: a reference of the schema.
    pub name: String,
    /// The document.
    pub id: DocumentId,
    /// Its version.
    pub version: u32,
}

/// A recipient beyond the rules, named by public key (C 4.4 a).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct KeyRecipient {
    /// X25519 public key.
    pub key: Hash32,
    /// What it may read.
    pub fields: FieldSet,
}

/// What a submission says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct NewVersion {
    /// Version of the schema.
    pub schema_version: u32,
    /// Root of the commitment.
    pub root: DocumentRoot,
    /// Root over the ciphertexts of its attachments.
    pub blob_root: Option<Hash32>,
    /// Everyone it concerns.
    pub parties: Vec<PartyEntry>,
    /// What it builds on.
    pub references: Vec<ReferenceEntry>,
    /// Public fields, ascending by slot.
    pub public: Vec<PublicField>,
    /// Extra recipients, ascending by key.
    pub recipients: Vec<KeyRecipient>,
}

/// How a version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum VersionState {
    /// Waits for signatures.
    Pending,
    /// Stands.
    Effective,
    /// A party that had to sign refused.
    Rejected,
    /// A later version stands in its place.
    Superseded,
    /// Its issuer took it back.
    Revoked,
    /// A ruling took it back.
    Annulled,
    /// Its private content was destroyed by every holder.
    Erased,
}

/// A party's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct SignatureEntry {
    /// Who signed.
    pub party: Party,
    /// The account that did it: the party's own, or that of the member that serves the person.
    pub account: AccountId,
    /// The member the account belonged to; none for a person's own key.
    pub member: Option<String>,
    /// When.
    pub at: Moment,
}

/// Why and when a version ceased to stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Ending {
    /// When.
    pub at: Moment,
    /// Who did it.
    pub by: Party,
    /// Why: a code.
    pub code: String,
}

/// What an entitled member found when it checked the private content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Verdict {
    /// The member.
    pub member: String,
    /// Whether it accepts.
    pub accepted: bool,
    /// Why: a code.
    pub code: String,
    /// When.
    pub at: Moment,
}

/// One version of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Version {
    /// From 1, without gaps.
    pub version: u32,
    /// What was submitted.
    pub content: NewVersion,
    /// Root of the version before.
    pub previous_root: Option<DocumentRoot>,
    /// When it was submitted.
    pub submitted: Moment,
    /// By which account of the issuer.
    pub submitter: AccountId,
    /// How it stands.
    pub state: VersionState,
    /// Since when it stood.
    pub effective: Option<Moment>,
    /// Why and when it ceased to stand.
    pub ending: Option<Ending>,
    /// Who has signed.
    pub signatures: Vec<SignatureEntry>,
    /// How many entitled members accept its content.
    pub accepted: u32,
    /// How many reject it.
    pub rejected: u32,
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Document {
    /// Its id.
    pub id: DocumentId,
    /// Its number among all, from 1.
    pub sequence: u64,
    /// Its number within its category, from 1.
    pub category_sequence: u64,
    /// Its number within its issuer, from 1.
    pub issuer_sequence: u64,
    /// Its kind.
    pub category: Category,
    /// Its schema.
    pub schema: String,
    /// The member that issued it.
    pub issuer: String,
    /// When its first version was submitted.
    pub created: Moment,
    /// Its newest version.
    pub latest: u32,
    /// The version that stands.
    pub effective: Option<u32>,
    /// Open disputes about it.
    pub disputes: u32,
    /// Legal holds on it.
    pub holds: u32,
    /// Whether a ruling asks the issuer for a corrected version.
    pub correction: bool,
    /// How far its erasure is.
    pub erasure: ErasureState,
}

/// A document in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct DocumentEntry {
    /// Its number in this list, from 1, without gaps.
    pub number: u64,
    /// The document.
    pub document: Document,
}

/// A document that names another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Backlink {
    /// Its number among those that name it, from 1, without gaps.
    pub number: u64,
    /// The version that is named.
    pub version: u32,
    /// What it is to the document that names it.
    pub name: String,
    /// The document that names it.
    pub from: DocumentId,
    /// Its version.
    pub from_version: u32,
}

/// How many there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Counts {
    /// All documents.
    pub documents: u64,
    /// Of category identity.
    pub identity: u64,
    /// Of category contract.
    pub contract: u64,
    /// Of category transaction.
    pub transaction: u64,
    /// Of category invoice.
    pub invoice: u64,
    /// Of category risk.
    pub risk: u64,
    /// Grants ever made.
    pub grants: u64,
    /// Disputes ever opened.
    pub disputes: u64,
    /// Erasures ever asked for.
    pub erasures: u64,
}
