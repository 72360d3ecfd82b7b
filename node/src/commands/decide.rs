//! How commands bring about what the members, or the administrators of one member, decide.

use std::{
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use serde_json::{Value, json};
use vouch_sdk::{Client, ProposalDraft, TransactionBuilder};
use vouch_types::{
    Abi, ContractName, TimestampMs,
    api::{Language, OutcomeView, ProposalSummary, ProposalView, TransactionView},
};

use super::{
    GlobalArgs,
    output::{EXIT_TRANSACTION, emit, inline, table, time_text},
    text::Text,
    tx::{self, SigningArgs, transaction_lines},
};

/// The kernel's contract.
pub const SYSTEM: &str = "system";
const HOUR_MS: u64 = 3_600_000;

/// How a proposal is made.
#[derive(Debug, Clone, clap::Args)]
pub struct DecideArgs {
    /// What the proposal is called; made from the command if left out
    #[arg(long)]
    pub title: Option<String>,
    /// For how many hours ballots count
    #[arg(long, value_name = "HOURS", default_value_t = 168)]
    pub hours: u64,
    #[command(flatten)]
    pub signing: SigningArgs,
}

/// How a member's own affair is done.
#[derive(Debug, Clone, clap::Args)]
pub struct OwnArgs {
    /// Propose it to the member's other administrators, who vote with keys of their own, instead of doing it now
    #[arg(long)]
    pub propose: bool,
    #[command(flatten)]
    pub decide: DecideArgs,
}

/// The kernel's name.
///
/// # Errors
/// None: it has the form of a name.
pub fn system() -> anyhow::Result<ContractName> {
    Ok(ContractName::new(SYSTEM)?)
}

/// When a proposal made now ends.
///
/// # Errors
/// When this machine's clock stands before 1970.
pub fn deadline(hours: u64) -> anyhow::Result<TimestampMs> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock of this machine")?;
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    Ok(TimestampMs(now.saturating_add(hours.saturating_mul(HOUR_MS))))
}

/// Proposes kernel methods to the members; those whose administrators sign vote for them.
///
/// # Errors
/// As it went wrong.
pub async fn propose(
    kind: &str,
    title: String,
    actions: &[(&str, Value)],
    args: &DecideArgs,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    let client = global.client()?;
    let abi = client.abi(&system()?).await?;
    let title = args.title.clone().unwrap_or(title);
    let draft = with_actions(ProposalDraft::new(kind, title, deadline(args.hours)?), &abi, actions)?;
    let builder = client.transaction_builder().await?.propose(&draft);
    submit(&client, builder, &args.signing, global).await
}

fn with_actions(mut draft: ProposalDraft, abi: &Abi, actions: &[(&str, Value)]) -> anyhow::Result<ProposalDraft> {
    for (method, arguments) in actions {
        draft = draft.action_json(abi, &system()?, *method, arguments)?;
    }
    Ok(draft)
}

/// Does a member's own affair: now, signed by enough of its administrators, or as a proposal among them.
///
/// # Errors
/// As it went wrong.
pub async fn own_affair(
    member: &str,
    title: String,
    method: &str,
    arguments: Value,
    args: &OwnArgs,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    let client = global.client()?;
    let abi = client.abi(&system()?).await?;
    let builder = client.transaction_builder().await?;
    if args.propose {
        let title = args.decide.title.clone().unwrap_or(title);
        let draft = ProposalDraft::of_member(member, title, deadline(args.decide.hours)?);
        let builder = builder.propose(&with_actions(draft, &abi, &[(method, arguments)])?);
        return submit(&client, builder, &args.decide.signing, global).await;
    }
    let builder = builder.call_json(&abi, system()?, method, &arguments)?;
    tx::sign_and_submit(&client, builder, &args.decide.signing, global).await
}

/// Sends a transaction whose last call makes a proposal or votes on one, and shows the proposal then.
///
/// # Errors
/// As it went wrong.
pub async fn submit(
    client: &Client,
    builder: TransactionBuilder,
    signing: &SigningArgs,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    if signing.no_wait {
        return tx::sign_and_submit(client, builder, signing, global).await;
    }
    let transaction = tx::sign(client, builder, signing, global).await?;
    client.submit(&transaction).await?;
    let view = client.wait(transaction.id, Duration::from_secs(signing.timeout_s)).await?;
    let Some(id) = decided(&view) else {
        emit(global, &view, |language| transaction_lines(&view, language))?;
        return Ok(tx::outcome_code(&view));
    };
    let proposal = client.proposal(id).await?;
    let value = json!({ "transaction": view.id, "height": view.height, "proposal": proposal });
    emit(global, &value, |language| proposal_lines(&proposal, language))?;
    let stays_without_effect = ["failed", "rejected"].contains(&proposal.summary.state.as_str());
    Ok(if stays_without_effect { ExitCode::from(EXIT_TRANSACTION) } else { ExitCode::SUCCESS })
}

/// The proposal that a successful transaction made or voted on.
fn decided(view: &TransactionView) -> Option<u64> {
    match view.receipt.outcome {
        OutcomeView::Success => view.output_value.as_ref()?.get("proposal")?.as_u64(),
        OutcomeView::Failed { .. } => None,
    }
}

/// A proposal's state for people.
#[must_use]
pub fn state_text(summary: &ProposalSummary, language: Language) -> String {
    let state = match summary.state.as_str() {
        "open" => Text::Open,
        "executed" => Text::Executed,
        "failed" => Text::Failed,
        "rejected" => Text::Rejected,
        "expired" => Text::Expired,
        _ => Text::Withdrawn,
    };
    let state = state.in_language(language);
    match &summary.failure {
        Some(failure) => format!(
            "{state} [{}] {} ({} {})",
            failure.code,
            failure.message,
            Text::Action.in_language(language),
            failure.action
        ),
        None => state.to_owned(),
    }
}

/// `3 of 4 for, 0 against, 3 needed`.
#[must_use]
pub fn tally_text(summary: &ProposalSummary, language: Language) -> String {
    let t = &summary.tally;
    match language {
        Language::English => {
            format!("{} of {} for, {} against, {} needed", t.approving, t.entitled, t.rejecting, t.needed)
        }
        Language::Chinese => {
            format!("{} 方中 {} 方同意、{} 方反对，需 {} 方同意", t.entitled, t.approving, t.rejecting, t.needed)
        }
    }
}

/// A proposal for people.
#[must_use]
pub fn proposal_lines(proposal: &ProposalView, language: Language) -> Vec<String> {
    let summary = &proposal.summary;
    let kind =
        summary.member.as_ref().map_or_else(|| summary.kind.clone(), |member| format!("{} {member}", summary.kind));
    let mut rows = vec![
        (Text::Proposal, summary.id.to_string()),
        (Text::Title, summary.title.clone()),
        (Text::Kind, kind),
        (Text::Status, state_text(summary, language)),
        (Text::Votes, tally_text(summary, language)),
        (Text::ProposedBy, format!("{} {}", summary.proposer_member, summary.proposer)),
        (Text::Deadline, time_text(summary.deadline.0)),
    ];
    rows.extend(proposal.actions.iter().map(|action| {
        let arguments = action.arguments_value.as_ref().map_or_else(|| action.arguments.to_string(), inline);
        (Text::Action, format!("{}.{} {arguments}", action.contract, action.method))
    }));
    rows.extend(proposal.ballots.iter().map(|ballot| {
        let voice = if ballot.approve { Text::For } else { Text::Against };
        (Text::Ballot, format!("{} {} {}", voice.in_language(language), ballot.member, ballot.account))
    }));
    table(language, &rows)
}
