//! Catching up: asks peers that are ahead for decided blocks, checks each against its certificate, executes and commits it.

use std::collections::BTreeMap;

use vouch_consensus as bft;
use vouch_ledger::{LedgerError, Storage, StorageError, Table, chain::read_certificate};
use vouch_types::{Hash32, Height, encode};

use crate::{
    message::{Message, SYNC_BLOCKS_MAX, SYNC_BYTES_MAX, SyncedBlock, decode_block, holds_its_transactions},
    replica::{Effect, PeerId, Replica, ReplicaError, Timer},
};

/// How long a peer may take to answer, in milliseconds.
const ANSWER_MS: u64 = 4_000;
/// How long being one height behind is left to consensus, in milliseconds.
const PATIENCE_MS: u64 = 400;

/// What is known of the peers' progress, and the request under way.
#[derive(Debug, Default)]
pub struct Sync {
    peers: BTreeMap<PeerId, Progress>,
    asked: Option<(PeerId, Height)>,
    /// The timer runs that ends the patience with a height consensus may still reach by itself. What peers repeat in the
    /// meantime must not set it anew, or it would never end.
    patient: bool,
}

#[derive(Debug, Clone, Copy)]
struct Progress {
    height: Height,
    lowest: Height,
    failures: u32,
    abstains: bool,
}

impl Sync {
    /// A peer is gone.
    pub fn forget(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
        if self.asked.is_some_and(|(asked, _)| asked == *peer) {
            self.asked = None;
        }
    }

    /// The greatest height any peer says it has.
    #[must_use]
    pub fn best_height(&self) -> Height {
        self.peers.values().map(|p| p.height).max().unwrap_or_default()
    }

    /// An answer still to come is not awaited any more.
    pub const fn forget_request(&mut self) {
        self.asked = None;
    }

    /// Peers that claim to be above a height.
    pub fn above(&self, height: Height) -> impl Iterator<Item = PeerId> {
        self.peers.iter().filter(move |(_, p)| p.height > height).map(|(peer, _)| *peer)
    }

    /// Whether some peer says it has the block of a height.
    #[must_use]
    pub fn can_serve(&self, next: Height) -> bool {
        self.choose(next).is_some()
    }

    /// Whether a request is under way.
    #[must_use]
    pub const fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// Who to ask for `next`: the peer with the fewest failures, then the one furthest ahead.
    fn choose(&self, next: Height) -> Option<PeerId> {
        self.peers
            .iter()
            .filter(|(_, p)| p.height >= next && p.lowest <= next)
            .min_by_key(|(_, p)| (p.failures, u64::MAX - p.height.0))
            .map(|(peer, _)| *peer)
    }

    /// How often a peer did not hand over what it claims to have.
    pub(crate) fn failures(&self, peer: &PeerId) -> u32 {
        self.peers.get(peer).map_or(0, |p| p.failures)
    }

    /// Whether a peer says that it does not sign for the time being.
    #[must_use]
    pub fn abstains(&self, peer: &PeerId) -> bool {
        self.peers.get(peer).is_some_and(|p| p.abstains)
    }

    fn blame(&mut self, peer: &PeerId) {
        if let Some(progress) = self.peers.get_mut(peer) {
            progress.failures = progress.failures.saturating_add(1);
        }
    }
}

impl Replica {
    pub(crate) fn learn_status(
        &mut self,
        from: PeerId,
        height: Height,
        lowest: Height,
        abstains: bool,
    ) -> Result<(), ReplicaError> {
        let failures = self.sync.failures(&from);
        self.sync.peers.insert(from, Progress { height, lowest, failures, abstains });
        if !abstains {
            self.hear_height(from, height);
        }
        if self.consider_join(from)? {
            return Ok(());
        }
        let next = self.ledger.next_height();
        if self.sync.is_asking() || height < next {
            return Ok(());
        }
        if height > next {
            return self.continue_sync();
        }
        self.be_patient();
        Ok(())
    }

    fn be_patient(&mut self) {
        if !core::mem::replace(&mut self.sync.patient, true) {
            self.out.push(Effect::SetTimer { timer: Timer::Sync, after_ms: PATIENCE_MS });
        }
    }

    /// Asks the best peer for the next blocks, if any peer has them. A request still under way has failed.
    pub(crate) fn continue_sync(&mut self) -> Result<(), ReplicaError> {
        self.sync.patient = false;
        if let Some((peer, _)) = self.sync.asked.take() {
            self.sync.blame(&peer);
        }
        let next = self.ledger.next_height();
        if let Some(peer) = self.sync.choose(next) {
            self.sync.asked = Some((peer, next));
            self.send(peer, &Message::SyncRequest { from: next });
            self.out.push(Effect::SetTimer { timer: Timer::Sync, after_ms: ANSWER_MS });
        }
        Ok(())
    }

    pub(crate) fn answer_sync(&mut self, to: PeerId, from: Height) -> Result<(), ReplicaError> {
        let blocks = read_blocks(self.ledger.storage().as_ref(), from, self.ledger.head().height)?;
        self.send(to, &Message::SyncResponse { from, blocks });
        Ok(())
    }

    pub(crate) fn receive_synced(
        &mut self,
        from: PeerId,
        height: Height,
        blocks: Vec<SyncedBlock>,
    ) -> Result<(), ReplicaError> {
        if self.sync.asked != Some((from, height)) {
            return Ok(());
        }
        self.sync.asked = None;
        self.out.push(Effect::CancelTimer(Timer::Sync));
        if blocks.is_empty() {
            self.sync.blame(&from);
        }
        for synced in blocks {
            if let Err(code) = self.take_synced(synced)? {
                self.fault(from, code);
                self.sync.blame(&from);
                break;
            }
        }
        if self.sync.best_height() >= self.ledger.next_height() {
            if self.ledger.next_height() > height {
                return self.continue_sync();
            }
            // Nothing came of it. Whoever claims much and answers with nothing must not set the pace of asking.
            self.be_patient();
        }
        self.keep_pace()
    }

    /// Checks, executes and commits one block of the next height; the inner error says how the peer lied.
    fn take_synced(&mut self, synced: SyncedBlock) -> Result<Result<(), &'static str>, ReplicaError> {
        let next = self.ledger.next_height();
        let certificate = synced.certificate;
        if certificate.height < next {
            return Ok(Ok(()));
        }
        let Ok(block) = decode_block(&synced.block) else { return Ok(Err("peer.sync_malformed_block")) };
        // The certificate vouches for the header, and only the root in it for the transactions.
        if certificate.height != next || block.header.hash() != certificate.block || !holds_its_transactions(&block) {
            return Ok(Err("peer.sync_wrong_block"));
        }
        if certificate.verify(self.ledger.chain(), self.ledger.validators()).is_err() {
            return Ok(Err("peer.sync_bad_certificate"));
        }
        let entropy = *vouch_types::hash::domain_hash("vouch/sync-entropy/1", &[&encode(&certificate)]).as_bytes();
        let mempool = &self.mempool;
        let verified = |leaf: &Hash32| mempool.by_leaf(leaf);
        if let Err(reason) = self.ledger.validate(&block, None, &entropy, &verified)? {
            // More than two thirds signed for what this node finds invalid: its state or its code differs from theirs.
            let message = format!("block {next} is final for the others but invalid here: {reason}");
            return Err(LedgerError::Damaged(message).into());
        }
        if !self.pace.is_running() {
            self.begin_height()?;
        }
        self.keep_undecided(synced.block, certificate.block)?;
        self.consensus_inputs.push_back(bft::Input::CertificateReceived(certificate));
        self.run_consensus()?;
        Ok(if self.ledger.next_height() > next { Ok(()) } else { Err("peer.sync_not_decided") })
    }
}

/// Encoded blocks with certificates from a height on, as many as one answer holds.
fn read_blocks(storage: &dyn Storage, from: Height, head: Height) -> Result<Vec<SyncedBlock>, ReplicaError> {
    let mut blocks = Vec::new();
    let mut bytes = 0usize;
    let mut at = from;
    while at <= head && at > Height::ZERO && blocks.len() < SYNC_BLOCKS_MAX {
        let Some(block) = encoded_block(storage, at)? else { break };
        let Some(certificate) = read_certificate(storage, at)? else { break };
        bytes = bytes.saturating_add(block.len());
        if bytes > SYNC_BYTES_MAX && !blocks.is_empty() {
            break;
        }
        blocks.push(SyncedBlock { block, certificate });
        let Some(next) = at.next() else { break };
        at = next;
    }
    Ok(blocks)
}

/// A stored block as it travels: a block's encoding is that of its header followed by that of its transactions.
fn encoded_block(storage: &dyn Storage, height: Height) -> Result<Option<Vec<u8>>, StorageError> {
    let key = height.0.to_be_bytes();
    let (Some(mut block), Some(mut body)) = (storage.get(Table::Headers, &key)?, storage.get(Table::Bodies, &key)?)
    else {
        return Ok(None);
    };
    block.append(&mut body);
    Ok(Some(block))
}
