//! `vouch gov`: propose, vote, list, show, dry-run, withdraw.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde::Deserialize;
use serde_json::Value;
use vouch_sdk::{Client, ListQuery, ProposalDraft};
use vouch_types::{
    ContractName,
    abi::Change,
    api::{ActionReportView, DryRunView, HexBytes, Language},
};

use super::{
    GlobalArgs,
    decide::{DecideArgs, deadline, proposal_lines, state_text, submit, tally_text},
    output::{EXIT_TRANSACTION, emit},
    text::Text,
    tx::SigningArgs,
};

/// Most bytes of a file of actions.
const ACTIONS_BYTES_MAX: u64 = 1 << 20;

/// Propose, vote, and look at what the members decide.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a proposal; administrators that sign it vote for it
    Propose {
        /// What it is about
        #[arg(value_parser = ["membership", "nodes", "contracts", "parameters", "emergency", "documents", "member"])]
        kind: String,
        /// With kind member: whose own affair it is
        #[arg(long, required_if_eq("kind", "member"))]
        member: Option<String>,
        /// What it does, as JSON: {"contract": …, "method": …, "arguments": {…}}; several are done in order, all or none
        #[arg(long = "action", value_name = "JSON", required_unless_present = "actions_file")]
        actions: Vec<String>,
        /// A file with a JSON list of actions
        #[arg(long, value_name = "FILE", conflicts_with = "actions")]
        actions_file: Option<PathBuf>,
        #[command(flatten)]
        decide: DecideArgs,
    },
    /// Vote on a proposal; may be done again as long as it is open
    Vote {
        /// Its number
        proposal: u64,
        /// Be for it
        #[arg(long, required_unless_present = "reject")]
        approve: bool,
        /// Be against it
        #[arg(long, conflicts_with = "approve")]
        reject: bool,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// Take a proposal back
    Withdraw {
        /// Its number
        proposal: u64,
        #[command(flatten)]
        signing: SigningArgs,
    },
    /// Proposals, newest first
    List {
        /// How many
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Begin below this number
        #[arg(long)]
        before: Option<u64>,
    },
    /// One proposal with its actions and ballots
    Show {
        /// Its number
        proposal: u64,
    },
    /// What a proposal would do now: each action on the present state, nothing kept
    DryRun {
        /// Its number
        proposal: u64,
    },
}

/// An action as people write it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActionText {
    #[serde(default = "of_the_kernel")]
    contract: ContractName,
    method: String,
    #[serde(default)]
    arguments: Value,
    /// Arguments already encoded, in place of `arguments`.
    #[serde(default)]
    encoded: Option<HexBytes>,
}

fn of_the_kernel() -> ContractName {
    ContractName::new(super::decide::SYSTEM).expect("the kernel's name has the form of one")
}

/// Runs the command.
///
/// # Errors
/// As it went wrong.
pub async fn run(args: Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Propose { kind, member, actions, actions_file, decide } => {
            propose(&kind, member, read_actions(&actions, actions_file)?, &decide, global).await
        }
        Command::Vote { proposal, approve, signing, .. } => {
            let client = global.client()?;
            let view = client.proposal(proposal).await?;
            let builder = client.transaction_builder().await?.vote(&view, approve);
            submit(&client, builder, &signing, global).await
        }
        Command::Withdraw { proposal, signing } => {
            let client = global.client()?;
            let builder = client.transaction_builder().await?.withdraw(proposal);
            super::tx::sign_and_submit(&client, builder, &signing, global).await
        }
        Command::List { limit, before } => list(limit, before, global).await,
        Command::Show { proposal } => {
            let view = global.client()?.proposal(proposal).await?;
            emit(global, &view, |language| proposal_lines(&view, language))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::DryRun { proposal } => {
            let run = global.client()?.dry_run(proposal).await?;
            emit(global, &run, |language| dry_run_lines(&run, language))?;
            Ok(if run.ok { ExitCode::SUCCESS } else { ExitCode::from(EXIT_TRANSACTION) })
        }
    }
}

fn read_actions(texts: &[String], file: Option<PathBuf>) -> anyhow::Result<Vec<ActionText>> {
    let configuration = |error: String| vouch_sdk::Error::Configuration(format!("actions: {error}"));
    if let Some(path) = file {
        use std::io::Read as _;
        let mut text = String::new();
        let opened = fs::File::open(&path).with_context(|| path.display().to_string())?;
        opened.take(ACTIONS_BYTES_MAX).read_to_string(&mut text).with_context(|| path.display().to_string())?;
        return Ok(serde_json::from_str(&text).map_err(|error| configuration(error.to_string()))?);
    }
    let read = |text: &String| serde_json::from_str(text).map_err(|error| configuration(error.to_string()));
    Ok(texts.iter().map(read).collect::<Result<_, _>>()?)
}

async fn propose(
    kind: &str,
    member: Option<String>,
    actions: Vec<ActionText>,
    decide: &DecideArgs,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    let client = global.client()?;
    let methods: Vec<&str> = actions.iter().map(|action| action.method.as_str()).collect();
    let title = decide.title.clone().unwrap_or_else(|| methods.join(", "));
    let deadline = deadline(decide.hours)?;
    let mut draft = match (kind, member) {
        ("member", Some(member)) => ProposalDraft::of_member(member, title, deadline),
        (_, None) => ProposalDraft::new(kind, title, deadline),
        (_, Some(_)) => bail!(vouch_sdk::Error::Configuration("--member goes with kind member".into())),
    };
    for action in actions {
        draft = add(draft, &client, action).await?;
    }
    let builder = client.transaction_builder().await?.propose(&draft);
    submit(&client, builder, &decide.signing, global).await
}

async fn add(draft: ProposalDraft, client: &Client, action: ActionText) -> anyhow::Result<ProposalDraft> {
    if let Some(encoded) = action.encoded {
        return Ok(draft.action(&action.contract, action.method, encoded.0));
    }
    let abi = client.abi(&action.contract).await?;
    Ok(draft.action_json(&abi, &action.contract, action.method, &action.arguments)?)
}

async fn list(limit: u32, before: Option<u64>, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let query = ListQuery { from: before.map(|id| id.to_string()), limit: Some(limit) };
    let proposals = global.client()?.proposals(&query).await?.items;
    emit(global, &proposals, |language| {
        let line = |p: &vouch_types::api::ProposalSummary| {
            let (state, votes) = (state_text(p, language), tally_text(p, language));
            format!("{:>6}  {:<10}  {state}  {}  ({votes})", p.id, p.kind, p.title)
        };
        proposals.iter().map(line).collect()
    })?;
    Ok(ExitCode::SUCCESS)
}

fn dry_run_lines(run: &DryRunView, language: Language) -> Vec<String> {
    let verdict = if run.ok { Text::WouldSucceed } else { Text::WouldFail };
    let mut lines =
        vec![format!("{} {}: {}", Text::Height.in_language(language), run.height, verdict.in_language(language))];
    lines.extend(run.actions.iter().flat_map(|report| report_lines(report, language)));
    lines
}

fn report_lines(report: &ActionReportView, language: Language) -> Vec<String> {
    let label = |text: Text| text.in_language(language);
    let outcome = match (&report.code, &report.message) {
        (Some(code), Some(message)) => format!("{} [{code}] {message}", label(Text::Failed)),
        _ => label(Text::Success).to_owned(),
    };
    let (keys, fuel) = (report.changed_count, report.fuel_used);
    let mut lines = vec![format!(
        "  {} {}: {outcome}; {} {keys}; {} {fuel}",
        label(Text::Action),
        report.index,
        label(Text::ChangedKeys),
        label(Text::Fuel)
    )];
    for difference in report.abi.iter().flatten() {
        let change = match difference.change {
            Change::Added => "+",
            Change::Removed => "-",
            Change::Changed => "~",
        };
        lines.push(format!("    {change} {} {}", difference.part, difference.name));
    }
    lines
}
