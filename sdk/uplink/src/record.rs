//! A record as a source gives it: named values with their place. Numbers stay as they are written; nothing passes through floats.

use std::{fmt, sync::Arc};

use serde_json::Value;

/// A value of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Nothing, or a cell that is empty.
    Null,
    /// True or false.
    Bool(bool),
    /// A number as it is written.
    Number(String),
    /// Text.
    Text(String),
    /// Several values, in order.
    List(Vec<Self>),
    /// Named values, in order.
    Map(Vec<(String, Self)>),
}

impl Node {
    /// Text of a plain value; empty for nothing, `None` for lists and maps.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Null => Some(String::new()),
            Self::Bool(value) => Some(value.to_string()),
            Self::Number(text) | Self::Text(text) => Some(text.clone()),
            Self::List(_) | Self::Map(_) => None,
        }
    }

    /// About how many bytes of memory it holds.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let own = size_of::<Self>() as u64;
        own + match self {
            Self::Null | Self::Bool(_) => 0,
            Self::Number(text) | Self::Text(text) => text.len() as u64,
            Self::List(items) => items.iter().map(Self::weight).sum(),
            Self::Map(entries) => entries.iter().map(|(name, node)| name.len() as u64 + 24 + node.weight()).sum(),
        }
    }

    /// As a watermark: with its kind, because `0123` as text is not 123. Nothing, lists and maps are none.
    #[must_use]
    pub fn mark(&self) -> Option<String> {
        match self {
            Self::Number(text) => Some(format!("n{text}")),
            Self::Text(text) if !text.is_empty() => Some(format!("t{text}")),
            _ => None,
        }
    }

    /// As JSON; numbers become text, because a JSON number may lose digits.
    #[must_use]
    pub fn json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(text) | Self::Text(text) => Value::from(text.as_str()),
            Self::List(items) => items.iter().map(Self::json).collect(),
            Self::Map(entries) => entries.iter().map(|(name, node)| (name.clone(), node.json())).collect(),
        }
    }

    /// A value by its path of names.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        if let Some((_, node)) = entries.iter().find(|(name, _)| name == path) {
            return Some(node);
        }
        let (first, rest) = path.split_once('.')?;
        entries.iter().find(|(name, _)| name == first)?.1.at(rest)
    }
}

/// Where a record stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its file, as it was named.
    pub file: Arc<str>,
    /// The sheet or table, where a file has several.
    pub sheet: Option<Arc<str>>,
    /// Number of the record, from 1.
    pub record: u64,
    /// Line on which it begins, from 1; of a sheet, the row. 0 where there are no lines.
    pub line: u64,
    /// First byte in the decoded text.
    pub byte: u64,
}

impl Place {
    /// Where a column of this record stands.
    #[must_use]
    pub fn cell(&self, index: usize, name: &str) -> String {
        match &self.sheet {
            Some(sheet) if self.line > 0 => {
                format!("{}, sheet {sheet}, cell {}{} ({name})", self.file, column_letters(index), self.line)
            }
            _ => format!("{self}, column {} ({name})", index + 1),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(sheet) = &self.sheet {
            write!(f, ", sheet {sheet}")?;
        }
        if self.line > 0 { write!(f, ", line {}", self.line) } else { write!(f, ", record {}", self.record) }
    }
}

/// `A`, `B`, … `Z`, `AA`: names of columns in a sheet.
fn column_letters(mut index: usize) -> String {
    let mut letters = Vec::new();
    loop {
        letters.push(b'A' + u8::try_from(index % 26).unwrap_or(0));
        index /= 26;
        if index == 0 {
            break;
        }
        index -= 1;
    }
    letters.iter().rev().map(|letter| char::from(*letter)).collect()
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it stands.
    pub place: Place,
    /// Names of its columns.
    pub columns: Arc<[String]>,
    /// A value for each.
    pub values: Vec<Node>,
}

impl Record {
    /// About how many bytes of memory it holds.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.values.iter().map(Node::weight).sum()
    }

    /// A column by name, or a value within one by its path of names.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<(usize, &Node)> {
        if let Some(index) = self.columns.iter().position(|column| column == name) {
            return self.values.get(index).map(|node| (index, node));
        }
        let (first, rest) = name.split_once('.')?;
        let index = self.columns.iter().position(|column| column == first)?;
        Some((index, self.values.get(index)?.at(rest)?))
    }

    /// Where a column stands.
    #[must_use]
    pub fn cell(&self, name: &str) -> String {
        self.get(name)
            .map_or_else(|| format!("{}, column {name}", self.place), |(index, _)| self.place.cell(index, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_sheets_have_letters() {
        for (index, letters) in [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA"), (701, "ZZ"), (702, "AAA")] {
            assert_eq!(column_letters(index), letters);
        }
    }

    #[test]
    fn values_are_found_by_path() {
        let inner = Node::Map(vec![("name".into(), Node::Text("x".into())), ("a.b".into(), Node::Null)]);
        let place = Place { file: "f".into(), sheet: None, record: 1, line: 7, byte: 0 };
        let record = Record { place, columns: Arc::from(["worker".to_owned()]), values: vec![inner] };
        assert_eq!(record.get("worker.name").map(|(_, node)| node.text()), Some(Some("x".into())));
        assert_eq!(record.get("worker.a.b").map(|(_, node)| node), Some(&Node::Null));
        assert_eq!(record.get("worker.other"), None);
        assert_eq!(record.cell("worker"), "f, line 7, column 1 (worker)");
    }
}
