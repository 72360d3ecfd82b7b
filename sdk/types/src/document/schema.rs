use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use super::Moment;

/// The five kinds of document that depend on each other (G 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Category {
    /// Who somebody is.
    Identity,
    /// What was agreed.
    Contract,
    /// What was done and paid.
    Transaction,
    /// What was billed.
    Invoice,
    /// What was found about risk.
    Risk,
}

/// What a field's value is. The commitment holds it as JSON; what each kind may hold is in `docs/documents.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub enum FieldKind {
    /// Text.
    Text,
    /// A decimal number as text, for amounts.
    Decimal,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// A day, `YYYY-MM-DD`.
    Date,
    /// A time, RFC 3339 with offset.
    Time,
    /// A word of a code list.
    Code,
    /// Line items: number and root of a sub-tree.
    Rows,
    /// A file.
    Attachment,
}

/// Bits of the members' roles that a [`PartyRule`] allows.
pub mod member_role {
    /// Runs a business platform: an enterprise user in the sense of G 3.9.
    pub const PLATFORM: u8 = 1;
    /// Manages and serves gig workers.
    pub const INSTITUTION: u8 = 2;
    /// A company that takes part in its own name.
    pub const ENTERPRISE: u8 = 4;
    /// Watches over the others.
    pub const REGULATOR: u8 = 8;
}

/// One field of a schema; its place in the list is its slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct FieldRule {
    /// Its name in the commitment: 1 to 64 of `a-z 0-9 _`, a letter first.
    pub name: String,
    /// For people, in English.
    pub title_en: String,
    /// For people, in Chinese.
    pub title_zh: String,
    /// What its value is.
    pub kind: FieldKind,
    /// 1 (may be public) to 4 (most sensitive).
    pub grade: u8,
    /// Whether its value may stand on chain for everyone to read; grades 1 and 2 only.
    pub public: bool,
    /// Whether it must not be null.
    pub required: bool,
    /// Who may read it: bits of [`super::class`]. The issuer always may.
    pub readers: u8,
    /// The party role whose private data it is; none means every owner's.
    pub about: Option<String>,
}

/// A role that parties of a document have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct PartyRule {
    /// Its name, for example `worker`.
    pub role: String,
    /// For people, in English.
    pub title_en: String,
    /// For people, in Chinese.
    pub title_zh: String,
    /// Whether it may be a subject, a person.
    pub subject: bool,
    /// Which members it may be: bits of [`member_role`]; 0 means no member.
    pub members: u8,
    /// Fewest parties of this role.
    pub min: u8,
    /// Most parties of this role.
    pub max: u8,
    /// Whether the document is this party's private data, to which the rules a and b of G 4.9.4 apply.
    pub owner: bool,
    /// Whether, of the enterprises that received an owner's service, only those named in this role are readers.
    pub recipient: bool,
    /// Whether the version takes effect only once each of them has signed.
    pub signs: bool,
}

/// A document that another must or may name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct ReferenceRule {
    /// What the named document is to this one, for example `contract`.
    pub name: String,
    /// For people, in English.
    pub title_en: String,
    /// For people, in Chinese.
    pub title_zh: String,
    /// The category it must have.
    pub category: Category,
    /// The schema it must have; none means any of the category.
    pub schema: Option<String>,
    /// Fewest of them.
    pub min: u8,
    /// Most of them.
    pub max: u8,
    /// Whether both must have an owner in common; else any party or issuer in common will do.
    pub same_owner: bool,
    /// Whether it may be under dispute.
    pub disputed: bool,
}

/// A reason to read, and how far it carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct PurposeRule {
    /// Its code, for example `settlement`.
    pub code: String,
    /// For people, in English.
    pub title_en: String,
    /// For people, in Chinese.
    pub title_zh: String,
    /// Who may state it: bits of [`super::class`]; the issuer always may.
    pub readers: u8,
    /// The highest grade that it opens.
    pub grade: u8,
}

/// What a schema fixes. It never changes: a change is a new version of the schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct SchemaDefinition {
    /// Its name: 1 to 64 of `a-z 0-9 - _ .`, a letter first.
    pub name: String,
    /// For people, in English.
    pub title_en: String,
    /// For people, in Chinese.
    pub title_zh: String,
    /// The kind of its documents.
    pub category: Category,
    /// Its fields by slot.
    pub fields: Vec<FieldRule>,
    /// The roles of its parties.
    pub parties: Vec<PartyRule>,
    /// What its documents name.
    pub references: Vec<ReferenceRule>,
    /// Reasons to read; none listed means any reason opens every grade.
    pub purposes: Vec<PurposeRule>,
    /// Days from submission before which the law forbids to erase.
    pub retention_days: u32,
}

/// A registered schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct Schema {
    /// From 1, without gaps per name.
    pub version: u32,
    /// What it fixes.
    pub definition: SchemaDefinition,
    /// When the members registered it.
    pub registered: Moment,
    /// Since when no new document may use it.
    pub retired: Option<Moment>,
}
