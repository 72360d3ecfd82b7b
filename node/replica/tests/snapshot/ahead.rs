//! What a block begins with is run before it is proposed. It is judged by its own bytes all the same.

use vouch_replica::{Message, message::Announcement};
use vouch_types::{Hash32, Height, Round};

use crate::network::{Network, VALIDATORS, consensus_key};

/// Transactions of a block.
const COUNT: usize = 6;

fn running() -> Network {
    let mut network = Network::new(40);
    (0..VALIDATORS).for_each(|index| network.start(index));
    network.run_blocks(0, 3);
    network
}

/// Submits transactions while everyone waits for the next height; who is to propose it.
fn submit(network: &mut Network) -> usize {
    while network.step() {}
    for number in 0..COUNT {
        let (_, raw) = network.transaction("spool", "fill", Network::run(number as u32, 1, 8));
        network.submit(number % VALIDATORS, raw);
    }
    while network.step() {}
    let ledger = network.replica(0).ledger();
    let proposer = ledger.validators().proposer(ledger.next_height(), Round::ZERO).key.node();
    (0..VALIDATORS).find(|index| consensus_key(*index).public().node() == proposer).unwrap()
}

/// Runs until everyone has the next block, which must hold all that waits; its time.
fn block(network: &mut Network) -> vouch_types::TimestampMs {
    let next = network.height(0) + 1;
    network.run_until(1_000, |network| (0..VALIDATORS).all(|index| network.height(index) >= next));
    let block = network.replica(0).ledger().reader().block(Height(next)).unwrap().unwrap();
    assert_eq!((block.records.len(), block.certificate.round), (COUNT, Round::ZERO));
    assert!(network.faults.is_empty(), "{:?}", network.faults);
    block.header.time
}

#[test]
fn everyone_runs_what_the_next_proposer_announces() {
    let mut network = running();
    for _ in 0..VALIDATORS {
        let proposer = submit(&mut network);
        let (count, time) = network.replica(proposer).ledger().built().unwrap();
        assert_eq!(count, COUNT);
        for other in (0..VALIDATORS).filter(|index| *index != proposer) {
            let (known, its_time) = network.replica(other).ledger().built().unwrap();
            assert!((1..=COUNT).contains(&known) && its_time == time, "node {other} has run {known}");
        }
        assert_eq!(block(&mut network), time);
    }
}

#[test]
fn an_announcement_binds_nobody() {
    type Lie = fn(&mut Announcement) -> bool;
    let lies: [Lie; 7] = [
        |_| false,
        |said| {
            said.leaves.reverse();
            true
        },
        |said| {
            said.leaves.push(Hash32([7; 32]));
            true
        },
        |said| {
            said.time.0 += 1;
            true
        },
        |said| {
            said.time.0 = u64::MAX;
            true
        },
        |said| {
            said.first += 1;
            true
        },
        |said| {
            said.height = Height(said.height.0 + 1);
            true
        },
    ];
    let mut network = running();
    for lie in lies {
        network.tamper = Some(Box::new(move |_, message| match message {
            Message::Announced(said) => lie(said),
            _ => true,
        }));
        submit(&mut network);
        block(&mut network);
    }
}

#[test]
fn only_who_proposes_next_is_believed() {
    let mut network = running();
    network.tamper = Some(Box::new(|_, message| !matches!(message, Message::Announced(_))));
    let proposer = submit(&mut network);
    let (_, time) = network.replica(proposer).ledger().built().unwrap();
    let leaves = network.replica(proposer).ledger().built_leaves().to_vec();
    let height = network.replica(proposer).ledger().next_height();
    let said = Message::Announced(Announcement { height, time, first: 0, leaves });
    let [liar, other] = [1, 2].map(|step| (proposer + step) % VALIDATORS);
    network.deliver(liar, other, &said);
    while network.step() {}
    assert_eq!(network.replica(other).ledger().built(), None);
    network.deliver(proposer, other, &said);
    while network.step() {}
    assert_eq!(network.replica(other).ledger().built(), Some((COUNT, time)));
    block(&mut network);
}
