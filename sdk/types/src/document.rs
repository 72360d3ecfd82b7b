//! Records of the contract `documents` as the node, the vault and business systems read them: the same bytes that the
//! contract's code in `contracts/guest/documents` writes, and the same JSON that its ABI gives.
//!
//! Deliberately not here: the rules. Who may see what, which reference is legal, what a signature changes is decided by
//! the contract alone; ask it with [`method::AUDIENCE`] and [`method::MAY`]. Private content is in `sdk/privacy`.
//!
//! ```text
//! submit(id, schema, NewVersion) --> Document + Version --events--> Submitted, AudienceChanged, Tombstoned, …
//! audience(id, version)          --> Audience { members: who, which fields, on what basis; keys }
//! may(account, action, id, …)    --> Decision { allowed, fields, reason }
//! ```

mod access;
pub mod audit;
mod dispute;
mod erasure;
pub mod event;
mod field_set;
mod id;
pub mod key;
mod schema;
mod signature;
mod version;

pub use access::{Action, Audience, AuditAnchor, Decision, Entitled, Grant, KeyEntitled, Possession, class, reason};
pub use audit::{AuditRecord, VersionKey};
pub use dispute::{Answer, Dispute, DisputeState, Effect, Evidence, Ruling};
pub use erasure::{Attestation, Erasure, ErasureStanding, ErasureState, Hold, MemberErasure, erasure_by_member};
pub use field_set::FieldSet;
pub use id::DocumentId;
pub use schema::{
    Category, FieldKind, FieldRule, PartyRule, PurposeRule, ReferenceRule, Schema, SchemaDefinition, member_role,
};
pub use signature::{PersonSignature, SIGNATURE_TAG, signature_digest};
pub use version::{
    Backlink, Counts, Document, DocumentEntry, Ending, KeyRecipient, NewVersion, Party, PartyEntry, PublicField,
    ReferenceEntry, SignatureEntry, Verdict, Version, VersionState,
};

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use crate::numbers::{Height, TimestampMs};

/// The name under which the contract is deployed.
pub const CONTRACT: &str = "documents";
/// Most bytes of one of these records: the largest value that the chain's state holds.
pub const RECORD_BYTES_MAX: usize = 64 << 10;

/// Methods that others than people call, by name.
pub mod method {
    /// `(id, schema, NewVersion) -> u64`: puts a document on chain.
    pub const SUBMIT: &str = "submit";
    /// `(id, previous root, NewVersion) -> u32`: a new version of it.
    pub const REVISE: &str = "revise";
    /// `(id) -> Option<Document>`.
    pub const DOCUMENT: &str = "document";
    /// `(id, version) -> Option<Version>`.
    pub const VERSION: &str = "version";
    /// `(name, version) -> Option<Schema>`.
    pub const SCHEMA: &str = "schema";
    /// `(id, version) -> Audience`: who is entitled to which private fields now.
    pub const AUDIENCE: &str = "audience";
    /// `(account, Action, id, version, purpose) -> Decision`.
    pub const MAY: &str = "may";
    /// `(party, after, limit) -> Vec<DocumentEntry>`: documents that name a member or subject.
    pub const LIST_PARTY: &str = "list_party";
    /// `(after, limit) -> Vec<DocumentEntry>`: all documents.
    pub const LIST: &str = "list";
    /// `(Vec<Possession>)`: the caller's member holds these.
    pub const ATTEST_POSSESSION: &str = "attest_possession";
    /// `(id, version, accepted, code)`: the caller's member has checked the private content.
    pub const JUDGE: &str = "judge";
    /// `(id, receipt)`: the caller's member has destroyed its copy.
    pub const ATTEST_ERASURE: &str = "attest_erasure";
    /// `(id)`: orders an erasure that was held back, when nothing holds it back any more.
    pub const ORDER_ERASURE: &str = "order_erasure";
    /// `(id)`: closes an erasure whose deadline has passed, and names those who have not attested.
    pub const CLOSE_ERASURE: &str = "close_erasure";
    /// `(node, previous head, entries, head)`: the read audit's head.
    pub const ANCHOR_AUDIT: &str = "anchor_audit";
}

/// When something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Moment {
    /// Height of the block.
    pub height: Height,
    /// That block's time.
    pub time_ms: TimestampMs,
}

#[cfg(test)]
mod tests;
