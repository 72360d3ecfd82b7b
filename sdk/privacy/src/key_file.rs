//! Key files: a secret key as the bytes of a file, under a password or bare.
//!
//! An encrypted file is JSON: the key under XChaCha20-Poly1305 with a key that Argon2id makes of a password. Whatever
//! stands beside the ciphertext is authenticated with it, and a checksum tells a damaged file from a wrong password. A bare
//! file holds the secret as it is: for development and for tests only. Paths, modes and the disk are `vouch_sdk::keystore`'s.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use vouch_types::{Hash32, PublicKey, SecretKey, api::HexBytes, hash::domain_hash};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Most bytes of a key file.
pub const KEY_FILE_BYTES_MAX: usize = 16 << 10;
/// Version of the file format.
const VERSION: u8 = 1;
/// RFC 9106's second recommendation with one lane: 64 MiB, three passes.
const COST: Cost = Cost { memory_kib: 64 << 10, passes: 3 };
/// Above this a file is not an honest one: opening it would take all memory.
const COST_MAX: Cost = Cost { memory_kib: 1 << 20, passes: 16 };

/// A password; erased from memory when dropped, shows nothing in `Debug`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Password(String);

impl Password {
    /// From its text, as typed.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether nothing was typed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl core::fmt::Debug for Password {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Password(<redacted>)")
    }
}

/// Why a key file cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// Not a key file, or damaged.
    #[error("{0}")]
    Malformed(&'static str),
    /// Encrypted, and no password was given.
    #[error("the key file is encrypted and needs a password")]
    PasswordRequired,
    /// The password does not open it.
    #[error("the password does not open the key file")]
    WrongPassword,
}

impl KeyFileError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "keystore.malformed",
            Self::PasswordRequired => "keystore.password_required",
            Self::WrongPassword => "keystore.wrong_password",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cost {
    memory_kib: u32,
    passes: u32,
}

/// A key file that was read and is whole.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    version: u8,
    public_key: PublicKey,
    secret: Secret,
    checksum: Hash32,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "snake_case", deny_unknown_fields)]
enum Secret {
    #[serde(rename = "argon2id-xchacha20poly1305")]
    Encrypted {
        cost: Cost,
        salt: HexBytes,
        nonce: HexBytes,
        ciphertext: HexBytes,
    },
    Bare {
        seed: HexBytes,
    },
}

impl Drop for Secret {
    fn drop(&mut self) {
        if let Self::Bare { seed } = self {
            seed.0.zeroize();
        }
    }
}

impl Secret {
    /// All bytes in one fixed order, each field of fixed length but the last.
    fn bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::Encrypted { cost, salt, nonce, ciphertext } => {
                let cost = [cost.memory_kib.to_le_bytes(), cost.passes.to_le_bytes()].concat();
                [&[1], cost.as_slice(), &salt.0, &nonce.0, &ciphertext.0].concat()
            }
            Self::Bare { seed } => [&[0], seed.0.as_slice()].concat(),
        })
    }
}

impl core::fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "KeyFile({})", self.public_key)
    }
}

impl KeyFile {
    fn new(public_key: PublicKey, secret: Secret) -> Self {
        let checksum = checksum(&public_key, &secret);
        Self { version: VERSION, public_key, secret, checksum }
    }

    /// A key under a password; `None` when there is no memory for the key derivation.
    ///
    /// # Panics
    /// Never: a seed is far below the cipher's limit.
    #[must_use]
    pub fn encrypted(key: &SecretKey, password: &Password, rng: &mut impl CryptoRng) -> Option<Self> {
        let (mut salt, mut nonce) = ([0; 16], [0; 24]);
        rng.fill_bytes(&mut salt);
        rng.fill_bytes(&mut nonce);
        let derived = derive(password, &salt, COST)?;
        let aad = authenticated(&key.public(), COST);
        let ciphertext = XChaCha20Poly1305::new(&(*derived).into())
            .encrypt(&XNonce::from(nonce), Payload { msg: key.seed(), aad: &aad })
            .expect("a seed is far below the cipher's limit");
        let (salt, nonce) = (HexBytes(salt.to_vec()), HexBytes(nonce.to_vec()));
        let secret = Secret::Encrypted { cost: COST, salt, nonce, ciphertext: HexBytes(ciphertext) };
        Some(Self::new(key.public(), secret))
    }

    /// A key as it is: for development and for tests only.
    #[must_use]
    pub fn bare(key: &SecretKey) -> Self {
        Self::new(key.public(), Secret::Bare { seed: HexBytes(key.seed().to_vec()) })
    }

    /// From a file's bytes.
    ///
    /// # Errors
    /// [`KeyFileError::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyFileError> {
        if bytes.len() > KEY_FILE_BYTES_MAX {
            return Err(KeyFileError::Malformed("it is too long for a key file"));
        }
        let file: Self = serde_json::from_slice(bytes).map_err(|_| KeyFileError::Malformed("it is not a key file"))?;
        if file.version != VERSION {
            return Err(KeyFileError::Malformed("its version is not known"));
        }
        if checksum(&file.public_key, &file.secret) != file.checksum {
            return Err(KeyFileError::Malformed("it is damaged: the checksum does not fit"));
        }
        Ok(file)
    }

    /// The bytes of the file.
    ///
    /// # Panics
    /// Never: a key file has a JSON text.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(serde_json::to_vec_pretty(self).expect("a key file has a JSON text"))
    }

    /// The public key, for which no password is needed.
    #[must_use]
    pub const fn public_key(&self) -> PublicKey {
        self.public_key
    }

    /// Whether it needs a password.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        matches!(self.secret, Secret::Encrypted { .. })
    }

    /// What its key derivation takes: KiB of memory, and how often it goes over them. Nothing for a bare file.
    #[must_use]
    pub const fn cost(&self) -> (u32, u32) {
        match &self.secret {
            Secret::Encrypted { cost, .. } => (cost.memory_kib, cost.passes),
            Secret::Bare { .. } => (0, 0),
        }
    }

    /// The secret key.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn open(&self, password: Option<&Password>) -> Result<SecretKey, KeyFileError> {
        let malformed = KeyFileError::Malformed;
        let key = match &self.secret {
            Secret::Bare { seed } => SecretKey::from_seed(seed_from(&seed.0)?),
            Secret::Encrypted { cost, salt, nonce, ciphertext } => {
                let password = password.ok_or(KeyFileError::PasswordRequired)?;
                if cost.memory_kib > COST_MAX.memory_kib || cost.passes > COST_MAX.passes {
                    return Err(malformed("the cost of its key derivation is beyond reason"));
                }
                let nonce: [u8; 24] =
                    nonce.0.as_slice().try_into().map_err(|_| malformed("the nonce has not 24 bytes"))?;
                let derived =
                    derive(password, &salt.0, *cost).ok_or(malformed("its key derivation cannot be done here"))?;
                let aad = authenticated(&self.public_key, *cost);
                let payload = Payload { msg: &ciphertext.0, aad: &aad };
                let plain = XChaCha20Poly1305::new(&(*derived).into())
                    .decrypt(&XNonce::from(nonce), payload)
                    .map_err(|_| KeyFileError::WrongPassword)?;
                SecretKey::from_seed(seed_from(&Zeroizing::new(plain))?)
            }
        };
        if key.public() == self.public_key {
            Ok(key)
        } else {
            Err(malformed("the secret is not that of the public key"))
        }
    }
}

fn seed_from(bytes: &[u8]) -> Result<[u8; 32], KeyFileError> {
    bytes.try_into().map_err(|_| KeyFileError::Malformed("the seed has not 32 bytes"))
}

fn checksum(public_key: &PublicKey, secret: &Secret) -> Hash32 {
    domain_hash("vouch/key-file/1", &[&[VERSION, public_key.algorithm], &public_key.bytes, &secret.bytes()])
}

/// What is authenticated beside the ciphertext; the salt is by being needed for the key.
fn authenticated(public_key: &PublicKey, cost: Cost) -> Vec<u8> {
    let mut out = b"vouch/key-file/1\0".to_vec();
    out.push(public_key.algorithm);
    out.extend_from_slice(&public_key.bytes);
    out.extend_from_slice(&cost.memory_kib.to_le_bytes());
    out.extend_from_slice(&cost.passes.to_le_bytes());
    out
}

/// `None` when the parameters or the salt are none that Argon2 takes, or there is no memory for it.
fn derive(password: &Password, salt: &[u8], cost: Cost) -> Option<Zeroizing<[u8; 32]>> {
    let params = Params::new(cost.memory_kib, cost.passes, 1, Some(32)).ok()?;
    let mut blocks = Vec::new();
    blocks.try_reserve_exact(params.block_count()).ok()?;
    blocks.resize(params.block_count(), Block::default());
    let mut key = Zeroizing::new([0; 32]);
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let made =
        argon.hash_password_into_with_memory(password.0.as_bytes(), salt, key.as_mut_slice(), blocks.as_mut_slice());
    blocks.zeroize();
    made.ok()?;
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededRng;

    fn key() -> SecretKey {
        SecretKey::from_seed([5; 32])
    }

    fn opened(bytes: &[u8], password: Option<&str>) -> Result<[u8; 32], &'static str> {
        let password = password.map(Password::new);
        let opened = KeyFile::from_bytes(bytes).and_then(|file| file.open(password.as_ref()));
        opened.map(|key| *key.seed()).map_err(|error| error.code())
    }

    #[test]
    fn only_the_password_opens_what_it_sealed() {
        let file =
            KeyFile::encrypted(&key(), &Password::new("correct horse"), &mut SeededRng::from_seed(&[1; 32])).unwrap();
        let bytes = file.to_bytes();
        assert!(file.is_encrypted() && file.public_key() == key().public());
        assert_eq!((file.cost(), KeyFile::bare(&key()).cost()), ((64 << 10, 3), (0, 0)));
        assert_eq!(opened(&bytes, Some("correct horse")), Ok(*key().seed()));
        assert_eq!(opened(&bytes, Some("wrong")), Err("keystore.wrong_password"));
        assert_eq!(opened(&bytes, None), Err("keystore.password_required"));
        assert!(
            !core::str::from_utf8(&bytes).unwrap().contains(&hex::encode(key().seed())),
            "the secret is in the file"
        );
    }

    /// The explorer's tests open the same files with the module for browsers.
    #[test]
    fn files_that_were_written_before_open() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/key_file.json");
        let vector: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for (name, password) in [("encrypted", vector["password"].as_str()), ("bare", None)] {
            let text = vector[name].to_string();
            let file = KeyFile::from_bytes(text.as_bytes()).unwrap();
            assert_eq!(
                (file.is_encrypted(), file.public_key().to_string().as_str()),
                (password.is_some(), vector[name]["public_key"].as_str().unwrap())
            );
            let seed = opened(text.as_bytes(), password).unwrap();
            assert_eq!(SecretKey::from_seed(seed).public(), file.public_key());
            let written: serde_json::Value = serde_json::from_slice(&file.to_bytes()).unwrap();
            assert_eq!(written, vector[name]);
        }
    }

    #[test]
    fn damage_is_told_from_a_wrong_password() {
        let file = KeyFile::encrypted(&key(), &Password::new("pw"), &mut SeededRng::from_seed(&[2; 32])).unwrap();
        let good = String::from_utf8(file.to_bytes().to_vec()).unwrap();
        let digits = good.find("\"ciphertext\": \"").unwrap() + 15;
        let flipped = if good.as_bytes()[digits] == b'0' { "1" } else { "0" };
        let damaged = [
            format!("{}{flipped}{}", &good[..digits], &good[digits + 1..]),
            good.replacen("65536", "65537", 1),
            good.replacen("\"version\": 1", "\"version\": 2", 1),
            good[..good.len() / 2].to_owned(),
            "x".repeat(20_000),
            String::new(),
        ];
        for text in damaged {
            assert_eq!(opened(text.as_bytes(), Some("pw")), Err("keystore.malformed"), "{text}");
        }
    }

    #[test]
    fn a_file_that_asks_for_all_memory_is_refused() {
        let bytes = |n| HexBytes(vec![0; n]);
        let cost = Cost { memory_kib: u32::MAX, passes: 1 };
        let secret = Secret::Encrypted { cost, salt: bytes(16), nonce: bytes(24), ciphertext: bytes(48) };
        let file = KeyFile::new(key().public(), secret).to_bytes();
        assert_eq!(opened(&file, Some("pw")), Err("keystore.malformed"));
    }

    #[test]
    fn a_bare_secret_is_that_of_the_public_key() {
        assert_eq!(opened(&KeyFile::bare(&key()).to_bytes(), None), Ok(*key().seed()));
        let other = KeyFile::new(SecretKey::from_seed([6; 32]).public(), Secret::Bare { seed: HexBytes(vec![5; 32]) });
        assert_eq!(opened(&other.to_bytes(), None), Err("keystore.malformed"));
        assert_eq!(format!("{:?}", Password::new("hidden")), "Password(<redacted>)");
    }
}
