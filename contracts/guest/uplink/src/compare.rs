//! Rows against what is on the chain, before anything leaves. The page asks the chain, this says what is to be asked and what it means:
//! as `vouch doc uplink` does, with the same rules (`vouch_uplink::standing`).
//!
//! ```text
//! row --noted in this browser with this content--> same
//!   '--no document--> new
//!   '--root, made anew of the row behind the same predecessor--> same
//!   '--what was noted, else what the own node shows--> changed, with names, or blocked
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use vouch_types::{
    api::HexBytes,
    document::{Document, ErasureState, Version, VersionState},
};
use vouch_uplink::{
    Before, Changes, Difference, Row, Standing, There,
    standing::{hindrance, purpose_of},
};

use crate::{
    Fault,
    job::titles,
    read, seal,
    state::{self, Job},
    written,
};

#[derive(Deserialize)]
struct Input {
    n: u64,
    /// What this browser noted of the row's document.
    noted: Option<Noted>,
    /// What the chain has of it, once that was asked.
    asked: Option<Asked>,
    /// What the own node shows of the newest version, once that was asked.
    read: Option<Read>,
    /// The versions that were wanted, as far as they are there.
    earlier: Option<Vec<Version>>,
}

#[derive(Deserialize)]
struct Noted {
    content: HexBytes,
    version: u32,
    #[serde(default)]
    parts: HexBytes,
    /// Whether a version behind it may have been sent.
    #[serde(default)]
    open: bool,
}

#[derive(Deserialize)]
struct Asked {
    document: Option<Document>,
    latest: Option<Version>,
    /// The version in force, where the newest was refused by a party.
    in_force: Option<Version>,
}

#[derive(Deserialize)]
struct Read {
    /// Values by field; nothing where the account may not read them.
    fields: Option<BTreeMap<String, Value>>,
}

/// What comes of a look.
enum Looked {
    /// The document, its newest version, and the one in force.
    NeedsDocument,
    /// The fields of the newest version.
    NeedsFields(u32),
    /// These versions.
    NeedsVersions(Vec<u32>),
    /// How the row stands, and which version it is.
    Stands(Standing, Option<u32>),
}

/// Looks at a row that was given out. Input: its number with what is known of its document, as JSON. Answers what is to be asked - the
/// call is made again with it - or how the row stands, which ends it; of one that is there also what is to be noted.
///
/// # Errors
/// `client.bad_input`.
pub fn compare(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let input: Input = read(input)?;
    state::with_job(|job| {
        let row = &job.row(input.n)?.row;
        let (standing, version) = match look(job, row, &input)? {
            Looked::NeedsDocument => return written(&json!({ "needs": "document" })),
            Looked::NeedsFields(version) => {
                let purpose = purpose_of(&job.schema);
                return written(&json!({ "needs": "fields", "version": version, "purpose": purpose }));
            }
            Looked::NeedsVersions(versions) => {
                return written(&json!({ "needs": "versions", "versions": versions }));
            }
            Looked::Stands(standing, version) => (standing, version),
        };
        let row = job.end(input.n)?.row;
        let applier = job.plan.appliers.first();
        let applier = applier.ok_or_else(|| Fault::new("client.bad_input", "there is no mapping"))?;
        job.changes.add(0, (applier, &row), &standing);
        let Changes { rows, faults, .. } = &job.changes;
        for (order, shown) in job.order.iter_mut().zip([rows.len(), faults.len()]) {
            order.resize(shown, input.n);
        }
        if let Some(compared) = standing.compared() {
            job.compared.insert(row.id, compared);
        }
        let parts = version.map(|_| HexBytes(applier.parts(&row)));
        written(&json!({ "standing": name_of(&standing), "version": version, "parts": parts }))
    })
}

const fn name_of(standing: &Standing) -> &'static str {
    match standing {
        Standing::New => "new",
        Standing::Same => "same",
        Standing::Changed { .. } => "changed",
        Standing::Blocked(..) => "blocked",
    }
}

fn look(job: &Job, row: &Row, input: &Input) -> Result<Looked, Fault> {
    let noted = input.noted.as_ref();
    if noted.is_some_and(|noted| !noted.open && noted.content.0 == row.content) {
        return Ok(Looked::Stands(Standing::Same, None));
    }
    let Some(asked) = &input.asked else { return Ok(Looked::NeedsDocument) };
    let (Some(document), Some(latest)) = (&asked.document, &asked.latest) else {
        return Ok(Looked::Stands(Standing::New, None));
    };
    let there = There { document: document.clone(), latest: latest.clone() };
    let noted_version = noted.map(|noted| noted.version);
    if there.asks_roots(noted_version) {
        let in_force = there.in_force().and(asked.in_force.as_ref());
        for version in [Some(latest), in_force].into_iter().flatten() {
            match is_root(job, row, version) {
                Ok(true) => return Ok(Looked::Stands(Standing::Same, Some(version.version))),
                Ok(false) => {}
                Err(fault) => {
                    let reason = format!("[{}] {}", fault.code, fault.detail);
                    return Ok(Looked::Stands(Standing::Blocked("uplink.refused", reason), None));
                }
            }
        }
    }
    let parts = noted.filter(|noted| noted.version == latest.version).map(|noted| &noted.parts.0[..]);
    let Some(difference) = difference(job, row, (&there, parts), input.read.as_ref())? else {
        return Ok(Looked::NeedsFields(latest.version));
    };
    if difference.is_none() {
        return Ok(Looked::Stands(Standing::Same, Some(latest.version)));
    }
    if let Some((code, reason)) = there.blocks(job.applier()?, row) {
        return Ok(Looked::Stands(Standing::Blocked(code, reason), None));
    }
    let numbers: Vec<u32> = there.earlier(row).collect();
    let earlier = match &input.earlier {
        Some(earlier) => &earlier[..],
        None if numbers.is_empty() => &[],
        None => return Ok(Looked::NeedsVersions(numbers)),
    };
    let mut again = None;
    for version in earlier {
        if again < Some(version.version) && is_root(job, row, version)? {
            again = Some(version.version);
        }
    }
    let standing = Standing::Changed { before: there.before(), names: difference.shown(), again };
    Ok(Looked::Stands(standing, None))
}

/// Whether a version on the chain is just this row, behind the same predecessor.
fn is_root(job: &Job, row: &Row, version: &Version) -> Result<bool, Fault> {
    if version.content.schema_version != job.schema.version {
        return Ok(false);
    }
    let before = Before::of(version);
    Ok(Before::next(before.as_ref()) == version.version
        && seal::root(job, row, before.as_ref())? == version.content.root)
}

/// What is another than in the newest version: by what was noted of it, else by what the own node shows; `None` when that is to be
/// asked.
fn difference(
    job: &Job,
    row: &Row,
    (there, parts): (&There, Option<&[u8]>),
    read: Option<&Read>,
) -> Result<Option<Difference>, Fault> {
    let applier = job.applier()?;
    let (names, is_all) = parts.map_or_else(Default::default, |parts| applier.changed_since(row, parts));
    if is_all {
        return Ok(Some(Difference { names, unknown: Vec::new() }));
    }
    let shown = match read {
        _ if there.document.erasure != ErasureState::None => None,
        None => return Ok(None),
        Some(read) => read.fields.as_ref(),
    };
    let difference = applier.difference_beside(row, &there.latest.content, shown, names);
    difference.map(Some).map_err(|error| Fault::new("uplink.io", error))
}

/// How the rows stand that were compared, and what the codes are called of those that cannot be changed.
///
/// # Errors
/// `client.bad_input`.
pub fn changes(_: &[u8]) -> Result<Vec<u8>, Fault> {
    state::with_job(|job| {
        // Rows end in any order, and are shown as they stand in the file.
        let [rows, faults] = &job.order;
        job.changes.rows = in_order(rows, &job.changes.rows);
        job.changes.faults = in_order(faults, &job.changes.faults);
        job.order.iter_mut().for_each(|order| order.sort_unstable());
        let titles = titles(job.changes.faults.iter().map(|fault| fault.code));
        written(&json!({ "changes": job.changes, "titles": titles }))
    })
}

fn in_order<T: Clone>(order: &[u64], shown: &[T]) -> Vec<T> {
    let mut all: Vec<(&u64, &T)> = order.iter().zip(shown).collect();
    all.sort_by_key(|(number, _)| **number);
    all.into_iter().map(|(_, one)| one.clone()).collect()
}

#[derive(Deserialize)]
struct Now {
    document: Document,
    latest: VersionState,
}

/// Why a document cannot have a version now: code and reason, or nothing. Asked once more before one is sent.
///
/// # Errors
/// `client.bad_input`.
pub fn hindered(input: &[u8]) -> Result<Vec<u8>, Fault> {
    let Now { document, latest } = read(input)?;
    written(&hindrance(&document, latest))
}
