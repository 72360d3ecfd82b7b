//! The node without input and output: consensus, ledger, mempool and sync as one machine that eats inputs and says what
//! to do next.
//!
//! The same code runs under tokio in the node and under the seeded scheduler of the simulator. Storage is written inside a
//! step; effects are to be carried out in order after it returned. What must be durable before a message leaves was
//! synced when the effect that sends it is returned.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use vouch_consensus as bft;
use vouch_genesis::GenesisDocument;
use vouch_ledger::{
    Batch, CommittedBlock, Durability, Ledger, LedgerError, Mempool, MempoolError, MempoolLimits, PooledTransaction,
    Registry, Runtime, Storage, StorageError, Table,
};
use vouch_types::{BlockHash, ChainId, CommitCertificate, NodeId, PublicKey, Round, SecretKey, TimestampMs, TxId};

use crate::{
    ahead::Ahead,
    answers::Answers,
    log_writer::LogWriter,
    message::{Lane, Message, decode_block},
    pace::Pace,
    portion::Portion,
    proposals::{UNDECIDED_MAX, Wanted},
    snapshot::{JOIN_AFTER_BLOCKS, Snapshots},
    status::ReplicaStatus,
    submissions::Submissions,
    sync::Sync,
    voting::{Abstention, VotingMemory},
};

/// Names a peer: its network key.
pub type PeerId = PublicKey;

/// What a replica is given at its start.
#[derive(Debug)]
pub struct ReplicaConfig {
    /// Signs votes; `None` follows the chain without voting.
    pub secret: Option<SecretKey>,
    /// How far that key may have signed, kept apart from the storage.
    pub memory: Box<dyn VotingMemory>,
    /// Bounds of the mempool.
    pub mempool: MempoolLimits,
    /// Entropy for blinding signature batches; the simulator seeds it.
    pub entropy: [u8; 32],
}

/// The time of a step. The two clocks are never compared with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Time of day: goes into blocks.
    pub wall: TimestampMs,
    /// Milliseconds since some fixed moment, never going back: measures waits.
    pub steady_ms: u64,
}

/// Names a timer; setting it again replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// One of the consensus driver's.
    Consensus(bft::TimerId),
    /// Next height may begin.
    Pace,
    /// What the block of the next height begins with may be executed.
    Build,
    /// A proposed block did not come.
    Fetch,
    /// An answer to a sync request is due.
    Sync,
}

/// Something happened.
#[derive(Debug)]
pub enum Input {
    /// The node runs; once, first.
    Started,
    /// A peer's connection is open.
    PeerConnected(PeerId),
    /// It is closed.
    PeerDisconnected(PeerId),
    /// A peer sent something.
    MessageReceived {
        /// Who.
        from: PeerId,
        /// In which queue.
        lane: Lane,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Signatures of transactions were checked.
    TransactionsVerified {
        /// Those that verified.
        transactions: Vec<PooledTransaction>,
        /// True when they were submitted here and peers have yet to hear of them.
        submitted_here: bool,
    },
    /// A timer ran out.
    TimerFired(Timer),
}

/// Something to do, in order.
#[derive(Debug)]
pub enum Effect {
    /// Send to one peer.
    Send {
        /// Whom.
        to: PeerId,
        /// Which queue.
        lane: Lane,
        /// Encoded [`Message`].
        bytes: Vec<u8>,
    },
    /// Send to all connected peers but one.
    Broadcast {
        /// Which queue.
        lane: Lane,
        /// Encoded [`Message`].
        bytes: Vec<u8>,
        /// Who has it already.
        except: Option<PeerId>,
    },
    /// Fire a timer after a while.
    SetTimer {
        /// Which.
        timer: Timer,
        /// After how long.
        after_ms: u64,
    },
    /// Do not fire it.
    CancelTimer(Timer),
    /// Fire none of the consensus driver's timers.
    CancelConsensusTimers,
    /// Check the signatures of transactions a peer sent, then come back with [`Input::TransactionsVerified`].
    VerifyTransactions {
        /// Who sent them.
        from: PeerId,
        /// Encoded transactions.
        raw: Vec<Vec<u8>>,
    },
    /// A transaction was let into the mempool, or why not.
    Admitted {
        /// Which.
        tx: TxId,
        /// The verdict.
        result: Result<(), Refusal>,
    },
    /// A block is final and durable.
    Committed(Arc<CommittedBlock>),
    /// Nodes or members changed: connect to these and to nobody else.
    AdmitPeers(Arc<Registry>),
    /// Transactions will never stand in a block any more.
    Expired(Vec<TxId>),
    /// A peer broke the protocol; `code` says how.
    PeerFault {
        /// Who.
        peer: PeerId,
        /// Stable code.
        code: &'static str,
    },
}

/// Why a transaction does not wait for a block here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A rule about the transaction.
    #[error(transparent)]
    Transaction(#[from] vouch_types::TransactionError),
    /// No room, or known already.
    #[error(transparent)]
    Mempool(#[from] MempoolError),
    /// There is no state to check it against yet.
    #[error("the node is still taking the state over from others")]
    Joining,
}

impl Refusal {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Transaction(e) => e.code(),
            Self::Mempool(e) => e.code(),
            Self::Joining => "node.syncing",
        }
    }
}

/// The replica cannot go on; the node must stop and say why.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Going on could mean to sign twice.
    #[error("consensus cannot go on safely: {0}")]
    Safety(#[from] bft::SafetyFault),
    /// The consensus log cannot be read back.
    #[error("the consensus log is damaged: {0}")]
    Log(#[from] bft::LogError),
}

impl ReplicaError {
    /// Stable code for logs and status.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Ledger(e) => e.code(),
            Self::Storage(_) => "ledger.storage",
            Self::Safety(e) => e.code(),
            Self::Log(e) => e.code(),
        }
    }
}

/// Consensus, ledger, mempool and sync of one node.
pub struct Replica {
    pub(crate) ledger: Ledger,
    pub(crate) mempool: Mempool,
    pub(crate) driver: bft::Driver,
    pub(crate) node: Option<NodeId>,
    pub(crate) now: Now,
    pub(crate) out: Vec<Effect>,
    pub(crate) peers: BTreeSet<PeerId>,
    pub(crate) pace: Pace,
    pub(crate) portion: Portion,
    pub(crate) sync: Sync,
    pub(crate) snapshots: Snapshots,
    pub(crate) memory: Box<dyn VotingMemory>,
    /// While this node does not sign, because it may have forgotten what it signed.
    pub(crate) abstention: Option<Abstention>,
    arithmetic: Arc<dyn bft::SignatureCheck>,
    relay: bft::RelayFilter,
    pub(crate) entropy: [u8; 32],
    pub(crate) log: LogWriter,
    pub(crate) recovered: bft::RecoveredLog,
    pub(crate) consensus_inputs: VecDeque<bft::Input>,
    /// True while [`Replica::run_consensus`] works through the inputs, further up the stack.
    is_driving: bool,
    pub(crate) blocks: BTreeMap<BlockHash, Vec<u8>>,
    pub(crate) refused: BTreeSet<BlockHash>,
    /// How many blocks were executed because this proposer signed for them.
    pub(crate) executed_of: BTreeMap<NodeId, usize>,
    /// Blocks this node made, in order.
    pub(crate) own_blocks: Vec<BlockHash>,
    pub(crate) ahead: Ahead,
    pub(crate) wanted: BTreeMap<BlockHash, Wanted>,
    pub(crate) submissions: Submissions,
    pub(crate) answers: Answers,
}

/// Most messages of each half of the relay's memory.
const RELAY_MEMORY_MAX: usize = 4_096;

impl core::fmt::Debug for Replica {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Replica").field("head", &self.ledger.head()).field("waiting", &self.mempool.len()).finish()
    }
}

impl Replica {
    /// Opens the ledger in `storage`; begins the chain when it is empty.
    ///
    /// # Errors
    /// [`ReplicaError`].
    pub fn open(
        storage: Arc<dyn Storage>,
        genesis: &GenesisDocument,
        runtime: Arc<Runtime>,
        config: ReplicaConfig,
        now: Now,
    ) -> Result<Self, ReplicaError> {
        let ledger = Ledger::open(storage, genesis, runtime)?;
        let node = config.secret.as_ref().map(|s| s.public().node());
        let driver = bft::Driver::new(bft::DriverConfig { chain: ledger.chain(), secret: config.secret });
        Ok(Self {
            pace: Pace::new(now.steady_ms),
            portion: Portion::default(),
            sync: Sync::default(),
            snapshots: Snapshots::new(JOIN_AFTER_BLOCKS),
            mempool: Mempool::new(config.mempool),
            memory: config.memory,
            abstention: None,
            arithmetic: Arc::new(bft::DirectCheck),
            relay: bft::RelayFilter::new(RELAY_MEMORY_MAX),
            entropy: config.entropy,
            log: LogWriter::default(),
            recovered: bft::RecoveredLog::default(),
            consensus_inputs: VecDeque::new(),
            is_driving: false,
            blocks: BTreeMap::new(),
            refused: BTreeSet::new(),
            executed_of: BTreeMap::new(),
            own_blocks: Vec::new(),
            ahead: Ahead::default(),
            wanted: BTreeMap::new(),
            submissions: Submissions::default(),
            answers: Answers::default(),
            peers: BTreeSet::new(),
            out: Vec::new(),
            ledger,
            driver,
            node,
            now,
        })
    }

    /// Has the signatures of consensus checked by another; before [`Input::Started`].
    pub fn check_signatures_by(&mut self, arithmetic: Arc<dyn bft::SignatureCheck>) {
        self.driver.check_signatures_by(Arc::clone(&arithmetic));
        self.arithmetic = arithmetic;
    }

    /// The chain.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        self.ledger.chain()
    }

    /// The ledger.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The waiting transactions.
    #[must_use]
    pub const fn mempool(&self) -> &Mempool {
        &self.mempool
    }

    /// What an operator wants to know.
    #[must_use]
    pub fn status(&self) -> ReplicaStatus {
        ReplicaStatus::of(self)
    }

    /// Digests one input.
    ///
    /// # Errors
    /// [`ReplicaError`]: the node must stop; effects already returned stand.
    pub fn step(&mut self, now: Now, input: Input) -> Result<Vec<Effect>, ReplicaError> {
        self.now = now;
        self.release_snapshot();
        match input {
            Input::Started => self.start()?,
            Input::PeerConnected(peer) => {
                self.peers.insert(peer);
                let status = self.status_message();
                self.send(peer, &status);
            }
            Input::PeerDisconnected(peer) => {
                self.peers.remove(&peer);
                self.sync.forget(&peer);
                self.answers.tidy(now.steady_ms);
                self.forget_source(&peer)?;
            }
            Input::MessageReceived { from, lane, bytes } => self.receive(from, lane, &bytes)?,
            Input::TransactionsVerified { transactions, submitted_here } => {
                self.admit(transactions, submitted_here)?;
            }
            Input::TimerFired(timer) => self.fire(timer)?,
        }
        self.run_consensus()?;
        self.sync_log()?;
        Ok(core::mem::take(&mut self.out))
    }

    fn start(&mut self) -> Result<(), ReplicaError> {
        self.out.push(Effect::AdmitPeers(Arc::clone(self.ledger.registry())));
        let (log, writer) = LogWriter::read_back(self.ledger.storage().as_ref())?;
        self.log = writer;
        self.recall_votes(&log)?;
        let undecided = self.ledger.storage().scan(Table::Undecided, &[], None, UNDECIDED_MAX)?;
        for (_, bytes) in undecided {
            // Written by this node; one that no longer validates was of an earlier height.
            if let Ok(block) = decode_block(&bytes)
                && let Ok(hash) = self.ledger.validate(&block, None, &self.entropy, &|_| None)?
            {
                if Some(block.header.proposer) == self.node {
                    self.own_blocks.push(hash);
                }
                self.blocks.insert(hash, bytes);
            }
        }
        self.restore_submissions()?;
        if self.recovered.entries.is_empty() { self.keep_pace() } else { self.begin_height() }
    }

    fn fire(&mut self, timer: Timer) -> Result<(), ReplicaError> {
        match timer {
            Timer::Sync if self.is_joining() => self.join_timed_out()?,
            Timer::Consensus(_) | Timer::Fetch | Timer::Build if self.ledger.join().is_some() => {}
            Timer::Consensus(id) => {
                if id.kind == bft::TimerKind::Rebroadcast {
                    // What peers now send again because it seems lost is to be passed on again.
                    self.relay.turn();
                    // Nor may a peer that missed the last block wait for the next one to hear of it.
                    let status = self.status_message();
                    self.broadcast(&status, None);
                }
                self.consensus_inputs.push_back(bft::Input::TimerFired(id));
            }
            Timer::Pace => self.keep_pace()?,
            Timer::Build => self.run_ahead()?,
            Timer::Fetch => self.fetch_wanted(),
            Timer::Sync => self.continue_sync()?,
        }
        Ok(())
    }

    pub(crate) fn send(&mut self, to: PeerId, message: &Message) {
        self.out.push(Effect::Send { to, lane: message.lane(), bytes: message.to_bytes() });
    }

    pub(crate) fn broadcast(&mut self, message: &Message, except: Option<PeerId>) {
        self.out.push(Effect::Broadcast { lane: message.lane(), bytes: message.to_bytes(), except });
    }

    pub(crate) fn fault(&mut self, peer: PeerId, code: &'static str) {
        self.out.push(Effect::PeerFault { peer, code });
    }

    fn receive(&mut self, from: PeerId, lane: Lane, bytes: &[u8]) -> Result<(), ReplicaError> {
        let Ok(message) = Message::from_bytes(bytes, lane) else {
            self.fault(from, "peer.malformed_message");
            return Ok(());
        };
        match message {
            _ if message.is_request() && !self.may_answer(&from) => Ok(()),
            Message::Status { height, lowest, abstains } => self.learn_status(from, height, lowest, abstains),
            Message::SnapshotRequest
            | Message::Snapshot { .. }
            | Message::PieceRequest { .. }
            | Message::Piece { .. }
            | Message::HistoryRequest { .. }
            | Message::History { .. } => self.receive_snapshot(from, message),
            // Everything else is about a height that this node knows nothing of yet.
            _ if self.ledger.join().is_some() => Ok(()),
            Message::Consensus(message) => self.receive_consensus(from, message),
            Message::Block { proposal, block } => self.receive_block(from, &proposal, block),
            Message::BlockRequest { block, .. } => {
                if let Some(bytes) = self.blocks.get(&block) {
                    let answer = Message::RequestedBlock { block: bytes.clone() };
                    self.answer(from, &answer);
                }
                Ok(())
            }
            Message::RequestedBlock { block } => self.receive_requested(from, block),
            Message::Transactions(raw) => {
                self.out.push(Effect::VerifyTransactions { from, raw });
                Ok(())
            }
            Message::Announced(said) => self.receive_announcement(from, said),
            Message::SyncRequest { from: height } => self.answer_sync(from, height),
            Message::SyncResponse { from: height, blocks } => self.receive_synced(from, height, blocks),
        }
    }

    pub(crate) fn receive_consensus(
        &mut self,
        from: PeerId,
        message: bft::ConsensusMessage,
    ) -> Result<(), ReplicaError> {
        if message.validate().is_err() {
            self.fault(from, "peer.malformed_message");
            return Ok(());
        }
        let next = self.ledger.next_height();
        if self.is_authentic(&message) {
            if !self.relay.admit(next, &message) {
                return Ok(());
            }
            // One cut link between two nodes must not slow the chain: everyone passes on what is new to them.
            if self.peers.len() > 1 {
                self.broadcast(&Message::Consensus(message.clone()), Some(from));
            }
            self.pace.work_seen(message.height());
            if let bft::ConsensusMessage::Proposal(proposal) = &message
                && self.is_proposers(proposal)
            {
                self.note_proposal(*proposal);
            }
        }
        self.keep_pace()?;
        self.consensus_inputs.push_back(bft::Input::MessageReceived(message));
        self.run_consensus()
    }

    /// True when a message's signatures hold; before the first height only votes and proposals are judged.
    fn is_authentic(&mut self, message: &bft::ConsensusMessage) -> bool {
        if self.driver.height().is_some() {
            return self.driver.authenticates(message);
        }
        let (height, signer, digest, signature) = match message {
            bft::ConsensusMessage::Vote(v) => (v.height, v.validator, v.statement(self.chain()).digest(), v.signature),
            bft::ConsensusMessage::Proposal(p) => return self.is_proposers(p),
            bft::ConsensusMessage::Polka(_) | bft::ConsensusMessage::Round(_) => return false,
        };
        height == self.ledger.next_height()
            && self
                .ledger
                .validators()
                .members()
                .iter()
                .find(|v| v.key.node() == signer)
                .is_some_and(|v| self.arithmetic.holds(&v.key, digest.as_bytes(), &signature))
    }

    pub(crate) fn is_proposers(&mut self, proposal: &bft::SignedProposal) -> bool {
        let expected = self.ledger.validators().proposer(proposal.height, proposal.round);
        if proposal.height != self.ledger.next_height() || expected.key.node() != proposal.proposer {
            return false;
        }
        if self.driver.height() == Some(proposal.height) {
            // The driver remembers what it has checked, and the same proposal comes alone, with its block, and from others.
            return self.driver.authenticates(&bft::ConsensusMessage::Proposal(*proposal));
        }
        let digest = proposal.statement(self.chain()).digest();
        self.arithmetic.holds(&expected.key, digest.as_bytes(), &proposal.signature)
    }

    /// Feeds the driver until it has nothing more to say.
    ///
    /// What is to be done about one input is done to its end before the next is fed, even when one of these effects begins
    /// the next height: a record of the old height must not follow the beginning of the new log.
    pub(crate) fn run_consensus(&mut self) -> Result<(), ReplicaError> {
        if self.is_driving {
            return Ok(());
        }
        self.is_driving = true;
        while let Some(input) = self.consensus_inputs.pop_front() {
            for effect in self.driver.step(input)? {
                self.carry_out(effect)?;
            }
        }
        self.is_driving = false;
        Ok(())
    }

    fn carry_out(&mut self, effect: bft::Effect) -> Result<(), ReplicaError> {
        match effect {
            bft::Effect::ResetLog(bytes) => self.log.reset(bytes),
            bft::Effect::AppendLog(bytes) => self.log.append(bytes),
            // Nothing leaves before the step is over, see `sync_log`.
            bft::Effect::SyncLog => self.log.ask(),
            bft::Effect::Broadcast(message) => self.publish(message),
            bft::Effect::RequestProposal { height, round, .. } => self.propose(height, round)?,
            bft::Effect::RestreamBlock { .. } => {
                // The proposal that follows takes the block along, see `publish`.
            }
            bft::Effect::SetTimer { timer, after_ms } => {
                let after_ms = self.proposals_wait_ms(timer, after_ms.into());
                self.out.push(Effect::SetTimer { timer: Timer::Consensus(timer), after_ms });
            }
            bft::Effect::CancelTimer(timer) => self.out.push(Effect::CancelTimer(Timer::Consensus(timer))),
            bft::Effect::CancelAllTimers => self.out.push(Effect::CancelConsensusTimers),
            bft::Effect::Decide(certificate) => self.commit(certificate)?,
            bft::Effect::RecordEvidence(evidence) => self.store_evidence(&evidence)?,
            bft::Effect::Finalize { .. } => {
                // Whoever missed a vote learns the block by sync; until the next height nothing is to be repeated.
                self.out.push(Effect::CancelConsensusTimers);
                self.pace.height_ended(self.now.steady_ms);
                // By timers even when it is due: the block becomes known before this node executes the next one.
                let due = self.next_height_due();
                self.set_pace_timer(due);
                self.out.push(Effect::SetTimer { timer: Timer::Build, after_ms: 0 });
            }
            bft::Effect::RejectCertificate { height, error } => {
                tracing::warn!(%height, "a commit certificate proves nothing: {error}");
            }
            bft::Effect::RoundStarted { height, round, proposer } => {
                self.portion.round_started(self.now.steady_ms);
                if round > Round(0) {
                    tracing::info!(%height, %round, %proposer, "another round began");
                }
            }
        }
        Ok(())
    }

    /// Sends a message of our own; with a proposal goes the block it names.
    fn publish(&mut self, message: bft::ConsensusMessage) {
        self.relay.admit(self.ledger.next_height(), &message);
        if let bft::ConsensusMessage::Proposal(proposal) = &message
            && let Some(block) = self.blocks.get(&proposal.block)
        {
            let block = Message::Block { proposal: message.clone(), block: block.clone() };
            self.broadcast(&block, None);
        }
        self.broadcast(&Message::Consensus(message), None);
    }

    /// Commits the decided block and clears what belonged to its height.
    fn commit(&mut self, certificate: CommitCertificate) -> Result<(), ReplicaError> {
        if certificate.height != self.ledger.next_height() {
            return Ok(());
        }
        let mut extra = Batch::new();
        for block in self.blocks.keys() {
            extra.delete(Table::Undecided, block.0);
        }
        self.note_last_set();
        let good_ms = u64::from(self.ledger.registry().params.timeout_propose_ms);
        self.submissions.settle(self.ledger.prepared_transactions(&certificate.block), &mut extra);
        let committed = self.ledger.commit(certificate.block, certificate, extra)?;
        let is_own = self.node == Some(committed.header.proposer);
        self.portion.decided(self.now.steady_ms, committed.records.len(), good_ms, is_own);
        self.forget_blocks();
        for record in &committed.records {
            self.mempool.remove(&record.receipt.tx);
        }
        let expired = self.mempool.expire(self.ledger.next_height());
        if !expired.is_empty() {
            self.submissions.give_up(self.ledger.storage().as_ref(), &expired)?;
            self.out.push(Effect::Expired(expired));
        }
        if committed.registry_changed {
            self.out.push(Effect::AdmitPeers(Arc::clone(self.ledger.registry())));
        }
        self.out.push(Effect::Committed(Arc::new(committed)));
        self.ledger.prune(self.snapshots.needed())?;
        let status = self.status_message();
        self.broadcast(&status, None);
        Ok(())
    }

    fn store_evidence(&self, evidence: &[bft::Evidence]) -> Result<(), ReplicaError> {
        if evidence.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        for item in evidence {
            let bytes = item.encode();
            let height = item.place().0;
            let mut key = height.0.to_be_bytes().to_vec();
            key.extend_from_slice(&vouch_types::hash::domain_hash("vouch/evidence/1", &[&bytes]).0);
            batch.put(Table::Evidence, key, bytes);
            tracing::warn!(%height, validator = %item.validator(), "a validator signed two different statements; evidence kept");
        }
        Ok(self.ledger.storage().write(batch, Durability::Buffered)?)
    }

    pub(crate) fn status_message(&self) -> Message {
        let (height, lowest) = (self.ledger.head().height, self.ledger.lowest());
        Message::Status { height, lowest, abstains: self.abstention.is_some() }
    }
}
