//! Sending a plan: many documents under way, each final and proven before the journal says so.
//!
//! ```text
//! reader thread --rows--> journal: final? --no--> begun --> files, stage, submit, wait, prove --> final
//!                                                    '--refused--> rejected file
//! ```

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use indicatif::ProgressBar;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use vouch_sdk::{Client, DocumentDraft, DraftFile, Error, Issuing, Order, Verdict};
use vouch_types::SecretKey;
use vouch_uplink::{
    Applier, Attached, Budget, Fault, Held, Journal, Outcome, Plan, Record, Row, plan::Bad, rejected::Rejected,
};

use super::{refused, refused_all, sources::mark_name};

/// Documents that the reader may be ahead.
const AHEAD: usize = 256;
/// Bytes of records that are read and not done with.
const HELD_BYTES: u64 = 64 << 20;
/// Documents that wait for others of the same source to be final, and the bytes of their records.
const DEFERRED_MAX: usize = 10_000;
const DEFERRED_BYTES_MAX: u64 = 64 << 20;
/// Times a row is sent before the run gives up on the network.
const ATTEMPTS_MAX: u32 = 8;
/// First pause between them; doubles.
const PAUSE: Duration = Duration::from_millis(500);
/// Documents whose files have more bytes are large: each holds some pieces in memory while it is sent.
const LARGE_BYTES: u64 = 1 << 20;
/// Large ones under way at a time.
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
    /// What became of it.
    pub journal: Arc<Mutex<Journal>>,
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
    /// Documents that became final now.
    pub sent: u64,
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
struct Work {
    records: Vec<Record>,
    row: Box<Row>,
    held: Held,
}

/// What the reader gives.
enum Read {
    Work(Work),
    Bad(Vec<Record>, Vec<Fault>, Held),
    Stop(Vec<Fault>),
    /// That was all.
    End,
}

/// What became of a row.
enum Ended {
    Sent,
    Already,
    Refused(Fault),
    /// What it refers to is not there yet.
    Early(Fault),
    /// The run was told to stop before anything was known.
    Left,
}

/// A document that was under way.
type Done = (Work, Result<Ended, anyhow::Error>);

/// A document that waits for others.
struct Deferred {
    records: Vec<Record>,
    row: Box<Row>,
    fault: Fault,
}

/// What all tasks of a job share.
#[derive(Clone)]
struct Shared {
    client: Client,
    key: Arc<SecretKey>,
    plan: Arc<Plan>,
    issuings: Arc<Vec<Issuing>>,
    journal: Arc<Mutex<Journal>>,
    large: Arc<Semaphore>,
    stop: CancellationToken,
    map: usize,
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
            for Deferred { records, row, .. } in waiting {
                if self.sender.stop.is_cancelled() {
                    return Ok(());
                }
                while self.tasks.len() >= self.sender.concurrency
                    && let Some(done) = self.tasks.join_next().await
                {
                    self.ended(done?)?;
                }
                // It is in memory already, so it waits for no room.
                self.spawn(Work { records, row, held: Budget::new(0).take(0) });
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
        if mark.is_some() {
            self.mark = mark;
        }
    }

    fn begin(&mut self, work: Work) -> anyhow::Result<()> {
        self.marked(&work.records);
        let known = self.shared.journal.lock().outcome(work.row.id).map_err(|fault| refused(&fault))?;
        if let Some(Outcome::Final { content }) = known {
            if content == work.row.content {
                self.sent.already += 1;
                self.sender.bar.inc(1);
                return Ok(());
            }
            return self.reject(&work.records, &[changed(&work.row)]);
        }
        self.spawn(work);
        Ok(())
    }

    fn spawn(&mut self, work: Work) {
        let shared = self.shared.clone();
        self.tasks.spawn(async move {
            let ended = Box::pin(shared.send(&work.row)).await;
            (work, ended)
        });
    }

    fn ended(&mut self, (work, ended): Done) -> anyhow::Result<()> {
        let Work { records, row, held } = work;
        match ended? {
            Ended::Sent => self.sent.sent += 1,
            Ended::Already => self.sent.already += 1,
            Ended::Early(fault) => {
                let bytes = weight_of(&records);
                if self.deferred.len() >= DEFERRED_MAX || self.deferred_bytes + bytes > DEFERRED_BYTES_MAX {
                    return self.reject(&records, &[fault]);
                }
                drop(held);
                self.deferred_bytes += bytes;
                self.deferred.push(Deferred { records, row, fault });
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
fn read_ahead(plan: Arc<Plan>, number: usize, budget: Arc<Budget>) -> anyhow::Result<mpsc::Receiver<Read>> {
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
                    Read::Work(Work { records, row: Box::new(row), held })
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

impl Shared {
    /// Sends a row until it is final or refused.
    async fn send(&self, row: &Row) -> anyhow::Result<Ended> {
        let unknown = || anyhow::anyhow!("there is no mapping {}", self.map);
        let applier = self.plan.appliers.get(self.map).ok_or_else(unknown)?;
        let issuing = self.issuings.get(self.map).ok_or_else(unknown)?;
        let draft = match draft_of(row, issuing, &applier.mapping.public) {
            Ok(draft) => draft,
            Err(error) => return Ok(Ended::Refused(refusal(row, &error))),
        };
        let mut order = Order {
            id: row.id,
            seed: applier.seed(row),
            register: row.register.clone(),
            sign: row.signs_member,
            sign_for: row.signs_for.clone(),
        };
        let begun = self.journal.lock().outcome(row.id).map_err(|fault| refused(&fault))?;
        if begun.is_some()
            && let Some(is_same) = self.client.ordered_is_there(issuing, &draft, &order).await?
        {
            return if is_same { self.note(row, None, Ended::Already) } else { Ok(Ended::Refused(changed(row))) };
        }
        let is_large = row.files.iter().map(|file| file.bytes).sum::<u64>() > LARGE_BYTES;
        let _one_of_few = if is_large { Some(self.large.acquire().await?) } else { None };
        self.journal.lock().begin(row.id, &row.content).map_err(|fault| refused(&fault))?;
        let (mut pause, mut attempts) = (PAUSE, 0);
        loop {
            let sending = Box::pin(self.client.submit_ordered(issuing, &draft, &order, &self.key));
            let Some(result) = self.unless_stopped(sending).await else { return Ok(Ended::Left) };
            let error = match result {
                Ok(done) => return self.note(row, Some((done.height, done.transaction)), Ended::Sent),
                Err(error) => error,
            };
            match error.verdict() {
                Verdict::Taken => match self.client.ordered_is_there(issuing, &draft, &order).await? {
                    Some(true) => return self.note(row, None, Ended::Already),
                    Some(false) => return Ok(Ended::Refused(changed(row))),
                    None if error.code() == "stage.taken" => return Ok(Ended::Refused(changed(row))),
                    // The node that was asked is a block behind the one that refused.
                    None => {}
                },
                Verdict::Registered => self.forget_registered(&mut order).await?,
                Verdict::Early => return Ok(Ended::Early(refusal(row, &error))),
                Verdict::Content => return Ok(Ended::Refused(refusal(row, &error))),
                Verdict::Passing => {}
                Verdict::Fatal => return Err(error.into()),
            }
            attempts += 1;
            if attempts > ATTEMPTS_MAX {
                return Err(error.into());
            }
            if error.verdict() != Verdict::Registered {
                if self.unless_stopped(tokio::time::sleep(pause)).await.is_none() {
                    return Ok(Ended::Left);
                }
                pause *= 2;
            }
        }
    }

    /// The contract registers all persons of a row or none: those that are known are left out.
    async fn forget_registered(&self, order: &mut Order) -> anyhow::Result<()> {
        let before = order.register.len();
        for alias in std::mem::take(&mut order.register) {
            if !self.client.is_registered(alias).await? {
                order.register.push(alias);
            }
        }
        if order.register.len() == before {
            // The node that was asked is a block behind the one that refused.
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// What comes of work, if the run is not told to stop before. The journal says that it was begun, so nothing is lost.
    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            done = work => Some(done),
        }
    }

    fn note(
        &self,
        row: &Row,
        at: Option<(vouch_types::Height, vouch_types::TxId)>,
        ended: Ended,
    ) -> anyhow::Result<Ended> {
        self.journal.lock().finish(row.id, &row.content, at).map_err(|fault| refused(&fault))?;
        Ok(ended)
    }
}

fn draft_of(row: &Row, issuing: &Issuing, public: &[String]) -> Result<DocumentDraft, Error> {
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

fn changed(row: &Row) -> Fault {
    let reason = format!("document {} was made of this number with another content", row.id);
    Fault::new("uplink.changed", row.place.to_string(), reason)
}

fn refusal(row: &Row, error: &Error) -> Fault {
    Fault::new("uplink.refused", row.place.to_string(), format!("[{}] {error}", error.code()))
}
