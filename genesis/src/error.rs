//! Why a document is not a genesis.

use vouch_types::{CodecError, PublicKey, ValidatorSetError};

/// Why a genesis document is refused: always bad input, never a fault of the node.
///
/// `path` names the place in the JSON text, for example `members[2].nodes[0].address`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// Not JSON, or not of the document's shape.
    #[error("{path}: {message}")]
    Json {
        /// Where.
        path: String,
        /// What is wrong, with line and column.
        message: String,
    },
    /// A text, list or byte string outside its size bounds.
    #[error("{path}: size {actual}, must be {min} to {max}")]
    Size {
        /// Where.
        path: String,
        /// Bytes or entries found.
        actual: usize,
        /// Fewest allowed.
        min: usize,
        /// Most allowed.
        max: usize,
    },
    /// Bytes that are not the canonical encoding of a document.
    #[error("{0}")]
    Codec(#[from] CodecError),
    /// A format this version does not know.
    #[error("format: {0} is not known, this version reads {known}", known = crate::FORMAT_VERSION)]
    Format(u8),
    /// A name that breaks the rule of names.
    #[error("{path}: a name is 1 to 32 of a-z 0-9 - _ . and begins with a letter")]
    Name {
        /// Where.
        path: String,
    },
    /// A text for people with control characters.
    #[error("{path}: control characters are not allowed")]
    Text {
        /// Where.
        path: String,
    },
    /// A name that stands for something else already.
    #[error("{path}: the name {name:?} is used twice")]
    DuplicateName {
        /// Where it stands the second time.
        path: String,
        /// The name.
        name: String,
    },
    /// A key that stands for something else already.
    #[error("{path}: the key {key} is used twice; each key has one use")]
    DuplicateKey {
        /// Where it stands the second time.
        path: String,
        /// The key.
        key: PublicKey,
    },
    /// A key nobody may register.
    #[error("{path}: {key} is not a key that may be registered (not a point in canonical form, or of small order)")]
    WeakKey {
        /// Where.
        path: String,
        /// The key.
        key: PublicKey,
    },
    /// A threshold nobody could reach, or everybody passes.
    #[error("{path}: {actual}, must be 1 to {max}")]
    Threshold {
        /// Where.
        path: String,
        /// The threshold.
        actual: u16,
        /// How many keys or members there are.
        max: usize,
    },
    /// A share of the members that nobody could reach, or that is none.
    #[error("{path}: {text} is no share of the members; write > N/D or >= N/D")]
    Fraction {
        /// Where.
        path: String,
        /// The share.
        text: String,
    },
    /// A key that nobody could encrypt to.
    #[error("{path}: not a usable X25519 key")]
    EncryptionKey {
        /// Where.
        path: String,
    },
    /// Powers that make no validator set.
    #[error("members: {0}")]
    Validators(#[from] ValidatorSetError),
    /// Not an address.
    #[error("{path}: {address:?} is not an address; write host:port or /ip4/ADDRESS/tcp/PORT")]
    Address {
        /// Where.
        path: String,
        /// What stands there.
        address: String,
    },
    /// A parameter outside its bounds.
    #[error("{path}: {actual}, must be {min} to {max}")]
    Param {
        /// Where.
        path: String,
        /// Its value.
        actual: u64,
        /// Least allowed.
        min: u64,
        /// Most allowed.
        max: u64,
    },
    /// A list that is not in its canonical order.
    #[error("{path}: not in ascending order; `GenesisDocument::sort` brings it there")]
    Order {
        /// Where.
        path: String,
    },
    /// Bytes that are no WASM module.
    #[error("{path}: not a WASM module")]
    Code {
        /// Where.
        path: String,
    },
}

impl GenesisError {
    /// Stable code for API, CLI and logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Json { .. } => "genesis.json",
            Self::Size { .. } => "genesis.size",
            Self::Codec(CodecError::TooLarge { .. }) => "genesis.too_large",
            Self::Codec(CodecError::Malformed { .. }) => "genesis.malformed",
            Self::Format(_) => "genesis.unknown_format",
            Self::Name { .. } => "genesis.name",
            Self::Text { .. } => "genesis.text",
            Self::DuplicateName { .. } => "genesis.duplicate_name",
            Self::DuplicateKey { .. } => "genesis.duplicate_key",
            Self::WeakKey { .. } => "genesis.weak_key",
            Self::Threshold { .. } | Self::Fraction { .. } => "genesis.threshold",
            Self::EncryptionKey { .. } => "genesis.encryption_key",
            Self::Validators(ValidatorSetError::Empty) => "genesis.no_validator",
            Self::Validators(ValidatorSetError::TooMany) => "genesis.too_many_validators",
            Self::Validators(ValidatorSetError::Order | ValidatorSetError::Power) => "genesis.power",
            Self::Address { .. } => "genesis.address",
            Self::Param { .. } => "genesis.parameter",
            Self::Order { .. } => "genesis.order",
            Self::Code { .. } => "genesis.code",
        }
    }
}
