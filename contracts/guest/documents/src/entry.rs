//! What is open beyond the rules: one entry per grant or piece of evidence that is in force, under the version and whom it
//! is for, so that a reader's own are found without looking at those of others.

use records::{count, key, named};
use vouch_contract::{Bytes, Hash, String, Vec, load, remove, scan, store};

use crate::{DocumentsError, document::version_part, limits::ENTRIES_MAX};

/// To whom something is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum To {
    /// A member.
    Member(String),
    /// Whoever has the secret of this X25519 public key.
    Key(Hash),
}

/// What is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) fields: Bytes,
    pub(crate) purpose: String,
    /// Before when, in milliseconds since 1970.
    pub(crate) until_ms: u64,
    /// A grant or evidence.
    pub(crate) basis: u8,
}

vouch_contract::__codec!(Entry { fields, purpose, until_ms, basis });

impl Entry {
    pub(crate) const fn is_open(&self, time_ms: u64) -> bool {
        time_ms < self.until_ms
    }
}

/// What made an entry: its number never meets that of another source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A grant, by its number.
    Grant(u64),
    /// A piece of evidence of a dispute.
    Evidence(u64, u8),
}

impl Source {
    fn part(self) -> [u8; 10] {
        let (tag, number, index) = match self {
            Self::Grant(id) => (b'g', id, 0),
            Self::Evidence(dispute, index) => (b'x', dispute, index),
        };
        let mut part = [0; 10];
        part[0] = tag;
        part[1..9].copy_from_slice(&number.to_be_bytes());
        part[9] = index;
        part
    }
}

const SOURCE_BYTES: usize = 10;
/// Most entries of one member for one version that count: there cannot be more of all.
const SCAN_MAX: u32 = ENTRIES_MAX as u32;

fn to_part(to: &To) -> Vec<u8> {
    match to {
        To::Member(name) => [b"m".as_slice(), &named(name)].concat(),
        To::Key(public) => [b"k", public.as_ref()].concat(),
    }
}

fn entry_key(id: &Bytes, version: u32, to: &To, source: Source) -> Vec<u8> {
    key(b'a', &[&version_part(&id.0, version), &to_part(to), &source.part()])
}

fn count_key(id: &Bytes, version: u32) -> Vec<u8> {
    key(b'A', &[&version_part(&id.0, version)])
}

pub(crate) fn add(id: &Bytes, version: u32, to: &To, source: Source, entry: &Entry) -> Result<(), DocumentsError> {
    let counter = count_key(id, version);
    let number = count(&counter);
    if number >= ENTRIES_MAX {
        return Err(DocumentsError::TooMany);
    }
    store(&counter, &(number + 1));
    store(&entry_key(id, version, to, source), entry);
    Ok(())
}

/// Removes an entry that is there.
pub(crate) fn close(id: &Bytes, version: u32, to: &To, source: Source) {
    let at = entry_key(id, version, to, source);
    if load::<Entry>(&at).is_some() {
        remove(&at);
        let counter = count_key(id, version);
        store(&counter, &count(&counter).saturating_sub(1));
    }
}

fn decoded(value: &[u8]) -> Entry {
    match vouch_contract::decode(value) {
        Ok(entry) => entry,
        Err(_) => panic!("a stored value has another type"),
    }
}

/// Entries for one member.
pub(crate) fn of_member(id: &Bytes, version: u32, member: &str) -> Vec<Entry> {
    let number = count(&count_key(id, version));
    if number == 0 {
        return Vec::new();
    }
    let prefix = key(b'a', &[&version_part(&id.0, version), &to_part(&To::Member(member.into()))]);
    scan(&prefix, &[], SCAN_MAX.min(number as u32)).iter().map(|(_, value)| decoded(value)).collect()
}

/// All entries of a version.
pub(crate) fn of_version(id: &Bytes, version: u32) -> Vec<(To, Entry)> {
    let number = count(&count_key(id, version));
    if number == 0 {
        return Vec::new();
    }
    let prefix = key(b'a', &[&version_part(&id.0, version)]);
    let found = scan(&prefix, &[], SCAN_MAX.min(number as u32));
    found
        .iter()
        .filter_map(|(at, value)| {
            let part = at.get(prefix.len()..at.len().checked_sub(SOURCE_BYTES)?)?;
            let to = match part.split_first()? {
                (b'm', name) => To::Member(String::from(core::str::from_utf8(name.get(1..)?).ok()?)),
                (_, public) => To::Key(Hash(public.try_into().ok()?)),
            };
            Some((to, decoded(value)))
        })
        .collect()
}
