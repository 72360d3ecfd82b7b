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
fn another_master_key_or_an_altered_byte_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shelf");
    let master = Zeroizing::new([5; 32]);
    let shelf = LocalShelf::open(&path, &master, &[1; 32]).unwrap();
    shelf.put(&id(1), &key(1)).unwrap();
    shelf.sync().unwrap();
    drop(shelf);
    let other = LocalShelf::open(&path, &Zeroizing::new([6; 32]), &[1; 32]).unwrap();
    assert!(other.get(&id(1)).is_err());
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[0xaa], 128 + 50).unwrap();
    assert!(LocalShelf::open(&path, &master, &[1; 32]).unwrap().get(&id(1)).is_err());
    std::fs::write(&path, vec![1; 400]).unwrap();
    assert!(LocalShelf::open(&path, &master, &[1; 32]).is_err(), "not a shelf");
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
    let blobs = LocalBlobs::open(folder.path()).unwrap();
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
