//! Killed nodes: the chain goes on, nothing that was final is lost, nobody signs twice.

use std::{collections::BTreeSet, time::Duration};

use vouch_sdk::Client;
use vouch_tests::cluster::{
    Cluster, Load, Options, Pressure, Traffic, TrafficReport, blocks, gaps_ms, no_evidence, same_root, transaction_ids,
    until,
};
use vouch_types::{Height, TxId};

const PATIENCE: Duration = Duration::from_secs(60);
/// How much longer than the pace a block may take when the validator whose turn it is has died.
const COST_MAX_MS: u64 = 1_000;

async fn more_finals(traffic: &Traffic, count: u64) {
    let wanted = traffic.finals() + count;
    let is_there = async || Ok((traffic.finals() >= wanted).then_some(()));
    until("transactions become final", PATIENCE, is_there).await.unwrap();
}

/// What a node accepted or showed as final is in the chain, each exactly once; all nodes agree; nobody signed twice.
async fn nothing_lost(cluster: &Cluster, promised: &BTreeSet<TxId>) {
    let head = cluster.status(0).await.unwrap().head;
    same_root(cluster, &cluster.all(), head).await.unwrap();
    no_evidence(cluster).await.unwrap();
    let chain = blocks(&cluster.client(0).unwrap(), Height(1), head).await.unwrap();
    let found = transaction_ids(&chain).unwrap();
    let lost: Vec<_> = promised.difference(&found).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), promised.len());
}

fn promised(report: &TrafficReport) -> BTreeSet<TxId> {
    report.accepted.union(&report.finals).copied().collect()
}

async fn longest_gap(client: &Client, from: Height, to: Height) -> u64 {
    gaps_ms(&blocks(client, from, to).await.unwrap()).into_iter().max().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_killed_validator_costs_less_than_a_second_and_catches_up() {
    let options = Options { plain_http: true, accounts: 8, ..Options::default() };
    let pace = u64::from(options.block_interval_ms);
    let mut cluster = Cluster::start(options).await.unwrap();
    let client = cluster.client(0).unwrap();
    let traffic = Traffic::start(&cluster, 8).unwrap();
    more_finals(&traffic, 200).await;
    let before = client.status().await.unwrap().head;
    cluster.kill(&[1]).unwrap();
    let after = Height(before.0 + 16);
    cluster.reach(0, after, PATIENCE).await.unwrap();
    let gap = longest_gap(&client, before, after).await;
    assert!(gap < pace + COST_MAX_MS, "{gap} ms without a block after one of four validators died");

    cluster.start_node(1).unwrap();
    let head = client.status().await.unwrap().head;
    cluster.reach(1, head, PATIENCE).await.unwrap();
    cluster.ready(&cluster.all()).await.unwrap();
    more_finals(&traffic, 100).await;
    let report = traffic.finish().await.unwrap();
    nothing_lost(&cluster, &promised(&report)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_killed_at_once_lose_nothing() {
    let options = Options { plain_http: true, accounts: 8, ..Options::default() };
    let mut cluster = Cluster::start(options).await.unwrap();
    let traffic = Traffic::start(&cluster, 8).unwrap();
    let load = Load::start(&cluster, 8, Pressure::Rate(300)).unwrap();
    for _ in 0..3 {
        more_finals(&traffic, 100).await;
        let moment = rand::random::<u64>() % 600;
        tokio::time::sleep(Duration::from_millis(moment)).await;
        cluster.kill(&cluster.all()).unwrap();
        cluster.start_all().unwrap();
        cluster.ready(&cluster.all()).await.unwrap();
    }
    more_finals(&traffic, 100).await;
    let report = traffic.finish().await.unwrap();
    assert!(report.finals.len() >= 400);
    // These were submitted once and never again: what was accepted outlives the node that did.
    let (_, accepted) = load.finish().await.unwrap();
    assert!(!accepted.is_empty());
    nothing_lost(&cluster, &promised(&report).union(&accepted).copied().collect()).await;
}
