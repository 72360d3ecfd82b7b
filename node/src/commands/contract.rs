//! `vouch contract`: list, show, abi, deploy, call.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;
use vouch_sdk::ListQuery;
use vouch_types::{
    Abi, ContractName,
    abi::{Method, MethodKind},
    api::{ContractView, HexBytes, Language},
};

use super::{
    GlobalArgs,
    output::{emit, table},
    text::Text,
    tx::{self, SendArgs, SigningArgs, parse_contract},
};

/// The kernel's contract, which deploys others.
const SYSTEM: &str = "system";

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
    /// Deploy code under a name; signed by as many administrators as the chain asks for
    Deploy {
        /// The contract's name
        #[arg(value_parser = parse_contract)]
        name: ContractName,
        /// The WASM module, its ABI inside
        #[arg(long, value_name = "FILE")]
        code: PathBuf,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// Call a method in a transaction (the same as `tx send`)
    Call(SendArgs),
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
            let text =
                if global.json { contract.abi.to_string() } else { serde_json::to_string_pretty(&contract.abi)? };
            println!("{text}");
        }
        Action::Deploy { name, code, signing } => return deploy(name, code, signing, global).await,
        Action::Call(args) => return tx::send(args, global).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(global: &GlobalArgs) -> anyhow::Result<()> {
    let client = global.client()?;
    let mut contracts = Vec::new();
    let mut query = ListQuery { from: None, limit: Some(1000) };
    loop {
        let page = client.contracts(&query).await?;
        contracts.extend(page.items);
        query.from = page.next;
        if query.from.is_none() {
            break;
        }
    }
    emit(global, &contracts, |_| {
        let lines =
            contracts.iter().map(|c| format!("{:<32}  {:>8}  {}", c.name.as_str(), c.deployed_at.0, c.code_hash));
        lines.collect()
    })
}

async fn deploy(
    name: ContractName,
    code: PathBuf,
    signing: SigningArgs,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    let code = fs::read(&code).with_context(|| code.display().to_string())?;
    let client = global.client()?;
    let system = ContractName::new(SYSTEM)?;
    let abi = client.abi(&system).await?;
    let arguments = json!({ "name": name, "code": HexBytes(code) });
    let builder = client.transaction_builder().await?.call_json(&abi, system, "deploy_contract", &arguments)?;
    tx::sign_and_submit(&client, builder, &signing, global).await
}

fn contract_lines(contract: &ContractView, abi: &Abi, language: Language) -> Vec<String> {
    let summary = &contract.summary;
    let mut lines = table(
        language,
        &[
            (Text::Contract, summary.name.to_string()),
            (Text::Code, format!("{} ({} B)", summary.code_hash, contract.code_bytes)),
            (Text::DeployedAt, summary.deployed_at.to_string()),
        ],
    );
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
