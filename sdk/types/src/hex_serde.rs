//! Byte strings as lower-case hexadecimal text, for `#[serde(with = "…")]`.

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

/// Writes bytes as hexadecimal.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&hex::encode(bytes))
}

/// Reads bytes from hexadecimal.
///
/// # Errors
/// When the text has an odd length or another character.
pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
    hex::decode(String::deserialize(d)?).map_err(|_| D::Error::custom("expected hexadecimal digits, two a byte"))
}

/// The same for bytes that may be missing; nothing is `null`.
pub mod option {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    /// Writes bytes as hexadecimal, nothing as `null`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, s: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => s.serialize_some(&hex::encode(bytes)),
            None => s.serialize_none(),
        }
    }

    /// Reads bytes from hexadecimal or `null`.
    ///
    /// # Errors
    /// When the text has an odd length or another character.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Vec<u8>>, D::Error> {
        Option::<String>::deserialize(d)?
            .map(|text| hex::decode(text).map_err(|_| D::Error::custom("expected hexadecimal digits, two a byte")))
            .transpose()
    }
}
