//! Persons, as one institution knows them.

use records::{Actor, Moment, Party, actor, count, key, named, next, page};
use vouch_contract::{
    Account, Bytes, Context, Hash, Key, Signature, String, Vec, emit, event, hash, load, record, store, verify,
};

use crate::{
    RelationsError, current,
    relationship::{self, NewRelationship, RelationKind},
};

/// Most subjects registered at once.
pub const SUBJECTS_MAX: usize = 50;
/// Domain of the signature by which a person shows that a key is theirs: over the alias and the name of the member that
/// registers them. Another member that sees it can do nothing with it.
pub const KEY_PROOF_TAG: &str = "vouch/subject-key/2";

record! {
    /// A person as one institution knows them.
    pub struct Subject = ("Person", "个人") {
        /// The alias: 32 random bytes.
        pub alias: Hash = ("Alias", "别名"),
        /// Its number among all, from 1.
        pub sequence: u64 = ("Number", "序号"),
        /// Its number within the member, from 1.
        pub member_sequence: u64 = ("Number within member", "成员内序号"),
        /// The member that registered it.
        pub member: String = ("Member", "登记成员"),
        /// The person's own key.
        pub key: Option<Key> = ("Own key", "自有密钥"),
        /// When it was registered.
        pub registered: Moment = ("Registered", "登记时间"),
        /// Since when it takes no new relationships and documents.
        pub closed: Option<Moment> = ("Closed", "关闭时间"),
    }
}

record! {
    /// A key that a person has or had, and who brought it to the chain.
    pub struct PersonKey = ("Person's key", "个人密钥") {
        /// Its number among the person's, from 1, without gaps.
        pub number: u64 = ("Number", "序号"),
        /// The key.
        pub key: Key = ("Key", "密钥"),
        /// The signature by which its owner agreed to the alias at the member that registered it.
        pub proof: Bytes = ("Proof of possession", "持有证明"),
        /// Who set it: the account of a member, or the one that the person's key before is.
        pub by: Account = ("By account", "操作账户"),
        /// The member of that account; none when the person set it with the key before.
        pub member: Option<String> = ("Member", "成员"),
        /// Since when it was the person's.
        pub set: Moment = ("Set", "设置时间"),
        /// When another took its place.
        pub ended: Option<Moment> = ("Ended", "终止时间"),
    }
}

event! {
    /// A subject was registered, and its member serves it from now on.
    pub struct SubjectRegistered = ("Person registered", "已登记个人") {
        /// The alias.
        pub subject: Hash = ("Alias", "别名"),
        /// The member that registered it.
        pub member: String = ("Member", "登记成员"),
        /// Its number among all.
        pub sequence: u64 = ("Number", "序号"),
    }
}

event! {
    /// A subject's key was set, or it was closed.
    pub struct SubjectChanged = ("Person changed", "个人已变更") {
        /// The alias.
        pub subject: Hash = ("Alias", "别名"),
        /// Whether it takes new relationships and documents.
        pub open: bool = ("Open", "开放"),
    }
}

const COUNT_KEY: &[u8] = b"U";

fn subject_key(alias: &Hash) -> Vec<u8> {
    key(b'u', &[alias.as_ref()])
}

fn sequence_key(sequence: u64) -> Vec<u8> {
    key(b'v', &[&sequence.to_be_bytes()])
}

fn member_count_key(member: &str) -> Vec<u8> {
    key(b'W', &[&named(member)])
}

fn member_sequence_key(member: &str, sequence: u64) -> Vec<u8> {
    key(b'w', &[&named(member), &sequence.to_be_bytes()])
}

fn account_key(account: &Account) -> Vec<u8> {
    key(b'k', &[account.as_ref()])
}

fn key_count_key(alias: &Hash) -> Vec<u8> {
    key(b'Y', &[alias.as_ref()])
}

fn key_number_key(alias: &Hash, number: u64) -> Vec<u8> {
    key(b'y', &[alias.as_ref(), &number.to_be_bytes()])
}

/// The account that a key is: the chain's own rule.
fn account_of(key: &Key) -> Account {
    Account(hash("vouch/account/1", key.as_ref()).0)
}

pub(crate) fn find(alias: &Hash) -> Result<Subject, RelationsError> {
    load(&subject_key(alias)).ok_or(RelationsError::UnknownSubject)
}

/// The subject, if it takes something new.
pub(crate) fn find_open(alias: &Hash) -> Result<Subject, RelationsError> {
    let subject = find(alias)?;
    if subject.closed.is_some() { Err(RelationsError::SubjectClosed) } else { Ok(subject) }
}

/// Whether an account is the subject's own key.
pub(crate) fn is_own_key(subject: &Hash, account: &Account) -> bool {
    load::<Hash>(&account_key(account)) == Some(*subject)
}

/// Whether a person has a key of their own.
pub(crate) fn has_own_key(subject: &Hash) -> bool {
    load::<Subject>(&subject_key(subject)).is_some_and(|subject| subject.key.is_some())
}

/// Adds a key that its owner has signed for, to be registered by this member, and ends the one before: the next in the
/// person's history, which proves for good whose key it was and when.
fn add_key(context: &Context, alias: &Hash, member: &str, key: &Key, proof: &Bytes) -> Result<(), RelationsError> {
    let signature = <[u8; 64]>::try_from(proof.0.as_slice()).map_err(|_| RelationsError::KeyProof)?;
    let account = account_of(key);
    if load::<Hash>(&account_key(&account)).is_some() {
        return Err(RelationsError::KeyInUse);
    }
    let signed = [&alias.0[..], member.as_bytes()].concat();
    if !verify(key, hash(KEY_PROOF_TAG, &signed).as_ref(), &Signature(signature)) {
        return Err(RelationsError::KeyProof);
    }
    let by_person = is_own_key(alias, &context.caller);
    let before = count(&key_count_key(alias));
    if let Some(mut last) = load::<PersonKey>(&key_number_key(alias, before)) {
        last.ended = Some(Moment::of(context));
        store(&key_number_key(alias, before), &last);
    }
    let number = next(&key_count_key(alias));
    let added = PersonKey {
        number,
        key: *key,
        proof: proof.clone(),
        by: context.caller,
        member: if by_person { None } else { Actor::caller(context).member },
        set: Moment::of(context),
        ended: None,
    };
    store(&key_number_key(alias, number), &added);
    store(&account_key(&account), alias);
    Ok(())
}

/// The caller's member, which may serve persons, and the caller may say so.
fn registrar(context: &Context) -> Result<String, RelationsError> {
    let actor = Actor::caller(context);
    let member = actor.member.clone().ok_or(RelationsError::NotAMember)?;
    if !actor.has(&[actor::SUBMITTER, actor::APPROVER]) {
        return Err(RelationsError::RoleMissing);
    }
    if relationship::may_serve(&actor.role) { Ok(member) } else { Err(RelationsError::MemberRole) }
}

fn register(
    context: &Context,
    member: &str,
    alias: Hash,
    own_key: Option<(Key, Bytes)>,
) -> Result<u64, RelationsError> {
    if load::<Subject>(&subject_key(&alias)).is_some() {
        return Err(RelationsError::SubjectExists);
    }
    if let Some((own_key, proof)) = &own_key {
        add_key(context, &alias, member, own_key, proof)?;
    }
    let sequence = next(COUNT_KEY);
    let member_sequence = next(&member_count_key(member));
    store(&sequence_key(sequence), &alias);
    store(&member_sequence_key(member, member_sequence), &alias);
    let subject = Subject {
        alias,
        sequence,
        member_sequence,
        member: member.into(),
        key: own_key.map(|(own_key, _)| own_key),
        registered: Moment::of(context),
        closed: None,
    };
    store(&subject_key(&alias), &subject);
    // It says that the member serves the person, too: a batch has no room for two events each.
    emit(&SubjectRegistered { subject: alias, member: member.into(), sequence });
    let serves = NewRelationship {
        kind: RelationKind::Serves,
        member: member.into(),
        party: Party::of_subject(alias),
        via: None,
        from_ms: None,
        until_ms: None,
    };
    relationship::record_agreed(context, serves, Party::of_member(member))?;
    Ok(sequence)
}

pub(crate) fn register_subject(
    context: &Context,
    alias: Hash,
    own_key: Option<Key>,
    proof: Option<Bytes>,
) -> Result<u64, RelationsError> {
    let member = registrar(context)?;
    let own_key = match (own_key, proof) {
        (None, None) => None,
        (Some(own_key), Some(proof)) => Some((own_key, proof)),
        _ => return Err(RelationsError::KeyProof),
    };
    register(context, &member, alias, own_key)
}

pub(crate) fn register_subjects(context: &Context, aliases: Vec<Hash>) -> Result<u64, RelationsError> {
    if aliases.is_empty() || aliases.len() > SUBJECTS_MAX {
        return Err(RelationsError::BadBatch);
    }
    let member = registrar(context)?;
    let mut last = 0;
    for alias in aliases {
        last = register(context, &member, alias, None)?;
    }
    Ok(last)
}

/// Whether the caller may change a subject: an approver of a member that serves it, or the person with their own key.
fn authorise(context: &Context, subject: &Subject) -> Result<(), RelationsError> {
    if is_own_key(&subject.alias, &context.caller) {
        return Ok(());
    }
    let actor = Actor::caller(context);
    let member = actor.member.as_deref().ok_or(RelationsError::NotAMember)?;
    if !current::is_in_force(context, RelationKind::Serves, &Party::of_subject(subject.alias), member) {
        return Err(RelationsError::NotServing);
    }
    if actor.has(&[actor::APPROVER]) { Ok(()) } else { Err(RelationsError::RoleMissing) }
}

pub(crate) fn set_subject_key(
    context: &Context,
    alias: Hash,
    own_key: Key,
    proof: Bytes,
) -> Result<(), RelationsError> {
    let mut subject = find_open(&alias)?;
    authorise(context, &subject)?;
    // Who has a key is not spoken for. One that was lost is given up with its alias: the person is registered anew.
    if subject.key.is_some() && !is_own_key(&alias, &context.caller) {
        return Err(RelationsError::OwnKey);
    }
    add_key(context, &alias, &subject.member, &own_key, &proof)?;
    if let Some(old) = &subject.key {
        vouch_contract::remove(&account_key(&account_of(old)));
    }
    subject.key = Some(own_key);
    store(&subject_key(&alias), &subject);
    emit(&SubjectChanged { subject: alias, open: true });
    Ok(())
}

pub(crate) fn close_subject(context: &Context, alias: Hash) -> Result<(), RelationsError> {
    let mut subject = find_open(&alias)?;
    authorise(context, &subject)?;
    subject.closed = Some(Moment::of(context));
    store(&subject_key(&alias), &subject);
    emit(&SubjectChanged { subject: alias, open: false });
    Ok(())
}

pub(crate) fn subject(_: &Context, alias: Hash) -> Result<Option<Subject>, RelationsError> {
    Ok(load(&subject_key(&alias)))
}

pub(crate) fn subject_of_account(_: &Context, account: Account) -> Result<Option<Hash>, RelationsError> {
    Ok(load(&account_key(&account)))
}

pub(crate) fn own_key(_: &Context, alias: Hash) -> Result<Option<Key>, RelationsError> {
    Ok(load::<Subject>(&subject_key(&alias)).and_then(|subject| subject.key))
}

/// Every key that a person had, the first one first. One that was set before the version 1.2.0 of this contract is not among them.
pub(crate) fn list_keys(_: &Context, alias: Hash, after: u64, limit: u32) -> Result<Vec<PersonKey>, RelationsError> {
    Ok(page(after, limit, |number| load(&key_number_key(&alias, number))))
}

pub(crate) fn count_keys(_: &Context, alias: Hash) -> Result<u64, RelationsError> {
    Ok(count(&key_count_key(&alias)))
}

fn listed(key: &[u8]) -> Option<Subject> {
    load::<Subject>(&subject_key(&load::<Hash>(key)?))
}

pub(crate) fn list_subjects(_: &Context, after: u64, limit: u32) -> Result<Vec<Subject>, RelationsError> {
    Ok(page(after, limit, |sequence| listed(&sequence_key(sequence))))
}

pub(crate) fn list_member_subjects(
    _: &Context,
    member: String,
    after: u64,
    limit: u32,
) -> Result<Vec<Subject>, RelationsError> {
    Ok(page(after, limit, |sequence| listed(&member_sequence_key(&member, sequence))))
}

pub(crate) fn count_subjects(_: &Context) -> Result<u64, RelationsError> {
    Ok(count(COUNT_KEY))
}

pub(crate) fn count_member_subjects(_: &Context, member: String) -> Result<u64, RelationsError> {
    Ok(count(&member_count_key(&member)))
}
