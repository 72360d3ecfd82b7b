//! What a node shows of a version, judged by what the chain proves of it: fields, and the opening of a file.
//!
//! Deliberately not here: asking the node, proving the record, and who may see what, which the contract decides.

use std::collections::BTreeMap;

use serde_json::Value;
use vouch_types::{
    ChainId, DocumentRoot, Hash32,
    api::{DocumentReading, FileOpening},
    codec::decode,
    document::VersionKey,
};

use crate::{
    attachment::{AttachmentValue, Blob, blob_root},
    commitment::{Disclosure, DocumentHeader, Rows, SchemaFields, root_of},
    construction::check_slots,
    sealing::{FieldKey, RecipientSecret, Wrap, WrapContext, open_wrap},
};

/// Most bytes of a wrapped key.
const WRAP_BYTES_MAX: usize = 4 << 10;

/// What the chain's state proves of a version.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Document and version.
    pub key: VersionKey,
    /// The member that issued it.
    pub issuer: &'a str,
    /// Root of its commitment.
    pub root: DocumentRoot,
    /// Root over its files.
    pub blob_root: Option<Hash32>,
    /// Its schema.
    pub schema: &'a SchemaFields,
}

/// A file that was opened and is under both roots.
pub struct CheckedFile {
    /// What the field says of it.
    pub value: AttachmentValue,
    /// Its ciphertext.
    pub blob: Blob,
    /// The field's key.
    pub key: FieldKey,
}

impl core::fmt::Debug for CheckedFile {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "CheckedFile({} bytes sealed)", self.blob.bytes)
    }
}

/// Checks that what a node shows is what the root commits to, by the schema; says what differs.
///
/// # Errors
/// What is wrong, for people.
pub fn check_fields(
    reading: &DocumentReading,
    expected: &Expected<'_>,
) -> Result<(DocumentHeader, BTreeMap<String, Value>), String> {
    let Expected { key, issuer, root, schema, .. } = expected;
    let header = DocumentHeader::from_json(&reading.header).map_err(|error| error.to_string())?;
    // A root can be put on the chain by anybody who has seen it; only its issuer's record is about this content.
    if header.issuer != *issuer {
        return Err(format!("{} issued it, and the chain says that {issuer} did", header.issuer));
    }
    if (header.document, header.version) != (key.id, key.version)
        || (reading.document, reading.version) != (key.id, key.version)
    {
        return Err("it is another version".into());
    }
    let leaves: Vec<[u8; 32]> = reading.leaves.iter().map(|leaf| leaf.0).collect();
    if root_of(&header, &leaves).map_err(|error| error.to_string())? != *root {
        return Err("header and leaves do not lead to the root".into());
    }
    let mut disclosures = Vec::with_capacity(reading.fields.len());
    let mut rows = BTreeMap::new();
    for field in &reading.fields {
        let disclosure = Disclosure::from_text(field.disclosure.clone()).map_err(|error| error.to_string())?;
        if leaves.get(usize::from(field.slot)) != Some(&disclosure.leaf(field.slot)) {
            return Err(format!("the field at slot {} is not under the root", field.slot));
        }
        if let Some(texts) = &field.rows {
            let items = texts.iter().map(|text| Disclosure::from_text(text.clone())).collect::<Result<_, _>>();
            let made = items.and_then(|items| Rows::from_disclosures(field.slot, items));
            rows.insert(field.slot, made.map_err(|error| error.to_string())?);
        }
        disclosures.push((field.slot, disclosure));
    }
    let slots: Vec<_> = disclosures.iter().map(|(slot, disclosure)| (*slot, disclosure)).collect();
    // Names, types, and that rows are those that the field's value names.
    check_slots(&header, &slots, &rows, schema, None).map_err(|error| error.to_string())?;
    let mut fields = BTreeMap::new();
    for (slot, disclosure) in slots {
        let said = disclosure.parse().map_err(|error| error.to_string())?;
        let value = match rows.get(&slot) {
            Some(rows) => Value::Array(rows.values().map_err(|error| error.to_string())?),
            None => said.value,
        };
        fields.insert(said.name, value);
    }
    Ok((header, fields))
}

/// Checks that an opening is of file `index` of the field at `slot`, under both roots, and unwraps its key.
///
/// # Errors
/// What is wrong, for people.
pub fn check_opening(
    opening: &FileOpening,
    (slot, index): (u16, u16),
    reader: &RecipientSecret,
    chain: ChainId,
    expected: &Expected<'_>,
) -> Result<CheckedFile, String> {
    if opening.field.slot != slot {
        return Err("it shows another field".into());
    }
    let reading = DocumentReading {
        document: opening.document,
        version: opening.version,
        header: opening.header.clone(),
        leaves: opening.leaves.clone(),
        fields: vec![opening.field.clone()],
        reason: opening.reason.clone(),
    };
    let (_, fields) = check_fields(&reading, expected)?;
    let files = fields.values().next().and_then(AttachmentValue::list_from).unwrap_or_default();
    let value = files.into_iter().nth(usize::from(index));
    let value = value.ok_or_else(|| format!("the field at slot {slot} names no file {index}"))?;
    let blob = Blob { slot, index, bytes: opening.bytes, root: opening.root };
    if blob_root(&opening.files) != expected.blob_root || !opening.files.contains(&blob.leaf()) {
        return Err("the file is not under the root over the files".into());
    }
    let wrap: Wrap = decode("wrapped key", &opening.key.0, WRAP_BYTES_MAX).map_err(|error| error.to_string())?;
    let VersionKey { id: document, version } = expected.key;
    let context = WrapContext { chain, document, version };
    let keys = open_wrap(&wrap, reader, context).map_err(|error| error.to_string())?;
    let key = keys.key(slot).map_err(|error| error.to_string())?;
    Ok(CheckedFile { value, blob, key })
}

#[cfg(test)]
mod tests {

    use serde_json::json;
    use vouch_types::{
        api::DisclosedField,
        document::{Category, DocumentId, FieldKind},
    };

    use super::*;
    use crate::{Commitment, DocumentKeys, FieldSpec, Grade, SeededRng};

    #[test]
    fn what_another_issued_is_not_as_committed() {
        let title = FieldSpec {
            name: "title".into(),
            kind: FieldKind::Text,
            grade: Grade::GENERAL,
            public: false,
            required: true,
        };
        let schema = SchemaFields::new("order", 1, Category::Transaction, vec![title]).unwrap();
        let id = DocumentId::new([7; 16]);
        let header = DocumentHeader::new(&schema, "works", id, 1, None);
        let values = BTreeMap::from([("title".to_owned(), json!("order"))]);
        let secret = DocumentKeys::generate(&mut SeededRng::from_seed(&[1; 32])).secret;
        let commitment =
            Commitment::build(&crate::Document { header: header.clone(), values }, &schema, &secret).unwrap();
        let disclosure = &commitment.disclosures()[0];
        let reading = DocumentReading {
            document: id,
            version: 1,
            header: header.to_json(),
            leaves: vec![Hash32(disclosure.leaf(0))],
            fields: vec![DisclosedField { slot: 0, disclosure: disclosure.as_str().to_owned(), rows: None }],
            reason: "ok".into(),
        };
        let key = VersionKey { id, version: 1 };
        let check = |issuer| {
            check_fields(&reading, &Expected { key, issuer, root: commitment.root(), blob_root: None, schema: &schema })
        };
        assert_eq!(check("works").unwrap().1["title"], json!("order"));
        // The chain has the same root of another member: it did not make this content.
        assert!(check("mills").unwrap_err().contains("works issued it"));
    }
}
