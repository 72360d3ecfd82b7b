//! The folder of a member's authority.
//!
//! ```text
//! root.pem            its certificate, which the chain names
//! root.key            its key, sealed                  (mode 0600)
//! root.key.lock       opens it, under a password       (mode 0600)
//! authority.json      the member, the number of the last list
//! crl.pem             the last list of revoked certificates
//! certificates/       what was issued, each under its fingerprint
//! lock                held by a command while it works
//! ```

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use vouch_certificates::{Authority, Certificate, Key, NewAuthority, Reason, Revoked, Subject};
use vouch_sdk::{Password, secret_file};
use vouch_types::{Hash32, TimestampMs};

use super::refused;
use crate::{
    commands::{GlobalArgs, output::Refused, password::open_bytes},
    home,
    server_certificate::AUTHORITY_KEY,
};

/// What became of a certificate, as far as the authority has brought it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Signed, not on the chain yet.
    Issued,
    /// On the chain.
    Recorded,
    /// Revoked; the chain knows it.
    Revoked,
    /// Revoked in the list, not on the chain yet.
    RevokedHere,
    /// Its key was destroyed; the chain knows it.
    Destroyed,
    /// Its key was destroyed, the chain does not know it yet.
    DestroyedHere,
}

impl Standing {
    /// The text used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Recorded => "recorded",
            Self::Revoked => "revoked",
            Self::RevokedHere => "revoked_here",
            Self::Destroyed => "destroyed",
            Self::DestroyedHere => "destroyed_here",
        }
    }

    /// Whether it may still be used.
    #[must_use]
    pub const fn counts(self) -> bool {
        matches!(self, Self::Issued | Self::Recorded)
    }
}

/// A certificate that was issued.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The certificate, PEM.
    pub certificate: String,
    /// Whom it speaks for.
    pub subject: Subject,
    /// What became of it.
    pub standing: Standing,
    /// The one it takes the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renews: Option<Hash32>,
    /// When and why it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<(TimestampMs, Reason)>,
}

impl Entry {
    /// The certificate.
    ///
    /// # Errors
    /// When the file was damaged.
    pub fn read(&self) -> Result<Certificate> {
        Certificate::read(self.certificate.as_bytes()).map_err(|error| refused(&error, &self.subject))
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    member: String,
    /// Number of the last list of revoked certificates.
    list: u64,
}

/// The folder, held by this command alone.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    book: Book,
    root: Certificate,
    _lock: fs::File,
}

/// The key of an authority whose making was cut off, under the password that is given now.
fn left_behind(path: &Path, password: Option<&Password>) -> Result<Key> {
    if secret_file::is_encrypted(path)? != password.is_some() {
        let text = "there is a key already, and it is not as the new one shall be: with a password, or without one";
        return Err(Refused::error("certificate.authority", text, path.display().to_string()));
    }
    let bytes = secret_file::load(path, AUTHORITY_KEY, password)?;
    Key::from_pkcs8(&bytes).map_err(|error| refused(&error, path.display()))
}

impl Folder {
    /// Whether a new authority can be made there, or one whose making was cut off: that has a key, and signed nothing with it.
    ///
    /// # Errors
    /// `certificate.authority` when there is one.
    pub fn must_be_new(path: &Path) -> Result<()> {
        let has = |name: &str| path.join(name).exists();
        if has("root.pem") || (has("root.key") && has("crl.pem")) {
            let text = "there is an authority already; it is never overwritten";
            return Err(Refused::error("certificate.authority", text, path.display().to_string()));
        }
        Ok(())
    }

    /// Makes the folder, the key and the root.
    ///
    /// # Errors
    /// A text that names the path; an authority is never overwritten.
    pub fn create(
        path: &Path,
        member: &str,
        new: &NewAuthority,
        now: TimestampMs,
        password: Option<&Password>,
    ) -> Result<Self> {
        Self::must_be_new(path)?;
        home::private_folder(&path.join("certificates"))?;
        let key_path = path.join("root.key");
        let left = key_path.exists();
        let key = if left {
            left_behind(&key_path, password)?
        } else {
            Key::generate().map_err(|error| refused(&error, path.display()))?
        };
        let authority = Authority::create(new, &key, now).map_err(|error| refused(&error, path.display()))?;
        let book = Book { member: member.into(), list: 0 };
        home::replace(&path.join("authority.json"), &serde_json::to_vec_pretty(&book)?, 0o600)?;
        if !left {
            secret_file::save(&key_path, AUTHORITY_KEY, &key.pkcs8(), password)?;
        }
        // Last: a folder with a root is a complete one.
        home::replace(&path.join("root.pem"), authority.certificate().to_pem().as_bytes(), 0o644)?;
        let mut folder = Self::open(path)?;
        folder.sign_list(&authority, now, 7)?;
        Ok(folder)
    }

    /// Opens it and waits until no other command works on it.
    ///
    /// # Errors
    /// `certificate.authority` when there is none.
    pub fn open(path: &Path) -> Result<Self> {
        let none = |error: &dyn std::fmt::Display| {
            let text = format!("there is no authority here: {error}");
            Refused::error("certificate.authority", text, path.display().to_string())
        };
        let root = fs::read(path.join("root.pem")).map_err(|error| none(&error))?;
        let root = Certificate::read(&root).map_err(|error| none(&error))?;
        let lock = fs::OpenOptions::new().create(true).truncate(false).write(true).open(path.join("lock"));
        let lock = lock.map_err(|error| none(&error))?;
        lock.lock().context("the lock of the authority's folder")?;
        let book = fs::read(path.join("authority.json")).map_err(|error| none(&error))?;
        let book = serde_json::from_slice(&book).map_err(|error| none(&error))?;
        Ok(Self { path: path.into(), book, root, _lock: lock })
    }

    /// The member.
    #[must_use]
    pub fn member(&self) -> &str {
        &self.book.member
    }

    /// Its root.
    #[must_use]
    pub const fn root(&self) -> &Certificate {
        &self.root
    }

    /// Opens its key; asks for the password if it has one.
    ///
    /// # Errors
    /// The keystore's, or that the authority was closed.
    pub fn authority(&self, global: &GlobalArgs) -> Result<Authority> {
        let path = self.key_path();
        if self.is_closed() {
            let text = "the authority was closed: its key is destroyed";
            return Err(Refused::error("certificate.authority", text, self.path.display().to_string()));
        }
        let bytes = open_bytes(global, &path, AUTHORITY_KEY)?;
        let key = Key::from_pkcs8(&bytes).map_err(|error| refused(&error, path.display()))?;
        Authority::open(self.root.clone(), &key).map_err(|error| refused(&error, path.display()))
    }

    /// Where its key lies.
    #[must_use]
    fn key_path(&self) -> PathBuf {
        self.path.join("root.key")
    }

    /// Whether its key was destroyed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.key_path().exists()
    }

    /// Destroys its key.
    ///
    /// # Errors
    /// A text that names the path.
    pub fn destroy_key(&self) -> Result<()> {
        Ok(secret_file::destroy(&self.key_path())?)
    }

    fn entry_path(&self, fingerprint: Hash32) -> PathBuf {
        self.path.join("certificates").join(format!("{fingerprint}.json"))
    }

    /// Writes what became of a certificate.
    ///
    /// # Errors
    /// A text that names the path.
    pub fn keep(&self, entry: &Entry) -> Result<()> {
        home::replace(&self.entry_path(entry.read()?.fingerprint()), &serde_json::to_vec_pretty(entry)?, 0o600)
    }

    /// A certificate that was issued here.
    ///
    /// # Errors
    /// `certificate.authority` when it was not.
    pub fn find(&self, fingerprint: Hash32) -> Result<Entry> {
        let path = self.entry_path(fingerprint);
        if !path.exists() {
            let text = format!("this authority issued no certificate {fingerprint}");
            return Err(Refused::error("certificate.authority", text, self.path.display().to_string()));
        }
        read_entry(&path)
    }

    /// All that were issued here, those that end first before the others.
    ///
    /// # Errors
    /// A text that names the path.
    pub fn entries(&self) -> Result<Vec<(Certificate, Entry)>> {
        let folder = self.path.join("certificates");
        let mut found = Vec::new();
        for file in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = file?.path();
            if path.extension().is_some_and(|end| end == "json") {
                let entry = read_entry(&path)?;
                found.push((entry.read()?, entry));
            }
        }
        found.sort_by_key(|(certificate, _)| (certificate.not_after(), certificate.fingerprint()));
        Ok(found)
    }

    /// Others than this one that are for the same key and may still be used.
    ///
    /// # Errors
    /// A text that names the path.
    pub fn for_the_same_key(&self, certificate: &Certificate, now: TimestampMs) -> Result<Vec<Entry>> {
        let is_other = |(other, entry): &(Certificate, Entry)| {
            other.public() == certificate.public()
                && other.fingerprint() != certificate.fingerprint()
                && entry.standing.counts()
                && other.not_after() >= now
        };
        Ok(self.entries()?.into_iter().filter(is_other).map(|(_, entry)| entry).collect())
    }

    /// Whether others may have this key, because a certificate for it was revoked for that.
    ///
    /// # Errors
    /// A text that names the path.
    pub fn is_compromised(&self, key_of: &Certificate) -> Result<bool> {
        let is = |(other, entry): &(Certificate, Entry)| {
            other.public() == key_of.public() && matches!(entry.revoked, Some((_, Reason::KeyCompromise)))
        };
        Ok(self.entries()?.iter().any(is))
    }

    /// Signs the list of revoked certificates anew, under the next number. Those that have ended are left out.
    ///
    /// # Errors
    /// A text that names what is wrong.
    pub fn sign_list(&mut self, authority: &Authority, now: TimestampMs, days: u32) -> Result<(String, u64)> {
        let mut revoked = Vec::new();
        for (certificate, entry) in self.entries()? {
            if let Some((at, reason)) = entry.revoked
                && certificate.not_after() >= now
            {
                revoked.push(Revoked { serial: certificate.serial().to_vec(), at, reason });
            }
        }
        let number = self.book.list + 1;
        let list = authority.revocation_list(&revoked, number, now, days);
        let list = list.map_err(|error| refused(&error, self.path.display()))?;
        // The number first: no two lists have the same.
        self.book.list = number;
        home::replace(&self.path.join("authority.json"), &serde_json::to_vec_pretty(&self.book)?, 0o600)?;
        home::replace(&self.path.join("crl.pem"), list.as_bytes(), 0o644)?;
        Ok((list, number))
    }
}

fn read_entry(path: &Path) -> Result<Entry> {
    let text = fs::read(path).with_context(|| path.display().to_string())?;
    serde_json::from_slice(&text).with_context(|| path.display().to_string())
}

/// Overwrites a file and removes it. What the disk keeps beside it is the disk's; the password protects that.
///
/// # Errors
/// A text that names the path.
pub fn destroy_file(path: &Path) -> Result<()> {
    use std::io::Write as _;
    let data = fs::symlink_metadata(path).with_context(|| path.display().to_string())?;
    if !data.is_file() || data.len() > 1 << 20 {
        bail!("{} is no key file", path.display());
    }
    let length = usize::try_from(data.len()).unwrap_or(0);
    let destroyed = || -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).open(path)?;
        file.write_all(&vec![0; length])?;
        file.sync_all()?;
        fs::remove_file(path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::File::open(folder)?.sync_all()
    };
    destroyed().with_context(|| format!("cannot destroy {}", path.display()))
}

#[cfg(test)]
mod tests {
    use vouch_certificates::{Order, Profile, Request, SubjectKind};

    use super::*;
    use crate::runner::wall;

    fn new() -> NewAuthority {
        NewAuthority {
            organisation: "bank".into(),
            title: "Authority of bank".into(),
            permitted: Vec::new(),
            has_nodes_below: true,
            days: 1_000,
        }
    }

    #[test]
    fn an_authority_whose_making_was_cut_off_is_made_with_the_key_it_has() {
        let parent = tempfile::tempdir().unwrap();
        let (path, password) = (parent.path().join("authority"), Password::new("correct horse"));
        let made = |password: Option<&Password>| Folder::create(&path, "bank", &new(), wall(), password);
        let key = made(Some(&password)).unwrap().root().public().to_vec();
        fs::remove_file(path.join("root.pem")).unwrap();
        assert!(made(Some(&password)).is_err(), "it has signed something");
        fs::remove_file(path.join("crl.pem")).unwrap();
        for other in [None, Some(&Password::new("another"))] {
            assert!(made(other).is_err());
        }
        assert_eq!(made(Some(&password)).unwrap().root().public(), key);
        assert!(made(Some(&password)).is_err());
    }

    #[test]
    fn an_authority_is_made_once_and_lists_have_growing_numbers() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("authority");
        let mut folder = Folder::create(&path, "bank", &new(), wall(), None).unwrap();
        let authority = folder.authority(&GlobalArgs::default()).unwrap();
        let subject = Subject::new("bank", SubjectKind::System, "erp").unwrap();
        let request = Request::make(&Key::generate().unwrap(), &subject, &[]).unwrap();
        let request = Request::read(request.as_bytes()).unwrap();
        let order = Order { request: &request, subject: &subject, profile: Profile::Client, names: &[], days: 30 };
        let certificate = authority.issue(&order, wall()).unwrap();
        let mut entry = Entry {
            certificate: certificate.to_pem(),
            subject: subject.clone(),
            standing: Standing::Issued,
            renews: None,
            revoked: None,
        };
        folder.keep(&entry).unwrap();
        let empty = folder.sign_list(&authority, wall(), 7).unwrap();
        assert_eq!(empty.1, 2);
        entry.revoked = Some((wall(), Reason::Superseded));
        folder.keep(&entry).unwrap();
        assert_eq!(folder.find(certificate.fingerprint()).unwrap().revoked, entry.revoked);
        let renewed = authority.renew(&certificate, 60, wall()).unwrap();
        let next = Entry { certificate: renewed.to_pem(), revoked: None, ..entry.clone() };
        folder.keep(&next).unwrap();
        let others = |of: &Certificate, at| folder.for_the_same_key(of, at).unwrap();
        assert_eq!(others(&certificate, wall()).len(), 1, "one key, two certificates");
        assert_eq!(others(&renewed, wall()).len(), 1);
        let late = TimestampMs(wall().0 + 31 * vouch_certificates::DAY_MS);
        assert!(others(&renewed, late).is_empty(), "the other one has ended");
        folder.keep(&Entry { standing: Standing::Revoked, ..next }).unwrap();
        assert!(folder.for_the_same_key(&certificate, wall()).unwrap().is_empty(), "revoked already");
        assert!(!folder.is_compromised(&renewed).unwrap(), "it was superseded");
        folder.keep(&Entry { revoked: Some((wall(), Reason::KeyCompromise)), ..entry.clone() }).unwrap();
        assert!(folder.is_compromised(&renewed).unwrap(), "one key");
        folder.keep(&entry).unwrap();
        let full = folder.sign_list(&authority, wall(), 7).unwrap();
        let names_it = |list: &str| {
            let lists = vouch_certificates::RevocationList::read_all(list.as_bytes()).unwrap();
            lists[0].der().windows(certificate.serial().len()).any(|bytes| bytes == certificate.serial())
        };
        assert!(!names_it(&empty.0) && names_it(&full.0) && full.1 == 3);
        let ended = TimestampMs(wall().0 + 31 * vouch_certificates::DAY_MS);
        assert!(!names_it(&folder.sign_list(&authority, ended, 7).unwrap().0), "ended ones are left out");
        drop(folder);
        let code =
            |error: &anyhow::Error| error.downcast_ref::<Refused>().map(|r| r.0.code.clone()).unwrap_or_default();
        let again = Folder::create(&path, "bank", &new(), wall(), None).unwrap_err();
        assert_eq!(code(&again), "certificate.authority");
        assert_eq!(code(&Folder::open(&parent.path().join("none")).unwrap_err()), "certificate.authority");
        let folder = Folder::open(&path).unwrap();
        assert_eq!(code(&folder.find(Hash32([1; 32])).unwrap_err()), "certificate.authority");
        folder.destroy_key().unwrap();
        assert!(!folder.key_path().exists());
        assert_eq!(code(&folder.authority(&GlobalArgs::default()).unwrap_err()), "certificate.authority");
    }
}
