use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use super::{DocumentId, FieldSet, Moment, Party};
use crate::hash::Hash32;

/// Bits that say why somebody is entitled. The first five are also what a schema's `readers` may name.
pub mod class {
    /// It is their own data (G 4.9.4 a, b).
    pub const OWNER: u8 = 1;
    /// They manage and serve an owner (a, b).
    pub const INSTITUTION: u8 = 2;
    /// They are an enterprise that received an owner's service (b).
    pub const RECIPIENT: u8 = 4;
    /// They watch over the issuer or a party (a, b, c).
    pub const REGULATOR: u8 = 8;
    /// They are a party of the document: it is theirs too.
    pub const PARTY: u8 = 16;
    /// They issued it.
    pub const ISSUER: u8 = 32;
    /// Somebody entitled granted it to them.
    pub const GRANT: u8 = 64;
    /// They decide a dispute and it was given to them as evidence.
    pub const ARBITER: u8 = 128;
}

/// What a [`Decision`] gives as its reason.
pub mod reason {
    /// Allowed.
    pub const OK: &str = "ok";
    /// No such document.
    pub const UNKNOWN_DOCUMENT: &str = "unknown_document";
    /// No such version of it.
    pub const UNKNOWN_VERSION: &str = "unknown_version";
    /// The account belongs to no active member and is no subject's own key.
    pub const UNKNOWN_ACCOUNT: &str = "unknown_account";
    /// The account lacks the role that the action needs.
    pub const ROLE_MISSING: &str = "role_missing";
    /// Neither rule, grant nor dispute opens anything.
    pub const NOT_ENTITLED: &str = "not_entitled";
    /// The schema knows no such purpose, or not for this reader.
    pub const PURPOSE: &str = "purpose_not_allowed";
    /// Processing is restricted: an erasure was asked for and waits.
    pub const RESTRICTED: &str = "restricted";
    /// It is being erased, or was.
    pub const ERASED: &str = "erased";
    /// The document's state does not allow it.
    pub const STATE: &str = "state";
}

/// What somebody may want to do with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub enum Action {
    /// Read private fields.
    Read,
    /// Submit a new version.
    Revise,
    /// Sign it as a party.
    Sign,
    /// Accept or reject its content.
    Judge,
    /// Take it back.
    Revoke,
    /// Grant fields to others.
    Grant,
    /// Open a dispute.
    Dispute,
    /// Ask for its erasure.
    Erase,
    /// Put a legal hold on it.
    Hold,
    /// Read who has read it.
    Audit,
}

/// The answer of `may`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Decision {
    /// Whether the action is allowed at all.
    pub allowed: bool,
    /// For `Read`: which fields. Public fields are not among them unless the reader may also read them by rule.
    pub fields: FieldSet,
    /// Why: bits of [`class`].
    pub basis: u8,
    /// A code of [`reason`].
    pub reason: String,
    /// Who asks: the account's member, or the subject whose own key it is.
    pub actor: Option<Party>,
}

/// A member that is to have a version's private content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Entitled {
    /// The member.
    pub member: String,
    /// Which fields.
    pub fields: FieldSet,
    /// Why: bits of [`class`].
    pub basis: u8,
}

/// A recipient by key that is to have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct KeyEntitled {
    /// X25519 public key.
    pub key: Hash32,
    /// Which fields.
    pub fields: FieldSet,
}

/// Everyone that is to have a version's private content, for whatever purpose.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Audience {
    /// Members, ascending by name, active ones only.
    pub members: Vec<Entitled>,
    /// Keys, ascending.
    pub keys: Vec<KeyEntitled>,
}

/// Fields of a version opened to a member or a key beyond the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Grant {
    /// Its number among all, from 1, without gaps.
    pub id: u64,
    /// The document.
    pub document: DocumentId,
    /// Its version.
    pub version: u32,
    /// To which member; or else
    pub member: Option<String>,
    /// to which X25519 public key.
    pub key: Option<Hash32>,
    /// Which fields.
    pub fields: FieldSet,
    /// For which purpose: a code.
    pub purpose: String,
    /// Until when, in milliseconds since 1970; none means until it is ended.
    pub until_ms: Option<u64>,
    /// Who granted it.
    pub by: Party,
    /// When.
    pub at: Moment,
    /// Since when it is ended.
    pub ended: Option<Moment>,
}

/// That a member holds private content, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Possession {
    /// The document.
    pub id: DocumentId,
    /// Its version.
    pub version: u32,
    /// Which fields.
    pub fields: FieldSet,
}

/// A head of a node's read audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct AuditAnchor {
    /// Its number for this node, from 1, without gaps.
    pub number: u64,
    /// How many entries the log has.
    pub entries: u64,
    /// Hash of the last of them.
    pub head: Hash32,
    /// When it was anchored.
    pub at: Moment,
}
