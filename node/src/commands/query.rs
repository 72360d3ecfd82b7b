//! `vouch query CONTRACT METHOD`.

use std::process::ExitCode;

use vouch_types::{ContractName, Height, api::QueryBody};

use super::{
    GlobalArgs,
    output::{emit, inline},
    tx::{ArgumentsArgs, parse_contract},
};

/// Ask a contract.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The contract
    #[arg(value_parser = parse_contract)]
    contract: ContractName,
    /// One of its queries
    method: String,
    #[command(flatten)]
    arguments: ArgumentsArgs,
    /// Ask the state of this height
    #[arg(long)]
    height: Option<Height>,
}

/// Runs the command.
///
/// # Errors
/// As it went wrong.
pub async fn run(args: Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let body =
        QueryBody { arguments: args.arguments.json()?, encoded: args.arguments.raw.clone(), height: args.height };
    let answer = global.client()?.query(&args.contract, &args.method, body).await?;
    emit(global, &answer, |_| vec![answer.value.as_ref().map_or_else(|| answer.output.to_string(), inline)])?;
    Ok(ExitCode::SUCCESS)
}
