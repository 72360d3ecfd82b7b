//! How the vault does, for metrics and for the node's condition.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use vouch_ledger::Registry;
use vouch_types::{
    PublicKey,
    api::{Condition, ConditionState},
};
use vouch_vault::{Counters, Damage, Overdue, VaultStatus};

use super::VaultHandle;

/// How long the vault may take to say how it is.
const REPORT_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How long something may be missing before it is worth a word, in milliseconds: deliveries take a moment.
const OVERDUE_MS: u64 = 30_000;
/// Most versions named.
const OVERDUE_MAX: usize = 20;
/// How long a damage found at rest stays a matter of the node's condition: it is repaired at once, its cause may not be.
const DAMAGE_SHOWN: Duration = Duration::from_secs(3_600);
/// Most versions counted.
const MISSING_MAX: usize = 1_000;

/// How the vault does.
#[derive(Debug, Clone)]
pub struct VaultReport {
    /// How full its parts are.
    pub status: VaultStatus,
    /// What it did since its start.
    pub counters: Counters,
    /// Versions this member is to hold and does not, at most 1,000.
    pub missing: usize,
    /// Those of them that have been missing for a while.
    pub overdue: Vec<Overdue>,
    /// The newest damages found at rest within the last hour.
    pub damages: Vec<Damage>,
    /// Messages that were not taken by the network.
    pub unsent: u64,
    /// The member's present encryption key has no secret half here.
    pub key_missing: bool,
    /// The node's account may not attest anything.
    pub service_missing: bool,
}

impl VaultHandle {
    /// How the vault does; `None` when it does not run or is busy.
    pub async fn report(&self) -> Option<VaultReport> {
        let asked = self.ask(|vault, _| {
            let missing = vault.missing(MISSING_MAX)?.len();
            Ok((vault.status()?, *vault.counters(), missing, vault.overdue(OVERDUE_MS, OVERDUE_MAX)))
        });
        let (status, counters, missing, overdue) = tokio::time::timeout(REPORT_TIMEOUT, asked).await.ok()?.ok()?;
        let noticed = &self.noticed;
        let damages = noticed.damages.lock();
        let recent = damages.iter().filter(|(at, _)| at.elapsed() < DAMAGE_SHOWN);
        Some(VaultReport {
            status,
            counters,
            missing,
            overdue,
            damages: recent.map(|(_, damage)| *damage).collect(),
            unsent: noticed.unsent.load(Relaxed),
            key_missing: noticed.key_missing.load(Relaxed),
            service_missing: noticed.service_missing.load(Relaxed),
        })
    }
}

impl VaultReport {
    /// What is not as it should be, while blocks come as they should; `None` when all is well.
    #[must_use]
    pub fn condition(&self, registry: &Registry, running_ms: u64) -> Option<Condition> {
        if self.key_missing {
            return Some(key_missing(running_ms));
        }
        if !self.overdue.is_empty() {
            return Some(self.documents_missing(registry));
        }
        if !self.damages.is_empty() {
            return Some(self.documents_damaged(running_ms));
        }
        self.service_missing.then(|| service_missing(running_ms))
    }

    fn documents_missing(&self, registry: &Registry) -> Condition {
        let name = |peer: &PublicKey| {
            let found = registry.nodes.values().find(|node| node.network_key == *peer);
            found.map_or_else(|| peer.to_string(), |node| node.name.clone())
        };
        let line = |overdue: &Overdue| {
            let asked = overdue.asked.as_ref().map_or_else(|| "-".to_owned(), name);
            format!("{} ({asked})", overdue.key)
        };
        let (count, since_ms) =
            (self.missing, self.overdue.iter().map(|overdue| overdue.for_ms).max().unwrap_or_default());
        Condition {
            state: ConditionState::Ok,
            code: "documents.missing".into(),
            reason_en: format!(
                "{count} versions of private documents that this member is to hold are not here; behind each stands the node asked last."
            ),
            reason_zh: format!("本成员应持有的 {count} 个私密凭证版本尚未到达；括号内为最近一次询问的节点。"),
            mend_en: "Nothing if a holder is expected back: they are fetched then. Else see that the nodes of the issuers and of other entitled members run and are connected.".into(),
            mend_zh: "若持有方节点将恢复，无需处理，届时自动获取；否则请确认签发方及其他有权成员的节点正在运行且已连接。".into(),
            missing: self.overdue.iter().map(line).collect(),
            since_ms,
        }
    }
}

impl VaultReport {
    fn documents_damaged(&self, since_ms: u64) -> Condition {
        let line = |damage: &Damage| format!("{}: {:?}", damage.key, damage.place);
        let count = self.damages.len();
        Condition {
            state: ConditionState::Ok,
            code: "documents.damaged".into(),
            reason_en: format!(
                "{count} damages to private documents at rest were found within the last hour; they are fetched anew from other holders."
            ),
            reason_zh: format!("最近一小时发现 {count} 处静态私密凭证损坏，正从其他持有方重新获取。"),
            mend_en: "Check the disk and who can write to the node's folders.".into(),
            mend_zh: "请检查磁盘，以及谁可以写入节点目录。".into(),
            missing: self.damages.iter().map(line).collect(),
            since_ms,
        }
    }
}

fn key_missing(since_ms: u64) -> Condition {
    Condition {
        state: ConditionState::Ok,
        code: "documents.key_missing".into(),
        reason_en: "The registry names an encryption key of this member whose secret half is not at this node: new private documents cannot be opened here.".into(),
        reason_zh: "登记的本成员加密公钥在本节点没有对应私钥：无法打开新的私密凭证。".into(),
        mend_en: "Put the key file into keys/encryption of the node's home, no restart is needed; or make one with vouch key encryption and register it with vouch member rotate-encryption-key.".into(),
        mend_zh: "请将密钥文件放入节点目录的 keys/encryption（无需重启），或用 vouch key encryption 生成新密钥并用 vouch member rotate-encryption-key 登记。".into(),
        missing: Vec::new(),
        since_ms,
    }
}

fn service_missing(since_ms: u64) -> Condition {
    Condition {
        state: ConditionState::Ok,
        code: "documents.service_account".into(),
        reason_en: "The node's own account does not have the role service: possession and erasure are not attested on the chain.".into(),
        reason_zh: "节点自有账户没有 service 角色：无法在链上证明持有与删除。".into(),
        mend_en: "Register the public key of keys/service.key with vouch user add MEMBER NAME --public-key KEY --role service.".into(),
        mend_zh: "请用 vouch user add 成员 名称 --public-key 公钥 --role service 登记 keys/service.key 的公钥。".into(),
        missing: Vec::new(),
        since_ms,
    }
}

#[cfg(test)]
mod tests {
    use vouch_genesis::ChainParams;
    use vouch_vault::{DocumentId, VersionKey};

    use super::*;

    #[test]
    fn what_is_missing_is_named_with_whom_was_asked() {
        let mut report = VaultReport {
            status: VaultStatus::default(),
            counters: Counters::default(),
            missing: 0,
            overdue: Vec::new(),
            damages: Vec::new(),
            unsent: 0,
            key_missing: false,
            service_missing: false,
        };
        let registry = Registry::new(ChainParams::default());
        assert_eq!(report.condition(&registry, 7), None);
        report.service_missing = true;
        assert_eq!(report.condition(&registry, 7).unwrap().code, "documents.service_account");
        let key = VersionKey { id: DocumentId::new([5; 16]), version: 2 };
        report.overdue = vec![Overdue { key, for_ms: 40_000, asked: None }];
        report.missing = 1;
        let condition = report.condition(&registry, 7).unwrap();
        assert_eq!((condition.code.as_str(), condition.since_ms), ("documents.missing", 40_000));
        assert_eq!(condition.missing, [format!("{key} (-)")]);
    }
}
