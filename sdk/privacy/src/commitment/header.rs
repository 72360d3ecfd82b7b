//! What a commitment is a commitment of: the part that is no secret and stands in the proof of every field.

use serde::{Deserialize, Serialize};
use vouch_types::{
    DocumentRoot,
    document::{Category, DocumentId},
};

use super::{
    CommitmentError,
    schema::{SLOTS_MAX, SchemaFields, category_name, category_named, is_label},
    tree::sha256,
};

/// Longest header, in bytes of its JSON.
pub const HEADER_BYTES_MAX: usize = 1_024;
/// Version of the construction.
const VERSION: u8 = 1;
/// The one hash function of this version.
const ALGORITHM: &str = "sha-256";

/// The header of a document version.
///
/// Its form is the JSON of RFC 8785 with the members `alg`, `doc_id`, `doc_type`, `issuer`, `n`, `prev_root`, `schema`,
/// `schema_ver`, `v`, `version`; hashes and ids are lower-case hexadecimal, `prev_root` is `null` for version 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentHeader {
    /// Registered name of the schema.
    pub schema: String,
    /// Registered version of the schema.
    pub schema_version: u32,
    /// Category of the document.
    pub category: Category,
    /// Number of slots.
    pub slots: u16,
    /// Name of the member that issues it.
    pub issuer: String,
    /// Id of the document, the same for all its versions.
    pub document: DocumentId,
    /// Version of the document, from 1.
    pub version: u32,
    /// Root of the version before; there is one exactly from version 2 on.
    pub previous: Option<DocumentRoot>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    alg: String,
    doc_id: DocumentId,
    doc_type: String,
    issuer: String,
    n: u16,
    prev_root: Option<DocumentRoot>,
    schema: String,
    schema_ver: u32,
    v: u8,
    version: u32,
}

impl DocumentHeader {
    /// The header of a document by a schema.
    #[must_use]
    pub fn new(
        schema: &SchemaFields,
        issuer: impl Into<String>,
        document: DocumentId,
        version: u32,
        previous: Option<DocumentRoot>,
    ) -> Self {
        Self {
            schema: schema.id().to_owned(),
            schema_version: schema.version(),
            category: schema.category(),
            slots: schema.slots(),
            issuer: issuer.into(),
            document,
            version,
            previous,
        }
    }

    /// Its one form as JSON text.
    ///
    /// # Panics
    /// Never: all members are texts and whole numbers.
    #[must_use]
    pub fn to_json(&self) -> String {
        let form = Form {
            alg: ALGORITHM.into(),
            doc_id: self.document,
            doc_type: category_name(self.category).into(),
            issuer: self.issuer.clone(),
            n: self.slots,
            prev_root: self.previous,
            schema: self.schema.clone(),
            schema_ver: self.schema_version,
            v: VERSION,
            version: self.version,
        };
        serde_json_canonicalizer::to_string(&form).expect("a header holds texts and whole numbers only")
    }

    /// Reads the one form; another spelling of the same is refused.
    ///
    /// # Errors
    /// [`CommitmentError::Header`].
    pub fn from_json(text: &str) -> Result<Self, CommitmentError> {
        if text.len() > HEADER_BYTES_MAX {
            return Err(CommitmentError::Header("too long"));
        }
        let form: Form = serde_json::from_str(text).map_err(|_| CommitmentError::Header("not the JSON of a header"))?;
        let category = category_named(&form.doc_type).ok_or(CommitmentError::Header("category"))?;
        if form.v != VERSION || form.alg != ALGORITHM {
            return Err(CommitmentError::Algorithm);
        }
        let header = Self {
            schema: form.schema,
            schema_version: form.schema_ver,
            category,
            slots: form.n,
            issuer: form.issuer,
            document: form.doc_id,
            version: form.version,
            previous: form.prev_root,
        };
        header.validate()?;
        if header.to_json() != text {
            return Err(CommitmentError::Header("not in canonical form"));
        }
        Ok(header)
    }

    /// Checks bounds and that a version above 1 names the one before.
    ///
    /// # Errors
    /// [`CommitmentError::Header`].
    pub fn validate(&self) -> Result<(), CommitmentError> {
        let fault = if !is_label(&self.schema) || !is_label(&self.issuer) {
            "a name of another form"
        } else if !(1..=SLOTS_MAX).contains(&usize::from(self.slots)) {
            "number of slots"
        } else if self.version == 0 || (self.version == 1) != self.previous.is_none() {
            "version and previous root do not fit"
        } else {
            return Ok(());
        };
        Err(CommitmentError::Header(fault))
    }

    /// SHA-256 of the canonical form.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        sha256(&[self.to_json().as_bytes()])
    }

    /// The root over this header and the leaves.
    #[must_use]
    pub(crate) fn root(&self, head: &[u8; 32]) -> DocumentRoot {
        DocumentRoot(sha256(&[&[2], b"GLC1.doc", &self.hash(), &self.slots.to_be_bytes(), head]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> DocumentHeader {
        DocumentHeader {
            schema: "settlement".into(),
            schema_version: 1,
            category: Category::Transaction,
            slots: 16,
            issuer: "accu".into(),
            document: DocumentId::new([0x7f; 16]),
            version: 2,
            previous: Some(DocumentRoot([9; 32])),
        }
    }

    #[test]
    fn one_header_has_one_text() {
        let text = header().to_json();
        assert!(text.starts_with(r#"{"alg":"sha-256","doc_id":"7f7f"#), "{text}");
        assert_eq!(DocumentHeader::from_json(&text).unwrap(), header());
        let spaced = text.replace(':', ": ");
        let upper = text.replace("7f7f", "7F7F");
        let twice = text.replace(r#""v":1"#, r#""v":1,"v":1"#);
        for other in [
            spaced,
            upper,
            twice,
            text.replace("}", ",\"x\":1}"),
            text.replace("transaction", "others"),
            text.replace(r#""n":16"#, r#""n":0"#),
        ] {
            assert!(DocumentHeader::from_json(&other).is_err(), "{other}");
        }
        assert_eq!(DocumentHeader::from_json(&text.replace("sha-256", "sm3")).unwrap_err(), CommitmentError::Algorithm);
    }

    #[test]
    fn the_version_before_is_named_from_the_second_on() {
        let first = DocumentHeader { version: 1, previous: None, ..header() };
        assert!(first.validate().is_ok());
        assert!(DocumentHeader { previous: None, ..header() }.validate().is_err());
        assert!(DocumentHeader { version: 1, ..header() }.validate().is_err());
        assert!(DocumentHeader { version: 0, previous: None, ..header() }.validate().is_err());
    }
}
