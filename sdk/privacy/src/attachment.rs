//! Files that belong to a document: sealed as they stream by, delivered in pieces, and damaged bytes found in their place.
//!
//! A file has two BLAKE3 trees over groups of 16 KiB. That of the content is keyed, and the key stands in the field that
//! names the file: who may read the field can check a copy, nobody can test a guess. That of the ciphertext is open, and
//! its root goes into the one on the chain: a store without keys finds damage, a receiver judges each piece as it comes.
//!
//! ```text
//! file --keyed BLAKE3--> b3, in the field's value          damaged group --> bytes of the file
//!   |
//!   +--STREAM, key of the field--> ciphertext --BLAKE3--> blob --tree over all blobs--> root, on the chain
//! ```

mod groups;
mod piece;
mod stream;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use vouch_types::Hash32;
use wincode::{SchemaRead, SchemaWrite};

pub use groups::{Arrived, FILE_BYTES_MAX, GROUP_BYTES, GroupHashes, HashKey, TreeHasher};
pub use piece::verify_piece;
pub use stream::{HEAD_BYTES, Opener, SEALED_SEGMENT_BYTES, SEGMENT_BYTES, SealedAttachment, Sealer, sealed_bytes};

use crate::commitment::{head, sha256};

/// Most files of one field.
pub const ATTACHMENTS_MAX: usize = 64;
/// Longest name or media type of a file, in bytes.
pub const ATTACHMENT_NAME_BYTES_MAX: usize = 255;
/// Files are hashed in groups of `2^4` chunks of 1 KiB: a changed byte is located to 16 KiB.
pub const CHUNK_LOG: u8 = 4;

/// Why a file or a piece of it is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachmentError {
    /// Longer than [`FILE_BYTES_MAX`].
    #[error("a file may have at most {FILE_BYTES_MAX} bytes")]
    TooLarge,
    /// A list of group hashes that is not the one under the root.
    #[error("the list of hashes is not the one of this file")]
    Groups,
    /// A piece with a group that is not the file's, from this byte on.
    #[error("the bytes from {0} on are not the file's")]
    Piece(u64),
    /// The head of a ciphertext is none.
    #[error("this is not the beginning of a sealed file")]
    Head,
    /// A segment that does not open: altered, in another place, or cut off.
    #[error("segment {0} does not open: altered, or sealed under another key")]
    Segment(u32),
}

impl AttachmentError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "attachment.too_large",
            Self::Groups => "attachment.groups",
            Self::Piece(_) => "attachment.piece",
            Self::Head => "attachment.head",
            Self::Segment(_) => "attachment.segment",
        }
    }
}

/// What the field says of a file. Whoever sees the field can hash the file again, and nobody else can test a guess.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachmentValue {
    /// Keyed BLAKE3 of the file.
    pub b3: Hash32,
    /// The key of that hash.
    pub b3_key: Hash32,
    /// [`CHUNK_LOG`].
    pub chunk_log: u8,
    /// Media type.
    pub media: String,
    /// Name, as its owner gave it.
    pub name: String,
    /// Length in bytes.
    pub size: u64,
}

/// A file's ciphertext: what a store without keys knows of it, and can check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[serde(deny_unknown_fields)]
pub struct Blob {
    /// Slot of the field that names the file.
    pub slot: u16,
    /// Position in that field, from 0.
    pub index: u16,
    /// Length of the ciphertext in bytes.
    pub bytes: u64,
    /// BLAKE3 of the ciphertext.
    pub root: Hash32,
}

impl Blob {
    /// Leaf of the tree over a version's blobs:
    /// `SHA-256(0x00 ‖ "GLC1.blob" ‖ u16be(slot) ‖ u16be(index) ‖ u64be(bytes) ‖ root)`.
    #[must_use]
    pub fn leaf(&self) -> Hash32 {
        let place = [self.slot.to_be_bytes(), self.index.to_be_bytes()].concat();
        Hash32(sha256(&[&[0], b"GLC1.blob", &place, &self.bytes.to_be_bytes(), &self.root.0]))
    }
}

/// The root over the leaves of all blobs of a version, which goes on the chain beside the document's root; none without
/// blobs.
///
/// `SHA-256(0x02 ‖ "GLC1.blobs" ‖ u32be(count) ‖ head)`.
///
/// # Panics
/// With more than `u32::MAX` leaves, which no document has.
#[must_use]
pub fn blob_root(leaves: &[Hash32]) -> Option<Hash32> {
    if leaves.is_empty() {
        return None;
    }
    let count = u32::try_from(leaves.len()).expect("a document has at most 65,536 files");
    let leaves: Vec<[u8; 32]> = leaves.iter().map(|leaf| leaf.0).collect();
    Some(Hash32(sha256(&[&[2], b"GLC1.blobs", &count.to_be_bytes(), &head(&leaves)])))
}

impl core::fmt::Debug for AttachmentValue {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("AttachmentValue(<redacted>)")
    }
}

impl AttachmentValue {
    /// The files that the value of a field names; `None` when it is no such value.
    #[must_use]
    pub fn list_from(value: &Value) -> Option<Vec<Self>> {
        let list: Vec<Self> = Deserialize::deserialize(value).ok()?;
        let is_text = |text: &str| (1..=ATTACHMENT_NAME_BYTES_MAX).contains(&text.len());
        let fits = |file: &Self| file.chunk_log == CHUNK_LOG && is_text(&file.name) && is_text(&file.media);
        ((1..=ATTACHMENTS_MAX).contains(&list.len()) && list.iter().all(fits)).then_some(list)
    }
}
