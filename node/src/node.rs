//! Starts a node from its home, and stops it cleanly or with a reason.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, Result, bail};
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use vouch_api::{AdminToken, ApiConfig, Documents, Limits, RateLimit, Server, Transport};
use vouch_genesis::GenesisDocument;
use vouch_index::Owner;
use vouch_ledger::{CommittedBlock, Reader, Runtime, Storage};
use vouch_net::{NetConfig, NetHandle, NetLimits};
use vouch_replica::{Replica, ReplicaConfig, ReplicaError};
use vouch_store::{RocksStore, StoreOptions};
use vouch_types::{Height, PublicKey, SecretKey};

use crate::{
    admission,
    backend::NodeBackend,
    commands::{GlobalArgs, output::Stopped},
    config::NodeConfig,
    document_files::FileWork,
    documents::NodeDocuments,
    home::{self, VaultKeys},
    index::{self, NodeLists},
    metrics::Metrics,
    operations::Operations,
    runner::{Clock, Outlets, Request, Runner, wall},
    server_certificate::{Places, ServerCertificate, SharedReport},
    vault::{self, ConnectionsSender, VaultHandle},
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
    vault: VaultKeys,
    certificate: ServerCertificate,
}

/// Reads keys and genesis, opens database and chain.
fn open(config: &NodeConfig, global: &GlobalArgs) -> Result<Opened> {
    let genesis = read_genesis(&config.genesis)?;
    let places = Places::of(&config.home, &config.api);
    let home::Secrets { consensus: secret, network, authority, vault } =
        home::open_secrets(&config.home, &places, global).context("the node's keys")?;
    let consensus_key = secret.public();
    let certificate = ServerCertificate { places, key: authority, node: consensus_key.node() };
    // Before anything is made: who holds it may be about to put a database in place.
    let memory = Box::new(VotesFile::open(&config.home)?);
    let options = StoreOptions { cache_bytes: config.cache_bytes, ..StoreOptions::default() };
    let store = RocksStore::open(&config.storage, options).map(Arc::new);
    let store = store.map_err(|e| Stopped(format!("{}: cannot open the database: {e}", e.code())))?;
    let storage: Arc<dyn Storage> = Arc::clone(&store) as Arc<dyn Storage>;
    let vm = Runtime::new(vouch_vm::VmLimits::default()).context("cannot start the contract engine")?;
    let clock = Clock::start();
    let replica_config =
        ReplicaConfig { secret: Some(secret), memory, mempool: config.mempool, entropy: rand::random() };
    let coded = |e: ReplicaError| Stopped(format!("{}: cannot open the chain: {e}", e.code()));
    let mut replica = Replica::open(storage, &genesis, vm, replica_config, clock.now()).map_err(coded)?;
    replica.set_storage_policy(config.policy).map_err(coded)?;
    let chain_name = genesis.chain_name;
    Ok(Opened { replica, store, clock, chain_name, consensus_key, network, vault, certificate })
}

async fn serve(config: NodeConfig, global: &GlobalArgs) -> Result<()> {
    let opened = open(&config, global)?;
    let (chain, node) = (opened.replica.chain(), opened.consensus_key.node());
    let secret = SecretKey::from_seed(*opened.network.seed());
    let net_config =
        NetConfig { secret, listen: config.network_listen.to_string(), chain, limits: NetLimits::default() };
    let (net, events) = vouch_net::start(net_config).await.context("cannot start the network")?;
    let (backend, mut threads, certificate) = start_threads(&config, opened, &net, events)?;
    let report = Arc::clone(&backend.server_certificate);
    if !config.api.plain_http {
        certificate.look(&report, wall());
    }
    let documents = NodeDocuments {
        vault: threads.vault.clone(),
        reader: backend.reader.clone(),
        node,
        files: FileWork::default(),
    };
    let documents: Arc<dyn Documents> = Arc::new(documents);
    let server = Server::bind(&api_config(&config)?, Arc::new(backend), Some(documents)).await;
    let server = server.context("cannot start the API")?;
    tracing::info!(%chain, %node, api = server.url(), network = %net.local_address(), "node runs");
    let stop = CancellationToken::new();
    let keeping = server.tls_reloader().map(|reloader| tokio::spawn(certificate.keep(report, reloader)));
    let serving = tokio::spawn(server.run(stop.clone()));
    let result = wait_for_end(&mut threads).await;
    // The threads may have ended already.
    drop(threads.requests.send(Request::Stop).await);
    stop.cancel();
    if let Some(task) = keeping {
        task.abort();
    }
    drop(serving.await);
    threads.vault.stop().await;
    if !threads.vault_end.is_terminated() {
        drop(threads.vault_end.await);
    }
    if !threads.replica_end.is_terminated() {
        drop(threads.replica_end.await);
    }
    net.shutdown().await;
    tracing::info!("node stopped");
    result
}

/// What keeps hold of the threads.
struct Threads {
    requests: mpsc::Sender<Request>,
    replica_end: ReplicaEnd,
    vault: VaultHandle,
    vault_end: vault::Ended,
    failure: watch::Sender<Option<String>>,
}

/// Starts the threads for signatures, private documents, and the chain itself.
fn start_threads(
    config: &NodeConfig,
    opened: Opened,
    net: &NetHandle,
    mut events: vouch_net::Events,
) -> Result<(NodeBackend, Threads, ServerCertificate)> {
    let Opened { replica, store, clock, chain_name, consensus_key, network, vault: keys, certificate } = opened;
    let (node, network_key) = (consensus_key.node(), network.public());
    let messages = events.take_vault().context("the vault's lane is taken once")?;
    let reader = replica.ledger().reader().clone();
    let (head_sender, head) = watch::channel(reader.published().head.height);
    let (blocks, listener) = broadcast::channel(BLOCKS_MAX);
    let (jobs, job_receiver) = mpsc::channel(JOBS_MAX);
    let (requests, request_receiver) = mpsc::channel(REQUESTS_MAX);
    let (failure, failure_receiver) = watch::channel(None);
    let (connections, connected) = ConnectionsSender::new();
    let metrics = Arc::new(Metrics::default());
    start_admission(replica.chain(), job_receiver, requests.clone(), Arc::clone(&metrics))?;
    tokio::spawn(count_blocks(listener, Arc::clone(&metrics)));
    let abis = Arc::new(Abis::default());
    let (vault, submitter, vault_end) = vault::start(vault::Surroundings {
        settings: config.vault.clone(),
        keys,
        network,
        node,
        reader: reader.clone(),
        storage: Arc::clone(&store) as Arc<dyn Storage>,
        abis: Arc::clone(&abis),
        net: net.clone(),
        messages,
        connections: connected,
        blocks: blocks.subscribe(),
        head: head.clone(),
        requests: requests.clone(),
        admission: jobs.clone(),
        clock,
    })?;
    let owner = Owner { chain: replica.chain(), node };
    let (lists, operations) = start_observers(config, owner, &reader, &head, net, &metrics)?;
    let outlets = Outlets { head: Arc::new(head_sender), blocks, admission: jobs, net: net.clone(), connections };
    let runner = Runner::new(replica, clock, outlets, network_key);
    let replica_end = start_replica(runner, request_receiver, events)?;
    let backend = NodeBackend {
        reader,
        requests: requests.clone(),
        submitter,
        vault: vault.clone(),
        vault_files: config.vault.files(),
        net: net.clone(),
        head,
        failure: failure_receiver,
        clock,
        node,
        chain_name,
        store,
        genesis: config.genesis.clone(),
        metrics,
        abis,
        lists,
        operations,
        server_certificate: SharedReport::default(),
    };
    Ok((backend, Threads { requests, replica_end, vault, vault_end, failure }, certificate))
}

/// Starts what only watches: the index, and samples of what the process uses.
fn start_observers(
    config: &NodeConfig,
    owner: Owner,
    reader: &Reader,
    head: &watch::Receiver<Height>,
    net: &NetHandle,
    metrics: &Arc<Metrics>,
) -> Result<(Option<NodeLists>, Arc<Operations>)> {
    let index = index::start(&config.index, owner, reader.clone(), head.clone())?;
    let (database, watched) = (config.storage.clone(), index.clone());
    let operations = Operations::start(database, net.clone(), reader.clone(), Arc::clone(metrics), watched);
    let lists = index.map(|index| NodeLists { index, reader: reader.clone() });
    Ok((lists, operations))
}

/// Until someone stops the node, or its replica or its vault cannot go on.
async fn wait_for_end(threads: &mut Threads) -> Result<()> {
    let why = tokio::select! {
        () = told_to_stop() => return Ok(()),
        ended = &mut threads.replica_end => match ended {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(why)) => why,
            Err(_) => "the replica's thread died".into(),
        },
        why = failure_of(&mut threads.vault_end) => why,
    };
    tracing::error!("the node cannot go on: {why}");
    threads.failure.send_replace(Some(why.clone()));
    Err(Stopped(why).into())
}

/// Why the vault cannot go on. One that ended in order was told to, or went after the replica, which has more to say.
async fn failure_of(vault: &mut vault::Ended) -> String {
    match vault.await {
        Ok(Ok(())) => std::future::pending().await,
        Ok(Err(why)) => why,
        Err(_) => "the vault's thread died".into(),
    }
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
    Ok(ApiConfig {
        listen: config.api_listen,
        names: config.api_names.clone(),
        proxies: config.api_proxies.clone(),
        transport,
        clients: config.api.clients.policy(&config.home),
        limits: Limits { rate, ..Limits::default() },
        admin_token,
    })
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
