//! From canonical bytes to JSON values.

use serde_json::{Map, Value};

use super::{Abi, DEPTH_MAX, Field, Shape, Type, VALUE_BYTES_MAX, VALUES_MAX, ValueError, ValueFault, Variant};
use crate::keys::{Algorithm, PublicKey};

/// From here on a JavaScript number no longer holds every integer.
const EXACT_MAX: u64 = 1 << 53;

impl Abi {
    /// Decodes a method's arguments into an object by name.
    ///
    /// # Errors
    /// [`ValueError`] for an unknown method and for bytes that are not its arguments.
    pub fn decode_arguments(&self, method: &str, bytes: &[u8]) -> Result<Value, ValueError> {
        let method = self.known_method(method)?;
        self.decode_whole(bytes, |decoder| decoder.fields(&method.arguments, 0))
    }

    /// Decodes what a method returned; `null` for a method that returns nothing.
    ///
    /// # Errors
    /// [`ValueError`] for an unknown method and for bytes that are not its result.
    pub fn decode_result(&self, method: &str, bytes: &[u8]) -> Result<Value, ValueError> {
        let result = self.known_method(method)?.result.as_ref();
        self.decode_whole(bytes, |decoder| result.map_or(Ok(Value::Null), |ty| decoder.value(ty, 0)))
    }

    /// Decodes an event's data into an object by name.
    ///
    /// # Errors
    /// [`ValueError`] for an unknown event and for bytes that are not its fields.
    pub fn decode_event(&self, name: &str, bytes: &[u8]) -> Result<Value, ValueError> {
        let event = self.event(name).ok_or_else(|| ValueFault::UnknownEvent(name.to_owned()))?;
        self.decode_whole(bytes, |decoder| decoder.fields(&event.fields, 0))
    }

    /// Decodes one value, which must fill `bytes`.
    ///
    /// # Errors
    /// [`ValueError`] for bytes that are not its canonical encoding.
    pub fn decode_value(&self, ty: &Type, bytes: &[u8]) -> Result<Value, ValueError> {
        self.decode_whole(bytes, |decoder| decoder.value(ty, 0))
    }

    fn decode_whole<'a>(
        &'a self,
        bytes: &'a [u8],
        read: impl FnOnce(&mut Decoder<'a>) -> Result<Value, ValueError>,
    ) -> Result<Value, ValueError> {
        if bytes.len() > VALUE_BYTES_MAX {
            return Err(ValueFault::TooLarge.into());
        }
        let mut decoder = Decoder { abi: self, rest: bytes, values_left: VALUES_MAX };
        let value = read(&mut decoder)?;
        if decoder.rest.is_empty() { Ok(value) } else { Err(ValueFault::Trailing(decoder.rest.len()).into()) }
    }
}

struct Decoder<'a> {
    abi: &'a Abi,
    rest: &'a [u8],
    values_left: usize,
}

impl<'a> Decoder<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], ValueError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(ValueFault::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ValueError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(ValueFault::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A length, which counts things of at least one byte each, so that no more than the rest can be asked for.
    fn length(&mut self) -> Result<usize, ValueError> {
        let length = u64::from_le_bytes(self.array()?);
        let length = usize::try_from(length).map_err(|_| ValueFault::Truncated)?;
        if length > self.rest.len() { Err(ValueFault::Truncated.into()) } else { Ok(length) }
    }

    fn sized(&mut self) -> Result<&'a [u8], ValueError> {
        let length = self.length()?;
        self.take(length)
    }

    fn flag(&mut self, expected: &'static str) -> Result<bool, ValueError> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(ValueFault::BadBytes(expected).into()),
        }
    }

    fn value(&mut self, ty: &Type, depth: usize) -> Result<Value, ValueError> {
        if depth > DEPTH_MAX {
            return Err(ValueFault::Depth.into());
        }
        self.values_left = self.values_left.checked_sub(1).ok_or(ValueFault::TooLarge)?;
        Ok(match ty {
            Type::Bool => self.flag("a bool")?.into(),
            Type::U8 => u8::from_le_bytes(self.array()?).into(),
            Type::U16 => u16::from_le_bytes(self.array()?).into(),
            Type::U32 => u32::from_le_bytes(self.array()?).into(),
            Type::U64 => match u64::from_le_bytes(self.array()?) {
                number if number < EXACT_MAX => number.into(),
                number => number.to_string().into(),
            },
            Type::I64 => match i64::from_le_bytes(self.array()?) {
                number if number.unsigned_abs() < EXACT_MAX => number.into(),
                number => number.to_string().into(),
            },
            Type::String => core::str::from_utf8(self.sized()?).map_err(|_| ValueFault::BadBytes("UTF-8"))?.into(),
            Type::Bytes => hex::encode(self.sized()?).into(),
            Type::Hash | Type::Account => hex::encode(self.array::<32>()?).into(),
            Type::Key => {
                let [algorithm] = self.array()?;
                if algorithm != Algorithm::Ed25519 as u8 {
                    return Err(ValueFault::BadBytes("a key of a known algorithm").into());
                }
                PublicKey::ed25519(self.array()?).to_string().into()
            }
            Type::List(item) => {
                let count = self.length()?;
                let items = (0..count).map(|n| self.value(item, depth + 1).map_err(|e| e.in_item(n)));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Type::Option(inner) if self.flag("an option")? => self.value(inner, depth + 1)?,
            Type::Option(_) => Value::Null,
            Type::Named(name) => match self.abi.known_shape(name)? {
                Shape::Struct(fields) => self.fields(fields, depth + 1)?,
                Shape::Enum(variants) => self.variant(variants, depth + 1)?,
            },
        })
    }

    fn fields(&mut self, fields: &[Field], depth: usize) -> Result<Value, ValueError> {
        let mut object = Map::new();
        for field in fields {
            let value = self.value(&field.ty, depth).map_err(|e| e.in_field(&field.name))?;
            object.insert(field.name.clone(), value);
        }
        Ok(Value::Object(object))
    }

    fn variant(&mut self, variants: &[Variant], depth: usize) -> Result<Value, ValueError> {
        let tag = u32::from_le_bytes(self.array()?);
        let variant = usize::try_from(tag).ok().and_then(|tag| variants.get(tag));
        let variant = variant.ok_or(ValueFault::BadBytes("a variant of the enum"))?;
        if variant.fields.is_empty() {
            return Ok(variant.name.clone().into());
        }
        let content = self.fields(&variant.fields, depth).map_err(|e| e.in_field(&variant.name))?;
        Ok(Value::Object(Map::from_iter([(variant.name.clone(), content)])))
    }
}
