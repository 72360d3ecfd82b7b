//! Records of the contract `relations` as others read them: who serves whom, who received whose service, who watches over
//! whom. The same bytes that `contracts/guest/relations` writes and the same JSON that its ABI gives.
//!
//! Deliberately not here: who may begin or end a relationship, which the contract decides.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    document::{Moment, Party},
    hash::SubjectId,
    keys::PublicKey,
};

/// The name under which the contract is deployed.
pub const CONTRACT: &str = "relations";

/// What a relationship is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub enum RelationKind {
    /// The member manages and serves the party: a member or a subject.
    Serves,
    /// The member, an enterprise, received the service of the party, a subject.
    Receives,
    /// The member, a regulator, watches over the party: a member, or everyone when the party names nobody.
    Regulates,
}

/// How a relationship stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub enum RelationState {
    /// The other side has not answered.
    Offered,
    /// Agreed by both sides.
    Agreed,
    /// The other side said no.
    Declined,
    /// Taken back before an answer.
    Withdrawn,
    /// Ended by one side.
    Ended,
}

/// A relationship. It is in force while it is `Agreed` and the time is within `from_ms` and `until_ms`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Relationship {
    /// Its number among all, from 1, without gaps.
    pub id: u64,
    /// What it is.
    pub kind: RelationKind,
    /// The member that serves, received or watches.
    pub member: String,
    /// Whom it concerns.
    pub party: Party,
    /// For `Receives`: the member that serves the subject and placed the service.
    pub via: Option<String>,
    /// How it stands.
    pub state: RelationState,
    /// Which side offered it: a member, or the subject.
    pub offered_by: Party,
    /// When it was offered.
    pub offered: Moment,
    /// When it was agreed.
    pub agreed: Option<Moment>,
    /// When it was declined, withdrawn or ended.
    pub ended: Option<Moment>,
    /// From when it counts, in milliseconds since 1970, if later than its agreement.
    pub from_ms: Option<u64>,
    /// Until when it counts, in milliseconds since 1970.
    pub until_ms: Option<u64>,
}

/// A person as one institution knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Subject {
    /// The alias: 32 random bytes.
    pub alias: SubjectId,
    /// Its number among all, from 1.
    pub sequence: u64,
    /// Its number within the member, from 1.
    pub member_sequence: u64,
    /// The member that registered it.
    pub member: String,
    /// The person's own key.
    pub key: Option<PublicKey>,
    /// When it was registered.
    pub registered: Moment,
    /// Since when it takes no new relationships and documents.
    pub closed: Option<Moment>,
}

/// An entry of a party's relationships.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct RelationshipEntry {
    /// Its number among the party's, from 1, without gaps.
    pub number: u64,
    /// The relationship.
    pub relationship: Relationship,
}

/// A subject was registered, and its member serves it from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct SubjectRegistered {
    /// The alias.
    pub subject: SubjectId,
    /// The member that registered it.
    pub member: String,
    /// Its number among all.
    pub sequence: u64,
}

/// A relationship was offered, agreed, declined, withdrawn or ended: who is entitled to the party's documents changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct RelationshipChanged {
    /// Its number.
    pub id: u64,
    /// What it is.
    pub kind: RelationKind,
    /// The member that serves, received or watches.
    pub member: String,
    /// Whom it concerns; nobody named means everyone.
    pub party: Party,
    /// How it stands now.
    pub state: RelationState,
}
