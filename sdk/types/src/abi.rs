//! What a contract says about itself: methods, events, errors and types, with names for people in two languages.
//!
//! Deliberately not here: finding the text in a WASM module, where it is the custom section [`ABI_SECTION`], and calling
//! anything. From the text, the command line completes, the console draws forms and tables, and JSON values become the
//! canonical bytes that contracts read.
//!
//! ```text
//! {"abi": 1, "name": "orders", "version": "1.0.0", "title": {"en": "Orders", "zh": "订单"},
//!  "methods": [{"name": "place", "kind": "call", "title": {…},
//!               "arguments": [{"name": "lines", "type": {"list": {"named": "Line"}}, "title": {…}}], "result": "u64"}],
//!  "events":  [{"name": "Placed", "title": {…}, "fields": [{"name": "order", "type": "u64"}]}],
//!  "errors":  [{"code": "orders.closed", "title": {…}}],
//!  "types":   {"Line":  {"title": {…}, "struct": [{"name": "item", "type": "string"}, {"name": "count", "type": "u32"}]},
//!              "State": {"title": {…}, "enum": [{"name": "Open"}, {"name": "Closed", "fields": [{"name": "by", "type": "account"}]}]}}}
//! ```
//!
//! Fields of the text that this version does not know are left alone, so that a later one can say more.

mod check;
mod decoding;
mod difference;
mod encoding;
mod error;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use difference::{AbiDifference, Change};
pub use error::{AbiError, ValueError, ValueFault};

/// Custom section of a WASM module that holds the text.
pub const ABI_SECTION: &str = "vouch-abi";
/// Version of the text.
pub const ABI_VERSION: u32 = 1;
/// Longest text, in bytes.
pub const ABI_BYTES_MAX: usize = 256 << 10;
/// Longest name of a method, field, event or type, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest title in one language, in bytes.
pub const TITLE_BYTES_MAX: usize = 400;
/// Most methods, most events, most errors and most named types.
pub const ITEMS_MAX: usize = 512;
/// Most arguments of a method, fields of a struct, event or variant, and variants of an enum.
pub const FIELDS_MAX: usize = 128;
/// How deep types may be nested in each other, and values too.
pub const DEPTH_MAX: usize = 32;
/// Most bytes of one encoded value.
pub const VALUE_BYTES_MAX: usize = 4 << 20;
/// Most values, counted with all they contain, that one byte string is decoded into.
pub const VALUES_MAX: usize = 200_000;

/// A name for people. A title left out of the text is empty: show the technical name then.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Title {
    /// In English.
    #[serde(default)]
    pub en: String,
    /// In Chinese.
    #[serde(default)]
    pub zh: String,
}

/// A type. In JSON a plain one is its name, the others are `{"list": T}`, `{"option": T}` and `{"named": "Name"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// One byte, 0 or 1; JSON `true` or `false`.
    Bool,
    /// 8 bits; a JSON number, like all integers.
    U8,
    /// 16 bits.
    U16,
    /// 32 bits.
    U32,
    /// 64 bits; in JSON a number or a decimal text, and a text from 2^53 on, where JavaScript would round.
    U64,
    /// 64 bits with a sign; in JSON as `u64`.
    I64,
    /// UTF-8 text.
    String,
    /// Bytes; hexadecimal in JSON.
    Bytes,
    /// 32 bytes; hexadecimal in JSON.
    Hash,
    /// An account's id; as a hash.
    Account,
    /// A public key: algorithm byte and 32 bytes; `ed25519:…` in JSON.
    Key,
    /// Any number of values of one type; an array in JSON.
    List(Box<Self>),
    /// A value or nothing, which is `null` in JSON. Nothing may be left out: one value has one text.
    Option(Box<Self>),
    /// One of [`Abi::types`].
    Named(String),
}

/// A named value: an argument, or a field of a struct, variant or event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: Type,
    /// For people.
    #[serde(default)]
    pub title: Title,
}

/// What a method may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MethodKind {
    /// Changes state; called by transactions and contracts.
    Call,
    /// Only reads.
    Query,
}

/// A method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Method {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub kind: MethodKind,
    /// For people.
    #[serde(default)]
    pub title: Title,
    /// What it is called with, in order of encoding; in JSON an object by name.
    #[serde(default)]
    pub arguments: Vec<Field>,
    /// What it returns; nothing (no bytes, JSON `null`) when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Type>,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventType {
    /// Its name.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub title: Title,
    /// What it carries, in order of encoding.
    #[serde(default)]
    pub fields: Vec<Field>,
}

/// An error a method may fail with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorType {
    /// Its stable code: `a`–`z`, `0`–`9`, `_`, `.`, `-`.
    pub code: String,
    /// For people.
    #[serde(default)]
    pub title: Title,
}

/// One shape of an enum. In JSON a variant without fields is its name, any other `{"Name": {"field": …}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub title: Title,
    /// What it carries, in order of encoding.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
}

/// What a named type is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// All of these, in order of encoding; an object in JSON.
    Struct(Vec<Field>),
    /// One of these; a `u32` tag, counted from 0 in this order, stands before its fields.
    Enum(Vec<Variant>),
}

/// A named type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "DefinitionText", into = "DefinitionText")]
pub struct TypeDefinition {
    /// For people.
    pub title: Title,
    /// What it is made of.
    pub shape: Shape,
}

/// How a named type is written: with one of two keys.
#[derive(Serialize, Deserialize)]
struct DefinitionText {
    #[serde(default)]
    title: Title,
    #[serde(rename = "struct", default, skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<Field>>,
    #[serde(rename = "enum", default, skip_serializing_if = "Option::is_none")]
    variants: Option<Vec<Variant>>,
}

impl TryFrom<DefinitionText> for TypeDefinition {
    type Error = &'static str;

    fn try_from(text: DefinitionText) -> Result<Self, Self::Error> {
        let shape = match (text.fields, text.variants) {
            (Some(fields), None) => Shape::Struct(fields),
            (None, Some(variants)) => Shape::Enum(variants),
            _ => return Err("a type has either \"struct\" or \"enum\""),
        };
        Ok(Self { title: text.title, shape })
    }
}

impl From<TypeDefinition> for DefinitionText {
    fn from(definition: TypeDefinition) -> Self {
        let (fields, variants) = match definition.shape {
            Shape::Struct(fields) => (Some(fields), None),
            Shape::Enum(variants) => (None, Some(variants)),
        };
        Self { title: definition.title, fields, variants }
    }
}

/// A contract's description of itself, checked by [`Abi::from_json`] or [`Abi::validate`].
///
/// Invariant: names are well-formed and unique in their list, every named type exists, and no type contains itself
/// other than through a list or an option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abi {
    /// [`ABI_VERSION`].
    pub abi: u32,
    /// The contract's name as its author chose it; it may be deployed under another.
    pub name: String,
    /// The contract's version, for people.
    pub version: String,
    /// For people.
    #[serde(default)]
    pub title: Title,
    /// Its methods.
    pub methods: Vec<Method>,
    /// Its events.
    #[serde(default)]
    pub events: Vec<EventType>,
    /// Its errors.
    #[serde(default)]
    pub errors: Vec<ErrorType>,
    /// Its named types.
    #[serde(default)]
    pub types: BTreeMap<String, TypeDefinition>,
}

impl Abi {
    /// Reads and checks the text.
    ///
    /// # Errors
    /// [`AbiError`], the first fault found.
    pub fn from_json(text: &str) -> Result<Self, AbiError> {
        if text.len() > ABI_BYTES_MAX {
            return Err(AbiError::Count { path: "abi".into(), actual: text.len(), min: 1, max: ABI_BYTES_MAX });
        }
        let abi: Self = serde_json::from_str(text).map_err(|error| AbiError::Json(error.to_string()))?;
        abi.validate()?;
        Ok(abi)
    }

    /// Writes the text that a module carries, without spaces.
    ///
    /// # Panics
    /// Never: every key of the JSON objects is a text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an ABI has only text keys and no float")
    }

    /// The method of this name.
    #[must_use]
    pub fn method(&self, name: &str) -> Option<&Method> {
        self.methods.iter().find(|m| m.name == name)
    }

    /// The event of this name.
    #[must_use]
    pub fn event(&self, name: &str) -> Option<&EventType> {
        self.events.iter().find(|e| e.name == name)
    }

    /// The error of this code.
    #[must_use]
    pub fn error(&self, code: &str) -> Option<&ErrorType> {
        self.errors.iter().find(|e| e.code == code)
    }
}
