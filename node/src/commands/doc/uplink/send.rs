//! Sending a plan: many documents under way, each final and proven before the journal says so.
//!
//! ```text
//! reader thread --rows--> journal: final? --no--> as a new document, or a new version --> final
//!                            '--another content, and no versions are wanted--> rejected file, or passed over
//! ```

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use indicatif::ProgressBar;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use vouch_sdk::{Client, Issuing};
use vouch_types::SecretKey;
use vouch_uplink::{
    Applier, Becomes, Before, Budget, Fault, Held, Journal, Outcome, Plan, Record, Row, WhenChanged, plan::Bad,
    rejected::Rejected, standing::changed,
};

use super::{
    document::{Ended, Shared},
    refused, refused_all,
    sources::mark_name,
};

/// Documents that the reader may be ahead.
const AHEAD: usize = 256;
/// Bytes of records that are read and not done with.
pub(super) const HELD_BYTES: u64 = 64 << 20;
/// Documents that wait for others of the same source to be final, and the bytes of their records.
const DEFERRED_MAX: usize = 10_000;
const DEFERRED_BYTES_MAX: u64 = 64 << 20;
/// Documents with large files under way at a time.
const LARGE_MAX: usize = 4;

/// Sends a plan.
pub struct Sender {
    /// Of the own member's nodes.
    pub client: Client,
    /// Signs.
    pub key: Arc<SecretKey>,
    /// What is sent.
    pub plan: Arc<Plan>,
    /// What documents of each mapping have in common.
    pub issuings: Arc<Vec<Issuing>>,
    /// What became of it, and what was found of changed rows.
    pub journal: Arc<Mutex<Journal>>,
    /// For each mapping, what becomes of rows that have another content than their documents on the chain.
    pub when_changed: Vec<WhenChanged>,
    /// Documents under way at a time.
    pub concurrency: usize,
    /// Where rejected rows go; beside each source if nothing is said.
    pub rejected: Option<PathBuf>,
    /// Where they lie until all are known.
    pub work: PathBuf,
    /// Shows how far it is.
    pub bar: ProgressBar,
    /// Stops it between rows.
    pub stop: CancellationToken,
}

/// What was done.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub struct Sent {
    /// Documents that became final now, new versions of known ones included.
    pub sent: u64,
    /// New versions among them.
    pub versions: u64,
    /// Documents that are another content on the chain and were left so.
    pub skipped: u64,
    /// Documents that were on the chain before.
    pub already: u64,
    /// Rows that did not become documents.
    pub rejected: u64,
    /// Files that hold them.
    pub rejected_files: Vec<PathBuf>,
    /// Whether it was stopped before the end.
    pub is_stopped: bool,
    /// How long it took.
    pub seconds: f64,
    /// Documents sent a second.
    pub per_second: f64,
}

/// A document on its way, with the records it is of.
pub(super) struct Work {
    pub(super) records: Vec<Record>,
    pub(super) row: Box<Row>,
    /// The version that it follows.
    before: Option<Before>,
    held: Held,
}

/// What the reader gives.
pub(super) enum Read {
    Work(Work),
    Bad(Vec<Record>, Vec<Fault>, Held),
    Stop(Vec<Fault>),
    /// That was all.
    End,
}

/// A document that was under way.
type Done = (Work, Result<Ended, anyhow::Error>);

/// A document that waits for others.
struct Deferred {
    records: Vec<Record>,
    row: Box<Row>,
    before: Option<Before>,
    fault: Fault,
}

impl Sender {
    /// Sends everything, source after source.
    ///
    /// # Errors
    /// When no node can be reached, the proof of a receipt does not hold, or journal or rejected files cannot be written. What
    /// was final by then is in the journal.
    pub async fn run(&self) -> anyhow::Result<Sent> {
        let begun = Instant::now();
        let mut sent = Sent::default();
        for number in 0..self.plan.jobs.len() {
            if self.stop.is_cancelled() {
                break;
            }
            self.job(number, &mut sent).await?;
        }
        sent.is_stopped = self.stop.is_cancelled();
        sent.seconds = begun.elapsed().as_secs_f64();
        sent.per_second = sent.sent as f64 / sent.seconds.max(0.001);
        if sent.is_stopped {
            self.bar.abandon();
        } else {
            self.bar.finish();
        }
        Ok(sent)
    }

    async fn job(&self, number: usize, sent: &mut Sent) -> anyhow::Result<()> {
        let Some(job) = self.plan.jobs.get(number) else { return Ok(()) };
        let Some(applier) = self.plan.applier(job) else { return Ok(()) };
        self.bar.set_message(job.found.name.to_string());
        let shares = self.plan.jobs.iter().filter(|other| other.found.beside == job.found.beside).count() > 1;
        let tag = shares.then_some(applier.mapping.schema.as_str());
        let mut run = JobRun {
            sender: self,
            shared: self.shared(job.map),
            rejected: Rejected::new(&job.found, self.rejected.as_deref(), tag, &self.work),
            tasks: JoinSet::new(),
            deferred: Vec::new(),
            deferred_bytes: 0,
            budget: Budget::new(HELD_BYTES),
            sent,
            mark: None,
            is_mark_held: false,
        };
        let result = run.all(number).await;
        // What is under way ends and is noted, whatever happened.
        let drained = run.drain().await;
        let (mark, rejected) = (run.mark, run.rejected);
        if let Some(path) = rejected.finish().map_err(|fault| refused(&fault))? {
            sent.rejected_files.push(path);
        }
        result.and(drained)?;
        let name = mark_name(&applier.mapping, &job.found)?;
        if let (Some(mark), Some(name), false) = (mark, name, self.stop.is_cancelled()) {
            self.journal.lock().set_mark(&name, &mark).map_err(|fault| refused(&fault))?;
        }
        Ok(())
    }

    fn shared(&self, map: usize) -> Shared {
        Shared {
            client: self.client.clone(),
            key: Arc::clone(&self.key),
            plan: Arc::clone(&self.plan),
            issuings: Arc::clone(&self.issuings),
            journal: Arc::clone(&self.journal),
            large: Arc::new(Semaphore::new(LARGE_MAX)),
            stop: self.stop.clone(),
            map,
        }
    }

    /// Writes the ids of all rows that are on the chain.
    ///
    /// # Errors
    /// `uplink.io`, `uplink.journal`.
    pub fn write_numbers(&self, path: &Path) -> anyhow::Result<()> {
        let failed = |error: &dyn std::fmt::Display| refused(&Fault::io(path.display().to_string(), error));
        let mut out = std::io::BufWriter::new(vouch_files::Draft::beside(path).map_err(|error| failed(&error))?);
        writeln!(out, "kind,number,id")?;
        for number in 0..self.plan.jobs.len() {
            let mut rows = self.plan.rows(number).map_err(|fault| refused(&fault))?;
            while let Some(next) = rows.next_row() {
                let row = match next {
                    Ok((_, row)) => row,
                    Err(Bad::Rows(..)) => continue,
                    Err(Bad::Stop(faults)) => return Err(refused_all(&faults)),
                };
                let known = self.journal.lock().outcome(row.id).map_err(|fault| refused(&fault))?;
                if !matches!(known, Some(Outcome::Final { .. })) {
                    continue;
                }
                for [kind, number, id] in &row.given {
                    writeln!(out, "{kind},\"{}\",{id}", number.replace('"', "\"\""))?;
                }
            }
        }
        out.into_inner().map_err(|error| failed(&error))?.keep().map_err(|error| failed(&error))
    }
}

/// A job under way.
struct JobRun<'a> {
    sender: &'a Sender,
    shared: Shared,
    rejected: Rejected,
    tasks: JoinSet<Done>,
    deferred: Vec<Deferred>,
    deferred_bytes: u64,
    budget: Arc<Budget>,
    sent: &'a mut Sent,
    /// The watermark of the newest record that was taken in hand.
    mark: Option<String>,
    /// Whether it stays where it is, because a later run is to ask again for what comes behind.
    is_mark_held: bool,
}

impl JobRun<'_> {
    async fn all(&mut self, number: usize) -> anyhow::Result<()> {
        let mut rows = read_ahead(Arc::clone(&self.sender.plan), number, Arc::clone(&self.budget))?;
        loop {
            let next = tokio::select! {
                biased;
                () = self.sender.stop.cancelled() => return Ok(()),
                Some(done) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    self.ended(done?)?;
                    continue;
                }
                next = rows.recv(), if self.tasks.len() < self.sender.concurrency => next,
            };
            match next {
                None => anyhow::bail!("the reader of {} broke off before the end", self.rejected_source(number)),
                Some(Read::End) => break,
                Some(Read::Work(work)) => self.begin(work)?,
                Some(Read::Bad(records, faults, _held)) => {
                    self.marked(&records);
                    self.reject(&records, &faults)?;
                }
                Some(Read::Stop(faults)) => return Err(refused_all(&faults)),
            }
        }
        self.drain().await?;
        self.again().await
    }

    /// What was referred to within the same source is final by now, or is the next time: as long as some of it goes on.
    async fn again(&mut self) -> anyhow::Result<()> {
        loop {
            let waiting = std::mem::take(&mut self.deferred);
            self.deferred_bytes = 0;
            let before = waiting.len();
            for Deferred { records, row, before, .. } in waiting {
                if self.sender.stop.is_cancelled() {
                    return Ok(());
                }
                while self.tasks.len() >= self.sender.concurrency
                    && let Some(done) = self.tasks.join_next().await
                {
                    self.ended(done?)?;
                }
                // It is in memory already, so it waits for no room.
                self.spawn(Work { records, row, before, held: Budget::new(0).take(0) });
            }
            self.drain().await?;
            if self.deferred.len() >= before {
                break;
            }
        }
        for Deferred { records, fault, .. } in std::mem::take(&mut self.deferred) {
            self.reject(&records, &[fault])?;
        }
        Ok(())
    }

    fn rejected_source(&self, number: usize) -> String {
        self.sender.plan.jobs.get(number).map(|job| job.found.name.to_string()).unwrap_or_default()
    }

    async fn drain(&mut self) -> anyhow::Result<()> {
        while let Some(done) = self.tasks.join_next().await {
            self.ended(done?)?;
        }
        Ok(())
    }

    fn applier(&self) -> Option<&Applier> {
        self.sender.plan.appliers.get(self.shared.map)
    }

    /// Whatever becomes of these records, a later run does not ask for them again.
    fn marked(&mut self, records: &[Record]) {
        let mark = records.last().and_then(|record| self.applier()?.mark(record));
        if mark.is_some() && !self.is_mark_held {
            self.mark = mark;
        }
    }

    fn begin(&mut self, work: Work) -> anyhow::Result<()> {
        let (known, compared) = {
            let journal = self.shared.journal.lock();
            let known = journal.outcome(work.row.id).map_err(|fault| refused(&fault))?;
            (known, journal.compared(work.row.id).map_err(|fault| refused(&fault))?)
        };
        let when = self.sender.when_changed.get(self.shared.map).copied().unwrap_or_default();
        let is_same =
            matches!(known, Some(Outcome::Final { content, is_open: false, .. }) if content == work.row.content);
        let becomes = compared.filter(|_| !is_same).map(|compared| compared.becomes(&work.row, when));
        if becomes == Some(Becomes::Skipped) {
            self.is_mark_held = true;
            self.sent.skipped += 1;
            self.sender.bar.inc(1);
            return Ok(());
        }
        self.marked(&work.records);
        match (becomes, known) {
            _ if is_same => {
                self.sent.already += 1;
                self.sender.bar.inc(1);
                Ok(())
            }
            (Some(Becomes::Rejected(fault)), _) => self.reject(&work.records, &[fault]),
            (None, Some(Outcome::Final { .. })) => self.reject(&work.records, &[changed(&work.row)]),
            (becomes, _) => {
                let before = becomes.and_then(Becomes::before);
                self.spawn(Work { before, ..work });
                Ok(())
            }
        }
    }

    fn spawn(&mut self, work: Work) {
        let shared = self.shared.clone();
        self.tasks.spawn(async move {
            let ended = Box::pin(shared.send(&work.row, work.before)).await;
            (work, ended)
        });
    }

    fn ended(&mut self, (work, ended): Done) -> anyhow::Result<()> {
        let Work { records, row, before, held } = work;
        match ended? {
            Ended::Sent => {
                self.sent.sent += 1;
                self.sent.versions += u64::from(before.is_some());
            }
            Ended::Already => self.sent.already += 1,
            Ended::Early(fault) => {
                let bytes = weight_of(&records);
                if self.deferred.len() >= DEFERRED_MAX || self.deferred_bytes + bytes > DEFERRED_BYTES_MAX {
                    return self.reject(&records, &[fault]);
                }
                drop(held);
                self.deferred_bytes += bytes;
                self.deferred.push(Deferred { records, row, before, fault });
                return Ok(());
            }
            Ended::Refused(fault) => return self.reject(&records, &[fault]),
            Ended::Left => return Ok(()),
        }
        self.sender.bar.inc(1);
        Ok(())
    }

    fn reject(&mut self, records: &[Record], faults: &[Fault]) -> anyhow::Result<()> {
        for record in records {
            self.sent.rejected += 1;
            self.rejected.add(record, faults).map_err(|fault| refused(&fault))?;
        }
        Ok(())
    }
}

fn weight_of(records: &[Record]) -> u64 {
    records.iter().map(Record::weight).sum()
}

/// Documents of a job, read on a thread of its own.
pub(super) fn read_ahead(plan: Arc<Plan>, number: usize, budget: Arc<Budget>) -> anyhow::Result<mpsc::Receiver<Read>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    std::thread::Builder::new().name("uplink-rows".into()).spawn(move || {
        let mut rows = match plan.rows(number) {
            Ok(rows) => rows,
            Err(fault) => {
                let _ = sender.blocking_send(Read::Stop(vec![fault]));
                return;
            }
        };
        while let Some(next) = rows.next_row() {
            let read = match next {
                Ok((records, row)) => {
                    let held = budget.take(weight_of(&records));
                    Read::Work(Work { records, row: Box::new(row), before: None, held })
                }
                Err(Bad::Rows(records, faults)) => {
                    let held = budget.take(weight_of(&records));
                    Read::Bad(records, faults, held)
                }
                Err(Bad::Stop(faults)) => Read::Stop(faults),
            };
            if sender.blocking_send(read).is_err() {
                return;
            }
        }
        let _ = sender.blocking_send(Read::End);
    })?;
    Ok(receiver)
}
