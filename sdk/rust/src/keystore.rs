//! Files that keep a secret key; what is in them is [`vouch_privacy::key_file`]'s.
//!
//! A file is made with mode 0600 and refused when others can read it. It is never overwritten.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use vouch_privacy::{
    SeededRng,
    key_file::{KEY_FILE_BYTES_MAX, KeyFile, KeyFileError},
};
use vouch_types::{PublicKey, SecretKey};
use zeroize::Zeroizing;

pub use vouch_privacy::key_file::Password;

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

fn of_file(error: KeyFileError, path: &Path) -> KeystoreError {
    match error {
        KeyFileError::Malformed(reason) => KeystoreError::Malformed { path: path.into(), reason },
        KeyFileError::PasswordRequired => KeystoreError::PasswordRequired(path.into()),
        KeyFileError::WrongPassword => KeystoreError::WrongPassword(path.into()),
    }
}

/// A new secret key from the system's randomness.
///
/// # Errors
/// [`KeystoreError::System`].
pub fn generate() -> Result<SecretKey, KeystoreError> {
    random().map(SecretKey::from_seed)
}

/// Writes a key to a new file, encrypted with a password; with `None` it is written bare.
///
/// # Errors
/// [`KeystoreError::Exists`], [`KeystoreError::Io`], [`KeystoreError::System`]. When it fails no file is left behind.
pub fn save(path: &Path, key: &SecretKey, password: Option<&Password>) -> Result<(), KeystoreError> {
    let file = match password {
        Some(password) => {
            let made = KeyFile::encrypted(key, password, &mut SeededRng::from_seed(&random()?));
            made.ok_or_else(|| KeystoreError::System("there is no memory for the key derivation".into()))?
        }
        None => KeyFile::bare(key),
    };
    write_new(path, &file.to_bytes())
}

/// Reads a key.
///
/// # Errors
/// Every [`KeystoreError`] but [`KeystoreError::Exists`].
pub fn load(path: &Path, password: Option<&Password>) -> Result<SecretKey, KeystoreError> {
    read(path)?.open(password).map_err(|error| of_file(error, path))
}

/// The public key of a file, for which no password is needed.
///
/// # Errors
/// As [`load`], without those about passwords.
pub fn public_key(path: &Path) -> Result<PublicKey, KeystoreError> {
    Ok(read(path)?.public_key())
}

/// Whether a file needs a password.
///
/// # Errors
/// As [`public_key`].
pub fn is_encrypted(path: &Path) -> Result<bool, KeystoreError> {
    Ok(read(path)?.is_encrypted())
}

fn random() -> Result<[u8; 32], KeystoreError> {
    crate::random::random().map_err(|error| KeystoreError::System(error.to_string()))
}

fn read(path: &Path) -> Result<KeyFile, KeystoreError> {
    let io = |source| KeystoreError::Io { path: path.into(), source };
    let file = File::open(path).map_err(io)?;
    let mode = file.metadata().map_err(io)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeystoreError::BadPermissions { path: path.into(), mode });
    }
    let mut text = Zeroizing::new(Vec::new());
    let most = u64::try_from(KEY_FILE_BYTES_MAX).unwrap_or(u64::MAX);
    file.take(most.saturating_add(1)).read_to_end(&mut text).map_err(io)?;
    KeyFile::from_bytes(&text).map_err(|error| of_file(error, path))
}

/// Durable when it returns: a key that was used to sign must not be lost to a power cut.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), KeystoreError> {
    vouch_files::write_new(path, bytes).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => KeystoreError::Exists(path.into()),
        _ => KeystoreError::Io { path: path.into(), source },
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

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

    /// What counts as damage is tried where the form of the files is.
    #[test]
    fn damage_is_told_with_its_place() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("key.json");
        let password = Password::new("pw");
        save(&path, &key(), Some(&password)).expect("saves");
        let good = fs::read_to_string(&path).expect("text");
        fs::write(&path, &good[..good.len() / 2]).expect("writes");
        let error = load(&path, Some(&password)).expect_err("it is damaged");
        assert_eq!(error.code(), "keystore.malformed");
        assert!(error.to_string().contains("key.json"), "{error}");
    }

    #[test]
    fn nothing_secret_is_shown() {
        assert_eq!(format!("{:?}", Password::new("hidden")), "Password(<redacted>)");
        assert_eq!(format!("{:?}", key()), "SecretKey(<redacted>)");
        assert_eq!(format!("{:?}", crate::AdminToken::new("hidden")), "AdminToken(<redacted>)");
    }
}
