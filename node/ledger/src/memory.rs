//! Storage in memory, with the faults a disk has: lost unsynced writes, errors, a full disk. For tests and the simulator.
//!
//! Every entry keeps the versions that living views may still read, so a view costs nothing to make, and a write costs
//! what it changes. Same calls, same results: nothing here depends on time, threads or addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use parking_lot::{Mutex, RwLock};

use crate::storage::{Batch, Change, Durability, Entry, Storage, StorageError, Table, View};

/// What a disk says when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// EIO.
    InputOutput,
    /// ENOSPC.
    DiskFull,
}

impl FaultKind {
    const fn message(self) -> &'static str {
        match self {
            Self::InputOutput => "input/output error (injected)",
            Self::DiskFull => "no space left on device (injected)",
        }
    }
}

/// Calls that fail: those numbered `first` to `last`, counted from 1 since the storage was made, see [`Counters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// How they fail.
    pub kind: FaultKind,
    /// The first call that fails.
    pub first: u64,
    /// The last call that fails; `u64::MAX` for all from `first` on.
    pub last: u64,
    /// Whether a failed write took effect all the same, unsynced: the caller cannot know.
    pub takes_effect: bool,
}

/// What was asked of the storage so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Writes, failed ones included.
    pub writes: u64,
    /// Those among them with [`Durability::Synced`].
    pub synced_writes: u64,
    /// Reads on the storage or its views, failed ones included.
    pub reads: u64,
    /// Calls that an injected fault failed.
    pub faults: u64,
    /// Crashes.
    pub crashes: u64,
}

/// Versions of one entry, ascending; `None` is a deletion.
type Versions = Vec<(u64, Option<Arc<[u8]>>)>;
type Rows = BTreeMap<Vec<u8>, Versions>;
/// What a write replaced, in the order it did.
type Undo = Vec<(Table, Vec<u8>, Option<Arc<[u8]>>)>;

#[derive(Debug, Default)]
struct State {
    tables: [Rows; Table::ALL.len()],
    version: u64,
    /// Undo of each write since the last synced one.
    unsynced: Vec<Undo>,
    /// Entries with versions that only older views need.
    stale: BTreeSet<(Table, Vec<u8>)>,
    /// Living views by the version they see.
    views: BTreeMap<u64, u64>,
}

#[derive(Debug, Default)]
struct Faults {
    write: Option<Fault>,
    read: Option<Fault>,
    counters: Counters,
}

/// The storage. Its faults are set by a test while others use it.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    state: RwLock<State>,
    faults: Mutex<Faults>,
}

impl MemoryStorage {
    /// Empty, without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes writes fail; `None` makes them succeed again.
    pub fn set_write_fault(&self, fault: Option<Fault>) {
        self.faults.lock().write = fault;
    }

    /// Makes reads fail; `None` makes them succeed again. [`Fault::takes_effect`] means nothing here.
    pub fn set_read_fault(&self, fault: Option<Fault>) {
        self.faults.lock().read = fault;
    }

    /// What was asked so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.faults.lock().counters
    }

    /// Writes that a crash may lose.
    #[must_use]
    pub fn unsynced_writes(&self) -> usize {
        self.state.read().unsynced.len()
    }

    /// Loses power: of the writes since the last synced one the first `keep_prefix` stay (and are now durable), the others
    /// are gone. What was synced stays. Faults that were set stay set.
    pub fn crash(&self, keep_prefix: usize) {
        let mut state = self.state.write();
        let kept = keep_prefix.min(state.unsynced.len());
        let lost = state.unsynced.split_off(kept);
        state.unsynced.clear();
        state.version += 1;
        for (table, key, before) in lost.into_iter().rev().flat_map(|undo| undo.into_iter().rev()) {
            state.set(table, key, before);
        }
        state.sweep();
        drop(state);
        self.faults.lock().counters.crashes += 1;
    }

    fn count_read(&self) -> Result<(), StorageError> {
        let mut faults = self.faults.lock();
        faults.counters.reads += 1;
        let number = faults.counters.reads;
        match faults.read.filter(|fault| (fault.first..=fault.last).contains(&number)) {
            Some(fault) => {
                faults.counters.faults += 1;
                Err(StorageError { operation: "read", message: fault.kind.message().into() })
            }
            None => Ok(()),
        }
    }

    fn count_write(&self, durability: Durability) -> Option<Fault> {
        let mut faults = self.faults.lock();
        faults.counters.writes += 1;
        faults.counters.synced_writes += u64::from(durability == Durability::Synced);
        let number = faults.counters.writes;
        let fault = faults.write.filter(|fault| (fault.first..=fault.last).contains(&number));
        faults.counters.faults += u64::from(fault.is_some());
        fault
    }

    fn get_at(&self, table: Table, key: &[u8], version: Option<u64>) -> Result<Option<Vec<u8>>, StorageError> {
        self.count_read()?;
        let state = self.state.read();
        Ok(state.rows(table).get(key).and_then(|versions| seen(versions, version)).map(<[u8]>::to_vec))
    }

    fn scan_at(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
        version: Option<u64>,
    ) -> Result<Vec<Entry>, StorageError> {
        self.count_read()?;
        if to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        let state = self.state.read();
        let end = to.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = state.rows(table).range::<[u8], _>((Bound::Included(from), end));
        Ok(rows
            .filter_map(|(key, versions)| Some((key.clone(), seen(versions, version)?.to_vec())))
            .take(limit)
            .collect())
    }

    fn last_at(
        &self,
        table: Table,
        before: Option<&[u8]>,
        version: Option<u64>,
    ) -> Result<Option<Entry>, StorageError> {
        self.count_read()?;
        let state = self.state.read();
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rows = state.rows(table).range::<[u8], _>((Bound::Unbounded, end)).rev();
        Ok(rows.find_map(|(key, versions)| Some((key.clone(), seen(versions, version)?.to_vec()))))
    }
}

/// The value at a version, or the newest.
fn seen(versions: &Versions, version: Option<u64>) -> Option<&[u8]> {
    let newest = versions.iter().rev().find(|(at, _)| version.is_none_or(|version| *at <= version))?;
    newest.1.as_deref()
}

impl State {
    fn rows(&self, table: Table) -> &Rows {
        &self.tables[table as usize]
    }

    /// Sets an entry at the current version; returns what it held.
    fn set(&mut self, table: Table, key: Vec<u8>, value: Option<Arc<[u8]>>) -> Option<Arc<[u8]>> {
        let oldest_seen = self.views.first_key_value().map_or(self.version, |view| *view.0);
        let versions = self.tables[table as usize].entry(key.clone()).or_default();
        let before = versions.last().and_then(|version| version.1.clone());
        if versions.last().is_some_and(|last| last.0 == self.version) {
            versions.pop();
        }
        versions.push((self.version, value));
        let unseen = versions.iter().filter(|version| version.0 <= oldest_seen).count().saturating_sub(1);
        versions.drain(..unseen);
        if versions.len() > 1 || versions[0].1.is_none() {
            self.stale.insert((table, key));
        }
        before
    }

    fn apply(&mut self, batch: Batch) -> Undo {
        self.version += 1;
        let mut undo = Undo::new();
        for change in batch.changes {
            match change {
                Change::Put(table, key, value) => {
                    let before = self.set(table, key.clone(), Some(value.into()));
                    undo.push((table, key, before));
                }
                Change::Delete(table, key) => self.remove(table, key, &mut undo),
                Change::DeleteRange(table, from, to) if from < to => {
                    let keys: Vec<_> = self.rows(table).range(from..to).map(|(key, _)| key.clone()).collect();
                    keys.into_iter().for_each(|key| self.remove(table, key, &mut undo));
                }
                Change::DeleteRange(..) => {}
            }
        }
        undo
    }

    fn remove(&mut self, table: Table, key: Vec<u8>, undo: &mut Undo) {
        if self.rows(table).get(&key).is_some_and(|versions| seen(versions, None).is_some()) {
            let before = self.set(table, key.clone(), None);
            undo.push((table, key, before));
        }
    }

    /// Drops all versions but the newest, unless a living view looks further back.
    fn sweep(&mut self) {
        if self.views.first_key_value().is_some_and(|view| *view.0 != self.version) {
            return;
        }
        for (table, key) in std::mem::take(&mut self.stale) {
            let rows = &mut self.tables[table as usize];
            if let Some(versions) = rows.get_mut(&key) {
                versions.drain(..versions.len() - 1);
                if versions[0].1.is_none() {
                    rows.remove(&key);
                }
            }
        }
    }
}

impl View for MemoryStorage {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.get_at(table, key, None)
    }

    fn get_many(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        keys.iter().map(|key| self.get_at(table, key, None)).collect()
    }

    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StorageError> {
        self.scan_at(table, from, to, limit, None)
    }

    fn last(&self, table: Table, before: Option<&[u8]>) -> Result<Option<Entry>, StorageError> {
        self.last_at(table, before, None)
    }
}

impl Storage for MemoryStorage {
    fn view(&self) -> Box<dyn View + '_> {
        let mut state = self.state.write();
        let version = state.version;
        *state.views.entry(version).or_default() += 1;
        Box::new(MemoryView { storage: self, version })
    }

    fn pin(&self) -> Result<Option<Arc<dyn View>>, StorageError> {
        self.count_read()?;
        let state = self.state.read();
        let mut copy = State::default();
        for (rows, kept) in state.tables.iter().zip(&mut copy.tables) {
            *kept = rows
                .iter()
                .filter_map(|(key, versions)| {
                    let (_, value) = versions.last().filter(|newest| newest.1.is_some())?;
                    Some((key.clone(), vec![(0, value.clone())]))
                })
                .collect();
        }
        Ok(Some(Arc::new(Self { state: RwLock::new(copy), faults: Mutex::default() })))
    }

    fn write(&self, batch: Batch, durability: Durability) -> Result<(), StorageError> {
        let fault = self.count_write(durability);
        if fault.is_none_or(|fault| fault.takes_effect) {
            let mut state = self.state.write();
            let undo = state.apply(batch);
            if fault.is_none() && durability == Durability::Synced {
                state.unsynced.clear();
            } else {
                state.unsynced.push(undo);
            }
            state.sweep();
        }
        match fault {
            Some(fault) => Err(StorageError { operation: "write", message: fault.kind.message().into() }),
            None => Ok(()),
        }
    }
}

/// What the storage held at one version.
struct MemoryView<'a> {
    storage: &'a MemoryStorage,
    version: u64,
}

impl Drop for MemoryView<'_> {
    fn drop(&mut self) {
        let mut state = self.storage.state.write();
        if let Some(count) = state.views.get_mut(&self.version) {
            *count -= 1;
            if *count == 0 {
                state.views.remove(&self.version);
            }
        }
    }
}

impl View for MemoryView<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.storage.get_at(table, key, Some(self.version))
    }

    fn get_many(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        keys.iter().map(|key| self.storage.get_at(table, key, Some(self.version))).collect()
    }

    fn scan(&self, table: Table, from: &[u8], to: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, StorageError> {
        self.storage.scan_at(table, from, to, limit, Some(self.version))
    }

    fn last(&self, table: Table, before: Option<&[u8]>) -> Result<Option<Entry>, StorageError> {
        self.storage.last_at(table, before, Some(self.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table = Table::State;

    fn put(storage: &MemoryStorage, key: &str, value: &str, durability: Durability) {
        let mut batch = Batch::new();
        batch.put(TABLE, key, value);
        storage.write(batch, durability).unwrap();
    }

    fn content(view: &dyn View) -> Vec<(String, String)> {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        view.scan(TABLE, &[], None, usize::MAX).unwrap().into_iter().map(|(k, v)| (text(k), text(v))).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    #[test]
    fn reads_are_ordered_and_bounded() {
        let storage = MemoryStorage::new();
        for key in ["b", "a", "d", "c"] {
            put(&storage, key, key, Durability::Synced);
        }
        let keys = |from: &str, to: Option<&str>, limit| -> Vec<Vec<u8>> {
            let entries = storage.scan(TABLE, from.as_bytes(), to.map(str::as_bytes), limit).unwrap();
            entries.into_iter().map(|entry| entry.0).collect()
        };
        assert_eq!(keys("", None, 9), [b"a", b"b", b"c", b"d"]);
        assert_eq!(keys("b", Some("d"), 9), [b"b", b"c"]);
        assert_eq!(keys("b", None, 1), [b"b"]);
        assert!(keys("c", Some("b"), 9).is_empty());
        assert_eq!(storage.last(TABLE, None).unwrap().unwrap().0, b"d");
        assert_eq!(storage.last(TABLE, Some(b"d")).unwrap().unwrap().0, b"c");
        assert_eq!(storage.last(TABLE, Some(b"a")).unwrap(), None);
        assert_eq!(storage.get_many(TABLE, &[b"x", b"a"]).unwrap(), [None, Some(b"a".to_vec())]);
        assert_eq!(storage.get(Table::Meta, b"a").unwrap(), None);
    }

    #[test]
    fn views_do_not_move() {
        let storage = MemoryStorage::new();
        put(&storage, "a", "1", Durability::Synced);
        put(&storage, "b", "1", Durability::Synced);
        let before = storage.view();
        put(&storage, "a", "2", Durability::Synced);
        let between = storage.view();
        let mut batch = Batch::new();
        batch.delete_range(TABLE, "a", "b");
        batch.put(TABLE, "c", "3");
        batch.delete(TABLE, "b");
        storage.write(batch, Durability::Synced).unwrap();
        for _ in 0..2 {
            assert_eq!(content(&*before), pairs(&[("a", "1"), ("b", "1")]));
            assert_eq!(content(&*between), pairs(&[("a", "2"), ("b", "1")]));
            assert_eq!(content(&storage), pairs(&[("c", "3")]));
            put(&storage, "d", "4", Durability::Synced);
            put(&storage, "a", "5", Durability::Synced);
            let mut batch = Batch::new();
            batch.delete(TABLE, "a");
            batch.delete(TABLE, "d");
            storage.write(batch, Durability::Synced).unwrap();
        }
        drop((before, between));
        put(&storage, "c", "4", Durability::Synced);
        let state = storage.state.read();
        assert!(state.stale.is_empty());
        assert_eq!(state.rows(TABLE).values().map(Vec::len).sum::<usize>(), 1);
    }

    #[test]
    fn a_crash_loses_unsynced_writes_from_a_point_on() {
        for keep in 0..=4 {
            let storage = MemoryStorage::new();
            put(&storage, "a", "0", Durability::Buffered);
            put(&storage, "a", "1", Durability::Synced);
            put(&storage, "a", "2", Durability::Buffered);
            let mut batch = Batch::new();
            batch.delete(TABLE, "a");
            batch.put(TABLE, "b", "3");
            batch.put(TABLE, "b", "4");
            storage.write(batch, Durability::Buffered).unwrap();
            put(&storage, "a", "5", Durability::Buffered);
            assert_eq!(storage.unsynced_writes(), 3);
            storage.crash(keep);
            let expected = match keep {
                0 => pairs(&[("a", "1")]),
                1 => pairs(&[("a", "2")]),
                2 => pairs(&[("b", "4")]),
                _ => pairs(&[("a", "5"), ("b", "4")]),
            };
            assert_eq!(content(&storage), expected, "{keep} kept");
            storage.crash(0);
            assert_eq!(content(&storage), expected, "what survived a crash is durable");
        }
    }

    #[test]
    fn faults_hit_the_calls_they_name() {
        let storage = MemoryStorage::new();
        let fault = Fault { kind: FaultKind::DiskFull, first: 2, last: 2, takes_effect: false };
        storage.set_write_fault(Some(fault));
        put(&storage, "a", "1", Durability::Synced);
        let mut batch = Batch::new();
        batch.put(TABLE, "a", "2");
        let error = storage.write(batch.clone(), Durability::Synced).unwrap_err();
        assert!(error.message.contains("no space"), "{error}");
        assert_eq!(content(&storage), pairs(&[("a", "1")]));
        storage.set_write_fault(Some(Fault {
            kind: FaultKind::InputOutput,
            first: 3,
            last: u64::MAX,
            takes_effect: true,
        }));
        assert!(storage.write(batch.clone(), Durability::Synced).is_err());
        assert_eq!(content(&storage), pairs(&[("a", "2")]));
        storage.crash(0);
        assert_eq!(content(&storage), pairs(&[("a", "1")]), "a failed write was never durable");
        assert!(storage.write(batch, Durability::Buffered).is_err());
        storage.set_read_fault(Some(Fault {
            kind: FaultKind::InputOutput,
            first: 0,
            last: u64::MAX,
            takes_effect: false,
        }));
        assert!(storage.get(TABLE, b"a").is_err());
        assert!(storage.view().last(TABLE, None).is_err());
        let counters = storage.counters();
        assert_eq!((counters.writes, counters.synced_writes, counters.faults, counters.crashes), (4, 3, 5, 1));
    }
}
