//! Joining by snapshot: whom to ask for a state, what to ask next, what becomes of a peer that lied; and serving others.
//!
//! ```text
//! far behind --> ask all peers that are ahead --offers, verified--> the one most of them hold
//!    --> pieces of the state, one at a time, in turn from all that hold it --> last blocks --> sync by blocks
//! ```
//!
//! A peer that lies is asked for nothing more while it is connected. One that fails to answer three times in a row or that
//! let go of the state is passed over, and asked for another offer only when nobody else has made one. One state at a time
//! is held still for others.
//!
//! Whoever takes a state over gives its own up first. Every node keeps the last blocks of the expiry window, so a node
//! that is less than that behind goes by blocks, whatever a peer says of what it has.

use std::collections::BTreeMap;

use vouch_ledger::{Due, HistoryBlock, JoinFault, Joined, LedgerError, Pinned, SnapshotOffer};
use vouch_types::{BlockHash, Hash32, Height, RangeProof, encode, hash::domain_hash};

use crate::{
    log_writer::LogWriter,
    message::Message,
    replica::{Effect, PeerId, Replica, ReplicaError, Timer},
    submissions::Submissions,
};

/// How far behind the peers a node with nothing but the genesis document must be to join by snapshot, if not configured.
pub const JOIN_AFTER_BLOCKS: u64 = 2_000;
/// Where the expiry window is shorter, a node must be so many blocks behind to give its state up: peers that are well are
/// within a block or two of each other.
const JOIN_GAP_MIN: u64 = 16;
/// A state held for others is given up for a newer one after so many blocks, when somebody asks.
const RENEW_BLOCKS: u64 = 500;
/// It is kept all the same while somebody fetches it, up to this age in blocks; then it is let go.
const AGE_BLOCKS_MAX: u64 = 10_000;
/// Somebody fetches it when the last request is not older than this.
const BUSY_MS: u64 = 60_000;
/// It is let go after so long without a request.
const IDLE_MS: u64 = 600_000;
/// How long peers may take to offer: they may have to write out what they hold in memory.
const OFFER_MS: u64 = 4_000;
/// How long a peer may take to send a piece.
const ANSWER_MS: u64 = 8_000;
/// How long to wait before asking everyone again.
const RETRY_MS: u64 = 3_000;
/// Answers in a row that a peer may fail to give.
const FAILURES_MAX: u32 = 3;

/// What a node keeps and how it joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoragePolicy {
    /// Blocks kept below the head; 0 keeps all.
    pub keep_blocks: u64,
    /// How far behind an empty node must be to join by snapshot although blocks could be had; 0 for never.
    pub join_after_blocks: u64,
}

impl Default for StoragePolicy {
    fn default() -> Self {
        Self { keep_blocks: 0, join_after_blocks: JOIN_AFTER_BLOCKS }
    }
}

/// A peer, as far as the search goes.
#[derive(Debug)]
enum Source {
    Asked,
    /// Has nothing to offer, or did not answer.
    Without,
    /// Offered a state and did not hand it over. Remembered when it disconnects: it may be back at once.
    Silent,
    Liar,
    Offered(Offered),
}

#[derive(Debug)]
struct Offered {
    block: BlockHash,
    /// Digest of the validator set changes that came along.
    sets: Hash32,
    /// Until a state was chosen.
    offer: Option<Box<SnapshotOffer>>,
    failures: u32,
    served: u64,
}

#[derive(Debug)]
struct Served {
    pinned: Pinned,
    used_ms: u64,
}

/// The search for a state, the requests under way, and the state held for others.
#[derive(Debug)]
pub struct Snapshots {
    join_after: u64,
    searching: bool,
    /// The state being taken over cannot be completed as it was offered.
    broken: bool,
    sources: BTreeMap<PeerId, Source>,
    asked: Option<(PeerId, Due)>,
    retry_at_ms: u64,
    served: Option<Served>,
    pin_failed_ms: Option<u64>,
}

impl Snapshots {
    pub(crate) const fn new(join_after: u64) -> Self {
        Self {
            join_after,
            searching: false,
            broken: false,
            sources: BTreeMap::new(),
            asked: None,
            retry_at_ms: 0,
            served: None,
            pin_failed_ms: None,
        }
    }

    /// The lowest height whose block is needed here to follow the state held for others.
    pub(crate) fn needed(&self) -> Height {
        self.served.as_ref().map_or(Height(u64::MAX), |served| served.pinned.height())
    }

    fn is_waiting(&self) -> bool {
        self.sources.values().any(|source| matches!(source, Source::Asked))
    }

    /// Nobody else has a state: whoever kept silent is asked again.
    fn forgive(&mut self) {
        self.sources.retain(|_, source| !matches!(source, Source::Silent));
    }

    /// The peer to ask next for a state: fewest failures, then the one that served least.
    fn choose(&self, target: &BlockHash) -> Option<PeerId> {
        let offered = self.sources.iter().filter_map(|(peer, source)| match source {
            Source::Offered(offered) if offered.block == *target => Some((offered.failures, offered.served, *peer)),
            _ => None,
        });
        offered.min().map(|(_, _, peer)| peer)
    }

    /// The offer that most peers made, of those the highest; the offers are let go.
    fn take_best(&mut self) -> Option<Box<SnapshotOffer>> {
        let mut groups: BTreeMap<BlockHash, (usize, Height, Box<SnapshotOffer>)> = BTreeMap::new();
        for source in self.sources.values_mut() {
            if let Source::Offered(offered) = source
                && let Some(offer) = offered.offer.take()
            {
                groups.entry(offered.block).or_insert_with(|| (0, offer.height(), offer)).0 += 1;
            }
        }
        groups.into_values().max_by_key(|(count, height, _)| (*count, *height)).map(|(_, _, offer)| offer)
    }
}

fn digest_of_sets(offer: &SnapshotOffer) -> Hash32 {
    domain_hash("vouch/snapshot-sets/1", &[&encode(&offer.set_changes)])
}

impl Replica {
    /// Sets what this node keeps and how it joins; before [`crate::Input::Started`].
    ///
    /// # Errors
    /// [`LedgerError::KeepTooFew`].
    pub fn set_storage_policy(&mut self, policy: StoragePolicy) -> Result<(), ReplicaError> {
        self.snapshots.join_after = policy.join_after_blocks;
        Ok(self.ledger.set_keep_blocks(policy.keep_blocks)?)
    }

    /// Whether this node looks for a state or takes one over.
    #[must_use]
    pub fn is_joining(&self) -> bool {
        self.snapshots.searching || self.ledger.join().is_some()
    }

    /// A peer said how far it is: true when joining by snapshot takes care of it.
    pub(crate) fn consider_join(&mut self, from: PeerId) -> Result<bool, ReplicaError> {
        if self.snapshots.searching || self.snapshots.asked.is_some() {
            if !self.snapshots.sources.contains_key(&from)
                && self.sync.above(self.ledger.head().height).any(|p| p == from)
            {
                self.ask_for_offer(from);
            }
            return Ok(true);
        }
        if self.ledger.join().is_none() && !self.wants_join() {
            return Ok(false);
        }
        self.search();
        Ok(self.is_joining())
    }

    fn wants_join(&self) -> bool {
        let (head, next, best) = (self.ledger.head().height, self.ledger.next_height(), self.sync.best_height());
        if best < next || self.now.steady_ms < self.snapshots.retry_at_ms {
            return false;
        }
        let after = self.snapshots.join_after;
        let far = head == Height::ZERO && after != 0 && best.0 > after;
        // A node that keeps all blocks never gives its own up by itself.
        let may = head == Height::ZERO || self.ledger.keep_blocks() != 0;
        far || (may && best > self.join_above() && !self.sync.can_serve(next))
    }

    /// Only a state above this height is worth giving up the one that is here. A state being taken over is none yet.
    fn join_above(&self) -> Height {
        let head = self.ledger.head().height;
        if self.ledger.join().is_some() {
            return head;
        }
        let gap = self.ledger.registry().params.expiry_window.max(JOIN_GAP_MIN);
        let after = Some(self.snapshots.join_after).filter(|after| *after != 0 && head == Height::ZERO);
        Height(head.0.saturating_add(after.map_or(gap, |after| after.min(gap))))
    }

    /// Asks every peer that is ahead, but known liars and those that kept silent, what it could hand over.
    fn search(&mut self) {
        self.snapshots.sources.retain(|_, source| matches!(source, Source::Liar | Source::Silent));
        let ahead: Vec<PeerId> = self.sync.above(self.ledger.head().height).collect();
        for peer in ahead {
            if !self.snapshots.sources.contains_key(&peer) {
                self.ask_for_offer(peer);
            }
        }
        self.snapshots.searching = self.snapshots.is_waiting();
        if self.snapshots.searching {
            self.out.push(Effect::SetTimer { timer: Timer::Sync, after_ms: OFFER_MS });
        } else {
            self.snapshots.forgive();
            self.wait_and_retry();
        }
    }

    fn wait_and_retry(&mut self) {
        self.snapshots.retry_at_ms = self.now.steady_ms.saturating_add(RETRY_MS);
        self.out.push(Effect::SetTimer { timer: Timer::Sync, after_ms: RETRY_MS });
    }

    fn ask_for_offer(&mut self, peer: PeerId) {
        self.snapshots.sources.insert(peer, Source::Asked);
        self.send(peer, &Message::SnapshotRequest);
    }

    pub(crate) fn receive_snapshot(&mut self, from: PeerId, message: Message) -> Result<(), ReplicaError> {
        match message {
            Message::SnapshotRequest => return self.answer_offer(from),
            Message::PieceRequest { height, slot } => {
                let piece =
                    self.serve(height, |pinned| Ok(pinned.piece(slot).map_err(|e| e.to_string())?.map(Box::new)));
                self.answer(from, &Message::Piece { height, slot, piece });
            }
            Message::HistoryRequest { height, before, from: lowest } => {
                let blocks = self.serve(height, |pinned| pinned.history(before, lowest).map_err(|e| e.to_string()));
                self.answer(from, &Message::History { height, before, blocks });
            }
            Message::Snapshot { offer } => return self.receive_offer(from, offer),
            Message::Piece { height, slot, piece } if self.is_taken_over(height) => {
                return self.receive_piece(from, slot, piece);
            }
            Message::History { height, before, blocks } if self.is_taken_over(height) => {
                return self.receive_history(from, before, &blocks);
            }
            // Late answers about a state that was given up in the meantime are nobody's fault.
            _ => {}
        }
        Ok(())
    }

    fn is_taken_over(&self, height: Height) -> bool {
        self.ledger.join().is_some_and(|join| join.offer().height() == height)
    }

    fn receive_offer(&mut self, from: PeerId, offer: Option<Box<SnapshotOffer>>) -> Result<(), ReplicaError> {
        if !matches!(self.snapshots.sources.get(&from), Some(Source::Asked)) {
            return Ok(());
        }
        // What counts is the height that was proven, not what the peer says of itself.
        let above = self.join_above();
        let verdict = offer.as_ref().map(|offer| self.ledger.reader().verify_offer(offer).map(drop));
        let source = match (offer, verdict) {
            (_, Some(Err(fault))) => {
                self.fault(from, fault.code());
                Source::Liar
            }
            (Some(offer), _) if offer.height() > above => Source::Offered(Offered {
                block: offer.finality.header.hash(),
                sets: digest_of_sets(&offer),
                offer: self.snapshots.searching.then_some(offer),
                failures: 0,
                served: 0,
            }),
            _ => Source::Without,
        };
        self.snapshots.sources.insert(from, source);
        if self.snapshots.searching {
            if self.snapshots.is_waiting() { Ok(()) } else { self.conclude_search() }
        } else {
            self.drive_join()
        }
    }

    /// Begins to take over the best of what was offered, or goes on with what was begun.
    fn conclude_search(&mut self) -> Result<(), ReplicaError> {
        self.snapshots.searching = false;
        self.out.push(Effect::CancelTimer(Timer::Sync));
        let begun = self.ledger.join().filter(|_| !self.snapshots.broken).map(|j| j.offer().finality.header.hash());
        if begun.is_some_and(|target| self.snapshots.choose(&target).is_some()) {
            return self.drive_join();
        }
        if let Some(offer) = self.snapshots.take_best() {
            self.begin_join(*offer)?;
            return self.drive_join();
        }
        self.snapshots.forgive();
        self.wait_and_retry();
        if self.ledger.join().is_none() { self.continue_sync() } else { Ok(()) }
    }

    fn begin_join(&mut self, offer: SnapshotOffer) -> Result<(), ReplicaError> {
        let (height, block) = (offer.height(), offer.finality.header.hash());
        let client = self.ledger.reader().verify_offer(&offer).map_err(|e| LedgerError::Damaged(e.to_string()))?;
        tracing::info!(%height, %block, "the state is being taken over from other nodes");
        self.ledger.begin_join(offer, client)?;
        self.snapshots.broken = false;
        self.sync.forget_request();
        // What consensus knew was of a height that is long decided; its log went with the state.
        self.consensus_inputs.clear();
        (self.log, self.recovered) = (LogWriter::default(), vouch_consensus::RecoveredLog::default());
        self.forget_last_set();
        self.forget_blocks();
        self.pace.height_ended(self.now.steady_ms);
        self.out.push(Effect::CancelConsensusTimers);
        self.out.push(Effect::CancelTimer(Timer::Pace));
        self.out.push(Effect::CancelTimer(Timer::Build));
        self.out.push(Effect::CancelTimer(Timer::Fetch));
        Ok(())
    }

    /// Asks for what is due, unless an answer is awaited.
    fn drive_join(&mut self) -> Result<(), ReplicaError> {
        let Some(join) = self.ledger.join() else { return Ok(()) };
        if self.snapshots.asked.is_some() || self.snapshots.searching {
            return Ok(());
        }
        let (due, header) = (join.due(), &join.offer().finality.header);
        let (height, target) = (header.height, header.hash());
        let Some(peer) = self.snapshots.choose(&target) else {
            self.wait_and_retry();
            return Ok(());
        };
        self.snapshots.asked = Some((peer, due));
        let request = match due {
            Due::Piece { slot } => Message::PieceRequest { height, slot },
            Due::History { before, from } => Message::HistoryRequest { height, before, from },
        };
        self.send(peer, &request);
        self.out.push(Effect::SetTimer { timer: Timer::Sync, after_ms: ANSWER_MS });
        Ok(())
    }

    /// True when this answers the request under way, which is then over.
    fn is_answer(&mut self, from: PeerId, is_due: impl Fn(&Due) -> bool) -> bool {
        let matches = self.snapshots.asked.as_ref().is_some_and(|(peer, due)| *peer == from && is_due(due));
        if matches {
            self.snapshots.asked = None;
            self.out.push(Effect::CancelTimer(Timer::Sync));
        }
        matches
    }

    fn receive_piece(&mut self, from: PeerId, slot: u64, piece: Option<Box<RangeProof>>) -> Result<(), ReplicaError> {
        if !self.is_answer(from, |due| *due == Due::Piece { slot }) {
            return Ok(());
        }
        let taken = match piece {
            Some(piece) => Some(self.ledger.take_piece(&piece)?),
            None => None,
        };
        self.settle(from, taken)
    }

    fn receive_history(&mut self, from: PeerId, before: Height, blocks: &[HistoryBlock]) -> Result<(), ReplicaError> {
        if !self.is_answer(from, |due| matches!(due, Due::History { before: asked, .. } if *asked == before)) {
            return Ok(());
        }
        let taken = if blocks.is_empty() { None } else { Some(self.ledger.take_history(blocks)?) };
        self.settle(from, taken)
    }

    /// Draws the conclusions from an answer; `None` for a peer that let go of the state.
    fn settle(&mut self, from: PeerId, taken: Option<Result<Joined, JoinFault>>) -> Result<(), ReplicaError> {
        match taken {
            Some(Ok(Joined::Yes)) => return self.joined(),
            Some(Ok(Joined::NotYet)) => {
                if let Some(Source::Offered(offered)) = self.snapshots.sources.get_mut(&from) {
                    (offered.failures, offered.served) = (0, offered.served.saturating_add(1));
                }
            }
            Some(Err(JoinFault::WrongSet)) => {
                self.blame_offerers();
                self.search();
                return Ok(());
            }
            Some(Err(fault)) => {
                self.fault(from, fault.code());
                self.snapshots.sources.insert(from, Source::Liar);
            }
            None => drop(self.snapshots.sources.insert(from, Source::Silent)),
        }
        self.drive_join()
    }

    /// The offer being followed left out changes of the validator set: whoever made the same one lied.
    fn blame_offerers(&mut self) {
        self.snapshots.broken = true;
        let Some(sets) = self.ledger.join().map(|join| digest_of_sets(join.offer())) else { return };
        let mut liars = Vec::new();
        for (peer, source) in &mut self.snapshots.sources {
            if matches!(source, Source::Offered(offered) if offered.sets == sets) {
                *source = Source::Liar;
                liars.push(*peer);
            }
        }
        for peer in liars {
            self.fault(peer, JoinFault::WrongSet.code());
        }
    }

    fn joined(&mut self) -> Result<(), ReplicaError> {
        let head = self.ledger.head();
        tracing::info!(height = %head.height, block = %head.hash, "the state was taken over");
        self.snapshots.sources.clear();
        self.pace.height_ended(self.now.steady_ms);
        self.out.push(Effect::AdmitPeers(std::sync::Arc::clone(self.ledger.registry())));
        // What waited was let in by another state: what was acknowledged here is judged anew, the rest is others' to propose.
        drop(self.mempool.expire(Height(u64::MAX)));
        self.submissions = Submissions::default();
        self.restore_submissions()?;
        let status = self.status_message();
        self.broadcast(&status, None);
        self.continue_sync()?;
        self.keep_pace()
    }

    /// No offer, piece or block came in time, or it is time to ask again.
    pub(crate) fn join_timed_out(&mut self) -> Result<(), ReplicaError> {
        if self.snapshots.searching {
            for source in self.snapshots.sources.values_mut().filter(|source| matches!(source, Source::Asked)) {
                *source = Source::Without;
            }
            return self.conclude_search();
        }
        let Some((peer, _)) = self.snapshots.asked.take() else {
            self.search();
            return Ok(());
        };
        if let Some(source) = self.snapshots.sources.get_mut(&peer) {
            match source {
                Source::Offered(offered) if offered.failures.saturating_add(1) < FAILURES_MAX => {
                    offered.failures = offered.failures.saturating_add(1);
                }
                _ => *source = Source::Silent,
            }
        }
        self.drive_join()
    }

    /// A peer is gone, and with it what it would have sent.
    pub(crate) fn forget_source(&mut self, peer: &PeerId) -> Result<(), ReplicaError> {
        if !matches!(self.snapshots.sources.get(peer), Some(Source::Silent)) {
            self.snapshots.sources.remove(peer);
        }
        if self.snapshots.searching {
            return if self.snapshots.is_waiting() { Ok(()) } else { self.conclude_search() };
        }
        if self.snapshots.asked.is_some_and(|(asked, _)| asked == *peer) {
            self.snapshots.asked = None;
            return self.drive_join();
        }
        Ok(())
    }

    fn answer_offer(&mut self, to: PeerId) -> Result<(), ReplicaError> {
        self.hold_state()?;
        let served = self.snapshots.served.as_ref();
        let offer = served.map(|served| Box::new(served.pinned.offer().clone()));
        self.answer(to, &Message::Snapshot { offer });
        Ok(())
    }

    /// Sees that a state is held which is new enough, or in use.
    fn hold_state(&mut self) -> Result<(), ReplicaError> {
        let now_ms = self.now.steady_ms;
        if let Some(served) = &self.snapshots.served {
            let age = self.ledger.head().height.0.saturating_sub(served.pinned.height().0);
            if age < RENEW_BLOCKS || now_ms.saturating_sub(served.used_ms) < BUSY_MS {
                return Ok(());
            }
        }
        if self.snapshots.pin_failed_ms.is_some_and(|at| now_ms.saturating_sub(at) < BUSY_MS) {
            return Ok(());
        }
        self.snapshots.served = None;
        // What cannot be read here could not be read for a vote either: that stops the node.
        match self.ledger.pin()? {
            Ok(pinned) => {
                self.snapshots.served = pinned.map(|pinned| Served { pinned, used_ms: now_ms });
                self.snapshots.pin_failed_ms = None;
            }
            Err(error) => {
                // Others' joining is no reason to stop taking part.
                tracing::warn!("no state can be held for others: {error}");
                self.snapshots.pin_failed_ms = Some(now_ms);
            }
        }
        Ok(())
    }

    /// Reads from the state held at `height`; nothing when it is not held, or not readable any more. It is a copy apart, let go
    /// at its first error; the storage this node lives on is not touched by it.
    fn serve<T: Default>(&mut self, height: Height, read: impl FnOnce(&Pinned) -> Result<T, String>) -> T {
        let now_ms = self.now.steady_ms;
        let Some(served) = self.snapshots.served.as_mut().filter(|served| served.pinned.height() == height) else {
            return T::default();
        };
        served.used_ms = now_ms;
        match read(&served.pinned) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%height, "the state held for others cannot be read: {error}");
                self.snapshots.served = None;
                T::default()
            }
        }
    }

    /// Lets the state held for others go when nobody asks for it any more, or when it is too old.
    pub(crate) fn release_snapshot(&mut self) {
        let Some(served) = &self.snapshots.served else { return };
        let age = self.ledger.head().height.0.saturating_sub(served.pinned.height().0);
        if age > AGE_BLOCKS_MAX || self.now.steady_ms.saturating_sub(served.used_ms) > IDLE_MS {
            self.snapshots.served = None;
        }
    }
}
