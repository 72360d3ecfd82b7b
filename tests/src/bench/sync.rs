//! How fast a node without data catches up from its peers' blocks.

use std::time::{Duration, Instant};

use anyhow::Result;
use vouch_types::Height;

use super::{Figure, Scale};
use crate::cluster::{Cluster, Load, Options, Pressure, blocks, same_root};

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
