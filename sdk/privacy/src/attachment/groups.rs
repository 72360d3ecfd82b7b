//! The hashes of a file's groups under its BLAKE3 root: with them any piece is judged alone, and damage has a place.

use core::ops::Range;
use std::io::Read;

use blake3::hazmat::{HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};
use serde::{Deserialize, Serialize};
use vouch_types::Hash32;
use wincode::{SchemaRead, SchemaWrite};

use super::AttachmentError;

/// Bytes of a group: 16 chunks of BLAKE3.
pub const GROUP_BYTES: u64 = vouch_types::api::FILE_GROUP_BYTES;
/// Longest file or ciphertext, in bytes: its list of group hashes has at most 16 MiB.
pub const FILE_BYTES_MAX: u64 = 8 << 30;

/// With which BLAKE3 a file is hashed: plain for ciphertexts, keyed for contents.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum HashKey {
    /// Anyone can hash a guess: for ciphertexts.
    Open,
    /// Only who has the key can: for contents.
    Keyed([u8; 32]),
}

impl core::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(if *self == Self::Open { "Open" } else { "Keyed(<redacted>)" })
    }
}

impl HashKey {
    fn hasher(&self) -> blake3::Hasher {
        match self {
            Self::Open => blake3::Hasher::new(),
            Self::Keyed(key) => blake3::Hasher::new_keyed(key),
        }
    }

    const fn mode(&self) -> Mode<'_> {
        match self {
            Self::Open => Mode::Hash,
            Self::Keyed(key) => Mode::KeyedHash(key),
        }
    }
}

/// One hash per group of 16 KiB, the last one shorter, and the length of the whole: 0.2 % of the file.
///
/// The hashes are BLAKE3's chaining values, so their tree has BLAKE3's own root: `b3sum` shows the same. A file of at most
/// one group has its root as the only entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[serde(deny_unknown_fields)]
pub struct GroupHashes {
    /// Length of the file in bytes.
    pub bytes: u64,
    /// A hash per group.
    pub hashes: Vec<Hash32>,
}

impl GroupHashes {
    /// How many groups a file of this length has; an empty one has one empty group.
    #[must_use]
    pub const fn count_for(bytes: u64) -> u64 {
        if bytes == 0 { 1 } else { bytes.div_ceil(GROUP_BYTES) }
    }

    /// The root over the hashes.
    #[must_use]
    pub fn root(&self, key: &HashKey) -> Option<Hash32> {
        match self.hashes.as_slice() {
            [] => None,
            [single] => Some(*single),
            many => {
                let (left, right) = many.split_at(split(many.len()));
                let (left, right) = (merge(left, key), merge(right, key));
                Some(Hash32(*merge_subtrees_root(&left, &right, key.mode()).as_bytes()))
            }
        }
    }

    /// Checks the list itself: as many hashes as the length calls for, and the root expected.
    ///
    /// # Errors
    /// [`AttachmentError::Groups`].
    pub fn verify(&self, root: &Hash32, key: &HashKey) -> Result<(), AttachmentError> {
        let fits = self.bytes <= FILE_BYTES_MAX
            && u64::try_from(self.hashes.len()).is_ok_and(|count| count == Self::count_for(self.bytes));
        if fits && self.root(key) == Some(*root) { Ok(()) } else { Err(AttachmentError::Groups) }
    }

    /// Whether `data` is the group at `index`, whole.
    #[must_use]
    pub fn is_group(&self, index: u64, data: &[u8], key: &HashKey) -> bool {
        let Some(expected) = usize::try_from(index).ok().and_then(|index| self.hashes.get(index)) else { return false };
        let start = index * GROUP_BYTES;
        let length = self.bytes.saturating_sub(start).min(GROUP_BYTES);
        if u64::try_from(data.len()).ok() != Some(length) {
            return false;
        }
        let mut hasher = key.hasher();
        if self.hashes.len() == 1 {
            return *hasher.update(data).finalize().as_bytes() == expected.0;
        }
        hasher.set_input_offset(start).update(data);
        hasher.finalize_non_root() == expected.0
    }

    /// Reads a copy of the file and says which bytes are not the file's, in whole groups; bytes that are missing at the end
    /// count as altered, and a range beyond the length means that there are more.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn damage(&self, mut copy: impl Read, key: &HashKey) -> std::io::Result<Vec<Range<u64>>> {
        let mut found: Vec<Range<u64>> = Vec::new();
        let mut add = |range: Range<u64>| match found.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => found.push(range),
        };
        let mut buffer = Vec::new();
        for index in 0..Self::count_for(self.bytes) {
            let start = index * GROUP_BYTES;
            let length = self.bytes.saturating_sub(start).min(GROUP_BYTES);
            buffer.clear();
            copy.by_ref().take(length).read_to_end(&mut buffer)?;
            if !self.is_group(index, &buffer, key) {
                add(start..start + length);
            }
        }
        let surplus = std::io::copy(&mut copy, &mut std::io::sink())?;
        if surplus > 0 {
            add(self.bytes..self.bytes + surplus);
        }
        Ok(found)
    }
}

/// Largest power of two below `count`, which is at least 2: BLAKE3's shape.
const fn split(count: usize) -> usize {
    1 << (usize::BITS - 1 - (count - 1).leading_zeros())
}

fn merge(hashes: &[Hash32], key: &HashKey) -> [u8; 32] {
    match hashes {
        [] => [0; 32],
        [single] => single.0,
        many => {
            let (left, right) = many.split_at(split(many.len()));
            merge_subtrees_non_root(&merge(left, key), &merge(right, key), key.mode())
        }
    }
}

/// Hashes a file as it streams by.
#[derive(Debug)]
pub struct TreeHasher {
    key: HashKey,
    group: blake3::Hasher,
    in_group: u64,
    hashes: Vec<Hash32>,
    bytes: u64,
}

impl TreeHasher {
    /// At the beginning of a file.
    #[must_use]
    pub fn new(key: HashKey) -> Self {
        Self { group: key.hasher(), key, in_group: 0, hashes: Vec::new(), bytes: 0 }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`AttachmentError::TooLarge`] above [`FILE_BYTES_MAX`].
    pub fn update(&mut self, mut data: &[u8]) -> Result<(), AttachmentError> {
        while !data.is_empty() {
            // A full group is closed only when more follows: the only group of a file is hashed as its root.
            if self.in_group == GROUP_BYTES {
                self.hashes.push(Hash32(self.group.finalize_non_root()));
                self.group = self.key.hasher();
                self.group.set_input_offset(self.bytes);
                self.in_group = 0;
            }
            let room = usize::try_from(GROUP_BYTES - self.in_group).unwrap_or(usize::MAX);
            let (now, rest) = data.split_at(room.min(data.len()));
            let length = u64::try_from(now.len()).map_err(|_| AttachmentError::TooLarge)?;
            self.bytes = self.bytes.saturating_add(length);
            if self.bytes > FILE_BYTES_MAX {
                return Err(AttachmentError::TooLarge);
            }
            self.group.update(now);
            self.in_group += length;
            data = rest;
        }
        Ok(())
    }

    /// The root and the hashes under it.
    ///
    /// # Panics
    /// Never: there is at least one group.
    #[must_use]
    pub fn finish(mut self) -> (Hash32, GroupHashes) {
        let last =
            if self.hashes.is_empty() { *self.group.finalize().as_bytes() } else { self.group.finalize_non_root() };
        self.hashes.push(Hash32(last));
        let groups = GroupHashes { bytes: self.bytes, hashes: self.hashes };
        (groups.root(&self.key).expect("there is a last group"), groups)
    }
}

/// Which groups of a file have arrived, in any order and over any number of connections.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Arrived {
    bytes: u64,
    bits: Vec<u8>,
}

impl Arrived {
    /// Nothing yet of a file of `bytes` bytes.
    ///
    /// # Errors
    /// [`AttachmentError::TooLarge`] above [`FILE_BYTES_MAX`].
    pub fn nothing_of(bytes: u64) -> Result<Self, AttachmentError> {
        if bytes > FILE_BYTES_MAX {
            return Err(AttachmentError::TooLarge);
        }
        let length =
            usize::try_from(GroupHashes::count_for(bytes).div_ceil(8)).map_err(|_| AttachmentError::TooLarge)?;
        Ok(Self { bytes, bits: vec![0; length] })
    }

    /// Judges a piece that begins at `offset`, a multiple of [`GROUP_BYTES`], and has whole groups. Groups before the first
    /// wrong one have arrived.
    ///
    /// # Errors
    /// [`AttachmentError::Piece`] with the first byte that is not the file's.
    pub fn accept(
        &mut self,
        offset: u64,
        piece: &[u8],
        groups: &GroupHashes,
        key: &HashKey,
    ) -> Result<(), AttachmentError> {
        if groups.bytes != self.bytes || !offset.is_multiple_of(GROUP_BYTES) {
            return Err(AttachmentError::Piece(offset));
        }
        let group_bytes = usize::try_from(GROUP_BYTES).map_err(|_| AttachmentError::TooLarge)?;
        // An empty file is one empty group.
        let parts: Vec<&[u8]> = if piece.is_empty() { vec![piece] } else { piece.chunks(group_bytes).collect() };
        for (index, part) in (offset / GROUP_BYTES..).zip(parts) {
            if !groups.is_group(index, part, key) {
                return Err(AttachmentError::Piece(index * GROUP_BYTES));
            }
            let at = usize::try_from(index / 8).map_err(|_| AttachmentError::TooLarge)?;
            if let Some(byte) = self.bits.get_mut(at) {
                *byte |= 1 << (index % 8);
            }
        }
        Ok(())
    }

    /// The first bytes that are missing, at most `max` and in whole groups; `None` when all is there.
    #[must_use]
    pub fn missing(&self, max: u64) -> Option<Range<u64>> {
        let count = GroupHashes::count_for(self.bytes);
        let first = (0..count).find(|index| !self.has(*index))?;
        let most = (max / GROUP_BYTES).max(1);
        let end = (first..count.min(first + most)).take_while(|index| !self.has(*index)).last()? + 1;
        Some(first * GROUP_BYTES..self.bytes.min(end * GROUP_BYTES))
    }

    fn has(&self, index: u64) -> bool {
        let byte = usize::try_from(index / 8).ok().and_then(|at| self.bits.get(at));
        byte.is_some_and(|byte| byte & (1 << (index % 8)) != 0)
    }
}
