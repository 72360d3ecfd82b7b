//! The commands of whoever runs a node: make its home, run it, back it up.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use serde_json::json;
use vouch_sdk::Client;
use vouch_types::api::{Language, caller::Authority};

use crate::{
    backup,
    commands::{
        GlobalArgs,
        output::{EXIT_CONDITION, emit},
        password::new_password,
        text::Text,
    },
    config::{ConfigFile, NodeConfig},
    home, node, votes,
};

/// What an operator does.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a node's home: keys, certificate, configuration
    Init(InitArgs),
    /// Run the node of a home
    Node(NodeArgs),
    /// Look at genesis documents
    #[command(subcommand)]
    Genesis(GenesisCommand),
    /// Back a running node up, check and restore backups
    #[command(subcommand)]
    Backup(BackupCommand),
    /// How far the node's key may have signed, while the node does not run
    #[command(subcommand)]
    Votes(votes::Command),
}

/// Options of `vouch init`.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// The directory to make
    dir: PathBuf,
    /// The chain's genesis document; copied into the home
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// Where the other nodes reach this one
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:7450")]
    network: String,
    /// Where clients reach it
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7480")]
    api: String,
    /// Names and addresses the API's certificate is for, and by which clients reach it
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_value = "localhost,127.0.0.1")]
    names: Vec<String>,
    /// Encrypt the keys: asks for a password, or reads it from the descriptor that `VOUCH_PASSWORD_FD` names
    #[arg(long)]
    encrypt: bool,
}

/// Options of `vouch node`.
#[derive(Debug, clap::Args)]
pub struct NodeArgs {
    /// Write the log as JSON lines
    #[arg(long)]
    log_json: bool,
}

/// What can be done with a genesis document.
#[derive(Debug, clap::Subcommand)]
pub enum GenesisCommand {
    /// Check a document and print the id of the chain it makes
    Id {
        /// The document
        file: PathBuf,
    },
}

/// What can be done with backups.
#[derive(Debug, clap::Subcommand)]
pub enum BackupCommand {
    /// Ask the running node to back itself up into a new directory on its machine
    Create {
        /// The directory to make; an absolute path
        dir: PathBuf,
    },
    /// Check a backup without changing it: database, state, certificate, sealed files
    ///
    /// The chain is the one named with --chain or by the home; without either the backup is judged by its own genesis document.
    Verify {
        /// The backup
        dir: PathBuf,
    },
    /// Put a backup's database into a home that has none, and the sealed files that it lacks
    ///
    /// Exit codes: 0 all is in place; 6 all but sealed files that are missing or damaged in the backup.
    Restore {
        /// The backup
        dir: PathBuf,
    },
}

/// Runs one of them.
///
/// # Errors
/// A text that says what is wrong and where.
pub fn run(command: Command, global: &GlobalArgs) -> Result<ExitCode> {
    match command {
        Command::Init(args) => init(&args, global),
        Command::Node(args) => {
            start_log(args.log_json);
            let home = named_home(global)?;
            node::run(&home, global).map(|()| ExitCode::SUCCESS)
        }
        Command::Genesis(GenesisCommand::Id { file }) => genesis_id(&file, global),
        Command::Backup(command) => backups(command, global),
        Command::Votes(command) => votes::run(&command, &named_home(global)?, global),
    }
}

fn named_home(global: &GlobalArgs) -> Result<PathBuf> {
    global.home.clone().context("name the node's home with --home DIR or VOUCH_HOME")
}

fn start_log(as_json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("VOUCH_LOG").unwrap_or_else(|_| {
        tracing_subscriber::EnvFilter::new(
            "info,arc_malachitebft_core_consensus=warn,arc_malachitebft_core_driver=warn",
        )
    });
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if as_json {
        log.json().init();
    } else {
        log.with_ansi(false).init();
    }
}

fn init(args: &InitArgs, global: &GlobalArgs) -> Result<ExitCode> {
    let mut config = ConfigFile::default();
    config.network.listen.clone_from(&args.network);
    config.api.listen.clone_from(&args.api);
    config.api.names = names_of_its_own(&args.names);
    NodeConfig::check(&args.dir, config.clone())?;
    let genesis =
        args.genesis.as_deref().map(|path| Ok::<_, anyhow::Error>((path, node::read_genesis(path)?))).transpose()?;
    let key_path = home::consensus_key_path(&args.dir);
    let password = args.encrypt.then(|| new_password(global, &key_path)).transpose()?;
    let keys = home::create(&args.dir, &config, &args.names, password.as_ref())?;
    if let Some((path, document)) = genesis {
        let target = args.dir.join(&config.genesis);
        std::fs::copy(path, &target).with_context(|| format!("cannot write {}", target.display()))?;
        config.chain = Some(document.chain_id()?);
    }
    home::write_config(&args.dir, &config)?;
    let value = json!({
        "home": args.dir,
        "consensus_key": keys.consensus,
        "network_key": keys.network,
        "service_key": keys.service,
        "encryption_key": keys.encryption,
        "node": keys.consensus.node(),
        "chain": config.chain,
    });
    emit(global, &value, |_| {
        vec![
            format!("home           {}", args.dir.display()),
            format!("consensus key  {}", keys.consensus),
            format!("network key    {}", keys.network),
            format!("service key    {}", keys.service),
            format!("encryption key {}", keys.encryption),
            "The other members register the first two keys, your member its service account and its encryption key;"
                .into(),
            "then: vouch --home DIR node".into(),
        ]
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Those that are not every machine's.
fn names_of_its_own(names: &[String]) -> Vec<String> {
    let is_own = |name: &&String| Authority::new(name, 0).is_ok_and(|authority| !authority.is_loopback());
    names.iter().filter(is_own).cloned().collect()
}

fn genesis_id(file: &Path, global: &GlobalArgs) -> Result<ExitCode> {
    let document = node::read_genesis(file)?;
    let chain = document.chain_id()?;
    let value = json!({ "chain": chain, "chain_name": document.chain_name, "members": document.members.len() });
    emit(global, &value, |_| vec![chain.to_string()])?;
    Ok(ExitCode::SUCCESS)
}

fn backups(command: BackupCommand, global: &GlobalArgs) -> Result<ExitCode> {
    match command {
        BackupCommand::Create { dir } => {
            let client: Client = global.client()?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let view = runtime.block_on(client.backup(&dir.display().to_string()))?;
            emit(global, &view, |language| {
                let made = format!("{}  height {}  {} bytes, checked", view.path, view.height, view.bytes);
                let lacking = names(Text::BackupLacks, &view.lacking, language);
                std::iter::once(made).chain(lacking).collect()
            })?;
            return Ok(lacking_exit(&view.lacking));
        }
        BackupCommand::Verify { dir } => {
            let chain = global.known_chain()?;
            let manifest = backup::verify(&dir, chain)?;
            emit(global, &manifest, |language| {
                let mut lines = vec![headline(&manifest, "is complete and matches its proof")];
                let mut add = |text: Text| lines.push(text.in_language(language).to_owned());
                if chain.is_none() {
                    add(Text::BackupOfWhichChain);
                }
                match manifest.files {
                    None => add(Text::BackupFilesUnlisted),
                    Some(files) if files.missing + files.damaged > 0 => add(Text::BackupLacks),
                    Some(_) => {}
                }
                lines
            })?;
        }
        BackupCommand::Restore { dir } => {
            let home = named_home(global)?;
            let config = NodeConfig::load(&home)?;
            let files = config.vault.files();
            let place = backup::Place { home: &home, genesis: &config.genesis, data: &config.storage, files: &files };
            let (manifest, restored) = backup::restore(&dir, place)?;
            let value = json!({ "manifest": manifest, "files": restored.count, "lacking": restored.lacking });
            emit(global, &value, |language| {
                let what = "is restored; start the node, it votes again when it cannot contradict an earlier vote";
                let lacking = names(Text::BackupLacks, &restored.lacking, language);
                std::iter::once(headline(&manifest, what)).chain(lacking).collect()
            })?;
            return Ok(lacking_exit(&restored.lacking));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn headline(manifest: &backup::Manifest, what: &str) -> String {
    format!("height {} of chain {} {what}", manifest.height, manifest.chain)
}

/// A remark and what it is about, when there is something.
fn names(remark: Text, names: &[String], language: Language) -> Vec<String> {
    if names.is_empty() {
        return Vec::new();
    }
    let remark = remark.in_language(language).to_owned();
    std::iter::once(remark).chain(names.iter().map(|name| format!("  {name}"))).collect()
}

fn lacking_exit(lacking: &[String]) -> ExitCode {
    if lacking.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_CONDITION) }
}
