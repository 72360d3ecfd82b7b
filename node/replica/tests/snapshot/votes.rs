//! A validator that lost its database, or got an older one, votes only where it cannot contradict itself.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use vouch_consensus::ConsensusMessage;
use vouch_ledger::{Batch, Durability, Storage, Table, View, memory::MemoryStorage};
use vouch_replica::{Doubt, Message, VotingRecord, VotingState};
use vouch_types::{Hash32, Height, NodeId};

use crate::network::{FOLLOWER, Network, VALIDATORS, consensus_key};

/// What was signed: by whom, kind, height and round, as the digest of the statement.
type Signed = Arc<Mutex<BTreeMap<(NodeId, u8, Height, u32), Hash32>>>;

/// Watches everything that is sent: nobody signs two statements for one place.
fn watched(network: &mut Network) -> Signed {
    let signed = Signed::default();
    let (seen, chain) = (Arc::clone(&signed), network.chain);
    network.tamper = Some(Box::new(move |from, message| {
        let (Message::Consensus(message) | Message::Block { proposal: message, .. }) = message else { return true };
        let (place, digest) = match message {
            ConsensusMessage::Vote(v) => {
                ((v.validator, v.kind as u8, v.height, v.round.0), v.statement(chain).digest())
            }
            ConsensusMessage::Proposal(p) => ((p.proposer, 9, p.height, p.round.0), p.statement(chain).digest()),
            _ => return true,
        };
        if place.0 == consensus_key(from).public().node() {
            let before = *seen.lock().unwrap().entry(place).or_insert(digest);
            assert_eq!(before, digest, "node {from} contradicts itself: {message:?}");
        }
        true
    }));
    signed
}

fn last_vote(signed: &Signed, index: usize) -> Height {
    let node = consensus_key(index).public().node();
    signed.lock().unwrap().keys().filter(|place| place.0 == node).map(|place| place.2).max().unwrap_or_default()
}

fn running(blocks: u64) -> (Network, Signed) {
    let mut network = Network::new(40);
    let signed = watched(&mut network);
    (0..VALIDATORS).for_each(|index| network.start(index));
    network.run_blocks(0, blocks);
    (network, signed)
}

fn abstains(network: &Network, index: usize) -> Option<Doubt> {
    network.replica(index).status().abstention.map(|a| a.doubt)
}

/// Everything a storage holds now, as another storage.
fn copy_of(storage: &MemoryStorage) -> Arc<MemoryStorage> {
    let copy = MemoryStorage::new();
    let mut batch = Batch::new();
    for table in Table::ALL {
        for (key, value) in storage.scan(table, &[], None, usize::MAX).unwrap() {
            batch.put(table, key, value);
        }
    }
    copy.write(batch, Durability::Synced).unwrap();
    Arc::new(copy)
}

fn votes_again(network: &mut Network, signed: &Signed, index: usize) {
    let before = last_vote(signed, index);
    network.run_until(60_000, |n| abstains(n, index).is_none() && last_vote(signed, index).0 > before.0 + 5);
    assert_eq!(network.nodes[index].memory.record().unwrap().state, VotingState::Kept);
}

#[test]
fn a_new_chain_begins_and_all_that_restart_with_their_logs_go_on() {
    let (mut network, _) = running(3);
    for _ in 0..40 {
        for _ in 0..17 {
            network.step();
        }
        (0..VALIDATORS).for_each(|index| network.crash(index, 0));
        (0..VALIDATORS).for_each(|index| network.start(index));
        network.step();
        assert_eq!((0..VALIDATORS).find_map(|index| network.nodes[index].replica.as_ref()?.status().abstention), None);
    }
    network.run_blocks(0, 5);
}

#[test]
fn one_that_lost_its_database_joins_again_and_votes_again() {
    for (record_is_lost, expected) in [(false, Doubt::DatabaseBehind), (true, Doubt::NoRecord)] {
        for steps in 0..24 {
            let (mut network, signed) = running(4);
            for _ in 0..steps * 3 {
                network.step();
            }
            network.wipe(3);
            if record_is_lost {
                network.nodes[3].memory.set(None);
            }
            network.start(3);
            network.run_until(10, |n| n.replica(3).status().abstention.is_some());
            assert_eq!(abstains(&network, 3), Some(expected));
            votes_again(&mut network, &signed, 3);
            assert_eq!(network.faults, []);
        }
    }
}

#[test]
fn one_whose_database_is_an_older_copy_votes_again_without_contradicting_itself() {
    // Copies of every moment, among them of the height that the node then goes on to vote at.
    for later in [0, 1, 2, 3, 5, 8, 13, 40, 200] {
        let (mut network, signed) = running(4);
        let copy = copy_of(&network.nodes[2].storage);
        let record = network.nodes[2].memory.record();
        for _ in 0..later {
            network.step();
        }
        let is_older = network.nodes[2].memory.record() != record;
        network.crash(2, 0);
        network.nodes[2].storage = copy;
        network.start(2);
        network.run_until(10, |n| n.replica(2).status().running || abstains(n, 2).is_some());
        assert_eq!(abstains(&network, 2).is_some(), is_older, "after {later} steps");
        votes_again(&mut network, &signed, 2);
    }
}

#[test]
fn doubt_outlives_a_restart_in_the_midst_of_it() {
    let (mut network, signed) = running(30);
    network.wipe(1);
    network.start(1);
    network.run_until(10_000, |n| n.height(1) > 10);
    assert!(abstains(&network, 1).is_some());
    network.crash(1, 0);
    network.start(1);
    network.run_until(10, |n| n.replica(1).status().abstention.is_some());
    assert_eq!(abstains(&network, 1), Some(Doubt::Distrusted));
    votes_again(&mut network, &signed, 1);
}

#[test]
fn the_database_of_another_node_under_ones_own_key_is_of_use() {
    let (mut network, signed) = running(6);
    let copy = copy_of(&network.nodes[0].storage);
    network.crash(3, 0);
    network.nodes[3].storage = copy;
    network.start(3);
    votes_again(&mut network, &signed, 3);
}

#[test]
fn when_two_of_four_forgot_nothing_moves_until_the_members_decide() {
    let (mut network, _) = running(5);
    for index in [2, 3] {
        network.wipe(index);
        network.nodes[index].memory.set(None);
    }
    for index in [2, 3] {
        network.start(index);
    }
    let stands = |n: &Network| n.height(0).max(n.height(1));
    network.run_until(30_000, |n| n.height(2) == stands(n) && n.height(3) == stands(n));
    let height = stands(&network);
    let end = network.now_ms() + 20_000;
    network.run_until(30_000, |n| n.now_ms() > end);
    assert_eq!(stands(&network), height, "two of four make no block");
    for index in 0..VALIDATORS {
        let status = network.replica(index).status();
        let others = status.abstaining_peers.len() + usize::from(status.abstention.is_some());
        assert_eq!(others, 2, "node {index} knows who does not vote");
    }
    // They may contradict themselves at this height: that is what the members decide to bear.
    network.tamper = None;
    for index in [2, 3] {
        network.crash(index, 0);
        let record = network.nodes[index].memory.record().unwrap();
        let declared = VotingRecord { height: Height(height), state: VotingState::Declared, ..record };
        network.nodes[index].memory.set(Some(declared));
        network.start(index);
    }
    network.run_blocks(0, 10);
    assert_eq!((abstains(&network, 2), abstains(&network, 3)), (None, None));
}

#[test]
fn a_claim_of_one_that_leaves_or_comes_back_again_and_again_keeps_nobody_from_voting() {
    for comes_back in [false, true] {
        let (mut network, signed) = running(6);
        let mut inner = network.tamper.take().unwrap();
        // It has a block or two, it says, that nobody will see.
        network.tamper = Some(Box::new(move |from, message| {
            if let (FOLLOWER, Message::Status { height, .. }) = (from, &mut *message) {
                height.0 = 1 << 60;
            }
            let hides = from == FOLLOWER && matches!(message, Message::SyncResponse { .. } | Message::Snapshot { .. });
            !hides && inner(from, message)
        }));
        network.start(FOLLOWER);
        network.wipe(3);
        network.nodes[3].policy.join_after_blocks = 0;
        network.start(3);
        network.run_until(10_000, |n| n.height(3) > 0);
        assert!(abstains(&network, 3).is_some());
        if comes_back {
            let before = last_vote(&signed, 3);
            let mut next = network.now_ms();
            let end = next + 40_000;
            while abstains(&network, 3).is_some() {
                assert!(network.now_ms() < end, "it never votes again");
                next += 1_000;
                network.run_until(5_000, |n| n.now_ms() >= next);
                network.disconnect(FOLLOWER, 3);
                let status = Message::Status { height: Height(1 << 60), lowest: Height(1), abstains: false };
                network.deliver(FOLLOWER, 3, &status);
            }
            network.run_until(10_000, |n| last_vote(&signed, 3) > before && n.height(3) + 3 > n.height(0));
        } else {
            network.crash(FOLLOWER, 0);
            votes_again(&mut network, &signed, 3);
        }
    }
}
