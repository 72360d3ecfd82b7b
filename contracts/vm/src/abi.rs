//! What the host itself needs of a contract's ABI: which methods there are and which of them only read.
//!
//! The full meaning of the text belongs to SDKs, CLI and console; see `vouch_types`. The host checks its size, its
//! version and its method list, and treats the rest as data.

use std::collections::BTreeMap;

use serde::Deserialize;
use vouch_types::transaction::METHOD_BYTES_MAX;

use crate::error::DeployError;

/// Custom section that holds the ABI text.
pub const ABI_SECTION: &str = "vouch-abi";
/// Version of the ABI text.
pub const ABI_VERSION: u32 = 1;

/// What a method may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MethodKind {
    /// Changes state; called by transactions and contracts.
    Call,
    /// Only reads, whoever calls it: writes and events are refused.
    Query,
}

/// Methods by name.
pub(crate) type Methods = BTreeMap<String, MethodKind>;

#[derive(Deserialize)]
struct AbiText {
    abi: u32,
    name: String,
    version: String,
    methods: Vec<MethodText>,
}

#[derive(Deserialize)]
struct MethodText {
    name: String,
    kind: MethodKind,
}

pub(crate) fn parse_methods(text: &str) -> Result<Methods, DeployError> {
    let refuse = |what: &str| DeployError::Abi(what.to_owned());
    // serde_json's own text could change with its version, and texts of errors are part of what nodes agree on.
    let abi: AbiText = serde_json::from_str(text).map_err(|_| refuse("not JSON with abi, name, version, methods"))?;
    if abi.abi != ABI_VERSION {
        return Err(refuse("version of the ABI is not known"));
    }
    if abi.name.is_empty() || abi.version.is_empty() {
        return Err(refuse("name and version are needed"));
    }
    let mut methods = Methods::new();
    for method in abi.methods {
        if method.name.is_empty() || method.name.len() > METHOD_BYTES_MAX {
            return Err(refuse("a method name has 1 to 64 bytes"));
        }
        if methods.insert(method.name, method.kind).is_some() {
            return Err(refuse("two methods have one name"));
        }
    }
    Ok(methods)
}
