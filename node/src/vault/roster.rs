//! The registry as the vault needs it: active members, their encryption keys, their nodes.

use std::collections::BTreeMap;

use vouch_ledger::Registry;
use vouch_types::NodeId;
use vouch_vault::{Roster, RosterMember};

/// Active members with their present encryption keys and active nodes.
#[must_use]
pub fn roster_of(registry: &Registry) -> Roster {
    let member = |record: &vouch_ledger::registry::MemberRecord| {
        let encryption_key = record.encryption_key().map(|key| (key.id, key.key));
        (record.name.clone(), RosterMember { encryption_key, nodes: Vec::new() })
    };
    let mut members: BTreeMap<String, RosterMember> = registry.active_members().map(member).collect();
    for node in registry.active_nodes() {
        if let Some(member) = members.get_mut(&node.member) {
            member.nodes.push(node.network_key);
        }
    }
    Roster::new(members)
}

/// The member that a node belongs to; `None` for one the registry does not know.
#[must_use]
pub fn member_of(registry: &Registry, node: &NodeId) -> Option<String> {
    registry.nodes.get(node).map(|record| record.member.clone())
}
