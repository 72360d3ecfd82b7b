//! How fast a node without data catches up: from its peers' blocks, and from a state they hand over.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use vouch_types::Height;

use super::{Figure, Scale};
use crate::cluster::{Cluster, Load, Options, Pressure, blocks, metric, same_root};

/// Longest the node may take.
const PATIENCE: Duration = Duration::from_secs(600);

pub(super) async fn measure(scale: Scale) -> Result<Vec<Figure>> {
    let mut figure = Figure::new("performance-sync", "sync", "the three nodes that it learns from share the machine");
    let mut cluster = Cluster::start(Options::default()).await?;
    Load::start(&cluster, scale.of(60, 5), Pressure::FULL)?.finish().await?;
    let head = cluster.status(0).await?.head;
    let chain = blocks(&cluster.client(0)?, Height(1), head).await?;
    let transactions: u64 = chain.iter().map(|block| block.transactions.len() as u64).sum();
    cluster.stop(3).await?;
    cluster.wipe(3)?;
    let begun = Instant::now();
    cluster.start_node(3)?;
    cluster.reach(3, head, PATIENCE).await?;
    let seconds = begun.elapsed().as_secs_f64();
    same_root(&cluster, &cluster.all(), head).await?;
    figure.at_least("caught_up_per_second", transactions as f64 / seconds, 5000.0);
    figure.set("transactions_count", transactions as f64);
    figure.set("blocks_count", head.0 as f64);
    figure.set("from_start_to_head_s", seconds);
    Ok(vec![figure])
}

/// Blocks behind from which on the node takes the state over.
const JOIN_AFTER: u64 = 20;

pub(super) async fn measure_snapshot(scale: Scale) -> Result<Vec<Figure>> {
    let beside = "the three nodes that it takes the state from share the machine; the chain goes on at its idle pace";
    let mut figure = Figure::new("performance-snapshot", "snapshot", beside);
    let mut cluster = Cluster::start(Options::default()).await?;
    Load::start(&cluster, scale.of(60, 10), Pressure::FULL)?.finish().await?;
    let head = cluster.status(0).await?.head;
    ensure!(head.0 > JOIN_AFTER, "only {head} blocks were made");
    cluster.stop(3).await?;
    cluster.wipe(3)?;
    cluster.configure(3, "join_after_blocks", JOIN_AFTER)?;
    let begun = Instant::now();
    cluster.start_node(3)?;
    cluster.reach(3, head, PATIENCE).await?;
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(cluster.log(3).contains("the state was taken over"), "it executed the past instead");
    let bytes = metric(&cluster, 3, "vouch_net_bytes_in_total{channel=\"blocks\"}").await?;
    same_root(&cluster, &cluster.all(), head).await?;
    let database = metric(&cluster, 0, "vouch_store_files_bytes").await?;
    figure.set("blocks_count", head.0 as f64);
    figure.set("state_and_last_blocks_mib", bytes / f64::from(1 << 20));
    figure.set("database_of_others_mib", database / f64::from(1 << 20));
    figure.set("transferred_per_second_mib", bytes / f64::from(1 << 20) / seconds);
    figure.set("from_start_to_head_s", seconds);
    Ok(vec![figure])
}
