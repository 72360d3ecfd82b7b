//! Ids from business numbers: the same number is the same document or person in every run, and nobody without the key can tell
//! which number an id stands for.

use std::{
    collections::HashMap,
    fs,
    io::{ErrorKind, Read},
    path::Path,
};

use vouch_privacy::stream::Cells;
use vouch_types::{SubjectId, document::DocumentId};

use crate::{Before, Fault};

/// Bytes that stand for one thing that a document says.
pub(crate) const PART_BYTES: usize = 8;
/// Most bytes of a file with numbers.
const NUMBERS_BYTES_MAX: u64 = 1 << 30;
/// The kind under which aliases of persons stand in a file with numbers.
pub const PERSON: &str = "person";

/// The secret that ids are derived with. Who loses it may send rows a second time; who has it can test guesses of numbers.
#[derive(Clone)]
pub struct UplinkKey([u8; 32]);

impl std::fmt::Debug for UplinkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UplinkKey(<redacted>)")
    }
}

impl UplinkKey {
    /// From its bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads the key file; `None` when there is none, or an empty one that a crash left while it was made.
    ///
    /// # Errors
    /// `uplink.io`, `uplink.key` when the file is no key.
    pub fn load(path: &Path) -> Result<Option<Self>, Fault> {
        let place = path.display().to_string();
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Fault::io(place, &error)),
        };
        if text.is_empty() {
            return Ok(None);
        }
        #[cfg(unix)]
        only_owner(path, &place)?;
        Self::from_text(&text, &place).map(Some)
    }

    /// From what a key file holds.
    ///
    /// # Errors
    /// `uplink.key`.
    pub fn from_text(text: &str, place: &str) -> Result<Self, Fault> {
        let mut key = [0; 32];
        hex::decode_to_slice(text.trim(), &mut key)
            .map_err(|_| Fault::new("uplink.key", place, "the file does not hold 64 hexadecimal digits"))?;
        Ok(Self(key))
    }

    /// Makes a key file of `fresh` random bytes. Rows that were sent under another key would be sent again under this one, so
    /// somebody must want that.
    ///
    /// # Errors
    /// `uplink.io`, `uplink.key` when there is one already.
    #[cfg(feature = "native")]
    pub fn make(path: &Path, fresh: [u8; 32]) -> Result<Self, Fault> {
        let place = path.display().to_string();
        if Self::load(path)?.is_some() {
            return Err(Fault::new("uplink.key", place, "there is a key already"));
        }
        let text = hex::encode(fresh);
        vouch_files::write(path, text.as_bytes()).map_err(|error| Fault::io(place, &error))?;
        Ok(Self(fresh))
    }

    /// What tells keys apart for people, and nothing else.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex::encode(&self.derive("vouch/uplink-fingerprint/1", &[])[..4])
    }

    fn derive(&self, domain: &str, parts: &[&str]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in std::iter::once(&domain).chain(parts) {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        *hasher.finalize().as_bytes()
    }

    /// The id of an issuer's document with a business number under a schema.
    #[must_use]
    pub fn document(&self, issuer: &str, schema: &str, number: &str) -> DocumentId {
        let hash = self.derive("vouch/uplink-document/1", &[schema, number]);
        let mut chosen = [0; 10];
        chosen.copy_from_slice(&hash[..10]);
        DocumentId::issued(issuer, chosen)
    }

    /// The alias of a person with a number.
    #[must_use]
    pub fn person(&self, number: &str) -> SubjectId {
        SubjectId(self.derive("vouch/uplink-person/1", &[number]))
    }

    /// What salts and keys of a document are derived from: another one for each content, so that the same row seals to the same
    /// bytes, and another row never shares a key with it.
    #[must_use]
    pub fn seed(&self, id: DocumentId, content: &[u8; 32]) -> [u8; 32] {
        self.derive("vouch/uplink-seed/1", &[&id.to_string(), &hex::encode(content)])
    }

    /// The same for a version that follows another: another one also for each predecessor, so that a content that comes back never
    /// shares a key with what it was before.
    #[must_use]
    pub fn version_seed(&self, id: DocumentId, before: &Before, content: &[u8; 32]) -> [u8; 32] {
        let (version, root) = (before.version.to_string(), before.root.to_string());
        self.derive("vouch/uplink-version-seed/1", &[&id.to_string(), &version, &root, &hex::encode(content)])
    }

    /// What stands in the journal for one thing that a document says: nobody without the key can tell what it is, or that two documents
    /// say the same.
    #[must_use]
    pub(crate) fn part(&self, id: DocumentId, name: &str, value: &str) -> [u8; PART_BYTES] {
        let hash = self.derive("vouch/uplink-part/1", &[&id.to_string(), name, value]);
        let mut part = [0; PART_BYTES];
        part.copy_from_slice(&hash[..PART_BYTES]);
        part
    }

    /// A hash of content that says nothing to who does not have the key.
    #[must_use]
    pub fn content(&self, bytes: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.0, bytes).as_bytes()
    }
}

/// Whoever can read the key can test guesses of numbers.
#[cfg(unix)]
fn only_owner(path: &Path, place: &str) -> Result<(), Fault> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path).map_err(|error| Fault::io(place, &error))?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Fault::new("uplink.key", place, "others may read this file, and test guesses of numbers: chmod 600"))
}

/// Ids that others gave to numbers: `kind,number,id`, where the kind is a schema or `person`.
#[derive(Debug, Default, Clone)]
pub struct Numbers(HashMap<(String, String), String>);

impl Numbers {
    /// Adds what a file says.
    ///
    /// # Errors
    /// `uplink.numbers` with the line, `uplink.io`.
    pub fn add_file(&mut self, path: &Path) -> Result<(), Fault> {
        let place = path.display().to_string();
        let file = fs::File::open(path).map_err(|error| Fault::io(&place, &error))?;
        if file.metadata().map_err(|error| Fault::io(&place, &error))?.len() > NUMBERS_BYTES_MAX {
            let reason = format!("it has more than {} MiB", NUMBERS_BYTES_MAX >> 20);
            return Err(Fault::new("uplink.numbers", place, reason));
        }
        self.add(file, &place)
    }

    /// Adds what a file says that somebody else opened.
    ///
    /// # Errors
    /// `uplink.numbers` with the line, `uplink.io`.
    pub fn add(&mut self, file: impl Read, place: &str) -> Result<(), Fault> {
        let wrong = |line: u64, why: &str| Fault::new("uplink.numbers", format!("{place}, line {line}"), why);
        let reader = std::io::BufReader::new(file.take(NUMBERS_BYTES_MAX));
        let mut cells = Cells::new(reader, Some(b',')).map_err(|error| Fault::io(place, &error))?;
        let mut row: Vec<String> = Vec::new();
        loop {
            let cell = cells.next_cell().map_err(|error| wrong(0, &error.to_string()))?;
            let Some(cell) = cell else { break };
            row.push(cell.text);
            if !cell.ends_row {
                continue;
            }
            let taken = std::mem::take(&mut row);
            if cell.line == 1 || (taken.len() == 1 && cell.is_bare) {
                continue;
            }
            let Ok([kind, number, id]) = <[String; 3]>::try_from(taken) else {
                return Err(wrong(cell.line, "expected kind, number and id"));
            };
            let is_known =
                if kind == PERSON { id.parse::<SubjectId>().is_ok() } else { id.parse::<DocumentId>().is_ok() };
            if !is_known {
                return Err(wrong(cell.line, "the id is not of the kind's form"));
            }
            self.0.insert((kind, number), id);
        }
        Ok(())
    }

    fn get(&self, kind: &str, number: &str) -> Option<&String> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&(kind.to_owned(), number.to_owned()))
    }

    /// The document that a number stands for: what somebody gave it, else what the own key gives it as a document of `issuer`.
    #[must_use]
    pub fn document(&self, key: &UplinkKey, issuer: &str, schema: &str, number: &str) -> DocumentId {
        let known = self.get(schema, number).and_then(|id| id.parse().ok());
        known.unwrap_or_else(|| key.document(issuer, schema, number))
    }

    /// The person that a number stands for.
    #[must_use]
    pub fn person(&self, key: &UplinkKey, number: &str) -> SubjectId {
        let known = self.get(PERSON, number).and_then(|id| id.parse().ok());
        known.unwrap_or_else(|| key.person(number))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use vouch_types::DocumentRoot;

    use super::*;

    #[test]
    fn a_number_has_one_id_and_parts_do_not_run_together() {
        let key = UplinkKey::new([7; 32]);
        assert_eq!(key.document("works", "a", "1"), key.document("works", "a", "1"));
        assert_ne!(key.document("works", "a", "11"), key.document("works", "a1", "1"));
        assert_ne!(key.document("works", "a", "1"), UplinkKey::new([8; 32]).document("works", "a", "1"));
        let id = key.document("works", "a", "1");
        assert_ne!(key.seed(id, &[1; 32]), key.seed(id, &[2; 32]));
        let after = |version, root| Before { version, root: DocumentRoot([root; 32]) };
        let seeds = [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2)]
            .map(|(version, root, content)| key.version_seed(id, &after(version, root), &[content; 32]));
        let all: std::collections::BTreeSet<_> = seeds.into_iter().chain([key.seed(id, &[1; 32])]).collect();
        assert_eq!(all.len(), 5, "a content that comes back has keys of its own");
        assert_ne!(key.part(id, "a", "1"), key.part(key.document("works", "a", "2"), "a", "1"));
    }

    #[test]
    fn a_key_file_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("uplink.key");
        assert!(UplinkKey::load(&path).unwrap().is_none());
        fs::write(&path, "").unwrap();
        assert!(UplinkKey::load(&path).unwrap().is_none());
        let made = UplinkKey::make(&path, [1; 32]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(UplinkKey::make(&path, [2; 32]).unwrap_err().code, "uplink.key");
        let kept = UplinkKey::load(&path).unwrap().unwrap();
        assert_eq!((made.person("x"), made.fingerprint()), (kept.person("x"), kept.fingerprint()));
        assert_ne!(made.fingerprint(), UplinkKey::new([2; 32]).fingerprint());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(UplinkKey::load(&path).unwrap_err().code, "uplink.key");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "zz").unwrap();
        assert_eq!(UplinkKey::load(&path).unwrap_err().code, "uplink.key");
    }

    #[test]
    fn numbers_of_others_come_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.csv");
        let (key, id) = (UplinkKey::new([7; 32]), "0a".repeat(16));
        fs::write(&path, format!("kind,number,id\nservice-contract,\"C,1\",{id}\nperson,9,{}\n", "0b".repeat(32)))
            .unwrap();
        let mut numbers = Numbers::default();
        numbers.add_file(&path).unwrap();
        assert_eq!(numbers.document(&key, "works", "service-contract", "C,1").to_string(), id);
        assert_eq!(
            numbers.document(&key, "works", "service-contract", "C2"),
            key.document("works", "service-contract", "C2")
        );
        assert_eq!(numbers.person(&key, "9").to_string(), "0b".repeat(32));
        for bad in ["kind,number,id\nx,1\n", "kind,number,id\nx,1,zz\n"] {
            fs::write(&path, bad).unwrap();
            let fault = Numbers::default().add_file(&path).unwrap_err();
            assert_eq!((fault.code, fault.place.ends_with("line 2")), ("uplink.numbers", true));
        }
    }
}
