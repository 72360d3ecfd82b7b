//! Why a kernel method does not do what was asked.

use vouch_genesis::is_address;
use vouch_types::{PublicKey, codec::Format, decode};
use vouch_vm::{CallFailure, FatalError, code};
use wincode::SchemaRead;

use crate::{registry::Registry, session::Session, storage::StorageError};

/// A refusal, or a fault of the node that leaves no verdict.
#[derive(Debug)]
pub(super) enum Stop {
    /// Bad input, with a stable code.
    Refused(CallFailure),
    /// The node must stop.
    Fatal(FatalError),
}

impl From<StorageError> for Stop {
    fn from(error: StorageError) -> Self {
        Self::Fatal(FatalError::Host(error.to_string()))
    }
}

impl From<FatalError> for Stop {
    fn from(error: FatalError) -> Self {
        Self::Fatal(error)
    }
}

pub(super) fn failure(code: &str, message: impl Into<String>) -> CallFailure {
    CallFailure { code: code.into(), message: message.into() }
}

pub(super) fn refuse(code: &str, message: impl Into<String>) -> Stop {
    Stop::Refused(failure(code, message))
}

pub(super) fn out_of_fuel() -> CallFailure {
    failure(code::OUT_OF_FUEL, "the call used up its fuel")
}

pub(super) fn bad_arguments(message: impl Into<String>) -> Stop {
    refuse("contract.bad_arguments", message)
}

/// A record outside of the registry's cache.
pub(super) fn read<T>(session: &Session, what: &'static str, key: &[u8], max: usize) -> Result<Option<T>, Stop>
where
    T: for<'a> SchemaRead<'a, Format, Dst = T>,
{
    let Some(bytes) = session.overlay.get(key)? else { return Ok(None) };
    let damaged = |e: vouch_types::CodecError| FatalError::Host(format!("a {what} of the state: {e}"));
    Ok(Some(decode(what, &bytes, max).map_err(damaged)?))
}

pub(super) fn bounded(what: &str, text: &str, max: usize) -> Result<(), Stop> {
    if text.is_empty() || text.len() > max || text.chars().any(char::is_control) {
        return Err(bad_arguments(format!("{what} must have 1 to {max} bytes and no control characters")));
    }
    Ok(())
}

pub(super) fn usable_key(registry: &Registry, key: &PublicKey) -> Result<(), Stop> {
    if key.is_weak() {
        return Err(refuse("system.weak_key", format!("{key} is not a usable ed25519 key")));
    }
    if registry.knows_key(key) {
        return Err(refuse("system.key_in_use", format!("{key} is already registered")));
    }
    Ok(())
}

pub(super) fn address(text: &str) -> Result<(), Stop> {
    if is_address(text) {
        Ok(())
    } else {
        Err(refuse("system.address", "an address is host:port or /ip4/ADDRESS/tcp/PORT"))
    }
}
