//! Judges whether a commitment was built by the rules. A hash does not show whether its value was salted, so whoever sees
//! the disclosures checks: the submitter's node before the transaction passes, every entitled holder on delivery.
//!
//! What only the contents can show is checked here: order, names, salts, spelling, types and what the schema requires.
//! What a kind of field may hold, `null` for an absent value apart:
//!
//! | kind | JSON |
//! |---|---|
//! | text | a text, exactly as signed: nothing is normalised |
//! | decimal | a text `-?(0\|[1-9][0-9]*)(\.[0-9]+)?`, at most 64 characters |
//! | integer | a whole number, at most [`INTEGER_MAX`] in size |
//! | boolean | `true` or `false` |
//! | date | a text `YYYY-MM-DD`, a day of the calendar |
//! | time | a text as of RFC 3339 with `T`, seconds and offset |
//! | code | a text of 1 to 64 letters, digits and `. _ : -` |
//! | rows | `{"n": count, "root": 64 hexadecimal digits}`; each row is any JSON without fractions |
//! | attachment | an array of [`AttachmentValue`]s |
//!
//! Grades are checked where a schema is made; what stands in clear beside the commitment is checked by [`check_public`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use vouch_types::document::FieldKind;

use crate::{
    attachment::AttachmentValue,
    commitment::{
        CommitmentError, Disclosure, DocumentHeader, DocumentSecret, FieldSpec, Rows, Salt, SchemaFields, is_label,
        parse_rows_value,
    },
    lexical,
};

/// Largest size of a number, so that every JSON reader reads the same: 2^53 - 1.
pub const INTEGER_MAX: i64 = (1 << 53) - 1;

/// How a construction breaks the rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConstructionError {
    /// Something is not even a disclosure, header or row.
    #[error("{0}")]
    Commitment(#[from] CommitmentError),
    /// The header names another schema or category, or another number of slots, than the schema at hand.
    #[error("the header is not that of a document by schema {0}")]
    Schema(String),
    /// Another number of disclosures than slots.
    #[error("{actual} disclosures for {expected} slots")]
    Count {
        /// How many there are.
        actual: usize,
        /// How many there must be.
        expected: usize,
    },
    /// A field that the schema does not have.
    #[error("the schema has no field {0}")]
    UnknownField(String),
    /// Another name than the schema's for this slot: wrong order, or a field of another schema.
    #[error("slot {slot} is named {actual}, the schema has {expected} there")]
    Name {
        /// The slot.
        slot: u16,
        /// The disclosure's name.
        actual: String,
        /// The schema's.
        expected: String,
    },
    /// A salt that was used before in this document, or is not derived from the document's secret.
    #[error("the salt of slot {slot} is not its own")]
    Salt {
        /// The slot.
        slot: u16,
    },
    /// JSON that is not in the canonical form of RFC 8785.
    #[error("slot {slot} is not written in canonical JSON")]
    Spelling {
        /// The slot.
        slot: u16,
    },
    /// A required field that is absent.
    #[error("field {0} is required")]
    Required(String),
    /// A value of another type than the schema's.
    #[error("the value of slot {slot} is not of type {kind:?}")]
    Type {
        /// The slot.
        slot: u16,
        /// The schema's type.
        kind: FieldKind,
    },
    /// A number with a fraction, an exponent, or above [`INTEGER_MAX`].
    #[error("slot {slot} holds a number that not every reader reads the same; write decimals as text")]
    Number {
        /// The slot.
        slot: u16,
    },
    /// Rows that are missing, surplus, or not those the slot's value names.
    #[error("the rows of slot {slot} are not those its value names")]
    Rows {
        /// The slot.
        slot: u16,
    },
    /// A value in clear that the schema keeps private.
    #[error("field {0} may not stand in clear")]
    NotPublic(String),
    /// A value in clear that is not the one committed to.
    #[error("field {0} stands in clear with another value than the one committed to")]
    PublicDiffers(String),
}

impl ConstructionError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Commitment(error) => error.code(),
            Self::Schema(_) => "construction.schema",
            Self::Count { .. } => "construction.count",
            Self::UnknownField(_) => "construction.unknown_field",
            Self::Name { .. } => "construction.name",
            Self::Salt { .. } => "construction.salt",
            Self::Spelling { .. } => "construction.spelling",
            Self::Required(_) => "construction.required",
            Self::Type { .. } => "construction.type",
            Self::Number { .. } => "construction.number",
            Self::Rows { .. } => "construction.rows",
            Self::NotPublic(_) => "construction.not_public",
            Self::PublicDiffers(_) => "construction.public_differs",
        }
    }
}

/// Checks a whole document version. With the secret, that the salts come from it; without, that they differ.
///
/// # Errors
/// [`ConstructionError`], the first fault found.
pub fn check(
    header: &DocumentHeader,
    disclosures: &[Disclosure],
    rows: &BTreeMap<u16, Rows>,
    schema: &SchemaFields,
    secret: Option<&DocumentSecret>,
) -> Result<(), ConstructionError> {
    if disclosures.len() != schema.fields().len() {
        return Err(ConstructionError::Count { actual: disclosures.len(), expected: schema.fields().len() });
    }
    let slots: Vec<_> = (0u16..).zip(disclosures).collect();
    check_slots(header, &slots, rows, schema, secret)
}

/// Checks the slots that one was given of a document version: all that a holder with a part of the fields can judge.
///
/// # Errors
/// [`ConstructionError`], the first fault found.
pub fn check_slots(
    header: &DocumentHeader,
    slots: &[(u16, &Disclosure)],
    rows: &BTreeMap<u16, Rows>,
    schema: &SchemaFields,
    secret: Option<&DocumentSecret>,
) -> Result<(), ConstructionError> {
    header.validate()?;
    check_schema(header, schema)?;
    let mut salts = BTreeSet::new();
    for (slot, disclosure) in slots.iter().copied() {
        let field = schema.field(slot).ok_or(CommitmentError::Slot(slot))?;
        let said = disclosure.parse()?;
        if said.name != field.name {
            return Err(ConstructionError::Name { slot, actual: said.name, expected: field.name.clone() });
        }
        if !salts.insert(said.salt) || secret.is_some_and(|secret| secret.slot_salt(slot) != said.salt) {
            return Err(ConstructionError::Salt { slot });
        }
        if !disclosure.is_canonical() {
            return Err(ConstructionError::Spelling { slot });
        }
        check_value(slot, field, &said.value)?;
        check_rows(slot, field, &said.value, rows.get(&slot), secret, &mut salts)?;
    }
    match rows.keys().find(|slot| !slots.iter().any(|(given, _)| given == *slot)) {
        Some(&slot) => Err(ConstructionError::Rows { slot }),
        None => Ok(()),
    }
}

/// Checks values that stand on the chain in clear: only fields that the schema makes public, and exactly as committed to.
///
/// # Errors
/// [`ConstructionError::NotPublic`] or [`ConstructionError::PublicDiffers`]; or as [`Disclosure::parse`].
pub fn check_public(
    disclosures: &[Disclosure],
    schema: &SchemaFields,
    public: &BTreeMap<String, Value>,
) -> Result<(), ConstructionError> {
    for (name, value) in public {
        let slot = schema.slot(name).ok_or_else(|| ConstructionError::UnknownField(name.clone()))?;
        if !schema.field(slot).is_some_and(|field| field.public) {
            return Err(ConstructionError::NotPublic(name.clone()));
        }
        let disclosure = disclosures.get(usize::from(slot)).ok_or(CommitmentError::Slot(slot))?;
        if disclosure.parse()?.value != *value {
            return Err(ConstructionError::PublicDiffers(name.clone()));
        }
    }
    Ok(())
}

fn check_schema(header: &DocumentHeader, schema: &SchemaFields) -> Result<(), ConstructionError> {
    let names = (header.schema.as_str(), header.schema_version, header.category, header.slots);
    if names == (schema.id(), schema.version(), schema.category(), schema.slots()) {
        Ok(())
    } else {
        Err(ConstructionError::Schema(schema.id().to_owned()))
    }
}

fn check_value(slot: u16, field: &FieldSpec, value: &Value) -> Result<(), ConstructionError> {
    if value.is_null() {
        return if field.required { Err(ConstructionError::Required(field.name.clone())) } else { Ok(()) };
    }
    check_numbers(slot, value)?;
    let text = value.as_str();
    let fits = match field.kind {
        FieldKind::Text => text.is_some(),
        FieldKind::Integer => value.is_number(),
        FieldKind::Decimal => text.is_some_and(lexical::is_decimal),
        FieldKind::Date => text.is_some_and(lexical::is_date),
        FieldKind::Time => text.is_some_and(lexical::is_time),
        FieldKind::Boolean => value.is_boolean(),
        FieldKind::Code => text.is_some_and(is_label),
        FieldKind::Attachment => AttachmentValue::list_from(value).is_some(),
        FieldKind::Rows => parse_rows_value(value).is_some(),
    };
    if fits { Ok(()) } else { Err(ConstructionError::Type { slot, kind: field.kind }) }
}

fn check_numbers(slot: u16, value: &Value) -> Result<(), ConstructionError> {
    match value {
        Value::Number(number) => match number.as_i64() {
            Some(whole) if whole.unsigned_abs() <= INTEGER_MAX.unsigned_abs() => Ok(()),
            _ => Err(ConstructionError::Number { slot }),
        },
        Value::Array(items) => items.iter().try_for_each(|item| check_numbers(slot, item)),
        Value::Object(members) => members.values().try_for_each(|member| check_numbers(slot, member)),
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

fn check_rows(
    slot: u16,
    field: &FieldSpec,
    value: &Value,
    rows: Option<&Rows>,
    secret: Option<&DocumentSecret>,
    salts: &mut BTreeSet<Salt>,
) -> Result<(), ConstructionError> {
    let wanted = field.kind == FieldKind::Rows && !value.is_null();
    let rows = match (wanted, rows) {
        (false, None) => return Ok(()),
        (true, Some(rows)) if rows.slot() == slot && rows.value() == *value => rows,
        _ => return Err(ConstructionError::Rows { slot }),
    };
    for (row, disclosure) in (0u32..).zip(rows.disclosures()) {
        let (salt, value) = disclosure.parse_row()?;
        if !salts.insert(salt) || secret.is_some_and(|secret| secret.row_salt(slot, row) != salt) {
            return Err(ConstructionError::Salt { slot });
        }
        if !disclosure.is_canonical() {
            return Err(ConstructionError::Spelling { slot });
        }
        check_numbers(slot, &value)?;
    }
    Ok(())
}
