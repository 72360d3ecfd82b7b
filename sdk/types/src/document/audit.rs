//! The read audit of a node: who read which fields of what, when, why, with what result. Values are never in it.
//!
//! Each record holds the hash of the one before, and heads are anchored on the chain ([`super::AuditAnchor`]), so that none
//! can be changed, taken out or put in later without showing.

use wincode::{SchemaRead, SchemaWrite};

use super::{DocumentId, FieldSet};
use crate::{
    codec::encode,
    hash::{AccountId, Hash32, domain_hash},
    numbers::TimestampMs,
};

/// One version of a document: what is delivered, held, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite)]
pub struct VersionKey {
    /// The document.
    pub id: DocumentId,
    /// The version, from 1.
    pub version: u32,
}

impl VersionKey {
    /// Bytes of [`VersionKey::to_bytes`].
    pub const BYTES: usize = 20;

    /// `id ‖ version`, big-endian, so that versions of one document stand together in order.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(self.id.as_bytes());
        bytes[16..].copy_from_slice(&self.version.to_be_bytes());
        bytes
    }

    /// The inverse; `None` for bytes of another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, version) = bytes.split_first_chunk::<16>()?;
        Some(Self { id: DocumentId::new(*id), version: u32::from_be_bytes(version.try_into().ok()?) })
    }
}

impl core::fmt::Display for VersionKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} version {}", self.id, self.version)
    }
}

/// How somebody came by private content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Access {
    /// Fields were asked for to be shown.
    Read,
    /// A sealed copy was asked for by a receiver outside the consortium, named by its key.
    Release,
    /// An export or evidence package was asked for.
    Export,
    /// A file was opened, to be read in pieces.
    File,
}

impl Access {
    /// Its name in interfaces.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Release => "release",
            Self::Export => "export",
            Self::File => "file",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Read, Self::Release, Self::Export, Self::File].into_iter().find(|access| access.name() == name)
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct AuditRecord {
    /// Its number, from 1, without gaps.
    pub number: u64,
    /// When, by this node's clock.
    pub time: TimestampMs,
    /// Who; all zero for a receiver by key.
    pub actor: AccountId,
    /// How.
    pub access: Access,
    /// What.
    pub key: VersionKey,
    /// Which fields were shown; none for a refusal.
    pub fields: FieldSet,
    /// Why: the code that was stated.
    pub purpose: String,
    /// `ok`, or the code of the refusal.
    pub result: String,
    /// Hash of the record before; all zero for the first.
    pub previous: Hash32,
}

impl AuditRecord {
    /// Its hash, which the next record names.
    #[must_use]
    pub fn hash(&self) -> Hash32 {
        domain_hash("vouch/read-audit/1", &[&encode(self)])
    }
}

/// Where an audit breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// A record is missing, or stands elsewhere.
    #[error("record {0} is not where it belongs")]
    Number(u64),
    /// A record does not name the one before, or that one was changed.
    #[error("record {0} does not follow from the one before")]
    Chain(u64),
    /// The last record is not the one that was anchored.
    #[error("the last record is not the one anchored on the chain")]
    Head,
}

impl AuditFault {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Number(_) => "audit.number",
            Self::Chain(_) => "audit.chain",
            Self::Head => "audit.head",
        }
    }
}

/// Checks records that follow `previous`, the hash of record `after`, and end in `head`.
///
/// # Errors
/// [`AuditFault`], the first one found.
pub fn verify(after: u64, previous: Hash32, records: &[AuditRecord], head: Hash32) -> Result<(), AuditFault> {
    let mut expected = previous;
    let mut before = after;
    for record in records {
        // The number may come from a file that somebody made up: the highest one has none after it.
        if before.checked_add(1) != Some(record.number) {
            return Err(AuditFault::Number(before.saturating_add(1)));
        }
        if record.previous != expected {
            return Err(AuditFault::Chain(record.number));
        }
        (before, expected) = (record.number, record.hash());
    }
    if expected == head { Ok(()) } else { Err(AuditFault::Head) }
}
