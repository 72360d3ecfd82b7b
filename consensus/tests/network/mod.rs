//! A small network of drivers in virtual time, with every fault drawn from one seed.
//!
//! Each node has a driver, a disk that loses what was not synced, and a host that does the driver's effects one by one, so
//! that a crash can come between any two. Invariants are checked as the run goes: agreement, certificates, nobody honest
//! signs twice, nothing signed is sent before it is on the disk.

#![allow(dead_code, reason = "not every scenario uses every knob")]

mod node;
mod rng;

use std::collections::BTreeMap;

pub use node::{Kind, Node};
pub use rng::Rng;
use vouch_consensus::{
    ConsensusMessage, Effect, Evidence, Input, RecoveredLog, SafetyFault, SignedProposal, SignedVote, Timeouts, TimerId,
};
use vouch_types::{
    BlockHash, ChainId, CommitCertificate, Hash32, Height, NodeId, Power, Round, SecretKey, Validator, ValidatorSet,
    hash::domain_hash,
};

/// The chain of every test.
pub const CHAIN: ChainId = ChainId([0xc4; 32]);

/// The key of node `index`.
pub fn secret(index: usize) -> SecretKey {
    SecretKey::from_seed(domain_hash("vouch/test-key/1", &[&index.to_le_bytes()]).0)
}

/// A set of equal validators.
pub fn validator_set(members: impl IntoIterator<Item = usize>) -> ValidatorSet {
    let members = members.into_iter().map(|i| Validator { key: secret(i).public(), power: Power(1) });
    ValidatorSet::new(members.collect()).unwrap()
}

/// A block's payload on its way: consensus itself only knows the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload {
    pub height: Height,
    pub round: Round,
    pub valid_round: Option<Round>,
    pub proposer: NodeId,
    pub block: BlockHash,
}

#[derive(Debug, Clone)]
pub enum Event {
    Message(ConsensusMessage),
    Payload(Payload),
    Proposed(Height, Round, BlockHash),
    Timer(TimerId, u64),
    Start(Height),
    Sync,
    Restart,
}

/// What may go wrong, in thousandths and milliseconds.
#[derive(Debug, Clone)]
pub struct Faults {
    pub loss: u64,
    pub duplication: u64,
    pub delay_ms: (u64, u64),
    /// Chance of a crash after each effect.
    pub crash: u64,
    /// A crash also loses what was written but not synced.
    pub power_loss: bool,
    /// Pairs that cannot reach each other.
    pub cut: Vec<(usize, usize)>,
    /// Nobody's payloads and proposals arrive from these nodes in round 0.
    pub lost_proposals_of: Vec<usize>,
    /// Faults stop at this time.
    pub heal_at_ms: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            loss: 0,
            duplication: 0,
            delay_ms: (1, 10),
            crash: 0,
            power_loss: true,
            cut: Vec::new(),
            lost_proposals_of: Vec::new(),
            heal_at_ms: u64::MAX,
        }
    }
}

type SignedPlace = (NodeId, u8, Height, Round);

pub struct Network {
    pub now_ms: u64,
    seq: u64,
    queue: BTreeMap<(u64, u64), (usize, u64, Event)>,
    pub rng: Rng,
    pub faults: Faults,
    pub timeouts: Timeouts,
    pub nodes: Vec<Node>,
    /// Sets by first height.
    pub sets: BTreeMap<Height, ValidatorSet>,
    /// From Finalize to the next height.
    pub pace_ms: u64,
    pub relay: bool,
    /// First decision of each height, by anyone honest.
    pub decided: BTreeMap<Height, (BlockHash, u64)>,
    signed: BTreeMap<SignedPlace, Hash32>,
    pub fingerprint: Hash32,
    pub max_round: Round,
    /// Crash this node after that many of its effects, once.
    pub crash_after: Option<(usize, u64)>,
    pub crashes: u64,
}

impl Network {
    /// `validators` voting nodes and `followers` without a key.
    pub fn new(seed: u64, validators: usize, followers: usize) -> Self {
        let mut nodes: Vec<Node> = (0..validators).map(|i| Node::new(i, Kind::Honest)).collect();
        nodes.extend((validators..validators + followers).map(|i| Node::new(i, Kind::Follower)));
        let mut network = Self {
            now_ms: 0,
            seq: 0,
            queue: BTreeMap::new(),
            rng: Rng::new(seed),
            faults: Faults::default(),
            timeouts: Timeouts { propose_ms: 400, vote_ms: 150, growth_ms: 100, max_ms: 2_000 },
            nodes,
            sets: BTreeMap::from([(Height(1), validator_set(0..validators))]),
            pace_ms: 5,
            relay: false,
            decided: BTreeMap::new(),
            signed: BTreeMap::new(),
            fingerprint: Hash32::ZERO,
            max_round: Round(0),
            crash_after: None,
            crashes: 0,
        };
        for index in 0..network.nodes.len() {
            network.push(0, index, Event::Restart);
            network.push(250, index, Event::Sync);
        }
        network
    }

    pub fn set_at(&self, height: Height) -> ValidatorSet {
        self.sets.range(..=height).next_back().unwrap().1.clone()
    }

    pub fn push(&mut self, after_ms: u64, node: usize, event: Event) {
        self.seq += 1;
        let epoch = self.nodes[node].epoch;
        self.queue.insert((self.now_ms + after_ms, self.seq), (node, epoch, event));
    }

    /// Runs until every living node has decided `height`; panics with the states when that takes longer than `limit_ms`.
    pub fn run_to(&mut self, height: u64, limit_ms: u64) {
        while !self.nodes.iter().all(|n| n.kind == Kind::Dead || n.disk.chain.len() as u64 >= height) {
            assert!(self.step() && self.now_ms < limit_ms, "stalled at {} ms:\n{}", self.now_ms, self.describe());
        }
    }

    fn describe(&self) -> String {
        let status = self.nodes.iter().map(|n| {
            let status = n.driver.as_ref().and_then(vouch_consensus::Driver::status);
            format!("{} {:?} decided {}: {status:?}", n.index, n.kind, n.disk.chain.len())
        });
        status.collect::<Vec<_>>().join("\n")
    }

    /// Takes the next event; false when there is none.
    pub fn step(&mut self) -> bool {
        let Some(((at, _), (node, epoch, event))) = self.queue.pop_first() else { return false };
        self.now_ms = at;
        let survives = matches!(event, Event::Restart | Event::Sync);
        if !survives && (epoch != self.nodes[node].epoch || self.nodes[node].driver.is_none()) {
            return true;
        }
        match event {
            Event::Message(message) => self.receive(node, message),
            Event::Payload(payload) => self.receive_payload(node, payload),
            Event::Proposed(height, round, block) => self.input(node, Input::BlockProposed { height, round, block }),
            Event::Timer(timer, generation) => {
                if self.nodes[node].timers.get(&timer) == Some(&generation) {
                    self.nodes[node].timers.remove(&timer);
                    self.input(node, Input::TimerFired(timer));
                }
            }
            Event::Start(height) => self.start(node, height, RecoveredLog::default()),
            Event::Sync => self.synchronise(node),
            Event::Restart => self.restart(node),
        }
        true
    }

    fn restart(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if node.kind == Kind::Dead || node.driver.is_some() {
            return;
        }
        let log = RecoveredLog::read(&node.disk.log).expect("crashes leave readable logs");
        node.disk.log.truncate(usize::try_from(log.len).unwrap());
        node.boot(CHAIN);
        let height = Height(node.disk.chain.len() as u64 + 1);
        self.start(index, height, log);
    }

    fn start(&mut self, index: usize, height: Height, log: RecoveredLog) {
        if self.nodes[index].disk.chain.len() as u64 + 1 != height.0 {
            return;
        }
        let validators = self.set_at(height);
        let signs = height >= self.nodes[index].signs_from;
        let timeouts = self.timeouts;
        self.input(index, Input::HeightStarted { height, validators, timeouts, log, signs });
        let held: Vec<Payload> = self.nodes[index].disk.held.values().filter(|p| p.height == height).copied().collect();
        for payload in held {
            self.validate(index, payload);
        }
    }

    /// Feeds the driver and does its effects, unless a crash comes in between.
    pub fn input(&mut self, index: usize, input: Input) {
        let Some(driver) = &mut self.nodes[index].driver else { return };
        match driver.step(input) {
            Ok(effects) => {
                for effect in effects {
                    if self.nodes[index].driver.is_none() {
                        return;
                    }
                    self.note(index, &effect);
                    self.perform(index, effect);
                    self.nodes[index].effects_done += 1;
                    self.maybe_crash(index);
                }
            }
            Err(fault) => self.stopped(index, fault),
        }
    }

    fn stopped(&mut self, index: usize, fault: SafetyFault) {
        assert!(self.nodes[index].may_stop, "node {index} stopped at {} ms: {fault}", self.now_ms);
        self.nodes[index].stopped = Some(fault);
        self.nodes[index].driver = None;
        self.nodes[index].kind = Kind::Dead;
    }

    fn note(&mut self, index: usize, effect: &Effect) {
        let line = format!("{} {index} {effect:?}", self.now_ms);
        self.fingerprint = domain_hash("vouch/test-events/1", &[&self.fingerprint.0, line.as_bytes()]);
    }

    fn maybe_crash(&mut self, index: usize) {
        let planned = self.crash_after == Some((index, self.nodes[index].effects_done));
        let drawn = self.now_ms < self.faults.heal_at_ms && self.rng.chance(self.faults.crash);
        if planned || drawn {
            self.crash(index);
        }
    }

    pub fn crash(&mut self, index: usize) {
        self.crashes += 1;
        let (power_loss, rng) = (self.faults.power_loss, &mut self.rng);
        self.nodes[index].crash(power_loss, rng);
        let after_ms = self.rng.between(1, 400);
        self.push(after_ms, index, Event::Restart);
    }

    /// Crashes a node and takes its disk back to a height it had before, with an empty log.
    pub fn roll_back(&mut self, index: usize, to: usize, signs_from: Height) {
        self.crash(index);
        self.nodes[index].disk.roll_back(to);
        self.nodes[index].signs_from = signs_from;
    }

    /// The greatest height a node has signed something at.
    pub fn last_signed(&self, index: usize) -> Height {
        let own = self.signed.keys().filter(|place| place.0 == self.nodes[index].id);
        own.map(|place| place.2).max().unwrap_or_default()
    }

    fn perform(&mut self, index: usize, effect: Effect) {
        match effect {
            Effect::ResetLog(bytes) => self.nodes[index].disk.reset_log(bytes),
            Effect::AppendLog(bytes) => self.nodes[index].disk.append_log(&bytes),
            Effect::SyncLog => self.nodes[index].disk.sync_log(),
            Effect::Broadcast(message) => self.broadcast(index, message),
            Effect::RequestProposal { height, round, .. } => self.propose(index, height, round),
            Effect::RestreamBlock { height, round, valid_round, block } => {
                assert!(self.nodes[index].disk.blocks.contains(&block), "asked to stream a block the host never had");
                let proposer = self.nodes[index].id;
                self.stream(index, Payload { height, round, valid_round, proposer, block });
            }
            Effect::SetTimer { timer, after_ms } => {
                self.seq += 1;
                let generation = self.seq;
                self.nodes[index].timers.insert(timer, generation);
                self.push(u64::from(after_ms), index, Event::Timer(timer, generation));
            }
            Effect::CancelTimer(timer) => drop(self.nodes[index].timers.remove(&timer)),
            Effect::CancelAllTimers => self.nodes[index].timers.clear(),
            Effect::Decide(certificate) => self.decide(index, certificate),
            Effect::RecordEvidence(list) => self.record(index, &list),
            Effect::Finalize { height } => {
                let pace_ms = self.pace_ms;
                self.push(pace_ms, index, Event::Start(height.next().unwrap()));
            }
            Effect::RejectCertificate { .. } => self.nodes[index].rejected += 1,
            Effect::RoundStarted { round, .. } => self.max_round = self.max_round.max(round),
        }
    }

    fn record(&mut self, index: usize, list: &[Evidence]) {
        for evidence in list {
            let set = self.set_at(evidence.place().0);
            evidence.verify(CHAIN, &set).unwrap();
            assert_eq!(Evidence::decode(&evidence.encode()).as_ref(), Ok(evidence));
            self.nodes[index].disk.evidence.push(*evidence);
        }
    }

    fn decide(&mut self, index: usize, certificate: CommitCertificate) {
        let set = self.set_at(certificate.height);
        certificate.verify(CHAIN, &set).unwrap();
        let (first, _) = self.decided.entry(certificate.height).or_insert((certificate.block, self.now_ms));
        assert_eq!(*first, certificate.block, "two blocks decided at height {}", certificate.height);
        let disk = &mut self.nodes[index].disk;
        assert_eq!(disk.chain.len() as u64 + 1, certificate.height.0, "heights are decided in order");
        assert!(disk.blocks.contains(&certificate.block), "decided a block the host does not have");
        disk.chain.push(certificate);
    }

    fn propose(&mut self, index: usize, height: Height, round: Round) {
        let fresh = BlockHash(self.rng.bytes());
        let node = &mut self.nodes[index];
        let block = *node.disk.proposed.entry((height, round)).or_insert(fresh);
        node.disk.blocks.insert(block);
        let payload = Payload { height, round, valid_round: None, proposer: node.id, block };
        self.push(2, index, Event::Proposed(height, round, block));
        self.stream(index, payload);
    }

    fn stream(&mut self, index: usize, payload: Payload) {
        for other in 0..self.nodes.len() {
            self.send(index, other, Event::Payload(payload));
        }
    }

    fn broadcast(&mut self, index: usize, message: ConsensusMessage) {
        self.check_signed(index, &message);
        if self.nodes[index].kind == Kind::Equivocator {
            return self.equivocate(index, message);
        }
        for other in 0..self.nodes.len() {
            self.send(index, other, Event::Message(message.clone()));
        }
    }

    /// The two oracles of voting: on disk before sent, and never two statements for one place.
    fn check_signed(&mut self, index: usize, message: &ConsensusMessage) {
        let node = &self.nodes[index];
        message.validate().expect("a driver only sends well-formed messages");
        assert_eq!(ConsensusMessage::decode(&message.encode()).as_ref(), Ok(message));
        let (kind, statement) = match message {
            ConsensusMessage::Vote(v) if v.validator == node.id => (v.kind as u8, v.statement(CHAIN).digest()),
            ConsensusMessage::Proposal(p) if p.proposer == node.id => (9, p.statement(CHAIN).digest()),
            _ => return,
        };
        assert!(node.disk.has_synced(message), "node {index} sent before it synced: {message:?}");
        let place = (node.id, kind, message.height(), message.round());
        let before = *self.signed.entry(place).or_insert(statement);
        assert_eq!(before, statement, "node {index} signed twice: {message:?}");
        assert!(message.height() >= node.signs_from, "node {index} signed where it must not: {message:?}");
    }

    /// Sends the message to one half and a contradicting one to the other.
    fn equivocate(&mut self, index: usize, message: ConsensusMessage) {
        let secret = secret(index);
        let lie_block = BlockHash(self.rng.bytes());
        let lie = match &message {
            ConsensusMessage::Vote(vote) => {
                let block = if vote.block.is_some() { None } else { Some(lie_block) };
                let mut lie = SignedVote { block, ..*vote };
                lie.signature = secret.sign(lie.statement(CHAIN).digest().as_bytes());
                ConsensusMessage::Vote(lie)
            }
            ConsensusMessage::Proposal(proposal) => {
                let mut lie = SignedProposal { block: lie_block, ..*proposal };
                lie.signature = secret.sign(lie.statement(CHAIN).digest().as_bytes());
                let (height, round, valid_round) = (lie.height, lie.round, lie.valid_round);
                self.stream(index, Payload { height, round, valid_round, proposer: lie.proposer, block: lie_block });
                ConsensusMessage::Proposal(lie)
            }
            other => other.clone(),
        };
        for other in 0..self.nodes.len() {
            let (first, second) = if other % 2 == 0 { (&message, &lie) } else { (&lie, &message) };
            let (first, second) = (first.clone(), second.clone());
            self.send(index, other, Event::Message(first));
            if self.rng.chance(500) {
                self.send(index, other, Event::Message(second));
            }
        }
    }

    fn is_lost(&mut self, from: usize, to: usize, event: &Event) -> bool {
        if self.now_ms >= self.faults.heal_at_ms {
            return false;
        }
        let is_proposal = match event {
            Event::Message(ConsensusMessage::Proposal(p)) => p.round == Round(0),
            Event::Payload(payload) => payload.round == Round(0),
            _ => false,
        };
        (is_proposal && self.faults.lost_proposals_of.contains(&from))
            || self.faults.cut.contains(&(from, to))
            || self.faults.cut.contains(&(to, from))
            || self.rng.chance(self.faults.loss)
    }

    pub fn send(&mut self, from: usize, to: usize, event: Event) {
        if from == to || self.nodes[to].kind == Kind::Dead || self.is_lost(from, to, &event) {
            return;
        }
        let copies = if self.rng.chance(self.faults.duplication) { 2 } else { 1 };
        for _ in 0..copies {
            let (low, high) = self.faults.delay_ms;
            let delay_ms = self.rng.between(low, high);
            self.push(delay_ms, to, event.clone());
        }
    }

    fn receive(&mut self, index: usize, message: ConsensusMessage) {
        // A liar's driver is an honest one; it would stop on meeting its lies in a certificate.
        if self.nodes[index].kind == Kind::Equivocator
            && message.signer().is_none_or(|node| node == self.nodes[index].id)
        {
            return;
        }
        if self.relay {
            let node = &mut self.nodes[index];
            let current = node.driver.as_ref().and_then(vouch_consensus::Driver::height).unwrap_or_default();
            let authentic = node.driver.as_mut().is_some_and(|driver| driver.authenticates(&message));
            if authentic && node.relay.admit(current, &message) {
                for other in 0..self.nodes.len() {
                    self.send(index, other, Event::Message(message.clone()));
                }
            }
        }
        self.input(index, Input::MessageReceived(message));
    }

    fn receive_payload(&mut self, index: usize, payload: Payload) {
        let disk = &mut self.nodes[index].disk;
        let next = disk.chain.len() as u64 + 1;
        if payload.height.0 < next {
            return;
        }
        let is_new = disk.held.insert((payload.block, payload.round), payload).is_none();
        disk.blocks.insert(payload.block);
        if self.relay && is_new {
            self.stream(index, payload);
        }
        if payload.height.0 == next {
            self.validate(index, payload);
        }
    }

    fn validate(&mut self, index: usize, payload: Payload) {
        let Payload { height, round, valid_round, proposer, block } = payload;
        let valid = !self.nodes[index].refuses.contains(&block);
        self.input(index, Input::BlockValidated { height, round, valid_round, proposer, block, valid });
    }

    /// Block synchronisation: whoever can be reached and is ahead hands over the next certificate.
    fn synchronise(&mut self, index: usize) {
        self.push(250, index, Event::Sync);
        self.nodes[index].relay.turn();
        let next = self.nodes[index].disk.chain.len();
        let reachable = |other: &Node| {
            let pair = (index, other.index);
            let cut = self.faults.cut.contains(&pair) || self.faults.cut.contains(&(pair.1, pair.0));
            other.index != index && other.kind != Kind::Equivocator && (!cut || self.now_ms >= self.faults.heal_at_ms)
        };
        let ahead = self.nodes.iter().filter(|other| reachable(other)).find_map(|other| other.disk.chain.get(next));
        let Some(certificate) = ahead.cloned() else { return };
        let running = self.nodes[index].driver.as_ref().and_then(vouch_consensus::Driver::height);
        if running == Some(certificate.height) {
            self.nodes[index].disk.blocks.insert(certificate.block);
            self.nodes[index].synced += 1;
            self.input(index, Input::CertificateReceived(certificate));
        }
    }
}
