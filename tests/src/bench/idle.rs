//! What nodes use with nothing to do.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Figure, Scale};
use crate::cluster::{Cluster, Load, Options, Pressure};

pub(super) async fn measure(scale: Scale) -> Result<Vec<Figure>> {
    let mut figure = Figure::new("performance-idle", "idle", "nothing but four nodes");
    let mut cluster = Cluster::start(Options::default()).await?;
    // A chain that has done something, and is at rest again.
    Load::start(&cluster, 1, Pressure::Rate(200))?.finish().await?;
    tokio::time::sleep(Duration::from_secs(scale.of(5, 1))).await;
    let mut before = Vec::new();
    for node in cluster.all() {
        before.push(cluster.process(node)?.usage()?);
    }
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs(scale.of(60, 10))).await;
    let seconds = begun.elapsed().as_secs_f64();
    let (mut cpu, mut memory) = (Vec::new(), Vec::new());
    for (node, before) in before.into_iter().enumerate() {
        let now = cluster.process(node)?.usage()?;
        cpu.push((now.cpu_seconds - before.cpu_seconds) / seconds * 100.0);
        memory.push(now.resident_bytes as f64 / 1e6);
    }
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    figure.at_most("cpu_most_percent", most(&cpu), 1.0);
    figure.set("cpu_mean_percent", cpu.iter().sum::<f64>() / cpu.len() as f64);
    figure.at_most("memory_most_mb", most(&memory), 120.0);
    Ok(vec![figure])
}
