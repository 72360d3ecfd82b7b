//! Measures the state tree on RocksDB and writes the figures as JSON.
//!
//! ```text
//! cargo run -p vouch-store --example tree_bench -- --keys 1000000 --out docs/figures/state-tree-1m.json
//! ```
//!
//! Every block is what a node does with one: look up, hash, write keys, slots and tree pages in one synced batch. CPU time
//! is that of the calling thread unless it says "all threads". Keys are 32 bytes, values 100.

use std::{
    error::Error,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use cpu_time::{ProcessTime, ThreadTime};
use serde_json::{Map, Value, json};
use vouch_ledger::{
    storage::{Durability, Entry, Storage, StorageError, Table, View},
    tree::{StateChange, StateTree, prove, prove_range, verify_stored},
};
use vouch_store::{RocksStore, StoreOptions};
use vouch_types::{StateRoot, codec::encode};

type Outcome<T> = Result<T, Box<dyn Error>>;

const LOAD_BATCH_KEYS: u64 = 20_000;
const VALUE_BYTES: usize = 100;
const PROOFS: u64 = 2_000;
const DELETED_KEYS: u64 = 500;
const PIECE_SLOTS: u64 = 4096;
const CRASH_BLOCKS: usize = 20;
const CRASH_CHILD: &str = "--crash-child";

struct Arguments {
    keys: u64,
    blocks: usize,
    block_keys: u64,
    cache_mib: usize,
    directory: PathBuf,
    out: Option<PathBuf>,
    beside: String,
    verify: bool,
    keep: bool,
}

impl Arguments {
    fn parse() -> Outcome<Self> {
        let mut parsed = Self {
            keys: 1_000_000,
            blocks: 60,
            block_keys: 5_000,
            cache_mib: 64,
            directory: std::env::temp_dir().join(format!("vouch-tree-bench-{}", std::process::id())),
            out: None,
            beside: "not stated".into(),
            verify: false,
            keep: false,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{name} needs a value"));
            match name.as_str() {
                "--verify" => parsed.verify = true,
                "--keep" => parsed.keep = true,
                "--keys" => parsed.keys = value()?.parse()?,
                "--blocks" => parsed.blocks = value()?.parse()?,
                "--block-keys" => parsed.block_keys = value()?.parse()?,
                "--cache-mib" => parsed.cache_mib = value()?.parse()?,
                "--dir" => parsed.directory = value()?.into(),
                "--out" => parsed.out = Some(value()?.into()),
                "--beside" => parsed.beside = value()?,
                _ => return Err(format!("unknown option {name}").into()),
            }
        }
        Ok(parsed)
    }

    fn options(&self) -> StoreOptions {
        StoreOptions { cache_bytes: self.cache_mib << 20, ..StoreOptions::default() }
    }
}

/// Splitmix64: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

fn key(number: u64) -> Vec<u8> {
    blake3::hash(&number.to_be_bytes()).as_bytes().to_vec()
}

fn value(seed: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(VALUE_BYTES);
    bytes.extend(blake3::hash(&seed.to_le_bytes()).as_bytes());
    bytes.resize(VALUE_BYTES, b'v');
    bytes
}

/// The store, its tree, and how many keys were written so far: key `n` is `key(n)`.
struct Bench {
    store: RocksStore,
    tree: StateTree,
    written: u64,
    numbers: Numbers,
}

/// Time of the calling thread, whole and in parts, of all threads and by the clock.
#[derive(Clone, Copy)]
struct Cost {
    main: Duration,
    look_up: Duration,
    read_pages: Duration,
    write: Duration,
    all: Duration,
    wall: Duration,
}

/// A view that measures what reading many at once costs.
struct Timed<'a> {
    view: &'a dyn View,
    /// Of the state table and of the others.
    spent: Mutex<(Duration, Duration)>,
}

impl View for Timed<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.view.get(table, key)
    }

    fn get_many(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        let thread = ThreadTime::now();
        let values = self.view.get_many(table, keys);
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        *(if table == Table::State { &mut spent.0 } else { &mut spent.1 }) += thread.elapsed();
        values
    }

    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StorageError> {
        self.view.scan(table, from, to, limit)
    }

    fn last(&self, table: Table, before: Option<&[u8]>) -> Result<Option<Entry>, StorageError> {
        self.view.last(table, before)
    }
}

impl Bench {
    fn open(path: &Path, options: StoreOptions) -> Outcome<Self> {
        let store = RocksStore::open(path, options)?;
        let tree = StateTree::open(&store)?;
        let written = tree.slots();
        Ok(Self { store, tree, written, numbers: Numbers(7) })
    }

    fn block(&mut self, mut changes: Vec<StateChange>, durability: Durability) -> Outcome<Cost> {
        let (main, all, wall) = (ThreadTime::now(), ProcessTime::now(), Instant::now());
        changes.sort_unstable();
        changes.dedup_by(|a, b| a.0 == b.0);
        let view = self.store.view();
        let timed = Timed { view: &*view, spent: Mutex::default() };
        let mut update = self.tree.prepare(&timed, &changes, &[])?;
        let (look_up, read_pages) = timed.spent.into_inner().unwrap_or_else(PoisonError::into_inner);
        drop(view);
        let writing = ThreadTime::now();
        self.store.write(update.take_batch(), durability)?;
        let write = writing.elapsed();
        self.tree.commit(update)?;
        Ok(Cost { main: main.elapsed(), look_up, read_pages, write, all: all.elapsed(), wall: wall.elapsed() })
    }

    fn load(&mut self, keys: u64) -> Outcome<()> {
        while self.written < keys {
            let to = keys.min(self.written + LOAD_BATCH_KEYS);
            let changes = (self.written..to).map(|n| (key(n), Some(value(n)))).collect();
            self.block(changes, Durability::Buffered)?;
            self.written = to;
        }
        self.settle()
    }

    /// Waits until no flush and no compaction is under way, so that workloads do not pay for each other.
    fn settle(&self) -> Outcome<()> {
        self.store.flush()?;
        loop {
            let stats = self.store.stats()?;
            if stats.compactions_running + stats.flushes_running == 0 && stats.compaction_pending_bytes() == 0 {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Keys of one block: `new` and `recent` percent, the rest anywhere.
    fn changes(&mut self, count: u64, new: u64, recent: u64) -> Vec<StateChange> {
        let before = self.written;
        (0..count)
            .map(|_| {
                let dice = self.numbers.below(100);
                let number = if dice < new {
                    self.written += 1;
                    self.written - 1
                } else if dice < new + recent {
                    before - 1 - self.numbers.below(before / 100)
                } else {
                    self.numbers.below(before)
                };
                (key(number), Some(value(self.numbers.next())))
            })
            .collect()
    }

    fn workload(
        &mut self,
        name: &str,
        arguments: &Arguments,
        new: u64,
        recent: u64,
        figures: &mut Map<String, Value>,
    ) -> Outcome<()> {
        let mut costs = Vec::with_capacity(arguments.blocks);
        let all = ProcessTime::now();
        for _ in 0..arguments.blocks {
            let changes = self.changes(arguments.block_keys, new, recent);
            costs.push(self.block(changes, Durability::Synced)?);
        }
        let all_with_background = all.elapsed();
        let keys = arguments.block_keys as f64;
        let per_key = |time: Duration| time.as_secs_f64() * 1e6 / keys;
        let main = median(costs.iter().map(|cost| per_key(cost.main)));
        figures.insert(format!("{name}_main_us_per_key"), rounded(main));
        for (part, of) in [
            ("look_up", (|cost| cost.look_up) as fn(&Cost) -> Duration),
            ("read_pages", |cost| cost.read_pages),
            ("write", |cost| cost.write),
        ] {
            let part_median = median(costs.iter().map(|cost| per_key(of(cost))));
            figures.insert(format!("{name}_of_which_{part}_us_per_key"), rounded(part_median));
        }
        figures.insert(
            format!("{name}_all_us_per_key_median"),
            rounded(median(costs.iter().map(|cost| per_key(cost.all)))),
        );
        figures.insert(
            format!("{name}_all_us_per_key_mean_with_background_and_key_making"),
            rounded(per_key(all_with_background) / arguments.blocks as f64),
        );
        let wall = |cost: &Cost| cost.wall.as_secs_f64() * 1e3;
        figures.insert(format!("{name}_block_wall_ms_median"), rounded(median(costs.iter().map(wall))));
        figures.insert(format!("{name}_block_wall_ms_max"), rounded(costs.iter().map(wall).fold(0.0, f64::max)));
        println!("{name}: {main:.2} us CPU per key, main thread");
        self.settle()
    }

    fn proofs(&mut self, figures: &mut Map<String, Value>) -> Outcome<()> {
        let deleted: Vec<StateChange> =
            (0..DELETED_KEYS).map(|_| (key(self.numbers.below(self.written)), None)).collect();
        let deleted_keys: Vec<Vec<u8>> = deleted.iter().map(|change| change.0.clone()).collect();
        self.block(deleted, Durability::Synced)?;
        let root = self.tree.root();
        let random: Vec<Vec<u8>> = (0..PROOFS).map(|_| key(self.numbers.below(self.written))).collect();
        for (name, keys) in [("proof", random), ("proof_of_deletion", deleted_keys)] {
            let view = self.store.view();
            let (mut cpu, mut wall, mut bytes_max, mut verify) = (Vec::new(), Vec::new(), 0, Vec::new());
            for key in &keys {
                let (thread, clock) = (ThreadTime::now(), Instant::now());
                let proof = prove(&*view, key)?.ok_or("a written key has a proof")?;
                wall.push(clock.elapsed().as_secs_f64() * 1e6);
                cpu.push(thread.elapsed().as_secs_f64() * 1e6);
                let thread = ThreadTime::now();
                proof.verify(&root)?;
                verify.push(thread.elapsed().as_secs_f64() * 1e6);
                bytes_max = bytes_max.max(encode(&proof).len());
            }
            figures.insert(format!("{name}_bytes_max"), json!(bytes_max));
            figures.insert(format!("{name}_cpu_us_median"), rounded(median(cpu.iter().copied())));
            figures.insert(format!("{name}_cpu_us_p99"), rounded(quantile(cpu.into_iter(), 99)));
            figures.insert(format!("{name}_wall_us_median"), rounded(median(wall.iter().copied())));
            figures.insert(format!("{name}_wall_us_p99"), rounded(quantile(wall.into_iter(), 99)));
            figures.insert(format!("{name}_verify_cpu_us_median"), rounded(median(verify.into_iter())));
        }
        let (thread, from) = (ThreadTime::now(), self.numbers.below(self.written - PIECE_SLOTS) / 16 * 16);
        let piece = prove_range(&self.store, from, from + PIECE_SLOTS, usize::MAX)?.ok_or("slots are there")?;
        let made = thread.elapsed();
        let thread = ThreadTime::now();
        piece.verify(&root)?;
        let per_slot = |time: Duration| rounded(time.as_secs_f64() * 1e6 / PIECE_SLOTS as f64);
        figures.insert("range_piece_cpu_us_per_slot".into(), per_slot(made));
        figures.insert("range_piece_verify_cpu_us_per_slot".into(), per_slot(thread.elapsed()));
        Ok(())
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    quantile(values, 50)
}

fn quantile(values: impl Iterator<Item = f64>, percent: usize) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get((values.len() * percent / 100).min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

fn rounded(figure: f64) -> Value {
    json!((figure * 100.0).round() / 100.0)
}

/// Runs blocks and says each root once its write was acknowledged, until it is killed.
fn crash_child(directory: &Path) -> Outcome<()> {
    let mut bench = Bench::open(directory, StoreOptions::default())?;
    bench.numbers = Numbers(bench.written);
    let mut out = std::io::stdout().lock();
    loop {
        let changes = bench.changes(1000, 70, 20);
        bench.block(changes, Durability::Synced)?;
        writeln!(out, "{}", bench.tree.root())?;
        out.flush()?;
    }
}

/// Kills a writer with SIGKILL after some blocks; returns whether the last acknowledged root, or that of the block under way,
/// is what the store opens with, and how long that takes.
fn crash_check(directory: &Path, options: StoreOptions) -> Outcome<(bool, Duration)> {
    let mut child =
        Command::new(std::env::current_exe()?).arg(CRASH_CHILD).arg(directory).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("stdout is piped")?).lines();
    let mut acknowledged: Vec<StateRoot> = Vec::new();
    for _ in 0..CRASH_BLOCKS {
        acknowledged.push(lines.next().ok_or("the writer ended by itself")??.parse()?);
    }
    child.kill()?;
    child.wait()?;
    for line in lines {
        acknowledged.push(line?.parse()?);
    }
    let clock = Instant::now();
    let mut bench = Bench::open(directory, options)?;
    let took = clock.elapsed();
    let last = *acknowledged.last().ok_or("blocks were acknowledged")?;
    if bench.tree.root() == last {
        return Ok((true, took));
    }
    // A block may have been durable and not yet acknowledged; then its predecessor was the last acknowledged one. Redo the
    // step from the writer's own numbers is not possible from here, so the whole stored tree is recomputed instead.
    let whole = verify_stored(&bench.store)? == bench.tree.root();
    let absent = acknowledged[..acknowledged.len() - 1].contains(&bench.tree.root());
    bench.block(vec![(key(0), Some(value(0)))], Durability::Synced)?;
    Ok((whole && !absent, took))
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = read("/proc/meminfo");
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
    format!("{}, {cores} cores, {} memory", model.trim_start_matches(['\t', ' ', ':']), memory.trim())
}

fn commit() -> String {
    let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    output.map_or_else(|_| "unknown".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Today in UTC, as `YYYY-MM-DD` (days to civil date, Howard Hinnant's algorithm).
fn date() -> Outcome<String> {
    let days = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / 86_400;
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    Ok(format!("{year:04}-{month:02}-{day:02}"))
}

fn resident_mib() -> Value {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kib = line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok());
    json!(kib.map(|kib| kib / 1024))
}

fn measure(arguments: &Arguments) -> Outcome<Map<String, Value>> {
    let mut figures = Map::new();
    let (all, wall) = (ProcessTime::now(), Instant::now());
    let mut bench = Bench::open(&arguments.directory, arguments.options())?;
    figures.insert("idle_resident_mib".into(), resident_mib());
    bench.load(arguments.keys)?;
    let keys = arguments.keys as f64;
    figures.insert("keys".into(), json!(arguments.keys));
    figures.insert("cache_mib".into(), json!(arguments.cache_mib));
    figures.insert("blocks".into(), json!(arguments.blocks));
    figures.insert("block_keys".into(), json!(arguments.block_keys));
    figures.insert("load_wall_s".into(), rounded(wall.elapsed().as_secs_f64()));
    figures.insert("load_all_us_per_key".into(), rounded(all.elapsed().as_secs_f64() * 1e6 / keys));
    println!("loaded {} keys in {:.1} s", arguments.keys, wall.elapsed().as_secs_f64());
    for (name, new, recent) in [("new", 100, 0), ("mix", 70, 20), ("recent", 0, 100), ("random", 0, 0)] {
        bench.workload(name, arguments, new, recent, &mut figures)?;
    }
    bench.proofs(&mut figures)?;
    bench.settle()?;
    for table in bench.store.stats()?.tables.iter().filter(|table| table.files_bytes > 0) {
        let per_key = table.files_bytes as f64 / bench.written as f64;
        figures.insert(format!("disk_bytes_per_key_{:?}", table.table).to_lowercase(), rounded(per_key));
    }
    let files = bench.store.stats()?.files_bytes() as f64;
    figures.insert("disk_bytes_per_key".into(), rounded(files / bench.written as f64));
    figures.insert("busy_resident_mib".into(), resident_mib());
    let (root, slots) = (bench.tree.root(), bench.tree.slots());
    drop(bench);
    let clock = Instant::now();
    let bench = Bench::open(&arguments.directory, arguments.options())?;
    figures.insert("reopen_wall_ms".into(), rounded(clock.elapsed().as_secs_f64() * 1e3));
    figures.insert("reopened_resident_mib".into(), resident_mib());
    if (bench.tree.root(), bench.tree.slots()) != (root, slots) {
        return Err("the reopened tree has another root".into());
    }
    if arguments.verify {
        let clock = Instant::now();
        verify_stored(&bench.store)?;
        figures.insert("verify_stored_wall_s".into(), rounded(clock.elapsed().as_secs_f64()));
    }
    drop(bench);
    let (recovered, took) = crash_check(&arguments.directory, arguments.options())?;
    figures.insert("killed_writer_lost_acknowledged_blocks".into(), json!(u8::from(!recovered)));
    figures.insert("reopen_after_kill_wall_ms".into(), rounded(took.as_secs_f64() * 1e3));
    Ok(figures)
}

fn main() -> Outcome<()> {
    let command: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, directory] = command.as_slice()
        && mode == CRASH_CHILD
    {
        return crash_child(Path::new(directory));
    }
    let arguments = Arguments::parse()?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let figures = measure(&arguments);
    if !arguments.keep {
        std::fs::remove_dir_all(&arguments.directory)?;
    }
    let report = json!({
        "name": "state tree on RocksDB",
        "command": format!("cargo run -p vouch-store --example tree_bench -- --keys {} --cache-mib {}", arguments.keys, arguments.cache_mib),
        "commit": commit(),
        "date": date()?,
        "machine": machine(),
        "beside": format!("{}; load average at start {}", arguments.beside, load.split(' ').take(3).collect::<Vec<_>>().join(" ")),
        "figures": figures?,
        "bars": {
            "new_main_us_per_key": {"max": 6},
            "mix_main_us_per_key": {"max": 12},
            "proof_bytes_max": {"max": 2048},
            "proof_of_deletion_bytes_max": {"max": 2048},
            "proof_cpu_us_p99": {"max": 1000},
            "proof_wall_us_median": {"max": 1000},
            "proof_of_deletion_cpu_us_p99": {"max": 1000},
            "proof_of_deletion_wall_us_median": {"max": 1000},
            "killed_writer_lost_acknowledged_blocks": {"max": 0},
        },
    });
    let text = serde_json::to_string_pretty(&report)?;
    println!("{text}");
    if let Some(out) = &arguments.out {
        std::fs::write(out, text + "\n")?;
    }
    Ok(())
}
