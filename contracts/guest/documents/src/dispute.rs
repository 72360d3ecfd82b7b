//! Disputes: opened by whoever the document concerns, decided by an arbiter that the members have appointed. What the
//! arbiter sees is what a side hands in as evidence, and only while the dispute lasts.

use records::{Moment, Party, actor, count, field_set, is_decided, is_word, key, next, page};
use vouch_contract::{Bytes, Context, Hash, String, Vec, choice, emit, load, member as member_info, record, store};

use crate::{
    DocumentsError,
    access::{Action, Asker, DISPUTE_PURPOSE, class, require, require_side},
    document::{Opened, VersionState, check_id, find},
    entry::{self, Entry, Source, To},
    event::{AudienceChanged, DisputeChanged, Disputed, Ruled},
    limits::{ANSWERS_MAX, ARBITERS_MAX, DISPUTES_MAX, EVIDENCE_MAX},
};

choice! {
    /// How a dispute stands.
    pub enum DisputeState = ("State of a dispute", "争议状态") {
        /// Waits for answers and evidence.
        Open = ("Open", "待答复"),
        /// Somebody answered.
        Answered = ("Answered", "已答复"),
        /// The arbiter ruled.
        Ruled = ("Ruled", "已裁决"),
        /// Who opened it withdrew.
        Withdrawn = ("Withdrawn", "已撤回"),
    }
}

choice! {
    /// What a ruling does to the document.
    pub enum Effect = ("Effect of a ruling", "裁决效力") {
        /// It stands as it is.
        Upheld = ("Upheld", "维持"),
        /// It stands; its issuer must submit a corrected version.
        Corrected = ("To be corrected", "须更正"),
        /// The version stands no more.
        Annulled = ("Annulled", "无效"),
    }
}

record! {
    /// What a side says to a claim; the text itself is sealed.
    pub struct Answer = ("Answer", "答复") {
        /// Who.
        pub by: Party = ("By", "答复方"),
        /// Commitment to the text.
        pub statement: Hash = ("Commitment to the text", "文本承诺"),
        /// When.
        pub at: Moment = ("At", "时间"),
    }
}

record! {
    /// Fields opened to the arbiter and to nobody else.
    pub struct Evidence = ("Evidence", "证据") {
        /// Who gave it.
        pub by: Party = ("By", "举证方"),
        /// The document.
        pub document: Bytes = ("Document", "凭证"),
        /// Its version.
        pub version: u32 = ("Version", "版本"),
        /// Which fields.
        pub fields: Bytes = ("Fields", "字段"),
        /// When.
        pub at: Moment = ("At", "时间"),
    }
}

record! {
    /// The end of a dispute.
    pub struct Ruling = ("Ruling", "裁决") {
        /// What it does to the document.
        pub effect: Effect = ("Effect", "效力"),
        /// Why: a code.
        pub code: String = ("Reason", "原因"),
        /// Commitment to the text.
        pub statement: Hash = ("Commitment to the text", "文本承诺"),
        /// When.
        pub at: Moment = ("At", "时间"),
    }
}

record! {
    /// A dispute about a version.
    pub struct Dispute = ("Dispute", "争议") {
        /// Its number among all, from 1, without gaps.
        pub id: u64 = ("Number", "序号"),
        /// The document.
        pub document: Bytes = ("Document", "凭证"),
        /// Its version.
        pub version: u32 = ("Version", "版本"),
        /// Who opened it.
        pub by: Party = ("By", "提出方"),
        /// The member that decides.
        pub arbiter: String = ("Arbiter", "仲裁方"),
        /// What it is about: a code.
        pub code: String = ("Subject", "事由"),
        /// Commitment to the text of the claim.
        pub claim: Hash = ("Commitment to the claim", "主张承诺"),
        /// When it was opened.
        pub opened: Moment = ("Opened", "提出时间"),
        /// How it stands.
        pub state: DisputeState = ("State", "状态"),
        /// What the others said.
        pub answers: Vec<Answer> = ("Answers", "答复"),
        /// What the arbiter was given.
        pub evidence: Vec<Evidence> = ("Evidence", "证据"),
        /// How it ended.
        pub ruling: Option<Ruling> = ("Ruling", "裁决"),
    }
}

pub(crate) const COUNT_KEY: &[u8] = b"X";
const ARBITERS_KEY: &[u8] = b"z";

fn dispute_key(id: u64) -> Vec<u8> {
    key(b'x', &[&id.to_be_bytes()])
}

fn list_count_key(document: &Bytes) -> Vec<u8> {
    key(b'U', &[&document.0])
}

fn list_key(document: &Bytes, number: u64) -> Vec<u8> {
    key(b'u', &[&document.0, &number.to_be_bytes()])
}

fn load_arbiters() -> Vec<String> {
    load(ARBITERS_KEY).unwrap_or_default()
}

pub(crate) fn set_arbiters(context: &Context, members: Vec<String>) -> Result<(), DocumentsError> {
    if !is_decided(context) {
        return Err(DocumentsError::NotDecided);
    }
    let ascending = members.windows(2).all(|pair| pair[0] < pair[1]);
    if members.len() > ARBITERS_MAX || !ascending {
        return Err(DocumentsError::BadArbiter);
    }
    for name in &members {
        member_info(name).ok_or(DocumentsError::UnknownParty)?;
    }
    store(ARBITERS_KEY, &members);
    Ok(())
}

/// An arbiter is appointed, active and has no part in the document.
fn check_arbiter(opened: &Opened, arbiter: &str) -> Result<(), DocumentsError> {
    let appointed = load_arbiters().iter().any(|name| name == arbiter);
    let active = member_info(arbiter).is_some_and(|info| info.active);
    let takes_part = opened.document.issuer == arbiter || opened.version.names(&Party::of_member(arbiter));
    if appointed && active && !takes_part { Ok(()) } else { Err(DocumentsError::BadArbiter) }
}

pub(crate) fn open_dispute(
    context: &Context,
    id: Bytes,
    version: u32,
    arbiter: String,
    code: String,
    claim: Hash,
) -> Result<u64, DocumentsError> {
    if !is_word(&code) {
        return Err(DocumentsError::BadCode);
    }
    let mut opened = Opened::load(&id, version)?;
    let asker = require(context, &opened, Action::Dispute)?;
    check_arbiter(&opened, &arbiter)?;
    if opened.document.disputes >= DISPUTES_MAX {
        return Err(DocumentsError::TooMany);
    }
    opened.document.disputes += 1;
    opened.document.save();
    let number = next(COUNT_KEY);
    store(&list_key(&id, next(&list_count_key(&id))), &number);
    let dispute = Dispute {
        id: number,
        document: id.clone(),
        version,
        by: asker.party,
        arbiter: arbiter.clone(),
        code,
        claim,
        opened: Moment::of(context),
        state: DisputeState::Open,
        answers: Vec::new(),
        evidence: Vec::new(),
        ruling: None,
    };
    store(&dispute_key(number), &dispute);
    emit(&Disputed { dispute: number, id, version, arbiter });
    Ok(number)
}

/// A dispute that is not over.
fn find_running(id: u64) -> Result<Dispute, DocumentsError> {
    let dispute: Dispute = load(&dispute_key(id)).ok_or(DocumentsError::UnknownDispute)?;
    match dispute.state {
        DisputeState::Open | DisputeState::Answered => Ok(dispute),
        DisputeState::Ruled | DisputeState::Withdrawn => Err(DocumentsError::WrongState),
    }
}

fn announce(dispute: &Dispute) {
    emit(&DisputeChanged { dispute: dispute.id, id: dispute.document.clone(), state: dispute.state });
}

/// Who the caller is among those whom the disputed document concerns.
fn side(context: &Context, dispute: &Dispute) -> Result<Asker, DocumentsError> {
    require_side(context, &Opened::load(&dispute.document, dispute.version)?)
}

pub(crate) fn answer_dispute(context: &Context, dispute: u64, statement: Hash) -> Result<(), DocumentsError> {
    let mut dispute = find_running(dispute)?;
    let asker = side(context, &dispute)?;
    if asker.party == dispute.by {
        return Err(DocumentsError::NotASide);
    }
    if dispute.answers.len() >= ANSWERS_MAX {
        return Err(DocumentsError::TooMany);
    }
    dispute.answers.push(Answer { by: asker.party, statement, at: Moment::of(context) });
    dispute.state = DisputeState::Answered;
    store(&dispute_key(dispute.id), &dispute);
    announce(&dispute);
    Ok(())
}

fn to_arbiter(dispute: &Dispute) -> To {
    To::Member(dispute.arbiter.clone())
}

fn open_to_arbiter(dispute: &Dispute, index: u8, evidence: &Evidence) -> Result<(), DocumentsError> {
    let entry = Entry {
        fields: evidence.fields.clone(),
        purpose: DISPUTE_PURPOSE.into(),
        until_ms: u64::MAX,
        basis: class::ARBITER,
    };
    let source = Source::Evidence(dispute.id, index);
    entry::add(&evidence.document, evidence.version, &to_arbiter(dispute), source, &entry)?;
    emit(&AudienceChanged { id: evidence.document.clone(), version: evidence.version });
    Ok(())
}

fn close_to_arbiter(dispute: &Dispute) {
    for (index, evidence) in dispute.evidence.iter().enumerate() {
        let source = Source::Evidence(dispute.id, index as u8);
        entry::close(&evidence.document, evidence.version, &to_arbiter(dispute), source);
        emit(&AudienceChanged { id: evidence.document.clone(), version: evidence.version });
    }
}

pub(crate) fn add_evidence(
    context: &Context,
    dispute: u64,
    id: Bytes,
    version: u32,
    fields: Bytes,
) -> Result<(), DocumentsError> {
    let mut dispute = find_running(dispute)?;
    side(context, &dispute)?;
    if dispute.evidence.len() >= EVIDENCE_MAX {
        return Err(DocumentsError::TooMany);
    }
    // The evidence may be another document: the side must be one of those whom that one concerns, too.
    let opened = Opened::load(&id, version)?;
    let asker = require_side(context, &opened)?;
    if fields.0.is_empty() || !field_set::is_valid(&fields.0, opened.rules.slots()) {
        return Err(DocumentsError::BadGrant);
    }
    if !field_set::is_subset(&fields.0, &asker.readable(&opened)) {
        return Err(DocumentsError::NotEntitled);
    }
    let evidence = Evidence { by: asker.party, document: id, version, fields, at: Moment::of(context) };
    open_to_arbiter(&dispute, dispute.evidence.len() as u8, &evidence)?;
    dispute.evidence.push(evidence);
    store(&dispute_key(dispute.id), &dispute);
    Ok(())
}

/// The dispute is over: the document is freed, and the arbiter's view of the evidence ends.
fn close(dispute: &Dispute, opened: &mut Opened) {
    close_to_arbiter(dispute);
    opened.document.disputes = opened.document.disputes.saturating_sub(1);
    store(&dispute_key(dispute.id), dispute);
}

pub(crate) fn withdraw_dispute(context: &Context, dispute: u64) -> Result<(), DocumentsError> {
    let mut dispute = find_running(dispute)?;
    let asker = side(context, &dispute)?;
    if asker.party != dispute.by {
        return Err(DocumentsError::NotASide);
    }
    let mut opened = Opened::load(&dispute.document, dispute.version)?;
    dispute.state = DisputeState::Withdrawn;
    close(&dispute, &mut opened);
    opened.document.save();
    announce(&dispute);
    Ok(())
}

pub(crate) fn rule(
    context: &Context,
    dispute: u64,
    effect: Effect,
    code: String,
    statement: Hash,
) -> Result<(), DocumentsError> {
    if !is_word(&code) {
        return Err(DocumentsError::BadCode);
    }
    let mut dispute = find_running(dispute)?;
    let caller = records::Actor::caller(context);
    if !caller.is_of(&dispute.arbiter) {
        return Err(DocumentsError::NotArbiter);
    }
    if !caller.has(&[actor::APPROVER]) {
        return Err(DocumentsError::RoleMissing);
    }
    let mut opened = Opened::load(&dispute.document, dispute.version)?;
    dispute.state = DisputeState::Ruled;
    dispute.ruling = Some(Ruling { effect, code: code.clone(), statement, at: Moment::of(context) });
    close(&dispute, &mut opened);
    match effect {
        Effect::Upheld => {}
        Effect::Corrected => opened.document.correction = true,
        Effect::Annulled => {
            if matches!(opened.version.state, VersionState::Effective | VersionState::Pending) {
                opened.end(context, VersionState::Annulled, Party::of_member(&dispute.arbiter), &code);
            }
        }
    }
    opened.save();
    emit(&Ruled { dispute: dispute.id, id: dispute.document, version: dispute.version, effect });
    Ok(())
}

/// Gives a running dispute to another arbiter, whom the members decide on: the old one is gone, or partial.
pub(crate) fn reassign_dispute(context: &Context, dispute: u64, arbiter: String) -> Result<(), DocumentsError> {
    if !is_decided(context) {
        return Err(DocumentsError::NotDecided);
    }
    let mut dispute = find_running(dispute)?;
    check_arbiter(&Opened::load(&dispute.document, dispute.version)?, &arbiter)?;
    close_to_arbiter(&dispute);
    dispute.arbiter = arbiter;
    for (index, evidence) in dispute.evidence.iter().enumerate() {
        open_to_arbiter(&dispute, index as u8, evidence)?;
    }
    store(&dispute_key(dispute.id), &dispute);
    announce(&dispute);
    Ok(())
}

pub(crate) fn dispute(_: &Context, id: u64) -> Result<Option<Dispute>, DocumentsError> {
    Ok(load(&dispute_key(id)))
}

pub(crate) fn list_disputes(_: &Context, after: u64, limit: u32) -> Result<Vec<Dispute>, DocumentsError> {
    // A dispute with all its evidence has some 8 KiB.
    Ok(page(after, limit.min(5), |id| load(&dispute_key(id))))
}

pub(crate) fn list_document_disputes(
    _: &Context,
    id: Bytes,
    after: u64,
    limit: u32,
) -> Result<Vec<Dispute>, DocumentsError> {
    check_id(&id)?;
    Ok(page(after, limit.min(5), |number| load(&dispute_key(load(&list_key(&id, number))?))))
}

pub(crate) fn count_document_disputes(_: &Context, id: Bytes) -> Result<u64, DocumentsError> {
    Ok(find(&id).map_or(0, |_| count(&list_count_key(&id))))
}

pub(crate) fn arbiters(_: &Context) -> Result<Vec<String>, DocumentsError> {
    Ok(load_arbiters())
}
