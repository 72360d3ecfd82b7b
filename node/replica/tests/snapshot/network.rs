//! Whole replicas on one virtual clock: messages arrive at once and in order, time passes only between timers.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use vouch_genesis::{
    ChainParams, GenesisDocument, MemberName, Role,
    document::{AccountEntry, AdminPolicy, FORMAT_VERSION, GenesisContract, Member, NodeEntry},
};
use vouch_ledger::{Durability, MempoolLimits, PooledTransaction, Runtime, Storage, kernel, memory::MemoryStorage};
use vouch_replica::{
    Effect, Input, Message, Now, PeerId, Replica, ReplicaConfig, StoragePolicy, Timer, VolatileMemory, VotingRecord,
};
use vouch_types::{
    Call, ChainId, ContractName, Height, Power, SecretKey, TimestampMs, TxId, UnverifiedTransaction, encode,
    transaction::{TRANSACTION_VERSION, TransactionBody},
};
use vouch_vm::VmLimits;

const EPOCH_MS: u64 = 1_800_000_000_000;
/// Validators, one for each member.
pub const VALIDATORS: usize = 4;
/// A node of the first member that does not vote.
pub const FOLLOWER: usize = 4;
/// Time between blocks.
pub const PACE_MS: u64 = 20;

/// Puts and deletes runs of entries: `fill` and `drop` take first key, count and size, four bytes each.
const CONTRACT: &str = r#"(module
(import "vouch" "input" (func $input (param i32)))
(import "vouch" "put" (func $put (param i32 i32 i32 i32)))
(import "vouch" "delete" (func $delete (param i32 i32)))
(memory (export "memory") 3)
(func (export "vouch_call") (param $len i32)
  (local $at i32) (local $method i32) (local $args i32) (local $key i32) (local $end i32) (local $size i32)
  (call $input (i32.const 0))
  (local.set $at (i32.add (i32.const 54) (i32.mul (i32.const 32) (i32.load (i32.const 46)))))
  (local.set $method (i32.load8_u (i32.add (local.get $at) (i32.const 28))))
  (local.set $args (i32.add (local.get $at) (i32.add (i32.const 36) (i32.load (i32.add (local.get $at) (i32.const 20))))))
  (local.set $key (i32.load (local.get $args)))
  (local.set $end (i32.add (local.get $key) (i32.load (i32.add (local.get $args) (i32.const 4)))))
  (local.set $size (i32.load (i32.add (local.get $args) (i32.const 8))))
  (loop $next
    (i32.store (i32.const 50000) (local.get $key))
    (i32.store (i32.const 65536) (local.get $key))
    (if (i32.eq (local.get $method) (i32.const 102))
      (then (call $put (i32.const 50000) (i32.const 4) (i32.const 65536) (local.get $size)))
      (else (call $delete (i32.const 50000) (i32.const 4))))
    (local.set $key (i32.add (local.get $key) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $key) (local.get $end)))))
(@custom "vouch-abi" "{\"abi\":1,\"name\":\"spool\",\"version\":\"1.0.0\",\"methods\":[{\"name\":\"fill\",\"kind\":\"call\"},{\"name\":\"drop\",\"kind\":\"call\"}]}"))"#;

fn secret(purpose: u8, index: usize) -> SecretKey {
    SecretKey::from_seed([purpose + 10 * index as u8; 32])
}

pub fn consensus_key(index: usize) -> SecretKey {
    secret(1, index)
}

pub fn peer(index: usize) -> PeerId {
    secret(2, index).public()
}

fn genesis(expiry_window: u64, block_transactions_max: u32) -> GenesisDocument {
    let node = |index: usize| NodeEntry {
        name: format!("n{index}"),
        consensus_key: consensus_key(index).public(),
        network_key: peer(index),
        address: format!("127.0.0.1:{}", 7000 + index),
        power: Power(u64::from(index < VALIDATORS)),
    };
    let member = |index: usize| Member {
        name: MemberName::new(format!("m{index}")).unwrap(),
        title: format!("Member {index}"),
        role: [Role::Platform, Role::Institution, Role::Enterprise, Role::Regulator][index],
        admin: AdminPolicy { threshold: 1, keys: vec![secret(3, index).public()] },
        encryption_key: None,
        ca_certificate: None,
        nodes: if index == 0 { vec![node(0), node(FOLLOWER)] } else { vec![node(index)] },
        accounts: vec![AccountEntry { name: format!("a{index}"), key: secret(4, index).public(), roles: Vec::new() }],
    };
    let pace = u32::try_from(PACE_MS).unwrap();
    let code = wat::parse_str(CONTRACT).unwrap();
    let mut document = GenesisDocument {
        format: FORMAT_VERSION,
        chain_name: "snapshots".into(),
        time: TimestampMs(EPOCH_MS - 1),
        params: ChainParams {
            expiry_window,
            block_transactions_max,
            block_interval_ms: pace,
            idle_interval_ms: pace,
            ..ChainParams::default()
        },
        members: (0..VALIDATORS).map(member).collect(),
        contracts: vec![GenesisContract { name: ContractName::new("spool").unwrap(), code }],
    };
    document.sort();
    document
}

/// A machine: its disk, and its replica while it runs.
pub struct Node {
    pub storage: Arc<MemoryStorage>,
    /// What it keeps of its votes apart from the disk.
    pub memory: VolatileMemory,
    pub policy: StoragePolicy,
    pub replica: Option<Replica>,
    /// Its disk has faults.
    pub may_fail: bool,
    pub verdicts: BTreeMap<TxId, Result<(), String>>,
}

/// Changes what a node sends; false when it sends nothing.
pub type Tamper = Box<dyn FnMut(usize, &mut Message) -> bool>;

pub struct Network {
    pub nodes: Vec<Node>,
    pub chain: ChainId,
    pub faults: Vec<(PeerId, &'static str)>,
    pub tamper: Option<Tamper>,
    /// Heights until transactions expire, if not the whole window.
    pub expires_in: Option<u64>,
    genesis: GenesisDocument,
    runtime: Arc<Runtime>,
    inputs: VecDeque<(usize, Input)>,
    timers: BTreeMap<(usize, Timer), u64>,
    now_ms: u64,
    salt: u64,
}

impl Network {
    pub fn new(expiry_window: u64) -> Self {
        Self::bounded(expiry_window, ChainParams::default().block_transactions_max)
    }

    /// With no more than so many transactions in a block.
    pub fn bounded(expiry_window: u64, block_transactions_max: u32) -> Self {
        let genesis = genesis(expiry_window, block_transactions_max);
        let policy = StoragePolicy { keep_blocks: 0, join_after_blocks: 20 };
        let node = |index| {
            let memory = VolatileMemory::new(Some(VotingRecord::of_new_key(consensus_key(index).public().node())));
            Node { storage: Arc::default(), memory, policy, replica: None, may_fail: false, verdicts: BTreeMap::new() }
        };
        Self {
            nodes: (0..=FOLLOWER).map(node).collect(),
            chain: genesis.chain_id().unwrap(),
            faults: Vec::new(),
            tamper: None,
            expires_in: None,
            genesis,
            runtime: Runtime::new(VmLimits::default()).unwrap(),
            inputs: VecDeque::new(),
            timers: BTreeMap::new(),
            now_ms: 0,
            salt: 0,
        }
    }

    fn now(&self) -> Now {
        Now { wall: TimestampMs(EPOCH_MS + self.now_ms), steady_ms: self.now_ms }
    }

    pub const fn now_ms(&self) -> u64 {
        self.now_ms
    }

    pub fn replica(&self, index: usize) -> &Replica {
        self.nodes[index].replica.as_ref().unwrap()
    }

    pub fn height(&self, index: usize) -> u64 {
        self.replica(index).ledger().head().height.0
    }

    pub fn start(&mut self, index: usize) {
        let storage: Arc<dyn Storage> = Arc::clone(&self.nodes[index].storage) as Arc<dyn Storage>;
        let config = ReplicaConfig {
            secret: Some(consensus_key(index)),
            memory: Box::new(self.nodes[index].memory.clone()),
            mempool: MempoolLimits::default(),
            entropy: [index as u8; 32],
        };
        let opened = Replica::open(storage, &self.genesis, Arc::clone(&self.runtime), config, self.now());
        let Ok(mut replica) = opened else {
            assert!(self.nodes[index].may_fail, "node {index} does not open");
            return;
        };
        replica.set_storage_policy(self.nodes[index].policy).unwrap();
        self.nodes[index].replica = Some(replica);
        self.inputs.push_back((index, Input::Started));
        for other in 0..self.nodes.len() {
            if other != index && self.nodes[other].replica.is_some() {
                self.inputs.push_back((index, Input::PeerConnected(peer(other))));
                self.inputs.push_back((other, Input::PeerConnected(peer(index))));
            }
        }
    }

    /// Loses power.
    pub fn crash(&mut self, index: usize, keep_writes: usize) {
        self.nodes[index].replica = None;
        self.nodes[index].storage.crash(keep_writes);
        self.timers.retain(|(node, _), _| *node != index);
        self.inputs.retain(|(node, input)| {
            *node != index && !matches!(input, Input::MessageReceived { from, .. } if *from == peer(index))
        });
        for other in 0..self.nodes.len() {
            if self.nodes[other].replica.is_some() {
                self.inputs.push_back((other, Input::PeerDisconnected(peer(index))));
            }
        }
    }

    /// Loses power and disk.
    pub fn wipe(&mut self, index: usize) {
        self.crash(index, 0);
        self.nodes[index].storage = Arc::default();
    }

    /// Digests one input; false when time has to pass first.
    pub fn step(&mut self) -> bool {
        let Some((index, input)) = self.inputs.pop_front() else { return false };
        let now = self.now();
        let Some(replica) = &mut self.nodes[index].replica else { return true };
        match replica.step(now, input) {
            Ok(effects) => effects.into_iter().for_each(|effect| self.carry_out(index, effect)),
            Err(error) if self.nodes[index].may_fail => {
                assert_eq!(error.code(), "ledger.storage");
                self.crash(index, usize::MAX);
            }
            Err(error) => panic!("node {index}: {error}"),
        }
        true
    }

    fn carry_out(&mut self, index: usize, effect: Effect) {
        match effect {
            Effect::Send { to, lane, bytes } => {
                let mut message = Message::from_bytes(&bytes, lane).unwrap();
                let sent = self.tamper.as_mut().is_none_or(|tamper| tamper(index, &mut message));
                let other = (0..self.nodes.len()).find(|i| peer(*i) == to).unwrap();
                if sent && self.nodes[other].replica.is_some() {
                    let bytes = message.to_bytes();
                    self.inputs.push_back((other, Input::MessageReceived { from: peer(index), lane, bytes }));
                }
            }
            Effect::Broadcast { lane, bytes, except } => {
                let mut message = Message::from_bytes(&bytes, lane).unwrap();
                if !self.tamper.as_mut().is_none_or(|tamper| tamper(index, &mut message)) {
                    return;
                }
                let bytes = message.to_bytes();
                for other in 0..self.nodes.len() {
                    if other != index && except != Some(peer(other)) && self.nodes[other].replica.is_some() {
                        let bytes = bytes.clone();
                        self.inputs.push_back((other, Input::MessageReceived { from: peer(index), lane, bytes }));
                    }
                }
            }
            Effect::SetTimer { timer, after_ms } => drop(self.timers.insert((index, timer), self.now_ms + after_ms)),
            Effect::CancelTimer(timer) => drop(self.timers.remove(&(index, timer))),
            Effect::CancelConsensusTimers => {
                self.timers.retain(|(node, timer), _| *node != index || !matches!(timer, Timer::Consensus(_)));
            }
            Effect::VerifyTransactions { raw, .. } => {
                let transactions = raw.into_iter().map(|raw| self.pooled(raw)).collect();
                self.inputs.push_back((index, Input::TransactionsVerified { transactions, submitted_here: false }));
            }
            Effect::Admitted { tx, result } => {
                let result = result.map_err(|refusal| refusal.code().to_owned());
                self.nodes[index].verdicts.insert(tx, result);
            }
            Effect::PeerFault { peer, code } => self.faults.push((peer, code)),
            Effect::Committed(_) | Effect::AdmitPeers(_) | Effect::Expired(_) => {}
        }
    }

    fn pooled(&self, raw: Vec<u8>) -> PooledTransaction {
        PooledTransaction::new(UnverifiedTransaction::decode(raw, self.chain).unwrap().verify().unwrap())
    }

    /// Lets time pass to the next timer.
    pub fn pass_time(&mut self) {
        let (&key, &at) = self.timers.iter().min_by_key(|(_, at)| **at).unwrap();
        self.now_ms = self.now_ms.max(at);
        self.timers.remove(&key);
        self.inputs.push_back((key.0, Input::TimerFired(key.1)));
    }

    /// Runs until `done`, which must come within `within_ms`.
    pub fn run_until(&mut self, within_ms: u64, mut done: impl FnMut(&Self) -> bool) {
        let end_ms = self.now_ms + within_ms;
        while !done(self) {
            if !self.step() {
                self.pass_time();
            }
            assert!(self.now_ms <= end_ms, "not reached in {within_ms} ms; faults: {:?}", self.faults);
        }
    }

    /// Starts a node whose disk has a fault; true when it stopped because of it before it had joined.
    pub fn try_until_joined(&mut self, index: usize) -> bool {
        self.nodes[index].may_fail = true;
        self.start(index);
        if self.nodes[index].replica.is_none() {
            return true;
        }
        self.run_until(60_000, |n| {
            n.nodes[index].replica.as_ref().is_none_or(|r| !r.is_joining() && r.ledger().head().height > Height::ZERO)
        });
        self.nodes[index].may_fail = false;
        self.nodes[index].replica.is_none()
    }

    /// Runs until a node has so many blocks more.
    pub fn run_blocks(&mut self, index: usize, blocks: u64) {
        let end = self.height(index) + blocks;
        self.run_until(1_000 + blocks * PACE_MS * 20, |network| network.height(index) >= end);
    }

    /// Signs a call by all administrators and an account.
    pub fn transaction(&mut self, contract: &str, method: &str, arguments: Vec<u8>) -> (TxId, Vec<u8>) {
        let running = (0..self.nodes.len()).filter(|i| self.nodes[*i].replica.is_some());
        let head = running.map(|i| self.height(i)).max().unwrap();
        let window = self.genesis.params.expiry_window;
        self.salt += 1;
        let mut salt = [0; 16];
        salt[..8].copy_from_slice(&self.salt.to_le_bytes());
        let contract = ContractName::new(contract).unwrap();
        let body = TransactionBody {
            version: TRANSACTION_VERSION,
            chain: self.chain,
            expiry: Height(head + self.expires_in.unwrap_or(window)),
            salt,
            calls: vec![Call { contract, method: method.into(), arguments }],
        };
        let admins: Vec<SecretKey> = (0..VALIDATORS).map(|i| secret(3, i)).collect();
        let mut keys = vec![secret(4, 0)];
        keys.extend(admins);
        let tx = body.sign(&keys.iter().collect::<Vec<_>>());
        (tx.body.id(), encode(&tx))
    }

    pub fn submit(&mut self, index: usize, raw: Vec<u8>) {
        let transactions = vec![self.pooled(raw)];
        self.inputs.push_back((index, Input::TransactionsVerified { transactions, submitted_here: true }));
    }

    /// Hands a node a message as if a peer had sent it.
    pub fn deliver(&mut self, from: usize, to: usize, message: &Message) {
        let (lane, bytes) = (message.lane(), message.to_bytes());
        self.inputs.push_back((to, Input::MessageReceived { from: peer(from), lane, bytes }));
    }

    /// Has a node lose a peer's connection and get it back.
    pub fn disconnect(&mut self, from: usize, to: usize) {
        self.inputs.push_back((to, Input::PeerDisconnected(peer(from))));
        self.inputs.push_back((to, Input::PeerConnected(peer(from))));
    }

    /// Submits a call and runs until it succeeded.
    pub fn call(&mut self, index: usize, contract: &str, method: &str, arguments: Vec<u8>) -> (TxId, Vec<u8>) {
        let (id, raw) = self.transaction(contract, method, arguments);
        self.submit(index, raw.clone());
        self.run_until(10_000, |n| n.replica(index).ledger().reader().find(&id).unwrap().is_some());
        let reader = self.replica(index).ledger().reader();
        let (height, at) = reader.find(&id).unwrap().unwrap();
        let record = &reader.block(height).unwrap().unwrap().records[at as usize];
        assert_eq!(record.receipt.outcome, vouch_types::Outcome::Success);
        (id, raw)
    }

    /// Has the members decide on a kernel method, in one transaction of all administrators.
    pub fn decide(&mut self, index: usize, kind: &str, method: &str, arguments: Vec<u8>) -> (TxId, Vec<u8>) {
        let action = kernel::Action { contract: "system".into(), method: method.into(), arguments };
        let proposal = kernel::Propose {
            kind: kind.into(),
            member: None,
            title: "A change".into(),
            deadline_ms: EPOCH_MS + self.now_ms + 3_600_000,
            actions: vec![action],
        };
        let (id, raw) = self.call(index, "system", "propose", encode(&proposal));
        let reader = self.replica(index).ledger().reader();
        let (height, at) = reader.find(&id).unwrap().unwrap();
        let output = &reader.block(height).unwrap().unwrap().records[at as usize].output;
        let (_, state): (u64, String) = vouch_types::decode("decision", output, 100).unwrap();
        assert_eq!(state, "executed");
        (id, raw)
    }

    /// Arguments of the contract.
    pub fn run(first: u32, count: u32, size: u32) -> Vec<u8> {
        [first, count, size].iter().flat_map(|n| n.to_le_bytes()).collect()
    }
}

/// Makes what was written durable, as a synced write does.
pub fn settle(storage: &MemoryStorage) {
    storage.write(vouch_ledger::Batch::new(), Durability::Synced).unwrap();
}
