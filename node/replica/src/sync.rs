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
    /// How often a peer did not hand over what it claimed to have, since it last handed over all of it. To disconnect
    /// clears nothing.
    failures: BTreeMap<PeerId, u32>,
    asked: Option<(PeerId, Height)>,
    /// The timer runs that ends the patience with a height consensus may still reach by itself. What peers repeat in the
    /// meantime must not set it anew, or it would never end.
    patient: bool,
}

#[derive(Debug, Clone, Copy)]
struct Progress {
    height: Height,
    lowest: Height,
    abstains: bool,
}

impl Sync {
    /// A peer is gone; if an answer was awaited of it, it has failed to give it.
    pub fn forget(&mut self, peer: &PeerId) {
        if self.asked.is_some_and(|(asked, _)| asked == *peer) {
            self.asked = None;
            self.blame(peer);
        }
        self.peers.remove(peer);
    }

    /// The greatest height any peer says it has.
    #[must_use]
    pub fn best_height(&self) -> Height {
        self.peers.values().map(|p| p.height).max().unwrap_or_default()
    }

    /// The greatest height that peers claim who have more than a third of `total` power between them, so that one of them
    /// is honest. The greatest claim of any where all that are connected have less.
    #[must_use]
    pub fn confirmed_height(&self, total: u64, power: impl Fn(&PeerId) -> u64) -> Height {
        let mut claims: Vec<(Height, u64)> = self.peers.iter().map(|(peer, p)| (p.height, power(peer))).collect();
        claims.sort_by_key(|(height, _)| core::cmp::Reverse(*height));
        let mut claiming = 0u128;
        let confirmed = claims.into_iter().find(|(_, power)| {
            claiming = claiming.saturating_add(u128::from(*power));
            claiming.saturating_mul(3) > u128::from(total)
        });
        confirmed.map_or_else(|| self.best_height(), |(height, _)| height)
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
            .min_by_key(|(peer, p)| (self.failures(peer), u64::MAX - p.height.0))
            .map(|(peer, _)| *peer)
    }

    /// How often a peer did not hand over what it claims to have.
    pub(crate) fn failures(&self, peer: &PeerId) -> u32 {
        self.failures.get(peer).copied().unwrap_or_default()
    }

    /// Whether a peer says that it does not sign for the time being.
    #[must_use]
    pub fn abstains(&self, peer: &PeerId) -> bool {
        self.peers.get(peer).is_some_and(|p| p.abstains)
    }

    fn blame(&mut self, peer: &PeerId) {
        let failures = self.failures.entry(*peer).or_default();
        *failures = failures.saturating_add(1);
    }

    /// A peer handed blocks over, up to `head`: if that is all it claimed to have, it is as good as its word.
    fn praise(&mut self, peer: &PeerId, head: Height) {
        if self.peers.get(peer).is_some_and(|p| p.height <= head) {
            self.failures.remove(peer);
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
        self.sync.peers.insert(from, Progress { height, lowest, abstains });
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
        self.answer(to, &Message::SyncResponse { from, blocks });
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
        if self.ledger.next_height() > height {
            self.sync.praise(&from, self.ledger.head().height);
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

#[cfg(test)]
mod tests {
    use vouch_types::SecretKey;

    use super::*;

    #[test]
    fn one_claim_confirms_nothing_and_a_third_with_another_does() {
        let peer = |index: u8| SecretKey::from_seed([index; 32]).public();
        let confirmed = |claims: &[(u64, u64)]| {
            let mut sync = Sync::default();
            let mut powers = BTreeMap::new();
            for (index, (height, power)) in (0u8..).zip(claims) {
                let progress = Progress { height: Height(*height), lowest: Height(1), abstains: false };
                sync.peers.insert(peer(index), progress);
                powers.insert(peer(index), *power);
            }
            sync.confirmed_height(9, |peer| powers.get(peer).copied().unwrap_or_default()).0
        };
        assert_eq!(confirmed(&[]), 0);
        assert_eq!(confirmed(&[(1 << 60, 3), (40, 3), (39, 3)]), 40, "a third alone may lie");
        assert_eq!(confirmed(&[(50, 4), (40, 3), (39, 2)]), 50);
        assert_eq!(confirmed(&[(1 << 60, 0), (40, 3), (39, 3)]), 39, "followers confirm nothing");
        assert_eq!(confirmed(&[(7, 0), (6, 2)]), 7, "where so few are there, any claim is shown");
    }
}
