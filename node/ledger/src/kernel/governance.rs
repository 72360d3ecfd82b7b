//! Proposals and ballots: administrators decide from machines of their own, each with a key of its own.
//!
//! A proposal never changes after it was made; a ballot names the hash of its content, so nobody can be made to vote for
//! something else than what was read. The ballot that reaches the threshold runs all actions inside its own transaction,
//! all or none. What a ballot's transaction did before cannot fail the actions by using up fuel or events: out of fuel, the
//! ballot fails and can be cast again.

use vouch_genesis::DecisionKind;
pub use vouch_types::governance::{
    ACTIONS_BYTES_MAX, Action, Ballot, Matter, PROPOSAL_BYTES_MAX, Proposal, ProposalState,
};
use vouch_types::{AccountId, Call, ContractName, Hash32, TimestampMs, encode, governance::ProposalContent};
use vouch_vm::{CallFailure, FatalError, code};
use wincode::{SchemaRead, SchemaWrite};

use super::{
    Authority, TITLE_BYTES_MAX, affair, announce, execute, members, own_affair, parse,
    refusal::{Stop, bad_arguments, bounded, failure, read, refuse},
};
use crate::{
    keys,
    registry::Registry,
    session::{Returned, Session},
};

/// Most actions of a proposal.
pub const ACTIONS_MAX: usize = 32;
/// Most bytes of the list of a member's open proposals, of which there are at most 256.
const OPEN_BYTES_MAX: usize = 8 << 10;
/// Longest failure text kept in a proposal, in bytes.
const FAILURE_BYTES_MAX: usize = 512;
const HOUR_MS: u64 = 3_600_000;

/// The action as a call, or why it is none.
pub(super) fn call_of(action: &Action) -> Result<Call, CallFailure> {
    let contract = ContractName::new(&*action.contract).map_err(|e| failure(e.code(), e.to_string()))?;
    Ok(Call { contract, method: action.method.clone(), arguments: action.arguments.clone() })
}

/// Makes a proposal. Administrators that sign it vote for it.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct Propose {
    /// `membership`, `nodes`, `contracts`, `parameters`, `emergency`, `documents`, or `member` for a member's own affairs.
    pub kind: String,
    /// With `member`: which.
    pub member: Option<String>,
    /// What it is, for people.
    pub title: String,
    /// Until when ballots count, in milliseconds since 1970.
    pub deadline_ms: u64,
    /// What it does, in order.
    pub actions: Vec<Action>,
}

/// Casts the ballots of the administrators that sign. Each may be cast again as long as the proposal is open.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct Vote {
    /// The proposal.
    pub proposal: u64,
    /// Hash of its content, see [`ProposalContent`].
    pub content: Hash32,
    /// For or against.
    pub approve: bool,
}

/// Takes a proposal back.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct Withdraw {
    /// The proposal.
    pub proposal: u64,
}

/// How the ballots stand now. Only those of present administrators count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Members, or administrators, that are for it.
    pub approving: u32,
    /// That are against it.
    pub rejecting: u32,
    /// That have a voice.
    pub entitled: u32,
    /// That must be for it.
    pub needed: u32,
}

impl Tally {
    const fn is_passed(&self) -> bool {
        self.approving >= self.needed
    }

    const fn is_lost(&self) -> bool {
        self.entitled.saturating_sub(self.rejecting) < self.needed
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Counts a proposal's ballots by the registry of this moment.
#[must_use]
pub fn tally(registry: &Registry, proposal: &Proposal) -> Tally {
    let cast = |member: &str, approve: bool| {
        let counts = |b: &&Ballot| {
            b.member == member && b.approve == approve && registry.administers(&b.account) == Some(member)
        };
        proposal.ballots.iter().filter(counts).count()
    };
    match &proposal.matter {
        Matter::Member(name) => {
            let member = registry.members.get(name).filter(|m| m.is_active());
            Tally {
                approving: count(cast(name, true)),
                rejecting: count(cast(name, false)),
                entitled: member.map_or(0, |m| count(m.admin_keys.len())),
                needed: member.map_or(1, |m| m.admin_threshold.into()),
            }
        }
        Matter::Consortium(kind) => {
            let (mut approving, mut rejecting, mut entitled) = (0u32, 0u32, 0u32);
            for member in registry.active_members() {
                let policy = usize::from(member.admin_threshold);
                entitled = entitled.saturating_add(1);
                if cast(&member.name, true) >= policy {
                    approving = approving.saturating_add(1);
                } else if cast(&member.name, false) >= policy {
                    rejecting = rejecting.saturating_add(1);
                }
            }
            let needed = registry.params.thresholds.of(*kind).needed(entitled);
            Tally { approving, rejecting, entitled, needed }
        }
    }
}

/// A proposal of the state.
pub(super) fn known(session: &Session, id: u64) -> Result<Proposal, Stop> {
    let found = read(session, "proposal", &keys::proposal(id), PROPOSAL_BYTES_MAX)?;
    found.ok_or_else(|| refuse("system.unknown_proposal", format!("there is no proposal {id}")))
}

fn still_open(session: &Session, id: u64) -> Result<Proposal, Stop> {
    let proposal = known(session, id)?;
    match proposal.state_at(session.moment.time) {
        ProposalState::Open => Ok(proposal),
        state => Err(refuse("system.proposal_closed", format!("proposal {id} is {}", state.as_str()))),
    }
}

/// What a proposal does.
pub(super) fn actions(session: &Session, id: u64) -> Result<Vec<Action>, Stop> {
    let found = read(session, "proposal's actions", &keys::proposal_actions(id), 2 * ACTIONS_BYTES_MAX)?;
    found.ok_or_else(|| Stop::Fatal(FatalError::Host(format!("proposal {id} has no actions"))))
}

/// The numbers of a member's open proposals, ascending. One record of all, since keys that are deleted stay as rows, and a
/// member makes and withdraws as many as it likes.
fn open_of(session: &Session, member: &str) -> Result<Vec<u64>, Stop> {
    let found = read(session, "list of open proposals", &keys::proposals_open(member), OPEN_BYTES_MAX)?;
    Ok(found.unwrap_or_default())
}

fn save(session: &mut Session, proposal: &Proposal) -> Result<(), Stop> {
    if proposal.state != ProposalState::Open {
        let mut open = open_of(session, &proposal.member)?;
        open.retain(|id| *id != proposal.id);
        session.overlay.set(keys::proposals_open(&proposal.member), Some(encode(&open)));
    }
    session.overlay.set(keys::proposal(proposal.id), Some(encode(proposal)));
    Ok(())
}

pub(super) fn propose(session: Box<Session>, arguments: &[u8], fuel: u64) -> Result<Returned, FatalError> {
    decide(session, fuel, |session| {
        let request = parse(arguments)?;
        let mut proposal = open(session, request)?;
        cast(session, &mut proposal, true)?;
        Ok(proposal)
    })
}

pub(super) fn vote(session: Box<Session>, arguments: &[u8], fuel: u64) -> Result<Returned, FatalError> {
    decide(session, fuel, |session| {
        let request: Vote = parse(arguments)?;
        let mut proposal = still_open(session, request.proposal)?;
        if request.content != proposal.content {
            let text = format!("proposal {} has the content {}", proposal.id, proposal.content);
            return Err(refuse("system.proposal_content", text));
        }
        cast(session, &mut proposal, request.approve)?;
        Ok(proposal)
    })
}

/// Prepares a proposal and settles it if it can be settled.
fn decide(
    mut session: Box<Session>,
    fuel: u64,
    prepare: impl FnOnce(&mut Session) -> Result<Proposal, Stop>,
) -> Result<Returned, FatalError> {
    let prepared = prepare(&mut session).and_then(|proposal| {
        let tally = tally(&session.registry, &proposal);
        let actions = if tally.is_passed() { actions(&session, proposal.id)? } else { Vec::new() };
        Ok((proposal, tally, actions))
    });
    match prepared {
        Ok((proposal, tally, actions)) => settle(session, proposal, tally, &actions, fuel),
        Err(Stop::Refused(reason)) => Ok((Err(reason), 0, session)),
        Err(Stop::Fatal(error)) => Err(error),
    }
}

fn settle(
    mut session: Box<Session>,
    mut proposal: Proposal,
    tally: Tally,
    actions: &[Action],
    fuel: u64,
) -> Result<Returned, FatalError> {
    let at = session.moment.height;
    let mut used = 0;
    if tally.is_passed() {
        // Events of earlier calls of the transaction must not leave too little room for those of the actions.
        let earlier = core::mem::take(&mut session.events);
        let mark = session.mark();
        let (end, spent, back) = execute(session, &proposal.matter, actions, fuel, |_, _, _, _| ())?;
        (session, used) = (back, spent);
        if let Err((action, reason)) = end {
            session.roll_back(mark);
            if reason.code == code::OUT_OF_FUEL {
                session.events = earlier;
                return Ok((Err(reason), used, session));
            }
            let CallFailure { code, message } = reason;
            proposal.state = ProposalState::Failed { at, action, code, message: cut(message) };
        } else {
            proposal.state = ProposalState::Executed(at);
        }
        let own = core::mem::replace(&mut session.events, earlier);
        session.events.extend(own);
    } else if tally.is_lost() {
        proposal.state = ProposalState::Rejected(at);
    }
    match save(&mut session, &proposal) {
        Ok(()) => {}
        Err(Stop::Refused(reason)) => return Ok((Err(reason), used, session)),
        Err(Stop::Fatal(error)) => return Err(error),
    }
    match &proposal.state {
        ProposalState::Open => {}
        ProposalState::Failed { code, message, .. } => {
            let data = encode(&(proposal.id, code.clone(), message.clone()));
            announce(&mut session, "ProposalFailed", data);
        }
        state => {
            let data = encode(&(proposal.id, state.as_str().to_owned()));
            announce(&mut session, "ProposalClosed", data);
        }
    }
    let output = encode(&(proposal.id, proposal.state.as_str().to_owned()));
    Ok((Ok(output), used, session))
}

fn cut(mut message: String) -> String {
    let mut end = message.len().min(FAILURE_BYTES_MAX);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.truncate(end);
    message
}

fn matter(registry: &Registry, kind: &str, member: Option<String>) -> Result<Matter, Stop> {
    match (DecisionKind::from_text(kind), kind, member) {
        (Some(kind), _, None) => Ok(Matter::Consortium(kind)),
        (None, "member", Some(name)) => {
            members::known(registry, &name)?;
            Ok(Matter::Member(name))
        }
        _ => {
            let text = "a proposal is of kind membership, nodes, contracts, parameters, emergency or documents, \
                        or of kind member with the member's name";
            Err(refuse("system.kind", text))
        }
    }
}

/// Whether a proposal about `matter` may do this.
fn fits(matter: &Matter, action: &Action) -> Result<(), Stop> {
    ContractName::new(&*action.contract).map_err(|e| refuse(e.code(), e.to_string()))?;
    bounded("method", &action.method, super::NAME_BYTES_MAX)?;
    let affair = (action.contract == keys::SYSTEM).then(|| affair(&action.method));
    let fits = match (matter, affair) {
        (Matter::Consortium(kind), None) => matches!(kind, DecisionKind::Documents | DecisionKind::Contracts),
        (Matter::Consortium(kind), Some(Some(affair))) => affair.kinds.contains(kind),
        (Matter::Member(_), Some(Some(affair))) => affair.own,
        (_, Some(None)) | (Matter::Member(_), None) => false,
    };
    if fits {
        Ok(())
    } else {
        let text = format!("{}.{} is no affair of kind {}", action.contract, action.method, matter.kind());
        Err(refuse("system.kind", text))
    }
}

/// The first signer that administers an active member, and for a member's own affairs that member.
fn proposer(session: &Session, matter: &Matter) -> Result<(AccountId, String), Stop> {
    let found = session.signers.iter().find_map(|signer| {
        let name = session.registry.administers(signer)?;
        let member = session.registry.members.get(name).filter(|m| m.is_active())?;
        let entitled = match matter {
            Matter::Consortium(_) => true,
            Matter::Member(own) => *own == member.name,
        };
        entitled.then(|| (*signer, member.name.clone()))
    });
    found.ok_or_else(|| {
        refuse("system.not_authorised", "this needs the signature of an administrator with a voice in it")
    })
}

fn open(session: &mut Session, request: Propose) -> Result<Proposal, Stop> {
    let matter = matter(&session.registry, &request.kind, request.member.clone())?;
    bounded("title", &request.title, TITLE_BYTES_MAX)?;
    if request.actions.is_empty() || request.actions.len() > ACTIONS_MAX {
        return Err(bad_arguments(format!("a proposal has 1 to {ACTIONS_MAX} actions")));
    }
    let encoded = encode(&request.actions);
    if encoded.len() > ACTIONS_BYTES_MAX {
        return Err(bad_arguments(format!("the actions have more than {ACTIONS_BYTES_MAX} bytes")));
    }
    for action in &request.actions {
        fits(&matter, action)?;
    }
    let (proposer, member) = proposer(session, &matter)?;
    let now = session.moment.time;
    let latest = now.0.saturating_add(u64::from(session.registry.params.proposal_hours_max).saturating_mul(HOUR_MS));
    if request.deadline_ms <= now.0 || request.deadline_ms > latest {
        let hours = session.registry.params.proposal_hours_max;
        let text = format!("the deadline must be after the block's time {now} and at most {hours} hours later");
        return Err(refuse("system.deadline", text));
    }
    let mut open = make_room(session, &member)?;
    let count: Option<u64> = read(session, "count of proposals", &keys::proposal_count(), 8)?;
    let id = count.unwrap_or(0).saturating_add(1);
    let deadline = TimestampMs(request.deadline_ms);
    session.overlay.set(keys::proposal_count(), Some(encode(&id)));
    session.overlay.set(keys::proposal_actions(id), Some(encoded));
    open.push(id);
    session.overlay.set(keys::proposals_open(&member), Some(encode(&open)));
    let data = encode(&(id, matter.kind().to_owned(), member.clone(), request.title.clone()));
    announce(session, "ProposalMade", data);
    let Propose { kind, member: of_member, title, actions, .. } = request;
    let content = ProposalContent { kind, member: of_member, title: title.clone(), deadline, actions }.hash();
    Ok(Proposal {
        id,
        matter,
        title,
        content,
        proposer,
        member,
        created: session.moment.height,
        created_at: now,
        deadline,
        ballots: Vec::new(),
        state: ProposalState::Open,
    })
}

/// Bounds a member's open proposals; those whose deadline passed are closed on the way. The ones that are left.
fn make_room(session: &mut Session, member: &str) -> Result<Vec<u64>, Stop> {
    let max = usize::from(session.registry.params.proposals_per_member_max);
    for id in open_of(session, member)? {
        let mut proposal = known(session, id)?;
        let state = proposal.state_at(session.moment.time);
        if state != ProposalState::Open {
            proposal.state = state;
            save(session, &proposal)?;
        }
    }
    let open = open_of(session, member)?;
    if open.len() >= max {
        let text = format!("{member} has {} open proposals, at most {max} are allowed", open.len());
        return Err(refuse("system.too_many", text));
    }
    Ok(open)
}

/// Adds the ballots of all signers that have a voice.
fn cast(session: &mut Session, proposal: &mut Proposal, approve: bool) -> Result<(), Stop> {
    let height = session.moment.height;
    let mut cast = Vec::new();
    for signer in session.signers.clone() {
        let Some(name) = session.registry.administers(&signer) else { continue };
        let Some(member) = session.registry.members.get(name).filter(|m| m.is_active()) else { continue };
        if matches!(&proposal.matter, Matter::Member(own) if *own != member.name) {
            continue;
        }
        cast.push(Ballot { account: signer, member: member.name.clone(), approve, height });
    }
    if cast.is_empty() {
        return Err(refuse("system.not_authorised", "no administrator with a voice in this proposal signed"));
    }
    // Those of former administrators count for nothing. Kept, they would be without bound: a member changes its keys at will.
    let registry = &session.registry;
    proposal.ballots.retain(|ballot| registry.administers(&ballot.account) == Some(&*ballot.member));
    for ballot in cast {
        announce(session, "BallotCast", encode(&(proposal.id, ballot.member.clone(), ballot.account, approve)));
        match proposal.ballots.iter_mut().find(|b| b.account == ballot.account) {
            Some(earlier) => *earlier = ballot,
            None => proposal.ballots.push(ballot),
        }
    }
    Ok(())
}

pub(super) fn withdraw(session: &mut Session, request: &Withdraw) -> Result<(), Stop> {
    let mut proposal = still_open(session, request.proposal)?;
    if !session.signers.contains(&proposal.proposer) {
        own_affair(session, &Authority::Signers, &proposal.member)?;
    }
    proposal.state = ProposalState::Withdrawn(session.moment.height);
    save(session, &proposal)?;
    announce(session, "ProposalClosed", encode(&(proposal.id, proposal.state.as_str().to_owned())));
    Ok(())
}
