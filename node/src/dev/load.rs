//! `vouch dev load`: signed transactions by many accounts through all nodes, and how long each takes to be final.
//!
//! Every transaction calls the contract `meter` once: two reads and three writes. Transactions travel in batches, as a
//! business system's SDK sends them. A transaction's time runs from before it is signed, at a given rate from when it was
//! due, until the block that holds it has been read from a node: signing, HTTP and the look at the block are in it.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::task::JoinSet;
use vouch_sdk::{Client, SignedTransaction, TransactionBuilder, keystore};
use vouch_types::{
    ContractName, Height, SecretKey, TxId,
    api::{ChainParams, SubmitItem},
    encode,
};

use super::{net, plan::Plan};
use crate::commands::{GlobalArgs, output::emit};

/// How often a reader of blocks looks for the next one.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long after the end of the load the last transactions may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Time between two batches of one sender at a given rate.
const TICK: Duration = Duration::from_millis(20);
/// Most transactions in one batch.
const BATCH_MAX: usize = 250;
/// Most batches of one sender that wait for their answers, at a given rate.
const REQUESTS_MAX: usize = 64;

/// Options of `vouch dev load`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The network's folder
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Transactions a second in all; without it as many as the chain takes
    #[arg(long)]
    rate: Option<u32>,
    /// For how long
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Transactions under way at most when no rate is given
    #[arg(long, default_value_t = 6_000)]
    in_flight: i64,
    /// Bytes of each call's payload, at least 16; 80 make transactions of about 300 bytes
    #[arg(long, default_value_t = 80)]
    payload_bytes: usize,
    /// Only these nodes, by position from 0
    #[arg(long = "nodes", value_delimiter = ',')]
    only: Vec<usize>,
    /// Write the ids of acknowledged transactions to this file, one per line
    #[arg(long, value_name = "FILE")]
    acknowledged: Option<PathBuf>,
    /// Go on when a node cannot be reached
    #[arg(long)]
    tolerate_failures: bool,
}

/// What was measured. Times in milliseconds.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Seconds of load.
    pub seconds: f64,
    /// Accounts that signed.
    pub accounts: usize,
    /// Bytes of one transaction.
    pub transaction_bytes: usize,
    /// Transactions sent.
    pub submitted: u64,
    /// Those a node acknowledged.
    pub acknowledged: u64,
    /// Those a node refused, by code.
    pub refused: BTreeMap<String, u64>,
    /// Requests that failed as a whole.
    pub failed_requests: u64,
    /// Acknowledged ones found in final blocks.
    pub committed: u64,
    /// Acknowledged ones not found.
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
    /// Blocks with transactions seen.
    pub blocks: usize,
    /// Median time between them by their headers.
    pub block_interval_p50_ms: f64,
    /// The same, 95th percentile.
    pub block_interval_p95_ms: f64,
}

struct Shared {
    params: ChainParams,
    contract: ContractName,
    payload_bytes: usize,
    head: AtomicU64,
    in_flight: AtomicI64,
    in_flight_max: i64,
    stop: AtomicBool,
    submitted: AtomicU64,
    failed_requests: AtomicU64,
    transaction_bytes: AtomicU64,
    pending: Mutex<HashMap<TxId, Instant>>,
    acknowledged: Mutex<Vec<TxId>>,
    refused: Mutex<BTreeMap<String, u64>>,
    next_payload: AtomicU64,
    run: [u8; 8],
}

/// What the reader of blocks saw.
#[derive(Debug, Default)]
struct Seen {
    latencies_ms: Vec<f64>,
    committed_in_load: u64,
    times: Vec<u64>,
}

/// Runs the load.
///
/// # Errors
/// A text that says what is wrong and where.
pub async fn run(args: &Args, global: &GlobalArgs) -> Result<ExitCode> {
    let plan = Plan::load(&args.dir)?;
    if args.payload_bytes < 16 {
        bail!("--payload-bytes must be at least 16");
    }
    let keys: Vec<SecretKey> = plan
        .accounts
        .iter()
        .map(|path| keystore::load(&args.dir.join(path), None).with_context(|| path.display().to_string()))
        .collect::<Result<_>>()?;
    if keys.is_empty() {
        bail!("the network has no accounts; make one with --accounts");
    }
    let chosen: Vec<usize> = if args.only.is_empty() { (0..plan.nodes.len()).collect() } else { args.only.clone() };
    let mut clients = Vec::new();
    for index in chosen {
        let node = plan.nodes.get(index).with_context(|| format!("there is no node {index}"))?;
        clients.push(net::client(&args.dir, node)?);
    }
    let reader = clients.first().context("no node was chosen")?.clone();
    let params = reader.params().await.context("the first node does not answer")?;
    let accounts = keys.len();
    let shared = Arc::new(shared(args, params)?);
    let start = Instant::now();
    let mut senders = Vec::new();
    let count = clients.len();
    let mut lots: Vec<Vec<SecretKey>> = (0..count).map(|_| Vec::new()).collect();
    for (index, key) in keys.into_iter().enumerate() {
        lots[index % count].push(key);
    }
    for (client, keys) in clients.into_iter().zip(lots) {
        let rate = args.rate.map(|r| f64::from(r) / count as f64);
        senders.push(tokio::spawn(send(Arc::clone(&shared), client, keys, rate, start)));
    }
    let blocks = tokio::spawn(read_blocks(Arc::clone(&shared), reader, start, Duration::from_secs(args.seconds)));
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    shared.stop.store(true, Relaxed);
    let seconds = start.elapsed().as_secs_f64();
    for sender in senders {
        sender.await.context("a sender died")?;
    }
    let seen = blocks.await.context("the reader of blocks died")??;
    if let Some(path) = &args.acknowledged {
        let ids: String = shared.acknowledged.lock().iter().map(|id| format!("{id}\n")).collect();
        std::fs::write(path, ids).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let report = report(&shared, seen, seconds, accounts);
    emit(global, &report, |_| text(&report))?;
    let failed = !args.tolerate_failures && (report.lost > 0 || report.failed_requests > 0);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn shared(args: &Args, params: ChainParams) -> Result<Shared> {
    Ok(Shared {
        head: AtomicU64::new(params.head.0),
        params,
        contract: ContractName::new("meter")?,
        payload_bytes: args.payload_bytes,
        in_flight: AtomicI64::new(0),
        in_flight_max: if args.rate.is_some() { i64::MAX } else { args.in_flight },
        stop: AtomicBool::new(false),
        submitted: AtomicU64::new(0),
        failed_requests: AtomicU64::new(0),
        transaction_bytes: AtomicU64::new(0),
        pending: Mutex::default(),
        acknowledged: Mutex::default(),
        refused: Mutex::default(),
        next_payload: AtomicU64::new(0),
        run: rand::random(),
    })
}

/// One node's sender: signs and submits until the load ends.
///
/// At a given rate a transaction's time runs from when it was due, and a batch does not wait for the answer to the one
/// before: a slow answer must neither delay nor hide what comes after it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive count of some millions")]
async fn send(shared: Arc<Shared>, client: Client, keys: Vec<SecretKey>, rate: Option<f64>, start: Instant) {
    let mut sent: u64 = 0;
    let mut turn = 0;
    let mut requests = JoinSet::new();
    while !shared.stop.load(Relaxed) {
        let due = match rate {
            Some(rate) => {
                let target = start.elapsed().as_secs_f64() * rate;
                (target as u64).saturating_sub(sent)
            }
            None => u64::try_from(shared.in_flight_max - shared.in_flight.load(Relaxed)).unwrap_or(0),
        };
        let due = usize::try_from(due).unwrap_or(BATCH_MAX).min(BATCH_MAX);
        // A small batch costs as much as a large one: without a rate wait until there is room for a fair one.
        if due == 0 || (rate.is_none() && due < BATCH_MAX / 4) {
            tokio::time::sleep(TICK / 4).await;
            continue;
        }
        let begun = match rate {
            Some(rate) => Begun {
                first: start + Duration::from_secs_f64(sent as f64 / rate),
                apart: Duration::from_secs_f64(1.0 / rate),
            },
            None => Begun { first: Instant::now(), apart: Duration::ZERO },
        };
        let tick = Instant::now();
        let batch: Vec<SignedTransaction> = (0..due)
            .filter_map(|_| {
                turn = (turn + 1) % keys.len();
                shared.transaction(&keys[turn])
            })
            .collect();
        sent += batch.len() as u64;
        if rate.is_none() {
            submit(&shared, &client, batch, begun).await;
            continue;
        }
        if requests.len() >= REQUESTS_MAX {
            requests.join_next().await;
        }
        let (shared, client) = (Arc::clone(&shared), client.clone());
        requests.spawn(async move { submit(&shared, &client, batch, begun).await });
        tokio::time::sleep(TICK.saturating_sub(tick.elapsed())).await;
    }
    while requests.join_next().await.is_some() {}
}

/// From when on the times of a batch's transactions run, one after the other.
#[derive(Debug, Clone, Copy)]
struct Begun {
    first: Instant,
    apart: Duration,
}

impl Shared {
    fn transaction(&self, key: &SecretKey) -> Option<SignedTransaction> {
        let number = self.next_payload.fetch_add(1, Relaxed);
        let mut payload = vec![0x5a; self.payload_bytes];
        payload[..8].copy_from_slice(&self.run);
        payload[8..16].copy_from_slice(&number.to_le_bytes());
        let params = ChainParams { head: Height(self.head.load(Relaxed)), ..self.params.clone() };
        TransactionBuilder::new(&params).call(self.contract.clone(), "record", encode(&payload)).sign(&[key]).ok()
    }
}

async fn submit(shared: &Shared, client: &Client, batch: Vec<SignedTransaction>, begun: Begun) {
    let count = batch.len();
    shared.submitted.fetch_add(count as u64, Relaxed);
    shared.in_flight.fetch_add(i64::try_from(count).unwrap_or(0), Relaxed);
    if let Some(first) = batch.first() {
        shared.transaction_bytes.store(first.raw.len() as u64, Relaxed);
    }
    let times = (0..).map(|number: u32| begun.first + begun.apart * number);
    shared.pending.lock().extend(batch.iter().map(|tx| tx.id).zip(times));
    match client.submit_batch(&batch).await {
        Ok(items) => {
            let mut taken = Vec::with_capacity(items.len());
            for (item, tx) in items.into_iter().zip(&batch) {
                match item {
                    SubmitItem::Accepted { id } | SubmitItem::Known { id } => taken.push(id),
                    SubmitItem::Refused { problem } => {
                        shared.forget(&tx.id);
                        *shared.refused.lock().entry(problem.code).or_default() += 1;
                    }
                }
            }
            shared.acknowledged.lock().extend(taken);
        }
        Err(_) => {
            // Whether the node took them is not known: they count as neither acknowledged nor refused.
            shared.failed_requests.fetch_add(1, Relaxed);
            for tx in &batch {
                shared.forget(&tx.id);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

impl Shared {
    fn forget(&self, id: &TxId) {
        if self.pending.lock().remove(id).is_some() {
            self.in_flight.fetch_sub(1, Relaxed);
        }
    }
}

async fn read_blocks(shared: Arc<Shared>, client: Client, start: Instant, load: Duration) -> Result<Seen> {
    let mut seen = Seen::default();
    let mut next = Height(shared.head.load(Relaxed) + 1);
    let end = start + load + DRAIN_TIMEOUT;
    loop {
        match client.block(Some(next)).await {
            Ok(block) => {
                let now = Instant::now();
                if !block.transactions.is_empty() {
                    seen.times.push(block.summary.time.0);
                }
                for id in &block.transactions {
                    let begun = shared.pending.lock().remove(id);
                    if let Some(begun) = begun {
                        shared.in_flight.fetch_sub(1, Relaxed);
                        seen.latencies_ms.push(now.duration_since(begun).as_secs_f64() * 1_000.0);
                        seen.committed_in_load += u64::from(now < start + load);
                    }
                }
                shared.head.store(next.0, Relaxed);
                next = Height(next.0 + 1);
            }
            Err(error) if error.code() == "block.unknown" => {
                let done = shared.stop.load(Relaxed) && shared.pending.lock().is_empty();
                if done || Instant::now() > end {
                    return Ok(seen);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Err(error) => {
                if Instant::now() > end {
                    return Err(error).context("blocks can no longer be read");
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// The value below which a share of the sorted values lies.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a position within the list")]
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(((last as f64) * share).round() as usize).copied().unwrap_or(0.0)
}

fn report(shared: &Shared, mut seen: Seen, seconds: f64, accounts: usize) -> Report {
    seen.latencies_ms.sort_by(f64::total_cmp);
    let mut intervals: Vec<f64> = seen.times.windows(2).map(|pair| pair[1].saturating_sub(pair[0]) as f64).collect();
    intervals.sort_by(f64::total_cmp);
    let acknowledged = shared.acknowledged.lock();
    let pending = shared.pending.lock();
    let lost = acknowledged.iter().filter(|id| pending.contains_key(*id)).count() as u64;
    Report {
        seconds,
        accounts,
        transaction_bytes: usize::try_from(shared.transaction_bytes.load(Relaxed)).unwrap_or_default(),
        submitted: shared.submitted.load(Relaxed),
        acknowledged: acknowledged.len() as u64,
        refused: shared.refused.lock().clone(),
        failed_requests: shared.failed_requests.load(Relaxed),
        committed: seen.latencies_ms.len() as u64,
        lost,
        committed_per_second: seen.committed_in_load as f64 / seconds,
        latency_p50_ms: percentile(&seen.latencies_ms, 0.5),
        latency_p95_ms: percentile(&seen.latencies_ms, 0.95),
        latency_p99_ms: percentile(&seen.latencies_ms, 0.99),
        latency_max_ms: percentile(&seen.latencies_ms, 1.0),
        blocks: seen.times.len(),
        block_interval_p50_ms: percentile(&intervals, 0.5),
        block_interval_p95_ms: percentile(&intervals, 0.95),
    }
}

fn text(report: &Report) -> Vec<String> {
    vec![
        format!(
            "committed      {} transactions of {} bytes, {:.0} a second",
            report.committed, report.transaction_bytes, report.committed_per_second
        ),
        format!("acknowledged   {} of {} submitted, {} lost", report.acknowledged, report.submitted, report.lost),
        format!(
            "submit-final   p50 {:.0} ms, p95 {:.0} ms, p99 {:.0} ms, max {:.0} ms",
            report.latency_p50_ms, report.latency_p95_ms, report.latency_p99_ms, report.latency_max_ms
        ),
        format!(
            "blocks         {}, interval p50 {:.0} ms, p95 {:.0} ms",
            report.blocks, report.block_interval_p50_ms, report.block_interval_p95_ms
        ),
        format!("refused        {:?}, failed requests {}", report.refused, report.failed_requests),
    ]
}
