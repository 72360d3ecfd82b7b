//! Who may do what: `audience` for those who deliver, `may` for those who ask. The vault and the API hold no rule beyond
//! these two, and the methods that change documents ask [`require`] the same question.

use records::{Actor, Party, actor, field_set};
use vouch_contract::{Account, Bytes, Context, Hash, String, Vec, choice, member as member_info, record};

use crate::{
    DocumentsError,
    document::{Opened, VersionState, find},
    entry::{self, Entry},
    erasure::ErasureState,
    limits::HOLDERS_MAX,
    possession,
    standing::{self, Masks},
};

/// Bits that say why somebody is entitled.
pub mod class {
    /// It is their own data (G 4.9.4 a, b).
    pub const OWNER: u8 = 1;
    /// They manage and serve an owner (a, b).
    pub const INSTITUTION: u8 = 2;
    /// They are an enterprise that received an owner's service (b).
    pub const RECIPIENT: u8 = 4;
    /// They watch over the issuer or a party (a, b, c).
    pub const REGULATOR: u8 = 8;
    /// They are a party of the document: it is theirs too.
    pub const PARTY: u8 = 16;
    /// The bits that a schema's readers may name.
    pub const RULES: u8 = 31;
    /// They issued it.
    pub const ISSUER: u8 = 32;
    /// Somebody entitled granted it to them.
    pub const GRANT: u8 = 64;
    /// They decide a dispute and it was given to them as evidence.
    pub const ARBITER: u8 = 128;
}

/// The purpose for which an arbiter reads evidence.
pub const DISPUTE_PURPOSE: &str = "dispute";

choice! {
    /// What somebody may want to do with a document.
    pub enum Action = ("Action", "操作") {
        /// Read private fields.
        Read = ("Read", "读取"),
        /// Submit a new version.
        Revise = ("Submit a new version", "提交新版本"),
        /// Sign it as a party.
        Sign = ("Sign", "签署"),
        /// Accept or reject its content.
        Judge = ("Accept or reject", "接受或拒绝"),
        /// Take it back.
        Revoke = ("Revoke", "撤销"),
        /// Grant fields to others.
        Grant = ("Grant", "授权"),
        /// Open a dispute.
        Dispute = ("Dispute", "提出争议"),
        /// Ask for its erasure.
        Erase = ("Ask for erasure", "请求删除"),
        /// Put a legal hold on it.
        Hold = ("Hold", "法律保留"),
        /// Read who has read it.
        Audit = ("Read the access log", "查阅访问记录"),
    }
}

record! {
    /// The answer of `may`.
    pub struct Decision = ("Decision", "判定") {
        /// Whether the action is allowed at all.
        pub allowed: bool = ("Allowed", "允许"),
        /// For reading: which fields.
        pub fields: Bytes = ("Fields", "字段"),
        /// Why: bits of [`class`].
        pub basis: u8 = ("Basis", "依据"),
        /// A stable code.
        pub reason: String = ("Reason", "原因"),
        /// Who asks: the account's member, or the person whose own key it is.
        pub actor: Option<Party> = ("Who asks", "请求方"),
    }
}

record! {
    /// A member that is to have a version's private content.
    pub struct Entitled = ("Entitled member", "可见成员") {
        /// The member.
        pub member: String = ("Member", "成员"),
        /// Which fields.
        pub fields: Bytes = ("Fields", "字段"),
        /// Why: bits of [`class`].
        pub basis: u8 = ("Basis", "依据"),
    }
}

record! {
    /// A recipient by key that is to have it.
    pub struct KeyEntitled = ("Entitled key", "可见公钥") {
        /// X25519 public key.
        pub key: Hash = ("Public key", "公钥"),
        /// Which fields.
        pub fields: Bytes = ("Fields", "字段"),
    }
}

record! {
    /// Everyone that is to have a version's private content, for whatever purpose.
    pub struct Audience = ("Audience", "可见范围") {
        /// Members, ascending by name, active ones only.
        pub members: Vec<Entitled> = ("Members", "成员"),
        /// Keys, ascending.
        pub keys: Vec<KeyEntitled> = ("Keys", "公钥"),
    }
}

/// Who asks: a member's account or a person's own key, and what they are to the version.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) actor: Actor,
    /// In whose name.
    pub(crate) party: Party,
    pub(crate) masks: Masks,
}

impl Asker {
    /// Who an account is to a version; `None` for a stranger.
    ///
    /// A person's key speaks for the person, whatever it was registered as since: its owner has signed for it, while a
    /// member's administrators can have any public key registered that they have seen.
    fn find(opened: &Opened, account: Account) -> Result<Option<Self>, DocumentsError> {
        let actor = Actor::of(account);
        let is_about_persons = opened.version.content.parties.iter().any(|entry| entry.party.subject.is_some());
        if (is_about_persons || actor.member.is_none())
            && let Some(subject) = standing::subject_of(&actor)?
        {
            let masks = standing::of_subject(opened, subject);
            return Ok(Some(Self { actor, party: Party::of_subject(subject), masks }));
        }
        let Some(member) = actor.member.clone() else { return Ok(None) };
        let masks = standing::of_member(opened, &member)?;
        Ok(Some(Self { actor, party: Party::of_member(&member), masks }))
    }

    /// Bits of why it has to do with the document.
    pub(crate) fn basis(&self) -> u8 {
        standing::basis(&self.masks)
    }

    fn is_issuer(&self) -> bool {
        self.basis() & class::ISSUER != 0
    }

    /// Whether the account may speak so: a person with their own key always may.
    fn has(&self, roles: &[&str]) -> bool {
        self.party.subject.is_some() || self.actor.has(roles)
    }

    /// Fields that the rules open to it, for whatever purpose.
    pub(crate) fn readable(&self, opened: &Opened) -> Vec<u8> {
        opened.rules.readable(&self.masks, self.is_issuer(), u8::MAX)
    }
}

/// Why not: the codes of [`Decision::reason`].
mod reason {
    pub(super) const OK: &str = "ok";
    pub(super) const UNKNOWN_DOCUMENT: &str = "unknown_document";
    pub(super) const UNKNOWN_VERSION: &str = "unknown_version";
    pub(super) const UNKNOWN_ACCOUNT: &str = "unknown_account";
    pub(super) const ROLE_MISSING: &str = "role_missing";
    pub(super) const NOT_ENTITLED: &str = "not_entitled";
    pub(super) const PURPOSE: &str = "purpose_not_allowed";
    pub(super) const RESTRICTED: &str = "restricted";
    pub(super) const ERASED: &str = "erased";
    pub(super) const STATE: &str = "state";
}

/// What an action needs: one of these bits, and one of these roles of the account.
const fn needs(action: Action) -> (u8, &'static [&'static str]) {
    use class::{INSTITUTION, ISSUER, OWNER, PARTY, RECIPIENT, REGULATOR};
    match action {
        // Decided by fields, not by bits alone.
        Action::Read => (u8::MAX, &[actor::READER]),
        Action::Judge => (u8::MAX, &[actor::APPROVER, actor::SERVICE]),
        Action::Revise => (ISSUER, &[actor::SUBMITTER]),
        Action::Revoke => (ISSUER, &[actor::APPROVER]),
        Action::Sign => (OWNER | PARTY | INSTITUTION, &[actor::APPROVER]),
        Action::Grant | Action::Erase => (OWNER | INSTITUTION | ISSUER, &[actor::APPROVER]),
        Action::Dispute => (OWNER | INSTITUTION | RECIPIENT | PARTY | ISSUER, &[actor::APPROVER]),
        Action::Hold => (REGULATOR, &[actor::APPROVER]),
        Action::Audit => (OWNER | INSTITUTION | ISSUER | REGULATOR, &[actor::AUDITOR]),
    }
}

/// What of grants and evidence counts for a reading.
fn open_entries(context: &Context, opened: &Opened, asker: &Asker, purpose: Option<&str>) -> (Vec<u8>, u8) {
    let (mut fields, mut basis) = (Vec::new(), 0);
    let Some(member) = &asker.party.member else { return (fields, basis) };
    let restricted = opened.document.erasure == ErasureState::Restricted;
    for entry in entry::of_member(&opened.document.id, opened.version.version, member) {
        let fits = purpose.is_none_or(|purpose| entry.purpose == purpose);
        if entry.is_open(context.time_ms) && fits && (!restricted || entry.basis == class::ARBITER) {
            field_set::unite(&mut fields, &entry.fields.0);
            basis |= entry.basis;
        }
    }
    (fields, basis)
}

/// Fields open to somebody who reads for a purpose, why, and the reason if there are none.
fn reading(context: &Context, opened: &Opened, asker: &Asker, purpose: &str) -> (Vec<u8>, u8, &'static str) {
    if opened.document.is_erased() {
        return (Vec::new(), 0, reason::ERASED);
    }
    let restricted = opened.document.erasure == ErasureState::Restricted;
    let (given, given_basis) = open_entries(context, opened, asker, Some(purpose));
    let rule = opened.rules.purpose(purpose);
    let (mut fields, mut basis) = (Vec::new(), 0);
    if let Some((allowed, grade)) = rule {
        // Under restriction only those who watch may read on.
        let allowed = if restricted { allowed & class::REGULATOR } else { allowed };
        let masks: Masks = asker.masks.iter().map(|mask| mask & allowed).collect();
        let is_issuer = asker.is_issuer() && !restricted;
        fields = opened.rules.readable(&masks, is_issuer, grade);
        if !fields.is_empty() {
            basis = standing::basis(&masks) | if is_issuer { class::ISSUER } else { 0 };
        }
    }
    field_set::unite(&mut fields, &given);
    basis |= given_basis;
    let reason = if !fields.is_empty() {
        reason::OK
    } else if asker.readable(opened).is_empty() {
        reason::NOT_ENTITLED
    } else if restricted {
        reason::RESTRICTED
    } else {
        reason::PURPOSE
    };
    (fields, basis, reason)
}

/// Whether the document's state lets somebody do something, once they are the right ones.
fn fits_state(opened: &Opened, action: Action) -> Result<(), &'static str> {
    let (document, version) = (&opened.document, &opened.version);
    let erasure = match document.erasure {
        ErasureState::None => Ok(()),
        ErasureState::Restricted => Err(reason::RESTRICTED),
        ErasureState::Ordered | ErasureState::Erased => Err(reason::ERASED),
    };
    let stands = matches!(version.state, VersionState::Effective | VersionState::Pending);
    let state = |fits: bool| if fits { Ok(()) } else { Err(reason::STATE) };
    match action {
        Action::Read | Action::Audit => Ok(()),
        Action::Judge => {
            if document.is_erased() {
                Err(reason::ERASED)
            } else {
                Ok(())
            }
        }
        Action::Hold => {
            if document.is_erased() {
                Err(reason::ERASED)
            } else {
                Ok(())
            }
        }
        Action::Erase => erasure,
        Action::Grant | Action::Dispute => erasure,
        Action::Sign => erasure.and_then(|()| state(version.state == VersionState::Pending)),
        Action::Revoke => erasure.and_then(|()| state(stands)),
        Action::Revise => {
            erasure.and_then(|()| state(version.version == document.latest && version.state != VersionState::Pending))
        }
    }
}

/// Whether somebody is the right one to do anything but reading, whatever the document's state.
fn is_right(context: &Context, opened: &Opened, asker: &Asker, action: Action) -> Result<u8, &'static str> {
    let (bits, roles) = needs(action);
    let mut basis = asker.basis();
    if action == Action::Judge {
        // Whoever has been given any of it may judge it.
        let (given, given_basis) = open_entries(context, opened, asker, None);
        if given.is_empty() && asker.readable(opened).is_empty() {
            return Err(reason::NOT_ENTITLED);
        }
        basis |= given_basis;
    } else if basis & bits == 0 {
        return Err(reason::NOT_ENTITLED);
    }
    if asker.has(roles) { Ok(basis) } else { Err(reason::ROLE_MISSING) }
}

/// The decision about anything but reading.
fn decide(context: &Context, opened: &Opened, asker: &Asker, action: Action) -> Result<u8, &'static str> {
    let basis = is_right(context, opened, asker, action)?;
    fits_state(opened, action)?;
    Ok(basis)
}

fn refusal(why: &str) -> DocumentsError {
    match why {
        reason::ROLE_MISSING => DocumentsError::RoleMissing,
        reason::RESTRICTED | reason::ERASED => DocumentsError::Erasure,
        reason::STATE => DocumentsError::WrongState,
        _ => DocumentsError::NotEntitled,
    }
}

/// Who the caller is to a version, if they may do something with it.
pub(crate) fn require(context: &Context, opened: &Opened, action: Action) -> Result<Asker, DocumentsError> {
    let asker = Asker::find(opened, context.caller)?.ok_or(DocumentsError::NotAMember)?;
    decide(context, opened, &asker, action).map_err(refusal)?;
    Ok(asker)
}

/// Who the caller is in a dispute that is running. A side may ask for the erasure of the document meanwhile, which the
/// dispute holds back; that silences nobody.
pub(crate) fn require_side(context: &Context, opened: &Opened) -> Result<Asker, DocumentsError> {
    let asker = Asker::find(opened, context.caller)?.ok_or(DocumentsError::NotAMember)?;
    is_right(context, opened, &asker, Action::Dispute).map_err(refusal)?;
    if opened.document.is_erased() { Err(DocumentsError::Erasure) } else { Ok(asker) }
}

fn refused(reason: &str, actor: Option<Party>) -> Decision {
    Decision { allowed: false, fields: Bytes::default(), basis: 0, reason: reason.into(), actor }
}

pub(crate) fn may(
    context: &Context,
    account: Account,
    action: Action,
    id: Bytes,
    version: u32,
    purpose: String,
) -> Result<Decision, DocumentsError> {
    if find(&id).is_none() {
        return Ok(refused(reason::UNKNOWN_DOCUMENT, None));
    }
    let opened = match Opened::load(&id, version) {
        Err(DocumentsError::UnknownVersion) => return Ok(refused(reason::UNKNOWN_VERSION, None)),
        opened => opened?,
    };
    let Some(asker) = Asker::find(&opened, account)? else {
        return Ok(refused(reason::UNKNOWN_ACCOUNT, None));
    };
    let actor = Some(asker.party.clone());
    if action == Action::Read {
        if !asker.has(needs(Action::Read).1) {
            return Ok(refused(reason::ROLE_MISSING, actor));
        }
        let (fields, basis, why) = reading(context, &opened, &asker, &purpose);
        return Ok(Decision { allowed: !fields.is_empty(), fields: Bytes(fields), basis, reason: why.into(), actor });
    }
    Ok(match decide(context, &opened, &asker, action) {
        Ok(basis) => Decision { allowed: true, fields: Bytes::default(), basis, reason: reason::OK.into(), actor },
        Err(why) => refused(why, actor),
    })
}

fn is_active(member: &str) -> bool {
    member_info(member).is_some_and(|info| info.active)
}

/// Adds what was granted to members and keys beyond the rules.
fn add_entries(context: &Context, opened: &Opened, audience: &mut Audience) {
    for (to, entry) in entry::of_version(&opened.document.id, opened.version.version) {
        if !entry.is_open(context.time_ms) {
            continue;
        }
        match to {
            entry::To::Member(member) => add_member(audience, &member, &entry),
            entry::To::Key(key) => add_key(audience, key, &entry.fields.0),
        }
    }
    for recipient in &opened.version.content.recipients {
        add_key(audience, recipient.key, &recipient.fields.0);
    }
}

fn add_member(audience: &mut Audience, member: &str, entry: &Entry) {
    match audience.members.binary_search_by(|entitled| entitled.member.as_str().cmp(member)) {
        Ok(at) => {
            field_set::unite(&mut audience.members[at].fields.0, &entry.fields.0);
            audience.members[at].basis |= entry.basis;
        }
        Err(at) => {
            let entitled = Entitled { member: member.into(), fields: entry.fields.clone(), basis: entry.basis };
            audience.members.insert(at, entitled);
        }
    }
}

fn add_key(audience: &mut Audience, key: Hash, fields: &[u8]) {
    match audience.keys.binary_search_by(|entitled| entitled.key.cmp(&key)) {
        Ok(at) => field_set::unite(&mut audience.keys[at].fields.0, fields),
        Err(at) => audience.keys.insert(at, KeyEntitled { key, fields: Bytes(fields.to_vec()) }),
    }
}

/// Under restriction a document stays where it lies, and nobody else gets it but those who watch or decide: of everyone
/// entitled these stay, the issuer, and whoever has said that it holds it.
fn confine(opened: &Opened, audience: &mut Audience) {
    const STAYS: u8 = class::ISSUER | class::REGULATOR | class::ARBITER;
    let holders = possession::members(&opened.document.id, HOLDERS_MAX);
    audience.members.retain(|entitled| entitled.basis & STAYS != 0 || holders.contains(&entitled.member));
    audience.keys.clear();
}

/// Everyone entitled to a version now.
pub(crate) fn audience_of(context: &Context, opened: &Opened) -> Result<Audience, DocumentsError> {
    let mut audience = Audience { members: Vec::new(), keys: Vec::new() };
    if opened.document.is_erased() {
        return Ok(audience);
    }
    // Many members have the same masks; the fields are found once for each kind.
    let mut known: Vec<(Masks, Vec<u8>)> = Vec::new();
    for (member, masks) in standing::of_everyone(opened)? {
        let basis = standing::basis(&masks);
        let fields = match known.iter().find(|(of, _)| *of == masks) {
            Some((_, fields)) => fields.clone(),
            None => {
                let fields = opened.rules.readable(&masks, basis & class::ISSUER != 0, u8::MAX);
                known.push((masks, fields.clone()));
                fields
            }
        };
        if !fields.is_empty() {
            audience.members.push(Entitled { member, fields: Bytes(fields), basis });
        }
    }
    add_entries(context, opened, &mut audience);
    audience.members.retain(|entitled| is_active(&entitled.member));
    Ok(audience)
}

pub(crate) fn audience(context: &Context, id: Bytes, version: u32) -> Result<Audience, DocumentsError> {
    let opened = Opened::load(&id, version)?;
    let mut audience = audience_of(context, &opened)?;
    if opened.document.erasure == ErasureState::Restricted {
        confine(&opened, &mut audience);
    }
    Ok(audience)
}
