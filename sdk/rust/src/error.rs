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
    /// Bytes of a file are not what the chain commits to.
    #[error("{place} of the sealed file are not what the chain commits to: {reason}")]
    FileDamaged {
        /// Document, field, file and bytes.
        place: String,
        /// First byte of the ciphertext.
        from: u64,
        /// The byte after the last one.
        to: u64,
        /// What is wrong.
        reason: String,
    },
    /// A file of this machine.
    #[error("{}: {reason}", path.display())]
    File {
        /// `document.file_io`, `document.file_exists`, `outbox.busy` or `outbox.changed`.
        code: &'static str,
        /// Which.
        path: std::path::PathBuf,
        /// What is wrong.
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

/// What an error says of a document that was to be sent with [`crate::Client::submit_ordered`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The id, or the next version, is in use: by this document itself, or by another content.
    Taken,
    /// A person that was to be registered is so already.
    Registered,
    /// What it refers to is not there or not in force yet.
    Early,
    /// The content is at fault.
    Content,
    /// Later it may be otherwise.
    Passing,
    /// Nothing more can be sent.
    Fatal,
}

impl Error {
    /// Whether it is the document's fault, the network's, or final.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let code = self.code();
        match code.rsplit('.').next().unwrap_or(code) {
            "document_exists" | "previous_root" | "version_pending" => return Verdict::Taken,
            "subject_exists" => return Verdict::Registered,
            "reference_missing" | "reference_state" | "reference_version" => return Verdict::Early,
            _ => {}
        }
        match (code, self) {
            ("stage.taken", _) => Verdict::Taken,
            // Another node of the same member may be a block behind.
            ("tx.not_final" | "tx.unknown", _)
            | ("stage.full" | "stage.not_staged" | "tx.expired" | "vault.not_running", _)
            | (_, Self::Unreachable { .. } | Self::Timeout(_) | Self::BadAnswer { .. }) => Verdict::Passing,
            (_, Self::Failed { .. } | Self::Construction(_) | Self::File { .. }) | ("tx.too_large", _) => {
                Verdict::Content
            }
            (_, Self::Refused { problem, .. }) if problem.status >= 500 || matches!(problem.status, 408 | 429) => {
                Verdict::Passing
            }
            (_, Self::Refused { .. }) if code.starts_with("stage.") || code.starts_with("upload.") => Verdict::Content,
            _ => Verdict::Fatal,
        }
    }

    pub(crate) fn file_io(path: &std::path::Path, reason: impl core::fmt::Display) -> Self {
        Self::File { code: "document.file_io", path: path.into(), reason: reason.to_string() }
    }

    pub(crate) fn file_exists(path: &std::path::Path) -> Self {
        Self::File { code: "document.file_exists", path: path.into(), reason: "there is a file already".into() }
    }

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
            Self::FileDamaged { .. } => "document.file_damaged",
            Self::File { code, .. } => code,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_the_documents_the_networks_or_final() {
        let refused = |code: &str, status: u16| {
            let mut problem = Problem::new(code, "");
            problem.status = status;
            Error::Refused { problem: Box::new(problem), node: String::new(), retry_after_s: None }
        };
        let failed =
            |code: &str| Error::Failed { id: vouch_types::TxId([0; 32]), code: code.into(), message: String::new() };
        for (error, verdict) in [
            (refused("stage.taken", 409), Verdict::Taken),
            (failed("contract.error.document_exists"), Verdict::Taken),
            (failed("contract.error.previous_root"), Verdict::Taken),
            (failed("contract.error.version_pending"), Verdict::Taken),
            (failed("contract.error.subject_exists"), Verdict::Registered),
            (failed("contract.error.reference_state"), Verdict::Early),
            (failed("contract.error.issuer_unrelated"), Verdict::Content),
            (refused("stage.sensitive", 422), Verdict::Content),
            (refused("upload.too_large", 413), Verdict::Content),
            (refused("upload.disk", 507), Verdict::Passing),
            (refused("stage.full", 503), Verdict::Passing),
            (refused("mempool.full", 503), Verdict::Passing),
            (refused("tx.not_final", 409), Verdict::Passing),
            (refused("tx.unknown", 404), Verdict::Passing),
            (refused("caller.forbidden", 403), Verdict::Fatal),
            (Error::file_io(std::path::Path::new("x"), "gone"), Verdict::Content),
            (Error::Timeout(String::new()), Verdict::Passing),
            (Error::OtherClaim(String::new()), Verdict::Fatal),
        ] {
            assert_eq!(error.verdict(), verdict, "{error}");
        }
    }
}
