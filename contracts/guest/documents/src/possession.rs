//! Who says that it holds what. A member's own word, so that a submitter can wait for it and an erasure reaches everyone
//! who ever had a copy; whether it was entitled to one is not asked here, and giving a word opens nothing.

use records::{Actor, LIST_MAX, Moment, actor, field_set, key, named};
use vouch_contract::{Bytes, Context, String, Vec, decode, emit, record, scan, store};

use crate::{
    DocumentsError,
    document::{check_id, find},
    event::PossessionAttested,
    limits::POSSESSIONS_MAX,
};

record! {
    /// That a member holds private content, as it says itself.
    pub struct Possession = ("Possession", "持有") {
        /// The document.
        pub id: Bytes = ("Document", "凭证"),
        /// Its version.
        pub version: u32 = ("Version", "版本"),
        /// Which fields.
        pub fields: Bytes = ("Fields", "字段"),
    }
}

record! {
    /// A member that holds a version.
    pub struct Holder = ("Holder", "持有方") {
        /// The member.
        pub member: String = ("Member", "成员"),
        /// The version.
        pub version: u32 = ("Version", "版本"),
        /// Which fields.
        pub fields: Bytes = ("Fields", "字段"),
        /// Since when.
        pub at: Moment = ("Since", "起始时间"),
    }
}

fn document_prefix(id: &Bytes) -> Vec<u8> {
    key(b'o', &[&id.0])
}

fn holder_key(id: &Bytes, member: &str, version: u32) -> Vec<u8> {
    key(b'o', &[&id.0, &named(member), &version.to_be_bytes()])
}

pub(crate) fn attest_possession(context: &Context, versions: Vec<Possession>) -> Result<(), DocumentsError> {
    let caller = Actor::caller(context);
    let member = caller.member.clone().ok_or(DocumentsError::NotAMember)?;
    if !caller.has(&[actor::SERVICE]) {
        return Err(DocumentsError::RoleMissing);
    }
    if !(1..=POSSESSIONS_MAX).contains(&versions.len()) {
        return Err(DocumentsError::TooMany);
    }
    let number = versions.len() as u32;
    for held in versions {
        let document = find(&held.id).ok_or(DocumentsError::UnknownDocument)?;
        if !(1..=document.latest).contains(&held.version) {
            return Err(DocumentsError::UnknownVersion);
        }
        if document.is_erased() {
            return Err(DocumentsError::Erasure);
        }
        if !field_set::is_valid(&held.fields.0, field_set::SLOTS_MAX) {
            return Err(DocumentsError::BadGrant);
        }
        let at = holder_key(&held.id, &member, held.version);
        let holder =
            Holder { member: member.clone(), version: held.version, fields: held.fields, at: Moment::of(context) };
        store(&at, &holder);
    }
    emit(&PossessionAttested { member, versions: number });
    Ok(())
}

/// The keys of one member's holdings of a document are skipped once one is seen.
fn next_member(id: &Bytes, after: &[u8]) -> Option<Holder> {
    let found = scan(&document_prefix(id), after, 1);
    found.first().and_then(|(_, value)| decode(value).ok())
}

/// Names of the members that ever said they hold a version of a document, at most `most` and one more.
pub(crate) fn members(id: &Bytes, most: usize) -> Vec<String> {
    let mut members: Vec<String> = Vec::new();
    let mut after = Vec::new();
    while members.len() <= most {
        let Some(holder) = next_member(id, &after) else { break };
        after = holder_key(id, &holder.member, u32::MAX);
        members.push(holder.member);
    }
    members
}

/// Who says that it holds what of a document, by name and version, from after a member's version.
pub(crate) fn holders(
    _: &Context,
    id: Bytes,
    after_member: String,
    after_version: u32,
    limit: u32,
) -> Result<Vec<Holder>, DocumentsError> {
    check_id(&id)?;
    let after = if after_member.is_empty() { Vec::new() } else { holder_key(&id, &after_member, after_version) };
    let found = scan(&document_prefix(&id), &after, limit.min(LIST_MAX));
    Ok(found.iter().filter_map(|(_, value)| decode(value).ok()).collect())
}
