//! Rows against what is on the chain, before anything leaves: new, unchanged, changed in which fields, or not to be changed now.
//!
//! ```text
//! row --journal: final with this content--> unchanged
//!   '--chain: no document, by the list of all once that is whole, else by asking--> new
//!   '--root, made anew of the row behind the same predecessor--> unchanged, and noted
//!   '--what the journal noted, else what the own node shows--> names of what changed
//! ```
//!
//! The root says it without a private value being read, as long as an uplink made the version. Only for one that somebody made
//! otherwise, or that the journal knows nothing of, the own node is asked for its fields: that stands in its read audit.

use std::{collections::BTreeMap, io::Write, sync::Arc};

use futures::{StreamExt as _, stream};
use parking_lot::Mutex;
use serde_json::Value;
use vouch_sdk::{Client, DocumentDraft, Error, Issuing, Verdict};
use vouch_types::document::{ErasureState, Version};
use vouch_uplink::{
    Applier, Before, Budget, Changes, Difference, Fault, Journal, Noted, Outcome, Plan, Row, Standing, There,
    standing::purpose_of,
};

use super::{
    document::{draft_of, order_of, refusal},
    listing::{self, Listing},
    refused, refused_all,
    send::{HELD_BYTES, Read, read_ahead},
};

/// What is compared with what.
pub(super) struct Comparison {
    pub(super) client: Client,
    pub(super) plan: Arc<Plan>,
    pub(super) issuings: Arc<Vec<Issuing>>,
    pub(super) journal: Arc<Mutex<Journal>>,
    /// Rows asked about at a time.
    pub(super) concurrency: usize,
    /// What is on the chain at all, as far as it was read.
    pub(super) listing: Mutex<Listing>,
}

/// What came of something that was read.
enum Looked {
    Row(Box<Row>, Standing),
    /// Records that are no document.
    Fault,
    /// That was all.
    End,
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
                this.read_on(count).await?;
                this.keep(&row, &standing)?;
                if let (Some(change), Some(out)) = (changes.add(map, (applier, &row), &standing), &mut out) {
                    writeln!(out, "{}", serde_json::to_string(&change)?)?;
                }
            }
            anyhow::ensure!(is_over, "the reader of job {number} broke off before the end");
        }
        Ok(changes)
    }

    /// Reads the list of what is on the chain as far as it should be after so many rows.
    async fn read_on(&self, rows: u64) -> Result<(), Error> {
        let due = self.listing.lock().due(rows);
        if let Some(after) = due {
            let page = listing::page(&self.client, after).await?;
            self.listing.lock().take(&page);
        }
        Ok(())
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
        let Some(compared) = standing.compared() else { return Ok(()) };
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
        if self.listing.lock().rules_out(&row.id) {
            return Ok(Standing::New);
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
        let noted = match known {
            Some(Outcome::Final { version, .. }) => Some(version),
            Some(Outcome::Begun { .. }) | None => None,
        };
        if there.asks_roots(noted) {
            match self.is_version(applier, issuing, (row, &draft), &there).await {
                Ok(Some(version)) => return self.same(applier, row, version),
                Ok(None) => {}
                Err(error) if error.verdict() == Verdict::Content => {
                    return Ok(blocked(&refusal(row, &error)));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let is_noted = noted == Some(there.latest.version);
        let difference = self.difference(applier, issuing, (row, is_noted), &there).await?;
        if difference.is_none() {
            return self.same(applier, row, there.latest.version);
        }
        if let Some((code, reason)) = there.blocks(applier, row) {
            return Ok(Standing::Blocked(code, reason));
        }
        let again = self.earlier(applier, issuing, (row, &draft), &there).await?;
        Ok(Standing::Changed { before: there.before(), names: difference.shown(), again })
    }

    /// The newest of the versions before that is just this row.
    async fn earlier(
        &self,
        applier: &Applier,
        issuing: &Issuing,
        (row, draft): (&Row, &DocumentDraft),
        there: &There,
    ) -> anyhow::Result<Option<u32>> {
        for number in there.earlier(row) {
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
        let Some(number) = there.in_force() else { return Ok(None) };
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
        let order = order_of(applier, row, Before::of(version).as_ref());
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
            let (names, is_all) = applier.changed_since(row, &parts);
            if is_all {
                return Ok(Difference { names, unknown: Vec::new() });
            }
            noted = names;
        }
        let shown = self.shown(issuing, row, there).await?;
        let difference = applier.difference_beside(row, &there.latest.content, shown.as_ref(), noted);
        difference.map_err(|error| refused(&Fault::io(row.place.to_string(), &error)))
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
        let purpose = purpose_of(issuing.schema());
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
