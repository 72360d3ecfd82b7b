//! Anchors of the members' read audits. A node's log is a hash chain; its heads stand here, so that no entry can be changed
//! or left out afterwards.

use records::{Actor, Moment, actor, key, named, page};
use vouch_contract::{Context, Hash, String, Vec, emit, load, record, store};

use crate::{DocumentsError, event::AuditAnchored, limits::NODE_BYTES_MAX};

record! {
    /// A head of a node's read audit.
    pub struct AuditAnchor = ("Audit anchor", "审计锚点") {
        /// Its number for this node, from 1, without gaps.
        pub number: u64 = ("Number", "序号"),
        /// How many entries the log has.
        pub entries: u64 = ("Entries", "条目数"),
        /// Hash of the last of them.
        pub head: Hash = ("Head", "链头"),
        /// When it was anchored.
        pub at: Moment = ("At", "时间"),
    }
}

fn latest_key(member: &str, node: &str) -> Vec<u8> {
    key(b'N', &[&named(member), &named(node)])
}

fn number_key(member: &str, node: &str, number: u64) -> Vec<u8> {
    key(b'n', &[&named(member), &named(node), &number.to_be_bytes()])
}

/// Anchors a head. It names the head before, so that two logs cannot take turns, and has more entries than that.
pub(crate) fn anchor_audit(
    context: &Context,
    node: String,
    previous: Hash,
    entries: u64,
    head: Hash,
) -> Result<u64, DocumentsError> {
    let caller = Actor::caller(context);
    let member = caller.member.clone().ok_or(DocumentsError::NotAMember)?;
    if !caller.has(&[actor::SERVICE]) {
        return Err(DocumentsError::RoleMissing);
    }
    if !(1..=NODE_BYTES_MAX).contains(&node.len()) {
        return Err(DocumentsError::BadAnchor);
    }
    let latest: Option<AuditAnchor> = load(&latest_key(&member, &node));
    let (number, before, least) = match &latest {
        Some(anchor) => (anchor.number + 1, anchor.head, anchor.entries),
        None => (1, Hash::default(), 0),
    };
    if previous != before || entries <= least {
        return Err(DocumentsError::BadAnchor);
    }
    let anchor = AuditAnchor { number, entries, head, at: Moment::of(context) };
    store(&latest_key(&member, &node), &anchor);
    store(&number_key(&member, &node, number), &anchor);
    emit(&AuditAnchored { member, node, number, entries, head });
    Ok(number)
}

pub(crate) fn audit_head(_: &Context, member: String, node: String) -> Result<Option<AuditAnchor>, DocumentsError> {
    Ok(load(&latest_key(&member, &node)))
}

pub(crate) fn list_anchors(
    _: &Context,
    member: String,
    node: String,
    after: u64,
    limit: u32,
) -> Result<Vec<AuditAnchor>, DocumentsError> {
    Ok(page(after, limit, |number| load(&number_key(&member, &node, number))))
}
