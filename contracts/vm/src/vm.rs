//! Compiles modules and runs calls.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, InstancePre, Linker, ModuleExport, PoolingAllocationConfig, Store,
    Strategy, Trap,
};

use vouch_types::abi::MethodKind;

use crate::{
    error::{CallFailure, DeployError, FatalError, Stop, VmError, code},
    host::{CallContext, Host},
    imports,
    instrument::{COUNTER_EXPORT, instrument},
    limits::{VmLimits, price},
    state::{Caps, State},
    validate::{ENTRY_EXPORT, MEMORY_EXPORT, ModuleInfo, validate},
    wire,
};

/// Guard pages behind each memory; accesses are checked, so this is a second fence.
const GUARD_BYTES: u64 = 64 << 10;
/// Memory of an instance that is zeroed by copying instead of giving the pages back.
const KEEP_RESIDENT_BYTES: usize = 256 << 10;

/// The engine that runs contracts. One per node and kind of [`Host`]; shared between threads by reference.
///
/// A thread that calls it needs [`crate::THREAD_STACK_BYTES_MIN`] of stack.
pub struct Vm<H: Host + 'static> {
    engine: Engine,
    linker: Linker<State<H>>,
    limits: Arc<VmLimits>,
    slots: Slots,
}

/// A compiled module; cloning it copies a pointer.
pub struct Module<H: Host + 'static>(Arc<Compiled<H>>);

struct Compiled<H: Host + 'static> {
    info: ModuleInfo,
    pre: InstancePre<State<H>>,
    memory: ModuleExport,
    entry: ModuleExport,
    counter: ModuleExport,
}

impl<H: Host + 'static> core::fmt::Debug for Vm<H> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Vm").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<H: Host + 'static> core::fmt::Debug for Module<H> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let abi = &self.0.info.abi;
        f.debug_struct("Module").field("name", &abi.name).field("version", &abi.version).finish_non_exhaustive()
    }
}

impl<H: Host + 'static> Clone for Module<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<H: Host + 'static> Module<H> {
    /// What validation learned.
    #[must_use]
    pub fn info(&self) -> &ModuleInfo {
        &self.0.info
    }

    /// What a method may do; `None` when the ABI names no such method.
    #[must_use]
    pub fn method_kind(&self, method: &str) -> Option<MethodKind> {
        self.0.info.methods.get(method).copied()
    }
}

/// How a call ended and what it cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallOutcome {
    /// The encoded result, or why there is none. The caller undoes the changes of a failed call.
    pub result: Result<Vec<u8>, CallFailure>,
    /// Fuel used, also by a call that failed; never more than was given.
    pub fuel_used: u64,
}

impl<H: Host + 'static> Vm<H> {
    /// Sets up compiler and memory pool.
    ///
    /// # Errors
    /// [`VmError`] when wasmtime refuses the configuration or address space cannot be reserved.
    pub fn new(limits: VmLimits) -> Result<Self, VmError> {
        let error = |e: wasmtime::Error| VmError::Engine(format!("{e:#}"));
        let engine = Engine::new(&config(&limits)).map_err(error)?;
        let linker = imports::linker(&engine).map_err(error)?;
        let slots = Slots::new(limits.concurrent_calls_max);
        Ok(Self { engine, linker, limits: Arc::new(limits), slots })
    }

    /// The limits it was made with.
    #[must_use]
    pub fn limits(&self) -> &VmLimits {
        &self.limits
    }

    /// Checks a module without compiling it: for deployment, and cheap enough for a mempool.
    ///
    /// # Errors
    /// [`DeployError`].
    pub fn validate(&self, code: &[u8]) -> Result<ModuleInfo, DeployError> {
        validate(code, &self.limits)
    }

    /// Validates, bounds its recursion and compiles: about a millisecond of one core per KiB.
    ///
    /// # Errors
    /// [`DeployError`].
    pub fn compile(&self, code: &[u8]) -> Result<Module<H>, DeployError> {
        let info = self.validate(code)?;
        let rewritten = instrument(code, self.limits.stack_bytes_max).map_err(|_| DeployError::Compile)?;
        let module = wasmtime::Module::new(&self.engine, rewritten).map_err(|_| DeployError::Compile)?;
        let export = |name| module.get_export_index(name).ok_or(DeployError::Compile);
        let (memory, entry, counter) = (export(MEMORY_EXPORT)?, export(ENTRY_EXPORT)?, export(COUNTER_EXPORT)?);
        let pre = self.linker.instantiate_pre(&module).map_err(|_| DeployError::Compile)?;
        Ok(Module(Arc::new(Compiled { info, pre, memory, entry, counter })))
    }

    /// Runs one method in a fresh instance and hands the host back.
    ///
    /// Result and fuel depend on nothing but the arguments and what the host answers. A method of kind query runs
    /// read-only whoever calls it. `fuel` includes everything: instance, code, host functions, called contracts; a call
    /// that succeeds leaves at least one unit.
    ///
    /// # Errors
    /// [`FatalError`]: the node must stop; the host is lost.
    pub fn call(
        &self,
        module: &Module<H>,
        mut context: CallContext,
        method: &str,
        arguments: &[u8],
        fuel: u64,
        host: H,
    ) -> Result<(CallOutcome, H), FatalError> {
        let compiled = &*module.0;
        let prepaid = match self.admit(compiled, &mut context, method, arguments, fuel) {
            Ok(prepaid) => prepaid,
            Err(outcome) => return Ok((outcome, host)),
        };
        // Nested calls use the room of the call they belong to: waiting for more could wait for ever.
        let _slot = (context.depth == 0).then(|| self.slots.take());
        let input = wire::input(&context, method, arguments);
        let mut store = Store::new(&self.engine, self.state(host, context, input));
        store.limiter(|state| &mut state.caps);
        store.set_fuel(fuel - prepaid).map_err(|e| engine_error(&e))?;
        let result = compiled.run(&mut store);
        let left = store.get_fuel().map_err(|e| engine_error(&e))?;
        let result = match result {
            // The engine looks at the fuel where loops and functions begin: straight code may overdraw it, and then
            // nothing is left.
            Ok(()) if left == 0 => Err(CallFailure::out_of_fuel()),
            Ok(()) => Ok(store.data_mut().output.take().unwrap_or_default()),
            Err(Stop::Failed(failure)) => Err(failure),
            Err(Stop::Fatal(error)) => return Err(error),
        };
        let exhausted = matches!(&result, Err(failure) if failure.code == code::OUT_OF_FUEL);
        let fuel_used = if exhausted { fuel } else { fuel.saturating_sub(left) };
        Ok((CallOutcome { result, fuel_used }, store.into_data().host))
    }

    /// What needs no instance: method, kind, sizes, base price. Returns the base price.
    fn admit(
        &self,
        compiled: &Compiled<H>,
        context: &mut CallContext,
        method: &str,
        arguments: &[u8],
        fuel: u64,
    ) -> Result<u64, CallOutcome> {
        let prepaid = price::CALL_BASE.saturating_add(price::BYTE.saturating_mul(arguments.len() as u64));
        let refuse =
            |code: &str, text: &str, fuel_used| CallOutcome { result: Err(CallFailure::new(code, text)), fuel_used };
        if fuel <= prepaid {
            return Err(CallOutcome { result: Err(CallFailure::out_of_fuel()), fuel_used: fuel });
        }
        if context.depth > self.limits.call_depth_max {
            return Err(refuse(code::CALL_DEPTH, "contracts call each other too deep", prepaid));
        }
        if arguments.len() > self.limits.arguments_bytes_max {
            return Err(refuse(code::BAD_ARGUMENTS, "too many bytes of arguments", prepaid));
        }
        match compiled.info.methods.get(method) {
            None => return Err(refuse(code::UNKNOWN_METHOD, "the contract has no such method", prepaid)),
            Some(MethodKind::Query) => context.read_only = true,
            Some(MethodKind::Call) => {}
        }
        Ok(prepaid)
    }

    fn state(&self, host: H, context: CallContext, input: Vec<u8>) -> State<H> {
        State {
            host,
            context,
            limits: Arc::clone(&self.limits),
            caps: Caps {
                memory_bytes_max: self.limits.memory_bytes_max,
                table_elements_max: self.limits.table_elements_max as usize,
            },
            memory: None,
            input,
            output: None,
            pending: None,
            events: 0,
            event_bytes: 0,
        }
    }
}

impl<H: Host + 'static> Compiled<H> {
    fn run(&self, store: &mut Store<State<H>>) -> Result<(), Stop> {
        let instance = match self.pre.instantiate(&mut *store) {
            Ok(instance) => instance,
            Err(error) => return Err(judge(error, false)),
        };
        let memory = instance.get_module_export(&mut *store, &self.memory).and_then(wasmtime::Extern::into_memory);
        store.data_mut().memory = memory;
        let entry = instance.get_module_export(&mut *store, &self.entry).and_then(wasmtime::Extern::into_func);
        let entry = entry.ok_or_else(|| broken("entry is not a function"))?;
        let entry = entry.typed::<u32, ()>(&*store).map_err(|_| broken("entry has another type"))?;
        let length = u32::try_from(store.data().input.len()).map_err(|_| broken("input above 4 GiB"))?;
        let Err(error) = entry.call(&mut *store, length) else { return Ok(()) };
        let counter = instance.get_module_export(&mut *store, &self.counter).and_then(wasmtime::Extern::into_global);
        let exhausted = counter.is_some_and(|c| c.get(&mut *store).i32().is_some_and(|left| left < 0));
        Err(judge(error, exhausted))
    }
}

fn broken(text: &str) -> Stop {
    Stop::Fatal(FatalError::Engine(text.to_owned()))
}

fn engine_error(error: &wasmtime::Error) -> FatalError {
    FatalError::Engine(format!("{error:#}"))
}

/// What an error of wasmtime means. Texts are ours: wasmtime's may change with its version.
fn judge(error: wasmtime::Error, stack_exhausted: bool) -> Stop {
    let error = match error.downcast::<Stop>() {
        Ok(stop) => return stop,
        Err(error) => error,
    };
    let text = match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => return Stop::out_of_fuel(),
        Some(Trap::UnreachableCodeReached) if stack_exhausted => {
            return Stop::fail(code::STACK_LIMIT, "functions call each other too deep");
        }
        Some(Trap::UnreachableCodeReached) => "unreachable code was reached",
        Some(Trap::MemoryOutOfBounds | Trap::HeapMisaligned) => "memory access out of bounds",
        Some(Trap::TableOutOfBounds | Trap::IndirectCallToNull) => "indirect call of no function",
        Some(Trap::BadSignature) => "indirect call of a function with another type",
        Some(Trap::IntegerOverflow) => "integer overflow",
        Some(Trap::IntegerDivisionByZero) => "division by zero",
        // Among them the native stack, which the counter is there to spare: in doubt no verdict.
        _ => return Stop::Fatal(engine_error(&error)),
    };
    Stop::fail(code::TRAP, text)
}

fn config(limits: &VmLimits) -> Config {
    let mut config = Config::new();
    // Fuel differs between compilers, so there is one.
    config.strategy(Strategy::Cranelift);
    config.consume_fuel(true).epoch_interruption(false);
    config.cranelift_nan_canonicalization(true);
    config.wasm_simd(false).wasm_relaxed_simd(false);
    config.wasm_multi_memory(false).wasm_memory64(false).wasm_multi_value(false).wasm_tail_call(false);
    config.wasm_extended_const(false).wasm_bulk_memory(true);
    config.max_wasm_stack(2 * limits.stack_bytes_max as usize);
    config.wasm_backtrace_max_frames(None).generate_address_map(false);
    config.memory_init_cow(true);
    config.memory_reservation(limits.memory_bytes_max as u64).memory_may_move(false).memory_guard_size(GUARD_BYTES);
    config.memory_reservation_for_growth(0);

    let instances = limits.concurrent_calls_max.saturating_mul(u32::from(limits.call_depth_max) + 1);
    let mut pool = PoolingAllocationConfig::default();
    pool.total_core_instances(instances).total_memories(instances).total_tables(instances);
    pool.max_memories_per_module(1).max_tables_per_module(1);
    pool.max_memory_size(limits.memory_bytes_max).table_elements(limits.table_elements_max as usize);
    pool.linear_memory_keep_resident(KEEP_RESIDENT_BYTES).table_keep_resident(16 << 10);
    pool.max_unused_warm_slots(instances);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// Counts the calls that run at the same time, so that the pool never runs out under them.
struct Slots {
    free: Mutex<u32>,
    freed: Condvar,
}

struct Slot<'a>(&'a Slots);

impl Slots {
    fn new(count: u32) -> Self {
        Self { free: Mutex::new(count.max(1)), freed: Condvar::new() }
    }

    fn take(&self) -> Slot<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.freed.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Slot(self)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}
