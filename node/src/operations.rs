//! What the process and its machine use, sampled every few seconds and kept for an hour in memory.
//!
//! Linux tells all of it in `/proc`; elsewhere the figures are 0.

use std::{
    collections::VecDeque,
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use vouch_index::Index;
use vouch_ledger::Reader;
use vouch_net::NetHandle;
use vouch_types::{
    Height,
    api::{OperationsSample, OperationsView, SAMPLE_SECONDS, SAMPLES_MAX},
};

use crate::{metrics::Metrics, runner::wall};

/// Clock ticks in a second as `/proc` counts them; Linux shows programs 100 on every machine.
const TICKS_PER_SECOND: u64 = 100;

/// Numbers that only grow, at one moment.
#[derive(Debug, Clone, Copy)]
struct Counters {
    at: Instant,
    cpu_ticks: u64,
    machine_busy: u64,
    machine_all: u64,
    read: u64,
    written: u64,
    blocks: u64,
    transactions: u64,
    block_time_ms: u64,
}

/// Takes the samples and holds them.
pub struct Operations {
    samples: Mutex<VecDeque<OperationsSample>>,
    before: Mutex<Option<Counters>>,
    database: PathBuf,
    net: NetHandle,
    reader: Reader,
    metrics: Arc<Metrics>,
    index: Option<Arc<Index>>,
}

/// Free and all bytes of the disk that a path is on.
fn disk(path: &std::path::Path) -> (u64, u64) {
    rustix::fs::statvfs(path).map_or((0, 0), |disk| {
        (disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize))
    })
}

/// A number after a name, as `/proc` writes them line by line, without its unit.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Ticks of this process, in its own code and in the kernel's.
fn process_ticks(stat: &str) -> u64 {
    // The second field is a name in brackets and may hold anything; the numbers follow the last bracket.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    number(11).saturating_add(number(12))
}

/// Ticks of all processors: those in use, and all.
fn machine_ticks(stat: &str) -> (u64, u64) {
    let line = stat.lines().next().unwrap_or("");
    let ticks: Vec<u64> = line.split_whitespace().skip(1).take(8).filter_map(|text| text.parse().ok()).collect();
    let all: u64 = ticks.iter().sum();
    // The fourth is idle, the fifth waits for a disk.
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    (all.saturating_sub(idle), all)
}

/// A share in thousandths.
fn permille(part: u64, whole: u64) -> u32 {
    u32::try_from(part.saturating_mul(1_000) / whole.max(1)).unwrap_or(u32::MAX)
}

fn per_second(amount: u64, elapsed: Duration) -> u64 {
    let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    amount.saturating_mul(1_000) / ms
}

impl Operations {
    /// Begins to take samples; ends with the last one who holds it.
    pub fn start(
        database: PathBuf,
        net: NetHandle,
        reader: Reader,
        metrics: Arc<Metrics>,
        index: Option<Arc<Index>>,
    ) -> Arc<Self> {
        let (samples, before) = (Mutex::default(), Mutex::default());
        let operations = Arc::new(Self { samples, before, database, net, reader, metrics, index });
        let taken = Arc::downgrade(&operations);
        tokio::spawn(async move {
            let mut turn = tokio::time::interval(Duration::from_secs(SAMPLE_SECONDS));
            turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                turn.tick().await;
                let Some(operations) = taken.upgrade() else { break };
                // Reads a few small files.
                drop(tokio::task::spawn_blocking(move || operations.take()).await);
            }
        });
        operations
    }

    fn count(&self) -> Counters {
        let (machine_busy, machine_all) = machine_ticks(&read("/proc/stat"));
        let io = read("/proc/self/io");
        let (blocks, transactions, block_time_ms) = self.metrics.block_counts();
        Counters {
            at: Instant::now(),
            cpu_ticks: process_ticks(&read("/proc/self/stat")),
            machine_busy,
            machine_all,
            read: field(&io, "read_bytes:"),
            written: field(&io, "write_bytes:"),
            blocks,
            transactions,
            block_time_ms,
        }
    }

    fn head(&self) -> Height {
        self.reader.published().head.height
    }

    fn take(&self) {
        let now = self.count();
        let Some(before) = self.before.lock().replace(now) else { return };
        let elapsed = now.at.duration_since(before.at);
        let cpu_ms = now.cpu_ticks.saturating_sub(before.cpu_ticks).saturating_mul(1_000 / TICKS_PER_SECOND);
        let blocks = now.blocks.saturating_sub(before.blocks);
        let block_time = now.block_time_ms.saturating_sub(before.block_time_ms);
        let transactions = now.transactions.saturating_sub(before.transactions);
        let index_lag = self.index.as_ref().map_or(0, |index| self.head().0.saturating_sub(index.progress().indexed.0));
        let peers = self.net.peers().iter().filter(|peer| peer.connected_since.is_some()).count();
        let sample = OperationsSample {
            time: wall(),
            cpu: permille(cpu_ms, u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)),
            machine_cpu: permille(
                now.machine_busy.saturating_sub(before.machine_busy),
                now.machine_all.saturating_sub(before.machine_all),
            ),
            memory: field(&read("/proc/self/status"), "VmRSS:").saturating_mul(1024),
            memory_available: field(&read("/proc/meminfo"), "MemAvailable:").saturating_mul(1024),
            disk_free: disk(&self.database).0,
            disk_read: per_second(now.read.saturating_sub(before.read), elapsed),
            disk_written: per_second(now.written.saturating_sub(before.written), elapsed),
            peers: crate::views::count(peers),
            block_interval: u32::try_from(block_time / blocks.max(1)).unwrap_or(u32::MAX),
            transactions: u32::try_from(per_second(transactions.saturating_mul(1_000), elapsed)).unwrap_or(u32::MAX),
            index_lag,
        };
        let mut samples = self.samples.lock();
        if samples.len() >= SAMPLES_MAX {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    /// What was sampled, and the sizes of now.
    #[must_use]
    pub fn view(&self, database_bytes: u64) -> OperationsView {
        let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        OperationsView {
            head: self.head(),
            processors: crate::views::count(processors),
            memory_total: field(&read("/proc/meminfo"), "MemTotal:").saturating_mul(1024),
            disk_total: disk(&self.database).1,
            database_bytes,
            index_bytes: self.index.as_ref().map_or(0, |index| index.bytes()),
            peers_expected: crate::views::count(self.net.peers().len()),
            samples: self.samples.lock().iter().copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_says_is_read() {
        let stat = "12 (a (strange) name) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 9";
        assert_eq!(process_ticks(stat), 300);
        assert_eq!(machine_ticks("cpu  10 0 20 60 10 0 0 0 5 5\ncpu0 1 1 1"), (30, 100));
        assert_eq!(field("VmPeak: 9 kB\nVmRSS:\t  1234 kB\n", "VmRSS:"), 1234);
        assert_eq!((field("", "VmRSS:"), process_ticks(""), machine_ticks("")), (0, 0, (0, 0)));
        assert_eq!((permille(5, 20), permille(1, 0)), (250, 1_000));
        assert_eq!(per_second(500, Duration::from_millis(250)), 2_000);
        // On the machine of the test, too.
        assert!(field(&read("/proc/self/status"), "VmRSS:") > 0);
        assert!(disk(std::path::Path::new("/")).1 > 0);
    }
}
