//! Files on their way in and out through a member's own node: pieces, breaks, budgets, hashes, and the end of what nobody wants.

use std::sync::Arc;

use vouch_privacy::{
    RecipientSecret, SeededRng, WrapContext,
    attachment::{Blob, GROUP_BYTES, verify_piece},
    sealing::open_wrap,
};
use vouch_types::{AccountId, Hash32, document::ErasureState};
use vouch_vault::{
    Access, Blobs, FileKey, OpenRequest, ReadRefusal, UploadError, UploadState, VaultLimits, VersionKey,
    blobs::{MemoryBlobs, Part},
    files::cut_piece,
    uploads::index_upload,
};

use crate::{
    chain::account,
    support::{CHAIN, FILES, Made, Wish, make, member_secret},
    world::{World, file, name, rules, some, test_limits},
};

const TAG: Hash32 = Hash32([3; 32]);

fn world() -> World {
    let mut world = World::new(160, &[1, 1], test_limits());
    world.start_all();
    world
}

/// A document whose files no node has yet.
fn document(world: &mut World, id: u8, file_bytes: Vec<usize>) -> Made {
    let recipient = member_secret(0).public();
    let wish = Wish {
        id: [id; 16],
        version: 1,
        previous: None,
        issuer: "m0",
        recipient: &recipient,
        file_bytes,
        title: "order",
        file_name: "file",
    };
    make(&wish, &mut world.rng)
}

fn who(n: usize) -> AccountId {
    account(&name(n))
}

type Place = (VersionKey, FileKey);

/// As a node does it: the vault says where, the piece is written and synced, the vault is told.
fn put(
    world: &mut World,
    actor: AccountId,
    place: Place,
    offset: u64,
    bytes: &[u8],
) -> Result<UploadState, UploadError> {
    let now = world.now();
    let id = world.vault(0).piece_begins(actor, place, offset, bytes.len()).unwrap()?;
    let blobs = world.vault(0).blobs();
    blobs.write(&id, Part::Data, offset, bytes).unwrap();
    blobs.sync(&id).unwrap();
    world.vault(0).piece_written(now, actor, place, offset, bytes.len()).unwrap()
}

fn finish(world: &mut World, actor: AccountId, place: Place, root: Hash32) -> Result<UploadState, UploadError> {
    let now = world.now();
    let naming = world.vault(0).name_upload(now, actor, place, root).unwrap()?;
    let blobs = world.vault(0).blobs();
    let is_it = index_upload(blobs.as_ref(), &naming).unwrap();
    world.vault(0).upload_indexed(now, actor, place, &naming, is_it).unwrap()
}

fn begin(world: &mut World, actor: AccountId, place: Place, bytes: u64) -> Result<UploadState, UploadError> {
    let now = world.now();
    world.vault(0).begin_upload(now, actor, place, bytes, TAG).unwrap()
}

fn upload(world: &mut World, made: &Made) {
    for (blob, bytes) in &made.blobs {
        let place = (made.delivery.key, FileKey { slot: blob.slot, index: blob.index });
        begin(world, who(0), place, blob.bytes).unwrap();
        for (n, piece) in bytes.chunks(100_000).enumerate() {
            put(world, who(0), place, n as u64 * 100_000, piece).unwrap();
        }
        assert_eq!(finish(world, who(0), place, blob.root).unwrap().root, Some(blob.root));
    }
}

fn stage(world: &mut World, made: &Made) -> Result<(), &'static str> {
    let now = world.now();
    let staged = world.vault(0).stage(now, &made.delivery, made.root).unwrap();
    staged.map(drop).map_err(|error| error.code())
}

#[test]
fn an_upload_goes_on_where_a_crash_ended_it_and_only_there() {
    let mut world = world();
    let made = document(&mut world, 1, vec![350_000]);
    let (blob, bytes) = made.blobs[0].clone();
    let place = (made.delivery.key, file(0));
    assert_eq!(put(&mut world, who(0), place, 0, &bytes[..9]), Err(UploadError::Unknown));
    assert_eq!(begin(&mut world, who(0), place, blob.bytes).unwrap().offset, 0);
    assert_eq!(put(&mut world, who(0), place, 0, &bytes[..100_000]).unwrap().offset, 100_000);
    // What was acknowledged is there after a crash; what was written and not told is written again.
    let id = world.vault(0).piece_begins(who(0), place, 100_000, 7).unwrap().unwrap();
    world.nodes[0].blobs.write(&id, Part::Data, 100_000, b"garbage").unwrap();
    world.crash(0);
    world.start(0);
    let state = begin(&mut world, who(0), place, blob.bytes).unwrap();
    assert_eq!((state.offset, state.root), (100_000, None));
    for offset in [0, 99_999, 100_001] {
        assert_eq!(put(&mut world, who(0), place, offset, b"x"), Err(UploadError::Offset(100_000)));
    }
    assert_eq!(finish(&mut world, who(0), place, blob.root), Err(UploadError::Incomplete(100_000)));
    assert_eq!(put(&mut world, who(0), place, 100_000, &bytes[100_000..]).unwrap().offset, 350_000);
    assert_eq!(put(&mut world, who(0), place, 350_000, b"x"), Err(UploadError::TooLarge), "no more than was said");
    assert_eq!(stage(&mut world, &made), Err("stage.file"), "not checked yet");
    for _ in 0..2 {
        assert_eq!(finish(&mut world, who(0), place, blob.root).unwrap().root, Some(blob.root));
    }
    assert_eq!(finish(&mut world, who(0), place, Hash32([9; 32])), Err(UploadError::Differs));
    assert_eq!(put(&mut world, who(0), place, 350_000, b"x"), Err(UploadError::Offset(350_000)));
    assert_eq!(stage(&mut world, &made), Ok(()));
    assert_eq!(world.vault(0).upload(who(0), place).unwrap(), Err(UploadError::Unknown), "it is the document's now");
    assert_eq!(stage(&mut world, &made), Ok(()), "staging again is safe");
    let key = world.submit(&made, 0, rules(0, &[(1, World::all())]));
    world.run_until_settled(10_000);
    let data = world.nodes[1].blobs.read(&blob.root.0, Part::Data, 0..blob.bytes).unwrap();
    assert_eq!((data, world.vault(1).possession(&key).unwrap()), (bytes, World::all()));
}

#[test]
fn pieces_are_large_enough_to_be_worth_a_write_but_the_last() {
    let limits = VaultLimits { piece_bytes_min: VaultLimits::default().piece_bytes_min, ..test_limits() };
    let mut world = World::new(161, &[1, 1], limits);
    world.start_all();
    let least = 64 << 10;
    let made = document(&mut world, 1, vec![2 * least + 7]);
    let (blob, bytes) = made.blobs[0].clone();
    let place = (made.delivery.key, file(0));
    begin(&mut world, who(0), place, blob.bytes).unwrap();
    for length in [1, 7, least - 1] {
        let refused = put(&mut world, who(0), place, 0, &bytes[..length]);
        assert_eq!(refused, Err(UploadError::TooSmall(least)), "{length}");
    }
    assert_eq!(put(&mut world, who(0), place, 0, &bytes[..least]).unwrap().offset, least as u64);
    let rest = bytes.len() - 1;
    assert_eq!(put(&mut world, who(0), place, least as u64, &bytes[least..rest]).unwrap().offset, rest as u64);
    assert_eq!(put(&mut world, who(0), place, rest as u64, &bytes[rest..]).unwrap().offset, blob.bytes, "the last one");
    finish(&mut world, who(0), place, blob.root).unwrap();
}

#[test]
fn a_crash_at_any_point_of_the_end_leaves_it_to_be_ended_again() {
    for at in 0..4 {
        let mut world = world();
        let made = document(&mut world, 1, vec![50_000]);
        let (blob, bytes) = made.blobs[0].clone();
        let place = (made.delivery.key, file(0));
        begin(&mut world, who(0), place, blob.bytes).unwrap();
        put(&mut world, who(0), place, 0, &bytes).unwrap();
        let now = world.now();
        let naming = world.vault(0).name_upload(now, who(0), place, blob.root).unwrap().unwrap();
        let blobs = world.vault(0).blobs();
        if at > 0 {
            assert!(index_upload(blobs.as_ref(), &naming).unwrap());
        }
        if at > 1 {
            world.vault(0).upload_indexed(now, who(0), place, &naming, true).unwrap().unwrap();
        }
        if at == 3 {
            assert_eq!(stage(&mut world, &made), Ok(()));
        }
        world.crash(0);
        world.start(0);
        if at < 3 {
            if at == 1 {
                // Another hash now would leave what lies under the first one to nobody.
                assert_eq!(finish(&mut world, who(0), place, Hash32([9; 32])), Err(UploadError::Differs));
                // The power cut may have torn the tree that was not synced under its new name.
                world.nodes[0].blobs.lose(&blob.root.0, Part::Tree);
            }
            assert_eq!(finish(&mut world, who(0), place, blob.root).unwrap().root, Some(blob.root), "{at}");
            world.crash(0);
            world.start(0);
            let piece = cut_piece(world.nodes[0].blobs.as_ref(), &blob, 0, blob.bytes).unwrap();
            assert!(piece.is_some(), "what was acknowledged is durable, its tree too: {at}");
        }
        assert_eq!(stage(&mut world, &made), Ok(()), "{at}");
    }
}

/// Rows go before bytes: whatever a crash leaves of the end of an upload, no row speaks of bytes that are not there.
#[test]
fn a_crash_while_an_upload_goes_leaves_nothing_that_can_be_staged() {
    for (writes, seed) in (0..3).flat_map(|writes| (0..6).map(move |seed| (writes, seed))) {
        let mut world = World::new(200 + seed, &[1, 1], test_limits());
        world.start_all();
        let made = document(&mut world, 1, vec![50_000]);
        upload(&mut world, &made);
        let (blob, _) = made.blobs[0].clone();
        let place = (made.delivery.key, file(0));
        world.fail_write(0, writes);
        drop(world.vault(0).end_upload(who(0), place));
        world.crash(0);
        world.start(0);
        let is_whole = finish(&mut world, who(0), place, blob.root).is_ok();
        let staged = stage(&mut world, &made);
        assert_eq!(staged.is_ok(), is_whole, "{writes} {seed}: {staged:?}");
        if staged.is_ok() {
            let piece = cut_piece(world.nodes[0].blobs.as_ref(), &blob, 0, blob.bytes).unwrap();
            assert!(piece.is_some(), "{writes} {seed}: a document was staged whose file is not here");
        } else {
            // What the crash left to nobody is found.
            world.run(60_000);
            assert!(world.nodes[0].blobs.content().is_empty(), "{writes} {seed}");
        }
    }
}

/// A row that says more than the disk holds, whatever made it so.
#[test]
fn a_document_is_not_staged_with_a_file_that_is_gone() {
    let mut world = world();
    let made = document(&mut world, 1, vec![50_000]);
    upload(&mut world, &made);
    world.nodes[0].blobs.lose(&made.blobs[0].0.root.0, Part::Data);
    assert_eq!(stage(&mut world, &made), Err("stage.file"));
}

/// A file that one version is fetching, and of whose hash somebody uploads other bytes for a version that is staged meanwhile.
#[test]
fn an_upload_that_ends_while_it_is_hashed_takes_no_file_of_another_version_along() {
    let mut limits = test_limits();
    (limits.pieces_max, limits.sync_pieces) = (1, 1);
    let mut world = World::new(163, &[1, 1], limits);
    world.start_all();
    let fetched = world.publish(1, &[(0, World::all())], vec![3_000_000]);
    while world.nodes[0].blobs.content().iter().map(|(_, _, bytes)| bytes.len()).max().unwrap_or_default() < 600_000 {
        world.run(20);
        assert!(world.now_ms < 10_000, "no piece came");
    }
    assert!(!world.vault(0).possession(&fetched).unwrap().contains(FILES), "it came too fast for this test");
    let content = world.nodes[1].blobs.content();
    let (root, _, whole) = content.iter().find(|(_, part, _)| *part == Part::Data).unwrap().clone();
    let made = document(&mut world, 7, Vec::new());
    let place = (made.delivery.key, file(0));
    begin(&mut world, who(0), place, whole.len() as u64).unwrap();
    for (n, piece) in vec![0x5a; whole.len()].chunks(1 << 20).enumerate() {
        put(&mut world, who(0), place, (n as u64) << 20, piece).unwrap();
    }
    let now = world.now();
    let naming = world.vault(0).name_upload(now, who(0), place, Hash32(root)).unwrap().unwrap();
    let blobs = world.vault(0).blobs();
    assert!(!index_upload(blobs.as_ref(), &naming).unwrap());
    assert_eq!(stage(&mut world, &made), Ok(()));
    let ended = world.vault(0).upload_indexed(now, who(0), place, &naming, false).unwrap();
    assert_eq!(ended, Err(UploadError::Unknown));
    world.run_until_settled(30_000);
    assert!(world.nodes[0].blobs.read(&root, Part::Data, 0..u64::MAX).unwrap() == whole, "whole and right");
    assert_eq!(world.nodes[0].damages, [], "nothing of it had to be repaired");
}

/// What no row speaks of goes; whatever one speaks of stays: uploads in any state, staged and held files.
#[test]
fn what_belongs_to_nothing_is_found_and_removed() {
    let mut world = world();
    let held = world.publish(0, &[(1, World::all())], vec![40_000]);
    let staged = document(&mut world, 2, vec![30_000]);
    upload(&mut world, &staged);
    assert_eq!(stage(&mut world, &staged), Ok(()));
    let whole = document(&mut world, 3, vec![20_000]);
    upload(&mut world, &whole);
    let begun = (document(&mut world, 4, Vec::new()).delivery.key, file(0));
    begin(&mut world, who(0), begun, 9_000).unwrap();
    put(&mut world, who(0), begun, 0, &[1; 4_000]).unwrap();
    world.run_until_settled(5_000);
    let before = world.nodes[0].blobs.content();
    for first in [0u8, 77, 255] {
        let name = [first; 32];
        world.nodes[0].blobs.write(&name, Part::Data, 0, b"left by a power cut").unwrap();
        world.nodes[0].blobs.write(&name, Part::Tree, 0, b"tree").unwrap();
        world.nodes[0].blobs.sync(&name).unwrap();
    }
    world.run(12_000);
    assert_eq!(
        world.nodes[0].blobs.content().len(),
        before.len() + 6,
        "not at once: the database may be the wrong one"
    );
    world.crash(0);
    world.start(0);
    world.run(60_000);
    assert_eq!(world.nodes[0].blobs.content(), before);
    assert_eq!(world.vault(0).counters().orphans, 3);
    assert_eq!(world.vault(0).possession(&held).unwrap(), World::all());
    assert_eq!(world.vault(0).upload(who(0), begun).unwrap().unwrap().offset, 4_000);
}

#[test]
fn what_is_not_what_its_hash_says_is_dropped() {
    let mut world = world();
    let made = document(&mut world, 1, vec![20_000]);
    let (blob, mut bytes) = made.blobs[0].clone();
    let place = (made.delivery.key, file(0));
    bytes[7] ^= 1;
    begin(&mut world, who(0), place, blob.bytes).unwrap();
    put(&mut world, who(0), place, 0, &bytes).unwrap();
    assert_eq!(finish(&mut world, who(0), place, blob.root), Err(UploadError::Root));
    assert_eq!(world.vault(0).upload(who(0), place).unwrap(), Err(UploadError::Unknown));
    assert!(world.nodes[0].blobs.content().is_empty());
    assert_eq!(stage(&mut world, &made), Err("stage.file"));
    // A client that changed its mind says so.
    begin(&mut world, who(0), place, 5).unwrap();
    assert_eq!(begin(&mut world, who(0), place, 6), Err(UploadError::Differs));
    let now = world.now();
    assert_eq!(world.vault(0).begin_upload(now, who(0), place, 5, Hash32::ZERO).unwrap(), Err(UploadError::Differs));
    put(&mut world, who(0), place, 0, b"12").unwrap();
    world.vault(0).end_upload(who(0), place).unwrap().unwrap();
    assert!(world.nodes[0].blobs.content().is_empty());
    upload(&mut world, &made);
    assert_eq!(stage(&mut world, &made), Ok(()));
}

#[test]
fn a_file_serves_the_document_it_was_uploaded_for() {
    let mut world = world();
    let made = document(&mut world, 1, vec![9_000]);
    upload(&mut world, &made);
    assert_eq!(stage(&mut world, &made), Ok(()));
    let key = world.submit(&made, 0, rules(0, &[]));
    world.run_until_settled(5_000);
    // Another document that names the same ciphertext: its end would take the file with it.
    let mut other = document(&mut world, 2, vec![9_000]);
    other.blobs.clone_from(&made.blobs);
    other.delivery.content.attachments.clone_from(&made.delivery.content.attachments);
    assert_eq!(stage(&mut world, &other), Err("stage.file"));
    let place = (other.delivery.key, file(0));
    begin(&mut world, who(0), place, 9_000).unwrap();
    put(&mut world, who(0), place, 0, &made.blobs[0].1).unwrap();
    assert!(matches!(finish(&mut world, who(0), place, made.blobs[0].0.root), Err(UploadError::Taken(_))));
    world.vault(0).end_upload(who(0), place).unwrap().unwrap();
    assert_eq!(world.vault(0).possession(&key).unwrap(), World::all());
    assert!(world.nodes[0].blobs.size(&made.blobs[0].0.root.0, Part::Data).unwrap().is_some());
    // Nor is there an upload for what is staged, on the chain, or another account's.
    assert!(matches!(begin(&mut world, who(0), (key, file(0)), 5), Err(UploadError::Taken(_))));
    let staged = document(&mut world, 3, Vec::new());
    assert_eq!(stage(&mut world, &staged), Ok(()));
    assert!(matches!(begin(&mut world, who(0), (staged.delivery.key, file(0)), 5), Err(UploadError::Taken(_))));
    begin(&mut world, who(0), place, 5).unwrap();
    assert!(matches!(begin(&mut world, who(1), place, 5), Err(UploadError::Taken(_))));
    assert!(matches!(world.vault(0).end_upload(who(1), place).unwrap(), Err(UploadError::Taken(_))));
}

/// Whoever may read a document can name its files in one of its own: the end of that one is not the end of them.
#[test]
fn a_file_that_two_documents_name_stays_as_long_as_one_of_them() {
    let mut world = World::new(162, &[1, 1, 1], test_limits());
    world.start_all();
    let made = document(&mut world, 1, vec![70_000]);
    upload(&mut world, &made);
    assert_eq!(stage(&mut world, &made), Ok(()));
    let all = World::all();
    let key = world.submit(&made, 0, rules(0, &[(1, all.clone()), (2, all.clone())]));
    world.run_until_settled(5_000);
    // Member 1 names the same ciphertext in a document of its own, for the same receivers.
    let recipient = member_secret(1).public();
    let wish = Wish {
        id: [2; 16],
        version: 1,
        previous: None,
        issuer: "m1",
        recipient: &recipient,
        file_bytes: vec![70_000],
        title: "order",
        file_name: "file",
    };
    let mut other = make(&wish, &mut world.rng);
    other.blobs.clone_from(&made.blobs);
    other.delivery.content.attachments.clone_from(&made.delivery.content.attachments);
    other.blob_root = made.blob_root;
    world.made.insert(other.delivery.key, other.root);
    world.planted.insert(other.delivery.key, other.planted.clone());
    world.hand_over(1, &other).unwrap();
    let theirs = world.submit(&other, 1, rules(1, &[(0, all.clone()), (2, all.clone())]));
    world.run_until_settled(10_000);
    world.erase(&theirs, ErasureState::Ordered);
    world.run(5_000);
    let root = made.blobs[0].0.root.0;
    for node in 0..3 {
        let data = world.nodes[node].blobs.read(&root, Part::Data, 0..70_000).unwrap();
        assert!(data == made.blobs[0].1, "node {node} has it still");
        assert_eq!(world.vault(node).possession(&key).unwrap(), all, "node {node}");
    }
    world.erase(&key, ErasureState::Ordered);
    world.run(5_000);
    for node in 0..3 {
        assert!(world.nodes[node].blobs.content().is_empty(), "and now nothing is left at node {node}");
    }
}

#[test]
fn uploads_are_bounded_in_number_bytes_and_time() {
    let limits = VaultLimits {
        uploads_max: 5,
        uploads_per_account_max: 3,
        upload_bytes_max: 1_000,
        upload_bytes_per_account_max: 600,
        upload_keep_ms: 100_000,
        disk_reserve_bytes: 10_000,
        ..test_limits()
    };
    let mut world = World::new(161, &[1, 1], limits);
    world.start_all();
    let place = |n: u8| (VersionKey { id: vouch_vault::DocumentId::new([n; 16]), version: 1 }, file(0));
    let code = |result: Result<UploadState, UploadError>| result.map_or_else(|error| error.code(), |_| "ok");
    assert_eq!(code(begin(&mut world, who(0), place(1), 0)), "upload.too_large");
    assert_eq!(code(begin(&mut world, who(0), place(1), u64::MAX)), "upload.too_large");
    assert_eq!(code(begin(&mut world, who(0), place(1), 601)), "upload.full", "bytes of an account");
    for n in 1..=3 {
        assert_eq!(code(begin(&mut world, who(0), place(n), 100)), "ok");
    }
    assert_eq!(code(begin(&mut world, who(0), place(4), 1)), "upload.full", "number of an account");
    assert_eq!(code(begin(&mut world, who(1), place(4), 600)), "ok");
    assert_eq!(code(begin(&mut world, who(2), place(5), 101)), "upload.full", "bytes in all");
    assert_eq!(code(begin(&mut world, who(2), place(5), 100)), "ok");
    assert_eq!(code(begin(&mut world, who(3), place(6), 1)), "upload.full", "number in all");
    let status = world.vault(0).status().unwrap();
    assert_eq!((status.uploads, status.upload_bytes), (5, 1_000));
    // Nothing comes to four of them.
    world.run(90_000);
    put(&mut world, who(0), place(1), 0, b"still here").unwrap();
    put(&mut world, who(0), place(2), 0, b"not for long").unwrap();
    world.run(70_000);
    put(&mut world, who(0), place(1), 10, b"and here").unwrap();
    world.run(90_000);
    assert_eq!(world.vault(0).upload(who(0), place(1)).unwrap().unwrap().offset, 18);
    for (n, owner) in [(2, 0), (3, 0), (4, 1), (5, 2)] {
        assert_eq!(world.vault(0).upload(who(owner), place(n)).unwrap(), Err(UploadError::Unknown), "{n}");
    }
    assert_eq!((world.vault(0).counters().uploads_expired, world.nodes[0].blobs.content().len()), (4, 1));
    // The disk keeps its reserve, whatever is to come counted in.
    world.nodes[0].blobs.set_free(10_300);
    assert_eq!(code(begin(&mut world, who(1), place(7), 300)), "upload.disk");
    assert_eq!(code(begin(&mut world, who(1), place(7), 100)), "ok");
    assert_eq!(code(begin(&mut world, who(1), place(8), 150)), "upload.disk");
}

#[test]
fn what_is_uploaded_for_an_erased_document_goes_with_it() {
    let mut world = world();
    let made = document(&mut world, 1, vec![9_000]);
    upload(&mut world, &made);
    assert_eq!(stage(&mut world, &made), Ok(()));
    let key = world.submit(&made, 0, rules(0, &[(1, World::all())]));
    world.run_until_settled(5_000);
    let next = (VersionKey { version: 2, ..key }, file(0));
    begin(&mut world, who(0), next, 5).unwrap();
    put(&mut world, who(0), next, 0, b"12345").unwrap();
    assert!(!world.nodes[1].blobs.content().is_empty());
    world.erase(&key, ErasureState::Ordered);
    world.run(5_000);
    for node in [0, 1] {
        assert!(world.nodes[node].blobs.content().is_empty(), "pieces at node {node}");
    }
    assert_eq!(begin(&mut world, who(0), next, 5), Err(UploadError::Erased));
}

const LENGTH: u64 = 5 * GROUP_BYTES + 99;

/// A document with two files that member 1 is to have.
fn published(world: &mut World) -> (Made, VersionKey) {
    let made = document(world, 1, vec![10, LENGTH as usize]);
    upload(world, &made);
    assert_eq!(stage(world, &made), Ok(()));
    let key = world.submit(&made, 0, rules(0, &[(1, World::all())]));
    world.run_until_settled(5_000);
    (made, key)
}

fn reader() -> RecipientSecret {
    RecipientSecret::generate(&mut SeededRng::from_seed(&[5; 32]))
}

fn open_request(actor: usize, key: VersionKey, file: FileKey, purpose: &str) -> OpenRequest {
    OpenRequest { actor: who(actor), key, file, purpose: purpose.into(), recipient: reader().public().0.0 }
}

fn allowed(
    world: &mut World,
    actor: usize,
    key: VersionKey,
    at: FileKey,
    opening: &[u8; 16],
) -> Result<Blob, &'static str> {
    let now = world.now();
    let found = world.vault(1).opened_file(now, who(actor), &key, at, opening).unwrap();
    found.map_err(|refusal| refusal.code())
}

#[test]
fn a_file_is_opened_as_the_contract_allows_and_once_in_the_audit() {
    let mut world = world();
    let (made, key) = published(&mut world);
    let now = world.now();
    for (actor, at, purpose, code) in [
        (1, file(0), "curiosity", "vault.not_allowed"),
        (7, file(0), "settlement", "vault.not_allowed"),
        (1, file(2), "settlement", "vault.no_file"),
        (1, FileKey { slot: 1, index: 0 }, "settlement", "vault.no_file"),
    ] {
        let refused = world.vault(1).open_file(now, &open_request(actor, key, at, purpose)).unwrap();
        assert_eq!(refused.map(drop).unwrap_err().code(), code);
    }
    let opened = world.vault(1).open_file(now, &open_request(1, key, file(1), "settlement")).unwrap().unwrap();
    assert_eq!(opened.blob, made.blobs[1].0);
    assert_eq!(vouch_privacy::attachment::blob_root(&opened.files).map(|root| root.0), made.blob_root);
    let context = WrapContext { chain: CHAIN, document: key.id, version: 1 };
    assert_eq!(open_wrap(&opened.wrap, &reader(), context).unwrap().scope(6), some(&[FILES]), "this field's key alone");
    for (actor, at, opening, expected) in [
        (1, file(1), opened.opening, Ok(opened.blob)),
        (0, file(1), opened.opening, Err("vault.opening_unknown")),
        (1, file(0), opened.opening, Err("vault.opening_unknown")),
        (1, file(1), [0; 16], Err("vault.opening_unknown")),
    ] {
        assert_eq!(allowed(&mut world, actor, key, at, &opening), expected, "{actor} {at:?}");
    }
    let audit = world.vault(1).audit(0, 99).unwrap();
    assert_eq!(audit.len(), 5, "pieces are not openings");
    assert_eq!((audit[4].access, audit[4].result.as_str()), (Access::File, "ok"));
    assert_eq!(audit[4].fields, some(&[FILES]));
}

#[test]
fn pieces_prove_themselves_and_a_flipped_byte_is_named_to_the_reader() {
    let mut world = world();
    let (made, key) = published(&mut world);
    let now = world.now();
    let opened = world.vault(1).open_file(now, &open_request(1, key, file(1), "settlement")).unwrap().unwrap();
    let (blob, bytes) = &made.blobs[1];
    let blobs: Arc<MemoryBlobs> = Arc::clone(&world.nodes[1].blobs);
    for from in (0..LENGTH).step_by(GROUP_BYTES as usize) {
        let to = (from + 2 * GROUP_BYTES).min(LENGTH);
        let piece = cut_piece(blobs.as_ref(), blob, from, to).unwrap().unwrap();
        assert_eq!(verify_piece(blob, from, to, &piece).unwrap(), bytes[from as usize..to as usize]);
    }
    let at = 2 * GROUP_BYTES + 5;
    blobs.write(&blob.root.0, Part::Data, at, &[bytes[at as usize] ^ 1]).unwrap();
    assert_eq!(cut_piece(blobs.as_ref(), blob, 0, LENGTH).unwrap(), None, "better nothing than something false");
    let now = world.now();
    let found = world.vault(1).find_damage(now, &key, blob, 0, LENGTH).unwrap();
    assert_eq!(found, Some(("files".into(), 2 * GROUP_BYTES, 3 * GROUP_BYTES)));
    assert_eq!(allowed(&mut world, 1, key, file(1), &opened.opening), Err("vault.not_here"));
    world.step(1, Vec::new());
    world.run_until_settled(10_000);
    assert!(cut_piece(blobs.as_ref(), blob, 0, LENGTH).unwrap().is_some());
    assert_eq!(allowed(&mut world, 1, key, file(1), &opened.opening), Ok(*blob), "the reader goes on");
}

#[test]
fn an_opening_ends_with_the_right_and_with_its_hour() {
    let mut world = world();
    let (_, key) = published(&mut world);
    let now = world.now();
    let opened = world.vault(1).open_file(now, &open_request(1, key, file(1), "settlement")).unwrap().unwrap();
    let own = world.vault(0).open_file(now, &open_request(0, key, file(1), "settlement")).unwrap().unwrap();
    assert_eq!(allowed(&mut world, 1, key, file(1), &opened.opening), Ok(opened.blob));
    world.change(&key, vouch_vault::ChainChange::Version(key), |rules| drop(rules.members.remove(&name(1))));
    world.run(1_000);
    assert_eq!(allowed(&mut world, 1, key, file(1), &opened.opening), Err("vault.not_allowed"));
    assert_eq!(allowed(&mut world, 1, key, file(1), &opened.opening), Err("vault.opening_unknown"), "once and for all");
    world.run(3_600_001);
    let now = world.now();
    let late = world.vault(0).opened_file(now, who(0), &key, file(1), &own.opening).unwrap();
    assert_eq!(late, Err(ReadRefusal::OpeningUnknown));
}
