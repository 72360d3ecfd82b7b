//! Says in one word, with the reason and the mend, how the chain does as seen from this node.

use vouch_consensus::{ConsensusStatus, Step};
use vouch_ledger::Registry;
use vouch_replica::{AbstentionStatus, ReplicaStatus};
use vouch_types::{
    NodeId,
    api::{Condition, ConditionState},
};

use crate::vault::VaultReport;

/// A height that is being decided for longer than this is stalled, in milliseconds.
pub const STALL_AFTER_MS: u64 = 5_000;
/// How long after its start a node may be without peers before it complains, in milliseconds.
const START_MS: u64 = 5_000;

/// What the judgement is made from.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The replica.
    pub replica: &'a ReplicaStatus,
    /// The vault, if it runs.
    pub vault: Option<&'a VaultReport>,
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
    if !facts.registry.active_nodes().any(|n| n.consensus_key.node() == facts.node) {
        return not_admitted();
    }
    let reach = Reach::of(facts);
    if reach.power < reach.needed {
        return if facts.uptime_ms < START_MS {
            condition(ConditionState::Starting, "node.starting", starting(), Vec::new(), facts.uptime_ms)
        } else {
            no_quorum(&reach, running_ms)
        };
    }
    if reach.power < reach.needed.saturating_add(reach.abstaining_power) {
        return votes_forgotten(facts, &reach, running_ms);
    }
    match (&facts.replica.consensus, &facts.replica.abstention) {
        (Some(status), _) if running_ms > STALL_AFTER_MS => no_votes(facts, status, running_ms),
        (_, Some(abstention)) if facts.replica.validator => rejoining(*abstention),
        _ => {
            let of_vault = facts.vault.and_then(|vault| vault.condition(facts.registry, running_ms));
            of_vault.unwrap_or_else(|| Condition::ok(running_ms))
        }
    }
}

/// Which validators can be reached from here, this node included, and which of those do not vote for the time being.
struct Reach {
    power: u64,
    needed: u64,
    missing: Vec<String>,
    abstaining_power: u64,
    abstaining: Vec<String>,
}

impl Reach {
    fn of(facts: Facts<'_>) -> Self {
        let mut reach = Self { power: 0, needed: 0, missing: Vec::new(), abstaining_power: 0, abstaining: Vec::new() };
        let mut total: u64 = 0;
        for node in facts.registry.active_nodes().filter(|n| n.power.0 > 0) {
            total = total.saturating_add(node.power.0);
            let is_own = node.consensus_key.node() == facts.node;
            if !is_own && !facts.replica.peers.contains(&node.network_key) {
                reach.missing.push(node.name.clone());
                continue;
            }
            reach.power = reach.power.saturating_add(node.power.0);
            let own_abstains = is_own && facts.replica.abstention.is_some();
            if own_abstains || facts.replica.abstaining_peers.contains(&node.network_key) {
                reach.abstaining_power = reach.abstaining_power.saturating_add(node.power.0);
                reach.abstaining.push(node.name.clone());
            }
        }
        reach.needed = total.saturating_mul(2) / 3 + 1;
        reach
    }
}

fn not_admitted() -> Condition {
    let words = Words {
        reason: [
            "The chain's registry does not admit this node: it was removed, its member is suspended, or it was never registered.".into(),
            "链上登记未准入本节点：节点已被移除、所属成员被停用，或从未登记。".into(),
        ],
        mend: [
            "Have the members register the node's two keys again; it connects by itself then.".into(),
            "请由各成员重新登记本节点的两个公钥，之后将自动连接。".into(),
        ],
    };
    condition(ConditionState::Failed, "node.not_admitted", words, Vec::new(), 0)
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

fn no_quorum(reach: &Reach, since_ms: u64) -> Condition {
    let list = reach.missing.join(", ");
    let (have, need) = (reach.power, reach.needed);
    let words = Words {
        reason: [
            format!(
                "No block can be made: validators {list} cannot be reached, so power {have} of the {need} needed is left."
            ),
            format!("无法出块：无法连接验证者 {list}，当前可用权重 {have}，至少需要 {need}。"),
        ],
        mend: [
            format!("Start the nodes {list} or restore the connection to them; the chain goes on by itself."),
            format!("请启动节点 {list} 或恢复与它们的连接，链将自动继续。"),
        ],
    };
    condition(ConditionState::Stalled, "stall.no_quorum", words, reach.missing.clone(), since_ms)
}

/// The node follows and will vote again by itself.
fn rejoining(abstention: AbstentionStatus) -> Condition {
    let code = abstention.doubt.code();
    let [until_en, until_zh] = abstention.from.map_or_else(
        || ["as soon as it has heard from enough validators".into(), "在收到足够验证者的信息之后".into()],
        |from| [format!("from height {from} on at the earliest"), format!("最早从高度 {from} 起")],
    );
    let words = Words {
        reason: [
            format!(
                "The node follows but does not vote yet: its record of votes may be incomplete ({code}). It votes again {until_en}."
            ),
            format!("本节点正在跟随但暂不投票：其投票记录可能不完整（{code}）。它将{until_zh}恢复投票。"),
        ],
        mend: [
            "Wait for a few blocks, and do not stop another validator meanwhile.".into(),
            "请等待数个区块，期间不要停止其他验证者。".into(),
        ],
    };
    condition(ConditionState::Syncing, "node.rejoining", words, Vec::new(), 0)
}

/// So many lost their records at once that the rest is no quorum: the chain cannot go on by itself.
fn votes_forgotten(facts: Facts<'_>, reach: &Reach, since_ms: u64) -> Condition {
    let list = reach.abstaining.join(", ");
    let (left, need) = (reach.power.saturating_sub(reach.abstaining_power), reach.needed);
    let next = facts.replica.height.max(facts.replica.best_peer_height).0.saturating_add(1);
    let words = Words {
        reason: [
            format!(
                "No block can be made: {list} lost their database or the record of their votes, or were restored, and must not vote; power {left} of the {need} needed is left."
            ),
            format!(
                "无法出块：{list} 丢失了数据库或投票记录，或由备份恢复，不得投票；当前可用权重 {left}，至少需要 {need}。"
            ),
        ],
        mend: [
            format!(
                "If one of them still has its old data folder, put it back. Else the members decide together from which height these nodes vote again, and each runs: vouch votes allow-from {next}. Blocks that only the lost databases held are lost then."
            ),
            format!(
                "若其中任一节点仍保留原数据目录，请恢复该目录；否则由各成员共同决定这些节点从哪个高度起恢复投票，并分别执行：vouch votes allow-from {next}。仅存在于已丢失数据库中的区块将不可恢复。"
            ),
        ],
    };
    condition(ConditionState::Stalled, "stall.votes_forgotten", words, reach.abstaining.clone(), since_ms)
}

fn no_votes(facts: Facts<'_>, status: &ConsensusStatus, since_ms: u64) -> Condition {
    let name = |node: &NodeId| facts.registry.nodes.get(node).map_or_else(|| node.to_string(), |n| n.name.clone());
    let seconds = since_ms / 1000;
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
