//! `vouch dev schemas`: gives a network on this machine what documents need: the contracts `relations` and `documents`, and
//! the sample schemas. Done again, it adds what is missing.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use vouch_sdk::{Client, ProposalDraft, TransactionBuilder, keystore};
use vouch_types::{
    Abi, CodeHash, ContractName, SecretKey, TimestampMs,
    api::{HexBytes, OutcomeView, QueryBody},
    document,
    hash::domain_hash,
    relation,
};

use super::{net, plan::Plan};
use crate::{
    commands::{GlobalArgs, output::emit},
    runner::wall,
};

/// How long a transaction may take.
const FINAL_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the members may vote, in milliseconds: they all sign at once.
const VOTE_MS: u64 = 600_000;

/// The sample schemas of the five categories.
const SAMPLES: [&str; 6] = [
    include_str!("../../../genesis/sample/schemas/worker-identity.json"),
    include_str!("../../../genesis/sample/schemas/enterprise-identity.json"),
    include_str!("../../../genesis/sample/schemas/service-contract.json"),
    include_str!("../../../genesis/sample/schemas/service-transaction.json"),
    include_str!("../../../genesis/sample/schemas/service-invoice.json"),
    include_str!("../../../genesis/sample/schemas/risk-finding.json"),
];

/// Options of `vouch dev schemas`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The network's folder, as `vouch dev net` made it; the network must run
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Folder of built contracts, for those that are not there yet
    #[arg(long, value_name = "DIR", env = "VOUCH_CONTRACTS")]
    contracts: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// A text that says what is wrong and where.
pub async fn run(args: &Args, global: &GlobalArgs) -> Result<ExitCode> {
    let plan = Plan::load(&args.dir)?;
    let made = prepare(&args.dir, &plan, args.contracts.as_deref()).await?;
    let value = json!({ "contracts": made.contracts, "schemas": made.schemas });
    emit(global, &value, |_| {
        let contracts = made.contracts.iter().map(|name| format!("contract {name} is there now"));
        let mut lines: Vec<String> =
            contracts.chain(made.schemas.iter().map(|name| format!("schema {name} is registered"))).collect();
        if lines.is_empty() {
            lines.push("everything was there".into());
        }
        lines
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What was added.
#[derive(Debug, Default)]
pub struct Made {
    /// Contracts.
    pub contracts: Vec<String>,
    /// Schemas.
    pub schemas: Vec<String>,
}

/// Adds what is missing, decided by all members of the plan.
///
/// # Errors
/// A text that says what could not be done.
pub async fn prepare(folder: &Path, plan: &Plan, contracts: Option<&Path>) -> Result<Made> {
    let node = plan.nodes.first().context("the network has no nodes")?;
    let client = net::client(folder, node)?;
    let admins: Vec<SecretKey> = plan
        .admins
        .iter()
        .map(|path| keystore::load(&folder.join(path), None).with_context(|| path.display().to_string()))
        .collect::<Result<_>>()?;
    let members = Members { client, admins };
    let mut made = Made::default();
    for name in [relation::CONTRACT, document::CONTRACT] {
        let contract = ContractName::new(name)?;
        if !members.has_contract(&contract).await? {
            let Some(contracts) = contracts else {
                bail!("there is no contract {name}; name the folder of built contracts with --contracts");
            };
            members.install(&contract, &contracts.join(format!("{name}.wasm"))).await?;
            made.contracts.push(name.into());
        }
    }
    let contract = ContractName::new(document::CONTRACT)?;
    let abi = members.client.abi(&contract).await?;
    for sample in SAMPLES {
        let definition: Value = serde_json::from_str(sample).context("a sample schema")?;
        let name = definition["name"].as_str().context("a sample schema has a name")?.to_owned();
        if members.schema_versions(&contract, &name).await? == 0 {
            members.register(&contract, &abi, &name, definition).await?;
            made.schemas.push(name);
        }
    }
    Ok(made)
}

/// All members' administrators, through one node.
struct Members {
    client: Client,
    admins: Vec<SecretKey>,
}

impl Members {
    async fn has_contract(&self, name: &ContractName) -> Result<bool> {
        match self.client.contract(name).await {
            Ok(_) => Ok(true),
            Err(vouch_sdk::Error::Refused { problem, .. }) if problem.code == "contract.unknown" => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn install(&self, name: &ContractName, path: &Path) -> Result<()> {
        let code = std::fs::read(path).with_context(|| format!("contract {}", path.display()))?;
        let hash = CodeHash(domain_hash("vouch/code/1", &[&code]).0);
        let system = crate::commands::decide::system()?;
        let abi = self.client.abi(&system).await?;
        let activation = json!({ "name": name, "code": hash, "arguments": "", "canary_percent": 0 });
        let draft = ProposalDraft::new("contracts", format!("Activate contract {name}"), deadline());
        let draft = draft.action_json(&abi, &system, "activate_contract", &activation)?;
        let mut builder = self.client.transaction_builder().await?;
        if !self.client.packages().await?.items.iter().any(|package| package.code_hash == hash) {
            builder = builder.call_json(&abi, system, "upload_package", &json!({ "code": HexBytes(code) }))?;
        }
        self.decide(builder.propose(&draft), &format!("contract {name}")).await
    }

    async fn schema_versions(&self, contract: &ContractName, name: &str) -> Result<u64> {
        let body = QueryBody { arguments: json!({ "name": name }), encoded: None, height: None };
        let view = self.client.query(contract, "schema_versions", body).await?;
        let value = view.value.context("the contract's answer cannot be read")?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok()).context("the contract answered with no number")
    }

    async fn register(&self, contract: &ContractName, abi: &Abi, name: &str, definition: Value) -> Result<()> {
        let draft = ProposalDraft::new("documents", format!("Schema {name}"), deadline());
        let draft = draft.action_json(abi, contract, "register_schema", &json!({ "definition": definition }))?;
        let builder = self.client.transaction_builder().await?.propose(&draft);
        self.decide(builder, &format!("schema {name}")).await
    }

    /// Signs with every administrator, so that the proposal is carried out at once, and waits for it.
    async fn decide(&self, builder: TransactionBuilder, what: &str) -> Result<()> {
        let keys: Vec<&SecretKey> = self.admins.iter().collect();
        let transaction = builder.sign(&keys)?;
        self.client.submit(&transaction).await?;
        let view = self.client.wait(transaction.id, FINAL_TIMEOUT).await?;
        if let OutcomeView::Failed { code, message, .. } = &view.receipt.outcome {
            bail!("{what}: {code}: {message}");
        }
        let decided = view.output_value.as_ref().and_then(|value| value.get("proposal")).and_then(Value::as_u64);
        let proposal = self.client.proposal(decided.context("no proposal came of it")?).await?;
        if proposal.summary.state != "executed" {
            let why = proposal.summary.failure.map(|failure| format!(": {}: {}", failure.code, failure.message));
            bail!("{what}: the proposal is {}{}", proposal.summary.state, why.unwrap_or_default());
        }
        Ok(())
    }
}

fn deadline() -> TimestampMs {
    TimestampMs(wall().0.saturating_add(VOTE_MS))
}
