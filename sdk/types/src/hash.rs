//! BLAKE3 with one domain tag per use, and the 32-byte names that come of it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wincode::{SchemaRead, SchemaWrite};

/// Hashes `parts` under a domain tag: `BLAKE3(tag ‖ 0x00 ‖ part ‖ part …)`.
///
/// `tag` is ASCII without a zero byte, so no tag is the beginning of another. Callers make sure that the split of `parts`
/// does not matter or that each part has a fixed length.
#[must_use]
pub fn domain_hash(tag: &str, parts: &[&[u8]]) -> Hash32 {
    debug_assert!(tag.is_ascii() && !tag.contains('\0'));
    let mut hasher = blake3::Hasher::new();
    hasher.update(tag.as_bytes());
    hasher.update(&[0]);
    for part in parts {
        hasher.update(part);
    }
    Hash32(*hasher.finalize().as_bytes())
}

/// Why a text is not a 32-byte name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits")]
pub struct ParseHashError;

macro_rules! hash_names {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, SchemaRead, SchemaWrite)]
        #[repr(transparent)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// All bytes zero: stands for "none" where the text says so.
            pub const ZERO: Self = Self([0; 32]);

            /// The 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{}({})", stringify!($name), hex::encode(&self.0[..6]))
            }
        }

        impl core::str::FromStr for $name {
            type Err = ParseHashError;
            fn from_str(text: &str) -> Result<Self, ParseHashError> {
                let mut bytes = [0; 32];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseHashError)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

hash_names! {
    /// A BLAKE3 digest whose use has no name of its own.
    Hash32,
    /// The chain: hash of its [`crate::GenesisHeader`].
    ChainId,
    /// A block: hash of its [`crate::Header`].
    BlockHash,
    /// A transaction: hash of its body, signatures not included, so that one content has one id.
    TxId,
    /// An account: hash of its algorithm byte and public key.
    AccountId,
    /// A node: hash of its consensus public key's algorithm byte and bytes.
    NodeId,
    /// A contract's code: hash of the WASM module as deployed.
    CodeHash,
    /// Merkle root over a block's transactions, as received, signatures included.
    TransactionsRoot,
    /// Merkle root over a block's receipts.
    ReceiptsRoot,
    /// Merkle root over the events of one transaction.
    EventsRoot,
    /// Hash of what a transaction's last call returned.
    OutputHash,
    /// Root of the state after a block, see [`crate::merkle`].
    StateRoot,
    /// A validator set.
    ValidatorsHash,
    /// A person as one institution knows them: 32 random bytes, never derived from anything about the person.
    SubjectId,
    /// Root of a document version's commitment (GLC1, SHA-256).
    DocumentRoot,
}
