//! Files of private documents at a member's own node: sealed pieces on their way in, verified pieces on their way out.
//!
//! A place in a version - slot of the field, position in it - names a file on both ways. The client seals and opens; the node
//! sees ciphertext only, but for what the field that names the file says.

use serde::{Deserialize, Serialize};

use super::{DisclosedField, HexBytes};
use crate::{document::DocumentId, hash::Hash32, numbers::TimestampMs};

/// Most bytes of a file that one request brings or fetches.
pub const FILE_PIECE_BYTES_MAX: usize = 4 << 20;
/// Bytes of a group of a sealed file: what is proven together, and to which a changed byte is located. Pieces have whole groups.
pub const FILE_GROUP_BYTES: u64 = 16 << 10;
/// Least bytes of a piece that is sent, unless it is the last one: each costs the node a few writes to its disk.
pub const FILE_PIECE_BYTES_MIN: usize = 64 << 10;

/// The beginning of an upload: asked for again, it says how far the upload is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BeginUploadRequest {
    /// Length of the ciphertext in bytes.
    pub bytes: u64,
    /// Chosen by the client: the same for the same ciphertext, another for another. By it a client that comes back knows
    /// whether what lies here is the beginning of what it has.
    pub tag: Hash32,
}

/// How far an upload is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UploadView {
    /// The document it is for.
    pub document: DocumentId,
    /// The version.
    pub version: u32,
    /// Slot of the field that names the file.
    pub slot: u16,
    /// Position in that field, from 0.
    pub index: u16,
    /// Length of the ciphertext in bytes.
    pub bytes: u64,
    /// Everything below is here, durably: the next piece begins with this byte.
    pub offset: u64,
    /// Most bytes of a piece.
    pub piece_bytes: u64,
    /// As the client chose it.
    pub tag: Hash32,
    /// BLAKE3 of the ciphertext, once it is here whole and was checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Hash32>,
    /// When it is forgotten if nothing more comes and no document names it, by the node's clock.
    pub until: TimestampMs,
}

/// The end of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct FinishUploadRequest {
    /// BLAKE3 of the whole ciphertext.
    pub root: Hash32,
}

/// A wish to read a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OpenFileRequest {
    /// Why: a code that the schema lists, or any code when it lists none.
    pub purpose: String,
    /// An X25519 public key made for this opening: the key of the file's field is wrapped to it.
    pub recipient: Hash32,
}

/// A file that may be read, with what proves it. Whoever asked checks it against the roots on the chain.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FileOpening {
    /// Names the opening when pieces are asked for: 16 bytes.
    pub opening: HexBytes,
    /// The document.
    pub document: DocumentId,
    /// Its version.
    pub version: u32,
    /// Canonical text of the commitment's header.
    pub header: String,
    /// Leaves of all slots, ascending: with header and disclosure they give the root.
    pub leaves: Vec<Hash32>,
    /// The field that names the file.
    pub field: DisclosedField,
    /// Leaves of all files of the version, in order: they give the root over the files on the chain.
    pub files: Vec<Hash32>,
    /// Length of the ciphertext in bytes.
    pub bytes: u64,
    /// BLAKE3 of the ciphertext; with slot, position and length it gives one of the leaves.
    pub root: Hash32,
    /// The field's key, wrapped to the recipient, in the chain's layout.
    pub key: HexBytes,
    /// Most bytes of a piece.
    pub piece_bytes: u64,
    /// When the opening ends, by the node's clock. After that the file is opened anew.
    pub until: TimestampMs,
    /// Why it may be seen: the contract's reason.
    pub reason: String,
}

impl core::fmt::Debug for FileOpening {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { document, version, bytes, .. } = self;
        write!(f, "FileOpening({document} version {version}, slot {}, {bytes} bytes)", self.field.slot)
    }
}
