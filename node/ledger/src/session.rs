//! One run of calls against a state: the ledger's side of the contract host.
//!
//! A session owns everything a call may touch, so that it can move into the virtual machine and back out. Calls between
//! contracts nest: the callee's changes and events are undone when it fails, the caller decides what follows from that.

use std::sync::Arc;

use vouch_types::{AccountId, CodeHash, ContractName, Event, Height, TimestampMs};
use vouch_vm::{
    CallContext, CallFailure, CallRequest, DeployError, Entries, FatalError, Host, HostError, Module, ModuleCache, Vm,
    VmError, VmLimits,
};

use crate::{
    kernel, keys,
    overlay::{Checkpoint, Overlay},
    registry::{ContractStanding, Registry},
    storage::StorageError,
};

/// Most bytes of contract code, see also [`vouch_genesis`].
pub const CODE_BYTES_MAX: usize = 512 << 10;

/// The method by which new code makes its contract's state fit itself. Only the members together call it.
pub const MIGRATE: &str = "migrate";

/// The virtual machine and the modules it has compiled.
pub struct Runtime {
    /// The machine.
    pub vm: Vm<Frame>,
    /// Compiled modules by code hash.
    pub modules: ModuleCache<Frame>,
}

/// Most compiled modules kept.
const MODULES_MAX: usize = 128;

impl Runtime {
    /// Sets the machine up.
    ///
    /// # Errors
    /// [`VmError`] when wasmtime cannot start on this machine.
    pub fn new(limits: VmLimits) -> Result<Arc<Self>, VmError> {
        Ok(Arc::new(Self { vm: Vm::new(limits)?, modules: ModuleCache::new(MODULES_MAX) }))
    }
}

impl core::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Runtime").field("modules", &self.modules.len()).finish_non_exhaustive()
    }
}

/// Where and when calls run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Height of the block that is executed; in a query, of the state that is read.
    pub height: Height,
    /// Its time.
    pub time: TimestampMs,
    /// True for queries.
    pub read_only: bool,
}

/// What calls of one block, or one query, work on.
#[derive(Debug)]
pub struct Session {
    /// The state and what was written on top of it.
    pub overlay: Overlay,
    /// The kernel's records as they are now.
    pub registry: Arc<Registry>,
    /// Events of the transaction being executed.
    pub events: Vec<Event>,
    /// Who signed the transaction being executed, the caller first.
    pub signers: Vec<AccountId>,
    /// Where and when.
    pub moment: Moment,
    runtime: Arc<Runtime>,
    /// The contracts on the call stack.
    active: Vec<ContractName>,
}

/// State of a session to go back to.
#[derive(Debug)]
pub(crate) struct Mark {
    overlay: Checkpoint,
    registry: Arc<Registry>,
    events: usize,
}

/// A call's end, the fuel it used, and the session handed back.
pub(crate) type Returned = (Result<Vec<u8>, CallFailure>, u64, Box<Session>);

/// How a run of calls ended.
#[derive(Debug)]
pub struct RunEnd {
    /// The last output, or which call failed, from 0, and why.
    pub result: Result<Vec<u8>, (u16, CallFailure)>,
    /// Fuel used, never more than was given.
    pub fuel_used: u64,
    /// The session, with the changes of a run that succeeded.
    pub session: Box<Session>,
}

/// One call to be run.
struct Plan<'a> {
    contract: &'a ContractName,
    method: &'a str,
    arguments: &'a [u8],
    caller: AccountId,
    from: Option<ContractName>,
    depth: u16,
    read_only: bool,
    fuel: u64,
}

fn failure(code: &str, message: impl Into<String>) -> CallFailure {
    CallFailure { code: code.into(), message: message.into() }
}

impl Session {
    /// Nothing written yet.
    #[must_use]
    pub fn new(overlay: Overlay, registry: Arc<Registry>, moment: Moment, runtime: Arc<Runtime>) -> Box<Self> {
        Box::new(Self {
            overlay,
            registry,
            events: Vec::new(),
            signers: Vec::new(),
            moment,
            runtime,
            active: Vec::new(),
        })
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { overlay: self.overlay.checkpoint(), registry: Arc::clone(&self.registry), events: self.events.len() }
    }

    pub(crate) fn roll_back(&mut self, mark: Mark) {
        self.overlay.roll_back(mark.overlay);
        self.registry = mark.registry;
        self.events.truncate(mark.events);
    }

    /// Runs calls in order, all or none.
    ///
    /// # Errors
    /// [`FatalError`]: the node must stop.
    pub fn run_all(mut self: Box<Self>, calls: &[vouch_types::Call], fuel: u64) -> Result<RunEnd, FatalError> {
        let mark = self.mark();
        let mut used: u64 = 0;
        let mut output = Vec::new();
        for (index, call) in calls.iter().enumerate() {
            let plan = Plan {
                contract: &call.contract,
                method: &call.method,
                arguments: &call.arguments,
                caller: self.signers.first().copied().unwrap_or_default(),
                from: None,
                depth: 0,
                read_only: self.moment.read_only,
                fuel: fuel.saturating_sub(used),
            };
            let (result, call_used, mut session) = self.run(plan)?;
            used = used.saturating_add(call_used).min(fuel);
            match result {
                Ok(bytes) => output = bytes,
                Err(reason) => {
                    session.roll_back(mark);
                    let index = u16::try_from(index).unwrap_or(u16::MAX);
                    return Ok(RunEnd { result: Err((index, reason)), fuel_used: used, session });
                }
            }
            self = session;
        }
        Ok(RunEnd { result: Ok(output), fuel_used: used, session: self })
    }

    /// Runs one call; its changes stand when it succeeds and are undone when it fails.
    fn run(self: Box<Self>, plan: Plan<'_>) -> Result<Returned, FatalError> {
        let mark = self.mark();
        let (result, used, mut session) = if plan.contract.as_str() == keys::SYSTEM {
            if plan.from.is_some() {
                let reason = failure("contract.not_callable", "the kernel is called by transactions, not by contracts");
                return Ok((Err(reason), 0, self));
            }
            let (method, arguments, fuel, read_only) = (plan.method, plan.arguments, plan.fuel, plan.read_only);
            kernel::call(self, &kernel::KernelCall { method, arguments, fuel, read_only })?
        } else {
            self.run_contract(plan)?
        };
        if result.is_err() {
            session.roll_back(mark);
        }
        Ok((result, used, session))
    }

    fn run_contract(mut self: Box<Self>, plan: Plan<'_>) -> Result<Returned, FatalError> {
        if self.active.contains(plan.contract) {
            // A contract that is called back in the middle of a call would see its own half-made changes.
            let reason = failure("contract.reentrance", format!("contract {} is already being called", plan.contract));
            return Ok((Err(reason), 0, self));
        }
        let decided = plan.from.as_ref().is_some_and(|from| from.as_str() == keys::SYSTEM);
        if plan.method == MIGRATE && !decided {
            let reason = failure("contract.reserved_method", "only the members together call migrate, by a proposal");
            return Ok((Err(reason), 0, self));
        }
        let module = match self.module(&plan)? {
            Ok(module) => module,
            Err(reason) => return Ok((Err(reason), 0, self)),
        };
        let context = CallContext {
            contract: plan.contract.clone(),
            caller: plan.caller,
            signers: self.signers.clone(),
            calling_contract: plan.from,
            height: self.moment.height,
            time: self.moment.time,
            read_only: plan.read_only,
            depth: plan.depth,
        };
        self.active.push(plan.contract.clone());
        let runtime = Arc::clone(&self.runtime);
        let frame = Frame { context: context.clone(), session: Some(self) };
        let (outcome, frame) = runtime.vm.call(&module, context, plan.method, plan.arguments, plan.fuel, frame)?;
        let mut session =
            frame.session.ok_or_else(|| FatalError::Host("a call did not hand its session back".into()))?;
        session.active.pop();
        Ok((outcome.result, outcome.fuel_used, session))
    }

    fn module(&self, plan: &Plan<'_>) -> Result<Result<Module<Frame>, CallFailure>, FatalError> {
        let contract = plan.contract;
        let Some(record) = self.registry.contracts.get(contract) else {
            return Ok(Err(failure("contract.unknown", format!("there is no contract {contract}"))));
        };
        match record.standing {
            // New code of a frozen contract makes the state fit before the members unfreeze it.
            ContractStanding::Frozen if plan.method != MIGRATE => {
                return Ok(Err(failure("contract.frozen", format!("contract {contract} is frozen"))));
            }
            ContractStanding::Retired if !plan.read_only => {
                return Ok(Err(failure("contract.retired", format!("contract {contract} is retired"))));
            }
            _ => {}
        }
        self.compiled(&record.code_for(&plan.caller)).map(Ok)
    }

    /// Runs a call that the members decided: by `system`, on behalf of no account and with no signers.
    pub(crate) fn run_decided(
        mut self: Box<Self>,
        call: &vouch_types::Call,
        fuel: u64,
    ) -> Result<Returned, FatalError> {
        let signers = core::mem::take(&mut self.signers);
        let plan = Plan {
            contract: &call.contract,
            method: &call.method,
            arguments: &call.arguments,
            caller: AccountId::ZERO,
            from: Some(kernel::system_name()),
            depth: 1,
            read_only: false,
            fuel,
        };
        let (result, used, mut session) = self.run(plan)?;
        session.signers = signers;
        Ok((result, used, session))
    }

    /// The compiled module of a deployed code.
    ///
    /// # Errors
    /// [`FatalError`] when the code is missing or no longer compiles: then state or build are damaged.
    pub fn compiled(&self, code: &CodeHash) -> Result<Module<Frame>, FatalError> {
        let load = || {
            let key = keys::code(&vouch_types::Hash32(code.0));
            let bytes = self.overlay.get(&key).map_err(|e| Unloadable(e.to_string()))?;
            bytes.ok_or_else(|| Unloadable("it is not in the state".into()))
        };
        self.runtime.modules.get_or_compile(&self.runtime.vm, code, load).map_err(|Unloadable(why)| {
            FatalError::Host(format!("code {code} of a registered contract cannot be run: {why}"))
        })
    }

    /// The machine, for checks at deployment.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

/// Why the code of a registered contract cannot be run.
struct Unloadable(String);

impl From<DeployError> for Unloadable {
    fn from(error: DeployError) -> Self {
        Self(error.to_string())
    }
}

/// One contract's window on a session.
#[derive(Debug)]
pub struct Frame {
    context: CallContext,
    session: Option<Box<Session>>,
}

impl Frame {
    fn session(&mut self) -> Result<&mut Session, HostError> {
        self.session.as_deref_mut().ok_or_else(|| HostError::Fatal("the session is with a nested call".into()))
    }
}

fn host(error: &StorageError) -> HostError {
    HostError::Fatal(error.to_string())
}

impl Host for Frame {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, HostError> {
        let full = keys::contract_key(&self.context.contract, key);
        self.session()?.overlay.get(&full).map_err(|e| host(&e))
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), HostError> {
        let full = keys::contract_key(&self.context.contract, key);
        self.session()?.overlay.set(full, Some(value.to_vec()));
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), HostError> {
        let full = keys::contract_key(&self.context.contract, key);
        let session = self.session()?;
        // A key that was never written must not take a slot for its tombstone.
        if session.overlay.get(&full).map_err(|e| host(&e))?.is_some() {
            session.overlay.set(full, None);
        }
        Ok(())
    }

    fn scan(
        &mut self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: u32,
        passed_max: u64,
    ) -> Result<(Entries, u64), HostError> {
        let space = keys::contract_key(&self.context.contract, b"");
        let lowest = keys::contract_key(&self.context.contract, prefix);
        let mut from = lowest.clone();
        if let Some(after) = after.filter(|a| *a >= prefix) {
            from = keys::contract_key(&self.context.contract, after);
            from.push(0);
        }
        let to = prefix_end(&lowest);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let found = self.session()?.overlay.scan_within(&from, &to, limit, passed_max).map_err(|e| host(&e))?;
        let own = |key: &[u8]| key.get(space.len()..).unwrap_or_default().to_vec();
        Ok((found.entries.into_iter().map(|(key, value)| (own(&key), value)).collect(), found.passed))
    }

    fn event(&mut self, name: &str, data: &[u8]) -> Result<(), HostError> {
        let contract = self.context.contract.clone();
        let session = self.session()?;
        let limits = session.runtime.vm.limits();
        let bytes: usize = session.events.iter().map(|e| e.name.len() + e.data.len()).sum();
        if session.events.len() >= limits.events_max as usize
            || bytes.saturating_add(name.len()).saturating_add(data.len()) > limits.event_bytes_max
        {
            let message = "the transaction emits more events than one may".into();
            return Err(HostError::Refused { code: vouch_vm::code::HOST_LIMIT, message });
        }
        session.events.push(Event { contract, name: name.into(), data: data.to_vec() });
        Ok(())
    }

    fn call(&mut self, request: CallRequest) -> Result<(Result<Vec<u8>, (String, String)>, u64), HostError> {
        let session =
            self.session.take().ok_or_else(|| HostError::Fatal("the session is with a nested call".into()))?;
        let plan = Plan {
            contract: &request.contract,
            method: &request.method,
            arguments: &request.arguments,
            caller: self.context.caller,
            from: Some(self.context.contract.clone()),
            depth: request.depth,
            read_only: request.read_only,
            fuel: request.fuel,
        };
        let (result, used, session) = session.run(plan).map_err(|e| HostError::Fatal(e.to_string()))?;
        self.session = Some(session);
        Ok((result.map_err(|f| (f.code, f.message)), used))
    }

    fn membership(&mut self, account: &AccountId) -> Result<Option<(String, String)>, HostError> {
        let member = self.session()?.registry.member_of(account).map(|m| (m.name.clone(), m.role.as_str().to_owned()));
        Ok(member)
    }

    fn member(&mut self, name: &str) -> Result<Option<(String, bool)>, HostError> {
        Ok(self.session()?.registry.members.get(name).map(|m| (m.role.as_str().to_owned(), m.is_active())))
    }

    fn account_roles(&mut self, account: &AccountId) -> Result<Vec<String>, HostError> {
        Ok(self.session()?.registry.roles_of(account).iter().map(|role| role.as_str().to_owned()).collect())
    }
}

/// The first key after all that begin with `prefix`.
fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // Every key begins with a contract's name, which is ASCII, so a prefix of 0xff bytes only cannot occur.
    vec![u8::MAX]
}
