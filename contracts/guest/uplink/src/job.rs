//! A job from its check to its last row.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use serde_json::{Value, json};
use vouch_privacy::{RecipientKey, SchemaFields};
use vouch_types::{
    ChainId, Hash32,
    api::{HexBytes, Language, Problem, kind_of},
    document::Schema,
};
use vouch_uplink::{
    Applier, Becomes, Before, Changes, Plan, Record, Summary, UplinkKey, WhenChanged,
    plan::{Bad, Job as Planned},
    rejected::{self, Writer},
    standing,
};

use crate::{
    Fault,
    mapping::mapping_of,
    read,
    state::{self, Job, Source, Waiting},
    told, told_all, written,
};

/// Documents that a check shows.
const FIRST: usize = 3;
/// From this grade on values are not shown.
pub(crate) const HIDDEN_GRADE: u8 = 3;
/// Rows that may be under way at a time.
const WAITING_MAX: usize = 4_096;
/// Most bytes of the file with rejected rows; it is held in memory.
const REJECTED_BYTES_MAX: usize = 64 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeyInput {
    /// The key itself.
    Key(Hash32),
    /// What a file `uplink.key` holds.
    Text(String),
}

/// Takes the key that ids come from. Answers what tells it apart.
///
/// # Errors
/// `uplink.key`.
pub fn key(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let key = match read(input)? {
        KeyInput::Key(key) => UplinkKey::new(key.0),
        KeyInput::Text(text) => UplinkKey::from_text(&text, "uplink.key").map_err(|fault| told(&fault))?,
    };
    let fingerprint = key.fingerprint();
    state::set_key(key);
    written(&json!({ "fingerprint": fingerprint }))
}

#[derive(Deserialize)]
struct NumbersInput {
    name: String,
    text: String,
}

/// Takes ids that others gave to numbers. Input: name and text of the file as JSON.
///
/// # Errors
/// `uplink.numbers`.
pub fn numbers(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let NumbersInput { name, text } = read(input)?;
    state::with_numbers(|numbers| numbers.add(text.as_bytes(), &name)).map_err(|fault| told(&fault))?;
    written(&Value::Null)
}

#[derive(Deserialize)]
struct CheckInput {
    source: Source,
    chain: ChainId,
    member: String,
    /// The member's encryption key, as the registry has it.
    recipient: Hash32,
    schema: Schema,
    mapping: Value,
}

/// Reads the whole file by a mapping and says what would come of it. Values of grade 3 and 4 are not in the answer.
///
/// # Errors
/// `uplink.mapping`; what is wrong with the file is in the answer.
pub fn check(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let CheckInput { source, chain, member, recipient, schema, mapping } = read(input)?;
    let mapping = mapping_of(&mapping)?;
    let fields = SchemaFields::from_chain(&schema).map_err(|error| Fault::new("document.construction", error))?;
    let (found, key) = (source.found()?, state::key()?);
    let fingerprint = key.fingerprint();
    let numbers = state::with_numbers(|numbers| numbers.clone());
    let applier = Applier::new(mapping, schema.clone(), member.clone(), key, numbers);
    let applier = applier.map_err(|faults| told_all(&faults))?;
    let mut plan = Plan::new(vec![applier], vec![Planned { found: found.clone(), map: 0, after: None }]);
    let summary = plan.check(Path::new(""), &mut page::seen).map_err(|fault| told(&fault))?;
    let answer = json!({ "summary": summary, "first": first(&plan), "fingerprint": fingerprint,
        "titles": titles(codes_of(&summary)), "rejected_name": rejected::name_of(&found) });
    let rejected = writer(&found);
    state::set_job(Job {
        plan,
        found,
        chain,
        member,
        recipient: RecipientKey(recipient),
        schema,
        fields,
        cursor: None,
        changes: Changes::all_new(0, 1),
        order: Default::default(),
        compared: BTreeMap::new(),
        when: None,
        waiting: BTreeMap::new(),
        given: 0,
        kept_back: 0,
        skipped: 0,
        rejected,
        unkept: 0,
    });
    written(&answer)
}

fn codes_of(summary: &Summary) -> impl Iterator<Item = &'static str> {
    let faults = summary.schemas.iter().flat_map(|schema| schema.faults.keys().copied());
    faults.chain(summary.broken.iter().map(|fault| fault.code))
}

/// What the codes of faults are called and how to mend them, in English and Chinese.
pub(crate) fn titles(codes: impl Iterator<Item = &'static str>) -> BTreeMap<&'static str, [[String; 2]; 2]> {
    let both = |code: &'static str| {
        let english = Problem::new(code, "");
        let chinese = english.clone().translated(Language::Chinese);
        (code, [[english.title, chinese.title], [english.mend, chinese.mend]])
    };
    codes.map(both).collect()
}

fn writer(found: &vouch_uplink::Found) -> Writer<Vec<u8>> {
    Writer::new(Vec::new(), rejected::is_table(found.kind))
}

/// The first documents, without values that others may not see.
fn first(plan: &Plan) -> Vec<Value> {
    let (Some(applier), Ok(mut rows)) = (plan.appliers.first(), plan.rows(0)) else { return Vec::new() };
    let mut shown = Vec::new();
    while shown.len() < FIRST {
        let Some(next) = rows.next_row() else { break };
        let Ok((_, row)) = next else { continue };
        let definition = &applier.schema.definition;
        let fields = definition.fields.iter().filter_map(|rule| {
            let value = row.values.get(&rule.name)?;
            let value = if rule.grade >= HIDDEN_GRADE { hidden(value) } else { json!({ "value": value }) };
            Some(json!({ "name": rule.name, "grade": rule.grade, "shown": value }))
        });
        shown.push(json!({ "place": row.place.to_string(), "id": row.id, "fields": fields.collect::<Vec<_>>(),
            "references": row.references.len(), "parties": row.parties.len() }));
    }
    shown
}

/// How long a value is, not what it is.
fn hidden(value: &Value) -> Value {
    match value {
        Value::Array(items) => json!({ "rows": items.len() }),
        other => json!({ "hidden": other.as_str().map_or(1, |text| text.chars().count()) }),
    }
}

/// Begins to give out rows to be compared, from the first on. What was found before is forgotten.
///
/// # Errors
/// `uplink.*` when the file cannot be opened any more.
pub fn begin_comparing(_: &[u8]) -> Result<Vec<u8>, Fault> {
    state::with_job(|job| {
        (job.changes, job.order, job.when) = (Changes::all_new(0, 1), Default::default(), None);
        job.compared.clear();
        rewind(job)?;
        written(&Value::Null)
    })
}

#[derive(Deserialize)]
struct BeginInput {
    #[serde(default)]
    changed: WhenChanged,
}

/// Begins to give out rows to be sent, from the first on. What was under way is forgotten. Input: what becomes of rows that were found
/// to have changed, as JSON.
///
/// # Errors
/// `uplink.*` when the file cannot be opened any more.
pub fn begin(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let BeginInput { changed } = read(input)?;
    state::with_job(|job| {
        job.when = Some(changed);
        rewind(job)?;
        written(&Value::Null)
    })
}

fn rewind(job: &mut Job) -> Result<(), Fault> {
    // What was held of the file makes room first.
    job.cursor = None;
    job.cursor = Some(job.plan.cursor(0).map_err(|fault| told(&fault))?);
    job.rejected = writer(&job.found);
    job.waiting.clear();
    (job.unkept, job.kept_back, job.skipped) = (0, 0, 0);
    Ok(())
}

#[derive(Deserialize)]
struct NextInput {
    limit: usize,
}

/// The next documents, each with its number in this module, document, keyed hash of its content and the version that it follows. Those
/// at fault go to the rejected ones, those that changed where they were said to.
///
/// # Errors
/// `uplink.*` when the file changed since it was checked.
pub fn next(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let NextInput { limit } = read(input)?;
    state::with_job(|job| {
        let (mut rows, mut is_end) = (Vec::new(), false);
        while rows.len() < limit && job.waiting.len() < WAITING_MAX {
            let Some(next) = take(job)? else {
                is_end = true;
                break;
            };
            let Some((records, row)) = next else { continue };
            let compared = job.compared.get(&row.id).cloned();
            let before = match job.when.zip(compared).map(|(when, compared)| compared.becomes(&row, when)) {
                None => None,
                Some(Becomes::Version(before)) => Some(before),
                Some(Becomes::Skipped) => {
                    job.skipped += 1;
                    continue;
                }
                Some(Becomes::Rejected(fault)) => {
                    job.kept_back += 1;
                    keep(job, &records, &[fault])?;
                    continue;
                }
            };
            job.given += 1;
            rows.push(json!({ "n": job.given, "id": row.id, "content": HexBytes(row.content.to_vec()),
                "place": row.place.to_string(), "version": Before::next(before.as_ref()) }));
            job.waiting.insert(job.given, Waiting { records, row, before });
        }
        let rejected = job.rejected.count + job.unkept;
        written(
            &json!({ "rows": rows, "end": is_end, "rejected": rejected, "kept_back": job.kept_back, "skipped": job.skipped }),
        )
    })
}

/// The next row: `None` at the end, within it `None` for one that is at fault.
#[allow(clippy::type_complexity, reason = "both are looked at by the callers at once")]
fn take(job: &mut Job) -> Result<Option<Option<(Vec<Record>, vouch_uplink::Row)>>, Fault> {
    let cursor = job.cursor.as_mut().ok_or_else(|| Fault::new("client.bad_input", "nothing was begun"))?;
    match job.plan.next_row(cursor) {
        None => Ok(None),
        Some(Ok(row)) => Ok(Some(Some(row))),
        Some(Err(Bad::Rows(records, faults))) => {
            keep(job, &records, &faults)?;
            Ok(Some(None))
        }
        Some(Err(Bad::Stop(faults))) => Err(told_all(&faults)),
    }
}

fn keep(job: &mut Job, records: &[Record], faults: &[vouch_uplink::Fault]) -> Result<(), Fault> {
    for record in records {
        if job.rejected.get_ref().len() > REJECTED_BYTES_MAX {
            job.unkept += 1;
        } else {
            job.rejected.add(record, faults).map_err(|error| Fault::new("uplink.io", error))?;
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct RowInput {
    n: u64,
}

/// A row is final, or was before. Answers what is to be noted of it, so that later runs can tell what changed.
///
/// # Errors
/// `client.bad_input`.
pub fn done(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let RowInput { n } = read(input)?;
    state::with_job(|job| {
        let row = job.end(n)?.row;
        written(&json!({ "parts": HexBytes(job.applier()?.parts(&row)) }))
    })
}

/// Why a row that was given out is rejected.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Why {
    /// Its number is another content's on the chain, or by now another version's.
    MovedOn,
    /// Another content of it waits at the node.
    Staged,
    /// Node or contract refused it: their code, what they said.
    Refused(String, String),
    /// Its document cannot have a version now: code, reason.
    Hindered(String, String),
}

#[derive(Deserialize)]
struct RejectInput {
    n: u64,
    why: Why,
}

/// A document was refused: its rows go to the rejected ones. Answers how many those are.
///
/// # Errors
/// `client.bad_input`.
pub fn reject(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let RejectInput { n, why } = read(input)?;
    state::with_job(|job| {
        let Waiting { records, row, before } = job.end(n)?;
        let fault = match why {
            Why::MovedOn => standing::moved_on(&row, before.as_ref()),
            Why::Staged => standing::staged(&row, before.as_ref()),
            Why::Refused(code, text) => standing::refused(&row, &code, &text),
            Why::Hindered(code, reason) => {
                let code = kind_of(&code).map_or("uplink.changed", |kind| kind.code);
                vouch_uplink::Fault::new(code, row.place.to_string(), reason)
            }
        };
        keep(job, &records, &[fault])?;
        written(&json!({ "rejected": job.rejected.count + job.unkept }))
    })
}

/// Reads the file once more for its rows at fault, so that they can be mended before anything is sent. Answers how many there are.
///
/// # Errors
/// `uplink.*`.
pub fn faulty(_: &[u8]) -> Result<Vec<u8>, Fault> {
    state::with_job(|job| {
        rewind(job)?;
        while take(job)?.is_some() {}
        job.cursor = None;
        written(&json!({ "count": job.rejected.count, "unkept": job.unkept }))
    })
}

/// The file with rejected rows.
///
/// # Errors
/// `client.bad_input`.
pub fn rejected(_: &[u8]) -> Result<Vec<u8>, Fault> {
    state::with_job(|job| Ok(job.rejected.get_ref().clone()))
}
