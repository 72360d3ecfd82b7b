//! Execution ahead: whoever proposes next runs what waits before its turn comes, and tells the others what and in which order,
//! so that they run the same while they wait for its block.
//!
//! ```text
//! block run and voted for --> next proposer: run what waits, announce it ----> others: run the same
//! block final, height due --> run what came in last, propose ----------------> run what is missing, judge, vote
//! ```
//!
//! So the votes for one block travel while the next is run, on top of one that is not final yet. When another becomes final, what
//! was run is given up. Nothing of it decides anything: a block is judged by its own bytes, and one that does not begin with what
//! was run is run from its beginning.

use std::collections::BTreeSet;

use vouch_ledger::PooledTransaction;
use vouch_types::{BlockHash, NodeId, Round, TimestampMs, TxId};

use crate::{
    message::{Announcement, Message},
    replica::{Effect, PeerId, Replica, ReplicaError, Timer},
};

/// Most transactions run at once: in between comes what the network brought.
const LOT: usize = 64;
/// Milliseconds between two lots.
const BETWEEN_LOTS_MS: u64 = 1;
/// Fewest transactions that are announced of a block at first: fewer take no time.
const ANNOUNCED_FIRST_MIN: usize = 4;
/// Most transactions in one announcement.
const ANNOUNCED_MAX: usize = 1_024;
/// Most announced transactions that are kept while the block before them is not here.
const EARLY_MAX: usize = 16_384;

/// How far this node is with the block after the one that was decided or voted for last.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    /// From this place in the mempool on nothing is in it.
    to: u64,
    /// How many of its transactions the others were told of.
    announced: usize,
    /// What the block before it holds, if that one is not final.
    before: BTreeSet<TxId>,
    /// What was announced on top of a block that is not here, in order.
    early: Vec<(PeerId, Announcement)>,
}

/// What a block of this node's will be on top of.
struct Ground {
    parent: BlockHash,
    /// In how many milliseconds the block may be proposed at the earliest.
    due_ms: u64,
}

impl Replica {
    /// From which place in the mempool on, and how many at most, transactions may join the own block of the next height.
    pub(crate) fn room_of_block(&self, round: Round) -> (u64, usize) {
        let limit = self.portion.for_round(round);
        self.ledger.built_next().map_or((0, limit), |built| (self.ahead.to, limit.saturating_sub(built.count)))
    }

    /// A block is here or final: what the one after it is known to begin with can be run.
    pub(crate) fn run_ahead(&mut self) -> Result<(), ReplicaError> {
        for (from, said) in core::mem::take(&mut self.ahead.early) {
            self.receive_announcement(from, said)?;
        }
        self.build_ahead()
    }

    /// The block that will be, or may be, the one before this node's, when this node proposes in the first round after it.
    fn ground(&self) -> Option<Ground> {
        if self.ledger.join().is_some() || self.abstention.is_some() {
            return None;
        }
        let next = self.ledger.next_height();
        let (parent, height, validators) = if self.pace.is_running() {
            // With several blocks at this height it is open which of them is decided.
            let mut blocks = self.blocks.keys();
            let block = blocks.next().filter(|_| blocks.next().is_none())?;
            (*block, next.next()?, self.ledger.validators_after(block)?)
        } else {
            (self.ledger.head().hash, next, self.ledger.validators())
        };
        let is_own = self.node == Some(validators.proposer(height, Round::ZERO).key.node());
        let busy_ms = u64::from(self.ledger.registry().params.block_interval_ms);
        let due_ms = match self.next_height_due() {
            Some(due_ms) => due_ms,
            None => self.pace.started_ms().saturating_add(busy_ms).saturating_sub(self.now.steady_ms),
        };
        is_own.then_some(Ground { parent, due_ms })
    }

    /// Runs a lot of what waits, if the next block but those that are known is this node's to propose, and announces it. The
    /// block gets the time at which its height is due.
    pub(crate) fn build_ahead(&mut self) -> Result<(), ReplicaError> {
        if self.mempool.is_empty() {
            return Ok(());
        }
        let Some(Ground { parent, due_ms }) = self.ground() else { return Ok(()) };
        let built = self.ledger.built().filter(|built| built.parent == parent);
        if built.is_none() {
            let before = self.ledger.prepared_transactions(&parent).collect();
            self.ahead = Ahead { before, early: core::mem::take(&mut self.ahead.early), ..Ahead::default() };
        }
        let count = built.map_or(0, |built| built.count);
        let room = self.portion.for_round(Round::ZERO).saturating_sub(count);
        if room == 0 || built.is_some_and(|built| built.is_full) {
            return Ok(());
        }
        let (mut to, before) = (self.ahead.to, &self.ahead.before);
        let waiting = self.mempool.since(to).filter(|(_, pooled)| !before.contains(&pooled.tx.id()));
        let lot: Vec<PooledTransaction> = waiting
            .take(room.min(LOT))
            .map(|(place, pooled)| {
                to = place.saturating_add(1);
                pooled.clone()
            })
            .collect();
        if lot.is_empty() {
            return Ok(());
        }
        // Both clocks are cut to milliseconds: what is due by the one may be a millisecond away by the other.
        let time = TimestampMs(self.now.wall.0.saturating_add(due_ms.saturating_sub(1)));
        self.ledger.build(&parent, lot.iter(), time)?;
        self.ahead.to = to;
        self.announce();
        if lot.len() == LOT {
            self.out.push(Effect::SetTimer { timer: Timer::Build, after_ms: BETWEEN_LOTS_MS });
        }
        Ok(())
    }

    fn announce(&mut self) {
        let Some(built) = self.ledger.built() else { return };
        let least = if self.ahead.announced == 0 { ANNOUNCED_FIRST_MIN } else { LOT };
        if built.count < self.ahead.announced.saturating_add(least) {
            return;
        }
        let leaves = self.ledger.built_leaves().get(self.ahead.announced..).unwrap_or_default().to_vec();
        let mut first = self.ahead.announced;
        for lot in leaves.chunks(ANNOUNCED_MAX) {
            let said = Announcement {
                height: built.height,
                parent: built.parent,
                time: built.time,
                first: u32::try_from(first).unwrap_or(u32::MAX),
                leaves: lot.to_vec(),
            };
            self.broadcast(&Message::Announced(said), None);
            first = first.saturating_add(lot.len());
        }
        self.ahead.announced = built.count;
    }

    /// Runs what the next proposer has announced, as far as it follows what was run and is known here.
    pub(crate) fn receive_announcement(&mut self, from: PeerId, said: Announcement) -> Result<(), ReplicaError> {
        if said.leaves.len() > ANNOUNCED_MAX {
            self.fault(from, "peer.malformed_message");
            return Ok(());
        }
        let next = self.ledger.next_height();
        if said.parent == self.ledger.head().hash {
            // With a block of this height here there is nothing left to wait for.
            if said.height != next || !self.blocks.is_empty() {
                return Ok(());
            }
        } else if !self.ledger.is_prepared(&said.parent) {
            self.keep_early(from, said);
            return Ok(());
        } else if next.next() != Some(said.height) {
            return Ok(());
        }
        let validators = self.ledger.validators_after(&said.parent).unwrap_or_else(|| self.ledger.validators());
        let proposer = validators.proposer(said.height, Round::ZERO).key.node();
        let params = &self.ledger.registry().params;
        let latest = TimestampMs(self.now.wall.0.saturating_add(params.clock_drift_max_ms.into()));
        let is_of_time = said.time > self.ledger.head().time && said.time <= latest;
        if !is_of_time || !self.is_node(&from, &proposer) {
            return Ok(());
        }
        let built = self.ledger.built().filter(|built| built.parent == said.parent);
        let (count, time) = built.map_or((0, said.time), |built| (built.count, built.time));
        if time != said.time || u32::try_from(count) != Ok(said.first) {
            return Ok(());
        }
        let known = said.leaves.into_iter().map_while(|leaf| {
            let tx = self.mempool.by_leaf(&leaf)?;
            Some(PooledTransaction { tx, leaf })
        });
        let known: Vec<PooledTransaction> = known.collect();
        if known.is_empty() {
            return Ok(());
        }
        Ok(self.ledger.build(&said.parent, known.iter(), said.time)?)
    }

    /// Keeps what may be on top of the block that this node waits for.
    fn keep_early(&mut self, from: PeerId, said: Announcement) {
        let next = self.ledger.next_height();
        let known = self.ledger.validators().proposer(said.height, Round::ZERO).key.node();
        let kept: usize = self.ahead.early.iter().map(|(_, said)| said.leaves.len().saturating_add(1)).sum();
        let is_next = said.height == next || next.next() == Some(said.height);
        // Of the next height but one the validators are not known before the block is here; mostly they stay who they are.
        if is_next && self.is_node(&from, &known) && kept.saturating_add(said.leaves.len()) < EARLY_MAX {
            self.ahead.early.push((from, said));
        }
    }

    /// Gives up what was run ahead of an own block if it is for another round, or if its time has not come.
    pub(crate) fn settle_ahead(&mut self, round: Round) {
        let earliest = self.ledger.head().time.0.saturating_add(1);
        let is_early = |time: TimestampMs| time.0 > self.now.wall.0.max(earliest);
        if self.ledger.built_next().is_some_and(|built| round > Round::ZERO || is_early(built.time)) {
            self.ledger.forget_built();
        }
    }

    /// Whether a peer is a node of the chain.
    fn is_node(&self, peer: &PeerId, node: &NodeId) -> bool {
        self.ledger.registry().nodes.get(node).is_some_and(|record| record.network_key == *peer)
    }
}
