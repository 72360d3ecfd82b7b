//! `vouch status`.

use std::process::ExitCode;

use vouch_types::api::{Condition, ConditionState, Language, NodeStatus};

use super::{
    GlobalArgs,
    output::{EXIT_CONDITION, emit, table, time_text},
    text::Text,
};

/// How the node is doing and, if not well, why and what to do.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command; exit code 6 when the condition is not ok.
///
/// # Errors
/// When no node answers.
pub async fn run(_: Args, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let status = global.client()?.status().await?;
    emit(global, &status, |language| lines(&status, language))?;
    Ok(match status.condition.state {
        ConditionState::Ok => ExitCode::SUCCESS,
        _ => ExitCode::from(EXIT_CONDITION),
    })
}

fn lines(status: &NodeStatus, language: Language) -> Vec<String> {
    let condition = &status.condition;
    let mut rows =
        vec![(Text::Condition, condition_text(condition)), (Text::Reason, condition.reason(language).to_owned())];
    if !condition.mend(language).is_empty() {
        rows.push((Text::Mend, condition.mend(language).to_owned()));
    }
    if !condition.missing.is_empty() {
        rows.push((Text::Missing, condition.missing.join(", ")));
    }
    rows.extend([
        (Text::Since, duration_text(condition.since_ms)),
        (Text::Chain, format!("{} ({})", status.chain_name, status.chain)),
        (Text::Node, format!("{} ({})", status.node_name, status.node)),
        (Text::Member, status.member.clone()),
        (Text::Role, format!("{:?}", status.role).to_lowercase()),
        (Text::Version, status.version.clone()),
        (Text::Head, format!("{} {}", status.head, status.head_hash)),
        (Text::Time, time_text(status.head_time.0)),
        (Text::LastBlock, duration_text(status.last_block_age_ms)),
        (Text::Consensus, format!("{} / {} / {}", status.height, status.round, status.step)),
        (Text::Peers, peers_text(status)),
        (Text::Mempool, format!("{} ({} B)", status.mempool_transactions, status.mempool_bytes)),
    ]);
    table(language, &rows)
}

fn condition_text(condition: &Condition) -> String {
    let state = format!("{:?}", condition.state).to_lowercase();
    if condition.code == state { state } else { format!("{state} [{}]", condition.code) }
}

fn peers_text(status: &NodeStatus) -> String {
    let sign = |connected: bool| if connected { '+' } else { '-' };
    let names: Vec<String> = status.peers.iter().map(|peer| format!("{}{}", sign(peer.connected), peer.name)).collect();
    format!("{}/{} {}", status.peers_connected, status.peers_expected, names.join(" "))
}

fn duration_text(ms: u64) -> String {
    match ms {
        0..=9999 => format!("{ms} ms"),
        10_000..=599_999 => format!("{} s", ms / 1000),
        600_000..=7_199_999 => format!("{} min", ms / 60_000),
        _ => format!("{} h", ms / 3_600_000),
    }
}
