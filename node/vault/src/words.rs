//! What documents, versions and fields are called, and the time of a step.

pub use vouch_types::document::{DocumentId, FieldSet};
use vouch_types::{PublicKey, TimestampMs};
use wincode::{SchemaRead, SchemaWrite};

/// Names a peer: its network key.
pub type PeerId = PublicKey;

/// The time of a step. The two clocks are never compared with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Time of day: goes into the read audit.
    pub wall: TimestampMs,
    /// Milliseconds since some fixed moment, never going back: measures waits.
    pub steady_ms: u64,
}

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
