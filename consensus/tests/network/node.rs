//! One node: driver, disk, timers.

use std::collections::{BTreeMap, BTreeSet};

use vouch_consensus::{
    ConsensusMessage, Driver, DriverConfig, Evidence, LogEntry, RecoveredLog, RelayFilter, SafetyFault, TimerId,
};
use vouch_types::{BlockHash, ChainId, CommitCertificate, Height, NodeId, Round};

use super::{Payload, Rng, secret};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Honest,
    Follower,
    Equivocator,
    Dead,
}

/// What survives a crash. The log survives as far as it was synced; the rest of the disk is synced on each write.
#[derive(Debug, Default)]
pub struct Disk {
    pub log: Vec<u8>,
    /// The log before the last unsynced replacement, and how much of it counts.
    synced: Vec<u8>,
    pub chain: Vec<CommitCertificate>,
    pub evidence: Vec<Evidence>,
    pub proposed: BTreeMap<(Height, Round), BlockHash>,
    pub blocks: BTreeSet<BlockHash>,
    pub held: BTreeMap<(BlockHash, Round), Payload>,
}

impl Disk {
    pub fn reset_log(&mut self, bytes: Vec<u8>) {
        self.log = bytes;
    }

    pub fn append_log(&mut self, bytes: &[u8]) {
        self.log.extend_from_slice(bytes);
    }

    pub fn sync_log(&mut self) {
        self.synced.clone_from(&self.log);
    }

    /// Goes back to an earlier height and forgets what was said since.
    pub fn roll_back(&mut self, height: usize) {
        self.chain.truncate(height);
        self.log.clear();
        self.synced.clear();
        self.proposed.clear();
        self.held.clear();
    }

    /// Whether the synced log holds a vote or proposal.
    pub fn has_synced(&self, message: &ConsensusMessage) -> bool {
        RecoveredLog::read(&self.synced).unwrap().entries.iter().any(|entry| match (entry, message) {
            (LogEntry::Vote(a), ConsensusMessage::Vote(b)) => a == b,
            (LogEntry::Proposal(a), ConsensusMessage::Proposal(b)) => a == b,
            _ => false,
        })
    }

    /// Loses what was not synced, or some of it: a torn tail.
    fn lose_unsynced(&mut self, rng: &mut Rng) {
        let grown = self.log.starts_with(&self.synced);
        if grown && rng.chance(500) {
            let rest = self.log.len() - self.synced.len();
            let kept = rng.between(0, rest as u64) as usize;
            self.log.truncate(self.synced.len() + kept);
        } else {
            self.log.clone_from(&self.synced);
        }
    }
}

pub struct Node {
    pub index: usize,
    pub id: NodeId,
    pub kind: Kind,
    pub driver: Option<Driver>,
    pub epoch: u64,
    pub disk: Disk,
    pub timers: BTreeMap<TimerId, u64>,
    pub relay: RelayFilter,
    pub effects_done: u64,
    pub synced: u64,
    pub rejected: u64,
    /// Blocks this node's ledger judges invalid.
    pub refuses: BTreeSet<BlockHash>,
    /// Below this height it may have signed things it does not remember.
    pub signs_from: Height,
    /// A fault is expected.
    pub may_stop: bool,
    pub stopped: Option<SafetyFault>,
}

impl Node {
    pub fn new(index: usize, kind: Kind) -> Self {
        Self {
            index,
            id: secret(index).public().node(),
            kind,
            driver: None,
            epoch: 0,
            disk: Disk::default(),
            timers: BTreeMap::new(),
            relay: RelayFilter::new(1_000),
            effects_done: 0,
            synced: 0,
            rejected: 0,
            refuses: BTreeSet::new(),
            signs_from: Height::ZERO,
            may_stop: false,
            stopped: None,
        }
    }

    pub fn boot(&mut self, chain: ChainId) {
        let secret = (self.kind != Kind::Follower).then(|| secret(self.index));
        self.driver = Some(Driver::new(DriverConfig { chain, secret }));
    }

    pub fn crash(&mut self, power_loss: bool, rng: &mut Rng) {
        self.driver = None;
        self.epoch += 1;
        self.timers.clear();
        if power_loss {
            self.disk.lose_unsynced(rng);
        }
        // What is in the file now is what a restarted node finds, synced or not.
    }
}
