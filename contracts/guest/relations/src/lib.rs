//! Who stands to whom: which institution manages and serves which person or company, which company received whose service,
//! which regulator watches over whom. The contract `documents` computes from it who may see what.
//!
//! Deliberately not here: who a person is. A subject is 32 random bytes, one per person and serving institution, so that
//! nobody can tell from the chain that two of them are one person. Members are the kernel's.
//!
//! ```text
//! register_subject --> subject, served by its member
//! offer --> Offered --answer(yes)--> Agreed --end--> Ended        a relationship needs both of its sides
//!              |---- answer(no) --> Declined
//!              '---- withdraw ----> Withdrawn
//! around(parties, members), ties(member, parties, members)        what is in force now, for `documents`
//! ```
//!
//! Sequence numbers have no gaps: over all, per member and per party. Nothing is ever deleted; what is over says so.
#![cfg_attr(target_arch = "wasm32", no_std)]

mod current;
mod relationship;
mod subject;

use records::{Around, Moment, Party, Surroundings, Ties};
use vouch_contract::{Bytes, Hash, Key, String, Vec, contract};

pub use current::RelationshipPage;
use current::{around, in_force, receivers, regulators, serving, ties};
pub use relationship::{
    ENDS_MAX, NewRelationship, RelationKind, RelationState, Relationship, RelationshipChanged, RelationshipEntry,
};
use relationship::{
    answer, confine, confined, count, count_party, end, list, list_party, offer, relationship, withdraw,
};
pub use subject::{PersonKey, SUBJECTS_MAX, Subject, SubjectChanged, SubjectRegistered};
use subject::{
    close_subject, count_keys, count_member_subjects, count_subjects, list_keys, list_member_subjects, list_subjects,
    own_key, register_subject, register_subjects, set_subject_key, subject, subject_of_account,
};

contract! {
    name: "relations",
    version: "1.2.0",
    title: ("Relationships", "服务关系"),
    errors: RelationsError {
        /// The caller's account belongs to no active member and is no subject's own key.
        NotAMember = "not_a_member" ("Only accounts of active members do this", "仅有效成员的账户可以操作"),
        /// The account lacks the role.
        RoleMissing = "role_missing" ("The account lacks the role that this needs", "账户缺少所需的角色"),
        /// The member's role does not fit.
        MemberRole = "member_role" ("A member of this role cannot stand in such a relationship", "该角色的成员不能建立此类关系"),
        /// No active member of this name.
        UnknownMember = "unknown_member" ("There is no active member of this name", "没有该名称的有效成员"),
        /// No such subject.
        UnknownSubject = "unknown_subject" ("This person is not registered", "该个人未登记"),
        /// The alias is taken.
        SubjectExists = "subject_exists" ("This alias is registered already", "该别名已登记"),
        /// It takes nothing new.
        SubjectClosed = "subject_closed" ("This person's registration is closed", "该个人的登记已关闭"),
        /// The key is another subject's.
        KeyInUse = "key_in_use" ("This key belongs to another person", "该密钥已属于其他个人"),
        /// The key's owner did not sign for it.
        KeyProof = "key_proof" ("The signature does not show possession of the key", "签名不能证明持有该密钥"),
        /// The person has a key of their own already.
        OwnKey = "own_key" ("Only the person's own key sets another in its place", "已有自有密钥，仅可用该密钥更换"),
        /// No such relationship.
        UnknownRelationship = "unknown_relationship" ("There is no such relationship", "没有该关系"),
        /// One of the kind is offered or agreed.
        Exists = "exists" ("Such a relationship is offered or agreed already", "该关系已提出或已成立"),
        /// The caller stands on no side of it, or not on the one that this needs.
        NotASide = "not_a_side" ("The caller is not the side that may do this", "调用者不是可执行此操作的一方"),
        /// It is in another state.
        WrongState = "wrong_state" ("The relationship's state does not allow this", "该关系的状态不允许此操作"),
        /// The member does not serve the person.
        NotServing = "not_serving" ("The member does not serve this person", "该成员未服务此个人"),
        /// The parties do not fit the kind.
        BadParties = "bad_parties" ("These parties cannot stand in such a relationship", "这些当事方不能建立此类关系"),
        /// The times are in the wrong order.
        BadTimes = "bad_times" ("A relationship ends after it begins", "关系的结束须晚于开始"),
        /// As many are in force as may be.
        TooMany = "too_many" ("The party has as many of these relationships as it may", "该当事方的此类关系已达上限"),
        /// Too many at once, or none.
        BadBatch = "bad_batch" ("One call takes 1 to 50 of them", "一次调用可处理 1 至 50 项"),
        /// The regulator's scope is the members' to decide.
        Confined = "confined" ("The members decide this regulator's scope", "该监管机构的范围由成员表决决定"),
        /// Not a decision of the members.
        NotDecided = "not_decided" ("Only the members together decide this", "仅可由成员表决决定"),
    },
    types: [
        Moment, Party, Around, Surroundings, Ties, Subject, PersonKey, RelationKind, RelationState, NewRelationship, Relationship,
        RelationshipEntry, RelationshipPage,
    ],
    events: [SubjectRegistered, SubjectChanged, RelationshipChanged],
    methods: {
        call register_subject(
            alias: Hash = ("Alias", "别名"),
            key: Option<Key> = ("The person's own key", "个人自有密钥"),
            proof: Option<Bytes> = ("Signature that shows possession of the key", "密钥持有证明签名"),
        ) -> u64 = ("Register a person", "登记个人");
        call register_subjects(aliases: Vec<Hash> = ("Aliases", "别名")) -> u64 = ("Register persons", "批量登记个人");
        call set_subject_key(
            alias: Hash = ("Alias", "别名"),
            key: Key = ("The person's own key", "个人自有密钥"),
            proof: Bytes = ("Signature that shows possession of the key", "密钥持有证明签名"),
        ) -> () = ("Set a person's own key", "设置个人自有密钥");
        call close_subject(alias: Hash = ("Alias", "别名")) -> () = ("Close a person's registration", "关闭个人登记");
        call offer(relationship: NewRelationship = ("Relationship", "关系")) -> u64 = ("Offer a relationship", "提出关系");
        call answer(
            ids: Vec<u64> = ("Relationships", "关系"),
            accept: bool = ("Accept", "接受"),
        ) -> () = ("Accept or decline relationships", "接受或拒绝关系");
        call withdraw(id: u64 = ("Relationship", "关系")) -> () = ("Withdraw an offer", "撤回提出的关系");
        call end(ids: Vec<u64> = ("Relationships", "关系")) -> () = ("End relationships", "结束关系");
        call confine(
            regulator: String = ("Regulator", "监管机构"),
            confined: bool = ("The members decide its scope", "范围由成员表决决定"),
        ) -> () = ("Confine a regulator", "限定监管机构");
        query subject(alias: Hash = ("Alias", "别名")) -> Option<Subject> = ("Look up a person", "查询个人");
        query subject_of_account(account: vouch_contract::Account = ("Account", "账户")) -> Option<Hash> =
            ("The person whose own key it is", "密钥对应的个人");
        query own_key(alias: Hash = ("Alias", "别名")) -> Option<Key> = ("A person's own key", "个人自有密钥");
        query list_keys(
            alias: Hash = ("Alias", "别名"),
            after: u64 = ("After number", "起始序号（不含）"),
            limit: u32 = ("At most", "最多条数"),
        ) -> Vec<PersonKey> = ("A person's keys, the first one first", "个人密钥历史");
        query count_keys(alias: Hash = ("Alias", "别名")) -> u64 = ("How many keys a person had", "个人密钥数");
        query list_subjects(
            after: u64 = ("After number", "起始序号（不含）"),
            limit: u32 = ("At most", "最多条数"),
        ) -> Vec<Subject> = ("List persons", "个人列表");
        query list_member_subjects(
            member: String = ("Member", "成员"),
            after: u64 = ("After number within member", "起始成员内序号（不含）"),
            limit: u32 = ("At most", "最多条数"),
        ) -> Vec<Subject> = ("List a member's persons", "成员的个人列表");
        query count_subjects() -> u64 = ("Number of persons", "个人总数");
        query count_member_subjects(member: String = ("Member", "成员")) -> u64 = ("Number of a member's persons", "成员的个人数");
        query relationship(id: u64 = ("Number", "序号")) -> Option<Relationship> = ("Look up a relationship", "查询关系");
        query list(
            after: u64 = ("After number", "起始序号（不含）"),
            limit: u32 = ("At most", "最多条数"),
        ) -> Vec<Relationship> = ("List relationships", "关系列表");
        query list_party(
            party: Party = ("Party", "当事方"),
            after: u64 = ("After number within party", "起始当事方内序号（不含）"),
            limit: u32 = ("At most", "最多条数"),
        ) -> Vec<RelationshipEntry> = ("List a party's relationships", "当事方的关系列表");
        query count() -> u64 = ("Number of relationships", "关系总数");
        query count_party(party: Party = ("Party", "当事方")) -> u64 = ("Number of a party's relationships", "当事方的关系数");
        query in_force(
            party: Party = ("Party", "当事方"),
            kind: RelationKind = ("Kind", "类型"),
            at_ms: Option<u64> = ("At this time; now if none", "时点；缺省为当前"),
            after: u64 = ("After number within party", "起始当事方内序号（不含）"),
        ) -> RelationshipPage = ("Relationships in force at a time", "某时点有效的关系");
        query serving(party: Party = ("Party", "当事方")) -> Vec<String> = ("Who serves a party now", "当前服务机构");
        query receivers(subject: Hash = ("Person", "个人")) -> Vec<String> = ("Who received a person's service", "接受服务的企业");
        query regulators(member: String = ("Member", "成员")) -> Vec<String> = ("Who watches over a member", "监管机构");
        query confined(regulator: String = ("Regulator", "监管机构")) -> bool = ("Whether the members decide its scope", "范围是否由成员决定");
        query around(
            parties: Vec<Party> = ("Parties", "当事方"),
            members: Vec<String> = ("Members", "成员"),
        ) -> Surroundings = ("Who stands around parties", "当事方的周边关系");
        query ties(
            member: String = ("Member", "成员"),
            parties: Vec<Party> = ("Parties", "当事方"),
            members: Vec<String> = ("Members", "成员"),
        ) -> Ties = ("What a member is to parties", "成员与当事方的关系");
    }
}

#[cfg(test)]
mod tests;
