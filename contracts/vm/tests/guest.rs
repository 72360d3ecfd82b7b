//! The real contracts, as scripts/build-contracts.sh built them, on the engine.
//!
//! `VOUCH_CONTRACTS` names the directory that the script printed.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

#[expect(dead_code, reason = "the other binary uses the rest")]
mod common;

use std::path::PathBuf;

use serde_json::{Value, json};
use vouch_types::{AccountId, abi::Abi};
use vouch_vm::{CallContext, CallFailure, Module, Vm, code};

use common::{FUEL, MemoryHost, context, vm};

fn wasm(name: &str) -> Vec<u8> {
    let directory = std::env::var_os("VOUCH_CONTRACTS")
        .expect("set VOUCH_CONTRACTS to the directory that scripts/build-contracts.sh prints");
    let path = PathBuf::from(directory).join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; run scripts/build-contracts.sh", path.display()))
}

/// A deployed contract: engine, module, ABI and the state its calls leave behind.
struct Deployed {
    vm: Vm<MemoryHost>,
    module: Module<MemoryHost>,
    abi: Abi,
    host: MemoryHost,
    caller: AccountId,
    fuel_used: u64,
}

impl Deployed {
    fn new(name: &str) -> Self {
        let vm = vm();
        let module = vm.compile(&wasm(name)).unwrap();
        let abi = Abi::from_json(&module.info().abi_json).unwrap();
        assert_eq!(abi.name, name);
        Self { vm, module, abi, host: MemoryHost::default(), caller: AccountId([1; 32]), fuel_used: 0 }
    }

    fn bytes(&mut self, method: &str, arguments: &[u8]) -> Result<Vec<u8>, CallFailure> {
        let context = CallContext { caller: self.caller, signers: vec![self.caller], ..context() };
        let before = self.host.clone();
        let run = |host| self.vm.call(&self.module, context.clone(), method, arguments, FUEL, host).unwrap();
        let (outcome, host) = run(before.clone());
        assert_eq!(run(before.clone()), (outcome.clone(), host.clone()), "a second run ends otherwise");
        self.fuel_used = outcome.fuel_used;
        // As the ledger does: a failed call changes nothing.
        self.host = if outcome.result.is_ok() { host } else { before };
        outcome.result
    }

    /// Calls with arguments and result as JSON, translated by the ABI in the module.
    fn call(&mut self, method: &str, arguments: &Value) -> Result<Value, CallFailure> {
        let arguments = self.abi.encode_arguments(method, arguments).unwrap();
        let output = self.bytes(method, &arguments)?;
        Ok(self.abi.decode_result(method, &output).unwrap())
    }

    fn code(&mut self, method: &str, arguments: &Value) -> String {
        self.call(method, arguments).expect_err("the call should fail").code
    }
}

fn hash(byte: u8) -> String {
    hex::encode([byte; 32])
}

#[test]
fn notary_registers_revokes_and_lists() {
    let mut notary = Deployed::new("notary");
    notary.host.members.insert(AccountId([1; 32]), ("hub".to_owned(), "platform".to_owned()));
    let register = |n: u8| json!({"commitment": hash(n), "category": "invoice", "reference": format!("A-{n}")});

    for n in 1..=3 {
        assert_eq!(notary.call("register", &register(n)), Ok(json!(n)));
    }
    assert_eq!(notary.code("register", &register(1)), "contract.error.already_registered");
    let record = notary.call("get", &json!({"commitment": hash(2)})).unwrap();
    assert_eq!(record["member"], "hub");
    assert_eq!(record["sequence"], 2);
    assert_eq!(record["registrar"], hash(1));
    assert_eq!(record["registered"], json!({"height": 5, "time_ms": 1_800_000_000_000u64}));
    assert_eq!(record["standing"], "Valid");
    assert_eq!(record["revoked"], Value::Null);
    assert_eq!(notary.call("get", &json!({"commitment": hash(9)})), Ok(Value::Null));

    assert_eq!(notary.call("revoke", &json!({"commitment": hash(2)})), Ok(Value::Null));
    assert_eq!(notary.code("revoke", &json!({"commitment": hash(2)})), "contract.error.already_revoked");
    notary.caller = AccountId([2; 32]);
    assert_eq!(notary.code("revoke", &json!({"commitment": hash(1)})), "contract.error.not_registrar");
    assert_eq!(notary.code("register", &register(4)), "contract.error.not_a_member");

    let list = notary.call("list", &json!({"after": 1, "limit": 100})).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(list[0]["record"]["standing"], "Revoked");
    assert_eq!(list[1]["commitment"], hash(3));
    assert_eq!(notary.call("count", &Value::Null), Ok(json!(3)));
    assert_eq!(notary.call("count_member", &json!({"member": "hub"})), Ok(json!(3)));

    let names: Vec<&str> = notary.host.events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Registered", "Registered", "Registered", "Revoked"]);
    let (name, data) = &notary.host.events[3];
    assert_eq!(notary.abi.decode_event(name, data).unwrap(), json!({"commitment": hash(2), "sequence": 2}));
}

#[test]
fn declared_errors_are_the_ones_returned() {
    let mut notary = Deployed::new("notary");
    let failure = notary.call("revoke", &json!({"commitment": hash(1)})).unwrap_err();
    let declared = failure.code.strip_prefix(code::ERROR_PREFIX).and_then(|c| notary.abi.error(c)).unwrap();
    assert_eq!(failure.message, declared.title.en);
}

#[test]
fn bytes_that_are_no_arguments_are_refused() {
    let mut notary = Deployed::new("notary");
    let methods: Vec<String> = notary.abi.methods.iter().map(|m| m.name.clone()).collect();
    for method in methods {
        for bytes in [vec![7], vec![0xff; 40], vec![0xff; 1000], vec![0; 5000]] {
            let failure = notary.bytes(&method, &bytes).unwrap_err();
            assert_eq!(failure.code, code::BAD_ARGUMENTS, "{method} {}", bytes.len());
        }
    }
    assert_eq!(notary.bytes("nothing", &[]).unwrap_err().code, code::UNKNOWN_METHOD);
}

#[test]
fn a_panic_in_a_contract_is_a_clean_failure() {
    let mut notary = Deployed::new("notary");
    notary.host.members.insert(AccountId([1; 32]), ("hub".to_owned(), "platform".to_owned()));
    // A counter at its end: adding one overflows, which the contract's build turns into a panic.
    notary.host.state.insert(b"n".to_vec(), vec![0xff; 8]);
    let arguments = json!({"commitment": hash(1), "category": "invoice", "reference": null});
    let failure = notary.call("register", &arguments).unwrap_err();
    assert_eq!(failure.code, code::PANIC);
    assert!(failure.message.contains("overflow") && failure.message.contains("notary"), "{}", failure.message);
    // State that is not of the contract's making.
    notary.host.state.insert(b"n".to_vec(), vec![1]);
    assert_eq!(notary.code("register", &arguments), code::PANIC);
}

#[test]
fn meter_makes_five_host_calls() {
    let mut meter = Deployed::new("meter");
    let mut fuel = Vec::new();
    for n in 1..=3u8 {
        let before = meter.host.accesses;
        assert_eq!(meter.call("record", &json!({"payload": hex::encode([n; 200])})), Ok(json!(n)));
        assert_eq!(meter.host.accesses - before, 5);
        fuel.push(meter.fuel_used);
    }
    assert_eq!(meter.host.state.len(), 2 * 3 + 1);
    assert_eq!(fuel[1], fuel[2], "the same work costs the same");
    assert_eq!(meter.call("recorded", &json!({"account": hash(1)})), Ok(json!(3)));
    assert_eq!(meter.call("payload", &json!({"id": hex::encode([2; 16])})), Ok(json!(hex::encode([2; 200]))));
    assert_eq!(meter.code("record", &json!({"payload": hex::encode([1; 200])})), "contract.error.duplicate");
    assert_eq!(meter.code("record", &json!({"payload": "00"})), code::BAD_ARGUMENTS);
    let large = json!({"payload": hex::encode(vec![5; 65536])});
    assert_eq!(meter.call("record", &large), Ok(json!(4)));
    let larger = json!({"payload": hex::encode(vec![6; 65537])});
    assert_eq!(meter.code("record", &larger), code::HOST_LIMIT);
}

/// The verifier for browsers against the vectors that every verifier must agree with.
#[test]
fn light_checks_proofs_as_the_node_does() {
    let engine = wasmtime::Engine::default();
    let module = wasmtime::Module::new(&engine, wasm("light")).unwrap();
    assert_eq!(module.imports().count(), 0, "it runs anywhere");
    let mut store = wasmtime::Store::new(&engine, ());
    let instance = wasmtime::Instance::new(&mut store, &module, &[]).unwrap();
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    let reserve = instance.get_typed_func::<u32, u32>(&mut store, "reserve").unwrap();
    let verify = instance.get_typed_func::<(), u32>(&mut store, "verify").unwrap();
    let answer_at = instance.get_typed_func::<(), u32>(&mut store, "answer_at").unwrap();
    let answer_bytes = instance.get_typed_func::<(), u32>(&mut store, "answer_bytes").unwrap();
    let mut check = |chain: &[u8], proof: &[u8]| {
        let input = [chain, proof].concat();
        let at = reserve.call(&mut store, u32::try_from(input.len()).unwrap()).unwrap();
        memory.write(&mut store, at as usize, &input).unwrap();
        let holds = verify.call(&mut store, ()).unwrap() == 1;
        let (at, length) = (answer_at.call(&mut store, ()).unwrap(), answer_bytes.call(&mut store, ()).unwrap());
        let answer = memory.data(&store)[at as usize..][..length as usize].to_vec();
        (holds, serde_json::from_slice::<Value>(&answer).unwrap())
    };

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/proof_bundle.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let chain = hex::decode(vectors["chain"].as_str().unwrap()).unwrap();
    let bytes = |vector: &Value| hex::decode(vector["bytes"].as_str().unwrap()).unwrap();
    let (accepted, refused) = (vectors["accepted"].as_array().unwrap(), vectors["refused"].as_array().unwrap());
    assert!(!accepted.is_empty() && !refused.is_empty());
    for vector in accepted {
        let (holds, answer) = check(&chain, &bytes(vector));
        assert!(holds, "{answer}");
        assert_eq!(answer["block"], vector["block"]);
        let other_chain = [0; 32];
        assert!(!check(&other_chain, &bytes(vector)).0, "holds for one chain only");
    }
    for vector in refused {
        let (holds, answer) = check(&chain, &bytes(vector));
        assert!(!holds && answer["error"].is_string(), "{answer}");
    }
    assert_eq!(reserve.call(&mut store, u32::MAX).unwrap(), 0, "more than any proof has");
}
