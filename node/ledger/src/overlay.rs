//! Changes on top of the committed state: what the block being executed has written so far, with undo.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::Arc,
};

use crate::storage::{Entry, Storage, StorageError, Table};

/// Bytes before the value in a row of [`Table::State`]: slot and presence.
const ROW_HEADER_BYTES: usize = 9;

/// Reads the committed value of a state key.
///
/// # Errors
/// [`StorageError`], also for a row that is shorter than its header.
pub fn read_state(storage: &dyn Storage, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
    storage.get(Table::State, key)?.map_or(Ok(None), row_value)
}

fn row_value(mut row: Vec<u8>) -> Result<Option<Vec<u8>>, StorageError> {
    match row.get(ROW_HEADER_BYTES - 1) {
        Some(1) => Ok(Some(row.split_off(ROW_HEADER_BYTES))),
        Some(0) => Ok(None),
        _ => Err(StorageError { operation: "read a state row", message: "the row has no header".into() }),
    }
}

/// One undone write: the key and what the overlay held for it.
#[derive(Debug)]
struct Undo {
    key: Vec<u8>,
    before: Option<Option<Vec<u8>>>,
}

/// Point to go back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint(usize);

/// What a scan found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// The entries, in order.
    pub entries: Vec<Entry>,
    /// How many deleted keys were passed over, up to the last entry or, with fewer than asked for, to the end.
    pub passed: u64,
}

/// Stored rows of a range, read in lots.
struct Rows<'a> {
    storage: &'a dyn Storage,
    at: Vec<u8>,
    to: &'a [u8],
    read: VecDeque<Entry>,
    ended: bool,
}

impl Rows<'_> {
    /// The key of the next row, reading `lot` rows if none is there.
    fn peek(&mut self, lot: usize) -> Result<Option<&[u8]>, StorageError> {
        if self.read.is_empty() && !self.ended {
            let rows = self.storage.scan(Table::State, &self.at, Some(self.to), lot)?;
            self.ended = rows.len() < lot;
            if let Some((last, _)) = rows.last() {
                self.at.clone_from(last);
                self.at.push(0);
            }
            self.read = rows.into();
        }
        Ok(self.read.front().map(|(key, _)| key.as_slice()))
    }

    fn take(&mut self) -> Option<Entry> {
        self.read.pop_front()
    }
}

/// Pending writes in key order. `None` stands for a deletion.
#[derive(Debug)]
pub struct Overlay {
    storage: Arc<dyn Storage>,
    /// What was written here, and below it what the rows of a block hold that is not in the storage yet.
    pending: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    journal: Vec<Undo>,
    has_rows_below: bool,
}

impl core::fmt::Debug for dyn Storage {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Storage")
    }
}

impl Overlay {
    /// On top of what `storage` holds.
    #[must_use]
    pub const fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage, pending: BTreeMap::new(), journal: Vec::new(), has_rows_below: false }
    }

    /// On top of what `storage` will hold once `rows` of [`Table::State`] are written to it. It makes no difference when they are.
    ///
    /// # Errors
    /// [`StorageError`] for a row that is shorter than its header.
    pub fn above<'a>(
        storage: Arc<dyn Storage>,
        rows: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Self, StorageError> {
        let below = rows.map(|(key, row)| Ok((key.to_vec(), row_value(row.to_vec())?)));
        let pending = below.collect::<Result<_, StorageError>>()?;
        Ok(Self { storage, pending, journal: Vec::new(), has_rows_below: true })
    }

    /// The value a key has now.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        match self.pending.get(key) {
            Some(value) => Ok(value.clone()),
            None => read_state(self.storage.as_ref(), key),
        }
    }

    /// Sets (`Some`) or removes (`None`) a key.
    pub fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let before = self.pending.insert(key.clone(), value);
        self.journal.push(Undo { key, before });
    }

    /// Marks the present for [`Self::roll_back`].
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint(self.journal.len())
    }

    /// The keys written since the checkpoint, ascending, each once.
    #[must_use]
    pub fn changed_since(&self, from: Checkpoint) -> Vec<Vec<u8>> {
        let written = self.journal.iter().skip(from.0).map(|undo| undo.key.clone());
        written.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }

    /// Undoes all writes since the checkpoint.
    pub fn roll_back(&mut self, to: Checkpoint) {
        while self.journal.len() > to.0 {
            let Some(undo) = self.journal.pop() else { break };
            match undo.before {
                Some(value) => self.pending.insert(undo.key, value),
                None => self.pending.remove(&undo.key),
            };
        }
    }

    /// Up to `limit` present entries whose key is greater than or equal to `from` and less than `to`, in order.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Entry>, StorageError> {
        self.scan_within(from, to, limit, u64::MAX).map(|scanned| scanned.entries)
    }

    /// As [`Self::scan`], but gives up when it has passed over more than `passed_max` deleted keys: each of them is still a
    /// row that has to be read.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn scan_within(&self, from: &[u8], to: &[u8], limit: usize, passed_max: u64) -> Result<Scanned, StorageError> {
        let mut scanned = Scanned::default();
        if from >= to {
            return Ok(scanned);
        }
        let mut rows =
            Rows { storage: self.storage.as_ref(), at: from.to_vec(), to, read: VecDeque::new(), ended: false };
        let bounds = (Bound::Included(from), Bound::Excluded(to));
        let mut pending = self.pending.range::<[u8], _>(bounds).peekable();
        while scanned.entries.len() < limit && scanned.passed <= passed_max {
            let missing = limit.saturating_sub(scanned.entries.len());
            let is_pending = match (pending.peek(), rows.peek(missing)?) {
                (None, None) => break,
                (Some((written, _)), Some(stored)) => {
                    let order = written.as_slice().cmp(stored);
                    if order == Ordering::Equal {
                        // What was written since takes the row's place.
                        rows.take();
                    }
                    order != Ordering::Greater
                }
                (written, _) => written.is_some(),
            };
            let found = if is_pending {
                pending.next().and_then(|(key, value)| Some((key.clone(), value.clone()?)))
            } else {
                match rows.take() {
                    Some((key, row)) => row_value(row)?.map(|value| (key, value)),
                    None => None,
                }
            };
            match found {
                Some(entry) => scanned.entries.push(entry),
                None => scanned.passed = scanned.passed.saturating_add(1),
            }
        }
        Ok(scanned)
    }

    /// All pending writes in ascending key order, without the rows that are below.
    #[must_use]
    pub fn into_changes(mut self) -> Vec<crate::tree::StateChange> {
        if !self.has_rows_below {
            return self.pending.into_iter().collect();
        }
        let written = self.changed_since(Checkpoint(0));
        written.into_iter().filter_map(|key| self.pending.remove_entry(&key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        memory::MemoryStorage,
        storage::{Batch, Durability},
        tree::StateTree,
    };

    fn key(n: u32) -> Vec<u8> {
        n.to_be_bytes().to_vec()
    }

    /// Of a thousand keys every third is stored, every third stored as deleted; then some are written and deleted.
    fn overlay() -> (Overlay, BTreeMap<Vec<u8>, Option<Vec<u8>>>) {
        let (storage, mut model, mut batch) = (MemoryStorage::new(), BTreeMap::new(), Batch::new());
        for n in (0..1_000).filter(|n| n % 3 != 2) {
            let value = (n % 3 == 0).then(|| key(n));
            let mut row = vec![0; ROW_HEADER_BYTES - 1];
            row.push(u8::from(value.is_some()));
            row.extend(value.clone().unwrap_or_default());
            batch.put(Table::State, key(n), row);
            model.insert(key(n), value);
        }
        storage.write(batch, Durability::Synced).expect("memory");
        let mut overlay = Overlay::new(Arc::new(storage));
        for n in (0..1_000).filter(|n| n % 7 == 1 || n % 11 == 2) {
            let value = (n % 7 == 1).then(|| key(n + 1));
            overlay.set(key(n), value.clone());
            model.insert(key(n), value);
        }
        (overlay, model)
    }

    #[test]
    fn a_scan_returns_what_is_there_and_counts_what_is_not() {
        let (overlay, model) = overlay();
        for (from, to) in [(0, 1_000), (5, 5), (9, 5), (17, 640), (990, 2_000)] {
            for limit in [0, 1, 2, 10, 100, 5_000] {
                let mut expected = Scanned::default();
                let range = (from < to).then(|| model.range(key(from)..key(to)));
                for (key, value) in range.into_iter().flatten() {
                    if expected.entries.len() >= limit {
                        break;
                    }
                    match value {
                        Some(value) => expected.entries.push((key.clone(), value.clone())),
                        None => expected.passed += 1,
                    }
                }
                let found = overlay.scan_within(&key(from), &key(to), limit, u64::MAX).expect("memory");
                assert_eq!(found, expected, "{from} to {to}, {limit}");
                assert_eq!(overlay.scan(&key(from), &key(to), limit).expect("memory"), expected.entries);
                let cut = overlay.scan_within(&key(from), &key(to), limit, 3).expect("memory");
                assert_eq!(cut.passed, expected.passed.min(4), "it gives up after one more than it may");
                assert!(expected.entries.starts_with(&cut.entries));
            }
        }
    }

    #[test]
    fn rows_below_are_as_good_as_rows_in_the_storage() {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let prepare = |changes: &[(Vec<u8>, Option<Vec<u8>>)]| {
            StateTree::open(storage.as_ref()).expect("a tree").prepare(storage.as_ref(), changes, &[]).expect("changes")
        };
        let there: Vec<_> = (0..300).filter(|n| n % 3 != 2).map(|n| (key(n), Some(key(n)))).collect();
        storage.write(prepare(&there).take_batch(), Durability::Synced).expect("memory");
        let gone: Vec<_> = (0..300).filter(|n| n % 3 == 1).map(|n| (key(n), None)).collect();
        storage.write(prepare(&gone).take_batch(), Durability::Synced).expect("memory");

        // Of what is there, was there and never was there, some is set and some deleted.
        let block: Vec<_> = (0..300).filter(|n| n % 4 < 2).map(|n| (key(n), (n % 4 == 0).then(|| key(n + 7)))).collect();
        let mut update = prepare(&block);
        let mut ahead = Overlay::above(Arc::clone(&storage), update.state_rows()).expect("rows");
        let written = |overlay: &mut Overlay| {
            for n in (0..300).filter(|n| n % 5 < 2) {
                overlay.set(key(n), (n % 5 == 0).then(|| key(n + 9)));
            }
            let checkpoint = overlay.checkpoint();
            (0..300).for_each(|n| overlay.set(key(n), None));
            overlay.roll_back(checkpoint);
        };
        written(&mut ahead);
        let found = |overlay: &Overlay| {
            let ranges = [(0, 300), (5, 6), (17, 150), (290, 400)].map(|(from, to)| (key(from), key(to)));
            let scans = ranges.iter().flat_map(|(from, to)| [1, 10, 500].map(|limit| (from, to, limit)));
            let scans = scans.map(|(from, to, limit)| overlay.scan_within(from, to, limit, 20).expect("memory"));
            let values = (0..300).map(|n| overlay.get(&key(n)).expect("memory"));
            (scans.collect::<Vec<_>>(), values.collect::<Vec<_>>())
        };
        let before = found(&ahead);
        storage.write(update.take_batch(), Durability::Synced).expect("memory");
        let mut behind = Overlay::new(Arc::clone(&storage));
        written(&mut behind);
        assert_eq!(before, found(&behind), "before the block is stored");
        assert_eq!(found(&ahead), found(&behind), "afterwards");
        assert_eq!(ahead.into_changes(), behind.into_changes());
    }
}
