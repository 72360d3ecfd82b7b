//! Kills under load: what is lost, who contradicts himself, how long the chain stands.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Result;
use vouch_sdk::ListQuery;
use vouch_types::{Height, TxId};

use super::{Figure, Scale, percentile};
use crate::cluster::{
    Cluster, Load, Options, Pressure, Traffic, TrafficReport, blocks, gaps_ms, transaction_ids, until,
};

/// Clients, each with an account of its own.
const CLIENTS: usize = 16;
/// Load of those that submit once and never again.
const LOAD: Duration = Duration::from_secs(4);
/// No wait takes longer.
const PATIENCE: Duration = Duration::from_secs(90);
/// Blocks that are watched after one validator died: each position of the turn comes several times.
const WATCHED: u64 = 24;

pub(super) async fn measure(scale: Scale) -> Result<Vec<Figure>> {
    Ok(vec![all_killed(scale).await?, one_killed(scale).await?, accepted_by_the_dead(scale).await?])
}

async fn more_finals(traffic: &Traffic, count: u64) -> Result<()> {
    let wanted = traffic.finals() + count;
    until("transactions become final", PATIENCE, async || Ok((traffic.finals() >= wanted).then_some(()))).await
}

async fn all_killed(scale: Scale) -> Result<Figure> {
    let mut figure = Figure::new("reliability-all-killed", "crash", "four nodes and sixteen clients share the machine");
    let mut cluster = Cluster::start(Options::default()).await?;
    let traffic = Traffic::start(&cluster, CLIENTS)?;
    let rounds = scale.of(50, 3);
    let mut recoveries = Vec::new();
    for _ in 0..rounds {
        more_finals(&traffic, 50).await?;
        tokio::time::sleep(Duration::from_millis(rand::random::<u64>() % 1500)).await;
        cluster.kill(&cluster.all())?;
        let begun = Instant::now();
        cluster.start_all()?;
        cluster.ready(&cluster.all()).await?;
        recoveries.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    more_finals(&traffic, 50).await?;
    let report = traffic.finish().await?;
    figure.set("rounds_count", rounds as f64);
    figure.set("nodes_killed_count", rounds as f64 * cluster.all().len() as f64);
    figure.set("resubmitted_count", report.resubmitted as f64);
    figure.set("from_start_to_ready_p50_ms", percentile(&mut recoveries, 0.5));
    figure.set("from_start_to_ready_max_ms", percentile(&mut recoveries, 1.0));
    compare(&cluster, &report, &mut figure).await?;
    Ok(figure)
}

/// What the clients were told against what the chain holds, and the nodes against each other.
async fn compare(cluster: &Cluster, report: &TrafficReport, figure: &mut Figure) -> Result<()> {
    let head = cluster.status(0).await?.head;
    let (mut hashes, mut evidence) = (Vec::new(), 0);
    for node in cluster.all() {
        cluster.reach(node, head, PATIENCE).await?;
        let client = cluster.client(node)?;
        let summary = client.block(Some(head)).await?.summary;
        hashes.push((summary.hash, summary.state_root));
        evidence += client.evidence(&ListQuery::default()).await?.items.len();
    }
    let others = hashes.iter().filter(|hash| **hash != hashes[0]).count();
    let mut found: BTreeMap<TxId, u32> = BTreeMap::new();
    for block in blocks(&cluster.client(0)?, Height(1), head).await? {
        for id in block.transactions {
            *found.entry(id).or_default() += 1;
        }
    }
    let lost = report.accepted.union(&report.finals).filter(|id| !found.contains_key(*id)).count();
    // Without any nothing could have been lost.
    figure.at_least("acknowledged_count", report.accepted.len() as f64, 1.0);
    figure.set("final_count", report.finals.len() as f64);
    figure.set("blocks_count", head.0 as f64);
    figure.at_most("acknowledged_minus_found_count", lost as f64, 0.0);
    figure.at_most("found_twice_count", found.values().filter(|times| **times > 1).count() as f64, 0.0);
    figure.at_most("nodes_of_another_state_count", others as f64, 0.0);
    figure.at_most("evidence_count", evidence as f64, 0.0);
    Ok(())
}

async fn one_killed(scale: Scale) -> Result<Figure> {
    let mut figure = Figure::new("reliability-one-killed", "crash", "four nodes and sixteen clients share the machine");
    let options = Options::default();
    let interval_ms = f64::from(options.block_interval_ms);
    let mut cluster = Cluster::start(options).await?;
    let traffic = Traffic::start(&cluster, CLIENTS)?;
    let (mut gaps, mut calm, mut catch_up) = (Vec::new(), Vec::new(), Vec::new());
    for victim in (0..cluster.all().len()).take(scale.of(4, 1) as usize) {
        more_finals(&traffic, 200).await?;
        let witness = (victim + 1) % cluster.all().len();
        let client = cluster.client(witness)?;
        let before = client.status().await?.head;
        calm.extend(gaps_ms(&blocks(&client, Height(before.0.saturating_sub(8).max(1)), before).await?));
        cluster.kill(&[victim])?;
        let after = Height(before.0 + WATCHED);
        cluster.reach(witness, after, PATIENCE).await?;
        gaps.extend(gaps_ms(&blocks(&client, before, after).await?));
        let head = client.status().await?.head;
        let begun = Instant::now();
        cluster.start_node(victim)?;
        cluster.reach(victim, head, PATIENCE).await?;
        catch_up.push(begun.elapsed().as_secs_f64() * 1e3);
        cluster.ready(&cluster.all()).await?;
    }
    let report = traffic.finish().await?;
    let mut gaps: Vec<f64> = gaps.into_iter().map(|gap| gap as f64).collect();
    let mut calm: Vec<f64> = calm.into_iter().map(|gap| gap as f64).collect();
    let longest = percentile(&mut gaps, 1.0);
    figure.set("longest_gap_before_ms", percentile(&mut calm, 1.0));
    figure.set("longest_gap_ms", longest);
    figure.at_most("longest_gap_above_interval_ms", longest - interval_ms, 1000.0);
    figure.set("gap_p50_ms", percentile(&mut gaps, 0.5));
    figure.set("catch_up_max_ms", percentile(&mut catch_up, 1.0));
    compare(&cluster, &report, &mut figure).await?;
    Ok(figure)
}

/// Clients that submit once and never again, at all nodes, while one of these or all are killed: is what was accepted lost?
async fn accepted_by_the_dead(scale: Scale) -> Result<Figure> {
    let mut figure =
        Figure::new("reliability-accepted", "crash", "four nodes and the load generator share the machine");
    let mut cluster = Cluster::start(Options::default()).await?;
    let rounds = scale.of(10, 1);
    let (mut accepted, mut lost) = (0, 0);
    for round in 0..rounds {
        let one = 1 + (round as usize) % (cluster.all().len() - 1);
        let victims = if round % 2 == 0 { cluster.all() } else { vec![one] };
        let load = Load::start(&cluster, LOAD.as_secs(), Pressure::Rate(1000))?;
        tokio::time::sleep(Duration::from_millis(1500 + rand::random::<u64>() % 1000)).await;
        cluster.kill(&victims)?;
        // One that died alone stays away until the load has passed: the others go on without what only it had.
        let away = if victims.len() > 1 { Duration::ZERO } else { LOAD };
        tokio::time::sleep(away).await;
        cluster.start_all()?;
        let (_, ids) = load.finish().await?;
        cluster.ready(&cluster.all()).await?;
        let head = cluster.status(0).await?.head;
        let found = transaction_ids(&blocks(&cluster.client(0)?, Height(1), head).await?)?;
        accepted += ids.len();
        lost += ids.difference(&found).count();
    }
    figure.set("rounds_count", rounds as f64);
    figure.at_least("accepted_count", accepted as f64, 1.0);
    figure.at_most("accepted_minus_found_count", lost as f64, 0.0);
    Ok(figure)
}
