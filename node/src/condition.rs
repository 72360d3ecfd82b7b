//! Says in one word, with the reason and the mend, how the chain does as seen from this node.

use vouch_consensus::{ConsensusStatus, Step};
use vouch_ledger::Registry;
use vouch_replica::ReplicaStatus;
use vouch_types::{
    NodeId,
    api::{Condition, ConditionState},
};

/// A height that is being decided for longer than this is stalled, in milliseconds.
pub const STALL_AFTER_MS: u64 = 5_000;
/// How long after its start a node may be without peers before it complains, in milliseconds.
const START_MS: u64 = 5_000;

/// What the judgement is made from.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The replica.
    pub replica: &'a ReplicaStatus,
    /// The registry.
    pub registry: &'a Registry,
    /// This node.
    pub node: NodeId,
    /// Steady time now.
    pub now_ms: u64,
    /// Since the program started.
    pub uptime_ms: u64,
}

/// A text in both languages.
struct Words {
    reason: [String; 2],
    mend: [String; 2],
}

/// Judges.
#[must_use]
pub fn judge(facts: Facts<'_>) -> Condition {
    let running_ms =
        if facts.replica.running { facts.now_ms.saturating_sub(facts.replica.running_since_ms) } else { 0 };
    let behind = facts.replica.best_peer_height.0.saturating_sub(facts.replica.height.0);
    if behind > 3 {
        return syncing(facts, behind);
    }
    if running_ms <= STALL_AFTER_MS {
        return Condition::ok(running_ms);
    }
    if facts.uptime_ms < START_MS {
        return condition(ConditionState::Starting, "node.starting", starting(), Vec::new(), facts.uptime_ms);
    }
    match &facts.replica.consensus {
        Some(status) => stalled(facts, status, running_ms),
        None => Condition::ok(running_ms),
    }
}

fn condition(state: ConditionState, code: &str, words: Words, missing: Vec<String>, since_ms: u64) -> Condition {
    let Words { reason: [reason_en, reason_zh], mend: [mend_en, mend_zh] } = words;
    Condition { state, code: code.into(), reason_en, reason_zh, mend_en, mend_zh, missing, since_ms }
}

fn starting() -> Words {
    Words {
        reason: ["The node has just been started.".into(), "节点刚刚启动。".into()],
        mend: ["Wait a few seconds.".into(), "请等待几秒。".into()],
    }
}

fn syncing(facts: Facts<'_>, behind: u64) -> Condition {
    let best = facts.replica.best_peer_height;
    let words = Words {
        reason: [
            format!("The node is {behind} blocks behind its peers, which are at {best}."),
            format!("本节点落后对等节点 {behind} 个区块（最新高度 {best}）。"),
        ],
        mend: ["Wait; the height should rise.".into(), "请等待，高度应持续上升。".into()],
    };
    condition(ConditionState::Syncing, "node.syncing", words, Vec::new(), 0)
}

fn stalled(facts: Facts<'_>, status: &ConsensusStatus, since_ms: u64) -> Condition {
    let name = |node: &NodeId| facts.registry.nodes.get(node).map_or_else(|| node.to_string(), |n| n.name.clone());
    let connected = |node: &NodeId| {
        *node == facts.node
            || facts.registry.nodes.get(node).is_some_and(|n| facts.replica.peers.contains(&n.network_key))
    };
    let unreachable: Vec<_> = status.validators.iter().filter(|v| !connected(&v.node)).collect();
    let reachable_power: u64 = status.validators.iter().filter(|v| connected(&v.node)).map(|v| v.power).sum();
    let seconds = since_ms / 1000;
    if reachable_power < status.power_needed {
        let missing: Vec<String> = unreachable.iter().map(|v| name(&v.node)).collect();
        let list = missing.join(", ");
        let (have, need) = (reachable_power, status.power_needed);
        let words = Words {
            reason: [
                format!(
                    "No block for {seconds} s: validators {list} cannot be reached, so power {have} of the {need} needed is left."
                ),
                format!("已 {seconds} 秒未出块：无法连接验证者 {list}，当前可用权重 {have}，至少需要 {need}。"),
            ],
            mend: [
                format!("Start the nodes {list} or restore the connection to them; the chain goes on by itself."),
                format!("请启动节点 {list} 或恢复与它们的连接，链将自动继续。"),
            ],
        };
        return condition(ConditionState::Stalled, "stall.no_quorum", words, missing, since_ms);
    }
    let silent: Vec<String> = match status.step {
        Step::Precommit => status.missing_precommits().map(|v| name(&v.node)).collect(),
        _ => status.missing_prevotes().map(|v| name(&v.node)).collect(),
    };
    let list = silent.join(", ");
    let (height, round) = (status.height, status.round);
    let words = Words {
        reason: [
            format!(
                "No block for {seconds} s: height {height} is in round {round}; no vote came from {list} though they are connected."
            ),
            format!("已 {seconds} 秒未出块：高度 {height} 第 {round} 轮，{list} 虽已连接但未投票。"),
        ],
        mend: [
            format!(
                "Look at the logs of {list}: a full disk, a wrong clock or an overloaded machine are the usual reasons."
            ),
            format!("请查看 {list} 的日志：常见原因为磁盘已满、时钟错误或机器过载。"),
        ],
    };
    condition(ConditionState::Stalled, "stall.no_votes", words, silent, since_ms)
}
