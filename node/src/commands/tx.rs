//! `vouch tx`: send, show, wait, proof, verify.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::{Value, json};
use vouch_sdk::{Client, SignedTransaction, TransactionBuilder};
use vouch_types::{
    ContractName, Height, ProofBundle, TxId, VerifiedClaim,
    api::{Claim, HexBytes, Language, OutcomeView, SubmitStatus, TransactionStatus, TransactionView},
    light::Fact,
};

use super::{
    GlobalArgs,
    output::{EXIT_TRANSACTION, emit, inline, table, time_text},
    password::open_keys,
    text::Text,
};

/// Most bytes of an arguments file.
const ARGUMENTS_BYTES_MAX: u64 = 4 << 20;

/// Send, follow and prove transactions.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Call a contract's method in a transaction of its own
    Send(SendArgs),
    /// What became of a transaction
    Show {
        /// The transaction
        id: TxId,
    },
    /// Wait until a transaction is final
    Wait {
        /// The transaction
        id: TxId,
        /// How long, in seconds
        #[arg(long, default_value_t = 30)]
        timeout_s: u64,
    },
    /// Get a proof, check it, and write it to a file
    Proof {
        /// The transaction
        id: TxId,
        /// What to prove: transaction, receipt or event
        #[arg(long, default_value = "receipt", value_parser = ["transaction", "receipt", "event"])]
        claim: String,
        /// With --claim event: its position, from 0
        #[arg(long, required_if_eq("claim", "event"))]
        index: Option<u32>,
        /// Where to; standard output if left out
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Check a proof file; needs no node, only the chain's id
    Verify {
        /// The file that `tx proof` wrote, JSON or bytes
        file: PathBuf,
    },
}

/// What to call and who signs.
#[derive(Debug, Clone, clap::Args)]
pub struct SendArgs {
    /// The contract
    #[arg(value_parser = parse_contract)]
    pub contract: ContractName,
    /// The method
    pub method: String,
    #[command(flatten)]
    pub arguments: ArgumentsArgs,
    #[command(flatten)]
    pub signing: SigningArgs,
}

/// Arguments of a call or query.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ArgumentsArgs {
    /// Arguments as a JSON object by name
    #[arg(long, value_name = "JSON", conflicts_with_all = ["args_file", "raw"])]
    pub args: Option<String>,
    /// A file with that JSON, - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "raw")]
    pub args_file: Option<PathBuf>,
    /// Encoded arguments in hexadecimal
    #[arg(long, value_name = "HEX")]
    pub raw: Option<HexBytes>,
}

impl ArgumentsArgs {
    /// The JSON arguments; `null` when none are given.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn json(&self) -> anyhow::Result<Value> {
        let text = match (&self.args, &self.args_file) {
            (Some(text), _) => text.clone(),
            (None, Some(path)) => read_text(path)?,
            (None, None) => return Ok(Value::Null),
        };
        serde_json::from_str(&text).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            let problem = vouch_types::api::Problem::new("query.bad_arguments", error.to_string()).at(place);
            vouch_sdk::Error::Refused { problem: Box::new(problem), node: String::new(), retry_after_s: None }.into()
        })
    }
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(ARGUMENTS_BYTES_MAX).read_to_string(&mut text)
    } else {
        fs::File::open(path).and_then(|file| file.take(ARGUMENTS_BYTES_MAX).read_to_string(&mut text))
    };
    read.with_context(|| path.display().to_string())?;
    Ok(text)
}

/// Who signs, and what happens then.
#[derive(Debug, Clone, clap::Args)]
pub struct SigningArgs {
    /// A key file; several sign together, the first is the caller
    #[arg(long = "key", value_name = "FILE", required = true, env = "VOUCH_KEY", value_delimiter = ',')]
    pub keys: Vec<PathBuf>,
    /// Valid for so many blocks; half of what the chain allows if left out
    #[arg(long, value_name = "BLOCKS")]
    pub expires_in: Option<u64>,
    /// Do not wait until it is final
    #[arg(long)]
    pub no_wait: bool,
    /// How long to wait, in seconds
    #[arg(long, default_value_t = 30)]
    pub timeout_s: u64,
}

/// Reads a contract's name for clap.
///
/// # Errors
/// What the name must be.
pub fn parse_contract(text: &str) -> Result<ContractName, String> {
    ContractName::new(text).map_err(|error| error.to_string())
}

/// Runs the command.
///
/// # Errors
/// As it went wrong.
pub async fn run(args: Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Send(args) => send(args, global).await,
        Action::Show { id } => show(id, global).await,
        Action::Wait { id, timeout_s } => {
            let transaction = global.client()?.wait(id, Duration::from_secs(timeout_s)).await?;
            emit(global, &transaction, |language| transaction_lines(&transaction, language))?;
            Ok(outcome_code(&transaction))
        }
        Action::Proof { id, claim, index, out } => {
            let claim = match claim.as_str() {
                "transaction" => Claim::Transaction,
                "event" => Claim::Event { index: index.unwrap_or(0) },
                _ => Claim::Receipt,
            };
            proof(id, claim, out, global).await
        }
        Action::Verify { file } => verify(&file, global),
    }
}

/// Builds, signs, submits and waits; also behind `vouch contract call`.
///
/// # Errors
/// As it went wrong.
pub async fn send(args: SendArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let client = global.client()?;
    let builder = client.transaction_builder().await?;
    let builder = match &args.arguments.raw {
        Some(raw) => builder.call(args.contract, args.method, raw.0.clone()),
        None => {
            let abi = client.abi(&args.contract).await?;
            builder.call_json(&abi, args.contract, args.method, &args.arguments.json()?)?
        }
    };
    sign_and_submit(&client, builder, &args.signing, global).await
}

/// Opens the key files and signs.
///
/// # Errors
/// As it went wrong.
pub async fn sign(
    client: &Client,
    builder: TransactionBuilder,
    signing: &SigningArgs,
    global: &GlobalArgs,
) -> anyhow::Result<SignedTransaction> {
    let builder = match signing.expires_in {
        Some(blocks) => {
            let head = client.params().await?.head;
            builder.expiry(Height(head.0.saturating_add(blocks)))
        }
        None => builder,
    };
    let keys = open_keys(global, &signing.keys)?;
    Ok(builder.sign(&keys.iter().collect::<Vec<_>>())?)
}

/// The rest of sending, once the calls are there.
///
/// # Errors
/// As it went wrong.
pub async fn sign_and_submit(
    client: &Client,
    builder: TransactionBuilder,
    signing: &SigningArgs,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    let transaction = sign(client, builder, signing, global).await?;
    let submitted = client.submit(&transaction).await?;
    if signing.no_wait {
        emit(global, &submitted, |language| {
            let status = match submitted.status {
                SubmitStatus::Accepted => Text::Accepted,
                SubmitStatus::Known => Text::Known,
            };
            let status = status.in_language(language).to_owned();
            table(language, &[(Text::Transaction, submitted.id.to_string()), (Text::Status, status)])
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let view = client.wait(transaction.id, Duration::from_secs(signing.timeout_s)).await?;
    emit(global, &view, |language| transaction_lines(&view, language))?;
    Ok(outcome_code(&view))
}

async fn show(id: TxId, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let status = global.client()?.transaction(id).await?;
    emit(global, &status, |language| match &status {
        TransactionStatus::Final { transaction, .. } => transaction_lines(transaction, language),
        TransactionStatus::Pending { head } => waiting_lines(id, Text::Pending, *head, language),
        TransactionStatus::Unknown { head } => waiting_lines(id, Text::Unknown, *head, language),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn waiting_lines(id: TxId, status: Text, head: Height, language: Language) -> Vec<String> {
    let status = status.in_language(language).to_owned();
    table(language, &[(Text::Transaction, id.to_string()), (Text::Status, status), (Text::Head, head.to_string())])
}

/// The exit code of a final transaction.
#[must_use]
pub fn outcome_code(transaction: &TransactionView) -> ExitCode {
    match transaction.receipt.outcome {
        OutcomeView::Success => ExitCode::SUCCESS,
        OutcomeView::Failed { .. } => ExitCode::from(EXIT_TRANSACTION),
    }
}

/// A final transaction for people.
#[must_use]
pub fn transaction_lines(transaction: &TransactionView, language: Language) -> Vec<String> {
    let status = match &transaction.receipt.outcome {
        OutcomeView::Success => Text::Success.in_language(language).to_owned(),
        OutcomeView::Failed { call, code, message } => {
            format!("{} [{code}] {message} (call {call})", Text::Failed.in_language(language))
        }
    };
    let calls: Vec<String> =
        transaction.calls.iter().map(|call| format!("{}.{}", call.contract, call.method)).collect();
    let signers: Vec<String> = transaction.signers.iter().map(ToString::to_string).collect();
    let output = transaction.output_value.as_ref().map_or_else(|| transaction.output.to_string(), inline);
    let mut rows = vec![
        (Text::Transaction, transaction.id.to_string()),
        (Text::Status, status),
        (Text::Height, transaction.height.to_string()),
        (Text::Index, transaction.index.to_string()),
        (Text::Time, time_text(transaction.time.0)),
        (Text::Calls, calls.join(", ")),
        (Text::Signers, signers.join(", ")),
        (Text::Fuel, transaction.receipt.fuel_used.to_string()),
    ];
    if !output.is_empty() {
        rows.push((Text::Output, output));
    }
    rows.extend(transaction.events.iter().map(|event| {
        let fields = event.fields.as_ref().map_or_else(|| event.data.to_string(), inline);
        (Text::Event, format!("{} {}.{} {fields}", event.index, event.contract, event.name))
    }));
    table(language, &rows)
}

async fn proof(id: TxId, claim: Claim, out: Option<PathBuf>, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let mut config = global.client_config()?;
    let is_pinned = config.chain.is_some();
    if !is_pinned {
        config.chain = Some(config.clone().build()?.params().await?.chain);
    }
    let (bundle, verified) = config.build()?.proof(id, claim).await?;
    if !is_pinned && !global.json {
        eprintln!("{}", Text::ChainTrusted.in_language(global.language()));
    }
    match out {
        Some(path) => {
            fs::write(&path, bundle.to_json()).with_context(|| path.display().to_string())?;
            let value = json!({ "file": path, "claim": claim_json(&verified) });
            emit(global, &value, |language| {
                let mut lines = vec![format!("{} {}", Text::ProofSaved.in_language(language), path.display())];
                lines.extend(claim_lines(&verified, language));
                lines
            })?;
        }
        None => println!("{}", bundle.to_json()),
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(file: &Path, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let chain = global.known_chain()?.ok_or_else(|| {
        vouch_sdk::Error::Configuration("name the chain that the proof should be of, with --chain ID".into())
    })?;
    let bytes =
        fs::read(file).map_err(|error| vouch_sdk::Error::Configuration(format!("{}: {error}", file.display())))?;
    let bundle = match std::str::from_utf8(&bytes) {
        Ok(text) if text.trim_start().starts_with('{') => ProofBundle::from_json(text),
        _ => ProofBundle::from_bytes(&bytes),
    };
    let verified = bundle.and_then(|bundle| bundle.verify(chain)).map_err(vouch_sdk::Error::Proof)?;
    emit(global, &claim_json(&verified), |language| {
        let mut lines = vec![Text::ProofHolds.in_language(language).to_owned()];
        lines.extend(claim_lines(&verified, language));
        lines
    })?;
    Ok(ExitCode::SUCCESS)
}

fn claim_json(verified: &VerifiedClaim) -> Value {
    let fact = match &verified.fact {
        Fact::Transaction { transaction, index } => {
            json!({ "claim": "transaction", "id": transaction.id(), "index": index })
        }
        Fact::Receipt(receipt) => json!({ "claim": "receipt", "receipt": receipt }),
        Fact::Event { event, index, receipt } => {
            let data = HexBytes(event.data.clone());
            json!({ "claim": "event", "contract": event.contract, "name": event.name, "data": data, "index": index,
                "receipt": receipt })
        }
        Fact::State { key, value } => {
            json!({ "claim": "state", "key": HexBytes(key.clone()), "value": value.clone().map(HexBytes) })
        }
    };
    json!({ "chain": verified.chain, "height": verified.height, "block": verified.block, "time": verified.time,
        "fact": fact })
}

fn claim_lines(verified: &VerifiedClaim, language: Language) -> Vec<String> {
    let mut rows = vec![
        (Text::Chain, verified.chain.to_string()),
        (Text::Height, verified.height.to_string()),
        (Text::Block, verified.block.to_string()),
        (Text::Time, time_text(verified.time.0)),
    ];
    match &verified.fact {
        Fact::Transaction { transaction, index } => {
            rows.push((Text::Transaction, transaction.id().to_string()));
            rows.push((Text::Index, index.to_string()));
        }
        Fact::Receipt(receipt) => rows.extend(receipt_rows(receipt, language)),
        Fact::Event { event, index, receipt } => {
            rows.extend(receipt_rows(receipt, language));
            let data = HexBytes(event.data.clone());
            rows.push((Text::Event, format!("{index} {}.{} {data}", event.contract, event.name)));
        }
        Fact::State { key, value } => {
            let value = value.clone().map_or_else(|| "-".to_owned(), |value| HexBytes(value).to_string());
            rows.push((Text::Output, format!("{} = {value}", HexBytes(key.clone()))));
        }
    }
    table(language, &rows)
}

fn receipt_rows(receipt: &vouch_types::Receipt, language: Language) -> [(Text, String); 2] {
    let status = match &receipt.outcome {
        vouch_types::Outcome::Success => Text::Success.in_language(language).to_owned(),
        vouch_types::Outcome::Failed(failure) => {
            format!("{} [{}] {}", Text::Failed.in_language(language), failure.code, failure.message)
        }
    };
    [(Text::Transaction, receipt.tx.to_string()), (Text::Status, status)]
}
