//! The store on a real directory: what survives a kill, what a view sees, what damage does.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;
use vouch_ledger::{
    memory::MemoryStorage,
    storage::{Batch, Durability, Entry, Storage, Table, View},
    tree::{StateChange, StateImport, StateTree, prove, prove_range, verify_stored},
};
use vouch_store::{FORMAT_KEY, FORMAT_VERSION, RocksStore, StoreError, StoreOptions};

const SMALL: StoreOptions =
    StoreOptions { cache_bytes: 8 << 20, write_buffer_bytes: 8 << 20, open_files_max: 128, background_jobs: 1 };

/// Set for the test binary when it runs as the process that is killed.
const WRITER_DIRECTORY: &str = "VOUCH_STORE_TEST_WRITER";

fn open(path: &Path) -> RocksStore {
    RocksStore::open(path, SMALL).unwrap()
}

fn put(store: &dyn Storage, table: Table, key: &str, value: &str) {
    let mut batch = Batch::new();
    batch.put(table, key, value);
    store.write(batch, Durability::Synced).unwrap();
}

fn dump(view: &dyn View) -> Vec<Vec<Entry>> {
    Table::ALL.iter().map(|&table| view.scan(table, &[], None, usize::MAX).unwrap()).collect()
}

fn block(number: u64) -> Vec<StateChange> {
    let mut changes: Vec<StateChange> = (0..50)
        .map(|n| {
            let hash = blake3::hash(&(number * 40 + n).to_le_bytes());
            let value = (n % 11 != 5).then(|| vec![number.to_le_bytes()[0]; 60]);
            (hash.as_bytes()[..20].to_vec(), value)
        })
        .collect();
    changes.sort();
    changes
}

fn commit(store: &dyn Storage, tree: &mut StateTree, number: u64) {
    let mut update = tree.prepare(&*store.view(), &block(number), &[]).unwrap();
    let mut batch = update.take_batch();
    batch.put(Table::Meta, "height", number.to_be_bytes());
    store.write(batch, Durability::Synced).unwrap();
    tree.commit(update).unwrap();
}

fn files(path: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    found.sort();
    found
}

#[test]
fn does_what_storage_in_memory_does() {
    let directory = TempDir::new().unwrap();
    let (store, memory) = (open(directory.path()), MemoryStorage::new());
    let both: [&dyn Storage; 2] = [&store, &memory];
    for storage in both {
        for n in 0u32..200 {
            let mut batch = Batch::new();
            for table in [Table::State, Table::Tree, Table::Headers] {
                batch.put(table, (n * 7919 % 200).to_be_bytes(), n.to_le_bytes());
                batch.delete(table, (n * 31 % 100).to_be_bytes());
                if n % 50 == 49 {
                    batch.delete_range(table, (n - 20).to_be_bytes(), n.to_be_bytes());
                    batch.delete_range(table, n.to_be_bytes(), (n - 20).to_be_bytes());
                }
            }
            storage.write(batch, if n % 2 == 0 { Durability::Synced } else { Durability::Buffered }).unwrap();
        }
        let mut batch = Batch::new();
        batch.delete(Table::Meta, FORMAT_KEY);
        storage.write(batch, Durability::Synced).unwrap();
    }
    assert_eq!(dump(&store), dump(&memory));
    assert_eq!(dump(&*store.view()), dump(&memory));
    let keys: Vec<[u8; 4]> = (0u32..220).rev().map(u32::to_be_bytes).collect();
    let keys: Vec<&[u8]> = keys.iter().map(<[u8; 4]>::as_slice).collect();
    for table in [Table::State, Table::Headers] {
        assert_eq!(store.get_many(table, &keys).unwrap(), memory.get_many(table, &keys).unwrap());
        for key in &keys {
            assert_eq!(store.get(table, key).unwrap(), memory.get(table, key).unwrap());
            assert_eq!(store.last(table, Some(key)).unwrap(), memory.last(table, Some(key)).unwrap());
            let (from, to) = (&key[..3], Some(&key[..]));
            assert_eq!(store.scan(table, from, to, 5).unwrap(), memory.scan(table, from, to, 5).unwrap());
            assert_eq!(store.scan(table, key, Some(from), 5).unwrap(), []);
        }
        assert_eq!(store.last(table, None).unwrap(), memory.last(table, None).unwrap());
    }
    assert_eq!(store.last(Table::Evidence, None).unwrap(), None);
}

#[test]
fn views_do_not_move() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    put(&store, Table::State, "a", "1");
    put(&store, Table::State, "b", "1");
    let view = store.view();
    let before = dump(&*view);
    put(&store, Table::State, "a", "2");
    let mut batch = Batch::new();
    batch.delete_range(Table::State, "a", "c");
    batch.put(Table::State, "c", "3");
    store.write(batch, Durability::Synced).unwrap();
    store.flush().unwrap();
    assert_eq!(dump(&*view), before);
    assert_eq!(
        view.get_many(Table::State, &[b"a", b"b", b"c"]).unwrap(),
        [Some(b"1".to_vec()), Some(b"1".to_vec()), None]
    );
    assert_eq!(view.last(Table::State, None).unwrap().unwrap().0, b"b");
    assert_eq!(store.scan(Table::State, &[], None, 9).unwrap(), [(b"c".to_vec(), b"3".to_vec())]);
}

#[test]
fn the_tree_is_the_same_as_in_memory_and_reopens() {
    let directory = TempDir::new().unwrap();
    let memory = MemoryStorage::new();
    let mut model = StateTree::open(&memory).unwrap();
    for number in 0..60 {
        let store = open(directory.path());
        let mut tree = StateTree::open(&store).unwrap();
        assert_eq!(tree.root(), model.root());
        commit(&store, &mut tree, number);
        commit(&memory, &mut model, number);
        assert_eq!((tree.root(), tree.slots()), (model.root(), model.slots()));
        if number % 20 == 19 {
            store.flush().unwrap();
        }
    }
    let store = open(directory.path());
    assert_eq!(verify_stored(&store).unwrap(), model.root());
    for (key, _) in block(30).into_iter().filter(|change| change.1.is_some()) {
        assert_eq!(prove(&store, &key).unwrap().unwrap().verify(&model.root()), Ok(()));
    }
}

#[test]
fn a_snapshot_is_taken_over_piece_by_piece() {
    let (from, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let source = open(from.path());
    let mut tree = StateTree::open(&source).unwrap();
    (0..30).for_each(|number| commit(&source, &mut tree, number));
    let view = source.view();
    let root = tree.root();
    (30..33).for_each(|number| commit(&source, &mut tree, number));
    loop {
        // Opened anew for every piece, as after a crash.
        let target = open(to.path());
        let mut import = StateImport::open(&target, root).unwrap();
        let Some(piece) = prove_range(&*view, import.next_slot(), u64::MAX, 10_000).unwrap() else {
            assert_eq!(import.finish(&target).unwrap().root(), root);
            break;
        };
        let batch = import.accept(&piece).unwrap();
        target.write(batch, Durability::Synced).unwrap();
    }
    let target = open(to.path());
    assert_eq!(StateTree::open(&target).unwrap().root(), root);
    assert_eq!(verify_stored(&target).unwrap(), root);
}

/// Not a test of its own: what the killed process does.
#[test]
fn writer_process() {
    let Ok(directory) = std::env::var(WRITER_DIRECTORY) else { return };
    let store = open(Path::new(&directory));
    let mut tree = StateTree::open(&store).unwrap();
    let height =
        store.get(Table::Meta, b"height").unwrap().map_or(0, |h| u64::from_be_bytes(h.try_into().unwrap()) + 1);
    let mut out = std::io::stdout().lock();
    for number in height.. {
        commit(&store, &mut tree, number);
        writeln!(out, "\nacknowledged {number} {}", tree.root()).unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn a_killed_writer_loses_nothing_it_acknowledged() {
    let directory = TempDir::new().unwrap();
    let memory = MemoryStorage::new();
    let mut model = StateTree::open(&memory).unwrap();
    let mut done = 0;
    for blocks in [1, 7, 40, 3] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer_process", "--nocapture", "--test-threads=1"])
            .env(WRITER_DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = lines.map(Result::unwrap).filter_map(|line| {
            let (number, root) = line.strip_prefix("acknowledged ")?.split_once(' ')?;
            Some((number.parse::<u64>().ok()?, root.to_owned()))
        });
        let mut last = acknowledged.by_ref().nth(blocks - 1).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said between the last line read and its end counts too; the line it was killed in does not.
        for (number, root) in acknowledged.filter(|(_, root)| root.len() == 64) {
            last = (number, root);
        }
        let store = open(directory.path());
        let height = store.get(Table::Meta, b"height").unwrap().unwrap();
        let height = u64::from_be_bytes(height.try_into().unwrap());
        assert!(height == last.0 || height == last.0 + 1, "{height} found, {} acknowledged", last.0);
        while done <= height {
            commit(&memory, &mut model, done);
            if done == last.0 {
                assert_eq!(model.root().to_string(), last.1);
            }
            done += 1;
        }
        assert_eq!(StateTree::open(&store).unwrap().root(), model.root());
        assert_eq!(verify_stored(&store).unwrap(), model.root());
    }
}

#[test]
fn a_torn_log_leaves_whole_batches_from_the_front() {
    let origin = TempDir::new().unwrap();
    let store = open(origin.path());
    for n in 0u32..40 {
        let mut batch = Batch::new();
        for table in [Table::State, Table::Bodies, Table::Meta] {
            batch.put(table, n.to_be_bytes(), vec![1; 300]);
        }
        store.write(batch, Durability::Buffered).unwrap();
    }
    // RocksDB hands each record to the operating system at once, so the file is what a kill would leave behind.
    let logs = files(origin.path(), "log");
    let log = logs.iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let name = log.file_name().unwrap();
    let size = log.metadata().unwrap().len();
    let mut seen = Vec::new();
    for cut in [0, 1, 100, 907, 5000, size / 2, size - 2000] {
        let copy = TempDir::new().unwrap();
        for entry in std::fs::read_dir(origin.path()).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
        let torn = std::fs::OpenOptions::new().write(true).open(copy.path().join(name)).unwrap();
        torn.set_len(size - cut).unwrap();
        let store = open(copy.path());
        let state: Vec<Vec<u8>> = store.scan(Table::State, &[], None, 99).unwrap().into_iter().map(|e| e.0).collect();
        let expected: Vec<Vec<u8>> = (0u32..).take(state.len()).map(|n| n.to_be_bytes().to_vec()).collect();
        assert_eq!(state, expected, "{cut} bytes cut");
        assert_eq!(store.scan(Table::Bodies, &[], None, 99).unwrap().len(), state.len());
        seen.push(state.len());
    }
    assert_eq!(seen[0], 40);
    assert!(seen.is_sorted_by(|a, b| a >= b) && seen[6] < 5, "{seen:?}");
}

#[test]
fn a_flipped_bit_in_the_log_is_an_error_and_loses_nothing_silently() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    for n in 0u32..40 {
        put(&store, Table::State, &n.to_string(), &"v".repeat(300));
    }
    drop(store);
    let logs = files(directory.path(), "log");
    let log = logs.iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let good = std::fs::read(log).unwrap();
    for at in [60, good.len() / 3, good.len() / 2, good.len() - 1000] {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        std::fs::write(log, &bad).unwrap();
        let error = RocksStore::open(directory.path(), SMALL).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "byte {at}: {error}");
        assert_eq!(error.code(), "store.damaged");
    }
    std::fs::write(log, &good).unwrap();
    assert_eq!(open(directory.path()).scan(Table::State, &[], None, 99).unwrap().len(), 40);
}

#[test]
fn a_hole_between_two_logs_is_an_error() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let write = |table, from: u32, to: u32, bytes: usize| {
        for n in from..to {
            let mut batch = Batch::new();
            batch.put(table, n.to_be_bytes(), vec![2; bytes]);
            store.write(batch, Durability::Buffered).unwrap();
        }
    };
    // The headers stay in memory and in the first log, while filled memtables of another table begin new logs.
    write(Table::Headers, 0, 10, 300);
    write(Table::Bodies, 0, 60, 100_000);
    write(Table::Headers, 10, 20, 300);
    // Closing waits for flushes under way, which would remove files beneath us, and leaves the logs as they are.
    drop(store);
    let logs = files(directory.path(), "log");
    assert!(logs.len() > 1, "{logs:?}");
    let size = logs[0].metadata().unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&logs[0]).unwrap().set_len(size - 3000).unwrap();
    let opened = RocksStore::open(directory.path(), SMALL);
    assert!(matches!(opened, Err(StoreError::Damaged { .. })), "{opened:?}");
}

#[test]
fn damaged_and_missing_files_are_errors() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let mut tree = StateTree::open(&store).unwrap();
    (0..40).for_each(|number| commit(&store, &mut tree, number));
    store.flush().unwrap();
    store.verify_files().unwrap();
    drop(store);
    let tables = files(directory.path(), "sst");
    assert!(tables.len() >= 4, "{tables:?}");
    for file in &tables {
        let good = std::fs::read(file).unwrap();
        for at in [10, good.len() / 2] {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            std::fs::write(file, &bad).unwrap();
            let found = RocksStore::open(directory.path(), SMALL).and_then(|store| store.verify_files());
            assert!(matches!(found, Err(StoreError::Damaged { .. })), "{} byte {at}: {found:?}", file.display());
        }
        std::fs::remove_file(file).unwrap();
        let found = RocksStore::open(directory.path(), SMALL).map(drop);
        assert!(matches!(found, Err(StoreError::Damaged { .. })), "{} missing: {found:?}", file.display());
        std::fs::write(file, &good).unwrap();
    }
    assert_eq!(StateTree::open(&open(directory.path())).unwrap().root(), tree.root());
    let current = directory.path().join("CURRENT");
    std::fs::remove_file(current).unwrap();
    let found = RocksStore::open(directory.path(), SMALL).map(drop);
    assert!(matches!(found, Err(StoreError::Damaged { .. })), "{found:?}");
}

#[test]
fn a_damaged_block_is_an_error_for_whoever_reads_it() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    for n in 0u32..50 {
        put(&store, Table::State, &format!("{n:04}"), "some value");
    }
    store.flush().unwrap();
    drop(store);
    let flipped: Vec<PathBuf> = files(directory.path(), "sst")
        .into_iter()
        .filter(|file| {
            let mut bytes = std::fs::read(file).unwrap();
            let holds_state = bytes.windows(10).any(|window| window == b"some value");
            bytes[20] ^= 1;
            if holds_state {
                std::fs::write(file, &bytes).unwrap();
            }
            holds_state
        })
        .collect();
    assert!(!flipped.is_empty());
    let store = open(directory.path());
    assert!(store.get(Table::State, b"0000").unwrap_err().message.contains("Corruption"));
    assert!(store.get_many(Table::State, &[b"0000", b"0001"]).is_err());
    assert!(store.scan(Table::State, &[], None, 99).is_err());
    assert!(store.last(Table::State, None).is_err());
    assert!(store.view().get(Table::State, b"0000").is_err());
}

#[test]
fn a_checkpoint_is_a_store_of_its_own() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory.path().join("store"));
    let mut tree = StateTree::open(&store).unwrap();
    (0..20).for_each(|number| commit(&store, &mut tree, number));
    let copy = directory.path().join("copy");
    store.checkpoint(&copy).unwrap();
    let (before, root) = (dump(&store), tree.root());
    commit(&store, &mut tree, 20);
    let opened = open(&copy);
    assert_eq!(dump(&opened), before);
    let mut copied = StateTree::open(&opened).unwrap();
    assert_eq!(copied.root(), root);
    commit(&opened, &mut copied, 20);
    assert_eq!(copied.root(), tree.root());
    assert!(matches!(store.checkpoint(&copy), Err(StoreError::Io { .. })));
}

#[test]
fn a_pinned_view_stays_and_goes_with_its_holder() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store");
    let store = open(&path);
    let mut tree = StateTree::open(&store).unwrap();
    (0..20).for_each(|number| commit(&store, &mut tree, number));
    let root = tree.root();
    let pinned = store.pin().unwrap().unwrap();
    let entries = |view: &dyn View| view.scan(Table::State, &[], None, usize::MAX).unwrap();
    let before = entries(&store);
    (20..30).for_each(|number| commit(&store, &mut tree, number));
    store.flush().unwrap();
    assert_ne!(entries(&store), before);
    assert_eq!(entries(pinned.as_ref()), before);
    assert_eq!(StateTree::open(pinned.as_ref()).unwrap().root(), root);
    assert_eq!(pinned.last(Table::State, None).unwrap(), before.last().cloned());
    let second = store.pin().unwrap().unwrap();
    assert_eq!(entries(second.as_ref()), entries(&store));
    let folder = directory.path().join("store.pinned");
    let count = || std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(count(), 2);
    drop(second);
    assert_eq!(count(), 1);
    // It outlives the store; what a killed process left is removed when the store is opened.
    drop(store);
    assert_eq!(entries(pinned.as_ref()), before);
    drop(pinned);
    std::fs::create_dir(folder.join("7")).unwrap();
    drop(open(&path));
    assert!(!folder.exists());
}

#[test]
fn a_store_opened_for_reading_is_left_as_it_is() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("db");
    let store = open(&path);
    put(&store, Table::State, "flushed", "1");
    store.flush().unwrap();
    put(&store, Table::State, "in the log", "2");
    let written = dump(&store);
    drop(store);
    let content = || {
        let mut found: Vec<(PathBuf, Vec<u8>)> = std::fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .collect();
        found.sort();
        found
    };
    let before = content();
    let reading = RocksStore::open_read_only(&path, SMALL).unwrap();
    assert_eq!(dump(&reading), written, "what only the log holds too");
    reading.verify_files().unwrap();
    let mut batch = Batch::new();
    batch.put(Table::State, "x", "y");
    assert!(reading.write(batch, Durability::Synced).is_err());
    drop(reading);
    assert!(content() == before, "no file more, less or other");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing beside it");
    let nowhere = dir.path().join("nowhere");
    assert!(matches!(RocksStore::open_read_only(&nowhere, SMALL), Err(StoreError::Io { .. })));
    assert!(!nowhere.exists());
}

#[test]
fn a_second_open_is_refused() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let error = RocksStore::open(directory.path(), SMALL).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
    put(&store, Table::State, "a", "1");
    // Another process is refused too.
    let other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writer_process", "--nocapture"])
        .env(WRITER_DIRECTORY, directory.path())
        .output()
        .unwrap();
    assert!(!other.status.success());
    assert!(String::from_utf8_lossy(&other.stderr).contains("InUse"), "{other:?}");
    drop(store);
    open(directory.path());
}

#[test]
fn other_formats_are_refused() {
    let directory = TempDir::new().unwrap();
    for format in [b"\x02\0\0\0".as_slice(), b"\x01", b""] {
        let store = open(directory.path());
        assert_eq!(store.get(Table::Meta, FORMAT_KEY).unwrap(), Some(FORMAT_VERSION.to_le_bytes().to_vec()));
        let mut batch = Batch::new();
        batch.put(Table::Meta, FORMAT_KEY, format);
        batch.put(Table::State, "a", "1");
        store.write(batch, Durability::Synced).unwrap();
        drop(store);
        let error = RocksStore::open(directory.path(), SMALL).unwrap_err();
        assert!(matches!(error, StoreError::Format { supported: FORMAT_VERSION, .. }), "{error:?}");
        let db =
            rocksdb::DB::open_cf(&rocksdb::Options::default(), directory.path(), column_families(directory.path()))
                .unwrap();
        db.put_cf(db.cf_handle("meta").unwrap(), FORMAT_KEY, FORMAT_VERSION.to_le_bytes()).unwrap();
    }
    let mut db =
        rocksdb::DB::open_cf(&rocksdb::Options::default(), directory.path(), column_families(directory.path()))
            .unwrap();
    db.delete_cf(db.cf_handle("meta").unwrap(), FORMAT_KEY).unwrap();
    db.create_cf("from_the_future", &rocksdb::Options::default()).unwrap();
    drop(db);
    let error = RocksStore::open(directory.path(), SMALL).unwrap_err();
    assert!(error.to_string().contains("from_the_future"), "{error}");
    let mut db =
        rocksdb::DB::open_cf(&rocksdb::Options::default(), directory.path(), column_families(directory.path()))
            .unwrap();
    db.drop_cf("from_the_future").unwrap();
    drop(db);
    let error = RocksStore::open(directory.path(), SMALL).unwrap_err();
    assert!(error.to_string().contains("without a number"), "{error}");
}

#[test]
fn tables_of_a_later_version_are_made_when_it_opens_the_store() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    put(&store, Table::State, "a", "1");
    drop(store);
    // A store from before the vault: without its tables.
    let mut db =
        rocksdb::DB::open_cf(&rocksdb::Options::default(), directory.path(), column_families(directory.path()))
            .unwrap();
    for name in ["vault", "vault_copies", "vault_keys", "vault_audit"] {
        db.drop_cf(name).unwrap();
    }
    drop(db);
    assert!(!column_families(directory.path()).contains(&"vault".to_owned()));
    let store = open(directory.path());
    assert_eq!(store.get(Table::State, b"a").unwrap(), Some(b"1".to_vec()));
    put(&store, Table::VaultCopies, "b", "2");
    drop(store);
    assert_eq!(open(directory.path()).get(Table::VaultCopies, b"b").unwrap(), Some(b"2".to_vec()));
}

fn column_families(path: &Path) -> Vec<String> {
    rocksdb::DB::list_cf(&rocksdb::Options::default(), path).unwrap()
}

#[test]
fn senseless_options_and_places_are_refused() {
    let directory = TempDir::new().unwrap();
    for options in [
        StoreOptions { cache_bytes: 0, ..SMALL },
        StoreOptions { write_buffer_bytes: 1, ..SMALL },
        StoreOptions { open_files_max: 3, ..SMALL },
        StoreOptions { background_jobs: 0, ..SMALL },
    ] {
        assert_eq!(RocksStore::open(directory.path(), options).unwrap_err().code(), "store.io");
    }
    let file = directory.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(RocksStore::open(&file, SMALL).is_err());
    assert!(RocksStore::open(file.join("below"), SMALL).is_err());
}

#[test]
fn stats_follow_what_is_written() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    for n in 0..200 {
        put(&store, Table::Bodies, &n.to_string(), &"body".repeat(100));
    }
    let of = |table: Table| store.stats().unwrap().tables[table as usize];
    assert_eq!((of(Table::Bodies).table, of(Table::Bodies).files_bytes), (Table::Bodies, 0));
    assert!(of(Table::Bodies).memtable_bytes > 50_000);
    store.flush().unwrap();
    assert!(of(Table::Bodies).files_bytes > 0);
    assert_eq!(of(Table::Bodies).keys_estimate, 200);
    assert_eq!(of(Table::Pending).keys_estimate, 0);
    let stats = store.stats().unwrap();
    assert!(stats.files_bytes() >= of(Table::Bodies).files_bytes);
    assert_eq!((stats.background_errors, stats.writes_stopped), (0, false));
}
