//! Which slots a document has: the part of a registered schema that a commitment depends on.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use vouch_types::document::{Category, FieldKind, Schema};

use crate::grade::{Grade, GradeError};

/// Most slots of a document.
pub const SLOTS_MAX: usize = 1_024;
/// Longest name of a field, schema or issuer, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// Names that have a meaning of their own in an exported SD-JWT and would collide there.
const RESERVED: &[&str] =
    &["_sd", "_sd_alg", "...", "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf", "vct", "status", "glc"];

/// One field of a schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldSpec {
    /// Unique within the schema: a letter, then letters, digits and `_`.
    pub name: String,
    /// What its value looks like.
    pub kind: FieldKind,
    /// How sensitive it is.
    pub grade: Grade,
    /// Whether it may stand on the chain in clear; never with a grade above 2.
    #[serde(default)]
    pub public: bool,
    /// Whether it may not be absent.
    #[serde(default)]
    pub required: bool,
}

/// A schema as far as commitments go: slot `i` holds field `i`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SchemaParts", into = "SchemaParts")]
pub struct SchemaFields {
    id: String,
    version: u32,
    category: Category,
    fields: Vec<FieldSpec>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SchemaParts {
    id: String,
    version: u32,
    category: Category,
    fields: Vec<FieldSpec>,
}

/// Why a list of fields is no schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// None, or more than [`SLOTS_MAX`].
    #[error("a schema has 1 to {SLOTS_MAX} fields, not {0}")]
    Count(usize),
    /// A name of another form, or one that an SD-JWT uses itself.
    #[error("{0:?} cannot be a name here")]
    Name(String),
    /// Two fields of one name.
    #[error("there are two fields {0}")]
    Duplicate(String),
    /// In clear on the chain, though sensitive.
    #[error("field {0} has a grade above 2 and cannot be public")]
    PublicSensitive(String),
    /// A grade that is none.
    #[error("{0}")]
    Grade(#[from] GradeError),
}

impl SchemaError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Count(_) => "schema.count",
            Self::Name(_) => "schema.name",
            Self::Duplicate(_) => "schema.duplicate",
            Self::PublicSensitive(_) => "schema.public_sensitive",
            Self::Grade(error) => error.code(),
        }
    }
}

impl SchemaFields {
    /// A schema, checked.
    ///
    /// # Errors
    /// [`SchemaError`], the first fault found.
    pub fn new(
        id: impl Into<String>,
        version: u32,
        category: Category,
        fields: Vec<FieldSpec>,
    ) -> Result<Self, SchemaError> {
        let schema = Self { id: id.into(), version, category, fields };
        if !(1..=SLOTS_MAX).contains(&schema.fields.len()) {
            return Err(SchemaError::Count(schema.fields.len()));
        }
        if !is_label(&schema.id) {
            return Err(SchemaError::Name(schema.id));
        }
        let mut names = BTreeSet::new();
        for field in &schema.fields {
            if !is_field_name(&field.name) {
                return Err(SchemaError::Name(field.name.clone()));
            }
            if !names.insert(&field.name) {
                return Err(SchemaError::Duplicate(field.name.clone()));
            }
            if field.public && field.grade > Grade::GENERAL {
                return Err(SchemaError::PublicSensitive(field.name.clone()));
            }
        }
        Ok(schema)
    }

    /// From a schema as it is registered on the chain.
    ///
    /// # Errors
    /// [`SchemaError`], the first fault found.
    pub fn from_chain(schema: &Schema) -> Result<Self, SchemaError> {
        let fields = schema.definition.fields.iter().map(|rule| {
            let (grade, name) = (Grade::new(rule.grade)?, rule.name.clone());
            Ok(FieldSpec { name, kind: rule.kind, grade, public: rule.public, required: rule.required })
        });
        let definition = &schema.definition;
        Self::new(&*definition.name, schema.version, definition.category, fields.collect::<Result<_, SchemaError>>()?)
    }

    /// Its registered name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its registered version.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// The category of its documents.
    #[must_use]
    pub const fn category(&self) -> Category {
        self.category
    }

    /// The fields in order of their slots.
    #[must_use]
    pub fn fields(&self) -> &[FieldSpec] {
        &self.fields
    }

    /// How many slots there are.
    ///
    /// # Panics
    /// Never: there are at most [`SLOTS_MAX`].
    #[must_use]
    pub fn slots(&self) -> u16 {
        u16::try_from(self.fields.len()).expect("a schema has at most 1,024 fields")
    }

    /// The field of a slot.
    #[must_use]
    pub fn field(&self, slot: u16) -> Option<&FieldSpec> {
        self.fields.get(usize::from(slot))
    }

    /// The slot of a field.
    #[must_use]
    pub fn slot(&self, name: &str) -> Option<u16> {
        self.fields.iter().position(|field| field.name == name).and_then(|slot| u16::try_from(slot).ok())
    }
}

impl TryFrom<SchemaParts> for SchemaFields {
    type Error = SchemaError;
    fn try_from(parts: SchemaParts) -> Result<Self, SchemaError> {
        Self::new(parts.id, parts.version, parts.category, parts.fields)
    }
}

impl From<SchemaFields> for SchemaParts {
    fn from(schema: SchemaFields) -> Self {
        Self { id: schema.id, version: schema.version, category: schema.category, fields: schema.fields }
    }
}

/// Whether a text can name a schema or issuer: 1 to 64 of letters, digits and `. _ : -`.
pub(crate) fn is_label(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
}

/// A category as headers spell it.
pub(crate) const fn category_name(category: Category) -> &'static str {
    match category {
        Category::Identity => "identity",
        Category::Contract => "contract",
        Category::Transaction => "transaction",
        Category::Invoice => "invoice",
        Category::Risk => "risk",
    }
}

/// The category that a header spells.
pub(crate) fn category_named(name: &str) -> Option<Category> {
    let all = [Category::Identity, Category::Contract, Category::Transaction, Category::Invoice, Category::Risk];
    all.into_iter().find(|category| category_name(*category) == name)
}

fn is_field_name(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !RESERVED.contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str) -> FieldSpec {
        FieldSpec { name: name.into(), kind: FieldKind::Text, grade: Grade::GENERAL, public: false, required: false }
    }

    fn code(fields: Vec<FieldSpec>) -> &'static str {
        SchemaFields::new("trade", 1, Category::Transaction, fields).map_or_else(|error| error.code(), |_| "ok")
    }

    #[test]
    fn only_well_formed_schemas_are_accepted() {
        assert_eq!(code(vec![field("amount")]), "ok");
        assert_eq!(code(Vec::new()), "schema.count");
        assert_eq!(code((0..1_024).map(|i| field(&format!("f{i}"))).collect()), "ok");
        assert_eq!(code((0..1_025).map(|i| field(&format!("f{i}"))).collect()), "schema.count");
        for name in ["", "1a", "_sd", "iss", "金额", "a b", "glc", &"a".repeat(65)] {
            assert_eq!(code(vec![field(name)]), "schema.name", "{name}");
        }
        assert_eq!(code(vec![field("a"), field("a")]), "schema.duplicate");
        let sensitive = FieldSpec { public: true, grade: Grade::SENSITIVE, ..field("phone") };
        assert_eq!(code(vec![sensitive]), "schema.public_sensitive");
        assert_eq!(SchemaFields::new("a/b", 1, Category::Risk, vec![field("a")]).unwrap_err().code(), "schema.name");
    }

    #[test]
    fn every_category_has_a_name_of_its_own() {
        for name in ["identity", "contract", "transaction", "invoice", "risk"] {
            assert_eq!(category_named(name).map(category_name), Some(name));
        }
        assert_eq!(category_named("other"), None);
    }

    #[test]
    fn a_schema_read_from_json_is_checked_too() {
        let schema = SchemaFields::new("trade", 1, Category::Transaction, vec![field("amount")]).unwrap();
        let text = serde_json::to_string(&schema).unwrap();
        assert_eq!(serde_json::from_str::<SchemaFields>(&text).unwrap(), schema);
        assert!(serde_json::from_str::<SchemaFields>(&text.replace("amount", "iss")).is_err());
        assert_eq!((schema.slot("amount"), schema.slot("other")), (Some(0), None));
    }
}
