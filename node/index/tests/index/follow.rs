use std::time::Duration;

use vouch_index::{Applied, Index, IndexConfig, IndexError, LAYOUT, Writer};
use vouch_types::{
    Height,
    api::{DocumentFilter, IndexState},
    document::Party,
    relation::{self, RelationKind},
};

use crate::{Place, at, on_both, place::owner, start, wait, world::*};

on_both!(
    it_goes_on_where_it_stopped,
    a_block_that_fails_leaves_nothing_behind,
    of_another_chain_or_with_a_gap_it_is_made_anew_by_itself,
    a_ledger_that_was_put_back_is_found_out_before_it_has_grown_again,
    of_the_same_chain_it_waits_until_the_ledger_is_there_again,
    damage_that_is_found_while_it_follows_is_mended_by_itself,
    a_row_of_another_type_is_damage_and_is_made_anew,
    younger_grants_are_not_read_again_and_again,
    it_begins_from_the_state_where_blocks_are_forgotten,
    a_beginning_that_failed_is_taken_up_and_kept,
    a_rebuild_serves_the_old_one_until_the_new_one_is_there,
    a_rebuild_that_is_all_but_done_is_not_done_again,
    while_the_state_is_taken_over_it_waits,
    of_another_layout_it_is_made_anew,
);

fn fill(world: &World, blocks: u8) {
    world.schema();
    let before = world.documents();
    for n in before + 1..=before + blocks {
        let before: Vec<_> = (n > 1).then(|| id(n - 1)).into_iter().collect();
        world.submit(n, "works", &format!("N-{n}"), &[Party::member("shop")], &before);
        world.close(u64::from(n % 4));
    }
}

fn count(query: &crate::Query) -> usize {
    query.documents(&DocumentFilter::default(), None, 200).unwrap().items.len()
}

fn it_goes_on_where_it_stopped(place: &Place) {
    let world = World::new();
    fill(&world, 20);
    let index = start(place, world.clone());
    assert_eq!(count(&at(&index, 20)), 20);
    index.stop();
    fill(&world, 5);
    let index = start(place, world);
    at(&index, 25);
    // Only what was new was read.
    assert_eq!(index.blocks_written(), 5);
    assert_eq!(index.failures(), 0);
}

fn a_block_that_fails_leaves_nothing_behind(place: &Place) {
    let world = World::new();
    fill(&world, 3);
    let mut writer = Writer::create(&place.config(), place.owner()).unwrap();
    assert_eq!(writer.apply(&world, 3, Duration::from_secs(5)).unwrap(), Applied::AtHead(3));
    // The next block cannot be read, after one that can: both are written together, or neither.
    fill(&world, 2);
    let other = world.fork();
    other.prune_below(5);
    let error = writer.apply(&other, 10, Duration::from_secs(5)).unwrap_err();
    assert!(matches!(error, IndexError::Gap { .. } | IndexError::Diverged { .. }), "{error}");
    assert_eq!(writer.height(), Height(3));
    assert_eq!(writer.apply(&world, 10, Duration::from_secs(5)).unwrap(), Applied::AtHead(2));
    assert_eq!(writer.apply(&world, 10, Duration::from_secs(5)).unwrap(), Applied::AtHead(0));
}

/// Waits until another file serves at a height; the old one was not asked to be rebuilt.
fn made_anew(index: &Index, before: &str, height: u64) -> crate::Query {
    wait(index, "it is made anew", |index| {
        let progress = index.progress();
        index.failures() > 0 && progress.place != before && progress.rebuild.is_none()
    });
    assert_eq!(index.failures(), 1);
    at(index, height)
}

fn of_another_chain_or_with_a_gap_it_is_made_anew_by_itself(place: &Place) {
    let world = World::new();
    fill(&world, 10);
    let index = start(place, world.clone());
    at(&index, 10);
    let path = index.progress().place;
    index.stop();
    let other = world.fork();
    fill(&other, 2);
    let index = start(place, other.clone());
    made_anew(&index, &path, 12);
    let path = index.progress().place;
    index.stop();

    fill(&other, 8);
    other.prune_below(18);
    let index = start(place, other);
    let query = made_anew(&index, &path, 20);
    assert_eq!(index.progress().first, Height(18));
    // All documents, though the blocks that brought most of them are gone; as many as the contract counts.
    assert_eq!(query.counts().unwrap().documents.indexed, 20);
}

fn a_ledger_that_was_put_back_is_found_out_before_it_has_grown_again(place: &Place) {
    for height in [4, 10] {
        let (place, world) = (&place.another(), World::new());
        fill(&world, 10);
        let index = start(place, world.clone());
        at(&index, 10);
        let path = index.progress().place;
        index.stop();
        let other = world.fork();
        other.cut_above(height);
        let index = start(place, other);
        made_anew(&index, &path, height);
        index.stop();
    }
}

fn of_the_same_chain_it_waits_until_the_ledger_is_there_again(place: &Place) {
    let world = World::new();
    fill(&world, 10);
    let index = start(place, world.clone());
    at(&index, 10);
    let path = index.progress().place;
    index.stop();
    let kept = world.cut_above(6);
    let index = start(place, world.clone());
    wait(&index, "it waits", |index| index.progress().state == IndexState::Waiting);
    world.put_back(kept);
    at(&index, 10);
    assert_eq!((index.progress().place, index.failures()), (path, 0));
}

fn damage_that_is_found_while_it_follows_is_mended_by_itself(place: &Place) {
    let world = World::new();
    fill(&world, 10);
    let index = start(place, world.clone());
    at(&index, 10);
    let path = index.progress().place;
    index.stop();
    let index = start(place, world.clone());
    at(&index, 10);
    place.sql(&path, "DELETE FROM block WHERE height = 10");
    place.sql(
        &path,
        "INSERT INTO block SELECT 11, hash, time, proposer, transactions, first FROM block WHERE height = 9",
    );
    fill(&world, 1);
    wait(&index, "it is made anew", |index| index.progress().place != path && index.progress().rebuild.is_none());
    assert_eq!(count(&at(&index, 11)), 11);
}

#[test]
fn what_cannot_be_opened_stops_nobody_and_is_tried_again() {
    let (folder, world) = (tempfile::tempdir().unwrap(), World::new());
    fill(&world, 3);
    // In the folder's place there is a file, as after a full disk or with another owner.
    let place = folder.path().join("index");
    std::fs::write(&place, b"in the way").unwrap();
    let config = IndexConfig::Sqlite { folder: place.clone(), cache_mib: 8 };
    let index = Index::start(&config, owner("in the way"), Box::new(world)).unwrap();
    wait(&index, "it says so", |index| index.progress().state == IndexState::Stopped);
    assert_eq!(index.progress().problem.unwrap().0, "index.storage");
    assert_eq!(index.query(Height(3)).counts().unwrap_err().code(), "index.storage");
    std::fs::remove_file(&place).unwrap();
    // Told to, it does not wait until it would try by itself.
    index.rebuild();
    assert_eq!(count(&at(&index, 3)), 3);
}

fn a_row_of_another_type_is_damage_and_is_made_anew(place: &Place) {
    let world = World::new();
    fill(&world, 3);
    let index = start(place, world.clone());
    at(&index, 3);
    let path = index.progress().place;
    index.stop();
    place.sql(&path, "UPDATE block SET hash = 'text' WHERE height = 3");
    assert_eq!(count(&at(&start(place, world), 3)), 3);
}

fn younger_grants_are_not_read_again_and_again(place: &Place) {
    let world = World::new();
    fill(&world, 5);
    let grants = 200;
    for _ in 0..grants {
        world.grant(id(1));
        world.close(0);
    }
    let reads = world.reads();
    let mut writer = Writer::create(&place.config(), place.owner()).unwrap();
    let end = writer.apply(&world, 1_000, Duration::from_secs(30)).unwrap();
    assert!(matches!(end, Applied::AtHead(_)), "{end:?}");
    let reads = world.reads() - reads;
    assert!(reads < 40 * grants + 40 * 5, "{reads} reads of the state for {grants} grants");
}

fn it_begins_from_the_state_where_blocks_are_forgotten(place: &Place) {
    let world = World::new();
    fill(&world, 12);
    // A later version of an early document names a late one, whose row does not exist yet when the early one is taken.
    world.revise(id(2), "N-2b", &[id(12)]);
    world.close(0);
    world.revoke(id(5));
    world.close(0);
    world.prune_below(14);
    let index = start(place, world.clone());
    let query = at(&index, 14);
    assert_eq!(query.counts().unwrap().documents.indexed, 12);
    let second = query.document(&id(2)).unwrap().document;
    assert_eq!((second.version, second.references), (2, 2));
    assert_eq!(query.document(&id(12)).unwrap().document.referenced_by, 1);
    // Followed from there as ever.
    fill(&world, 1);
    let query = at(&index, 15);
    assert_eq!(query.counts().unwrap().documents.indexed, 13);
    assert_eq!(index.failures(), 0);
}

fn a_beginning_that_failed_is_taken_up_and_kept(place: &Place) {
    let world = World::new();
    fill(&world, 12);
    world.relate(RelationKind::Serves, "works", Party::member("shop"));
    world.close(0);
    world.prune_below(13);
    let mut writer = Writer::create(&place.config(), place.owner()).unwrap();
    // After all documents, and before all that is taken after them.
    world.set_unreadable(Some(relation::CONTRACT));
    let error = writer.seed(&world, &|| true).unwrap_err();
    assert!(matches!(error, IndexError::Source(_)), "{error}");
    world.set_unreadable(None);
    assert!(writer.needs_seed(&world).unwrap());
    writer.seed(&world, &|| true).unwrap();
    assert_eq!(writer.apply(&world, 10, Duration::from_secs(5)).unwrap(), Applied::AtHead(1));
    drop(writer);
    let index = start(place, world.clone());
    let counts = at(&index, 13).counts().unwrap();
    assert_eq!((counts.documents.indexed, counts.relationships.indexed), (12, 1));
    assert_eq!((index.blocks_written(), place.count()), (0, 1), "what was there is what serves");
    index.stop();

    // Left in between, it is worth nothing.
    let place = place.another();
    let mut writer = Writer::create(&place.config(), place.owner()).unwrap();
    world.set_unreadable(Some(relation::CONTRACT));
    writer.seed(&world, &|| true).unwrap_err();
    drop(writer);
    world.set_unreadable(None);
    let index = start(&place, world);
    let counts = at(&index, 13).counts().unwrap();
    assert_eq!((counts.documents.indexed, index.blocks_written()), (12, 1));
}

fn a_rebuild_serves_the_old_one_until_the_new_one_is_there(place: &Place) {
    let world = World::new();
    fill(&world, 30);
    let index = start(place, world);
    let before = at(&index, 30);
    let path = index.progress().place;
    index.rebuild();
    wait(&index, "the new one serves", |index| {
        let progress = index.progress();
        progress.place != path && progress.rebuild.is_none()
    });
    // Whoever asked before still has an answer.
    assert_eq!(count(&before), 30);
    assert_eq!(count(&at(&index, 30)), 30);
    index.stop();
    assert_eq!(place.count(), 1);
}

fn a_rebuild_that_is_all_but_done_is_not_done_again(place: &Place) {
    let world = World::new();
    fill(&world, 30);
    let index = start(place, world.clone());
    at(&index, 30);
    let path = index.progress().place;
    world.set_joining(true);
    index.rebuild();
    wait(&index, "it is begun", |index| index.progress().rebuild.is_some());
    let let_go = place.keep_unfinished(&place.next(&path));
    world.set_joining(false);
    wait(&index, "the last step fails", |index| index.failures() > 0);
    assert_eq!((index.progress().place, index.blocks_written()), (path.clone(), 60));
    assert!(index.progress().rebuild.is_some());
    let_go();
    // Told to, it does not wait until it would try by itself.
    index.rebuild();
    wait(&index, "the new one serves", |index| index.progress().rebuild.is_none());
    assert_eq!((index.progress().place, index.blocks_written()), (place.next(&path), 60));
    assert_eq!(count(&at(&index, 30)), 30);
    index.stop();
    assert_eq!(place.count(), 1);
}

#[test]
fn a_rebuild_that_cannot_be_begun_is_still_wanted() {
    let (place, world) = (Place::sqlite(), World::new());
    fill(&world, 3);
    let index = start(&place, world);
    at(&index, 3);
    let path = index.progress().place;
    let in_the_way = place.folder().join("index-2.db");
    std::fs::create_dir(&in_the_way).unwrap();
    index.rebuild();
    wait(&index, "it fails", |index| index.failures() > 0);
    std::fs::remove_dir(&in_the_way).unwrap();
    wait(&index, "it is begun again by itself", |index| index.progress().place == place.next(&path));
    assert_eq!(count(&at(&index, 3)), 3);
}

#[test]
fn what_is_no_index_is_made_anew() {
    for content in [b"no database at all, but long enough to be looked at as one".to_vec(), Vec::new()] {
        let (place, world) = (Place::sqlite(), World::new());
        std::fs::write(place.folder().join("index-3.db"), &content).unwrap();
        fill(&world, 2);
        assert_eq!(count(&at(&start(&place, world.clone()), 2)), 2);
    }
    assert_eq!(LAYOUT, 1, "a change of the tables is a new layout");
}

fn while_the_state_is_taken_over_it_waits(place: &Place) {
    let world = World::new();
    fill(&world, 3);
    world.set_joining(true);
    let index = start(place, world.clone());
    wait(&index, "it waits", |index| index.progress().state == IndexState::Waiting);
    world.set_joining(false);
    assert_eq!(count(&at(&index, 3)), 3);
}

fn of_another_layout_it_is_made_anew(place: &Place) {
    let world = World::new();
    fill(&world, 4);
    let index = start(place, world.clone());
    at(&index, 4);
    let path = index.progress().place;
    index.stop();
    let layout = LAYOUT + 1;
    let sqlite = format!("PRAGMA user_version = {layout}; DELETE FROM doc");
    let postgres = format!("UPDATE vouch_index SET layout = {layout}; DELETE FROM doc");
    place.sql(&path, if place.is_sqlite() { &sqlite } else { &postgres });
    assert_eq!(count(&at(&start(place, world), 4)), 4);
    assert_eq!(place.count(), 1);
}
