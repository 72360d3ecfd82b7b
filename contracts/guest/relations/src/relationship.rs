//! Relationships: offered by one side, agreed by the other, ended by either.

use records::{Actor, MEMBER_BYTES_MAX, Moment, Party, actor, count as number_of, is_decided, key, named, next, page};
use vouch_contract::{Context, String, Vec, choice, emit, event, load, member as member_info, record, remove, store};

use crate::{RelationsError, current, subject};

/// Most relationships answered or ended at once.
pub const ENDS_MAX: usize = 50;

choice! {
    /// What a relationship is.
    pub enum RelationKind = ("Kind of relationship", "关系类型") {
        /// The member manages and serves the party: a member or a subject.
        Serves = ("Serves", "服务"),
        /// The member, an enterprise, received the service of the party, a subject.
        Receives = ("Received service from", "接受服务"),
        /// The member, a regulator, watches over the party: a member, or everyone when the party names nobody.
        Regulates = ("Watches over", "监管"),
    }
}

choice! {
    /// How a relationship stands.
    pub enum RelationState = ("State of relationship", "关系状态") {
        /// The other side has not answered.
        Offered = ("Offered", "待确认"),
        /// Agreed by both sides.
        Agreed = ("Agreed", "已成立"),
        /// The other side said no.
        Declined = ("Declined", "已拒绝"),
        /// Taken back before an answer.
        Withdrawn = ("Withdrawn", "已撤回"),
        /// Ended by one side.
        Ended = ("Ended", "已结束"),
    }
}

record! {
    /// What is offered.
    pub struct NewRelationship = ("New relationship", "新关系") {
        /// What it is.
        pub kind: RelationKind = ("Kind", "类型"),
        /// The member that serves, received or watches.
        pub member: String = ("Member", "成员"),
        /// Whom it concerns; for a regulator, nobody named means everyone.
        pub party: Party = ("Party", "当事方"),
        /// For a service received: the member that serves the person and placed the service.
        pub via: Option<String> = ("Via", "经由"),
        /// From when it counts, in milliseconds since 1970, if later than its agreement.
        pub from_ms: Option<u64> = ("From", "起始时间"),
        /// Until when it counts, in milliseconds since 1970.
        pub until_ms: Option<u64> = ("Until", "截止时间"),
    }
}

record! {
    /// A relationship. It is in force while it is agreed and the time is within its bounds.
    pub struct Relationship = ("Relationship", "关系") {
        /// Its number among all, from 1, without gaps.
        pub id: u64 = ("Number", "序号"),
        /// What it is.
        pub kind: RelationKind = ("Kind", "类型"),
        /// The member that serves, received or watches.
        pub member: String = ("Member", "成员"),
        /// Whom it concerns.
        pub party: Party = ("Party", "当事方"),
        /// For a service received: the member that serves the person and placed the service.
        pub via: Option<String> = ("Via", "经由"),
        /// How it stands.
        pub state: RelationState = ("State", "状态"),
        /// Which side offered it.
        pub offered_by: Party = ("Offered by", "提出方"),
        /// When it was offered.
        pub offered: Moment = ("Offered", "提出时间"),
        /// When it was agreed.
        pub agreed: Option<Moment> = ("Agreed", "成立时间"),
        /// When it was declined, withdrawn or ended.
        pub ended: Option<Moment> = ("Ended", "结束时间"),
        /// From when it counts, in milliseconds since 1970, if later than its agreement.
        pub from_ms: Option<u64> = ("From", "起始时间"),
        /// Until when it counts, in milliseconds since 1970.
        pub until_ms: Option<u64> = ("Until", "截止时间"),
    }
}

record! {
    /// An entry of a party's relationships.
    pub struct RelationshipEntry = ("Relationship in a list", "关系条目") {
        /// Its number among the party's, from 1, without gaps.
        pub number: u64 = ("Number within party", "当事方内序号"),
        /// The relationship.
        pub relationship: Relationship = ("Relationship", "关系"),
    }
}

event! {
    /// A relationship was offered, agreed, declined, withdrawn or ended: who is entitled to the party's documents changed.
    pub struct RelationshipChanged = ("Relationship changed", "关系已变更") {
        /// Its number.
        pub id: u64 = ("Number", "序号"),
        /// What it is.
        pub kind: RelationKind = ("Kind", "类型"),
        /// The member that serves, received or watches.
        pub member: String = ("Member", "成员"),
        /// Whom it concerns; nobody named means everyone.
        pub party: Party = ("Party", "当事方"),
        /// How it stands now.
        pub state: RelationState = ("State", "状态"),
    }
}

/// One of the two sides that a relationship needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// The member that serves, received or watches.
    Member,
    /// Whom it concerns, and who speaks for them.
    Party,
}

const COUNT_KEY: &[u8] = b"N";

fn relationship_key(id: u64) -> Vec<u8> {
    key(b'r', &[&id.to_be_bytes()])
}

fn party_count_key(party: &Party) -> Vec<u8> {
    key(b'P', &[&party.key()])
}

fn party_number_key(party: &Party, number: u64) -> Vec<u8> {
    key(b'p', &[&party.key(), &number.to_be_bytes()])
}

fn confined_key(regulator: &str) -> Vec<u8> {
    key(b'c', &[&named(regulator)])
}

/// Whether members of this role manage and serve others.
pub(crate) fn may_serve(role: &str) -> bool {
    matches!(role, "institution" | "platform")
}

/// Whether members of this role are enterprise users, who receive services (G 3.9).
fn may_receive(role: &str) -> bool {
    matches!(role, "enterprise" | "platform")
}

fn active_role(name: &str) -> Result<String, RelationsError> {
    match member_info(name) {
        Some(info) if info.active => Ok(info.role),
        _ => Err(RelationsError::UnknownMember),
    }
}

/// Checks what does not depend on the caller: who may stand in such a relationship, and since when until when.
fn check(context: &Context, new: &NewRelationship) -> Result<(), RelationsError> {
    let role = active_role(&new.member)?;
    if new.member.len() > MEMBER_BYTES_MAX || (new.kind == RelationKind::Receives) != new.via.is_some() {
        return Err(RelationsError::BadParties);
    }
    let fits = match new.kind {
        RelationKind::Serves => may_serve(&role),
        RelationKind::Receives => may_receive(&role),
        RelationKind::Regulates => role == "regulator",
    };
    if !fits {
        return Err(RelationsError::MemberRole);
    }
    match (new.kind, &new.party.member, &new.party.subject) {
        (RelationKind::Serves | RelationKind::Regulates, Some(name), None) => {
            if *name == new.member {
                return Err(RelationsError::BadParties);
            }
            active_role(name)?;
        }
        (RelationKind::Serves | RelationKind::Receives, None, Some(alias)) => {
            subject::find_open(alias)?;
        }
        (RelationKind::Regulates, None, None) => {}
        _ => return Err(RelationsError::BadParties),
    }
    if let Some(via) = &new.via {
        if !current::is_in_force(context, RelationKind::Serves, &new.party, via) {
            return Err(RelationsError::NotServing);
        }
    }
    let ends = new.until_ms.unwrap_or(u64::MAX);
    if ends <= context.time_ms || ends <= new.from_ms.unwrap_or(0) {
        return Err(RelationsError::BadTimes);
    }
    Ok(())
}

/// On which side the caller stands, and in whose name.
fn side_of(context: &Context, new: &Relationship, roles: &[&str]) -> Result<(Side, Party), RelationsError> {
    if let Some(alias) = &new.party.subject
        && subject::is_own_key(alias, &context.caller)
    {
        return Ok((Side::Party, new.party.clone()));
    }
    let actor = Actor::caller(context);
    let member = actor.member.as_deref().ok_or(RelationsError::NotAMember)?;
    let speaks_for_party = || match &new.party.subject {
        Some(alias) => match &new.via {
            Some(via) => via == member,
            // Who has a key of their own agrees with it.
            None => {
                !subject::has_own_key(alias) && current::is_in_force(context, RelationKind::Serves, &new.party, member)
            }
        },
        None => new.party.is_member(member),
    };
    let side = if new.member == member {
        Side::Member
    } else if speaks_for_party() {
        Side::Party
    } else {
        return Err(RelationsError::NotASide);
    };
    if actor.has(roles) { Ok((side, Party::of_member(member))) } else { Err(RelationsError::RoleMissing) }
}

fn draft(context: &Context, new: NewRelationship, offered_by: Party) -> Relationship {
    Relationship {
        id: 0,
        kind: new.kind,
        member: new.member,
        party: new.party,
        via: new.via,
        state: RelationState::Offered,
        offered_by,
        offered: Moment::of(context),
        agreed: None,
        ended: None,
        from_ms: new.from_ms,
        until_ms: new.until_ms,
    }
}

/// Gives it its numbers and puts it into the lists of all whom it names.
fn record_new(relationship: &mut Relationship) {
    relationship.id = next(COUNT_KEY);
    let mut named_in = Vec::from([Party::of_member(&relationship.member)]);
    if relationship.party.is_one() {
        named_in.push(relationship.party.clone());
    }
    if let Some(via) = relationship.via.as_deref().filter(|via| *via != relationship.member) {
        named_in.push(Party::of_member(via));
    }
    for party in named_in {
        let number = next(&party_count_key(&party));
        store(&party_number_key(&party, number), &relationship.id);
    }
}

fn save(relationship: &Relationship) {
    store(&relationship_key(relationship.id), relationship);
    announce(relationship);
}

fn announce(relationship: &Relationship) {
    emit(&RelationshipChanged {
        id: relationship.id,
        kind: relationship.kind,
        member: relationship.member.clone(),
        party: relationship.party.clone(),
        state: relationship.state,
    });
}

fn agree(context: &Context, relationship: &mut Relationship) -> Result<(), RelationsError> {
    relationship.state = RelationState::Agreed;
    relationship.agreed = Some(Moment::of(context));
    current::add(context, relationship)
}

/// Records a relationship that needs no second side; says nothing of it.
pub(crate) fn record_agreed(
    context: &Context,
    new: NewRelationship,
    by: Party,
) -> Result<Relationship, RelationsError> {
    let mut relationship = draft(context, new, by);
    record_new(&mut relationship);
    agree(context, &mut relationship)?;
    store(&relationship_key(relationship.id), &relationship);
    Ok(relationship)
}

/// A regulator's scope: by its own word, unless the members keep that to themselves, or by their decision.
fn offer_regulation(context: &Context, new: NewRelationship) -> Result<u64, RelationsError> {
    if is_decided(context) {
        let relationship = record_agreed(context, new, Party::default())?;
        announce(&relationship);
        return Ok(relationship.id);
    }
    let draft = draft(context, new.clone(), Party::default());
    let (side, by) = side_of(context, &draft, &[actor::APPROVER])?;
    if side != Side::Member {
        return Err(RelationsError::NotASide);
    }
    if load::<bool>(&confined_key(&new.member)).unwrap_or(false) {
        return Err(RelationsError::Confined);
    }
    let relationship = record_agreed(context, new, by)?;
    announce(&relationship);
    Ok(relationship.id)
}

pub(crate) fn offer(context: &Context, new: NewRelationship) -> Result<u64, RelationsError> {
    check(context, &new)?;
    current::refuse_second(context, new.kind, &new.party, &new.member)?;
    if new.kind == RelationKind::Regulates {
        return offer_regulation(context, new);
    }
    let mut relationship = draft(context, new, Party::default());
    let (side, by) = side_of(context, &relationship, &[actor::SUBMITTER, actor::APPROVER])?;
    relationship.offered_by = by;
    record_new(&mut relationship);
    current::add_offer(&relationship, side == Side::Member);
    save(&relationship);
    Ok(relationship.id)
}

pub(crate) fn find(id: u64) -> Result<Relationship, RelationsError> {
    load(&relationship_key(id)).ok_or(RelationsError::UnknownRelationship)
}

fn check_batch(ids: &[u64]) -> Result<(), RelationsError> {
    if (1..=ENDS_MAX).contains(&ids.len()) { Ok(()) } else { Err(RelationsError::BadBatch) }
}

/// A relationship that waits for an answer, and whether the member's side offered it.
fn find_offered(id: u64) -> Result<(Relationship, bool), RelationsError> {
    let relationship = find(id)?;
    let by_member = current::offered_by_member(&relationship).ok_or(RelationsError::WrongState)?;
    Ok((relationship, by_member))
}

pub(crate) fn answer(context: &Context, ids: Vec<u64>, accept: bool) -> Result<(), RelationsError> {
    check_batch(&ids)?;
    for id in ids {
        let (mut relationship, offered_by_member) = find_offered(id)?;
        let (side, _) = side_of(context, &relationship, &[actor::APPROVER])?;
        if (side == Side::Member) == offered_by_member {
            return Err(RelationsError::NotASide);
        }
        current::remove_offer(&relationship);
        if accept {
            check(context, &NewRelationship::from(&relationship))?;
            agree(context, &mut relationship)?;
        } else {
            relationship.state = RelationState::Declined;
            relationship.ended = Some(Moment::of(context));
        }
        save(&relationship);
    }
    Ok(())
}

impl From<&Relationship> for NewRelationship {
    fn from(of: &Relationship) -> Self {
        Self {
            kind: of.kind,
            member: of.member.clone(),
            party: of.party.clone(),
            via: of.via.clone(),
            from_ms: of.from_ms,
            until_ms: of.until_ms,
        }
    }
}

pub(crate) fn withdraw(context: &Context, id: u64) -> Result<(), RelationsError> {
    let (mut relationship, offered_by_member) = find_offered(id)?;
    let (side, _) = side_of(context, &relationship, &[actor::SUBMITTER, actor::APPROVER])?;
    if (side == Side::Member) != offered_by_member {
        return Err(RelationsError::NotASide);
    }
    current::remove_offer(&relationship);
    relationship.state = RelationState::Withdrawn;
    relationship.ended = Some(Moment::of(context));
    save(&relationship);
    Ok(())
}

/// Whether the caller may end it: either side; a regulator's scope ends by its own word or the members'.
fn check_end(context: &Context, relationship: &Relationship) -> Result<(), RelationsError> {
    if is_decided(context) {
        return Ok(());
    }
    let (side, _) = side_of(context, relationship, &[actor::APPROVER])?;
    if relationship.kind == RelationKind::Regulates {
        if side != Side::Member {
            return Err(RelationsError::NotASide);
        }
        if load::<bool>(&confined_key(&relationship.member)).unwrap_or(false) {
            return Err(RelationsError::Confined);
        }
    }
    Ok(())
}

pub(crate) fn end(context: &Context, ids: Vec<u64>) -> Result<(), RelationsError> {
    check_batch(&ids)?;
    for id in ids {
        let mut relationship = find(id)?;
        if relationship.state != RelationState::Agreed {
            return Err(RelationsError::WrongState);
        }
        check_end(context, &relationship)?;
        current::remove(&relationship);
        relationship.state = RelationState::Ended;
        relationship.ended = Some(Moment::of(context));
        save(&relationship);
    }
    Ok(())
}

pub(crate) fn confine(context: &Context, regulator: String, confined: bool) -> Result<(), RelationsError> {
    if !is_decided(context) {
        return Err(RelationsError::NotDecided);
    }
    if active_role(&regulator)? != "regulator" {
        return Err(RelationsError::MemberRole);
    }
    if confined {
        store(&confined_key(&regulator), &true);
    } else {
        remove(&confined_key(&regulator));
    }
    Ok(())
}

pub(crate) fn confined(_: &Context, regulator: String) -> Result<bool, RelationsError> {
    Ok(load(&confined_key(&regulator)).unwrap_or(false))
}

pub(crate) fn relationship(_: &Context, id: u64) -> Result<Option<Relationship>, RelationsError> {
    Ok(load(&relationship_key(id)))
}

pub(crate) fn list(_: &Context, after: u64, limit: u32) -> Result<Vec<Relationship>, RelationsError> {
    Ok(page(after, limit, |id| load(&relationship_key(id))))
}

/// The entry of a party's list with this number.
pub(crate) fn entry(party: &Party, number: u64) -> Option<RelationshipEntry> {
    let id = load::<u64>(&party_number_key(party, number))?;
    Some(RelationshipEntry { number, relationship: load(&relationship_key(id))? })
}

pub(crate) fn list_party(
    _: &Context,
    party: Party,
    after: u64,
    limit: u32,
) -> Result<Vec<RelationshipEntry>, RelationsError> {
    Ok(page(after, limit, |number| entry(&party, number)))
}

pub(crate) fn count(_: &Context) -> Result<u64, RelationsError> {
    Ok(number_of(COUNT_KEY))
}

pub(crate) fn count_party(_: &Context, party: Party) -> Result<u64, RelationsError> {
    Ok(number_of(&party_count_key(&party)))
}
