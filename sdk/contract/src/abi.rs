//! How Rust types appear in the ABI. Users implement these traits with [`crate::record!`], [`crate::choice!`] and
//! [`crate::event!`], not by hand.

use alloc::{string::String, vec::Vec};

use crate::{
    codec::{Account, Bytes, Decode, Encode, Hash, Key},
    text::Text,
};

/// Room for a reference to a type, for example `{"list":{"option":{"named":"Record"}}}`.
pub type TypeText = Text<256>;
/// Room for the definition of a named type or event.
pub type DefinitionText = Text<8192>;
/// Room for a whole ABI.
pub type AbiText = Text<131072>;

/// What a method may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MethodKind {
    /// Changes state.
    Call,
    /// Only reads; the host refuses writes and events.
    Query,
}

/// A type that arguments, results and fields may have.
pub trait AbiType: Encode + Decode {
    /// The reference to it as JSON.
    const TYPE: TypeText;
}

/// A named type with its own entry under `types`.
pub trait AbiDefinition: AbiType {
    /// Its name.
    const NAME: &'static str;
    /// Its definition as JSON.
    const DEFINITION: DefinitionText;
}

/// An event.
pub trait Event: Encode {
    /// Its name.
    const NAME: &'static str;
    /// Its description as JSON.
    const DEFINITION: DefinitionText;
}

/// A quoted name as a type reference.
#[doc(hidden)]
#[must_use]
pub const fn plain(name: &str) -> TypeText {
    let mut text = TypeText::new();
    text.quote(name);
    text
}

/// `{"key":inner}`.
#[doc(hidden)]
#[must_use]
pub const fn wrapped(key: &str, inner: &str) -> TypeText {
    let mut text = TypeText::new();
    text.push("{");
    text.quote(key);
    text.push(":");
    text.push(inner);
    text.push("}");
    text
}

/// Appends a field: name, type, title.
#[doc(hidden)]
pub const fn field<const N: usize>(out: &mut Text<N>, name: &str, ty: &str, title: (&str, &str)) {
    out.push("{\"name\":");
    out.quote(name);
    out.push(",\"type\":");
    out.push(ty);
    out.push(",");
    out.title(title.0, title.1);
    out.push("}");
}

macro_rules! plain_types {
    ($($ty:ty => $name:literal),*) => {$(
        impl AbiType for $ty {
            const TYPE: TypeText = plain($name);
        }
    )*};
}
plain_types!(
    bool => "bool", u8 => "u8", u16 => "u16", u32 => "u32", u64 => "u64", i64 => "i64",
    String => "string", Bytes => "bytes", Hash => "hash", Account => "account", Key => "key"
);

impl<T: AbiType> AbiType for Vec<T> {
    const TYPE: TypeText = wrapped("list", T::TYPE.as_str());
}

impl<T: AbiType> AbiType for Option<T> {
    const TYPE: TypeText = wrapped("option", T::TYPE.as_str());
}

/// The type of a result: [`AbiType`], or nothing.
pub trait AbiResult: Encode {
    /// `,"result":…`, or nothing.
    const RESULT: TypeText;
}

impl AbiResult for () {
    const RESULT: TypeText = TypeText::new();
}

impl<T: AbiType> AbiResult for T {
    const RESULT: TypeText = {
        let mut text = TypeText::new();
        text.push(",\"result\":");
        text.push(T::TYPE.as_str());
        text
    };
}
