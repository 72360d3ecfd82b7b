//! `vouch dev month`: a month of business as files; and its uplink through the institution's and the platform's nodes, which
//! goes on where it was when it is started again.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use vouch_month::{Month, Step};
use vouch_sdk::Client;
use vouch_types::{
    SecretKey,
    api::OutcomeView,
    document::{DocumentId, Party, Version, VersionState},
};
use vouch_uplink::Journal;

use super::{
    demo::{FINAL_TIMEOUT, member_key, say},
    plan::Plan,
    private,
};
use crate::commands::{
    GlobalArgs,
    doc::uplink::{self, Prepared, Sender, Sent},
    output::emit,
};

/// Signatures in one transaction: the most calls that one has.
const CALLS: usize = 16;
/// How often is looked for what is on its way from another node.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Options of `vouch dev month`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to write; must not be there, or be empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How many documents
    #[arg(long, default_value_t = 20_000)]
    documents: u64,
    /// The same seed gives the same files
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// Writes a month.
///
/// # Errors
/// When the folder is not empty or cannot be written.
pub fn run(args: &Args, global: &GlobalArgs) -> Result<ExitCode> {
    let is_used = args.out.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if is_used {
        bail!("{} is not empty; name another directory", args.out.display());
    }
    let month = vouch_month::write(&args.out, args.documents, args.seed)?;
    emit(global, &month, |_| {
        let mut lines: Vec<String> =
            month.schemas.iter().map(|(schema, count)| format!("{count:>8}  {schema}")).collect();
        lines.push(format!("{:>8}  {}", month.documents, args.out.display()));
        lines
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What the uplink of a month took.
#[derive(Debug, Default)]
pub struct Uplinked {
    /// Documents that became final now.
    pub sent: u64,
    /// Documents that were there before.
    pub already: u64,
    /// Seconds, signatures of the clients included.
    pub seconds: f64,
}

/// Uplinks a month of so many documents, made where it is not there yet.
///
/// # Errors
/// A text that says what went wrong where; what is final stays so.
pub async fn show(dir: &Path, plan: &Plan, documents: u64, seed: u64, stop: &CancellationToken) -> Result<Uplinked> {
    let begun = Instant::now();
    let folder = dir.join("month");
    let month = match vouch_month::read(&folder) {
        Ok(month) => month,
        Err(_) => make(&folder, documents, seed)?,
    };
    say(&format!("A month of business, {} documents in files under {}:", month.documents, folder.display()))?;
    let state = dir.join("uplink");
    uplink::private(&state)?;
    let mut all = Uplinked::default();
    for step in &month.steps {
        if stop.is_cancelled() {
            break;
        }
        let sent = uplinked(dir, plan, step, stop).await.with_context(|| format!("uplink of {}", step.folder))?;
        say(&format!(
            "  {:<14} {:>6} documents by the {:<12} {:>6} sent, {} before, {:.0} a second",
            step.folder, step.documents, step.member, sent.sent, sent.already, sent.per_second
        ))?;
        all.sent += sent.sent;
        all.already += sent.already;
        for client in ["enterprise", "platform"] {
            let signed = sign_contracts(dir, plan, client, &state.join(numbers_name(step))).await?;
            if signed > 0 {
                say(&format!("  {:<14} {signed:>6} contracts signed by the {client}", ""))?;
            }
        }
    }
    all.seconds = begun.elapsed().as_secs_f64();
    say("")?;
    Ok(all)
}

/// Writes the files beside and puts them in place whole.
fn make(folder: &Path, documents: u64, seed: u64) -> Result<Month> {
    let part = folder.with_extension("part");
    if part.exists() {
        std::fs::remove_dir_all(&part)?;
    }
    let month = vouch_month::write(&part, documents, seed)?;
    std::fs::rename(&part, folder)?;
    Ok(month)
}

fn numbers_name(step: &Step) -> String {
    format!("{}.numbers.csv", step.folder)
}

/// Uplinks a folder as its member does, with its own state.
async fn uplinked(dir: &Path, plan: &Plan, step: &Step, stop: &CancellationToken) -> Result<Sent> {
    let source = dir.join("month").join(&step.folder);
    let (all_states, state) = (dir.join("uplink"), dir.join("uplink").join(&step.member));
    uplink::private(&state)?;
    let client = private::client(dir, plan, &step.member)?;
    // Ids that others gave to numbers; its own follow from its key.
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(&all_states)? {
        let path = entry?.path();
        let own = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.contains(&format!("-{}.", step.member)));
        if path.extension().is_some_and(|extension| extension == "csv") && !own {
            numbers.push(path);
        }
    }
    let keys = uplink::keys(&state, &numbers, uplink::NoKey::Make)?;
    let journal = Journal::open(&state).map_err(|fault| uplink::refused(&fault))?;
    let unpacked = tempfile::Builder::new().prefix("unpacked-").tempdir_in(&state)?;
    let mapping = source.join("mapping.toml");
    let prepared =
        uplink::prepare(&client, &mapping, std::slice::from_ref(&source), unpacked.path(), keys, &journal).await?;
    let Prepared { plan: mut uplink_plan, issuings, .. } = prepared;
    let summary = tokio::task::block_in_place(|| uplink_plan.check(unpacked.path(), &mut |_| {}));
    let summary = summary.map_err(|fault| uplink::refused(&fault))?;
    if !summary.broken.is_empty() {
        return Err(uplink::refused_all(&summary.broken));
    }
    let sender = Sender {
        client,
        key: Arc::new(member_key(dir, plan, &step.member)?),
        plan: Arc::new(uplink_plan),
        issuings: Arc::new(issuings),
        when_changed: Vec::new(),
        journal: Arc::new(Mutex::new(journal)),
        concurrency: uplink::CONCURRENCY,
        rejected: Some(state.clone()),
        work: state.clone(),
        bar: uplink::progress(summary.documents, &GlobalArgs::default()),
        stop: stop.clone(),
    };
    let sent = sender.run().await?;
    sender.bar.finish_and_clear();
    if sent.rejected > 0 {
        bail!("{} rows were rejected; see {}", sent.rejected, state.display());
    }
    sender.write_numbers(&all_states.join(numbers_name(step)))?;
    Ok(sent)
}

/// Signs, for a client of contracts, those that wait for it.
async fn sign_contracts(dir: &Path, plan: &Plan, member: &str, numbers: &Path) -> Result<usize> {
    let Ok(text) = std::fs::read_to_string(numbers) else { return Ok(0) };
    let contracts = text.lines().filter(|line| line.starts_with("service-contract,"));
    let ids: Vec<DocumentId> = contracts.filter_map(|line| line.rsplit(',').next()?.parse().ok()).collect();
    let (client, key) = (private::client(dir, plan, member)?, member_key(dir, plan, member)?);
    let own = Party::member(member);
    let mut waiting = Vec::new();
    for id in ids {
        let version = known(&client, id).await?;
        let is_party = version.content.parties.iter().any(|entry| entry.party == own);
        let has_signed = version.signatures.iter().any(|signature| signature.party == own);
        if is_party && !has_signed && version.state == VersionState::Pending {
            waiting.push(id);
        }
    }
    let mut under_way = Vec::new();
    for ids in waiting.chunks(CALLS) {
        under_way.push(sign(&client, &key, ids).await?);
    }
    for id in under_way {
        let view = client.wait(id, FINAL_TIMEOUT).await?;
        if let OutcomeView::Failed { code, message, .. } = &view.receipt.outcome {
            bail!("signing contracts: {code}: {message}");
        }
    }
    Ok(waiting.len())
}

/// The first version of a document that is final at another node, and here a moment later.
async fn known(client: &Client, id: DocumentId) -> Result<Version> {
    let deadline = Instant::now() + FINAL_TIMEOUT;
    loop {
        if let Some(version) = client.document_version(id, 1).await? {
            return Ok(version);
        }
        if Instant::now() > deadline {
            bail!("document {id} did not become known within {} s", FINAL_TIMEOUT.as_secs());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn sign(client: &Client, key: &SecretKey, ids: &[DocumentId]) -> Result<vouch_types::TxId> {
    let mut builder = client.transaction_builder().await?;
    for id in ids {
        builder = builder.sign_document(*id, 1);
    }
    let transaction = builder.sign(&[key])?;
    client.submit(&transaction).await?;
    Ok(transaction.id)
}
