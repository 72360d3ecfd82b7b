//! Stands in the place of the crate of this name, as far as it is asked here: a module has no random bytes but those that its page or
//! node gives it.
//!
//! `zip`, which reads workbooks and could also write archives with passwords, would have that crate take random bytes from JavaScript
//! by `wasm-bindgen`: a module that imports what no worker of ours offers. Outside of WebAssembly tests get them from the system.
#![forbid(unsafe_code)]

use core::fmt;

/// There are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there are no random bytes here")
    }
}

impl core::error::Error for Error {}

/// Fills a buffer.
///
/// # Errors
/// Always in a module; elsewhere when the system has none.
pub fn fill(to: &mut [u8]) -> Result<(), Error> {
    if cfg!(target_arch = "wasm32") {
        return Err(Error);
    }
    let mut system = std::fs::File::open("/dev/urandom").map_err(|_| Error)?;
    std::io::Read::read_exact(&mut system, to).map_err(|_| Error)
}

/// A random number.
///
/// # Errors
/// As [`fill`].
pub fn u32() -> Result<u32, Error> {
    let mut bytes = [0; 4];
    fill(&mut bytes).map(|()| u32::from_ne_bytes(bytes))
}

/// A random number.
///
/// # Errors
/// As [`fill`].
pub fn u64() -> Result<u64, Error> {
    let mut bytes = [0; 8];
    fill(&mut bytes).map(|()| u64::from_ne_bytes(bytes))
}

/// Random numbers one after the other.
#[cfg(feature = "sys_rng")]
#[derive(Debug, Clone, Copy, Default)]
pub struct SysRng;

#[cfg(feature = "sys_rng")]
impl rand_core::TryRng for SysRng {
    type Error = Error;

    fn try_next_u32(&mut self) -> Result<u32, Error> {
        u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Error> {
        u64()
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Error> {
        fill(to)
    }
}

#[cfg(feature = "sys_rng")]
impl rand_core::TryCryptoRng for SysRng {}
