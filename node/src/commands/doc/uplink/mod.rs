//! `vouch doc uplink`: files and databases as documents, in bulk.

mod ask;
mod compare;
mod document;
mod guess;
mod listing;
mod send;
mod show;
mod sources;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clap::builder::TypedValueParser as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use vouch_types::SecretKey;
use vouch_uplink::{Changes, Fault, Journal, Numbers, Plan, Summary, UplinkKey, WhenChanged};

use self::compare::Comparison;
pub use self::{
    send::{Sender, Sent},
    sources::{Prepared, prepare},
};
use super::{
    super::{
        GlobalArgs,
        output::{EXIT_FAILED, EXIT_REFUSED, Refused, emit},
        text::Text,
    },
    CallerArgs,
};
use crate::node::told_to_stop;

/// Documents under way at a time, if nothing is said.
pub const CONCURRENCY: usize = 64;

/// Send files and databases as documents: CSV, XLSX, JSON, NDJSON, XML, SQLite, PostgreSQL, any other file, folders and ZIP
/// archives. Files that rows name go along.
///
/// A mapping file says which columns become which fields; --guess writes one to begin with. Everything is read and checked before
/// anything leaves, a summary is shown, and you are asked. A run that was stopped or killed goes on where it was: the same row
/// is the same document, and the chain takes it once. Rows that do not become documents are in FILE.rejected.csv, to be mended
/// and sent again.
///
/// A row whose document is on the chain already is compared with it. What is the same is not sent; what changed is listed with the names
/// of its fields, and rejected unless --changed, the mapping or you at the question say that it becomes a new version.
///
/// Exit codes: 0 everything was sent; 3 some rows were not, or nothing was sent; 1 stopped, or no node could be reached: run it again.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Files, folders, archives, connection files of PostgreSQL (NAME.postgres.toml)
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// The mapping file
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// Guess a mapping from names and samples, and write it to --mapping or standard output; nothing is sent
    #[arg(long)]
    guess: bool,
    /// With --guess: the schema; the one that fits best if left out
    #[arg(long, value_name = "NAME", requires = "guess")]
    schema: Option<String>,
    /// Show the first documents and the summary; nothing is sent
    #[arg(long)]
    preview: bool,
    /// What becomes of rows that have another content than their documents on the chain; else as the mapping says, or you when asked
    #[arg(long, value_name = "WHAT")]
    changed: Option<Changed>,
    /// Write each of these rows as a line of JSON, with the names of the fields that changed
    #[arg(long, value_name = "FILE")]
    changes_out: Option<PathBuf>,
    /// Send without asking
    #[arg(long)]
    yes: bool,
    /// Where the journal and the key of ids are kept; below --home if that is given, else below the user's state folder
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Make a key of ids if there is none: rows that were sent under another key are sent again under this one
    #[arg(long)]
    new_key: bool,
    /// Ids that others gave to numbers; may be given more than once
    #[arg(long, value_name = "FILE")]
    numbers: Vec<PathBuf>,
    /// Write the ids of everything that is on the chain, for others to refer to
    #[arg(long, value_name = "FILE")]
    numbers_out: Option<PathBuf>,
    /// Where rejected rows are written; beside each source if left out
    #[arg(long, value_name = "DIR")]
    rejected: Option<PathBuf>,
    /// Documents under way at a time
    #[arg(long, default_value_t = CONCURRENCY, value_parser = clap::value_parser!(u16).range(1..=1024).map(usize::from))]
    concurrency: usize,
    #[command(flatten)]
    caller: CallerArgs,
}

/// What becomes of changed rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Changed {
    /// They become new versions
    Version,
    /// They are rejected, to be looked at
    Reject,
    /// They are passed over; their documents stay as they are
    Skip,
}

impl From<Changed> for WhenChanged {
    fn from(changed: Changed) -> Self {
        match changed {
            Changed::Version => Self::Version,
            Changed::Reject => Self::Reject,
            Changed::Skip => Self::Skip,
        }
    }
}

/// What a run did.
#[derive(Debug, Serialize)]
struct Outcome<'a> {
    /// Tells the key apart that ids come from.
    key: &'a str,
    summary: &'a Summary,
    /// How the documents stand to what is on the chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<&'a Changes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<&'a Sent>,
}

/// A fault as every command shows errors.
#[must_use]
pub fn refused(fault: &Fault) -> anyhow::Error {
    Refused::error(fault.code, fault.reason.to_string(), fault.place.clone())
}

/// Several faults as one error, the first one's code.
#[must_use]
pub fn refused_all(faults: &[Fault]) -> anyhow::Error {
    let Some(first) = faults.first() else { return anyhow::anyhow!("no fault") };
    let rest: Vec<String> = faults.iter().skip(1).map(ToString::to_string).collect();
    let more = if rest.is_empty() { String::new() } else { format!("\n  {}", rest.join("\n  ")) };
    Refused::error(first.code, format!("{}{more}", first.reason), first.place.clone())
}

/// Makes a folder that only its owner may read.
///
/// # Errors
/// `uplink.io`.
pub fn private(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| refused(&Fault::io(folder.display().to_string(), &error)))
}

/// What a run does when there is no key that ids come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoKey {
    /// It makes one.
    Make,
    /// It sends nothing.
    Refuse,
    /// It takes one that is forgotten afterwards: nothing is sent.
    Lend,
}

/// From what ids come.
#[derive(Debug)]
pub struct Keys {
    /// The key.
    pub key: UplinkKey,
    /// Ids that others gave.
    pub numbers: Numbers,
    /// Whether the key was made now: nothing is on the chain under its ids.
    pub is_new: bool,
}

/// The key that ids come from, and the ids that others gave.
///
/// # Errors
/// `uplink.key`, `uplink.numbers`, `uplink.io`.
pub fn keys(state: &Path, numbers: &[PathBuf], without: NoKey) -> anyhow::Result<Keys> {
    let path = state.join("uplink.key");
    let found = UplinkKey::load(&path).map_err(|fault| refused(&fault))?;
    let is_new = found.is_none();
    let key = match (found, without) {
        (Some(key), _) => key,
        (None, NoKey::Make) => UplinkKey::make(&path, rand::random()).map_err(|fault| refused(&fault))?,
        (None, NoKey::Lend) => UplinkKey::new(rand::random()),
        (None, NoKey::Refuse) => {
            let reason = "there is no key of ids here; --new-key makes one, and rows that were sent under another key \
                are sent again: name the folder of earlier runs with --state";
            return Err(refused(&Fault::new("uplink.key", path.display().to_string(), reason)));
        }
    };
    let mut known = Numbers::default();
    for path in numbers {
        known.add_file(path).map_err(|fault| refused(&fault))?;
    }
    Ok(Keys { key, numbers: known, is_new })
}

/// Where a run keeps its state: the same wherever it is started.
fn state_folder(named: Option<&Path>, home: Option<&Path>) -> anyhow::Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let below = || set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    let folder = match (named, home) {
        (Some(named), _) => named.to_owned(),
        (None, Some(home)) => home.join("uplink"),
        (None, None) => match below() {
            Some(folder) => folder.join("vouch/uplink"),
            None => return Err(refused(&Fault::io("--state", &"name the folder of the journal and the key of ids"))),
        },
    };
    std::path::absolute(&folder).map_err(|error| refused(&Fault::io(folder.display().to_string(), &error)))
}

/// A folder for what is taken out of archives. What killed runs left in theirs is removed: it lies there in plain.
fn unpacked(state: &Path) -> anyhow::Result<tempfile::TempDir> {
    const PREFIX: &str = "unpacked-";
    let failed = |error: &std::io::Error| refused(&Fault::io(state.display().to_string(), error));
    for entry in fs::read_dir(state).map_err(|error| failed(&error))? {
        let entry = entry.map_err(|error| failed(&error))?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            fs::remove_dir_all(entry.path()).map_err(|error| failed(&error))?;
        }
    }
    tempfile::Builder::new().prefix(PREFIX).tempdir_in(state).map_err(|error| failed(&error))
}

/// Ctrl-C and SIGTERM, heard from the beginning on: before anything is sent they end the run, then they stop it in order, and
/// the second one ends it wherever it is.
struct Stop {
    token: CancellationToken,
    is_sending: Arc<AtomicBool>,
    listener: tokio::task::JoinHandle<()>,
}

impl Stop {
    fn listen(unpacked: &Path) -> Self {
        let (token, is_sending) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
        let (stop, sending, unpacked) = (token.clone(), Arc::clone(&is_sending), unpacked.to_owned());
        let listener = tokio::spawn(async move {
            told_to_stop().await;
            if sending.load(Ordering::Relaxed) {
                stop.cancel();
                told_to_stop().await;
            }
            // The journal says what was begun; only what was taken out of archives must not stay.
            drop(fs::remove_dir_all(unpacked));
            end_now();
        });
        Self { token, is_sending, listener }
    }

    /// From now on something is sent.
    fn sending(&self) -> CancellationToken {
        self.is_sending.store(true, Ordering::Relaxed);
        self.token.clone()
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

#[expect(clippy::exit, reason = "a person asked for it, and may wait at a question that nothing else ends")]
fn end_now() -> ! {
    std::process::exit(i32::from(EXIT_FAILED))
}

/// Runs the command.
///
/// # Errors
/// As it went wrong.
pub(super) async fn run(args: Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let state = state_folder(args.state.as_deref(), global.home.as_deref())?;
    private(&state)?;
    let (client, key) = args.caller.client(global)?;
    // One run at a time, so what others left is of runs that are gone.
    let journal = Journal::open(&state).map_err(|fault| refused(&fault))?;
    let unpacked = unpacked(&state)?;
    let stop = Stop::listen(unpacked.path());
    if args.guess {
        return guess::run(&args, &client, unpacked.path(), global).await;
    }
    let mapping = args.mapping.as_deref();
    let mapping =
        mapping.ok_or_else(|| refused(&Fault::mapping("--mapping", "name a mapping file, or --guess one")))?;
    let without = match (args.preview, args.new_key) {
        (true, _) => NoKey::Lend,
        (false, true) => NoKey::Make,
        (false, false) => NoKey::Refuse,
    };
    let keys = keys(&state, &args.numbers, without)?;
    let (fingerprint, is_new) = (keys.key.fingerprint(), keys.is_new);
    let prepared = prepare(&client, mapping, &args.sources, unpacked.path(), keys, &journal).await?;
    let Prepared { mut plan, issuings, unused } = prepared;
    let summary = check(&mut plan, unpacked.path(), global)?;
    let (plan, issuings, journal) = (Arc::new(plan), Arc::new(issuings), Arc::new(Mutex::new(journal)));
    // Under a key that is new nothing is there, and what cannot be read to its end is not asked about.
    let changes = if is_new || !summary.broken.is_empty() {
        Changes::all_new(summary.documents, plan.appliers.len())
    } else {
        let (journal, concurrency) = (Arc::clone(&journal), args.concurrency);
        let (client, plan, issuings) = (client.clone(), Arc::clone(&plan), Arc::clone(&issuings));
        let listing = Mutex::default();
        compared(Comparison { client, plan, issuings, journal, concurrency, listing }, &args, global).await?
    };
    let mappings = plan.appliers.iter().map(|applier| applier.mapping.changed);
    let planned = ask::planned(args.changed.map(Into::into), args.yes, mappings);
    let shown = Shown { args: &args, plan: &plan, summary: &summary, changes: &changes, fingerprint: &fingerprint };
    shown.emit((&planned, &unused, &state), global)?;
    if !summary.broken.is_empty() {
        return Err(refused_all(&summary.broken));
    }
    if let Some(code) = without_sending(&args, &plan, &summary) {
        return Ok(code);
    }
    let when_changed = ask::settled(&planned, &changes, global)?;
    let leaving = changes.leaving(&when_changed);
    if !args.yes && leaving > 0 {
        ask::confirm(leaving, global)?;
    }
    let sender = Sender {
        client,
        key: Arc::new(SecretKey::from_seed(*key.seed())),
        plan: Arc::clone(&plan),
        issuings,
        journal,
        when_changed,
        concurrency: args.concurrency,
        rejected: args.rejected.clone(),
        work: unpacked.path().to_owned(),
        bar: progress(summary.documents, global),
        stop: stop.sending(),
    };
    let sent = sender.run().await?;
    if let Some(path) = &args.numbers_out {
        sender.write_numbers(path)?;
    }
    let outcome = Outcome { key: &fingerprint, summary: &summary, changes: Some(&changes), sent: Some(&sent) };
    emit(global, &outcome, |language| show::sent(&sent, language))?;
    Ok(after_sending(&sent))
}

/// What a run ends with that sent.
fn after_sending(sent: &Sent) -> ExitCode {
    match (&sent.is_stopped, sent.rejected) {
        (true, _) => ExitCode::from(EXIT_FAILED),
        (false, 0) => ExitCode::SUCCESS,
        (false, _) => ExitCode::from(EXIT_REFUSED),
    }
}

/// What a run ends with that has nothing to send. Rejected rows are written to their files also where nothing else is left.
fn without_sending(args: &Args, plan: &Plan, summary: &Summary) -> Option<ExitCode> {
    if !args.preview && (summary.documents > 0 || summary.rejected > 0) {
        return None;
    }
    // A database in which nothing is new is on the chain as a whole.
    let has_nothing_new = plan.jobs.iter().all(|job| job.after.is_some());
    let is_good = summary.rejected == 0 && (summary.documents > 0 || has_nothing_new);
    Some(if is_good { ExitCode::SUCCESS } else { ExitCode::from(EXIT_REFUSED) })
}

/// What a person sees before anything leaves.
struct Shown<'a> {
    args: &'a Args,
    plan: &'a Plan,
    summary: &'a Summary,
    changes: &'a Changes,
    fingerprint: &'a str,
}

impl Shown<'_> {
    fn emit(
        &self,
        (planned, unused, state): (&[Option<WhenChanged>], &[String], &Path),
        global: &GlobalArgs,
    ) -> anyhow::Result<()> {
        let Shown { args, plan, summary, changes, fingerprint } = self;
        if global.json && !args.preview {
            return Ok(());
        }
        let text = args.preview.then(|| show::first(plan));
        let outcome = Outcome { key: fingerprint, summary, changes: Some(changes), sent: None };
        emit(global, &outcome, |language| {
            let mut lines = text.unwrap_or_default();
            lines.extend(show::summary(plan, summary, unused, language));
            lines.extend(show::changes(changes, planned, language));
            lines.push(format!("{}: {fingerprint} ({})", Text::UplinkKey.in_language(language), state.display()));
            lines
        })
    }
}

/// Compares everything with the chain, with a counter for people.
async fn compared(comparison: Comparison, args: &Args, global: &GlobalArgs) -> anyhow::Result<Changes> {
    let spinner = counter(global);
    let mut seen = |count| spinner.set_position(count);
    let Some(path) = &args.changes_out else { return comparison.run(None, &mut seen).await };
    let failed = |error: &std::io::Error| refused(&Fault::io(path.display().to_string(), error));
    let mut draft = vouch_files::Draft::beside(path).map_err(|error| failed(&error))?;
    let changes = comparison.run(Some(&mut draft), &mut seen).await?;
    draft.keep().map_err(|error| failed(&error))?;
    Ok(changes)
}

/// Reads everything, with a counter for people.
fn check(plan: &mut Plan, folder: &Path, global: &GlobalArgs) -> anyhow::Result<Summary> {
    let spinner = counter(global);
    let summary = plan.check(folder, &mut |count| spinner.set_position(count));
    spinner.finish_and_clear();
    summary.map_err(|fault| refused(&fault))
}

/// A counter, on a terminal only.
fn counter(global: &GlobalArgs) -> ProgressBar {
    let target = if global.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let spinner = ProgressBar::with_draw_target(None, target);
    spinner.set_style(
        ProgressStyle::with_template("{spinner} {pos} {per_sec}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    spinner
}

/// A bar with rate and time left, on a terminal only.
#[must_use]
pub fn progress(documents: u64, global: &GlobalArgs) -> ProgressBar {
    let target = if global.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(4) };
    let bar = ProgressBar::with_draw_target(Some(documents), target);
    let template = "{bar:40} {pos}/{len}  {per_sec}  {elapsed} + {eta}  {msg}";
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
