use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use super::{DocumentId, FieldSet, Moment, Party};
use crate::hash::Hash32;

/// How a dispute stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DisputeState {
    /// Waits for answers and evidence.
    Open,
    /// Somebody answered.
    Answered,
    /// The arbiter ruled.
    Ruled,
    /// Who opened it withdrew.
    Withdrawn,
}

/// What a ruling does to the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Effect {
    /// It stands as it is.
    Upheld,
    /// It stands; its issuer must submit a corrected version.
    Corrected,
    /// The version stands no more.
    Annulled,
}

/// What a side says to a claim; the text itself is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Answer {
    /// Who.
    pub by: Party,
    /// Commitment to the text.
    pub statement: Hash32,
    /// When.
    pub at: Moment,
}

/// Fields opened to the arbiter and to nobody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Evidence {
    /// Who gave it.
    pub by: Party,
    /// The document.
    pub document: DocumentId,
    /// Its version.
    pub version: u32,
    /// Which fields.
    pub fields: FieldSet,
    /// When.
    pub at: Moment,
}

/// The end of a dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ruling {
    /// What it does to the document.
    pub effect: Effect,
    /// Why: a code.
    pub code: String,
    /// Commitment to the text.
    pub statement: Hash32,
    /// When.
    pub at: Moment,
}

/// A dispute about a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Dispute {
    /// Its number among all, from 1, without gaps.
    pub id: u64,
    /// The document.
    pub document: DocumentId,
    /// Its version.
    pub version: u32,
    /// Who opened it.
    pub by: Party,
    /// The member that decides.
    pub arbiter: String,
    /// What it is about: a code.
    pub code: String,
    /// Commitment to the text of the claim.
    pub claim: Hash32,
    /// When it was opened.
    pub opened: Moment,
    /// How it stands.
    pub state: DisputeState,
    /// What the others said.
    pub answers: Vec<Answer>,
    /// What the arbiter was given.
    pub evidence: Vec<Evidence>,
    /// How it ended.
    pub ruling: Option<Ruling>,
}
