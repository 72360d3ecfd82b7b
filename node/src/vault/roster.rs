//! Whose a node is.

use vouch_ledger::Registry;
use vouch_types::NodeId;

/// The member that a node belongs to; `None` for one the registry does not know.
#[must_use]
pub fn member_of(registry: &Registry, node: &NodeId) -> Option<String> {
    registry.nodes.get(node).map(|record| record.member.clone())
}
