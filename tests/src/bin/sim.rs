//! The simulator: `sim --seeds 200`, `sim --seed 7`, `sim --mutants`. See `docs/testing.md`.
#![forbid(unsafe_code)]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use clap::Parser;
use vouch_tests::sim::{Outcome, Stage, mutants::Mutant, plan::Plan, regressions, shrink};

/// Native stack of a thread that runs contracts.
const STACK_BYTES: usize = 64 << 20;
/// Every so many seeds one is run twice.
const TWICE_EVERY: u64 = 25;

/// Runs complete nodes over a simulated network, disk and clock, and judges what they do.
#[derive(Debug, Parser)]
struct Options {
    /// Run this one seed and say what happened.
    #[arg(long, conflicts_with_all = ["seeds", "mutants"])]
    seed: Option<u64>,
    /// Run so many seeds.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Run a plan from a file instead, see `--shrink`.
    #[arg(long, conflicts_with = "seed")]
    replay: Option<PathBuf>,
    /// Plant this bug.
    #[arg(long)]
    mutant: Option<String>,
    /// Plant each bug in turn; every one must be caught within its number of seeds.
    #[arg(long)]
    mutants: bool,
    /// Make failing plans as small as they get and keep them in `tests/regressions`.
    #[arg(long)]
    shrink: bool,
    /// Keep the plan of the one seed in `tests/regressions`, with these words about what it once broke.
    #[arg(long, requires = "seed")]
    keep: Option<String>,
    /// Write what was measured to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Threads; as many as there are cores if left out.
    #[arg(long)]
    jobs: Option<usize>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let work = move || match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sim: {error:#}");
            ExitCode::from(2)
        }
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work);
    thread.expect("one thread can be started").join().unwrap_or(ExitCode::FAILURE)
}

fn run(options: &Options) -> Result<bool> {
    let stage = Stage::new();
    if options.mutants {
        return Ok(run_mutants(&stage, options.from));
    }
    let single = match (&options.replay, options.seed) {
        (Some(file), _) => Some(regressions::read(file)?),
        (None, Some(seed)) => Some(Plan::draw(seed)),
        (None, None) => None,
    };
    let mutant = check_mutant(options.mutant.as_deref())?;
    if let Some(mut plan) = single {
        plan.mutant = mutant.or(plan.mutant);
        if let Some(words) = &options.keep {
            println!("kept in {}", regressions::keep(&plan, words)?.display());
        }
        return Ok(run_one(&plan, &stage, options.shrink));
    }
    let report = run_many(options, mutant.as_deref(), &stage);
    report.print();
    for seed in report.failed.keys().take(3) {
        println!();
        run_one(&planned(*seed, mutant.as_deref()), &stage, options.shrink);
    }
    if let Some(file) = &options.json {
        report.write(file, options)?;
    }
    Ok(report.failed.is_empty() && report.missing_marks().is_empty())
}

fn check_mutant(name: Option<&str>) -> Result<Option<String>> {
    match name {
        Some(name) if Mutant::named(name).is_none() => {
            let names: Vec<&str> = Mutant::ALL.iter().map(|(_, name, _)| *name).collect();
            bail!("no planted bug is called {name}; there are {}", names.join(", "))
        }
        other => Ok(other.map(str::to_owned)),
    }
}

fn planned(seed: u64, mutant: Option<&str>) -> Plan {
    let mut plan = Plan::draw(seed);
    plan.mutant = mutant.map(str::to_owned);
    plan
}

/// Runs one plan and tells its story; true when every rule held.
fn run_one(plan: &Plan, stage: &Arc<Stage>, shrinks: bool) -> bool {
    let outcome = Outcome::of(plan, stage, true);
    let Some(violation) = &outcome.violation else {
        println!(
            "seed {}: {} heights, {} transactions in {} ms of virtual time; all rules held",
            plan.seed, outcome.heights, outcome.transactions, outcome.virtual_ms
        );
        println!("looked at: {:?}\nhappened: {:?}\nevents: {}", outcome.counts, outcome.marks, outcome.log);
        return true;
    };
    for line in &outcome.recent {
        println!("{line}");
    }
    println!("seed {}: rule \"{}\" broken: {}", plan.seed, violation.rule, violation.what);
    println!("again: sim --seed {}", plan.seed);
    if shrinks {
        let smallest = shrink::shrink(plan, violation.rule, stage);
        match regressions::keep(&smallest, &format!("{}: {}", violation.rule, violation.what)) {
            Ok(file) => println!("smallest plan kept in {}", file.display()),
            Err(error) => println!("smallest plan cannot be kept: {error:#}\n{smallest:#?}"),
        }
    }
    false
}

/// Plants each bug until it is caught; true when all were, in time.
fn run_mutants(stage: &Arc<Stage>, from: u64) -> bool {
    let mut all = true;
    for (_, name, seeds_max) in Mutant::ALL {
        let started = Instant::now();
        let caught = (from..from + seeds_max)
            .find_map(|seed| Outcome::of(&planned(seed, Some(name)), stage, false).violation.map(|v| (seed, v)));
        let seconds = started.elapsed().as_secs_f64();
        match caught {
            Some((seed, violation)) => println!(
                "{name:>20}  caught by seed {seed}, {} of {seeds_max} allowed, {seconds:.1} s: {}",
                seed - from + 1,
                violation.rule
            ),
            None => {
                println!("{name:>20}  NOT CAUGHT by {seeds_max} seeds, {seconds:.1} s");
                all = false;
            }
        }
    }
    all
}

/// What came of many seeds.
#[derive(Debug, Default)]
struct Report {
    seeds: u64,
    twice: u64,
    heights: u64,
    transactions: u64,
    virtual_ms: u64,
    seconds: f64,
    jobs: usize,
    counts: BTreeMap<&'static str, u64>,
    marks: BTreeMap<&'static str, u64>,
    failed: BTreeMap<u64, String>,
}

fn run_many(options: &Options, mutant: Option<&str>, stage: &Arc<Stage>) -> Report {
    let started = Instant::now();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let jobs = options.jobs.unwrap_or(cores);
    let next = AtomicU64::new(options.from);
    let end = options.from + options.seeds;
    let report = Mutex::new(Report { jobs, ..Report::default() });
    std::thread::scope(|scope| {
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= end {
                    return;
                }
                let plan = planned(seed, mutant);
                let outcome = Outcome::of(&plan, stage, false);
                let again = seed.is_multiple_of(TWICE_EVERY).then(|| Outcome::of(&plan, stage, false).log);
                if let Ok(mut report) = report.lock() {
                    report.add(seed, &outcome, again);
                }
            }
        };
        for _ in 0..jobs {
            std::thread::Builder::new()
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, work)
                .expect("threads can be started");
        }
    });
    let mut report = report.into_inner().expect("no thread panicked");
    report.seconds = started.elapsed().as_secs_f64();
    report
}

impl Report {
    fn add(&mut self, seed: u64, outcome: &Outcome, again: Option<String>) {
        self.seeds += 1;
        self.heights += outcome.heights;
        self.transactions += outcome.transactions;
        self.virtual_ms += outcome.virtual_ms;
        for (rule, count) in &outcome.counts {
            *self.counts.entry(rule).or_default() += count;
        }
        for (mark, count) in &outcome.marks {
            *self.marks.entry(mark).or_default() += count;
        }
        if let Some(violation) = &outcome.violation {
            println!("seed {seed}: {}: {}", violation.rule, violation.what.lines().next().unwrap_or_default());
            self.failed.insert(seed, violation.rule.to_owned());
        }
        if let Some(again) = again {
            self.twice += 1;
            if again != outcome.log {
                println!("seed {seed}: run twice, it went two ways");
                self.failed.insert(seed, "same seed, same run".to_owned());
            }
        }
    }

    /// What many runs together must have met.
    fn missing_marks(&self) -> Vec<&'static str> {
        if self.seeds < 200 || !self.failed.is_empty() {
            return Vec::new();
        }
        let rare = if self.seeds < 1_000 { &[] } else { vouch_tests::sim::VAULT_MARKS };
        let marks = vouch_tests::sim::MARKS.iter().chain(rare);
        marks.filter(|mark| !self.marks.contains_key(*mark)).copied().collect()
    }

    fn print(&self) {
        let rate = self.seeds as f64 / self.seconds;
        println!(
            "{} seeds, {} of them twice, {} heights, {} transactions, {:.0} s of virtual time in {:.1} s: {rate:.1} seeds a second on {} threads",
            self.seeds,
            self.twice,
            self.heights,
            self.transactions,
            self.virtual_ms as f64 / 1000.0,
            self.seconds,
            self.jobs
        );
        println!("rules looked at:");
        for (rule, count) in &self.counts {
            println!("  {count:>9}  {rule}");
        }
        println!("what happened:");
        for (mark, count) in &self.marks {
            println!("  {count:>9}  {mark}");
        }
        for mark in self.missing_marks() {
            println!("NEVER HAPPENED: {mark}");
        }
        println!("{} seeds failed", self.failed.len());
    }

    /// In the shape of `docs/figures`.
    fn write(&self, file: &Path, options: &Options) -> Result<()> {
        let variable = |name: &str, command: &str, arguments: &[&str]| {
            std::env::var(name).ok().or_else(|| {
                let output = std::process::Command::new(command).args(arguments).output().ok()?;
                Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
            })
        };
        let evaluated: u64 = self.counts.values().sum();
        let mut figures = serde_json::Map::new();
        let mut set = |key: &str, value: f64| drop(figures.insert(key.to_owned(), value.into()));
        set("seeds_run", self.seeds as f64);
        set("seeds_failed", self.failed.len() as f64);
        set("heights_decided", self.heights as f64);
        set("transactions_in_blocks", self.transactions as f64);
        set("rules_evaluated", evaluated as f64);
        set("virtual_hours", self.virtual_ms as f64 / 3_600_000.0);
        set("seeds_per_second_per_thread", self.seeds as f64 / self.seconds / self.jobs as f64);
        for (rule, count) in &self.counts {
            set(&format!("checked_{}_times", rule.replace(' ', "_")), *count as f64);
        }
        let name = file.file_stem().and_then(|s| s.to_str()).context("the file has no name")?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let value = serde_json::json!({
            "name": name,
            "command": format!("./run sim --seeds {} --from {}", options.seeds, options.from),
            "commit": variable("VOUCH_COMMIT", "git", &["rev-parse", "--short=12", "HEAD"]).context("no commit")?,
            "date": today(),
            "machine": variable("VOUCH_MACHINE", "true", &[]).filter(|m| !m.is_empty()).unwrap_or(format!("{cores} cores")),
            "beside": beside(),
            "figures": figures,
            "bars": { "seeds_failed": { "max": 0 } },
        });
        std::fs::write(file, format!("{}\n", serde_json::to_string_pretty(&value)?))?;
        Ok(())
    }
}

/// What else ran on the machine, as far as it was said, and what may differ from the commit.
fn beside() -> String {
    let said = std::env::var("VOUCH_BESIDE").ok().filter(|said| !said.is_empty());
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').take(3).collect::<Vec<_>>().join(" ");
    let mut text = format!("{}; load average at the end {load}", said.as_deref().unwrap_or("nothing was named"));
    if std::env::var("VOUCH_UNCOMMITTED").is_ok_and(|said| said == "yes") {
        text += "; the tree had changes on top of this commit";
    }
    text
}

/// The day, as `YYYY-MM-DD`.
fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let days = (seconds / 86_400).cast_signed() + 719_468;
    let era = days / 146_097;
    let day_of_era = days - era * 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
