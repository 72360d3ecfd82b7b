//! Judges a run: every rule is counted when it is looked at.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ed25519_dalek::Verifier as _;
use vouch_consensus::{ConsensusMessage, Evidence};
use vouch_ledger::{
    Storage, Table, TransactionRecord,
    chain::{read_body, read_certificate, read_header, read_records},
};
use vouch_types::{
    BlockHash, ChainId, CommitCertificate, Hash32, Header, Height, NodeId, Outcome, TxId, VoteKind, encode,
};

use super::model::{H, Identity, KnownTx, Model, Op, bytes};

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub rule: &'static str,
    /// How.
    pub what: String,
}

/// What every check gives.
pub type Checked<T = ()> = Result<T, Violation>;

/// A broken rule.
pub fn broken<T>(rule: &'static str, what: impl Into<String>) -> Checked<T> {
    Err(Violation { rule, what: what.into() })
}

/// A block everyone agrees on.
#[derive(Debug, Clone)]
pub struct Agreed {
    pub hash: BlockHash,
    pub header: Header,
    pub transactions: Vec<Vec<u8>>,
    /// The state after it.
    pub model: Model,
}

/// Whether a transaction waits at a node, and whether the node was restarted since it accepted it.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    pub here: bool,
    pub restarted: bool,
}

/// Statements seen from one signer at one place: by node that saw them.
type Place = (NodeId, u8, u64, u32);

/// The judge.
pub struct Oracle {
    pub who: Vec<Identity>,
    pub chain_id: ChainId,
    pub known: HashMap<Vec<u8>, KnownTx>,
    pub genesis: Model,
    pub genesis_time: u64,
    pub window: u64,
    pub chain: Vec<Agreed>,
    pub counts: BTreeMap<&'static str, u64>,
    pub marks: BTreeMap<&'static str, u64>,
    pub positions: BTreeMap<TxId, u64>,
    signed: BTreeMap<Place, Hash32>,
    /// Precommits that verified, in one node's certificate or another's.
    verified: BTreeSet<([u8; 32], Hash32, vouch_types::Signature)>,
    /// What each node saw: node, its life, place to statements.
    seen: BTreeMap<(usize, u64), BTreeMap<Place, BTreeSet<Hash32>>>,
    acks: BTreeMap<TxId, (u64, Vec<(usize, u64)>)>,
    has_suspended: bool,
}

impl Oracle {
    pub fn new(who: Vec<Identity>, chain_id: ChainId, genesis: Model, genesis_time: u64, window: u64) -> Self {
        Self {
            who,
            chain_id,
            known: HashMap::new(),
            genesis,
            genesis_time,
            window,
            chain: Vec::new(),
            counts: BTreeMap::new(),
            marks: BTreeMap::new(),
            positions: BTreeMap::new(),
            signed: BTreeMap::new(),
            verified: BTreeSet::new(),
            seen: BTreeMap::new(),
            acks: BTreeMap::new(),
            has_suspended: false,
        }
    }

    pub fn count(&mut self, rule: &'static str) {
        *self.counts.entry(rule).or_default() += 1;
    }

    pub fn mark(&mut self, mark: &'static str) {
        *self.marks.entry(mark).or_default() += 1;
    }

    pub fn height(&self) -> u64 {
        self.chain.len() as u64
    }

    /// The state after a height.
    pub fn model_at(&self, height: u64) -> &Model {
        if height == 0 { &self.genesis } else { &self.chain[height as usize - 1].model }
    }

    pub fn latest(&self) -> &Model {
        self.model_at(self.height())
    }

    /// An honest node says a block of its storage is final. `latest_ms`: no honest clock shows more than this.
    pub fn committed(&mut self, node: usize, storage: &dyn Storage, height: u64, latest_ms: u64) -> Checked {
        self.count("agreement");
        let height_key = Height(height);
        let read = || -> Option<_> {
            Some((
                read_header(storage, height_key).ok()??,
                read_body(storage, height_key).ok()??,
                read_certificate(storage, height_key).ok()??,
            ))
        };
        let Some((header, body, certificate)) = read() else {
            return broken(
                "durable",
                format!("node {node} says block {height} is final but its storage has no such block"),
            );
        };
        if let Some(agreed) = self.chain.get(height as usize - 1) {
            let hash = BlockHash(bytes::block_hash(&header).0);
            if agreed.hash != hash {
                return broken(
                    "agreement",
                    format!("node {node} has block {hash} at height {height}, others {}", agreed.hash),
                );
            }
            if agreed.transactions != body {
                return broken("agreement", format!("node {node} has another body at height {height}"));
            }
        } else if height == self.height() + 1 {
            self.check_block(node, storage, header, body, latest_ms)?;
        } else {
            return broken("order", format!("node {node} committed height {height} when {} were known", self.height()));
        }
        self.check_certificate(node, &certificate, height)
    }

    fn check_certificate(&mut self, node: usize, certificate: &CommitCertificate, height: u64) -> Checked {
        self.count("certificate");
        let agreed = &self.chain[height as usize - 1];
        let set = self.model_at(height - 1).validators(&self.who);
        let total: u64 = set.iter().map(|(_, p)| p).sum();
        let digest = bytes::precommit(&self.chain_id.0, certificate);
        let mut signers = BTreeSet::new();
        let mut power = 0;
        for entry in &certificate.signatures {
            let Some((key, weight)) = set.get(usize::from(entry.validator)) else {
                return broken("certificate", format!("node {node}, height {height}: a signer who is no validator"));
            };
            let statement = (key.bytes, digest, entry.signature);
            let good = self.verified.contains(&statement)
                || ed25519_dalek::VerifyingKey::from_bytes(&key.bytes).is_ok_and(|k| {
                    k.verify(&digest.0, &ed25519_dalek::Signature::from_bytes(&entry.signature.0)).is_ok()
                });
            if good {
                self.verified.insert(statement);
            }
            if good && signers.insert(entry.validator) {
                power += weight;
            }
        }
        if certificate.block != agreed.hash || certificate.height.0 != height || power * 3 <= total * 2 {
            return broken("certificate", format!("node {node}, height {height}: power {power} of {total} signed"));
        }
        if certificate.round.0 > 0 {
            self.mark("decided in a later round");
        }
        Ok(())
    }

    /// Each transaction of a block: signed by someone with the right, in time, once, and ended as the model says.
    fn check_transactions(
        &mut self,
        model: &mut Model,
        height: H,
        body: &[Vec<u8>],
        records: &[TransactionRecord],
    ) -> Result<(), String> {
        for (index, (raw, record)) in body.iter().zip(records).enumerate() {
            let Some(tx) = self.known.get(raw).cloned() else {
                return Err(format!("transaction {index} was never signed by anyone"));
            };
            if height > tx.expiry || tx.expiry > height + self.window {
                return Err(format!("transaction {index} expires at {}", tx.expiry));
            }
            if self.positions.contains_key(&tx.id) {
                return Err(format!("transaction {index} stands in the chain twice"));
            }
            if !tx.signers.iter().all(|s| model.may_sign(s)) {
                return Err(format!("transaction {index} is signed by somebody without right"));
            }
            let expected = model.run(&tx, &self.who);
            let success = record.receipt.outcome == Outcome::Success;
            if expected.is_some() != success || (success && expected.as_ref() != Some(&record.output)) {
                return Err(format!(
                    "transaction {index} {:?}: expected {expected:?}, got {:?} {:?}",
                    tx.ops, record.receipt.outcome, record.output
                ));
            }
            self.has_suspended |= model.members.values().any(|active| !active);
            if success && tx.ops.iter().any(Op::is_system) {
                self.mark("system change");
            }
            if !success {
                self.mark("failing transaction in a block");
            }
            self.positions.insert(tx.id, height);
        }
        Ok(())
    }

    /// The second, plainer reading of the rules for blocks.
    fn check_block(
        &mut self,
        node: usize,
        storage: &dyn Storage,
        header: Header,
        body: Vec<Vec<u8>>,
        latest_ms: u64,
    ) -> Checked {
        self.count("block rules");
        let height = self.height() + 1;
        let (parent, parent_time) = match self.chain.last() {
            Some(agreed) => (agreed.hash, agreed.header.time.0),
            None => (BlockHash(self.chain_id.0), self.genesis_time),
        };
        let mut model = self.latest().clone();
        let wrong = |what: String| broken("block rules", format!("block {height} of node {node}: {what}"));
        if header.version != 1 || header.chain != self.chain_id || header.height.0 != height || header.parent != parent
        {
            return wrong("its place in the chain is wrong".into());
        }
        if header.time.0 <= parent_time || header.time.0 > latest_ms {
            return wrong(format!("time {} is not within {parent_time} and {latest_ms}", header.time.0));
        }
        if header.transactions_root.0 != bytes::merkle_root(&body).0 {
            return wrong("its transactions root is wrong".into());
        }
        let set = model.validators(&self.who);
        if header.validators_hash.0 != bytes::set_hash(&set).0 {
            return wrong("its validators are not those of the height".into());
        }
        if !set.iter().any(|(key, _)| key.node() == header.proposer) {
            return wrong("its proposer is no validator".into());
        }
        let Ok(Some(records)) = read_records(storage, Height(height)) else {
            return wrong("it has no receipts".into());
        };
        if records.len() != body.len() {
            return wrong("it has another number of receipts than of transactions".into());
        }
        let receipts: Vec<Vec<u8>> = records.iter().map(|r| encode(&r.receipt)).collect();
        if header.receipts_root.0 != bytes::merkle_root(&receipts).0 {
            return wrong("its receipts root is wrong".into());
        }
        self.check_transactions(&mut model, height, &body, &records).map_or_else(wrong, Ok)?;
        let next = model.validators(&self.who);
        if header.next_validators_hash.0 != bytes::set_hash(&next).0 {
            return wrong("the validators after it are not those that follow".into());
        }
        if set != next {
            self.mark("validators changed");
        }
        let hash = BlockHash(bytes::block_hash(&header).0);
        self.chain.push(Agreed { hash, header, transactions: body, model });
        Ok(())
    }

    /// An honest node sends something it signed.
    pub fn signed(&mut self, node: usize, message: &ConsensusMessage) -> Checked {
        let own = self.who[node].consensus.node();
        let Some((place, statement)) = statement(message).filter(|(place, _)| place.0 == own) else { return Ok(()) };
        self.count("signs once");
        let known = *self.signed.entry(place).or_insert(statement);
        if known == statement {
            Ok(())
        } else {
            broken("signs once", format!("node {node} signed twice at {place:?}: {message:?}"))
        }
    }

    /// An honest node, in the midst of a height, was given a statement.
    pub fn saw(&mut self, node: usize, life: u64, message: &ConsensusMessage) {
        if let Some((place, statement)) = statement(message) {
            self.seen.entry((node, life)).or_default().entry(place).or_default().insert(statement);
        }
    }

    /// A height ended at a node: what it saw of contradictions must be kept.
    pub fn check_evidence(&mut self, node: usize, life: u64, height: u64, storage: &dyn Storage) -> Checked {
        let Some(seen) = self.seen.get_mut(&(node, life)) else { return Ok(()) };
        let later = seen.clone().into_iter().filter(|(place, _)| place.2 > height).collect();
        let ended = core::mem::replace(seen, later);
        let twofold: Vec<Place> =
            ended.into_iter().filter(|(p, s)| p.2 == height && s.len() > 1).map(|(p, _)| p).collect();
        if twofold.is_empty() {
            return Ok(());
        }
        let rows = storage.scan(Table::Evidence, &[], None, 100_000).unwrap_or_default();
        // A few contradictions of one signer at one height are kept, not all.
        let kept: BTreeSet<(NodeId, u64)> = rows
            .iter()
            .filter_map(|(_, value)| Evidence::decode(value).ok())
            .map(|e| (e.validator(), e.place().0.0))
            .collect();
        for (signer, kind, height, round) in twofold {
            self.count("evidence");
            if !kept.contains(&(signer, height)) {
                return broken(
                    "evidence",
                    format!(
                        "node {node} saw {signer} contradict itself (kind {kind}) at {height}/{round} and kept nothing"
                    ),
                );
            }
            self.mark("evidence kept");
        }
        Ok(())
    }

    /// A node told its caller that a transaction waits.
    pub fn acknowledged(&mut self, tx: TxId, expiry: u64, node: usize, life: u64) {
        self.acks.entry(tx).or_insert((expiry, Vec::new())).1.push((node, life));
    }

    /// At the end: where are the acknowledged ones? `waits` says whether a transaction still waits at a node that accepted it
    /// in that life; `None` when the node's disk was lost since. A restart is no excuse, unless a member was suspended at some
    /// time: what its accounts signed is dropped then, and may be of use again later.
    pub fn check_acknowledged(&mut self, waits: &dyn Fn(usize, u64, &TxId) -> Option<Waits>) -> Checked {
        let next = self.height() + 1;
        for (tx, (expiry, places)) in core::mem::take(&mut self.acks) {
            self.count("acknowledged");
            if self.positions.contains_key(&tx) {
                continue;
            }
            for (node, life) in places {
                match waits(node, life, &tx) {
                    Some(Waits { here: false, .. }) if expiry < next => self.mark("accepted transaction expired"),
                    Some(Waits { here: false, restarted: true }) if self.has_suspended => {
                        self.mark("accepted transaction of a member that was suspended");
                    }
                    Some(Waits { here: false, .. }) => {
                        return broken(
                            "acknowledged",
                            format!("node {node} accepted {tx}, which is neither in the chain nor waiting"),
                        );
                    }
                    Some(Waits { restarted: true, .. }) => {
                        self.mark("accepted transaction waits again after a restart");
                    }
                    Some(_) => self.mark("accepted transaction still waiting at the end"),
                    None => self.mark("accepted transaction lost with its node's disk"),
                }
            }
        }
        Ok(())
    }
}

fn statement(message: &ConsensusMessage) -> Option<(Place, Hash32)> {
    match message {
        ConsensusMessage::Vote(v) => {
            let kind = if v.kind == VoteKind::Prevote { 1 } else { 2 };
            let block = v.block.map_or(Hash32::ZERO, |b| Hash32(b.0));
            Some(((v.validator, kind, v.height.0, v.round.0), block))
        }
        ConsensusMessage::Proposal(p) => {
            let mut content = p.block.0.to_vec();
            content.extend(p.valid_round.map_or([0; 5], |r| {
                let b = r.0.to_le_bytes();
                [1, b[0], b[1], b[2], b[3]]
            }));
            Some(((p.proposer, 0, p.height.0, p.round.0), bytes::tagged("statement", &content)))
        }
        ConsensusMessage::Polka(_) | ConsensusMessage::Round(_) => None,
    }
}
