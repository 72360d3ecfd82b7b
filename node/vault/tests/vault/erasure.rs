//! Erasure: by every holder, under a hold not at all, and for good even when a backup comes back.

use vouch_types::{Hash32, document::ErasureState};
use vouch_vault::{Act, ReadRefusal, ReadRequest};

use crate::{
    chain::account,
    support::CHAIN,
    world::{World, name, some, test_limits},
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
    world.submit(&second, 0, crate::world::rules(0, &[(1, World::all()), (2, some(&[0, 3]))]));
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
        let copies = vouch_ledger::View::scan(view.as_ref(), vouch_ledger::Table::VaultCopies, &[], None, 99).unwrap();
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
        let found = vouch_ledger::View::get(storage.as_ref(), vouch_ledger::Table::VaultCopies, &key.to_bytes());
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
