//! What the contract says happened. Names of events are those of the types.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use super::{Category, DocumentId, Effect, ErasureState, Party, VersionState};
use crate::hash::{DocumentRoot, Hash32};

/// A version was submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Submitted {
    /// The document.
    pub id: DocumentId,
    /// The version.
    pub version: u32,
    /// Its kind.
    pub category: Category,
    /// The member that issued it.
    pub issuer: String,
    /// Root of its commitment.
    pub root: DocumentRoot,
}

/// A version's state changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct StateChanged {
    /// The document.
    pub id: DocumentId,
    /// The version.
    pub version: u32,
    /// How it stands now.
    pub state: VersionState,
}

/// A party signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Signed {
    /// The document.
    pub id: DocumentId,
    /// The version.
    pub version: u32,
    /// Who.
    pub party: Party,
}

/// An entitled member accepted or rejected the content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Judged {
    /// The document.
    pub id: DocumentId,
    /// The version.
    pub version: u32,
    /// The member.
    pub member: String,
    /// Whether it accepts.
    pub accepted: bool,
    /// Why: a code.
    pub code: String,
}

/// Ask `audience` again: a grant, a grant's end, evidence or its end changed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct AudienceChanged {
    /// The document.
    pub id: DocumentId,
    /// The version.
    pub version: u32,
}

/// A dispute was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Disputed {
    /// Its number.
    pub dispute: u64,
    /// The document.
    pub id: DocumentId,
    /// The version.
    pub version: u32,
    /// The member that decides.
    pub arbiter: String,
}

/// A dispute was answered or withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct DisputeChanged {
    /// Its number.
    pub dispute: u64,
    /// The document.
    pub id: DocumentId,
    /// How it stands now.
    pub state: super::DisputeState,
}

/// A dispute was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Ruled {
    /// Its number.
    pub dispute: u64,
    /// The document.
    pub id: DocumentId,
    /// The version.
    pub version: u32,
    /// What it does to the document.
    pub effect: Effect,
}

/// A document's erasure was asked for, ordered or withdrawn. On `Ordered`, holders destroy it and attest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct ErasureRequested {
    /// The document.
    pub id: DocumentId,
    /// How far it is now.
    pub state: ErasureState,
    /// Until when holders must have attested, in milliseconds since 1970; 0 before the order.
    pub deadline_ms: u64,
}

/// A holder destroyed its copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct ErasureAttested {
    /// The document.
    pub id: DocumentId,
    /// The member.
    pub member: String,
}

/// A document is erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Tombstoned {
    /// The document.
    pub id: DocumentId,
    /// Whether every holder attested.
    pub complete: bool,
}

/// A legal hold was set or lifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct HoldChanged {
    /// The document.
    pub id: DocumentId,
    /// The member.
    pub member: String,
    /// Whether it is set.
    pub held: bool,
}

/// Members said what they hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct PossessionAttested {
    /// The member.
    pub member: String,
    /// How many versions.
    pub versions: u32,
}

/// A read audit's head was anchored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct AuditAnchored {
    /// The member.
    pub member: String,
    /// Its node.
    pub node: String,
    /// The anchor's number.
    pub number: u64,
    /// How many entries the log has.
    pub entries: u64,
    /// Hash of the last of them.
    pub head: Hash32,
}

/// A schema was registered or retired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct SchemaChanged {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// Whether new documents may use it.
    pub open: bool,
}
