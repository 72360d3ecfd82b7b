use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wincode::{SchemaRead, SchemaWrite};

use crate::hash::domain_hash;

/// A document's id: 10 random bytes, chosen by its issuer, and 6 bytes of their hash together with the issuer's name.
/// The contract takes an id from that issuer alone, so that nobody takes one that was seen in another's transaction.
///
/// On chain it is a byte string, so its encoding begins with its length, and another length does not decode.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite)]
pub struct DocumentId(ByteString);

/// A byte string of exactly 16 bytes: the length stands where an enum's tag would.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, SchemaRead, SchemaWrite)]
#[wincode(tag_encoding = "u64")]
enum ByteString {
    #[wincode(tag = 16)]
    Sixteen([u8; 16]),
}

impl DocumentId {
    /// The id that an issuer gives, from bytes that nobody can foresee.
    #[must_use]
    pub fn issued(issuer: &str, chosen: [u8; 10]) -> Self {
        let bound = domain_hash("vouch/document-id/1", &[issuer.as_bytes(), &chosen]);
        let mut bytes = [0; 16];
        bytes[..10].copy_from_slice(&chosen);
        bytes[10..].copy_from_slice(&bound.0[..6]);
        Self::new(bytes)
    }

    /// The id with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(ByteString::Sixteen(bytes))
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        let ByteString::Sixteen(bytes) = &self.0;
        bytes
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_bytes()))
    }
}

impl fmt::Debug for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DocumentId({self})")
    }
}

impl FromStr for DocumentId {
    type Err = ParseDocumentIdError;
    fn from_str(text: &str) -> Result<Self, ParseDocumentIdError> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseDocumentIdError)?;
        Ok(Self::new(bytes))
    }
}

/// Why a text is not a document's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 32 hexadecimal digits")]
pub struct ParseDocumentIdError;

impl Serialize for DocumentId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DocumentId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}
