//! Copies at rest that were altered or lost: found by the check, named to the field, and fetched anew.

use vouch_ledger::{Batch, Durability, Storage, Table, View};
use vouch_vault::{Blobs, Damage, Place, ReadRequest, blobs::Part, files::cut_piece};

use crate::{
    chain::account,
    support::FILES,
    world::{World, check_everything, file, name, some, test_limits},
};

fn alter(world: &World, node: usize, table: Table, key: &[u8], at: usize) {
    let storage = &world.nodes[node].storage;
    let mut value = storage.get(table, key).unwrap().unwrap();
    value[at] ^= 1;
    let mut batch = Batch::new();
    batch.put(table, key, value);
    storage.write(batch, Durability::Synced).unwrap();
}

#[test]
fn every_altered_byte_of_a_copy_is_found_and_repaired() {
    let mut world = World::new(90, &[1, 1], test_limits());
    world.start_all();
    let key = world.publish(0, &[(1, some(&[0, 2, 3]))], Vec::new());
    world.run_until_settled(5_000);
    let storage = world.nodes[1].storage.clone();
    let length = storage.get(Table::VaultCopies, &key.to_bytes()).unwrap().unwrap().len();
    let mut places = std::collections::BTreeSet::new();
    for at in (0..length).step_by(7) {
        alter(&world, 1, Table::VaultCopies, &key.to_bytes(), at);
        let now = world.now();
        match check_everything(world.vault(1), now) {
            Ok(found) => {
                assert_eq!(found.len(), 1, "byte {at} of {length}: {found:?}");
                assert_eq!(found[0].key, key);
                places.insert(format!("{:?}", found[0].place));
            }
            Err(error) => panic!("byte {at}: {error}"),
        }
        world.step(1, Vec::new());
        world.run_until_settled(20_000);
    }
    for slot in [0, 2, 3] {
        assert!(places.contains(&format!("{:?}", Place::Field(slot))), "{places:?}");
    }
    assert!(places.contains(&format!("{:?}", Place::Leaves)), "{places:?}");
}

#[test]
fn altered_keys_are_found_and_repaired() {
    let mut world = World::new(91, &[1, 1], test_limits());
    world.start_all();
    let key = world.publish(0, &[(1, World::all())], Vec::new());
    world.run_until_settled(5_000);
    alter(&world, 1, Table::VaultKeys, &key.to_bytes(), 30);
    let now = world.now();
    let found = check_everything(world.vault(1), now).unwrap();
    assert_eq!(found, [Damage { key, place: Place::Keys }]);
    world.step(1, Vec::new());
    world.run_until_settled(10_000);
    world.run(8_000);
    world.judge_quiet();
}

#[test]
fn the_check_in_the_background_finds_it_by_itself() {
    let mut world = World::new(92, &[1, 1], test_limits());
    world.start_all();
    let keys: Vec<_> = (0..40).map(|_| world.publish(0, &[(1, World::all())], vec![2_000])).collect();
    world.run_until_settled(10_000);
    let storage = world.nodes[1].storage.clone();
    let length = storage.get(Table::VaultCopies, &keys[17].to_bytes()).unwrap().unwrap().len();
    alter(&world, 1, Table::VaultCopies, &keys[17].to_bytes(), length / 2);
    world.run(45_000);
    assert_eq!(world.nodes[1].damages.iter().map(|damage| damage.key).collect::<Vec<_>>(), [keys[17]]);
    world.run_until_settled(1_000);
    assert!(world.vault(1).counters().scrubs_ended >= 1);
    assert!(world.vault(1).counters().file_bytes_checked >= 40 * 2_000);
}

#[test]
fn a_read_shows_nothing_that_was_altered() {
    let mut world = World::new(93, &[1, 1], test_limits());
    world.start_all();
    let key = world.publish(0, &[(1, World::all())], Vec::new());
    world.run_until_settled(5_000);
    let storage = world.nodes[1].storage.clone();
    let length = storage.get(Table::VaultCopies, &key.to_bytes()).unwrap().unwrap().len();
    for at in (10..length).step_by(53) {
        alter(&world, 1, Table::VaultCopies, &key.to_bytes(), at);
        let now = world.now();
        let request = ReadRequest {
            actor: account(&name(1)),
            key,
            fields: None,
            purpose: "settlement".into(),
            access: vouch_vault::Access::Read,
        };
        let answer = world.vault(1).read(now, &request).unwrap();
        assert_eq!(answer.map(|_| ()).unwrap_err().code(), "vault.not_here", "byte {at}");
        world.step(1, Vec::new());
        world.run_until_settled(10_000);
    }
}

/// The one file that lies at a node.
fn file_at(world: &World, node: usize) -> ([u8; 32], Vec<u8>) {
    let content = world.nodes[node].blobs.content();
    content.into_iter().find(|(_, part, _)| *part == Part::Data).map(|(id, _, bytes)| (id, bytes)).unwrap()
}

/// An input or output error says nothing of a file: it is kept, said, and read again.
#[test]
fn a_disk_that_cannot_be_read_is_not_a_damaged_file() {
    let mut world = World::new(94, &[1, 1], test_limits());
    world.start_all();
    let key = world.publish(0, &[(1, World::all())], vec![300_000]);
    world.run_until_settled(5_000);
    let (id, bytes) = file_at(&world, 1);
    world.nodes[1].blobs.set_unreadable(true);
    let now = world.now();
    let found = check_everything(world.vault(1), now).unwrap();
    let place = Place::Unreadable { file: file(0), from: 0, to: 262_144 };
    assert_eq!(found, [Damage { key, place }], "said once, and not read on");
    world.step(1, Vec::new());
    world.run(25_000);
    assert_eq!(world.nodes[1].damages, []);
    assert_eq!(world.vault(1).possession(&key).unwrap(), World::all(), "its row stays");
    let unreadable = world.vault(1).unreadable();
    assert_eq!((unreadable.len(), unreadable[0].key, unreadable[0].root.0), (1, key, id));
    assert!(unreadable[0].for_ms >= 20_000 && unreadable[0].message.contains("input/output error"));
    // A peer that asks is told to ask again, not that nothing is here.
    let sent = world.vault(0).counters().pieces_sent;
    world.nodes[1].blobs.set_unreadable(false);
    world.run(6_000);
    assert_eq!(world.vault(1).unreadable(), [], "read again, and well");
    assert_eq!((world.vault(0).counters().pieces_sent, file_at(&world, 1).1), (sent, bytes), "nothing was fetched");
    // What is really damaged meanwhile is found when it can be read.
    world.nodes[1].blobs.set_unreadable(true);
    let now = world.now();
    check_everything(world.vault(1), now).unwrap();
    world.step(1, Vec::new());
    world.nodes[1].blobs.write(&id, Part::Data, 20_000, &[file_at(&world, 0).1[20_000] ^ 1]).unwrap();
    world.nodes[1].blobs.set_unreadable(false);
    world.run(6_000);
    let place = Place::File { file: file(0), from: 16_384, to: 32_768 };
    assert_eq!(world.nodes[1].damages, [Damage { key, place }]);
    world.run_until_settled(5_000);
}

/// Nobody else has it: what was lost and came back, by an operator's hand, is found.
#[test]
fn a_sole_holder_finds_its_own_file_again() {
    let mut world = World::new(95, &[1], test_limits());
    world.start_all();
    let key = world.publish(0, &[], vec![300_000]);
    world.run_until_settled(5_000);
    let (id, bytes) = file_at(&world, 0);
    world.nodes[0].blobs.lose(&id, Part::Data);
    world.nodes[0].blobs.lose(&id, Part::Tree);
    let now = world.now();
    assert_eq!(check_everything(world.vault(0), now).unwrap().len(), 2, "each piece");
    world.step(0, Vec::new());
    world.run(8_000);
    assert!(!world.vault(0).possession(&key).unwrap().contains(FILES), "it is not here");
    // Other bytes of that length are not it.
    world.nodes[0].blobs.write(&id, Part::Data, 0, &vec![7; bytes.len()]).unwrap();
    world.run(8_000);
    assert!(!world.vault(0).possession(&key).unwrap().contains(FILES));
    world.nodes[0].blobs.write(&id, Part::Data, 0, &bytes).unwrap();
    world.run_until_settled(15_000);
    assert_eq!(world.vault(0).possession(&key).unwrap(), World::all());
    assert_eq!(world.vault(0).counters().files_found, 1);
    let now = world.now();
    assert_eq!(check_everything(world.vault(0), now).unwrap(), []);
    world.crash(0);
    world.start(0);
    let now = world.now();
    assert_eq!(check_everything(world.vault(0), now).unwrap(), [], "and durably so");
}

/// The bytes are right, the tree over them is not.
#[test]
fn a_torn_tree_is_made_again_from_the_file() {
    let mut world = World::new(96, &[1], test_limits());
    world.start_all();
    let key = world.publish(0, &[], vec![300_000]);
    world.run_until_settled(5_000);
    let (id, _) = file_at(&world, 0);
    for is_lost in [false, true] {
        if is_lost {
            world.nodes[0].blobs.lose(&id, Part::Tree);
        } else {
            world.nodes[0].blobs.write(&id, Part::Tree, 3, b"torn").unwrap();
        }
        let now = world.now();
        assert!(!check_everything(world.vault(0), now).unwrap().is_empty());
        world.step(0, Vec::new());
        world.run_until_settled(15_000);
        let now = world.now();
        assert_eq!(check_everything(world.vault(0), now).unwrap(), []);
    }
    assert_eq!(world.vault(0).counters().files_found, 2);
    assert_eq!(world.vault(0).possession(&key).unwrap(), World::all());
}

#[test]
fn a_second_look_that_finds_nothing_drops_nothing() {
    let mut world = World::new(97, &[1, 1], test_limits());
    world.start_all();
    let key = world.publish(0, &[(1, World::all())], vec![100_000]);
    world.run_until_settled(5_000);
    let (id, bytes) = file_at(&world, 1);
    let blob = vouch_privacy::attachment::Blob {
        slot: FILES,
        index: 0,
        bytes: bytes.len() as u64,
        root: vouch_types::Hash32(id),
    };
    let now = world.now();
    let whole = blob.bytes;
    assert_eq!(world.vault(1).find_damage(now, &key, &blob, 0, whole).unwrap(), None);
    assert!(cut_piece(world.nodes[1].blobs.as_ref(), &blob, 0, whole).unwrap().is_some());
    assert_eq!(world.nodes[1].damages, []);
}
