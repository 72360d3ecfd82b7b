//! Randomness from the operating system.

use crate::Error;

/// Fresh random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::Configuration(format!("no randomness: {error}")))?;
    Ok(bytes)
}
