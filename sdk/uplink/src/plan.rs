//! Sources, mappings and what would come of them: checked as a whole before anything leaves.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::SystemTime,
};

use serde::Serialize;
use vouch_privacy::{Engine, scan::Field, stream::Encoding};
use vouch_types::document::{Category, Schema, class};

use crate::{
    Applier, Fault, Found, Original, Reader, Record, Row,
    duplicates::{Duplicates, Repeated, Standing},
    group::{Gathered, Group, Groups},
    kept::Kept,
    reason,
    source::{Broken, Kind, ReadOptions},
};

/// Faults that a summary shows of one kind of source.
const SHOWN_MAX: usize = 20;
/// Documents of a source whose values are all looked at; of the rest one in [`LATER_EVERY`] is.
const LOOKED_AT_FIRST: u64 = 5_000;
const LATER_EVERY: u64 = 64;
/// Records between two looks whether a file is still what it was.
const LOOK_EVERY: u32 = 256;

/// A source with the mapping it is read by.
#[derive(Debug, Clone)]
pub struct Job {
    /// The source.
    pub found: Found,
    /// Its mapping's place in the plan.
    pub map: usize,
    /// How far a database was read before.
    pub after: Option<String>,
}

/// Everything that is to be sent, in order.
#[derive(Debug)]
pub struct Plan {
    /// Mappings with their schemas.
    pub appliers: Vec<Applier>,
    /// Sources, those first that others refer to.
    pub jobs: Vec<Job>,
    repeated: Repeated,
    /// How sources were read, by job, once they were checked.
    checked: BTreeMap<usize, Checked>,
}

/// How a source is read again, so that what is sent is what was checked.
#[derive(Debug)]
enum Checked {
    /// What a database gave.
    Kept(Kept),
    /// Rows that a mapping puts together.
    Gathered(Gathered),
    /// A file that must be the same.
    Same(Seen),
}

/// What a file was: length and time of the last change.
type Seen = Option<(u64, SystemTime)>;

fn seen_of(found: &Found) -> Seen {
    let data = fs::metadata(&found.path).ok()?;
    Some((data.len(), data.modified().ok()?))
}

fn changed(found: &Found) -> Fault {
    Fault::new("uplink.source", found.name.to_string(), reason::CHANGED)
}

/// Records that are no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bad {
    /// These records, of which a document would be, with what is wrong with some.
    Rows(Vec<Record>, Vec<Fault>),
    /// The source from here on.
    Stop(Vec<Fault>),
}

/// How far a job was read.
#[derive(Debug)]
pub struct Cursor {
    source: Source,
    number: usize,
    /// What a file was when it was checked, and how many records were read since that was last looked at.
    seen: Option<Seen>,
    unseen: u32,
    is_first: bool,
}

#[derive(Debug)]
enum Source {
    Each(Reader),
    Together(Groups),
    Over,
}

/// Documents of a job.
#[derive(Debug)]
pub struct Rows<'a> {
    plan: &'a Plan,
    cursor: Cursor,
}

impl Rows<'_> {
    /// The next document, and the records it is of.
    pub fn next_row(&mut self) -> Option<Result<(Vec<Record>, Row), Bad>> {
        self.plan.next_row(&mut self.cursor)
    }
}

impl Cursor {
    fn next_records(&mut self, job: &Job, applier: &Applier) -> Option<Result<Vec<Record>, Bad>> {
        let reader = match &mut self.source {
            Source::Each(reader) => reader,
            Source::Together(groups) => return groups.next().map(|group| together(job, group)),
            Source::Over => return None,
        };
        let next = reader.next();
        self.unseen += 1;
        if let Some(seen) = self.seen.filter(|_| next.is_none() || self.unseen >= LOOK_EVERY) {
            self.unseen = 0;
            if seen != seen_of(&job.found) {
                // Said once; nothing comes behind it.
                (self.seen, self.source) = (None, Source::Over);
                return Some(Err(Bad::Stop(vec![changed(&job.found)])));
            }
        }
        let record = match next? {
            Ok(record) => record,
            Err(Broken::Row(record, fault)) => return Some(Err(Bad::Rows(vec![*record], vec![fault]))),
            Err(Broken::Stop(fault)) => return Some(Err(Bad::Stop(vec![fault]))),
        };
        if std::mem::take(&mut self.is_first) {
            let missing = missing(applier, job, &record);
            if !missing.is_empty() {
                return Some(Err(Bad::Stop(missing)));
            }
        }
        Some(Ok(vec![record]))
    }
}

fn together(job: &Job, group: std::io::Result<Group>) -> Result<Vec<Record>, Bad> {
    match group {
        Ok(Group::Whole(records, faults)) if faults.is_empty() => Ok(records),
        Ok(Group::Whole(records, faults)) => Err(Bad::Rows(records, faults)),
        Ok(Group::Excess(records)) => {
            let place = records.first().map(|record| record.place.to_string()).unwrap_or_default();
            let reason = reason::GROUP_LONG.with(&[&crate::group::ROWS_MAX, &(crate::source::RECORD_BYTES_MAX >> 20)]);
            Err(Bad::Rows(records, vec![Fault::new("uplink.too_long", place, reason)]))
        }
        Err(error) => Err(Bad::Stop(vec![Fault::io(job.found.name.to_string(), &error)])),
    }
}

/// Columns of a table that the mapping takes and that are not there.
fn missing(applier: &Applier, job: &Job, record: &Record) -> Vec<Fault> {
    if matches!(job.found.kind, Kind::Json | Kind::Xml) { Vec::new() } else { applier.missing_columns(record) }
}

/// What would come of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Summary {
    /// By schema, in the order of sending.
    pub schemas: Vec<SchemaSummary>,
    /// Documents.
    pub documents: u64,
    /// Records that are none.
    pub rejected: u64,
    /// Sources that cannot be read to their end: nothing is sent while there is one.
    pub broken: Vec<Fault>,
}

/// What would come of the sources of one schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchemaSummary {
    /// The schema.
    pub schema: String,
    /// Its version.
    pub version: u32,
    /// Its titles, English and Chinese.
    pub titles: [String; 2],
    /// Its category.
    pub category: Category,
    /// Sources with their records.
    pub sources: BTreeMap<String, u64>,
    /// Documents.
    pub documents: u64,
    /// Records that they are of.
    pub records: u64,
    /// Records that are none.
    pub rejected: u64,
    /// Persons that would be registered.
    pub registers: u64,
    /// Fields that would stand on the chain in clear.
    pub public: Vec<String>,
    /// Roles of parties and references, which stand on the chain.
    pub on_chain: Vec<String>,
    /// Private fields by grade.
    pub private: BTreeMap<u8, Vec<String>>,
    /// Who will be able to read which private fields.
    pub readers: BTreeMap<&'static str, Vec<String>>,
    /// Files that go with them.
    pub files: u64,
    /// Their bytes.
    pub file_bytes: u64,
    /// Sensitive text in fields of a lower grade.
    pub findings: Vec<FindingSummary>,
    /// Documents whose values were looked at.
    pub looked_at: u64,
    /// Faults by code.
    pub faults: BTreeMap<&'static str, u64>,
    /// The first of them.
    pub shown: Vec<Fault>,
}

/// Sensitive text where the schema expects none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FindingSummary {
    /// The field.
    pub field: String,
    /// The rule.
    pub rule: String,
    /// Its grade.
    pub level: u8,
    /// The field's grade.
    pub grade: u8,
    /// How often.
    pub count: u64,
}

impl Plan {
    /// A plan of sources and mappings.
    #[must_use]
    pub fn new(appliers: Vec<Applier>, jobs: Vec<Job>) -> Self {
        Self { appliers, jobs, repeated: Repeated::new(), checked: BTreeMap::new() }
    }

    /// The mapping of a job.
    #[must_use]
    pub fn applier(&self, job: &Job) -> Option<&Applier> {
        self.appliers.get(job.map)
    }

    /// Reads a job from its beginning: what was checked, once it was. Rows that are put together can be read only then.
    ///
    /// # Errors
    /// Why the source cannot be opened; `uplink.source` when it is not what was checked.
    pub fn rows(&self, number: usize) -> Result<Rows<'_>, Fault> {
        Ok(Rows { plan: self, cursor: self.cursor(number)? })
    }

    /// The beginning of a job, for [`Plan::next_row`].
    ///
    /// # Errors
    /// As [`Plan::rows`].
    pub fn cursor(&self, number: usize) -> Result<Cursor, Fault> {
        let unknown = || Fault::mapping("plan", format!("there is no job {number}"));
        let job = self.jobs.get(number).ok_or_else(unknown)?;
        let applier = self.applier(job).ok_or_else(unknown)?;
        let source = match self.checked.get(&number) {
            Some(Checked::Kept(kept)) => Source::Each(Reader::kept(kept)),
            Some(Checked::Gathered(gathered)) => Source::Together(gathered.groups()),
            Some(Checked::Same(seen)) if *seen != seen_of(&job.found) => return Err(changed(&job.found)),
            None if applier.mapping.group.is_some() => {
                return Err(Fault::mapping("plan", "rows that are put together are read after they were checked"));
            }
            Some(Checked::Same(_)) | None => Source::Each(open(job, applier)?),
        };
        let seen = match self.checked.get(&number) {
            Some(Checked::Same(seen)) => Some(*seen),
            _ => None,
        };
        Ok(Cursor { source, number, seen, unseen: 0, is_first: true })
    }

    /// The next document from a cursor of this plan on, and the records it is of.
    pub fn next_row(&self, cursor: &mut Cursor) -> Option<Result<(Vec<Record>, Row), Bad>> {
        let job = self.jobs.get(cursor.number)?;
        let applier = self.applier(job)?;
        let records = match cursor.next_records(job, applier)? {
            Ok(records) => records,
            Err(bad) => return Some(Err(bad)),
        };
        let row = match applier.document(&records, &job.found) {
            Ok(row) => row,
            Err(faults) => return Some(Err(Bad::Rows(records, faults))),
        };
        if let Some((_, other)) = self.repeated.get(&(u32_of(cursor.number), row.place.record)) {
            let file = self.jobs.get(other.job as usize).map(|job| job.found.name.to_string()).unwrap_or_default();
            let column = applier.mapping.number.first().map_or("number", String::as_str);
            let reason = reason::SAME_AS.with(&[&other.record, &file]);
            let place = records.first().map_or_else(|| row.place.to_string(), |record| record.cell(column));
            return Some(Err(Bad::Rows(records, vec![Fault::new("uplink.duplicate_number", place, reason)])));
        }
        Some(Ok((records, row)))
    }

    /// Reads databases, and gathers rows that are put together, once: what they give is kept in `folder`, so that no transaction is
    /// open while documents are sent, and what is sent is what was checked. Notes what other files are.
    fn prepare(&mut self, folder: &Path, seen: &mut dyn FnMut()) -> Vec<Fault> {
        let (mut checked, mut broken) = (BTreeMap::new(), Vec::new());
        for (number, job) in self.jobs.iter().enumerate() {
            let Some(applier) = self.applier(job) else { continue };
            match prepared(job, applier, folder, seen) {
                Ok(how) => drop(checked.insert(number, how)),
                Err(faults) => broken.extend(faults),
            }
        }
        self.checked = checked;
        broken
    }

    /// Reads every source to its end and says what would come of it. `folder` takes what databases give, rows that are put together,
    /// and sorted pieces of what does not fit in memory; `seen` hears of every thousandth record.
    ///
    /// # Errors
    /// When the folder cannot be used. What is wrong with sources is in the summary.
    pub fn check(&mut self, folder: &Path, seen: &mut dyn FnMut(u64)) -> Result<Summary, Fault> {
        self.repeated = Repeated::new();
        let mut ids = Duplicates::new(folder);
        let mut tallies: BTreeMap<usize, Tally> = BTreeMap::new();
        let mut total = 0;
        let mut count = || {
            total += 1;
            if total % 1_000 == 0 {
                seen(total);
            }
        };
        let mut broken = self.prepare(folder, &mut count);
        for (number, job) in self.jobs.iter().enumerate() {
            let Some(applier) = self.applier(job) else { continue };
            if !self.checked.contains_key(&number) {
                continue;
            }
            let tally = tallies.entry(job.map).or_insert_with(|| Tally::new(applier));
            let before = tally.records;
            match self.rows(number) {
                Err(fault) => broken.push(fault),
                Ok(mut rows) => {
                    while let Some(next) = rows.next_row() {
                        count();
                        match next {
                            Ok((records, row)) => {
                                let rows = u32::try_from(records.len()).unwrap_or(u32::MAX);
                                ids.add(
                                    *row.id.as_bytes(),
                                    Standing { job: u32_of(number), record: row.place.record, rows },
                                )?;
                                tally.good(&row, rows.into());
                            }
                            Err(Bad::Rows(records, faults)) => tally.bad(records.len() as u64, faults),
                            Err(Bad::Stop(faults)) => broken.extend(faults),
                        }
                    }
                }
            }
            let records = tally.records - before;
            tally.summary.sources.insert(job.found.name.to_string(), records);
        }
        let is_grouped = |job: u32| {
            let applier = self.jobs.get(job as usize).and_then(|job| self.applier(job));
            applier.is_some_and(|applier| applier.mapping.group.is_some())
        };
        self.repeated = ids.finish(is_grouped)?;
        self.take_out(&mut tallies);
        let order: Vec<usize> = self.jobs.iter().map(|job| job.map).collect();
        let mut done = BTreeSet::new();
        let mut summary = Summary { broken, ..Summary::default() };
        for map in order.into_iter().filter(|map| done.insert(*map)) {
            summary.schemas.extend(tallies.remove(&map).map(Tally::finish));
        }
        summary.documents = summary.schemas.iter().map(|schema| schema.documents).sum();
        summary.rejected = summary.schemas.iter().map(|schema| schema.rejected).sum();
        Ok(summary)
    }

    /// Documents whose number stands elsewhere too were counted as good ones.
    fn take_out(&self, tallies: &mut BTreeMap<usize, Tally>) {
        for ((job, record), (rows, _)) in &self.repeated {
            let Some(job) = self.jobs.get(*job as usize) else { continue };
            let Some(tally) = tallies.get_mut(&job.map) else { continue };
            let (rows, place) = (u64::from(*rows), format!("{}, record {record}", job.found.name));
            tally.summary.documents -= 1;
            tally.summary.records -= rows;
            tally.bad(rows, vec![Fault::new("uplink.duplicate_number", place, reason::SAME_NUMBER)]);
        }
    }
}

fn u32_of(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The records of a source as they are there now.
fn open(job: &Job, applier: &Applier) -> Result<Reader, Fault> {
    if Original::of(&job.found.name).is_none() {
        return Reader::open(&job.found, &applier.mapping.options(job.after.clone()));
    }
    // Written by `rejected`, whatever the source was.
    let separator = (job.found.kind == Kind::Csv).then_some(',');
    Reader::open(&job.found, &ReadOptions { encoding: Some(Encoding::Utf8), separator, ..ReadOptions::default() })
}

fn prepared(job: &Job, applier: &Applier, folder: &Path, seen: &mut dyn FnMut()) -> Result<Checked, Vec<Fault>> {
    let one = |fault| vec![fault];
    if applier.mapping.group.is_some() {
        let is_first = std::cell::Cell::new(true);
        let number = |record: &Record| {
            let missing = if is_first.take() { missing(applier, job, record) } else { Vec::new() };
            if missing.is_empty() { Ok(applier.number(record)) } else { Err(missing) }
        };
        let reader = open(job, applier).map_err(one)?;
        return Gathered::fill(reader, &number, folder, seen).map(Checked::Gathered);
    }
    match job.found.kind {
        Kind::Postgres | Kind::Sqlite => {
            Kept::fill(open(job, applier).map_err(one)?, folder).map(Checked::Kept).map_err(one)
        }
        _ => Ok(Checked::Same(seen_of(&job.found))),
    }
}

/// Counts what comes of a mapping.
struct Tally {
    summary: SchemaSummary,
    records: u64,
    /// What titles of fields say to the engine, with the grade.
    fields: BTreeMap<String, (Field, u8)>,
    findings: BTreeMap<(String, String), FindingSummary>,
}

impl Tally {
    fn new(applier: &Applier) -> Self {
        let (schema, mapping) = (&applier.schema, &applier.mapping);
        let mapped: Vec<_> =
            schema.definition.fields.iter().filter(|rule| mapping.fields.contains_key(&rule.name)).collect();
        let is_public = |name: &str| mapping.public.iter().any(|public| public == name);
        let mut private: BTreeMap<u8, Vec<String>> = BTreeMap::new();
        for rule in mapped.iter().filter(|rule| !is_public(&rule.name)) {
            private.entry(rule.grade).or_default().push(rule.name.clone());
        }
        let fields =
            mapped.iter().map(|rule| (rule.name.clone(), (Engine::builtin().field(&rule.title_zh), rule.grade)));
        let parties = mapping.parties.keys().map(|role| format!("party {role}"));
        let references = mapping.references.keys().map(|name| format!("reference {name}"));
        let summary = SchemaSummary {
            schema: mapping.schema.clone(),
            version: schema.version,
            titles: [schema.definition.title_en.clone(), schema.definition.title_zh.clone()],
            category: schema.definition.category,
            sources: BTreeMap::new(),
            documents: 0,
            records: 0,
            rejected: 0,
            registers: 0,
            public: mapping.public.clone(),
            on_chain: parties.chain(references).collect(),
            private,
            readers: readers(schema, &mapped.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>()),
            files: 0,
            file_bytes: 0,
            findings: Vec::new(),
            looked_at: 0,
            faults: BTreeMap::new(),
            shown: Vec::new(),
        };
        Self { summary, records: 0, fields: fields.collect(), findings: BTreeMap::new() }
    }

    fn good(&mut self, row: &Row, records: u64) {
        self.records += records;
        self.summary.documents += 1;
        self.summary.records += records;
        self.summary.registers += row.register.len() as u64;
        self.summary.files += row.files.len() as u64;
        self.summary.file_bytes += row.files.iter().map(|file| file.bytes).sum::<u64>();
        let documents = self.summary.documents;
        if documents > LOOKED_AT_FIRST && !documents.is_multiple_of(LATER_EVERY) {
            return;
        }
        self.summary.looked_at += 1;
        for (name, value) in &row.values {
            let Some((field, grade)) = self.fields.get(name) else { continue };
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            for finding in Engine::builtin().scan_field(&text, Some(field)) {
                let level = finding.level.number();
                if level <= *grade || level < 3 {
                    continue;
                }
                let (field, rule) = (name.clone(), finding.rule.to_string());
                let new = FindingSummary { field: field.clone(), rule: rule.clone(), level, grade: *grade, count: 0 };
                self.findings.entry((field, rule)).or_insert(new).count += 1;
            }
        }
    }

    fn bad(&mut self, records: u64, faults: Vec<Fault>) {
        self.records += records;
        self.summary.rejected += records;
        for fault in faults {
            *self.summary.faults.entry(fault.code).or_insert(0) += 1;
            if self.summary.shown.len() < SHOWN_MAX {
                self.summary.shown.push(fault);
            }
        }
    }

    fn finish(mut self) -> SchemaSummary {
        self.summary.findings = self.findings.into_values().collect();
        self.summary.findings.sort_by_key(|finding| std::cmp::Reverse((finding.level, finding.count)));
        self.summary
    }
}

/// Classes of readers with the fields that are open to them.
fn readers(schema: &Schema, mapped: &[&str]) -> BTreeMap<&'static str, Vec<String>> {
    const CLASSES: [(&str, u8); 5] = [
        ("owner", class::OWNER),
        ("institution", class::INSTITUTION),
        ("recipient", class::RECIPIENT),
        ("regulator", class::REGULATOR),
        ("party", class::PARTY),
    ];
    let fields = || schema.definition.fields.iter().filter(|rule| mapped.contains(&rule.name.as_str()));
    let open =
        |bit: u8| fields().filter(|rule| rule.readers & bit != 0).map(|rule| rule.name.clone()).collect::<Vec<_>>();
    CLASSES.into_iter().map(|(name, bit)| (name, open(bit))).filter(|(_, fields)| !fields.is_empty()).collect()
}

#[cfg(test)]
mod tests;
