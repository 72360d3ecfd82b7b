//! One root over all fields of a document version, from which each field can be shown without the others.
//!
//! "GLC1": every slot of the schema is always there, an absent value as `null`; each is salted, written down once as an
//! RFC 9901 disclosure and never again; the digests are the leaves of an RFC 9162 tree; the root binds the header.
//! Salts come from one secret per version, so that nothing can be guessed from the chain, and destroying the secret and
//! the sealed values leaves nothing there to be guessed.
//!
//! ```text
//! value --salt--> disclosure D --SHA-256--> digest (SD-JWT) --tag, slot--> leaf --tree--> head --header--> root
//! ```

mod disclosure;
mod header;
mod proof;
mod rows;
mod schema;
mod tree;

use std::collections::BTreeMap;

use serde_json::Value;
use vouch_types::{DocumentRoot, Hash32, document::FieldKind};

pub use disclosure::{DISCLOSURE_BYTES_MAX, Disclosed, Disclosure, DocumentSecret, SALT_BYTES, Salt};
pub use header::{DocumentHeader, HEADER_BYTES_MAX};
pub use proof::{FieldProof, PROOF_PATH_MAX, ProvenField};
pub use rows::{ROWS_MAX, RowProof, Rows};
pub use schema::{FieldSpec, NAME_BYTES_MAX, SLOTS_MAX, SchemaError, SchemaFields};

pub(crate) use rows::parse_rows_value;
pub(crate) use schema::is_label;
pub(crate) use tree::{head, sha256};

use crate::construction::{self, ConstructionError};

/// Why something is no commitment, or not one to what is claimed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitmentError {
    /// A version or hash function this version does not know.
    #[error("construction or hash function is not known")]
    Algorithm,
    /// A header that is none.
    #[error("header: {0}")]
    Header(&'static str),
    /// A disclosure that is none.
    #[error("disclosure: {0}")]
    Disclosure(&'static str),
    /// A disclosure above the bound.
    #[error("a disclosure has {0} characters, at most {DISCLOSURE_BYTES_MAX} are allowed")]
    DisclosureSize(usize),
    /// A salt of another length.
    #[error("a salt has {0} bytes, it must have {SALT_BYTES}")]
    SaltLength(usize),
    /// Rows that are none, or not those of the slot.
    #[error("rows: {0}")]
    Rows(&'static str),
    /// A slot outside the document.
    #[error("there is no slot {0}")]
    Slot(u16),
    /// The path leads elsewhere.
    #[error("the field is not under the root")]
    Root,
    /// The slot's field has another name in the schema.
    #[error("slot {slot} holds {actual}, the schema calls it {expected}")]
    FieldName {
        /// The slot.
        slot: u16,
        /// What the disclosure says.
        actual: String,
        /// What the schema says.
        expected: String,
    },
    /// A header that names another schema than the one at hand.
    #[error("the document is not by this schema")]
    Schema,
}

impl CommitmentError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Algorithm => "commitment.algorithm",
            Self::Header(_) => "commitment.header",
            Self::Disclosure(_) => "commitment.disclosure",
            Self::DisclosureSize(_) => "commitment.disclosure_size",
            Self::SaltLength(_) => "commitment.salt_length",
            Self::Rows(_) => "commitment.rows",
            Self::Slot(_) => "commitment.slot",
            Self::Root => "commitment.root",
            Self::FieldName { .. } => "commitment.field_name",
            Self::Schema => "commitment.schema",
        }
    }
}

/// A document version in plain: what a business system hands over.
#[derive(Clone, PartialEq)]
pub struct Document {
    /// Its header.
    pub header: DocumentHeader,
    /// Values by field; what is missing is absent. A field of rows has an array here.
    pub values: BTreeMap<String, Value>,
}

impl core::fmt::Debug for Document {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Document").field("header", &self.header).field("values", &"<redacted>").finish()
    }
}

/// A document version with all its disclosures, as built or received, checked against its schema.
#[derive(Clone, PartialEq, Eq)]
pub struct Commitment {
    header: DocumentHeader,
    disclosures: Vec<Disclosure>,
    rows: BTreeMap<u16, Rows>,
    leaves: Vec<[u8; 32]>,
    root: DocumentRoot,
}

impl core::fmt::Debug for Commitment {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Commitment").field("header", &self.header).field("root", &self.root).finish_non_exhaustive()
    }
}

impl Commitment {
    /// Builds the commitment of a document.
    ///
    /// # Errors
    /// [`ConstructionError`] when the document is not by the schema.
    pub fn build(
        document: &Document,
        schema: &SchemaFields,
        secret: &DocumentSecret,
    ) -> Result<Self, ConstructionError> {
        let mut disclosures = Vec::with_capacity(schema.fields().len());
        let mut rows = BTreeMap::new();
        for (slot, field) in (0u16..).zip(schema.fields()) {
            let given = document.values.get(&field.name).unwrap_or(&Value::Null);
            let value = match (field.kind, given) {
                (FieldKind::Rows, Value::Array(items)) => {
                    let made = Rows::of(slot, items, secret)?;
                    let value = made.value();
                    rows.insert(slot, made);
                    value
                }
                (FieldKind::Rows, Value::Null) => Value::Null,
                (FieldKind::Rows, _) => return Err(ConstructionError::Type { slot, kind: FieldKind::Rows }),
                _ => given.clone(),
            };
            disclosures.push(Disclosure::of_field(&secret.slot_salt(slot), &field.name, &value)?);
        }
        if let Some(unknown) = document.values.keys().find(|name| schema.slot(name).is_none()) {
            return Err(ConstructionError::UnknownField(unknown.clone()));
        }
        Self::from_disclosures(document.header.clone(), disclosures, rows, schema, Some(secret))
    }

    /// Takes disclosures as they were written, and checks the whole construction. With the secret the salts are checked to
    /// come from it; without, to be of the right length and different from each other.
    ///
    /// # Errors
    /// [`ConstructionError`], the first fault found.
    pub fn from_disclosures(
        header: DocumentHeader,
        disclosures: Vec<Disclosure>,
        rows: BTreeMap<u16, Rows>,
        schema: &SchemaFields,
        secret: Option<&DocumentSecret>,
    ) -> Result<Self, ConstructionError> {
        construction::check(&header, &disclosures, &rows, schema, secret)?;
        let leaves: Vec<_> = (0u16..).zip(&disclosures).map(|(slot, disclosure)| disclosure.leaf(slot)).collect();
        let root = header.root(&head(&leaves));
        Ok(Self { header, disclosures, rows, leaves, root })
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &DocumentHeader {
        &self.header
    }

    /// The root that goes on the chain.
    #[must_use]
    pub const fn root(&self) -> DocumentRoot {
        self.root
    }

    /// All disclosures by slot.
    #[must_use]
    pub fn disclosures(&self) -> &[Disclosure] {
        &self.disclosures
    }

    /// The rows of the slots that have some.
    #[must_use]
    pub const fn rows(&self) -> &BTreeMap<u16, Rows> {
        &self.rows
    }

    /// All leaves by slot.
    #[must_use]
    pub fn leaves(&self) -> &[[u8; 32]] {
        &self.leaves
    }

    /// Proof of one field; `None` when there is no such slot.
    #[must_use]
    pub fn proof(&self, slot: u16) -> Option<FieldProof> {
        let path = tree::path(&self.leaves, usize::from(slot))?;
        FieldProof::new(&self.header, slot, self.disclosures.get(usize::from(slot))?.clone(), &path)
    }
}

/// The root over a header and all leaves, for one who has the leaves of slots without their disclosures.
///
/// # Errors
/// [`CommitmentError::Header`] when the number of leaves is not the header's.
pub fn root_of(header: &DocumentHeader, leaves: &[[u8; 32]]) -> Result<DocumentRoot, CommitmentError> {
    if leaves.len() != usize::from(header.slots) {
        return Err(CommitmentError::Header("number of slots"));
    }
    Ok(header.root(&head(leaves)))
}

/// The root that a disclosure at a slot and its path lead to; `None` when the path has not the length it must have.
pub(crate) fn root_from_path(
    header: &DocumentHeader,
    slot: u16,
    disclosure: &Disclosure,
    path: &[Hash32],
) -> Option<DocumentRoot> {
    let path: Vec<[u8; 32]> = path.iter().map(|hash| hash.0).collect();
    let head = tree::head_from(&disclosure.leaf(slot), usize::from(slot), usize::from(header.slots), &path)?;
    Some(header.root(&head))
}

/// Proof of one field from all leaves and the field's disclosure, for one who was delivered a part of a document.
///
/// # Errors
/// [`CommitmentError::Slot`] when there is no such slot.
pub fn proof_of(
    header: &DocumentHeader,
    leaves: &[[u8; 32]],
    slot: u16,
    disclosure: Disclosure,
) -> Result<FieldProof, CommitmentError> {
    let path = tree::path(leaves, usize::from(slot)).ok_or(CommitmentError::Slot(slot))?;
    FieldProof::new(header, slot, disclosure, &path).ok_or(CommitmentError::Slot(slot))
}
