//! Why a proof shows nothing.

use crate::{
    certificate::CertificateError,
    codec::CodecError,
    hash::{BlockHash, ChainId, ValidatorsHash},
    numbers::Height,
    state::StateProofError,
    transaction::TransactionError,
    validators::ValidatorSetError,
};

/// Why a proof shows nothing. Every way to get one wrong has a variant of its own; [`ProofError::code`] is stable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not the canonical bytes of a proof.
    #[error("{0}")]
    Codec(#[from] CodecError),
    /// Not the JSON text of a proof.
    #[error("not a proof in JSON: {0}")]
    Json(String),
    /// A proof format this version does not know.
    #[error("proof version {0} is not known")]
    Version(u8),
    /// More changes of the validator set than a proof may carry.
    #[error("{actual} changes of the validator set, at most {max} are allowed in one proof")]
    SetChanges {
        /// How many there are.
        actual: usize,
        /// How many there may be.
        max: usize,
    },
    /// The genesis header is that of another chain.
    #[error("the proof begins at chain {actual}, expected is {expected}")]
    WrongChain {
        /// What the genesis header hashes to.
        actual: ChainId,
        /// What it must hash to.
        expected: ChainId,
    },
    /// A list that is no validator set.
    #[error("{0}")]
    Set(#[from] ValidatorSetError),
    /// The first set is not the one genesis commits to.
    #[error("the first validator set is {actual}, genesis commits to {expected}")]
    FirstSet {
        /// Hash of the set handed in.
        actual: ValidatorsHash,
        /// What genesis says.
        expected: ValidatorsHash,
    },
    /// A block version this code does not know.
    #[error("block version {0} is not known")]
    HeaderVersion(u8),
    /// A header of another chain.
    #[error("the header is of chain {actual}, expected is {expected}")]
    HeaderChain {
        /// What the header says.
        actual: ChainId,
        /// What it must say.
        expected: ChainId,
    },
    /// Height 0, which has no block, or the end of the range.
    #[error("no block has this height")]
    HeaderHeight,
    /// Not above what is known already.
    #[error("height {actual} is not above {head}")]
    NotNewer {
        /// The header's height.
        actual: Height,
        /// The highest accepted so far.
        head: Height,
    },
    /// The header names another set than the one known for its height.
    #[error("the set {actual} of height {height} is not known; a change of the set may have been left out")]
    UnknownValidators {
        /// The header's height.
        height: Height,
        /// The set it names.
        actual: ValidatorsHash,
    },
    /// The certificate is for another height.
    #[error("the certificate is for height {actual}, the header is at {expected}")]
    CertificateHeight {
        /// The certificate's.
        actual: Height,
        /// The header's.
        expected: Height,
    },
    /// The certificate is for another block: or the header was changed.
    #[error("the certificate is for block {actual}, the header hashes to {expected}")]
    CertificateBlock {
        /// The certificate's.
        actual: BlockHash,
        /// The header's.
        expected: BlockHash,
    },
    /// The certificate proves nothing.
    #[error("{0}")]
    Certificate(#[from] CertificateError),
    /// The set changes and the new one was not handed in.
    #[error("the validator set changes after height {height}; the new set is missing")]
    NextSetMissing {
        /// Where it changes.
        height: Height,
    },
    /// The new set is not the one the header commits to.
    #[error("the set handed in for the height after {height} is {actual}, which the header does not commit to")]
    NextSet {
        /// Where it changes.
        height: Height,
        /// Hash of the set handed in.
        actual: ValidatorsHash,
    },
    /// A new set where none begins.
    #[error("the validator set does not change after height {height}, but another was handed in")]
    NextSetSurplus {
        /// The header's height.
        height: Height,
    },
    /// The transaction's path leads elsewhere.
    #[error("the transaction is not under the header's transactions root")]
    TransactionPath,
    /// In the block, but not a transaction of this chain.
    #[error("{0}")]
    Transaction(#[from] TransactionError),
    /// The receipt's path leads elsewhere.
    #[error("the receipt is not under the header's receipts root")]
    ReceiptPath,
    /// The receipt speaks of another place than the one it stands at.
    #[error("the receipt names another height or position than its own")]
    ReceiptPlace,
    /// The event's path leads elsewhere.
    #[error("the event is not under the receipt's events root")]
    EventPath,
    /// The state value is not under the header's state root.
    #[error("state value: {0}")]
    State(#[from] StateProofError),
}

impl ProofError {
    /// Stable code for API, CLI and browser.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Codec(CodecError::TooLarge { .. }) => "proof.too_large",
            Self::Codec(CodecError::Malformed { .. }) => "proof.malformed",
            Self::Json(_) => "proof.json",
            Self::Version(_) => "proof.unknown_version",
            Self::SetChanges { .. } => "proof.too_many_set_changes",
            Self::WrongChain { .. } => "proof.wrong_chain",
            Self::Set(_) => "proof.invalid_set",
            Self::FirstSet { .. } => "proof.first_set",
            Self::HeaderVersion(_) => "proof.header_version",
            Self::HeaderChain { .. } => "proof.header_chain",
            Self::HeaderHeight => "proof.header_height",
            Self::NotNewer { .. } => "proof.not_newer",
            Self::UnknownValidators { .. } => "proof.unknown_validators",
            Self::CertificateHeight { .. } => "proof.certificate_height",
            Self::CertificateBlock { .. } => "proof.certificate_block",
            Self::Certificate(CertificateError::Order) => "proof.certificate_order",
            Self::Certificate(CertificateError::UnknownValidator(_)) => "proof.certificate_signer",
            Self::Certificate(CertificateError::Signature(_)) => "proof.certificate_signature",
            Self::Certificate(CertificateError::NoQuorum { .. }) => "proof.no_quorum",
            Self::NextSetMissing { .. } => "proof.next_set_missing",
            Self::NextSet { .. } => "proof.next_set",
            Self::NextSetSurplus { .. } => "proof.next_set_surplus",
            Self::TransactionPath => "proof.transaction_path",
            Self::Transaction(_) => "proof.transaction",
            Self::ReceiptPath => "proof.receipt_path",
            Self::ReceiptPlace => "proof.receipt_place",
            Self::EventPath => "proof.event_path",
            Self::State(StateProofError::Range { .. }) => "proof.state_slot",
            Self::State(StateProofError::Siblings { .. }) => "proof.state_siblings",
            Self::State(StateProofError::Root) => "proof.state_root",
        }
    }
}
