//! What an operator wants to know: how far, what is awaited, from whom.

use std::collections::BTreeMap;

use vouch_types::{BlockHash, Height, TimestampMs};

use crate::{
    replica::{PeerId, Replica},
    voting::AbstentionStatus,
};

/// A replica at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// Last committed height.
    pub height: Height,
    /// Its hash.
    pub hash: BlockHash,
    /// Its time.
    pub time: TimestampMs,
    /// Whether consensus runs for the next height.
    pub running: bool,
    /// Since when, in steady milliseconds.
    pub running_since_ms: u64,
    /// Connected peers.
    pub peers: Vec<PeerId>,
    /// The greatest height that peers with more than a third of the power claim, see [`crate::sync::Sync::confirmed_height`].
    pub best_peer_height: Height,
    /// Waiting transactions.
    pub mempool_count: usize,
    /// Their bytes.
    pub mempool_bytes: usize,
    /// Whether this node is a validator of the next height.
    pub validator: bool,
    /// While it does not sign all the same, because it may have forgotten votes.
    pub abstention: Option<AbstentionStatus>,
    /// Connected peers that say the same of themselves.
    pub abstaining_peers: Vec<PeerId>,
    /// The consensus driver's view; `None` before the first height since the start.
    pub consensus: Option<vouch_consensus::ConsensusStatus>,
}

impl ReplicaStatus {
    pub(crate) fn of(replica: &Replica) -> Self {
        let head = replica.ledger.head();
        let registry = replica.ledger.registry();
        let powers: BTreeMap<_, _> = registry.active_nodes().map(|n| (n.network_key, n.power.0)).collect();
        let power = |peer: &PeerId| powers.get(peer).copied().unwrap_or_default();
        let total = replica.ledger.validators().total_power().0;
        Self {
            height: head.height,
            hash: head.hash,
            time: head.time,
            running: replica.pace.is_running(),
            running_since_ms: replica.pace.started_ms(),
            peers: replica.peers.iter().copied().collect(),
            best_peer_height: replica.sync.confirmed_height(total, power),
            mempool_count: replica.mempool.len(),
            mempool_bytes: replica.mempool.bytes(),
            validator: replica.node.is_some_and(|n| replica.ledger.validators().index_of(&n).is_some()),
            abstention: replica.abstention_status(),
            abstaining_peers: replica.peers.iter().filter(|p| replica.sync.abstains(p)).copied().collect(),
            consensus: replica.driver.status(),
        }
    }
}
