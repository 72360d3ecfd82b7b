//! How the vault does, for metrics and for the node's condition.

use std::{collections::BTreeMap, sync::atomic::Ordering::Relaxed, time::Duration};

use vouch_ledger::Registry;
use vouch_types::{
    PublicKey,
    api::{Condition, ConditionState},
};
use vouch_vault::{AwaitedErasures, Counters, Damage, Overdue, OverdueErasure, Unreadable, VaultStatus};

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
    /// Files that lie here and cannot be read now.
    pub unreadable: Vec<Unreadable>,
    /// Whose word erasures wait for that this member carries out, too.
    pub erasures: AwaitedErasures,
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
            let overdue = vault.overdue(OVERDUE_MS, OVERDUE_MAX);
            let erasures = vault.awaited_erasures();
            Ok((vault.status()?, *vault.counters(), missing, overdue, vault.unreadable(), erasures))
        });
        let (status, counters, missing, overdue, unreadable, erasures) =
            tokio::time::timeout(REPORT_TIMEOUT, asked).await.ok()?.ok()?;
        let noticed = &self.noticed;
        let damages = noticed.damages.lock();
        let recent = damages.iter().filter(|(at, _)| at.elapsed() < DAMAGE_SHOWN);
        Some(VaultReport {
            status,
            counters,
            missing,
            overdue,
            damages: recent.map(|(_, damage)| *damage).collect(),
            unreadable,
            erasures,
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
        if !self.unreadable.is_empty() {
            return Some(self.files_unreadable());
        }
        if !self.overdue.is_empty() {
            return Some(self.documents_missing(registry));
        }
        if !self.damages.is_empty() {
            return Some(self.documents_damaged(running_ms));
        }
        if self.service_missing {
            return Some(service_missing(running_ms));
        }
        self.erasures_overdue(registry)
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
    /// Per active member, in how many erasures past their deadlines its word is missing.
    #[must_use]
    pub fn overdue_by_member(&self, registry: &Registry) -> BTreeMap<&str, u64> {
        let mut by_member = BTreeMap::new();
        for erasure in &self.erasures.overdue {
            for member in silent(erasure, registry) {
                *by_member.entry(member).or_default() += 1;
            }
        }
        by_member
    }

    fn erasures_overdue(&self, registry: &Registry) -> Option<Condition> {
        let late = self.erasures.overdue.iter().map(|erasure| (erasure, silent(erasure, registry)));
        let mut late: Vec<(&OverdueErasure, Vec<&str>)> = late.filter(|(_, members)| !members.is_empty()).collect();
        late.sort_by_key(|(erasure, _)| erasure.deadline_ms);
        let (count, first) = (late.len(), late.first()?.0.deadline_ms);
        let line =
            |(erasure, members): &(&OverdueErasure, Vec<&str>)| format!("{}: {}", erasure.id, members.join(", "));
        Some(Condition {
            state: ConditionState::Ok,
            code: "documents.erasure_overdue".into(),
            reason_en: format!(
                "{count} erasures are past their deadline without the word of every member that was ordered to destroy its copy; behind each document stand those members."
            ),
            reason_zh: format!("{count} 项删除已逾期，仍有被指令销毁副本的成员未在链上证明；凭证编号后为这些成员。"),
            mend_en: "Have the members named start their nodes: they destroy their copies and attest that by themselves, also after the deadline. vouch doc erasure-status ID shows who attested when.".into(),
            mend_zh: "请所列成员启动节点：节点会自行销毁副本并在链上证明，逾期后亦可。vouch doc erasure-status 编号 可查看各成员的证明时间。".into(),
            missing: late.iter().take(OVERDUE_MAX).map(line).collect(),
            since_ms: self.erasures.now_ms.saturating_sub(first),
        })
    }

    fn files_unreadable(&self) -> Condition {
        let line = |file: &Unreadable| format!("{} ({}): {}", file.key, file.root, file.message);
        let count = self.unreadable.len();
        Condition {
            state: ConditionState::Ok,
            code: "documents.unreadable".into(),
            reason_en: format!(
                "{count} sealed files of private documents at this node cannot be read; nothing was dropped, they are read again each minute."
            ),
            reason_zh: format!("本节点有 {count} 个私密凭证的密封附件无法读取；未丢弃任何内容，每分钟重新读取一次。"),
            mend_en: "Check that the volume of vault/files is mounted, its permissions and the disk. A file on a bad part of the disk is fetched anew from other holders once it is removed.".into(),
            mend_zh: "请检查 vault/files 所在的卷是否已挂载、其权限以及磁盘。若文件位于磁盘坏区，删除该文件后将从其他持有方重新获取。".into(),
            missing: self.unreadable.iter().map(line).collect(),
            since_ms: self.unreadable.iter().map(|file| file.for_ms).max().unwrap_or_default(),
        }
    }

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

/// Members whose word an erasure lacks and who can still give it; one that is suspended has no node that could.
fn silent<'a>(erasure: &'a OverdueErasure, registry: &Registry) -> Vec<&'a str> {
    let is_active = |name: &&str| registry.active_members().any(|record| record.name == **name);
    erasure.members.iter().map(String::as_str).filter(is_active).collect()
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
            unreadable: Vec::new(),
            erasures: AwaitedErasures::default(),
            unsent: 0,
            key_missing: false,
            service_missing: false,
        };
        let registry = Registry::new(ChainParams::default());
        assert_eq!(report.condition(&registry, 7), None);
        // Who is no active member has no node that could attest any more.
        let late = OverdueErasure { id: DocumentId::new([5; 16]), deadline_ms: 3, members: vec!["gone".into()] };
        report.erasures = AwaitedErasures { waiting: 1, overdue: vec![late], now_ms: 9 };
        assert_eq!(report.condition(&registry, 7), None);
        report.service_missing = true;
        assert_eq!(report.condition(&registry, 7).unwrap().code, "documents.service_account");
        let key = VersionKey { id: DocumentId::new([5; 16]), version: 2 };
        report.overdue = vec![Overdue { key, for_ms: 40_000, asked: None }];
        report.missing = 1;
        let condition = report.condition(&registry, 7).unwrap();
        assert_eq!((condition.code.as_str(), condition.since_ms), ("documents.missing", 40_000));
        assert_eq!(condition.missing, [format!("{key} (-)")]);
        let file = vouch_vault::FileKey { slot: 3, index: 0 };
        let root = vouch_types::Hash32([9; 32]);
        report.unreadable = vec![Unreadable { key, file, root, message: "input/output error".into(), for_ms: 61_000 }];
        let condition = report.condition(&registry, 7).unwrap();
        assert_eq!((condition.code.as_str(), condition.since_ms), ("documents.unreadable", 61_000));
        assert_eq!(condition.missing, [format!("{key} ({root}): input/output error")]);
    }
}
