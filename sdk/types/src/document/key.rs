//! Keys of the contract's state, for whoever reads its records without running it: the index, and clients that ask for proofs.
//!
//! Part of the contract's interface, like the records themselves: `contracts/guest/documents` checks that it writes there.

use super::DocumentId;
use crate::hash::SubjectId;

/// How many documents there are: a `u64`.
pub const DOCUMENTS: &[u8] = b"CLa";
/// How many grants were ever made: a `u64`.
pub const GRANTS: &[u8] = b"G";
/// How many disputes were ever opened: a `u64`.
pub const DISPUTES: &[u8] = b"X";
/// How many erasures were ever asked for: a `u64`.
pub const ERASURES: &[u8] = b"S";

fn key(tag: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut key = tag.to_vec();
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

/// A [`super::Document`].
#[must_use]
pub fn document(id: &DocumentId) -> Vec<u8> {
    key(b"d", &[id.as_bytes()])
}

/// A [`super::Version`].
#[must_use]
pub fn version(id: &DocumentId, version: u32) -> Vec<u8> {
    key(b"v", &[id.as_bytes(), &version.to_be_bytes()])
}

/// A [`super::Schema`]. Names have at most 255 bytes.
#[must_use]
pub fn schema(name: &str, version: u32) -> Vec<u8> {
    key(b"h", &[&named(name), &version.to_be_bytes()])
}

/// The 16 bytes of the id of the document with a number among all, from 1.
#[must_use]
pub fn listed(number: u64) -> Vec<u8> {
    key(b"ELa", &[&number.to_be_bytes()])
}

/// A [`super::Grant`].
#[must_use]
pub fn grant(number: u64) -> Vec<u8> {
    key(b"g", &[&number.to_be_bytes()])
}

/// A [`super::Dispute`].
#[must_use]
pub fn dispute(number: u64) -> Vec<u8> {
    key(b"x", &[&number.to_be_bytes()])
}

/// An [`super::Erasure`].
#[must_use]
pub fn erasure(id: &DocumentId) -> Vec<u8> {
    key(b"e", &[id.as_bytes()])
}

/// The id of the document whose erasure has a number among all, from 1.
#[must_use]
pub fn erasure_number(number: u64) -> Vec<u8> {
    key(b"s", &[&number.to_be_bytes()])
}

/// How many documents name a document: a `u64`; absent as long as there are none.
#[must_use]
pub fn backlinks(id: &DocumentId) -> Vec<u8> {
    key(b"B", &[id.as_bytes()])
}

/// A [`super::Backlink`] by its number among those of a document, from 1.
#[must_use]
pub fn backlink(id: &DocumentId, number: u64) -> Vec<u8> {
    key(b"b", &[id.as_bytes(), &number.to_be_bytes()])
}

/// A [`super::PersonSignature`]; absent when the person sent the transaction, or a member signed for them.
#[must_use]
pub fn person_signature(id: &DocumentId, version: u32, subject: &SubjectId) -> Vec<u8> {
    key(b"p", &[id.as_bytes(), &version.to_be_bytes(), subject.as_bytes()])
}

/// Key of a node's [`super::AuditAnchor`] by its number.
#[must_use]
pub fn audit_anchor(member: &str, node: &str, number: u64) -> Vec<u8> {
    key(b"n", &[&named(member), &named(node), &number.to_be_bytes()])
}

/// The key in the whole state: a [`crate::StateProof`] has it.
#[must_use]
pub fn in_state(key: &[u8]) -> Vec<u8> {
    [super::CONTRACT.as_bytes(), &[0], key].concat()
}

/// A name with its length before it.
fn named(name: &str) -> Vec<u8> {
    [&[u8::try_from(name.len()).unwrap_or(u8::MAX)], name.as_bytes()].concat()
}
