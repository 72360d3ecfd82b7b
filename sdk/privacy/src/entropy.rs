//! Chance as an input: a stream of random bytes from a seed that the caller hands in.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// BLAKE3 in output mode over a seed; as unpredictable as the seed, and the same bytes for the same seed.
///
/// A node seeds it from the operating system; a simulator from its scheduler. One stream is for one purpose: a clone of
/// it would repeat keys, so there is none.
pub struct SeededRng(blake3::OutputReader);

impl SeededRng {
    /// From 32 bytes nobody else can foresee.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(blake3::Hasher::new_keyed(seed).update(b"vouch/privacy-entropy/1").finalize_xof())
    }
}

impl Zeroize for SeededRng {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl Drop for SeededRng {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for SeededRng {}

impl core::fmt::Debug for SeededRng {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SeededRng(<redacted>)")
    }
}

impl rand_core::TryRng for SeededRng {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for SeededRng {}

#[cfg(test)]
mod tests {
    use rand_core::Rng as _;

    use super::*;

    #[test]
    fn one_seed_gives_one_stream() {
        let (mut first, mut second, mut other) =
            (SeededRng::from_seed(&[1; 32]), SeededRng::from_seed(&[1; 32]), SeededRng::from_seed(&[2; 32]));
        let (a, b) = ((first.next_u64(), first.next_u32()), (second.next_u64(), second.next_u32()));
        assert_eq!(a, b);
        assert_ne!(first.next_u64(), a.0);
        assert_ne!(other.next_u64(), a.0);
        assert_eq!(format!("{first:?}"), "SeededRng(<redacted>)");
    }
}
