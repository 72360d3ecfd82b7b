//! `vouch block`: list, show.

use std::process::ExitCode;

use clap::Subcommand;
use vouch_sdk::ListQuery;
use vouch_types::{
    Height,
    api::{BlockDetail, BlockSummary, Language},
};

use super::{
    GlobalArgs,
    output::{emit, table, time_text},
    text::Text,
};

/// Look at blocks.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// One block
    Show {
        /// Its height; the last one if left out
        height: Option<Height>,
    },
    /// Blocks, newest first
    List {
        /// Begin below this height
        #[arg(long)]
        before: Option<Height>,
        /// How many
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
}

/// Runs the command.
///
/// # Errors
/// As it went wrong.
pub async fn run(args: Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let client = global.client()?;
    match args.action {
        Action::Show { height } => {
            let block = client.block(height).await?;
            emit(global, &block, |language| detail_lines(&block, language))?;
        }
        Action::List { before, limit } => {
            let list = ListQuery { from: before.map(|height| height.to_string()), limit: Some(limit) };
            let page = client.blocks(&list).await?;
            emit(global, &page, |_| page.items.iter().map(summary_line).collect())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A block on one line.
#[must_use]
pub fn summary_line(block: &BlockSummary) -> String {
    let proposer = block.proposer_name.clone().unwrap_or_else(|| block.proposer.to_string());
    let time = time_text(block.time.0);
    format!(
        "{:>8}  {time}  {:>5} tx {:>8} B  {proposer}  {}",
        block.height.0, block.transactions, block.bytes, block.hash
    )
}

fn detail_lines(block: &BlockDetail, language: Language) -> Vec<String> {
    let summary = &block.summary;
    let proposer = summary.proposer_name.clone().unwrap_or_else(|| summary.proposer.to_string());
    let mut lines = table(
        language,
        &[
            (Text::Height, summary.height.to_string()),
            (Text::Hash, summary.hash.to_string()),
            (Text::Time, time_text(summary.time.0)),
            (Text::Proposer, proposer),
            (Text::Signers, block.certificate.signatures.len().to_string()),
            (Text::StateRoot, summary.state_root.to_string()),
            (Text::Transactions, summary.transactions.to_string()),
        ],
    );
    lines.extend(block.transactions.iter().enumerate().map(|(index, id)| format!("  {index:>5}  {id}")));
    lines
}
