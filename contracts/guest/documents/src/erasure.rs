//! Erasure: asked for by whom the data concerns, held back by law or a hold, then destroyed by every holder, who attests it.
//! What stays on chain is a tombstone: roots, states and numbers, which say nothing without the salts that are gone.

use records::{Actor, LIST_MAX, Moment, Party, actor, is_decided, is_word, key, named, next, page};
use vouch_contract::{Bytes, Context, Hash, String, Vec, choice, decode, emit, load, record, remove, scan, store};

use crate::{
    DocumentsError,
    access::{Action, audience_of, require},
    document::{Document, Opened, VersionState, check_id, find, find_version},
    event::{ErasureAttested, ErasureRequested, HoldChanged, Tombstoned},
    limits::{DAY_MS, ERASURE_DAYS, ERASURE_DAYS_MAX, ERASURE_MINUTES_MAX, HOLDERS_MAX, HOLDS_MAX, MINUTE_MS},
    possession,
};

choice! {
    /// How far the erasure of a document is.
    pub enum ErasureState = ("State of erasure", "删除状态") {
        /// Nobody asked, or the request was withdrawn.
        None = ("None", "无"),
        /// Asked for, but law or a hold keep it: stored, and processed no further (PIPL 47).
        Restricted = ("Restricted", "已限制处理"),
        /// Every holder must destroy keys and ciphertext and attest it.
        Ordered = ("Ordered", "已指令删除"),
        /// Done: what is left on chain is a tombstone.
        Erased = ("Erased", "已删除"),
    }
}

record! {
    /// A holder's word that it destroyed its copy.
    pub struct Attestation = ("Attestation", "删除证明") {
        /// The member.
        pub member: String = ("Member", "成员"),
        /// Hash of its signed receipt.
        pub receipt: Hash = ("Receipt", "回执"),
        /// When.
        pub at: Moment = ("At", "时间"),
    }
}

record! {
    /// The erasure of a document, all its versions.
    pub struct Erasure = ("Erasure", "删除") {
        /// The document.
        pub document: Bytes = ("Document", "凭证"),
        /// How far it is.
        pub state: ErasureState = ("State", "状态"),
        /// Who asked for it.
        pub by: Party = ("By", "请求方"),
        /// Why: a code.
        pub code: String = ("Reason", "原因"),
        /// When.
        pub requested: Moment = ("Requested", "请求时间"),
        /// Before when the law forbids it, in milliseconds since 1970.
        pub earliest_ms: u64 = ("Not before", "最早时间"),
        /// When holders were ordered to destroy it.
        pub ordered: Option<Moment> = ("Ordered", "指令时间"),
        /// Until when they must have attested, in milliseconds since 1970; 0 before the order.
        pub deadline_ms: u64 = ("Deadline", "期限"),
        /// Members that hold it, ascending.
        pub holders: Vec<String> = ("Holders", "持有方"),
        /// Who has attested.
        pub attestations: Vec<Attestation> = ("Attestations", "证明"),
        /// When it was done.
        pub closed: Option<Moment> = ("Closed", "完成时间"),
        /// Holders that had not attested when the deadline passed and it was closed without them.
        pub missing: Vec<String> = ("Missing", "缺失"),
    }
}

record! {
    /// A legal hold: the document may not be erased while it lasts.
    pub struct Hold = ("Legal hold", "法律保留") {
        /// The member that set it.
        pub member: String = ("Member", "成员"),
        /// Why: a code.
        pub code: String = ("Reason", "原因"),
        /// When.
        pub at: Moment = ("At", "时间"),
    }
}

pub(crate) const COUNT_KEY: &[u8] = b"S";
const DAYS_KEY: &[u8] = b"D";
/// Where a deadline of less than a day stands; it takes the place of the days.
const MINUTES_KEY: &[u8] = b"M";

fn erasure_key(id: &Bytes) -> Vec<u8> {
    key(b'e', &[&id.0])
}

fn number_key(number: u64) -> Vec<u8> {
    key(b's', &[&number.to_be_bytes()])
}

fn hold_prefix(id: &Bytes) -> Vec<u8> {
    key(b'w', &[&id.0])
}

fn hold_key(id: &Bytes, member: &str) -> Vec<u8> {
    key(b'w', &[&id.0, &named(member)])
}

fn find_document(id: &Bytes) -> Result<Document, DocumentsError> {
    check_id(id)?;
    find(id).ok_or(DocumentsError::UnknownDocument)
}

fn find_erasure(id: &Bytes, state: ErasureState) -> Result<Erasure, DocumentsError> {
    let erasure: Erasure = load(&erasure_key(id)).ok_or(DocumentsError::NoErasure)?;
    if erasure.state == state { Ok(erasure) } else { Err(DocumentsError::NoErasure) }
}

/// Stores both records and says so.
fn save(document: &mut Document, erasure: &Erasure) {
    document.erasure = erasure.state;
    document.save();
    store(&erasure_key(&document.id), erasure);
    emit(&ErasureRequested { id: document.id.clone(), state: erasure.state, deadline_ms: erasure.deadline_ms });
}

/// Everyone that has to destroy it: whoever is entitled to its newest version now, and whoever ever said it holds one.
fn holders(context: &Context, opened: &Opened) -> Result<Vec<String>, DocumentsError> {
    let audience = audience_of(context, opened)?;
    let mut holders: Vec<String> = audience.members.into_iter().map(|entitled| entitled.member).collect();
    holders.push(opened.document.issuer.clone());
    holders.extend(possession::members(&opened.document.id, HOLDERS_MAX));
    holders.sort_unstable();
    holders.dedup();
    if holders.len() > HOLDERS_MAX { Err(DocumentsError::TooMany) } else { Ok(holders) }
}

/// Whether neither law nor a hold nor an open dispute keeps it.
const fn is_free(context: &Context, document: &Document, erasure: &Erasure) -> bool {
    document.holds == 0 && document.disputes == 0 && erasure.earliest_ms <= context.time_ms
}

/// How long holders have to destroy and attest.
fn term_ms() -> u64 {
    match load::<u32>(MINUTES_KEY) {
        Some(minutes) => u64::from(minutes) * MINUTE_MS,
        None => u64::from(load::<u32>(DAYS_KEY).unwrap_or(ERASURE_DAYS)) * DAY_MS,
    }
}

fn order(context: &Context, opened: &Opened, erasure: &mut Erasure) -> Result<(), DocumentsError> {
    erasure.holders = holders(context, opened)?;
    erasure.state = ErasureState::Ordered;
    erasure.ordered = Some(Moment::of(context));
    erasure.deadline_ms = context.time_ms.saturating_add(term_ms());
    Ok(())
}

pub(crate) fn request_erasure(context: &Context, id: Bytes, code: String) -> Result<ErasureState, DocumentsError> {
    if !is_word(&code) {
        return Err(DocumentsError::BadCode);
    }
    let latest = find_document(&id)?.latest;
    let mut opened = Opened::load(&id, latest)?;
    let asker = require(context, &opened, Action::Erase)?;
    let retention_ms = u64::from(opened.rules.retention_days) * DAY_MS;
    if load::<Erasure>(&erasure_key(&id)).is_none() {
        store(&number_key(next(COUNT_KEY)), &id);
    }
    let mut erasure = Erasure {
        document: id.clone(),
        state: ErasureState::Restricted,
        by: asker.party,
        code,
        requested: Moment::of(context),
        earliest_ms: opened.document.created.time_ms.saturating_add(retention_ms),
        ordered: None,
        deadline_ms: 0,
        holders: Vec::new(),
        attestations: Vec::new(),
        closed: None,
        missing: Vec::new(),
    };
    if is_free(context, &opened.document, &erasure) {
        order(context, &opened, &mut erasure)?;
    }
    save(&mut opened.document, &erasure);
    Ok(erasure.state)
}

/// Orders what was held back, once nothing holds it back any more. Anyone's node may notice that it is time.
pub(crate) fn order_erasure(context: &Context, id: Bytes) -> Result<(), DocumentsError> {
    Actor::caller(context).member.ok_or(DocumentsError::NotAMember)?;
    let mut document = find_document(&id)?;
    let mut erasure = find_erasure(&id, ErasureState::Restricted)?;
    if !is_free(context, &document, &erasure) {
        return Err(DocumentsError::Held);
    }
    let opened = Opened::load(&id, document.latest)?;
    order(context, &opened, &mut erasure)?;
    save(&mut document, &erasure);
    Ok(())
}

pub(crate) fn withdraw_erasure(context: &Context, id: Bytes) -> Result<(), DocumentsError> {
    let mut document = find_document(&id)?;
    let mut erasure = find_erasure(&id, ErasureState::Restricted)?;
    let caller = Actor::caller(context);
    let by_caller = match (&erasure.by.member, &erasure.by.subject) {
        (Some(member), _) => caller.is_of(member) && caller.has(&[actor::APPROVER]),
        (None, Some(subject)) => crate::standing::subject_of(&caller)? == Some(*subject),
        (None, None) => false,
    };
    if !by_caller {
        return Err(DocumentsError::NotEntitled);
    }
    erasure.state = ErasureState::None;
    save(&mut document, &erasure);
    Ok(())
}

/// What private content was public or named readers on chain goes too; roots, parties' roles and numbers stay.
fn bury(document: &mut Document) -> Result<(), DocumentsError> {
    for number in 1..=document.latest {
        let mut version = find_version(&document.id, number).ok_or(DocumentsError::UnknownVersion)?;
        version.state = VersionState::Erased;
        version.content.public.clear();
        version.content.recipients.clear();
        version.save(&document.id);
    }
    document.effective = None;
    document.erasure = ErasureState::Erased;
    document.save();
    Ok(())
}

fn finish(context: &Context, mut document: Document, mut erasure: Erasure) -> Result<(), DocumentsError> {
    erasure.state = ErasureState::Erased;
    erasure.closed = Some(Moment::of(context));
    bury(&mut document)?;
    store(&erasure_key(&document.id), &erasure);
    emit(&Tombstoned { id: document.id, complete: erasure.missing.is_empty() });
    Ok(())
}

pub(crate) fn attest_erasure(context: &Context, id: Bytes, receipt: Hash) -> Result<(), DocumentsError> {
    let document = find_document(&id)?;
    let caller = Actor::caller(context);
    let member = caller.member.clone().ok_or(DocumentsError::NotAMember)?;
    if !caller.has(&[actor::SERVICE, actor::APPROVER]) {
        return Err(DocumentsError::RoleMissing);
    }
    let mut erasure: Erasure = load(&erasure_key(&id)).ok_or(DocumentsError::NoErasure)?;
    // One that comes after the deadline still counts for the record.
    if !matches!(erasure.state, ErasureState::Ordered | ErasureState::Erased) {
        return Err(DocumentsError::NoErasure);
    }
    if !erasure.holders.contains(&member) {
        return Err(DocumentsError::NotAHolder);
    }
    if erasure.attestations.iter().any(|attestation| attestation.member == member) {
        return Err(DocumentsError::AttestedAlready);
    }
    erasure.attestations.push(Attestation { member: member.clone(), receipt, at: Moment::of(context) });
    emit(&ErasureAttested { id: id.clone(), member });
    if erasure.state == ErasureState::Ordered && erasure.attestations.len() == erasure.holders.len() {
        return finish(context, document, erasure);
    }
    store(&erasure_key(&id), &erasure);
    Ok(())
}

/// Closes an erasure whose deadline has passed, and names who has not attested.
pub(crate) fn close_erasure(context: &Context, id: Bytes) -> Result<(), DocumentsError> {
    Actor::caller(context).member.ok_or(DocumentsError::NotAMember)?;
    let document = find_document(&id)?;
    let mut erasure = find_erasure(&id, ErasureState::Ordered)?;
    if context.time_ms < erasure.deadline_ms {
        return Err(DocumentsError::Held);
    }
    let attested = |name: &&String| !erasure.attestations.iter().any(|attestation| attestation.member == **name);
    let missing: Vec<String> = erasure.holders.iter().filter(attested).cloned().collect();
    erasure.missing = missing;
    finish(context, document, erasure)
}

pub(crate) fn set_hold(context: &Context, id: Bytes, code: String) -> Result<(), DocumentsError> {
    if !is_word(&code) {
        return Err(DocumentsError::BadCode);
    }
    let latest = find_document(&id)?.latest;
    let mut opened = Opened::load(&id, latest)?;
    let asker = require(context, &opened, Action::Hold)?;
    let member = asker.party.member.ok_or(DocumentsError::NotAMember)?;
    let at = hold_key(&id, &member);
    if load::<Hold>(&at).is_some() {
        return Err(DocumentsError::Held);
    }
    if opened.document.holds >= HOLDS_MAX {
        return Err(DocumentsError::TooMany);
    }
    store(&at, &Hold { member: member.clone(), code, at: Moment::of(context) });
    opened.document.holds += 1;
    opened.document.save();
    emit(&HoldChanged { id, member, held: true });
    Ok(())
}

/// Lifts the caller's own hold, or, by decision of the members, another's.
pub(crate) fn lift_hold(context: &Context, id: Bytes, member: String) -> Result<(), DocumentsError> {
    let mut document = find_document(&id)?;
    if !is_decided(context) {
        let caller = Actor::caller(context);
        if !caller.is_of(&member) {
            return Err(DocumentsError::NotEntitled);
        }
        if !caller.has(&[actor::APPROVER]) {
            return Err(DocumentsError::RoleMissing);
        }
    }
    let at = hold_key(&id, &member);
    load::<Hold>(&at).ok_or(DocumentsError::NoHold)?;
    remove(&at);
    document.holds = document.holds.saturating_sub(1);
    document.save();
    emit(&HoldChanged { id, member, held: false });
    Ok(())
}

pub(crate) fn set_erasure_days(context: &Context, days: u32) -> Result<(), DocumentsError> {
    if !is_decided(context) {
        return Err(DocumentsError::NotDecided);
    }
    if !(1..=ERASURE_DAYS_MAX).contains(&days) {
        return Err(DocumentsError::BadDays);
    }
    store(DAYS_KEY, &days);
    remove(MINUTES_KEY);
    Ok(())
}

/// A deadline of less than a day, in the place of the one in days.
pub(crate) fn set_erasure_minutes(context: &Context, minutes: u32) -> Result<(), DocumentsError> {
    if !is_decided(context) {
        return Err(DocumentsError::NotDecided);
    }
    if !(1..=ERASURE_MINUTES_MAX).contains(&minutes) {
        return Err(DocumentsError::BadDays);
    }
    store(MINUTES_KEY, &minutes);
    Ok(())
}

pub(crate) fn erasure(_: &Context, id: Bytes) -> Result<Option<Erasure>, DocumentsError> {
    check_id(&id)?;
    Ok(load(&erasure_key(&id)))
}

pub(crate) fn list_erasures(_: &Context, after: u64, limit: u32) -> Result<Vec<Bytes>, DocumentsError> {
    Ok(page(after, limit, |number| load(&number_key(number))))
}

pub(crate) fn holds(_: &Context, id: Bytes) -> Result<Vec<Hold>, DocumentsError> {
    check_id(&id)?;
    let found = scan(&hold_prefix(&id), &[], LIST_MAX);
    Ok(found.iter().filter_map(|(_, value)| decode(value).ok()).collect())
}
