//! What vaults say to each other. Every message is bounded and decoded before anything looks at it.

use vouch_types::{
    ChainId, CodecError, Hash32, Height, Signature, codec::decode_prefix, decode, encode, hash::domain_hash,
};
use wincode::{SchemaRead, SchemaWrite};

use crate::words::{FieldSet, PeerId, VersionKey};

/// First byte of every message.
pub const MESSAGE_VERSION: u8 = 1;
/// Most bytes of a message: a whole document without its files, or a piece of a file.
pub const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Bytes of a message around what it carries, at most.
pub const FRAME_BYTES: usize = 64;
/// Most bytes by which a delivery of some fields is longer than one of all of them, beside [`PART_FIELD_BYTES`] for each.
const PART_BYTES: usize = 512;
/// For each field of a document: its own key in place of the one of the whole.
const PART_FIELD_BYTES: usize = 32;
/// Most entries of a list in one message.
pub const ENTRIES_MAX: usize = 1_024;
/// Parts a set of versions is compared in, by the first byte of the document id.
pub const PARTS: usize = 256;

/// Whether every delivery of a document fits into a message, whose delivery of all fields has `bytes`: that of most of them
/// is longer, since one key opens the whole.
#[must_use]
pub fn fits_messages(bytes: usize, slots: u16) -> bool {
    bytes + FRAME_BYTES + PART_BYTES + PART_FIELD_BYTES * usize::from(slots) <= MESSAGE_BYTES_MAX
}

/// Why a delivery or a request was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Refusal {
    /// The chain here does not know the version yet.
    Unknown,
    /// By the chain here, whoever asks or is asked is not to hold it.
    NotEntitled,
    /// The document was erased here.
    Erased,
    /// It is not held here, or not these fields or files of it.
    NotHeld,
    /// It does not open to what the chain commits to.
    Broken,
    /// Too much was asked for in this while.
    Busy,
}

impl Refusal {
    /// Stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unknown => "vault.unknown_document",
            Self::NotEntitled => "vault.not_entitled",
            Self::Erased => "vault.erased",
            Self::NotHeld => "vault.not_held",
            Self::Broken => "vault.broken_delivery",
            Self::Busy => "vault.busy",
        }
    }
}

/// "I hold these fields of this version, and their files, and have checked them against the chain."
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Receipt {
    /// The version.
    pub key: VersionKey,
    /// Its root.
    pub root: [u8; 32],
    /// The fields held.
    pub fields: FieldSet,
    /// The height of the chain when it was checked.
    pub height: Height,
    /// The holder's network key.
    pub holder: PeerId,
    /// Its signature over [`Receipt::digest`].
    pub signature: Signature,
}

impl Receipt {
    /// What is signed.
    #[must_use]
    pub fn digest(&self, chain: &ChainId) -> Hash32 {
        let statement = encode(&(self.key, self.root, self.fields.clone(), self.height, self.holder));
        domain_hash("vouch/possession/1", &[chain.as_bytes(), &statement])
    }

    /// Whether the holder signed it for this chain.
    #[must_use]
    pub fn verifies(&self, chain: &ChainId) -> bool {
        self.holder.verify(self.digest(chain).as_bytes(), &self.signature).is_ok()
    }
}

/// One version in a comparison of what two nodes believe of each other.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Entry {
    /// The version.
    pub key: VersionKey,
    /// The fields held.
    pub fields: FieldSet,
}

/// Count and sum of the entries of one part of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct PartDigest {
    /// First byte of the document ids in it.
    pub part: u8,
    /// How many entries.
    pub count: u64,
    /// Their sum, see [`crate::reconcile`].
    pub sum: [u8; 32],
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum Message {
    /// A version for the receiver, and for nobody else: an encoded [`crate::copy::Delivery`].
    Deliver(Vec<u8>),
    /// It is held and checked.
    Receipt(Box<Receipt>),
    /// It was not taken.
    Refused {
        /// The version.
        key: VersionKey,
        /// Why.
        refusal: Refusal,
    },
    /// Asks for fields of a version.
    Fetch {
        /// The version.
        key: VersionKey,
        /// The fields that are missing.
        fields: FieldSet,
    },
    /// Answer to a fetch that gets nothing.
    Missing {
        /// The version.
        key: VersionKey,
        /// Why.
        refusal: Refusal,
    },
    /// Asks for a piece of a file.
    FetchPiece {
        /// The version.
        key: VersionKey,
        /// Which of the version's files.
        file: FileKey,
        /// First byte, a multiple of [`crate::files::PIECE_BYTES`].
        offset: u64,
    },
    /// Answer: the piece with its proof, or why not.
    Piece {
        /// The version.
        key: VersionKey,
        /// Which of the version's files.
        file: FileKey,
        /// First byte.
        offset: u64,
        /// A slice with its hashes; verifies against the file's root.
        piece: Result<Vec<u8>, Refusal>,
    },
    /// "By your receipts you hold these of my member's documents": what is not listed is an empty part.
    Compare {
        /// The parts, ascending.
        parts: Vec<PartDigest>,
    },
    /// Answer: what is really held, of one part that differs.
    Holds {
        /// The part.
        part: u8,
        /// The entries lie above this one; `None` for the first ones.
        after: Option<VersionKey>,
        /// Ascending, at most [`ENTRIES_MAX`].
        entries: Vec<Entry>,
        /// Whether more follow in another message.
        more: bool,
    },
    /// Asks for receipts of versions the other one says it holds.
    AskReceipts {
        /// At most [`ENTRIES_MAX`].
        keys: Vec<VersionKey>,
    },
}

/// A file of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite)]
pub struct FileKey {
    /// The slot whose value names it.
    pub slot: u16,
    /// Its place in that slot's list, from 0.
    pub index: u16,
}

impl Message {
    /// Version byte and encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![MESSAGE_VERSION];
        bytes.append(&mut encode(self));
        bytes
    }

    /// Decodes a message.
    ///
    /// # Errors
    /// [`CodecError`] for bytes that are no message of this version, or one with a list that is too long or not in order.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let (version, rest): (u8, &[u8]) = decode_prefix("vault message", bytes)?;
        if version != MESSAGE_VERSION {
            return Err(CodecError::Malformed { what: "vault message version" });
        }
        let message: Self = decode("vault message", rest, MESSAGE_BYTES_MAX)?;
        if message.is_well_formed() { Ok(message) } else { Err(CodecError::Malformed { what: "vault message" }) }
    }

    fn is_well_formed(&self) -> bool {
        match self {
            Self::Receipt(receipt) => receipt.fields.is_valid(),
            Self::Fetch { fields, .. } => fields.is_valid() && !fields.is_empty(),
            Self::Compare { parts } => parts.len() <= PARTS && parts.is_sorted_by(|a, b| a.part < b.part),
            Self::Holds { part, entries, .. } => {
                entries.len() <= ENTRIES_MAX
                    && entries.is_sorted_by(|a, b| a.key < b.key)
                    && entries.iter().all(|e| e.key.id.as_bytes()[0] == *part && e.fields.is_valid())
            }
            Self::AskReceipts { keys } => keys.len() <= ENTRIES_MAX,
            _ => true,
        }
    }
}
