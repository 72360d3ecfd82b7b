//! `vouch events`: follow the chain.

use std::process::ExitCode;

use futures::StreamExt as _;
use serde_json::json;
use vouch_sdk::EventsRequest;
use vouch_types::{
    ContractName, TxId,
    api::{Cursor, FeedItem, OutcomeView},
};

use super::{
    GlobalArgs,
    block::summary_line,
    output::{emit, inline},
    tx::parse_contract,
};

/// Follow blocks, transactions and events.
///
/// With --json one line per item, with its cursor: give the last one seen to --after and nothing is lost or doubled.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Begin after this item; 0-0 is the beginning of the chain, left out means now
    #[arg(long, value_name = "CURSOR")]
    after: Option<Cursor>,
    /// Only calls of and events by this contract
    #[arg(long, value_parser = parse_contract)]
    contract: Option<ContractName>,
    /// Only events of this name
    #[arg(long)]
    name: Option<String>,
    /// Only this transaction and its events
    #[arg(long)]
    tx: Option<TxId>,
    /// End after so many items
    #[arg(long)]
    count: Option<usize>,
}

/// Runs the command until it is interrupted.
///
/// # Errors
/// When following cannot be taken up again.
pub async fn run(args: Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let request = EventsRequest { after: args.after, contract: args.contract, name: args.name, tx: args.tx };
    let mut items = global.client()?.events(request).take(args.count.unwrap_or(usize::MAX));
    while let Some(item) = items.next().await {
        let (cursor, item) = item?;
        emit(global, &json!({ "cursor": cursor, "item": item }), |_| vec![line(cursor, &item)])?;
    }
    Ok(ExitCode::SUCCESS)
}

fn line(cursor: Cursor, item: &FeedItem) -> String {
    let text = match item {
        FeedItem::Block(block) => format!("block  {}", summary_line(block)),
        FeedItem::Transaction(tx) => {
            let calls: Vec<String> = tx.calls.iter().map(|call| format!("{}.{}", call.contract, call.method)).collect();
            let outcome = match &tx.receipt.outcome {
                OutcomeView::Success => "ok".to_owned(),
                OutcomeView::Failed { code, .. } => format!("failed [{code}]"),
            };
            format!("tx     {} {} {outcome}", tx.id, calls.join(", "))
        }
        FeedItem::Event { event, .. } => {
            let fields = event.fields.as_ref().map_or_else(|| event.data.to_string(), inline);
            format!("event  {}.{} {fields}", event.contract, event.name)
        }
    };
    format!("{cursor:<12} {text}")
}
