//! A block's changes, worked out against the tree and not yet part of it.

use vouch_types::{
    Hash32, StateRoot,
    state::{page_levels, slot_hash},
};

use super::{
    StateTree, TreeError,
    page::{HashedPage, PAGE_CHILDREN, Page, page_key, pages_on_level},
    record::{HEAD_KEY, StateRecord, TreeHead},
};
use crate::storage::{Batch, Change, Table, View};

/// A state key and its new value; `None` deletes it.
pub type StateChange = (Vec<u8>, Option<Vec<u8>>);

/// What the caller knows of a key's slot from having read its record. It must come from the state the update is prepared
/// on: a wrong hint is not found out here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KnownSlot {
    /// Nothing: it is looked up.
    #[default]
    Unknown,
    /// The key was never written.
    Unwritten,
    /// The key has this slot, be it present or deleted.
    Slot(u64),
}

impl From<Option<StateRecord<'_>>> for KnownSlot {
    fn from(record: Option<StateRecord<'_>>) -> Self {
        record.map_or(Self::Unwritten, |record| Self::Slot(record.slot))
    }
}

/// What a block makes of the state: its root, and the batch that brings it about.
#[derive(Debug)]
pub struct PreparedUpdate {
    batch: Batch,
    pub(super) base: TreeHead,
    pub(super) head: TreeHead,
    pub(super) upper: Vec<(u32, u64, Page)>,
}

impl PreparedUpdate {
    /// The state root after the update.
    #[must_use]
    pub fn root(&self) -> StateRoot {
        self.head.root()
    }

    /// Slots given out after the update.
    #[must_use]
    pub const fn slots(&self) -> u64 {
        self.head.slots
    }

    /// The rows of [`Table::State`] that the batch writes, unless it was taken.
    pub fn state_rows(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.batch.changes.iter().filter_map(|change| match change {
            Change::Put(Table::State, key, row) => Some((key.as_slice(), row.as_slice())),
            _ => None,
        })
    }

    /// Takes the changes of [`Table::State`], [`Table::Slots`], [`Table::Tree`] and [`Table::Meta`], to be written in one
    /// batch with the rest of the block; a second call gives an empty batch.
    #[must_use]
    pub fn take_batch(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }
}

impl StateTree {
    /// Works out what `changes` make of the state that `view` and this tree hold. Neither is changed.
    ///
    /// `changes` are in ascending order of distinct keys. New keys get the next slots in that order; deleting a key that was
    /// never written gives it none. `known` is empty, or has one hint for each change.
    ///
    /// # Errors
    /// [`TreeError::Unsorted`]; [`TreeError::Storage`]; [`TreeError::Corrupt`] when `view` holds another state than this
    /// tree; [`TreeError::SlotsExhausted`].
    pub fn prepare(
        &self,
        view: &dyn View,
        changes: &[StateChange],
        known: &[KnownSlot],
    ) -> Result<PreparedUpdate, TreeError> {
        let sorted = changes.is_sorted_by(|a, b| a.0 < b.0);
        if !sorted || !(known.is_empty() || known.len() == changes.len()) {
            return Err(TreeError::Unsorted);
        }
        let known = self.look_up(view, changes, known)?;
        let mut batch = Batch { changes: Vec::with_capacity(changes.len() * 3) };
        let (slots, leaves) = self.put_records(changes, &known, &mut batch)?;
        let mut update = PreparedUpdate { batch, base: self.head, head: self.head, upper: Vec::new() };
        if leaves.is_empty() {
            return Ok(update);
        }
        let nodes = self.put_lowest(view, &leaves, &mut update.batch)?;
        let top = self.put_upper(slots, nodes, &mut update);
        update.head = TreeHead::new(slots, top);
        update.batch.put(Table::Meta, HEAD_KEY, update.head.encode());
        Ok(update)
    }

    /// Hints with every unknown replaced by what `view` says.
    fn look_up(
        &self,
        view: &dyn View,
        changes: &[StateChange],
        known: &[KnownSlot],
    ) -> Result<Vec<KnownSlot>, TreeError> {
        let mut known = if known.is_empty() { vec![KnownSlot::Unknown; changes.len()] } else { known.to_vec() };
        let unknown: Vec<usize> = (0..known.len()).filter(|&index| known[index] == KnownSlot::Unknown).collect();
        if !unknown.is_empty() {
            let keys: Vec<&[u8]> = unknown.iter().map(|&index| changes[index].0.as_slice()).collect();
            for (index, record) in unknown.into_iter().zip(view.get_many(Table::State, &keys)?) {
                known[index] = record.as_deref().map(StateRecord::decode).transpose()?.into();
            }
        }
        Ok(known)
    }

    /// Gives out slots and puts the records; returns the number of slots afterwards and the leaves by ascending slot.
    fn put_records(
        &self,
        changes: &[StateChange],
        known: &[KnownSlot],
        batch: &mut Batch,
    ) -> Result<(u64, Vec<(u64, Hash32)>), TreeError> {
        let mut slots = self.head.slots;
        let mut leaves = Vec::with_capacity(changes.len());
        for ((key, value), known) in changes.iter().zip(known) {
            let value = value.as_deref();
            let slot = match *known {
                KnownSlot::Slot(slot) if slot < self.head.slots => slot,
                KnownSlot::Slot(_) => return Err(TreeError::Corrupt { what: "slot of a state key" }),
                _ if value.is_none() => continue,
                _ => {
                    let slot = slots;
                    slots = slots.checked_add(1).ok_or(TreeError::SlotsExhausted)?;
                    batch.put(Table::Slots, slot.to_be_bytes(), key.as_slice());
                    slot
                }
            };
            batch.put(Table::State, key.as_slice(), StateRecord { slot, value }.encode());
            leaves.push((slot, slot_hash(slot, key, value)));
        }
        leaves.sort_unstable_by_key(|leaf| leaf.0);
        Ok((slots, leaves))
    }

    /// Puts the changed pages of the lowest level; returns their nodes.
    fn put_lowest(
        &self,
        view: &dyn View,
        leaves: &[(u64, Hash32)],
        batch: &mut Batch,
    ) -> Result<Vec<(u64, Hash32)>, TreeError> {
        let there = pages_on_level(self.head.slots, 0);
        let mut numbers: Vec<u64> =
            leaves.iter().map(|leaf| leaf.0 / PAGE_CHILDREN).take_while(|&number| number < there).collect();
        numbers.dedup();
        let keys: Vec<[u8; 9]> = numbers.iter().map(|&number| page_key(0, number)).collect();
        let keys: Vec<&[u8]> = keys.iter().map(<[u8; 9]>::as_slice).collect();
        let mut stored = numbers.iter().zip(view.get_many(Table::Tree, &keys)?);
        each_changed_page(
            leaves,
            |number| match stored.next() {
                Some((&stored_number, bytes)) if stored_number == number => self.checked_page(number, bytes.as_deref()),
                _ => Ok(HashedPage::unhashed(&Page::default())),
            },
            |number, page| batch.put(Table::Tree, page_key(0, number), page.to_bytes()),
        )
    }

    /// Puts the changed pages of all upper levels of a tree that grew to `slots`; returns the topmost node.
    fn put_upper(&self, slots: u64, mut nodes: Vec<(u64, Hash32)>, update: &mut PreparedUpdate) -> Hash32 {
        let levels_before = page_levels(self.head.slots);
        for level in 1..page_levels(slots) {
            let base = |number| {
                let mut page = self.upper.get(level, number).copied().unwrap_or_default();
                if level == levels_before && number == 0 {
                    // The tree grew a level: what was the top becomes the first child.
                    page.set(0, self.head.top);
                }
                Ok::<_, std::convert::Infallible>(HashedPage::unhashed(&page))
            };
            let changed = each_changed_page(&nodes, base, |number, page| {
                update.batch.put(Table::Tree, page_key(level, number), page.to_bytes());
                update.upper.push((level, number, *page));
            });
            nodes = match changed {
                Ok(nodes) => nodes,
                Err(never) => match never {},
            };
        }
        nodes.first().map_or(Hash32::ZERO, |node| node.1)
    }
}

/// Sets `children` (ascending numbers and hashes) in their pages; returns the numbers and nodes of these pages.
fn each_changed_page<E>(
    children: &[(u64, Hash32)],
    mut base: impl FnMut(u64) -> Result<HashedPage, E>,
    mut changed: impl FnMut(u64, &Page),
) -> Result<Vec<(u64, Hash32)>, E> {
    let mut nodes = Vec::with_capacity(children.len() / 4 + 1);
    for of_page in children.chunk_by(|a, b| a.0 / PAGE_CHILDREN == b.0 / PAGE_CHILDREN) {
        let number = of_page[0].0 / PAGE_CHILDREN;
        let mut page = base(number)?;
        for (child, hash) in of_page {
            page.set(*child, *hash);
        }
        changed(number, &page.page());
        nodes.push((number, page.node()));
    }
    Ok(nodes)
}
