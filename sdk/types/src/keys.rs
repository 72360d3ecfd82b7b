//! Keys and signatures: made with `ed25519-dalek`, judged by the one cofactored rule of ZIP-215.
//!
//! All nodes must agree on every verdict, so there is one rule for a single signature and for a batch: `ed25519-zebra`.
//! dalek's own batch check answers differently from its single one for crafted keys. ZIP-215 admits keys of small order;
//! those are refused where a key is *registered* ([`PublicKey::is_weak`]), as a rule of the state, never by a verifier.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wincode::{SchemaRead, SchemaWrite};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::hash::{AccountId, Hash32, NodeId, domain_hash};

/// How a key signs. The byte stands before every key so that SM2 can join later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Algorithm {
    /// Ed25519 as of RFC 8032, verified by ZIP-215.
    Ed25519 = 1,
}

/// An algorithm byte and the key's 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite)]
pub struct PublicKey {
    /// See [`Algorithm`]; kept as a byte so that an unknown one decodes and is refused with its own error.
    pub algorithm: u8,
    /// The encoded point.
    pub bytes: [u8; 32],
}

/// The 64 bytes `R ‖ s`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite)]
#[repr(transparent)]
pub struct Signature(pub [u8; 64]);

/// Why a key or signature is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The algorithm byte is none that this version knows.
    #[error("signature algorithm {0} is not known")]
    UnknownAlgorithm(u8),
    /// The equation does not hold, or key or signature does not decode.
    #[error("signature does not verify")]
    Invalid,
}

/// Why a text is not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a public key as \"ed25519:\" and 64 hexadecimal digits")]
pub struct ParseKeyError;

impl PublicKey {
    /// An Ed25519 key from its bytes, unchecked: whether it decodes shows when a signature is verified.
    #[must_use]
    pub const fn ed25519(bytes: [u8; 32]) -> Self {
        Self { algorithm: Algorithm::Ed25519 as u8, bytes }
    }

    /// The account this key stands for.
    #[must_use]
    pub fn account(&self) -> AccountId {
        AccountId(domain_hash("vouch/account/1", &[&[self.algorithm], &self.bytes]).0)
    }

    /// The node this key stands for.
    #[must_use]
    pub fn node(&self) -> NodeId {
        NodeId(domain_hash("vouch/node/1", &[&[self.algorithm], &self.bytes]).0)
    }

    /// True for a key nobody may register: unknown algorithm, not a point, not in canonical form, or of small order.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        // dalek keeps the bytes it was given, so the point has to be encoded anew to see whether they are its one form.
        self.algorithm != Algorithm::Ed25519 as u8
            || ed25519_dalek::VerifyingKey::from_bytes(&self.bytes)
                .map_or(true, |key| key.is_weak() || key.to_edwards().compress().to_bytes() != self.bytes)
    }

    /// Checks a signature over `message`.
    ///
    /// # Errors
    /// [`SignatureError`]; the verdict is the same as that of [`verify_batch`].
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), SignatureError> {
        if self.algorithm != Algorithm::Ed25519 as u8 {
            return Err(SignatureError::UnknownAlgorithm(self.algorithm));
        }
        ed25519_zebra::VerificationKey::try_from(self.bytes)
            .and_then(|key| key.verify(&ed25519_zebra::Signature::from(signature.0), message))
            .map_err(|_| SignatureError::Invalid)
    }
}

/// One signature of a batch: who, over what, the signature.
#[derive(Debug, Clone, Copy)]
pub struct BatchItem {
    /// The key.
    pub key: PublicKey,
    /// What was signed: in Vouch always a 32-byte digest.
    pub message: Hash32,
    /// The signature.
    pub signature: Signature,
}

/// Checks many signatures at once; from about 64 on two to three times cheaper than one by one.
///
/// `entropy` blinds the linear combination: 32 bytes the senders of the signatures could not foresee.
/// Returns one verdict per item, each equal to [`PublicKey::verify`]'s.
#[must_use]
pub fn verify_batch(items: &[BatchItem], entropy: &[u8; 32]) -> Vec<Result<(), SignatureError>> {
    let mut batch = ed25519_zebra::batch::Verifier::new();
    for item in items.iter().filter(|i| i.key.algorithm == Algorithm::Ed25519 as u8) {
        batch.queue((
            ed25519_zebra::VerificationKeyBytes::from(item.key.bytes),
            ed25519_zebra::Signature::from(item.signature.0),
            item.message.as_bytes(),
        ));
    }
    if batch.verify(BlindingRng::new(entropy)).is_ok() {
        return items
            .iter()
            .map(|i| match i.key.algorithm {
                a if a == Algorithm::Ed25519 as u8 => Ok(()),
                other => Err(SignatureError::UnknownAlgorithm(other)),
            })
            .collect();
    }
    items.iter().map(|i| i.key.verify(i.message.as_bytes(), &i.signature)).collect()
}

/// BLAKE3 in output mode as the source of blinding scalars: deterministic from the caller's entropy.
struct BlindingRng(blake3::OutputReader);

impl BlindingRng {
    fn new(entropy: &[u8; 32]) -> Self {
        Self(blake3::Hasher::new_keyed(entropy).update(b"vouch/batch-blinding/1").finalize_xof())
    }
}

impl rand_core::TryRng for BlindingRng {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for BlindingRng {}

/// A secret key. Not `Clone`, not `Serialize`; its `Debug` shows nothing; erased from memory when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// From 32 bytes of good randomness.
    #[must_use]
    pub const fn from_seed(seed: [u8; 32]) -> Self {
        Self(seed)
    }

    /// The seed, for an encrypted keystore only.
    #[must_use]
    pub const fn seed(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey::ed25519(ed25519_dalek::SigningKey::from_bytes(&self.0).verifying_key().to_bytes())
    }

    /// Signs `message`; deterministic (RFC 8032).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        use ed25519_dalek::Signer as _;
        Signature(ed25519_dalek::SigningKey::from_bytes(&self.0).sign(message).to_bytes())
    }
}

impl core::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SecretKey(<redacted>)")
    }
}

impl core::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let name = if self.algorithm == Algorithm::Ed25519 as u8 { "ed25519" } else { "unknown" };
        write!(f, "{name}:{}", hex::encode(self.bytes))
    }
}

impl core::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "PublicKey({}…)", hex::encode(&self.bytes[..6]))
    }
}

impl core::str::FromStr for PublicKey {
    type Err = ParseKeyError;
    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let digits = text.strip_prefix("ed25519:").ok_or(ParseKeyError)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| ParseKeyError)?;
        Ok(Self::ed25519(bytes))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl core::fmt::Debug for Signature {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Signature({}…)", hex::encode(&self.0[..6]))
    }
}

impl core::fmt::Display for Signature {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let mut bytes = [0; 64];
        hex::decode_to_slice(&text, &mut bytes)
            .map_err(|_| serde::de::Error::custom("expected 128 hexadecimal digits"))?;
        Ok(Self(bytes))
    }
}
