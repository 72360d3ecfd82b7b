//! A range of a ciphertext with the hashes that prove it, as a node answers it: judged by itself, in any order.

use bao_tree::{
    BaoTree, BlockSize, ChunkNum, ChunkRanges,
    io::{BaoContentItem, sync::DecodeResponseIter},
};

use super::{AttachmentError, Blob, CHUNK_LOG, GROUP_BYTES};

/// Checks that `encoded` is the range `from..to` of a ciphertext with the hashes above it (the combined pre-order form of
/// `bao-tree`, without a length in front), and returns the bytes of the range.
///
/// `from` is a multiple of [`GROUP_BYTES`], and so is `to` unless it is the end of the ciphertext.
///
/// # Errors
/// [`AttachmentError::Piece`] with the first byte of the first group that is not the file's.
pub fn verify_piece(blob: &Blob, from: u64, to: u64, encoded: &[u8]) -> Result<Vec<u8>, AttachmentError> {
    let is_range = from < to && to <= blob.bytes && from.is_multiple_of(GROUP_BYTES);
    if !is_range || !(to.is_multiple_of(GROUP_BYTES) || to == blob.bytes) {
        return Err(AttachmentError::Piece(from));
    }
    let tree = BaoTree::new(blob.bytes, BlockSize::from_chunk_log(CHUNK_LOG));
    let ranges = ChunkRanges::from(ChunkNum::full_chunks(from)..ChunkNum::chunks(to));
    let mut rest = encoded;
    let length = usize::try_from(to - from).map_err(|_| AttachmentError::TooLarge)?;
    let mut bytes = Vec::with_capacity(length.min(encoded.len()));
    for item in DecodeResponseIter::new(blake3::Hash::from_bytes(blob.root.0), tree, &mut rest, &ranges) {
        let expected = from + u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        match item {
            Ok(BaoContentItem::Parent(_)) => {}
            Ok(BaoContentItem::Leaf(leaf)) if leaf.offset == expected => bytes.extend_from_slice(&leaf.data),
            Ok(BaoContentItem::Leaf(_)) | Err(_) => {
                return Err(AttachmentError::Piece(expected / GROUP_BYTES * GROUP_BYTES));
            }
        }
    }
    if bytes.len() != length || !rest.is_empty() {
        let verified = u64::try_from(bytes.len().min(length)).unwrap_or(0);
        return Err(AttachmentError::Piece((from + verified) / GROUP_BYTES * GROUP_BYTES));
    }
    Ok(bytes)
}
