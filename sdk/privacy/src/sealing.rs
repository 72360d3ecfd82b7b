//! Documents under keys: one key per version, one derived from it per field, wrapped to each receiver.
//!
//! A receiver is given the key of the whole version or only those of the fields it may read, so what it may not read it
//! cannot read. Every wrap is bound to chain, document, version and receiver. Revoking a receiver stops what comes later;
//! what it has read it may have kept.
//!
//! ```text
//! data key --HKDF--> field key --XChaCha20-Poly1305--> sealed value and rows
//!    |                  |
//!    +------------------+--HPKE--> wrap to a receiver's key        --delivery--> opened, root recomputed
//!    +--key of the subject--> kept; gone with that key
//! ```

mod delivery;
mod document;
mod keys;
mod subject;
mod wrap;

pub use delivery::{BlobNotice, DELIVERY_BYTES_MAX, DeliveredSlot, Delivery, OpenedDelivery};
pub use document::{Opened, OpenedField, SealedDocument, SealedSlot, seal, seal_with};
pub(crate) use keys::derive;
pub use keys::{DataKey, DocumentKeys, FieldKey, FieldKeySet};
pub use subject::{SUBJECT_WRAP_BYTES_MAX, SubjectKey};
pub use wrap::{RecipientId, RecipientKey, RecipientSecret, Wrap, WrapContext, WrapScope, open_wrap, wrap};

use crate::{commitment::CommitmentError, construction::ConstructionError};

/// Why something cannot be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The document is not by the rules.
    #[error("{0}")]
    Construction(#[from] ConstructionError),
    /// What was opened is not what the root commits to, or is no commitment.
    #[error("{0}")]
    Commitment(#[from] CommitmentError),
    /// The key does not open it: another key, or altered bytes.
    #[error("slot {slot} does not open: altered, or sealed under another key")]
    Slot {
        /// The slot.
        slot: u16,
    },
    /// The receiver's key does not open the wrap: altered, for another document or for another key.
    #[error("the wrapped keys do not open")]
    Wrap,
    /// A wrap for another receiver.
    #[error("the keys are wrapped for another receiver")]
    Recipient,
    /// A suite of algorithms this version does not know.
    #[error("wrap suite {0} is not known")]
    Suite(u8),
    /// A receiver's key that gives everyone the same secret.
    #[error("the receiver's key is not a key")]
    WeakKey,
    /// The subject's key does not open what it should: altered, or the key is another.
    #[error("what is kept under the subject's key does not open")]
    Subject,
    /// No key for a slot.
    #[error("there is no key for slot {0}")]
    NoKey(u16),
    /// The opened value is not the one its leaf commits to.
    #[error("slot {0} opens to something else than what its leaf commits to")]
    Leaf(u16),
    /// The parts do not make a whole: slots missing, twice, out of order, or more than the header has.
    #[error("delivery: {0}")]
    Shape(&'static str),
}

impl SealError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Construction(error) => error.code(),
            Self::Commitment(error) => error.code(),
            Self::Slot { .. } => "sealing.slot",
            Self::Wrap => "sealing.wrap",
            Self::Recipient => "sealing.recipient",
            Self::Suite(_) => "sealing.suite",
            Self::WeakKey => "sealing.weak_key",
            Self::Subject => "sealing.subject_key",
            Self::NoKey(_) => "sealing.no_key",
            Self::Leaf(_) => "sealing.leaf",
            Self::Shape(_) => "sealing.shape",
        }
    }
}
