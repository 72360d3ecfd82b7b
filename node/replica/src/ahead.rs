//! Execution ahead: whoever proposes next runs what waits before its turn comes, and tells the others what and in which order,
//! so that they run the same while they wait for its block.
//!
//! ```text
//! block final --> next proposer: run what waits, announce it ----> others: run the same
//!     height due: run what came in last, propose ----------------> run what is missing, judge, vote
//! ```
//!
//! What was run ahead decides nothing. A block is judged by its own bytes, and one that does not begin with what was run is
//! run from its beginning.

use vouch_ledger::PooledTransaction;
use vouch_types::{Height, Round, TimestampMs};

use crate::{
    message::{Announcement, Message},
    replica::{PeerId, Replica, ReplicaError},
};

/// Fewest transactions that are announced of a block at first: fewer take no time.
const ANNOUNCED_FIRST_MIN: usize = 4;
/// Fewest transactions that are announced after that.
const ANNOUNCED_MIN: usize = 64;
/// Most transactions in one announcement.
const ANNOUNCED_MAX: usize = 16_384;

/// How far this node is with the block of the next height.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    /// From this place in the mempool on nothing is in it.
    to: u64,
    /// How many of its transactions the others were told of.
    announced: usize,
    /// What was announced for the height after the next one, before this node had the block in between.
    early: Option<(PeerId, Announcement)>,
}

impl Replica {
    /// From which place in the mempool on, and how many at most, transactions may join the own block of the next height.
    pub(crate) fn room_of_block(&self, round: Round) -> (u64, usize) {
        let limit = self.portion.for_round(round);
        self.ledger.built().map_or((0, limit), |(built, _)| (self.ahead.to, limit.saturating_sub(built)))
    }

    /// The block before is final: what the next one is known to begin with can be run.
    pub(crate) fn run_ahead(&mut self) -> Result<(), ReplicaError> {
        if let Some((from, said)) = self.ahead.early.take() {
            self.receive_announcement(from, said)?;
        }
        self.build_ahead()
    }

    /// Runs what waits, if the next block is this node's to propose, and announces it. The block gets the time at which its
    /// height is due.
    pub(crate) fn build_ahead(&mut self) -> Result<(), ReplicaError> {
        let Some(due_ms) = self.next_height_due().filter(|_| !self.mempool.is_empty()) else { return Ok(()) };
        let proposer = self.ledger.validators().proposer(self.ledger.next_height(), Round::ZERO).key.node();
        if self.node != Some(proposer) || self.abstention.is_some() {
            return Ok(());
        }
        if self.ledger.built().is_none() {
            self.ahead = Ahead::default();
        }
        let (mut next, room) = self.room_of_block(Round::ZERO);
        let candidates = self.mempool.since(next).take(room).map(|(place, pooled)| {
            next = place.saturating_add(1);
            pooled
        });
        // Both clocks are cut to milliseconds: what is due by the one may be a millisecond away by the other.
        let time = TimestampMs(self.now.wall.0.saturating_add(due_ms.saturating_sub(1)));
        self.ledger.build(candidates, time)?;
        self.ahead.to = next;
        self.announce();
        Ok(())
    }

    fn announce(&mut self) {
        let Some((built, time)) = self.ledger.built() else { return };
        let least = if self.ahead.announced == 0 { ANNOUNCED_FIRST_MIN } else { ANNOUNCED_MIN };
        if built < self.ahead.announced.saturating_add(least) {
            return;
        }
        let height = self.ledger.next_height();
        let leaves = self.ledger.built_leaves().get(self.ahead.announced..).unwrap_or_default().to_vec();
        let mut first = self.ahead.announced;
        for lot in leaves.chunks(ANNOUNCED_MAX) {
            let begins = u32::try_from(first).unwrap_or(u32::MAX);
            let said = Announcement { height, time, first: begins, leaves: lot.to_vec() };
            self.broadcast(&Message::Announced(said), None);
            first = first.saturating_add(lot.len());
        }
        self.ahead.announced = built;
    }

    /// Runs what the next proposer has announced, as far as it follows what was run and is known here.
    pub(crate) fn receive_announcement(&mut self, from: PeerId, said: Announcement) -> Result<(), ReplicaError> {
        let next = self.ledger.next_height();
        if !self.proposes(&from, said.height) {
            return Ok(());
        }
        if next.next() == Some(said.height) && said.first == 0 {
            self.ahead.early = Some((from, said));
            return Ok(());
        }
        let params = &self.ledger.registry().params;
        let latest = TimestampMs(self.now.wall.0.saturating_add(params.clock_drift_max_ms.into()));
        let is_of_time = said.time > self.ledger.head().time && said.time <= latest;
        // With a block of this height here there is nothing left to wait for.
        if said.height != next || !is_of_time || !self.blocks.is_empty() {
            return Ok(());
        }
        let (built, time) = self.ledger.built().unwrap_or((0, said.time));
        if time != said.time || u32::try_from(built) != Ok(said.first) {
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
        Ok(self.ledger.build(known.iter(), said.time)?)
    }

    /// Gives up what was run ahead of an own block if it is for another round, or if its time has not come.
    pub(crate) fn settle_ahead(&mut self, round: Round) {
        let earliest = self.ledger.head().time.0.saturating_add(1);
        let is_early = |time: TimestampMs| time.0 > self.now.wall.0.max(earliest);
        if round > Round::ZERO || self.ledger.built().is_some_and(|(_, time)| is_early(time)) {
            self.ledger.forget_built();
        }
    }

    /// Whether a peer is the node that proposes in the first round of a height, if the validators stay who they are.
    fn proposes(&self, peer: &PeerId, height: Height) -> bool {
        let proposer = self.ledger.validators().proposer(height, Round::ZERO).key.node();
        self.ledger.registry().nodes.get(&proposer).is_some_and(|node| node.network_key == *peer)
    }
}
