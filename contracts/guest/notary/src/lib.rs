//! Registers commitments: who vouched for a document's hash, for which member, when, in which category.
//!
//! Deliberately not here: the document, its parties, who may read it. A commitment says nothing about what it commits to.
//!
//! Sequence numbers have no gaps, over all and per member: who has seen 1 to n of a member, and counts n, has seen all.
//! Records are never deleted; a revoked one stays and says so.
#![cfg_attr(target_arch = "wasm32", no_std)]

use vouch_contract::{
    Account, Context, Hash, String, Vec, choice, contract, emit, event, load, membership, record, store,
};

/// Longest category, in bytes.
pub const CATEGORY_BYTES_MAX: usize = 64;
/// Longest reference, in bytes.
pub const REFERENCE_BYTES_MAX: usize = 256;
/// Most entries of one list.
pub const LIST_MAX: u32 = 50;

choice! {
    /// Whether a registration stands.
    pub enum Standing = ("Standing", "状态") {
        /// It stands.
        Valid = ("Valid", "有效"),
        /// Its registrar took it back.
        Revoked = ("Revoked", "已撤销"),
    }
}

record! {
    /// When something happened.
    pub struct Moment = ("Moment", "时间点") {
        /// Height of the block.
        pub height: u64 = ("Height", "区块高度"),
        /// Time of the block in milliseconds since 1970.
        pub time_ms: u64 = ("Time", "时间"),
    }
}

record! {
    /// One registration.
    pub struct Record = ("Registration", "存证记录") {
        /// Its number among all, from 1.
        pub sequence: u64 = ("Number", "序号"),
        /// Its number among the member's, from 1.
        pub member_sequence: u64 = ("Number within member", "成员内序号"),
        /// The account that registered it.
        pub registrar: Account = ("Registrar", "登记账户"),
        /// The member that the account belonged to then.
        pub member: String = ("Member", "成员"),
        /// When it was registered.
        pub registered: Moment = ("Registered", "登记时间"),
        /// What kind of document it is.
        pub category: String = ("Category", "类别"),
        /// The registrar's own reference.
        pub reference: Option<String> = ("Reference", "业务编号"),
        /// Whether it stands.
        pub standing: Standing = ("Standing", "状态"),
        /// When it was revoked.
        pub revoked: Option<Moment> = ("Revoked", "撤销时间"),
    }
}

record! {
    /// A registration in a list.
    pub struct Entry = ("Entry", "条目") {
        /// What was registered.
        pub commitment: Hash = ("Commitment", "承诺值"),
        /// The registration.
        pub record: Record = ("Registration", "存证记录"),
    }
}

event! {
    /// A commitment was registered.
    pub struct Registered = ("Registered", "已登记") {
        /// What was registered.
        pub commitment: Hash = ("Commitment", "承诺值"),
        /// Its number among all.
        pub sequence: u64 = ("Number", "序号"),
        /// The member's name.
        pub member: String = ("Member", "成员"),
        /// What kind of document it is.
        pub category: String = ("Category", "类别"),
    }
}

event! {
    /// A registration was taken back.
    pub struct Revoked = ("Revoked", "已撤销") {
        /// What had been registered.
        pub commitment: Hash = ("Commitment", "承诺值"),
        /// Its number among all.
        pub sequence: u64 = ("Number", "序号"),
    }
}

contract! {
    name: "notary",
    version: "1.0.0",
    title: ("Notary", "存证"),
    errors: NotaryError {
        /// The caller's account belongs to no active member.
        NotAMember = "not_a_member" ("Only accounts of active members register", "仅有效成员的账户可以登记"),
        /// The commitment was registered before, by whomever.
        AlreadyRegistered = "already_registered" ("This commitment is registered already", "该承诺值已登记"),
        /// No such registration.
        NotRegistered = "not_registered" ("This commitment is not registered", "该承诺值未登记"),
        /// Somebody else's registration.
        NotRegistrar = "not_registrar" ("Only the account that registered may revoke", "仅登记账户可以撤销"),
        /// Revoked before.
        AlreadyRevoked = "already_revoked" ("This registration is revoked already", "该登记已撤销"),
        /// Empty, too long, or with other characters.
        BadCategory = "bad_category" (
            "A category has 1 to 64 of a-z 0-9 - _ .",
            "类别为 1 至 64 个字符：a-z 0-9 - _ ."
        ),
        /// Empty or too long.
        BadReference = "bad_reference" ("A reference has 1 to 256 bytes", "业务编号为 1 至 256 字节"),
    },
    types: [Standing, Moment, Record, Entry],
    events: [Registered, Revoked],
    methods: {
        call register(
            commitment: Hash = ("Commitment", "承诺值"),
            category: String = ("Category", "类别"),
            reference: Option<String> = ("Reference", "业务编号"),
        ) -> u64 = ("Register a commitment", "登记承诺值");
        call revoke(commitment: Hash = ("Commitment", "承诺值")) -> () = ("Revoke a registration", "撤销登记");
        query get(commitment: Hash = ("Commitment", "承诺值")) -> Option<Record> = ("Look up a commitment", "查询承诺值");
        query list(
            after: u64 = ("After number", "起始序号（不含）"),
            limit: u32 = ("At most", "最多条数"),
        ) -> Vec<Entry> = ("List registrations", "存证列表");
        query list_member(
            member: String = ("Member", "成员"),
            after: u64 = ("After number within member", "起始成员内序号（不含）"),
            limit: u32 = ("At most", "最多条数"),
        ) -> Vec<Entry> = ("List a member's registrations", "成员存证列表");
        query count() -> u64 = ("Number of registrations", "存证总数");
        query count_member(member: String = ("Member", "成员")) -> u64 = ("Number of a member's registrations", "成员存证数");
    }
}

const COUNT_KEY: &[u8] = b"n";

fn record_key(commitment: &Hash) -> Vec<u8> {
    [b"r", commitment.as_ref()].concat()
}

fn sequence_key(sequence: u64) -> Vec<u8> {
    [b"s".as_slice(), &sequence.to_be_bytes()].concat()
}

fn member_count_key(member: &str) -> Vec<u8> {
    [b"c", member.as_bytes()].concat()
}

/// The name's end is where the last eight bytes begin, so no two members share a key.
fn member_sequence_key(member: &str, sequence: u64) -> Vec<u8> {
    [b"m", member.as_bytes(), &sequence.to_be_bytes()].concat()
}

fn moment(context: &Context) -> Moment {
    Moment { height: context.height, time_ms: context.time_ms }
}

fn is_category(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    (1..=CATEGORY_BYTES_MAX).contains(&text.len()) && text.bytes().all(legal)
}

/// One more than the number stored under a key, stored again.
fn next(key: &[u8]) -> u64 {
    let number = load::<u64>(key).unwrap_or(0) + 1;
    store(key, &number);
    number
}

fn register(
    context: &Context,
    commitment: Hash,
    category: String,
    reference: Option<String>,
) -> Result<u64, NotaryError> {
    if !is_category(&category) {
        return Err(NotaryError::BadCategory);
    }
    if reference.as_ref().is_some_and(|r| !(1..=REFERENCE_BYTES_MAX).contains(&r.len())) {
        return Err(NotaryError::BadReference);
    }
    let member = membership(&context.caller).ok_or(NotaryError::NotAMember)?.name;
    let key = record_key(&commitment);
    if load::<Record>(&key).is_some() {
        return Err(NotaryError::AlreadyRegistered);
    }
    let sequence = next(COUNT_KEY);
    let member_sequence = next(&member_count_key(&member));
    store(&sequence_key(sequence), &commitment);
    store(&member_sequence_key(&member, member_sequence), &commitment);
    emit(&Registered { commitment, sequence, member: member.clone(), category: category.clone() });
    let record = Record {
        sequence,
        member_sequence,
        registrar: context.caller,
        member,
        registered: moment(context),
        category,
        reference,
        standing: Standing::Valid,
        revoked: None,
    };
    store(&key, &record);
    Ok(sequence)
}

fn revoke(context: &Context, commitment: Hash) -> Result<(), NotaryError> {
    let key = record_key(&commitment);
    let mut record = load::<Record>(&key).ok_or(NotaryError::NotRegistered)?;
    if record.registrar != context.caller {
        return Err(NotaryError::NotRegistrar);
    }
    if record.standing == Standing::Revoked {
        return Err(NotaryError::AlreadyRevoked);
    }
    record.standing = Standing::Revoked;
    record.revoked = Some(moment(context));
    store(&key, &record);
    emit(&Revoked { commitment, sequence: record.sequence });
    Ok(())
}

fn get(_: &Context, commitment: Hash) -> Result<Option<Record>, NotaryError> {
    Ok(load(&record_key(&commitment)))
}

/// Entries by number: the keys are known, so nothing is scanned.
fn entries(after: u64, limit: u32, key: impl Fn(u64) -> Vec<u8>) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut sequence = after;
    while entries.len() < limit.min(LIST_MAX) as usize {
        let Some(next) = sequence.checked_add(1) else { break };
        sequence = next;
        let Some(commitment) = load::<Hash>(&key(sequence)) else { break };
        let Some(record) = load::<Record>(&record_key(&commitment)) else { break };
        entries.push(Entry { commitment, record });
    }
    entries
}

fn list(_: &Context, after: u64, limit: u32) -> Result<Vec<Entry>, NotaryError> {
    Ok(entries(after, limit, sequence_key))
}

fn list_member(_: &Context, member: String, after: u64, limit: u32) -> Result<Vec<Entry>, NotaryError> {
    Ok(entries(after, limit, |sequence| member_sequence_key(&member, sequence)))
}

fn count(_: &Context) -> Result<u64, NotaryError> {
    Ok(load(COUNT_KEY).unwrap_or(0))
}

fn count_member(_: &Context, member: String) -> Result<u64, NotaryError> {
    Ok(load(&member_count_key(&member)).unwrap_or(0))
}

#[cfg(test)]
mod tests;
