//! The two visitors: one that reports what is in a file, one that takes it out.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Place, Visitor};
use crate::{
    Grade,
    deid::{Algorithm, DeidError, Deidentifier},
    rules::Profile,
    scan::{Basis, Disguise, Engine, Field, Finding, RuleId},
};

/// Most different field names that are remembered; beyond it they are judged again each time.
const FIELDS_MAX: usize = 10_000;

/// A finding and where it is in the file. It holds no value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Located {
    /// The rule.
    pub rule: RuleId,
    /// Grade by the profile.
    pub level: Grade,
    /// Name of the field, if it stands in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Line, from 1.
    pub line: u64,
    /// Character in that line, from 1; of a value in CSV or JSON, in the value.
    pub column: u64,
    /// Record, from 1; of text, the piece.
    pub record: u64,
    /// First byte in the decoded text; of a value in CSV or JSON, of the value as it is without quotes.
    pub start: u64,
    /// Byte behind the last.
    pub end: u64,
    /// How sure, in percent.
    pub score: u8,
    /// Why it counts.
    pub basis: Basis,
    /// What had to be undone to read it.
    #[serde(skip_serializing_if = "is_plain")]
    pub disguise: Disguise,
}

const fn is_plain(disguise: &Disguise) -> bool {
    disguise.is_plain()
}

/// What is in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Grade of the file: of its most sensitive record, findings that belong together counted.
    pub level: Grade,
    /// Findings by rule.
    pub counts: BTreeMap<RuleId, u64>,
    /// Findings by grade.
    pub levels: BTreeMap<u8, u64>,
    /// The first findings, as many as were asked for.
    pub findings: Vec<Located>,
    /// Whether there are more than are listed.
    pub is_cut: bool,
    /// Values that were looked at.
    pub values: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Reports what an engine finds.
#[derive(Debug)]
pub struct Scanner<'a> {
    engine: &'a Engine,
    profile: &'a Profile,
    least: Grade,
    listed_max: usize,
    fields: Fields,
    /// Names that hold something sensitive themselves, as those of a table without a head line do; never told.
    hidden: BTreeSet<String>,
    /// Rules found in the record so far.
    record: BTreeMap<RuleId, Grade>,
    report: Report,
}

/// What field names say, remembered.
#[derive(Debug, Default)]
struct Fields(BTreeMap<String, Field>);

impl Fields {
    fn get(&mut self, engine: &Engine, name: &str) -> Field {
        if let Some(field) = self.0.get(name) {
            return field.clone();
        }
        let field = engine.field(name);
        if self.0.len() < FIELDS_MAX {
            self.0.insert(name.to_owned(), field.clone());
        }
        field
    }
}

impl<'a> Scanner<'a> {
    /// Reports findings of at least `least` by a profile and lists at most `listed_max` of them.
    #[must_use]
    pub fn new(engine: &'a Engine, profile: &'a Profile, least: Grade, listed_max: usize) -> Self {
        let report = Report {
            level: Grade::PUBLIC,
            counts: BTreeMap::new(),
            levels: BTreeMap::new(),
            findings: Vec::new(),
            is_cut: false,
            values: 0,
            bytes: 0,
        };
        let (fields, hidden) = (Fields::default(), BTreeSet::new());
        Self { engine, profile, least, listed_max, fields, hidden, record: BTreeMap::new(), report }
    }

    /// The report.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.end_record();
        self.report
    }

    fn end_record(&mut self) {
        let found: Vec<(&str, Grade)> = self.record.iter().map(|(rule, level)| (rule.as_str(), *level)).collect();
        self.report.level = self.report.level.max(self.profile.document_level(&found));
        self.record.clear();
    }

    /// When there are more of these names than are remembered, none is told.
    fn is_hidden(&self, name: &str) -> bool {
        self.hidden.len() >= FIELDS_MAX || self.hidden.contains(name)
    }

    fn note(&mut self, place: &Place<'_>, value: &str, finding: &Finding) {
        let level = self.profile.level(finding.rule.as_str(), finding.level);
        self.record.insert(finding.rule.clone(), finding.level);
        if level < self.least {
            return;
        }
        *self.report.counts.entry(finding.rule.clone()).or_insert(0) += 1;
        *self.report.levels.entry(level.number()).or_insert(0) += 1;
        if self.report.findings.len() == self.listed_max {
            self.report.is_cut = true;
            return;
        }
        let before = value.get(..finding.start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        self.report.findings.push(Located {
            rule: finding.rule.clone(),
            level,
            field: place.field.filter(|name| !self.is_hidden(name)).map(str::to_owned),
            line: place.line + before.bytes().filter(|byte| *byte == b'\n').count() as u64,
            column: before.get(line_start..).unwrap_or_default().chars().count() as u64 + 1,
            record: place.record,
            start: place.offset + finding.start as u64,
            end: place.offset + finding.end as u64,
            score: finding.score,
            basis: finding.basis,
            disguise: finding.disguise,
        });
    }
}

impl Visitor for Scanner<'_> {
    fn value(&mut self, place: &Place<'_>, value: &str) -> Result<Option<String>, DeidError> {
        self.report.values += 1;
        self.report.bytes += value.len() as u64;
        let field = place.field.map(|name| self.fields.get(self.engine, name));
        for finding in self.engine.scan_field(value, field.as_ref()) {
            self.note(place, value, &finding);
        }
        Ok(None)
    }

    fn record(&mut self) {
        self.end_record();
    }

    fn name(&mut self, place: &Place<'_>, name: &str) {
        if self.fields.0.contains_key(name) || self.hidden.contains(name) {
            return;
        }
        let found = self.engine.scan(name, None);
        if !found.is_empty() && self.hidden.len() < FIELDS_MAX {
            self.hidden.insert(name.to_owned());
        }
        for finding in found {
            self.note(place, name, &finding);
        }
    }
}

/// Takes out what a policy says.
#[derive(Debug)]
pub struct Rewriter<'a, 'b> {
    engine: &'a Engine,
    deidentifier: &'a mut Deidentifier<'b>,
    fields: Fields,
    /// What was done how often.
    pub done: BTreeMap<Algorithm, u64>,
}

impl<'a, 'b> Rewriter<'a, 'b> {
    /// Applies a deidentifier that was made with the same engine.
    #[must_use]
    pub fn new(engine: &'a Engine, deidentifier: &'a mut Deidentifier<'b>) -> Self {
        Self { engine, deidentifier, fields: Fields::default(), done: BTreeMap::new() }
    }
}

impl Visitor for Rewriter<'_, '_> {
    fn value(&mut self, place: &Place<'_>, value: &str) -> Result<Option<String>, DeidError> {
        let field = place.field.map(|name| (name, self.fields.get(self.engine, name)));
        let field = field.as_ref().map(|(name, field)| (*name, field));
        let made = self.deidentifier.text(value, field, None)?;
        for change in &made.changes {
            *self.done.entry(change.algorithm).or_insert(0) += 1;
        }
        Ok((made.text != value).then_some(made.text))
    }
}
