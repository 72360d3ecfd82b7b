//! What a transaction costs a node, part by part.
//!
//! ```text
//! the bare path of a block, one copy alone ----> decode, signatures, contract, tree, store; the same with small blocks
//! a network that makes blocks of nothing ------> consensus, per block
//! a network asked at all nodes, at full load --> everything, by thread; bytes on the wire
//! a network asked at one node -----------------> network at those not asked; HTTP is what the asked one has on top
//! ```

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{
    Figure, Scale,
    load::{Spent, half, index_behind},
    path,
};
use crate::cluster::{Cluster, Load, LoadReport, Options, Pressure, metric};

/// Transactions of a large block, about as many as at full load.
const LARGE: u64 = 1_500;
/// Transactions of a small block.
const SMALL: u64 = 150;
/// From one block of nothing to the next.
const INTERVAL_MS: u32 = 300;
/// The node that is asked when only one is.
const ASKED: usize = 0;

pub(super) async fn measure(scale: Scale) -> Result<Vec<Figure>> {
    let own = "the bare path runs alone; then four nodes, and with transactions the load generator, share the machine";
    let mut figure = Figure::new("performance-cost", "cost", own);
    let large = path::alone(scale.of(40, 4), LARGE).await?;
    let small = path::alone(scale.of(200, 10), SMALL).await?;
    let mut parts = 0.0;
    for ((part, us), (_, us_small)) in large.parts().into_iter().zip(small.parts()) {
        figure.set(format!("{part}_us"), us);
        figure.set(format!("{part}_with_small_blocks_us"), us_small);
        parts += us;
    }
    figure.set("large_block_transactions", LARGE as f64);
    figure.set("small_block_transactions", SMALL as f64);
    figure.set("signature_checked_by_itself_us", large.single_signature_us());

    let per_block = empty_blocks(scale).await?;
    figure.set("consensus_us_per_block", per_block.all);
    figure.set("consensus_us_per_block_replica", per_block.part("replica"));
    figure.set("consensus_us_per_block_network", per_block.part("http_and_network"));

    let (report, all, http, network) = under_load(scale, &mut figure).await?;
    let block_transactions = report.committed as f64 / report.blocks.max(1) as f64;
    let consensus = per_block.all / block_transactions;
    // What consensus sends is in what it costs.
    let network = (network - per_block.part("http_and_network") / block_transactions).max(0.0);
    figure.set("block_transactions", block_transactions);
    figure.set("consensus_us", consensus);
    figure.set("network_us", network);
    figure.set("http_us", http);
    figure.set("index_us", all.part("index"));
    figure.set("database_background_us", all.part("database"));
    let known = parts + consensus + network + http + all.part("index") + all.part("database");
    figure.set("sum_of_parts_us", known);
    figure.set("whole_us", all.all);
    figure.set("committed_per_second", report.committed_per_second);
    // Measured at different times and places: parts that come to far more or less than the whole explain nothing.
    figure.between("sum_of_parts_percent_of_the_whole", known / all.all * 100.0, 60.0, 160.0);
    Ok(vec![figure])
}

/// What a block of nothing costs each node.
async fn empty_blocks(scale: Scale) -> Result<Spent> {
    let mut cluster = Cluster::start(Options { idle_interval_ms: INTERVAL_MS, ..Options::default() }).await?;
    let nodes = cluster.all();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (from, before) = (cluster.status(0).await?.head, Spent::of_all(&mut cluster, &nodes)?);
    tokio::time::sleep(Duration::from_secs(scale.of(30, 4))).await;
    let (to, after) = (cluster.status(0).await?.head, Spent::of_all(&mut cluster, &nodes)?);
    ensure!(to > from, "no blocks were made");
    Ok(after.us_since(&before, (to.0 - from.0) as f64 * nodes.len() as f64))
}

/// Full load at all nodes, then half of it at one: the report of the first, its cost per transaction and node, and of that
/// HTTP, if every node is asked for its share, and the network.
async fn under_load(scale: Scale, figure: &mut Figure) -> Result<(LoadReport, Spent, f64, f64)> {
    let mut cluster = Cluster::start(Options::default()).await?;
    let nodes = cluster.all();
    Load::start(&cluster, scale.of(5, 1), Pressure::Rate(500))?.finish().await?;
    let bytes_before = bytes_in(&cluster).await?;
    let before = Spent::of_all(&mut cluster, &nodes)?;
    let (report, _) = Load::start(&cluster, scale.of(30, 4), Pressure::FULL)?.finish().await?;
    let count = report.committed as f64;
    index_behind(&cluster).await?;
    let all = Spent::of_all(&mut cluster, &nodes)?.us_since(&before, count * nodes.len() as f64);
    for ((channel, now), (_, before)) in bytes_in(&cluster).await?.into_iter().zip(bytes_before) {
        figure.set(format!("received_{channel}_bytes"), (now - before) / count / nodes.len() as f64);
    }
    figure.set("transaction_bytes", report.transaction_bytes as f64);

    let others: Vec<usize> = nodes.iter().copied().filter(|node| *node != ASKED).collect();
    let (asked_before, others_before) = (Spent::of(&mut cluster, ASKED)?, Spent::of_all(&mut cluster, &others)?);
    let load = Load::start_at(&cluster, &[ASKED], scale.of(30, 4), Pressure::Rate(half(&report)))?;
    let at_one = load.finish().await?.0.committed as f64;
    index_behind(&cluster).await?;
    let asked = Spent::of(&mut cluster, ASKED)?.us_since(&asked_before, at_one);
    let not_asked = Spent::of_all(&mut cluster, &others)?.us_since(&others_before, at_one * others.len() as f64);
    let network = not_asked.part("http_and_network");
    // It sends its transactions to all others as well: each node does so with its share, as it serves HTTP.
    let http = (asked.part("http_and_network") - network).max(0.0) / nodes.len() as f64;
    figure.set("asked_alone_us", asked.all);
    figure.set("not_asked_us", not_asked.all);
    Ok((report, all, http, network))
}

/// Bytes that all nodes received from each other so far, by channel.
async fn bytes_in(cluster: &Cluster) -> Result<Vec<(&'static str, f64)>> {
    let mut all = Vec::new();
    for channel in ["consensus", "blocks", "transactions"] {
        let mut sum = 0.0;
        for node in cluster.all() {
            sum += metric(cluster, node, &format!("vouch_net_bytes_in_total{{channel=\"{channel}\"}}")).await?;
        }
        all.push((channel, sum));
    }
    Ok(all)
}
