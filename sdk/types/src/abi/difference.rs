//! What changes for callers when one description takes the place of another.

use serde::{Deserialize, Serialize};

use super::Abi;

/// What happened to a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone: who uses it fails.
    Removed,
    /// Its shape is another: who uses it as before may fail. Titles do not count.
    Changed,
}

/// A part of a description that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AbiDifference {
    /// What happened to it.
    pub change: Change,
    /// `method`, `event`, `error` or `type`.
    pub part: String,
    /// Its name.
    pub name: String,
}

/// The parts with their names and shapes, without titles.
fn parts(abi: &Abi) -> Vec<(&'static str, &str, String)> {
    let fields = |fields: &[super::Field]| {
        let fields: Vec<_> = fields.iter().map(|field| format!("{}: {:?}", field.name, field.ty)).collect();
        fields.join(", ")
    };
    let methods = abi
        .methods
        .iter()
        .map(|m| ("method", m.name.as_str(), format!("{:?} ({}) {:?}", m.kind, fields(&m.arguments), m.result)));
    let events = abi.events.iter().map(|e| ("event", e.name.as_str(), fields(&e.fields)));
    let errors = abi.errors.iter().map(|e| ("error", e.code.as_str(), String::new()));
    let types = abi.types.iter().map(|(name, definition)| {
        let shape = match &definition.shape {
            super::Shape::Struct(of) => fields(of),
            super::Shape::Enum(variants) => {
                let variants: Vec<_> =
                    variants.iter().map(|v| format!("{} {{{}}}", v.name, fields(&v.fields))).collect();
                variants.join(" | ")
            }
        };
        ("type", name.as_str(), shape)
    });
    methods.chain(events).chain(errors).chain(types).collect()
}

impl Abi {
    /// What is added, removed and changed when `other` takes the place of this one: first what this one has, in its order.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<AbiDifference> {
        let (before, after) = (parts(self), parts(other));
        let difference =
            |change, part: &str, name: &str| AbiDifference { change, part: part.to_owned(), name: name.to_owned() };
        let mut found = Vec::new();
        for (part, name, shape) in &before {
            match after.iter().find(|(p, n, _)| (p, n) == (part, name)) {
                None => found.push(difference(Change::Removed, part, name)),
                Some((_, _, other)) if other != shape => found.push(difference(Change::Changed, part, name)),
                Some(_) => {}
            }
        }
        let new = after.iter().filter(|(part, name, _)| !before.iter().any(|(p, n, _)| (p, n) == (part, name)));
        found.extend(new.map(|(part, name, _)| difference(Change::Added, part, name)));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_what_callers_would_notice() {
        let abi = |text: &str| Abi::from_json(text).unwrap();
        let before = abi(r#"{"abi":1,"name":"a","version":"1","methods":[
            {"name":"keep","kind":"call","title":{"en":"K","zh":"甲"},"arguments":[{"name":"x","type":"u8"}]},
            {"name":"widen","kind":"call","arguments":[{"name":"x","type":"u8"}]},{"name":"go","kind":"query"}],
            "events":[{"name":"E"}],"errors":[{"code":"e"}],"types":{"T":{"struct":[{"name":"a","type":"u8"}]}}}"#);
        let after = abi(r#"{"abi":1,"name":"a","version":"2","methods":[
            {"name":"keep","kind":"call","title":{"en":"Other","zh":"乙"},"arguments":[{"name":"x","type":"u8"}]},
            {"name":"widen","kind":"call","arguments":[{"name":"x","type":"u64"}]},{"name":"new","kind":"query"}],
            "events":[{"name":"E","fields":[{"name":"f","type":"bool"}]}],"errors":[],
            "types":{"T":{"enum":[{"name":"A"}]}}}"#);
        let text: Vec<_> =
            before.differences(&after).iter().map(|d| format!("{:?} {} {}", d.change, d.part, d.name)).collect();
        assert_eq!(
            text,
            [
                "Changed method widen",
                "Removed method go",
                "Changed event E",
                "Removed error e",
                "Changed type T",
                "Added method new"
            ]
        );
        assert!(before.differences(&before).is_empty());
    }
}
