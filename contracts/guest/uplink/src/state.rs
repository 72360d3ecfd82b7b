//! What the module keeps between calls: one job at a time, gone with its worker.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use page::{Fault, HostFile};
use serde::Deserialize;
use vouch_privacy::{RecipientKey, SchemaFields};
use vouch_types::{
    ChainId,
    document::{DocumentId, Schema},
};
use vouch_uplink::{
    Applier, Before, Changes, Compared, Found, Numbers, Plan, Record, Row, UplinkKey, WhenChanged, plan::Cursor,
    rejected::Writer, source::Kind,
};

use crate::told;

static KEY: Mutex<Option<UplinkKey>> = Mutex::new(None);
static NUMBERS: Mutex<Option<Numbers>> = Mutex::new(None);
static SAMPLES: Mutex<Vec<Record>> = Mutex::new(Vec::new());
static JOB: Mutex<Option<Job>> = Mutex::new(None);

/// A file of the page.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Source {
    /// Its name.
    pub(crate) name: String,
    /// Its length.
    pub(crate) bytes: u64,
}

impl Source {
    /// Told by its name and what it begins with. A job that is under way can only begin anew then: what it holds of its file, texts of
    /// a workbook, makes room.
    pub(crate) fn found(&self) -> Result<Found, Fault> {
        use std::io::Read as _;
        if let Some(job) = held(&JOB).as_mut() {
            job.cursor = None;
        }
        let mut head = Vec::new();
        let read = HostFile::new(self.bytes).take(vouch_uplink::HEAD_BYTES).read_to_end(&mut head);
        read.map_err(|error| Fault::new("uplink.io", error))?;
        let kind = Kind::of(&head, &self.name).map_err(|fault| told(&fault))?;
        let kind =
            kind.ok_or_else(|| Fault::new("uplink.format", "an archive is taken apart by vouch doc uplink only"))?;
        let bytes = self.bytes;
        Ok(Found::held(&self.name, kind, move || Box::new(HostFile::new(bytes))))
    }
}

/// A source with its mapping, checked.
pub(crate) struct Job {
    pub(crate) plan: Plan,
    pub(crate) found: Found,
    pub(crate) chain: ChainId,
    pub(crate) member: String,
    pub(crate) recipient: RecipientKey,
    pub(crate) schema: Schema,
    pub(crate) fields: SchemaFields,
    pub(crate) cursor: Option<Cursor>,
    /// How the rows stand to what is on the chain, as far as they were compared.
    pub(crate) changes: Changes,
    /// In which order the rows stand that it shows: those that changed, and those that cannot be changed.
    pub(crate) order: [Vec<u64>; 2],
    /// What was found of rows that are another than their documents on the chain.
    pub(crate) compared: BTreeMap<DocumentId, Compared>,
    /// What becomes of those; nothing while they are compared.
    pub(crate) when: Option<WhenChanged>,
    /// Documents that were given out and not ended.
    pub(crate) waiting: BTreeMap<u64, Waiting>,
    pub(crate) given: u64,
    /// Documents that were not given out because they changed: rejected, and passed over.
    pub(crate) kept_back: u64,
    pub(crate) skipped: u64,
    pub(crate) rejected: Writer<Vec<u8>>,
    /// Rejected rows that are not in the file because it would be too large.
    pub(crate) unkept: u64,
}

/// A document under way, with the records that it is of.
pub(crate) struct Waiting {
    pub(crate) records: Vec<Record>,
    pub(crate) row: Row,
    /// The version that it follows.
    pub(crate) before: Option<Before>,
}

impl Job {
    pub(crate) fn row(&self, number: u64) -> Result<&Waiting, Fault> {
        self.waiting.get(&number).ok_or_else(|| no_row(number))
    }

    /// A row that is at its end.
    pub(crate) fn end(&mut self, number: u64) -> Result<Waiting, Fault> {
        self.waiting.remove(&number).ok_or_else(|| no_row(number))
    }

    pub(crate) fn applier(&self) -> Result<&Applier, Fault> {
        self.plan.appliers.first().ok_or_else(|| Fault::new("client.bad_input", "there is no mapping"))
    }
}

fn no_row(number: u64) -> Fault {
    Fault::new("client.bad_input", format!("no row {number} is under way"))
}

fn held<T>(of: &'static Mutex<T>) -> MutexGuard<'static, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn set_key(key: UplinkKey) {
    *held(&KEY) = Some(key);
}

pub(crate) fn key() -> Result<UplinkKey, Fault> {
    held(&KEY).clone().ok_or_else(|| Fault::new("uplink.key", "no key of ids was given"))
}

pub(crate) fn with_numbers<T>(work: impl FnOnce(&mut Numbers) -> T) -> T {
    work(held(&NUMBERS).get_or_insert_default())
}

pub(crate) fn samples() -> MutexGuard<'static, Vec<Record>> {
    held(&SAMPLES)
}

pub(crate) fn set_job(job: Job) {
    *held(&JOB) = Some(job);
}

pub(crate) fn with_job<T>(work: impl FnOnce(&mut Job) -> Result<T, Fault>) -> Result<T, Fault> {
    let mut job = held(&JOB);
    work(job.as_mut().ok_or_else(|| Fault::new("client.bad_input", "nothing was checked"))?)
}
