//! A host in memory and short ways to write modules and calls.

use std::collections::BTreeMap;

use vouch_types::{AccountId, ContractName, Height, TimestampMs};
use vouch_vm::{
    CallContext, CallFailure, CallOutcome, CallRequest, CalleeOutcome, DeployError, Entries, FatalError, Host,
    HostError, Module, Vm, VmLimits,
};

/// State, events and members in memory; keys beginning with `fatal` make the host fail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryHost {
    pub state: BTreeMap<Vec<u8>, Vec<u8>>,
    pub events: Vec<(String, Vec<u8>)>,
    /// Member and role of accounts.
    pub members: BTreeMap<AccountId, (String, String)>,
    /// Role and standing of members.
    pub standings: BTreeMap<String, (String, bool)>,
    /// What accounts may do.
    pub roles: BTreeMap<AccountId, Vec<String>>,
    /// What a called contract answers, and the fuel it uses.
    pub callee: Option<CalleeOutcome>,
    pub requests: Vec<CallRequest>,
    /// Number of state accesses.
    pub accesses: u32,
    /// Deleted keys that a scan passes over.
    pub passed: u64,
}

impl MemoryHost {
    fn access(&mut self, key: &[u8]) -> Result<(), HostError> {
        self.accesses += 1;
        if key.starts_with(b"fatal") { Err(HostError::Fatal("disk".to_owned())) } else { Ok(()) }
    }
}

impl Host for MemoryHost {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, HostError> {
        self.access(key)?;
        Ok(self.state.get(key).cloned())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), HostError> {
        self.access(key)?;
        self.state.insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), HostError> {
        self.access(key)?;
        self.state.remove(key);
        Ok(())
    }

    fn scan(&mut self, prefix: &[u8], after: Option<&[u8]>, limit: u32, _: u64) -> Result<(Entries, u64), HostError> {
        self.access(prefix)?;
        let entries =
            self.state.iter().filter(|(k, _)| k.starts_with(prefix) && after.is_none_or(|a| k.as_slice() > a));
        Ok((entries.take(limit as usize).map(|(k, v)| (k.clone(), v.clone())).collect(), self.passed))
    }

    fn event(&mut self, name: &str, data: &[u8]) -> Result<(), HostError> {
        if name == "Refused" {
            return Err(HostError::Refused { code: "ledger.events", message: "not now".to_owned() });
        }
        self.events.push((name.to_owned(), data.to_vec()));
        Ok(())
    }

    fn call(&mut self, request: CallRequest) -> Result<CalleeOutcome, HostError> {
        self.requests.push(request);
        self.callee.clone().ok_or_else(|| HostError::Fatal("no callee".to_owned()))
    }

    fn membership(&mut self, account: &AccountId) -> Result<Option<(String, String)>, HostError> {
        Ok(self.members.get(account).cloned())
    }

    fn member(&mut self, name: &str) -> Result<Option<(String, bool)>, HostError> {
        Ok(self.standings.get(name).cloned())
    }

    fn account_roles(&mut self, account: &AccountId) -> Result<Vec<String>, HostError> {
        Ok(self.roles.get(account).cloned().unwrap_or_default())
    }
}

pub const FUEL: u64 = 10_000_000;

pub const ABI: &str = r#"{\"abi\":1,\"name\":\"t\",\"version\":\"1.0.0\",\"methods\":[{\"name\":\"run\",\"kind\":\"call\"},{\"name\":\"look\",\"kind\":\"query\"}]}"#;

/// A module with a page of memory, the ABI of [`ABI`], `imports` as names, and the entry's `body`.
pub fn contract(imports: &[&str], body: &str) -> Vec<u8> {
    module(imports, &format!("(func (export \"vouch_call\") (param $len i32) {body})"))
}

/// The same with any definitions.
pub fn module(imports: &[&str], definitions: &str) -> Vec<u8> {
    let imports: String = imports.iter().map(|name| import(name)).collect();
    let text =
        format!("(module {imports} (memory (export \"memory\") 1) {definitions} (@custom \"vouch-abi\" \"{ABI}\"))");
    wat::parse_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn import(name: &str) -> String {
    let ty = match name {
        "input" | "pending" => "(param i32)",
        "output" | "refuse" | "abort" | "delete" => "(param i32 i32)",
        "fail" | "put" | "event" => "(param i32 i32 i32 i32)",
        "get" | "member" => "(param i32 i32 i32 i32) (result i64)",
        "scan" => "(param i32 i32 i32 i32 i32 i32 i32) (result i64)",
        "call" => "(param i32 i32 i32 i32 i32 i32 i64 i32 i32) (result i64)",
        "membership" | "account_roles" => "(param i32 i32 i32) (result i64)",
        "hash" => "(param i32 i32 i32 i32 i32)",
        "verify" => "(param i32 i32 i32 i32) (result i32)",
        other => panic!("no import {other}"),
    };
    format!("(import \"vouch\" \"{name}\" (func ${name} {ty})) ")
}

pub fn vm() -> Vm<MemoryHost> {
    Vm::new(VmLimits { concurrent_calls_max: 4, ..VmLimits::default() }).unwrap()
}

pub fn context() -> CallContext {
    CallContext {
        contract: ContractName::new("t").unwrap(),
        caller: AccountId([7; 32]),
        signers: vec![AccountId([7; 32])],
        calling_contract: None,
        height: Height(5),
        time: TimestampMs(1_800_000_000_000),
        read_only: false,
        depth: 0,
    }
}

/// Runs `run` with a fresh host twice and requires the same end, fuel and host both times.
pub fn run(code: &[u8]) -> (CallOutcome, MemoryHost) {
    run_on(code, "run", MemoryHost::default())
}

pub fn run_on(code: &[u8], method: &str, host: MemoryHost) -> (CallOutcome, MemoryHost) {
    let (vm, other_vm) = (vm(), vm());
    let module = vm.compile(code).unwrap();
    let other_module = other_vm.compile(code).unwrap();
    let first = call(&vm, &module, method, &[], FUEL, host.clone()).unwrap();
    let again = call(&vm, &module, method, &[], FUEL, host.clone()).unwrap();
    let other = call(&other_vm, &other_module, method, &[], FUEL, host).unwrap();
    assert_eq!(first, again, "a second call ends otherwise");
    assert_eq!(first, other, "another engine ends otherwise");
    assert!(first.0.fuel_used <= FUEL);
    first
}

pub fn call(
    vm: &Vm<MemoryHost>,
    module: &Module<MemoryHost>,
    method: &str,
    arguments: &[u8],
    fuel: u64,
    host: MemoryHost,
) -> Result<(CallOutcome, MemoryHost), FatalError> {
    vm.call(module, context(), method, arguments, fuel, host)
}

/// The failure that running a module ends in.
pub fn failure(code: &[u8]) -> CallFailure {
    run(code).0.result.expect_err("the call should fail")
}

/// The reason a module is refused.
pub fn refusal(code: &[u8]) -> DeployError {
    let vm = vm();
    let error = vm.validate(code).expect_err("the module should be refused");
    assert_eq!(vm.compile(code).err(), Some(error.clone()), "compiling must refuse what validating refuses");
    error
}
