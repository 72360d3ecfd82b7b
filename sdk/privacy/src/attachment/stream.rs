//! A file under the key of its field: the STREAM construction in segments of 64 KiB.
//!
//! ```text
//! head, 32 bytes: "GLC1.seg" ‖ prefix (19) ‖ zeros (5)
//! segment k: XChaCha20-Poly1305, nonce = prefix ‖ u32be(k) ‖ last (1), no associated data; 64 KiB and its tag
//! ```

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, KeyInit as _},
};
use rand_core::CryptoRng;
use vouch_types::Hash32;
use zeroize::Zeroizing;

use super::{
    AttachmentError, AttachmentValue, Blob, CHUNK_LOG,
    groups::{FILE_BYTES_MAX, GroupHashes, HashKey, TreeHasher},
};
use crate::sealing::{DocumentKeys, FieldKey, derive};

/// Bytes of content in a segment.
pub const SEGMENT_BYTES: usize = 64 << 10;
/// Bytes before the first segment.
pub const HEAD_BYTES: usize = 32;

const MAGIC: &[u8; 8] = b"GLC1.seg";
const PREFIX_BYTES: usize = 19;
const TAG_BYTES: usize = 16;
/// A segment and its tag.
pub const SEALED_SEGMENT_BYTES: usize = SEGMENT_BYTES + TAG_BYTES;

/// Length of the ciphertext of a file of `size` bytes; `None` above [`FILE_BYTES_MAX`], for either of them.
#[must_use]
pub const fn sealed_bytes(size: u64) -> Option<u64> {
    if size > FILE_BYTES_MAX {
        return None;
    }
    let segments = if size == 0 { 1 } else { size.div_ceil(SEGMENT_BYTES as u64) };
    let sealed = HEAD_BYTES as u64 + size + segments * TAG_BYTES as u64;
    if sealed > FILE_BYTES_MAX { None } else { Some(sealed) }
}

/// A file that was sealed: what the field says of it, what the chain commits to, and the hashes of both sides' groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedAttachment {
    /// Goes into the value of the field.
    pub value: AttachmentValue,
    /// Goes into the root over all blobs.
    pub blob: Blob,
    /// Of the content; for locating damage in a copy of the file.
    pub content: GroupHashes,
    /// Of the ciphertext; for delivering it in pieces.
    pub ciphertext: GroupHashes,
}

/// Seals a file as it streams by.
pub struct Sealer {
    slot: u16,
    index: u16,
    cipher: XChaCha20Poly1305,
    prefix: [u8; PREFIX_BYTES],
    segment: u32,
    waiting: Zeroizing<Vec<u8>>,
    key: [u8; 32],
    content: TreeHasher,
    ciphertext: TreeHasher,
}

impl core::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Sealer").field("slot", &self.slot).field("index", &self.index).finish_non_exhaustive()
    }
}

impl Sealer {
    /// Begins the ciphertext of file `index` of the field at `slot`, and writes its head to `out`.
    ///
    /// # Errors
    /// [`AttachmentError::TooLarge`], which a head never is.
    pub fn new(
        keys: &DocumentKeys,
        slot: u16,
        index: u16,
        rng: &mut impl CryptoRng,
        out: &mut Vec<u8>,
    ) -> Result<Self, AttachmentError> {
        let mut prefix = [0; PREFIX_BYTES];
        rng.fill_bytes(&mut prefix);
        let key = keys.attachment_hash_key(slot, index);
        let mut sealer = Self {
            slot,
            index,
            cipher: cipher(&keys.data.field(slot), index),
            prefix,
            segment: 0,
            waiting: Zeroizing::new(Vec::with_capacity(SEGMENT_BYTES)),
            content: TreeHasher::new(HashKey::Keyed(key)),
            key,
            ciphertext: TreeHasher::new(HashKey::Open),
        };
        let head = [&MAGIC[..], &prefix, &[0; 5]].concat();
        sealer.ciphertext.update(&head)?;
        out.extend_from_slice(&head);
        Ok(sealer)
    }

    /// Takes the next bytes of the file and appends what of the ciphertext is ready.
    ///
    /// # Errors
    /// [`AttachmentError::TooLarge`].
    pub fn update(&mut self, mut data: &[u8], out: &mut Vec<u8>) -> Result<(), AttachmentError> {
        self.content.update(data)?;
        while !data.is_empty() {
            // A full segment is sealed only when more follows: the last one is marked.
            if self.waiting.len() == SEGMENT_BYTES {
                self.seal_segment(false, out)?;
            }
            let (now, rest) = data.split_at((SEGMENT_BYTES - self.waiting.len()).min(data.len()));
            self.waiting.extend_from_slice(now);
            data = rest;
        }
        Ok(())
    }

    /// Ends the ciphertext. Name and media type are what the field will say.
    ///
    /// # Errors
    /// [`AttachmentError::TooLarge`].
    pub fn finish(
        mut self,
        name: impl Into<String>,
        media: impl Into<String>,
        out: &mut Vec<u8>,
    ) -> Result<SealedAttachment, AttachmentError> {
        self.seal_segment(true, out)?;
        let (b3, content) = self.content.finish();
        let (root, ciphertext) = self.ciphertext.finish();
        let value = AttachmentValue {
            b3,
            b3_key: Hash32(self.key),
            chunk_log: CHUNK_LOG,
            media: media.into(),
            name: name.into(),
            size: content.bytes,
        };
        let blob = Blob { slot: self.slot, index: self.index, bytes: ciphertext.bytes, root };
        Ok(SealedAttachment { value, blob, content, ciphertext })
    }

    fn seal_segment(&mut self, is_last: bool, out: &mut Vec<u8>) -> Result<(), AttachmentError> {
        let nonce = nonce(&self.prefix, self.segment, is_last);
        let sealed = self.cipher.encrypt(&nonce, self.waiting.as_slice()).map_err(|_| AttachmentError::TooLarge)?;
        self.segment = self.segment.checked_add(1).ok_or(AttachmentError::TooLarge)?;
        self.waiting.clear();
        self.ciphertext.update(&sealed)?;
        out.extend_from_slice(&sealed);
        Ok(())
    }
}

/// Opens the segments of a sealed file, one by one and in any order.
pub struct Opener {
    cipher: XChaCha20Poly1305,
    prefix: [u8; PREFIX_BYTES],
    size: u64,
}

impl core::fmt::Debug for Opener {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Opener").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Opener {
    /// From the key of the field, the file's position in it, its head, and its size as the field says.
    ///
    /// # Errors
    /// [`AttachmentError::Head`] or [`AttachmentError::TooLarge`].
    pub fn new(key: &FieldKey, index: u16, head: &[u8; HEAD_BYTES], size: u64) -> Result<Self, AttachmentError> {
        if size > FILE_BYTES_MAX {
            return Err(AttachmentError::TooLarge);
        }
        let mut prefix = [0; PREFIX_BYTES];
        prefix.copy_from_slice(&head[MAGIC.len()..MAGIC.len() + PREFIX_BYTES]);
        if !head.starts_with(MAGIC) || head[MAGIC.len() + PREFIX_BYTES..] != [0; 5] {
            return Err(AttachmentError::Head);
        }
        Ok(Self { cipher: cipher(key, index), prefix, size })
    }

    /// How many segments there are; at least one.
    ///
    /// # Panics
    /// Never: a file has at most [`FILE_BYTES_MAX`] bytes.
    #[must_use]
    pub fn segments(&self) -> u32 {
        let segment_bytes = u64::try_from(SEGMENT_BYTES).unwrap_or(u64::MAX);
        u32::try_from(self.size.div_ceil(segment_bytes).max(1)).expect("8 GiB have 131,072 segments")
    }

    /// Where the ciphertext of a segment lies: first byte and length.
    #[must_use]
    pub fn place(&self, segment: u32) -> (u64, usize) {
        let start = u64::from(segment) * u64::try_from(SEGMENT_BYTES).unwrap_or(u64::MAX);
        let length = usize::try_from(self.size.saturating_sub(start)).unwrap_or(usize::MAX).min(SEGMENT_BYTES);
        let tags = u64::from(segment) * u64::try_from(TAG_BYTES).unwrap_or(u64::MAX);
        (u64::try_from(HEAD_BYTES).unwrap_or(u64::MAX) + start + tags, length + TAG_BYTES)
    }

    /// Opens one segment.
    ///
    /// # Errors
    /// [`AttachmentError::Segment`] when it was altered, is another one, or the file is not of the size said.
    pub fn open(&self, segment: u32, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, AttachmentError> {
        let is_last = segment.checked_add(1) == Some(self.segments());
        if sealed.len() != self.place(segment).1 || segment >= self.segments() {
            return Err(AttachmentError::Segment(segment));
        }
        let plain = self.cipher.decrypt(&nonce(&self.prefix, segment, is_last), sealed);
        plain.map(Zeroizing::new).map_err(|_| AttachmentError::Segment(segment))
    }
}

/// HKDF of the field's key, info `"GLC1.blob" ‖ u16be(index)`: who may read the field may read its files.
fn cipher(key: &FieldKey, index: u16) -> XChaCha20Poly1305 {
    let key = Zeroizing::new(derive(key.as_bytes(), &[b"GLC1.blob", &index.to_be_bytes()]));
    XChaCha20Poly1305::new(&(*key).into())
}

fn nonce(prefix: &[u8; PREFIX_BYTES], segment: u32, is_last: bool) -> XNonce {
    let mut bytes = [0; 24];
    bytes[..PREFIX_BYTES].copy_from_slice(prefix);
    bytes[PREFIX_BYTES..23].copy_from_slice(&segment.to_be_bytes());
    bytes[23] = u8::from(is_last);
    bytes.into()
}
