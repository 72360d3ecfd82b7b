//! `vouch dev net`: runs every node of a plan as a process of its own, says where they are, stops them together.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use tokio::process::{Child, Command};
use vouch_genesis::ChainParams;
use vouch_sdk::{Client, ClientConfig};
use vouch_types::{ContractName, api::ConditionState};

use super::plan::{Plan, PlannedNode, Wish};
use crate::{
    commands::{GlobalArgs, output::emit},
    node::told_to_stop,
};

/// How long all nodes together may take to be ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a node may take to stop before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// How often is looked whether nodes are ready or gone.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Options of `vouch dev net`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The network's folder; made when it is not there, continued when it is
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// How many members, each with one validating node
    #[arg(long, default_value_t = 4)]
    members: u16,
    /// How many accounts for load and tries, in all
    #[arg(long, default_value_t = 64)]
    accounts: u16,
    /// First port: the nodes' network from here, their APIs from 100 above
    #[arg(long, default_value_t = 7450)]
    port: u16,
    /// A contract that is there from the first block
    #[arg(long, value_name = "NAME=FILE", value_parser = contract)]
    contract: Vec<(ContractName, PathBuf)>,
    /// Milliseconds from block to block under load
    #[arg(long, default_value_t = 300)]
    block_interval_ms: u32,
    /// Milliseconds from block to block with nothing to do
    #[arg(long, default_value_t = 10_000)]
    idle_interval_ms: u32,
    /// Serve the APIs without TLS
    #[arg(long)]
    plain_http: bool,
    /// Make or read the network, print it, start nothing
    #[arg(long)]
    plan_only: bool,
    /// Stop by itself after so many seconds
    #[arg(long, value_name = "SECONDS")]
    stop_after: Option<u64>,
}

fn contract(text: &str) -> Result<(ContractName, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("expected NAME=FILE")?;
    Ok((ContractName::new(name).map_err(|e| e.to_string())?, path.into()))
}

struct Running<'a> {
    node: &'a PlannedNode,
    child: Child,
    log: PathBuf,
}

/// Runs the network until it is told to stop.
///
/// # Errors
/// A text that says what is wrong and where.
pub async fn run(args: &Args, global: &GlobalArgs) -> Result<ExitCode> {
    let defaults = ChainParams::default();
    let wish = Wish {
        members: args.members,
        accounts: args.accounts,
        port: args.port,
        contracts: args.contract.clone(),
        params: ChainParams {
            block_interval_ms: args.block_interval_ms,
            idle_interval_ms: args.idle_interval_ms,
            ..defaults
        },
        plain_http: args.plain_http,
    };
    let plan = Plan::load_or_make(&args.dir, &wish)?;
    if args.plan_only {
        emit(global, &plan, |_| lines(&plan))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut running = Vec::new();
    for node in &plan.nodes {
        match start(&args.dir, node) {
            Ok(child) => running.push(child),
            Err(error) => {
                stop(&mut running).await;
                return Err(error);
            }
        }
    }
    let result = watch(&plan, &args.dir, args.stop_after, &mut running, global).await;
    stop(&mut running).await;
    result.map(|()| ExitCode::SUCCESS)
}

fn lines(plan: &Plan) -> Vec<String> {
    let mut lines = vec![format!("chain {}", plan.chain)];
    lines.extend(plan.nodes.iter().map(|n| format!("{:<20} {:<12} {}", n.name, n.role.as_str(), n.api)));
    lines
}

fn start<'a>(folder: &Path, node: &'a PlannedNode) -> Result<Running<'a>> {
    let home = folder.join(&node.home);
    let log = home.join("node.log");
    let open = || -> Result<File> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("cannot write {}", log.display()))
    };
    let program = std::env::current_exe().context("the program does not know where it is")?;
    let child = Command::new(program)
        .arg("--home")
        .arg(&home)
        .arg("node")
        .stdin(Stdio::null())
        .stdout(open()?)
        .stderr(open()?)
        .kill_on_drop(true)
        // A Ctrl-C at the terminal goes to this process alone, which then stops the nodes in order.
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {}", node.name))?;
    Ok(Running { node, child, log })
}

async fn watch(
    plan: &Plan,
    folder: &Path,
    stop_after: Option<u64>,
    running: &mut [Running<'_>],
    global: &GlobalArgs,
) -> Result<()> {
    let stopping = told_to_stop();
    tokio::pin!(stopping);
    let deadline = Instant::now() + READY_TIMEOUT;
    let mut waiting: Vec<Client> = Vec::new();
    for node in &plan.nodes {
        waiting.push(client(folder, node)?);
    }
    while !waiting.is_empty() {
        let mut not_ready = Vec::new();
        for client in waiting {
            let ready = matches!(client.status().await, Ok(status) if status.condition.state == ConditionState::Ok);
            if !ready {
                not_ready.push(client);
            }
        }
        waiting = not_ready;
        check_alive(running)?;
        if Instant::now() > deadline {
            bail!(
                "{} of {} nodes were not ready within {} s; see the node.log of each",
                waiting.len(),
                plan.nodes.len(),
                READY_TIMEOUT.as_secs()
            );
        }
        tokio::select! {
            () = &mut stopping => return Ok(()),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    let pids: Vec<_> =
        running.iter().map(|r| json!({ "name": r.node.name, "pid": r.child.id(), "log": r.log })).collect();
    emit(global, &json!({ "ready": true, "plan": plan, "processes": pids }), |_| {
        let mut text = lines(plan);
        text.push("all nodes are ready; stop with Ctrl-C".into());
        text
    })?;
    let end = stop_after.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    loop {
        check_alive(running)?;
        if end.is_some_and(|end| Instant::now() >= end) {
            return Ok(());
        }
        tokio::select! {
            () = &mut stopping => return Ok(()),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// A client of one node, trusting that node's own authority.
///
/// # Errors
/// When the node's home cannot be read.
pub fn client(folder: &Path, node: &PlannedNode) -> Result<Client> {
    let mut config = ClientConfig::new(node.api.clone());
    if node.api.starts_with("https") {
        let path = folder.join(&node.home).join("ca.pem");
        config.ca_pem = Some(std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    Ok(config.build()?)
}

fn check_alive(running: &mut [Running<'_>]) -> Result<()> {
    for node in running {
        if let Some(status) = node.child.try_wait()? {
            let text = std::fs::read_to_string(&node.log).unwrap_or_default();
            let tail: Vec<&str> = text.lines().rev().take(5).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            bail!("{} ended ({status}); the end of {}:\n{}", node.node.name, node.log.display(), tail.join("\n"));
        }
    }
    Ok(())
}

async fn stop(running: &mut [Running<'_>]) {
    for node in running.iter() {
        if let Some(pid) = node.child.id() {
            terminate(pid).await;
        }
    }
    for node in running {
        if tokio::time::timeout(STOP_TIMEOUT, node.child.wait()).await.is_err() {
            // It did not stop in time; the next start recovers.
            drop(node.child.kill().await);
        }
    }
}

/// Asks a process to stop.
async fn terminate(pid: u32) {
    // A process that is gone needs no asking.
    drop(Command::new("kill").arg("-TERM").arg(pid.to_string()).stderr(Stdio::null()).status().await);
}
