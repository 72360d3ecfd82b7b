//! Pruned nodes: what they forget, what they still prove, and that others can join from them.

use std::sync::Arc;

use vouch_consensus::ConsensusMessage;
use vouch_ledger::{
    LedgerError, Registry, Storage, Table, View, chain::set_change_key, prune::KEEP_MARGIN_BLOCKS, reader::Wanted,
};
use vouch_replica::{Message, ReplicaError, StoragePolicy};
use vouch_types::{Height, VoteKind};

use crate::{
    join::{joins, set_power},
    network::{FOLLOWER, Network, VALIDATORS, settle},
};

const WINDOW: u64 = 20;

#[test]
fn pruned_nodes_forget_prove_and_hand_over() {
    let keep = WINDOW + KEEP_MARGIN_BLOCKS;
    let mut network = Network::new(WINDOW);
    for index in 0..VALIDATORS {
        network.nodes[index].policy.keep_blocks = keep;
        network.start(index);
    }
    let (old, _) = network.call(0, "spool", "fill", Network::run(0, 5, 50));
    set_power(&mut network, 2, 3);
    let changed = network.replica(0).ledger().head().height;
    network.run_blocks(0, keep);
    let (kept, _) = network.call(0, "spool", "fill", Network::run(10, 5, 50));
    network.run_blocks(0, 30);

    let (ledger, storage) = (network.replica(0).ledger(), &network.nodes[0].storage);
    let (head, lowest) = (ledger.head().height, ledger.lowest());
    assert_eq!(lowest.0, head.0 - keep);
    let reader = ledger.reader();
    for height in [1, lowest.0 - 1] {
        assert!(reader.block(Height(height)).unwrap().is_none());
        assert!(storage.get(Table::Headers, &height.to_be_bytes()).unwrap().is_some(), "headers stay");
    }
    assert!(reader.block(lowest).unwrap().is_some());
    assert_eq!(reader.find(&old).unwrap(), None);
    // Of the certificates below only the one at the change of the set is left.
    let left = storage.scan(Table::Certificates, &[], Some(&lowest.0.to_be_bytes()), 10).unwrap();
    assert_eq!(left.len(), 1);
    let at: [u8; 8] = left[0].0.as_slice().try_into().unwrap();
    let at = Height(u64::from_be_bytes(at));
    assert!(at < changed && storage.get(Table::Meta, &set_change_key(at)).unwrap().is_some());
    let place = reader.find(&kept).unwrap().unwrap();
    let bundle = reader.prove_transaction(place, Wanted::Receipt).unwrap().unwrap();
    assert_eq!(bundle.set_changes.len(), 1);
    bundle.verify(network.chain).unwrap();

    // It says the truth about itself, after a restart too.
    settle(&network.nodes[0].storage);
    network.crash(0, 0);
    network.start(0);
    assert_eq!(network.replica(0).ledger().lowest(), lowest);
    network.run_blocks(0, 3);

    // Nobody has block 1: a node that would rather go by blocks, and a wiped one, join by snapshot all the same.
    network.nodes[FOLLOWER].policy = StoragePolicy { keep_blocks: 0, join_after_blocks: 0 };
    network.start(FOLLOWER);
    joins(&mut network, FOLLOWER);
    network.wipe(3);
    network.start(3);
    joins(&mut network, 3);
    assert_eq!(network.faults, []);
}

#[test]
fn a_node_that_is_well_does_not_give_its_state_up_for_one_that_is_ahead_by_a_block() {
    // One of four is down. The liar gets the others' precommits and withholds its own, so it alone has the next block, and
    // says that it has no block below.
    const LIAR: usize = 3;
    let mut network = Network::new(WINDOW);
    for index in 0..VALIDATORS {
        network.nodes[index].policy.keep_blocks = WINDOW + KEEP_MARGIN_BLOCKS;
        network.start(index);
    }
    network.run_blocks(0, 30);
    settle(&network.nodes[2].storage);
    network.crash(2, 0);
    network.tamper = Some(Box::new(|from, message| {
        match message {
            _ if from != LIAR => {}
            Message::Status { height, lowest, .. } => *lowest = Height(height.0 + 1),
            Message::Consensus(ConsensusMessage::Vote(vote)) => return vote.kind != VoteKind::Precommit,
            Message::SyncResponse { .. } | Message::Piece { .. } => return false,
            _ => {}
        }
        true
    }));
    network.run_until(20_000, |n| n.height(LIAR) > n.height(0).max(n.height(1)));
    let end = network.now_ms() + 20_000;
    network.run_until(30_000, |n| n.now_ms() > end);
    for index in [0, 1] {
        let (replica, storage) =
            (network.replica(index), Arc::clone(&network.nodes[index].storage) as Arc<dyn Storage>);
        assert!(!replica.is_joining(), "node {index} gave its state up");
        assert!(Registry::load(&storage).unwrap().is_some());
    }
    network.tamper = None;
    let height = network.height(LIAR);
    network.run_until(30_000, |n| n.height(0) > height + 3);
}

#[test]
fn status_says_the_lowest_block() {
    use std::{cell::RefCell, rc::Rc};
    let mut network = Network::new(WINDOW);
    (0..VALIDATORS).for_each(|i| network.start(i));
    network.run_blocks(0, 60);
    network.start(FOLLOWER);
    joins(&mut network, FOLLOWER);
    let lowest = network.replica(FOLLOWER).ledger().lowest();
    let seen: Rc<RefCell<Vec<Height>>> = Rc::default();
    let sink = Rc::clone(&seen);
    network.tamper = Some(Box::new(move |from, message| {
        if let (FOLLOWER, Message::Status { lowest, .. }) = (from, message) {
            sink.borrow_mut().push(*lowest);
        }
        true
    }));
    // A peer that connects is told.
    settle(&network.nodes[1].storage);
    network.crash(1, 0);
    network.start(1);
    network.run_until(1_000, |_| !seen.borrow().is_empty());
    assert_eq!(seen.borrow()[0], lowest);
}

#[test]
fn keeping_too_few_blocks_is_refused() {
    let mut network = Network::new(WINDOW);
    network.start(0);
    let replica = network.nodes[0].replica.as_mut().unwrap();
    let policy = StoragePolicy { keep_blocks: WINDOW + KEEP_MARGIN_BLOCKS - 1, join_after_blocks: 0 };
    let error = replica.set_storage_policy(policy).unwrap_err();
    assert!(matches!(error, ReplicaError::Ledger(LedgerError::KeepTooFew { min: 1_020, .. })), "{error}");
}
