//! What documents, versions and fields are called, and the time of a step.

pub use vouch_types::document::{DocumentId, FieldSet, VersionKey};
use vouch_types::{PublicKey, TimestampMs};

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
