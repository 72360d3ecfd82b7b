//! What can go wrong between a client and a chain.

use vouch_types::{
    ChainId,
    abi::{AbiError, ValueError},
    api::Problem,
    light::ProofError,
};

use crate::KeystoreError;

/// Why a request came to nothing. [`Error::code`] is stable and the same in every part of Vouch.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A node answered with a problem.
    #[error("{problem}")]
    Refused {
        /// What it said.
        problem: Box<Problem>,
        /// The node.
        node: String,
        /// When it asked to be tried again.
        retry_after_s: Option<u64>,
    },
    /// No connection, or it broke off.
    #[error("{node} cannot be reached: {reason}")]
    Unreachable {
        /// The node that was tried last.
        node: String,
        /// What the system said.
        reason: String,
    },
    /// The node's certificate is not accepted.
    #[error("the certificate of {node} is not accepted: {reason}")]
    Tls {
        /// The node.
        node: String,
        /// Why.
        reason: String,
    },
    /// No answer in time, or no finality in the time given.
    #[error("{0}")]
    Timeout(String),
    /// An answer that is not one of a Vouch node of this version.
    #[error("{node} gave an answer that cannot be read: {reason}")]
    BadAnswer {
        /// The node.
        node: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The node belongs to another chain.
    #[error("{node} is of chain {actual}, expected is {expected}")]
    WrongChain {
        /// The node.
        node: String,
        /// Its chain.
        actual: ChainId,
        /// The one that is meant.
        expected: ChainId,
    },
    /// A proof that shows nothing.
    #[error("{0}")]
    Proof(#[from] ProofError),
    /// A proof of something else than was asked for.
    #[error("the proof is about something else: {0}")]
    OtherClaim(String),
    /// Arguments that do not fit the contract's ABI.
    #[error("{0}")]
    Value(#[from] ValueError),
    /// An ABI that cannot be used.
    #[error("{0}")]
    Abi(#[from] AbiError),
    /// A transaction that cannot be built.
    #[error("{0}")]
    Transaction(#[from] vouch_types::TransactionError),
    /// A document that is not by its schema.
    #[error("{0}")]
    Construction(String),
    /// A node showed something else than the chain commits to.
    #[error("{node} shows something else than the chain commits to: {reason}")]
    NotAsCommitted {
        /// The node.
        node: String,
        /// What differs.
        reason: String,
    },
    /// A transaction is final and failed.
    #[error("transaction {id} failed: [{code}] {message}")]
    Failed {
        /// The transaction.
        id: vouch_types::TxId,
        /// The contract's code.
        code: String,
        /// What it said.
        message: String,
    },
    /// A key file.
    #[error("{0}")]
    Keystore(#[from] KeystoreError),
    /// The client is set up wrongly.
    #[error("{0}")]
    Configuration(String),
}

impl Error {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { problem, .. } => &problem.code,
            Self::Unreachable { .. } => "client.unreachable",
            Self::Tls { .. } => "client.tls",
            Self::Timeout(_) => "client.timeout",
            Self::BadAnswer { .. } => "client.bad_answer",
            Self::WrongChain { .. } => "client.wrong_chain",
            Self::Proof(_) | Self::OtherClaim(_) => "proof.invalid",
            Self::Value(error) => error.code(),
            Self::Abi(error) => error.code(),
            Self::Transaction(error) => error.code(),
            Self::Construction(_) => "document.construction",
            Self::NotAsCommitted { .. } => "document.not_as_committed",
            Self::Failed { code, .. } => code,
            Self::Keystore(error) => error.code(),
            Self::Configuration(_) => "client.configuration",
        }
    }

    /// As a problem, the form in which every Vouch program shows errors.
    #[must_use]
    pub fn to_problem(&self) -> Problem {
        match self {
            Self::Refused { problem, .. } => (**problem).clone(),
            Self::Value(error) => Problem::new("query.bad_arguments", error.to_string()).at(error.path.clone()),
            other => Problem::new(other.code(), other.to_string()),
        }
    }

    /// Whether another node, or the same one later, may give another answer to the same request.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout(_) | Self::BadAnswer { .. } => true,
            Self::Refused { problem, .. } => matches!(problem.status, 408 | 429 | 500..=599),
            _ => false,
        }
    }
}
