//! How methods end when they do not succeed.

use alloc::string::String;

/// Why a method failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// An error that the contract declares. Callers see `contract.error.<code>`.
    Declared {
        /// The declared code.
        code: &'static str,
        /// For people.
        message: &'static str,
    },
    /// Arguments that decode but make no sense. Callers see `contract.bad_arguments`.
    BadArguments(&'static str),
    /// No method of this name.
    UnknownMethod,
}

/// How a call ended, as its caller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFailure {
    /// Stable code.
    pub code: String,
    /// For people.
    pub message: String,
}
