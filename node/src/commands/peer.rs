//! `vouch peer`: the consortium's nodes, as the members decide about them.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;
use vouch_types::{
    Power, PublicKey,
    api::{MemberNodeView, Problem},
};

use super::{
    GlobalArgs,
    decide::{DecideArgs, propose},
    output::emit,
};

/// Nodes of the consortium: they join, become validators, move, change keys and leave, by vote.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// All nodes by member
    List,
    /// Propose to bring a node in; without power it follows and does not vote
    Join {
        /// The member it belongs to
        member: String,
        /// Its name
        name: String,
        /// Its consensus key, as `vouch key show` prints it
        #[arg(long, value_name = "KEY")]
        consensus_key: PublicKey,
        /// Its network key
        #[arg(long, value_name = "KEY")]
        network_key: PublicKey,
        /// Where others reach it, host:port
        #[arg(long, value_name = "HOST:PORT")]
        address: String,
        /// Its voting power from the next height on
        #[arg(long, default_value_t = 0)]
        power: u64,
        #[command(flatten)]
        decide: DecideArgs,
    },
    /// Propose to change where a node is reached or how much its vote weighs
    Set {
        /// The node's name or id
        node: String,
        /// Where others reach it
        #[arg(long, value_name = "HOST:PORT")]
        address: Option<String>,
        /// Its voting power from the next height on; 0 for none
        #[arg(long)]
        power: Option<u64>,
        #[command(flatten)]
        decide: DecideArgs,
    },
    /// Propose to change a node's keys from the next height on
    Keys {
        /// The node's name or id
        node: String,
        /// Its consensus key; with another one it has another id
        #[arg(long, value_name = "KEY", required_unless_present = "network_key")]
        consensus_key: Option<PublicKey>,
        /// Its network key
        #[arg(long, value_name = "KEY")]
        network_key: Option<PublicKey>,
        #[command(flatten)]
        decide: DecideArgs,
    },
    /// Propose to take a node out
    Leave {
        /// The node's name or id
        node: String,
        #[command(flatten)]
        decide: DecideArgs,
    },
}

/// Runs the command.
///
/// # Errors
/// As it went wrong.
pub async fn run(args: Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List => list(global).await,
        Command::Join { member, name, consensus_key, network_key, address, power, decide } => {
            let arguments = json!({ "member": member, "name": name, "consensus_key": consensus_key,
                "network_key": network_key, "address": address, "power": power });
            propose("nodes", format!("Node {name} joins"), &[("register_node", arguments)], &decide, global).await
        }
        Command::Set { node, address, power, decide } => {
            let known = find(&node, global).await?;
            let arguments = json!({ "node": known.node, "address": address.unwrap_or(known.address),
                "power": power.map_or(known.power, Power) });
            propose("nodes", format!("Change node {}", known.name), &[("set_node", arguments)], &decide, global).await
        }
        Command::Keys { node, consensus_key, network_key, decide } => {
            let known = find(&node, global).await?;
            let arguments = json!({ "node": known.node, "consensus_key": consensus_key, "network_key": network_key });
            propose("nodes", format!("Keys of node {}", known.name), &[("set_node_keys", arguments)], &decide, global)
                .await
        }
        Command::Leave { node, decide } => {
            let known = find(&node, global).await?;
            let actions = [("remove_node", json!({ "node": known.node }))];
            propose("nodes", format!("Node {} leaves", known.name), &actions, &decide, global).await
        }
    }
}

async fn find(node: &str, global: &GlobalArgs) -> anyhow::Result<MemberNodeView> {
    let members = global.client()?.members().await?.items;
    let mut nodes = members.into_iter().flat_map(|member| member.nodes);
    let unknown = || {
        let problem = Problem::new("system.unknown_node", format!("there is no node {node}"));
        vouch_sdk::Error::Refused { problem: Box::new(problem), node: String::new(), retry_after_s: None }
    };
    Ok(nodes.find(|known| known.name == node || known.node.to_string() == node).ok_or_else(unknown)?)
}

async fn list(global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let members = global.client()?.members().await?.items;
    emit(global, &members.iter().flat_map(|member| &member.nodes).collect::<Vec<_>>(), |_| {
        let lines = members.iter().flat_map(|member| {
            member.nodes.iter().map(move |node| {
                format!(
                    "{:<24}  {:<28}  {:<24}  {:>6}  {}",
                    member.name, node.name, node.address, node.power, node.node
                )
            })
        });
        lines.collect()
    })?;
    Ok(ExitCode::SUCCESS)
}
