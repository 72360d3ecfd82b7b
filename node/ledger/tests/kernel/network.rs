//! A chain of four members whose blocks hold one transaction each.

use std::sync::Arc;

use vouch_genesis::{
    AccountEntry, AccountRole, AdminPolicy, ChainParams, FORMAT_VERSION, GenesisContract, GenesisDocument, Member,
    MemberName, NodeEntry, Role,
};
use vouch_ledger::{
    Ledger, PooledTransaction, Registry, Runtime,
    decisions::Standing,
    executor::check_rules,
    kernel::{Action, Propose, Vote},
    memory::MemoryStorage,
    storage::Batch,
};
use vouch_types::{
    Call, CommitCertificate, ContractName, Event, Height, Outcome, Power, PublicKey, Round, SecretKey, TimestampMs,
    TransactionBody, UnverifiedTransaction, encode,
};
use vouch_vm::VmLimits;
use wincode::SchemaWrite;

pub const MEMBERS: [&str; 4] = ["bank", "hub", "school", "watch"];
pub const START_MS: u64 = 1_800_000_000_000;
pub const HOUR_MS: u64 = 3_600_000;

/// A key by purpose and number.
pub fn secret(purpose: u8, index: usize) -> SecretKey {
    let mut seed = [purpose; 32];
    seed[0] = u8::try_from(index).unwrap();
    SecretKey::from_seed(seed)
}

pub fn key(purpose: u8, index: usize) -> PublicKey {
    secret(purpose, index).public()
}

/// Administrator `n` (0 to 2) of a member; any two act for it.
pub fn admin(member: usize, n: usize) -> SecretKey {
    secret(1, member * 3 + n)
}

/// Two administrators of each member.
pub fn admins(members: &[usize]) -> Vec<SecretKey> {
    members.iter().flat_map(|m| [admin(*m, 0), admin(*m, 1)]).collect()
}

fn member(index: usize) -> Member {
    let mut keys: Vec<_> = (0..3).map(|n| admin(index, n).public()).collect();
    keys.sort();
    Member {
        name: MemberName::new(MEMBERS[index]).unwrap(),
        title: format!("Member {index}"),
        role: [Role::Institution, Role::Platform, Role::Institution, Role::Regulator][index],
        admin: AdminPolicy { threshold: 2, keys },
        encryption_key: None,
        ca_certificate: None,
        nodes: vec![NodeEntry {
            name: format!("{}.node", MEMBERS[index]),
            consensus_key: key(3, index),
            network_key: key(4, index),
            address: format!("127.0.0.1:{}", 7000 + index),
            power: Power(1),
        }],
        accounts: vec![AccountEntry {
            name: format!("{}.user", MEMBERS[index]),
            key: key(2, index),
            roles: vec![AccountRole::Operator, AccountRole::Reader],
        }],
    }
}

pub struct Network {
    pub ledger: Ledger,
    pub time: u64,
    salt: u64,
}

/// How a transaction ended.
pub struct End {
    /// The output of its last call, or the code of its failure.
    pub result: Result<Vec<u8>, String>,
    pub events: Vec<Event>,
}

impl End {
    #[track_caller]
    pub fn code(&self) -> &str {
        self.result.as_ref().expect_err("the transaction should fail")
    }

    /// Number and state of a proposal that was made or voted on.
    #[track_caller]
    pub fn decision(&self) -> (u64, String) {
        let output = self.result.as_ref().expect("the transaction should succeed");
        vouch_types::decode("decision", output, 100).unwrap()
    }

    pub fn event(&self, name: &str) -> bool {
        self.events.iter().any(|e| e.name == name)
    }
}

pub fn system(method: &str, arguments: &impl Encoded) -> Call {
    Call { contract: ContractName::new("system").unwrap(), method: method.into(), arguments: arguments.bytes() }
}

pub fn action(method: &str, arguments: &impl Encoded) -> Action {
    Action { contract: "system".into(), method: method.into(), arguments: arguments.bytes() }
}

/// Anything with the chain's encoding.
pub trait Encoded {
    fn bytes(&self) -> Vec<u8>;
}

impl<T: SchemaWrite<vouch_types::codec::Format, Src = T>> Encoded for T {
    fn bytes(&self) -> Vec<u8> {
        encode(self)
    }
}

impl Network {
    pub fn new() -> Self {
        Self::with(ChainParams::default(), Vec::new())
    }

    pub fn with(params: ChainParams, contracts: Vec<GenesisContract>) -> Self {
        let mut genesis = GenesisDocument {
            format: FORMAT_VERSION,
            chain_name: "Kernel".into(),
            time: TimestampMs(START_MS),
            params,
            members: (0..4).map(member).collect(),
            contracts,
        };
        genesis.sort();
        let runtime = Runtime::new(VmLimits { concurrent_calls_max: 4, ..VmLimits::default() }).unwrap();
        let ledger = Ledger::open(Arc::new(MemoryStorage::new()), &genesis, runtime).unwrap();
        Self { ledger, time: START_MS, salt: 0 }
    }

    pub fn registry(&self) -> &Registry {
        self.ledger.registry()
    }

    /// Whether a transaction so signed may stand in the next block; the code of why not.
    pub fn fits(&mut self, signers: &[SecretKey]) -> Result<(), &'static str> {
        let pooled = self.pooled(signers, vec![system("none", &())]);
        let next = self.ledger.next_height();
        check_rules(self.ledger.registry(), &pooled.tx, next).map_err(|error| error.code())
    }

    /// Makes a block of one transaction with these calls.
    #[track_caller]
    pub fn run(&mut self, signers: &[SecretKey], calls: Vec<Call>) -> End {
        self.time += 1_000;
        let pooled = self.pooled(signers, calls);
        let proposer = key(3, 0).node();
        let (hash, block) = self.ledger.propose([&pooled].into_iter(), TimestampMs(self.time), proposer).unwrap();
        assert_eq!(block.transactions.len(), 1, "the transaction is fit for a block");
        let height = block.header.height;
        let certificate = CommitCertificate { height, round: Round(0), block: hash, signatures: Vec::new() };
        let mut committed = self.ledger.commit(hash, certificate, Batch::new()).unwrap();
        let record = committed.records.remove(0);
        let result = match record.receipt.outcome {
            Outcome::Success => Ok(record.output),
            Outcome::Failed(failure) => Err(failure.code),
        };
        // What is in memory is what a restart would read.
        let read = Registry::load(self.ledger.storage()).unwrap().unwrap();
        assert!(read == **self.ledger.registry(), "registry and state differ");
        End { result, events: record.events }
    }

    /// A transaction, signed and verified.
    pub fn pooled(&mut self, signers: &[SecretKey], calls: Vec<Call>) -> PooledTransaction {
        self.salt += 1;
        let mut salt = [0; 16];
        salt[..8].copy_from_slice(&self.salt.to_le_bytes());
        let chain = self.ledger.chain();
        let expiry = Height(self.ledger.head().height.0 + 100);
        let body = TransactionBody { version: 1, chain, expiry, salt, calls };
        let raw = encode(&body.sign(&signers.iter().collect::<Vec<_>>()));
        PooledTransaction::new(UnverifiedTransaction::decode(raw, chain).unwrap().verify().unwrap())
    }

    #[track_caller]
    pub fn call(&mut self, signers: &[SecretKey], method: &str, arguments: &impl Encoded) -> End {
        self.run(signers, vec![system(method, arguments)])
    }

    pub fn proposal(kind: &str, deadline_ms: u64, actions: Vec<Action>) -> Propose {
        Propose { kind: kind.into(), member: None, title: "Do it".into(), deadline_ms, actions }
    }

    /// Proposes with a deadline in an hour, signed by some.
    #[track_caller]
    pub fn propose(&mut self, signers: &[SecretKey], kind: &str, actions: Vec<Action>) -> End {
        let request = Self::proposal(kind, self.time + HOUR_MS, actions);
        self.call(signers, "propose", &request)
    }

    /// Proposes and approves with three of the four members, in one transaction.
    #[track_caller]
    pub fn decide(&mut self, kind: &str, actions: Vec<Action>) -> End {
        self.propose(&admins(&[0, 1, 2]), kind, actions)
    }

    /// As [`Self::decide`], with one action that takes effect.
    #[track_caller]
    pub fn decided(&mut self, kind: &str, method: &str, arguments: &impl Encoded) {
        let end = self.decide(kind, vec![action(method, arguments)]);
        let (id, state) = end.decision();
        assert_eq!(state, "executed", "{:?}", self.shown(id).state);
    }

    /// As [`Self::decide`], with one action that fails; its code.
    #[track_caller]
    pub fn refused(&mut self, kind: &str, method: &str, arguments: &impl Encoded) -> String {
        let before = self.registry().clone();
        let (id, state) = self.decide(kind, vec![action(method, arguments)]).decision();
        assert_eq!(state, "failed");
        assert!(before == *self.registry(), "a failed proposal has no effect");
        match self.shown(id).state {
            vouch_ledger::kernel::ProposalState::Failed { code, .. } => code,
            other => panic!("{other:?}"),
        }
    }

    pub fn shown(&self, id: u64) -> Standing {
        self.ledger.reader().proposal(id).unwrap().expect("the proposal exists")
    }

    #[track_caller]
    pub fn vote(&mut self, signers: &[SecretKey], id: u64, approve: bool) -> End {
        let content = self.shown(id).proposal.content;
        self.call(signers, "vote", &Vote { proposal: id, content, approve })
    }
}
