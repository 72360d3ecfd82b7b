//! A record by a mapping: values of the schema's fields, parties, references, and the id that its number gives it.

mod change;
mod rows;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use unicode_normalization::UnicodeNormalization as _;
use vouch_privacy::{Engine, Grade, scan::Field};
use vouch_types::{
    SubjectId,
    document::{DocumentId, FieldKind, Party, PartyEntry, ReferenceEntry, Schema},
};

pub use self::change::{Before, Difference};
use crate::{
    Attached, Fault, Found, Mapping, Node, Numbers, Original, Place, Reason, Record, UplinkKey,
    attached::Attachments,
    keys::PERSON,
    mapping::{FieldRules, GroupMap, PartyMap, ReferenceMap},
    reason::{self, Known},
    value::{self, NumberForm, Wrong},
};

/// Longest text of a field, in bytes.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Faults of one document that are told.
const FAULTS_MAX: usize = 20;

/// A record as a document.
#[derive(Clone, PartialEq)]
pub struct Row {
    /// Where it stands, or the first of its rows.
    pub place: Place,
    /// Its business number.
    pub number: String,
    /// Its document.
    pub id: DocumentId,
    /// Keyed hash of all of it.
    pub content: [u8; 32],
    /// Values by field.
    pub values: Map<String, Value>,
    /// Files by field.
    pub files: Vec<Attached>,
    /// Everyone it concerns.
    pub parties: Vec<PartyEntry>,
    /// Documents it builds on.
    pub references: Vec<ReferenceEntry>,
    /// Persons to be registered with it.
    pub register: Vec<SubjectId>,
    /// Whether the own member signs with it.
    pub signs_member: bool,
    /// Persons for whom the own member signs with it.
    pub signs_for: Vec<SubjectId>,
    /// Kind, number and id of everything that it gives an id to.
    pub given: Vec<[String; 3]>,
    /// The watermark column's value, with its kind.
    pub mark: Option<String>,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Row({}, document {})", self.place, self.id)
    }
}

/// A mapping made ready for records.
#[derive(Debug)]
pub struct Applier {
    /// The mapping.
    pub mapping: Mapping,
    /// Its schema.
    pub schema: Schema,
    /// The member that issues.
    member: String,
    key: UplinkKey,
    numbers: Numbers,
    attachments: Attachments,
    /// What names of public fields say to the engine.
    public: BTreeMap<String, Field>,
}

impl Applier {
    /// For a mapping and its schema.
    ///
    /// # Errors
    /// Everything that does not fit.
    pub fn new(
        mapping: Mapping,
        schema: Schema,
        member: impl Into<String>,
        key: UplinkKey,
        numbers: Numbers,
    ) -> Result<Self, Vec<Fault>> {
        let faults = mapping.check(&schema);
        if !faults.is_empty() {
            return Err(faults);
        }
        let engine = Engine::builtin();
        let public = mapping.public.iter().map(|name| (name.clone(), engine.field(name))).collect();
        Ok(Self { mapping, schema, member: member.into(), key, numbers, attachments: Attachments::default(), public })
    }

    /// Columns that the mapping takes and a table does not have.
    #[must_use]
    pub fn missing_columns(&self, record: &Record) -> Vec<Fault> {
        // What is within a nested value may be there in another record.
        let has = |name: &str| {
            let first = name.split_once('.').map_or(name, |(first, _)| first);
            record.columns.iter().any(|column| column == name || column == first)
        };
        let missing = self.mapping.columns().into_iter().filter(|name| !has(name));
        let fault = |name| {
            Fault::mapping(
                record.place.file.to_string(),
                format!("the mapping takes a column {name} that is not there"),
            )
        };
        missing.map(fault).collect()
    }

    /// A record as a document.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn row(&self, record: &Record, found: &Found) -> Result<Row, Vec<Fault>> {
        self.document(std::slice::from_ref(record), found)
    }

    /// The business number of a record; empty when there is none.
    pub(crate) fn number(&self, record: &Record) -> String {
        self.number_of(record, &self.mapping.number)
    }

    /// Records that together are a document; one, if the mapping puts none together.
    ///
    /// # Errors
    /// What is wrong with them, the first of it.
    pub fn document(&self, records: &[Record], found: &Found) -> Result<Row, Vec<Fault>> {
        let Some((record, others)) = records.split_first() else {
            return Err(vec![Fault::new("uplink.group", &*found.name, reason::NO_ROWS)]);
        };
        let mut faults = Vec::new();
        let number = self.number(record);
        if number.is_empty() {
            let column = self.mapping.number.first().map_or("number", String::as_str);
            faults.push(Fault::new("uplink.required", record.cell(column), reason::NO_NUMBER));
        }
        self.compare(record, others, &mut faults);
        let (mut values, files) = self.values(record, found, &mut faults);
        if let Some(group) = &self.mapping.group {
            values.insert(group.field.clone(), self.lines(group, records, &mut faults));
        }
        self.check_public(record, &values, &mut faults);
        let mut given = Vec::new();
        let (parties, register) = self.parties(records, &mut given, &mut faults);
        let references = self.references(records, &mut faults);
        let mark = self.mark(record);
        if let Some((column, None)) = self.mapping.watermark.as_ref().map(|column| (column, &mark))
            && Original::of(&found.name).is_none()
        {
            faults.push(Fault::new("uplink.required", record.cell(column), reason::NO_MARK));
        }
        if !faults.is_empty() {
            if !others.is_empty() {
                faults.truncate(FAULTS_MAX);
            }
            return Err(faults);
        }
        let signs = |entry: &&PartyEntry| self.mapping.sign.contains(&entry.role);
        let signs_member = parties.iter().filter(signs).any(|entry| entry.party.member.as_ref() == Some(&self.member));
        let signs_for = parties.iter().filter(signs).filter_map(|entry| entry.party.subject).collect();
        let id = self.key.document(&self.member, &self.mapping.schema, &number);
        given.push([self.mapping.schema.clone(), number.clone(), id.to_string()]);
        let content = self.content(&values, &files, &parties, &references);
        Ok(Row {
            place: record.place.clone(),
            number,
            id,
            content,
            values,
            files,
            parties,
            references,
            register,
            signs_member,
            signs_for,
            given,
            mark,
        })
    }

    /// The watermark of a record.
    #[must_use]
    pub fn mark(&self, record: &Record) -> Option<String> {
        record.get(self.mapping.watermark.as_ref()?)?.1.mark()
    }

    /// What salts and keys of a row's document come from.
    #[must_use]
    pub fn seed(&self, row: &Row) -> [u8; 32] {
        self.key.seed(row.id, &row.content)
    }

    fn content(
        &self,
        values: &Map<String, Value>,
        files: &[Attached],
        parties: &[PartyEntry],
        references: &[ReferenceEntry],
    ) -> [u8; 32] {
        // Where a file lies is no part of the document: the same archive is taken apart elsewhere in every run.
        let named: Vec<Value> =
            files.iter().map(|file| json!([file.field, file.name(), file.bytes, file.hash.to_string()])).collect();
        let mut whole = json!([self.schema.version, values, parties, references, self.mapping.public]);
        if let Some(whole) = whole.as_array_mut().filter(|_| !named.is_empty()) {
            whole.push(Value::from(named));
        }
        self.key.content(whole.to_string().as_bytes())
    }

    fn number_of(&self, record: &Record, columns: &[String]) -> String {
        let parts: Vec<String> = columns
            .iter()
            .map(|column| record.get(column).and_then(|(_, node)| node.text()).unwrap_or_default())
            .map(|text| normal(&text))
            .collect();
        if parts.iter().any(String::is_empty) { String::new() } else { parts.join("/") }
    }

    fn values(&self, record: &Record, found: &Found, faults: &mut Vec<Fault>) -> (Map<String, Value>, Vec<Attached>) {
        let (mut values, mut files) = (Map::new(), Vec::new());
        for rule in &self.schema.definition.fields {
            let Some(field) = self.mapping.fields.get(&rule.name).map(|field| &field.0) else { continue };
            let value = match self.value(record, rule.kind, field) {
                Ok(Value::String(name)) if rule.kind == FieldKind::Attachment => {
                    match self.attachments.take(&rule.name, &name, found) {
                        Ok(file) => {
                            files.push(file);
                            continue;
                        }
                        Err(wrong) => Err(wrong),
                    }
                }
                other => other,
            };
            match value {
                Ok(Value::Null) if rule.required => {
                    faults.push(Fault::new(
                        "uplink.required",
                        place_of(record, field),
                        reason::EMPTY_FIELD.with(&[&rule.name]),
                    ));
                }
                Ok(Value::Null) => {}
                Ok(value) => {
                    values.insert(rule.name.clone(), value);
                }
                Err((code, wrong)) => {
                    let wrong = wrong.and(reason::IN_FIELD.with(&[&rule.name]));
                    faults.push(Fault::new(code, place_of(record, field), wrong));
                }
            }
        }
        (values, files)
    }

    /// What stands in clear must not be sensitive.
    fn check_public(&self, record: &Record, values: &Map<String, Value>, faults: &mut Vec<Fault>) {
        for (name, field) in &self.public {
            let text = values.get(name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            let found = text.map(|text| Engine::builtin().scan_field(&text, Some(field))).unwrap_or_default();
            if let Some(finding) = found.iter().find(|finding| finding.level >= Grade::SENSITIVE) {
                let place = self.mapping.fields.get(name).map_or_else(String::new, |field| place_of(record, &field.0));
                faults.push(Fault::new("uplink.sensitive", place, reason::SENSITIVE.with(&[name, &finding.rule])));
            }
        }
    }

    /// Everything but lines, numbers and what every row adds to must be the same in all rows.
    fn compare(&self, first: &Record, others: &[Record], faults: &mut Vec<Fault>) {
        if others.is_empty() {
            return;
        }
        let columns = self.mapping.head_columns();
        for record in others {
            for column in &columns {
                if !is_same(record.get(column), first.get(column)) && faults.len() < FAULTS_MAX {
                    let differs = reason::DIFFERS.with(&[&first.place]);
                    faults.push(Fault::new("uplink.group", record.cell(column), differs));
                }
            }
        }
    }

    /// A line of every row.
    fn lines(&self, group: &GroupMap, records: &[Record], faults: &mut Vec<Fault>) -> Value {
        let mut lines = Vec::with_capacity(records.len());
        for record in records {
            let mut line = Map::new();
            for (name, rules) in &group.line {
                let wrong = match self.value(record, rules.0.kind.unwrap_or(FieldKind::Text), &rules.0) {
                    Ok(Value::Null) if rules.0.optional => continue,
                    Ok(Value::Null) => ("uplink.required", reason::EMPTY_CELL.into()),
                    Ok(value) => {
                        line.insert(name.clone(), value);
                        continue;
                    }
                    Err(wrong) => wrong,
                };
                let why = wrong.1.and(reason::IN_CELL.with(&[&group.field, name]));
                faults.push(Fault::new(wrong.0, place_of(record, &rules.0), why));
            }
            if line.is_empty() {
                faults.push(Fault::new("uplink.group", record.place.to_string(), reason::NO_LINE));
            }
            if faults.len() >= FAULTS_MAX {
                break;
            }
            lines.push(Value::Object(line));
        }
        Value::Array(lines)
    }

    fn value(&self, record: &Record, kind: FieldKind, field: &FieldRules) -> Result<Value, Wrong> {
        if kind == FieldKind::Rows {
            let node = field.from.names().first().and_then(|name| record.get(name));
            return rows::rows(node.map_or(&Node::Null, |(_, node)| node), field.rows.as_ref());
        }
        let text = plain_text(record, field)?;
        let text = match (text.is_empty(), &field.default) {
            (true, Some(default)) => default.clone(),
            _ => text,
        };
        if text.is_empty() {
            return Ok(Value::Null);
        }
        let text = match field.codes.get(&text) {
            Some(meant) => meant.clone(),
            None if field.codes.is_empty() => text,
            None => return Err(("uplink.code", reason::WORD.into())),
        };
        let form = NumberForm {
            decimal: field.decimal.unwrap_or('.'),
            thousands: field.thousands.or_else(|| field.decimal.is_none().then_some(',')),
            shift: field.shift,
        };
        Ok(match kind {
            FieldKind::Text if text.len() > TEXT_BYTES_MAX => {
                return Err(("uplink.too_long", reason::LONG_TEXT.with(&[&(TEXT_BYTES_MAX >> 10)])));
            }
            FieldKind::Text if !field.formula && value::is_formula(&text) => {
                return Err(("uplink.formula", reason::FORMULA.into()));
            }
            FieldKind::Text if text.contains('\0') => return Err(("uplink.format", reason::ZERO.into())),
            // The name of a file is looked for beside the source.
            FieldKind::Text | FieldKind::Attachment => Value::from(text),
            FieldKind::Code => Value::from(value::code(&text)?),
            FieldKind::Decimal => Value::from(value::decimal(&text, form)?),
            FieldKind::Integer => Value::from(value::integer(&text, form)?),
            FieldKind::Boolean => Value::from(value::boolean(&text)?),
            FieldKind::Date => {
                Value::from(value::date(&text, field.format.as_deref(), self.mapping.offset.as_deref())?)
            }
            FieldKind::Time => {
                Value::from(value::time(&text, field.format.as_deref(), self.mapping.offset.as_deref())?)
            }
            FieldKind::Rows => Value::Null,
        })
    }

    fn parties(
        &self,
        records: &[Record],
        given: &mut Vec<[String; 3]>,
        faults: &mut Vec<Fault>,
    ) -> (Vec<PartyEntry>, Vec<SubjectId>) {
        let (mut entries, mut register) = (Vec::new(), Vec::new());
        for rule in &self.schema.definition.parties {
            let Some(party) = self.mapping.parties.get(&rule.role) else { continue };
            let (before, records) = (entries.len(), those(records, party.each));
            let column = party.person_from.as_ref().or(party.member_from.as_ref()).map_or(&*rule.role, String::as_str);
            let texts = |record: &Record| party_texts(party, record);
            lacking(records, |record| party.each && rule.min > 0 && texts(record).is_empty(), column, faults);
            for (record, text) in records.iter().flat_map(|record| texts_of(record, texts(record))) {
                if entries.len() - before > usize::from(rule.max) {
                    break;
                }
                let entry = if party.person_from.is_some() {
                    let alias = self.numbers.person(&self.key, &text);
                    if party.register && !register.contains(&alias) {
                        register.push(alias);
                        given.push([PERSON.to_owned(), text, alias.to_string()]);
                    }
                    Party::subject(alias)
                } else {
                    match party.codes.get(&text) {
                        Some(meant) => Party::member(meant),
                        None if party.codes.is_empty() => Party::member(&text),
                        None => {
                            faults.push(Fault::new("uplink.code", record.cell(column), reason::WORD));
                            continue;
                        }
                    }
                };
                let entry = PartyEntry { role: rule.role.clone(), party: entry };
                if !(party.each && entries.contains(&entry)) {
                    entries.push(entry);
                }
            }
            let count = entries.len() - before;
            if count < usize::from(rule.min) || count > usize::from(rule.max) {
                let why = counted([reason::PARTIES, reason::PARTIES_MANY], count, &rule.role, (rule.min, rule.max));
                faults.push(Fault::new("uplink.required", cell_of(records, column), why));
            }
        }
        (entries, register)
    }

    fn references(&self, records: &[Record], faults: &mut Vec<Fault>) -> Vec<ReferenceEntry> {
        let mut entries: Vec<ReferenceEntry> = Vec::new();
        for rule in &self.schema.definition.references {
            let Some(reference) = self.mapping.references.get(&rule.name) else { continue };
            let (before, records) = (entries.len(), those(records, reference.each));
            let column = reference.from.names().first().map_or(&*rule.name, String::as_str);
            let numbers = |record: &Record| self.numbers_of(record, reference);
            lacking(records, |record| reference.each && rule.min > 0 && numbers(record).is_empty(), column, faults);
            for number in records.iter().flat_map(numbers) {
                if entries.len() - before > usize::from(rule.max) {
                    break;
                }
                let id = self.numbers.document(&self.key, &self.member, &reference.schema, &number);
                let entry = ReferenceEntry { name: rule.name.clone(), id, version: reference.version.unwrap_or(1) };
                if !(reference.each && entries.contains(&entry)) {
                    entries.push(entry);
                }
            }
            let count = entries.len() - before;
            if count < usize::from(rule.min) || count > usize::from(rule.max) {
                let kinds = [reason::REFERENCES, reason::REFERENCES_MANY];
                let why = counted(kinds, count, &rule.name, (rule.min, rule.max));
                faults.push(Fault::new("uplink.required", cell_of(records, column), why));
            }
        }
        entries
    }

    fn numbers_of(&self, record: &Record, reference: &ReferenceMap) -> Vec<String> {
        let whole = self.number_of(record, reference.from.names());
        match &reference.split {
            Some(split) => whole.split(split.as_str()).map(normal).filter(|text| !text.is_empty()).collect(),
            None if whole.is_empty() => Vec::new(),
            None => vec![whole],
        }
    }
}

/// All records, or the first one for all.
fn those(records: &[Record], each: bool) -> &[Record] {
    if each { records } else { records.get(..1).unwrap_or_default() }
}

/// That a count is not within its bounds; what is too much is not counted on.
fn counted([few, many]: [Known; 2], count: usize, name: &str, (min, max): (u8, u8)) -> Reason {
    if count > usize::from(max) {
        many.with(&[&max, &name, &min, &max])
    } else {
        few.with(&[&count, &name, &min, &max])
    }
}

/// A row that adds nothing where every one should.
fn lacking(records: &[Record], is_lacking: impl Fn(&Record) -> bool, column: &str, faults: &mut Vec<Fault>) {
    let room = FAULTS_MAX.saturating_sub(faults.len());
    for record in records.iter().filter(|record| is_lacking(record)).take(room) {
        faults.push(Fault::new("uplink.required", record.cell(column), reason::EACH));
    }
}

fn texts_of(record: &Record, texts: Vec<String>) -> impl Iterator<Item = (&Record, String)> {
    texts.into_iter().map(move |text| (record, text))
}

fn cell_of(records: &[Record], column: &str) -> String {
    records.first().map_or_else(|| column.to_owned(), |record| record.cell(column))
}

/// Whether two cells say the same.
fn is_same(one: Option<(usize, &Node)>, other: Option<(usize, &Node)>) -> bool {
    let (one, other) = (one.map_or(&Node::Null, |(_, node)| node), other.map_or(&Node::Null, |(_, node)| node));
    one == other || matches!((one.text(), other.text()), (Some(one), Some(other)) if one.trim() == other.trim())
}

/// Numbers are one whatever width and case they are written in.
fn normal(text: &str) -> String {
    text.trim().nfkc().collect::<String>().to_uppercase()
}

fn place_of(record: &Record, field: &FieldRules) -> String {
    field.from.names().first().map_or_else(|| record.place.to_string(), |name| record.cell(name))
}

fn party_texts(party: &PartyMap, record: &Record) -> Vec<String> {
    if let Some(member) = &party.member {
        return vec![member.clone()];
    }
    let column = party.person_from.as_ref().or(party.member_from.as_ref());
    let text = column.and_then(|column| record.get(column)?.1.text()).unwrap_or_default();
    let pieces: Vec<&str> = match &party.split {
        Some(split) => text.split(split.as_str()).collect(),
        None => vec![&text],
    };
    let form = |text: &str| if party.person_from.is_some() { normal(text) } else { text.trim().to_owned() };
    pieces.into_iter().map(form).filter(|text| !text.is_empty()).collect()
}

fn plain_text(record: &Record, field: &FieldRules) -> Result<String, Wrong> {
    if let Some(value) = &field.value {
        return Ok(value.clone());
    }
    let mut parts = Vec::new();
    for name in field.from.names() {
        let text = record.get(name).map_or(Some(String::new()), |(_, node)| node.text());
        let Some(text) = text else { return Err(("uplink.format", reason::SEVERAL.into())) };
        let text = if field.keep_blanks { text } else { text.trim().to_owned() };
        if !text.is_empty() {
            parts.push(text);
        }
    }
    Ok(parts.join(&field.join))
}

#[cfg(test)]
mod tests;
