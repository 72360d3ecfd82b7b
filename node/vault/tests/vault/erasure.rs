//! Erasure: by every holder, under a hold not at all, and for good even when a backup comes back.

use vouch_ledger::{Batch, Durability, Storage as _, Table, View as _};
use vouch_types::{Hash32, document::ErasureState};
use vouch_vault::{Act, ErasureStep, Place, ReadRefusal, ReadRequest};

use crate::{
    chain::account,
    support::{CHAIN, FILES},
    world::{World, name, rules, some, test_limits},
};

fn request(key: vouch_vault::VersionKey, member: usize) -> ReadRequest {
    ReadRequest {
        actor: account(&name(member)),
        key,
        fields: None,
        purpose: "settlement".into(),
        access: vouch_vault::Access::Read,
    }
}

fn read(world: &mut World, node: usize, key: vouch_vault::VersionKey) -> Result<usize, ReadRefusal> {
    let (now, member) = (world.now(), world.nodes[node].member);
    world.vault(node).read(now, &request(key, member)).unwrap().map(|answer| answer.disclosures.len())
}

#[test]
fn every_holder_shreds_and_attests() {
    let mut world = World::new(60, &[1, 1, 1, 1], test_limits());
    world.start_all();
    let key = world.publish(0, &[(1, World::all()), (2, some(&[0, 3]))], vec![300_000]);
    let other = world.publish(0, &[(1, World::all())], vec![1_000]);
    world.run(100);
    let second = world.stage_version(0, *key.id.as_bytes(), 2, Vec::new());
    world.submit(&second, 0, rules(0, &[(1, World::all()), (2, some(&[0, 3]))]));
    world.run_until_settled(10_000);
    // Under a hold everything stays.
    world.erase(&key, ErasureState::Restricted);
    world.run(3_000);
    assert_eq!(world.vault(1).possession(&key).unwrap(), World::all());
    world.erase(&key, ErasureState::Ordered);
    world.run_until_settled(10_000);
    world.run(8_000);
    for node in 0..3 {
        assert_eq!(read(&mut world, node, key).unwrap_err(), ReadRefusal::Erased);
        let statement = world.vault(node).erasure_statement(&key.id).unwrap().unwrap();
        let digest = statement.digest(&CHAIN);
        assert!(statement.node.verify(digest.as_bytes(), &statement.signature).is_ok());
        assert_eq!(statement.versions, 2);
        let acts = world.shared.0.lock().acts.clone();
        let said = acts.iter().filter(|(member, act)| {
            *member == name(node)
                && matches!(act, Act::AttestErasure { id, receipt } if *id == key.id && *receipt == digest)
        });
        assert_eq!(said.count(), 1, "node {node}");
        // Nothing of it lies anywhere; of the other document everything does.
        let view = world.nodes[node].storage.clone();
        let copies = vouch_ledger::View::scan(view.as_ref(), Table::VaultCopies, &[], None, 99).unwrap();
        assert!(copies.iter().all(|(at, _)| !at.starts_with(key.id.as_bytes())));
        assert_eq!(copies.len(), usize::from(node < 2));
    }
    assert_eq!(world.vault(1).possession(&other).unwrap(), World::all());
    assert_eq!(world.vault(3).erasure_statement(&key.id).unwrap(), None, "it never was to have it");
    let left = world.nodes[0].blobs.content();
    assert_eq!(left.iter().filter(|(_, part, _)| *part == vouch_vault::blobs::Part::Data).count(), 1, "the other file");
    world.judge_quiet();
    world.erase(&key, ErasureState::Erased);
    world.run(3_000);
    let acts = world.shared.0.lock().acts.iter().filter(|(_, act)| matches!(act, Act::AttestErasure { .. })).count();
    assert_eq!(acts, 3, "said once by each holder");
}

/// Who had an erasure go on, in order.
fn movers(world: &World) -> Vec<(String, ErasureStep)> {
    let acts = world.shared.0.lock().acts.clone();
    let moved = acts.into_iter().filter_map(|(member, act)| match act {
        Act::MoveErasure { step, .. } => Some((member, step)),
        _ => None,
    });
    moved.collect()
}

#[test]
fn an_erasure_goes_on_when_its_time_has_come() {
    for issuer_is_there in [true, false] {
        let mut limits = test_limits();
        limits.sweep_every_ms = 20_000;
        limits.erasure_patience_ms = 100_000;
        let mut world = World::new(64, &[1, 1, 1], limits);
        world.start_all();
        let key = world.publish(0, &[(1, World::all())], vec![5_000]);
        world.run_until_settled(5_000);
        world.erase(&key, ErasureState::Restricted);
        world.run(1_000);
        let retained_until = world.now().wall.0 + 60_000;
        world.shared.0.lock().due.insert(key.id, (ErasureStep::Order, retained_until));
        world.run(50_000);
        world.pass_block();
        world.run(5_000);
        assert_eq!(movers(&world), [], "the law keeps it");
        if !issuer_is_there {
            world.crash(0);
        }
        world.run(40_000);
        world.pass_block();
        world.run(30_000);
        assert_eq!(!movers(&world).is_empty(), issuer_is_there, "the issuer's nodes come first");
        world.run(100_000);
        world.pass_block();
        world.run(30_000);
        let by = name(usize::from(!issuer_is_there));
        assert_eq!(movers(&world), [(by.clone(), ErasureStep::Order)], "once, and by no stranger");
        assert!(world.vault(1).erasure_statement(&key.id).unwrap().is_some());
        // One holder does not attest, and the deadline passes.
        let deadline = world.now().wall.0 - if issuer_is_there { 1 } else { 200_000 };
        world.shared.0.lock().due.insert(key.id, (ErasureStep::Close, deadline));
        world.pass_block();
        world.run(30_000);
        assert_eq!(movers(&world).last(), Some(&(by, ErasureStep::Close)));
    }
}

/// What a node says of erasures past their deadlines: documents, and who is silent.
fn overdue(world: &mut World, node: usize) -> Vec<(vouch_vault::DocumentId, Vec<String>)> {
    let awaited = world.vault(node).awaited_erasures();
    awaited.overdue.into_iter().map(|overdue| (overdue.id, overdue.members)).collect()
}

#[test]
fn who_does_not_attest_by_the_deadline_is_named() {
    let mut limits = test_limits();
    // No look through all documents finds it: the deadline does.
    limits.sweep_every_ms = 10_000_000;
    let mut world = World::new(67, &[1, 1, 1, 1], limits);
    world.start_all();
    let key = world.publish(0, &[(1, World::all()), (2, World::all())], vec![5_000]);
    let done = world.publish(0, &[(1, World::all())], Vec::new());
    world.run_until_settled(5_000);
    // One holder's node is away when the order comes.
    world.crash(2);
    let deadline = world.now().wall.0 + 60_000;
    for id in [key.id, done.id] {
        world.shared.0.lock().deadlines.insert(id, deadline);
        world.shared.0.lock().due.insert(id, (ErasureStep::Close, deadline));
    }
    world.erase(&key, ErasureState::Ordered);
    world.erase(&done, ErasureState::Ordered);
    world.run(20_000);
    for node in [0, 1] {
        let awaited = world.vault(node).awaited_erasures();
        assert_eq!((awaited.waiting, awaited.overdue.len()), (1, 0), "node {node}: one waits, and has time");
    }
    assert_eq!(world.vault(3).awaited_erasures().waiting, 0, "it concerns no one who never was to have it");
    world.run(45_000);
    assert_eq!(movers(&world), [], "no block has passed the deadline");
    world.pass_block();
    world.run(5_000);
    // The issuer's node closes it in that block, and everyone concerned names who is silent.
    assert_eq!(movers(&world), [(name(0), ErasureStep::Close)]);
    let silent = vec![(key.id, vec![name(2)])];
    for node in [0, 1] {
        assert_eq!(overdue(&mut world, node), silent, "node {node}");
        assert_eq!(read(&mut world, node, key).unwrap_err(), ReadRefusal::Erased);
    }
    assert_eq!(overdue(&mut world, 3), []);
    // A node that starts again knows it still.
    world.crash(1);
    world.start(1);
    assert_eq!(overdue(&mut world, 1), silent);
    // The one that was away comes back: it reads nothing any more, destroys its copy and says so, late.
    world.start(2);
    assert_eq!(read(&mut world, 2, key).unwrap_err(), ReadRefusal::Erased);
    world.run(20_000);
    assert!(world.vault(2).erasure_statement(&key.id).unwrap().is_some());
    for node in 0..3 {
        assert_eq!((overdue(&mut world, node), world.vault(node).awaited_erasures().waiting), (vec![], 0), "{node}");
    }
}

#[test]
fn files_of_a_field_that_was_dropped_go_too() {
    let mut world = World::new(66, &[1, 1], test_limits());
    world.start_all();
    let made = world.stage(0, vec![20_000]);
    let key = world.submit(&made, 0, rules(0, &[(1, World::all())]));
    world.run_until_settled(5_000);
    // The field that names the file is altered at rest, and nobody is there to give it anew.
    world.cut_off(0, 1);
    let storage = world.nodes[1].storage.clone();
    let mut copy = storage.get(Table::VaultCopies, &key.to_bytes()).unwrap().unwrap();
    let sealed = &made.delivery.content.slots[usize::from(FILES)].value;
    let at = copy.windows(sealed.len()).position(|window| window == sealed.as_slice()).unwrap();
    copy[at + 30] ^= 1;
    let mut batch = Batch::new();
    batch.put(Table::VaultCopies, key.to_bytes(), copy);
    storage.write(batch, Durability::Synced).unwrap();
    world.run(25_000);
    assert_eq!(world.nodes[1].damages.iter().map(|damage| damage.place).collect::<Vec<_>>(), [Place::Field(FILES)]);
    assert!(!world.nodes[1].blobs.content().is_empty());
    world.erase(&key, ErasureState::Ordered);
    world.run(5_000);
    assert!(world.nodes[1].blobs.content().is_empty());
}

#[test]
fn many_acts_take_turns() {
    let mut limits = test_limits();
    limits.acts_max = 4;
    // Nothing is given out a second time while this runs.
    limits.act_ms = 600_000;
    let mut world = World::new(65, &[1, 1], limits);
    world.start_all();
    let keys: Vec<_> = (0..40).map(|_| world.publish(0, &[(1, World::all())], Vec::new())).collect();
    world.run_until_settled(10_000);
    for key in &keys {
        world.erase(key, ErasureState::Ordered);
    }
    world.run(20_000);
    let acts = world.shared.0.lock().acts.clone();
    let said = acts.iter().filter(|(_, act)| matches!(act, Act::AttestErasure { .. })).count();
    assert_eq!(said, 80);
    for node in 0..2 {
        assert_eq!(world.vault(node).status().unwrap().acts, 0);
    }
}

#[test]
fn a_restored_backup_does_not_bring_it_back() {
    // Restored with the chain of now, and with the chain of then, which knows nothing of the erasure yet.
    for old_chain in [false, true] {
        let mut world = World::new(61, &[1, 1, 1], test_limits());
        world.start_all();
        let key = world.publish(0, &[(1, World::all())], Vec::new());
        let kept = world.publish(0, &[(1, World::all())], Vec::new());
        world.run_until_settled(5_000);
        assert_eq!(read(&mut world, 1, key).unwrap(), 6);
        let backup = world.backup(1);
        let then = world.shared.0.lock().height();
        world.erase(&key, ErasureState::Ordered);
        world.run_until_settled(5_000);
        world.crash(1);
        world.nodes[1].storage = backup;
        if old_chain {
            world.nodes[1].head.store(then, std::sync::atomic::Ordering::Relaxed);
        }
        // Nobody else can be asked.
        world.cut_off(0, 1);
        world.cut_off(1, 2);
        world.start(1);
        assert_eq!(read(&mut world, 1, key).unwrap_err(), ReadRefusal::Erased);
        assert_eq!(read(&mut world, 1, kept).unwrap(), 6, "the rest of the backup is there");
        world.run(6_000);
        assert_eq!(read(&mut world, 1, key).unwrap_err(), ReadRefusal::Erased);
        let storage = world.nodes[1].storage.clone();
        let found = vouch_ledger::View::get(storage.as_ref(), Table::VaultCopies, &key.to_bytes());
        assert_eq!(found.unwrap(), None, "what came back is removed again");
        // And when others are there again, nothing of it comes.
        world.join_again(0, 1);
        world.run(6_000);
        assert!(world.vault(1).possession(&key).unwrap().is_empty());
    }
}

#[test]
fn without_the_shelf_a_backup_is_nothing_and_is_fetched_anew() {
    let mut world = World::new(62, &[1, 1], test_limits());
    world.start_all();
    let key = world.publish(0, &[(1, World::all())], vec![50_000]);
    world.run_until_settled(5_000);
    world.crash(1);
    world.nodes[1].shelf.wipe();
    world.cut_off(0, 1);
    world.start(1);
    assert_eq!(read(&mut world, 1, key).unwrap_err(), ReadRefusal::NotHere);
    world.run(3_000);
    world.join_again(0, 1);
    world.run_until_settled(30_000);
    assert_eq!(read(&mut world, 1, key).unwrap(), 6);
    world.run(8_000);
    world.judge_quiet();
}

#[test]
fn a_crash_at_any_moment_of_shredding_leaves_it_shredded() {
    for writes in 0..14 {
        let mut world = World::new(63 + writes, &[1, 1], test_limits());
        world.start_all();
        let key = world.publish(0, &[(1, World::all())], vec![20_000]);
        world.run_until_settled(5_000);
        world.fail_write(1, writes);
        world.erase(&key, ErasureState::Ordered);
        world.run(6_000);
        world.nodes[1].storage.set_write_fault(None);
        if world.nodes[1].vault.is_none() {
            world.start(1);
        }
        world.run_until_settled(10_000);
        world.run(4_000);
        let statement = world.vault(1).erasure_statement(&key.id).unwrap().unwrap();
        assert_ne!(statement.digest(&CHAIN), Hash32::ZERO);
        let acts = world.shared.0.lock().acts.clone();
        let said = acts.iter().any(|(member, act)| *member == name(1) && matches!(act, Act::AttestErasure { .. }));
        assert!(said, "after {writes} writes: never attested");
        assert!(world.nodes[1].blobs.content().is_empty());
    }
}

#[test]
fn a_delivery_of_what_was_erased_is_refused() {
    let mut world = World::new(80, &[1, 1, 1], test_limits());
    world.start_all();
    // Node 0 hears of blocks much later than node 1.
    let key = world.publish(0, &[(1, World::all()), (2, World::all())], Vec::new());
    world.run_until_settled(5_000);
    world.wipe(2);
    world.shared.0.lock().erase(&key.id, ErasureState::Ordered);
    world.nodes[2].head.store(world.shared.0.lock().height(), std::sync::atomic::Ordering::Relaxed);
    world.start(2);
    world.run(4_000);
    assert!(world.vault(2).possession(&key).unwrap().is_empty());
    world.spread_blocks();
    world.run_until_settled(5_000);
    world.judge_rest();
}
