//! Fields that a node shows, judged by the record that the module `light` proved.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use vouch_privacy::{
    SchemaFields,
    reading::{Expected, check_fields},
};
use vouch_types::{
    DocumentRoot, Hash32,
    api::DocumentReading,
    document::{DocumentId, Schema, VersionKey},
};

use crate::{Fault, read, written};

/// What the chain says of a version: root and issuer proven, the schema as a node told it.
#[derive(Deserialize)]
pub(crate) struct Shown {
    document: DocumentId,
    version: u32,
    issuer: String,
    root: DocumentRoot,
    blob_root: Option<Hash32>,
    schema: Schema,
}

#[derive(Deserialize)]
struct Input {
    expected: Shown,
    reading: DocumentReading,
}

impl Shown {
    pub(crate) fn schema(&self) -> Result<SchemaFields, Fault> {
        SchemaFields::from_chain(&self.schema).map_err(|error| Fault::new("document.construction", error))
    }

    pub(crate) fn expected<'a>(&'a self, schema: &'a SchemaFields) -> Expected<'a> {
        let key = VersionKey { id: self.document, version: self.version };
        Expected { key, issuer: &self.issuer, root: self.root, blob_root: self.blob_root, schema }
    }
}

/// Checks a reading. Input: what is expected and the reading, as JSON. Answers the fields by slot with their values.
///
/// # Errors
/// `document.not_as_committed`.
pub fn check(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let Input { expected, reading } = read(input)?;
    let schema = expected.schema()?;
    let checked = check_fields(&reading, &expected.expected(&schema));
    let (_, values) = checked.map_err(|reason| Fault::new("document.not_as_committed", reason))?;
    let by_slot: BTreeMap<u16, (&String, &Value)> =
        values.iter().filter_map(|entry| Some((schema.slot(entry.0)?, entry))).collect();
    let fields = by_slot.iter().map(|(slot, (name, value))| json!({ "slot": slot, "name": name, "value": value }));
    written(&json!({ "fields": fields.collect::<Vec<_>>(), "reason": reading.reason }))
}
