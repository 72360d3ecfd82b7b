//! From JSON values to canonical bytes.

use serde_json::{Map, Value};

use super::{Abi, DEPTH_MAX, Field, Method, Shape, Type, VALUE_BYTES_MAX, ValueError, ValueFault, Variant};
use crate::{
    hash::Hash32,
    keys::{Algorithm, PublicKey},
};

impl Abi {
    /// Encodes a method's arguments, given as an object by name; `null` stands for no arguments.
    ///
    /// # Errors
    /// [`ValueError`] for an unknown method, and for unknown, missing or unfit arguments.
    pub fn encode_arguments(&self, method: &str, arguments: &Value) -> Result<Vec<u8>, ValueError> {
        let method = self.known_method(method)?;
        let mut encoder = Encoder { abi: self, out: Vec::new() };
        let empty = Map::new();
        let object = match arguments {
            Value::Null if method.arguments.is_empty() => &empty,
            other => as_object(other)?,
        };
        encoder.fields(&method.arguments, object, 0)?;
        Ok(encoder.out)
    }

    /// Encodes one value.
    ///
    /// # Errors
    /// [`ValueError`] when it does not fit the type.
    pub fn encode_value(&self, ty: &Type, value: &Value) -> Result<Vec<u8>, ValueError> {
        let mut encoder = Encoder { abi: self, out: Vec::new() };
        encoder.value(ty, value, 0)?;
        Ok(encoder.out)
    }

    pub(super) fn known_method(&self, name: &str) -> Result<&Method, ValueError> {
        self.method(name).ok_or_else(|| ValueFault::UnknownMethod(name.to_owned()).into())
    }

    pub(super) fn known_shape(&self, name: &str) -> Result<&Shape, ValueError> {
        let definition = self.types.get(name).ok_or_else(|| ValueFault::UnknownType(name.to_owned()))?;
        Ok(&definition.shape)
    }
}

struct Encoder<'a> {
    abi: &'a Abi,
    out: Vec<u8>,
}

impl Encoder<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), ValueError> {
        if self.out.len().saturating_add(bytes.len()) > VALUE_BYTES_MAX {
            return Err(ValueFault::TooLarge.into());
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn put_sized(&mut self, bytes: &[u8]) -> Result<(), ValueError> {
        self.put(&(bytes.len() as u64).to_le_bytes())?;
        self.put(bytes)
    }

    fn value(&mut self, ty: &Type, value: &Value, depth: usize) -> Result<(), ValueError> {
        if depth > DEPTH_MAX {
            return Err(ValueFault::Depth.into());
        }
        match ty {
            Type::Bool => {
                let flag = value.as_bool().ok_or(ValueFault::WrongType("true or false"))?;
                self.put(&[u8::from(flag)])
            }
            Type::U8 => self.put(&small::<u8>(value, "u8")?.to_le_bytes()),
            Type::U16 => self.put(&small::<u16>(value, "u16")?.to_le_bytes()),
            Type::U32 => self.put(&small::<u32>(value, "u32")?.to_le_bytes()),
            Type::U64 => self.put(&wide::<u64>(value, "u64")?.to_le_bytes()),
            Type::I64 => self.put(&wide::<i64>(value, "i64")?.to_le_bytes()),
            Type::String => self.put_sized(as_text(value, "a text")?.as_bytes()),
            Type::Bytes => {
                const EXPECTED: &str = "hexadecimal digits, two a byte";
                let bytes = hex::decode(as_text(value, EXPECTED)?).map_err(|_| ValueFault::WrongType(EXPECTED))?;
                self.put_sized(&bytes)
            }
            Type::Hash | Type::Account => {
                const EXPECTED: &str = "64 hexadecimal digits";
                let hash: Result<Hash32, _> = as_text(value, EXPECTED)?.parse();
                self.put(hash.map_err(|_| ValueFault::WrongType(EXPECTED))?.as_bytes())
            }
            Type::Key => {
                const EXPECTED: &str = "a key: \"ed25519:\" and 64 hexadecimal digits";
                let key: Result<PublicKey, _> = as_text(value, EXPECTED)?.parse();
                self.put(&[Algorithm::Ed25519 as u8])?;
                self.put(&key.map_err(|_| ValueFault::WrongType(EXPECTED))?.bytes)
            }
            Type::List(item) => self.list(item, value, depth),
            Type::Option(_) if value.is_null() => self.put(&[0]),
            Type::Option(inner) => {
                self.put(&[1])?;
                self.value(inner, value, depth + 1)
            }
            Type::Named(name) => match self.abi.known_shape(name)? {
                Shape::Struct(fields) => self.fields(fields, as_object(value)?, depth + 1),
                Shape::Enum(variants) => self.variant(variants, value, depth + 1),
            },
        }
    }

    fn list(&mut self, item: &Type, value: &Value, depth: usize) -> Result<(), ValueError> {
        let items = value.as_array().ok_or(ValueFault::WrongType("an array"))?;
        self.put(&(items.len() as u64).to_le_bytes())?;
        for (n, value) in items.iter().enumerate() {
            self.value(item, value, depth + 1).map_err(|e| e.in_item(n))?;
        }
        Ok(())
    }

    fn fields(&mut self, fields: &[Field], object: &Map<String, Value>, depth: usize) -> Result<(), ValueError> {
        if let Some(unknown) = object.keys().find(|key| fields.iter().all(|f| f.name != **key)) {
            return Err(ValueError::from(ValueFault::UnknownField).in_field(unknown));
        }
        for field in fields {
            let value = object.get(&field.name).ok_or_else(|| ValueFault::MissingField.into());
            value.and_then(|v| self.value(&field.ty, v, depth)).map_err(|e: ValueError| e.in_field(&field.name))?;
        }
        Ok(())
    }

    fn variant(&mut self, variants: &[Variant], value: &Value, depth: usize) -> Result<(), ValueError> {
        const EXPECTED: &str = "a variant's name, or an object with it as its only key";
        let (name, content) = match value {
            Value::String(name) => (name, None),
            Value::Object(object) if object.len() == 1 => {
                let (name, content) = object.iter().next().ok_or(ValueFault::WrongType(EXPECTED))?;
                (name, Some(content))
            }
            _ => return Err(ValueFault::WrongType(EXPECTED).into()),
        };
        let found = (0u32..).zip(variants).find(|(_, v)| v.name == *name);
        let (tag, variant) = found.ok_or_else(|| ValueFault::UnknownVariant(name.clone()))?;
        self.put(&tag.to_le_bytes())?;
        let content = match (content, variant.fields.is_empty()) {
            (None, true) => return Ok(()),
            (Some(content), false) => as_object(content),
            (None, false) => Err(ValueFault::WrongType("an object with the variant's fields").into()),
            (Some(_), true) => Err(ValueFault::WrongType("the variant's name alone, it has no fields").into()),
        };
        content.and_then(|object| self.fields(&variant.fields, object, depth)).map_err(|e| e.in_field(name))
    }
}

fn as_object(value: &Value) -> Result<&Map<String, Value>, ValueError> {
    value.as_object().ok_or_else(|| ValueFault::WrongType("an object").into())
}

fn as_text<'a>(value: &'a Value, expected: &'static str) -> Result<&'a str, ValueError> {
    value.as_str().ok_or_else(|| ValueFault::WrongType(expected).into())
}

/// An integer that JSON numbers hold exactly everywhere.
fn small<T: TryFrom<u64>>(value: &Value, name: &'static str) -> Result<T, ValueError> {
    match value.as_u64() {
        Some(number) => T::try_from(number).map_err(|_| ValueFault::OutOfRange(name).into()),
        None if value.is_i64() => Err(ValueFault::OutOfRange(name).into()),
        None => Err(ValueFault::WrongType("a whole number").into()),
    }
}

/// A 64-bit integer: a number, or decimal digits in the one form that has no leading zero or plus sign.
fn wide<T>(value: &Value, name: &'static str) -> Result<T, ValueError>
where
    T: TryFrom<i128>,
{
    const EXPECTED: &str = "a whole number, or its decimal digits as a text";
    let number = match value {
        Value::String(text) => {
            let number: i128 = text.parse().map_err(|_| ValueFault::WrongType(EXPECTED))?;
            if number.to_string() != *text {
                return Err(ValueFault::WrongType(EXPECTED).into());
            }
            number
        }
        other => match (other.as_u64(), other.as_i64()) {
            (Some(number), _) => i128::from(number),
            (None, Some(number)) => i128::from(number),
            (None, None) => return Err(ValueFault::WrongType(EXPECTED).into()),
        },
    };
    T::try_from(number).map_err(|_| ValueFault::OutOfRange(name).into())
}
