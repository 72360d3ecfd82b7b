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
    EffectiveVersion: "effective version", "有效版本";
    Disputes: "open disputes", "未决争议";
    Erasure: "erasure", "删除";
    Signed: "signed", "已签署";
    Holds: "holds it", "已持有";
    HoldsNot: "has not said that it holds it", "尚未证明持有";
    Fields: "fields", "字段";
    Staged: "staged", "待上链";
    ReadAudit: "read audit, anchored / all", "访问审计（已锚定/全部）";
    Damaged: "damaged", "损坏";
    NothingDamaged: "Everything at rest is as it was.", "静态数据全部完好。";
    Required: "required", "必填";
    Public: "may be public", "可公开";
    Parties: "parties", "当事方";
    References: "references", "引用";
    Purposes: "purposes", "用途";
    Roles: "roles", "角色";
    Field: "field", "字段";
    Record: "record", "记录";
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
