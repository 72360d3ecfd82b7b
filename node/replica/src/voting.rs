//! Keeps a validator from voting where it may have voted before and has forgotten how.
//!
//! A database that was lost, or replaced by an older copy, takes the record of the own votes with it. So one small record
//! more is kept apart from the database, see [`VotingMemory`]: how far this node's key may have signed. At the start it is
//! compared with what the database holds.
//!
//! ```text
//! record agrees with the database --> votes at once, with its log
//! no record, another key's, ahead of the database, or marked as not to be trusted
//!     --> abstains: follows the chain without signing, until a height comes at which it cannot have voted
//! ```
//!
//! Which height that is: whoever voted at a height had the block before it, so validators with more than two thirds of the
//! power had voted for that one, and each of them had the block before that. A node that abstains takes the lowest height each
//! peer names after its start (whatever a peer truly says from then on bounds what was signed before; who claimed too much once
//! can so take it back), and votes at height `h` when
//!
//! - the peers that named at most `h - 3`, together with itself, have more than two thirds of the power, not counting those
//!   that abstain themselves;
//! - no peer named more than that, unless it fails to hand over the blocks it claims to have, is gone, or is no node of the
//!   chain any more;
//! - it has at most a third of the power, so that those two thirds cannot be had without another that would have named more;
//! - `h` is above what the record says.
//!
//! When a third of the power and more abstains at once nothing of this comes to pass: no block is made any more, and the
//! members have to decide from which height on they vote, see [`VotingState::Declared`].

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use vouch_consensus::{LogEntry, LogError, RecoveredLog};
use vouch_ledger::StorageError;
use vouch_types::{ChainId, CodecError, Height, NodeId, Power, ValidatorSet, codec, encode};
use wincode::{SchemaRead, SchemaWrite};

use crate::replica::{PeerId, Replica, ReplicaError};

/// Version byte before an encoded record.
pub const RECORD_VERSION: u8 = 1;
/// Most bytes of an encoded record.
pub const RECORD_BYTES_MAX: usize = 128;
/// Heights from what a peer had to the first at which nobody can have voted by then.
const HEIGHTS_BEYOND: u64 = 3;
/// Blocks that a peer claims to have are no longer waited for when it failed to hand them over so often.
const FAILURES_MAX: u32 = 3;

/// How a [`VotingRecord`] is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub enum VotingState {
    /// The node keeps it up to date: nothing was signed above its height.
    Kept,
    /// Something may have been signed above its height.
    Distrusted,
    /// As an operator said: nothing was signed above its height. It holds even when the database is behind.
    Declared,
}

/// How far a key may have signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct VotingRecord {
    /// The consensus key's node.
    pub node: NodeId,
    /// The chain; none before the key has signed anything at all.
    pub chain: Option<ChainId>,
    /// The greatest height at which the key may have signed.
    pub height: Height,
    /// How many bytes of that height's log were durable then.
    pub log_bytes: u64,
    /// How to read the rest.
    pub state: VotingState,
}

impl VotingRecord {
    /// Of a key that was made this moment.
    #[must_use]
    pub const fn of_new_key(node: NodeId) -> Self {
        Self { node, chain: None, height: Height::ZERO, log_bytes: 0, state: VotingState::Kept }
    }

    /// Version byte and encoding.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![RECORD_VERSION];
        bytes.append(&mut encode(self));
        bytes
    }

    /// Reads [`VotingRecord::to_bytes`].
    ///
    /// # Errors
    /// [`CodecError`] when it is not that.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        match bytes.split_first() {
            Some((&RECORD_VERSION, body)) => codec::decode("voting record", body, RECORD_BYTES_MAX),
            _ => Err(CodecError::Malformed { what: "voting record" }),
        }
    }
}

/// Where the record is kept: apart from the database, so that losing or replacing the one does not take the other along.
///
/// It need not survive a loss of power: an older record only makes the node trust a database that is older by as much.
pub trait VotingMemory: Send + core::fmt::Debug {
    /// The record; `None` when there is none.
    ///
    /// # Errors
    /// [`StorageError`]: the node does not start.
    fn recall(&mut self) -> Result<Option<VotingRecord>, StorageError>;

    /// Replaces the record, before what it speaks of leaves the node.
    ///
    /// # Errors
    /// [`StorageError`]: the node must stop.
    fn remember(&mut self, record: &VotingRecord) -> Result<(), StorageError>;
}

/// A record in memory only, shared by all its clones: for tests, where it outlives a replica as a file would.
#[derive(Debug, Clone, Default)]
pub struct VolatileMemory(Arc<Mutex<Option<VotingRecord>>>);

impl VolatileMemory {
    /// With a record, or none.
    #[must_use]
    pub fn new(record: Option<VotingRecord>) -> Self {
        Self(Arc::new(Mutex::new(record)))
    }

    /// What it holds.
    #[must_use]
    pub fn record(&self) -> Option<VotingRecord> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces what it holds.
    pub fn set(&self, record: Option<VotingRecord>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = record;
    }
}

impl VotingMemory for VolatileMemory {
    fn recall(&mut self) -> Result<Option<VotingRecord>, StorageError> {
        Ok(self.record())
    }

    fn remember(&mut self, record: &VotingRecord) -> Result<(), StorageError> {
        self.set(Some(*record));
        Ok(())
    }
}

/// Why a node does not trust its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// There is no record.
    NoRecord,
    /// The record is of another consensus key.
    OtherKey,
    /// The record is of another chain.
    OtherChain,
    /// The database is older than the record.
    DatabaseBehind,
    /// The database was restored from a backup, or an operator said that it is not to be trusted.
    Distrusted,
}

impl Doubt {
    /// Stable code for logs and status.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoRecord => "voting.no_record",
            Self::OtherKey => "voting.other_key",
            Self::OtherChain => "voting.other_chain",
            Self::DatabaseBehind => "voting.database_behind",
            Self::Distrusted => "voting.distrusted",
        }
    }
}

/// A node that does not sign for the time being, as shown to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbstentionStatus {
    /// Why.
    pub doubt: Doubt,
    /// The first height at which it may sign, as far as that is known yet; peers still to be heard can move it up.
    pub from: Option<Height>,
}

/// Follows the chain without signing.
#[derive(Debug)]
pub struct Abstention {
    doubt: Doubt,
    /// Above this height nothing was signed, or at least nothing is recorded.
    above: Height,
    /// Nothing was signed above it, as an operator says: peers need not be asked.
    is_declared: bool,
    /// The lowest height each peer named.
    named: BTreeMap<PeerId, Height>,
    /// Who voted at the last height.
    last_set: Option<ValidatorSet>,
}

/// Compares the record with what the database holds; `None` when they agree and the node may vote.
fn doubt(
    record: Option<&VotingRecord>,
    (chain, node): (ChainId, NodeId),
    head: Height,
    log: Option<(Height, u64)>,
) -> Option<Abstention> {
    let abstention = |doubt, above, is_declared| {
        Some(Abstention { doubt, above, is_declared, named: BTreeMap::new(), last_set: None })
    };
    let Some(record) = record else { return abstention(Doubt::NoRecord, Height::ZERO, false) };
    if record.node != node {
        return abstention(Doubt::OtherKey, Height::ZERO, false);
    }
    if record.chain.is_some_and(|recorded| recorded != chain) {
        return abstention(Doubt::OtherChain, Height::ZERO, false);
    }
    let is_behind = match record.state {
        VotingState::Distrusted => return abstention(Doubt::Distrusted, record.height, false),
        // At the height that runs, all of the log that was known to be durable must be there.
        VotingState::Kept if head.next() == Some(record.height) => {
            log.is_none_or(|(height, bytes)| height != record.height || bytes < record.log_bytes)
        }
        VotingState::Kept | VotingState::Declared => record.height > head,
    };
    if is_behind {
        return abstention(Doubt::DatabaseBehind, record.height, record.state == VotingState::Declared);
    }
    None
}

/// The log as it was last synced; one that another key or another chain wrote says nothing about this node.
fn own_log(bytes: &[u8], (chain, node): (ChainId, NodeId)) -> Result<RecoveredLog, ReplicaError> {
    let log = RecoveredLog::read(bytes)?;
    if log.torn > 0 {
        // The storage writes whole records and syncs them, so nothing but damage tears one. What followed would be lost behind it.
        return Err(LogError::Corrupt { offset: log.len }.into());
    }
    let is_own = matches!(
        log.entries.first(),
        Some(LogEntry::Started { chain: of, node: by, .. }) if *of == chain && *by == node
    );
    Ok(if is_own { log } else { RecoveredLog::default() })
}

impl Abstention {
    /// A peer that votes said how far it is.
    fn hear(&mut self, peer: PeerId, height: Height) {
        let named = self.named.entry(peer).or_insert(height);
        *named = height.min(*named);
    }

    /// Whether this node cannot have voted at `next`, the height after the head. `peer` names a validator's connection,
    /// `failures` says how often a peer did not hand over what it claims to have.
    fn is_over(
        &self,
        next: Height,
        node: NodeId,
        peer: impl Fn(&NodeId) -> Option<PeerId>,
        failures: impl Fn(&PeerId) -> u32,
    ) -> bool {
        if next <= self.above {
            return false;
        }
        if self.is_declared {
            return true;
        }
        let Some(last_set) = &self.last_set else { return false };
        let may_be_high = |height: &Height| height.0.saturating_add(HEIGHTS_BEYOND) > next.0;
        let holds_up = |(peer, height): (&PeerId, &Height)| {
            may_be_high(height) && (*height < next || failures(peer) < FAILURES_MAX)
        };
        if self.named.iter().any(holds_up) {
            return false;
        }
        let (mut own, mut heard): (u64, u64) = (0, 0);
        for validator in last_set.members() {
            let voter = validator.key.node();
            let named = peer(&voter).and_then(|peer| self.named.get(&peer));
            if voter == node {
                own = validator.power.0;
            } else if named.is_some_and(|height| !may_be_high(height)) {
                heard = heard.saturating_add(validator.power.0);
            }
        }
        let is_light = 3 * u128::from(own) <= u128::from(last_set.total_power().0);
        is_light && last_set.is_quorum(Power(own.saturating_add(heard)))
    }

    fn status(&self) -> AbstentionStatus {
        let named = self.named.values().max().map(|height| height.0.saturating_add(HEIGHTS_BEYOND));
        let above = self.above.next().filter(|from| self.is_declared || *from > Height(1));
        let from = match (named, above) {
            (Some(named), Some(above)) => Some(above.max(Height(named))),
            (Some(named), None) => Some(Height(named)),
            (None, above) => above.filter(|_| self.is_declared),
        };
        AbstentionStatus { doubt: self.doubt, from }
    }
}

impl Replica {
    /// Reads back what was signed, and decides whether that can be all.
    pub(crate) fn recall_votes(&mut self, log: &[u8]) -> Result<(), ReplicaError> {
        let Some(node) = self.node else { return Ok(()) };
        let record = self.memory.recall()?;
        let whose = (self.ledger.chain(), node);
        // A record that is distrusted says so of the log as well, which may be damaged.
        if record.is_none_or(|record| record.state != VotingState::Distrusted) {
            self.recovered = own_log(log, whose)?;
        }
        let log = self.recovered.entries.first().map(|entry| (entry.height(), self.recovered.len));
        self.abstention = doubt(record.as_ref(), whose, self.ledger.head().height, log);
        let Some(abstention) = &self.abstention else { return Ok(()) };
        tracing::warn!(
            code = abstention.doubt.code(),
            "this node may have forgotten votes and abstains until it cannot contradict any"
        );
        self.recovered = RecoveredLog::default();
        if abstention.doubt != Doubt::Distrusted && !abstention.is_declared {
            // Over the next start as well: by then the database may have come as far as the record.
            let (chain, height) = (Some(whose.0), abstention.above);
            let record = VotingRecord { node, chain, height, log_bytes: 0, state: VotingState::Distrusted };
            self.memory.remember(&record)?;
        }
        Ok(())
    }

    /// Makes durable what was logged for the messages of this step, once for all of them, and keeps in mind how far that is:
    /// before any of them leaves.
    pub(crate) fn sync_log(&mut self) -> Result<(), ReplicaError> {
        if self.log.sync(self.ledger.storage().as_ref())? { self.remember_votes() } else { Ok(()) }
    }

    fn remember_votes(&mut self) -> Result<(), ReplicaError> {
        // The height of the log: its block may be durable by now, and the ledger at the next.
        let (Some(node), Some(height)) = (self.node, self.driver.height()) else { return Ok(()) };
        let (chain, log_bytes) = (Some(self.ledger.chain()), self.log.bytes());
        let record = VotingRecord { node, chain, height, log_bytes, state: VotingState::Kept };
        Ok(self.memory.remember(&record)?)
    }

    /// Whether this node signs at the next height.
    pub(crate) fn may_sign(&mut self) -> bool {
        let (Some(node), Some(abstention)) = (self.node, &mut self.abstention) else { return true };
        let next = self.ledger.next_height();
        let registry = self.ledger.registry();
        let nodes = &registry.nodes;
        let peer = |node: &NodeId| nodes.get(node).map(|record| record.network_key);
        abstention.named.retain(|peer, _| registry.active_nodes().any(|node| node.network_key == *peer));
        // Who is gone hands nothing over. Its word could keep this node from voting for ever.
        let failures = |peer: &PeerId| if self.peers.contains(peer) { self.sync.failures(peer) } else { FAILURES_MAX };
        if !abstention.is_over(next, node, peer, failures) {
            return false;
        }
        tracing::info!(height = %next, "this node votes again");
        self.abstention = None;
        let status = self.status_message();
        self.broadcast(&status, None);
        true
    }

    /// A peer said how far it is.
    pub(crate) fn hear_height(&mut self, from: PeerId, height: Height) {
        if let Some(abstention) = &mut self.abstention {
            abstention.hear(from, height);
        }
    }

    /// The set that has just decided a height.
    pub(crate) fn note_last_set(&mut self) {
        if let Some(abstention) = &mut self.abstention {
            abstention.last_set = Some(self.ledger.validators().clone());
        }
    }

    /// The state of a later height was taken over: who voted before it is not known here.
    pub(crate) fn forget_last_set(&mut self) {
        if let Some(abstention) = &mut self.abstention {
            abstention.last_set = None;
        }
    }

    /// Whether this node does not sign for the time being, because it may have forgotten votes.
    #[must_use]
    pub const fn abstains(&self) -> bool {
        self.abstention.is_some()
    }

    pub(crate) fn abstention_status(&self) -> Option<AbstentionStatus> {
        self.abstention.as_ref().map(Abstention::status)
    }
}

#[cfg(test)]
mod tests {
    use vouch_types::{PublicKey, SecretKey, Validator};

    use super::*;

    const CHAIN: ChainId = ChainId([3; 32]);
    const NODE: NodeId = NodeId([4; 32]);

    fn record(height: u64, state: VotingState) -> VotingRecord {
        VotingRecord { node: NODE, chain: Some(CHAIN), height: Height(height), log_bytes: 100, state }
    }

    fn judge(record: Option<VotingRecord>, head: u64, log: Option<(u64, u64)>) -> Option<Doubt> {
        let log = log.map(|(height, bytes)| (Height(height), bytes));
        doubt(record.as_ref(), (CHAIN, NODE), Height(head), log).map(|a| a.doubt)
    }

    #[test]
    fn a_record_that_agrees_with_the_database_is_trusted() {
        assert_eq!(judge(Some(VotingRecord::of_new_key(NODE)), 0, None), None, "a new chain begins");
        assert_eq!(judge(Some(VotingRecord::of_new_key(NODE)), 900, None), None, "a new validator of an old chain");
        for (head, log) in [(7, None), (7, Some((7, 50))), (7, Some((8, 20))), (6, Some((7, 100))), (6, Some((7, 101)))]
        {
            assert_eq!(judge(Some(record(7, VotingState::Kept)), head, log), None, "{head} {log:?}");
        }
        assert_eq!(judge(Some(record(7, VotingState::Declared)), 7, None), None);
    }

    #[test]
    fn a_log_that_is_not_whole_is_damaged() {
        use vouch_consensus::{Driver, DriverConfig, Effect, Input, Timeouts};
        let (secret, height) = (SecretKey::from_seed([0; 32]), Height(8));
        let set = ValidatorSet::new(vec![Validator { key: secret.public(), power: Power(1) }]).unwrap();
        let mut driver = Driver::new(DriverConfig { chain: CHAIN, secret: Some(secret) });
        let (timeouts, log) = (Timeouts::DEFAULT, RecoveredLog::default());
        let effects =
            driver.step(Input::HeightStarted { height, validators: set, timeouts, log, signs: true }).unwrap();
        let written = effects.into_iter().filter_map(|effect| match effect {
            Effect::ResetLog(bytes) | Effect::AppendLog(bytes) => Some(bytes),
            _ => None,
        });
        let bytes: Vec<u8> = written.flatten().collect();
        let whose = (CHAIN, key(0).node());
        assert_eq!(own_log(&bytes, whose).unwrap().len, bytes.len() as u64);
        for cut in 1..bytes.len() {
            if let Ok(log) = own_log(&bytes[..cut], whose) {
                assert_eq!(log.len, cut as u64, "cut between two records");
            }
        }
        assert!(own_log(&bytes[..bytes.len() - 1], whose).is_err());
    }

    #[test]
    fn whatever_may_be_missing_is_doubted() {
        let kept = record(7, VotingState::Kept);
        assert_eq!(judge(None, 0, None), Some(Doubt::NoRecord));
        assert_eq!(judge(Some(VotingRecord { node: NodeId([9; 32]), ..kept }), 9, None), Some(Doubt::OtherKey));
        assert_eq!(
            judge(Some(VotingRecord { chain: Some(ChainId([9; 32])), ..kept }), 9, None),
            Some(Doubt::OtherChain)
        );
        assert_eq!(judge(Some(record(7, VotingState::Distrusted)), 9, Some((10, 500))), Some(Doubt::Distrusted));
        let behind = [(0, None), (5, Some((6, 500))), (6, None), (6, Some((6, 500))), (6, Some((7, 99)))];
        for (head, log) in behind {
            assert_eq!(judge(Some(kept), head, log), Some(Doubt::DatabaseBehind), "{head} {log:?}");
        }
        assert_eq!(judge(Some(record(7, VotingState::Declared)), 6, Some((7, 500))), Some(Doubt::DatabaseBehind));
    }

    fn key(index: u8) -> PublicKey {
        SecretKey::from_seed([index; 32]).public()
    }

    fn network_key(index: u8) -> PublicKey {
        SecretKey::from_seed([100 + index; 32]).public()
    }

    /// Validators with these powers; the first is the one that abstains.
    fn abstention(powers: &[u64], doubt: Doubt, above: u64, is_declared: bool) -> Abstention {
        let set = (0..).zip(powers).map(|(index, power)| Validator { key: key(index), power: Power(*power) });
        let last_set = Some(ValidatorSet::new(set.collect()).unwrap());
        Abstention { doubt, above: Height(above), is_declared, named: BTreeMap::new(), last_set }
    }

    fn first_vote(abstention: &Abstention, failures: u32) -> Option<u64> {
        let peer = |node: &NodeId| (0..9).find(|index| key(*index).node() == *node).map(network_key);
        (1..200).find(|next| abstention.is_over(Height(*next), key(0).node(), peer, |_| failures))
    }

    #[test]
    fn a_node_votes_again_above_what_a_quorum_with_it_named_and_everyone_else() {
        let mut abstention = abstention(&[1; 4], Doubt::NoRecord, 0, false);
        assert_eq!(first_vote(&abstention, 0), None, "nobody was heard");
        abstention.hear(network_key(1), Height(40));
        assert_eq!(first_vote(&abstention, 0), None, "two of four are no quorum");
        abstention.hear(network_key(2), Height(50));
        assert_eq!(first_vote(&abstention, 0), Some(53));
        abstention.hear(network_key(3), Height(60));
        assert_eq!(first_vote(&abstention, 0), Some(63), "the greatest counts");
        abstention.hear(network_key(3), Height(90));
        assert_eq!(first_vote(&abstention, 0), Some(63), "what is said later does not");
        abstention.hear(network_key(2), Height(1 << 36));
        abstention.hear(network_key(2), Height(50));
        assert_eq!(first_vote(&abstention, 0), Some(63), "a claim that was taken back holds nothing up");
        abstention.hear(network_key(77), Height(150));
        assert_eq!(first_vote(&abstention, 0), Some(153), "a follower knows the chain as well");
        assert_eq!(first_vote(&abstention, FAILURES_MAX), Some(53), "claims without blocks do not count");
        abstention.above = Height(170);
        assert_eq!(first_vote(&abstention, 0), Some(171), "never where the record says it may have");
        abstention.last_set = None;
        assert_eq!(first_vote(&abstention, 0), None, "without the last set nothing can be concluded");
    }

    #[test]
    fn a_heavy_validator_does_not_vote_again_by_itself() {
        let mut heavy = abstention(&[2, 1, 1, 1], Doubt::NoRecord, 0, false);
        for index in 1..4 {
            heavy.hear(network_key(index), Height(5));
        }
        assert_eq!(first_vote(&heavy, 0), None);
        let alone = abstention(&[1], Doubt::NoRecord, 0, false);
        assert_eq!(first_vote(&alone, 0), None);
    }

    #[test]
    fn what_an_operator_declared_needs_nobody_else() {
        let declared = abstention(&[1; 4], Doubt::DatabaseBehind, 9, true);
        assert_eq!(first_vote(&declared, 0), Some(10));
        assert_eq!(declared.status().from, Some(Height(10)));
    }

    #[test]
    fn records_are_read_back_and_nothing_else_is() {
        for state in [VotingState::Kept, VotingState::Distrusted, VotingState::Declared] {
            let bytes = record(7, state).to_bytes();
            assert_eq!(VotingRecord::from_bytes(&bytes), Ok(record(7, state)));
            for cut in 0..bytes.len() {
                assert!(VotingRecord::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
            }
        }
        assert!(VotingRecord::from_bytes(&[9; 80]).is_err());
    }
}
