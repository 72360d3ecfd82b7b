//! Peers that lie or keep silent while others join.

use vouch_ledger::kernel::{Parameter, SetParameters};
use vouch_replica::Message;

use crate::{
    join::{chain, joins},
    network::{FOLLOWER, Network, PACE_MS, VALIDATORS, peer},
};

/// The validator whose offers come last where order decides; it is honest, the others lie.
fn honest() -> usize {
    (0..VALIDATORS).max_by_key(|i| peer(*i)).unwrap()
}

/// Lets all validators but one lie; the node must join all the same, and blame liars with `code` and nobody else.
fn check(code: &str, window: u64, mut lie: impl FnMut(&mut Message) -> bool + 'static) {
    let mut network = chain(window);
    network.tamper = Some(Box::new(move |from, message| {
        if from < VALIDATORS && from != honest() {
            lie(message);
        }
        true
    }));
    network.start(FOLLOWER);
    joins(&mut network, FOLLOWER);
    assert!(!network.faults.is_empty(), "nobody was blamed for {code}");
    for (liar, found) in &network.faults {
        assert_eq!(*found, code);
        assert_ne!(*liar, peer(honest()));
    }
}

#[test]
fn altered_pieces_are_refused() {
    check("peer.snapshot_bad_piece", 40, |message| {
        if let Message::Piece { piece: Some(piece), .. } = message {
            piece.entries[2].value.get_or_insert_default().push(7);
        }
        true
    });
}

#[test]
fn pieces_from_another_place_are_refused() {
    check("peer.snapshot_bad_piece", 40, |message| {
        if let Message::Piece { piece: Some(piece), .. } = message {
            piece.from += 16;
        }
        true
    });
}

#[test]
fn altered_headers_are_refused() {
    check("peer.snapshot_bad_certificate", 40, |message| {
        if let Message::Snapshot { offer: Some(offer) } = message {
            offer.finality.header.state_root.0[0] ^= 1;
        }
        true
    });
}

#[test]
fn stale_certificates_are_refused() {
    check("peer.snapshot_bad_certificate", 40, |message| {
        if let Message::Snapshot { offer: Some(offer) } = message {
            offer.finality.certificate = offer.set_changes[1].finality.certificate.clone();
        }
        true
    });
}

#[test]
fn certificates_without_quorum_are_refused() {
    check("peer.snapshot_bad_certificate", 40, |message| {
        if let Message::Snapshot { offer: Some(offer) } = message {
            offer.finality.certificate.signatures.truncate(2);
        }
        true
    });
}

#[test]
fn wrong_sets_are_refused() {
    check("peer.snapshot_wrong_set", 40, |message| {
        if let Message::Snapshot { offer: Some(offer) } = message {
            let first = offer.set_changes[1].next_set.clone();
            offer.set_changes[0].next_set = first;
        }
        true
    });
}

#[test]
fn a_set_that_changed_and_changed_back_is_not_left_out() {
    // The offer verifies, since the set is the first one's again; the blocks between the changes give it away.
    check("peer.snapshot_wrong_set", 1_000, |message| {
        if let Message::Snapshot { offer: Some(offer) } = message {
            offer.set_changes.clear();
        }
        true
    });
}

#[test]
fn offers_of_another_chain_are_refused() {
    check("peer.snapshot_bad_header", 40, |message| {
        if let Message::Snapshot { offer: Some(offer) } = message {
            offer.finality.header.chain.0[5] ^= 1;
        }
        true
    });
}

/// Changes the last blocks that liars send.
fn check_history(code: &str, lie: impl Fn(&mut vouch_ledger::HistoryBlock) + 'static) {
    check(code, 150, move |message| {
        if let Message::History { blocks, .. } = message {
            let middle = blocks.len() / 2;
            blocks.get_mut(middle).into_iter().for_each(&lie);
        }
        true
    });
}

#[test]
fn altered_blocks_are_refused() {
    check_history("peer.snapshot_bad_header", |block| block.header.time.0 += 1);
    check_history("peer.snapshot_bad_certificate", |block| block.certificate.signatures[0].signature.0[9] ^= 1);
    check_history("peer.snapshot_bad_body", |block| block.body = vouch_types::encode(&vec![vec![1u8, 2]]));
    check_history("peer.snapshot_bad_body", |block| block.body.push(0));
    check_history("peer.snapshot_bad_receipts", |block| block.records = Some(vec![1, 2, 3]));
}

#[test]
fn altered_outputs_are_refused() {
    check("peer.snapshot_bad_receipts", 150, |message| {
        let Message::History { blocks, .. } = message else { return true };
        for block in blocks {
            let mut records: Vec<vouch_ledger::TransactionRecord> =
                vouch_types::decode("receipts", block.records.as_ref().unwrap(), 1 << 20).unwrap();
            for record in &mut records {
                record.output.push(1);
            }
            block.records = Some(vouch_types::encode(&records));
        }
        true
    });
}

#[test]
fn blocks_without_receipts_are_taken_and_their_transactions_known() {
    let mut network = chain(150);
    let (id, raw) = network.call(0, "spool", "fill", Network::run(300, 1, 10));
    network.run_blocks(0, 5);
    network.tamper = Some(Box::new(|_, message| {
        if let Message::History { blocks, .. } = message {
            blocks.iter_mut().for_each(|block| block.records = None);
        }
        true
    }));
    network.start(FOLLOWER);
    joins(&mut network, FOLLOWER);
    assert_eq!(network.faults, []);
    network.submit(FOLLOWER, raw);
    network.run_until(1_000, |n| n.nodes[FOLLOWER].verdicts.contains_key(&id));
    assert_eq!(network.nodes[FOLLOWER].verdicts[&id], Err("tx.replayed".into()));
}

fn set_pace(network: &mut Network, interval_ms: u32) {
    let change = |name: &str| Parameter { name: name.into(), value: interval_ms.to_string() };
    let changes = vec![change("block_interval_ms"), change("idle_interval_ms")];
    network.decide(0, "parameters", "set_parameters", vouch_types::encode(&SetParameters { changes }));
}

#[test]
fn silent_peers_are_passed_over() {
    for what in 0..3 {
        let mut network = chain(150);
        set_pace(&mut network, 2_000);
        network.tamper = Some(Box::new(move |from, message| {
            let silent = match message {
                Message::Snapshot { .. } => what == 0,
                Message::Piece { .. } => what == 1,
                Message::History { .. } => what == 2,
                _ => false,
            };
            from == honest() || !silent
        }));
        network.start(FOLLOWER);
        network.run_until(200_000, |n| n.height(FOLLOWER) > 0);
        network.tamper = None;
        set_pace(&mut network, PACE_MS as u32);
        joins(&mut network, FOLLOWER);
        assert_eq!(network.faults, []);
    }
}

#[test]
fn a_state_that_nobody_holds_any_more_is_given_up_for_another() {
    let mut network = chain(150);
    network.start(FOLLOWER);
    network.run_until(10_000, |n| n.replica(FOLLOWER).ledger().join().is_some());
    let first = network.replica(FOLLOWER).ledger().join().unwrap().offer().height();
    network.crash(FOLLOWER, usize::MAX);
    // The others lose what they held still by restarting.
    for index in 0..VALIDATORS {
        network.crash(index, usize::MAX);
        network.start(index);
    }
    network.run_blocks(0, 3);
    network.start(FOLLOWER);
    joins(&mut network, FOLLOWER);
    assert!(network.replica(FOLLOWER).ledger().head().height > first);
    assert_eq!(network.faults, []);
}

#[test]
fn a_late_answer_about_another_state_is_nobodys_fault() {
    // One piece in four is of a state that is not taken over any more.
    let mut network = chain(40);
    let mut count = 0;
    network.tamper = Some(Box::new(move |_, message| {
        if let Message::Piece { height, piece: Some(piece), .. } = message {
            count += 1;
            if count % 4 == 2 {
                height.0 -= 1;
                piece.entries[0].value.get_or_insert_default().push(7);
            }
        }
        true
    }));
    network.start(FOLLOWER);
    joins(&mut network, FOLLOWER);
    assert_eq!(network.faults, []);
}

#[test]
fn one_that_offers_a_state_and_never_sends_it_is_chosen_once() {
    const LIAR: usize = 3;
    let mut network = chain(40);
    let begun = network.now_ms();
    let clock = std::rc::Rc::new(std::cell::Cell::new(begun));
    let now = std::rc::Rc::clone(&clock);
    // At first nobody else is known to be ahead; later the others offer states of another height.
    network.tamper = Some(Box::new(move |from, message| match message {
        Message::Status { .. } => from == LIAR || now.get() > begun + 5_000,
        Message::Piece { .. } | Message::History { .. } => from != LIAR,
        _ => true,
    }));
    network.start(FOLLOWER);
    network.run_until(60_000, |n| {
        clock.set(n.now_ms());
        !n.replica(FOLLOWER).is_joining() && n.height(FOLLOWER) > 0
    });
    assert_eq!(network.faults, []);
}
