//! Blocks of the height that runs: what a proposer named is fetched, executed, judged, and kept until the height is decided.

use vouch_consensus as bft;
use vouch_ledger::{Batch, Durability, Table};
use vouch_types::{Block, BlockHash, Hash32, Height, NodeId, Round, TimestampMs, encode, validators::VALIDATORS_MAX};

use crate::{
    message::{Message, decode_block, holds_its_transactions},
    replica::{Effect, PeerId, Replica, ReplicaError, Timer},
};

/// Most blocks that are awaited at once.
const WANTED_MAX: usize = 8;
/// More undecided blocks than these bounds let a node keep for a height.
pub(crate) const UNDECIDED_MAX: usize = 8 * VALIDATORS_MAX;
/// Most blocks a node makes for one height; in later rounds it proposes the last of them again.
const OWN_BLOCKS_MAX: usize = 3;
/// Most blocks taken from one proposer for one height: as many as it makes, and another that shows it contradicts itself.
const BLOCKS_PER_PROPOSER_MAX: u8 = 4;
/// How long to wait for the proposal of a node that is not connected, in milliseconds.
const ABSENT_PROPOSER_MS: u64 = 100;
/// How long to wait for a proposed block before asking others for it, in milliseconds.
const FETCH_AFTER_MS: u64 = 120;

/// A block that a signed proposal names and that is not here yet.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) proposal: bft::SignedProposal,
    pub(crate) asked: usize,
}

impl Replica {
    /// A proposer named a block: report the verdict if it is known, else see that the block comes.
    pub(crate) fn note_proposal(&mut self, proposal: bft::SignedProposal) {
        let hash = proposal.block;
        if self.blocks.contains_key(&hash) || self.refused.contains(&hash) {
            let valid = self.blocks.contains_key(&hash);
            self.report_verdict(&proposal, valid);
        } else if self.wanted.len() < WANTED_MAX {
            self.wanted.insert(hash, Wanted { proposal, asked: 0 });
            self.out.push(Effect::SetTimer { timer: Timer::Fetch, after_ms: FETCH_AFTER_MS });
        }
    }

    /// How long to wait for a proposal: as long as the driver says, but not for a proposer that is not there or abstains. Its proposal
    /// may still come by way of others; whoever has it by then votes for it all the same.
    pub(crate) fn proposals_wait_ms(&self, timer: bft::TimerId, after_ms: u64) -> u64 {
        if timer.kind != bft::TimerKind::Propose || timer.height != self.ledger.next_height() {
            return after_ms;
        }
        let proposer = self.ledger.validators().proposer(timer.height, timer.round).key.node();
        let record = self.ledger.registry().nodes.get(&proposer);
        let can = |peer: &PeerId| self.peers.contains(peer) && !self.sync.abstains(peer);
        let is_own = self.node == Some(proposer) && self.abstention.is_none();
        let is_there = is_own || record.is_some_and(|n| can(&n.network_key));
        if is_there { after_ms } else { after_ms.min(ABSENT_PROPOSER_MS) }
    }

    fn report_verdict(&mut self, proposal: &bft::SignedProposal, valid: bool) {
        self.consensus_inputs.push_back(bft::Input::BlockValidated {
            height: proposal.height,
            round: proposal.round,
            valid_round: proposal.valid_round,
            proposer: proposal.proposer,
            block: proposal.block,
            valid,
        });
    }

    pub(crate) fn receive_block(
        &mut self,
        from: PeerId,
        proposal: &bft::ConsensusMessage,
        bytes: Vec<u8>,
    ) -> Result<(), ReplicaError> {
        let bft::ConsensusMessage::Proposal(proposal) = *proposal else {
            self.fault(from, "peer.malformed_block");
            return Ok(());
        };
        if proposal.height != self.ledger.next_height() || !self.is_proposers(&proposal) {
            return Ok(());
        }
        if self.blocks.contains_key(&proposal.block) {
            self.note_proposal(proposal);
            return self.run_consensus();
        }
        match decode_block(&bytes) {
            Ok(block) if block.header.hash() == proposal.block && holds_its_transactions(&block) => {
                if self.has_room(proposal.proposer) { self.accept_block(&proposal, bytes, &block) } else { Ok(()) }
            }
            _ => {
                self.fault(from, "peer.malformed_block");
                Ok(())
            }
        }
    }

    /// Counts a block a proposer sent unasked. Each is executed and kept, so nobody may send many.
    fn has_room(&mut self, proposer: NodeId) -> bool {
        let sent = self.sent_blocks.entry(proposer).or_default();
        *sent = sent.saturating_add(1);
        *sent <= BLOCKS_PER_PROPOSER_MAX
    }

    pub(crate) fn receive_requested(&mut self, from: PeerId, bytes: Vec<u8>) -> Result<(), ReplicaError> {
        let Ok(block) = decode_block(&bytes) else {
            self.fault(from, "peer.malformed_block");
            return Ok(());
        };
        if !holds_its_transactions(&block) {
            self.fault(from, "peer.malformed_block");
            return Ok(());
        }
        match self.wanted.get(&block.header.hash()).map(|w| w.proposal) {
            Some(proposal) => self.accept_block(&proposal, bytes, &block),
            None => Ok(()),
        }
    }

    /// Executes a block whose proposer signed for it and tells the driver the verdict.
    fn accept_block(
        &mut self,
        proposal: &bft::SignedProposal,
        bytes: Vec<u8>,
        block: &Block,
    ) -> Result<(), ReplicaError> {
        let hash = proposal.block;
        self.wanted.remove(&hash);
        self.pace.work_seen(proposal.height);
        self.keep_pace()?;
        let drift = u64::from(self.ledger.registry().params.clock_drift_max_ms);
        let latest = TimestampMs(self.now.wall.0.saturating_add(drift));
        let mempool = &self.mempool;
        let verified = |leaf: &Hash32| mempool.by_leaf(leaf);
        match self.ledger.validate(block, Some(latest), &self.entropy, &verified)? {
            Ok(_) => self.keep_undecided(bytes, hash)?,
            Err(reason) => {
                let height = block.header.height;
                tracing::warn!(%height, block = %hash, code = reason.code(), "proposed block refused: {reason}");
                self.refused.insert(hash);
            }
        }
        self.consensus_inputs.push_back(bft::Input::MessageReceived(bft::ConsensusMessage::Proposal(*proposal)));
        self.report_verdict(proposal, self.blocks.contains_key(&hash));
        self.run_consensus()
    }

    /// Keeps an executed block until its height is decided, also over a restart.
    pub(crate) fn keep_undecided(&mut self, bytes: Vec<u8>, hash: BlockHash) -> Result<(), ReplicaError> {
        let mut batch = Batch::new();
        batch.put(Table::Undecided, hash.0, bytes.as_slice());
        // In order before the log record that mentions it, which is synced before a vote leaves.
        self.ledger.storage().write(batch, Durability::Buffered)?;
        self.blocks.insert(hash, bytes);
        Ok(())
    }

    pub(crate) fn fetch_wanted(&mut self) {
        let peers: Vec<PeerId> = self.peers.iter().copied().collect();
        if peers.is_empty() || self.wanted.is_empty() {
            return;
        }
        let height = self.ledger.next_height();
        let mut requests = Vec::new();
        for (hash, wanted) in &mut self.wanted {
            if let Some(peer) = peers.get(wanted.asked % peers.len()) {
                requests.push((*peer, Message::BlockRequest { height, block: *hash }));
            }
            wanted.asked = wanted.asked.wrapping_add(1);
        }
        for (peer, request) in requests {
            self.send(peer, &request);
        }
        self.out.push(Effect::SetTimer { timer: Timer::Fetch, after_ms: FETCH_AFTER_MS });
    }

    pub(crate) fn propose(&mut self, height: Height, round: Round) -> Result<(), ReplicaError> {
        let Some(node) = self.node.filter(|_| height == self.ledger.next_height()) else { return Ok(()) };
        // A height that takes many rounds must not fill memory and disk with blocks.
        let hash = match self.own_blocks.last().filter(|_| self.own_blocks.len() >= OWN_BLOCKS_MAX) {
            Some(made) => *made,
            None => {
                let (hash, block) = self.ledger.propose(self.mempool.iter(), self.now.wall, node)?;
                self.keep_undecided(encode(&block), hash)?;
                self.own_blocks.push(hash);
                hash
            }
        };
        self.consensus_inputs.push_back(bft::Input::BlockProposed { height, round, block: hash });
        Ok(())
    }
}
