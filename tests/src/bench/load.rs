//! How much a network of four takes, and how long a transaction takes at half of that.

use anyhow::Result;

use super::{Figure, Scale};
use crate::cluster::{Cluster, Load, LoadReport, Options, Pressure};

/// What runs beside the nodes.
pub const BESIDE: &str = "four nodes and the load generator share the machine";

/// Processor time of all nodes so far, in seconds.
fn cpu_seconds(cluster: &mut Cluster) -> Result<f64> {
    cluster.all().into_iter().map(|node| Ok(cluster.process(node)?.usage()?.cpu_seconds)).sum()
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
    let before = cpu_seconds(&mut cluster)?;
    let (report, _) = Load::start(&cluster, scale.of(60, 5), Pressure::FULL)?.finish().await?;
    let cpu = cpu_seconds(&mut cluster)? - before;
    set_report(&mut full, "", &report);
    full.at_least("committed_per_second", report.committed_per_second, 3000.0);
    full.between("block_interval_p50_ms", report.block_interval_p50_ms, 250.0, 500.0);
    full.at_most("lost_count", report.lost as f64, 0.0);
    full.set("transaction_bytes", report.transaction_bytes as f64);
    full.set("cpu_us_per_transaction_and_node", cpu * 1e6 / report.committed.max(1) as f64 / 4.0);

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
