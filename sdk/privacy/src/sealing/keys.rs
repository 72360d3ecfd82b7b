//! The keys of a document version.

use std::collections::BTreeMap;

use hkdf::Hkdf;
use rand_core::CryptoRng;
use sha2::Sha256;
use vouch_types::document::FieldSet;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::SealError;
use crate::commitment::DocumentSecret;

macro_rules! secret_keys {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; 32]);

        impl $name {
            /// From its bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Its bytes, for wrapping only.
            #[must_use]
            pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($name), "(<redacted>)"))
            }
        }
    )*};
}

secret_keys! {
    /// The key of a whole document version. Erased from memory when dropped.
    DataKey,
    /// The key of one field of a document version. Erased from memory when dropped.
    FieldKey,
}

impl DataKey {
    /// The key of a field: HKDF-SHA-256 without salt, info `"GLC1.field" ‖ u16be(slot)`.
    #[must_use]
    pub fn field(&self, slot: u16) -> FieldKey {
        FieldKey(derive(&self.0, &[b"GLC1.field", &slot.to_be_bytes()]))
    }
}

impl FieldKey {
    /// The key of the field's rows: HKDF-SHA-256, info `"GLC1.rows"`.
    pub(crate) fn rows(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(derive(&self.0, &[b"GLC1.rows"]))
    }
}

/// HKDF-SHA-256 without salt, 32 bytes.
pub(crate) fn derive(key: &[u8; 32], info: &[&[u8]]) -> [u8; 32] {
    let mut output = [0; 32];
    Hkdf::<Sha256>::new(None, key).expand_multi_info(info, &mut output).expect("32 bytes are far below HKDF's limit");
    output
}

/// All secrets of a document version: for the issuer's node, which keeps them under the subject's key only.
#[derive(Debug)]
pub struct DocumentKeys {
    /// Opens everything that is sealed.
    pub data: DataKey,
    /// Makes the salts and the keys of the attachments' hashes.
    pub secret: DocumentSecret,
}

impl DocumentKeys {
    /// New ones. A version has keys of its own: they are never used for another.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let (mut data, mut secret) = ([0; 32], [0; 32]);
        rng.fill_bytes(&mut data);
        rng.fill_bytes(&mut secret);
        Self { data: DataKey(data), secret: DocumentSecret::from_bytes(secret) }
    }

    /// The key of a file's hash: HKDF-SHA-256 of the secret, info `"GLC1.att" ‖ u16be(slot) ‖ u16be(index)`.
    #[must_use]
    pub fn attachment_hash_key(&self, slot: u16, index: u16) -> [u8; 32] {
        derive(self.secret.as_bytes(), &[b"GLC1.att", &slot.to_be_bytes(), &index.to_be_bytes()])
    }

    /// The keys that open everything; they make no salts.
    #[must_use]
    pub fn all(&self) -> FieldKeySet {
        FieldKeySet::Whole(self.data.clone())
    }

    /// The keys of some fields.
    #[must_use]
    pub fn fields(&self, fields: &FieldSet) -> FieldKeySet {
        FieldKeySet::Fields(fields.iter().map(|slot| (slot, self.data.field(slot))).collect())
    }
}

/// What a receiver is given: the key of the whole version, or those of some fields.
#[derive(Debug, Clone)]
pub enum FieldKeySet {
    /// All fields, by the version's key.
    Whole(DataKey),
    /// These fields.
    Fields(BTreeMap<u16, FieldKey>),
}

impl FieldKeySet {
    /// The key of a slot.
    ///
    /// # Errors
    /// [`SealError::NoKey`].
    pub fn key(&self, slot: u16) -> Result<FieldKey, SealError> {
        match self {
            Self::Whole(key) => Ok(key.field(slot)),
            Self::Fields(keys) => keys.get(&slot).cloned().ok_or(SealError::NoKey(slot)),
        }
    }

    /// Which slots of a document with `slots` of them it opens.
    #[must_use]
    pub fn scope(&self, slots: u16) -> FieldSet {
        match self {
            Self::Whole(_) => FieldSet::first(slots),
            Self::Fields(keys) => keys.keys().copied().filter(|slot| *slot < slots).collect(),
        }
    }

    /// The keys of those of `fields` that it has: what a holder may hand on.
    #[must_use]
    pub fn restrict(&self, fields: &FieldSet) -> Self {
        Self::Fields(fields.iter().filter_map(|slot| self.key(slot).ok().map(|key| (slot, key))).collect())
    }

    /// The keys in order of their slots, 32 bytes each.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::Whole(key) => key.0.to_vec(),
            Self::Fields(keys) => keys.values().flat_map(|key| key.0).collect(),
        })
    }

    /// The inverse, for `fields` or, with `None`, for the whole.
    pub(crate) fn from_bytes(fields: Option<&FieldSet>, bytes: &[u8]) -> Option<Self> {
        let mut keys = bytes.chunks_exact(32).filter_map(|chunk| <[u8; 32]>::try_from(chunk).ok());
        let wanted = fields.map_or(1, |fields| fields.iter().count());
        if bytes.len() != wanted * 32 {
            return None;
        }
        Some(match fields {
            None => Self::Whole(DataKey(keys.next()?)),
            Some(fields) => Self::Fields(fields.iter().zip(keys.map(FieldKey)).collect()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededRng;

    #[test]
    fn keys_of_fields_open_no_others() {
        let keys = DocumentKeys::generate(&mut SeededRng::from_seed(&[1; 32]));
        let some = keys.fields(&[2, 5].into_iter().collect());
        assert_eq!(some.key(2).unwrap().0, keys.data.field(2).0);
        assert_ne!(keys.data.field(2).0, keys.data.field(5).0);
        assert_eq!(some.key(3).unwrap_err(), SealError::NoKey(3));
        assert_eq!(some.scope(6).iter().collect::<Vec<_>>(), [2, 5]);
        assert_eq!(some.scope(5).iter().collect::<Vec<_>>(), [2]);
        assert_eq!(keys.all().scope(3), FieldSet::first(3));
        let handed_on = some.restrict(&[3, 5].into_iter().collect());
        assert_eq!(handed_on.scope(9).iter().collect::<Vec<_>>(), [5]);
        assert!(!format!("{keys:?} {some:?}").contains(&format!("{:?}", keys.data.0[0])), "{some:?}");
    }
}
