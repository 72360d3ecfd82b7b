//! The driver: one input in, effects out.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use malachitebft_core_consensus::{
    Error as CoreError, Input as CoreInput, LocallyProposedValue, MisbehaviorEvidence, Params, PeerId, RecordKind,
    State, ValuePayload, process,
};
use malachitebft_core_types::{self as core_types, ValueResponse, VoteExtensionPolicy};
use vouch_types::{BlockHash, ChainId, CommitCertificate, Height, NodeId, Round, SecretKey, ValidatorSet};

use crate::{
    context::{Address, BlockRef, CoreHeight, CoreSet, Ctx},
    convert,
    evidence::Evidence,
    fault::{SafetyFault, SignedKind},
    io::{Effect, Input},
    log::{LogEntry, RecoveredLog},
    members::Members,
    message::{ConsensusMessage, SignedProposal},
    shell::Shell,
    status::{ConsensusStatus, Step, ValidatorStatus},
    timers::{Timeouts, TimerId},
    verdicts::{Verdicts, is_too_far},
    verify::{DirectCheck, SignatureCheck, Verifier},
    waiting::Waiting,
};

/// Rounds of a height whose proposals are watched for contradictions.
const WATCHED_ROUNDS_MAX: usize = 64;

/// What a driver is made of.
#[derive(Debug)]
pub struct DriverConfig {
    /// The chain; bound into every signature.
    pub chain: ChainId,
    /// This node's consensus key. `None` follows without voting; so does a key that is not in a height's set.
    pub secret: Option<SecretKey>,
}

/// A validator's or follower's consensus, without clock, network or disk.
///
/// Before: nothing, until the first [`Input::HeightStarted`]; other inputs are ignored. The host does the effects of one
/// step in order and entirely before the next step. After a [`SafetyFault`] every step gives the same fault.
///
/// Whom it trusts: the host, for verdicts on blocks, timers and the log; nobody else.
pub struct Driver {
    chain: ChainId,
    secret: Option<SecretKey>,
    arithmetic: Arc<dyn SignatureCheck>,
    running: Option<Running>,
    waiting: Waiting,
    /// Verdicts on blocks of the next height, kept until it starts.
    early: Vec<LogEntry>,
    early_verdicts: Verdicts,
    fault: Option<SafetyFault>,
}

/// What exists from the first height on.
struct Running {
    core: State<Ctx>,
    shell: Shell,
    previous: Option<Arc<Members>>,
    /// Whether the core was made for a node that signs.
    signs: bool,
    verdicts: Verdicts,
    /// The first proposal of each round, and whether another one contradicted it.
    proposed: BTreeMap<Round, (SignedProposal, bool)>,
}

impl core::fmt::Debug for Driver {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Driver").field("height", &self.height()).field("fault", &self.fault).finish_non_exhaustive()
    }
}

impl Driver {
    /// A driver that has not started any height.
    #[must_use]
    pub fn new(config: DriverConfig) -> Self {
        Self {
            chain: config.chain,
            secret: config.secret,
            arithmetic: Arc::new(DirectCheck),
            running: None,
            waiting: Waiting::default(),
            early: Vec::new(),
            early_verdicts: Verdicts::default(),
            fault: None,
        }
    }

    /// Has signatures checked by another; before the first height.
    pub fn check_signatures_by(&mut self, arithmetic: Arc<dyn SignatureCheck>) {
        self.arithmetic = arithmetic;
    }

    /// Takes in what happened and says what to do about it.
    ///
    /// # Errors
    /// [`SafetyFault`] when going on could make this node contradict itself. Input from the network alone cannot cause one,
    /// except by this node's own key in other hands.
    pub fn step(&mut self, input: Input) -> Result<Vec<Effect>, SafetyFault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let result = self.dispatch(input);
        self.fault = result.as_ref().err().cloned();
        result
    }

    fn dispatch(&mut self, input: Input) -> Result<Vec<Effect>, SafetyFault> {
        if let Input::HeightStarted { height, validators, timeouts, log, signs } = input {
            self.start(height, validators, timeouts, log, signs)?;
        } else {
            let Some(running) = &mut self.running else { return Ok(Vec::new()) };
            match input {
                Input::MessageReceived(message) => self.on_message(message)?,
                Input::BlockValidated { height, round, valid_round, proposer, block, valid } => {
                    let verdict = LogEntry::Block { height, round, valid_round, proposer, block, valid, synced: false };
                    self.on_verdict(verdict)?;
                }
                Input::BlockProposed { height, round, block } => running.on_proposed(height, round, block)?,
                Input::TimerFired(timer) => running.on_timer(timer)?,
                Input::CertificateReceived(certificate) => running.on_certificate(&certificate)?,
                Input::HeightStarted { .. } => {}
            }
        }
        Ok(self.running.as_mut().map(|running| running.shell.take_effects()).unwrap_or_default())
    }

    fn start(
        &mut self,
        height: Height,
        validators: ValidatorSet,
        timeouts: Timeouts,
        log: RecoveredLog,
        signs: bool,
    ) -> Result<(), SafetyFault> {
        let members = Members::new(validators).map_err(|error| SafetyFault::Validators { height, error })?;
        let members = Arc::new(members);
        let running = match &mut self.running {
            Some(running) => running,
            None => {
                let verifier = Verifier::new(self.chain, Arc::clone(&self.arithmetic));
                let shell = Shell::new(verifier, self.secret.take(), Arc::clone(&members));
                self.running.insert(Running::new(shell, height, &members, signs))
            }
        };
        running.start(height, members, timeouts, log, signs)?;
        for message in self.waiting.take(height) {
            self.on_message(message)?;
        }
        self.early_verdicts.clear();
        for verdict in core::mem::take(&mut self.early) {
            self.on_verdict(verdict)?;
        }
        Ok(())
    }

    fn on_message(&mut self, message: ConsensusMessage) -> Result<(), SafetyFault> {
        let Some(running) = &mut self.running else { return Ok(()) };
        let (current, height) = (running.shell.height, message.height());
        if height < current || message.validate().is_err() {
            return Ok(());
        }
        running.check_own(&message)?;
        if height == current {
            return running.on_message(&message);
        }
        let Some(signer) = message.signer().filter(|_| Waiting::has_room(current, height)) else { return Ok(()) };
        if running.shell.members.position(&signer).is_none() {
            self.waiting.keep_unknown(message);
        } else if running.shell.verifier.message(&running.shell.members, &message) {
            self.waiting.keep_known(signer, message);
        }
        Ok(())
    }

    fn on_verdict(&mut self, verdict: LogEntry) -> Result<(), SafetyFault> {
        let Some(running) = &mut self.running else { return Ok(()) };
        let current = running.shell.height;
        if verdict.height() == current {
            return running.on_verdict(&verdict);
        }
        if Some(verdict.height()) == current.next() && self.early_verdicts.admit(Round::ZERO, &verdict) {
            self.early.push(verdict);
        }
        Ok(())
    }

    /// The current height; `None` before the first.
    #[must_use]
    pub fn height(&self) -> Option<Height> {
        self.running.as_ref().map(|running| running.shell.height)
    }

    /// Why the driver has stopped, if it has.
    #[must_use]
    pub const fn fault(&self) -> Option<&SafetyFault> {
        self.fault.as_ref()
    }

    /// Whether all signatures of a message hold, as far as can be judged here: for the current height, the one before, and,
    /// assuming an unchanged set, the next two. For deciding whether to relay it; what verifies is not verified again.
    pub fn authenticates(&mut self, message: &ConsensusMessage) -> bool {
        let Some(running) = &mut self.running else { return false };
        let (current, height) = (running.shell.height, message.height());
        if message.validate().is_err() || height.0 > current.0.saturating_add(2) {
            return false;
        }
        let members = if height >= current {
            Some(Arc::clone(&running.shell.members))
        } else if height.next() == Some(current) {
            running.previous.clone()
        } else {
            None
        };
        members.is_some_and(|members| running.shell.verifier.message(&members, message))
    }

    /// What the current round waits for; `None` before the first height.
    #[must_use]
    pub fn status(&self) -> Option<ConsensusStatus> {
        self.running.as_ref().map(|running| running.status(self.waiting.len()))
    }
}

impl Running {
    fn new(shell: Shell, height: Height, members: &Arc<Members>, signs: bool) -> Self {
        let core = core_of(&shell, height, members, signs);
        Self { core, shell, previous: None, signs, verdicts: Verdicts::default(), proposed: BTreeMap::new() }
    }

    /// Gives the core one input and settles every question it asks about it.
    fn feed(&mut self, input: CoreInput<Ctx>) -> Result<(), SafetyFault> {
        let (core, shell) = (&mut self.core, &mut self.shell);
        let result: Result<(), CoreError<Ctx>> =
            process!(input: input, state: core, metrics: &(), with: effect => shell.handle(effect));
        if let Some(fault) = self.shell.fault.take() {
            return Err(fault);
        }
        match result {
            Ok(()) => Ok(()),
            Err(CoreError::ReplayDivergence(kind, height, round)) => {
                let round = convert::round_out(round).unwrap_or_default();
                Err(SafetyFault::ReplayDiverged { kind: signed_kind(kind), height: height.0, round })
            }
            Err(CoreError::UnexpectedResume(..)) => Err(SafetyFault::Core("an answer of the wrong type")),
            Err(CoreError::DecisionNotFound(..)) => Err(SafetyFault::Core("a decision without a block")),
            // The core has dropped the input; timers and later messages carry the height on.
            Err(error) => {
                tracing::warn!(height = %self.shell.height, %error, "consensus input dropped");
                Ok(())
            }
        }
    }

    fn start(
        &mut self,
        height: Height,
        members: Arc<Members>,
        timeouts: Timeouts,
        log: RecoveredLog,
        signs: bool,
    ) -> Result<(), SafetyFault> {
        let current = self.shell.height;
        if height <= current {
            return Err(SafetyFault::HeightOrder { current, asked: height });
        }
        self.collect_late_evidence();
        let log = if signs { self.usable_log(height, log)? } else { RecoveredLog::default() };
        if self.signs != signs {
            // The core's name is fixed when it is made. It keeps nothing from one height to the next.
            self.core = core_of(&self.shell, height, &members, signs);
            self.signs = signs;
        }
        self.previous = (current.next() == Some(height)).then(|| Arc::clone(&self.shell.members));
        self.verdicts.clear();
        self.proposed.clear();
        self.shell.begin(height, Arc::clone(&members), timeouts, &log, signs)?;
        let set = CoreSet::new(members);
        self.feed(CoreInput::StartHeight(CoreHeight(height), set, false, None, VoteExtensionPolicy::Disabled))?;
        if self.shell.replay.is_some() { self.replay(&log.entries) } else { Ok(()) }
    }

    /// Late contradictions of the height that ends would be lost with the core's state.
    fn collect_late_evidence(&mut self) {
        let evidence = MisbehaviorEvidence {
            proposals: self.core.driver.take_proposal_evidence(),
            votes: self.core.driver.take_vote_evidence(),
        };
        self.shell.record_evidence(&evidence);
    }

    /// The log if it is of this height, an empty one if it is older.
    fn usable_log(&self, height: Height, log: RecoveredLog) -> Result<RecoveredLog, SafetyFault> {
        let Some(LogEntry::Started { chain, node, height: logged }) = log.entries.first() else {
            return Ok(RecoveredLog::default());
        };
        if !self.shell.has_key() {
            return Ok(RecoveredLog::default());
        }
        if *chain != self.shell.verifier.chain() || *node != self.shell.node {
            return Err(SafetyFault::LogForeign);
        }
        if *logged > height {
            return Err(SafetyFault::LogAhead { log: *logged, store: height });
        }
        Ok(if *logged == height { log } else { RecoveredLog::default() })
    }

    /// Tells the core everything again that it was told before the crash.
    fn replay(&mut self, entries: &[LogEntry]) -> Result<(), SafetyFault> {
        let inputs: Vec<CoreInput<Ctx>> = entries.iter().filter_map(convert::entry_in).collect();
        self.core.index_wal_entries(inputs.iter());
        drop(inputs);
        for entry in entries {
            match entry {
                LogEntry::Block { .. } => self.verdicts.recall(entry),
                LogEntry::Timer { height, round, kind } => {
                    self.shell.timers.remove(&TimerId { height: *height, round: *round, kind: *kind });
                }
                LogEntry::Commit(certificate) => self.decide_by(certificate)?,
                LogEntry::Proposal(proposal) => self.watch(proposal),
                _ => {}
            }
            if let Some(input) = convert::entry_in(entry) {
                self.feed(input)?;
            }
        }
        self.core.reset_entries_index();
        let proposer = self.shell.members.proposer(self.shell.height, self.shell.round).node;
        self.shell.end_replay(proposer);
        self.resume_proposing(entries)
    }

    /// If a block was asked for when the crash came: proposes the one the log holds, or asks again.
    fn resume_proposing(&mut self, entries: &[LogEntry]) -> Result<(), SafetyFault> {
        let Some(asked) = self.shell.requested else { return Ok(()) };
        if self.shell.own.contains_key(&(SignedKind::Proposal, asked)) || !self.core.driver.step_is_propose() {
            self.shell.requested = None;
            return Ok(());
        }
        let held = entries.iter().find_map(|entry| match entry {
            LogEntry::Block { round, valid_round: None, proposer, block, valid: true, synced: false, .. }
                if *round == asked && *proposer == self.shell.node =>
            {
                Some(*block)
            }
            _ => None,
        });
        let height = self.shell.height;
        match held {
            Some(block) => {
                self.shell.push(Effect::RestreamBlock { height, round: asked, valid_round: None, block });
                self.on_proposed(height, asked, block)
            }
            None => {
                self.shell.push_request(asked);
                Ok(())
            }
        }
    }

    /// Stops on a message that carries this node's signature under a statement that is not in its log.
    fn check_own(&mut self, message: &ConsensusMessage) -> Result<(), SafetyFault> {
        if !self.shell.voting {
            return Ok(());
        }
        let Some(message) = message.part_of(&self.shell.node) else { return Ok(()) };
        let Some((kind, digest)) = self.shell.statement_of(&message) else { return Ok(()) };
        let (height, round) = (message.height(), message.round());
        let is_recorded = height == self.shell.height && self.shell.has_signed(kind, round, digest);
        if is_recorded || !self.shell.verifier.message(&self.shell.members, &message) {
            return Ok(());
        }
        Err(SafetyFault::KeyInUseElsewhere { kind, height, round })
    }

    /// Keeps the first proposal of a round, and hands a second one that says something else to the host as evidence.
    ///
    /// The core compares only proposals whose blocks it has, and takes one block proposed twice, with and without an earlier
    /// round, for one proposal.
    fn watch(&mut self, proposal: &SignedProposal) {
        let due = self.shell.members.proposer(proposal.height, proposal.round).node;
        let message = ConsensusMessage::Proposal(*proposal);
        if due != proposal.proposer || !self.shell.verifier.message(&self.shell.members, &message) {
            return;
        }
        match self.proposed.get_mut(&proposal.round) {
            None => {
                // Rounds ahead are few, see `is_too_far`; of those that are over the earliest makes room.
                let earliest = self.proposed.first_key_value().map(|(round, _)| *round);
                let is_full = self.proposed.len() >= WATCHED_ROUNDS_MAX;
                if let Some(earliest) = earliest.filter(|round| is_full && *round < proposal.round) {
                    self.proposed.remove(&earliest);
                }
                if self.proposed.len() < WATCHED_ROUNDS_MAX {
                    self.proposed.insert(proposal.round, (*proposal, false));
                }
            }
            Some((first, is_contradicted))
                if !*is_contradicted && (first.block, first.valid_round) != (proposal.block, proposal.valid_round) =>
            {
                *is_contradicted = true;
                let evidence = Evidence::Proposals(*first, *proposal);
                self.shell.push(Effect::RecordEvidence(vec![evidence]));
            }
            _ => {}
        }
    }

    fn on_message(&mut self, message: &ConsensusMessage) -> Result<(), SafetyFault> {
        if let ConsensusMessage::Proposal(proposal) = message {
            if is_too_far(self.shell.round, proposal.round) {
                return Ok(());
            }
            self.watch(proposal);
        }
        self.feed(match message {
            ConsensusMessage::Vote(vote) => CoreInput::Vote(convert::vote_in(vote)),
            ConsensusMessage::Proposal(proposal) => CoreInput::Proposal(convert::proposal_in(proposal)),
            ConsensusMessage::Polka(polka) => CoreInput::PolkaCertificate(convert::polka_in(polka)),
            ConsensusMessage::Round(round) => CoreInput::RoundCertificate(convert::round_certificate_in(round)),
        })
    }

    fn on_verdict(&mut self, verdict: &LogEntry) -> Result<(), SafetyFault> {
        if !self.verdicts.admit(self.shell.round, verdict) {
            return Ok(());
        }
        match convert::entry_in(verdict) {
            Some(input) => self.feed(input),
            None => Ok(()),
        }
    }

    fn on_proposed(&mut self, height: Height, round: Round, block: BlockHash) -> Result<(), SafetyFault> {
        if height != self.shell.height || self.shell.requested != Some(round) {
            return Ok(());
        }
        self.shell.requested = None;
        let (height, round) = (CoreHeight(height), convert::round_in(round));
        self.feed(CoreInput::Propose(LocallyProposedValue::new(height, round, BlockRef(block))))
    }

    fn on_timer(&mut self, timer: TimerId) -> Result<(), SafetyFault> {
        if timer.height != self.shell.height || self.shell.timers.remove(&timer).is_none() {
            return Ok(());
        }
        self.feed(CoreInput::TimeoutElapsed(convert::timer_in(timer.round, timer.kind)))
    }

    fn on_certificate(&mut self, certificate: &CommitCertificate) -> Result<(), SafetyFault> {
        let height = self.shell.height;
        if certificate.height != height || self.shell.decided.is_some() {
            return Ok(());
        }
        if let Err(error) = self.shell.verifier.commit(&self.shell.members, certificate) {
            self.shell.push(Effect::RejectCertificate { height, error });
            return Ok(());
        }
        // A certificate of a later round moves the core there, and it may sign in that round. The record makes a replay go
        // the same way.
        self.shell.append(&LogEntry::Commit(certificate.clone()));
        self.decide_by(certificate)
    }

    /// Decides by a verified certificate whose block the host has.
    fn decide_by(&mut self, certificate: &CommitCertificate) -> Result<(), SafetyFault> {
        let Some(extended) = convert::commit_in(certificate, &self.shell.members) else { return Ok(()) };
        self.shell.certified = None;
        self.feed(CoreInput::SyncValueResponse(ValueResponse::new(nobody()?, Bytes::new(), extended)))?;
        let Some((round, block)) = self.shell.certified.take() else { return Ok(()) };
        let proposer = self.shell.members.proposer(certificate.height, round).node;
        let height = certificate.height;
        let verdict = LogEntry::Block { height, round, valid_round: None, proposer, block, valid: true, synced: true };
        match convert::entry_in(&verdict) {
            Some(input) => self.feed(input),
            None => Ok(()),
        }
    }

    fn status(&self, waiting_messages: usize) -> ConsensusStatus {
        let (height, round) = (self.shell.height, self.shell.round);
        let driver = &self.core.driver;
        let votes = driver.votes().per_round(convert::round_in(round));
        let has = |kind, node: NodeId| votes.is_some_and(|votes| votes.get_vote(kind, &Address(node)).is_some());
        let validators = self.shell.members.list().iter().map(|member| ValidatorStatus {
            node: member.node,
            power: member.power,
            prevoted: has(core_types::VoteType::Prevote, member.node),
            precommitted: has(core_types::VoteType::Precommit, member.node),
        });
        let step = match () {
            () if driver.step_is_commit() => Step::Decided,
            () if driver.step_is_precommit() => Step::Precommit,
            () if driver.step_is_prevote() => Step::Prevote,
            () if driver.step_is_propose() => Step::Propose,
            () => Step::Waiting,
        };
        ConsensusStatus {
            height,
            round,
            step,
            proposer: self.shell.members.proposer(height, round).node,
            proposal: driver
                .proposals_and_validities_for_round(convert::round_in(round))
                .first()
                .map(|(proposal, _)| proposal.message.value.0),
            voting: self.shell.voting,
            validators: validators.collect(),
            power_needed: 2 * self.shell.members.total() / 3 + 1,
            timers: self.shell.timers.iter().map(|(timer, after_ms)| (*timer, *after_ms)).collect(),
            waiting_messages,
        }
    }
}

/// The core for a node; one that does not sign has no name, so that the core takes it for none of the validators.
fn core_of(shell: &Shell, height: Height, members: &Arc<Members>, signs: bool) -> State<Ctx> {
    let params = Params {
        address: Address(if signs { shell.node } else { NodeId::ZERO }),
        threshold_params: core_types::ThresholdParams::default(),
        value_payload: ValuePayload::ProposalAndParts,
        enabled: shell.has_key() && signs,
    };
    // The core's own queue for later heights stays empty: see `waiting`.
    State::new(Ctx, CoreHeight(height), CoreSet::new(Arc::clone(members)), params, 1, 1)
}

fn signed_kind(kind: RecordKind) -> SignedKind {
    match kind {
        RecordKind::Prevote => SignedKind::Prevote,
        RecordKind::Precommit => SignedKind::Precommit,
        RecordKind::Proposal => SignedKind::Proposal,
    }
}

/// The core wants to know which peer a certificate came from, and only says it back.
fn nobody() -> Result<PeerId, SafetyFault> {
    const IDENTITY_OF_NOTHING: [u8; 2] = [0, 0];
    PeerId::from_bytes(&IDENTITY_OF_NOTHING).map_err(|_| SafetyFault::Core("an empty peer id is refused"))
}
