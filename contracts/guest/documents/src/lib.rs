//! Documents: what is on chain about a document whose content is private, and who may do what with it.
//!
//! Deliberately not here: private content, which the vaults of the entitled members hold; who members and accounts are,
//! which the kernel knows; who serves whom, which `relations` knows.
//!
//! ```text
//! register_schema (by the members)
//! submit --> Pending --sign, sign_for (all that must)--> Effective --revise--> Superseded
//!               |------ judge(no) by one that must sign --> Rejected      revoke --> Revoked
//!                                                           rule(Annulled) --> Annulled
//! audience, may        who is entitled, by the rules of G 4.9.4 over relationships in force, grants and evidence
//! open_dispute --> answer_dispute, add_evidence --> rule
//! request_erasure --> Restricted --order_erasure--> Ordered --attest_erasure (all holders)--> Erased
//! ```
//!
//! Numbers in lists have no gaps. Nothing is ever deleted but public values and recipients of an erased document.
#![cfg_attr(target_arch = "wasm32", no_std)]

mod access;
mod audit;
mod dispute;
mod document;
mod entry;
mod erasure;
mod event;
mod grant;
pub mod limits;
mod list;
mod possession;
mod reference;
mod schema;
mod sign;
mod standing;
mod submit;

use records::{Moment, Party};
use vouch_contract::{Account, Bytes, Hash, String, Vec, contract};

pub use access::{Action, Audience, DISPUTE_PURPOSE, Decision, Entitled, KeyEntitled, class};
use access::{audience, may};
pub use audit::AuditAnchor;
use audit::{anchor_audit, audit_head, list_anchors};
pub use dispute::{Answer, Dispute, DisputeState, Effect, Evidence, Ruling};
use dispute::{
    add_evidence, answer_dispute, arbiters, count_document_disputes, dispute, list_disputes, list_document_disputes,
    open_dispute, reassign_dispute, rule, set_arbiters, withdraw_dispute,
};
pub use document::{
    Document, Ending, ID_BYTES, KeyRecipient, NewVersion, PartyEntry, PublicField, ReferenceEntry, SignatureEntry,
    Version, VersionState,
};
use document::{document, version};
pub use erasure::{Attestation, Erasure, ErasureState, Hold};
use erasure::{
    attest_erasure, close_erasure, erasure, holds, lift_hold, list_erasures, order_erasure, request_erasure,
    set_erasure_days, set_erasure_minutes, set_hold, withdraw_erasure,
};
pub use event::{
    AudienceChanged, AuditAnchored, DisputeChanged, Disputed, ErasureAttested, ErasureRequested, HoldChanged, Judged,
    PossessionAttested, Ruled, SchemaChanged, Signed, StateChanged, Submitted, Tombstoned,
};
pub use grant::{Grant, NewGrant};
use grant::{end_grant, grant, grant_by_number, list_grants};
pub use list::{Counts, DocumentEntry};
use list::{count_issuer, count_party, counts, list, list_category, list_issuer, list_party};
pub use possession::{Holder, Possession};
use possession::{attest_possession, holders};
pub use reference::{Backlink, Edge, Upstream};
use reference::{count_referenced_by, referenced_by, upstream};
pub use schema::{
    Category, FieldKind, FieldRule, PartyRule, PurposeRule, ReferenceRule, Schema, SchemaDefinition, SchemaEntry,
    member_role,
};
use schema::{count_schemas, list_schemas, register_schema, retire_schema, schema, schema_versions};
pub use sign::{PersonSignature, SIGNATURE_TAG, Verdict};
use sign::{judge, person_signature, revoke, sign, sign_for, verdicts};
use submit::{revise, submit};

contract! {
    name: "documents",
    version: "1.2.0",
    title: ("Documents", "全链路凭证"),
    errors: DocumentsError {
        /// The caller's account belongs to no active member and is no person's own key.
        NotAMember = "not_a_member" ("Only accounts of active members do this", "仅有效成员的账户可以操作"),
        /// The account lacks the role.
        RoleMissing = "role_missing" ("The account lacks the role that this needs", "账户缺少所需的角色"),
        /// Neither rule, grant nor dispute lets the caller do this.
        NotEntitled = "not_entitled" ("The caller is not entitled to this", "调用者无此权限"),
        /// Not the issuer.
        NotIssuer = "not_issuer" ("Only the issuer does this", "仅签发方可以操作"),
        /// Not a decision of the members.
        NotDecided = "not_decided" ("Only the members together decide this", "仅可由成员表决决定"),
        /// The contract of relationships does not answer.
        Relations = "relations" ("The contract `relations` does not answer", "关系合约未能应答"),
        /// An id of another length.
        BadId = "bad_id" ("A document's id has 16 bytes", "凭证编号为 16 字节"),
        /// Another member's.
        ForeignId = "foreign_id" ("The id is none that this issuer can give", "该编号不可由此签发方使用"),
        /// Not a word.
        BadCode = "bad_code" ("A code has 1 to 64 of a-z 0-9 - _ . and begins with a letter", "代码为 1 至 64 个字符：a-z 0-9 - _ . 且以字母开头"),
        /// More than allowed.
        TooMany = "too_many" ("That is more than is allowed", "超出允许的数量"),
        /// The id is taken.
        DocumentExists = "document_exists" ("There is a document of this id", "该编号的凭证已存在"),
        /// No such document.
        UnknownDocument = "unknown_document" ("There is no such document", "没有该凭证"),
        /// No such version.
        UnknownVersion = "unknown_version" ("The document has no such version", "该凭证没有此版本"),
        /// The state does not allow it.
        WrongState = "wrong_state" ("The state does not allow this", "当前状态不允许此操作"),
        /// A version waits for signatures.
        VersionPending = "version_pending" ("A version waits for signatures", "有版本待签署"),
        /// Not the root of the version before.
        PreviousRoot = "previous_root" ("This is not the root of the version before", "不是前一版本的承诺根"),
        /// A version cannot change whose the document is.
        OwnerChanged = "owner_changed" ("A new version has the same owners", "新版本的所有者须相同"),
        /// No such schema.
        UnknownSchema = "unknown_schema" ("There is no such schema", "没有该模式"),
        /// It takes no new documents.
        SchemaRetired = "schema_retired" ("The schema is retired", "该模式已停用"),
        /// A definition that makes no sense.
        BadSchema = "bad_schema" ("The schema's definition breaks a rule", "模式定义不符合规则"),
        /// A role that the schema does not have.
        PartyRole = "party_role" ("The schema has no such party role", "模式没有该当事方身份"),
        /// A member or person that cannot have the role.
        PartyKind = "party_kind" ("This party cannot have this role", "该当事方不能担任此身份"),
        /// The same twice.
        PartyTwice = "party_twice" ("A party has a role once", "同一身份不可重复"),
        /// Too few or too many.
        PartyCount = "party_count" ("Too few or too many parties", "当事方数量不符"),
        /// No active member and no open person of this name.
        UnknownParty = "unknown_party" ("There is no such member or person", "没有该成员或个人"),
        /// The issuer has nothing to do with the owner.
        IssuerUnrelated = "issuer_unrelated" (
            "The issuer neither serves the owner nor is a party",
            "签发方既未服务所有者，也不是当事方"
        ),
        /// The schema does not let it be public.
        NotPublic = "not_public" ("The schema does not let this field be public", "模式不允许该字段公开"),
        /// Out of order, empty or too long.
        BadPublic = "bad_public" ("Public fields are ascending, of 1 to 512 bytes", "公开字段须按槽位升序且为 1 至 512 字节"),
        /// Out of order, or no such fields.
        BadRecipients = "bad_recipients" ("Recipients are ascending by key with fields of the schema", "接收方须按公钥升序且字段属于模式"),
        /// The schema has no such reference.
        ReferenceUnknown = "reference_unknown" ("The schema has no such reference", "模式没有该引用"),
        /// No such document.
        ReferenceMissing = "reference_missing" ("The referenced document does not exist", "被引用的凭证不存在"),
        /// No such version.
        ReferenceVersion = "reference_version" ("The referenced version does not exist", "被引用的版本不存在"),
        /// Another category or schema.
        ReferenceKind = "reference_kind" ("The referenced document is of another kind", "被引用凭证的类别不符"),
        /// It does not stand.
        ReferenceState = "reference_state" ("The referenced version is not effective", "被引用的版本未生效"),
        /// It is under dispute.
        ReferenceDisputed = "reference_disputed" ("The referenced document is under dispute", "被引用的凭证处于争议"),
        /// Nobody in common.
        ReferenceParty = "reference_party" ("The referenced document has no party in common", "与被引用凭证没有共同当事方"),
        /// Too few or too many.
        ReferenceCount = "reference_count" ("Too few or too many references", "引用数量不符"),
        /// The same twice.
        ReferenceTwice = "reference_twice" ("A document is referenced once", "不可重复引用"),
        /// A document cannot stand on itself.
        ReferenceSelf = "reference_self" ("A document does not reference itself", "凭证不能引用自身"),
        /// Not one that has to sign.
        NotASigner = "not_a_signer" ("This party does not sign", "该当事方无须签署"),
        /// Signed before.
        SignedAlready = "signed_already" ("This party has signed", "该当事方已签署"),
        /// The signature does not verify.
        BadSignature = "bad_signature" ("The person's signature does not verify", "个人签名无效"),
        /// The person signs with their own key.
        OwnKey = "own_key" ("This person signs with their own key", "该个人须用自有密钥签署"),
        /// A grant or evidence that makes no sense.
        BadGrant = "bad_grant" ("A grant has one receiver, fields, a purpose and a future end", "授权须有一个接收方、字段、用途及未来的截止时间"),
        /// No such grant.
        UnknownGrant = "unknown_grant" ("There is no such grant", "没有该授权"),
        /// Not appointed, not active, or takes part.
        BadArbiter = "bad_arbiter" ("This member cannot be the arbiter", "该成员不能担任仲裁方"),
        /// Another member decides.
        NotArbiter = "not_arbiter" ("Only the arbiter rules", "仅仲裁方可以裁决"),
        /// No such dispute.
        UnknownDispute = "unknown_dispute" ("There is no such dispute", "没有该争议"),
        /// Not the side that may do this.
        NotASide = "not_a_side" ("The caller is not the side that may do this", "调用者不是可执行此操作的一方"),
        /// The document is restricted, being erased or erased.
        Erasure = "erasure" ("The document is restricted or erased", "该凭证已限制处理或已删除"),
        /// No erasure in this state.
        NoErasure = "no_erasure" ("There is no erasure in this state", "没有处于该状态的删除"),
        /// A hold, a dispute, the law or the deadline.
        Held = "held" ("It is held, or not yet time", "受保留或时间未到"),
        /// Set by nobody of this name.
        NoHold = "no_hold" ("This member holds nothing", "该成员未设置保留"),
        /// Not asked to destroy anything.
        NotAHolder = "not_a_holder" ("This member is not among the holders", "该成员不在持有方之列"),
        /// Attested before.
        AttestedAlready = "attested_already" ("This member has attested", "该成员已证明"),
        /// Out of bounds.
        BadDays = "bad_days" ("Holders get 1 to 90 days, or 1 to 1439 minutes", "期限为 1 至 90 天，或 1 至 1439 分钟"),
        /// Out of order.
        BadAnchor = "bad_anchor" ("An anchor follows the one before", "锚点须承接前一锚点"),
    },
    types: [
        Moment, Party, Category, FieldKind, FieldRule, PartyRule, ReferenceRule, PurposeRule, SchemaDefinition, Schema,
        SchemaEntry, PartyEntry, PublicField, ReferenceEntry, KeyRecipient, NewVersion, VersionState, SignatureEntry,
        Ending, Version, Document, DocumentEntry, Counts, Backlink, Edge, Upstream, Verdict, PersonSignature, Action, Decision, Entitled,
        KeyEntitled, Audience, NewGrant, Grant, DisputeState, Effect, Answer, Evidence, Ruling, Dispute, ErasureState,
        Attestation, Erasure, Hold, Possession, Holder, AuditAnchor,
    ],
    events: [
        Submitted, StateChanged, Signed, Judged, AudienceChanged, Disputed, DisputeChanged, Ruled, ErasureRequested,
        ErasureAttested, Tombstoned, HoldChanged, PossessionAttested, AuditAnchored, SchemaChanged,
    ],
    methods: {
        call register_schema(definition: SchemaDefinition = ("Definition", "定义")) -> u32 = ("Register a schema", "登记模式");
        call retire_schema(
            name: String = ("Name", "名称"),
            version: u32 = ("Version", "版本"),
        ) -> () = ("Retire a schema", "停用模式");
        call submit(
            id: Bytes = ("Id, 16 random bytes", "编号，16 字节随机数"),
            schema: String = ("Schema", "模式"),
            content: NewVersion = ("Content", "内容"),
        ) -> u64 = ("Submit a document", "提交凭证");
        call revise(
            id: Bytes = ("Document", "凭证"),
            previous_root: Hash = ("Root of the version before", "前版承诺根"),
            content: NewVersion = ("Content", "内容"),
        ) -> u32 = ("Submit a new version", "提交新版本");
        call sign(
            id: Bytes = ("Document", "凭证"),
            version: u32 = ("Version", "版本"),
        ) -> () = ("Sign", "签署");
        call sign_for(
            id: Bytes = ("Document", "凭证"),
            version: u32 = ("Version", "版本"),
            subject: Hash = ("Person", "个人"),
            signature: Option<Bytes> = ("Signature of the person's own key", "个人自有密钥签名"),
        ) -> () = ("Bring a person's signature", "代为提交个人签署");
        call judge(
            id: Bytes = ("Document", "凭证"),
            version: u32 = ("Version", "版本"),
            accepted: bool = ("Accept", "接受"),
            code: String = ("Reason", "原因"),
        ) -> () = ("Accept or reject", "接受或拒绝");
        call revoke(
            id: Bytes = ("Document", "凭证"),
            code: String = ("Reason", "原因"),
        ) -> () = ("Revoke a document", "撤销凭证");
        call grant(
            id: Bytes = ("Document", "凭证"),
            version: u32 = ("Version", "版本"),
            new: NewGrant = ("Grant", "授权"),
        ) -> u64 = ("Grant fields", "授权字段");
        call end_grant(id: u64 = ("Grant", "授权")) -> () = ("End a grant", "结束授权");
        call set_arbiters(members: Vec<String> = ("Members", "成员")) -> () = ("Appoint arbiters", "指定仲裁方");
        call open_dispute(
            id: Bytes = ("Document", "凭证"),
            version: u32 = ("Version", "版本"),
            arbiter: String = ("Arbiter", "仲裁方"),
            code: String = ("Subject", "事由"),
            claim: Hash = ("Commitment to the claim", "主张承诺"),
        ) -> u64 = ("Open a dispute", "提出争议");
        call answer_dispute(
            dispute: u64 = ("Dispute", "争议"),
            statement: Hash = ("Commitment to the text", "文本承诺"),
        ) -> () = ("Answer a dispute", "答复争议");
        call add_evidence(
            dispute: u64 = ("Dispute", "争议"),
            id: Bytes = ("Document", "凭证"),
            version: u32 = ("Version", "版本"),
            fields: Bytes = ("Fields", "字段"),
        ) -> () = ("Give evidence", "提交证据");
        call rule(
            dispute: u64 = ("Dispute", "争议"),
            effect: Effect = ("Effect", "效力"),
            code: String = ("Reason", "原因"),
            statement: Hash = ("Commitment to the text", "文本承诺"),
        ) -> () = ("Rule", "裁决");
        call withdraw_dispute(dispute: u64 = ("Dispute", "争议")) -> () = ("Withdraw a dispute", "撤回争议");
        call reassign_dispute(
            dispute: u64 = ("Dispute", "争议"),
            arbiter: String = ("Arbiter", "仲裁方"),
        ) -> () = ("Give a dispute to another arbiter", "更换仲裁方");
        call request_erasure(
            id: Bytes = ("Document", "凭证"),
            code: String = ("Reason", "原因"),
        ) -> ErasureState = ("Ask for erasure", "请求删除");
        call order_erasure(id: Bytes = ("Document", "凭证")) -> () = ("Order what was held back", "指令受限的删除");
        call withdraw_erasure(id: Bytes = ("Document", "凭证")) -> () = ("Withdraw a request for erasure", "撤回删除请求");
        call attest_erasure(
            id: Bytes = ("Document", "凭证"),
            receipt: Hash = ("Receipt", "回执"),
        ) -> () = ("Attest erasure", "证明删除");
        call close_erasure(id: Bytes = ("Document", "凭证")) -> () = ("Close an overdue erasure", "关闭逾期的删除");
        call set_hold(
            id: Bytes = ("Document", "凭证"),
            code: String = ("Reason", "原因"),
        ) -> () = ("Set a legal hold", "设置法律保留");
        call lift_hold(
            id: Bytes = ("Document", "凭证"),
            member: String = ("Member", "成员"),
        ) -> () = ("Lift a legal hold", "解除法律保留");
        call set_erasure_days(days: u32 = ("Days", "天数")) -> () = ("Set the deadline of erasures", "设置删除期限");
        call set_erasure_minutes(minutes: u32 = ("Minutes", "分钟数")) -> () =
            ("Set a deadline of erasures of less than a day", "设置不足一天的删除期限");
        call attest_possession(versions: Vec<Possession> = ("Versions", "版本")) -> () = ("Attest possession", "证明持有");
        call anchor_audit(
            node: String = ("Node", "节点"),
            previous: Hash = ("Head before", "前一链头"),
            entries: u64 = ("Entries", "条目数"),
            head: Hash = ("Head", "链头"),
        ) -> u64 = ("Anchor a read audit", "锚定访问审计");
        query schema(
            name: String = ("Name", "名称"),
            version: u32 = ("Version", "版本"),
        ) -> Option<Schema> = ("Look up a schema", "查询模式");
        query schema_versions(name: String = ("Name", "名称")) -> u32 = ("Newest version of a schema", "模式最新版本");
        query list_schemas(
            after: u64 = ("After number", "起始序号（不含）"),
            limit: u32 = ("At most", "最多条数"),
        ) -> Vec<SchemaEntry> = ("List schemas", "模式列表");
        query count_schemas() -> u64 = ("Number of schema versions", "模式版本数");
        query document(id: Bytes = ("Document", "凭证")) -> Option<Document> = ("Look up a document", "查询凭证");
        query version(
            id: Bytes = ("Document", "凭证"),
            version: u32 = ("Version", "版本"),
        ) -> Option<Version> = ("Look up a version", "查询版本");
        query list(
            after: u64 = ("After number", "起始序号（不含）"),
            limit: u32 = ("At most", "最多条数"),
        ) -> Vec<DocumentEntry> = ("List documents", "凭证列表");
        query list_category(
            category: Category = ("Category", "类别"),
            after: u64 = ("After number", "起始序号（不含）"),
            limit: u32 = ("At most", "最多条数"),
        ) -> Vec<DocumentEntry> = ("List a category", "类别列表");
        query list_issuer(
            member: String = ("Issuer", "签发方"),
            after: u64 = ("After number", "起始序号（不含）"),
            limit: u32 = ("At most", "最多条数"),
        ) -> Vec<DocumentEntry> = ("List an issuer's documents", "签发方列表");
        query list_party(
            party: Party = ("Party", "当事方"),
            after: u64 = ("After number", "起始序号（不含）"),
            limit: u32 = ("At most", "最多条数"),
        ) -> Vec<DocumentEntry> = ("List a party's documents", "当事方列表");
        query counts() -> Counts = ("Counts", "数量");
        query count_issuer(member: String = ("Issuer", "签发方")) -> u64 = ("Number of an issuer's documents", "签发方凭证数");
        query count_party(party: Party = ("Party", "当事方")) -> u64 = ("Number of a party's documents", "当事方凭证数");
        query referenced_by(
            id: Bytes = ("Document", "凭证"),
            after: u64 = ("After number", "起始序号（不含）"),
            limit: u32 = ("At most", "最多条数"),
        ) -> Vec<Backlink> = ("What builds on a document", "引用该凭证的凭证");
        query count_referenced_by(id: Bytes = ("Document", "凭证")) -> u64 = ("How many build on a document", "被引用数");
        query upstream(
            id: Bytes = ("Document", "凭证"),
            version: u32 = ("Version", "版本"),
        ) -> Upstream = ("What a document builds on", "证据链");
        query verdicts(
            id: Bytes = ("Document", "凭证"),
            version: u32 = ("Version", "版本"),
            after: String = ("After member", "起始成员（不含）"),
            limit: u32 = ("At most", "最多条数"),
        ) -> Vec<Verdict> = ("Verdicts", "核验结论");
        query person_signature(
            id: Bytes = ("Document", "凭证"),
            version: u32 = ("Version", "版本"),
            subject: Hash = ("Person", "个人"),
        ) -> Option<PersonSignature> = ("The signature that a person made and another brought", "代为提交的个人签名");
        query audience(
            id: Bytes = ("Document", "凭证"),
            version: u32 = ("Version", "版本"),
        ) -> Audience = ("Who is entitled", "可见范围");
        query may(
            account: Account = ("Account", "账户"),
            action: Action = ("Action", "操作"),
            id: Bytes = ("Document", "凭证"),
            version: u32 = ("Version", "版本"),
            purpose: String = ("Purpose", "用途"),
        ) -> Decision = ("Whether an account may do something", "权限判定");
        query grant_by_number(id: u64 = ("Grant", "授权")) -> Option<Grant> = ("Look up a grant", "查询授权");
        query list_grants(
            id: Bytes = ("Document", "凭证"),
            after: u64 = ("After number", "起始序号（不含）"),
            limit: u32 = ("At most", "最多条数"),
        ) -> Vec<Grant> = ("List a document's grants", "凭证的授权列表");
        query arbiters() -> Vec<String> = ("Arbiters", "仲裁方");
        query dispute(id: u64 = ("Dispute", "争议")) -> Option<Dispute> = ("Look up a dispute", "查询争议");
        query list_disputes(
            after: u64 = ("After number", "起始序号（不含）"),
            limit: u32 = ("At most", "最多条数"),
        ) -> Vec<Dispute> = ("List disputes", "争议列表");
        query list_document_disputes(
            id: Bytes = ("Document", "凭证"),
            after: u64 = ("After number", "起始序号（不含）"),
            limit: u32 = ("At most", "最多条数"),
        ) -> Vec<Dispute> = ("List a document's disputes", "凭证的争议列表");
        query count_document_disputes(id: Bytes = ("Document", "凭证")) -> u64 = ("Number of a document's disputes", "凭证的争议数");
        query erasure(id: Bytes = ("Document", "凭证")) -> Option<Erasure> = ("Look up an erasure", "查询删除");
        query list_erasures(
            after: u64 = ("After number", "起始序号（不含）"),
            limit: u32 = ("At most", "最多条数"),
        ) -> Vec<Bytes> = ("Documents whose erasure was asked for", "被请求删除的凭证");
        query holds(id: Bytes = ("Document", "凭证")) -> Vec<Hold> = ("Legal holds", "法律保留");
        query holders(
            id: Bytes = ("Document", "凭证"),
            after_member: String = ("After member", "起始成员（不含）"),
            after_version: u32 = ("and version", "及版本"),
            limit: u32 = ("At most", "最多条数"),
        ) -> Vec<Holder> = ("Who says that it holds what", "持有方");
        query audit_head(
            member: String = ("Member", "成员"),
            node: String = ("Node", "节点"),
        ) -> Option<AuditAnchor> = ("Newest audit anchor", "最新审计锚点");
        query list_anchors(
            member: String = ("Member", "成员"),
            node: String = ("Node", "节点"),
            after: u64 = ("After number", "起始序号（不含）"),
            limit: u32 = ("At most", "最多条数"),
        ) -> Vec<AuditAnchor> = ("List audit anchors", "审计锚点列表");
    }
}

#[cfg(test)]
mod tests;
