//! Joining, following, voting, and going on after a crash.

use std::sync::Arc;

use vouch_ledger::{
    Due, kernel,
    memory::{Fault, FaultKind, MemoryStorage},
    reader::Wanted,
    tree,
};
use vouch_types::{Height, SecretKey, encode};

use crate::network::{FOLLOWER, Network, VALIDATORS, consensus_key, settle};

/// Four validators with a state of several pieces, deletions, and changes of the validator set in their history.
pub fn chain(window: u64) -> Network {
    let mut network = Network::new(window);
    (0..VALIDATORS).for_each(|i| network.start(i));
    network.run_blocks(0, 2);
    for first in [0, 20, 40, 60] {
        network.call(0, "spool", "fill", Network::run(first, 20, 40_000));
    }
    network.call(1, "spool", "drop", Network::run(10, 25, 0));
    set_power(&mut network, 1, 2);
    network.run_blocks(0, 30);
    set_power(&mut network, 1, 1);
    let extra = kernel::RegisterNode {
        member: "m2".into(),
        name: "extra".into(),
        consensus_key: SecretKey::from_seed([99; 32]).public(),
        network_key: SecretKey::from_seed([98; 32]).public(),
        address: "127.0.0.1:9999".into(),
        power: 0,
    };
    network.decide(2, "nodes", "register_node", encode(&extra));
    let node = extra.consensus_key.node();
    network.decide(2, "nodes", "remove_node", encode(&kernel::RemoveNode { node }));
    network.run_blocks(0, 30);
    network
}

pub fn set_power(network: &mut Network, index: usize, power: u64) {
    let node = consensus_key(index).public().node();
    let change = kernel::SetNode { node, address: format!("127.0.0.1:{}", 7000 + index), power };
    network.decide(0, "nodes", "set_node", encode(&change));
    network.run_blocks(0, 2);
}

/// Runs until a node is where the first one is, then further; checks that it joined by snapshot and holds the same state.
pub fn joins(network: &mut Network, index: usize) {
    let mut seen = network.replica(index).is_joining() || network.height(index) > 0;
    network.run_until(60_000, |n| {
        seen |= n.replica(index).is_joining();
        !n.replica(index).is_joining() && n.height(index) > 0
    });
    assert!(seen, "it executed the past");
    network.run_until(10_000, |n| n.height(index) >= n.height(0));
    network.call(index, "spool", "fill", Network::run(100, 3, 100));
    network.run_blocks(index, 5);
    let height = network.height(0).min(network.height(index));
    let header = |i: usize| network.replica(i).ledger().reader().finality(Height(height)).unwrap().unwrap().header;
    assert_eq!(header(index), header(0));
    let ledger = network.replica(index).ledger();
    assert_eq!(tree::verify_stored(network.nodes[index].storage.as_ref()).unwrap(), ledger.head().state_root);
}

#[test]
fn a_node_joins_by_snapshot_and_follows() {
    let mut network = chain(40);
    let (id, _) = network.call(0, "spool", "fill", Network::run(200, 1, 10));
    let (height, _) = network.replica(0).ledger().reader().find(&id).unwrap().unwrap();
    network.run_blocks(0, 10);
    network.start(FOLLOWER);
    joins(&mut network, FOLLOWER);
    assert_eq!(network.faults, []);
    let ledger = network.replica(FOLLOWER).ledger();
    let reader = ledger.reader();
    assert!(reader.block(ledger.lowest()).unwrap().is_some());
    assert!(reader.block(Height(ledger.lowest().0 - 1)).unwrap().is_none());
    // A transaction from before the snapshot can be shown, led back to genesis through both changes of the set.
    let place = reader.find(&id).unwrap().unwrap();
    assert_eq!(place.0, height);
    for wanted in [Wanted::Transaction, Wanted::Receipt] {
        let bundle = reader.prove_transaction(place, wanted).unwrap().unwrap();
        assert_eq!(bundle.set_changes.len(), 2);
        bundle.verify(network.chain).unwrap();
    }
    // It restarts like any other node.
    settle(&network.nodes[FOLLOWER].storage);
    network.crash(FOLLOWER, 0);
    network.start(FOLLOWER);
    network.run_blocks(FOLLOWER, 3);
}

#[test]
fn a_wiped_validator_joins_and_votes() {
    let mut network = chain(40);
    network.wipe(3);
    network.start(3);
    joins(&mut network, 3);
    // Without the first one its vote is needed.
    network.crash(0, 0);
    let end = network.height(1) + 5;
    network.run_until(30_000, |n| n.height(1) >= end && n.height(3) >= end);
}

#[test]
fn a_short_way_is_gone_by_blocks() {
    let mut network = Network::new(40);
    (0..VALIDATORS).for_each(|i| network.start(i));
    network.run_blocks(0, 15);
    network.start(FOLLOWER);
    network.run_until(10_000, |n| n.height(FOLLOWER) >= n.height(0));
    assert!(network.replica(FOLLOWER).ledger().reader().block(Height(1)).unwrap().is_some());
}

#[test]
fn a_replay_from_before_the_snapshot_is_refused() {
    let mut network = chain(60);
    let (id, raw) = network.call(0, "spool", "fill", Network::run(200, 1, 10));
    network.run_blocks(0, 40);
    network.start(FOLLOWER);
    joins(&mut network, FOLLOWER);
    network.submit(FOLLOWER, raw);
    network.run_until(1_000, |n| n.nodes[FOLLOWER].verdicts.contains_key(&id));
    assert_eq!(network.nodes[FOLLOWER].verdicts[&id], Err("tx.replayed".into()));
}

#[test]
fn while_joining_nothing_is_admitted_and_the_state_is_not_shown() {
    let mut network = chain(150);
    network.start(FOLLOWER);
    network.run_until(10_000, |n| n.replica(FOLLOWER).ledger().join().is_some());
    let (id, raw) = network.transaction("spool", "fill", Network::run(1, 1, 1));
    network.submit(FOLLOWER, raw);
    while !network.nodes[FOLLOWER].verdicts.contains_key(&id) {
        assert!(network.replica(FOLLOWER).is_joining());
        let name = vouch_types::ContractName::new("spool").unwrap();
        let state = network.replica(FOLLOWER).ledger().reader().state(&name, b"k", true);
        assert_eq!(state.unwrap_err().code(), "node.syncing");
        network.step();
    }
    assert_eq!(network.nodes[FOLLOWER].verdicts[&id], Err("node.syncing".into()));
    joins(&mut network, FOLLOWER);
}

#[test]
fn what_was_acknowledged_before_joining_is_kept() {
    let mut network = chain(200);
    network.expires_in = Some(60);
    let (id, raw) = network.transaction("spool", "fill", Network::run(500, 1, 10));
    network.tamper = Some(Box::new(|_, message| !matches!(message, vouch_replica::Message::Transactions(_))));
    network.start(FOLLOWER);
    network.submit(FOLLOWER, raw);
    network.run_until(10_000, |n| n.replica(FOLLOWER).ledger().join().is_some());
    assert_eq!(network.nodes[FOLLOWER].verdicts[&id], Ok(()));
    network.crash(FOLLOWER, 0);
    network.start(FOLLOWER);
    network.run_until(60_000, |n| n.height(FOLLOWER) > 0 && !n.replica(FOLLOWER).is_joining());
    assert!(network.replica(FOLLOWER).mempool().contains(&id));
    network.tamper = None;
    joins(&mut network, FOLLOWER);
}

#[test]
fn a_crash_at_any_step_is_gone_on_from() {
    let mut network = chain(150);
    let (mut resumed_state, mut resumed_history) = (0, 0);
    let due = |network: &Network| network.replica(FOLLOWER).ledger().join().map(vouch_ledger::snapshot::Join::due);
    network.start(FOLLOWER);
    loop {
        let before = due(&network);
        network.run_until(60_000, |n| due(n) != before);
        let Some(reached) = due(&network) else { break };
        network.crash(FOLLOWER, 0);
        network.start(FOLLOWER);
        assert_eq!(due(&network), Some(reached), "what was acknowledged is kept");
        match reached {
            Due::Piece { slot } => resumed_state += u32::from(slot > 0),
            Due::History { before, .. } => resumed_history += u32::from(before <= Height(network.height(0) - 60)),
        }
    }
    assert!(resumed_state > 1 && resumed_history > 0, "{resumed_state} {resumed_history}");
    joins(&mut network, FOLLOWER);
}

#[test]
fn a_crash_at_any_write_is_gone_on_from() {
    let mut network = chain(150);
    for number in 1.. {
        let disk = MemoryStorage::new();
        let fault = Fault { kind: FaultKind::InputOutput, first: number, last: number, takes_effect: number % 2 == 0 };
        disk.set_write_fault(Some(fault));
        network.nodes[FOLLOWER].storage = Arc::new(disk);
        let failed = network.try_until_joined(FOLLOWER);
        network.nodes[FOLLOWER].storage.set_write_fault(None);
        if !failed {
            assert!(number > 6);
            break;
        }
        network.crash(FOLLOWER, 0);
        network.start(FOLLOWER);
        network.run_until(60_000, |n| n.height(FOLLOWER) > 0 && !n.replica(FOLLOWER).is_joining());
        network.crash(FOLLOWER, 0);
    }
    joins(&mut network, FOLLOWER);
}
