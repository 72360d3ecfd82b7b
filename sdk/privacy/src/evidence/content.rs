//! What stands in the members of a package: JSON with hashes, keys and byte strings in hexadecimal.

use serde::{Deserialize, Serialize};
use vouch_types::{
    AccountId, ChainId, GenesisHeader, Hash32, PublicKey, Signature, StateProof, TimestampMs, ValidatorSet,
    document::{
        DocumentId, FieldSet, VersionKey,
        audit::{Access, AuditRecord},
    },
    light::{EventProof, FinalityProof, SetChange, TransactionProof},
};

use crate::commitment::Disclosure;

/// `manifest.json`, in the form of RFC 8785: what the package is and what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`super::FORMAT`].
    pub format: String,
    /// [`super::FORMAT_VERSION`].
    pub v: u8,
    /// The chain.
    pub chain: ChainId,
    /// By whom, when and why it was made: as they say.
    pub made: Made,
    /// The documents; the first one is what the package is about.
    pub documents: Vec<DocumentName>,
    /// All members but the manifest, its seal and the time stamp, in order.
    pub files: Vec<FileEntry>,
}

/// Who made a package. Only that the key signed is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// When, by the maker's clock.
    pub at: TimestampMs,
    /// The account's key, which signs the manifest.
    pub key: PublicKey,
    /// The member.
    pub member: String,
    /// The purpose that was stated when the fields were read.
    pub purpose: String,
    /// What the maker wants to say with it.
    pub statement: String,
}

/// A document version by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentName {
    /// Its id.
    pub id: DocumentId,
    /// Its version.
    pub version: u32,
}

impl DocumentName {
    /// As errors and logs name it.
    #[must_use]
    pub const fn key(self) -> VersionKey {
        VersionKey { id: self.id, version: self.version }
    }
}

/// A member as the manifest names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its name in the archive.
    pub path: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// SHA-256 of its content.
    pub sha256: Hash32,
}

/// `seal.json`, in the form of RFC 8785.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// By the key that the manifest names, over `BLAKE3("vouch/evidence/1" ‖ 0x00 ‖ SHA-256(manifest) ‖ timestamp or zeros)`.
    pub signature: Signature,
    /// SHA-256 of the time stamp, when there is one.
    pub timestamp: Option<Hash32>,
}

/// `chain.json`: how to get from the chain id to every set of validators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// What the chain id is the hash of.
    pub genesis: GenesisHeader,
    /// The set of height 1.
    pub first_set: ValidatorSet,
    /// Every change of the set up to the last block that is named, ascending.
    pub set_changes: Vec<SetChange>,
}

/// A record in the state after a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvenRecord {
    /// The block.
    pub finality: FinalityProof,
    /// The record under the block's state root.
    pub state: StateProof,
}

/// `documents/N/record.json`: what the chain says of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Records {
    /// Of the document.
    pub document: ProvenRecord,
    /// Of the version.
    pub version: ProvenRecord,
    /// Of its schema.
    pub schema: ProvenRecord,
}

/// `documents/N/disclosures.json`: the fields that were chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disclosures {
    /// Canonical text of the commitment's header.
    pub header: String,
    /// The fields, ascending by slot.
    pub fields: Vec<ShownField>,
}

/// One field and its way to the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownField {
    /// Its slot.
    pub slot: u16,
    /// What it holds.
    pub disclosure: Disclosure,
    /// Siblings from the leaf upwards.
    pub path: Vec<Hash32>,
    /// The disclosures of its rows, all of them, for a field of rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Vec<Disclosure>>,
}

/// `documents/N/submission.json`: the transaction that put the version there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// The block.
    pub finality: FinalityProof,
    /// The transaction.
    pub transaction: TransactionProof,
    /// Its event `Submitted`, with the receipt.
    pub event: EventProof,
}

/// An entry of `documents/N/attachments.json`: a file or pieces of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachmentEntry {
    /// Slot of the field that names it.
    pub slot: u16,
    /// Its place in the field.
    pub index: u16,
    /// Keyed BLAKE3 chaining values of its groups of 16 KiB.
    pub groups: Vec<Hash32>,
    /// What is here of it, ascending: whole groups. The content is `documents/N/files/SLOT-INDEX-OFFSET`.
    pub parts: Vec<AttachmentPart>,
}

/// Some bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachmentPart {
    /// Where they begin: a multiple of 16 KiB.
    pub offset: u64,
    /// How many: a multiple of 16 KiB, or up to the end of the file.
    pub bytes: u64,
}

/// `audit.json`: records of one node's read audit up to a head that is anchored on the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditExtract {
    /// The member whose node it is.
    pub member: String,
    /// The node, as the anchor names it.
    pub node: String,
    /// Number of the anchor.
    pub anchor_number: u64,
    /// The anchor's record.
    pub anchor: ProvenRecord,
    /// Number of the record before the first one here.
    pub after: u64,
    /// Hash of that record; zeros when there is none.
    pub previous: Hash32,
    /// The records without gaps, up to the anchored one.
    pub records: Vec<AuditLine>,
}

/// A record of a read audit as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditLine {
    /// Its number.
    pub number: u64,
    /// When, by the node's clock.
    pub time: TimestampMs,
    /// Who.
    pub actor: AccountId,
    /// `read`, `release` or `export`.
    pub access: String,
    /// The document.
    pub document: DocumentId,
    /// Its version.
    pub version: u32,
    /// Which fields were shown.
    pub fields: FieldSet,
    /// The purpose that was stated.
    pub purpose: String,
    /// `ok`, or the code of the refusal.
    pub result: String,
    /// Hash of the record before.
    pub previous: Hash32,
}

impl AuditLine {
    /// The record; `None` when the way of access is none.
    #[must_use]
    pub fn record(&self) -> Option<AuditRecord> {
        Some(AuditRecord {
            number: self.number,
            time: self.time,
            actor: self.actor,
            access: Access::named(&self.access)?,
            key: VersionKey { id: self.document, version: self.version },
            fields: self.fields.clone(),
            purpose: self.purpose.clone(),
            result: self.result.clone(),
            previous: self.previous,
        })
    }
}

impl From<&AuditRecord> for AuditLine {
    fn from(record: &AuditRecord) -> Self {
        Self {
            number: record.number,
            time: record.time,
            actor: record.actor,
            access: record.access.name().to_owned(),
            document: record.key.id,
            version: record.key.version,
            fields: record.fields.clone(),
            purpose: record.purpose.clone(),
            result: record.result.clone(),
            previous: record.previous,
        }
    }
}
