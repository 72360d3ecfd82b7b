//! Machines of members: they join without a vote of their own, become validators, move, change keys and leave.

use vouch_genesis::MemberName;
use vouch_types::{NodeId, Power, PublicKey, encode};
use wincode::{SchemaRead, SchemaWrite};

use super::{
    Authority, announce, decided, members,
    refusal::{Stop, address, bad_arguments, refuse, usable_key},
    still_has_validators, store,
};
use crate::{
    registry::{NodeRecord, Record, Registry},
    session::Session,
};

/// Most nodes of one member.
const NODES_MAX: usize = 64;

/// Brings a node in.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct RegisterNode {
    /// Whose it is.
    pub member: String,
    /// Its name.
    pub name: String,
    /// Signs votes.
    pub consensus_key: PublicKey,
    /// Opens connections.
    pub network_key: PublicKey,
    /// Where it listens.
    pub address: String,
    /// Zero for a node that does not vote.
    pub power: u64,
}

/// Changes where a node listens and how much its vote weighs.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct SetNode {
    /// The node.
    pub node: NodeId,
    /// Where it listens.
    pub address: String,
    /// Its weight from the next height on.
    pub power: u64,
}

/// Changes a node's keys from the next height on. With another consensus key it has another id.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct SetNodeKeys {
    /// The node.
    pub node: NodeId,
    /// Signs votes; stays as it is if left out.
    pub consensus_key: Option<PublicKey>,
    /// Opens connections; stays as it is if left out.
    pub network_key: Option<PublicKey>,
}

/// Takes a node out.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct RemoveNode {
    /// The node.
    pub node: NodeId,
}

fn known(registry: &Registry, node: &NodeId) -> Result<NodeRecord, Stop> {
    registry.nodes.get(node).cloned().ok_or_else(|| refuse("system.unknown_node", format!("there is no node {node}")))
}

fn different(consensus: &PublicKey, network: &PublicKey) -> Result<(), Stop> {
    if consensus == network { Err(refuse("system.key_in_use", "a node's two keys must differ")) } else { Ok(()) }
}

pub(super) fn register(session: &mut Session, authority: &Authority, request: RegisterNode) -> Result<(), Stop> {
    decided(authority, "register_node")?;
    let member = members::known(&session.registry, &request.member)?;
    if !member.is_active() {
        let text = format!("member {} is {}", request.member, member.standing.as_str());
        return Err(refuse("system.member_standing", text));
    }
    MemberName::new(&*request.name).map_err(|e| bad_arguments(e.to_string()))?;
    address(&request.address)?;
    usable_key(&session.registry, &request.consensus_key)?;
    usable_key(&session.registry, &request.network_key)?;
    different(&request.consensus_key, &request.network_key)?;
    if session.registry.nodes.values().any(|n| n.name == request.name) {
        return Err(refuse("system.node_exists", format!("there is already a node {}", request.name)));
    }
    if session.registry.nodes.values().filter(|n| n.member == request.member).count() >= NODES_MAX {
        return Err(refuse("system.too_many", format!("a member has at most {NODES_MAX} nodes")));
    }
    let RegisterNode { member, name, consensus_key, network_key, address, power } = request;
    announce(session, "NodeRegistered", encode(&(consensus_key.node(), power)));
    store(session, Record::Node(NodeRecord { member, name, consensus_key, network_key, address, power: Power(power) }));
    still_has_validators(session)
}

pub(super) fn set(session: &mut Session, authority: &Authority, request: SetNode) -> Result<(), Stop> {
    decided(authority, "set_node")?;
    address(&request.address)?;
    let mut record = known(&session.registry, &request.node)?;
    record.address = request.address;
    record.power = Power(request.power);
    store(session, Record::Node(record));
    still_has_validators(session)?;
    announce(session, "NodeChanged", encode(&(request.node, request.power)));
    Ok(())
}

pub(super) fn set_keys(session: &mut Session, authority: &Authority, request: &SetNodeKeys) -> Result<(), Stop> {
    decided(authority, "set_node_keys")?;
    let mut record = known(&session.registry, &request.node)?;
    if request.consensus_key.is_none() && request.network_key.is_none() {
        return Err(bad_arguments("name the consensus key, the network key, or both"));
    }
    if let Some(key) = request.consensus_key {
        usable_key(&session.registry, &key)?;
        std::sync::Arc::make_mut(&mut session.registry).remove_node(&mut session.overlay, &request.node);
        record.consensus_key = key;
    }
    if let Some(key) = request.network_key {
        usable_key(&session.registry, &key)?;
        record.network_key = key;
    }
    different(&record.consensus_key, &record.network_key)?;
    let now = record.consensus_key.node();
    store(session, Record::Node(record));
    still_has_validators(session)?;
    announce(session, "NodeKeysChanged", encode(&(request.node, now)));
    Ok(())
}

pub(super) fn remove(session: &mut Session, authority: &Authority, request: &RemoveNode) -> Result<(), Stop> {
    decided(authority, "remove_node")?;
    known(&session.registry, &request.node)?;
    std::sync::Arc::make_mut(&mut session.registry).remove_node(&mut session.overlay, &request.node);
    still_has_validators(session)?;
    announce(session, "NodeRemoved", encode(&request.node));
    Ok(())
}
