//! Proofs, made from a view alone: a reader with a view proves while the next block is committed.

use vouch_types::{
    Hash32, RangeProof, StateEntry, StateProof, StateRoot,
    state::{RANGE_SLOTS_MAX, left_levels, page_levels, right_levels, slot_hash},
};

use super::{
    TreeError,
    levels::{UpperLevels, each_page},
    page::{CHILDREN, PAGE_CHILDREN, Page, page_key},
    record::{StateRecord, TreeHead},
};
use crate::storage::{Table, View};

/// Slots read in one go.
const SCAN_SLOTS: u64 = 4096;

/// Records counted in one go.
const SCAN_RECORDS: usize = 4096;

/// Slots after which the size of a piece is looked at.
const PIECE_STEP_SLOTS: u64 = 256;

/// Proves what a key holds, deletion included; `None` when it was never written, which the tree cannot prove.
///
/// # Errors
/// [`TreeError::Storage`], [`TreeError::Corrupt`].
pub fn prove(view: &dyn View, key: &[u8]) -> Result<Option<StateProof>, TreeError> {
    let Some(bytes) = view.get(Table::State, key)? else { return Ok(None) };
    let record = StateRecord::decode(&bytes)?;
    let head = TreeHead::read(view)?;
    let (leaf, siblings) = path(view, &head, record.slot)?;
    if leaf != slot_hash(record.slot, key, record.value) {
        return Err(TreeError::Corrupt { what: "leaf of a state key" });
    }
    Ok(Some(StateProof {
        key: key.to_vec(),
        value: record.value.map(<[u8]>::to_vec),
        slot: record.slot,
        slots: head.slots,
        siblings,
    }))
}

/// Proves what the slots from `from` hold, up to `to` (excluded) at most, in about `bytes_max` bytes of keys and values.
///
/// A piece that ends before `to` and before the last slot ends on a page's border, so that an importer can take it; the
/// first page's worth of slots is in it however large. `None` when no slot lies in the range.
///
/// # Errors
/// [`TreeError::Storage`], [`TreeError::Corrupt`].
pub fn prove_range(view: &dyn View, from: u64, to: u64, bytes_max: usize) -> Result<Option<RangeProof>, TreeError> {
    let head = TreeHead::read(view)?;
    let to = to.min(head.slots).min(from.saturating_add(RANGE_SLOTS_MAX));
    if from >= to {
        return Ok(None);
    }
    let entries = read_piece(view, from, to, bytes_max)?;
    let last = from + entries.len() as u64 - 1;
    let depth = 4 * page_levels(head.slots);
    let (_, of_first) = path(view, &head, from)?;
    let (_, of_last) = path(view, &head, last)?;
    Ok(Some(RangeProof {
        from,
        slots: head.slots,
        entries,
        left: left_levels(from, depth).map(|level| of_first[level as usize]).collect(),
        right: right_levels(last, depth).map(|level| of_last[level as usize]).collect(),
    }))
}

/// Recomputes the whole tree from the stored values and compares it with the stored pages: what a restore or `vouch check`
/// runs. Takes seconds per million keys.
///
/// # Errors
/// [`TreeError::Corrupt`] for the first thing that does not fit; [`TreeError::Storage`].
pub fn verify_stored(view: &dyn View) -> Result<StateRoot, TreeError> {
    let head = TreeHead::read(view)?;
    let mut lowest = Vec::new();
    let mut from = 0;
    while from < head.slots {
        let to = head.slots.min(from + SCAN_SLOTS);
        let leaves: Vec<Hash32> = (from..to)
            .zip(read_entries(view, from, to)?)
            .map(|(slot, entry)| slot_hash(slot, &entry.key, entry.value.as_deref()))
            .collect();
        lowest.extend(leaves.chunks(CHILDREN).map(|children| page_over(children).node()));
        from = to;
    }
    let mut stored = Vec::with_capacity(lowest.len());
    each_page(view, 0, |_, page| {
        stored.push(page.node());
        Ok(())
    })?;
    let (_, top) = UpperLevels::build(lowest.clone(), head.slots)?;
    if stored != lowest || top != head.top {
        return Err(TreeError::Corrupt { what: "hash of a tree page" });
    }
    if count_records(view)? != head.slots {
        return Err(TreeError::Corrupt { what: "number of state keys" });
    }
    Ok(head.root())
}

/// A page over up to sixteen leaves.
pub fn page_over(children: &[Hash32]) -> Page {
    let mut page = Page::default();
    for (child, hash) in (0..).zip(children) {
        page.set(child, *hash);
    }
    page
}

/// A slot's leaf and the siblings on its way up, checked against the head.
fn path(view: &dyn View, head: &TreeHead, slot: u64) -> Result<(Hash32, Vec<Hash32>), TreeError> {
    let number = |level: u32| slot.checked_shr(4 * level).unwrap_or(0);
    let levels = page_levels(head.slots);
    let keys: Vec<[u8; 9]> = (0..levels).map(|level| page_key(level, number(level + 1))).collect();
    let keys: Vec<&[u8]> = keys.iter().map(<[u8; 9]>::as_slice).collect();
    let mut siblings = Vec::with_capacity(4 * keys.len());
    let (mut leaf, mut below) = (Hash32::ZERO, None);
    for (level, bytes) in (0..levels).zip(view.get_many(Table::Tree, &keys)?) {
        let page = Page::from_bytes(&bytes.ok_or(TreeError::Corrupt { what: "missing tree page" })?)?;
        let child = *page.child(number(level));
        if child != *below.get_or_insert(child) {
            return Err(TreeError::Corrupt { what: "hash of a tree page" });
        }
        if level == 0 {
            leaf = child;
        }
        let (node, in_page) = page.path(number(level));
        siblings.extend_from_slice(&in_page);
        below = Some(node);
    }
    if slot < head.slots && below == Some(head.top) {
        Ok((leaf, siblings))
    } else {
        Err(TreeError::Corrupt { what: "hash of a tree page" })
    }
}

fn read_piece(view: &dyn View, from: u64, to: u64, bytes_max: usize) -> Result<Vec<StateEntry>, TreeError> {
    let mut entries: Vec<StateEntry> = Vec::new();
    let mut bytes = 0usize;
    let mut next = from;
    while next < to {
        let step_end = to.min((next / PIECE_STEP_SLOTS + 1) * PIECE_STEP_SLOTS);
        for (slot, entry) in (next..step_end).zip(read_entries(view, next, step_end)?) {
            bytes = bytes.saturating_add(entry.key.len()).saturating_add(entry.value.as_ref().map_or(0, Vec::len));
            if bytes > bytes_max && slot / PAGE_CHILDREN > from / PAGE_CHILDREN {
                // Back to the last border, so that the piece ends on a page.
                let whole = (slot / PAGE_CHILDREN * PAGE_CHILDREN).saturating_sub(from);
                entries.truncate(usize::try_from(whole).unwrap_or(usize::MAX));
                return Ok(entries);
            }
            entries.push(entry);
        }
        next = step_end;
    }
    Ok(entries)
}

/// What the slots from `from` to `to` (excluded) hold; all of them must be there.
fn read_entries(view: &dyn View, from: u64, to: u64) -> Result<Vec<StateEntry>, TreeError> {
    let corrupt = TreeError::Corrupt { what: "slots and state keys" };
    let count = usize::try_from(to - from).map_err(|_| corrupt.clone())?;
    let slots = view.scan(Table::Slots, &from.to_be_bytes(), Some(&to.to_be_bytes()), count)?;
    let consecutive = (from..to).zip(&slots).all(|(slot, entry)| entry.0 == slot.to_be_bytes());
    if slots.len() != count || !consecutive {
        return Err(corrupt);
    }
    let mut sorted: Vec<(u64, Vec<u8>)> = (from..to).zip(slots.into_iter().map(|entry| entry.1)).collect();
    sorted.sort_unstable_by(|a, b| a.1.cmp(&b.1));
    let keys: Vec<&[u8]> = sorted.iter().map(|(_, key)| key.as_slice()).collect();
    let records = view.get_many(Table::State, &keys)?;
    let mut entries = Vec::with_capacity(count);
    for ((slot, key), bytes) in sorted.into_iter().zip(records) {
        let bytes = bytes.ok_or_else(|| corrupt.clone())?;
        let record = StateRecord::decode(&bytes)?;
        if record.slot != slot {
            return Err(corrupt);
        }
        entries.push((slot, StateEntry { key, value: record.value.map(<[u8]>::to_vec) }));
    }
    entries.sort_unstable_by_key(|entry| entry.0);
    Ok(entries.into_iter().map(|entry| entry.1).collect())
}

fn count_records(view: &dyn View) -> Result<u64, TreeError> {
    let (mut count, mut from) = (0u64, Vec::new());
    loop {
        let entries = view.scan(Table::State, &from, None, SCAN_RECORDS)?;
        count += entries.len() as u64;
        let Some((last, _)) = entries.into_iter().next_back() else { return Ok(count) };
        from = last;
        from.push(0);
    }
}
