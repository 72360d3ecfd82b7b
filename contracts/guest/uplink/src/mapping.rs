//! Mappings as the page edits them and as mapping files hold them.

use serde::Deserialize;
use serde_json::{Value, json};
use vouch_uplink::{Mapping, MappingFile, mapping::FORMAT};

use crate::{Fault, read, told, written};

/// A mapping out of the page's form.
pub(crate) fn mapping_of(value: &Value) -> Result<Mapping, Fault> {
    let wrong = |error: &dyn core::fmt::Display| Fault::new("uplink.mapping", error);
    let value = toml::Value::try_from(value).map_err(|error| wrong(&error))?;
    value.try_into().map_err(|error| wrong(&error))
}

/// A mapping as a mapping file. Input: the mapping as JSON. Answers the text as JSON.
///
/// # Errors
/// `uplink.mapping`.
pub fn to_text(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let value: Value = read(input)?;
    mapping_of(&value)?;
    let whole = json!({ "format": FORMAT, "map": [value] });
    let text = toml::to_string_pretty(&whole).map_err(|error| Fault::new("uplink.mapping", error))?;
    written(&text)
}

#[derive(Deserialize)]
struct Text {
    name: String,
    text: String,
}

/// The mappings of a mapping file. Input: its name and text as JSON.
///
/// # Errors
/// `uplink.mapping`, with the line.
pub fn of_text(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let Text { name, text } = read(input)?;
    MappingFile::parse(&text, &name).map_err(|fault| told(&fault))?;
    let whole: toml::Value = toml::from_str(&text).map_err(|error| Fault::new("uplink.mapping", error))?;
    written(whole.get("map").unwrap_or(&toml::Value::Array(Vec::new())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_page_edits_is_a_mapping_file() {
        let value = json!({ "schema": "a", "number": ["no"], "public": [], "fields": { "b": "B", "c": { "from": ["x", "y"], "shift": -2 } },
            "parties": { "worker": { "person_from": "id", "register": true } }, "references": {} });
        let text: String = serde_json::from_slice(&to_text(value.to_string().as_bytes()).unwrap()).unwrap();
        let back = of_text(json!({ "name": "m.toml", "text": text }).to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&back).unwrap(), json!([value]));
        let wrong = json!({ "schema": "a", "colour": 1 }).to_string();
        assert_eq!(to_text(wrong.as_bytes()).unwrap_err().code, "uplink.mapping");
    }
}
