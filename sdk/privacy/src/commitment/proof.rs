//! Shows one field of a document version under the root on the chain.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use vouch_types::{DocumentRoot, Hash32};

use super::{CommitmentError, SchemaFields, disclosure::Disclosure, header::DocumentHeader, root_from_path};

/// Longest path, for [`super::SLOTS_MAX`] slots.
pub const PROOF_PATH_MAX: usize = 10;

/// A disclosure and its way to the root. As JSON: `alg`, `header` (the canonical text), `n`, `i`, `disclosure`, `path`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldProof {
    /// The hash function: `sha-256`.
    pub alg: String,
    /// Canonical text of the header.
    pub header: String,
    /// Number of slots; the header's.
    pub n: u16,
    /// The slot.
    pub i: u16,
    /// What it holds.
    pub disclosure: Disclosure,
    /// Siblings from the leaf upwards.
    pub path: Vec<Hash32>,
}

/// What a proof shows.
#[derive(Clone, PartialEq)]
pub struct ProvenField {
    /// The document version.
    pub header: DocumentHeader,
    /// The slot.
    pub slot: u16,
    /// The field's name.
    pub name: String,
    /// The value; `null` shows that there is none.
    pub value: Value,
}

impl core::fmt::Debug for ProvenField {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "ProvenField({} at {}: <redacted>)", self.name, self.slot)
    }
}

impl FieldProof {
    pub(crate) fn new(header: &DocumentHeader, i: u16, disclosure: Disclosure, path: &[[u8; 32]]) -> Option<Self> {
        (i < header.slots).then(|| Self {
            alg: "sha-256".into(),
            header: header.to_json(),
            n: header.slots,
            i,
            disclosure,
            path: path.iter().copied().map(Hash32).collect(),
        })
    }

    /// Checks the proof against the root on the chain. That the name is the one of the slot is known only with the schema,
    /// see [`FieldProof::verify_by`].
    ///
    /// # Errors
    /// [`CommitmentError`], the first fault found.
    pub fn verify(&self, root: &DocumentRoot) -> Result<ProvenField, CommitmentError> {
        let (header, reached) = self.reach()?;
        if reached != *root {
            return Err(CommitmentError::Root);
        }
        // With a name twice in it two readers see two values.
        if !self.disclosure.is_canonical() {
            return Err(CommitmentError::Disclosure("not the canonical spelling"));
        }
        let said = self.disclosure.parse()?;
        Ok(ProvenField { header, slot: self.i, name: said.name, value: said.value })
    }

    /// The root that the proof leads to: what it shows is known only when that is the one on the chain.
    ///
    /// # Errors
    /// [`CommitmentError`] when it leads nowhere.
    pub fn root(&self) -> Result<DocumentRoot, CommitmentError> {
        self.reach().map(|(_, root)| root)
    }

    fn reach(&self) -> Result<(DocumentHeader, DocumentRoot), CommitmentError> {
        if self.alg != "sha-256" {
            return Err(CommitmentError::Algorithm);
        }
        let header = DocumentHeader::from_json(&self.header)?;
        if self.n != header.slots {
            return Err(CommitmentError::Header("number of slots"));
        }
        if self.i >= self.n {
            return Err(CommitmentError::Slot(self.i));
        }
        if self.path.len() > PROOF_PATH_MAX {
            return Err(CommitmentError::Root);
        }
        let root = root_from_path(&header, self.i, &self.disclosure, &self.path).ok_or(CommitmentError::Root)?;
        Ok((header, root))
    }

    /// The same, and that document and name are by the schema.
    ///
    /// # Errors
    /// [`CommitmentError`], the first fault found.
    pub fn verify_by(&self, root: &DocumentRoot, schema: &SchemaFields) -> Result<ProvenField, CommitmentError> {
        let proven = self.verify(root)?;
        let header = &proven.header;
        if (header.schema.as_str(), header.schema_version, header.slots)
            != (schema.id(), schema.version(), schema.slots())
        {
            return Err(CommitmentError::Schema);
        }
        match schema.field(proven.slot) {
            Some(field) if field.name == proven.name => Ok(proven),
            Some(field) => {
                Err(CommitmentError::FieldName { slot: proven.slot, actual: proven.name, expected: field.name.clone() })
            }
            None => Err(CommitmentError::Slot(proven.slot)),
        }
    }
}
