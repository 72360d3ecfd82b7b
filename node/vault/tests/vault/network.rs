//! Delivery, receipts and fetching, one difficulty at a time.

use vouch_types::document::{ErasureState, PublicField};
use vouch_vault::{Act, ChainChange, Effect, Input, Message, Scope, VersionKey, message::Refusal};

use crate::{
    support::Rng,
    world::{Behaviour, World, name, rules, shown, some, test_limits},
};

fn four(seed: u64) -> World {
    let mut world = World::new(seed, &[1, 1, 1, 1], test_limits());
    world.start_all();
    world
}

#[test]
fn each_member_gets_exactly_its_fields() {
    let mut world = four(1);
    let key = world.publish(0, &[(1, some(&[0, 1])), (2, World::all())], vec![1_000]);
    let took = world.run_until_settled(5_000);
    world.run(3_000);
    world.judge_quiet();
    world.judge_rest();
    assert_eq!(world.vault(0).possession(&key).unwrap(), World::all());
    assert_eq!(world.vault(1).possession(&key).unwrap(), some(&[0, 1]));
    assert_eq!(world.vault(2).possession(&key).unwrap(), World::all());
    assert!(world.vault(3).possession(&key).unwrap().is_empty());
    assert!(took <= 1_000, "a push needs no more than a few round trips: {took} ms");
    assert_eq!(world.vault(0).receipts(&key).unwrap().len(), 2);
    // Only those with the field have the file.
    let file = |world: &World, node: usize| world.nodes[node].blobs.content().len();
    assert_eq!([0, 1, 2, 3].map(|node| file(&world, node) > 0), [true, false, true, false]);
    // Possession is said on the chain once by each holder.
    let acts = world.shared.0.lock().acts.clone();
    let said = acts.iter().filter(|(_, act)| matches!(act, Act::AttestPossession(list) if list[0].id == key.id));
    let mut members: Vec<_> = said.map(|(member, _)| member.clone()).collect();
    members.sort();
    assert_eq!(members, ["m0", "m1", "m2"]);
    assert!(world.counted.deliveries_judged >= 2 && world.counted.pieces_judged >= 1);
}

#[test]
fn versions_and_many_documents_all_arrive() {
    let mut world = four(2);
    let mut rng = Rng::new(2);
    for n in 0..60 {
        let to = [(1, some(&[0, 1, 3])), (2, some(&[2])), (3, World::all())];
        let to = &to[..1 + rng.below(3) as usize];
        let key = world.publish(n % 4, to, Vec::new());
        if rng.chance(30) {
            world.run(100);
            let made = world.stage_version(n % 4, *key.id.as_bytes(), 2, Vec::new());
            world.submit(&made, n % 4, rules(n % 4, to));
        }
        world.run(40);
    }
    world.run_until_settled(10_000);
    world.run(4_000);
    world.judge_quiet();
    world.judge_rest();
    let fetched: u64 = (0..4).map(|node| world.vault(node).counters().fetches_sent).sum();
    assert_eq!(fetched, 0, "without loss, pushing is enough");
}

#[test]
fn a_slow_block_does_not_cost_the_delivery() {
    let mut world = four(3);
    world.block_delay_ms = 400;
    for _ in 0..10 {
        world.publish(0, &[(1, World::all()), (2, some(&[5]))], Vec::new());
        world.run(30);
    }
    world.run_until_settled(6_000);
    let refused: u64 = (0..4).map(|node| world.vault(node).counters().refused_by_peers).sum();
    assert_eq!(refused, 0, "what comes before its block waits for it");
}

#[test]
fn an_absent_holder_gets_everything_when_it_is_back() {
    let mut world = four(4);
    world.crash(1);
    for _ in 0..150 {
        world.publish(0, &[(1, some(&[0, 2])), (2, World::all())], Vec::new());
        world.run(5);
    }
    world.run(20_000);
    assert_eq!(world.vault(0).status().unwrap().flights, 0, "nobody is there to be sent to");
    world.start(1);
    world.run_until_settled(10_000);
    world.run(3_000);
    world.judge_quiet();
}

#[test]
fn a_wiped_holder_and_a_wiped_issuer_get_back_what_is_theirs() {
    for wiped in [0, 1] {
        let mut world = four(5 + wiped as u64);
        for n in 0..40 {
            world.publish(0, &[(1, some(&[0, 2, 4])), (2, World::all())], if n == 7 { vec![700_000] } else { vec![] });
            world.run(20);
        }
        world.run_until_settled(10_000);
        world.wipe(wiped);
        world.run(2_000);
        world.start(wiped);
        world.run_until_settled(20_000);
        world.run(10_000);
        world.judge_quiet();
        world.judge_rest();
    }
}

#[test]
fn a_wiped_holder_is_found_out_even_if_it_asks_for_nothing() {
    let mut world = four(7);
    let key = world.publish(0, &[(1, World::all())], Vec::new());
    world.run_until_settled(5_000);
    world.run(3_000);
    // A vault that lost its rows but believes to have taken in every block: it looks for nothing by itself.
    let height = world.vault(1).height();
    world.wipe_but_height(1);
    world.start(1);
    assert_eq!(world.vault(1).height(), height);
    world.run(200);
    assert!(world.vault(1).possession(&key).unwrap().is_empty());
    world.run_until_settled(8_000);
    assert!(world.vault(0).counters().lost_by_holders >= 1);
    world.run(3_000);
    world.judge_quiet();
}

#[test]
fn a_lying_holder_is_found_out_and_passed_by() {
    for (seed, behaviour) in
        [Behaviour::Corrupts, Behaviour::Denies, Behaviour::Mute, Behaviour::Stalls].into_iter().enumerate()
    {
        let mut world = World::new(10 + seed as u64, &[1, 1, 1, 1], test_limits());
        world.start_all();
        for _ in 0..10 {
            world.publish(0, &[(1, World::all()), (2, some(&[0, 3, 4]))], vec![300_000]);
            world.run(20);
        }
        world.run_until_settled(10_000);
        // The issuer lies from now on; the third one is wiped and has only the second one to turn to.
        world.nodes[0].behaviour = behaviour;
        world.wipe(2);
        world.start(2);
        world.run_until_settled(60_000);
        world.judge_rest();
        assert!(world.vault(1).counters().fetches_served > 0, "{behaviour:?}");
    }
}

#[test]
fn what_is_handed_on_without_right_is_never_kept() {
    let mut world = World::new(14, &[1, 1, 1, 1], test_limits());
    world.nodes[0].behaviour = Behaviour::Overdelivers;
    world.start_all();
    let key = world.publish(0, &[(1, World::all()), (2, some(&[0, 5]))], vec![9_000]);
    // The one who may have everything hands the right part on to the other.
    world.run_until_settled(30_000);
    world.run(5_000);
    world.judge_rest();
    assert_eq!(world.vault(2).possession(&key).unwrap(), some(&[0, 5]));
    assert!(world.vault(2).counters().unentitled_deliveries > 0);
    assert!(world.vault(3).counters().unentitled_deliveries > 0);
    assert!(world.nodes[3].blobs.content().is_empty());
}

#[test]
fn false_receipts_are_no_possession() {
    let mut world = World::new(15, &[1, 1, 1], test_limits());
    world.nodes[1].behaviour = Behaviour::SignsFalsely;
    world.start_all();
    let key = world.publish(0, &[(1, World::all()), (2, World::all())], Vec::new());
    world.run(2_000);
    assert_eq!(world.vault(0).receipts(&key).unwrap().len(), 2, "it signed");
    // The comparison shows that it holds nothing; it is delivered anew, and keeps it once it is honest.
    world.run(10_000);
    assert!(world.vault(0).counters().lost_by_holders > 0);
    world.nodes[1].behaviour = Behaviour::Honest;
    world.run_until_settled(20_000);
    world.run(8_000);
    world.judge_quiet();
}

#[test]
fn receipts_of_another_chain_key_or_root_do_not_count() {
    let mut world = four(16);
    let key = world.publish(0, &[(1, World::all())], Vec::new());
    world.run_until_settled(5_000);
    let good = world.vault(0).receipts(&key).unwrap().remove(0);
    let (holder, now) = (world.nodes[1].peer, world.now());
    for altered in 0..4 {
        let mut receipt = good.clone();
        match altered {
            0 => receipt.fields = some(&[0]),
            1 => receipt.holder = world.nodes[2].peer,
            2 => receipt.root[0] ^= 1,
            _ => receipt.signature.0[5] ^= 1,
        }
        let bytes = Message::Receipt(Box::new(receipt)).to_bytes();
        let input = Input::MessageReceived { from: holder, bytes };
        let effects = world.vault(0).step(now, [input]).unwrap();
        let blamed = |e: &Effect| matches!(e, Effect::PeerFault { code: "vault.receipt_signature", .. });
        assert!(effects.iter().any(blamed), "{altered}: {effects:?}");
    }
    assert_eq!(world.vault(0).receipts(&key).unwrap(), [good]);
}

#[test]
fn several_nodes_of_a_member_all_hold_it() {
    let mut world = World::new(17, &[2, 3, 1], test_limits());
    world.start_all();
    // Members 0 and 1 have two and three nodes.
    for _ in 0..10 {
        world.publish(0, &[(1, some(&[0, 1, 4]))], vec![20_000]);
        world.run(30);
    }
    world.run_until_settled(10_000);
    world.run(12_000);
    world.judge_quiet();
    world.judge_rest();
    // The node that staged it is gone for good: the other one of the issuer serves.
    world.crash(0);
    world.wipe(2);
    world.start(2);
    world.run_until_settled(20_000);
}

#[test]
fn a_late_joiner_finds_what_is_its() {
    let mut world = World::new(18, &[1, 1, 1, 1], test_limits());
    for node in 0..3 {
        world.start(node);
    }
    for _ in 0..30 {
        world.publish(0, &[(1, World::all()), (3, some(&[0, 1]))], Vec::new());
        world.run(30);
    }
    world.run(5_000);
    world.start(3);
    world.run_until_settled(20_000);
    world.run(4_000);
    world.judge_quiet();
}

#[test]
fn lists_and_comparisons_that_nobody_asked_for_are_passed_over() {
    let mut world = four(26);
    let keys: Vec<_> = (0..3).map(|_| world.publish(0, &[(1, World::all())], Vec::new())).collect();
    world.run_until_settled(1_000);
    let peer = world.nodes[1].peer;
    let part = keys[0].id.as_bytes()[0];
    let empty = Message::Holds { part, after: None, entries: Vec::new(), more: false }.to_bytes();
    let say = |world: &mut World, bytes: &[u8]| {
        let now = world.now();
        let input = Input::MessageReceived { from: peer, bytes: bytes.to_vec() };
        world.vault(0).step(now, [input]).unwrap()
    };
    say(&mut world, &empty);
    assert_eq!((world.vault(0).counters().unasked_lists, world.vault(0).counters().lost_by_holders), (1, 0));
    assert_eq!(world.vault(0).receipts(&keys[0]).unwrap().len(), 1);
    // After a comparison each part may be listed once.
    world.run(3_000);
    assert!(world.vault(0).counters().comparisons > 0);
    say(&mut world, &empty);
    assert!(world.vault(0).counters().lost_by_holders > 0);
    let lost = world.vault(0).counters().lost_by_holders;
    for _ in 0..5 {
        say(&mut world, &empty);
    }
    assert_eq!((world.vault(0).counters().unasked_lists, world.vault(0).counters().lost_by_holders), (6, lost));
    // One that compares on and on gets one long answer in a while.
    world.publish(1, &[(0, World::all())], Vec::new());
    world.run_until_settled(5_000);
    world.run(1_000);
    let compare = Message::Compare { parts: Vec::new() }.to_bytes();
    let now = world.now();
    let inputs = (0..9).map(|_| Input::MessageReceived { from: peer, bytes: compare.clone() });
    let effects = world.vault(0).step(now, inputs).unwrap();
    let lists = effects.iter().filter(|effect| match effect {
        Effect::Send { bytes, .. } => matches!(Message::from_bytes(bytes), Ok(Message::Holds { .. })),
        _ => false,
    });
    assert_eq!(lists.count(), 1);
}

#[test]
fn contracts_that_do_not_answer_make_nobody_forget() {
    let mut world = four(25);
    // Deliveries are owed and wanted when the contracts are frozen.
    world.cut_off(0, 1);
    let keys: Vec<_> =
        (0..10).map(|_| world.publish(0, &[(1, World::all()), (2, some(&[0]))], vec![600_000])).collect();
    world.run(2_000);
    world.join_again(0, 1);
    world.shared.0.lock().is_frozen = true;
    let staged = world.shared.0.lock().height();
    world.run(20_000);
    for key in &keys {
        assert_ne!(world.vault(1).possession(key).unwrap(), World::all(), "it came too fast for this test");
    }
    assert!(world.vault(0).status().unwrap().owes_some && world.vault(1).status().unwrap().wants_some);
    assert_eq!(world.vault(1).height().0, staged);
    world.shared.0.lock().is_frozen = false;
    world.run_until_settled(20_000);
    world.run(10_000);
    world.judge_quiet();
    world.judge_rest();
}

#[test]
fn a_grant_is_served_and_its_end_stops_what_comes_later() {
    let mut world = four(19);
    let key = world.publish(0, &[(1, World::all())], vec![40_000]);
    world.run_until_settled(5_000);
    world.change(&key, ChainChange::Version(key), |rules| drop(rules.members.insert(name(3), some(&[0, 2]))));
    world.run_until_settled(5_000);
    assert_eq!(world.vault(3).possession(&key).unwrap(), some(&[0, 2]));
    // More of it, with the file.
    world.change(&key, ChainChange::Version(key), |rules| drop(rules.members.insert(name(3), some(&[0, 2, 4]))));
    world.run_until_settled(5_000);
    assert_eq!(world.vault(3).possession(&key).unwrap(), some(&[0, 2, 4]));
    world.change(&key, ChainChange::Version(key), |rules| drop(rules.members.remove(&name(3))));
    world.run(5_000);
    // It is wiped, and gets nothing back; nor a version after the end.
    world.wipe(3);
    world.start(3);
    let made = world.stage_version(0, *key.id.as_bytes(), 2, Vec::new());
    world.submit(&made, 0, rules(0, &[(1, World::all())]));
    world.run_until_settled(5_000);
    world.run(15_000);
    for version in 1..=2 {
        assert!(world.vault(3).possession(&VersionKey { id: key.id, version }).unwrap().is_empty());
    }
    world.judge_quiet();
    world.judge_rest();
}

#[test]
fn changed_relations_reach_old_documents() {
    let mut world = four(20);
    let keys: Vec<_> = (0..20).map(|n| world.publish(n % 2, &[(1 - n % 2, World::all())], Vec::new())).collect();
    world.run_until_settled(8_000);
    // An institution begins to serve member 0: everything that names member 0 is its to hold from now on.
    for (n, key) in keys.iter().enumerate() {
        let last = n + 1 == keys.len();
        let party = if last { "member:m0" } else { "member:nobody" };
        world.change(key, ChainChange::Relations(Scope::Party(party.into())), |rules| {
            drop(rules.members.insert(name(2), some(&[1, 2])));
        });
    }
    world.run_until_settled(10_000);
    world.run(4_000);
    world.judge_quiet();
    let swept: u64 = (0..4).map(|node| world.vault(node).counters().sweeps_ended).sum();
    assert!(swept >= 4);
}

#[test]
fn requests_without_right_get_nothing() {
    let mut world = four(21);
    let key = world.publish(0, &[(1, some(&[0, 1]))], vec![5_000]);
    world.run_until_settled(5_000);
    let (now, stranger, partner) = (world.now(), world.nodes[3].peer, world.nodes[1].peer);
    let mut ask = |from, message: &Message| {
        let effects = world.vault(0).step(now, [Input::MessageReceived { from, bytes: message.to_bytes() }]).unwrap();
        let answer = effects.into_iter().find_map(|effect| match effect {
            Effect::Send { to, bytes } if to == from => Some(Message::from_bytes(&bytes).unwrap()),
            _ => None,
        });
        answer.unwrap()
    };
    let fetch = Message::Fetch { key, fields: World::all() };
    assert_eq!(ask(stranger, &fetch), Message::Missing { key, refusal: Refusal::NotEntitled });
    let piece = Message::FetchPiece { key, file: crate::world::file(0), offset: 0 };
    for from in [stranger, partner] {
        assert!(matches!(ask(from, &piece), Message::Piece { piece: Err(Refusal::NotEntitled), .. }));
    }
    // Who may have a part and asks for everything gets its part, and no file.
    let Message::Deliver(bytes) = ask(partner, &fetch) else { panic!("a delivery") };
    let delivery = vouch_vault::Delivery::from_bytes(&bytes).unwrap();
    assert_eq!((delivery.fields(), shown(&delivery)), (some(&[0, 1]), 0));
    let unknown = VersionKey { version: 9, ..key };
    let fetch = Message::Fetch { key: unknown, fields: World::all() };
    assert_eq!(ask(partner, &fetch), Message::Missing { key: unknown, refusal: Refusal::Unknown });
    assert_eq!(world.shared.0.lock().erasure_at(&key.id, 99), ErasureState::None);
}

#[test]
fn a_member_that_fetches_too_much_is_slowed_down() {
    let mut limits = test_limits();
    limits.serve_bytes_per_second = 40_000;
    limits.serve_bytes_burst = 20_000;
    let mut world = World::new(22, &[1, 1, 1], limits);
    world.start_all();
    for _ in 0..60 {
        world.publish(0, &[(1, World::all())], Vec::new());
        world.run(20);
    }
    world.run_until_settled(10_000);
    world.wipe(1);
    world.start(1);
    let took = world.run_until_settled(60_000);
    assert!(world.vault(0).counters().over_budget > 0);
    assert!(took >= 1_000, "60 documents of about 2 KiB at 40 KB a second: {took} ms");
}

#[test]
fn messages_of_strangers_and_noise_change_nothing() {
    let mut world = four(23);
    let key = world.publish(0, &[(1, World::all())], Vec::new());
    world.run_until_settled(5_000);
    let (now, peer) = (world.now(), world.nodes[1].peer);
    let stranger = crate::support::network_key(77, 7).public();
    let fetch = Message::Fetch { key, fields: World::all() }.to_bytes();
    assert_eq!(world.vault(0).step(now, [Input::MessageReceived { from: stranger, bytes: fetch }]).unwrap(), []);
    assert_eq!(world.vault(0).counters().strangers, 1);
    let mut rng = Rng::new(23);
    for length in 0..300u64 {
        let mut bytes: Vec<u8> = (0..length).map(|_| rng.next() as u8).collect();
        bytes.insert(0, 1);
        let effects = world.vault(0).step(now, [Input::MessageReceived { from: peer, bytes }]).unwrap();
        assert!(effects.iter().all(|e| !matches!(e, Effect::Send { .. })) || length >= 4, "{effects:?}");
    }
    world.run_until_settled(5_000);
}

#[test]
fn holders_say_on_the_chain_what_breaks_the_rules() {
    let mut world = four(24);
    let made = world.stage(0, Vec::new());
    let key = VersionKey { id: made.id, version: 1 };
    // What stands in clear is not what was committed to. The issuer's own vault would not have let it pass.
    let public = vec![PublicField { slot: 0, value: "\"another title\"".into() }];
    let rules = rules(0, &[(1, World::all()), (2, some(&[0])), (3, some(&[1, 2]))]);
    world.shared.0.lock().submit(key, &name(0), Vec::new(), made.root, None, public, rules);
    world.spread_blocks();
    world.run_until_settled(5_000);
    world.run(3_000);
    let acts = world.shared.0.lock().acts.clone();
    let mut said: Vec<_> = acts
        .iter()
        .filter_map(|(member, act)| match act {
            Act::Judge { key: of, accepted: false, code } if *of == key => Some((member.as_str(), code.as_str())),
            _ => None,
        })
        .collect();
    said.sort_unstable();
    // Who does not see the field cannot judge it.
    assert_eq!(said, [("m1", "construction.public_differs"), ("m2", "construction.public_differs")]);
    world.judge_quiet();
}

#[test]
fn what_is_whole_since_less_is_due_is_said_on_the_chain() {
    let mut world = four(26);
    let key = world.publish(0, &[(3, some(&[0, 2, 4]))], vec![4_000_000]);
    for _ in 0..2_000 {
        if !world.vault(3).possession(&key).unwrap().is_empty() {
            break;
        }
        world.run(1);
    }
    world.cut_off(0, 3);
    assert_eq!(world.vault(3).possession(&key).unwrap(), some(&[0, 2]), "its file is on the way");
    world.run(5_000);
    let said = |world: &World| {
        let ledger = world.shared.0.lock();
        let of_holder = ledger.acts.iter().filter(|(who, _)| *who == name(3));
        let lists =
            of_holder.filter_map(|(_, act)| if let Act::AttestPossession(list) = act { Some(list) } else { None });
        lists.flatten().map(|possession| possession.fields.clone()).collect::<Vec<_>>()
    };
    assert!(said(&world).is_empty());
    // The grant of the file ends before it came.
    world.change(&key, ChainChange::Version(key), |rules| drop(rules.members.insert(name(3), some(&[0, 2]))));
    world.run(5_000);
    assert_eq!(said(&world), [some(&[0, 2])]);
    // It is looked at again, and said once.
    world.change(&key, ChainChange::Version(key), |rules| drop(rules.members.insert(name(3), some(&[0, 2]))));
    world.run(5_000);
    assert_eq!(said(&world), [some(&[0, 2])]);
}

fn said_by(world: &World, node: usize, key: &VersionKey) -> usize {
    let ledger = world.shared.0.lock();
    let is_it = |act: &Act| matches!(act, Act::AttestPossession(list) if list.iter().any(|said| said.id == key.id));
    ledger.acts.iter().filter(|(who, act)| *who == name(node) && is_it(act)).count()
}

/// The rows of a version are on the disk and its key is not: nothing that was to be said of it then is, as a possession that waits
/// for others or as an act that does not get there.
#[test]
fn what_lies_here_without_its_key_is_not_said_to_be_held() {
    for is_act in [false, true] {
        let mut world = four(27);
        let keys = [0, 1].map(|_| world.publish(0, &[(1, World::all())], Vec::new()));
        world.run(300);
        if is_act {
            world.weather.loss_percent = 100;
            world.run(2_000);
        }
        let status = world.vault(1).status().unwrap();
        assert_eq!((status.acts, said_by(&world, 1, &keys[0])), (usize::from(is_act), 0));
        world.crash(1);
        world.nodes[1].shelf.lose(&keys[0].id);
        world.weather.loss_percent = 0;
        // What is given out from here on is judged.
        world.start(1);
        assert!(world.vault(1).possession(&keys[0]).unwrap().is_empty());
        world.run_until_settled(10_000);
        world.run(4_000);
        world.judge_quiet();
        assert_eq!(keys.map(|key| said_by(&world, 1, &key)), [1, 1], "the other at once, this one when it is back");
    }
}

#[test]
fn a_crash_at_any_moment_of_taking_in_leaves_possession_to_be_said() {
    for seed in 0..60 {
        let mut world = four(300 + seed);
        let key = world.publish(0, &[(1, World::all())], if seed % 5 == 0 { vec![3_000] } else { Vec::new() });
        world.run(seed * 3);
        for writes in 0..1_000 {
            world.fail_write(1, seed % 2);
            world.run(2);
            if world.nodes[1].vault.is_none() {
                break;
            }
            assert!(writes < 999, "{seed}: no write failed");
        }
        world.run_until_settled(10_000);
        world.run(4_000);
        world.judge_quiet();
        assert!(said_by(&world, 1, &key) > 0, "{seed}");
    }
}
