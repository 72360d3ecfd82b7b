//! A validator that names and sends blocks without end.

use std::sync::{Arc, Mutex};

use vouch_consensus::{ConsensusMessage, SignedProposal};
use vouch_ledger::{Table, View};
use vouch_replica::Message;
use vouch_types::{Block, BlockHash, Height, TimestampMs, decode, encode};

use crate::network::{Network, VALIDATORS, consensus_key, peer};

const LIAR: usize = 3;

fn proposal_in(from: usize, message: &Message) -> Option<(SignedProposal, Block)> {
    let Message::Block { proposal: ConsensusMessage::Proposal(proposal), block } = message else { return None };
    let is_own = proposal.proposer == consensus_key(from).public().node();
    is_own.then(|| (*proposal, decode("block", block, 1 << 20).unwrap()))
}

/// A network at the moment when the liar proposes: its proposal and block, which nobody gets.
fn at_the_liars_turn() -> (Network, SignedProposal, Block) {
    let mut network = Network::new(40);
    let seen = Arc::new(Mutex::new(None));
    let sink = Arc::clone(&seen);
    network.tamper = Some(Box::new(move |from, message| {
        if let Some(found) = proposal_in(from, message).filter(|_| from == LIAR) {
            sink.lock().unwrap().get_or_insert(found);
        }
        from != LIAR
    }));
    (0..VALIDATORS).for_each(|index| network.start(index));
    network.run_until(10_000, |_| seen.lock().unwrap().is_some());
    let (proposal, block) = seen.lock().unwrap().take().unwrap();
    (network, proposal, block)
}

fn sign(network: &Network, proposal: SignedProposal, block: BlockHash) -> Message {
    let mut proposal = SignedProposal { block, ..proposal };
    proposal.signature = consensus_key(LIAR).sign(proposal.statement(network.chain).digest().as_bytes());
    Message::Consensus(ConsensusMessage::Proposal(proposal))
}

#[test]
fn blocks_that_are_fetched_count_as_those_that_come_unasked() {
    let (mut network, proposal, mut block) = at_the_liars_turn();
    // What the others relay would come back to it, and it has no record of signing that.
    network.nodes[LIAR].replica = None;
    let height = proposal.height.0 - 1;
    assert_eq!(network.height(0), height);
    for _ in 0..40 {
        block.header.time = TimestampMs(block.header.time.0 + 1);
        let named = sign(&network, proposal, block.header.hash());
        network.deliver(LIAR, 0, &named);
        network.deliver(LIAR, 0, &Message::RequestedBlock { block: encode(&block) });
        while network.step() {}
    }
    let kept = network.nodes[0].storage.scan(Table::Undecided, &[], None, 100).unwrap();
    assert_eq!(kept.len(), 4, "so many of one proposer are executed and kept");
    network.run_until(20_000, |n| n.height(0) > height + 5);
}

#[test]
fn blocks_that_do_not_exist_do_not_keep_others_from_being_fetched() {
    let (mut network, proposal, _) = at_the_liars_turn();
    let height = network.height(0);
    for number in 0..40 {
        let named = sign(&network, proposal, BlockHash([number; 32]));
        (0..LIAR).for_each(|index| network.deliver(LIAR, index, &named));
        while network.step() {}
    }
    // From now on no block comes by itself.
    network.tamper = Some(Box::new(|from, message| from != LIAR && !matches!(message, Message::Block { .. })));
    network.run_until(20_000, |n| n.height(0) > height + 5);
    assert!(network.faults.iter().all(|(liar, _)| *liar == peer(LIAR)));
}

#[test]
fn a_peer_that_asks_without_end_is_answered_within_bounds_and_others_are_answered_all_the_same() {
    let mut network = Network::new(40);
    (0..VALIDATORS).for_each(|index| network.start(index));
    network.run_blocks(0, 30);
    let answers = Arc::new(Mutex::new(0));
    let count = Arc::clone(&answers);
    network.tamper = Some(Box::new(move |from, message| {
        *count.lock().unwrap() += usize::from(from == 0 && matches!(message, Message::SyncResponse { .. }));
        true
    }));
    let ask = |network: &mut Network, from: usize, times: usize| {
        let request = Message::SyncRequest { from: Height(1) };
        (0..times).for_each(|_| network.deliver(from, 0, &request));
        while network.step() {}
        std::mem::take(&mut *answers.lock().unwrap())
    };
    let few = ask(&mut network, LIAR, 2_000);
    assert!((200..400).contains(&few), "{few} answers at once");
    assert_eq!(ask(&mut network, LIAR, 10), 0);
    assert_eq!(ask(&mut network, 1, 10), 10);
    // To disconnect and come back is of no use, to wait is.
    network.disconnect(LIAR, 0);
    assert_eq!(ask(&mut network, LIAR, 10), 0);
    let end = network.now_ms() + 1_000;
    network.run_until(2_000, |n| n.now_ms() > end);
    assert_eq!(ask(&mut network, LIAR, 10), 10);
}
