//! The document as text for people.

use crate::{document::GenesisDocument, error::GenesisError};

/// Longest text that is read, in bytes: the largest document with its code in base64.
pub const JSON_BYTES_MAX: usize = 24 << 20;

impl GenesisDocument {
    /// Reads a document from JSON, brings its lists into canonical order and validates it.
    ///
    /// # Errors
    /// [`GenesisError`]; its path names the place in the text.
    pub fn from_json(text: &str) -> Result<Self, GenesisError> {
        if text.len() > JSON_BYTES_MAX {
            return Err(GenesisError::Size {
                path: "document".into(),
                actual: text.len(),
                min: 2,
                max: JSON_BYTES_MAX,
            });
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        let mut document: Self = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().to_string();
            let path = if path == "." { "document".to_owned() } else { path };
            GenesisError::Json { path, message: error.into_inner().to_string() }
        })?;
        reader.end().map_err(|error| GenesisError::Json { path: "document".into(), message: error.to_string() })?;
        document.sort();
        document.validate()?;
        Ok(document)
    }

    /// Writes the document as indented JSON that [`GenesisDocument::from_json`] reads back.
    ///
    /// # Panics
    /// Never: every key of the JSON objects is a text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a document has only text keys and no float")
    }
}

/// Bytes as base64 with padding, or nothing.
pub(crate) mod optional_base64_bytes {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, s: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => s.serialize_some(&STANDARD.encode(bytes)),
            None => s.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(d)?;
        text.map(|text| STANDARD.decode(text).map_err(D::Error::custom)).transpose()
    }
}

/// Bytes as base64 with padding.
pub(crate) mod base64_bytes {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(d)?;
        STANDARD.decode(text).map_err(|error| D::Error::custom(format!("expected base64: {error}")))
    }
}
