//! The key of a person or organisation that documents are about: what is kept under it is gone with it.

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use rand_core::CryptoRng;
use vouch_types::document::FieldSet;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{DataKey, DocumentKeys, FieldKeySet, SealError, WrapContext};
use crate::commitment::{DocumentSecret, SLOTS_MAX};

/// Longest envelope under a subject's key, in bytes: nonce, tag, form, a full set of fields and all their keys.
pub const SUBJECT_WRAP_BYTES_MAX: usize = NONCE_BYTES + 16 + 1 + 2 + SLOTS_MAX / 8 + 32 * SLOTS_MAX;

const NONCE_BYTES: usize = 24;
const FORM_ISSUER: u8 = 1;
const FORM_WHOLE: u8 = 2;
const FORM_FIELDS: u8 = 3;

/// Under this lie the keys of all versions of all documents about one subject that a holder keeps. Destroying it erases
/// them at once, as far as no backup holds it: it is kept apart from what is backed up. Erased from memory when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SubjectKey([u8; 32]);

impl SubjectKey {
    /// From its bytes, as a key provider keeps them.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A new one.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The bytes, for a key provider to wrap.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Keeps all secrets of a version: for its issuer.
    #[must_use]
    pub fn keep(&self, keys: &DocumentKeys, context: WrapContext, rng: &mut impl CryptoRng) -> Vec<u8> {
        let plain = Zeroizing::new([&[FORM_ISSUER][..], keys.data.as_bytes(), keys.secret.as_bytes()].concat());
        self.seal(&plain, context, rng)
    }

    /// Keeps what a holder was given.
    ///
    /// # Panics
    /// Never: a set of fields has at most 128 bytes.
    #[must_use]
    pub fn keep_fields(&self, keys: &FieldKeySet, context: WrapContext, rng: &mut impl CryptoRng) -> Vec<u8> {
        let mut plain = Zeroizing::new(Vec::new());
        match keys {
            FieldKeySet::Whole(_) => plain.push(FORM_WHOLE),
            FieldKeySet::Fields(keys) => {
                let fields: FieldSet = keys.keys().copied().collect();
                let length = u16::try_from(fields.as_bytes().len()).expect("a set of fields has at most 128 bytes");
                plain.push(FORM_FIELDS);
                plain.extend_from_slice(&length.to_be_bytes());
                plain.extend_from_slice(fields.as_bytes());
            }
        }
        plain.extend_from_slice(&keys.to_bytes());
        self.seal(&plain, context, rng)
    }

    /// Opens what [`SubjectKey::keep`] made.
    ///
    /// # Errors
    /// [`SealError::Subject`].
    pub fn open(&self, kept: &[u8], context: WrapContext) -> Result<DocumentKeys, SealError> {
        let plain = self.unseal(kept, context)?;
        let [FORM_ISSUER, rest @ ..] = plain.as_slice() else { return Err(SealError::Subject) };
        let Some((data, rest)) = rest.split_first_chunk::<32>() else { return Err(SealError::Subject) };
        let secret: [u8; 32] = rest.try_into().map_err(|_| SealError::Subject)?;
        Ok(DocumentKeys { data: DataKey::from_bytes(*data), secret: DocumentSecret::from_bytes(secret) })
    }

    /// Opens what [`SubjectKey::keep_fields`] or [`SubjectKey::keep`] made, the latter without the power to make salts.
    ///
    /// # Errors
    /// [`SealError::Subject`].
    pub fn open_fields(&self, kept: &[u8], context: WrapContext) -> Result<FieldKeySet, SealError> {
        let plain = self.unseal(kept, context)?;
        let keys = match plain.as_slice() {
            [FORM_ISSUER, rest @ ..] if rest.len() == 64 => FieldKeySet::from_bytes(None, &rest[..32]),
            [FORM_WHOLE, rest @ ..] => FieldKeySet::from_bytes(None, rest),
            [FORM_FIELDS, high, low, rest @ ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                let split = rest.split_at_checked(length);
                split.and_then(|(set, keys)| FieldKeySet::from_bytes(Some(&FieldSet::from_bytes(set)), keys))
            }
            _ => None,
        };
        keys.ok_or(SealError::Subject)
    }

    fn seal(&self, plain: &[u8], context: WrapContext, rng: &mut impl CryptoRng) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &aad(context) })
            .expect("the plain text is far below the cipher's limit");
        [&nonce[..], &sealed].concat()
    }

    fn unseal(&self, kept: &[u8], context: WrapContext) -> Result<Zeroizing<Vec<u8>>, SealError> {
        if kept.len() > SUBJECT_WRAP_BYTES_MAX {
            return Err(SealError::Subject);
        }
        let (nonce, sealed) = kept.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Subject)?;
        let plain = self.cipher().decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &aad(context) });
        plain.map(Zeroizing::new).map_err(|_| SealError::Subject)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.0.into())
    }
}

impl core::fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SubjectKey(<redacted>)")
    }
}

fn aad(context: WrapContext) -> Vec<u8> {
    [&b"GLC1.subject"[..], &context.to_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use vouch_types::{ChainId, document::DocumentId};

    use super::*;
    use crate::entropy::SeededRng;

    const CONTEXT: WrapContext =
        WrapContext { chain: ChainId([5; 32]), document: DocumentId::new([6; 16]), version: 1 };

    #[test]
    fn what_is_kept_opens_with_the_key_and_there_only() {
        let rng = &mut SeededRng::from_seed(&[7; 32]);
        let (key, other, keys) = (SubjectKey::generate(rng), SubjectKey::generate(rng), DocumentKeys::generate(rng));
        let kept = key.keep(&keys, CONTEXT, rng);
        let opened = key.open(&kept, CONTEXT).unwrap();
        assert_eq!(opened.data.as_bytes(), keys.data.as_bytes());
        assert_eq!(opened.secret.as_bytes(), keys.secret.as_bytes());
        assert_eq!(key.open_fields(&kept, CONTEXT).unwrap().to_bytes(), keys.all().to_bytes());
        assert_eq!(other.open(&kept, CONTEXT).unwrap_err(), SealError::Subject);
        let elsewhere = WrapContext { version: 2, ..CONTEXT };
        assert_eq!(key.open(&kept, elsewhere).unwrap_err(), SealError::Subject);

        for given in [keys.all(), keys.fields(&[1, 1_023].into_iter().collect()), keys.fields(&FieldSet::first(1_024))]
        {
            let kept = key.keep_fields(&given, CONTEXT, rng);
            assert!(kept.len() <= SUBJECT_WRAP_BYTES_MAX);
            let opened = key.open_fields(&kept, CONTEXT).unwrap();
            assert_eq!((opened.to_bytes(), opened.scope(1_024)), (given.to_bytes(), given.scope(1_024)));
            assert_eq!(key.open(&kept, CONTEXT).unwrap_err(), SealError::Subject);
            let mut altered = kept;
            *altered.last_mut().unwrap() ^= 1;
            assert_eq!(key.open_fields(&altered, CONTEXT).unwrap_err(), SealError::Subject);
        }
    }
}
