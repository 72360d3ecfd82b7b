//! How fast a node without data catches up: from its peers' blocks, and from a state they hand over.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use vouch_types::Height;

use super::{Figure, Scale};
use crate::cluster::{Cluster, Line, Load, Options, Pressure, blocks, metric, same_root};

/// Longest the node may take.
const PATIENCE: Duration = Duration::from_secs(600);

pub(super) async fn measure(scale: Scale) -> Result<Vec<Figure>> {
    let own = "the three nodes that it learns from share the machine; the chain goes on at its idle pace";
    let mut figure = Figure::new("performance-sync", "sync", own);
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
/// A line of 100 Mbit/s, which all nodes share while the state passes.
const LINE_BYTES_PER_SECOND: u64 = 12_500_000;
/// What joining may take beside the time in which its bytes pass such a line: starting, verifying and writing them, the last blocks.
const BESIDE_THE_TRANSFER: f64 = 1.5;

/// What joining took.
struct Took {
    seconds: f64,
    bytes: f64,
    /// All that came in while it joined.
    received: f64,
}

/// The last node loses its database and takes the state over from the others.
async fn join(cluster: &mut Cluster, head: Height) -> Result<Took> {
    cluster.stop(3).await?;
    cluster.wipe(3)?;
    cluster.configure(3, "join_after_blocks", JOIN_AFTER)?;
    let before = cluster.log(3).len();
    let begun = Instant::now();
    cluster.start_node(3)?;
    cluster.reach(3, head, PATIENCE).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let log = cluster.log(3);
    ensure!(
        log.get(before..).is_some_and(|log| log.contains("the state was taken over")),
        "it executed the past instead"
    );
    let (mut bytes, mut received) = (0.0, 0.0);
    for channel in ["blocks", "consensus", "transactions"] {
        let of = metric(cluster, 3, &format!("vouch_net_bytes_in_total{{channel=\"{channel}\"}}")).await?;
        received += of;
        bytes += if channel == "blocks" { of } else { 0.0 };
    }
    same_root(cluster, &cluster.all(), head).await?;
    Ok(Took { seconds, bytes, received })
}

pub(super) async fn measure_snapshot(scale: Scale) -> Result<Vec<Figure>> {
    let own = "the three nodes that it takes the state from, and relays, share the machine; the chain goes on at its idle pace";
    let mut figure = Figure::new("performance-snapshot", "snapshot", own);
    let line = Arc::new(Line::default());
    let mut cluster = Cluster::start(Options { line: Some(Arc::clone(&line)), ..Options::default() }).await?;
    Load::start(&cluster, scale.of(60, 30), Pressure::FULL)?.finish().await?;
    let head = cluster.status(0).await?.head;
    ensure!(head.0 > JOIN_AFTER, "only {head} blocks were made");
    let mib = f64::from(1 << 20);
    let took = join(&mut cluster, head).await?;
    figure.set("blocks_count", head.0 as f64);
    figure.set("state_and_last_blocks_mib", took.bytes / mib);
    figure.set("database_of_others_mib", metric(&cluster, 0, "vouch_store_files_bytes").await? / mib);
    figure.set("transferred_per_second_mib", took.bytes / mib / took.seconds);
    figure.set("from_start_to_head_s", took.seconds);

    line.bound(LINE_BYTES_PER_SECOND);
    let head = cluster.status(0).await?.head;
    let took = join(&mut cluster, head).await?;
    let transfer = took.received / LINE_BYTES_PER_SECOND as f64;
    figure.set("line_mbit_per_second", LINE_BYTES_PER_SECOND as f64 * 8.0 / 1e6);
    figure.set("line_transfer_of_its_bytes_s", transfer);
    figure.set("line_from_start_to_head_s", took.seconds);
    figure.at_most("line_joining_to_transfer_ratio", took.seconds / transfer, BESIDE_THE_TRANSFER);
    Ok(vec![figure])
}
