//! What the contracts `relations` and `documents` share: who a party is, who acts, when something happened, and lists whose
//! numbers have no gaps.
//!
//! Deliberately not here: any rule of either contract.
#![cfg_attr(target_arch = "wasm32", no_std)]

pub mod actor;
pub mod field_set;
pub mod surroundings;

use vouch_contract::{Context, Hash, String, Vec, load, record, store};

pub use actor::Actor;
pub use surroundings::{Around, Surroundings, Ties, tie};

/// Most entries of one list.
pub const LIST_MAX: u32 = 50;
/// The contract in whose name calls come that the members decided.
pub const SYSTEM: &str = "system";
/// Longest name of a member, in bytes.
pub const MEMBER_BYTES_MAX: usize = 64;

record! {
    /// When something happened.
    pub struct Moment = ("Moment", "时间点") {
        /// Height of the block.
        pub height: u64 = ("Height", "区块高度"),
        /// Time of the block in milliseconds since 1970.
        pub time_ms: u64 = ("Time", "时间"),
    }
}

impl Moment {
    /// The time of a call.
    #[must_use]
    pub const fn of(context: &Context) -> Self {
        Self { height: context.height, time_ms: context.time_ms }
    }
}

record! {
    /// A member or a subject: exactly one of the two, where a record does not say otherwise.
    #[derive(PartialOrd, Ord, Default)]
    pub struct Party = ("Party", "当事方") {
        /// The member's name.
        pub member: Option<String> = ("Member", "成员"),
        /// The person's alias.
        pub subject: Option<Hash> = ("Person", "个人"),
    }
}

impl Party {
    /// A member.
    #[must_use]
    pub fn of_member(name: &str) -> Self {
        Self { member: Some(name.into()), subject: None }
    }

    /// A person.
    #[must_use]
    pub const fn of_subject(alias: Hash) -> Self {
        Self { member: None, subject: Some(alias) }
    }

    /// Whether it is exactly one of the two, with a name that a member can have.
    #[must_use]
    pub fn is_one(&self) -> bool {
        match (&self.member, &self.subject) {
            (Some(name), None) => (1..=MEMBER_BYTES_MAX).contains(&name.len()),
            (None, Some(_)) => true,
            _ => false,
        }
    }

    /// Whether it is this member.
    #[must_use]
    pub fn is_member(&self, name: &str) -> bool {
        self.member.as_deref() == Some(name)
    }

    /// Part of a key: no party's is the beginning of another's. Nobody named stands for everyone.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        match (&self.member, &self.subject) {
            (Some(name), _) => [b"m".as_slice(), &named(name)].concat(),
            (None, Some(alias)) => [b"s", alias.as_ref()].concat(),
            (None, None) => b"a".to_vec(),
        }
    }
}

/// A name with its length before it, as part of a key. Names have at most 255 bytes; callers have checked that.
#[must_use]
pub fn named(name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
    [&[length], name.as_bytes()].concat()
}

/// A key of parts of fixed or self-delimiting length.
#[must_use]
pub fn key(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    key.push(tag);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

/// One more than the number stored under a key, stored again.
pub fn next(key: &[u8]) -> u64 {
    let number = count(key) + 1;
    store(key, &number);
    number
}

/// The number stored under a key, 0 if none is.
#[must_use]
pub fn count(key: &[u8]) -> u64 {
    load(key).unwrap_or(0)
}

/// Whether a call comes from what the members decided.
#[must_use]
pub fn is_decided(context: &Context) -> bool {
    context.calling_contract.as_deref() == Some(SYSTEM)
}

/// Whether a text is a word: 1 to 64 of `a-z 0-9 - _ .`, a letter first. Codes, purposes, roles and names are words.
#[must_use]
pub fn is_word(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    text.len() <= 64 && text.as_bytes().first().is_some_and(u8::is_ascii_lowercase) && text.bytes().all(legal)
}

/// Entries of a list by number, from the one after `after`: keys are known, so nothing is scanned. At most [`LIST_MAX`].
pub fn page<T>(after: u64, limit: u32, entry: impl Fn(u64) -> Option<T>) -> Vec<T> {
    let mut entries = Vec::new();
    let mut number = after;
    while entries.len() < limit.min(LIST_MAX) as usize {
        let Some(following) = number.checked_add(1) else { break };
        number = following;
        let Some(found) = entry(number) else { break };
        entries.push(found);
    }
    entries
}
