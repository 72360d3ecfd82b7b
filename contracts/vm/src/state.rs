//! What belongs to one call while it runs.

use std::sync::Arc;

use wasmtime::{Caller, Memory, ResourceLimiter};

use crate::{
    error::{FatalError, Stop, code},
    host::CallContext,
    limits::{VmLimits, price},
};

/// Data of a store: the host, and what the call has done so far.
pub(crate) struct State<H> {
    pub host: H,
    pub context: CallContext,
    pub limits: Arc<VmLimits>,
    pub caps: Caps,
    pub memory: Option<Memory>,
    pub input: Vec<u8>,
    pub output: Option<Vec<u8>>,
    /// An answer that did not fit into the contract's buffer and waits for `pending`.
    pub pending: Option<Vec<u8>>,
    pub events: u32,
    pub event_bytes: usize,
}

/// Caps of memory and table. Growth beyond them ends the call, instead of returning −1, so that no contract's behaviour
/// depends on the cap; growth within them never fails, because the pool has reserved it.
pub(crate) struct Caps {
    pub memory_bytes_max: usize,
    pub table_elements_max: usize,
}

fn within(desired: usize, cap: usize, declared: Option<usize>) -> wasmtime::Result<bool> {
    if desired > cap || declared.is_some_and(|max| desired > max) {
        return Err(wasmtime::Error::new(Stop::fail(code::MEMORY_LIMIT, "memory or table grown beyond its cap")));
    }
    Ok(true)
}

fn grow_failed(error: &wasmtime::Error) -> wasmtime::Result<()> {
    Err(wasmtime::Error::new(Stop::Fatal(FatalError::Engine(format!(
        "memory within the cap was not available: {error}"
    )))))
}

impl ResourceLimiter for Caps {
    fn memory_growing(&mut self, _: usize, desired: usize, declared: Option<usize>) -> wasmtime::Result<bool> {
        within(desired, self.memory_bytes_max, declared)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        grow_failed(&error)
    }

    fn table_growing(&mut self, _: usize, desired: usize, declared: Option<usize>) -> wasmtime::Result<bool> {
        within(desired, self.table_elements_max, declared)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        grow_failed(&error)
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }
}

/// A running call as host functions see it.
pub(crate) struct Running<'a, 'b, H: 'static>(pub &'a mut Caller<'b, State<H>>);

/// A place in the contract's memory, as it named it.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub at: u32,
    pub len: u32,
}

impl Span {
    pub(crate) fn bytes(self, memory: &[u8]) -> Result<&[u8], Stop> {
        let at = self.at as usize;
        at.checked_add(self.len as usize).and_then(|end| memory.get(at..end)).ok_or_else(out_of_bounds)
    }

    pub(crate) fn text(self, memory: &[u8]) -> Result<&str, Stop> {
        core::str::from_utf8(self.bytes(memory)?)
            .map_err(|_| Stop::fail(code::TRAP, "a text given to the host is not UTF-8"))
    }

    /// Bytes as text for a message, cut to `max` bytes and with anything that is not UTF-8 replaced.
    pub(crate) fn message(self, memory: &[u8], max: usize) -> Result<String, Stop> {
        let bytes = self.bytes(memory)?;
        Ok(String::from_utf8_lossy(&bytes[..bytes.len().min(max)]).into_owned())
    }
}

fn out_of_bounds() -> Stop {
    Stop::fail(code::TRAP, "a host function was given a place outside of memory")
}

impl<H> Running<'_, '_, H> {
    /// Takes fuel for a host function.
    pub(crate) fn charge(&mut self, base: u64, per_unit: u64, units: usize) -> Result<(), Stop> {
        let amount = base.saturating_add(per_unit.saturating_mul(units as u64));
        let left = self.fuel()?;
        self.set_fuel(left.saturating_sub(amount))?;
        if left < amount { Err(Stop::out_of_fuel()) } else { Ok(()) }
    }

    pub(crate) fn fuel(&self) -> Result<u64, Stop> {
        self.0.get_fuel().map_err(|e| engine(&e))
    }

    pub(crate) fn set_fuel(&mut self, fuel: u64) -> Result<(), Stop> {
        self.0.set_fuel(fuel).map_err(|e| engine(&e))
    }

    pub(crate) fn state(&mut self) -> &mut State<H> {
        self.0.data_mut()
    }

    /// The contract's memory and the call's state.
    pub(crate) fn split(&mut self) -> Result<(&mut [u8], &mut State<H>), Stop> {
        // The entry function runs only after the memory was noted, and there is no start function.
        let memory = self.0.data().memory.ok_or_else(|| Stop::Fatal(FatalError::Engine("no memory".to_owned())))?;
        Ok(memory.data_and_store_mut(&mut *self.0))
    }

    /// Answers with bytes: into the buffer when they fit, else kept for `pending`. Returns their number.
    pub(crate) fn answer(&mut self, answer: Vec<u8>, buffer: Span) -> Result<i64, Stop> {
        self.charge(0, price::BYTE, answer.len())?;
        let (memory, state) = self.split()?;
        let length = i64::try_from(answer.len()).unwrap_or(i64::MAX);
        if answer.len() > buffer.len as usize {
            state.pending = Some(answer);
        } else {
            write(memory, buffer.at, &answer)?;
            state.pending = None;
        }
        Ok(length)
    }

    pub(crate) fn require_writable(&mut self) -> Result<(), Stop> {
        if self.state().context.read_only {
            return Err(Stop::fail(code::READ_ONLY, "a query changes nothing and emits no events"));
        }
        Ok(())
    }
}

pub(crate) fn write(memory: &mut [u8], at: u32, data: &[u8]) -> Result<(), Stop> {
    let at = at as usize;
    let place = at.checked_add(data.len()).and_then(|end| memory.get_mut(at..end)).ok_or_else(out_of_bounds)?;
    place.copy_from_slice(data);
    Ok(())
}

fn engine(error: &wasmtime::Error) -> Stop {
    Stop::Fatal(FatalError::Engine(error.to_string()))
}
