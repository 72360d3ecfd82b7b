//! The index beside the ledger: wires `vouch-index` to this node's blocks and state, and says how it is.
//!
//! Consensus never waits for it: it is woken when a block is final and reads the ledger by itself, on a thread of its own.

mod ledger;
mod lists;

use std::sync::Arc;

use anyhow::{Context as _, Result};
use tokio::sync::watch;
use vouch_index::{Index, IndexConfig, Owner, Progress};
use vouch_ledger::Reader;
use vouch_types::{
    Height,
    api::{Condition, ConditionState, IndexState},
};

use ledger::LedgerSource;
pub use lists::NodeLists;

/// Blocks behind from which on the node complains.
const LAG_MAX: u64 = 100;
/// Blocks ahead of the head, which is read a moment earlier.
const LEAD_MAX: u64 = 16;

/// From the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexSettings {
    /// Whether the node keeps one.
    pub enabled: bool,
    /// Where it lies.
    pub place: IndexConfig,
}

/// Starts it, if the node keeps one.
///
/// # Errors
/// When it has no thread, or its configuration names nothing that can be.
pub fn start(
    settings: &IndexSettings,
    owner: Owner,
    reader: Reader,
    mut head: watch::Receiver<Height>,
) -> Result<Option<Arc<Index>>> {
    if !settings.enabled {
        return Ok(None);
    }
    let index = Index::start(&settings.place, owner, Box::new(LedgerSource::new(reader)));
    let index = Arc::new(index.context("cannot start the index")?);
    let woken = Arc::downgrade(&index);
    tokio::spawn(async move {
        // Ends with the replica, or with the index.
        while head.changed().await.is_ok() {
            let Some(index) = woken.upgrade() else { break };
            index.wake();
        }
    });
    Ok(Some(index))
}

/// What is wrong with the index; `None` when nothing is.
#[must_use]
pub fn condition(progress: &Progress, head: Height, running_ms: u64) -> Option<Condition> {
    let lag = head.0.saturating_sub(progress.indexed.0);
    if let Some((code, detail)) = &progress.problem {
        return Some(stopped(code, detail, running_ms));
    }
    let lead = progress.indexed.0.saturating_sub(head.0);
    if lead > LEAD_MAX {
        return Some(ahead(lead, running_ms));
    }
    (lag > LAG_MAX && progress.state != IndexState::Waiting).then(|| behind(lag, running_ms))
}

fn ahead(lead: u64, since_ms: u64) -> Condition {
    Condition {
        state: ConditionState::Ok,
        code: "index.ahead".into(),
        reason_en: format!(
            "The index is {lead} blocks ahead of the ledger, which was put back: lists show what is not here yet."
        ),
        reason_zh: format!("索引超前账本 {lead} 个区块（账本曾被恢复到较早高度）：列表包含本节点尚未取得的内容。"),
        mend_en: "Wait until the node has caught up. If the whole consortium was put back, run vouch index rebuild."
            .into(),
        mend_zh: "请等待节点追上；若整个联盟都被恢复到较早高度，请执行 vouch index rebuild。".into(),
        missing: Vec::new(),
        since_ms,
    }
}

fn stopped(code: &str, detail: &str, since_ms: u64) -> Condition {
    let (mend_en, mend_zh) = match code {
        "index.connection" => (
            "Start the PostgreSQL server or mend the way to it; see the connection file that index.server names. The index goes on by itself.",
            "请启动 PostgreSQL 服务器或修复网络，并检查 index.server 所指的连接文件。恢复后索引自动继续。",
        ),
        "index.foreign" => (
            "Nothing of it was touched. Set index.schema to another name, or stop the other program that writes it.",
            "未作任何改动。请将 index.schema 改为其他名称，或停止写入该模式的其他程序。",
        ),
        _ => (
            "It is tried again, or made anew, by itself. If it cannot be written, see the free space of the disk that holds it, and the rights there.",
            "索引会自动重试或重建；若无法写入，请检查所在磁盘剩余空间与权限。",
        ),
    };
    Condition {
        state: ConditionState::Ok,
        code: code.into(),
        reason_en: format!("The index does not go on: {detail}. Lists, search and statistics are out of date."),
        reason_zh: format!("索引已停止（{code}）：列表、搜索与统计不再更新。"),
        mend_en: mend_en.into(),
        mend_zh: mend_zh.into(),
        missing: Vec::new(),
        since_ms,
    }
}

fn behind(lag: u64, since_ms: u64) -> Condition {
    Condition {
        state: ConditionState::Ok,
        code: "index.behind".into(),
        reason_en: format!("The index is {lag} blocks behind: lists, search and statistics are out of date."),
        reason_zh: format!("索引落后 {lag} 个区块：列表、搜索与统计暂未更新。"),
        mend_en: "Wait; its lag should fall. If it does not, the machine's disk or processors are too busy.".into(),
        mend_zh: "请等待，落后数应持续减少；否则说明磁盘或处理器过于繁忙。".into(),
        missing: Vec::new(),
        since_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_and_a_stop_are_said() {
        let mut progress = Progress {
            state: IndexState::Following,
            problem: None,
            indexed: Height(10),
            first: Height(1),
            rebuild: None,
            place: String::new(),
        };
        assert_eq!(condition(&progress, Height(10 + LAG_MAX), 0), None);
        assert_eq!(condition(&progress, Height(11 + LAG_MAX), 5).unwrap().code, "index.behind");
        progress.state = IndexState::Waiting;
        assert_eq!(condition(&progress, Height(11 + LAG_MAX), 5), None);
        progress.indexed = Height(100);
        assert_eq!(condition(&progress, Height(99 - LEAD_MAX), 5).unwrap().code, "index.ahead");
        progress.problem = Some(("index.gap", "why".into()));
        assert_eq!(condition(&progress, Height(10), 5).unwrap().code, "index.gap");
        progress.problem = Some(("index.connection", "refused".into()));
        let lost = condition(&progress, Height(10), 5).unwrap();
        assert!(lost.code == "index.connection" && lost.mend_en.contains("index.server"), "{lost:?}");
    }
}
