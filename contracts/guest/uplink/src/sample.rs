//! What is in a file: its columns, the first records with what is sensitive hidden, and which schema they may be for.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};
use vouch_privacy::{Engine, Grade};
use vouch_types::document::{FieldKind, Schema};
use vouch_uplink::{
    Found, Node, Reader, Record,
    guess::{self, Guess},
    source::{Broken, ReadOptions},
    value,
};

use crate::{
    Fault,
    job::HIDDEN_GRADE,
    read,
    state::{self, Source},
    told, written,
};

/// Records that are shown.
const SHOWN: usize = 5;
/// Longest text of a cell that is shown, in characters.
const CELL_CHARS_MAX: usize = 60;
/// Sheets of a workbook that are looked into for a record, where none is named.
const SHEETS_MAX: usize = 8;

#[derive(Deserialize)]
struct Input {
    source: Source,
    #[serde(default)]
    options: Options,
    schemas: Vec<Schema>,
}

/// How to read it, where that cannot be told from the file.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Options {
    encoding: Option<vouch_privacy::stream::Encoding>,
    separator: Option<char>,
    records: Option<String>,
    sheet: Option<String>,
}

/// What a file begins with.
struct Beginning {
    samples: Vec<Record>,
    /// The first thing that is wrong.
    broken: Option<vouch_uplink::Fault>,
    /// Of a workbook, and which of them was read.
    sheets: Vec<String>,
    sheet: Option<String>,
}

fn beginning(found: &Found, options: &ReadOptions) -> Result<Beginning, Fault> {
    let reader = Reader::open(found, options).map_err(|fault| told(&fault))?;
    let sheets = reader.sheets().to_vec();
    let (mut samples, mut broken) = (Vec::new(), None);
    for item in reader.take(guess::SAMPLES) {
        match item {
            Ok(record) => samples.push(record),
            Err(Broken::Row(_, fault) | Broken::Stop(fault)) => broken = broken.or(Some(fault)),
        }
    }
    let sheet = options.sheet.as_ref().or(sheets.first()).cloned();
    Ok(Beginning { samples, broken, sheets, sheet })
}

/// The beginning of a file; of a workbook that of the first sheet with a record, where none is named.
fn begun(found: &Found, options: &ReadOptions) -> Result<Beginning, Fault> {
    let first = beginning(found, options)?;
    if options.sheet.is_none() && first.samples.is_empty() {
        for sheet in first.sheets.iter().take(SHEETS_MAX).skip(1) {
            let of_sheet = ReadOptions { sheet: Some(sheet.clone()), ..options.clone() };
            let other = beginning(found, &of_sheet)?;
            if !other.samples.is_empty() {
                return Ok(other);
            }
        }
    }
    Ok(first)
}

/// Looks into a file and keeps some of its records for [`suggest`]. Input: file, options and schemas as JSON.
///
/// # Errors
/// `uplink.*` for a file that cannot be read at all.
pub fn look(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let Input { source, options, schemas } = read(input)?;
    let found = source.found()?;
    let Options { encoding, separator, records, sheet } = options;
    let options = ReadOptions { encoding, separator, records, sheet, ..ReadOptions::default() };
    let Beginning { samples, broken, sheets, sheet } = begun(&found, &options)?;
    if samples.is_empty() {
        let empty = || Fault::new("uplink.empty", "there is no record in it");
        return Err(broken.as_ref().map_or_else(empty, told));
    }
    let mut fits: Vec<(u32, &Schema)> = schemas.iter().map(|schema| (guess::fit(schema, &samples), schema)).collect();
    fits.sort_by_key(|(fit, _)| std::cmp::Reverse(*fit));
    let hidden = fits.first().map(|(_, schema)| graded(schema, &samples)).unwrap_or_default();
    let fits: Vec<Value> = fits
        .into_iter()
        .map(|(fit, schema)| json!({ "schema": schema.definition.name, "version": schema.version, "fit": fit }))
        .collect();
    let answer = json!({ "kind": found.kind, "columns": guess::columns(&samples), "records": samples.len(),
        "samples": shown(&samples, &hidden), "fits": fits, "broken": broken, "sheets": sheets, "sheet": sheet });
    *state::samples() = samples;
    written(&answer)
}

/// Columns that are likely to become fields of grade 3 or 4.
fn graded(schema: &Schema, samples: &[Record]) -> BTreeSet<String> {
    let is_graded = |guess: &Guess| {
        schema.definition.fields.iter().any(|rule| rule.name == guess.field && rule.grade >= HIDDEN_GRADE)
    };
    guess::fields(schema, samples).into_iter().filter(is_graded).map(|guess| guess.column).collect()
}

/// The first values of each column: without their text those that the rules find sensitive, and whole columns that are `hidden`.
fn shown(samples: &[Record], hidden: &BTreeSet<String>) -> BTreeMap<String, Vec<Value>> {
    let engine = Engine::builtin();
    let mut by_column = BTreeMap::new();
    for column in guess::columns(samples) {
        let field = engine.field(&column);
        let cells = samples.iter().take(SHOWN).map(|record| {
            let text = match record.get(&column).map(|(_, node)| node) {
                None | Some(Node::Null) => return Value::Null,
                Some(node) => node.text().unwrap_or_else(|| node.json().to_string()),
            };
            let is_sensitive = hidden.contains(&column)
                || engine.scan_field(&text, Some(&field)).iter().any(|found| found.level >= Grade::SENSITIVE);
            if is_sensitive {
                return json!({ "hidden": text.chars().count() });
            }
            Value::from(text.chars().take(CELL_CHARS_MAX).collect::<String>())
        });
        let cells: Vec<Value> = cells.collect();
        by_column.insert(column, cells);
    }
    by_column
}

/// A mapping to begin with, for a schema. Input: the schema as JSON. Answers the mapping and how sure each column is.
///
/// # Errors
/// `client.bad_input`.
pub fn suggest(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let schema: Schema = read(input)?;
    let samples = state::samples();
    let guesses = guess::fields(&schema, &samples);
    let fields: BTreeMap<&str, Value> =
        guesses.iter().map(|guess| (guess.field.as_str(), field_rules(&schema, guess, &samples))).collect();
    let number: Vec<String> = guess::number_column(&guesses, &samples).into_iter().collect();
    let parties: BTreeMap<&str, Value> = schema
        .definition
        .parties
        .iter()
        .filter(|rule| rule.min > 0)
        .map(|rule| {
            (rule.role.as_str(), if rule.subject { json!({ "person_from": "" }) } else { json!({ "member": "" }) })
        })
        .collect();
    let references: BTreeMap<&str, Value> = schema
        .definition
        .references
        .iter()
        .filter(|rule| rule.min > 0)
        .map(|rule| (rule.name.as_str(), json!({ "schema": rule.schema.as_deref().unwrap_or_default(), "from": "" })))
        .collect();
    let sure: BTreeMap<&str, u32> = guesses.iter().map(|guess| (guess.field.as_str(), guess.score)).collect();
    let mapping = json!({ "schema": schema.definition.name, "schema_version": schema.version, "number": number,
        "offset": "+08:00", "public": [], "sign": [], "fields": fields, "parties": parties, "references": references });
    written(&json!({ "mapping": mapping, "sure": sure }))
}

fn field_rules(schema: &Schema, guess: &Guess, samples: &[Record]) -> Value {
    let kind = schema.definition.fields.iter().find(|rule| rule.name == guess.field).map(|rule| rule.kind);
    match kind {
        Some(FieldKind::Code) => {
            let words = guess::words(samples, &guess.column);
            let foreign: BTreeMap<String, &str> =
                words.into_iter().filter(|word| value::code(word).is_err()).map(|word| (word, "")).collect();
            if foreign.is_empty() {
                json!({ "from": guess.column })
            } else {
                json!({ "from": guess.column, "codes": foreign })
            }
        }
        Some(FieldKind::Rows) => json!({ "from": guess.column, "rows": { "names": [] } }),
        _ => json!({ "from": guess.column }),
    }
}
