//! Rows against what is on the chain, before anything leaves: new, unchanged, changed in which fields, or not to be changed now.
//!
//! ```text
//! row --journal: final with this content--> unchanged
//!   '--chain: no document--> new
//!   '--root, made anew of the row behind the same predecessor--> unchanged, and noted
//!   '--what the journal noted, else what the own node shows--> names of what changed
//! ```
//!
//! The root says it without a private value being read, as long as an uplink made the version. Only for one that somebody made
//! otherwise, or that the journal knows nothing of, the own node is asked for its fields: that stands in its read audit.

use std::{collections::BTreeMap, io::Write, sync::Arc};

use futures::{StreamExt as _, stream};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use vouch_sdk::{Client, DocumentDraft, Error, Issuing, Verdict};
use vouch_types::document::{Document, DocumentId, ErasureState, Version, VersionState};
use vouch_uplink::{
    Applier, Before, Budget, Compared, Difference, Fault, Journal, Noted, Outcome, Plan, Row, WhenChanged,
};

use super::{
    document::{draft_of, hindrance, order_of, refusal},
    refused, refused_all,
    send::{HELD_BYTES, Read, read_ahead},
};

/// Changed rows, and rows that cannot be changed, that a summary shows.
const SHOWN_MAX: usize = 50;
/// What a reading is for under a schema without purposes.
const ANY_PURPOSE: &str = "uplink";
/// Names of one row that a reason has.
const NAMES_MAX: usize = 12;
/// Versions before the newest that are looked at for the same content.
const EARLIER_MAX: u32 = 16;

/// What is compared with what.
pub(super) struct Comparison {
    pub(super) client: Client,
    pub(super) plan: Arc<Plan>,
    pub(super) issuings: Arc<Vec<Issuing>>,
    pub(super) journal: Arc<Mutex<Journal>>,
    /// Rows asked about at a time.
    pub(super) concurrency: usize,
}

/// How the rows of a plan stand to what is on the chain.
#[derive(Debug, Default, Serialize)]
pub(super) struct Changes {
    /// Documents that are not there.
    pub(super) new: u64,
    /// Documents that are there with another content.
    pub(super) changed: u64,
    /// Changed ones that say what an earlier version said: an older export, or a correction that was taken back.
    pub(super) again: u64,
    /// Documents that are there as they are.
    pub(super) unchanged: u64,
    /// Documents that are there with another content and cannot have a new version now.
    pub(super) blocked: u64,
    /// The first of the changed ones.
    pub(super) rows: Vec<Change>,
    /// The first of those that cannot have a new version.
    pub(super) faults: Vec<Fault>,
    /// Changed ones by mapping.
    #[serde(skip)]
    pub(super) by_map: Vec<u64>,
}

/// A row that would be a new version.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Change {
    /// Where it stands.
    pub(super) place: String,
    /// Its business number, where that is nothing sensitive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) number: Option<String>,
    /// The schema.
    pub(super) schema: String,
    /// The document.
    pub(super) document: DocumentId,
    /// Its version on the chain.
    pub(super) version: u32,
    /// Names of what changed, never values.
    pub(super) fields: Vec<String>,
    /// The earlier version that said the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) again: Option<u32>,
}

/// How a row stands.
enum Standing {
    New,
    Same,
    /// Behind which version, with names of what changed, and the earlier version that said the same.
    Changed(Before, Vec<String>, Option<u32>),
    Blocked(&'static str, String),
}

/// What came of something that was read.
enum Looked {
    Row(Box<Row>, Standing),
    /// Records that are no document.
    Fault,
    /// That was all.
    End,
}

/// A document on the chain with its newest version.
struct There {
    document: Document,
    latest: Version,
}

impl Changes {
    /// Nothing of a plan is on the chain, as under a key that was just made.
    pub(super) fn all_new(documents: u64, maps: usize) -> Self {
        Self { new: documents, by_map: vec![0; maps], ..Self::default() }
    }

    /// How many documents leave: new ones and new versions.
    pub(super) fn leaving(&self, when: &[WhenChanged]) -> u64 {
        let versions = when.iter().zip(&self.by_map).filter(|(when, _)| **when == WhenChanged::Version);
        self.new + versions.map(|(_, count)| count).sum::<u64>()
    }

    fn add(&mut self, map: usize, (applier, row): (&Applier, &Row), standing: &Standing) -> Option<Change> {
        match standing {
            Standing::New => self.new += 1,
            Standing::Same => self.unchanged += 1,
            &Standing::Blocked(code, ref reason) => {
                self.blocked += 1;
                if self.faults.len() < SHOWN_MAX {
                    self.faults.push(Fault::new(code, row.place.to_string(), reason.clone()));
                }
            }
            Standing::Changed(before, fields, again) => {
                self.changed += 1;
                self.again += u64::from(again.is_some());
                if let Some(count) = self.by_map.get_mut(map) {
                    *count += 1;
                }
                let change = Change {
                    place: row.place.to_string(),
                    number: applier.shows_number().then(|| row.number.clone()),
                    schema: applier.mapping.schema.clone(),
                    document: row.id,
                    version: before.version,
                    fields: fields.clone(),
                    again: *again,
                };
                if self.rows.len() < SHOWN_MAX {
                    self.rows.push(change.clone());
                }
                return Some(change);
            }
        }
        None
    }
}

impl Comparison {
    /// Looks at every row once more. What is on the chain is noted in the journal, what is another lies beside it for the sending;
    /// `out` gets each changed row as a line of JSON, `seen` hears how many rows there were.
    ///
    /// # Errors
    /// When no node answers, one shows what the chain does not commit to, or journal or `out` cannot be written.
    pub(super) async fn run(
        self,
        mut out: Option<&mut (dyn Write + Send)>,
        seen: &mut (dyn FnMut(u64) + Send),
    ) -> anyhow::Result<Changes> {
        self.journal.lock().begin_comparing().map_err(|fault| refused(&fault))?;
        let this = Arc::new(self);
        let mut changes = Changes::all_new(0, this.plan.appliers.len());
        let mut count = 0;
        for number in 0..this.plan.jobs.len() {
            let Some(map) = this.plan.jobs.get(number).map(|job| job.map) else { continue };
            let Some(applier) = this.plan.appliers.get(map) else { continue };
            let rows = read_ahead(Arc::clone(&this.plan), number, Budget::new(HELD_BYTES))?;
            let each = stream::unfold(rows, |mut rows| async move { Some((rows.recv().await?, rows)) });
            let standings = each.map(|read| this.look(map, read)).buffered(this.concurrency);
            let mut standings = std::pin::pin!(standings);
            let mut is_over = false;
            while let Some(looked) = standings.next().await {
                let (row, standing) = match looked? {
                    Looked::Row(row, standing) => (row, standing),
                    Looked::Fault => continue,
                    Looked::End => {
                        is_over = true;
                        continue;
                    }
                };
                count += 1;
                seen(count);
                this.keep(&row, &standing)?;
                if let (Some(change), Some(out)) = (changes.add(map, (applier, &row), &standing), &mut out) {
                    writeln!(out, "{}", serde_json::to_string(&change)?)?;
                }
            }
            anyhow::ensure!(is_over, "the reader of job {number} broke off before the end");
        }
        Ok(changes)
    }

    async fn look(&self, map: usize, read: Read) -> anyhow::Result<Looked> {
        match read {
            Read::Work(work) => {
                let standing = Box::pin(self.standing(map, &work.row)).await?;
                Ok(Looked::Row(work.row, standing))
            }
            Read::Bad(..) => Ok(Looked::Fault),
            Read::End => Ok(Looked::End),
            Read::Stop(faults) => Err(refused_all(&faults)),
        }
    }

    /// For the sending, which asks nobody about what was found here.
    fn keep(&self, row: &Row, standing: &Standing) -> anyhow::Result<()> {
        let compared = match standing {
            Standing::New | Standing::Same => return Ok(()),
            Standing::Changed(before, names, _) => Compared::Changed(*before, short(names)),
            &Standing::Blocked(code, ref reason) => Compared::Blocked(code, reason.clone()),
        };
        self.journal.lock().set_compared(row.id, &compared).map_err(|fault| refused(&fault))
    }

    async fn standing(&self, map: usize, row: &Row) -> anyhow::Result<Standing> {
        let unknown = || anyhow::anyhow!("there is no mapping {map}");
        let applier = self.plan.appliers.get(map).ok_or_else(unknown)?;
        let issuing = self.issuings.get(map).ok_or_else(unknown)?;
        let known = self.journal.lock().outcome(row.id).map_err(|fault| refused(&fault))?;
        if matches!(known, Some(Outcome::Final { content, is_open: false, .. }) if content == row.content) {
            return Ok(Standing::Same);
        }
        let Some(document) = self.client.document(row.id).await? else { return Ok(Standing::New) };
        let latest = self.client.document_version(row.id, document.latest).await?;
        let latest =
            latest.ok_or_else(|| anyhow::anyhow!("the node knows no newest version of document {}", row.id))?;
        let draft = match draft_of(row, issuing, &applier.mapping.public) {
            Ok(draft) => draft,
            Err(error) => return Ok(blocked(&refusal(row, &error))),
        };
        let there = There { document, latest };
        // What the journal noted of this very version is another content; the root would say the same.
        let is_noted = matches!(known, Some(Outcome::Final { version, .. }) if version == there.latest.version);
        if !is_noted || there.latest.state == VersionState::Rejected {
            match self.is_version(applier, issuing, (row, &draft), &there).await {
                Ok(Some(version)) => return self.same(applier, row, version),
                Ok(None) => {}
                Err(error) if error.verdict() == Verdict::Content => {
                    return Ok(blocked(&refusal(row, &error)));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let difference = self.difference(applier, issuing, (row, is_noted), &there).await?;
        if difference.is_none() {
            return self.same(applier, row, there.latest.version);
        }
        if let Some((code, reason)) = hindrance(&there.document, there.latest.state) {
            return Ok(Standing::Blocked(code, reason));
        }
        if applier.has_other_owners(row, &there.latest.content) {
            let reason = format!("document {} has another owner on the chain; no version changes that", row.id);
            return Ok(Standing::Blocked("uplink.owner", reason));
        }
        let before = Before { version: there.latest.version, root: there.latest.content.root };
        let again = self.earlier(applier, issuing, (row, &draft), &there).await?;
        Ok(Standing::Changed(before, difference.shown(), again))
    }

    /// The newest of the versions before that is just this row. Files are not read for that.
    async fn earlier(
        &self,
        applier: &Applier,
        issuing: &Issuing,
        (row, draft): (&Row, &DocumentDraft),
        there: &There,
    ) -> anyhow::Result<Option<u32>> {
        if !row.files.is_empty() {
            return Ok(None);
        }
        let newest = there.latest.version;
        for number in (newest.saturating_sub(EARLIER_MAX).max(1)..newest).rev() {
            let Some(version) = self.client.document_version(row.id, number).await? else { continue };
            if self.is_root(applier, issuing, (row, draft), &version).await? {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    fn same(&self, applier: &Applier, row: &Row, version: u32) -> anyhow::Result<Standing> {
        let noted = Noted { version, content: &row.content, parts: &applier.parts(row) };
        self.journal.lock().finish(row.id, &noted, None).map_err(|fault| refused(&fault))?;
        Ok(Standing::Same)
    }

    /// Which version on the chain a row is, by its root: the newest, or where that was refused by a party, the one in force.
    async fn is_version(
        &self,
        applier: &Applier,
        issuing: &Issuing,
        (row, draft): (&Row, &DocumentDraft),
        there: &There,
    ) -> Result<Option<u32>, Error> {
        if self.is_root(applier, issuing, (row, draft), &there.latest).await? {
            return Ok(Some(there.latest.version));
        }
        let in_force = there.document.effective.filter(|_| there.latest.state == VersionState::Rejected);
        let Some(number) = in_force else { return Ok(None) };
        let Some(version) = self.client.document_version(row.id, number).await? else { return Ok(None) };
        Ok(self.is_root(applier, issuing, (row, draft), &version).await?.then_some(number))
    }

    async fn is_root(
        &self,
        applier: &Applier,
        issuing: &Issuing,
        (row, draft): (&Row, &DocumentDraft),
        version: &Version,
    ) -> Result<bool, Error> {
        let before = match (version.version.checked_sub(1), version.previous_root) {
            (Some(version), Some(root)) => Some(Before { version, root }),
            _ => None,
        };
        let order = order_of(applier, row, before.as_ref());
        self.client.ordered_is_version(issuing, draft, &order, version).await
    }

    /// What is another than in the newest version: by what the journal noted of it, else by what the own node shows.
    async fn difference(
        &self,
        applier: &Applier,
        issuing: &Issuing,
        (row, is_noted): (&Row, bool),
        there: &There,
    ) -> anyhow::Result<Difference> {
        let mut noted = Vec::new();
        if is_noted {
            let parts = self.journal.lock().parts(row.id).map_err(|fault| refused(&fault))?;
            let (names, is_all) =
                if parts.is_empty() { (Vec::new(), false) } else { applier.changed_since(row, &parts) };
            if is_all {
                return Ok(Difference { names, unknown: Vec::new() });
            }
            noted = names;
        }
        let shown = self.shown(issuing, row, there).await?;
        let difference = applier.difference(row, &there.latest.content, shown.as_ref());
        let mut difference = difference.map_err(|error| refused(&Fault::io(row.place.to_string(), &error)))?;
        if shown.is_none() && !noted.is_empty() {
            difference.names = noted;
        }
        Ok(difference)
    }

    /// What the own node shows of the newest version; `None` when the account may not read it, or the node has nothing.
    async fn shown(
        &self,
        issuing: &Issuing,
        row: &Row,
        there: &There,
    ) -> anyhow::Result<Option<BTreeMap<String, Value>>> {
        if there.document.erasure != ErasureState::None {
            return Ok(None);
        }
        // The issuer reads for every purpose, as far as its grade goes; where a schema has none, for any.
        let purposes = &issuing.schema().definition.purposes;
        let purpose = purposes.iter().max_by_key(|purpose| purpose.grade);
        let purpose = purpose.map_or(ANY_PURPOSE, |purpose| purpose.code.as_str());
        match self.client.read_document(row.id, there.latest.version, None, purpose).await {
            Ok(read) => Ok(Some(read.fields)),
            Err(Error::Refused { problem, .. })
                if matches!(problem.status, 403 | 404 | 410) || problem.code == "vault.not_here" =>
            {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn blocked(fault: &Fault) -> Standing {
    Standing::Blocked(fault.code, fault.reason.to_string())
}

/// Names for a reason.
fn short(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMES_MAX);
    let more = if more > 0 { format!(", … (+{more})") } else { String::new() };
    format!("{}{more}", names.get(..NAMES_MAX).unwrap_or(names).join(", "))
}
