//! Clients at work: the program's own load generator as a process, and a few careful clients inside this one.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use tokio::{process::Child, task::JoinHandle};
use vouch_sdk::{Client, SignedTransaction, TransactionBuilder};
use vouch_types::{ContractName, SecretKey, TxId, api::SubmitItem, encode};

use super::network::Cluster;

/// A contract's name.
///
/// # Panics
/// When it has not the form of one.
#[must_use]
pub fn contract(name: &str) -> ContractName {
    ContractName::new(name).unwrap()
}

/// A call of `meter.record` with a payload of its own.
#[must_use]
pub fn record_call(builder: TransactionBuilder) -> TransactionBuilder {
    let mut payload = vec![0x5a; 80];
    payload[..16].copy_from_slice(&rand::random::<[u8; 16]>());
    builder.call(contract("meter"), "record", encode(&payload))
}

/// How hard the load generator presses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressure {
    /// So many transactions a second.
    Rate(u32),
    /// As many as the chain takes, with at most so many under way.
    InFlight(u64),
}

impl Pressure {
    /// As much as a network on one machine takes.
    pub const FULL: Self = Self::InFlight(6_000);
}

/// `vouch dev load` as a process.
#[derive(Debug)]
pub struct Load {
    child: Child,
    acknowledged: PathBuf,
    patience: Duration,
}

/// What it measured; times in milliseconds.
#[derive(Debug, Clone, Deserialize)]
pub struct LoadReport {
    /// Seconds of load.
    pub seconds: f64,
    /// Bytes of one transaction.
    pub transaction_bytes: u64,
    /// Transactions sent.
    pub submitted: u64,
    /// Those a node accepted.
    pub acknowledged: u64,
    /// Those a node refused, by code.
    pub refused: BTreeMap<String, u64>,
    /// Requests that failed as a whole.
    pub failed_requests: u64,
    /// Accepted ones found in final blocks.
    pub committed: u64,
    /// Accepted ones not found.
    pub lost: u64,
    /// Committed during the load, per second.
    pub committed_per_second: f64,
    /// Submit to final.
    pub latency_p50_ms: f64,
    /// Submit to final.
    pub latency_p95_ms: f64,
    /// Submit to final.
    pub latency_p99_ms: f64,
    /// Submit to final.
    pub latency_max_ms: f64,
    /// Blocks with transactions.
    pub blocks: u64,
    /// Median time between them.
    pub block_interval_p50_ms: f64,
    /// The same, 95th percentile.
    pub block_interval_p95_ms: f64,
}

impl Load {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(cluster: &Cluster, seconds: u64, pressure: Pressure) -> Result<Self> {
        Self::start_at(cluster, &cluster.all(), seconds, pressure)
    }

    /// Starts it at these nodes only.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_at(cluster: &Cluster, nodes: &[usize], seconds: u64, pressure: Pressure) -> Result<Self> {
        let acknowledged = cluster.scratch(&format!("acknowledged-{:016x}", rand::random::<u64>()));
        let mut command = cluster.program.command(["dev", "load", "--json", "--tolerate-failures"]);
        command.arg("--dir").arg(cluster.dir()).arg("--acknowledged").arg(&acknowledged);
        let nodes: Vec<String> = nodes.iter().map(usize::to_string).collect();
        command.args(["--seconds", &seconds.to_string(), "--nodes", &nodes.join(",")]);
        match pressure {
            Pressure::Rate(rate) => command.args(["--rate", &rate.to_string()]),
            Pressure::InFlight(count) => command.args(["--in-flight", &count.to_string()]),
        };
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("cannot start the load")?;
        Ok(Self { child, acknowledged, patience: Duration::from_secs(seconds + 90) })
    }

    /// Waits for its end: the report and every transaction a node accepted.
    ///
    /// # Errors
    /// When it fails or does not end.
    pub async fn finish(self) -> Result<(LoadReport, BTreeSet<TxId>)> {
        let ended = tokio::time::timeout(self.patience, self.child.wait_with_output());
        let output = ended.await.context("the load does not end")??;
        let said = String::from_utf8_lossy(&output.stdout);
        let complaint = || format!("the load said {said} {}", String::from_utf8_lossy(&output.stderr));
        let report: LoadReport = serde_json::from_str(&said).with_context(complaint)?;
        let text = std::fs::read_to_string(&self.acknowledged).with_context(complaint)?;
        let ids = text.lines().map(|line| line.parse().context("an id")).collect::<Result<_>>()?;
        Ok((report, ids))
    }
}

/// Clients that do as the SDK's contract says: keep a transaction until it is seen final, and until then submit the very
/// same again whenever something goes wrong.
#[derive(Debug)]
pub struct Traffic {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Result<Tally>>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    finals: AtomicU64,
}

#[derive(Debug, Default)]
struct Tally {
    accepted: BTreeSet<TxId>,
    finals: BTreeSet<TxId>,
    resubmitted: u64,
}

/// What the clients saw.
#[derive(Debug, Default)]
pub struct TrafficReport {
    /// Transactions a node said it accepted.
    pub accepted: BTreeSet<TxId>,
    /// Transactions a node said are final.
    pub finals: BTreeSet<TxId>,
    /// How often one was submitted again.
    pub resubmitted: u64,
}

/// Transactions in one client's hands.
const HAND: usize = 10;
/// How long a client waits before it submits again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long a client goes on with what it has in hand when it should stop.
const LAST_TIMEOUT: Duration = Duration::from_secs(60);

impl Traffic {
    /// Starts so many clients, each with an account of its own and another node first.
    ///
    /// # Errors
    /// When a key cannot be read.
    pub fn start(cluster: &Cluster, count: usize) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut clients = Vec::new();
        for index in 0..count {
            let mut nodes = cluster.all();
            let length = nodes.len();
            nodes.rotate_left(index % length);
            let mut config = cluster.client_config(&nodes)?;
            config.attempt_timeout = Duration::from_secs(5);
            let (client, key) = (config.build()?, cluster.account(index)?);
            clients.push(tokio::spawn(work(Arc::clone(&shared), client, key)));
        }
        Ok(Self { shared, clients })
    }

    /// How many transactions were seen final.
    #[must_use]
    pub fn finals(&self) -> u64 {
        self.shared.finals.load(SeqCst)
    }

    /// Lets the clients finish what they have in hand.
    ///
    /// # Errors
    /// When one cannot.
    pub async fn finish(self) -> Result<TrafficReport> {
        self.shared.stop.store(true, SeqCst);
        let mut report = TrafficReport::default();
        for client in self.clients {
            let tally = client.await.context("a client died")??;
            report.accepted.extend(tally.accepted);
            report.finals.extend(tally.finals);
            report.resubmitted += tally.resubmitted;
        }
        Ok(report)
    }
}

async fn work(shared: Arc<Shared>, client: Client, key: SecretKey) -> Result<Tally> {
    let mut tally = Tally::default();
    while !shared.stop.load(SeqCst) {
        let Ok(params) = client.params().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let hand = (0..HAND)
            .map(|_| Ok(record_call(TransactionBuilder::new(&params)).sign(&[&key])?))
            .collect::<Result<Vec<SignedTransaction>>>()?;
        finish_hand(&shared, &client, hand, &mut tally).await?;
    }
    Ok(tally)
}

async fn finish_hand(
    shared: &Shared,
    client: &Client,
    mut hand: Vec<SignedTransaction>,
    tally: &mut Tally,
) -> Result<()> {
    let mut told_to_stop = None;
    let mut is_first = true;
    while !hand.is_empty() {
        tally.resubmitted += if is_first { 0 } else { hand.len() as u64 };
        is_first = false;
        if let Ok(items) = client.submit_batch(&hand).await {
            for item in items {
                if let SubmitItem::Accepted { id } | SubmitItem::Known { id } = item {
                    tally.accepted.insert(id);
                }
            }
        }
        let deadline = Instant::now() + AGAIN_AFTER;
        let mut left = Vec::new();
        for transaction in hand {
            let patience = deadline.saturating_duration_since(Instant::now());
            if client.wait(transaction.id, patience).await.is_ok() {
                tally.finals.insert(transaction.id);
                shared.finals.fetch_add(1, SeqCst);
            } else {
                left.push(transaction);
            }
        }
        hand = left;
        if shared.stop.load(SeqCst) {
            let since = *told_to_stop.get_or_insert_with(Instant::now);
            anyhow::ensure!(since.elapsed() < LAST_TIMEOUT, "{} transactions do not become final", hand.len());
        }
    }
    Ok(())
}
