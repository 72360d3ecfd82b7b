//! Looking at a chain from outside: waiting, reading blocks, comparing nodes.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use vouch_sdk::Client;
use vouch_types::{Height, StateRoot, TxId, api::BlockDetail};

use super::network::Cluster;

/// Asks again until there is an answer.
///
/// # Errors
/// When there is none in time, or asking fails.
pub async fn until<T>(what: &str, patience: Duration, mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if Instant::now() > deadline {
            bail!("waited {} ms in vain: {what}", patience.as_millis());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Blocks from one height to another, both included.
///
/// # Errors
/// When one cannot be read.
pub async fn blocks(client: &Client, from: Height, to: Height) -> Result<Vec<BlockDetail>> {
    let mut blocks = Vec::new();
    for height in from.0..=to.0 {
        blocks.push(client.block(Some(Height(height))).await?);
    }
    Ok(blocks)
}

/// Times between neighbouring blocks by their headers.
#[must_use]
pub fn gaps_ms(blocks: &[BlockDetail]) -> Vec<u64> {
    blocks.windows(2).map(|pair| pair[1].summary.time.0.saturating_sub(pair[0].summary.time.0)).collect()
}

/// Every transaction that stands in these blocks.
///
/// # Errors
/// When one stands there twice.
pub fn transaction_ids(blocks: &[BlockDetail]) -> Result<BTreeSet<TxId>> {
    let mut ids = BTreeSet::new();
    for block in blocks {
        for id in &block.transactions {
            ensure!(ids.insert(*id), "transaction {id} stands twice in the chain");
        }
    }
    Ok(ids)
}

/// Waits until all these nodes have a height and compares their blocks there.
///
/// # Errors
/// When they differ.
pub async fn same_root(cluster: &Cluster, nodes: &[usize], height: Height) -> Result<StateRoot> {
    let mut found = None;
    for node in nodes {
        cluster.reach(*node, height, Duration::from_secs(60)).await?;
        let summary = cluster.client(*node)?.block(Some(height)).await?.summary;
        let (hash, root) = found.get_or_insert((summary.hash, summary.state_root));
        ensure!(
            *hash == summary.hash && *root == summary.state_root,
            "at {height} {} has block {} with state {}, another has {hash} with {root}",
            cluster.name(*node),
            summary.hash,
            summary.state_root
        );
    }
    found.map(|(_, root)| root).ok_or_else(|| anyhow::anyhow!("no node was named"))
}

/// A number from a node's metrics page, by its name with labels.
///
/// # Errors
/// When the page cannot be read or has no such number.
pub async fn metric(cluster: &Cluster, node: usize, name: &str) -> Result<f64> {
    let page = cluster.client(node)?.metrics().await?;
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.ok_or_else(|| anyhow::anyhow!("{} has no metric {name}", cluster.name(node)))
}

/// Looks for evidence of misbehaviour at every node.
///
/// # Errors
/// When there is some.
pub async fn no_evidence(cluster: &Cluster) -> Result<()> {
    for node in cluster.all() {
        let evidence = cluster.client(node)?.evidence(&vouch_sdk::ListQuery::default()).await?;
        ensure!(evidence.items.is_empty(), "{} has evidence: {:?}", cluster.name(node), evidence.items);
    }
    Ok(())
}
