//! One document on its way: as a new one or as the next version, until it is final, refused or left.
//!
//! ```text
//! row --version: nobody else made one, nothing keeps the document--> begun --> files, stage, submit, wait, prove --> final
//!                                                                    '--taken--> is it this one? --> final, or moved on
//! ```

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use vouch_sdk::{Client, DocumentDraft, DraftFile, Error, Issuing, Order, Previous, SubmittedDocument, Verdict};
use vouch_types::{
    SecretKey,
    document::{ReferenceEntry, VersionState},
};
use vouch_uplink::{Applier, Attached, Before, Fault, Journal, Noted, Outcome, Plan, Row, standing};

use super::refused;

/// Times a row is sent before the run gives up on the network.
const ATTEMPTS_MAX: u32 = 8;
/// Times that a version is handed over while the node may not know the one before yet.
const BEHIND_MAX: u32 = 3;
/// First pause between them; doubles.
const PAUSE: Duration = Duration::from_millis(500);
/// Documents whose files have more bytes are large: each holds some pieces in memory while it is sent.
const LARGE_BYTES: u64 = 1 << 20;

/// What became of a row.
pub(super) enum Ended {
    Sent,
    Already,
    Refused(Fault),
    /// What it refers to is not there yet.
    Early(Fault),
    /// The run was told to stop before anything was known.
    Left,
}

/// What all tasks of a job share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) key: Arc<SecretKey>,
    pub(super) plan: Arc<Plan>,
    pub(super) issuings: Arc<Vec<Issuing>>,
    pub(super) journal: Arc<Mutex<Journal>>,
    pub(super) large: Arc<Semaphore>,
    pub(super) stop: CancellationToken,
    pub(super) map: usize,
}

/// A row as it is sent.
struct Going<'a> {
    row: &'a Row,
    before: Option<Before>,
    applier: &'a Applier,
    issuing: &'a Issuing,
    draft: DocumentDraft,
    order: Order,
}

impl Going<'_> {
    fn moved_on(&self) -> Fault {
        standing::moved_on(self.row, self.before.as_ref())
    }
}

impl Shared {
    /// Sends a row, as a new document or behind a version of its own, until it is final or refused.
    pub(super) async fn send(&self, row: &Row, before: Option<Before>) -> anyhow::Result<Ended> {
        let unknown = || anyhow::anyhow!("there is no mapping {}", self.map);
        let applier = self.plan.appliers.get(self.map).ok_or_else(unknown)?;
        let issuing = self.issuings.get(self.map).ok_or_else(unknown)?;
        let draft = match draft_of(row, issuing, &applier.mapping.public) {
            Ok(draft) => draft,
            Err(error) => return Ok(Ended::Refused(refusal(row, &error))),
        };
        let mut going = Going { row, before, applier, issuing, draft, order: order_of(applier, row, before.as_ref()) };
        if let Some(ended) = self.known(&going).await? {
            return Ok(ended);
        }
        self.point(applier, &mut going.draft.references, false).await?;
        let is_large = row.files.iter().map(|file| file.bytes).sum::<u64>() > LARGE_BYTES;
        let _one_of_few = if is_large { Some(self.large.acquire().await?) } else { None };
        let begun = match before {
            None => self.journal.lock().begin(row.id, &row.content),
            Some(_) => self.journal.lock().begin_version(row.id),
        };
        begun.map_err(|fault| refused(&fault))?;
        self.until_final(&mut going).await
    }

    /// What is known of a row before anything of it is sent: that it is there, or cannot go.
    async fn known(&self, going: &Going<'_>) -> anyhow::Result<Option<Ended>> {
        let row = going.row;
        if going.before.is_none() {
            let begun = self.journal.lock().outcome(row.id).map_err(|fault| refused(&fault))?;
            if begun.is_none() {
                return Ok(None);
            }
        }
        match self.is_there(going).await? {
            Some(true) => return self.note(going, None, Ended::Already).map(Some),
            Some(false) => return Ok(Some(Ended::Refused(going.moved_on()))),
            None if going.before.is_none() => return Ok(None),
            None => {}
        }
        let document = self.client.document(row.id).await?;
        let Some(document) = document else { return Ok(Some(Ended::Refused(going.moved_on()))) };
        let latest = self.client.document_version(row.id, document.latest).await?;
        let state = latest.map_or(VersionState::Erased, |version| version.state);
        let hindrance = standing::hindrance(&document, state);
        Ok(hindrance.map(|(code, reason)| Ended::Refused(Fault::new(code, row.place.to_string(), reason))))
    }

    /// Whether the version that a row would be is on the chain with just its content; `None` when it is not there.
    async fn is_there(&self, going: &Going<'_>) -> Result<Option<bool>, Error> {
        let number = Before::next(going.before.as_ref());
        let Some(version) = self.client.document_version(going.row.id, number).await? else { return Ok(None) };
        self.client.ordered_is_version(going.issuing, &going.draft, &going.order, &version).await.map(Some)
    }

    async fn until_final(&self, going: &mut Going<'_>) -> anyhow::Result<Ended> {
        let row = going.row;
        if going.before.is_some() {
            // Persons of a version before are known as a rule, and a transaction that registers one of them fails as a whole.
            self.forget_registered(&mut going.order).await?;
        }
        let (mut pause, mut attempts) = (PAUSE, 0);
        loop {
            let sending = Box::pin(self.submit(going));
            let Some(result) = self.unless_stopped(sending).await else { return Ok(Ended::Left) };
            let error = match result {
                Ok(done) => return self.note(going, Some(&done), Ended::Sent),
                Err(error) => error,
            };
            let mut waits = true;
            match error.verdict() {
                Verdict::Taken => match self.is_there(going).await? {
                    Some(true) => return self.note(going, None, Ended::Already),
                    Some(false) => return Ok(Ended::Refused(going.moved_on())),
                    None if error.code() == "stage.taken" => {
                        return Ok(Ended::Refused(standing::staged(row, going.before.as_ref())));
                    }
                    // The node that was asked is a block behind the one that refused.
                    None => {}
                },
                Verdict::Registered => {
                    waits = false;
                    if !self.forget_registered(&mut going.order).await? {
                        // The node that was asked is a block behind the one that refused.
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                Verdict::Early if self.point(going.applier, &mut going.draft.references, true).await? => waits = false,
                Verdict::Early => return Ok(Ended::Early(refusal(row, &error))),
                // The node may not know the version before yet.
                Verdict::Content
                    if error.code() == "stage.header" && going.before.is_some() && attempts < BEHIND_MAX => {}
                Verdict::Content => return Ok(Ended::Refused(refusal(row, &error))),
                Verdict::Passing => {}
                Verdict::Fatal => return Err(error.into()),
            }
            attempts += 1;
            if attempts > ATTEMPTS_MAX {
                return Err(error.into());
            }
            if waits {
                if self.unless_stopped(tokio::time::sleep(pause)).await.is_none() {
                    return Ok(Ended::Left);
                }
                pause *= 2;
            }
        }
    }

    async fn submit(&self, going: &Going<'_>) -> Result<SubmittedDocument, Error> {
        let Going { issuing, draft, order, .. } = going;
        match going.before {
            None => self.client.submit_ordered(issuing, draft, order, &self.key).await,
            Some(Before { version, root }) => {
                let previous = Previous { version, root };
                self.client.revise_ordered(issuing, draft, order, previous, &self.key).await
            }
        }
    }

    /// References by business number lead to the version in force. It is the first as long as the journal knows of no other, or the
    /// chain refuses it; whether any of them leads elsewhere now.
    async fn point(&self, applier: &Applier, entries: &mut [ReferenceEntry], is_refused: bool) -> anyhow::Result<bool> {
        let mut is_other = false;
        for entry in entries.iter_mut().filter(|entry| applier.is_open_reference(&entry.name)) {
            let known = self.journal.lock().outcome(entry.id).map_err(|fault| refused(&fault))?;
            let has_versions = matches!(known, Some(Outcome::Final { version, is_open, .. }) if version > 1 || is_open);
            if !has_versions && !is_refused {
                continue;
            }
            let Some(document) = self.client.document(entry.id).await? else { continue };
            let version = document.effective.unwrap_or(document.latest);
            is_other |= entry.version != version;
            entry.version = version;
        }
        Ok(is_other)
    }

    /// The contract registers all persons of a row or none: those that are known are left out. Whether there were any.
    async fn forget_registered(&self, order: &mut Order) -> anyhow::Result<bool> {
        let before = order.register.len();
        for alias in std::mem::take(&mut order.register) {
            if !self.client.is_registered(alias).await? {
                order.register.push(alias);
            }
        }
        Ok(order.register.len() < before)
    }

    /// What comes of work, if the run is not told to stop before. The journal says that it was begun, so nothing is lost.
    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            done = work => Some(done),
        }
    }

    fn note(&self, going: &Going<'_>, done: Option<&SubmittedDocument>, ended: Ended) -> anyhow::Result<Ended> {
        let Going { row, before, applier, .. } = going;
        let version = Before::next(before.as_ref());
        let noted = Noted { version, content: &row.content, parts: &applier.parts(row) };
        let at = done.map(|done| (done.height, done.transaction));
        self.journal.lock().finish(row.id, &noted, at).map_err(|fault| refused(&fault))?;
        Ok(ended)
    }
}

/// How a row's document is to be put on the chain, as a new one or behind a version.
pub(super) fn order_of(applier: &Applier, row: &Row, before: Option<&Before>) -> Order {
    Order {
        id: row.id,
        seed: applier.seed_after(row, before),
        register: row.register.clone(),
        sign: row.signs_member,
        sign_for: row.signs_for.clone(),
    }
}

pub(super) fn draft_of(row: &Row, issuing: &Issuing, public: &[String]) -> Result<DocumentDraft, Error> {
    let file = |file: &Attached| {
        let media = mime_guess::from_path(&file.path).first_or_octet_stream().to_string();
        Ok(DraftFile::from_path(&file.field, &file.path, media)?.of_content(file.hash))
    };
    Ok(DocumentDraft {
        files: row.files.iter().map(file).collect::<Result<_, Error>>()?,
        schema: issuing.schema().definition.name.clone(),
        schema_version: Some(issuing.schema().version),
        values: row.values.clone(),
        parties: row.parties.clone(),
        references: row.references.clone(),
        // A field that is absent has nothing to stand in clear.
        public: public.iter().filter(|name| row.values.contains_key(*name)).cloned().collect(),
        recipients: Vec::new(),
    })
}

pub(super) fn refusal(row: &Row, error: &Error) -> Fault {
    standing::refused(row, error.code(), &error.to_string())
}
