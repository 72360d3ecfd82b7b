//! A network in a temporary folder, node by node.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use tempfile::TempDir;
use vouch_sdk::{AdminToken, Client, ClientConfig, SignedTransaction, keystore};
use vouch_types::{
    ChainId, Height, SecretKey,
    api::{ConditionState, NodeStatus, TransactionView},
};

use super::{
    folder::{Turn, free_ports},
    process::{NodeProcess, Signal},
    program::{Output, Program},
    relay::{Line, Relay, Wire},
    watch::until,
};

/// How long nodes may take to be ready.
pub const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a node may take to stop.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// What a cluster shall be like.
#[derive(Debug, Clone)]
pub struct Options {
    /// Members with one validator each.
    pub members: u16,
    /// Accounts in all.
    pub accounts: u16,
    /// Serve the APIs without TLS.
    pub plain_http: bool,
    /// From block to block under load.
    pub block_interval_ms: u32,
    /// From block to block with nothing to do.
    pub idle_interval_ms: u32,
    /// Put a relay in front of every node that holds what passes back for so long, each way.
    pub delay: Option<Duration>,
    /// Put a relay in front of every node, all of them on this line.
    pub line: Option<Arc<Line>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            members: 4,
            accounts: 64,
            plain_http: false,
            block_interval_ms: 300,
            idle_interval_ms: 10_000,
            delay: None,
            line: None,
        }
    }
}

/// What `vouch dev net` made, as its file `net.json` says.
#[derive(Debug, Clone, Deserialize)]
pub struct Plan {
    /// The chain.
    pub chain: ChainId,
    /// Its nodes.
    pub nodes: Vec<PlannedNode>,
    /// Key files of accounts, relative to the folder.
    pub accounts: Vec<PathBuf>,
    /// Key files of administrators, one per member, relative to the folder.
    pub admins: Vec<PathBuf>,
}

/// One node of a plan.
#[derive(Debug, Clone, Deserialize)]
pub struct PlannedNode {
    /// Its name.
    pub name: String,
    /// Its member.
    pub member: String,
    /// Its home, relative to the folder.
    pub home: PathBuf,
    /// Address of its API.
    pub api: String,
    /// Where the other nodes reach it.
    pub network: SocketAddr,
}

/// A network of real nodes. Dropping it kills them and removes everything.
#[derive(Debug)]
pub struct Cluster {
    // In this order they are dropped: processes before their folder, the turn last.
    nodes: Vec<Option<NodeProcess>>,
    /// Between the nodes, when a delay or a line was asked for.
    pub relays: Vec<Relay>,
    /// What it consists of.
    pub plan: Plan,
    /// The program and the contracts.
    pub program: Program,
    folder: TempDir,
    _turn: Turn,
}

impl Cluster {
    /// Makes a network and starts nothing.
    ///
    /// # Errors
    /// When the program is not there or refuses.
    pub async fn make(options: Options) -> Result<Self> {
        let program = Program::find()?;
        let turn = Turn::take(&program).await?;
        let folder = tempfile::Builder::new().prefix("vouch-cluster-").tempdir().context("a temporary folder")?;
        let first = free_ports(options.members)?;
        let contracts = ["notary", "meter"]
            .map(|name| format!("{name}={}", program.contracts.join(format!("{name}.wasm")).display()));
        let mut arguments: Vec<String> = vec!["dev".into(), "net".into(), "--plan-only".into()];
        arguments.extend(["--dir".into(), folder.path().join("net").display().to_string()]);
        for (name, number) in [
            ("--members", u32::from(options.members)),
            ("--accounts", u32::from(options.accounts)),
            ("--port", u32::from(first)),
            ("--block-interval-ms", options.block_interval_ms),
            ("--idle-interval-ms", options.idle_interval_ms),
        ] {
            arguments.extend([name.into(), number.to_string()]);
        }
        for contract in contracts {
            arguments.extend(["--contract".into(), contract]);
        }
        if options.plain_http {
            arguments.push("--plain-http".into());
        }
        program.run(&arguments).await?.success()?;
        let text = std::fs::read_to_string(folder.path().join("net/net.json")).context("net.json")?;
        let plan: Plan = serde_json::from_str(&text).context("net.json")?;
        let nodes = plan.nodes.iter().map(|_| None).collect();
        let mut cluster = Self { nodes, relays: Vec::new(), plan, program, folder, _turn: turn };
        if options.delay.is_some() || options.line.is_some() {
            cluster.put_relays(Wire { delay: options.delay.unwrap_or_default(), line: options.line }).await?;
        }
        Ok(cluster)
    }

    /// Makes a network, starts all nodes, and waits until all are ready.
    ///
    /// # Errors
    /// When they are not in time; the text holds the end of each log.
    pub async fn start(options: Options) -> Result<Self> {
        let mut cluster = Self::make(options).await?;
        cluster.start_all()?;
        cluster.ready(&cluster.all()).await?;
        Ok(cluster)
    }

    /// The genesis document names the relays' ports; the nodes listen elsewhere.
    async fn put_relays(&mut self, wire: Wire) -> Result<()> {
        for (index, node) in self.plan.nodes.iter().enumerate() {
            let mut behind = node.network;
            behind.set_port(node.network.port() + 200);
            let path = self.home(index).join("config.toml");
            let text = std::fs::read_to_string(&path).context("config.toml")?;
            let changed = text.replace(&node.network.to_string(), &behind.to_string());
            if changed == text {
                bail!("config.toml of {} does not name its address", node.name);
            }
            std::fs::write(&path, changed).context("config.toml")?;
            self.relays.push(Relay::start(node.network, behind, wire.clone()).await?);
        }
        Ok(())
    }

    /// Positions of all nodes.
    #[must_use]
    pub fn all(&self) -> Vec<usize> {
        (0..self.plan.nodes.len()).collect()
    }

    /// The network's folder, as `vouch dev load --dir` wants it.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("net")
    }

    /// A path in the temporary folder, outside the network's.
    #[must_use]
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A node's home.
    #[must_use]
    pub fn home(&self, node: usize) -> PathBuf {
        self.dir().join(&self.plan.nodes[node].home)
    }

    /// A node's name.
    #[must_use]
    pub fn name(&self, node: usize) -> &str {
        &self.plan.nodes[node].name
    }

    /// What a node has logged.
    #[must_use]
    pub fn log(&self, node: usize) -> String {
        std::fs::read_to_string(self.home(node).join("node.log")).unwrap_or_default()
    }

    /// Starts a node.
    ///
    /// # Errors
    /// When it runs already or cannot be started.
    pub fn start_node(&mut self, node: usize) -> Result<()> {
        if self.nodes[node].is_some() {
            bail!("{} runs already", self.name(node));
        }
        self.nodes[node] = Some(NodeProcess::start(&self.program, &self.home(node))?);
        Ok(())
    }

    /// Starts all nodes that do not run.
    ///
    /// # Errors
    /// When one cannot be started.
    pub fn start_all(&mut self) -> Result<()> {
        for node in self.all() {
            if self.nodes[node].is_none() {
                self.start_node(node)?;
            }
        }
        Ok(())
    }

    /// A running node.
    ///
    /// # Errors
    /// When it does not run.
    pub fn process(&mut self, node: usize) -> Result<&mut NodeProcess> {
        self.nodes[node].as_mut().context("the node does not run")
    }

    fn take(&mut self, node: usize) -> Result<NodeProcess> {
        self.nodes[node].take().context("the node does not run")
    }

    /// Kills nodes as `kill -9` does: all signals first, so that they die together.
    ///
    /// # Errors
    /// When one does not run.
    pub fn kill(&mut self, nodes: &[usize]) -> Result<()> {
        let mut dying = Vec::new();
        for node in nodes {
            let mut process = self.take(*node)?;
            process.kill_only()?;
            dying.push(process);
        }
        for mut process in dying {
            process.kill()?;
        }
        Ok(())
    }

    /// Stops a node in order and says how long it took.
    ///
    /// # Errors
    /// When it does not stop in time, or not with success.
    pub async fn stop(&mut self, node: usize) -> Result<Duration> {
        let (status, took) = self.take(node)?.stop(STOP_TIMEOUT).await?;
        if status.success() { Ok(took) } else { bail!("{} stopped with {status}", self.name(node)) }
    }

    /// Lets a node stand still, or go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&mut self, node: usize, signal: Signal) -> Result<()> {
        self.process(node)?.signal(signal)
    }

    /// Removes a stopped node's database.
    ///
    /// # Errors
    /// When it runs or has none.
    pub fn wipe(&mut self, node: usize) -> Result<()> {
        if self.nodes[node].is_some() {
            bail!("{} still runs", self.name(node));
        }
        std::fs::remove_dir_all(self.home(node).join("data")).context("no database to remove")
    }

    /// Sets a number in a node's configuration; it counts from the next start on.
    ///
    /// # Errors
    /// When the configuration has no such field.
    pub fn configure(&self, node: usize, field: &str, value: u64) -> Result<()> {
        let path = self.home(node).join("config.toml");
        let text = std::fs::read_to_string(&path).context("config.toml")?;
        let prefix = format!("{field} = ");
        if !text.lines().any(|line| line.starts_with(&prefix)) {
            bail!("config.toml of {} has no field {field}", self.name(node));
        }
        let set =
            |line: &str| if line.starts_with(&prefix) { format!("{prefix}{value}\n") } else { format!("{line}\n") };
        std::fs::write(&path, text.lines().map(set).collect::<String>()).context("config.toml")
    }

    /// How a client of these nodes is set up: preferring the first, pinned to the chain.
    ///
    /// # Errors
    /// When a home cannot be read.
    pub fn client_config(&self, nodes: &[usize]) -> Result<ClientConfig> {
        let mut config = ClientConfig::of_nodes(nodes.iter().map(|n| self.plan.nodes[*n].api.clone()));
        let mut authorities = Vec::new();
        for node in nodes {
            authorities.extend(std::fs::read(self.home(*node).join("ca.pem")).context("ca.pem")?);
            authorities.push(b'\n');
        }
        config.ca_pem = self.plan.nodes[0].api.starts_with("https").then_some(authorities);
        config.chain = Some(self.plan.chain);
        config.connect_timeout = Duration::from_secs(2);
        if let [node] = nodes {
            let token = std::fs::read_to_string(self.home(*node).join("admin.token")).context("admin.token")?;
            config.admin_token = Some(AdminToken::new(token));
            // A node that does not answer is what a test wants to hear, soon.
            config.attempts_max = 2;
        }
        Ok(config)
    }

    /// A client of one node.
    ///
    /// # Errors
    /// When its home cannot be read.
    pub fn client(&self, node: usize) -> Result<Client> {
        Ok(self.client_config(&[node])?.build()?)
    }

    /// A client that goes to the next node when one does not answer.
    ///
    /// # Errors
    /// When a home cannot be read.
    pub fn client_of(&self, nodes: &[usize]) -> Result<Client> {
        Ok(self.client_config(nodes)?.build()?)
    }

    /// How a node does.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn status(&self, node: usize) -> Result<NodeStatus> {
        Ok(self.client(node)?.status().await?)
    }

    /// The command line, told of this node's home.
    ///
    /// # Errors
    /// When it cannot be run.
    pub async fn vouch(&self, node: usize, arguments: &[&str]) -> Result<Output> {
        let home = self.home(node).display().to_string();
        self.program.run(["--home", &home].into_iter().chain(arguments.iter().copied())).await
    }

    /// The path of an account's key file.
    #[must_use]
    pub fn account_path(&self, account: usize) -> String {
        self.dir().join(&self.plan.accounts[account]).display().to_string()
    }

    /// An account's key.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn account(&self, account: usize) -> Result<SecretKey> {
        Ok(keystore::load(&self.dir().join(&self.plan.accounts[account]), None)?)
    }

    /// The paths of so many administrators' key files, as `--key` takes them.
    #[must_use]
    pub fn admin_paths(&self, count: usize) -> String {
        let paths = self.plan.admins.iter().take(count);
        paths.map(|path| self.dir().join(path).display().to_string()).collect::<Vec<_>>().join(",")
    }

    /// All administrators' keys.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn admins(&self) -> Result<Vec<SecretKey>> {
        self.plan.admins.iter().map(|path| Ok(keystore::load(&self.dir().join(path), None)?)).collect()
    }

    /// Submits and waits until it is final.
    ///
    /// # Errors
    /// When it is refused or not final in time.
    pub async fn submit(&self, node: usize, transaction: &SignedTransaction) -> Result<TransactionView> {
        let client = self.client(node)?;
        client.submit(transaction).await?;
        Ok(client.wait(transaction.id, Duration::from_secs(30)).await?)
    }

    /// Waits until these nodes answer and all is well with them.
    ///
    /// # Errors
    /// When they are not in time, or one has ended; the text holds the end of its log.
    pub async fn ready(&mut self, nodes: &[usize]) -> Result<()> {
        let deadline = Instant::now() + READY_TIMEOUT;
        for node in nodes {
            let client = self.client(*node)?;
            loop {
                let status = client.status().await;
                let expected = u32::try_from(nodes.len() - 1)?;
                let is_ready =
                    |s: &NodeStatus| s.condition.state == ConditionState::Ok && s.peers_connected >= expected;
                if status.as_ref().is_ok_and(is_ready) {
                    break;
                }
                if !self.process(*node)?.is_running()? || Instant::now() > deadline {
                    let log = self.log(*node);
                    let tail: Vec<&str> = log.lines().rev().take(10).collect();
                    bail!("{} is not ready: {status:?}; its log, last line first: {tail:#?}", self.name(*node));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// Waits until a node has a height.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn reach(&self, node: usize, height: Height, patience: Duration) -> Result<NodeStatus> {
        let client = self.client(node)?;
        let what = format!("{} reaches {height}", self.name(node));
        until(&what, patience, async || Ok(client.status().await.ok().filter(|s| s.head >= height))).await
    }
}
