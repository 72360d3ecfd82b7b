//! How much a network of four takes, and how long a transaction takes at half of that.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{Figure, Scale};
use crate::cluster::{Cluster, Load, LoadReport, Options, Pressure, until};

/// What runs beside the nodes.
pub const BESIDE: &str = "four nodes and the load generator share the machine";

/// What a thread of a node does, by the beginning of its name.
const THREADS: [(&str, &str); 6] = [
    // Building, executing and committing blocks, consensus, mempool.
    ("replica", "replica"),
    // Decoding and signatures.
    ("admission", "admission"),
    ("vault", "vault"),
    // HTTP, and the network between nodes.
    ("tokio", "http_and_network"),
    ("index", "index"),
    ("rocksdb", "database"),
];

/// Processor time of one node so far, in seconds, by what its threads do; and of all of them, also those that have ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spent {
    /// By part.
    pub parts: BTreeMap<&'static str, f64>,
    /// All.
    pub all: f64,
}

impl Spent {
    /// Of a running node.
    ///
    /// # Errors
    /// When it does not run.
    pub fn of(cluster: &mut Cluster, node: usize) -> Result<Self> {
        let process = cluster.process(node)?;
        let mut parts: BTreeMap<&'static str, f64> = BTreeMap::new();
        for (name, seconds) in process.cpu_by_thread()? {
            let known = THREADS.iter().find(|(begins, _)| name.starts_with(begins));
            *parts.entry(known.map_or("others", |(_, part)| part)).or_default() += seconds;
        }
        Ok(Self { parts, all: process.usage()?.cpu_seconds })
    }

    /// Of these nodes together.
    ///
    /// # Errors
    /// When one does not run.
    pub fn of_all(cluster: &mut Cluster, nodes: &[usize]) -> Result<Self> {
        let mut sum = Self::default();
        for node in nodes {
            let spent = Self::of(cluster, *node)?;
            sum.all += spent.all;
            for (part, seconds) in spent.parts {
                *sum.parts.entry(part).or_default() += seconds;
            }
        }
        Ok(sum)
    }

    /// What was spent since `before`, divided by a number, in microseconds.
    #[must_use]
    pub fn us_since(&self, before: &Self, by: f64) -> Self {
        let us = |now: f64, before: f64| (now - before) * 1e6 / by.max(1.0);
        let part =
            |(part, now): (&&'static str, &f64)| (*part, us(*now, before.parts.get(part).copied().unwrap_or_default()));
        Self { parts: self.parts.iter().map(part).collect(), all: us(self.all, before.all) }
    }

    /// One part.
    #[must_use]
    pub fn part(&self, part: &str) -> f64 {
        self.parts.get(part).copied().unwrap_or_default()
    }
}

/// Longest that an index may take to come to the head.
const INDEX_PATIENCE: Duration = Duration::from_secs(120);

/// How far the index that is furthest behind is, in blocks, and after how many seconds all have come to the head of this moment.
///
/// # Errors
/// When one does not in time.
pub async fn index_behind(cluster: &Cluster) -> Result<(f64, f64)> {
    let begun = Instant::now();
    let (mut most, mut heads) = (0, Vec::new());
    for node in cluster.all() {
        let status = cluster.client(node)?.index_status().await?;
        most = most.max(status.lag);
        heads.push(status.head);
    }
    for (node, head) in cluster.all().into_iter().zip(heads) {
        let client = cluster.client(node)?;
        until("the index is at the head", INDEX_PATIENCE, async || {
            Ok(client.index_status().await.ok().filter(|status| status.indexed >= head))
        })
        .await?;
    }
    Ok((most as f64, begun.elapsed().as_secs_f64()))
}

/// The numbers that every load has.
pub fn set_report(figure: &mut Figure, prefix: &str, report: &LoadReport) {
    for (key, value) in [
        ("committed_per_second", report.committed_per_second),
        ("latency_p50_ms", report.latency_p50_ms),
        ("latency_p95_ms", report.latency_p95_ms),
        ("latency_p99_ms", report.latency_p99_ms),
        ("latency_max_ms", report.latency_max_ms),
        ("block_interval_p50_ms", report.block_interval_p50_ms),
        ("block_interval_p95_ms", report.block_interval_p95_ms),
        ("lost_count", report.lost as f64),
    ] {
        figure.set(format!("{prefix}{key}"), value);
    }
}

/// Half of what a network took, as a rate to ask for.
#[must_use]
pub fn half(report: &LoadReport) -> u32 {
    (report.committed_per_second / 2.0).max(1.0) as u32
}

pub(super) async fn measure(scale: Scale) -> Result<Vec<Figure>> {
    let mut full = Figure::new("performance-saturation", "load", BESIDE);
    let mut cluster = Cluster::start(Options::default()).await?;
    // Connections, caches and compiled contracts, as in a network that has been up for a while.
    Load::start(&cluster, scale.of(5, 1), Pressure::Rate(500))?.finish().await?;
    let nodes = cluster.all();
    let before = Spent::of_all(&mut cluster, &nodes)?;
    let (report, _) = Load::start(&cluster, scale.of(60, 5), Pressure::FULL)?.finish().await?;
    let (behind, index_s) = index_behind(&cluster).await?;
    let spent = Spent::of_all(&mut cluster, &nodes)?.us_since(&before, report.committed as f64 * nodes.len() as f64);
    set_report(&mut full, "", &report);
    full.at_least("committed_per_second", report.committed_per_second, 3000.0);
    full.between("block_interval_p50_ms", report.block_interval_p50_ms, 250.0, 500.0);
    full.at_most("lost_count", report.lost as f64, 0.0);
    full.set("transaction_bytes", report.transaction_bytes as f64);
    full.set("index_behind_at_the_end_blocks", behind);
    full.at_most("index_at_the_head_after_the_load_s", index_s, 10.0);
    full.set("cpu_us_per_transaction_and_node", spent.all);
    for (part, us) in spent.parts {
        full.set(format!("cpu_us_per_transaction_and_node_{part}"), us);
    }

    let mut calm = Figure::new("performance-half-load", "load", BESIDE);
    let (report, _) = Load::start(&cluster, scale.of(60, 5), Pressure::Rate(half(&report)))?.finish().await?;
    set_report(&mut calm, "", &report);
    calm.at_most("latency_p50_ms", report.latency_p50_ms, 400.0);
    calm.at_most("latency_p95_ms", report.latency_p95_ms, 700.0);
    calm.at_most("latency_p99_ms", report.latency_p99_ms, 1000.0);
    calm.between("block_interval_p50_ms", report.block_interval_p50_ms, 250.0, 500.0);
    calm.at_most("lost_count", report.lost as f64, 0.0);
    Ok(vec![full, calm])
}
