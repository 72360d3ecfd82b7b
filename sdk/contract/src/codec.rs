//! The chain's byte layout for the types an ABI can name: little-endian fixed-width integers, `u64` lengths, one byte
//! for `bool` and for the presence of an option, a `u32` tag before an enum's fields.
//!
//! One value has one encoding: what decodes is exactly what would be encoded.

use alloc::{string::String, vec::Vec};

/// A 32-byte digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash(pub [u8; 32]);

/// An account's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Account(pub [u8; 32]);

/// A public key: algorithm byte and 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub [u8; 33]);

/// A signature's 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

/// A byte string. Same bytes as a list of `u8`, copied at once and shown as hexadecimal by the console.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub Vec<u8>);

/// The bytes are not of the layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError;

/// Takes values off the front of a byte string.
#[derive(Debug, Clone)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts at the front.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`DecodeError`] when fewer are left.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        if n > self.0.len() {
            return Err(DecodeError);
        }
        let (taken, rest) = self.0.split_at(n);
        self.0 = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`DecodeError`] when fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// A length; never more than bytes are left, since nothing that is counted takes less than one.
    ///
    /// # Errors
    /// [`DecodeError`] when it is cut off or too large.
    pub fn length(&mut self) -> Result<usize, DecodeError> {
        let length = u64::decode(self)?;
        if length > self.0.len() as u64 { Err(DecodeError) } else { Ok(length as usize) }
    }

    /// A byte string, not copied.
    ///
    /// # Errors
    /// [`DecodeError`] when it is cut off.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.length()?;
        self.take(length)
    }

    /// A text, not copied.
    ///
    /// # Errors
    /// [`DecodeError`] when it is cut off or not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        core::str::from_utf8(self.bytes()?).map_err(|_| DecodeError)
    }
}

/// Can be written in the layout.
pub trait Encode {
    /// Appends the encoding.
    fn encode_to(&self, out: &mut Vec<u8>);
}

/// Can be read from the layout.
pub trait Decode: Sized {
    /// Takes a value off the front.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but the one encoding of a value.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// The encoding of a value.
#[must_use]
pub fn encode<T: Encode + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode_to(&mut out);
    out
}

/// The value that `bytes` is the encoding of, all of them.
///
/// # Errors
/// [`DecodeError`].
pub fn decode<T: Decode>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = T::decode(&mut reader)?;
    if reader.is_empty() { Ok(value) } else { Err(DecodeError) }
}

macro_rules! integers {
    ($($ty:ty),*) => {$(
        impl Encode for $ty {
            fn encode_to(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
        impl Decode for $ty {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self::from_le_bytes(reader.array()?))
            }
        }
    )*};
}
integers!(u8, u16, u32, u64, i64);

macro_rules! fixed {
    ($($name:ident),*) => {$(
        impl Encode for $name {
            fn encode_to(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.0);
            }
        }
        impl Decode for $name {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self(reader.array()?))
            }
        }
        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
    )*};
}
fixed!(Hash, Account, Key, Signature);

impl Encode for bool {
    fn encode_to(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Decode for bool {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(reader)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError),
        }
    }
}

impl Encode for () {
    fn encode_to(&self, _: &mut Vec<u8>) {}
}

impl Decode for () {
    fn decode(_: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(())
    }
}

fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    (bytes.len() as u64).encode_to(out);
    out.extend_from_slice(bytes);
}

impl Encode for str {
    fn encode_to(&self, out: &mut Vec<u8>) {
        encode_bytes(self.as_bytes(), out);
    }
}

impl Encode for String {
    fn encode_to(&self, out: &mut Vec<u8>) {
        encode_bytes(self.as_bytes(), out);
    }
}

impl Decode for String {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.text().map(Self::from)
    }
}

impl Encode for Bytes {
    fn encode_to(&self, out: &mut Vec<u8>) {
        encode_bytes(&self.0, out);
    }
}

impl Decode for Bytes {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.bytes().map(|bytes| Self(bytes.to_vec()))
    }
}

impl<T: Encode + ?Sized> Encode for &T {
    fn encode_to(&self, out: &mut Vec<u8>) {
        (**self).encode_to(out);
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode_to(&self, out: &mut Vec<u8>) {
        (self.len() as u64).encode_to(out);
        for item in self {
            item.encode_to(out);
        }
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = reader.length()?;
        // Not reserved up front: a short input may claim a long list.
        let mut list = Self::new();
        for _ in 0..length {
            list.push(T::decode(reader)?);
        }
        Ok(list)
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.encode_to(out);
            }
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if bool::decode(reader)? { T::decode(reader).map(Some) } else { Ok(None) }
    }
}

macro_rules! tuples {
    ($(($($name:ident . $index:tt),*)),*) => {$(
        impl<$($name: Encode),*> Encode for ($($name,)*) {
            fn encode_to(&self, out: &mut Vec<u8>) {
                $(self.$index.encode_to(out);)*
            }
        }
        impl<$($name: Decode),*> Decode for ($($name,)*) {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(($($name::decode(reader)?,)*))
            }
        }
    )*};
}
tuples!(
    (A.0),
    (A.0, B.1),
    (A.0, B.1, C.2),
    (A.0, B.1, C.2, D.3),
    (A.0, B.1, C.2, D.3, E.4),
    (A.0, B.1, C.2, D.3, E.4, F.5),
    (A.0, B.1, C.2, D.3, E.4, F.5, G.6),
    (A.0, B.1, C.2, D.3, E.4, F.5, G.6, H.7)
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_chain() {
        let value = (true, 7u8, -9i64, String::from("凭证"), Some(Hash([3; 32])), vec![1u16, 2]);
        let chain = (true, 7u8, -9i64, String::from("凭证"), Some(vouch_types::Hash32([3; 32])), vec![1u16, 2]);
        assert_eq!(encode(&value), vouch_types::encode(&chain));
        assert_eq!(decode(&encode(&value)), Ok(value));
        assert_eq!(encode(&Bytes(vec![1, 2])), vouch_types::encode(&vec![1u8, 2]));
        assert_eq!(encode(&Option::<u32>::None), vouch_types::encode(&Option::<u32>::None));
    }

    #[test]
    fn only_the_one_encoding_decodes() {
        assert_eq!(decode::<bool>(&[2]), Err(DecodeError));
        assert_eq!(decode::<u32>(&[0; 5]), Err(DecodeError));
        assert_eq!(decode::<u32>(&[0; 3]), Err(DecodeError));
        assert_eq!(decode::<Option<u8>>(&[2, 0]), Err(DecodeError));
        assert_eq!(decode::<String>(&[1, 0, 0, 0, 0, 0, 0, 0, 0xff]), Err(DecodeError));
        assert_eq!(decode::<Vec<u64>>(&[0xff; 16]), Err(DecodeError));
        assert_eq!(decode::<Bytes>(&[9, 0, 0, 0, 0, 0, 0, 0, 1]), Err(DecodeError));
    }
}
