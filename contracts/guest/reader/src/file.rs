//! A file of a document on its way into the browser: each group of 16 KiB is checked against the root over the files, then
//! opened, and at the end the whole against the hash that the field names. One file at a time.

use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use serde_json::json;
use vouch_privacy::{
    RecipientSecret,
    attachment::{
        AttachmentError, AttachmentValue, Blob, GROUP_BYTES, HEAD_BYTES, HashKey, Opener, TreeHasher, verify_piece,
    },
    reading::{CheckedFile, check_opening},
    sealing::FieldKey,
};
use vouch_types::{
    ChainId,
    api::{FILE_PIECE_BYTES_MAX, FileOpening},
};
use zeroize::Zeroizing;

use crate::{Fault, fields::Shown, read, written};

static READER: Mutex<Option<RecipientSecret>> = Mutex::new(None);
static OPEN: Mutex<Option<Open>> = Mutex::new(None);

struct Open {
    blob: Blob,
    value: AttachmentValue,
    key: FieldKey,
    opener: Option<Opener>,
    hasher: TreeHasher,
    /// The next byte of the ciphertext that is wanted.
    next: u64,
    /// Where in the ciphertext `waiting` begins.
    from: u64,
    waiting: Vec<u8>,
    segment: u32,
}

#[derive(Deserialize)]
struct Opened {
    chain: ChainId,
    expected: Shown,
    slot: u16,
    index: u16,
    /// How many bytes of the ciphertext the page has taken in already: 0 for one that begins.
    from: u64,
    opening: FileOpening,
}

fn damaged(at: u64, reason: impl core::fmt::Display) -> Fault {
    Fault::new("document.file_damaged", format!("bytes from {at} on: {reason}"))
}

/// A key made for one opening. Input: 32 random bytes. Answers the public half.
///
/// # Errors
/// `client.bad_input`.
pub fn begin(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let bytes: [u8; 32] = input.try_into().map_err(|_| Fault::new("client.bad_input", "expected 32 bytes"))?;
    let secret = RecipientSecret::from_bytes(bytes);
    let recipient = secret.public().0;
    *READER.lock().unwrap_or_else(PoisonError::into_inner) = Some(secret);
    written(&json!({ "recipient": recipient }))
}

/// Takes the node's answer to the opening. Answers what the file is, and which byte of the ciphertext is `next`: with a new
/// opening of the same file it goes on where the page is, else the file begins anew with byte 0.
///
/// # Errors
/// `document.not_as_committed`.
pub fn opened(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let Opened { chain, expected, slot, index, from, opening } = read(input)?;
    let reader = READER.lock().unwrap_or_else(PoisonError::into_inner).take();
    let reader = reader.ok_or_else(|| Fault::new("client.bad_input", "no opening was begun"))?;
    let schema = expected.schema()?;
    let false_said = |reason| Fault::new("document.not_as_committed", reason);
    let checked = check_opening(&opening, (slot, index), &reader, chain, &expected.expected(&schema));
    let CheckedFile { value, blob, key } = checked.map_err(false_said)?;
    let most = u64::try_from(FILE_PIECE_BYTES_MAX).unwrap_or(u64::MAX);
    let piece = (opening.piece_bytes.min(most) / GROUP_BYTES).max(1) * GROUP_BYTES;
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    // What is left of an earlier reading that broke off does not count: the page no longer has its bytes.
    let goes_on = open.as_ref().filter(|open| open.blob == blob && open.value == value && open.next == from);
    let next = goes_on.map_or(0, |open| open.next);
    let answer = json!({ "opening": opening.opening, "name": value.name, "media": value.media, "size": value.size,
        "bytes": blob.bytes, "piece_bytes": piece, "next": next, "groups": blob.bytes.div_ceil(GROUP_BYTES) });
    if next == 0 {
        let hasher = TreeHasher::new(HashKey::Keyed(value.b3_key.0));
        let (opener, waiting) = (None, Vec::new());
        *open = Some(Open { blob, value, key, opener, hasher, next: 0, from: 0, waiting, segment: 0 });
    }
    written(&answer)
}

/// Takes the next piece: 8 bytes with its end, little-endian, then what the node answered. Answers bytes of the file.
///
/// # Errors
/// `document.file_damaged` with the place.
pub fn piece(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let none = || Fault::new("client.bad_input", "no file is open, or no such piece");
    let (to, encoded) = input.split_first_chunk::<8>().ok_or_else(none)?;
    let to = u64::from_le_bytes(*to);
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let open = open.as_mut().ok_or_else(none)?;
    let bytes = verify_piece(&open.blob, open.next, to, encoded).map_err(|error| match error {
        AttachmentError::Piece(at) => damaged(at, "not under the file's root"),
        other => damaged(open.next, other),
    })?;
    open.waiting.extend_from_slice(&bytes);
    open.next = to;
    open.plain()
}

impl Open {
    /// What can be opened of what is here.
    fn plain(&mut self) -> Result<Vec<u8>, Fault> {
        if self.opener.is_none() {
            let head: &[u8; HEAD_BYTES] =
                self.waiting.first_chunk().ok_or_else(|| damaged(0, "there is no beginning"))?;
            let opener = Opener::new(&self.key, self.blob.index, head, self.value.size);
            self.opener = Some(opener.map_err(|error| damaged(0, error))?);
        }
        let Some(opener) = &self.opener else { return Ok(Vec::new()) };
        let mut out = Vec::new();
        while self.segment < opener.segments() {
            let (at, length) = opener.place(self.segment);
            let skip = usize::try_from(at.saturating_sub(self.from)).unwrap_or(usize::MAX);
            let Some(sealed) = skip.checked_add(length).and_then(|end| self.waiting.get(skip..end)) else {
                if self.next >= self.blob.bytes {
                    return Err(damaged(at, "the ciphertext is shorter than the file"));
                }
                break;
            };
            let plain: Zeroizing<Vec<u8>> = opener.open(self.segment, sealed).map_err(|error| damaged(at, error))?;
            self.hasher.update(&plain).map_err(|error| damaged(at, error))?;
            out.extend_from_slice(&plain);
            self.segment += 1;
            self.waiting.drain(..skip + length);
            self.from = at + u64::try_from(length).unwrap_or(u64::MAX);
        }
        Ok(out)
    }
}

/// Ends the file. Answers its keyed hash, which is the one that the field names.
///
/// # Errors
/// `document.not_as_committed`, when the whole is another one: then nothing of what was answered counts.
pub fn end(_: &[u8]) -> Result<Vec<u8>, Fault> {
    let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner).take();
    let open = open.ok_or_else(|| Fault::new("client.bad_input", "no file is open"))?;
    let is_whole = open.opener.as_ref().is_some_and(|opener| open.segment == opener.segments());
    let (b3, groups) = open.hasher.finish();
    if !is_whole || b3 != open.value.b3 || groups.bytes != open.value.size {
        return Err(Fault::new("document.not_as_committed", "the file has another content than its field says"));
    }
    written(&json!({ "b3": b3, "bytes": groups.bytes }))
}
