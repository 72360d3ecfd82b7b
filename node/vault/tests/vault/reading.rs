//! Reads: as far as the contract allows, each in the audit, with proofs that lead to the chain.

use vouch_ledger::{Batch, Durability, Storage as _, Table, View as _};
use vouch_privacy::commitment::proof_of;
use vouch_types::hash::DocumentRoot;
use vouch_vault::{Access, ReadRefusal, ReadRequest, VersionKey, audit};

use crate::{
    chain::account,
    support::{SLOTS, member_secret, schema},
    world::{World, name, rules, some, test_limits},
};

fn request(key: VersionKey, member: usize, fields: Option<vouch_vault::FieldSet>, purpose: &str) -> ReadRequest {
    ReadRequest { actor: account(&name(member)), key, fields, purpose: purpose.into(), access: Access::Read }
}

#[test]
fn what_is_shown_is_allowed_proven_and_recorded() {
    let mut world = World::new(100, &[1, 1, 1], test_limits());
    world.start_all();
    let made = world.stage(0, vec![3_000]);
    let key = world.submit(&made, 0, rules(0, &[(1, some(&[0, 2])), (2, World::all())]));
    world.run_until_settled(5_000);
    let now = world.now();
    let cases = [
        // node, actor's member, fields asked for, purpose, fields shown or the code
        (1, 1, None, "settlement", Ok(vec![0, 2])),
        (1, 1, Some(some(&[2])), "settlement", Ok(vec![2])),
        (1, 1, Some(some(&[2, 3])), "settlement", Err("vault.not_allowed")),
        (1, 1, Some(some(&[3])), "settlement", Err("vault.not_allowed")),
        (1, 1, None, "curiosity", Err("vault.not_allowed")),
        (1, 7, None, "settlement", Err("vault.not_allowed")),
        // Another member's right does not open what lies at this node beyond its own part.
        (1, 2, None, "settlement", Err("vault.not_here")),
        (2, 2, None, "settlement", Ok(vec![0, 1, 2, 3, 4, 5])),
    ];
    for (n, (node, member, fields, purpose, expected)) in cases.into_iter().enumerate() {
        let answer = world.vault(node).read(now, &request(key, member, fields, purpose)).unwrap();
        let shown = answer.as_ref().map(|a| a.disclosures.iter().map(|(slot, _)| *slot).collect::<Vec<_>>());
        assert_eq!(shown.map_err(ReadRefusal::code), expected, "case {n}");
        let record = world.vault(node).audit(0, 99).unwrap().pop().unwrap();
        assert_eq!((record.actor, record.key, record.purpose.as_str()), (account(&name(member)), key, purpose));
        assert_eq!(record.fields.iter().collect::<Vec<_>>(), expected.clone().unwrap_or_default());
        if let Ok(answer) = answer {
            for (slot, disclosure) in &answer.disclosures {
                let proof = proof_of(&answer.header, &answer.leaves, *slot, disclosure.clone()).unwrap();
                let proven = proof.verify(&DocumentRoot(made.root)).unwrap();
                assert_eq!(proven.name, schema().field(*slot).unwrap().name);
            }
        }
    }
    let unknown = VersionKey { version: 3, ..key };
    let answer = world.vault(1).read(now, &request(unknown, 1, None, "settlement")).unwrap();
    assert_eq!(answer.map(|_| ()).unwrap_err(), ReadRefusal::Unknown);
    assert_eq!(world.vault(1).audit(0, 99).unwrap().len(), 8);
}

#[test]
fn values_come_back_as_they_were_given() {
    let mut world = World::new(101, &[1, 1], test_limits());
    world.start_all();
    let made = world.stage(0, Vec::new());
    let key = world.submit(&made, 0, rules(0, &[(1, World::all())]));
    world.run_until_settled(5_000);
    let now = world.now();
    let answer = world.vault(1).read(now, &request(key, 1, None, "settlement")).unwrap().unwrap();
    let values: Vec<_> = answer.disclosures.iter().map(|(_, d)| d.parse().unwrap().value).collect();
    assert_eq!([2usize, 3, 5].map(|slot| values[slot].as_str().unwrap().to_owned()), made.planted);
    assert_eq!(values.len(), usize::from(SLOTS));
}

#[test]
fn the_audit_cannot_be_changed_unseen() {
    let mut world = World::new(102, &[1, 1], test_limits());
    world.start_all();
    let key = world.publish(0, &[(1, World::all())], Vec::new());
    let other = world.publish(0, &[(1, World::all())], Vec::new());
    world.run_until_settled(5_000);
    for n in 0..30 {
        let now = world.now();
        let which = if n % 3 == 0 { other } else { key };
        world.vault(1).read(now, &request(which, 1, None, "settlement")).unwrap().unwrap();
        world.run(50);
        if n % 10 == 9 {
            world.crash(1);
            world.start(1);
        }
    }
    let records = world.vault(1).audit(0, 99).unwrap();
    let (count, head) = world.vault(1).audit_head();
    assert_eq!((records.len(), count), (30, 30));
    let zero = vouch_types::Hash32::ZERO;
    assert_eq!(audit::verify(0, zero, &records, head), Ok(()));
    assert_eq!(audit::verify(10, records[9].hash(), &records[10..], head), Ok(()));
    for n in 0..30 {
        let mut altered = records.clone();
        altered[n].purpose = "support".into();
        assert!(audit::verify(0, zero, &altered, head).is_err(), "record {n} changed");
        let mut short = records.clone();
        short.remove(n);
        assert!(audit::verify(0, zero, &short, head).is_err(), "record {n} taken out");
    }
    assert_eq!(world.vault(1).audit_of(&other.id, 0, 99).unwrap().len(), 10);
    assert_eq!([other, key].map(|key| world.vault(1).reads_of(&key.id).unwrap()), [10, 20]);
    assert_eq!(world.vault(1).audit_of(&key.id, 20, 99).unwrap().iter().map(|r| r.number).min(), Some(21));
    // The head comes to the chain, and the next one follows it.
    world.run(25_000);
    let anchors = |world: &World| -> Vec<_> {
        let acts = world.shared.0.lock().acts.clone();
        acts.into_iter().filter(|(_, act)| matches!(act, vouch_vault::Act::AnchorAudit { .. })).collect()
    };
    let last = anchors(&world).pop().unwrap().1;
    assert!(matches!(last, vouch_vault::Act::AnchorAudit { entries: 30, head: said, .. } if said == head));
    let before = anchors(&world).len();
    world.run(25_000);
    assert_eq!(anchors(&world).len(), before, "nothing new, nothing to anchor");
    let now = world.now();
    world.vault(1).read(now, &request(key, 1, None, "settlement")).unwrap().unwrap();
    world.run(25_000);
    let next = anchors(&world).pop().unwrap().1;
    assert!(matches!(next, vouch_vault::Act::AnchorAudit { previous, entries: 31, .. } if previous == head));
    // What the chain vouches for may be forgotten, the rest not.
    let before = vouch_types::TimestampMs(u64::MAX);
    assert_eq!(world.vault(1).prune_audit(before, 99).unwrap(), 30);
    assert_eq!([other, key].map(|key| world.vault(1).reads_of(&key.id).unwrap()), [0, 1]);
    let left = world.vault(1).audit(0, 99).unwrap();
    assert_eq!(audit::verify(30, records[29].hash(), &left, world.vault(1).audit_head().1), Ok(()));
}

#[test]
fn how_often_a_document_was_read_is_one_look() {
    let mut world = World::new(104, &[1, 1], test_limits());
    world.start_all();
    let keys: Vec<VersionKey> = (0..3).map(|_| world.publish(0, &[(1, World::all())], Vec::new())).collect();
    world.run_until_settled(5_000);
    for n in [0, 1, 0, 2, 0, 1] {
        let now = world.now();
        world.vault(1).read(now, &request(keys[n], 1, None, "settlement")).unwrap().unwrap();
    }
    let counts =
        |world: &mut World| keys.iter().map(|key| world.vault(1).reads_of(&key.id).unwrap()).collect::<Vec<_>>();
    let before = world.nodes[1].storage.counters().reads;
    assert_eq!(counts(&mut world), [3, 2, 1]);
    assert_eq!(world.nodes[1].storage.counters().reads - before, 3);
    // What an earlier version left behind has no counts: they are made from its records at the start.
    world.crash(1);
    let storage = world.nodes[1].storage.clone();
    let rows = storage.scan(Table::Vault, b"c", Some(b"d"), 99).unwrap();
    assert_eq!(rows.len(), 3);
    let mut batch = Batch::new();
    rows.into_iter().for_each(|(key, _)| batch.delete(Table::Vault, key));
    batch.delete(Table::Vault, b"mreads_counted".to_vec());
    storage.write(batch, Durability::Synced).unwrap();
    world.start(1);
    assert_eq!(counts(&mut world), [3, 2, 1]);
}

#[test]
fn a_receiver_by_key_gets_what_it_alone_can_open() {
    let mut world = World::new(103, &[1, 1], test_limits());
    world.start_all();
    let outside = member_secret(50);
    let key = world.publish(0, &[(1, some(&[0, 1, 2]))], vec![100]);
    world.change(&key, vouch_vault::ChainChange::Version(key), |rules| {
        rules.keys.push((outside.public().0.0, some(&[1, 2, 3])));
    });
    world.run_until_settled(5_000);
    let now = world.now();
    for (node, expected) in [(0, some(&[1, 2, 3])), (1, some(&[1, 2]))] {
        let bytes = world.vault(node).release(now, &key, &outside.public().0.0).unwrap().unwrap();
        let delivery = vouch_vault::Delivery::from_bytes(&bytes).unwrap();
        assert_eq!(delivery.fields(), expected);
        let context = vouch_privacy::WrapContext { chain: crate::support::CHAIN, document: key.id, version: 1 };
        let root = DocumentRoot(world.made[&key]);
        assert_eq!(delivery.content.verify(&root, &outside, context).unwrap().len(), expected.len() as usize);
        assert!(delivery.content.verify(&root, &member_secret(1), context).is_err());
        let record = world.vault(node).audit(0, 9).unwrap().pop().unwrap();
        assert_eq!((record.access, record.fields), (Access::Release, expected));
    }
    // Of what lies at this node it is to have nothing.
    let other = member_secret(52);
    world.change(&key, vouch_vault::ChainChange::Version(key), |rules| {
        rules.keys.push((other.public().0.0, some(&[5])));
    });
    world.run_until_settled(5_000);
    let refused = world.vault(1).release(now, &key, &other.public().0.0).unwrap();
    assert_eq!(refused.unwrap_err().code(), "vault.not_here");
    assert_eq!(world.vault(1).audit(0, 9).unwrap().pop().unwrap().result, "vault.not_here");
    let refused = world.vault(0).release(now, &key, &member_secret(51).public().0.0).unwrap();
    assert_eq!(refused.unwrap_err().code(), "vault.not_allowed");
}
