//! The words the commands print, in both languages.

use vouch_types::api::Language;

macro_rules! texts {
    ($($name:ident: $en:literal, $zh:literal;)*) => {
        /// A label or sentence.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Text {
            $(#[doc = $en] $name,)*
        }

        impl Text {
            #[cfg(test)]
            const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// In a language.
            #[must_use]
            pub const fn in_language(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Self::$name, Language::English) => $en,
                    (Self::$name, Language::Chinese) => $zh,)*
                }
            }
        }
    };
}

texts! {
    Error: "error", "错误";
    EvidenceHolds: "The evidence holds.", "证据核验通过。";
    EvidenceHoldsInItself: "It holds in itself; what it stands on was not given, see what is claimed.", "其自身一致；但所依据者未经指定，见未核验的主张。";
    BackupLacks: "Sealed files are missing or damaged; what other holders have is fetched from them:", "部分密封附件缺失或损坏；其他持有方拥有的将从其处获取：";
    BackupFilesUnlisted: "It was made by an earlier version: its sealed files are not listed and were not checked.", "该备份由早期版本制作：其密封附件没有清单，未作校验。";
    BackupOfWhichChain: "No chain was named: compare this id with one from a source you trust.", "未指定链：请将此标识与可信来源的链标识比对。";
    Verified: "verified", "已核验";
    Claimed: "claimed, not verified", "仅为主张，未核验";
    File: "file", "文件";
    Key: "key", "密钥";
    Where: "where", "位置";
    Mend: "to mend", "处理办法";
    Chain: "chain", "链";
    Node: "node", "节点";
    Member: "member", "成员";
    Version: "version", "版本";
    Role: "role", "角色";
    Head: "head", "最新高度";
    Height: "height", "高度";
    Hash: "hash", "哈希";
    Time: "time", "时间";
    Block: "block", "区块";
    Consensus: "consensus", "共识";
    Peers: "peers", "对等节点";
    Mempool: "waiting transactions", "等待中的交易";
    Condition: "condition", "状况";
    Reason: "reason", "原因";
    Missing: "missing", "缺少";
    Since: "for", "已持续";
    LastBlock: "last block", "距上一区块";
    Transaction: "transaction", "交易";
    Transactions: "transactions", "交易数";
    Status: "status", "状态";
    Accepted: "accepted", "已接受";
    Known: "known already", "此前已接受";
    Unknown: "unknown", "未知";
    Pending: "pending", "等待中";
    Success: "success", "成功";
    Failed: "failed", "失败";
    Index: "index", "序号";
    Fuel: "fuel used", "计算量";
    Output: "output", "输出";
    Event: "event", "事件";
    Calls: "calls", "调用";
    Signers: "signers", "签名账户";
    Proposer: "proposer", "提议者";
    StateRoot: "state root", "状态根";
    ProofHolds: "The proof holds.", "证明有效。";
    ProofSaved: "proof written to", "证明已写入";
    Contract: "contract", "合约";
    Code: "code", "代码";
    DeployedAt: "deployed at", "部署高度";
    Methods: "methods", "方法";
    Previous: "version before", "上一版本";
    Trial: "on trial", "试运行";
    Proposal: "proposal", "提案";
    Title: "title", "标题";
    Kind: "kind", "类别";
    Votes: "votes", "表决";
    ProposedBy: "proposed by", "提案方";
    Deadline: "deadline", "截止时间";
    Action: "action", "操作";
    Ballot: "ballot", "投票";
    For: "for", "同意";
    Against: "against", "反对";
    Open: "open", "表决中";
    Executed: "executed", "已执行";
    Rejected: "rejected", "已否决";
    Expired: "expired", "已过期";
    Withdrawn: "withdrawn", "已撤回";
    WouldSucceed: "every action would succeed", "全部操作均可执行";
    WouldFail: "an action would fail", "有操作无法执行";
    ChangedKeys: "changed keys", "改动的状态键";
    Fingerprint: "fingerprint", "指纹";
    Serial: "serial number", "序列号";
    Subject: "subject", "主体";
    ValidFrom: "valid from", "生效时间";
    ValidUntil: "valid until", "到期时间";
    Hosts: "hosts", "主机";
    Number: "number", "编号";
    NextStep: "next", "下一步";
    ClientsNotAsked: "The node does not ask for certificates yet: set api.clients.mode in config.toml and restart it.", "本节点尚未要求客户端证书：请在 config.toml 中设置 api.clients.mode 并重启。";
    Administrators: "administrators", "管理员";
    EncryptionKey: "encryption key", "加密公钥";
    Accounts: "accounts", "账户数";
    PublicKey: "public key", "公钥";
    Account: "account", "账户";
    KeyFile: "key file", "密钥文件";
    NotEncrypted: "The file is NOT encrypted: for development only.", "该文件未加密：仅限开发使用。";
    AskPassword: "Password", "密码";
    AskPasswordAgain: "Password again", "再次输入密码";
    State: "record", "记录";
    SignedUpTo: "signed up to height", "已签名至高度";
    NoVotesRecord: "There is no record of votes: the node will abstain for a while.", "没有投票记录：节点将暂时不参与投票。";
    Document: "document", "凭证";
    Root: "root", "承诺根";
    Schema: "schema", "模式";
    Issuer: "issuer", "签发方";
    Reads: "reads", "查阅次数";
    Person: "person", "个人";
    NothingHeld: "nothing of it is at this node", "本节点未持有其内容";
    EffectiveVersion: "effective version", "有效版本";
    Disputes: "open disputes", "未决争议";
    Erasure: "erasure", "删除";
    Signed: "signed", "已签署";
    Holds: "holds it", "已持有";
    HoldsNot: "has not said that it holds it", "尚未证明持有";
    Fields: "fields", "字段";
    Uploads: "uploads", "上传中";
    GoesOnAt: "goes on at", "续传起点";
    Staged: "staged", "待上链";
    ReadAudit: "read audit, anchored / all", "访问审计（已锚定/全部）";
    Damaged: "damaged", "损坏";
    Rebuild: "rebuild", "重建进度";
    Indexed: "indexed / head", "已索引/最新高度";
    FirstBlock: "blocks from", "起始区块";
    Documents: "documents / on chain", "凭证（索引/链上）";
    Relationships: "relationships / on chain", "关系（索引/链上）";
    AllDisputes: "disputes / on chain", "争议（索引/链上）";
    Grants: "grants / on chain", "授权（索引/链上）";
    NothingDamaged: "Everything at rest is as it was.", "静态数据全部完好。";
    Required: "required", "必填";
    Public: "may be public", "可公开";
    Parties: "parties", "当事方";
    References: "references", "引用";
    Purposes: "purposes", "用途";
    Roles: "roles", "角色";
    Field: "field", "字段";
    Record: "record", "记录";
    Page: "page", "页";
    Bytes: "bytes", "字节";
    Findings: "findings", "发现";
    Level: "level", "级别";
    Rule: "rule", "规则";
    Name: "name", "名称";
    Category: "group", "分组";
    Check: "check", "校验";
    Context: "context", "上下文";
    FieldNames: "field names", "字段名";
    Written: "written to", "已写入";
    Passed: "passed", "通过";
    Signer: "signer", "签署者";
    UplinkSources: "sources", "来源";
    UplinkDocuments: "documents", "凭证数";
    UplinkRows: "rows that they are of", "合并的数据行";
    UplinkRejected: "rejected rows", "未通过的行";
    UplinkUnused: "no mapping takes", "未匹配映射的文件";
    UplinkOnChain: "on the chain, for every member to see", "上链，所有成员可见";
    UplinkPrivate: "encrypted, at those entitled only, by grade", "加密，仅由有权方持有（按级别）";
    UplinkRegisters: "persons to be registered", "将登记的人员";
    UplinkReaders: "may read", "可读取";
    UplinkFiles: "files that go with them", "随凭证发送的附件";
    UplinkKey: "key of ids", "编号密钥";
    UplinkNew: "new", "新增";
    UplinkChanged: "changed", "有变更";
    UplinkUnchanged: "unchanged", "未变更";
    UplinkAgain: "of these say what an earlier version said (an older export?)", "其中与更早版本相同（是否为旧的导出文件？）";
    UplinkBlocked: "changed and cannot have a new version now", "有变更但目前不能提交新版本";
    UplinkToVersions: "become new versions", "将提交为新版本";
    UplinkToRejected: "are rejected", "将被拒绝";
    UplinkToSkipped: "are left as they are", "将保持原样";
    UplinkToAsk: "you are asked, or they are rejected", "将询问，否则拒绝";
    UplinkAskChanged: "These rows have another content than their documents on the chain. Type version to send them as new versions, skip to leave their documents as they are; anything else rejects them", "这些行与其链上凭证内容不同。输入 version 提交为新版本，输入 skip 保持原样；其他输入则拒绝";
    UplinkVersions: "new versions among them", "其中新版本";
    UplinkSkipped: "changed and left as they are", "有变更而保持原样";
    UplinkConfirm: "This cannot be taken back. Type the number of documents to send them", "上链后不可撤回。请输入凭证数以确认";
    UplinkSent: "sent and final", "已上链并终局";
    UplinkAlready: "on the chain before", "此前已上链";
    UplinkStopped: "Stopped. Run the same command again to go on.", "已停止。再次运行同一命令即可继续。";
    ProvenanceProven: "Every document and every step is proven from the chain's id.", "每份凭证与每个步骤均已由链编号核验。";
    ProvenanceInPart: "All that is shown is proven from the chain's id; there is more than was asked for.", "所示内容均已由链编号核验；尚有未在范围内的内容。";
    NotBefore: "not before", "最早时间";
    LegalHold: "legal hold", "法律保留";
    NotAskedToErase: "holds it: nobody asked for erasure", "持有中：未请求删除";
    KeptFromErasure: "holds it: kept from erasure", "持有中：依法保留，暂不删除";
    ErasureOutstanding: "has not attested yet", "尚未证明销毁";
    ErasureOverdue: "OVERDUE: has not attested by the deadline", "逾期：截止前未证明销毁";
    ErasureAttested: "attested at", "已证明销毁";
    ErasureAttestedLate: "attested after the deadline at", "逾期后证明销毁";
    OwnKey: "own key", "自有密钥";
    NoOwnKey: "no own key: the members that serve the person speak for them", "无自有密钥：由为其服务的成员代为操作";
    SignedForThem: "by word of", "代为签署的成员：";
    RegisteredBy: "registered by", "登记成员";
    Closed: "closed at height", "关闭高度";
    ProvenAt: "proven at height", "核验高度";
    KeyBefore: "the key before", "前一密钥";
    SetBy: "set by", "设置者";
    ServedBy: "served by", "服务机构";
    KeyIsTheirs: "The key is the person's now.", "该密钥为此人当前的密钥。";
    KeyWasTheirs: "The key was the person's and no longer is.", "该密钥曾为此人的密钥，现已更换。";
    KeyNeverTheirs: "The key never was the person's.", "该密钥从未属于此人。";
    ChainTrusted: "The chain id was taken from the node itself; name it with --chain to rely on the proof.", "链编号取自节点本身；如需采信该证明，请用 --chain 指定。";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_there_in_both_languages() {
        for text in Text::ALL {
            let (en, zh) = (text.in_language(Language::English), text.in_language(Language::Chinese));
            assert!(!en.is_empty() && en.is_ascii(), "{text:?}");
            assert!(!zh.is_empty() && !zh.is_ascii(), "{text:?}");
        }
    }
}
