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
use vouch_types::{ChainId, ContractName, api::ConditionState};

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

struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

/// The processes of a plan.
pub struct Network {
    folder: PathBuf,
    plan: Plan,
    running: Vec<Running>,
}

/// Runs the network until it is told to stop.
///
/// # Errors
/// A text that says what is wrong and where.
pub async fn run(args: &Args, global: &GlobalArgs) -> Result<ExitCode> {
    let wish = Wish {
        members: args.members,
        accounts: args.accounts,
        port: args.port,
        contracts: args.contract.clone(),
        params: ChainParams {
            block_interval_ms: args.block_interval_ms,
            idle_interval_ms: args.idle_interval_ms,
            ..ChainParams::default()
        },
        plain_http: args.plain_http,
    };
    let plan = Plan::load_or_make(&args.dir, &wish)?;
    if args.plan_only {
        emit(global, &plan, |_| lines(&plan))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut network = Network::start(&args.dir, plan).await?;
    let result = network.serve(args.stop_after, global).await;
    network.stop().await;
    result.map(|()| ExitCode::SUCCESS)
}

/// What a person wants to know of a plan.
#[must_use]
pub fn lines(plan: &Plan) -> Vec<String> {
    let mut lines = vec![format!("chain {}", plan.chain)];
    lines.extend(plan.nodes.iter().map(|n| format!("{:<20} {:<12} {}", n.name, n.role.as_str(), n.api)));
    lines
}

fn spawn(folder: &Path, node: &PlannedNode) -> Result<Running> {
    let home = folder.join(&node.home);
    let log = home.join("node.log");
    let open = || -> Result<File> {
        let file = OpenOptions::new().create(true).append(true).open(&log);
        file.with_context(|| format!("cannot write {}", log.display()))
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
    Ok(Running { name: node.name.clone(), child, log })
}

impl Network {
    /// Starts every node.
    ///
    /// # Errors
    /// A text that names the node that did not start; the others were stopped.
    pub async fn start(folder: &Path, plan: Plan) -> Result<Self> {
        let mut network = Self { folder: folder.to_owned(), plan, running: Vec::new() };
        for node in &network.plan.nodes {
            match spawn(folder, node) {
                Ok(child) => network.running.push(child),
                Err(error) => {
                    network.stop().await;
                    return Err(error);
                }
            }
        }
        Ok(network)
    }

    /// The plan it runs.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Waits until every node says that all is well.
    ///
    /// # Errors
    /// A text that says which node ended, or that the time is over.
    pub async fn wait_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY_TIMEOUT;
        let mut waiting: Vec<Client> = Vec::new();
        for node in &self.plan.nodes {
            waiting.push(client(&self.folder, node)?);
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
            self.check_alive()?;
            if Instant::now() > deadline {
                let (missing, all) = (waiting.len(), self.plan.nodes.len());
                bail!(
                    "{missing} of {all} nodes were not ready within {} s; see the node.log of each",
                    READY_TIMEOUT.as_secs()
                );
            }
            if !waiting.is_empty() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    async fn serve(&mut self, stop_after: Option<u64>, global: &GlobalArgs) -> Result<()> {
        tokio::select! {
            () = told_to_stop() => return Ok(()),
            ready = self.wait_ready() => ready?,
        }
        let processes = self.running.iter().map(|r| json!({ "name": r.name, "pid": r.child.id(), "log": r.log }));
        let processes: Vec<_> = processes.collect();
        emit(global, &json!({ "ready": true, "plan": self.plan, "processes": processes }), |_| {
            let mut text = lines(&self.plan);
            text.push("all nodes are ready; stop with Ctrl-C".into());
            text
        })?;
        let end = stop_after.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        self.keep_running(end).await
    }

    /// Watches the processes until told to stop or until `end`.
    ///
    /// # Errors
    /// A text with the end of its log when a node ended by itself.
    pub async fn keep_running(&mut self, end: Option<Instant>) -> Result<()> {
        let stopping = told_to_stop();
        tokio::pin!(stopping);
        loop {
            self.check_alive()?;
            if end.is_some_and(|end| Instant::now() >= end) {
                return Ok(());
            }
            tokio::select! {
                () = &mut stopping => return Ok(()),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Looks whether every process still runs.
    ///
    /// # Errors
    /// A text with the end of its log when a node ended by itself.
    pub fn check_alive(&mut self) -> Result<()> {
        for node in &mut self.running {
            if let Some(status) = node.child.try_wait()? {
                let text = std::fs::read_to_string(&node.log).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                let tail = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n");
                bail!("{} ended ({status}); the end of {}:\n{tail}", node.name, node.log.display());
            }
        }
        Ok(())
    }

    /// Asks every node to stop, and kills those that do not within some seconds.
    pub async fn stop(&mut self) {
        for node in &self.running {
            if let Some(pid) = node.child.id() {
                terminate(pid).await;
            }
        }
        for node in &mut self.running {
            if tokio::time::timeout(STOP_TIMEOUT, node.child.wait()).await.is_err() {
                // It did not stop in time; the next start recovers.
                drop(node.child.kill().await);
            }
        }
    }
}

/// A client of one node, trusting that node's own authority.
///
/// # Errors
/// When the node's home cannot be read.
pub fn client(folder: &Path, node: &PlannedNode) -> Result<Client> {
    Ok(client_config(folder, node)?.build()?)
}

/// The same, refusing a node of another chain, so that it can check proofs.
///
/// # Errors
/// When the node's home cannot be read.
pub fn client_of_chain(folder: &Path, node: &PlannedNode, chain: ChainId) -> Result<Client> {
    let mut config = client_config(folder, node)?;
    config.chain = Some(chain);
    Ok(config.build()?)
}

/// How a client of one node is set up, trusting that node's own authority.
///
/// # Errors
/// When the node's home cannot be read.
pub fn client_config(folder: &Path, node: &PlannedNode) -> Result<ClientConfig> {
    let mut config = ClientConfig::new(node.api.clone());
    if node.api.starts_with("https") {
        let path = folder.join(&node.home).join("ca.pem");
        config.ca_pem = Some(std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    Ok(config)
}

/// Asks a process to stop.
pub async fn terminate(pid: u32) {
    // A process that is gone needs no asking.
    drop(Command::new("kill").arg("-TERM").arg(pid.to_string()).stderr(Stdio::null()).status().await);
}
