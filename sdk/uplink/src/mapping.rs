//! Mapping files (TOML): which source becomes which schema, and what a system's columns are in it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use vouch_privacy::stream::Encoding;
use vouch_types::document::{FieldKind, Schema, SchemaDefinition};

use crate::{Fault, Original, found, source::ReadOptions, value};

/// What the first line of a mapping file says.
pub const FORMAT: &str = "vouch-uplink/1";
/// Most bytes of a mapping file.
pub const MAPPING_BYTES_MAX: u64 = 1 << 20;

/// A mapping file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingFile {
    /// [`FORMAT`].
    pub format: String,
    /// One for each kind of source, in any order: what others refer to is sent first.
    #[serde(rename = "map")]
    pub maps: Vec<Mapping>,
}

/// How sources become documents of one schema.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The schema.
    pub schema: String,
    /// Its version; the newest if left out.
    pub schema_version: Option<u32>,
    /// Names of sources, with `*` and `?`; a pattern without `/` looks at the last part of a path.
    #[serde(default)]
    pub sources: Vec<String>,
    /// What text is written in; told from the file if left out.
    pub encoding: Option<Encoding>,
    /// Between cells of CSV; told from the head line if left out.
    pub separator: Option<char>,
    /// Sheet of a workbook.
    pub sheet: Option<String>,
    /// Path to the array of records in JSON; name of the elements in XML.
    pub records: Option<String>,
    /// A file is a record by itself.
    #[serde(default)]
    pub whole_files: bool,
    /// Query of a database, ascending by the watermark; `:after` is the watermark of the run before.
    pub query: Option<String>,
    /// Column of the query that only grows.
    pub watermark: Option<String>,
    /// Columns that together number a record, uniquely within the schema.
    #[serde(default)]
    pub number: Vec<String>,
    /// Rows of one number are one document together.
    pub group: Option<GroupMap>,
    /// What becomes of rows that have another content than their documents on the chain.
    pub changed: Option<WhenChanged>,
    /// Offset of times that have none of their own, such as `+08:00`.
    pub offset: Option<String>,
    /// Fields that stand on the chain in clear.
    #[serde(default)]
    pub public: Vec<String>,
    /// Roles of parties that sign in the same transaction: the own member, and persons it serves.
    #[serde(default)]
    pub sign: Vec<String>,
    /// Fields of the schema.
    #[serde(default)]
    pub fields: BTreeMap<String, FieldMap>,
    /// Roles of parties.
    #[serde(default)]
    pub parties: BTreeMap<String, PartyMap>,
    /// References to other documents, by their business numbers.
    #[serde(default)]
    pub references: BTreeMap<String, ReferenceMap>,
}

/// What becomes of a row that has another content than its document on the chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenChanged {
    /// It is rejected.
    #[default]
    Reject,
    /// It is sent as a new version.
    Version,
    /// It is passed over: the document stays as it is.
    Skip,
}

/// One name or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Columns {
    /// One.
    One(String),
    /// Several, put together.
    Many(Vec<String>),
}

impl Default for Columns {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Columns {
    /// All names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }
}

/// Where a field's value comes from and what is done to it, in this order: put together, trimmed, looked up, read as its kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub struct FieldMap(pub FieldRules);

/// The rules of a [`FieldMap`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldRules {
    /// Columns.
    #[serde(default)]
    pub from: Columns,
    /// Between several columns.
    #[serde(default)]
    pub join: String,
    /// The same for every record, instead of a column.
    pub value: Option<String>,
    /// For records whose column is empty.
    pub default: Option<String>,
    /// Keep blanks at the ends.
    #[serde(default)]
    pub keep_blanks: bool,
    /// What words of the system mean; a word that is not in it is a fault.
    #[serde(default)]
    pub codes: BTreeMap<String, String>,
    /// Form of dates and times, of `yyyy MM M dd d HH H mm ss`.
    pub format: Option<String>,
    /// Decimal point.
    pub decimal: Option<char>,
    /// Separator of thousands.
    pub thousands: Option<char>,
    /// Places to move the point to the right; −2 turns 分 into 元.
    #[serde(default)]
    pub shift: i32,
    /// Let text begin like a formula.
    #[serde(default)]
    pub formula: bool,
    /// How rows are taken apart.
    pub rows: Option<RowsMap>,
    /// Of a cell of a line: what its value is; text if left out.
    pub kind: Option<FieldKind>,
    /// Of a cell of a line: it may be empty, and is left out then.
    #[serde(default)]
    pub optional: bool,
}

impl TryFrom<toml::Value> for FieldMap {
    type Error = toml::de::Error;

    fn try_from(value: toml::Value) -> Result<Self, Self::Error> {
        match value {
            toml::Value::String(name) => Ok(Self(FieldRules { from: Columns::One(name), ..FieldRules::default() })),
            other => other.try_into().map(Self),
        }
    }
}

/// Several rows as one document: those of one business number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupMap {
    /// The field of rows that gets a line of every row, in their order.
    pub field: String,
    /// Cells of a line. Everything else that is mapped must be the same in all rows.
    pub line: BTreeMap<String, FieldMap>,
}

/// Rows within a record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowsMap {
    /// Between rows, where they are one text.
    pub split: Option<String>,
    /// Between the cells of a row, where they are one text.
    pub cells: Option<String>,
    /// Names of the cells, in order; where rows are objects, their keys that are taken, as `key` or `key=name`.
    #[serde(default)]
    pub names: Vec<String>,
}

/// Who stands in a role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartyMap {
    /// This member.
    pub member: Option<String>,
    /// The member that this column names.
    pub member_from: Option<String>,
    /// What the column's words mean.
    #[serde(default)]
    pub codes: BTreeMap<String, String>,
    /// The person whose number stands in this column; the chain gets an alias.
    pub person_from: Option<String>,
    /// Register the person in the same transaction.
    #[serde(default)]
    pub register: bool,
    /// With a group: those of every row, each once; otherwise the same in all rows.
    #[serde(default)]
    pub each: bool,
    /// Between several in one cell.
    pub split: Option<String>,
}

/// Which document is referred to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceMap {
    /// Its schema.
    pub schema: String,
    /// Columns that together are its business number.
    pub from: Columns,
    /// Between several in one cell.
    pub split: Option<String>,
    /// Its version; the one in force when the row is sent if left out.
    pub version: Option<u32>,
    /// With a group: those of every row, each once; otherwise the same in all rows.
    #[serde(default)]
    pub each: bool,
}

impl MappingFile {
    /// Reads a mapping file.
    ///
    /// # Errors
    /// `uplink.mapping`, with the line where TOML says it.
    pub fn parse(text: &str, place: &str) -> Result<Self, Fault> {
        let file: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
            let place = line.map_or_else(|| place.to_owned(), |line| format!("{place}, line {line}"));
            Fault::mapping(place, error.message().to_owned())
        })?;
        if file.format != FORMAT {
            return Err(Fault::mapping(place, format!("format must be {FORMAT:?}")));
        }
        if file.maps.is_empty() {
            return Err(Fault::mapping(place, "there is no [[map]] in it"));
        }
        Ok(file)
    }

    /// The mapping for a source: the only one, or the first whose patterns its name fits.
    #[must_use]
    pub fn for_source(&self, name: &str) -> Vec<usize> {
        let original = Original::of(name).unwrap_or_else(|| Original { name: name.to_owned(), schema: None });
        let fits = |mapping: &Mapping| {
            let is_of_schema = original.schema.as_ref().is_none_or(|schema| *schema == mapping.schema);
            is_of_schema
                && match mapping.sources.as_slice() {
                    [] => self.maps.len() == 1,
                    patterns => patterns.iter().any(|pattern| found::fits(pattern, &original.name)),
                }
        };
        (0..self.maps.len()).filter(|index| self.maps.get(*index).is_some_and(fits)).collect()
    }

    /// The order in which mappings are sent: what is referred to comes first.
    ///
    /// # Errors
    /// `uplink.mapping` when they refer to each other in a circle.
    pub fn order(&self) -> Result<Vec<usize>, Fault> {
        let mut order: Vec<usize> = Vec::new();
        while order.len() < self.maps.len() {
            let waits = |mapping: &Mapping, done: &[usize]| {
                let refers = |other: &Mapping| {
                    other.schema != mapping.schema && mapping.references.values().any(|r| r.schema == other.schema)
                };
                self.maps.iter().enumerate().any(|(index, other)| !done.contains(&index) && refers(other))
            };
            let next = (0..self.maps.len())
                .find(|index| !order.contains(index) && self.maps.get(*index).is_some_and(|map| !waits(map, &order)));
            order.push(next.ok_or_else(|| Fault::mapping("references", "mappings refer to each other in a circle"))?);
        }
        Ok(order)
    }
}

impl Mapping {
    /// How its sources are read.
    #[must_use]
    pub fn options(&self, after: Option<String>) -> ReadOptions {
        ReadOptions {
            encoding: self.encoding,
            separator: self.separator,
            sheet: self.sheet.clone(),
            records: self.records.clone(),
            query: self.query.clone(),
            watermark: self.watermark.clone(),
            after,
            whole: self.whole_files,
        }
    }

    /// Every column that it takes.
    #[must_use]
    pub fn columns(&self) -> BTreeSet<&str> {
        let lines = self.group.iter().flat_map(|group| group.line.values()).flat_map(|field| field.0.from.names());
        self.taken(|_| true).chain(&self.number).chain(lines).map(String::as_str).collect()
    }

    /// Columns that say the same in all rows of a document.
    pub(crate) fn head_columns(&self) -> BTreeSet<&str> {
        self.taken(|each| !each).map(String::as_str).collect()
    }

    /// Columns beside the number and lines, of those parties and references whose `each` is wanted.
    fn taken(&self, wanted: fn(bool) -> bool) -> impl Iterator<Item = &String> {
        let fields = self.fields.values().flat_map(|field| field.0.from.names());
        let references = self.references.values().filter(move |reference| wanted(reference.each));
        let parties = self.parties.values().filter(move |party| wanted(party.each));
        let parties = parties.flat_map(|party| party.member_from.iter().chain(&party.person_from));
        fields.chain(references.flat_map(|reference| reference.from.names())).chain(parties).chain(&self.watermark)
    }

    /// Everything that does not fit the schema it is for.
    #[must_use]
    pub fn check(&self, schema: &Schema) -> Vec<Fault> {
        let definition = &schema.definition;
        let mut faults = Vec::new();
        let mut fault =
            |what: String, reason: String| faults.push(Fault::mapping(format!("{}: {what}", self.schema), reason));
        if self.number.is_empty() {
            fault("number".into(), "name the columns of the business number: it makes a row one document".into());
        }
        for (name, field) in &self.fields {
            match definition.fields.iter().find(|rule| rule.name == *name) {
                None => fault(format!("fields.{name}"), "the schema has no such field".into()),
                Some(rule) => {
                    if let Some(reason) = field.0.fault(rule.kind) {
                        fault(format!("fields.{name}"), reason);
                    } else if field.0.kind.is_some() || field.0.optional {
                        fault(format!("fields.{name}"), "kind and optional are for cells of lines".into());
                    }
                }
            }
        }
        self.check_group(definition, &mut fault);
        let is_there = |name: &String| {
            self.fields.contains_key(name) || self.group.as_ref().is_some_and(|group| group.field == *name)
        };
        for rule in definition.fields.iter().filter(|rule| rule.required && !is_there(&rule.name)) {
            fault(format!("fields.{}", rule.name), "the schema requires this field".into());
        }
        for name in &self.public {
            if !definition.fields.iter().any(|rule| rule.name == *name && rule.public) {
                fault("public".into(), format!("the schema does not let {name} stand in clear"));
            }
        }
        self.check_parties(definition, &mut fault);
        self.check_references(definition, &mut fault);
        if self.offset.as_ref().is_some_and(|offset| !value::is_offset(offset)) {
            fault("offset".into(), "an offset is written +08:00 or Z".into());
        }
        if self.watermark.is_some() && self.query.as_ref().is_none_or(|query| !query.contains(":after")) {
            fault(
                "watermark".into(),
                "the query must use :after, for example WHERE :after IS NULL OR id > :after".into(),
            );
        }
        faults
    }

    fn check_group(&self, definition: &SchemaDefinition, fault: &mut impl FnMut(String, String)) {
        let Some(group) = &self.group else {
            let parties = self.parties.iter().filter(|(_, party)| party.each).map(|(name, _)| ("parties", name));
            let references =
                self.references.iter().filter(|(_, found)| found.each).map(|(name, _)| ("references", name));
            for (what, name) in parties.chain(references) {
                fault(format!("{what}.{name}"), "each is of rows that a group puts together".into());
            }
            return;
        };
        let place = "group.field";
        match definition.fields.iter().find(|rule| rule.name == group.field) {
            None => fault(place.into(), format!("the schema has no field {:?}", group.field)),
            Some(rule) if rule.kind != FieldKind::Rows => {
                fault(place.into(), format!("the field {} does not hold rows", rule.name));
            }
            Some(rule) if self.fields.contains_key(&rule.name) => {
                fault(place.into(), format!("the field {} gets its rows from the group", rule.name));
            }
            Some(_) => {}
        }
        if group.line.is_empty() {
            fault("group.line".into(), "name the cells of a line".into());
        }
        if self.whole_files {
            fault("group".into(), "a whole file is a record by itself".into());
        }
        for (name, cell) in &group.line {
            let kind = cell.0.kind.unwrap_or(FieldKind::Text);
            let reason = match kind {
                FieldKind::Rows | FieldKind::Attachment => Some("a cell holds one value".into()),
                _ => cell.0.fault(kind),
            };
            if let Some(reason) = reason {
                fault(format!("group.line.{name}"), reason);
            }
        }
    }

    fn check_parties(&self, definition: &SchemaDefinition, fault: &mut impl FnMut(String, String)) {
        for (role, party) in &self.parties {
            let one =
                [&party.member, &party.member_from, &party.person_from].iter().filter(|way| way.is_some()).count();
            let rule = definition.parties.iter().find(|rule| rule.role == *role);
            let Some(rule) = rule else {
                fault(format!("parties.{role}"), "the schema has no such role".into());
                continue;
            };
            if one != 1 {
                fault(format!("parties.{role}"), "exactly one of member, member_from and person_from".into());
            } else if party.person_from.is_some() && !rule.subject {
                fault(format!("parties.{role}"), "the role is not for persons".into());
            }
        }
        for rule in definition.parties.iter().filter(|rule| rule.min > 0 && !self.parties.contains_key(&rule.role)) {
            fault(format!("parties.{}", rule.role), "the schema requires this party".into());
        }
        for role in &self.sign {
            if !definition.parties.iter().any(|rule| rule.role == *role && rule.signs) {
                fault("sign".into(), format!("{role} is no role that signs"));
            }
        }
    }

    fn check_references(&self, definition: &SchemaDefinition, fault: &mut impl FnMut(String, String)) {
        for (name, reference) in &self.references {
            match definition.references.iter().find(|rule| rule.name == *name) {
                None => fault(format!("references.{name}"), "the schema has no such reference".into()),
                Some(rule) if rule.schema.as_ref().is_some_and(|schema| *schema != reference.schema) => {
                    let reason = format!("the schema wants {} there", rule.schema.as_deref().unwrap_or_default());
                    fault(format!("references.{name}"), reason);
                }
                Some(_) if reference.from.names().is_empty() => {
                    fault(format!("references.{name}"), "name the columns of the number".into());
                }
                Some(_) => {}
            }
        }
        for rule in
            definition.references.iter().filter(|rule| rule.min > 0 && !self.references.contains_key(&rule.name))
        {
            fault(format!("references.{}", rule.name), "the schema requires this reference".into());
        }
    }
}

impl FieldRules {
    /// What cannot be done for a field of a kind.
    fn fault(&self, kind: FieldKind) -> Option<String> {
        if self.value.is_some() != self.from.names().is_empty() {
            return Some("either from or value".into());
        }
        if self.rows.is_some() && kind != FieldKind::Rows {
            return Some("only a field of rows has rows".into());
        }
        if self.format.is_some() && !matches!(kind, FieldKind::Date | FieldKind::Time) {
            return Some("only dates and times have a form".into());
        }
        let separators = [self.decimal.unwrap_or('.'), self.thousands.unwrap_or(' ')];
        if separators[0] == separators[1] || separators.iter().any(|sign| sign.is_alphanumeric() || *sign == '-') {
            return Some("decimal and thousands are two different signs, and no digits".into());
        }
        let has_form = self.decimal.is_some() || self.thousands.is_some() || self.shift != 0;
        (has_form && !matches!(kind, FieldKind::Decimal | FieldKind::Integer))
            .then(|| "only numbers have a form of numbers".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_read_and_faults_have_lines() {
        let text = "format = \"vouch-uplink/1\"\n[[map]]\nschema = \"a\"\nsources = [\"a*.csv\"]\nnumber = [\"no\"]\n\
            [map.fields]\nname = \"姓名\"\npay = { from = [\"x\", \"y\"], shift = -2 }\n";
        let file = MappingFile::parse(text, "m.toml").unwrap();
        let map = &file.maps[0];
        assert_eq!(map.fields["name"].0.from.names(), ["姓名"]);
        assert_eq!((map.fields["pay"].0.from.names().len(), map.fields["pay"].0.shift), (2, -2));
        assert_eq!(file.for_source("x/a1.csv"), [0]);
        assert_eq!(file.for_source("a1.csv.rejected.csv"), [0]);
        assert_eq!(file.for_source("M.ZIP%2Fa1.csv.rejected.3.csv"), [0]);
        assert_eq!(file.for_source("a1.csv%3Aa.rejected.csv"), [0]);
        assert!(file.for_source("a1.csv%3Ab.rejected.csv").is_empty());
        assert!(file.for_source("b.csv").is_empty());
        for (text, place) in [
            ("format = \"vouch-uplink/1\"\n", "m.toml"),
            ("format = \"other\"\n[[map]]\nschema = \"a\"\n", "m.toml"),
            ("format = \"vouch-uplink/1\"\n[[map]]\nschema = \"a\"\nwrong = 1\n", "m.toml, line 4"),
            ("format = [", "m.toml, line 1"),
        ] {
            let fault = MappingFile::parse(text, "m.toml").unwrap_err();
            assert_eq!(fault.code, "uplink.mapping");
            assert!(fault.place.starts_with(place), "{fault}");
        }
    }

    #[test]
    fn what_is_referred_to_is_sent_first() {
        let map = |schema: &str, refers: &[&str]| {
            let reference =
                |schema: &&str| ((*schema).to_owned(), ReferenceMap { schema: (*schema).into(), ..Default::default() });
            Mapping { schema: schema.into(), references: refers.iter().map(reference).collect(), ..Default::default() }
        };
        let file = |maps| MappingFile { format: FORMAT.into(), maps };
        let maps = vec![map("invoice", &["order", "invoice"]), map("order", &["contract"]), map("contract", &[])];
        assert_eq!(file(maps).order().unwrap(), [2, 1, 0]);
        assert_eq!(file(vec![map("a", &["b"]), map("b", &["a"])]).order().unwrap_err().code, "uplink.mapping");
    }
}
