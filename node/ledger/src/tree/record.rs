//! What the tables hold about a state key and about the tree as a whole.

use vouch_types::{Hash32, StateRoot, codec, state};
use wincode::{SchemaRead, SchemaWrite};

use super::TreeError;
use crate::storage::{Table, View};

/// Key of the [`TreeHead`] in [`Table::Meta`].
pub const HEAD_KEY: &[u8] = b"state_tree";

/// Key of the progress of an import in [`Table::Meta`].
pub const IMPORT_KEY: &[u8] = b"state_import";

const FORMAT_VERSION: u8 = 1;
const DELETED: u8 = 0;
const PRESENT: u8 = 1;
const RECORD_HEADER_BYTES: usize = 9;
const HEAD_BYTES_MAX: usize = 64;

/// A value of [`Table::State`]: slot `u64` little-endian, one byte that says whether the key is present, the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateRecord<'a> {
    /// The key's slot.
    pub slot: u64,
    /// Its value; `None` when it was deleted.
    pub value: Option<&'a [u8]>,
}

impl<'a> StateRecord<'a> {
    /// Reads the stored form.
    ///
    /// # Errors
    /// [`TreeError::Corrupt`] when it is anything else.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, TreeError> {
        let corrupt = TreeError::Corrupt { what: "record of a state key" };
        let Some((slot, [presence, value @ ..])) = bytes.split_first_chunk::<8>() else {
            return Err(corrupt);
        };
        let slot = u64::from_le_bytes(*slot);
        match (*presence, value) {
            (PRESENT, value) => Ok(Self { slot, value: Some(value) }),
            (DELETED, []) => Ok(Self { slot, value: None }),
            _ => Err(corrupt),
        }
    }

    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let value = self.value.unwrap_or_default();
        let mut bytes = Vec::with_capacity(RECORD_HEADER_BYTES + value.len());
        bytes.extend_from_slice(&self.slot.to_le_bytes());
        bytes.push(if self.value.is_some() { PRESENT } else { DELETED });
        bytes.extend_from_slice(value);
        bytes
    }
}

/// The size and the top of the tree, written with every batch that changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct TreeHead {
    version: u8,
    /// Slots given out.
    pub slots: u64,
    /// The topmost node; zero when there is no slot.
    pub top: Hash32,
}

impl TreeHead {
    /// Of a tree with nothing in it.
    pub const EMPTY: Self = Self::new(0, Hash32::ZERO);

    /// Of a tree of this size.
    #[must_use]
    pub const fn new(slots: u64, top: Hash32) -> Self {
        Self { version: FORMAT_VERSION, slots, top }
    }

    /// The state root.
    #[must_use]
    pub fn root(&self) -> StateRoot {
        state::root_hash(self.slots, &self.top)
    }

    /// The head a view holds; [`TreeHead::EMPTY`] when it holds none.
    ///
    /// # Errors
    /// [`TreeError::Storage`]; [`TreeError::Corrupt`] when it is not one this version writes.
    pub fn read(view: &dyn View) -> Result<Self, TreeError> {
        let Some(bytes) = view.get(Table::Meta, HEAD_KEY)? else { return Ok(Self::EMPTY) };
        let head: Self = codec::decode("head of the state tree", &bytes, HEAD_BYTES_MAX)
            .map_err(|_| TreeError::Corrupt { what: "head of the state tree" })?;
        if head.version == FORMAT_VERSION {
            Ok(head)
        } else {
            Err(TreeError::Corrupt { what: "head of the state tree" })
        }
    }

    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_back() {
        for record in [
            StateRecord { slot: 0, value: None },
            StateRecord { slot: u64::MAX, value: Some(&[]) },
            StateRecord { slot: 77, value: Some(b"value") },
        ] {
            assert_eq!(StateRecord::decode(&record.encode()), Ok(record));
        }
    }

    #[test]
    fn broken_records_are_refused() {
        for bytes in [&[][..], &[0; 8], &[0, 0, 0, 0, 0, 0, 0, 0, 2], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 1]] {
            assert!(StateRecord::decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
