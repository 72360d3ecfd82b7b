//! Keys wrapped to a receiver: HPKE (RFC 9180) in base mode.

use hpke::{
    Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _, aead::ChaCha20Poly1305, kdf::HkdfSha256,
    kem::X25519HkdfSha256, single_shot_open, single_shot_seal_with_rng,
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use vouch_types::{
    ChainId, Hash32,
    document::{DocumentId, FieldSet},
};
use wincode::{SchemaRead, SchemaWrite};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{FieldKeySet, SealError};
use crate::commitment::sha256;

type Kem = X25519HkdfSha256;

/// DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305. A hybrid with ML-KEM can join under another number.
const SUITE: u8 = 1;
/// `info` of a wrap of a version's key.
const INFO_DOCUMENT: &[u8] = b"GLC1 dek-wrap";
/// `info` of a wrap of fields' keys.
const INFO_FIELDS: &[u8] = b"GLC1 field-wrap";

/// Name of a receiver's key: `SHA-256("GLC1.kid" ‖ suite ‖ public key)`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[serde(transparent)]
#[repr(transparent)]
pub struct RecipientId(pub Hash32);

impl core::fmt::Debug for RecipientId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "RecipientId({})", self.0)
    }
}

/// A receiver's X25519 public key: a member's, as it stands on the chain, or one that a document names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[serde(transparent)]
#[repr(transparent)]
pub struct RecipientKey(pub Hash32);

impl core::fmt::Debug for RecipientKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "RecipientKey({})", self.0)
    }
}

impl RecipientKey {
    /// From the 32 bytes of the key.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Hash32(bytes))
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> RecipientId {
        RecipientId(Hash32(sha256(&[b"GLC1.kid", &[SUITE], &self.0.0])))
    }
}

/// The secret half of a receiver's key. Erased from memory when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct RecipientSecret([u8; 32]);

impl RecipientSecret {
    /// From 32 bytes of good randomness.
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

    /// The bytes, for an encrypted key file only.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> RecipientKey {
        RecipientKey(Hash32(Kem::sk_to_pk(&self.private()).to_bytes().into()))
    }

    fn private(&self) -> <Kem as hpke::Kem>::PrivateKey {
        <Kem as hpke::Kem>::PrivateKey::from_bytes(&self.0).expect("any 32 bytes are an X25519 key")
    }
}

impl core::fmt::Debug for RecipientSecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("RecipientSecret(<redacted>)")
    }
}

/// What a wrap is bound to, so that it opens nothing elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrapContext {
    /// The chain.
    pub chain: ChainId,
    /// The document.
    pub document: DocumentId,
    /// Its version.
    pub version: u32,
}

impl WrapContext {
    /// `chain ‖ document ‖ u32be(version)`, 52 bytes.
    pub(crate) fn to_bytes(self) -> [u8; 52] {
        let mut bytes = [0; 52];
        bytes[..32].copy_from_slice(&self.chain.0);
        bytes[32..48].copy_from_slice(self.document.as_bytes());
        bytes[48..].copy_from_slice(&self.version.to_be_bytes());
        bytes
    }
}

/// Which keys are wrapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[serde(rename_all = "snake_case")]
pub enum WrapScope {
    /// That of the whole version.
    Document,
    /// Those of these fields.
    Fields(FieldSet),
}

/// Keys, readable by one receiver: 80 bytes beside the names for a whole version, 32 more for each further field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
#[serde(deny_unknown_fields)]
pub struct Wrap {
    /// Which algorithms: 1.
    pub suite: u8,
    /// The receiver's key.
    pub recipient: RecipientId,
    /// Which keys.
    pub scope: WrapScope,
    /// HPKE's encapsulated key.
    pub encapsulated: Hash32,
    /// HPKE's ciphertext: 32 bytes a key and 16.
    #[serde(with = "vouch_types::hex_serde")]
    pub ciphertext: Vec<u8>,
}

/// Wraps keys to a receiver. `aad` is context, receiver and scope.
///
/// # Errors
/// [`SealError::WeakKey`] for a public key of small order, which would give everyone the same secret.
pub fn wrap(
    keys: &FieldKeySet,
    recipient: &RecipientKey,
    context: WrapContext,
    rng: &mut impl CryptoRng,
) -> Result<Wrap, SealError> {
    let scope = match keys {
        FieldKeySet::Whole(_) => WrapScope::Document,
        FieldKeySet::Fields(keys) => WrapScope::Fields(keys.keys().copied().collect()),
    };
    let id = recipient.id();
    let public = <Kem as hpke::Kem>::PublicKey::from_bytes(&recipient.0.0).map_err(|_| SealError::WeakKey)?;
    let (encapsulated, ciphertext) = single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, Kem>(
        &OpModeS::Base,
        &public,
        info(&scope),
        &keys.to_bytes(),
        &aad(context, &id, &scope),
        rng,
    )
    .map_err(|_| SealError::WeakKey)?;
    Ok(Wrap { suite: SUITE, recipient: id, scope, encapsulated: Hash32(encapsulated.to_bytes().into()), ciphertext })
}

/// Opens a wrap with the receiver's secret.
///
/// # Errors
/// [`SealError::Suite`], [`SealError::Recipient`], or [`SealError::Wrap`] when it does not open in this context.
pub fn open_wrap(wrap: &Wrap, secret: &RecipientSecret, context: WrapContext) -> Result<FieldKeySet, SealError> {
    if wrap.suite != SUITE {
        return Err(SealError::Suite(wrap.suite));
    }
    if secret.public().id() != wrap.recipient {
        return Err(SealError::Recipient);
    }
    let fields = match &wrap.scope {
        WrapScope::Document => None,
        WrapScope::Fields(fields) if fields.is_valid() => Some(fields),
        WrapScope::Fields(_) => return Err(SealError::Wrap),
    };
    let encapsulated =
        <Kem as hpke::Kem>::EncappedKey::from_bytes(&wrap.encapsulated.0).map_err(|_| SealError::Wrap)?;
    let keys = single_shot_open::<ChaCha20Poly1305, HkdfSha256, Kem>(
        &OpModeR::Base,
        &secret.private(),
        &encapsulated,
        info(&wrap.scope),
        &wrap.ciphertext,
        &aad(context, &wrap.recipient, &wrap.scope),
    );
    let keys = Zeroizing::new(keys.map_err(|_| SealError::Wrap)?);
    FieldKeySet::from_bytes(fields, &keys).ok_or(SealError::Wrap)
}

const fn info(scope: &WrapScope) -> &'static [u8] {
    match scope {
        WrapScope::Document => INFO_DOCUMENT,
        WrapScope::Fields(_) => INFO_FIELDS,
    }
}

/// `chain ‖ document ‖ u32be(version) ‖ receiver ‖ bytes of the set of fields`; of fixed length up to the last part.
fn aad(context: WrapContext, recipient: &RecipientId, scope: &WrapScope) -> Vec<u8> {
    let fields = match scope {
        WrapScope::Document => &[],
        WrapScope::Fields(fields) => fields.as_bytes(),
    };
    [&context.to_bytes(), &recipient.0.0[..], fields].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{entropy::SeededRng, sealing::DocumentKeys};

    const CONTEXT: WrapContext =
        WrapContext { chain: ChainId([5; 32]), document: DocumentId::new([6; 16]), version: 1 };

    #[test]
    fn only_the_receiver_opens_and_only_there() {
        let rng = &mut SeededRng::from_seed(&[2; 32]);
        let (keys, alice, bob) =
            (DocumentKeys::generate(rng), RecipientSecret::generate(rng), RecipientSecret::generate(rng));
        for given in [keys.all(), keys.fields(&[0, 3].into_iter().collect()), keys.fields(&FieldSet::new())] {
            let made = wrap(&given, &alice.public(), CONTEXT, rng).unwrap();
            assert_eq!(open_wrap(&made, &alice, CONTEXT).unwrap().to_bytes(), given.to_bytes());
            assert_eq!(open_wrap(&made, &bob, CONTEXT).unwrap_err(), SealError::Recipient);
            let redirected = Wrap { recipient: bob.public().id(), ..made.clone() };
            assert_eq!(open_wrap(&redirected, &bob, CONTEXT).unwrap_err(), SealError::Wrap);
            for elsewhere in [
                WrapContext { chain: ChainId([0; 32]), ..CONTEXT },
                WrapContext { document: DocumentId::new([0; 16]), ..CONTEXT },
                WrapContext { version: 2, ..CONTEXT },
            ] {
                assert_eq!(open_wrap(&made, &alice, elsewhere).unwrap_err(), SealError::Wrap);
            }
            let other_scope = Wrap { scope: WrapScope::Fields([1].into_iter().collect()), ..made.clone() };
            assert_eq!(open_wrap(&other_scope, &alice, CONTEXT).unwrap_err(), SealError::Wrap);
            assert_eq!(open_wrap(&Wrap { suite: 9, ..made }, &alice, CONTEXT).unwrap_err(), SealError::Suite(9));
        }
        let whole = wrap(&keys.all(), &alice.public(), CONTEXT, rng).unwrap();
        assert_eq!(whole.ciphertext.len() + 32, 80);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let rng = &mut SeededRng::from_seed(&[3; 32]);
        let (keys, secret) = (DocumentKeys::generate(rng), RecipientSecret::generate(rng));
        let made = wrap(&keys.all(), &secret.public(), CONTEXT, rng).unwrap();
        for bit in 0..8 * made.ciphertext.len() {
            let mut altered = made.clone();
            altered.ciphertext[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open_wrap(&altered, &secret, CONTEXT).unwrap_err(), SealError::Wrap, "{bit}");
        }
        let short = Wrap { ciphertext: made.ciphertext[1..].to_vec(), ..made };
        assert_eq!(open_wrap(&short, &secret, CONTEXT).unwrap_err(), SealError::Wrap);
    }

    #[test]
    fn a_key_of_small_order_is_refused() {
        let rng = &mut SeededRng::from_seed(&[4; 32]);
        let keys = DocumentKeys::generate(rng);
        let weak = RecipientKey::from_bytes([0; 32]);
        assert_eq!(wrap(&keys.all(), &weak, CONTEXT, rng).unwrap_err(), SealError::WeakKey);
    }
}
