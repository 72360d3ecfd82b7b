//! Files: pieces that resume after crashes, pass by liars, and repair what was altered at rest.

use vouch_vault::{Act, Blobs, ChainChange, Place, blobs::Part, files::PIECE_BYTES};

use crate::world::{Behaviour, World, check_everything, file, name, some, test_limits};

const LARGE: usize = 9 * PIECE_BYTES as usize + 12_345;

fn data(world: &World, node: usize) -> Vec<u8> {
    let content = world.nodes[node].blobs.content();
    content.into_iter().find(|(_, part, _)| *part == Part::Data).map(|(_, _, bytes)| bytes).unwrap_or_default()
}

#[test]
fn sizes_at_the_edges_arrive_whole() {
    let mut world = World::new(40, &[1, 1, 1], test_limits());
    world.start_all();
    let piece = PIECE_BYTES as usize;
    for size in [1, 1_023, 1_024, 1_025, 16_384, 16_385, piece - 1, piece, piece + 1, 3 * piece + 7] {
        let key = world.publish(0, &[(1, World::all()), (2, some(&[0]))], vec![size, 10]);
        world.run_until_settled(10_000);
        assert_eq!(world.vault(1).possession(&key).unwrap(), World::all(), "{size}");
    }
    world.run(4_000);
    world.judge_quiet();
    assert!(world.nodes[2].blobs.content().is_empty());
}

#[test]
fn a_transfer_goes_on_where_a_crash_ended_it() {
    let mut world = World::new(41, &[1, 1], test_limits());
    world.weather.delay_ms = 60;
    world.limits.pieces_max = 1;
    world.limits.sync_pieces = 1;
    world.start_all();
    world.publish(0, &[(1, World::all())], vec![LARGE]);
    let mut crashes = 0;
    while world.unsettled().is_some() {
        world.run(190);
        if crashes < 6 {
            world.crash(1);
            world.run(30);
            world.start(1);
            crashes += 1;
        }
        assert!(world.now_ms < 60_000, "{:?}", world.unsettled());
    }
    // Pieces that were kept before a crash were not fetched again, but for those under way.
    let sent = world.vault(0).counters().pieces_sent;
    assert!(sent <= 10 + 2 * 6, "{sent} pieces for ten");
    assert_eq!(data(&world, 0), data(&world, 1));
}

#[test]
fn a_liar_in_the_middle_of_a_file_is_passed_by() {
    for (seed, behaviour) in
        [Behaviour::Corrupts, Behaviour::Denies, Behaviour::Mute, Behaviour::Stalls].into_iter().enumerate()
    {
        let mut world = World::new(42 + seed as u64, &[1, 1, 1], test_limits());
        world.start_all();
        world.publish(0, &[(1, World::all()), (2, World::all())], vec![LARGE]);
        world.run_until_settled(20_000);
        world.wipe(2);
        world.start(2);
        world.run(60);
        world.nodes[0].behaviour = behaviour;
        world.run_until_settled(60_000);
        assert_eq!(data(&world, 1), data(&world, 2), "{behaviour:?}");
    }
}

#[test]
fn who_hands_on_a_document_without_its_files_is_passed_by() {
    let mut world = World::new(50, &[1, 1, 1], test_limits());
    world.start_all();
    let keys: Vec<_> =
        (0..6).map(|_| world.publish(0, &[(1, World::all()), (2, World::all())], vec![70_000])).collect();
    world.run_until_settled(20_000);
    let whole = world.nodes[1].blobs.content();
    world.nodes[0].behaviour = Behaviour::Withholds;
    world.wipe(2);
    world.start(2);
    world.run_until_settled(60_000);
    assert_eq!(world.nodes[2].blobs.content(), whole);
    assert!(world.vault(2).counters().faults > 0, "nobody tried");
    for key in keys {
        assert_eq!(world.vault(2).possession(&key).unwrap(), World::all());
    }
    let acts = world.shared.0.lock().acts.clone();
    assert!(!acts.iter().any(|(_, act)| matches!(act, Act::Judge { .. })), "the issuer has broken no rule");
}

#[test]
fn one_flipped_byte_is_located_and_repaired() {
    let mut world = World::new(46, &[1, 1], test_limits());
    world.start_all();
    let key = world.publish(0, &[(1, World::all())], vec![500, LARGE]);
    world.run_until_settled(20_000);
    let intact = world.nodes[1].blobs.content();
    let (id, _, bytes) = intact.iter().find(|(_, part, bytes)| *part == Part::Data && bytes.len() == LARGE).unwrap();
    for at in [0u64, 16_383, 16_384, 1_000_000, LARGE as u64 - 1] {
        let byte = bytes[at as usize] ^ 1;
        world.nodes[1].blobs.write(id, Part::Data, at, &[byte]).unwrap();
        let now = world.now();
        let found = check_everything(world.vault(1), now).unwrap();
        let (from, to) = (at / 16_384 * 16_384, (at / 16_384 * 16_384 + 16_384).min(LARGE as u64));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].key, found[0].place), (key, Place::File { file: file(1), from, to }), "byte {at}");
        assert!(!world.vault(1).possession(&key).unwrap().contains(4), "it is not whole any more");
        world.step(1, Vec::new());
        world.run_until_settled(20_000);
        assert_eq!(world.nodes[1].blobs.content(), intact);
    }
    // A piece each, not the whole file each time.
    assert!(world.vault(0).counters().pieces_sent <= 1 + 10 + 5);
    // Its tree is checked and repaired in the same way.
    let tree = intact.iter().find(|(other, part, _)| other == id && *part == Part::Tree).unwrap();
    world.nodes[1].blobs.write(id, Part::Tree, 70, &[tree.2[70] ^ 0x80]).unwrap();
    let now = world.now();
    assert!(!check_everything(world.vault(1), now).unwrap().is_empty());
    world.step(1, Vec::new());
    world.run_until_settled(20_000);
    let now = world.now();
    assert_eq!(check_everything(world.vault(1), now).unwrap(), []);
}

#[test]
fn a_file_comes_after_all_when_the_right_to_it_does() {
    let mut world = World::new(48, &[1, 1], test_limits());
    world.limits.pieces_max = 1;
    world.start_all();
    let key = world.publish(0, &[(1, World::all())], vec![LARGE]);
    world.run(200);
    let change = ChainChange::Version(key);
    world.change(&key, change.clone(), |rules| drop(rules.members.insert(name(1), some(&[0]))));
    world.run(8_000);
    assert!(!world.vault(1).possession(&key).unwrap().contains(4), "it came too fast for this test");
    assert!(!world.vault(1).status().unwrap().wants_some, "what it is not to have is not looked for");
    world.change(&key, change, |rules| drop(rules.members.insert(name(1), World::all())));
    world.run_until_settled(10_000);
    assert_eq!(data(&world, 0), data(&world, 1));
}

#[test]
fn many_files_come_one_after_the_other() {
    let mut limits = test_limits();
    limits.transfers_max = 1;
    let mut world = World::new(49, &[1, 1, 1], limits);
    world.start_all();
    for n in 0..12 {
        world.publish(n % 2, &[(2, World::all())], vec![400_000, 70_000]);
        world.run(90);
    }
    world.run_until_settled(20_000);
}
