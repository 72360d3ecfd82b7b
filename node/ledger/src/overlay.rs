//! Changes on top of the committed state: what the block being executed has written so far, with undo.

use std::{collections::BTreeMap, sync::Arc};

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

/// Pending writes in key order. `None` stands for a deletion.
#[derive(Debug)]
pub struct Overlay {
    storage: Arc<dyn Storage>,
    pending: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    journal: Vec<Undo>,
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
        Self { storage, pending: BTreeMap::new(), journal: Vec::new() }
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
        if from >= to || limit == 0 {
            return Ok(Vec::new());
        }
        let mut found = BTreeMap::new();
        let mut at = from.to_vec();
        loop {
            let rows = self.storage.scan(Table::State, &at, Some(to), limit)?;
            let exhausted = rows.len() < limit;
            if let Some((last, _)) = rows.last() {
                at.clone_from(last);
                at.push(0);
            }
            for (key, row) in rows {
                if !self.pending.contains_key(&key)
                    && let Some(value) = row_value(row)?
                {
                    found.insert(key, value);
                }
            }
            if exhausted || found.len() >= limit {
                if !exhausted {
                    self.merge_pending(from, &at, &mut found);
                } else {
                    self.merge_pending(from, to, &mut found);
                }
                if exhausted || found.len() >= limit {
                    break;
                }
            }
        }
        Ok(found.into_iter().take(limit).collect())
    }

    fn merge_pending(&self, from: &[u8], to: &[u8], found: &mut BTreeMap<Vec<u8>, Vec<u8>>) {
        let range = self.pending.range::<[u8], _>((core::ops::Bound::Included(from), core::ops::Bound::Excluded(to)));
        for (key, value) in range {
            if let Some(value) = value {
                found.insert(key.clone(), value.clone());
            }
        }
    }

    /// All pending writes in ascending key order.
    #[must_use]
    pub fn into_changes(self) -> Vec<crate::tree::StateChange> {
        self.pending.into_iter().collect()
    }
}
