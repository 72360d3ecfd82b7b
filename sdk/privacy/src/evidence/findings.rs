//! What a package proves, as it was found: for people, for programs, and for the summary in the package itself.

use serde::Serialize;
use serde_json::Value;
use vouch_types::{
    AccountId, ChainId, DocumentRoot, Hash32, Height, TimestampMs, TxId,
    document::{Category, DocumentId, Ending, ErasureState, Moment, PartyEntry, SignatureEntry, VersionState},
};

use super::content::{AuditLine, Made};

/// Everything that holds, and what is only said.
#[derive(Clone, PartialEq, Serialize)]
pub struct Report {
    /// The chain.
    pub chain: ChainId,
    /// Who made the package; only the signature over the manifest is verified.
    pub made: Made,
    /// The documents; the first one is what the package is about.
    pub documents: Vec<DocumentFindings>,
    /// The extract of an access log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<AuditFindings>,
    /// SHA-256 of the manifest: what a time stamp stamps.
    pub manifest_sha256: Hash32,
    /// What was verified, in order.
    pub verified: Vec<Statement>,
    /// What is said and was not verified.
    pub claimed: Vec<Statement>,
}

impl core::fmt::Debug for Report {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Report({} documents of chain {})", self.documents.len(), self.chain)
    }
}

/// One statement, with a stable code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// Stable code.
    pub code: &'static str,
    /// For people, in English.
    pub en: String,
    /// For people, in Chinese.
    pub zh: String,
}

/// What holds of one version.
#[derive(Clone, PartialEq, Serialize)]
pub struct DocumentFindings {
    /// The document.
    pub id: DocumentId,
    /// The version.
    pub version: u32,
    /// Its kind.
    pub category: Category,
    /// Its schema.
    pub schema: String,
    /// The schema's version.
    pub schema_version: u32,
    /// The schema's titles, English and Chinese.
    pub titles: [String; 2],
    /// The member that issued it.
    pub issuer: String,
    /// Root of its commitment.
    pub root: DocumentRoot,
    /// How it stood.
    pub state: VersionState,
    /// When it was submitted.
    pub submitted: Moment,
    /// By which account.
    pub submitter: AccountId,
    /// Since when it stood.
    pub effective: Option<Moment>,
    /// Why and when it ceased to stand.
    pub ending: Option<Ending>,
    /// Whom it concerns.
    pub parties: Vec<PartyEntry>,
    /// Who signed.
    pub signatures: Vec<SignatureEntry>,
    /// How many entitled members accept its content, and how many reject it.
    pub verdicts: [u32; 2],
    /// What it builds on.
    pub references: Vec<ReferenceFinding>,
    /// Newest version of the document.
    pub latest: u32,
    /// Open disputes about it.
    pub disputes: u32,
    /// How far its erasure is.
    pub erasure: ErasureState,
    /// The block whose state says all this of the version.
    pub as_of: Moment,
    /// The block whose state says all this of the document.
    pub document_as_of: Moment,
    /// The fields shown.
    pub fields: Vec<FieldFinding>,
    /// How many fields are not shown.
    pub hidden: u16,
    /// The transaction that put it there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submission: Option<SubmissionFinding>,
    /// Files, whole or in pieces.
    pub attachments: Vec<AttachmentFinding>,
}

impl core::fmt::Debug for DocumentFindings {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "DocumentFindings({} version {}, {} fields)", self.id, self.version, self.fields.len())
    }
}

/// A document that the version names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReferenceFinding {
    /// What it is to this one.
    pub name: String,
    /// The document.
    pub id: DocumentId,
    /// Its version.
    pub version: u32,
    /// Whether it is proven in this package too.
    pub is_here: bool,
}

/// One field.
#[derive(Clone, PartialEq, Serialize)]
pub struct FieldFinding {
    /// Its slot.
    pub slot: u16,
    /// Its name.
    pub name: String,
    /// Its titles, English and Chinese.
    pub titles: [String; 2],
    /// Its grade, 1 to 4.
    pub grade: u8,
    /// Its value; a field of rows is an array; `null` proves that there is none.
    pub value: Value,
}

impl core::fmt::Debug for FieldFinding {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "FieldFinding({}: <redacted>)", self.name)
    }
}

/// A transaction that is final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubmissionFinding {
    /// The transaction.
    pub transaction: TxId,
    /// The block.
    pub height: Height,
    /// The block's time.
    pub time: TimestampMs,
}

/// A file.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct AttachmentFinding {
    /// The field that names it.
    pub field: String,
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// How many of them are here and were verified.
    pub shown: u64,
}

impl core::fmt::Debug for AttachmentFinding {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "AttachmentFinding({} of {} bytes)", self.shown, self.bytes)
    }
}

/// A part of an access log that the chain vouches for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditFindings {
    /// The member whose node it is.
    pub member: String,
    /// The node.
    pub node: String,
    /// When the head was anchored.
    pub anchored: Moment,
    /// The records.
    pub records: Vec<AuditLine>,
}
