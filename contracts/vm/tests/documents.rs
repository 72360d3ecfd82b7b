//! The contracts `documents` and `relations` as they were compiled, calling each other on the engine: the same answers as on
//! the test kit, within the host's limits, and for the fuel that `docs/documents.md` says.
//!
//! `VOUCH_CONTRACTS` names the directory that scripts/build-contracts.sh printed.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use serde_json::{Value, json};
use vouch_types::{AccountId, ContractName, Height, TimestampMs, abi::Abi};
use vouch_vm::{
    CallContext, CallFailure, CallRequest, CalleeOutcome, Entries, Host, HostError, Module, Vm, VmLimits, code,
};

/// As much as a transaction may use.
const FUEL: u64 = 50_000_000;
const START_MS: u64 = 1_800_000_000_000;
const CALLER: AccountId = AccountId([1; 32]);

type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// A contract's module and description.
#[derive(Clone)]
struct Deployed {
    module: Module<Frame>,
    abi: Arc<Abi>,
}

/// What all contracts of one chain share.
#[derive(Clone)]
struct Chain {
    vm: Arc<Vm<Frame>>,
    deployed: Arc<BTreeMap<String, Deployed>>,
    states: BTreeMap<String, State>,
    events: Vec<(String, Vec<u8>)>,
    members: BTreeMap<AccountId, (String, String)>,
    time_ms: u64,
}

/// One running call: the chain is with it until it calls another contract or ends.
struct Frame {
    context: CallContext,
    chain: Option<Chain>,
}

impl Frame {
    fn chain(&mut self) -> &mut Chain {
        self.chain.as_mut().unwrap()
    }

    fn state(&mut self) -> &mut State {
        let name = self.context.contract.to_string();
        self.chain().states.entry(name).or_default()
    }
}

impl Host for Frame {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, HostError> {
        Ok(self.state().get(key).cloned())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), HostError> {
        self.state().insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), HostError> {
        self.state().remove(key);
        Ok(())
    }

    fn scan(&mut self, prefix: &[u8], after: Option<&[u8]>, limit: u32, _: u64) -> Result<(Entries, u64), HostError> {
        let state = self.state();
        let found = state.iter().filter(|(k, _)| k.starts_with(prefix) && after.is_none_or(|a| k.as_slice() > a));
        Ok((found.take(limit as usize).map(|(k, v)| (k.clone(), v.clone())).collect(), 0))
    }

    fn event(&mut self, name: &str, data: &[u8]) -> Result<(), HostError> {
        self.chain().events.push((name.to_owned(), data.to_vec()));
        Ok(())
    }

    fn call(&mut self, request: CallRequest) -> Result<CalleeOutcome, HostError> {
        let context = CallContext {
            contract: request.contract.clone(),
            calling_contract: Some(self.context.contract.clone()),
            read_only: request.read_only,
            depth: request.depth,
            ..self.context.clone()
        };
        let before = self.chain.take().unwrap();
        let (result, used, after) = run(before.clone(), context, &request.method, &request.arguments, request.fuel);
        let failed = result.is_err();
        self.chain = Some(if failed { before } else { after });
        Ok((result.map_err(|failure| (failure.code, failure.message)), used))
    }

    fn membership(&mut self, account: &AccountId) -> Result<Option<(String, String)>, HostError> {
        Ok(self.chain().members.get(account).cloned())
    }

    fn member(&mut self, name: &str) -> Result<Option<(String, bool)>, HostError> {
        let found = self.chain().members.values().find(|(member, _)| member == name);
        Ok(found.map(|(_, role)| (role.clone(), true)))
    }

    fn account_roles(&mut self, account: &AccountId) -> Result<Vec<String>, HostError> {
        let all = ["approver", "auditor", "reader", "service", "submitter"];
        let known = self.chain().members.contains_key(account);
        Ok(if known { all.map(str::to_owned).to_vec() } else { Vec::new() })
    }
}

/// Runs a call; a failed one leaves the chain as it was.
fn run(
    chain: Chain,
    context: CallContext,
    method: &str,
    arguments: &[u8],
    fuel: u64,
) -> (Result<Vec<u8>, CallFailure>, u64, Chain) {
    let module = chain.deployed.get(&context.contract.to_string()).unwrap().module.clone();
    let vm = Arc::clone(&chain.vm);
    let before = chain.clone();
    let frame = Frame { context: context.clone(), chain: Some(chain) };
    let (outcome, frame) = vm.call(&module, context, method, arguments, fuel, frame).unwrap();
    let after = if outcome.result.is_ok() { frame.chain.unwrap() } else { before };
    (outcome.result, outcome.fuel_used, after)
}

fn wasm(name: &str) -> Vec<u8> {
    let directory = std::env::var_os("VOUCH_CONTRACTS")
        .expect("set VOUCH_CONTRACTS to the directory that scripts/build-contracts.sh prints");
    let path = PathBuf::from(directory).join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; run scripts/build-contracts.sh", path.display()))
}

const MEMBERS: [(&str, &str); 5] = [
    ("union", "institution"),
    ("works", "enterprise"),
    ("tax", "regulator"),
    ("court", "institution"),
    ("shop", "enterprise"),
];

fn account(member: &str) -> AccountId {
    let mut bytes = [0; 32];
    bytes[..member.len()].copy_from_slice(member.as_bytes());
    AccountId(bytes)
}

struct World {
    chain: Chain,
    /// Most fuel that a call of each method used.
    fuel: BTreeMap<String, u64>,
}

impl World {
    fn new() -> Self {
        let vm = Arc::new(Vm::new(VmLimits { concurrent_calls_max: 4, ..VmLimits::default() }).unwrap());
        let mut deployed = BTreeMap::new();
        for name in ["documents", "relations"] {
            let module = vm.compile(&wasm(name)).unwrap();
            let abi = Arc::new(Abi::from_json(&module.info().abi_json).unwrap());
            assert_eq!(abi.name, name);
            deployed.insert(name.to_owned(), Deployed { module, abi });
        }
        let members = MEMBERS.map(|(name, role)| (account(name), (name.to_owned(), role.to_owned())));
        let chain = Chain {
            vm,
            deployed: Arc::new(deployed),
            states: BTreeMap::new(),
            events: Vec::new(),
            members: members.into_iter().collect(),
            time_ms: START_MS,
        };
        Self { chain, fuel: BTreeMap::new() }
    }

    fn call_as(
        &mut self,
        caller: AccountId,
        from: Option<&str>,
        contract: &str,
        method: &str,
        arguments: &Value,
    ) -> Result<Value, CallFailure> {
        let abi = Arc::clone(&self.chain.deployed[contract].abi);
        let arguments = abi.encode_arguments(method, arguments).unwrap_or_else(|e| panic!("{method}: {e}"));
        let context = CallContext {
            contract: ContractName::new(contract).unwrap(),
            caller,
            signers: vec![caller],
            calling_contract: from.map(|name| ContractName::new(name).unwrap()),
            height: Height(5),
            time: TimestampMs(self.chain.time_ms),
            read_only: false,
            depth: 0,
        };
        let (again, used_again, _) = run(self.chain.clone(), context.clone(), method, &arguments, FUEL);
        self.chain.events.clear();
        let (result, used, chain) = run(self.chain.clone(), context, method, &arguments, FUEL);
        assert_eq!((&again, used_again), (&result, used), "a second run ends otherwise");
        self.chain = chain;
        let events = &self.chain.events;
        let bytes: usize = events.iter().map(|(name, data)| name.len() + data.len()).sum();
        assert!(events.len() <= 64 && bytes <= 64 << 10, "{method}: {} events, {bytes} bytes", events.len());
        let most = self.fuel.entry(format!("{contract}.{method}")).or_default();
        *most = used.max(*most);
        result.map(|output| abi.decode_result(method, &output).unwrap())
    }

    fn by(&mut self, member: &str, method: &str, arguments: &Value) -> Value {
        self.call_as(account(member), None, "documents", method, arguments)
            .unwrap_or_else(|e| panic!("{method}: {e:?}"))
    }

    fn relate(&mut self, member: &str, method: &str, arguments: &Value) -> Value {
        self.call_as(account(member), None, "relations", method, arguments)
            .unwrap_or_else(|e| panic!("{method}: {e:?}"))
    }

    fn decide(&mut self, method: &str, arguments: &Value) -> Value {
        self.call_as(CALLER, Some("system"), "documents", method, arguments)
            .unwrap_or_else(|e| panic!("{method}: {e:?}"))
    }
}

fn sample(name: &str) -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../genesis/sample/schemas");
    serde_json::from_str(&std::fs::read_to_string(format!("{path}/{name}.json")).unwrap()).unwrap()
}

fn id(n: u8) -> String {
    vouch_types::DocumentId::issued("union", [n; 10]).to_string()
}

fn hash(n: u8) -> String {
    hex::encode([n; 32])
}

fn person() -> Value {
    json!({"member": null, "subject": hash(7)})
}

fn member(name: &str) -> Value {
    json!({"member": name, "subject": null})
}

fn content(root: u8, parties: &[(&str, Value)], references: &[(&str, u8)]) -> Value {
    let parties: Vec<Value> = parties.iter().map(|(role, party)| json!({"role": role, "party": party})).collect();
    let references: Vec<Value> =
        references.iter().map(|(name, n)| json!({"name": name, "id": id(*n), "version": 1})).collect();
    json!({
        "schema_version": 1, "root": hash(root), "blob_root": null, "parties": parties, "references": references,
        "public": [], "recipients": [],
    })
}

fn submit(world: &mut World, n: u8, schema: &str, parties: &[(&str, Value)], references: &[(&str, u8)]) {
    let content = content(n, parties, references);
    world.by("union", "submit", &json!({"id": id(n), "schema": schema, "content": content}));
}

/// Members, relationships, the sample schemas, and a chain of five documents.
fn world() -> World {
    let mut world = World::new();
    for name in ["worker-identity", "enterprise-identity", "service-contract", "service-transaction", "service-invoice"]
    {
        world.decide("register_schema", &json!({"definition": sample(name)}));
    }
    world.relate("union", "register_subject", &json!({"alias": hash(7), "key": null, "proof": null}));
    let relationship = |kind: &str, by: &str, party: Value, via: Value| {
        json!({"relationship": {
            "kind": kind, "member": by, "party": party, "via": via, "from_ms": null, "until_ms": null,
        }})
    };
    world.relate("union", "offer", &relationship("Serves", "union", member("works"), Value::Null));
    world.relate("works", "answer", &json!({"ids": [2], "accept": true}));
    world.relate("works", "offer", &relationship("Receives", "works", person(), json!("union")));
    world.relate("union", "answer", &json!({"ids": [3], "accept": true}));
    world.relate(
        "tax",
        "offer",
        &relationship("Regulates", "tax", json!({"member": null, "subject": null}), Value::Null),
    );
    let all = [("worker", person()), ("client", member("works")), ("institution", member("union"))];
    submit(&mut world, 1, "worker-identity", &[("worker", person())], &[]);
    submit(&mut world, 2, "enterprise-identity", &[("enterprise", member("works"))], &[]);
    submit(&mut world, 3, "service-contract", &all, &[("worker_identity", 1), ("client_identity", 2)]);
    let version = json!({"id": id(3), "version": 1});
    world.by("works", "sign", &version);
    world.by("union", "sign", &version);
    world.by("union", "sign_for", &json!({"id": id(3), "version": 1, "subject": hash(7), "signature": null}));
    submit(&mut world, 4, "service-transaction", &all, &[("contract", 3)]);
    submit(
        &mut world,
        5,
        "service-invoice",
        &[("buyer", member("works")), ("seller", member("union"))],
        &[("transaction", 4)],
    );
    world
}

fn may(world: &mut World, asker: &str, n: u8, purpose: &str) -> Value {
    let arguments = json!({"account": account(asker), "action": "Read", "id": id(n), "version": 1, "purpose": purpose});
    world.by("shop", "may", &arguments)
}

#[test]
fn a_chain_of_evidence_stands_and_is_read_by_those_entitled() {
    let mut world = world();
    let audience = world.by("shop", "audience", &json!({"id": id(4), "version": 1}));
    let names: Vec<&str> =
        audience["members"].as_array().unwrap().iter().map(|m| m["member"].as_str().unwrap()).collect();
    assert_eq!(names, ["tax", "union", "works"]);
    assert_eq!(may(&mut world, "works", 4, "settlement")["allowed"], true);
    assert_eq!(may(&mut world, "shop", 4, "settlement")["reason"], "not_entitled");
    assert_eq!(may(&mut world, "works", 4, "supervision")["reason"], "purpose_not_allowed");
    let upstream = world.by("shop", "upstream", &json!({"id": id(5), "version": 1}));
    assert_eq!(upstream["edges"].as_array().unwrap().len(), 4);
    // The relationship ends, and so does the reading.
    world.relate("works", "end", &json!({"ids": [3]}));
    assert_eq!(may(&mut world, "works", 1, "service")["allowed"], false);
    // A nested call's failure is the caller's to handle: without `relations` nobody is entitled to anything.
    let mut alone = world.chain.clone();
    alone.states.remove("relations");
    world.chain = alone;
    let arguments = json!({"id": id(1), "version": 1});
    let audience = world.by("shop", "audience", &arguments);
    assert_eq!(audience["members"].as_array().unwrap().len(), 1, "the issuer alone");
}

#[test]
fn bytes_that_are_no_arguments_are_refused() {
    let world = World::new();
    for (name, deployed) in world.chain.deployed.iter() {
        for method in &deployed.abi.methods {
            for bytes in [vec![7], vec![0xff; 43], vec![0xff; 1000], vec![0; 5000]] {
                let context = CallContext {
                    contract: ContractName::new(name.as_str()).unwrap(),
                    caller: CALLER,
                    signers: vec![CALLER],
                    calling_contract: None,
                    height: Height(5),
                    time: TimestampMs(START_MS),
                    read_only: false,
                    depth: 0,
                };
                let (result, _, _) = run(world.chain.clone(), context, &method.name, &bytes, FUEL);
                assert_eq!(result.unwrap_err().code, code::BAD_ARGUMENTS, "{name}.{} {}", method.name, bytes.len());
            }
        }
    }
}

/// A document with as many grants, holders and enterprises as may be still fits fuel, output and events.
#[test]
fn the_largest_legal_document_stays_within_the_limits() {
    let mut world = world();
    for n in 0..200u16 {
        let name = format!("buyer{n}");
        world.chain.members.insert(account(&name), (name.clone(), "enterprise".to_owned()));
        let offer = json!({"relationship": {
            "kind": "Receives", "member": name, "party": person(), "via": "union", "from_ms": null, "until_ms": null,
        }});
        if n < 199 {
            let number = world.relate(&name, "offer", &offer);
            world.relate("union", "answer", &json!({"ids": [number], "accept": true}));
        }
    }
    for n in 0..64u8 {
        let to = if n % 2 == 0 { (json!(format!("buyer{n}")), Value::Null) } else { (Value::Null, json!(hash(n))) };
        let new = json!({"member": to.0, "key": to.1, "fields": "ff3f", "purpose": "insurance", "until_ms": null});
        world.by("union", "grant", &json!({"id": id(1), "version": 1, "new": new}));
    }
    let audience = world.by("shop", "audience", &json!({"id": id(1), "version": 1}));
    assert_eq!(audience["members"].as_array().unwrap().len(), 199 + 3);
    assert_eq!(audience["keys"].as_array().unwrap().len(), 32);
    assert_eq!(may(&mut world, "buyer0", 1, "insurance")["fields"], "ff3f");
    // Its erasure waits for all of them, and each attests.
    world.chain.time_ms += 2000 * 86_400_000;
    world.by("union", "request_erasure", &json!({"id": id(1), "code": "consent"}));
    let erasure = world.by("shop", "erasure", &json!({"id": id(1)}));
    let holders: Vec<String> = serde_json::from_value(erasure["holders"].clone()).unwrap();
    assert_eq!(holders.len(), 202);
    for holder in holders {
        world.by(&holder, "attest_erasure", &json!({"id": id(1), "receipt": hash(1)}));
    }
    assert_eq!(world.by("shop", "document", &json!({"id": id(1)}))["erasure"], "Erased");
    let worst = world.fuel.values().max().unwrap();
    assert!(*worst < FUEL / 2, "{:?}", world.fuel);
}

/// Everything once with a document of ordinary size; the table in the documentation says what it costs.
#[test]
fn fuel_is_what_the_documentation_says() {
    let mut world = world();
    world.decide("set_arbiters", &json!({"members": ["court"]}));
    let version = || json!({"id": id(4), "version": 1});
    world.by("union", "judge", &json!({"id": id(4), "version": 1, "accepted": true, "code": "ok"}));
    let new = json!({"member": "shop", "key": null, "fields": "03", "purpose": "insurance", "until_ms": null});
    let grant = world.by("union", "grant", &json!({"id": id(4), "version": 1, "new": new}));
    world.by("union", "end_grant", &json!({"id": grant}));
    let dispute = world.by(
        "works",
        "open_dispute",
        &json!({"id": id(4), "version": 1, "arbiter": "court", "code": "amount", "claim": hash(1)}),
    );
    world.by("union", "answer_dispute", &json!({"dispute": dispute, "statement": hash(2)}));
    world.by("works", "add_evidence", &json!({"dispute": dispute, "id": id(4), "version": 1, "fields": "21"}));
    world.by("court", "rule", &json!({"dispute": dispute, "effect": "Upheld", "code": "ok", "statement": hash(3)}));
    let held: Vec<Value> = (0..100).map(|_| json!({"id": id(4), "version": 1, "fields": "ff"})).collect();
    world.by("union", "attest_possession", &json!({"versions": held}));
    world.by("union", "anchor_audit", &json!({"node": "n1", "previous": hash(0), "entries": 10, "head": hash(1)}));
    world.by("shop", "audience", &version());
    may(&mut world, "works", 4, "settlement");
    world.by(
        "union",
        "revise",
        &json!({"id": id(1), "previous_root": hash(1), "content": content(9, &[("worker", person())], &[])}),
    );
    world.by("union", "revoke", &json!({"id": id(5), "code": "error"}));
    world.by("shop", "list", &json!({"after": 0, "limit": 50}));
    world.chain.time_ms += 4000 * 86_400_000;
    world.by("works", "request_erasure", &json!({"id": id(4), "code": "consent"}));
    for holder in ["tax", "union", "works"] {
        world.by(holder, "attest_erasure", &json!({"id": id(4), "receipt": hash(1)}));
    }

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/documents.md");
    let text = std::fs::read_to_string(path).unwrap();
    let table: Vec<(String, u64)> = text
        .lines()
        .skip_while(|line| *line != "| method | thousand units of fuel |")
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            (cells[1].trim_matches('`').to_owned(), cells[2].parse::<u64>().unwrap() * 1000)
        })
        .collect();
    let measured: Vec<String> =
        world.fuel.iter().map(|(name, fuel)| format!("| `{name}` | {} |", fuel / 1000)).collect();
    assert!(table.len() >= 20, "measured:\n{}", measured.join("\n"));
    for (method, documented) in table {
        let used = world.fuel.get(&method).copied().unwrap_or_else(|| panic!("{method} is not measured"));
        // Another compiler makes other code, so the table is not exact.
        let near = used.saturating_mul(3) <= documented.saturating_mul(4) && documented * 3 <= used * 4;
        assert!(near, "{method} uses {used}, not {documented}; measured:\n{}", measured.join("\n"));
    }
}
