//! How validation and calls end when they do not end well.

use vouch_types::receipt::FAILURE_TEXT_BYTES_MAX;

/// The engine could not be set up; nothing to do with any contract.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// wasmtime refused its configuration or could not reserve its memory.
    #[error("contract engine cannot start: {0}")]
    Engine(String),
}

/// Why a module is not accepted. [`DeployError::code`] is stable; texts are the same on every node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeployError {
    /// More bytes than allowed.
    #[error("module has {actual} bytes, at most {max} are allowed")]
    TooLarge {
        /// How many it has.
        actual: usize,
        /// How many it may have.
        max: usize,
    },
    /// Not WebAssembly, or with a feature contracts may not use: floats, threads, SIMD and others.
    #[error("not an acceptable WebAssembly module: {0}")]
    Invalid(String),
    /// Too many or too large parts.
    #[error("module has {actual} {what}, at most {max} are allowed")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        actual: u64,
        /// How many there may be.
        max: u64,
    },
    /// An import that the host does not offer.
    #[error("import {module}.{name} is not offered")]
    UnknownImport {
        /// Its module.
        module: String,
        /// Its name.
        name: String,
    },
    /// A known import with another signature.
    #[error("import vouch.{name} has another signature")]
    ImportSignature {
        /// Its name.
        name: String,
    },
    /// A start function: code would run before the call.
    #[error("a contract has no start function")]
    StartFunction,
    /// `memory` or `vouch_call` is missing or of another type.
    #[error("export {0} is missing or has another type")]
    MissingExport(&'static str),
    /// A name that the host uses itself.
    #[error("export names that begin with \"vouch:\" are reserved")]
    ReservedExport,
    /// The custom section `vouch-abi` is missing, twice there, or not an ABI.
    #[error("custom section vouch-abi: {0}")]
    Abi(String),
    /// The compiler gave up on a valid module.
    #[error("the module does not compile")]
    Compile,
}

impl DeployError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "deploy.too_large",
            Self::Invalid(_) => "deploy.invalid_module",
            Self::Limit { .. } => "deploy.limit",
            Self::UnknownImport { .. } => "deploy.unknown_import",
            Self::ImportSignature { .. } => "deploy.import_signature",
            Self::StartFunction => "deploy.start_function",
            Self::MissingExport(_) => "deploy.missing_export",
            Self::ReservedExport => "deploy.reserved_export",
            Self::Abi(_) => "deploy.abi",
            Self::Compile => "deploy.compile",
        }
    }
}

/// The node must stop: no verdict may be drawn from the call, since another node might come to another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FatalError {
    /// The host said so, see [`crate::HostError::Fatal`].
    #[error("host failed during a contract call: {0}")]
    Host(String),
    /// wasmtime or the operating system failed: no memory, no instance, native stack exhausted before the accounted one.
    #[error("contract engine failed during a call: {0}")]
    Engine(String),
}

/// Why a call failed; the same on every node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFailure {
    /// Stable code, see [`code`]; `contract.error.<code>` for errors that the contract declares.
    pub code: String,
    /// For people; at most [`FAILURE_TEXT_BYTES_MAX`] bytes.
    pub message: String,
}

/// Stable codes of failed calls.
pub mod code {
    /// The fuel was used up; all of it counts as used.
    pub const OUT_OF_FUEL: &str = "contract.out_of_fuel";
    /// The code did something WebAssembly or the host ABI does not allow.
    pub const TRAP: &str = "contract.trap";
    /// The contract panicked; the message is its own.
    pub const PANIC: &str = "contract.panic";
    /// Recursion deeper than the accounted stack.
    pub const STACK_LIMIT: &str = "contract.stack_limit";
    /// Memory or table grown beyond the cap.
    pub const MEMORY_LIMIT: &str = "contract.memory_limit";
    /// The ABI names no such method.
    pub const UNKNOWN_METHOD: &str = "contract.unknown_method";
    /// The arguments do not decode as the ABI says, or are too many bytes.
    pub const BAD_ARGUMENTS: &str = "contract.bad_arguments";
    /// More output than allowed.
    pub const OUTPUT_TOO_LARGE: &str = "contract.output_too_large";
    /// A write or event in a query.
    pub const READ_ONLY: &str = "contract.read_only";
    /// A host function used beyond its bounds: key, value, event, scan, arguments.
    pub const HOST_LIMIT: &str = "contract.host_limit";
    /// Contracts calling contracts too deep.
    pub const CALL_DEPTH: &str = "contract.call_depth";
    /// Stands before the codes that contracts declare themselves.
    pub const ERROR_PREFIX: &str = "contract.error.";
}

impl CallFailure {
    /// A failure with a text cut to the allowed length.
    #[must_use]
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        let mut message = message.into();
        let mut end = message.len().min(FAILURE_TEXT_BYTES_MAX);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        Self { code: code.into(), message }
    }

    pub(crate) fn out_of_fuel() -> Self {
        Self::new(code::OUT_OF_FUEL, "the call used up its fuel")
    }
}

/// How a host function ends a call; travels through wasmtime as its error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    #[error("call failed")]
    Failed(CallFailure),
    #[error("host failed")]
    Fatal(FatalError),
}

impl Stop {
    pub(crate) fn fail(code: &str, message: impl Into<String>) -> Self {
        Self::Failed(CallFailure::new(code, message))
    }

    pub(crate) fn out_of_fuel() -> Self {
        Self::Failed(CallFailure::out_of_fuel())
    }
}

impl From<crate::HostError> for Stop {
    fn from(error: crate::HostError) -> Self {
        match error {
            crate::HostError::Refused { code, message } => Self::fail(code, message),
            crate::HostError::Fatal(text) => Self::Fatal(FatalError::Host(text)),
        }
    }
}
