//! `vouch params`: the numbers every node shares.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::{
    GlobalArgs,
    decide::{DecideArgs, propose},
    output::emit,
};

/// Parameters of the chain: look at them, propose to change them.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// All parameters
    Show,
    /// Propose to change parameters, all or none, from the next height on
    Set {
        /// NAME=VALUE, for example `idle_interval_ms=15000` or `thresholds.nodes=">= 3/4"`
        #[arg(required = true, value_parser = pair)]
        changes: Vec<(String, String)>,
        #[command(flatten)]
        decide: DecideArgs,
    },
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Runs the command.
///
/// # Errors
/// As it went wrong.
pub async fn run(args: Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Show => {
            let parameters = global.client()?.params().await?.parameters;
            emit(global, &parameters, |_| {
                parameters.iter().map(|(name, value)| format!("{name:<28}  {value}")).collect()
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Set { changes, decide } => {
            let title = changes.iter().map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join(", ");
            let changes: Vec<_> =
                changes.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
            let actions = [("set_parameters", json!({ "changes": changes }))];
            propose("parameters", title, &actions, &decide, global).await
        }
    }
}
