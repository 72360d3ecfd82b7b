//! A mapping guessed from names and samples, written as a file for a person to mend.

use std::fmt::Write as _;

use unicode_normalization::UnicodeNormalization as _;
use vouch_types::document::{FieldKind, Schema};

use crate::{
    Node, Record,
    value::{self, NumberForm},
};

/// Records that are looked at.
pub const SAMPLES: usize = 200;
/// Below it a column is not named.
const SCORE_MIN: u32 = 45;

/// A column for a field, and how sure that is, in percent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guess {
    /// The field.
    pub field: String,
    /// The column.
    pub column: String,
    /// How sure, 0 to 100.
    pub score: u32,
}

/// Columns of records, in order of first sight; values within objects by path.
#[must_use]
pub fn columns(records: &[Record]) -> Vec<String> {
    fn add(name: String, node: &Node, into: &mut Vec<String>) {
        if let Node::Map(entries) = node {
            for (inner, node) in entries {
                add(format!("{name}.{inner}"), node, into);
            }
        } else if !into.contains(&name) {
            into.push(name);
        }
    }
    let mut found = Vec::new();
    for record in records {
        for (name, node) in record.columns.iter().zip(&record.values) {
            add(name.clone(), node, &mut found);
        }
    }
    found
}

/// Letters, digits and characters only, in one case and width.
fn bare(text: &str) -> String {
    text.nfkc().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase()
}

/// How much two names have in common, 0 to 100: pairs of neighbouring characters (Dice).
fn likeness(left: &str, right: &str) -> u32 {
    let (left, right) = (bare(left), bare(right));
    if left.is_empty() || right.is_empty() {
        return 0;
    }
    if left == right {
        return 100;
    }
    let pairs = |text: &str| text.chars().zip(text.chars().skip(1)).collect::<Vec<_>>();
    let (mut ours, theirs) = (pairs(&left), pairs(&right));
    let all = ours.len() + theirs.len();
    let mut common = 0;
    for pair in theirs {
        if let Some(at) = ours.iter().position(|other| *other == pair) {
            ours.swap_remove(at);
            common += 1;
        }
    }
    let dice = u32::try_from(200 * common / all.max(1)).unwrap_or(0);
    let within = if left.contains(&right) || right.contains(&left) { 70 } else { 0 };
    dice.max(within).min(95)
}

/// Share of samples that can be read as a kind, 0 to 100; 50 for none.
fn readable(records: &[Record], column: &str, kind: FieldKind) -> u32 {
    let nodes: Vec<&Node> = records.iter().filter_map(|record| record.get(column).map(|(_, node)| node)).collect();
    let is_good = |node: &Node| {
        let text = node.text();
        match (kind, text) {
            (FieldKind::Rows, Some(text)) => text.contains([';', '；', '|', '\n']),
            (FieldKind::Decimal, Some(text)) => value::decimal(&text, NumberForm::default()).is_ok(),
            (FieldKind::Integer, Some(text)) => value::integer(&text, NumberForm::default()).is_ok(),
            (FieldKind::Date, Some(text)) => value::date(&text, None, Some("Z")).is_ok(),
            (FieldKind::Time, Some(text)) => value::time(&text, None, Some("Z")).is_ok(),
            (FieldKind::Boolean, Some(text)) => value::boolean(&text).is_ok(),
            (FieldKind::Attachment, Some(text)) => {
                text.rsplit_once('.').is_some_and(|(_, e)| (2..=4).contains(&e.len()))
            }
            // Words of a system become codes by a table.
            (FieldKind::Code | FieldKind::Text, Some(_)) | (FieldKind::Rows, None) => true,
            (_, None) => false,
        }
    };
    let filled: Vec<&&Node> = nodes.iter().filter(|node| ***node != Node::Null).collect();
    if filled.is_empty() {
        return 50;
    }
    u32::try_from(100 * filled.iter().filter(|node| is_good(node)).count() / filled.len()).unwrap_or(0)
}

/// Columns for fields, each column at most once, the surest first.
#[must_use]
pub fn fields(schema: &Schema, records: &[Record]) -> Vec<Guess> {
    let columns = columns(records);
    let mut all = Vec::new();
    for rule in &schema.definition.fields {
        for column in &columns {
            let last = column.rsplit('.').next().unwrap_or(column);
            let names = [&rule.name, &rule.title_en, &rule.title_zh]
                .map(|name| likeness(name, last).max(likeness(name, column)));
            let alike = names.into_iter().max().unwrap_or(0);
            let score = alike * (40 + readable(records, column, rule.kind) * 60 / 100) / 100;
            if score >= SCORE_MIN {
                all.push(Guess { field: rule.name.clone(), column: column.clone(), score });
            }
        }
    }
    all.sort_by_key(|guess| std::cmp::Reverse(guess.score));
    let mut chosen: Vec<Guess> = Vec::new();
    for guess in all {
        if !chosen.iter().any(|other| other.field == guess.field || other.column == guess.column) {
            chosen.push(guess);
        }
    }
    chosen
}

/// How well a schema fits records, 0 to 100: the mean score over its required fields.
#[must_use]
pub fn fit(schema: &Schema, records: &[Record]) -> u32 {
    let guesses = fields(schema, records);
    let required: Vec<_> = schema.definition.fields.iter().filter(|rule| rule.required).collect();
    let score = |name: &str| guesses.iter().find(|guess| guess.field == name).map_or(0, |guess| guess.score);
    let total: u32 = required.iter().map(|rule| score(&rule.name)).sum();
    total / u32::try_from(required.len().max(1)).unwrap_or(1)
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Words of a column, if they are few.
#[must_use]
pub fn words(records: &[Record], column: &str) -> Vec<String> {
    let mut words = Vec::new();
    for text in records.iter().filter_map(|record| record.get(column)?.1.text()).filter(|text| !text.is_empty()) {
        if !words.contains(&text) {
            words.push(text);
        }
        if words.len() > 12 {
            return Vec::new();
        }
    }
    words
}

/// Whether every sample has another value.
fn is_unique(records: &[Record], column: &str) -> bool {
    let mut texts: Vec<String> = records.iter().filter_map(|record| record.get(column)?.1.text()).collect();
    let count = texts.len();
    texts.sort_unstable();
    texts.dedup();
    count == records.len() && texts.len() == count && texts.first().is_some_and(|text| !text.is_empty())
}

/// The number's column: one with another value in every record, rather one whose name says so.
#[must_use]
pub fn number_column(guesses: &[Guess], records: &[Record]) -> Option<String> {
    let unique: Vec<String> = columns(records).into_iter().filter(|column| is_unique(records, column)).collect();
    let says = |column: &&String| {
        let bare = bare(column);
        ["编号", "单号", "号码", "number", "code", "id", "no"].iter().any(|word| bare.ends_with(word))
    };
    let mapped = |column: &&String| guesses.iter().any(|guess| guess.column == **column);
    let found = unique.iter().find(|column| says(column) && mapped(column)).or_else(|| unique.iter().find(says));
    found.or_else(|| unique.first()).cloned()
}

/// A `[[map]]` for a source, as text with how sure each line is.
#[must_use]
pub fn mapping_text(schema: &Schema, source: &str, records: &[Record]) -> String {
    let definition = &schema.definition;
    let guesses = fields(schema, records);
    let mut out = String::new();
    let mut line = |text: String| {
        let _ = writeln!(out, "{text}");
    };
    line(format!("[[map]]  # {} {}", definition.title_en, definition.title_zh));
    line(format!("schema = {}", quoted(&definition.name)));
    line(format!("sources = [{}]", quoted(source)));
    match number_column(&guesses, records) {
        Some(column) => line(format!("number = [{}]  # another value in every record looked at", quoted(&column))),
        None => line("number = []  # no column has another value in every record: name those that together do".into()),
    }
    line("offset = \"+08:00\"".into());
    let public: Vec<String> =
        definition.fields.iter().filter(|rule| rule.public).map(|rule| quoted(&rule.name)).collect();
    line(format!("public = []  # may stand on the chain for everyone: {}", public.join(", ")));
    line(String::new());
    line("[map.fields]".into());
    for rule in &definition.fields {
        let about = format!("{:?}, grade {}{}", rule.kind, rule.grade, if rule.required { ", required" } else { "" });
        match guesses.iter().find(|guess| guess.field == rule.name) {
            None => {
                line(format!(
                    "# {} = \"\"  # {} {}: {about}; no column found",
                    rule.name, rule.title_en, rule.title_zh
                ));
            }
            Some(guess) => {
                let column = quoted(&guess.column);
                let sure = format!("{} % sure; {about}", guess.score);
                let foreign: Vec<String> =
                    words(records, &guess.column).into_iter().filter(|word| value::code(word).is_err()).collect();
                if rule.kind == FieldKind::Code && !foreign.is_empty() {
                    let codes: Vec<String> = foreign.iter().map(|word| format!("{} = \"\"", quoted(word))).collect();
                    line(format!(
                        "{} = {{ from = {column}, codes = {{ {} }} }}  # {sure}",
                        rule.name,
                        codes.join(", ")
                    ));
                } else if rule.kind == FieldKind::Rows {
                    line(format!("{} = {{ from = {column}, rows = {{ names = [] }} }}  # {sure}", rule.name));
                } else {
                    line(format!("{} = {column}  # {sure}", rule.name));
                }
            }
        }
    }
    line(String::new());
    line("[map.parties]".into());
    for rule in &definition.parties {
        let mark = if rule.min == 0 { "# " } else { "" };
        let way = if rule.subject { "person_from = \"\"" } else { "member = \"\"" };
        line(format!("{mark}{} = {{ {way} }}  # {} {}", rule.role, rule.title_en, rule.title_zh));
    }
    line(String::new());
    line("[map.references]".into());
    for rule in &definition.references {
        let mark = if rule.min == 0 { "# " } else { "" };
        let schema = quoted(rule.schema.as_deref().unwrap_or_default());
        line(format!("{mark}{} = {{ schema = {schema}, from = \"\" }}  # its business number", rule.name));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likeness_is_of_names() {
        assert_eq!(likeness("银行卡号", "银行卡号"), 100);
        assert_eq!(likeness("Bank account", "bank_account"), 100);
        assert!(likeness("手机号", "联系手机号") >= 70);
        assert!(likeness("姓名", "金额") < SCORE_MIN && likeness("", "x") == 0);
    }

    const SCHEMAS: [&str; 3] = [
        include_str!("../../../genesis/sample/schemas/worker-identity.json"),
        include_str!("../../../genesis/sample/schemas/service-transaction.json"),
        include_str!("../../../genesis/sample/schemas/risk-finding.json"),
    ];

    fn schema(text: &str) -> Schema {
        let moment = serde_json::json!({ "height": 1, "time_ms": 1 });
        let definition: serde_json::Value = serde_json::from_str(text).unwrap();
        let whole =
            serde_json::json!({ "version": 1, "definition": definition, "registered": moment, "retired": null });
        serde_json::from_value(whole).unwrap()
    }

    /// Records with a column for every field, named by `name`.
    fn samples(schema: &Schema, name: impl Fn(&vouch_types::document::FieldRule) -> String) -> Vec<Record> {
        let sample = |kind: FieldKind, number: u64| match kind {
            FieldKind::Decimal => format!("{number}.50"),
            FieldKind::Integer => number.to_string(),
            FieldKind::Boolean => "是".to_owned(),
            FieldKind::Date => format!("2026/10/{number}"),
            FieldKind::Time => format!("2026-10-{number:02} 09:00:00"),
            FieldKind::Rows => "a*1;b*2".to_owned(),
            FieldKind::Attachment => format!("{number}.pdf"),
            FieldKind::Code => "普通".to_owned(),
            FieldKind::Text => format!("文本{number}"),
        };
        let columns: std::sync::Arc<[String]> = schema.definition.fields.iter().map(name).collect();
        let record = |number: u64| {
            let place = crate::Place { file: "s.csv".into(), sheet: None, record: number, line: number + 1, byte: 0 };
            let values = schema.definition.fields.iter().map(|rule| Node::Text(sample(rule.kind, number))).collect();
            Record { place, columns: columns.clone(), values }
        };
        (1..=9).map(record).collect()
    }

    #[test]
    fn names_of_the_schema_are_found_and_what_is_written_can_be_read() {
        let all: Vec<Schema> = SCHEMAS.iter().map(|text| schema(text)).collect();
        for schema in &all {
            for records in [
                samples(schema, |rule| rule.title_zh.clone()),
                samples(schema, |rule| rule.name.to_uppercase()),
                samples(schema, |rule| format!("{}*", rule.title_en)),
            ] {
                let found = fields(schema, &records);
                for (rule, column) in schema.definition.fields.iter().zip(records[0].columns.iter()) {
                    let guess = found.iter().find(|guess| guess.field == rule.name);
                    assert_eq!(guess.map(|guess| &guess.column), Some(column), "{}: {found:?}", rule.name);
                }
                let best = all.iter().max_by_key(|schema| fit(schema, &records)).unwrap();
                assert_eq!(best.definition.name, schema.definition.name);
                let text = format!("format = \"vouch-uplink/1\"\n{}", mapping_text(schema, "s.csv", &records));
                let file =
                    crate::MappingFile::parse(&text, "guessed").unwrap_or_else(|fault| panic!("{fault}\n{text}"));
                assert_eq!(file.for_source("s.csv"), [0]);
                assert_eq!(file.maps[0].fields.len(), schema.definition.fields.len());
                assert_eq!(file.maps[0].number.len(), 1, "{text}");
            }
        }
        assert!(fields(&all[0], &samples(&all[0], |rule| format!("x{}", rule.grade))).is_empty());
    }
}
