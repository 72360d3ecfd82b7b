//! The member's decryption keys and the node's own keys for what lies in the vault, each from a key file of the home.
//!
//! A key file holds a seed. What opens documents is made of it under a name of its own, so that the seed is never used for
//! two things: an X25519 key for the member's encryption key, 32 bytes for the master key of the shelf.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, bail};
use parking_lot::Mutex;
use vouch_privacy::{FieldKeySet, RecipientSecret, SealError, Wrap, WrapContext, open_wrap};
use vouch_sdk::{Password, keystore};
use vouch_types::{Hash32, SecretKey, hash::domain_hash};
use vouch_vault::MemberSecrets;
use zeroize::Zeroizing;

/// Ending of key files.
const KEY_ENDING: &str = "key";
/// How often the folder is looked at for a key that is not known, at most.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The secret half of an encryption key, from its key file.
#[must_use]
pub fn recipient_secret(key: &SecretKey) -> RecipientSecret {
    RecipientSecret::from_bytes(domain_hash("vouch/member-encryption/1", &[key.seed()]).0)
}

/// What protects document keys on the shelf, from the key file of the vault.
#[must_use]
pub fn master_key(key: &SecretKey) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(domain_hash("vouch/vault-master/1", &[key.seed()]).0)
}

/// Makes an encryption key in a folder, in a file named by its public half, which is returned: X25519, as the registry has it.
///
/// # Errors
/// A text that names the path.
pub fn new_encryption_key(folder: &Path, password: Option<&Password>) -> Result<Hash32> {
    let key = keystore::generate().context("no randomness for a key")?;
    let public = recipient_secret(&key).public().0;
    let path = folder.join(format!("{public}.{KEY_ENDING}"));
    keystore::save(&path, &key, password).with_context(|| format!("key {}", path.display()))?;
    Ok(public)
}

/// The member's encryption keys in a folder: the present one and those before it, which still open what was sealed to them.
///
/// A file that is put there while the node runs is found when something is sealed to it, so a key is rotated without a
/// restart.
#[derive(Debug, Clone)]
pub struct MemberKeys {
    folder: PathBuf,
    password: Option<Password>,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    files: BTreeSet<PathBuf>,
    /// Files that could not be read, as they were then: opening one is slow on purpose, and it hides no other.
    unreadable: BTreeMap<PathBuf, Option<SystemTime>>,
    secrets: Vec<Arc<RecipientSecret>>,
    looked_at: Option<Instant>,
}

impl MemberKeys {
    /// Reads all keys of a folder.
    ///
    /// # Errors
    /// A text that names the file.
    pub fn open(folder: &Path, password: Option<Password>) -> Result<Self> {
        let keys = Self { folder: folder.to_owned(), password, held: Arc::default() };
        keys.look(&mut keys.held.lock())?;
        Ok(keys)
    }

    /// Reads files that were not read before. One that cannot be read is told, after all others were read.
    fn look(&self, held: &mut Held) -> Result<()> {
        held.looked_at = Some(Instant::now());
        let folder = || format!("the encryption keys in {}", self.folder.display());
        let mut failed = None;
        for entry in fs::read_dir(&self.folder).with_context(folder)? {
            let path = entry.with_context(folder)?.path();
            let changed = fs::metadata(&path).and_then(|file| file.modified()).ok();
            let is_known = held.files.contains(&path) || held.unreadable.get(&path) == Some(&changed);
            if is_known || path.extension().is_none_or(|ending| ending != KEY_ENDING) {
                continue;
            }
            match self.read(&path) {
                Ok(secret) => {
                    held.secrets.push(Arc::new(secret));
                    held.files.insert(path);
                }
                Err(error) => {
                    held.unreadable.insert(path, changed);
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn read(&self, path: &Path) -> Result<RecipientSecret> {
        let password = keystore::is_encrypted(path)?.then_some(self.password.as_ref()).flatten();
        let key = keystore::load(path, password).with_context(|| path.display().to_string())?;
        let secret = recipient_secret(&key);
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if name.parse::<Hash32>() != Ok(secret.public().0) {
            bail!("{} holds the encryption key {}, which its name must be", path.display(), secret.public().0);
        }
        Ok(secret)
    }

    /// The secret that a test of the public half finds; looks at the folder again if there is none.
    fn find(&self, is_sought: impl Fn(&RecipientSecret) -> bool) -> Option<Arc<RecipientSecret>> {
        let mut held = self.held.lock();
        let known = |held: &Held| held.secrets.iter().find(|secret| is_sought(secret)).cloned();
        if let Some(secret) = known(&held) {
            return Some(secret);
        }
        if held.looked_at.is_none_or(|at| at.elapsed() >= LOOK_AGAIN) {
            if let Err(error) = self.look(&mut held) {
                tracing::warn!("an encryption key of the member cannot be read: {error:#}");
            }
            return known(&held);
        }
        None
    }

    /// Whether the secret half of an encryption key is here.
    #[must_use]
    pub fn has(&self, public: &[u8; 32]) -> bool {
        self.find(|secret| secret.public().0.0 == *public).is_some()
    }
}

impl MemberSecrets for MemberKeys {
    fn open(&self, wrap: &Wrap, context: WrapContext) -> Result<FieldKeySet, SealError> {
        let secret = self.find(|secret| secret.public().id() == wrap.recipient);
        open_wrap(wrap, secret.as_deref().ok_or(SealError::Recipient)?, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_by_their_public_half_also_when_they_come_later() {
        let folder = tempfile::tempdir().unwrap();
        let password = Password::new("correct horse");
        let first = new_encryption_key(folder.path(), Some(&password)).unwrap();
        let keys = MemberKeys::open(folder.path(), Some(password)).unwrap();
        assert!(keys.has(&first.0));
        let second = new_encryption_key(folder.path(), None).unwrap();
        keys.held.lock().looked_at = None;
        assert!(keys.has(&second.0) && keys.has(&first.0) && !keys.has(&[9; 32]));
        assert!(MemberKeys::open(folder.path(), None).is_err(), "an encrypted key needs its password");
    }

    #[test]
    fn a_file_that_cannot_be_read_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let keys = MemberKeys::open(folder.path(), None).unwrap();
        // Whichever way the folder is listed, one of them comes before the good one.
        for name in ["0", "z"] {
            fs::write(folder.path().join(format!("{name}.key")), "noise").unwrap();
        }
        let good = new_encryption_key(folder.path(), None).unwrap();
        keys.held.lock().looked_at = None;
        assert!(keys.has(&good.0));
        assert_eq!(keys.held.lock().unreadable.len(), 2);
        assert!(keys.look(&mut keys.held.lock()).is_ok(), "they are not tried again until they change");
        let repaired = new_encryption_key(folder.path(), None).unwrap();
        fs::rename(folder.path().join(format!("{repaired}.key")), folder.path().join("0.key")).unwrap();
        let error = format!("{:#}", keys.look(&mut keys.held.lock()).unwrap_err());
        assert!(error.contains(&repaired.to_string()), "{error}");
    }

    #[test]
    fn a_file_under_another_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let public = new_encryption_key(folder.path(), None).unwrap();
        let renamed = folder.path().join(format!("{}.key", Hash32([1; 32])));
        fs::rename(folder.path().join(format!("{public}.key")), renamed).unwrap();
        let error = format!("{:#}", MemberKeys::open(folder.path(), None).unwrap_err());
        assert!(error.contains(&public.to_string()), "{error}");
    }

    #[test]
    fn one_seed_gives_secrets_that_have_nothing_in_common() {
        let key = SecretKey::from_seed([5; 32]);
        assert_ne!(&*master_key(&key), recipient_secret(&key).bytes());
        assert_ne!(&*master_key(&key), key.seed());
    }
}
