//! Blocks of the height that runs: what a proposer named is fetched, executed, judged, and kept until the height is decided.
//!
//! Each of them is executed and kept, and anyone's signature names as many as it likes. So every proposer has room for a few
//! at a height, whether they come unasked or are fetched, and whatever it does leaves that of others as it was.

use std::collections::BTreeMap;

use vouch_consensus as bft;
use vouch_ledger::{Batch, Durability, Table};
use vouch_types::{Block, BlockHash, Hash32, Height, NodeId, Round, TimestampMs, encode, validators::VALIDATORS_MAX};

use crate::{
    message::{Message, decode_block, holds_its_transactions},
    replica::{Effect, PeerId, Replica, ReplicaError, Timer},
};

/// More undecided blocks than these bounds let a node keep for a height.
pub(crate) const UNDECIDED_MAX: usize = 8 * VALIDATORS_MAX;
/// Most blocks a node makes for one height; in later rounds it proposes the last of them again.
const OWN_BLOCKS_MAX: usize = 3;
/// Most blocks executed and awaited of one proposer for one height: as many as it makes, and another that shows it contradicts
/// itself. A block that it takes up again from an earlier round is here as a rule; where it is not and there is no room
/// for it, the next proposer has some.
const BLOCKS_PER_PROPOSER_MAX: usize = 4;
/// How long to wait for the proposal of a node that is not connected, in milliseconds.
const ABSENT_PROPOSER_MS: u64 = 100;
/// How long to wait for a proposed block before asking others for it, in milliseconds.
const FETCH_AFTER_MS: u64 = 120;

/// A block that signed proposals name and that is not here yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// The last one of each proposer that names it.
    proposals: BTreeMap<NodeId, bft::SignedProposal>,
    asked: usize,
}

impl Replica {
    /// A proposer named a block: report the verdict if it is known, else see that the block comes.
    pub(crate) fn note_proposal(&mut self, proposal: bft::SignedProposal) {
        let hash = proposal.block;
        if self.blocks.contains_key(&hash) || self.refused.contains(&hash) {
            let valid = self.blocks.contains_key(&hash);
            self.report_verdict(&proposal, valid);
        } else if self.wanted.contains_key(&hash) || self.has_room(&proposal.proposer) {
            if self.wanted.is_empty() {
                // Once: what is named in the meantime must not put off what waits already.
                self.out.push(Effect::SetTimer { timer: Timer::Fetch, after_ms: FETCH_AFTER_MS });
            }
            self.wanted.entry(hash).or_default().proposals.insert(proposal.proposer, proposal);
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
        let bft::ConsensusMessage::Proposal(signed) = *proposal else {
            self.fault(from, "peer.malformed_block");
            return Ok(());
        };
        if signed.height != self.ledger.next_height() || !self.is_proposers(&signed) {
            return Ok(());
        }
        // Whatever becomes of the block, what was signed is heard: it may contradict what its proposer signed before.
        if self.blocks.contains_key(&signed.block) {
            self.note_proposal(signed);
            return self.receive_consensus(from, proposal.clone());
        }
        match decode_block(&bytes) {
            Ok(block) if block.header.hash() == signed.block && holds_its_transactions(&block) => {
                let mut proposals = self.wanted.remove(&signed.block).unwrap_or_default().proposals;
                proposals.insert(signed.proposer, signed);
                self.accept_block(&proposals, bytes, &block)
            }
            _ => {
                self.fault(from, "peer.malformed_block");
                self.receive_consensus(from, proposal.clone())
            }
        }
    }

    /// Whether another block of a proposer is executed or awaited at this height.
    fn has_room(&self, proposer: &NodeId) -> bool {
        let executed = self.executed_of.get(proposer).copied().unwrap_or_default();
        let wanted = self.wanted.values().filter(|wanted| wanted.proposals.contains_key(proposer)).count();
        executed.saturating_add(wanted) < BLOCKS_PER_PROPOSER_MAX
    }

    /// The height is over, or another one is taken over: what was proposed at it is of no use any more.
    pub(crate) fn forget_blocks(&mut self) {
        self.blocks.clear();
        self.refused.clear();
        self.executed_of.clear();
        self.own_blocks.clear();
        self.wanted.clear();
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
        match self.wanted.remove(&block.header.hash()) {
            Some(wanted) => self.accept_block(&wanted.proposals, bytes, &block),
            None => Ok(()),
        }
    }

    /// Executes a block that proposers signed for, in the room of one of them, and tells the driver the verdict for each.
    fn accept_block(
        &mut self,
        proposals: &BTreeMap<NodeId, bft::SignedProposal>,
        bytes: Vec<u8>,
        block: &Block,
    ) -> Result<(), ReplicaError> {
        let Some(proposer) = proposals.keys().find(|proposer| self.has_room(proposer)) else {
            self.hear(proposals);
            return self.run_consensus();
        };
        let executed = self.executed_of.entry(*proposer).or_default();
        *executed = executed.saturating_add(1);
        let hash = block.header.hash();
        self.pace.work_seen(block.header.height);
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
        let valid = self.blocks.contains_key(&hash);
        self.hear(proposals);
        for proposal in proposals.values() {
            self.report_verdict(proposal, valid);
        }
        self.run_consensus()
    }

    /// Has the driver hear what proposers signed, before the verdicts on it.
    fn hear(&mut self, proposals: &BTreeMap<NodeId, bft::SignedProposal>) {
        let messages = proposals.values().map(|signed| bft::ConsensusMessage::Proposal(*signed));
        self.consensus_inputs.extend(messages.map(bft::Input::MessageReceived));
    }

    /// Keeps an executed block until its height is decided, also over a restart.
    pub(crate) fn keep_undecided(&mut self, bytes: Vec<u8>, hash: BlockHash) -> Result<(), ReplicaError> {
        let mut batch = Batch::new();
        batch.put(Table::Undecided, hash.0, bytes.as_slice());
        // In order before the log record that mentions it, which is synced before a vote leaves.
        self.ledger.storage().write(batch, Durability::Buffered)?;
        self.blocks.insert(hash, bytes);
        // By a timer: first comes the vote for it.
        self.out.push(Effect::SetTimer { timer: Timer::Build, after_ms: 0 });
        Ok(())
    }

    pub(crate) fn fetch_wanted(&mut self) {
        let peers: Vec<PeerId> = self.peers.iter().copied().collect();
        if self.wanted.is_empty() {
            return;
        }
        let height = self.ledger.next_height();
        let mut requests = Vec::new();
        for (hash, wanted) in &mut self.wanted {
            // Without peers it is asked for when some are back.
            if let Some(peer) = wanted.asked.checked_rem(peers.len()).and_then(|next| peers.get(next)) {
                requests.push((*peer, Message::BlockRequest { height, block: *hash }));
                wanted.asked = wanted.asked.wrapping_add(1);
            }
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
                self.settle_ahead(round);
                let (from, room) = self.room_of_block(round);
                let candidates = self.mempool.since(from).map(|(_, pooled)| pooled).take(room);
                let (hash, block) = self.ledger.propose(candidates, self.now.wall, node)?;
                self.keep_undecided(encode(&block), hash)?;
                self.own_blocks.push(hash);
                hash
            }
        };
        self.consensus_inputs.push_back(bft::Input::BlockProposed { height, round, block: hash });
        Ok(())
    }
}
