//! `vouch contract`: list, show, abi, deploy and the steps of its life, call.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::{Value, json};
use vouch_sdk::{Client, ListQuery, ProposalDraft, TransactionBuilder};
use vouch_types::{
    Abi, CodeHash, ContractName,
    abi::{Method, MethodKind},
    api::{ContractSummary, ContractView, HexBytes, Language, PackageView},
    hash::domain_hash,
};

use super::{
    GlobalArgs,
    decide::{DecideArgs, deadline, propose, submit, system},
    output::{emit, shown_json, table},
    text::Text,
    tx::{self, SendArgs, SigningArgs, parse_contract},
};

/// List, describe, deploy and call contracts.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// All contracts by name
    List,
    /// One contract and its methods
    Show {
        /// The contract
        #[arg(value_parser = parse_contract)]
        name: ContractName,
    },
    /// A contract's description as JSON
    Abi {
        /// The contract
        #[arg(value_parser = parse_contract)]
        name: ContractName,
    },
    /// Upload code and propose to activate it under a name; administrators that sign vote for it
    Deploy {
        /// The contract's name
        #[arg(value_parser = parse_contract)]
        name: ContractName,
        /// The WASM module, its ABI inside
        #[arg(long, value_name = "FILE")]
        code: PathBuf,
        #[command(flatten)]
        how: ActivateArgs,
    },
    /// Bring code into the state, for a later decision; signed by an administrator of any member
    Upload {
        /// The WASM module, its ABI inside
        code: PathBuf,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// Code in the state
    Packages,
    /// Take code that no contract has used out of the state; signed by an administrator of the member that brought it
    RemovePackage {
        /// The code's hash
        code: CodeHash,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// Propose to activate uploaded code under a name
    Activate {
        /// The contract's name
        #[arg(value_parser = parse_contract)]
        name: ContractName,
        /// The code's hash, as `contract upload` and `contract packages` show it
        code: CodeHash,
        #[command(flatten)]
        how: ActivateArgs,
    },
    /// Propose to put the version on trial in use
    Promote {
        /// The contract's name
        #[arg(value_parser = parse_contract)]
        name: ContractName,
        /// Encoded arguments of its method `migrate`
        #[arg(long, value_name = "HEX", default_value = "")]
        migrate: HexBytes,
        #[command(flatten)]
        decide: DecideArgs,
    },
    /// Propose to end a trial, or else to go back to the version before
    RollBack(ChangeArgs),
    /// Propose to refuse calls of a contract for now; of kind emergency
    Freeze(ChangeArgs),
    /// Propose to let a frozen contract be called again
    Unfreeze(ChangeArgs),
    /// Propose to refuse calls of a contract for ever; it can still be queried
    Retire(ChangeArgs),
    /// Call a method in a transaction (the same as `tx send`)
    Call(SendArgs),
}

/// How code is activated.
#[derive(Debug, Clone, clap::Args)]
pub struct ActivateArgs {
    /// Encoded arguments of the code's method `migrate`, if it has one
    #[arg(long, value_name = "HEX", default_value = "")]
    migrate: HexBytes,
    /// Try it with so many of a hundred callers first, beside the version in use
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=99))]
    canary: Option<u8>,
    #[command(flatten)]
    decide: DecideArgs,
}

/// A contract and who proposes something about it.
#[derive(Debug, Clone, clap::Args)]
pub struct ChangeArgs {
    /// The contract
    #[arg(value_parser = parse_contract)]
    name: ContractName,
    #[command(flatten)]
    decide: DecideArgs,
}

/// Runs the command.
///
/// # Errors
/// As it went wrong.
pub async fn run(args: Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::List => list(global).await?,
        Action::Show { name } => {
            let contract = global.client()?.contract(&name).await?;
            let abi = Abi::from_json(&contract.abi.to_string()).map_err(vouch_sdk::Error::Abi)?;
            emit(global, &contract, |language| contract_lines(&contract, &abi, language))?;
        }
        Action::Abi { name } => {
            let contract = global.client()?.contract(&name).await?;
            if global.json {
                println!("{}", contract.abi);
            } else {
                println!("{}", shown_json(&serde_json::to_string_pretty(&contract.abi)?));
            }
        }
        Action::Deploy { name, code, how } => return deploy(name, &code, &how, global).await,
        Action::Upload { code, signing } => return upload(&code, &signing, global).await,
        Action::Packages => packages(global).await?,
        Action::RemovePackage { code, signing } => {
            let client = global.client()?;
            let builder = kernel_call(&client, "remove_package", &json!({ "code": code })).await?;
            return tx::sign_and_submit(&client, builder, &signing, global).await;
        }
        Action::Activate { name, code, how } => {
            let actions = [("activate_contract", activation(&name, code, &how))];
            return propose("contracts", format!("Activate contract {name}"), &actions, &how.decide, global).await;
        }
        Action::Promote { name, migrate, decide } => {
            let actions = [("promote_contract", json!({ "name": name, "arguments": migrate }))];
            return propose("contracts", format!("Promote contract {name}"), &actions, &decide, global).await;
        }
        Action::RollBack(args) => return change("contracts", "roll_back_contract", "Roll back", args, global).await,
        Action::Freeze(args) => return change("emergency", "freeze_contract", "Freeze", args, global).await,
        Action::Unfreeze(args) => return change("contracts", "unfreeze_contract", "Unfreeze", args, global).await,
        Action::Retire(args) => return change("contracts", "retire_contract", "Retire", args, global).await,
        Action::Call(args) => return tx::send(args, global).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn all(client: &Client) -> anyhow::Result<Vec<ContractSummary>> {
    let mut contracts = Vec::new();
    let mut query = ListQuery { from: None, limit: Some(1000) };
    loop {
        let page = client.contracts(&query).await?;
        contracts.extend(page.items);
        query.from = page.next;
        if query.from.is_none() {
            return Ok(contracts);
        }
    }
}

async fn list(global: &GlobalArgs) -> anyhow::Result<()> {
    let contracts = all(&global.client()?).await?;
    emit(global, &contracts, |_| {
        let lines = contracts
            .iter()
            .map(|c| format!("{:<32}  {:>8}  {:<8}  {}", c.name.as_str(), c.deployed_at.0, c.standing, c.code_hash));
        lines.collect()
    })
}

async fn change(
    kind: &str,
    method: &str,
    verb: &str,
    args: ChangeArgs,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    let actions = [(method, json!({ "name": args.name }))];
    propose(kind, format!("{verb} contract {}", args.name), &actions, &args.decide, global).await
}

fn activation(name: &ContractName, code: CodeHash, how: &ActivateArgs) -> Value {
    json!({ "name": name, "code": code, "arguments": how.migrate, "canary_percent": how.canary.unwrap_or(0) })
}

async fn kernel_call(client: &Client, method: &str, arguments: &Value) -> anyhow::Result<TransactionBuilder> {
    let abi = client.abi(&system()?).await?;
    Ok(client.transaction_builder().await?.call_json(&abi, system()?, method, arguments)?)
}

fn code_hash(code: &[u8]) -> CodeHash {
    CodeHash(domain_hash("vouch/code/1", &[code]).0)
}

/// Uploads the code, unless it is there already, and proposes its activation, in one transaction.
async fn deploy(name: ContractName, path: &Path, how: &ActivateArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let code = fs::read(path).with_context(|| path.display().to_string())?;
    let hash = code_hash(&code);
    let client = global.client()?;
    let abi = client.abi(&system()?).await?;
    let contracts = all(&client).await?;
    let known = client.packages().await?.items.iter().any(|package| package.code_hash == hash)
        || contracts.iter().any(|contract| contract.code_hash == hash || contract.previous == Some(hash));
    let mut builder = client.transaction_builder().await?;
    if !known {
        builder = builder.call_json(&abi, system()?, "upload_package", &json!({ "code": HexBytes(code) }))?;
    }
    let title = how.decide.title.clone().unwrap_or_else(|| format!("Activate contract {name}"));
    let draft = ProposalDraft::new("contracts", title, deadline(how.decide.hours)?);
    let draft = draft.action_json(&abi, &system()?, "activate_contract", &activation(&name, hash, how))?;
    submit(&client, builder.propose(&draft), &how.decide.signing, global).await
}

async fn upload(path: &Path, signing: &SigningArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let code = fs::read(path).with_context(|| path.display().to_string())?;
    if !global.json {
        println!("{} {}", Text::Code.in_language(global.language()), code_hash(&code));
    }
    let client = global.client()?;
    let builder = kernel_call(&client, "upload_package", &json!({ "code": HexBytes(code) })).await?;
    tx::sign_and_submit(&client, builder, signing, global).await
}

async fn packages(global: &GlobalArgs) -> anyhow::Result<()> {
    let packages = global.client()?.packages().await?.items;
    emit(global, &packages, |_| {
        let line = |p: &PackageView| {
            let contracts: Vec<&str> = p.contracts.iter().map(ContractName::as_str).collect();
            format!(
                "{}  {:>8} B  {:<24}  {:>8}  {}",
                p.code_hash,
                p.code_bytes,
                p.member,
                p.uploaded,
                contracts.join(",")
            )
        };
        packages.iter().map(line).collect()
    })
}

fn contract_lines(contract: &ContractView, abi: &Abi, language: Language) -> Vec<String> {
    let summary = &contract.summary;
    let mut lines = table(
        language,
        &[
            (Text::Contract, summary.name.to_string()),
            (Text::Code, format!("{} ({} B)", summary.code_hash, contract.code_bytes)),
            (Text::Version, summary.version.to_string()),
            (Text::Status, summary.standing.clone()),
            (Text::DeployedAt, summary.deployed_at.to_string()),
        ],
    );
    if let Some(previous) = &summary.previous {
        lines.push(format!("{}: {previous}", Text::Previous.in_language(language)));
    }
    if let Some(canary) = &summary.canary {
        lines.push(format!("{}: {} ({}%)", Text::Trial.in_language(language), canary.code_hash, canary.percent));
    }
    lines.push(format!("{}:", Text::Methods.in_language(language)));
    lines.extend(abi.methods.iter().map(|method| method_line(method, language)));
    lines
}

fn method_line(method: &Method, language: Language) -> String {
    let kind = match method.kind {
        MethodKind::Call => "call ",
        MethodKind::Query => "query",
    };
    let ty = |ty: &vouch_types::abi::Type| serde_json::to_string(ty).unwrap_or_default().replace('"', "");
    let arguments: Vec<String> = method.arguments.iter().map(|a| format!("{}: {}", a.name, ty(&a.ty))).collect();
    let result = method.result.as_ref().map(|result| format!(" -> {}", ty(result))).unwrap_or_default();
    let title = match language {
        Language::English => &method.title.en,
        Language::Chinese => &method.title.zh,
    };
    format!("  {kind}  {}({}){result}  {title}", method.name, arguments.join(", "))
}
