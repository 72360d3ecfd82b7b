//! Files that keep a secret key.
//!
//! An encrypted file is JSON: the key under XChaCha20-Poly1305 with a key that Argon2id makes of a password. Whatever
//! stands beside the ciphertext is authenticated with it, and a checksum tells a damaged file from a wrong password. The
//! file is made with mode 0600 and refused when others can read it. A file is never overwritten.
//!
//! A bare file holds the secret as it is: for development and for tests only.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use serde::{Deserialize, Serialize};
use vouch_types::{Hash32, PublicKey, SecretKey, api::HexBytes, hash::domain_hash};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Version of the file format.
const VERSION: u8 = 1;
/// Most bytes of a key file.
const FILE_BYTES_MAX: u64 = 16 << 10;
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

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(<redacted>)")
    }
}

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// The system would not read or write it.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is a file at the path where a new one should be made.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// Others than the owner may read or write it.
    #[error("{} has mode {mode:04o}, only the owner may have access (0600)", path.display())]
    BadPermissions {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Not a key file, or damaged.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// Encrypted, and no password was given.
    #[error("{} is encrypted and needs a password", .0.display())]
    PasswordRequired(PathBuf),
    /// The password does not open it.
    #[error("the password does not open {}", .0.display())]
    WrongPassword(PathBuf),
    /// The system has no randomness or no memory for the key derivation.
    #[error("{0}")]
    System(String),
}

impl KeystoreError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } | Self::System(_) => "keystore.io",
            Self::Exists(_) => "keystore.exists",
            Self::BadPermissions { .. } => "keystore.bad_permissions",
            Self::Malformed { .. } => "keystore.malformed",
            Self::PasswordRequired(_) => "keystore.password_required",
            Self::WrongPassword(_) => "keystore.wrong_password",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cost {
    memory_kib: u32,
    passes: u32,
}

/// No `Debug`: one of its forms holds the secret.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
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

impl KeyFile {
    fn new(public_key: PublicKey, secret: Secret) -> Self {
        let checksum = checksum(&public_key, &secret);
        Self { version: VERSION, public_key, secret, checksum }
    }
}

fn checksum(public_key: &PublicKey, secret: &Secret) -> Hash32 {
    domain_hash("vouch/key-file/1", &[&[VERSION, public_key.algorithm], &public_key.bytes, &secret.bytes()])
}

/// A new secret key from the system's randomness.
///
/// # Errors
/// [`KeystoreError::System`].
pub fn generate() -> Result<SecretKey, KeystoreError> {
    Ok(SecretKey::from_seed(random()?))
}

/// Writes a key to a new file, encrypted with a password; with `None` it is written bare.
///
/// # Errors
/// [`KeystoreError::Exists`], [`KeystoreError::Io`], [`KeystoreError::System`]. When it fails no file is left behind.
pub fn save(path: &Path, key: &SecretKey, password: Option<&Password>) -> Result<(), KeystoreError> {
    let secret = match password {
        Some(password) => encrypt(key, password)?,
        None => Secret::Bare { seed: HexBytes(key.seed().to_vec()) },
    };
    let file = KeyFile::new(key.public(), secret);
    let text = serde_json::to_vec_pretty(&file).map_err(|error| KeystoreError::System(error.to_string()))?;
    write_new(path, &Zeroizing::new(text))
}

/// Reads a key.
///
/// # Errors
/// Every [`KeystoreError`] but [`KeystoreError::Exists`].
pub fn load(path: &Path, password: Option<&Password>) -> Result<SecretKey, KeystoreError> {
    let file = read(path)?;
    let malformed = |reason| KeystoreError::Malformed { path: path.into(), reason };
    let key = match &file.secret {
        Secret::Bare { seed } => {
            SecretKey::from_seed(seed.0.as_slice().try_into().map_err(|_| malformed("the seed has not 32 bytes"))?)
        }
        Secret::Encrypted { cost, salt, nonce, ciphertext } => {
            let password = password.ok_or_else(|| KeystoreError::PasswordRequired(path.into()))?;
            if cost.memory_kib > COST_MAX.memory_kib || cost.passes > COST_MAX.passes {
                return Err(malformed("the cost of its key derivation is beyond reason"));
            }
            let nonce: [u8; 24] = nonce.0.as_slice().try_into().map_err(|_| malformed("the nonce has not 24 bytes"))?;
            let key = derive(password, &salt.0, *cost).ok_or_else(|| malformed("its key derivation cannot be done"))?;
            let aad = authenticated(&file.public_key, *cost);
            let payload = Payload { msg: &ciphertext.0, aad: &aad };
            let seed = XChaCha20Poly1305::new(key.as_slice().into())
                .decrypt(&XNonce::from(nonce), payload)
                .map_err(|_| KeystoreError::WrongPassword(path.into()))?;
            let seed = Zeroizing::new(seed);
            SecretKey::from_seed(seed.as_slice().try_into().map_err(|_| malformed("the seed has not 32 bytes"))?)
        }
    };
    if key.public() == file.public_key { Ok(key) } else { Err(malformed("the secret is not that of the public key")) }
}

/// The public key of a file, for which no password is needed.
///
/// # Errors
/// As [`load`], without those about passwords.
pub fn public_key(path: &Path) -> Result<PublicKey, KeystoreError> {
    Ok(read(path)?.public_key)
}

/// Whether a file needs a password.
///
/// # Errors
/// As [`public_key`].
pub fn is_encrypted(path: &Path) -> Result<bool, KeystoreError> {
    Ok(matches!(read(path)?.secret, Secret::Encrypted { .. }))
}

fn encrypt(key: &SecretKey, password: &Password) -> Result<Secret, KeystoreError> {
    let (salt, nonce) = (random::<16>()?, random::<24>()?);
    let derived = derive(password, &salt, COST)
        .ok_or_else(|| KeystoreError::System("the key derivation refused its own parameters".into()))?;
    let aad = authenticated(&key.public(), COST);
    let ciphertext = XChaCha20Poly1305::new(derived.as_slice().into())
        .encrypt(&XNonce::from(nonce), Payload { msg: key.seed(), aad: &aad })
        .map_err(|_| KeystoreError::System("the key could not be encrypted".into()))?;
    let (salt, nonce) = (HexBytes(salt.to_vec()), HexBytes(nonce.to_vec()));
    Ok(Secret::Encrypted { cost: COST, salt, nonce, ciphertext: HexBytes(ciphertext) })
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

/// `None` when the parameters or the salt are none that Argon2 takes.
fn derive(password: &Password, salt: &[u8], cost: Cost) -> Option<Zeroizing<[u8; 32]>> {
    let params = Params::new(cost.memory_kib, cost.passes, 1, Some(32)).ok()?;
    let mut key = Zeroizing::new([0; 32]);
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon.hash_password_into(password.0.as_bytes(), salt, key.as_mut_slice()).ok()?;
    Some(key)
}

fn random<const N: usize>() -> Result<[u8; N], KeystoreError> {
    crate::random::random().map_err(|error| KeystoreError::System(error.to_string()))
}

fn read(path: &Path) -> Result<KeyFile, KeystoreError> {
    let io = |source| KeystoreError::Io { path: path.into(), source };
    let malformed = |reason| KeystoreError::Malformed { path: path.into(), reason };
    let file = File::open(path).map_err(io)?;
    let mode = file.metadata().map_err(io)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeystoreError::BadPermissions { path: path.into(), mode });
    }
    let mut text = Zeroizing::new(Vec::new());
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(io)?;
    if u64::try_from(text.len()).map_or(true, |length| length > FILE_BYTES_MAX) {
        return Err(malformed("it is too long for a key file"));
    }
    let file: KeyFile = serde_json::from_slice(&text).map_err(|_| malformed("it is not a key file"))?;
    if file.version != VERSION {
        return Err(malformed("its version is not known"));
    }
    if checksum(&file.public_key, &file.secret) != file.checksum {
        return Err(malformed("it is damaged: the checksum does not fit"));
    }
    Ok(file)
}

/// Durable when it returns: a key that was used to sign must not be lost to a power cut.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), KeystoreError> {
    let io = |source| KeystoreError::Io { path: path.into(), source };
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|source| {
            match source.kind() {
                io::ErrorKind::AlreadyExists => KeystoreError::Exists(path.into()),
                _ => io(source),
            }
        })?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    });
    written.map_err(|source| {
        let _ = fs::remove_file(path);
        io(source)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SecretKey {
        SecretKey::from_seed([5; 32])
    }

    fn code<T>(result: Result<T, KeystoreError>) -> &'static str {
        result.err().expect("must fail").code()
    }

    #[test]
    fn encrypted_round_trip_mode_and_wrong_password() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("key.json");
        let password = Password::new("correct horse");
        save(&path, &key(), Some(&password)).expect("saves");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o7777, 0o600);
        assert_eq!(load(&path, Some(&password)).expect("opens").seed(), key().seed());
        assert_eq!(public_key(&path).expect("public"), key().public());
        assert!(is_encrypted(&path).expect("readable"));
        let text = fs::read_to_string(&path).expect("text");
        assert!(!text.contains(&hex::encode(key().seed())), "the secret stands in the file");
        assert_eq!(code(load(&path, Some(&Password::new("wrong")))), "keystore.wrong_password");
        assert_eq!(code(load(&path, None)), "keystore.password_required");
        assert_eq!(code(save(&path, &key(), Some(&password))), "keystore.exists");
        assert_eq!(fs::read_to_string(&path).expect("text"), text, "nothing was overwritten");
    }

    #[test]
    fn a_bare_file_and_who_may_read_it() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("key.json");
        save(&path, &key(), None).expect("saves");
        assert_eq!(load(&path, None).expect("opens").seed(), key().seed());
        assert!(!is_encrypted(&path).expect("readable"));
        for mode in [0o640, 0o604, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
            assert_eq!(code(load(&path, None)), "keystore.bad_permissions", "{mode:o}");
        }
        assert_eq!(code(load(&dir.path().join("none"), None)), "keystore.io");
        assert_eq!(code(save(&dir.path().join("no/such/dir"), &key(), None)), "keystore.io");
    }

    #[test]
    fn damage_is_told_from_a_wrong_password() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("key.json");
        let password = Password::new("pw");
        save(&path, &key(), Some(&password)).expect("saves");
        let good = fs::read_to_string(&path).expect("text");
        let digits = good.find("\"ciphertext\": \"").expect("field") + 15;
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
            fs::write(&path, &text).expect("writes");
            assert_eq!(code(load(&path, Some(&password))), "keystore.malformed", "{text}");
        }
    }

    #[test]
    fn a_file_that_asks_for_all_memory_is_refused() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("key.json");
        let cost = Cost { memory_kib: u32::MAX, passes: 1 };
        let bytes = |n| HexBytes(vec![0; n]);
        let secret = Secret::Encrypted { cost, salt: bytes(16), nonce: bytes(24), ciphertext: bytes(48) };
        let text = serde_json::to_vec(&KeyFile::new(key().public(), secret)).expect("text");
        write_new(&path, &text).expect("writes");
        assert_eq!(code(load(&path, Some(&Password::new("pw")))), "keystore.malformed");
    }

    #[test]
    fn a_bare_secret_of_another_key_is_refused() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("key.json");
        let file = KeyFile::new(SecretKey::from_seed([6; 32]).public(), Secret::Bare { seed: HexBytes(vec![5; 32]) });
        write_new(&path, &serde_json::to_vec(&file).expect("text")).expect("writes");
        assert_eq!(code(load(&path, None)), "keystore.malformed");
    }

    #[test]
    fn nothing_secret_is_shown() {
        assert_eq!(format!("{:?}", Password::new("hidden")), "Password(<redacted>)");
        assert_eq!(format!("{:?}", key()), "SecretKey(<redacted>)");
        assert_eq!(format!("{:?}", crate::AdminToken::new("hidden")), "AdminToken(<redacted>)");
    }
}
