//! Copies at rest that were altered or lost: found by the check, named to the field, and fetched anew.

use vouch_ledger::{Batch, Durability, Storage, Table, View};
use vouch_vault::{Damage, Place, ReadRequest};

use crate::{
    chain::account,
    world::{World, name, some, test_limits},
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
        match world.vault(1).check_everything(now) {
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
    let found = world.vault(1).check_everything(now).unwrap();
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
