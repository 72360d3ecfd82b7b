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
        let built = network.replica(proposer).ledger().built_next().unwrap();
        assert_eq!(built.count, COUNT);
        for other in (0..VALIDATORS).filter(|index| *index != proposer) {
            let run = network.replica(other).ledger().built_next().unwrap();
            assert!((1..=COUNT).contains(&run.count) && run.time == built.time, "node {other} has run {run:?}");
        }
        assert_eq!(block(&mut network), built.time);
    }
}

#[test]
fn an_announcement_binds_nobody() {
    type Lie = fn(&mut Announcement) -> bool;
    let lies: [Lie; 8] = [
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
            said.parent.0[0] ^= 1;
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
    let ledger = network.replica(proposer).ledger();
    let (built, leaves) = (ledger.built_next().unwrap(), ledger.built_leaves().to_vec());
    let (height, parent, time) = (built.height, built.parent, built.time);
    let said = Message::Announced(Announcement { height, parent, time, first: 0, leaves });
    let [liar, other] = [1, 2].map(|step| (proposer + step) % VALIDATORS);
    network.deliver(liar, other, &said);
    while network.step() {}
    assert_eq!(network.replica(other).ledger().built(), None);
    network.deliver(proposer, other, &said);
    while network.step() {}
    assert_eq!(network.replica(other).ledger().built(), Some(built));
    block(&mut network);
}

#[test]
fn a_block_is_run_while_the_votes_for_the_one_before_travel() {
    let mut network = Network::bounded(40, COUNT as u32);
    (0..VALIDATORS).for_each(|index| network.start(index));
    network.run_blocks(0, 3);
    while network.step() {}
    // Each of these blocks needs what the one before it did: entries come, go, and come again. They come while messages are under way.
    let (first, mut ahead, mut number) = (network.height(0), [0; VALIDATORS], 0);
    let is_done = |network: &Network| (0..VALIDATORS).all(|index| network.replica(index).mempool().is_empty());
    for turn in 0..100_000 {
        if turn % 25 == 0 && number < 6 * COUNT {
            let method = if number % 3 == 1 { "drop" } else { "fill" };
            let (_, raw) = network.transaction("spool", method, Network::run(number as u32 % 5, 3, 8));
            network.submit(number % VALIDATORS, raw);
            number += 1;
        } else if !network.step() {
            if number == 6 * COUNT && is_done(&network) {
                break;
            }
            network.pass_time();
        }
        for (index, ahead) in ahead.iter_mut().enumerate() {
            let ledger = network.replica(index).ledger();
            *ahead += usize::from(ledger.built().is_some_and(|built| built.height > ledger.next_height()));
        }
    }
    // Who proposed, and who ran what it announced.
    assert!(ahead.iter().filter(|steps| **steps > 0).count() > 1, "ahead of the vote in so many steps: {ahead:?}");
    let reader = network.replica(0).ledger().reader();
    let blocks = (first + 1..=network.height(0)).map(|height| reader.block(Height(height)).unwrap().unwrap());
    let of: Vec<_> = blocks.map(|block| (block.records.len(), block.certificate.round)).collect();
    assert_eq!(of.iter().map(|(count, _)| count).sum::<usize>(), 6 * COUNT);
    assert!(of.iter().all(|(_, round)| *round == Round::ZERO), "{of:?}");
    assert!(network.faults.is_empty(), "{:?}", network.faults);
}
