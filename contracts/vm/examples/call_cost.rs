//! Prints what a call costs on this machine, in microseconds of CPU time.
//!
//! `cargo run -p vouch-vm --example call_cost [DIRECTORY]`, where the directory holds meter.wasm; without it a module
//! written as text makes the same five host calls.

use std::collections::BTreeMap;

use cpu_time::ThreadTime;
use vouch_types::{AccountId, ContractName, Height, TimestampMs};
use vouch_vm::{CallContext, CallRequest, CalleeOutcome, Entries, Host, HostError, Module, Vm, VmLimits};

const FUEL: u64 = 50_000_000;
const ROUNDS: usize = 9;
const CALLS: u32 = 2_000;

/// State in memory, so that the engine is measured and not a store.
#[derive(Default)]
struct MemoryState(BTreeMap<Vec<u8>, Vec<u8>>);

impl Host for MemoryState {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, HostError> {
        Ok(self.0.get(key).cloned())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), HostError> {
        self.0.insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), HostError> {
        self.0.remove(key);
        Ok(())
    }

    fn scan(&mut self, _: &[u8], _: Option<&[u8]>, _: u32, _: u64) -> Result<(Entries, u64), HostError> {
        Ok((Vec::new(), 0))
    }

    fn event(&mut self, _: &str, _: &[u8]) -> Result<(), HostError> {
        Ok(())
    }

    fn call(&mut self, _: CallRequest) -> Result<CalleeOutcome, HostError> {
        Err(HostError::Fatal("no other contract here".to_owned()))
    }

    fn membership(&mut self, _: &AccountId) -> Result<Option<(String, String)>, HostError> {
        Ok(None)
    }

    fn member(&mut self, _: &str) -> Result<Option<(String, bool)>, HostError> {
        Ok(None)
    }

    fn account_roles(&mut self, _: &AccountId) -> Result<Vec<String>, HostError> {
        Ok(Vec::new())
    }
}

const TEXT: &str = r#"(module
    (import "vouch" "input" (func $input (param i32)))
    (import "vouch" "get" (func $get (param i32 i32 i32 i32) (result i64)))
    (import "vouch" "put" (func $put (param i32 i32 i32 i32)))
    (memory (export "memory") 1)
    (func (export "vouch_call") (param $len i32)
        (call $input (i32.const 0))
        (drop (call $get (i32.const 1) (i32.const 32) (i32.const 4096) (i32.const 256)))
        (drop (call $get (i32.const 9) (i32.const 32) (i32.const 4096) (i32.const 256)))
        (call $put (i32.const 1) (i32.const 32) (i32.const 0) (i32.const 100))
        (call $put (i32.const 9) (i32.const 32) (i32.const 0) (i32.const 100))
        (call $put (i32.const 17) (i32.const 32) (i32.const 0) (i32.const 8)))
    (@custom "vouch-abi" "{\"abi\":1,\"name\":\"text\",\"version\":\"1\",\"methods\":[{\"name\":\"record\",\"kind\":\"call\"}]}"))"#;

fn context() -> CallContext {
    let caller = AccountId([1; 32]);
    CallContext {
        contract: ContractName::new("meter").expect("a legal name"),
        caller,
        signers: vec![caller],
        calling_contract: None,
        height: Height(1),
        time: TimestampMs(1),
        read_only: false,
        depth: 0,
    }
}

/// Arguments of the meter: 200 bytes whose first 16 are new each time.
fn arguments(n: u64) -> Vec<u8> {
    let mut payload = 200u64.to_le_bytes().to_vec();
    payload.extend_from_slice(&n.to_le_bytes());
    payload.resize(8 + 200, 7);
    payload
}

/// Median microseconds of CPU time per call, and the fuel of the last one.
fn measure(vm: &Vm<MemoryState>, module: &Module<MemoryState>) -> (f64, u64) {
    let (mut n, mut fuel) = (0, 0);
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let mut host = MemoryState::default();
            let start = ThreadTime::now();
            for _ in 0..CALLS {
                n += 1;
                let called = vm.call(module, context(), "record", &arguments(n), FUEL, host);
                let (outcome, back) = called.expect("the host does not fail");
                outcome.result.expect("the call succeeds");
                (fuel, host) = (outcome.fuel_used, back);
            }
            start.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    (rounds[ROUNDS / 2], fuel)
}

fn main() {
    let vm = Vm::new(VmLimits::default()).expect("the engine starts");
    let mut modules = vec![("five host calls, text", wat::parse_str(TEXT).expect("the text is a module"))];
    if let Some(directory) = std::env::args().nth(1) {
        let path = std::path::Path::new(&directory).join("meter.wasm");
        modules.push(("meter.record", std::fs::read(&path).expect("the directory holds meter.wasm")));
    }
    for (name, code) in modules {
        let start = cpu_time::ProcessTime::now();
        let module = vm.compile(&code).expect("the module is accepted");
        let compile_ms = start.elapsed().as_secs_f64() * 1e3;
        let (call_us, fuel) = measure(&vm, &module);
        println!(
            "{name}: {call_us:.1} us CPU per call, {fuel} fuel, {} bytes, compiled in {compile_ms:.0} ms CPU",
            code.len()
        );
    }
}
