//! A small chain made from fixed seeds: the same keys, blocks and certificates in every run.

use vouch_types::{
    Block, Call, ChainId, CommitCertificate, CommitSignature, ContractName, Event, EventsRoot, Fuel, GenesisHeader,
    Hash32, Header, Height, Outcome, Power, PublicKey, Receipt, ReceiptsRoot, Round, SecretKey, StateProof, StateRoot,
    TimestampMs, Transaction, TransactionBody, Validator, ValidatorSet, ValidatorsHash,
    block::BLOCK_VERSION,
    encode,
    hash::domain_hash,
    light::{Claim, EventProof, FinalityProof, PROOF_VERSION, ProofBundle, ReceiptProof, SetChange, TransactionProof},
    merkle,
    receipt::{events_root, output_hash},
    state,
    transaction::TRANSACTION_VERSION,
};

/// Secret key number `n`.
pub fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed([n; 32])
}

/// The set of the validators with these key numbers, each of power 1.
pub fn set(numbers: &[u8]) -> ValidatorSet {
    ValidatorSet::new(numbers.iter().map(|n| Validator { key: secret(*n).public(), power: Power(1) }).collect())
        .unwrap()
}

/// The secret key behind a public one.
fn secret_of(key: PublicKey) -> SecretKey {
    (0..=255).map(secret).find(|s| s.public() == key).unwrap()
}

/// A certificate by the first `signers` validators of the set.
pub fn certify(header: &Header, round: Round, set: &ValidatorSet, signers: usize) -> CommitCertificate {
    let mut certificate =
        CommitCertificate { height: header.height, round, block: header.hash(), signatures: Vec::new() };
    let digest = certificate.statement(header.chain).digest();
    certificate.signatures = (0u16..)
        .zip(set.members())
        .take(signers)
        .map(|(validator, v)| CommitSignature { validator, signature: secret_of(v.key).sign(digest.as_bytes()) })
        .collect();
    certificate
}

/// A transaction by key 100, told apart by `n`.
pub fn transaction(chain: ChainId, n: u8) -> Transaction {
    let body = TransactionBody {
        version: TRANSACTION_VERSION,
        chain,
        expiry: Height(100),
        salt: [n; 16],
        calls: vec![Call {
            contract: ContractName::new("notes").unwrap(),
            method: "put".into(),
            arguments: vec![1, 2, 3, n],
        }],
    };
    body.sign(&[&secret(100), &secret(101)])
}

pub fn event(n: u8) -> Event {
    Event { contract: ContractName::new("notes").unwrap(), name: "Put".into(), data: vec![n, 0xff] }
}

/// Three slots, the middle one deleted.
pub fn state_slots() -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    vec![(b"a".to_vec(), Some(b"one".to_vec())), (b"b".to_vec(), None), (b"c".to_vec(), Some(Vec::new()))]
}

/// Proof of a slot, and the root, built level by level.
pub fn state_proof(slot: usize) -> (StateProof, StateRoot) {
    let entries = state_slots();
    let slots = entries.len() as u64;
    let mut level: Vec<Hash32> =
        (0..).zip(&entries).map(|(n, (key, value))| state::slot_hash(n, key, value.as_deref())).collect();
    level.resize(1 << state::depth(slots), Hash32::ZERO);
    let (mut at, mut siblings) = (slot, Vec::new());
    while level.len() > 1 {
        siblings.push(level[at ^ 1]);
        level = level.chunks(2).map(|pair| state::node_hash(&pair[0], &pair[1])).collect();
        at /= 2;
    }
    let (key, value) = entries[slot].clone();
    (StateProof { key, value, slot: slot as u64, slots, siblings }, state::root_hash(slots, &level[0]))
}

/// Five blocks; the validator set changes after height 2 and after height 3.
pub struct Chain {
    pub genesis: GenesisHeader,
    /// By height minus 1.
    pub sets: Vec<ValidatorSet>,
    pub blocks: Vec<Block>,
    pub receipts: Vec<Vec<Receipt>>,
    pub finality: Vec<FinalityProof>,
}

impl Chain {
    pub fn new() -> Self {
        let (a, b, c) = (set(&[1, 2, 3, 4]), set(&[1, 2, 3, 5]), set(&[2, 3, 5, 6, 7]));
        let sets = vec![a.clone(), a.clone(), b, c.clone(), c.clone(), c];
        let genesis = GenesisHeader {
            version: BLOCK_VERSION,
            time: TimestampMs(1_800_000_000_000),
            document: domain_hash("vouch/test-document/1", &[]),
            validators_hash: a.hash(),
        };
        let mut chain = Self { genesis, sets, blocks: vec![], receipts: vec![], finality: vec![] };
        for height in 1..=5 {
            chain.push(height);
        }
        chain
    }

    pub fn id(&self) -> ChainId {
        self.genesis.chain()
    }

    fn push(&mut self, height: u64) {
        let at = height as usize - 1;
        let transactions: Vec<Transaction> =
            (0..height as u8 + 2).map(|n| transaction(self.id(), height as u8 * 16 + n)).collect();
        let receipts: Vec<Receipt> = (0u32..).zip(&transactions).map(|(n, tx)| receipt(tx, height, n)).collect();
        let transactions: Vec<Vec<u8>> = transactions.iter().map(encode).collect();
        let header = Header {
            version: BLOCK_VERSION,
            chain: self.id(),
            height: Height(height),
            time: TimestampMs(1_800_000_000_000 + height * 300),
            parent: self.blocks.last().map_or(vouch_types::BlockHash(self.id().0), |b| b.header.hash()),
            proposer: self.sets[at].proposer(Height(height), Round(0)).key.node(),
            transactions_root: Block::transactions_root(&transactions),
            receipts_root: ReceiptsRoot(merkle::root(&leaves(&receipts)).0),
            state_root: state_proof(0).1,
            validators_hash: self.sets[at].hash(),
            next_validators_hash: self.sets[at + 1].hash(),
        };
        let set = &self.sets[at];
        let certificate = certify(&header, Round(0), set, set.members().len() * 2 / 3 + 1);
        self.finality.push(FinalityProof { header: header.clone(), certificate });
        self.blocks.push(Block { header, transactions });
        self.receipts.push(receipts);
    }

    /// A bundle about the block at `height`.
    pub fn bundle(&self, height: u64, claim: Claim) -> ProofBundle {
        let changes = (1..height).filter(|h| self.sets[*h as usize - 1] != self.sets[*h as usize]);
        ProofBundle {
            version: PROOF_VERSION,
            genesis: self.genesis.clone(),
            first_set: self.sets[0].clone(),
            set_changes: changes
                .map(|h| SetChange {
                    finality: self.finality[h as usize - 1].clone(),
                    next_set: self.sets[h as usize].clone(),
                })
                .collect(),
            finality: self.finality[height as usize - 1].clone(),
            claim,
        }
    }

    pub fn transaction_claim(&self, height: u64, index: usize) -> Claim {
        let raw = &self.blocks[height as usize - 1].transactions;
        let leaves: Vec<Hash32> = raw.iter().map(|tx| merkle::leaf_hash(tx)).collect();
        Claim::Transaction(TransactionProof { raw: raw[index].clone(), path: merkle::path(&leaves, index).unwrap() })
    }

    pub fn receipt_proof(&self, height: u64, index: usize) -> ReceiptProof {
        let receipts = &self.receipts[height as usize - 1];
        ReceiptProof { receipt: receipts[index].clone(), path: merkle::path(&leaves(receipts), index).unwrap() }
    }

    pub fn event_claim(&self, height: u64, index: usize, which: usize) -> Claim {
        let events = events();
        let leaves: Vec<Hash32> = events.iter().map(|e| merkle::leaf_hash(&encode(e))).collect();
        Claim::Event(EventProof {
            event: events[which].clone(),
            path: merkle::path(&leaves, which).unwrap(),
            receipt: self.receipt_proof(height, index),
        })
    }

    /// One claim of each kind, all about the block at `height`.
    pub fn claims(&self, height: u64) -> [Claim; 4] {
        [
            self.transaction_claim(height, 1),
            Claim::Receipt(self.receipt_proof(height, 2)),
            self.event_claim(height, 0, 1),
            Claim::State(state_proof(2).0),
        ]
    }
}

pub fn events() -> Vec<Event> {
    (0..3).map(event).collect()
}

fn leaves(receipts: &[Receipt]) -> Vec<Hash32> {
    receipts.iter().map(Receipt::leaf).collect()
}

fn receipt(tx: &Transaction, height: u64, index: u32) -> Receipt {
    Receipt {
        tx: tx.body.id(),
        height: Height(height),
        index,
        outcome: Outcome::Success,
        fuel_used: Fuel(1_000 + u64::from(index)),
        output_hash: output_hash(b"done"),
        events_root: EventsRoot(events_root(&events()).0),
    }
}

/// A set hash that belongs to nobody.
pub const NO_SET: ValidatorsHash = ValidatorsHash([9; 32]);
