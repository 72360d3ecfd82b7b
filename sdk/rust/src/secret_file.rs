//! Files that keep other secret bytes than a key of the chain, such as the key of a certificate authority.
//!
//! The bytes are sealed with XChaCha20-Poly1305 in one file; what opens them comes from a [key file](crate::keystore)
//! beside it, `NAME.lock`, which a password protects. Both are for their owner only and never overwritten. A lock without its
//! file is what a crash left: the next file of that name is sealed with it, if it is under the same password.

use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use vouch_types::{SecretKey, hash::domain_hash};
use zeroize::Zeroizing;

use crate::{
    keystore::{self, KeystoreError, Password},
    random::random,
};

/// First bytes of a file: what it is, and the version of its form.
const MAGIC: &[u8] = b"vouch/secret-file/1\0";
const NONCE_BYTES: usize = 24;
/// Most bytes of a file.
const FILE_BYTES_MAX: u64 = 16 << 10;

/// Where the key file lies that opens a file of secret bytes.
#[must_use]
pub fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// One kind of bytes is not taken for another, nor one lock for another.
fn cipher(lock: &SecretKey, kind: &str) -> XChaCha20Poly1305 {
    let key = Zeroizing::new(domain_hash("vouch/secret-file-key/1", &[kind.as_bytes(), &[0], lock.seed()]).0);
    XChaCha20Poly1305::new(key.as_slice().into())
}

/// Writes secret bytes of a kind to a new file, under a password; with `None` whoever can read both files can read them.
///
/// # Errors
/// As [`keystore::save`].
pub fn save(path: &Path, kind: &str, secret: &[u8], password: Option<&Password>) -> Result<(), KeystoreError> {
    if path.exists() {
        return Err(KeystoreError::Exists(path.into()));
    }
    let system = KeystoreError::System;
    let lock_path = lock_path(path);
    let left = left_behind(&lock_path, password)?;
    let is_left = left.is_some();
    let lock = left.map_or_else(keystore::generate, Ok)?;
    let nonce = random::<NONCE_BYTES>().map_err(|error| system(error.to_string()))?;
    let sealed = cipher(&lock, kind).encrypt(&XNonce::from(nonce), Payload { msg: secret, aad: kind.as_bytes() });
    let sealed = sealed.map_err(|_| system("the secret could not be encrypted".into()))?;
    if !is_left {
        keystore::save(&lock_path, &lock, password)?;
    }
    keystore::write_new(path, &[MAGIC, &nonce, &sealed].concat()).inspect_err(|_| {
        if !is_left {
            // It opens nothing. Where it stays it is found again.
            drop(fs::remove_file(&lock_path));
        }
    })
}

/// The lock of a file that is not there, as a crash between the two leaves it. It is used and never replaced: the file that it
/// opens may only have been moved away.
fn left_behind(lock_path: &Path, password: Option<&Password>) -> Result<Option<SecretKey>, KeystoreError> {
    if !lock_path.exists() {
        return Ok(None);
    }
    let exists = || KeystoreError::Exists(lock_path.into());
    if keystore::is_encrypted(lock_path)? != password.is_some() {
        return Err(exists());
    }
    match keystore::load(lock_path, password) {
        Err(KeystoreError::WrongPassword(_)) => Err(exists()),
        opened => opened.map(Some),
    }
}

/// Reads secret bytes of a kind.
///
/// # Errors
/// As [`keystore::load`]: what is about a password names the lock.
pub fn load(path: &Path, kind: &str, password: Option<&Password>) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
    let io = |source| KeystoreError::Io { path: path.into(), source };
    let malformed = |reason| KeystoreError::Malformed { path: path.into(), reason };
    let file = File::open(path).map_err(io)?;
    let mode = file.metadata().map_err(io)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeystoreError::BadPermissions { path: path.into(), mode });
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(io)?;
    if u64::try_from(bytes.len()).map_or(true, |length| length > FILE_BYTES_MAX) {
        return Err(malformed("it is too long for a file of a secret"));
    }
    let rest = bytes.strip_prefix(MAGIC).and_then(|rest| rest.split_first_chunk::<NONCE_BYTES>());
    let (nonce, sealed) = rest.ok_or_else(|| malformed("it is no file of a secret"))?;
    let lock = keystore::load(&lock_path(path), password)?;
    let payload = Payload { msg: sealed, aad: kind.as_bytes() };
    let opened = cipher(&lock, kind).decrypt(&XNonce::from(*nonce), payload);
    opened.map(Zeroizing::new).map_err(|_| malformed("it is damaged, of another kind, or not the lock's"))
}

/// Whether such a file needs a password.
///
/// # Errors
/// As [`keystore::is_encrypted`].
pub fn is_encrypted(path: &Path) -> Result<bool, KeystoreError> {
    keystore::is_encrypted(&lock_path(path))
}

/// Overwrites the bytes and what opens them, and removes both. What a disk keeps beside is the disk's: the password protects
/// that.
///
/// # Errors
/// [`KeystoreError::Io`].
pub fn destroy(path: &Path) -> Result<(), KeystoreError> {
    for path in [lock_path(path), path.to_path_buf()] {
        let destroyed = || -> std::io::Result<()> {
            use std::io::Write as _;
            let mut file = fs::OpenOptions::new().write(true).open(&path)?;
            let length = usize::try_from(file.metadata()?.len().min(FILE_BYTES_MAX)).unwrap_or(0);
            file.write_all(&vec![0; length])?;
            file.sync_all()?;
            fs::remove_file(&path)?;
            vouch_files::sync_folder(&path)
        };
        match destroyed() {
            // Cut off between the two before.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            other => other.map_err(|source| KeystoreError::Io { path, source })?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T>(result: Result<T, KeystoreError>) -> &'static str {
        result.err().expect("must fail").code()
    }

    #[test]
    fn bytes_come_back_for_their_kind_and_password_only() {
        let dir = tempfile::tempdir().expect("dir");
        let (path, bare) = (dir.path().join("ca.key"), dir.path().join("bare.key"));
        let password = Password::new("correct horse");
        save(&path, "authority", b"secret bytes", Some(&password)).expect("saves");
        save(&bare, "authority", b"secret bytes", None).expect("saves");
        for file in [&path, &lock_path(&path)] {
            assert_eq!(fs::metadata(file).expect("there").permissions().mode() & 0o7777, 0o600);
        }
        assert_eq!(load(&path, "authority", Some(&password)).expect("opens").as_slice(), b"secret bytes");
        assert_eq!(load(&bare, "authority", None).expect("opens").as_slice(), b"secret bytes");
        assert!(is_encrypted(&path).expect("reads") && !is_encrypted(&bare).expect("reads"));
        let bytes = fs::read(&path).expect("bytes");
        assert!(!bytes.windows(12).any(|window| window == b"secret bytes"), "the secret stands in the file");
        assert_eq!(code(load(&path, "authority", Some(&Password::new("wrong")))), "keystore.wrong_password");
        assert_eq!(code(load(&path, "authority", None)), "keystore.password_required");
        assert_eq!(code(load(&path, "other", Some(&password))), "keystore.malformed");
        assert_eq!(code(save(&path, "authority", b"x", None)), "keystore.exists");
        assert_eq!(code(load(&dir.path().join("none"), "authority", None)), "keystore.io");
        fs::copy(lock_path(&bare), dir.path().join("other.key.lock")).expect("copies");
        fs::copy(&path, dir.path().join("other.key")).expect("copies");
        assert_eq!(
            code(load(&dir.path().join("other.key"), "authority", None)),
            "keystore.malformed",
            "another's lock"
        );
    }

    #[test]
    fn a_lock_that_a_crash_left_is_used_and_never_replaced() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("ca.key");
        let password = Password::new("correct horse");
        save(&path, "authority", b"first", Some(&password)).expect("saves");
        let moved = dir.path().join("moved.key");
        fs::rename(&path, &moved).expect("moves");
        let lock = fs::read(lock_path(&path)).expect("bytes");
        for other in [None, Some(&Password::new("another"))] {
            assert_eq!(code(save(&path, "authority", b"second", other)), "keystore.exists");
        }
        assert!(!path.exists());
        save(&path, "authority", b"second", Some(&password)).expect("saves");
        assert_eq!(load(&path, "authority", Some(&password)).expect("opens").as_slice(), b"second");
        assert_eq!(fs::read(lock_path(&path)).expect("bytes"), lock);
        fs::rename(&moved, &path).expect("moves back");
        assert_eq!(load(&path, "authority", Some(&password)).expect("opens").as_slice(), b"first");
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_no_lock() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("ca.key");
        std::os::unix::fs::symlink(dir.path().join("nowhere"), &path).expect("links");
        assert_eq!(code(save(&path, "authority", b"secret bytes", None)), "keystore.exists");
        assert!(!lock_path(&path).exists());
    }

    #[test]
    fn damage_and_permissions_are_noticed_and_a_destroyed_one_is_gone() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("ca.key");
        save(&path, "authority", b"secret bytes", None).expect("saves");
        let good = fs::read(&path).expect("bytes");
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            fs::write(&path, bytes).expect("writes");
            assert_eq!(code(load(&path, "authority", None)), "keystore.malformed", "byte {at}");
        }
        for bytes in [&good[..good.len() - 1], &good[..30], &[], &[7; 20_000]] {
            fs::write(&path, bytes).expect("writes");
            assert_eq!(code(load(&path, "authority", None)), "keystore.malformed");
        }
        fs::write(&path, &good).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("chmod");
        assert_eq!(code(load(&path, "authority", None)), "keystore.bad_permissions");
        destroy(&path).expect("destroys");
        assert!(!path.exists() && !lock_path(&path).exists());
        destroy(&path).expect("there is nothing left to do");
    }
}
