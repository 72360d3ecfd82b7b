//! `vouch subject`: persons, known on the chain by aliases only.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};
use vouch_types::{SubjectId, api::QueryBody, relation};

use super::{
    GlobalArgs,
    output::{emit, inline},
    tx::{SigningArgs, parse_contract, sign_and_submit},
};

/// Persons served by a member. On the chain each is an alias of 32 random bytes; who it is stays with the member.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Register a person whom your member serves from now on; prints the alias to keep
    Register {
        /// The alias; a random one if left out
        #[arg(long, value_name = "HEX")]
        alias: Option<SubjectId>,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// Close a person's registration: nothing new is taken for them
    Close {
        /// The alias
        alias: SubjectId,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// What the chain says of an alias
    Show {
        /// The alias
        alias: SubjectId,
    },
    /// Aliases that a member registered
    List {
        /// The member
        member: String,
        /// After this number
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// How many, at most 50
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
}

/// Asks the contract `relations`.
///
/// # Errors
/// As it went wrong.
pub async fn ask(global: &GlobalArgs, method: &str, arguments: Value) -> anyhow::Result<Value> {
    let contract = parse_contract(relation::CONTRACT).map_err(anyhow::Error::msg)?;
    let answer = global.client()?.query(&contract, method, QueryBody { arguments, ..QueryBody::default() }).await?;
    Ok(answer.value.unwrap_or_default())
}

/// Shows what it said: a list one per line.
///
/// # Errors
/// When standard output is closed.
pub fn show(global: &GlobalArgs, value: &Value) -> anyhow::Result<ExitCode> {
    emit(global, value, |_| match value {
        Value::Array(items) => items.iter().map(inline).collect(),
        one => vec![inline(one)],
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the command.
///
/// # Errors
/// As it went wrong.
pub async fn run(args: Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Register { alias, signing } => {
            let alias = alias.unwrap_or_else(|| SubjectId(rand::random()));
            let client = global.client()?;
            let builder = client.transaction_builder().await?.register_subject(alias);
            if !global.json {
                emit(global, &alias, |_| vec![format!("subject:{alias}")])?;
            }
            sign_and_submit(&client, builder, &signing, global).await
        }
        Command::Close { alias, signing } => {
            let client = global.client()?;
            let builder = client.transaction_builder().await?.close_subject(alias);
            sign_and_submit(&client, builder, &signing, global).await
        }
        Command::Show { alias } => show(global, &ask(global, "subject", json!({ "alias": alias })).await?),
        Command::List { member, after, limit } => {
            let arguments = json!({ "member": member, "after": after, "limit": limit });
            show(global, &ask(global, "list_member_subjects", arguments).await?)
        }
    }
}
