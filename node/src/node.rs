//! Starts a node from its home, and stops it cleanly or with a reason.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, Result, bail};
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use vouch_api::{AdminToken, ApiConfig, Limits, RateLimit, Server, Transport};
use vouch_genesis::GenesisDocument;
use vouch_ledger::{CommittedBlock, Runtime, Storage};
use vouch_net::{NetConfig, NetLimits};
use vouch_replica::{Replica, ReplicaConfig, ReplicaError};
use vouch_store::{RocksStore, StoreOptions};
use vouch_types::{PublicKey, SecretKey};

use crate::{
    admission,
    backend::NodeBackend,
    commands::{GlobalArgs, output::Stopped, password::open_keys},
    config::NodeConfig,
    home,
    metrics::Metrics,
    runner::{Clock, Outlets, Request, Runner},
    views::Abis,
    votes::VotesFile,
};

/// Requests that wait for the replica's thread.
const REQUESTS_MAX: usize = 256;
/// Jobs that wait for the thread that checks signatures.
const JOBS_MAX: usize = 256;
/// Final blocks that a slow listener within the node may be behind.
const BLOCKS_MAX: usize = 256;
/// Stack of the thread that runs contracts.
const STACK_BYTES: usize = 16 << 20;

/// Reads the genesis document of a home.
///
/// # Errors
/// A text that names the file.
pub fn read_genesis(path: &Path) -> Result<GenesisDocument> {
    let text = std::fs::read_to_string(path).with_context(|| format!("no genesis document at {}", path.display()))?;
    GenesisDocument::from_json(&text).with_context(|| format!("in {}", path.display()))
}

/// Runs a node until it is told to stop.
///
/// # Errors
/// Why it could not start, or had to stop.
pub fn run(home_path: &Path, global: &GlobalArgs) -> Result<()> {
    let config = NodeConfig::load(home_path)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(serve(config, global))
}

/// What exists before anything runs.
struct Opened {
    replica: Replica,
    store: Arc<RocksStore>,
    clock: Clock,
    chain_name: String,
    consensus_key: PublicKey,
    network: SecretKey,
}

/// Reads keys and genesis, opens database and chain.
fn open(config: &NodeConfig, global: &GlobalArgs) -> Result<Opened> {
    let genesis = read_genesis(&config.genesis)?;
    let paths = [home::consensus_key_path(&config.home), home::network_key_path(&config.home)];
    let keys = open_keys(global, &paths).context("the node's keys")?;
    let [secret, network] = <[_; 2]>::try_from(keys).map_err(|_| anyhow::anyhow!("a node has two keys"))?;
    let consensus_key = secret.public();
    let options = StoreOptions { cache_bytes: config.cache_bytes, ..StoreOptions::default() };
    let store = RocksStore::open(&config.storage, options).map(Arc::new);
    let store = store.map_err(|e| Stopped(format!("{}: cannot open the database: {e}", e.code())))?;
    let storage: Arc<dyn Storage> = Arc::clone(&store) as Arc<dyn Storage>;
    let memory = Box::new(VotesFile::open(&config.home)?);
    let vm = Runtime::new(vouch_vm::VmLimits::default()).context("cannot start the contract engine")?;
    let clock = Clock::start();
    let replica_config =
        ReplicaConfig { secret: Some(secret), memory, mempool: config.mempool, entropy: rand::random() };
    let coded = |e: ReplicaError| Stopped(format!("{}: cannot open the chain: {e}", e.code()));
    let mut replica = Replica::open(storage, &genesis, vm, replica_config, clock.now()).map_err(coded)?;
    replica.set_storage_policy(config.policy).map_err(coded)?;
    Ok(Opened { replica, store, clock, chain_name: genesis.chain_name, consensus_key, network })
}

async fn serve(config: NodeConfig, global: &GlobalArgs) -> Result<()> {
    let Opened { replica, store, clock, chain_name, consensus_key, network } = open(&config, global)?;
    let chain = replica.chain();
    let network_key = network.public();
    let net_config =
        NetConfig { secret: network, listen: config.network_listen.to_string(), chain, limits: NetLimits::default() };
    let (net, events) = vouch_net::start(net_config).await.context("cannot start the network")?;
    let reader = replica.ledger().reader().clone();
    let (head_sender, head) = watch::channel(reader.published().head.height);
    let (blocks, listener) = broadcast::channel(BLOCKS_MAX);
    let (jobs, job_receiver) = mpsc::channel(JOBS_MAX);
    let (requests, request_receiver) = mpsc::channel(REQUESTS_MAX);
    let (failure_sender, failure) = watch::channel(None);
    let metrics = Arc::new(Metrics::default());
    let outlets = Outlets { head: Arc::new(head_sender), blocks, admission: jobs.clone(), net: net.clone() };
    start_admission(chain, job_receiver, requests.clone(), Arc::clone(&metrics))?;
    tokio::spawn(count_blocks(listener, Arc::clone(&metrics)));
    let runner = Runner::new(replica, clock, outlets, network_key);
    let mut replica_end = start_replica(runner, request_receiver, events)?;
    let node = consensus_key.node();
    let backend = NodeBackend {
        reader,
        requests: requests.clone(),
        admission: jobs,
        net: net.clone(),
        head,
        failure,
        clock,
        node,
        chain_name,
        store,
        genesis: config.genesis.clone(),
        metrics,
        abis: Arc::new(Abis::default()),
    };
    let server = Server::bind(&api_config(&config)?, Arc::new(backend), None).await.context("cannot start the API")?;
    tracing::info!(%chain, %node, api = server.url(), network = %net.local_address(), "node runs");
    let stop = CancellationToken::new();
    let serving = tokio::spawn(server.run(stop.clone()));
    let result = wait_for_end(&mut replica_end, &failure_sender).await;
    // The thread may have ended already.
    drop(requests.send(Request::Stop).await);
    stop.cancel();
    drop(serving.await);
    if result.is_ok() {
        drop(replica_end.await);
    }
    net.shutdown().await;
    tracing::info!("node stopped");
    result
}

/// Until someone stops the node, or its replica cannot go on.
async fn wait_for_end(replica: &mut ReplicaEnd, failure: &watch::Sender<Option<String>>) -> Result<()> {
    let why = tokio::select! {
        () = told_to_stop() => return Ok(()),
        ended = replica => match ended {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(why)) => why,
            Err(_) => "the replica's thread died".into(),
        },
    };
    tracing::error!("the node cannot go on: {why}");
    failure.send_replace(Some(why.clone()));
    Err(Stopped(why).into())
}

async fn count_blocks(mut blocks: broadcast::Receiver<Arc<CommittedBlock>>, metrics: Arc<Metrics>) {
    loop {
        match blocks.recv().await {
            Ok(block) => metrics.count(&block),
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => break,
        }
    }
}

type ReplicaEnd = tokio::sync::oneshot::Receiver<Result<(), String>>;

fn start_replica(runner: Runner, requests: mpsc::Receiver<Request>, events: vouch_net::Events) -> Result<ReplicaEnd> {
    let (end, ended) = tokio::sync::oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("replica's runtime")?;
    std::thread::Builder::new()
        .name("replica".into())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let result = runtime.block_on(runner.run(requests, events));
            // Nobody to tell when the process is going down.
            drop(end.send(result.map_err(|e: ReplicaError| format!("{}: {e}", e.code()))));
        })
        .context("cannot start the replica's thread")?;
    Ok(ended)
}

fn start_admission(
    chain: vouch_types::ChainId,
    jobs: mpsc::Receiver<admission::Job>,
    requests: mpsc::Sender<Request>,
    metrics: Arc<Metrics>,
) -> Result<()> {
    std::thread::Builder::new()
        .name("admission".into())
        .spawn(move || {
            admission::run(chain, jobs, &metrics.admission, |transactions| {
                // The replica is gone when the process is going down.
                drop(requests.blocking_send(Request::Relayed(transactions)));
            });
        })
        .context("cannot start the thread that checks signatures")?;
    Ok(())
}

fn api_config(config: &NodeConfig) -> Result<ApiConfig> {
    let transport = if config.api.plain_http {
        Transport::Plain
    } else {
        Transport::Tls {
            certificate: config.home.join(&config.api.certificate),
            key: config.home.join(&config.api.key),
        }
    };
    let rate = (config.api.requests_per_second > 0).then(|| RateLimit {
        per_second: config.api.requests_per_second,
        burst: config.api.requests_per_second.saturating_mul(4),
        exempt_loopback: true,
    });
    let token_path = config.home.join(&config.api.admin_token);
    let admin_token = match std::fs::read_to_string(&token_path) {
        Ok(text) => match AdminToken::new(&text) {
            Some(token) => Some(token),
            None => bail!("the admin token in {} is shorter than 16 bytes", token_path.display()),
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", token_path.display())),
    };
    Ok(ApiConfig { listen: config.api_listen, transport, limits: Limits { rate, ..Limits::default() }, admin_token })
}

/// Ctrl-C or SIGTERM.
pub async fn told_to_stop() {
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(signal) => signal,
        Err(error) => {
            tracing::error!("cannot listen for SIGTERM: {error}");
            return std::future::pending().await;
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
