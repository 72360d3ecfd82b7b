//! Rows that did not become documents, in a file to mend and send again: tables as CSV, records of JSON, XML and PostgreSQL as
//! NDJSON, each with its place, code and reason.

#[cfg(feature = "native")]
mod file;

use std::io::{self, Write};

use serde_json::{Map, Value};

#[cfg(feature = "native")]
pub use self::file::Rejected;
use crate::{
    Fault, Found, Original, Record,
    source::{Kind, REJECTED_COLUMNS},
};

/// What a spreadsheet may take for a formula when a cell begins with it.
const DANGEROUS: &[char] = &['=', '+', '-', '@', '\t', '\r', '\''];

/// Whether rejected rows of a kind of source are a table; else they are objects.
#[must_use]
pub const fn is_table(kind: Kind) -> bool {
    !matches!(kind, Kind::Json | Kind::Xml | Kind::Postgres)
}

/// What the file with a source's rejected rows is called, where there are no others.
#[must_use]
pub fn name_of(found: &Found) -> String {
    let name = found.name.to_string();
    let original = Original::of(&name).unwrap_or(Original { name, schema: None });
    format!("{}.{}", original.stem(), ending(is_table(found.kind)))
}

const fn ending(is_table: bool) -> &'static str {
    if is_table { "csv" } else { "ndjson" }
}

/// Writes rejected rows.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    is_table: bool,
    /// Rows written.
    pub count: u64,
}

impl<W: Write> Writer<W> {
    /// Of a table or of objects, see [`is_table`].
    pub const fn new(out: W, is_table: bool) -> Self {
        Self { out, is_table, count: 0 }
    }

    /// Adds a row with what is wrong with it.
    ///
    /// # Errors
    /// Those of what it writes to.
    pub fn add(&mut self, record: &Record, faults: &[Fault]) -> io::Result<()> {
        let out = &mut self.out;
        let columns = record.columns.iter().zip(&record.values);
        let own = columns.filter(|(name, _)| !REJECTED_COLUMNS.contains(&name.as_str()));
        if self.is_table && self.count == 0 {
            // The mark lets spreadsheets read Chinese.
            out.write_all("\u{feff}".as_bytes())?;
            let names = own.clone().map(|(name, _)| name.as_str());
            write_row(out, names.chain(REJECTED_COLUMNS))?;
        }
        let said = said_of(faults);
        if self.is_table {
            let cells = own.map(|(_, node)| guarded(&node.text().unwrap_or_else(|| node.json().to_string())));
            let cells: Vec<String> = cells.chain(said.map(|text| guarded(&text))).collect();
            write_row(out, cells.iter().map(String::as_str))?;
        } else {
            let mut entries: Map<String, Value> = own.map(|(name, node)| (name.clone(), node.json())).collect();
            entries
                .extend(REJECTED_COLUMNS.iter().zip(said).map(|(name, text)| ((*name).to_owned(), Value::from(text))));
            writeln!(out, "{}", Value::Object(entries))?;
        }
        self.count += 1;
        Ok(())
    }

    /// What it writes to.
    pub const fn get_ref(&self) -> &W {
        &self.out
    }

    /// What it wrote to.
    pub fn into_inner(self) -> W {
        self.out
    }
}

fn said_of(faults: &[Fault]) -> [String; 3] {
    let join = |text: fn(&Fault) -> String| faults.iter().map(text).collect::<Vec<_>>().join("; ");
    [join(|fault| fault.place.clone()), join(|fault| fault.code.to_owned()), join(|fault| fault.reason.to_string())]
}

fn write_row<'a>(out: &mut impl Write, cells: impl Iterator<Item = &'a str>) -> io::Result<()> {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        if cell.contains([',', '"', '\n', '\r']) {
            write!(out, "\"{}\"", cell.replace('"', "\"\""))?;
        } else {
            out.write_all(cell.as_bytes())?;
        }
    }
    out.write_all(b"\r\n")
}

/// So that no spreadsheet runs it.
fn guarded(text: &str) -> String {
    if text.starts_with(DANGEROUS) { format!("'{text}") } else { text.to_owned() }
}

/// As it was before [`guarded`].
pub(crate) fn unguarded(text: &str) -> &str {
    text.strip_prefix('\'').filter(|rest| rest.starts_with(DANGEROUS)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cells_are_safe_and_come_back(text in "[-=+@'\t\ra1 ]{0,6}") {
            let safe = guarded(&text);
            prop_assert!(!safe.starts_with(['=', '+', '-', '@', '\t', '\r']));
            prop_assert_eq!(unguarded(&safe), text);
        }
    }
}
