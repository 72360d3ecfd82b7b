//! Answers the core: signs, verifies, frames log records, keeps timers, and collects what the host must do.
//!
//! Everything around the core's state lives here, apart from it, because the core holds its state while it asks.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use malachitebft_core_consensus::{
    ConsensusMsg, Effect as CoreEffect, LivenessMsg, MisbehaviorEvidence, Resumable, Resume, SignedConsensusMsg,
};
use malachitebft_core_types::{CertificateError as CoreCertificateError, SignedMessage, Timeout};
use vouch_types::{BlockHash, Hash32, Height, NodeId, PublicKey, Round, SecretKey, Signature, VoteKind};

use crate::{
    context::{Ctx, Proposal, Vote},
    convert,
    evidence::Evidence,
    fault::{SafetyFault, SignedKind},
    io::Effect,
    log::{LogEntry, LogWriter, RecoveredLog},
    members::Members,
    message::ConsensusMessage,
    timers::{Timeouts, TimerId},
    verify::Verifier,
};

/// The core is told to give up this input; the reason is in [`Shell::fault`].
#[derive(Debug)]
pub(crate) struct Stopped;

/// What is put aside while the log is replayed, because most of it is out of date when the replay ends.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    /// Digests of the records that are in the log already.
    logged: BTreeSet<Hash32>,
    /// Messages and payloads sent, each with the round it was sent in and whether a signature in it is new.
    sent: Vec<(Round, bool, Effect)>,
}

/// Own statement of one kind and round: what was signed, and the message.
#[derive(Debug, Clone)]
pub(crate) struct OwnMessage {
    digest: Hash32,
    pub(crate) message: ConsensusMessage,
    is_logged: bool,
}

pub(crate) struct Shell {
    secret: Option<SecretKey>,
    /// Its public half, which takes as long to work out as a signature.
    public: Option<PublicKey>,
    pub(crate) node: NodeId,
    timeouts: Timeouts,
    pub(crate) verifier: Verifier,
    pub(crate) height: Height,
    pub(crate) round: Round,
    pub(crate) members: Arc<Members>,
    /// Signs at this height: has a key, the key is in the set, and the host does not forbid it.
    pub(crate) voting: bool,
    writer: LogWriter,
    pub(crate) own: BTreeMap<(SignedKind, Round), OwnMessage>,
    pub(crate) timers: BTreeMap<TimerId, u32>,
    /// The round a block was asked for and not given yet.
    pub(crate) requested: Option<Round>,
    /// The core has verified a commit certificate and waits for its block.
    pub(crate) certified: Option<(Round, BlockHash)>,
    pub(crate) decided: Option<BlockHash>,
    pub(crate) replay: Option<Replay>,
    outbox: Vec<Effect>,
    pub(crate) fault: Option<SafetyFault>,
}

impl Shell {
    pub(crate) fn new(verifier: Verifier, secret: Option<SecretKey>, members: Arc<Members>) -> Self {
        let public = secret.as_ref().map(SecretKey::public);
        let node = public.map_or(NodeId::ZERO, |key| key.node());
        Self {
            secret,
            public,
            node,
            timeouts: Timeouts::DEFAULT,
            verifier,
            height: Height::ZERO,
            round: Round::ZERO,
            members,
            voting: false,
            writer: LogWriter::default(),
            own: BTreeMap::new(),
            timers: BTreeMap::new(),
            requested: None,
            certified: None,
            decided: None,
            replay: None,
            outbox: Vec::new(),
            fault: None,
        }
    }

    pub(crate) const fn has_key(&self) -> bool {
        self.secret.is_some()
    }

    /// Forgets the height before and takes up the next, with the log to go on with.
    pub(crate) fn begin(
        &mut self,
        height: Height,
        members: Arc<Members>,
        timeouts: Timeouts,
        log: &RecoveredLog,
        signs: bool,
    ) -> Result<(), SafetyFault> {
        self.height = height;
        self.timeouts = timeouts;
        self.round = Round::ZERO;
        self.voting = signs && self.secret.is_some() && members.position(&self.node).is_some();
        self.members = members;
        self.own.clear();
        self.timers.clear();
        self.requested = None;
        self.certified = None;
        self.decided = None;
        if !self.voting {
            return Ok(());
        }
        if log.entries.is_empty() {
            self.writer = LogWriter::default();
            let started = LogEntry::Started { chain: self.verifier.chain(), node: self.node, height };
            let frame = self.writer.frame(&started);
            self.push(Effect::ResetLog(frame));
            return Ok(());
        }
        self.writer = LogWriter::resume(log.len);
        self.index_log(&log.entries)
    }

    /// Learns from the log what this node has signed.
    fn index_log(&mut self, entries: &[LogEntry]) -> Result<(), SafetyFault> {
        let mut replay = Replay::default();
        for entry in entries {
            replay.logged.insert(entry_digest(entry));
            let message = match entry {
                LogEntry::Vote(vote) if vote.validator == self.node => ConsensusMessage::Vote(*vote),
                LogEntry::Proposal(proposal) if proposal.proposer == self.node => ConsensusMessage::Proposal(*proposal),
                _ => continue,
            };
            let Some((kind, digest)) = self.statement_of(&message) else { continue };
            let round = message.round();
            let known = self.own.entry((kind, round)).or_insert(OwnMessage { digest, message, is_logged: true });
            if known.digest != digest {
                return Err(SafetyFault::LogContradicts { kind, height: self.height, round });
            }
        }
        self.replay = Some(replay);
        Ok(())
    }

    /// What a vote or proposal states, as digest; `None` for certificates.
    pub(crate) fn statement_of(&self, message: &ConsensusMessage) -> Option<(SignedKind, Hash32)> {
        let chain = self.verifier.chain();
        match message {
            ConsensusMessage::Vote(vote) => Some((vote_kind(vote.kind), vote.statement(chain).digest())),
            ConsensusMessage::Proposal(proposal) => Some((SignedKind::Proposal, proposal.statement(chain).digest())),
            ConsensusMessage::Polka(_) | ConsensusMessage::Round(_) => None,
        }
    }

    /// True when this node has signed exactly this.
    pub(crate) fn has_signed(&self, kind: SignedKind, round: Round, digest: Hash32) -> bool {
        self.own.get(&(kind, round)).is_some_and(|own| own.digest == digest)
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        self.outbox.push(effect);
    }

    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        core::mem::take(&mut self.outbox)
    }

    /// Appends a record, unless the log that is being replayed holds it.
    pub(crate) fn append(&mut self, entry: &LogEntry) {
        let is_logged = self.replay.as_ref().is_some_and(|replay| replay.logged.contains(&entry_digest(entry)));
        self.mark_own_logged(entry);
        if self.voting && !is_logged {
            let frame = self.writer.frame(entry);
            self.push(Effect::AppendLog(frame));
        }
    }

    fn mark_own_logged(&mut self, entry: &LogEntry) {
        let (kind, round) = match entry {
            LogEntry::Vote(vote) if vote.validator == self.node => (vote_kind(vote.kind), vote.round),
            LogEntry::Proposal(proposal) if proposal.proposer == self.node => (SignedKind::Proposal, proposal.round),
            _ => return,
        };
        if let Some(own) = self.own.get_mut(&(kind, round)) {
            own.is_logged = true;
        }
    }

    /// The core does not log an own vote that it already knows from a certificate, so this makes sure of it.
    fn log_own(&mut self, message: &ConsensusMessage) {
        let Some((kind, digest)) = self.statement_of(message) else { return };
        let own = self.own.get(&(kind, message.round()));
        if own.is_some_and(|own| own.digest == digest && !own.is_logged) && message.signer() == Some(self.node) {
            match message {
                ConsensusMessage::Vote(vote) => self.append(&LogEntry::Vote(*vote)),
                ConsensusMessage::Proposal(proposal) => self.append(&LogEntry::Proposal(*proposal)),
                ConsensusMessage::Polka(_) | ConsensusMessage::Round(_) => {}
            }
        }
    }

    fn broadcast(&mut self, message: ConsensusMessage) {
        self.log_own(&message);
        if self.replay.is_some() {
            let is_new = message.signer() == Some(self.node)
                && self.replay.as_ref().is_some_and(|replay| !replay.logged.contains(&message_digest(&message)));
            self.send_later(is_new, Effect::Broadcast(message));
            return;
        }
        if self.writer.has_unsynced() && self.voting {
            self.writer.mark_synced();
            self.push(Effect::SyncLog);
        }
        self.push(Effect::Broadcast(message));
    }

    fn send_later(&mut self, is_new: bool, effect: Effect) {
        let round = self.round;
        if let Some(replay) = &mut self.replay {
            replay.sent.push((round, is_new, effect));
        }
    }

    /// Ends the replay: what still matters of the things put aside is now asked of the host.
    pub(crate) fn end_replay(&mut self, proposer: NodeId) {
        let Some(replay) = self.replay.take() else { return };
        let (height, round) = (self.height, self.round);
        self.push(Effect::CancelAllTimers);
        self.push(Effect::RoundStarted { height, round, proposer });
        for (timer, after_ms) in self.timers.clone() {
            self.push(Effect::SetTimer { timer, after_ms });
        }
        let own_proposal = self.own.get(&(SignedKind::Proposal, round)).map(|own| own.message.clone());
        let mut proposed_again = false;
        for (sent_in, is_new, effect) in replay.sent {
            proposed_again |= matches!(&effect, Effect::Broadcast(ConsensusMessage::Proposal(p)) if p.round == round);
            if sent_in == round || is_new {
                match effect {
                    Effect::Broadcast(message) => self.broadcast(message),
                    other => self.push(other),
                }
            }
        }
        // A new block of ours comes out of the log as a proposal received, so the core did not send it again.
        if let (Some(ConsensusMessage::Proposal(proposal)), false) = (own_proposal, proposed_again) {
            self.push(Effect::RestreamBlock {
                height,
                round,
                valid_round: proposal.valid_round,
                block: proposal.block,
            });
            self.broadcast(ConsensusMessage::Proposal(proposal));
        }
    }

    /// Does what the core asks and gives its answer.
    pub(crate) fn handle(&mut self, effect: CoreEffect<Ctx>) -> Result<Resume<Ctx>, Stopped> {
        match effect {
            CoreEffect::CancelAllTimeouts(r) => {
                self.timers.clear();
                self.push_live(Effect::CancelAllTimers);
                Ok(r.resume_with(()))
            }
            CoreEffect::CancelTimeout(timeout, r) => self.cancel_timer(timeout).map(|()| r.resume_with(())),
            CoreEffect::ScheduleTimeout(timeout, r) => self.set_timer(timeout).map(|()| r.resume_with(())),
            CoreEffect::StartRound(height, round, proposer, _, r) => {
                self.round = self.some(convert::round_out(round), "a round without a number")?;
                self.requested = None;
                let round = self.round;
                self.push_live(Effect::RoundStarted { height: height.0, round, proposer: proposer.0 });
                Ok(r.resume_with(()))
            }
            CoreEffect::PublishConsensusMsg(message, r) => self.publish(&message).map(|()| r.resume_with(())),
            CoreEffect::PublishLivenessMsg(message, r) => self.publish_liveness(&message).map(|()| r.resume_with(())),
            CoreEffect::RepublishVote(vote, r) => {
                self.publish(&SignedConsensusMsg::Vote(vote)).map(|()| r.resume_with(()))
            }
            CoreEffect::RepublishRoundCertificate(certificate, r) => {
                self.publish_liveness(&LivenessMsg::SkipRoundCertificate(certificate)).map(|()| r.resume_with(()))
            }
            CoreEffect::GetValue(_, round, _, r) => self.request_block(round).map(|()| r.resume_with(())),
            CoreEffect::RestreamProposal(height, round, valid_round, _, block, r) => {
                let round = self.some(convert::round_out(round), "a proposal without a round")?;
                let valid_round = convert::round_out(valid_round);
                let effect = Effect::RestreamBlock { height: height.0, round, valid_round, block };
                if self.replay.is_some() {
                    self.send_later(false, effect);
                } else {
                    self.push(effect);
                }
                Ok(r.resume_with(()))
            }
            CoreEffect::WalAppend(height, input, r) => {
                let entry = self.some(convert::entry_out(height, &input), "a record that cannot be logged")?;
                self.append(&entry);
                Ok(r.resume_with(()))
            }
            other => self.handle_judgement(other),
        }
    }

    /// Signing, verifying, deciding.
    fn handle_judgement(&mut self, effect: CoreEffect<Ctx>) -> Result<Resume<Ctx>, Stopped> {
        match effect {
            CoreEffect::SignVote(vote, r) => self.sign_vote(vote).map(|signed| r.resume_with(signed)),
            CoreEffect::SignProposal(proposal, r) => self.sign_proposal(proposal).map(|signed| r.resume_with(signed)),
            CoreEffect::VerifySignature(message, key, r) => {
                let digest = match &message.message {
                    ConsensusMsg::Vote(vote) => self.vote_digest(vote)?,
                    ConsensusMsg::Proposal(proposal) => self.proposal_digest(proposal)?,
                };
                Ok(r.resume_with(self.verifier.check(key, digest, message.signature)))
            }
            CoreEffect::VerifyCommitCertificate(certificate, _, _, r) => {
                let certificate = convert::commit_out(&certificate, &self.members);
                Ok(r.resume_with(self.judge_commit(certificate)))
            }
            CoreEffect::VerifyExtendedCommitCertificate(certificate, _, _, _, r) => {
                let certificate = convert::commit_out(&certificate.trim_vote_extensions(), &self.members);
                Ok(r.resume_with(self.judge_commit(certificate)))
            }
            CoreEffect::VerifyPolkaCertificate(certificate, _, _, r) => {
                let polka = self.some(convert::polka_out(&certificate), "a polka without a round")?;
                let verdict = self.verifier.polka(&self.members, &polka);
                Ok(r.resume_with(verdict.map_err(|e| refused(&e))))
            }
            CoreEffect::VerifyRoundCertificate(certificate, _, _, r) => {
                let round = self.some(convert::round_certificate_out(&certificate), "a certificate without a round")?;
                let verdict = self.verifier.round(&self.members, &round);
                Ok(r.resume_with(verdict.map_err(|e| refused(&e))))
            }
            CoreEffect::CertVerifiedSyncValue(value, _, r) => {
                let round = self.some(convert::round_out(value.certificate.round), "a certificate without a round")?;
                self.certified = Some((round, value.certificate.value_id));
                Ok(r.resume_with(()))
            }
            // The driver verifies before it hands a certificate over, so the core has nothing to reject.
            CoreEffect::CertRejectedSyncValue(_, _, _, r) => Ok(r.resume_with(())),
            CoreEffect::Decide(certificate, _, r) => {
                let certificate =
                    self.some(convert::commit_out(&certificate, &self.members), "a decision by strangers")?;
                self.decided = Some(certificate.block);
                self.push(Effect::Decide(certificate));
                Ok(r.resume_with(()))
            }
            CoreEffect::Finalize(_, _, evidence, r) => {
                self.record_evidence(&evidence);
                let height = self.height;
                self.push(Effect::Finalize { height });
                Ok(r.resume_with(()))
            }
            CoreEffect::ExtendVote(_, _, _, _, r) => Ok(r.resume_with(None)),
            CoreEffect::VerifyVoteExtension(_, _, _, _, _, _, r) => {
                Ok(r.resume_with(Err(malachitebft_core_consensus::VoteExtensionError::InvalidVoteExtension)))
            }
            _ => self.stop("an effect out of place"),
        }
    }

    fn push_live(&mut self, effect: Effect) {
        if self.replay.is_none() {
            self.push(effect);
        }
    }

    fn some<T>(&mut self, value: Option<T>, what: &'static str) -> Result<T, Stopped> {
        value.map_or_else(|| self.stop(what), Ok)
    }

    fn stop<T>(&mut self, what: &'static str) -> Result<T, Stopped> {
        self.fault.get_or_insert(SafetyFault::Core(what));
        Err(Stopped)
    }

    fn timer_id(&mut self, timeout: Timeout) -> Result<TimerId, Stopped> {
        let round = self.some(convert::round_out(timeout.round), "a timer without a round")?;
        let kind = self.some(convert::timer_kind_out(timeout.kind), "a timer of a kind not in use")?;
        Ok(TimerId { height: self.height, round, kind })
    }

    fn set_timer(&mut self, timeout: Timeout) -> Result<(), Stopped> {
        let timer = self.timer_id(timeout)?;
        let after_ms = self.timeouts.wait_ms(timer.kind, timer.round);
        self.timers.insert(timer, after_ms);
        self.push_live(Effect::SetTimer { timer, after_ms });
        Ok(())
    }

    fn cancel_timer(&mut self, timeout: Timeout) -> Result<(), Stopped> {
        let timer = self.timer_id(timeout)?;
        if self.timers.remove(&timer).is_some() {
            self.push_live(Effect::CancelTimer(timer));
        }
        Ok(())
    }

    fn request_block(&mut self, round: malachitebft_core_types::Round) -> Result<(), Stopped> {
        let round = self.some(convert::round_out(round), "a request without a round")?;
        self.requested = Some(round);
        if self.replay.is_none() {
            self.push_request(round);
        }
        Ok(())
    }

    /// Asks the host for the block of a round.
    pub(crate) fn push_request(&mut self, round: Round) {
        let timeout_ms = self.timeouts.wait_ms(crate::timers::TimerKind::Propose, round);
        let height = self.height;
        self.push(Effect::RequestProposal { height, round, timeout_ms });
    }

    fn publish(&mut self, message: &SignedConsensusMsg<Ctx>) -> Result<(), Stopped> {
        let message = match message {
            SignedConsensusMsg::Vote(vote) => {
                convert::vote_out(&vote.message, vote.signature).map(ConsensusMessage::Vote)
            }
            SignedConsensusMsg::Proposal(proposal) => {
                convert::proposal_out(&proposal.message, proposal.signature).map(ConsensusMessage::Proposal)
            }
        };
        let message = self.some(message, "a message without a round")?;
        self.broadcast(message);
        Ok(())
    }

    fn publish_liveness(&mut self, message: &LivenessMsg<Ctx>) -> Result<(), Stopped> {
        let message = match message {
            LivenessMsg::Vote(vote) => convert::vote_out(&vote.message, vote.signature).map(ConsensusMessage::Vote),
            LivenessMsg::PolkaCertificate(polka) => convert::polka_out(polka).map(ConsensusMessage::Polka),
            LivenessMsg::SkipRoundCertificate(round) => {
                convert::round_certificate_out(round).map(ConsensusMessage::Round)
            }
        };
        let message = self.some(message, "a certificate without a round")?;
        self.broadcast(message);
        Ok(())
    }

    fn vote_digest(&mut self, vote: &Vote) -> Result<Hash32, Stopped> {
        let vote = self.some(convert::vote_out(vote, Signature([0; 64])), "a vote without a round")?;
        Ok(vote.statement(self.verifier.chain()).digest())
    }

    fn proposal_digest(&mut self, proposal: &Proposal) -> Result<Hash32, Stopped> {
        let proposal = self.some(convert::proposal_out(proposal, Signature([0; 64])), "a proposal without a round")?;
        Ok(proposal.statement(self.verifier.chain()).digest())
    }

    fn sign_vote(&mut self, vote: Vote) -> Result<SignedMessage<Ctx, Vote>, Stopped> {
        let digest = self.vote_digest(&vote)?;
        let round = self.some(convert::round_out(vote.round), "a vote without a round")?;
        let kind = match vote.kind {
            malachitebft_core_types::VoteType::Prevote => SignedKind::Prevote,
            malachitebft_core_types::VoteType::Precommit => SignedKind::Precommit,
        };
        let signature = self.sign(kind, round, digest)?;
        let message = self.some(convert::vote_out(&vote, signature), "a vote without a round")?;
        self.keep_own(kind, round, digest, ConsensusMessage::Vote(message));
        Ok(SignedMessage::new(vote, signature))
    }

    fn sign_proposal(&mut self, proposal: Proposal) -> Result<SignedMessage<Ctx, Proposal>, Stopped> {
        let digest = self.proposal_digest(&proposal)?;
        let round = self.some(convert::round_out(proposal.round), "a proposal without a round")?;
        let signature = self.sign(SignedKind::Proposal, round, digest)?;
        let message = self.some(convert::proposal_out(&proposal, signature), "a proposal without a round")?;
        self.keep_own(SignedKind::Proposal, round, digest, ConsensusMessage::Proposal(message));
        Ok(SignedMessage::new(proposal, signature))
    }

    fn keep_own(&mut self, kind: SignedKind, round: Round, digest: Hash32, message: ConsensusMessage) {
        self.own.entry((kind, round)).or_insert(OwnMessage { digest, message, is_logged: false });
    }

    /// The only place where this node's key is used.
    fn sign(&mut self, kind: SignedKind, round: Round, digest: Hash32) -> Result<Signature, Stopped> {
        if self.own.get(&(kind, round)).is_some_and(|own| own.digest != digest) {
            let height = self.height;
            self.fault.get_or_insert(SafetyFault::WouldSignTwice { kind, height, round });
            return Err(Stopped);
        }
        let signed = match (self.public, &self.secret) {
            (Some(public), Some(secret)) if self.voting => Some((public, secret.sign(digest.as_bytes()))),
            _ => None,
        };
        let (key, signature) = self.some(signed, "a signature of a node that does not vote")?;
        self.verifier.remember(key, digest, signature);
        Ok(signature)
    }

    #[expect(clippy::result_large_err, reason = "the core takes its own error type by value")]
    fn judge_commit(
        &mut self,
        certificate: Option<vouch_types::CommitCertificate>,
    ) -> Result<(), CoreCertificateError<Ctx>> {
        let Some(certificate) = certificate else {
            return Err(CoreCertificateError::VerificationError(None));
        };
        self.verifier.commit(&self.members, &certificate).map_err(|e| refused(&e))
    }

    /// Hands the core's proofs of contradicting votes to the host; the driver itself watches proposals.
    pub(crate) fn record_evidence(&mut self, evidence: &MisbehaviorEvidence<Ctx>) {
        let votes = evidence.votes.iter().flat_map(|(_, pairs)| pairs);
        let list: Vec<Evidence> = votes.filter_map(|(a, b)| convert::votes_evidence(a, b)).collect();
        if !list.is_empty() {
            self.push(Effect::RecordEvidence(list));
        }
    }
}

fn refused<E: core::error::Error + Send + Sync + Copy + 'static>(error: &E) -> CoreCertificateError<Ctx> {
    let boxed: Box<dyn core::error::Error + Send + Sync> = Box::new(*error);
    CoreCertificateError::VerificationError(Some(boxed.into()))
}

fn vote_kind(kind: VoteKind) -> SignedKind {
    match kind {
        VoteKind::Prevote => SignedKind::Prevote,
        VoteKind::Precommit => SignedKind::Precommit,
    }
}

fn entry_digest(entry: &LogEntry) -> Hash32 {
    vouch_types::hash::domain_hash("vouch/log-entry/1", &[&vouch_types::encode(entry)])
}

fn message_digest(message: &ConsensusMessage) -> Hash32 {
    match message {
        ConsensusMessage::Vote(vote) => entry_digest(&LogEntry::Vote(*vote)),
        ConsensusMessage::Proposal(proposal) => entry_digest(&LogEntry::Proposal(*proposal)),
        other => other.digest(),
    }
}
