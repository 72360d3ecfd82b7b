//! The one byte format of everything hashed, signed, stored or sent: the bincode 1 "legacy" layout.
//!
//! Little-endian, fixed-width integers; `u64` lengths; a `u32` tag before an enum's fields; one byte for `bool` and for
//! the presence of an `Option`. One value has one encoding and one accepted byte string has one value: trailing bytes
//! are refused, and types that stand for a map check their order in their own `validate`.

use wincode::{SchemaRead, SchemaWrite, config::Configuration};

/// Largest byte string that is ever decoded, in bytes: a block of the largest allowed size and its frame.
pub const DECODE_BYTES_MAX: usize = 32 << 20;

/// wincode's default layout with a preallocation bound that lets through a whole block.
pub type Format = Configuration<true, { DECODE_BYTES_MAX }>;

/// Why bytes are not a value of the expected type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// More bytes than the type may have.
    #[error("{what}: {actual} bytes, at most {max} are allowed")]
    TooLarge {
        /// What was being decoded.
        what: &'static str,
        /// How many bytes there were.
        actual: usize,
        /// How many there may be.
        max: usize,
    },
    /// Truncated, trailing or otherwise not of the layout.
    #[error("{what}: not in the canonical layout")]
    Malformed {
        /// What was being decoded.
        what: &'static str,
    },
}

/// Encodes a value; cannot fail for the types of this crate within their size bounds.
///
/// # Panics
/// When a single collection is longer than [`DECODE_BYTES_MAX`], which constructors rule out.
pub fn encode<T>(value: &T) -> Vec<u8>
where
    T: SchemaWrite<Format, Src = T>,
{
    wincode::config::serialize(value, Format::new())
        .expect("every encoded type bounds its collections below DECODE_BYTES_MAX")
}

/// Decodes a value that must fill `bytes` exactly and be at most `max` bytes long.
///
/// # Errors
/// [`CodecError::TooLarge`] above `max`, [`CodecError::Malformed`] for anything that is not the canonical encoding.
pub fn decode<'a, T>(what: &'static str, bytes: &'a [u8], max: usize) -> Result<T, CodecError>
where
    T: SchemaRead<'a, Format, Dst = T>,
{
    if bytes.len() > max.min(DECODE_BYTES_MAX) {
        return Err(CodecError::TooLarge { what, actual: bytes.len(), max: max.min(DECODE_BYTES_MAX) });
    }
    wincode::config::deserialize_exact(bytes, Format::new()).map_err(|_| CodecError::Malformed { what })
}

/// Decodes a value from the front of `bytes` and returns it with the rest.
///
/// # Errors
/// [`CodecError::Malformed`] when the front is not the canonical encoding.
pub fn decode_prefix<'a, T>(what: &'static str, bytes: &'a [u8]) -> Result<(T, &'a [u8]), CodecError>
where
    T: SchemaRead<'a, Format, Dst = T>,
{
    let mut rest = bytes;
    let value = <T as SchemaRead<'a, Format>>::get(&mut rest).map_err(|_| CodecError::Malformed { what })?;
    Ok((value, rest))
}
