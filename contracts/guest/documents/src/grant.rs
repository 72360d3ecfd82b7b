//! Grants: somebody entitled opens fields of a version to a member or a key, for a purpose, until a time.

use records::{Moment, Party, actor, field_set, is_word, key, next, page};
use vouch_contract::{Bytes, Context, Hash, String, Vec, emit, load, member as member_info, record, store};

use crate::{
    DocumentsError,
    access::{Action, class, require},
    document::{Opened, check_id},
    entry::{self, Entry, Source, To},
    event::AudienceChanged,
};

record! {
    /// What is granted.
    pub struct NewGrant = ("New grant", "新授权") {
        /// To which member; or else
        pub member: Option<String> = ("To member", "授予成员"),
        /// to which X25519 public key.
        pub key: Option<Hash> = ("To public key", "授予公钥"),
        /// Which fields.
        pub fields: Bytes = ("Fields", "字段"),
        /// For which purpose: a code.
        pub purpose: String = ("Purpose", "用途"),
        /// Until when, in milliseconds since 1970; none means until it is ended.
        pub until_ms: Option<u64> = ("Until", "截止时间"),
    }
}

record! {
    /// Fields of a version opened to a member or a key beyond the rules.
    pub struct Grant = ("Grant", "授权") {
        /// Its number among all, from 1, without gaps.
        pub id: u64 = ("Number", "序号"),
        /// The document.
        pub document: Bytes = ("Document", "凭证"),
        /// Its version.
        pub version: u32 = ("Version", "版本"),
        /// To which member; or else
        pub member: Option<String> = ("To member", "授予成员"),
        /// to which X25519 public key.
        pub key: Option<Hash> = ("To public key", "授予公钥"),
        /// Which fields.
        pub fields: Bytes = ("Fields", "字段"),
        /// For which purpose: a code.
        pub purpose: String = ("Purpose", "用途"),
        /// Until when, in milliseconds since 1970; none means until it is ended.
        pub until_ms: Option<u64> = ("Until", "截止时间"),
        /// Who granted it.
        pub by: Party = ("By", "授权方"),
        /// When.
        pub at: Moment = ("At", "授权时间"),
        /// Since when it is ended.
        pub ended: Option<Moment> = ("Ended", "结束时间"),
    }
}

pub(crate) const COUNT_KEY: &[u8] = b"G";

fn grant_key(id: u64) -> Vec<u8> {
    key(b'g', &[&id.to_be_bytes()])
}

fn list_count_key(document: &Bytes) -> Vec<u8> {
    key(b'Q', &[&document.0])
}

fn list_key(document: &Bytes, number: u64) -> Vec<u8> {
    key(b'q', &[&document.0, &number.to_be_bytes()])
}

fn to(member: Option<&String>, public: Option<&Hash>) -> Result<To, DocumentsError> {
    match (member, public) {
        (Some(name), None) => match member_info(name) {
            Some(info) if info.active => Ok(To::Member(name.clone())),
            _ => Err(DocumentsError::UnknownParty),
        },
        (None, Some(public)) => Ok(To::Key(*public)),
        _ => Err(DocumentsError::BadGrant),
    }
}

pub(crate) fn grant(context: &Context, id: Bytes, version: u32, new: NewGrant) -> Result<u64, DocumentsError> {
    let opened = Opened::load(&id, version)?;
    let asker = require(context, &opened, Action::Grant)?;
    let to = to(new.member.as_ref(), new.key.as_ref())?;
    let until_ms = new.until_ms.unwrap_or(u64::MAX);
    let fields_fit = !new.fields.0.is_empty() && field_set::is_valid(&new.fields.0, opened.rules.slots());
    if !fields_fit || !is_word(&new.purpose) || until_ms <= context.time_ms {
        return Err(DocumentsError::BadGrant);
    }
    // By rule, not by grant: nobody passes on what was only opened to them.
    if !field_set::is_subset(&new.fields.0, &asker.readable(&opened)) {
        return Err(DocumentsError::NotEntitled);
    }
    let number = next(COUNT_KEY);
    let entry = Entry { fields: new.fields.clone(), purpose: new.purpose.clone(), until_ms, basis: class::GRANT };
    entry::add(&id, version, &to, Source::Grant(number), &entry)?;
    store(&list_key(&id, next(&list_count_key(&id))), &number);
    let grant = Grant {
        id: number,
        document: id.clone(),
        version,
        member: new.member,
        key: new.key,
        fields: new.fields,
        purpose: new.purpose,
        until_ms: new.until_ms,
        by: asker.party,
        at: Moment::of(context),
        ended: None,
    };
    store(&grant_key(number), &grant);
    emit(&AudienceChanged { id, version });
    Ok(number)
}

/// Whether the caller may end a grant: who granted it, whoever may grant it, and whom it was granted to. Anyone may clear
/// one that is past its time.
fn check_end(context: &Context, grant: &Grant) -> Result<(), DocumentsError> {
    if grant.until_ms.is_some_and(|until| until <= context.time_ms) {
        return Ok(());
    }
    let caller = records::Actor::caller(context);
    let receives = grant.member.as_deref().is_some_and(|member| caller.is_of(member));
    let gave = grant.by.member.as_deref().is_some_and(|member| caller.is_of(member));
    if receives || gave {
        return if caller.has(&[actor::APPROVER]) { Ok(()) } else { Err(DocumentsError::RoleMissing) };
    }
    let opened = Opened::load(&grant.document, grant.version)?;
    require(context, &opened, Action::Grant).map(|_| ())
}

pub(crate) fn end_grant(context: &Context, id: u64) -> Result<(), DocumentsError> {
    let mut grant: Grant = load(&grant_key(id)).ok_or(DocumentsError::UnknownGrant)?;
    if grant.ended.is_some() {
        return Err(DocumentsError::WrongState);
    }
    check_end(context, &grant)?;
    let to = match (&grant.member, grant.key) {
        (Some(name), _) => To::Member(name.clone()),
        (None, Some(public)) => To::Key(public),
        (None, None) => return Err(DocumentsError::BadGrant),
    };
    entry::close(&grant.document, grant.version, &to, Source::Grant(id));
    grant.ended = Some(Moment::of(context));
    store(&grant_key(id), &grant);
    emit(&AudienceChanged { id: grant.document, version: grant.version });
    Ok(())
}

pub(crate) fn grant_by_number(_: &Context, id: u64) -> Result<Option<Grant>, DocumentsError> {
    Ok(load(&grant_key(id)))
}

pub(crate) fn list_grants(_: &Context, id: Bytes, after: u64, limit: u32) -> Result<Vec<Grant>, DocumentsError> {
    check_id(&id)?;
    Ok(page(after, limit, |number| load(&grant_key(load(&list_key(&id, number))?))))
}
