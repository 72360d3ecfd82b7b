//! The bare path of a block, without network, consensus and API: what the machine could do at best.
//!
//! ```text
//! copy: make blocks with one ledger (not measured) --> "ready" ... all copies begin together ...
//!       decode --> signatures, in batches --> execute --> tree --> one synced batch into RocksDB
//! ```
//!
//! As many copies run at the same time as a network on this machine has nodes, so their rate is the bound for that network.

use std::{
    io::{BufRead as _, Write as _},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use cpu_time::{ProcessTime, ThreadTime};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};
use vouch_genesis::{
    AccountEntry, AdminPolicy, ChainParams, FORMAT_VERSION, GenesisContract, GenesisDocument, Member, MemberName,
    NodeEntry, Role,
};
use vouch_ledger::{
    Batch, Ledger, PooledTransaction, Runtime,
    executor::Executor,
    overlay::Overlay,
    session::{Moment, Session},
};
use vouch_store::{RocksStore, StoreOptions};
use vouch_types::{
    Block, Call, ChainId, CommitCertificate, CommitSignature, Height, Power, Round, SecretKey, TimestampMs,
    TransactionBody, UnverifiedTransaction, VoteKind, block::BLOCK_BYTES_MAX, decode, encode, merkle,
    transaction::TRANSACTION_VERSION,
};

use super::{Figure, Scale, load};
use crate::cluster::{Cluster, Load, Options, Pressure, Program, contract};

/// Copies, as many as a network here has nodes.
const COPIES: usize = 4;
/// Accounts that sign.
const ACCOUNTS: u8 = 64;
/// Most signatures in a batch, as in the node.
const BATCH_MAX: usize = 1024;
/// Transactions of each block whose signatures are checked once more, each by itself.
const SINGLE: usize = 64;
/// Cache of the store, as the node has it.
const CACHE_BYTES: usize = 48 << 20;
/// Longest a copy may take for either half.
const PATIENCE: Duration = Duration::from_secs(600);

/// What one copy is told.
#[derive(Debug, Clone, clap::Args)]
pub struct CopyArgs {
    /// An empty folder for its databases
    #[arg(long)]
    dir: PathBuf,
    /// The folder with meter.wasm
    #[arg(long)]
    contracts: PathBuf,
    /// Blocks
    #[arg(long)]
    blocks: u64,
    /// Transactions in each
    #[arg(long)]
    block_transactions: usize,
    /// Measure processor time by part; executes every block twice
    #[arg(long)]
    parts: bool,
}

/// What one copy measured; times are sums over all its transactions.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Measured {
    transactions: u64,
    seconds: f64,
    all_threads_us: f64,
    decode_us: f64,
    signatures_us: f64,
    execute_us: f64,
    validate_us: f64,
    commit_us: f64,
    commit_wall_ms: f64,
    /// Of so many transactions whose signatures were checked once more, each by itself.
    single_count: u64,
    single_us: f64,
}

impl Measured {
    fn per_transaction(&self, sum: f64) -> f64 {
        sum / self.transactions.max(1) as f64
    }

    /// Processor time of a transaction by part, in microseconds; only of a copy that was asked for parts.
    pub(super) fn parts(&self) -> [(&'static str, f64); 5] {
        [
            ("decode", self.decode_us),
            ("signatures", self.signatures_us),
            ("execute", self.execute_us),
            ("tree_and_batch", (self.validate_us - self.execute_us).max(0.0)),
            ("commit", self.commit_us),
        ]
        .map(|(part, sum)| (part, self.per_transaction(sum)))
    }

    /// A signature that is checked by itself, in microseconds.
    pub(super) fn single_signature_us(&self) -> f64 {
        self.single_us / self.single_count.max(1) as f64
    }
}

/// A block as it comes from the network, and what makes it final.
struct Arrived {
    bytes: Vec<u8>,
    certificate: CommitCertificate,
}

/// The chain's keys and founding document; the same in every run.
struct Founding {
    genesis: GenesisDocument,
    validators: Vec<SecretKey>,
    accounts: Vec<SecretKey>,
}

fn key(group: u8, number: u8) -> SecretKey {
    let mut seed = [group; 32];
    seed[0] = number;
    SecretKey::from_seed(seed)
}

fn found(contracts: &Path) -> Result<Founding> {
    let accounts: Vec<SecretKey> = (0..ACCOUNTS).map(|number| key(1, number)).collect();
    let validators: Vec<SecretKey> = (0..COPIES as u8).map(|number| key(2, number)).collect();
    let members = (0..COPIES as u8).map(|index| {
        let name = format!("member-{index}");
        let mine = (0..ACCOUNTS).filter(|number| usize::from(*number) % COPIES == usize::from(index));
        Ok(Member {
            title: name.clone(),
            role: Role::Enterprise,
            admin: AdminPolicy { threshold: 1, keys: vec![key(3, index).public()] },
            encryption_key: None,
            ca_certificate: None,
            nodes: vec![NodeEntry {
                name: format!("{name}.node"),
                consensus_key: key(2, index).public(),
                network_key: key(4, index).public(),
                address: format!("127.0.0.1:{}", 7000 + u16::from(index)),
                power: Power(1),
            }],
            accounts: mine
                .map(|n| AccountEntry {
                    name: format!("{name}.account-{n:02}"),
                    key: key(1, n).public(),
                    roles: Vec::new(),
                })
                .collect(),
            name: MemberName::new(name)?,
        })
    });
    let code = std::fs::read(contracts.join("meter.wasm")).context("meter.wasm")?;
    let mut genesis = GenesisDocument {
        format: FORMAT_VERSION,
        chain_name: "Bare path".into(),
        time: TimestampMs(1_700_000_000_000),
        params: ChainParams::default(),
        members: members.collect::<Result<_>>()?,
        contracts: vec![GenesisContract { name: contract("meter"), code }],
    };
    genesis.sort();
    Ok(Founding { genesis, validators, accounts })
}

fn open(path: PathBuf, founding: &Founding) -> Result<(Ledger, Arc<Runtime>)> {
    let options = StoreOptions { cache_bytes: CACHE_BYTES, ..StoreOptions::default() };
    let storage = Arc::new(RocksStore::open(path, options)?);
    let runtime = Runtime::new(vouch_vm::VmLimits::default())?;
    Ok((Ledger::open(storage, &founding.genesis, Arc::clone(&runtime))?, runtime))
}

/// A transaction as `vouch dev load` makes them.
fn transaction(chain: ChainId, expiry: Height, number: u64, key: &SecretKey) -> Vec<u8> {
    let mut payload = vec![0x5a; 80];
    payload[8..16].copy_from_slice(&number.to_le_bytes());
    let mut salt = [0; 16];
    salt[..8].copy_from_slice(&number.to_le_bytes());
    let call = Call { contract: contract("meter"), method: "record".into(), arguments: encode(&payload) };
    let body = TransactionBody { version: TRANSACTION_VERSION, chain, expiry, salt, calls: vec![call] };
    encode(&body.sign(&[key]))
}

fn certify(founding: &Founding, ledger: &Ledger, block: &Block) -> CommitCertificate {
    let mut certificate = CommitCertificate {
        height: block.header.height,
        round: Round(0),
        block: block.header.hash(),
        signatures: Vec::new(),
    };
    let digest = certificate.statement(ledger.chain()).digest();
    for (position, validator) in ledger.validators().members().iter().enumerate() {
        let secret = founding.validators.iter().find(|secret| secret.public() == validator.key);
        certificate.signatures.extend(
            secret.map(|secret| CommitSignature {
                validator: position as u16,
                signature: secret.sign(digest.as_bytes()),
            }),
        );
    }
    debug_assert_eq!(certificate.statement(ledger.chain()).kind, VoteKind::Precommit);
    certificate
}

/// Blocks as a proposer would send them.
fn make_blocks(args: &CopyArgs, founding: &Founding) -> Result<Vec<Arrived>> {
    let (mut ledger, _) = open(args.dir.join("proposer"), founding)?;
    let (chain, proposer) = (ledger.chain(), founding.validators[0].public().node());
    let mut number = 0;
    let mut arrived = Vec::new();
    for height in 1..=args.blocks {
        let raw = (0..args.block_transactions).map(|_| {
            number += 1;
            let key = &founding.accounts[number as usize % founding.accounts.len()];
            UnverifiedTransaction::decode(transaction(chain, Height(height + 500), number, key), chain)
        });
        let unverified = raw.collect::<Result<Vec<_>, _>>()?;
        let verified = UnverifiedTransaction::verify_all(unverified, &[7; 32]).into_iter();
        let pooled: Vec<_> = verified.map(|tx| tx.map(PooledTransaction::new)).collect::<Result<_, _>>()?;
        let time = TimestampMs(founding.genesis.time.0 + height * 300);
        let (hash, block) = ledger.propose(pooled.iter(), time, proposer)?;
        ensure!(block.transactions.len() == args.block_transactions, "a block did not take all transactions");
        let certificate = certify(founding, &ledger, &block);
        arrived.push(Arrived { bytes: encode(&block), certificate: certificate.clone() });
        ledger.commit(hash, certificate, Batch::new())?;
    }
    Ok(arrived)
}

/// Adds the calling thread's time since then to a sum, in microseconds.
fn add(sum: &mut f64, since: ThreadTime) {
    *sum += since.elapsed().as_secs_f64() * 1e6;
}

/// A block's way through a validator that has not seen its transactions before.
fn follow(
    ledger: &mut Ledger,
    runtime: &Arc<Runtime>,
    arrived: Arrived,
    with_parts: bool,
    measured: &mut Measured,
) -> Result<()> {
    let chain = ledger.chain();
    let begun = ThreadTime::now();
    let block: Block = decode("block", &arrived.bytes, BLOCK_BYTES_MAX)?;
    let raw = block.transactions.iter();
    let unverified: Vec<_> =
        raw.map(|raw| UnverifiedTransaction::decode(raw.clone(), chain)).collect::<Result<_, _>>()?;
    add(&mut measured.decode_us, begun);

    let begun = ThreadTime::now();
    let mut pooled = Vec::with_capacity(unverified.len());
    let mut unverified = unverified.into_iter().peekable();
    while unverified.peek().is_some() {
        let batch = unverified.by_ref().take(BATCH_MAX).collect();
        for verdict in UnverifiedTransaction::verify_all(batch, &rand::random()) {
            pooled.push(Arc::new(verdict?));
        }
    }
    arrived.certificate.verify(chain, ledger.validators())?;
    add(&mut measured.signatures_us, begun);

    if with_parts {
        for raw in block.transactions.iter().take(SINGLE) {
            let tx = UnverifiedTransaction::decode(raw.clone(), chain)?;
            let begun = ThreadTime::now();
            tx.verify()?;
            add(&mut measured.single_us, begun);
            measured.single_count += 1;
        }
        let begun = ThreadTime::now();
        let storage = Arc::clone(ledger.storage());
        let moment = Moment { height: block.header.height, time: block.header.time, read_only: false };
        let overlay = Overlay::new(Arc::clone(&storage));
        let session = Session::new(overlay, Arc::clone(ledger.registry()), moment, Arc::clone(runtime));
        let mut executor = Executor::new(session, storage);
        for tx in &pooled {
            executor.execute(tx)??;
        }
        drop(executor.finish()?);
        add(&mut measured.execute_us, begun);
    }

    let begun = ThreadTime::now();
    let by_leaf: std::collections::HashMap<_, _> =
        pooled.into_iter().map(|tx| (merkle::leaf_hash(tx.raw()), tx)).collect();
    let hash = ledger.validate(&block, None, &rand::random(), &|leaf| by_leaf.get(leaf).cloned())??;
    add(&mut measured.validate_us, begun);

    let (begun, wall) = (ThreadTime::now(), Instant::now());
    let committed = ledger.commit(hash, arrived.certificate, Batch::new())?;
    add(&mut measured.commit_us, begun);
    measured.commit_wall_ms += wall.elapsed().as_secs_f64() * 1e3;
    measured.transactions += committed.records.len() as u64;
    Ok(())
}

/// One copy: makes its blocks, says `ready`, waits for a line, measures, says what it measured.
///
/// # Errors
/// When something on the way fails.
pub fn copy(args: &CopyArgs) -> Result<()> {
    let founding = found(&args.contracts)?;
    let blocks = make_blocks(args, &founding)?;
    let (mut ledger, runtime) = open(args.dir.join("validator"), &founding)?;
    println!("ready");
    std::io::stdout().flush()?;
    let mut line = String::new();
    ensure!(std::io::stdin().lock().read_line(&mut line)? > 0, "nobody waits for this any more");
    let mut blocks = blocks.into_iter();
    // The first block compiles the contract, once in a node's life.
    if let Some(first) = blocks.next() {
        follow(&mut ledger, &runtime, first, args.parts, &mut Measured::default())?;
    }
    let mut measured = Measured::default();
    let (begun, all) = (Instant::now(), ProcessTime::now());
    for arrived in blocks {
        follow(&mut ledger, &runtime, arrived, args.parts, &mut measured)?;
    }
    measured.seconds = begun.elapsed().as_secs_f64();
    measured.all_threads_us = all.elapsed().as_secs_f64() * 1e6;
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

struct Running {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Running {
    async fn line(&mut self) -> Result<String> {
        let line = tokio::time::timeout(PATIENCE, self.output.next_line());
        line.await.context("a copy does not answer")??.context("a copy has ended")
    }
}

/// Runs copies at the same time.
async fn run_copies(count: usize, blocks: u64, block_transactions: u64, with_parts: bool) -> Result<Vec<Measured>> {
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let contracts = Program::find()?.contracts;
    let mut copies = Vec::new();
    for index in 0..count {
        let dir = folder.path().join(index.to_string());
        std::fs::create_dir(&dir)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("copy").arg("--dir").arg(dir).arg("--contracts").arg(&contracts);
        command.args(["--blocks", &blocks.to_string(), "--block-transactions", &block_transactions.to_string()]);
        if with_parts {
            command.arg("--parts");
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let (input, output) = (child.stdin.take().context("stdin")?, child.stdout.take().context("stdout")?);
        copies.push(Running { _child: child, input, output: BufReader::new(output).lines() });
    }
    for copy in &mut copies {
        ensure!(copy.line().await? == "ready", "a copy is not ready");
    }
    for copy in &mut copies {
        copy.input.write_all(b"go\n").await?;
    }
    let mut measured = Vec::new();
    for copy in &mut copies {
        measured.push(serde_json::from_str(&copy.line().await?)?);
    }
    Ok(measured)
}

/// One copy with nothing beside it, part by part.
pub(super) async fn alone(blocks: u64, block_transactions: u64) -> Result<Measured> {
    let copies = run_copies(1, blocks, block_transactions, true).await?;
    copies.into_iter().next().context("one copy")
}

pub(super) async fn measure(scale: Scale) -> Result<Vec<Figure>> {
    let mut figure = Figure::new("performance-bare-path", "path", "the copies share the machine");
    let block_transactions = scale.of(1500, 300);
    let copies = run_copies(COPIES, scale.of(60, 6), block_transactions, false).await?;
    // All begin together, and the last to end decides, as the slowest nodes of a quorum would.
    let seconds = copies.iter().map(|copy| copy.seconds).fold(0.0, f64::max);
    let transactions = copies.first().map_or(0, |copy| copy.transactions) as f64;
    let rate = transactions / seconds;
    figure.set("copies_count", COPIES as f64);
    figure.set("committed_per_second", rate);
    let cpu: f64 = copies.iter().map(|copy| copy.all_threads_us).sum();
    figure.set("cpu_us_per_transaction_and_copy", cpu / transactions / COPIES as f64);

    let alone = alone(scale.of(40, 6), block_transactions).await?;
    for (part, us) in alone.parts() {
        figure.set(format!("{part}_us_per_transaction"), us);
    }
    figure.set("commit_wall_ms_per_block", alone.per_transaction(alone.commit_wall_ms) * block_transactions as f64);

    let cluster = Cluster::start(Options::default()).await?;
    Load::start(&cluster, scale.of(5, 1), Pressure::Rate(500))?.finish().await?;
    let (report, _) = Load::start(&cluster, scale.of(30, 5), Pressure::FULL)?.finish().await?;
    load::set_report(&mut figure, "network_", &report);
    // Consensus, network and API may cost two thirds of what the machine could do without them.
    figure.at_least("network_to_bare_path_ratio", report.committed_per_second / rate, 1.0 / 3.0);
    Ok(vec![figure])
}
