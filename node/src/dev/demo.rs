//! `vouch dev demo`: four members on this machine, a few documents registered by two of them, a proof checked offline,
//! the regulator's view, a private document that reaches those entitled and nobody else, and a month of business out of files. Keeps
//! running until stopped; started again, it continues.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use vouch_genesis::ChainParams;
use vouch_sdk::{Client, keystore};
use vouch_types::{
    ContractName, SecretKey,
    api::{Claim, OutcomeView, QueryBody, TransactionView},
    hash::domain_hash,
    light::ProofBundle,
};

use super::{
    month,
    net::{self, Network},
    plan::{Plan, Wish},
    private, running,
};
use crate::node::told_to_stop;

/// How long a transaction of the demo may take.
pub const FINAL_TIMEOUT: Duration = Duration::from_secs(20);

/// Options of `vouch dev demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The demo's folder; made when it is not there, continued when it is
    #[arg(long, value_name = "DIR", default_value = ".vouch/demo")]
    dir: PathBuf,
    /// First port: the nodes' network from here, their APIs from 100 above
    #[arg(long, default_value_t = 7450)]
    port: u16,
    /// Folder of built contracts
    #[arg(long, value_name = "DIR", env = "VOUCH_CONTRACTS")]
    contracts: Option<PathBuf>,
    /// Documents of the month of business that is uplinked; 0 for none
    #[arg(long, default_value_t = 2_000)]
    documents: u64,
    /// What the month is drawn from
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Stop when everything was shown
    #[arg(long)]
    once: bool,
    /// Stop the demo that runs in this folder
    #[arg(long, conflicts_with = "once")]
    stop: bool,
    /// Stop it and remove its folder
    #[arg(long, conflicts_with = "once")]
    clean: bool,
}

/// One document of the demo: whose node registers it, what it is, which earlier one it belongs to.
struct Document {
    member: &'static str,
    category: &'static str,
    title: &'static str,
    reference: Option<usize>,
}

const DOCUMENTS: [Document; 4] = [
    Document { member: "institution", category: "identity", title: "identity check of a courier", reference: None },
    Document {
        member: "institution",
        category: "contract",
        title: "service contract with that courier",
        reference: Some(0),
    },
    Document {
        member: "platform",
        category: "transaction",
        title: "settlement of a week's deliveries",
        reference: Some(1),
    },
    Document { member: "institution", category: "invoice", title: "invoice for that settlement", reference: Some(2) },
];

/// Runs the demo until it is told to stop.
///
/// # Errors
/// A text that says what is wrong and where.
pub async fn run(args: &Args) -> Result<ExitCode> {
    if args.stop || args.clean {
        return running::stop(&args.dir, args.clean).await;
    }
    let contracts = args.contracts.as_ref().context("name the folder of built contracts with --contracts")?;
    let contract = |name: &str| -> Result<(ContractName, PathBuf)> {
        Ok((ContractName::new(name)?, contracts.join(format!("{name}.wasm"))))
    };
    let wish = Wish {
        members: 4,
        accounts: 16,
        port: args.port,
        contracts: vec![contract("documents")?, contract("meter")?, contract("notary")?, contract("relations")?],
        params: ChainParams::default(),
        plain_http: false,
    };
    let plan = Plan::load_or_make(&args.dir, &wish)?;
    let mark = running::Mark::make(&args.dir)?;
    let begun = Instant::now();
    say("Starting four members, each its own process …")?;
    let mut network = Network::start(&args.dir, plan).await?;
    let result = show(&mut network, args, begun).await;
    network.stop().await;
    drop(mark);
    result.map(|()| ExitCode::SUCCESS)
}

/// Says something at once.
///
/// # Errors
/// When nobody listens any more.
pub fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

async fn show(network: &mut Network, args: &Args, begun: Instant) -> Result<()> {
    network.wait_ready().await?;
    let plan = network.plan().clone();
    for line in net::lines(&plan) {
        say(&format!("  {line}"))?;
    }
    say(&format!("All four agree on blocks, {:.1} s after the start.\n", begun.elapsed().as_secs_f64()))?;
    let first = register_documents(&args.dir, &plan).await?;
    check_proof(&args.dir, &plan, &first).await?;
    regulators_view(&args.dir, &plan).await?;
    private::show(&args.dir, &plan).await?;
    if args.documents > 0 && !month(network, args, &plan, begun).await? {
        return Ok(());
    }
    for node in &plan.nodes {
        say(&format!("  {:<12} {}/", node.member, node.api))?;
    }
    say(&look_further(&args.dir))?;
    if args.once {
        return Ok(());
    }
    say("The network runs until you press Ctrl-C.")?;
    network.keep_running(None).await
}

/// The month; whether to go on, which is not so when it was told to stop.
async fn month(network: &mut Network, args: &Args, plan: &Plan, begun: Instant) -> Result<bool> {
    let stop = CancellationToken::new();
    let uplink = month::show(&args.dir, plan, args.documents, args.seed, &stop);
    tokio::pin!(uplink);
    let mut watch = tokio::time::interval(Duration::from_secs(1));
    let stopping = told_to_stop();
    tokio::pin!(stopping);
    let uplinked = loop {
        tokio::select! {
            uplinked = &mut uplink => break uplinked?,
            () = &mut stopping, if !stop.is_cancelled() => stop.cancel(),
            _ = watch.tick() => network.check_alive()?,
        }
    };
    if stop.is_cancelled() {
        say("Stopped; started again, the demo goes on where it was.")?;
        return Ok(false);
    }
    let rate = uplinked.sent as f64 / uplinked.seconds.max(0.001);
    say(&format!(
        "{} documents are on the chain and with those entitled; {} sent now in {:.0} s ({rate:.0} a second), {:.0} s after the start.\n",
        uplinked.sent + uplinked.already,
        uplinked.sent,
        uplinked.seconds,
        begun.elapsed().as_secs_f64()
    ))?;
    Ok(true)
}

/// A client of a member's node that checks proofs against the chain id.
fn member_client(dir: &Path, plan: &Plan, member: &str) -> Result<Client> {
    let node = plan.nodes.iter().find(|n| n.member == member).with_context(|| format!("no member {member}"))?;
    net::client_of_chain(dir, node, plan.chain)
}

/// The key of a member's first account.
///
/// # Errors
/// When there is none.
pub fn member_key(dir: &Path, plan: &Plan, member: &str) -> Result<SecretKey> {
    let begins = format!("{member}.");
    let path = plan
        .accounts
        .iter()
        .find(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(&begins)));
    let path = path.with_context(|| format!("member {member} has no account"))?;
    Ok(keystore::load(&dir.join(path), None)?)
}

async fn register_documents(dir: &Path, plan: &Plan) -> Result<TransactionView> {
    say("Registering four documents. Only salted commitments leave a member's house:")?;
    let notary = ContractName::new("notary")?;
    let mut commitments: Vec<String> = Vec::new();
    let mut first = None;
    for document in &DOCUMENTS {
        let client = member_client(dir, plan, document.member)?;
        let key = member_key(dir, plan, document.member)?;
        let salt: [u8; 32] = rand::random();
        let commitment = domain_hash("vouch/demo-document/1", &[&salt, document.title.as_bytes()]).to_string();
        let reference = document.reference.and_then(|index| commitments.get(index));
        let arguments = json!({ "commitment": commitment, "category": document.category, "reference": reference });
        let begun = Instant::now();
        let abi = client.abi(&notary).await?;
        let transaction = client
            .transaction_builder()
            .await?
            .call_json(&abi, notary.clone(), "register", &arguments)?
            .sign(&[&key])?;
        client.submit(&transaction).await?;
        let view = client.wait(transaction.id, FINAL_TIMEOUT).await?;
        if let OutcomeView::Failed { code, message, .. } = &view.receipt.outcome {
            bail!("registering a document failed: {code}: {message}");
        }
        let ms = begun.elapsed().as_millis();
        say(&format!(
            "  {:<12} {:<12} {:<36} final in block {} after {ms} ms",
            document.member, document.category, document.title, view.height
        ))?;
        commitments.push(commitment);
        first.get_or_insert(view);
    }
    say("")?;
    first.context("the demo has documents")
}

async fn check_proof(dir: &Path, plan: &Plan, transaction: &TransactionView) -> Result<()> {
    let client = member_client(dir, plan, "enterprise")?;
    let (bundle, verified) = client.proof(transaction.id, Claim::Receipt).await?;
    let path = dir.join("receipt.proof.json");
    std::fs::write(&path, bundle.to_json()).with_context(|| format!("cannot write {}", path.display()))?;
    say(&format!(
        "The enterprise's node proves the first receipt: block {}, checked from the chain id alone.\n  {}",
        verified.height,
        path.display()
    ))?;
    let mut bytes = bundle.to_bytes();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    match ProofBundle::from_bytes(&bytes).and_then(|altered| altered.verify(plan.chain)) {
        Ok(_) => bail!("a proof with a flipped bit was accepted"),
        Err(error) => say(&format!("  The same proof with one bit flipped is refused: {}: {error}\n", error.code())),
    }
}

async fn regulators_view(dir: &Path, plan: &Plan) -> Result<()> {
    let client = member_client(dir, plan, "regulator")?;
    let body = QueryBody { arguments: json!({ "after": 0, "limit": 100 }), encoded: None, height: None };
    let view = client.query(&ContractName::new("notary")?, "list", body).await?;
    say(&format!("What the regulator's node lists at height {}:", view.height))?;
    for entry in view.value.as_ref().and_then(Value::as_array).into_iter().flatten() {
        let record = &entry["record"];
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        say(&format!(
            "  #{:<3} {:<12} by {:<12} block {:<5} {}",
            text(&record["sequence"]),
            text(&record["category"]),
            text(&record["member"]),
            text(&record["registered"]["height"]),
            text(&entry["commitment"])
        ))?;
    }
    say("")
}

fn look_further(dir: &Path) -> String {
    let (home, key) = (dir.join("nodes/regulator.node"), dir.join("accounts/regulator.account-03.key"));
    let (home, key, dir) = (home.display(), key.display(), dir.display());
    format!(
        "Try it from another terminal (vouch is the program that `./run build` names):\n  \
         vouch --home {home} status\n  \
         vouch --home {home} block list\n  \
         vouch --home {home} query notary list --args '{{\"after\":0,\"limit\":10}}'\n  \
         vouch --home {home} doc list\n  \
         vouch --home {home} doc show ID\n  \
         vouch --home {home} doc read ID --purpose supervision --key {key}\n  \
         vouch --home {home} doc vault --key {key}\n  \
         vouch --home {home} events\n  \
         vouch --home {home} tx verify {dir}/receipt.proof.json\n  \
         vouch dev load --dir {dir} --rate 500 --seconds 10\n\
         The addresses above are the members' explorers. Stop it with ./run demo stop, remove it with ./run demo clean.\n"
    )
}
