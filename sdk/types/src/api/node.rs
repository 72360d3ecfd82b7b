//! How a node is doing.

use serde::{Deserialize, Serialize};

use super::Language;
use crate::{
    hash::{BlockHash, ChainId, NodeId, StateRoot},
    numbers::{Height, Round, TimestampMs},
};

/// Whether a node votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// In the current validator set.
    Validator,
    /// Follows and checks every block, does not vote.
    Full,
}

/// In one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConditionState {
    /// Blocks come as they should.
    Ok,
    /// The chain does not go on, seen from here.
    Stalled,
    /// The node is behind and is catching up.
    Syncing,
    /// The node has just been started.
    Starting,
    /// The node stopped taking part because it could not go on safely.
    Failed,
}

/// In one word, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Condition {
    /// In one word.
    pub state: ConditionState,
    /// Stable code, for example `stall.no_quorum`; `ok` when all is well.
    pub code: String,
    /// What is the matter.
    pub reason_en: String,
    /// The same in Chinese.
    pub reason_zh: String,
    /// What to do; empty when there is nothing to do.
    pub mend_en: String,
    /// The same in Chinese.
    pub mend_zh: String,
    /// Names of validators that are missed.
    pub missing: Vec<String>,
    /// For how long it has been so.
    pub since_ms: u64,
}

impl Condition {
    /// All is well.
    #[must_use]
    pub fn ok(since_ms: u64) -> Self {
        Self {
            state: ConditionState::Ok,
            code: "ok".into(),
            reason_en: "Blocks come as they should.".into(),
            reason_zh: "出块正常。".into(),
            mend_en: String::new(),
            mend_zh: String::new(),
            missing: Vec::new(),
            since_ms,
        }
    }

    /// The reason in a language.
    #[must_use]
    pub fn reason(&self, language: Language) -> &str {
        match language {
            Language::English => &self.reason_en,
            Language::Chinese => &self.reason_zh,
        }
    }

    /// The mend in a language.
    #[must_use]
    pub fn mend(&self, language: Language) -> &str {
        match language {
            Language::English => &self.mend_en,
            Language::Chinese => &self.mend_zh,
        }
    }

    /// Whether a load balancer should send work here.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self.state, ConditionState::Ok)
    }
}

/// Another node as this one sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PeerView {
    /// The node.
    pub node: NodeId,
    /// Its name in the registry.
    pub name: String,
    /// Whether there is a connection now.
    pub connected: bool,
    /// The last height it told us; `None` before it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Height>,
}

/// How a node is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NodeStatus {
    /// The chain.
    pub chain: ChainId,
    /// Its name.
    pub chain_name: String,
    /// This node.
    pub node: NodeId,
    /// Its name.
    pub node_name: String,
    /// The member it belongs to.
    pub member: String,
    /// Version of the program.
    pub version: String,
    /// Whether it votes.
    pub role: Role,
    /// Height of the last block.
    pub head: Height,
    /// Hash of the last block; zero before the first.
    pub head_hash: BlockHash,
    /// Time of the last block; zero before the first.
    pub head_time: TimestampMs,
    /// State after the last block.
    pub state_root: StateRoot,
    /// Since the last block was made durable here.
    pub last_block_age_ms: u64,
    /// The height being decided.
    pub height: Height,
    /// The round of it.
    pub round: Round,
    /// The step of it: `propose`, `prevote`, `precommit`, `commit` or `idle`.
    pub step: String,
    /// Every node the registry tells to expect, this one not included.
    pub peers: Vec<PeerView>,
    /// How many of them are connected.
    pub peers_connected: u32,
    /// How many there are.
    pub peers_expected: u32,
    /// Transactions waiting.
    pub mempool_transactions: u64,
    /// Their bytes.
    pub mempool_bytes: u64,
    /// Whether it is catching up.
    pub syncing: bool,
    /// Since the program started.
    pub uptime_ms: u64,
    /// In one word, why, and what to do.
    pub condition: Condition,
}

/// The answer of `/health` and, when all is well, of `/ready`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Liveness {
    /// `live` or `ready`.
    pub status: String,
}

/// Where a backup should go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// An absolute path on the node's machine that does not exist yet.
    pub path: String,
}

/// A backup that was made and checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackupView {
    /// Where it is.
    pub path: String,
    /// The height it stands at.
    pub height: Height,
    /// State at that height.
    pub state_root: StateRoot,
    /// Bytes on disk.
    pub bytes: u64,
    /// Sealed files of private documents in it, both parts of each counted.
    #[serde(default)]
    pub files: u64,
    /// Sealed files that the database says are here whole, and that the node did not have.
    #[serde(default)]
    pub files_missing: u64,
    /// Sealed files that are not what their names say.
    #[serde(default)]
    pub files_damaged: u64,
    /// Names of the missing and damaged ones, at most 20.
    #[serde(default)]
    pub lacking: Vec<String>,
}
