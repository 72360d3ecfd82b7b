//! What is in force now: one key per kind, party and member, so that nothing foreign is ever scanned.

use records::{Around, Party, Surroundings, Ties, count, key, named, tie};
use vouch_contract::{Context, Hash, String, Vec, load, record, remove as remove_key, scan, store};

use crate::{
    RelationsError,
    relationship::{self, RelationKind, RelationState, Relationship, RelationshipEntry},
};

/// Most members that serve one party at a time.
pub const SERVING_MAX: u64 = 16;
/// Most enterprises at a time that received one person's service.
pub const RECEIVERS_MAX: u64 = 200;
/// Most regulators of one member, and most of everyone.
pub const REGULATORS_MAX: u64 = 32;
/// Most relationships looked at for one answer of `in_force`.
const LOOKED_AT_MAX: u32 = 100;
/// Most parties and members of one question.
const QUESTION_MAX: usize = 40;
/// Most entries of one scan.
const SCAN_MAX: u64 = 100;

record! {
    /// Relationships in force, and where to go on.
    pub struct RelationshipPage = ("Page of relationships", "关系分页") {
        /// Those in force.
        pub entries: Vec<RelationshipEntry> = ("Entries", "条目"),
        /// Up to which number all are looked at; ask again with it if it is there.
        pub next: Option<u64> = ("Next", "下一页"),
    }
}

/// When a relationship counts, in milliseconds since 1970: from the first, before the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span(u64, u64);

impl Span {
    fn of(relationship: &Relationship) -> Self {
        Self(relationship.from_ms.unwrap_or(0), relationship.until_ms.unwrap_or(u64::MAX))
    }

    const fn contains(self, time_ms: u64) -> bool {
        self.0 <= time_ms && time_ms < self.1
    }
}

impl From<(u64, u64)> for Span {
    fn from((from_ms, until_ms): (u64, u64)) -> Self {
        Self(from_ms, until_ms)
    }
}

const fn tag(kind: RelationKind) -> u8 {
    match kind {
        RelationKind::Serves => b's',
        RelationKind::Receives => b'e',
        RelationKind::Regulates => b'g',
    }
}

const fn most(kind: RelationKind) -> u64 {
    match kind {
        RelationKind::Serves => SERVING_MAX,
        RelationKind::Receives => RECEIVERS_MAX,
        RelationKind::Regulates => REGULATORS_MAX,
    }
}

fn prefix(kind: RelationKind, party: &Party) -> Vec<u8> {
    key(b'f', &[&[tag(kind)], &party.key()])
}

fn member_key(kind: RelationKind, party: &Party, member: &str) -> Vec<u8> {
    key(b'f', &[&[tag(kind)], &party.key(), &named(member)])
}

fn count_key(kind: RelationKind, party: &Party) -> Vec<u8> {
    key(b'F', &[&[tag(kind)], &party.key()])
}

fn offer_key(kind: RelationKind, party: &Party, member: &str) -> Vec<u8> {
    key(b'o', &[&[tag(kind)], &party.key(), &named(member)])
}

fn span(kind: RelationKind, party: &Party, member: &str) -> Option<Span> {
    load::<(u64, u64)>(&member_key(kind, party, member)).map(Span::from)
}

/// Whether a relationship is in force now.
pub(crate) fn is_in_force(context: &Context, kind: RelationKind, party: &Party, member: &str) -> bool {
    span(kind, party, member).is_some_and(|span| span.contains(context.time_ms))
}

/// Refuses a relationship of which there is one already. One that is agreed and past its time does not count: it makes
/// way for the new one, and stays in the lists as what it was.
pub(crate) fn refuse_second(
    context: &Context,
    kind: RelationKind,
    party: &Party,
    member: &str,
) -> Result<(), RelationsError> {
    let agreed = span(kind, party, member).is_some_and(|span| context.time_ms < span.1);
    let offered = load::<(u64, bool)>(&offer_key(kind, party, member)).is_some();
    if agreed || offered { Err(RelationsError::Exists) } else { Ok(()) }
}

/// Notes an offer and which side made it.
pub(crate) fn add_offer(offered: &Relationship, by_member: bool) {
    store(&offer_key(offered.kind, &offered.party, &offered.member), &(offered.id, by_member));
}

/// Whether the member's side made an offer that waits; `None` when it waits no more.
pub(crate) fn offered_by_member(offered: &Relationship) -> Option<bool> {
    if offered.state != RelationState::Offered {
        return None;
    }
    let (id, by_member) = load::<(u64, bool)>(&offer_key(offered.kind, &offered.party, &offered.member))?;
    (id == offered.id).then_some(by_member)
}

/// An offer waits no more.
pub(crate) fn remove_offer(offered: &Relationship) {
    remove_key(&offer_key(offered.kind, &offered.party, &offered.member));
}

/// A relationship comes into force. Those of the party that are past their time make room when it is needed.
pub(crate) fn add(context: &Context, agreed: &Relationship) -> Result<(), RelationsError> {
    let (kind, party) = (agreed.kind, &agreed.party);
    let at = member_key(kind, party, &agreed.member);
    let counter = count_key(kind, party);
    let Span(from_ms, until_ms) = Span::of(agreed);
    if load::<(u64, u64)>(&at).is_none() {
        if count(&counter) >= most(kind) {
            drop_past(context, kind, party);
        }
        let number = count(&counter);
        if number >= most(kind) {
            return Err(RelationsError::TooMany);
        }
        store(&counter, &(number + 1));
    }
    store(&at, &(from_ms, until_ms));
    Ok(())
}

fn drop_past(context: &Context, kind: RelationKind, party: &Party) {
    let mut left = count(&count_key(kind, party));
    for (at, (_, until_ms)) in entries(kind, party) {
        if until_ms <= context.time_ms {
            remove_key(&at);
            left = left.saturating_sub(1);
        }
    }
    store(&count_key(kind, party), &left);
}

/// A relationship is over. A later one of the same kind, party and member is left alone.
pub(crate) fn remove(ended: &Relationship) {
    let (kind, party) = (ended.kind, &ended.party);
    let Span(from_ms, until_ms) = Span::of(ended);
    if load(&member_key(kind, party, &ended.member)) == Some((from_ms, until_ms)) {
        remove_key(&member_key(kind, party, &ended.member));
        let counter = count_key(kind, party);
        store(&counter, &count(&counter).saturating_sub(1));
    }
}

/// All entries of a kind for a party, with their keys. Asks for no more than there are: what is asked for is paid for.
fn entries(kind: RelationKind, party: &Party) -> Vec<(Vec<u8>, (u64, u64))> {
    let prefix = prefix(kind, party);
    let mut left = count(&count_key(kind, party));
    let mut entries: Vec<(Vec<u8>, (u64, u64))> = Vec::new();
    while left > 0 {
        let after = entries.last().map(|(at, _)| at.clone()).unwrap_or_default();
        let some = scan(&prefix, &after, left.min(SCAN_MAX) as u32);
        if some.is_empty() {
            break;
        }
        left -= some.len() as u64;
        for (at, value) in some {
            match vouch_contract::decode(&value) {
                Ok(span) => entries.push((at, span)),
                Err(_) => panic!("a stored value has another type"),
            }
        }
    }
    entries
}

/// Names of the members in force for a party, ascending.
fn members(context: &Context, kind: RelationKind, party: &Party) -> Vec<String> {
    let start = prefix(kind, party).len() + 1;
    let mut names: Vec<String> = entries(kind, party)
        .into_iter()
        .filter(|(_, span)| Span::from(*span).contains(context.time_ms))
        .filter_map(|(at, _)| core::str::from_utf8(at.get(start..)?).ok().map(String::from))
        .collect();
    // Keys are in the order of the names' lengths.
    names.sort_unstable();
    names
}

fn watching(context: &Context, watched: &[String]) -> Vec<String> {
    let mut names = members(context, RelationKind::Regulates, &Party::default());
    for member in watched {
        names.extend(members(context, RelationKind::Regulates, &Party::of_member(member)));
    }
    names.sort_unstable();
    names.dedup();
    names
}

fn check_question(parties: &[Party], members: &[String]) -> Result<(), RelationsError> {
    let fits = parties.len() <= QUESTION_MAX && members.len() <= QUESTION_MAX;
    if fits && parties.iter().all(Party::is_one) { Ok(()) } else { Err(RelationsError::BadParties) }
}

/// Members that watch over a person: those of the member that registered it.
fn with_registrars(parties: &[Party], watched: Vec<String>) -> Vec<String> {
    let mut watched = watched;
    for alias in parties.iter().filter_map(|party| party.subject) {
        if let Ok(subject) = crate::subject::find(&alias) {
            watched.push(subject.member);
        }
    }
    watched.sort_unstable();
    watched.dedup();
    watched
}

pub(crate) fn around(
    context: &Context,
    parties: Vec<Party>,
    watched: Vec<String>,
) -> Result<Surroundings, RelationsError> {
    check_question(&parties, &watched)?;
    let around = |party: &Party| Around {
        institutions: members(context, RelationKind::Serves, party),
        recipients: if party.subject.is_some() { members(context, RelationKind::Receives, party) } else { Vec::new() },
    };
    let regulators = watching(context, &with_registrars(&parties, watched));
    Ok(Surroundings { parties: parties.iter().map(around).collect(), regulators })
}

pub(crate) fn ties(
    context: &Context,
    member: String,
    parties: Vec<Party>,
    watched: Vec<String>,
) -> Result<Ties, RelationsError> {
    check_question(&parties, &watched)?;
    let bits = |party: &Party| {
        let serves = is_in_force(context, RelationKind::Serves, party, &member);
        let receives = party.subject.is_some() && is_in_force(context, RelationKind::Receives, party, &member);
        let open = party.subject.is_some_and(|alias| crate::subject::find_open(&alias).is_ok());
        u8::from(serves) * tie::SERVES + u8::from(receives) * tie::RECEIVES + u8::from(open) * tie::OPEN
    };
    let watches = |party: &Party| is_in_force(context, RelationKind::Regulates, party, &member);
    let regulates = watches(&Party::default())
        || with_registrars(&parties, watched).iter().any(|name| watches(&Party::of_member(name)));
    Ok(Ties { parties: parties.iter().map(bits).collect(), regulates })
}

pub(crate) fn serving(context: &Context, party: Party) -> Result<Vec<String>, RelationsError> {
    Ok(members(context, RelationKind::Serves, &party))
}

pub(crate) fn receivers(context: &Context, subject: Hash) -> Result<Vec<String>, RelationsError> {
    Ok(members(context, RelationKind::Receives, &Party::of_subject(subject)))
}

pub(crate) fn regulators(context: &Context, member: String) -> Result<Vec<String>, RelationsError> {
    Ok(watching(context, &[member]))
}

/// Whether a relationship counted at a time.
fn counted_at(relationship: &Relationship, time_ms: u64) -> bool {
    let agreed = relationship.agreed.as_ref().is_some_and(|agreed| agreed.time_ms <= time_ms);
    let over = relationship.ended.as_ref().is_some_and(|ended| ended.time_ms <= time_ms);
    agreed && !over && Span::of(relationship).contains(time_ms)
}

pub(crate) fn in_force(
    context: &Context,
    party: Party,
    kind: RelationKind,
    at_ms: Option<u64>,
    after: u64,
) -> Result<RelationshipPage, RelationsError> {
    let time_ms = at_ms.unwrap_or(context.time_ms);
    let mut page = RelationshipPage { entries: Vec::new(), next: None };
    let mut number = after;
    for _ in 0..LOOKED_AT_MAX {
        let Some(entry) = number.checked_add(1).and_then(|number| relationship::entry(&party, number)) else {
            return Ok(page);
        };
        number = entry.number;
        if entry.relationship.kind == kind && counted_at(&entry.relationship, time_ms) {
            page.entries.push(entry);
        }
    }
    page.next = Some(number);
    Ok(page)
}
