//! The shelf and the place of files on a real disk.

use std::os::unix::fs::FileExt as _;

use vouch_vault::{Blobs, DocumentId, LocalBlobs, LocalShelf, Shelf, Shelved, blobs::Part, shelf::DocumentKey};
use zeroize::Zeroizing;

fn id(n: u8) -> DocumentId {
    DocumentId::new([n; 16])
}

fn key(n: u8) -> DocumentKey {
    Zeroizing::new([n; 32])
}

#[test]
fn keys_come_back_and_destroyed_ones_never() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shelf");
    let master = Zeroizing::new([5; 32]);
    let shelf = LocalShelf::open(&path, &master, &[1; 32]).unwrap();
    for n in 0..20 {
        assert_eq!(shelf.get(&id(n)).unwrap(), Shelved::Absent);
        shelf.put(&id(n), &key(n)).unwrap();
        assert!(shelf.put(&id(n), &key(n)).is_err(), "a key is kept once");
    }
    shelf.sync().unwrap();
    shelf.destroy(&id(3)).unwrap();
    shelf.destroy(&id(3)).unwrap();
    shelf.destroy(&id(77)).unwrap();
    assert!(shelf.put(&id(77), &key(1)).is_err(), "destroyed for good, also what was never there");
    let before = std::fs::read(&path).unwrap();
    drop(shelf);
    let shelf = LocalShelf::open(&path, &master, &[2; 32]).unwrap();
    for n in 0..20 {
        let expected = if n == 3 { Shelved::Destroyed } else { Shelved::Key(key(n)) };
        assert_eq!(shelf.get(&id(n)).unwrap(), expected, "{n}");
    }
    assert_eq!(shelf.get(&id(77)).unwrap(), Shelved::Destroyed);
    assert!(!crate::world::contains(&before, &[4; 32]), "keys lie sealed");
    let place = before.chunks(128).find(|place| place[1..17] == [3; 16]).unwrap();
    assert!(place[17..].iter().all(|byte| *byte == 0), "nothing of a destroyed key is left");
}

#[test]
fn another_master_key_opens_no_shelf() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shelf");
    let (master, other) = (Zeroizing::new([5; 32]), Zeroizing::new([6; 32]));
    let shelf = LocalShelf::open(&path, &master, &[1; 32]).unwrap();
    shelf.put(&id(1), &key(1)).unwrap();
    shelf.sync().unwrap();
    drop(shelf);
    assert!(LocalShelf::open(&path, &other, &[1; 32]).is_err());
    // The first place was altered: a key that opens tells that the master key is the right one.
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[0xaa], 50).unwrap();
    assert!(LocalShelf::open(&path, &other, &[2; 32]).is_err());
    assert_eq!(LocalShelf::open(&path, &master, &[2; 32]).unwrap().get(&id(1)).unwrap(), Shelved::Key(key(1)));
    assert!(LocalShelf::open(&path, &other, &[3; 32]).is_err());
    std::fs::write(&path, vec![1; 400]).unwrap();
    assert!(LocalShelf::open(&path, &master, &[1; 32]).is_err(), "not a shelf");
    // The file had grown and was not written when the power went.
    std::fs::write(&path, vec![0; 128]).unwrap();
    assert_eq!(LocalShelf::open(&path, &master, &[1; 32]).unwrap().get(&id(1)).unwrap(), Shelved::Absent);
}

#[test]
fn an_altered_key_is_none_and_gives_way_to_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shelf");
    let master = Zeroizing::new([5; 32]);
    for at in 128..128 + 89 {
        std::fs::remove_file(&path).unwrap_or_default();
        let shelf = LocalShelf::open(&path, &master, &[1; 32]).unwrap();
        shelf.put(&id(1), &key(1)).unwrap();
        shelf.put(&id(2), &key(2)).unwrap();
        shelf.sync().unwrap();
        drop(shelf);
        let file = std::fs::OpenOptions::new().write(true).read(true).open(&path).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
        let shelf = LocalShelf::open(&path, &master, &[2; 32]).unwrap();
        assert_eq!(shelf.get(&id(1)).unwrap(), Shelved::Absent, "byte {at}");
        assert_eq!(shelf.get(&id(2)).unwrap(), Shelved::Key(key(2)), "byte {at}");
        shelf.put(&id(1), &key(9)).unwrap();
        shelf.sync().unwrap();
        drop(shelf);
        let shelf = LocalShelf::open(&path, &master, &[3; 32]).unwrap();
        assert_eq!(shelf.get(&id(1)).unwrap(), Shelved::Key(key(9)), "byte {at}");
    }
}

#[test]
fn a_torn_place_at_the_end_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shelf");
    let master = Zeroizing::new([5; 32]);
    let shelf = LocalShelf::open(&path, &master, &[1; 32]).unwrap();
    shelf.put(&id(1), &key(1)).unwrap();
    shelf.put(&id(2), &key(2)).unwrap();
    shelf.sync().unwrap();
    drop(shelf);
    let whole = std::fs::read(&path).unwrap();
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        let shelf = LocalShelf::open(&path, &master, &[3; 32]).unwrap();
        for n in 1..=2u8 {
            let expected = if length >= 128 * (usize::from(n) + 1) { Shelved::Key(key(n)) } else { Shelved::Absent };
            assert_eq!(shelf.get(&id(n)).unwrap(), expected, "{length}");
        }
        if shelf.get(&id(2)).unwrap() == Shelved::Absent {
            shelf.put(&id(2), &key(9)).unwrap();
            assert_eq!(shelf.get(&id(2)).unwrap(), Shelved::Key(key(9)));
        }
    }
}

#[test]
fn files_are_written_read_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = LocalBlobs::open(folder.path(), false).unwrap();
    let name = [0xab; 32];
    assert_eq!(blobs.size(&name, Part::Data).unwrap(), None);
    assert!(blobs.read(&name, Part::Data, 0..10).unwrap().is_empty());
    blobs.write(&name, Part::Data, 5, b"world").unwrap();
    blobs.write(&name, Part::Data, 0, b"hello").unwrap();
    blobs.write(&name, Part::Tree, 0, b"tree").unwrap();
    blobs.sync(&name).unwrap();
    assert_eq!(blobs.read(&name, Part::Data, 3..8).unwrap(), b"lowor");
    assert_eq!(blobs.read(&name, Part::Data, 8..80).unwrap(), b"ld");
    assert_eq!(blobs.size(&name, Part::Data).unwrap(), Some(10));
    blobs.remove(&name).unwrap();
    blobs.remove(&name).unwrap();
    assert_eq!(blobs.size(&name, Part::Tree).unwrap(), None);
}

#[test]
fn an_empty_folder_where_files_were_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("files");
    let blobs = LocalBlobs::open(&folder, false).unwrap();
    blobs.write(&[0xab; 32], Part::Data, 0, b"sealed").unwrap();
    LocalBlobs::open(&folder, true).unwrap();
    // One from before there was a mark has files in it.
    std::fs::remove_file(folder.join(".vouch")).unwrap();
    let blobs = LocalBlobs::open(&folder, true).unwrap();
    assert!(folder.join(".vouch").exists());
    // The volume is gone while the node runs: nothing is missing, nothing can be said.
    let aside = home.path().join("aside");
    std::fs::rename(&folder, &aside).unwrap();
    std::fs::create_dir(&folder).unwrap();
    for error in [
        blobs.size(&[0xab; 32], Part::Data).unwrap_err(),
        blobs.read(&[0xab; 32], Part::Data, 0..1).unwrap_err(),
        blobs.write(&[0xcd; 32], Part::Data, 0, b"x").unwrap_err(),
        LocalBlobs::open(&folder, true).unwrap_err(),
    ] {
        assert!(error.message.contains("is its volume mounted?"), "{error}");
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "nothing was made in it");
    // It is back, or lost for good and said to be so.
    std::fs::remove_dir(&folder).unwrap();
    std::fs::rename(&aside, &folder).unwrap();
    assert_eq!(blobs.read(&[0xab; 32], Part::Data, 0..9).unwrap(), b"sealed");
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    LocalBlobs::mark(&folder).unwrap();
    assert_eq!(LocalBlobs::open(&folder, true).unwrap().size(&[0xab; 32], Part::Data).unwrap(), None);
}

#[test]
fn files_are_listed_by_the_first_byte_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = LocalBlobs::open(folder.path(), false).unwrap();
    let mut second = [0xab; 32];
    second[31] = 0;
    for (name, part) in
        [([0xab; 32], Part::Data), ([0xab; 32], Part::Tree), (second, Part::Tree), ([1; 32], Part::Data)]
    {
        blobs.write(&name, part, 0, b"x").unwrap();
    }
    for other in ["notes.txt", "zz.data", &format!("{}.part", "ab".repeat(32)), &format!("{}.data", "AB".repeat(32))] {
        std::fs::write(folder.path().join("ab").join(other), "x").unwrap();
    }
    assert_eq!(blobs.list(0xab).unwrap(), [second, [0xab; 32]]);
    assert_eq!(blobs.list(0xac).unwrap(), Vec::<[u8; 32]>::new());
}
