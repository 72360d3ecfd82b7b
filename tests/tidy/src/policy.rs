//! What `deny.toml` allows and forgives. The same file serves cargo-deny, where that is installed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use toml::{Table, Value};

/// The part of `deny.toml` that the checks here act on.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Licences that any dependency may have, by SPDX name.
    pub licences: BTreeSet<String>,
    /// Further licences of single packages, by the package's name.
    pub exceptions: BTreeMap<String, BTreeSet<String>>,
    /// Advisories that do not apply to us, with the reason.
    pub ignored: BTreeMap<String, String>,
}

impl Policy {
    /// Reads `deny.toml` in the folder `root`.
    ///
    /// # Errors
    /// If it is missing, is not TOML, or forgives an advisory without a reason.
    pub fn read(root: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(root.join("deny.toml")).context("reading deny.toml")?;
        Self::parse(&text)
    }

    /// Reads the text of a `deny.toml`.
    ///
    /// # Errors
    /// If it is not TOML, or forgives an advisory without a reason.
    pub fn parse(text: &str) -> Result<Self> {
        let table: Table = text.parse().context("deny.toml")?;
        let licences = table.get("licenses").context("deny.toml has no [licenses]")?;
        let mut policy = Self { licences: names(licences, "allow"), ..Self::default() };
        for exception in list(licences, "exceptions") {
            let name = string(exception, "crate").or_else(|| string(exception, "name"));
            policy.exceptions.insert(name.context("an exception without a crate")?, names(exception, "allow"));
        }
        for ignored in table.get("advisories").map(|part| list(part, "ignore")).unwrap_or_default() {
            let id = string(ignored, "id").context("ignore entries are { id = …, reason = … }")?;
            let reason = string(ignored, "reason").filter(|reason| !reason.trim().is_empty());
            policy.ignored.insert(id.clone(), reason.with_context(|| format!("{id} is ignored without a reason"))?);
        }
        Ok(policy)
    }
}

fn list<'a>(table: &'a Value, key: &str) -> &'a [Value] {
    table.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn names(table: &Value, key: &str) -> BTreeSet<String> {
    list(table, key).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn string(table: &Value, key: &str) -> Option<String> {
    table.get(key).and_then(Value::as_str).map(str::to_owned)
}
