//! Sets of a schema's slots: slot `i` is bit `i % 8` of byte `i / 8`, the least significant first, without zero bytes at the
//! end. One set has one byte string.

use vouch_contract::Vec;

/// Most slots of a schema.
pub const SLOTS_MAX: u16 = 1024;

/// Whether bytes are a set in its one form, with slots below `slots` only.
#[must_use]
pub fn is_valid(set: &[u8], slots: u16) -> bool {
    set.last() != Some(&0) && end(set) <= u32::from(slots)
}

/// One more than the largest slot, 0 for the empty set.
fn end(set: &[u8]) -> u32 {
    match set.iter().rposition(|byte| *byte != 0) {
        Some(at) => at as u32 * 8 + (8 - set[at].leading_zeros()),
        None => 0,
    }
}

/// Whether a slot is in the set.
#[must_use]
pub fn contains(set: &[u8], slot: u16) -> bool {
    set.get(usize::from(slot / 8)).is_some_and(|byte| byte >> (slot % 8) & 1 == 1)
}

/// The slots below `slots` for which `holds`.
pub fn collect(slots: u16, mut holds: impl FnMut(u16) -> bool) -> Vec<u8> {
    let mut set = Vec::with_capacity(usize::from(slots).div_ceil(8));
    for slot in 0..slots {
        if slot % 8 == 0 {
            set.push(0);
        }
        if holds(slot)
            && let Some(last) = set.last_mut()
        {
            *last |= 1 << (slot % 8);
        }
    }
    trim(&mut set);
    set
}

/// Adds the slots of another set.
pub fn unite(set: &mut Vec<u8>, other: &[u8]) {
    if set.len() < other.len() {
        set.resize(other.len(), 0);
    }
    set.iter_mut().zip(other).for_each(|(byte, more)| *byte |= more);
}

/// The slots in both.
#[must_use]
pub fn intersection(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut set: Vec<u8> = a.iter().zip(b).map(|(a, b)| a & b).collect();
    trim(&mut set);
    set
}

/// Whether every slot of `part` is in `whole`.
#[must_use]
pub fn is_subset(part: &[u8], whole: &[u8]) -> bool {
    part.iter().enumerate().all(|(at, byte)| byte & !whole.get(at).copied().unwrap_or(0) == 0)
}

fn trim(set: &mut Vec<u8>) {
    while set.last() == Some(&0) {
        set.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_what_their_slots_say() {
        let set = collect(20, |slot| slot % 5 == 0);
        assert_eq!(set, [0b0010_0001, 0b1000_0100]);
        assert!([0, 5, 10, 15].iter().all(|slot| contains(&set, *slot)) && !contains(&set, 1) && !contains(&set, 200));
        assert!(is_valid(&set, 16) && !is_valid(&set, 15) && is_valid(&[], 0) && !is_valid(&[1, 0], 20));
        assert_eq!(intersection(&set, &[1]), [1]);
        assert_eq!(intersection(&set, &[2, 0]), [0u8; 0]);
        assert!(is_subset(&[1], &set) && !is_subset(&[2], &set) && !is_subset(&[0, 0, 1], &set) && is_subset(&[], &[]));
        let mut more = [1].to_vec();
        unite(&mut more, &set);
        assert_eq!(more, set);
        assert_eq!(collect(0, |_| true), [0u8; 0]);
        assert_eq!(collect(1024, |_| true).len(), 128);
    }
}
