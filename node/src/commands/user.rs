//! `vouch user`: people and services of a member, by their accounts.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;
use vouch_sdk::ListQuery;
use vouch_types::{
    AccountId, PublicKey,
    api::{AccountView, Problem},
};

use super::{
    GlobalArgs,
    decide::{OwnArgs, own_affair},
    output::emit,
};

/// Users and services of a member: bring them in, give them roles, pause them, change their keys, take them out.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Users and services
    List {
        /// Of this member only
        #[arg(long)]
        member: Option<String>,
    },
    /// Let a key act for a member
    Add {
        /// The member
        member: String,
        /// The account's name within it
        name: String,
        /// Its public key
        #[arg(long, value_name = "KEY")]
        public_key: PublicKey,
        /// What it may do: approver, auditor, operator, reader, service, submitter; given once for each
        #[arg(long = "role", value_name = "ROLE", value_parser = ROLES)]
        roles: Vec<String>,
        #[command(flatten)]
        own: OwnArgs,
    },
    /// Change what an account may do
    Roles {
        /// The account
        account: AccountId,
        /// What it may do from now on; given once for each, none for nothing
        #[arg(long = "role", value_name = "ROLE", value_parser = ROLES)]
        roles: Vec<String>,
        #[command(flatten)]
        own: OwnArgs,
    },
    /// Pause an account
    Suspend {
        /// The account
        account: AccountId,
        #[command(flatten)]
        own: OwnArgs,
    },
    /// Let a suspended account act again
    Resume {
        /// The account
        account: AccountId,
        #[command(flatten)]
        own: OwnArgs,
    },
    /// Put another key in an account's place; the account itself or its member's administrators sign
    RotateKey {
        /// The account
        account: AccountId,
        /// The key that takes its place
        #[arg(long, value_name = "KEY")]
        public_key: PublicKey,
        #[command(flatten)]
        own: OwnArgs,
    },
    /// End an account for good
    Remove {
        /// The account
        account: AccountId,
        #[command(flatten)]
        own: OwnArgs,
    },
}

/// What clap accepts as a role.
const ROLES: [&str; 6] = ["approver", "auditor", "operator", "reader", "service", "submitter"];

fn ascending(mut roles: Vec<String>) -> Vec<String> {
    roles.sort_unstable();
    roles.dedup();
    roles
}

/// Runs the command.
///
/// # Errors
/// As it went wrong.
pub async fn run(args: Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let (account, method, arguments, own) = match args.command {
        Command::List { member } => return list(member.as_deref(), global).await,
        Command::Add { member, name, public_key, roles, own } => {
            let arguments = json!({ "member": member, "name": name, "key": public_key, "roles": ascending(roles) });
            let title = format!("Account {name} of {member}");
            return own_affair(&member, title, "register_account", arguments, &own, global).await;
        }
        Command::Roles { account, roles, own } => {
            (account, "set_account_roles", json!({ "account": account, "roles": ascending(roles) }), own)
        }
        Command::Suspend { account, own } => {
            (account, "set_account_active", json!({ "account": account, "active": false }), own)
        }
        Command::Resume { account, own } => {
            (account, "set_account_active", json!({ "account": account, "active": true }), own)
        }
        Command::RotateKey { account, public_key, own } => {
            (account, "rotate_account_key", json!({ "account": account, "key": public_key }), own)
        }
        Command::Remove { account, own } => (account, "remove_account", json!({ "account": account }), own),
    };
    // The member is needed only for a proposal among its administrators.
    let record = if own.propose { Some(find(account, global).await?) } else { None };
    let (member, name) = record.map_or_else(Default::default, |r| (r.member, r.name));
    own_affair(&member, format!("{method} {name}"), method, arguments, &own, global).await
}

async fn all(member: Option<&str>, global: &GlobalArgs) -> anyhow::Result<Vec<AccountView>> {
    let client = global.client()?;
    let mut query = ListQuery { from: None, limit: Some(1000) };
    let mut accounts = Vec::new();
    loop {
        let page = client.accounts(member, &query).await?;
        accounts.extend(page.items);
        query.from = page.next;
        if query.from.is_none() {
            return Ok(accounts);
        }
    }
}

/// An account of the registry.
///
/// # Errors
/// `system.unknown_account`.
pub async fn find(account: AccountId, global: &GlobalArgs) -> anyhow::Result<AccountView> {
    let found = all(None, global).await?.into_iter().find(|record| record.account == account);
    let unknown = || {
        let problem = Problem::new("system.unknown_account", format!("there is no account {account}"));
        vouch_sdk::Error::Refused { problem: Box::new(problem), node: String::new(), retry_after_s: None }
    };
    Ok(found.ok_or_else(unknown)?)
}

async fn list(member: Option<&str>, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let accounts = all(member, global).await?;
    emit(global, &accounts, |_| {
        let line = |a: &AccountView| {
            format!("{}  {:<24}  {:<24}  {:<9}  {}", a.account, a.member, a.name, a.standing, a.roles.join(","))
        };
        accounts.iter().map(line).collect()
    })?;
    Ok(ExitCode::SUCCESS)
}
