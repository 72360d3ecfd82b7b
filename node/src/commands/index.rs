//! `vouch index`: status, rebuild.

use std::process::ExitCode;

use clap::Subcommand;
use vouch_types::api::{CountView, IndexState, IndexStatusView, Language};

use super::{
    GlobalArgs,
    output::{EXIT_CONDITION, emit, table},
    text::Text,
};

/// The node's index: lists, search and statistics.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// How far it is, and whether it holds all that the chain counts
    Status,
    /// Make it anew beside the one that serves; needs the admin token of the node
    Rebuild,
}

/// Runs the command; exit code 6 when the index cannot go on.
///
/// # Errors
/// When no node answers, or the node keeps none.
pub async fn run(args: Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let client = global.client()?;
    let status = match args.action {
        Action::Status => client.index_status().await?,
        Action::Rebuild => client.rebuild_index().await?,
    };
    emit(global, &status, |language| lines(&status, language))?;
    Ok(if status.state == IndexState::Stopped { ExitCode::from(EXIT_CONDITION) } else { ExitCode::SUCCESS })
}

fn lines(status: &IndexStatusView, language: Language) -> Vec<String> {
    let state = format!("{:?}", status.state).to_lowercase();
    let state = status.code.as_ref().map_or_else(|| state.clone(), |code| format!("{state} [{code}]"));
    let mut rows = vec![(Text::Condition, state)];
    if let Some(detail) = &status.detail {
        rows.push((Text::Reason, detail.clone()));
    }
    if let Some(rebuild) = &status.rebuild {
        rows.push((Text::Rebuild, format!("{} / {}", rebuild.indexed, rebuild.head)));
    }
    rows.extend([
        (Text::Indexed, format!("{} / {}", status.indexed, status.head)),
        (Text::FirstBlock, status.first_block.to_string()),
        (Text::Documents, count_text(status.documents)),
        (Text::Relationships, count_text(status.relationships)),
        (Text::AllDisputes, count_text(status.disputes)),
        (Text::Grants, count_text(status.grants)),
        (Text::Transactions, status.transactions.to_string()),
        (Text::Bytes, status.bytes.to_string()),
    ]);
    table(language, &rows)
}

/// In the index, and by the contract's own counter.
fn count_text(count: CountView) -> String {
    let on_chain = count.on_chain.map_or_else(|| "-".to_owned(), |count| count.to_string());
    format!("{} / {on_chain}", count.indexed)
}
