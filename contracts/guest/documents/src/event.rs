//! What the contract says happened.

use records::Party;
use vouch_contract::{Bytes, Hash, String, event};

use crate::{
    dispute::{DisputeState, Effect},
    document::VersionState,
    erasure::ErasureState,
    schema::Category,
};

event! {
    /// A version was submitted.
    pub struct Submitted = ("Submitted", "已提交") {
        /// The document.
        pub id: Bytes = ("Document", "凭证"),
        /// The version.
        pub version: u32 = ("Version", "版本"),
        /// Its kind.
        pub category: Category = ("Category", "类别"),
        /// The member that issued it.
        pub issuer: String = ("Issuer", "签发方"),
        /// Root of its commitment.
        pub root: Hash = ("Root", "承诺根"),
    }
}

event! {
    /// A version's state changed.
    pub struct StateChanged = ("State changed", "状态已变更") {
        /// The document.
        pub id: Bytes = ("Document", "凭证"),
        /// The version.
        pub version: u32 = ("Version", "版本"),
        /// How it stands now.
        pub state: VersionState = ("State", "状态"),
    }
}

event! {
    /// A party signed.
    pub struct Signed = ("Signed", "已签署") {
        /// The document.
        pub id: Bytes = ("Document", "凭证"),
        /// The version.
        pub version: u32 = ("Version", "版本"),
        /// Who.
        pub party: Party = ("Party", "当事方"),
    }
}

event! {
    /// An entitled member accepted or rejected the content.
    pub struct Judged = ("Judged", "已核验") {
        /// The document.
        pub id: Bytes = ("Document", "凭证"),
        /// The version.
        pub version: u32 = ("Version", "版本"),
        /// The member.
        pub member: String = ("Member", "成员"),
        /// Whether it accepts.
        pub accepted: bool = ("Accepted", "接受"),
        /// Why: a code.
        pub code: String = ("Reason", "原因"),
    }
}

event! {
    /// Ask `audience` again: a grant, a grant's end, evidence or its end changed it.
    pub struct AudienceChanged = ("Audience changed", "可见范围已变更") {
        /// The document.
        pub id: Bytes = ("Document", "凭证"),
        /// The version.
        pub version: u32 = ("Version", "版本"),
    }
}

event! {
    /// A dispute was opened.
    pub struct Disputed = ("Disputed", "已提出争议") {
        /// Its number.
        pub dispute: u64 = ("Dispute", "争议"),
        /// The document.
        pub id: Bytes = ("Document", "凭证"),
        /// The version.
        pub version: u32 = ("Version", "版本"),
        /// The member that decides.
        pub arbiter: String = ("Arbiter", "仲裁方"),
    }
}

event! {
    /// A dispute was answered, given to another arbiter or withdrawn.
    pub struct DisputeChanged = ("Dispute changed", "争议已变更") {
        /// Its number.
        pub dispute: u64 = ("Dispute", "争议"),
        /// The document.
        pub id: Bytes = ("Document", "凭证"),
        /// How it stands now.
        pub state: DisputeState = ("State", "状态"),
    }
}

event! {
    /// A dispute was decided.
    pub struct Ruled = ("Ruled", "已裁决") {
        /// Its number.
        pub dispute: u64 = ("Dispute", "争议"),
        /// The document.
        pub id: Bytes = ("Document", "凭证"),
        /// The version.
        pub version: u32 = ("Version", "版本"),
        /// What it does to the document.
        pub effect: Effect = ("Effect", "效力"),
    }
}

event! {
    /// A document's erasure was asked for, ordered or withdrawn. On `Ordered`, holders destroy it and attest.
    pub struct ErasureRequested = ("Erasure requested", "已请求删除") {
        /// The document.
        pub id: Bytes = ("Document", "凭证"),
        /// How far it is now.
        pub state: ErasureState = ("State", "状态"),
        /// Until when holders must have attested, in milliseconds since 1970; 0 before the order.
        pub deadline_ms: u64 = ("Deadline", "期限"),
    }
}

event! {
    /// A holder destroyed its copy.
    pub struct ErasureAttested = ("Erasure attested", "已证明删除") {
        /// The document.
        pub id: Bytes = ("Document", "凭证"),
        /// The member.
        pub member: String = ("Member", "成员"),
    }
}

event! {
    /// A document is erased.
    pub struct Tombstoned = ("Tombstoned", "已成墓碑") {
        /// The document.
        pub id: Bytes = ("Document", "凭证"),
        /// Whether every holder attested.
        pub complete: bool = ("Every holder attested", "全部持有方已证明"),
    }
}

event! {
    /// A legal hold was set or lifted.
    pub struct HoldChanged = ("Legal hold changed", "法律保留已变更") {
        /// The document.
        pub id: Bytes = ("Document", "凭证"),
        /// The member.
        pub member: String = ("Member", "成员"),
        /// Whether it is set.
        pub held: bool = ("Held", "保留"),
    }
}

event! {
    /// Members said what they hold.
    pub struct PossessionAttested = ("Possession attested", "已证明持有") {
        /// The member.
        pub member: String = ("Member", "成员"),
        /// How many versions.
        pub versions: u32 = ("Versions", "版本数"),
    }
}

event! {
    /// A read audit's head was anchored.
    pub struct AuditAnchored = ("Audit anchored", "审计已锚定") {
        /// The member.
        pub member: String = ("Member", "成员"),
        /// Its node.
        pub node: String = ("Node", "节点"),
        /// The anchor's number.
        pub number: u64 = ("Number", "序号"),
        /// How many entries the log has.
        pub entries: u64 = ("Entries", "条目数"),
        /// Hash of the last of them.
        pub head: Hash = ("Head", "链头"),
    }
}

event! {
    /// A schema was registered or retired.
    pub struct SchemaChanged = ("Schema changed", "模式已变更") {
        /// Its name.
        pub name: String = ("Name", "名称"),
        /// Its version.
        pub version: u32 = ("Version", "版本"),
        /// Whether new documents may use it.
        pub open: bool = ("Open", "启用"),
    }
}
