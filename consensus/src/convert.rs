//! Between our words and the core's. From the core, a round that is missing where there must be one gives `None`.

use malachitebft_core_consensus::{Input as CoreInput, ProposedValue};
use malachitebft_core_types::{
    self as core_types, NilOrVal, RoundCertificateType, SignedMessage, Timeout, TimeoutKind, Validity, ValueOrigin,
    VoteType,
};
use vouch_types::{BlockHash, CommitCertificate, CommitSignature, Round, VoteKind};

use crate::{
    context::{Address, BlockRef, CoreHeight, CoreRound, CoreSignedProposal, CoreSignedVote, Ctx, Proposal, Vote},
    evidence::Evidence,
    log::LogEntry,
    members::Members,
    message::{
        PolkaCertificate, PolkaSignature, RoundCertificate, RoundCertificateKind, RoundSignature, SignedProposal,
        SignedVote,
    },
    timers::TimerKind,
};

pub(crate) fn round_in(round: Round) -> CoreRound {
    CoreRound::new(round.0)
}

pub(crate) fn round_out(round: CoreRound) -> Option<Round> {
    round.as_u32().map(Round)
}

fn valid_round_in(round: Option<Round>) -> CoreRound {
    round.map_or(CoreRound::Nil, round_in)
}

fn kind_in(kind: VoteKind) -> VoteType {
    match kind {
        VoteKind::Prevote => VoteType::Prevote,
        VoteKind::Precommit => VoteType::Precommit,
    }
}

fn kind_out(kind: VoteType) -> VoteKind {
    match kind {
        VoteType::Prevote => VoteKind::Prevote,
        VoteType::Precommit => VoteKind::Precommit,
    }
}

fn block_in(block: Option<BlockHash>) -> NilOrVal<BlockHash> {
    block.map_or(NilOrVal::Nil, NilOrVal::Val)
}

fn block_out(block: &NilOrVal<BlockHash>) -> Option<BlockHash> {
    match block {
        NilOrVal::Nil => None,
        NilOrVal::Val(block) => Some(*block),
    }
}

pub(crate) fn vote_in(vote: &SignedVote) -> CoreSignedVote {
    let message = Vote {
        kind: kind_in(vote.kind),
        height: CoreHeight(vote.height),
        round: round_in(vote.round),
        value: block_in(vote.block),
        validator: Address(vote.validator),
    };
    SignedMessage::new(message, vote.signature)
}

pub(crate) fn vote_out(vote: &Vote, signature: vouch_types::Signature) -> Option<SignedVote> {
    Some(SignedVote {
        kind: kind_out(vote.kind),
        height: vote.height.0,
        round: round_out(vote.round)?,
        block: block_out(&vote.value),
        validator: vote.validator.0,
        signature,
    })
}

pub(crate) fn proposal_in(proposal: &SignedProposal) -> CoreSignedProposal {
    let message = Proposal {
        height: CoreHeight(proposal.height),
        round: round_in(proposal.round),
        value: BlockRef(proposal.block),
        valid_round: valid_round_in(proposal.valid_round),
        proposer: Address(proposal.proposer),
    };
    SignedMessage::new(message, proposal.signature)
}

pub(crate) fn proposal_out(proposal: &Proposal, signature: vouch_types::Signature) -> Option<SignedProposal> {
    Some(SignedProposal {
        height: proposal.height.0,
        round: round_out(proposal.round)?,
        block: proposal.value.0,
        valid_round: round_out(proposal.valid_round),
        proposer: proposal.proposer.0,
        signature,
    })
}

pub(crate) fn polka_in(polka: &PolkaCertificate) -> core_types::PolkaCertificate<Ctx> {
    core_types::PolkaCertificate {
        height: CoreHeight(polka.height),
        round: round_in(polka.round),
        value_id: polka.block,
        polka_signatures: polka
            .signatures
            .iter()
            .map(|entry| core_types::PolkaSignature::new(Address(entry.validator), entry.signature))
            .collect(),
    }
}

pub(crate) fn polka_out(polka: &core_types::PolkaCertificate<Ctx>) -> Option<PolkaCertificate> {
    let mut signatures: Vec<_> = polka
        .polka_signatures
        .iter()
        .map(|entry| PolkaSignature { validator: entry.address.0, signature: entry.signature })
        .collect();
    signatures.sort_by_key(|entry| entry.validator);
    Some(PolkaCertificate { height: polka.height.0, round: round_out(polka.round)?, block: polka.value_id, signatures })
}

pub(crate) fn round_certificate_in(certificate: &RoundCertificate) -> core_types::RoundCertificate<Ctx> {
    core_types::RoundCertificate {
        height: CoreHeight(certificate.height),
        round: round_in(certificate.round),
        cert_type: match certificate.kind {
            RoundCertificateKind::Skip => RoundCertificateType::Skip,
            RoundCertificateKind::Precommit => RoundCertificateType::Precommit,
        },
        round_signatures: certificate
            .signatures
            .iter()
            .map(|entry| {
                let (kind, block) = (kind_in(entry.kind), block_in(entry.block));
                core_types::RoundSignature::new(kind, block, Address(entry.validator), entry.signature)
            })
            .collect(),
    }
}

pub(crate) fn round_certificate_out(certificate: &core_types::RoundCertificate<Ctx>) -> Option<RoundCertificate> {
    let mut signatures: Vec<_> = certificate
        .round_signatures
        .iter()
        .map(|entry| RoundSignature {
            validator: entry.address.0,
            kind: kind_out(entry.vote_type),
            block: block_out(&entry.value_id),
            signature: entry.signature,
        })
        .collect();
    signatures.sort_by_key(|entry| entry.validator);
    Some(RoundCertificate {
        height: certificate.height.0,
        round: round_out(certificate.round)?,
        kind: match certificate.cert_type {
            RoundCertificateType::Skip => RoundCertificateKind::Skip,
            RoundCertificateType::Precommit => RoundCertificateKind::Precommit,
        },
        signatures,
    })
}

/// `None` as well when a signer is not in the set, which the core has ruled out.
pub(crate) fn commit_out(
    certificate: &core_types::CommitCertificate<Ctx>,
    members: &Members,
) -> Option<CommitCertificate> {
    let mut signatures = Vec::with_capacity(certificate.commit_signatures.len());
    for entry in &certificate.commit_signatures {
        let validator = members.position(&entry.address.0)?;
        signatures.push(CommitSignature { validator, signature: entry.signature });
    }
    signatures.sort_by_key(|entry| entry.validator);
    Some(CommitCertificate {
        height: certificate.height.0,
        round: round_out(certificate.round)?,
        block: certificate.value_id,
        signatures,
    })
}

/// `None` when a signer is not in the set.
pub(crate) fn commit_in(
    certificate: &CommitCertificate,
    members: &Members,
) -> Option<core_types::ExtendedCommitCertificate<Ctx>> {
    let mut commit_signatures = Vec::with_capacity(certificate.signatures.len());
    for entry in &certificate.signatures {
        let member = members.list().get(usize::from(entry.validator))?;
        commit_signatures.push(core_types::ExtendedCommitSignature::new(Address(member.node), entry.signature, None));
    }
    Some(core_types::ExtendedCommitCertificate {
        height: CoreHeight(certificate.height),
        round: round_in(certificate.round),
        value_id: certificate.block,
        commit_signatures,
    })
}

pub(crate) fn timer_kind_out(kind: TimeoutKind) -> Option<TimerKind> {
    match kind {
        TimeoutKind::Propose => Some(TimerKind::Propose),
        TimeoutKind::Prevote => Some(TimerKind::Prevote),
        TimeoutKind::Precommit => Some(TimerKind::Precommit),
        TimeoutKind::Rebroadcast => Some(TimerKind::Rebroadcast),
        // Only asked for with a target time, which heights are never started with.
        TimeoutKind::FinalizeHeight(_) => None,
    }
}

pub(crate) fn timer_in(round: Round, kind: TimerKind) -> Timeout {
    let kind = match kind {
        TimerKind::Propose => TimeoutKind::Propose,
        TimerKind::Prevote => TimeoutKind::Prevote,
        TimerKind::Precommit => TimeoutKind::Precommit,
        TimerKind::Rebroadcast => TimeoutKind::Rebroadcast,
    };
    Timeout::new(round_in(round), kind)
}

/// What the core wants logged, as a record.
pub(crate) fn entry_out(height: CoreHeight, input: &CoreInput<Ctx>) -> Option<LogEntry> {
    match input {
        CoreInput::Vote(vote) => vote_out(&vote.message, vote.signature).map(LogEntry::Vote),
        CoreInput::Proposal(proposal) => proposal_out(&proposal.message, proposal.signature).map(LogEntry::Proposal),
        CoreInput::PolkaCertificate(polka) => polka_out(polka).map(LogEntry::Polka),
        CoreInput::TimeoutElapsed(timeout) => Some(LogEntry::Timer {
            height: height.0,
            round: round_out(timeout.round)?,
            kind: timer_kind_out(timeout.kind)?,
        }),
        CoreInput::ProposedValue(value, origin) => Some(LogEntry::Block {
            height: value.height.0,
            round: round_out(value.round)?,
            valid_round: round_out(value.valid_round),
            proposer: value.proposer.0,
            block: value.value.0,
            valid: value.validity.is_valid(),
            synced: origin.is_sync(),
        }),
        CoreInput::StartHeight(..)
        | CoreInput::RoundCertificate(_)
        | CoreInput::Propose(_)
        | CoreInput::SyncValueResponse(_) => None,
    }
}

/// A record as the core's input again; `None` for the records that are the driver's own.
pub(crate) fn entry_in(entry: &LogEntry) -> Option<CoreInput<Ctx>> {
    Some(match entry {
        LogEntry::Vote(vote) => CoreInput::Vote(vote_in(vote)),
        LogEntry::Proposal(proposal) => CoreInput::Proposal(proposal_in(proposal)),
        LogEntry::Polka(polka) => CoreInput::PolkaCertificate(polka_in(polka)),
        LogEntry::Timer { round, kind, .. } => CoreInput::TimeoutElapsed(timer_in(*round, *kind)),
        LogEntry::Block { height, round, valid_round, proposer, block, valid, synced } => {
            let value = ProposedValue {
                height: CoreHeight(*height),
                round: round_in(*round),
                valid_round: valid_round_in(*valid_round),
                proposer: Address(*proposer),
                value: BlockRef(*block),
                validity: Validity::from_bool(*valid),
            };
            CoreInput::ProposedValue(value, if *synced { ValueOrigin::Sync } else { ValueOrigin::Consensus })
        }
        LogEntry::Started { .. } | LogEntry::Commit(_) => return None,
    })
}

pub(crate) fn votes_evidence(a: &CoreSignedVote, b: &CoreSignedVote) -> Option<Evidence> {
    Some(Evidence::Votes(vote_out(&a.message, a.signature)?, vote_out(&b.message, b.signature)?))
}
