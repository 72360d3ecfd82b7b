//! The vault's view of the chain against the contracts as they are compiled, over a ledger that executes real blocks.

mod scenario;

use std::{path::PathBuf, sync::Arc};

use serde_json::{Value, json};
use vouch_genesis::{
    AccountEntry, AccountRole, AdminPolicy, ChainParams, FORMAT_VERSION, GenesisContract, GenesisDocument, Member,
    MemberName, NodeEntry, Role,
};
use vouch_ledger::{
    Batch, CommittedBlock, Ledger, PooledTransaction, Runtime,
    kernel::{Action, ChangeContract, Propose},
    memory::MemoryStorage,
};
use vouch_types::{
    Abi, Call, CommitCertificate, ContractName, DocumentId, FieldSet, Hash32, Height, Outcome, Power, Round, SecretKey,
    TimestampMs, TransactionBody, UnverifiedTransaction,
    document::{self, ErasureState, Possession},
    encode,
};
use vouch_vault::{
    Act, Blocks, Chain as _, ChainChange, ErasureStep, Input, LedgerChain, Now, Question, Roster, Scope, VersionKey,
};

use super::secrets::recipient_secret;

const START_MS: u64 = 1_800_000_000_000;
const MEMBERS: [(&str, Role); 4] =
    [("shop", Role::Platform), ("union", Role::Institution), ("watch", Role::Regulator), ("works", Role::Enterprise)];

fn secret(purpose: u8, index: usize) -> SecretKey {
    let mut seed = [purpose; 32];
    seed[0] = u8::try_from(index).unwrap();
    SecretKey::from_seed(seed)
}

fn place(member: &str) -> usize {
    MEMBERS.iter().position(|(name, _)| *name == member).unwrap()
}

/// The user of a member, who may do everything.
fn user(member: &str) -> SecretKey {
    secret(2, place(member))
}

fn service(member: &str) -> SecretKey {
    secret(5, place(member))
}

/// The public half of a member's encryption key.
fn encryption_key(index: usize) -> Hash32 {
    recipient_secret(&secret(6, index)).public().0
}

fn member(index: usize) -> Member {
    let (name, role) = MEMBERS[index];
    let all = vec![AccountRole::Approver, AccountRole::Auditor, AccountRole::Reader, AccountRole::Submitter];
    Member {
        name: MemberName::new(name).unwrap(),
        title: name.into(),
        role,
        admin: AdminPolicy { threshold: 1, keys: vec![secret(1, index).public()] },
        encryption_key: Some(encryption_key(index)),
        ca_certificate: None,
        nodes: vec![NodeEntry {
            name: format!("{name}.node"),
            consensus_key: secret(3, index).public(),
            network_key: secret(4, index).public(),
            address: format!("127.0.0.1:{}", 7000 + index),
            power: Power(1),
        }],
        accounts: vec![
            AccountEntry {
                name: format!("{name}.service"),
                key: secret(5, index).public(),
                roles: vec![AccountRole::Service],
            },
            AccountEntry { name: format!("{name}.user"), key: secret(2, index).public(), roles: all },
        ],
    }
}

fn wasm(name: &str) -> Vec<u8> {
    let folder = std::env::var_os("VOUCH_CONTRACTS").map(PathBuf::from);
    let path = folder.expect("VOUCH_CONTRACTS names the folder of built contracts").join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; ./run contracts builds them", path.display()))
}

struct Network {
    ledger: Ledger,
    blocks: Vec<Arc<CommittedBlock>>,
    salt: u8,
}

impl Network {
    /// Four founded members with the two contracts, a schema, and an institution that serves an enterprise under a regulator.
    fn new() -> Self {
        let contract = |name: &str| GenesisContract { name: ContractName::new(name).unwrap(), code: wasm(name) };
        let mut genesis = GenesisDocument {
            format: FORMAT_VERSION,
            chain_name: "Vault".into(),
            time: TimestampMs(START_MS),
            params: ChainParams::default(),
            members: (0..MEMBERS.len()).map(member).collect(),
            contracts: vec![contract("relations"), contract("documents")],
        };
        genesis.sort();
        let runtime = Runtime::new(vouch_vm::VmLimits::default()).unwrap();
        let ledger = Ledger::open(Arc::new(MemoryStorage::new()), &genesis, runtime).unwrap();
        let mut network = Self { ledger, blocks: Vec::new(), salt: 0 };
        network.register_schema();
        let party = |name: Value| json!({ "member": name, "subject": null });
        let offer = |kind: &str, member: &str, party: Value| {
            let (via, from_ms, until_ms) = (Value::Null, Value::Null, Value::Null);
            json!({ "relationship": {
                "kind": kind, "member": member, "party": party, "via": via, "from_ms": from_ms, "until_ms": until_ms } })
        };
        network.call(&user("union"), "relations", "offer", &offer("Serves", "union", party("works".into())));
        network.call(&user("works"), "relations", "answer", &json!({ "ids": [1], "accept": true }));
        network.call(&user("watch"), "relations", "offer", &offer("Regulates", "watch", party(Value::Null)));
        network
    }

    fn abi(&self, contract: &str) -> Abi {
        let name = ContractName::new(contract).unwrap();
        let hash = self.ledger.registry().contracts[&name].code;
        Abi::from_json(&self.ledger.reader().abi_json(&hash).unwrap().unwrap()).unwrap()
    }

    fn encoded(&self, contract: &str, method: &str, arguments: &Value) -> Call {
        let arguments = self.abi(contract).encode_arguments(method, arguments).unwrap();
        Call { contract: ContractName::new(contract).unwrap(), method: method.into(), arguments }
    }

    fn call(&mut self, signer: &SecretKey, contract: &str, method: &str, arguments: &Value) {
        let call = self.encoded(contract, method, arguments);
        assert_eq!(self.run(&[signer], call), Outcome::Success, "{contract}.{method}");
    }

    /// All members decide on a call.
    fn decide(&mut self, kind: &str, contract: &str, call: (&str, Vec<u8>)) {
        let action = Action { contract: contract.into(), method: call.0.into(), arguments: call.1 };
        let (kind, title, deadline_ms) = (kind.into(), "Decision".into(), START_MS + 3_600_000);
        let propose = Propose { kind, member: None, title, deadline_ms, actions: vec![action] };
        let call = Call {
            contract: ContractName::new("system").unwrap(),
            method: "propose".into(),
            arguments: encode(&propose),
        };
        let admins: Vec<SecretKey> = (0..MEMBERS.len()).map(|index| secret(1, index)).collect();
        assert_eq!(self.run(&admins.iter().collect::<Vec<_>>(), call), Outcome::Success);
    }

    fn register_schema(&mut self) {
        let text = include_str!("../../../genesis/sample/schemas/enterprise-identity.json");
        let definition: Value = serde_json::from_str(text).unwrap();
        let call = self.encoded("documents", "register_schema", &json!({ "definition": definition }));
        self.decide("documents", "documents", (&call.method, call.arguments));
    }

    /// Makes a block of one call.
    fn run(&mut self, signers: &[&SecretKey], call: Call) -> Outcome {
        let raw = self.transaction(signers, call);
        let tx = UnverifiedTransaction::decode(raw, self.ledger.chain()).unwrap().verify().unwrap();
        self.commit(&PooledTransaction::new(tx)).records[0].receipt.outcome.clone()
    }

    fn transaction(&mut self, signers: &[&SecretKey], call: Call) -> Vec<u8> {
        self.salt += 1;
        let (chain, expiry) = (self.ledger.chain(), Height(self.ledger.head().height.0 + 100));
        let body = TransactionBody { version: 1, chain, expiry, salt: [self.salt; 16], calls: vec![call] };
        encode(&body.sign(signers))
    }

    /// Makes a block of one transaction.
    fn commit(&mut self, pooled: &PooledTransaction) -> Arc<CommittedBlock> {
        let time = TimestampMs(self.ledger.head().time.0 + 1_000);
        let proposer = secret(3, 0).public().node();
        let (hash, block) = self.ledger.propose(std::iter::once(pooled), time, proposer).unwrap();
        assert_eq!(block.transactions.len(), 1, "the transaction is fit for a block");
        let (height, signatures) = (block.header.height, Vec::new());
        let certificate = CommitCertificate { height, round: Round(0), block: hash, signatures };
        let block = Arc::new(self.ledger.commit(hash, certificate, Batch::new()).unwrap());
        self.blocks.push(Arc::clone(&block));
        block
    }

    /// The institution submits an identity of the enterprise.
    fn submit(&mut self, key: VersionKey, root: u8) {
        let content = json!({
            "schema_version": 1, "root": Hash32([root; 32]), "blob_root": null, "references": [], "recipients": [],
            "public": [{ "slot": 0, "value": "\"Works\"" }],
            "parties": [{ "role": "enterprise", "party": { "member": "works", "subject": null } }],
        });
        let arguments = json!({ "id": key.id, "schema": "enterprise-identity", "content": content });
        self.call(&user("union"), "documents", "submit", &arguments);
    }

    fn chain(&self) -> LedgerChain {
        LedgerChain::new(self.ledger.reader().clone(), Arc::default())
    }
}

fn call_of(act: &Act) -> Call {
    act.call("", Hash32::ZERO)
}

fn key(number: u8) -> VersionKey {
    VersionKey { id: DocumentId::issued("union", [number; 10]), version: 1 }
}

#[test]
fn the_contracts_answer_what_the_vault_asks() {
    let mut network = Network::new();
    let chain = network.chain();
    assert!(chain.document(&key(1)).unwrap().is_none());
    assert!(chain.is_answering().unwrap());
    network.submit(key(1), 7);
    assert_eq!(chain.time(), network.ledger.reader().published().head.time);
    network.submit(key(2), 8);
    let facts = chain.document(&key(1)).unwrap().expect("the block before is not remembered");
    assert_eq!((facts.issuer.as_str(), facts.root, facts.blob_root), ("union", [7; 32], None));
    assert_eq!((facts.schema.id(), facts.public.len(), facts.erasure), ("enterprise-identity", 1, ErasureState::None));
    assert_eq!(chain.latest(&key(2).id).unwrap(), Some(1));
    assert_eq!(chain.latest(&key(3).id).unwrap(), None);
    assert!(chain.document(&VersionKey { version: 2, ..key(1) }).unwrap().is_none());

    let audience = chain.audience(&key(1)).unwrap();
    let members: Vec<&str> = audience.members.iter().map(|entitled| entitled.member.as_str()).collect();
    assert_eq!(members, ["union", "watch", "works"], "owner, institution and regulator, and not the platform");
    assert!(chain.audience(&key(3)).unwrap().members.is_empty());

    let may = |member: &str, purpose: &str| {
        let (actor, purpose) = (user(member).public().account(), purpose.into());
        chain.may(&Question { actor, action: document::Action::Read, key: key(1), purpose }).unwrap()
    };
    assert!(may("works", "own").allowed);
    // The slot of the representative's identity number is not open to the institution.
    assert!(may("works", "own").fields.contains(6) && !may("union", "verification").fields.contains(6));
    assert_eq!(may("shop", "own").reason, document::reason::NOT_ENTITLED);

    let listed = |scope: Scope, after| {
        chain.documents(&scope, after, 64).unwrap().iter().map(|listed| (listed.number, listed.id)).collect::<Vec<_>>()
    };
    assert_eq!(listed(Scope::All, 0), [(1, key(1).id), (2, key(2).id)]);
    assert_eq!(listed(Scope::Party("member:works".into()), 1), [(2, key(2).id)]);
    assert!(listed(Scope::Party("member:shop".into()), 0).is_empty());
    assert!(!chain.awaits_erasure(&key(1).id, "works").unwrap());
    assert!(chain.schema("enterprise-identity", 1).unwrap().is_some());
    assert!(chain.schema("enterprise-identity", 2).unwrap().is_none());
}

#[test]
fn a_frozen_contract_is_no_answer() {
    for name in ["documents", "relations"] {
        let mut network = Network::new();
        network.submit(key(1), 7);
        let chain = network.chain();
        assert!(chain.is_answering().unwrap());
        let change = encode(&ChangeContract { name: name.into() });
        network.decide("contracts", "system", ("freeze_contract", change.clone()));
        assert!(chain.audience(&key(1)).unwrap().members.is_empty(), "as if nobody were entitled");
        assert!(!chain.is_answering().unwrap(), "{name}");
        network.decide("contracts", "system", ("unfreeze_contract", change));
        assert!(chain.is_answering().unwrap());
        assert!(!chain.audience(&key(1)).unwrap().members.is_empty());
    }
}

#[test]
fn the_contracts_take_what_the_vault_says() {
    let mut network = Network::new();
    network.submit(key(1), 7);
    let fields = FieldSet::first(12);
    let possession = Possession { id: key(1).id, version: 1, fields };
    let held = call_of(&Act::AttestPossession(vec![possession]));
    assert_eq!(network.run(&[&service("works")], held.clone()), Outcome::Success);
    assert!(
        matches!(network.run(&[&user("works")], held), Outcome::Failed(f) if f.code == "contract.error.role_missing")
    );
    let judged = call_of(&Act::Judge { key: key(1), accepted: false, code: "construction.type".into() });
    assert_eq!(network.run(&[&service("works")], judged), Outcome::Success);
    let erased = call_of(&Act::AttestErasure { id: key(1).id, receipt: Hash32([3; 32]) });
    assert!(
        matches!(network.run(&[&service("works")], erased), Outcome::Failed(f) if f.code == "contract.error.no_erasure")
    );
    // Asked for and kept by the law: neither step is due, and the contract says so too.
    let chain = network.chain();
    let contract = ContractName::new(document::CONTRACT).unwrap();
    let arguments = encode(&(key(1).id, "requested".to_owned()));
    let ask = Call { contract, method: "request_erasure".into(), arguments };
    assert_eq!(network.run(&[&user("works")], ask), Outcome::Success);
    assert_eq!(chain.document(&key(1)).unwrap().unwrap().erasure, ErasureState::Restricted);
    assert_eq!(chain.due_step(&key(1).id).unwrap(), None);
    for (step, code) in [(ErasureStep::Order, "contract.error.held"), (ErasureStep::Close, "contract.error.no_erasure")]
    {
        let moved = network.run(&[&service("union")], call_of(&Act::MoveErasure { id: key(1).id, step }));
        assert!(matches!(&moved, Outcome::Failed(failure) if failure.code == code), "{moved:?}");
    }
    let anchor = Act::AnchorAudit { previous: Hash32::ZERO, entries: 2, head: Hash32([4; 32]) };
    let anchor = anchor.call("works.node", Hash32::ZERO);
    assert_eq!(network.run(&[&service("works")], anchor), Outcome::Success);
}

#[test]
fn blocks_come_once_in_order_from_the_feed_or_from_the_ledger() {
    let mut network = Network::new();
    network.submit(key(1), 7);
    let reader = network.ledger.reader().clone();
    let head = reader.published().head.height;
    let heights = |inputs: &[Input]| -> Vec<u64> {
        inputs
            .iter()
            .filter_map(|input| match input {
                Input::BlockCommitted { height, .. } => Some(height.0),
                _ => None,
            })
            .collect()
    };
    let changes = |input: &Input| match input {
        Input::BlockCommitted { changes, .. } => changes.clone(),
        _ => Vec::new(),
    };
    // A vault that was at the second block hears the ones above it, with what they changed.
    let mut blocks = Blocks::begin(reader.clone(), Height(2));
    assert!(blocks.due().is_some());
    let taken = blocks.take(Now::default()).unwrap();
    assert_eq!(heights(&taken), (3..=head.0).collect::<Vec<_>>());
    let agreed = ChainChange::Relations(Scope::Party("member:works".into()));
    assert_eq!(changes(&taken[0]), [agreed]);
    assert_eq!(changes(taken.last().unwrap()).first(), Some(&ChainChange::Version(key(1))));
    assert!(blocks.due().is_none() && blocks.take(Now::default()).unwrap().is_empty());
    // One that took in none begins with the newest.
    assert_eq!(heights(&Blocks::begin(reader, Height::ZERO).take(Now::default()).unwrap()), [head.0]);
    // The feed may be ahead, behind, or silent.
    network.submit(key(2), 8);
    network.submit(key(3), 9);
    blocks.came(network.blocks.last().unwrap());
    blocks.came(network.blocks.first().unwrap());
    let taken = blocks.take(Now::default()).unwrap();
    assert_eq!(heights(&taken), [head.0 + 1, head.0 + 2]);
    assert_eq!(changes(&taken[1]).first(), Some(&ChainChange::Version(key(3))));
    // What changes nothing for the vault is told later, together, so that it costs no sync of its own.
    let possession = Possession { id: key(1).id, version: 1, fields: FieldSet::first(2) };
    let held = call_of(&Act::AttestPossession(vec![possession]));
    assert_eq!(network.run(&[&service("works")], held), Outcome::Success);
    assert!(blocks.due().is_some() && blocks.take(Now::default()).unwrap().is_empty() && blocks.due().is_some());
    network.submit(key(4), 10);
    assert_eq!(heights(&blocks.take(Now::default()).unwrap()), [head.0 + 4]);
    assert!(blocks.due().is_none(), "a later height stands for the quiet one");
}

#[test]
fn the_registry_says_who_has_which_key_and_node() {
    let network = Network::new();
    let roster = Roster::of(network.ledger.registry());
    let node = secret(4, place("works")).public();
    assert_eq!((roster.member_of(&node), roster.nodes_of("works")), (Some("works"), &[node][..]));
    assert_eq!(roster.member("works").unwrap().encryption_key, Some((1, encryption_key(place("works")).0)));
    assert!(roster.member("nobody").is_none());
}
