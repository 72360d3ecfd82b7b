//! Private documents at a member's own node: staging, reading, what is held, the read audit, erasure.
//!
//! All of it is for accounts of the node's own member, whose requests are signed: see [`super::caller`].

use serde::{Deserialize, Serialize};

use super::HexBytes;
use crate::{
    document::{DocumentId, Erasure, ErasureState, FieldSet, Hold, MemberErasure},
    hash::{AccountId, DocumentRoot, Hash32},
    keys::{PublicKey, Signature},
    numbers::{Height, TimestampMs},
};

/// Most bytes of a document that is staged, files not counted.
pub const STAGE_BYTES_MAX: usize = 4 << 20;

/// A document that the node has checked and keeps until its transaction is final, at most a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StagedView {
    /// The document.
    pub document: DocumentId,
    /// Its version.
    pub version: u32,
    /// Root of its commitment: the submission must name it.
    pub root: DocumentRoot,
    /// Root over its files; absent without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob_root: Option<Hash32>,
    /// Its schema.
    pub schema: String,
    /// The schema's version.
    pub schema_version: u32,
    /// When it was staged, by the node's clock.
    pub staged_at: TimestampMs,
}

/// A wish to see fields of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReadDocumentRequest {
    /// Why: a code that the schema lists, or any code when it lists none.
    pub purpose: String,
    /// Which fields; all that may be seen when left out. If one of them may not be seen, nothing is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<FieldSet>,
    /// Whether they leave in an evidence package or a credential: the read audit says `export` then.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub export: bool,
}

/// Fields of a version with what proves them. Whoever asked checks it against the root on the chain.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DocumentReading {
    /// The document.
    pub document: DocumentId,
    /// Its version.
    pub version: u32,
    /// Canonical text of the commitment's header.
    pub header: String,
    /// Leaves of all slots, ascending: with header and disclosures they give the root.
    pub leaves: Vec<Hash32>,
    /// The fields, ascending by slot.
    pub fields: Vec<DisclosedField>,
    /// Why it may be seen: the contract's reason.
    pub reason: String,
}

impl core::fmt::Debug for DocumentReading {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "DocumentReading({} version {}, {} fields)", self.document, self.version, self.fields.len())
    }
}

/// One field, as it was salted and hashed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DisclosedField {
    /// Its slot.
    pub slot: u16,
    /// Its disclosure (RFC 9901).
    pub disclosure: String,
    /// The disclosures of its rows, in order; none for a field without rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Vec<String>>,
}

impl core::fmt::Debug for DisclosedField {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "DisclosedField({}: <redacted>)", self.slot)
    }
}

/// What this node has of a version, and whose receipts for it lie here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HoldingView {
    /// The document.
    pub document: DocumentId,
    /// The version.
    pub version: u32,
    /// Fields that are here with all their files.
    pub fields: FieldSet,
    /// Whether it is staged and waits for its transaction.
    pub staged: bool,
    /// Receipts of holders that lie here: at the issuer's node those of all.
    pub receipts: Vec<PossessionReceiptView>,
}

/// A holder's signed word that it holds fields of a version and has checked them against the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PossessionReceiptView {
    /// The holder's member, when its node is in the registry now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The holder's network key.
    pub holder: PublicKey,
    /// The fields it holds.
    pub fields: FieldSet,
    /// Height of the chain when it was checked.
    pub height: Height,
    /// Its signature.
    pub signature: Signature,
}

/// What a node holds about a person: one of their documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HeldView {
    /// Its number among the person's documents, from 1, without gaps.
    pub number: u64,
    /// The document.
    pub document: DocumentId,
    /// Its schema.
    pub schema: String,
    /// The member that issued it.
    pub issuer: String,
    /// Its newest version.
    pub latest: u32,
    /// The versions of which something lies at this node, ascending; none when it holds nothing of the document.
    pub versions: Vec<HeldVersionView>,
    /// How often it was asked for here, refusals included, as long as its read audit is kept.
    pub reads: u64,
}

/// What a node holds of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HeldVersionView {
    /// The version.
    pub version: u32,
    /// Fields that are here with all their files.
    pub fields: FieldSet,
}

/// A version of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VersionRef {
    /// The document.
    pub document: DocumentId,
    /// The version.
    pub version: u32,
}

/// How the vault of this node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VaultView {
    /// The member whose documents lie here.
    pub member: String,
    /// Last height whose changes were taken in.
    pub height: Height,
    /// Documents staged and waiting for their transactions.
    pub staged: u64,
    /// Files that are uploaded, or were and wait for their document.
    #[serde(default)]
    pub uploads: u64,
    /// Bytes set aside for them.
    #[serde(default)]
    pub upload_bytes: u64,
    /// Whether anything is to be had and is not here yet.
    pub wants_some: bool,
    /// Whether anything is owed to others.
    pub owes_some: bool,
    /// Versions that are to be here and are not yet, ascending, at most 50.
    pub missing: Vec<VersionRef>,
    /// Records of the read audit.
    pub audit_records: u64,
    /// Those of them that the chain vouches for.
    pub audit_anchored: u64,
    /// Hash of the last record.
    pub audit_head: Hash32,
}

/// One record of the read audit; values are never in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditRecordView {
    /// Its number, from 1, without gaps.
    pub number: u64,
    /// When, by the node's clock.
    pub time: TimestampMs,
    /// Who; all zero for a receiver by key.
    pub actor: AccountId,
    /// `read`, `file`, `release` or `export`.
    pub access: String,
    /// The document.
    pub document: DocumentId,
    /// Its version.
    pub version: u32,
    /// Which fields were shown; none for a refusal.
    pub fields: FieldSet,
    /// Why: the code that was stated.
    pub purpose: String,
    /// `ok`, or the code of the refusal.
    pub result: String,
    /// Hash of the record before; all zero for the first.
    pub previous: Hash32,
    /// Its own hash.
    pub hash: Hash32,
}

/// "Keys and ciphertext of this document are destroyed here."
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErasureStatementView {
    /// The document.
    pub document: DocumentId,
    /// The member.
    pub member: String,
    /// Versions of which something lay here.
    pub versions: u32,
    /// The height of the chain.
    pub height: Height,
    /// The node's network key.
    pub node: PublicKey,
    /// Its signature.
    pub signature: Signature,
    /// What is signed, and what stands on the chain as the receipt.
    pub digest: Hash32,
}

/// How far a document's erasure is, member by member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErasureProgressView {
    /// The state that all this was read from.
    pub height: Height,
    /// That block's time: the deadline is judged by it.
    pub time: TimestampMs,
    /// The document.
    pub document: DocumentId,
    /// How far it is as a whole.
    pub state: ErasureState,
    /// Open disputes, each of which keeps the document.
    pub disputes: u32,
    /// Legal holds, each of which keeps it.
    pub holds: Vec<Hold>,
    /// The erasure as it stands on the chain; absent when nobody ever asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Erasure>,
    /// Every member that was ordered to destroy its copy; before an order, every member that is entitled to the document.
    pub members: Vec<MemberErasure>,
}

/// Something at rest that is not what it was, and is being fetched anew, or that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DamageView {
    /// The document.
    pub document: DocumentId,
    /// The version.
    pub version: u32,
    /// `leaves`, `keys`, `field`, `file`, or `unreadable`: a file that cannot be read now and is kept as it is.
    pub place: String,
    /// With `field`, `file` and `unreadable`: the slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u16>,
    /// With them: the field's name, if the schema is known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// With `file` and `unreadable`: its place in the slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<u16>,
    /// With them: first byte of the ciphertext, and the byte after the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<[u64; 2]>,
}

/// What a check of what lies at rest came to, or of a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckView {
    /// What was damaged or cannot be read; none when all is as it was.
    pub damages: Vec<DamageView>,
    /// From where to go on; absent when all was checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An encoded delivery with the root it is to lead to, as it goes to be staged.
#[derive(Clone, PartialEq, Eq)]
pub struct StageRequest {
    /// Root of the commitment.
    pub root: DocumentRoot,
    /// Document id, version and delivery sealed to the member's own key, in the chain's layout.
    pub delivery: HexBytes,
}

impl core::fmt::Debug for StageRequest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "StageRequest({}, {} bytes)", self.root, self.delivery.0.len())
    }
}
