//! The state tree as anyone can check it: a binary Merkle tree over slots.
//!
//! Every state key gets the next free slot on its first write, counted from 0, and keeps it for ever; a deleted key leaves
//! a tombstone behind. New records therefore stand side by side at the right edge, however their keys are spread. That one
//! key has one slot is what execution guarantees; that a key was never written is what this tree cannot show.
//!
//! ```text
//! leaf       keyed(LEAF_KEY,      slot u64 LE ‖ key length u32 LE ‖ key ‖ value)
//! tombstone  keyed(TOMBSTONE_KEY, slot u64 LE ‖ key)
//! no slot    32 zero bytes, at every level
//! node(l, r) 32 zero bytes when both are, else keyed(NODE_KEY, l ‖ r)
//! root       domain_hash("vouch/state-root/1", slots u64 LE ‖ top)
//! ```
//!
//! `keyed` is BLAKE3's keyed mode; a node is one compression. The depth is `4·p`, where `p` is the smallest number from 1
//! with `16^p ≥ slots`: nodes store the tree in pages of 16 children, and a page never straddles the top. At ten million
//! keys a path is 24 hashes, 768 bytes.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use crate::hash::{Hash32, StateRoot, domain_hash};

/// BLAKE3 of `vouch/state-leaf/1`.
pub const LEAF_KEY: [u8; 32] = [
    0x92, 0x21, 0xdf, 0xa5, 0xba, 0xb0, 0xf6, 0x04, 0x76, 0x3f, 0x5a, 0x76, 0x5e, 0xaf, 0xa3, 0x53, 0x79, 0xd5, 0x4d,
    0x51, 0x32, 0x1c, 0x6c, 0xa4, 0x6a, 0x90, 0x48, 0xd6, 0x9f, 0x99, 0x44, 0xeb,
];
/// BLAKE3 of `vouch/state-tombstone/1`.
pub const TOMBSTONE_KEY: [u8; 32] = [
    0x38, 0x26, 0x1e, 0x4d, 0x89, 0x32, 0x36, 0x34, 0xfb, 0xe8, 0xd2, 0xf0, 0xfe, 0x1c, 0x39, 0x3a, 0x72, 0x48, 0x45,
    0x9a, 0x11, 0x6b, 0xe3, 0xeb, 0xf9, 0x72, 0x9c, 0x4b, 0x5b, 0x2a, 0x8c, 0xa5,
];
/// BLAKE3 of `vouch/state-node/1`.
pub const NODE_KEY: [u8; 32] = [
    0x1f, 0x82, 0xdc, 0xa5, 0xf4, 0x90, 0x01, 0x1b, 0xbf, 0xe2, 0x08, 0x82, 0x86, 0x75, 0x61, 0x57, 0x21, 0xda, 0xdd,
    0x4d, 0xda, 0x1b, 0x21, 0x0d, 0x5b, 0x08, 0xf0, 0x15, 0x0e, 0x27, 0x8f, 0x0e,
];

/// Most hashes a path can have: the depth at `u64::MAX` slots.
pub const DEPTH_MAX: u32 = 64;

/// Most slots one [`RangeProof`] may cover.
pub const RANGE_SLOTS_MAX: u64 = 65_536;

/// Leaves up to this size are hashed from one buffer on the stack, in bytes.
const LEAF_BUFFER_BYTES: usize = 512;

/// Why a proof shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateProofError {
    /// The slot, or the range's end, is not below the number of slots; or the range is empty or too long.
    #[error("slots {from} to {to} are not a valid part of {slots} slots")]
    Range {
        /// First slot.
        from: u64,
        /// Slot after the last.
        to: u64,
        /// Slots in the tree, as the proof says.
        slots: u64,
    },
    /// There are more or fewer sibling hashes than the slot and the number of slots call for.
    #[error("{actual} sibling hashes, expected {expected}")]
    Siblings {
        /// How many there must be.
        expected: usize,
        /// How many there are.
        actual: usize,
    },
    /// The path leads to another root.
    #[error("the path leads to another state root")]
    Root,
}

impl StateProofError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Range { .. } => "state_proof.range",
            Self::Siblings { .. } => "state_proof.siblings",
            Self::Root => "state_proof.root",
        }
    }
}

/// Number of page levels over `slots`: the smallest `p` from 1 with `16^p ≥ slots`, at most 16.
#[must_use]
pub const fn page_levels(slots: u64) -> u32 {
    let mut levels = 1;
    while levels < 16 && (1u64 << (4 * levels)) < slots {
        levels += 1;
    }
    levels
}

/// Depth of the binary tree over `slots`: sibling hashes from a leaf to the top.
#[must_use]
pub const fn depth(slots: u64) -> u32 {
    4 * page_levels(slots)
}

/// Hash of a slot whose key has a value.
///
/// # Panics
/// With a key of 4 GiB or more, which no decoder lets in.
#[must_use]
pub fn leaf_hash(slot: u64, key: &[u8], value: &[u8]) -> Hash32 {
    let key_bytes = u32::try_from(key.len()).expect("keys are bounded far below 4 GiB");
    keyed(&LEAF_KEY, &[&slot.to_le_bytes(), &key_bytes.to_le_bytes(), key, value])
}

/// Hash of a slot whose key was deleted.
#[must_use]
pub fn tombstone_hash(slot: u64, key: &[u8]) -> Hash32 {
    keyed(&TOMBSTONE_KEY, &[&slot.to_le_bytes(), key])
}

/// Hash of a slot: a leaf, or a tombstone when there is no value.
#[must_use]
pub fn slot_hash(slot: u64, key: &[u8], value: Option<&[u8]>) -> Hash32 {
    match value {
        Some(value) => leaf_hash(slot, key, value),
        None => tombstone_hash(slot, key),
    }
}

/// Hash over two children; zero when both are.
#[must_use]
pub fn node_hash(left: &Hash32, right: &Hash32) -> Hash32 {
    if *left == Hash32::ZERO && *right == Hash32::ZERO {
        return Hash32::ZERO;
    }
    let mut pair = [0; 64];
    pair[..32].copy_from_slice(&left.0);
    pair[32..].copy_from_slice(&right.0);
    Hash32(*blake3::keyed_hash(&NODE_KEY, &pair).as_bytes())
}

/// The state root over the number of slots and the topmost node (zero when there is no slot).
#[must_use]
pub fn root_hash(slots: u64, top: &Hash32) -> StateRoot {
    StateRoot(domain_hash("vouch/state-root/1", &[&slots.to_le_bytes(), &top.0]).0)
}

fn keyed(key: &[u8; 32], parts: &[&[u8]]) -> Hash32 {
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    let mut buffer = [0; LEAF_BUFFER_BYTES];
    let Some(whole) = buffer.get_mut(..bytes) else {
        let mut hasher = blake3::Hasher::new_keyed(key);
        for part in parts {
            hasher.update(part);
        }
        return Hash32(*hasher.finalize().as_bytes());
    };
    let mut at = 0;
    for part in parts {
        whole[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    Hash32(*blake3::keyed_hash(key, whole).as_bytes())
}

/// Shows that a slot holds a key and its value, or its tombstone, under a state root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct StateProof {
    /// The state key.
    #[serde(with = "crate::hex_serde")]
    pub key: Vec<u8>,
    /// Its value; `None` when it was deleted.
    #[serde(with = "crate::hex_serde::option")]
    pub value: Option<Vec<u8>>,
    /// Its slot.
    pub slot: u64,
    /// Slots in the tree.
    pub slots: u64,
    /// Sibling hashes, lowest first, exactly [`depth`]`(slots)` of them.
    pub siblings: Vec<Hash32>,
}

impl StateProof {
    /// Checks the proof against a state root, which the caller took from a header it trusts.
    ///
    /// # Errors
    /// [`StateProofError`]; the proof then shows nothing.
    pub fn verify(&self, root: &StateRoot) -> Result<(), StateProofError> {
        if self.slot >= self.slots {
            return Err(StateProofError::Range { from: self.slot, to: self.slot.saturating_add(1), slots: self.slots });
        }
        check_count(depth(self.slots) as usize, self.siblings.len())?;
        let mut node = slot_hash(self.slot, &self.key, self.value.as_deref());
        for (level, sibling) in self.siblings.iter().enumerate() {
            node = if self.slot >> level & 1 == 0 { node_hash(&node, sibling) } else { node_hash(sibling, &node) };
        }
        check_root(self.slots, &node, root)
    }
}

/// What one slot holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct StateEntry {
    /// The state key.
    #[serde(with = "crate::hex_serde")]
    pub key: Vec<u8>,
    /// Its value; `None` when it was deleted.
    #[serde(with = "crate::hex_serde::option")]
    pub value: Option<Vec<u8>>,
}

/// Shows everything a run of slots holds under a state root: one piece of a snapshot.
///
/// The entries fill the slots from `from` on without a gap. `left` holds the siblings on the way up from the first slot
/// that lie left of the run, `right` those on the way up from the last slot that lie right of it, both lowest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct RangeProof {
    /// First slot.
    pub from: u64,
    /// Slots in the tree.
    pub slots: u64,
    /// What the slots hold, 1 to [`RANGE_SLOTS_MAX`] of them.
    pub entries: Vec<StateEntry>,
    /// Siblings left of the run.
    pub left: Vec<Hash32>,
    /// Siblings right of the run.
    pub right: Vec<Hash32>,
}

impl RangeProof {
    /// The slot after the last one, at most `u64::MAX`.
    #[must_use]
    pub fn to(&self) -> u64 {
        self.from.saturating_add(self.entries.len() as u64)
    }

    /// Hashes of the entries, lowest slot first: the tree's leaves from [`RangeProof::from`] on.
    #[must_use]
    pub fn leaves(&self) -> Vec<Hash32> {
        (self.from..self.to())
            .zip(&self.entries)
            .map(|(slot, entry)| slot_hash(slot, &entry.key, entry.value.as_deref()))
            .collect()
    }

    /// Checks the piece against a state root, which the caller took from a header it trusts, and returns its leaves.
    ///
    /// # Errors
    /// [`StateProofError`]; the piece then shows nothing.
    pub fn verify(&self, root: &StateRoot) -> Result<Vec<Hash32>, StateProofError> {
        let count = self.entries.len() as u64;
        let to = self.to();
        if count == 0 || count > RANGE_SLOTS_MAX || to - self.from != count || to > self.slots {
            return Err(StateProofError::Range { from: self.from, to, slots: self.slots });
        }
        let depth = depth(self.slots);
        let (first, last) = (self.from, to - 1);
        check_count(left_levels(first, depth).count(), self.left.len())?;
        check_count(right_levels(last, depth).count(), self.right.len())?;
        let leaves = self.leaves();
        let top = self.fold(&leaves, depth).ok_or(StateProofError::Root)?;
        check_root(self.slots, &top, root)?;
        Ok(leaves)
    }

    /// Pairs each level up, with the border siblings put where the run does not begin or end with a pair.
    fn fold(&self, leaves: &[Hash32], depth: u32) -> Option<Hash32> {
        let (mut left, mut right) = (self.left.iter(), self.right.iter());
        let (mut first, mut last) = (self.from, self.to() - 1);
        let mut nodes = Vec::with_capacity(leaves.len() + 2);
        nodes.extend_from_slice(leaves);
        for _ in 0..depth {
            if first & 1 == 1 {
                nodes.insert(0, *left.next()?);
            }
            if last & 1 == 0 {
                nodes.push(*right.next()?);
            }
            let pairs = nodes.len() / 2;
            for pair in 0..pairs {
                nodes[pair] = node_hash(&nodes[2 * pair], &nodes[2 * pair + 1]);
            }
            nodes.truncate(pairs);
            first >>= 1;
            last >>= 1;
        }
        nodes.first().copied()
    }
}

/// Levels, from the leaves up, at which the path from a run's first slot has its sibling left of the run.
pub fn left_levels(first: u64, depth: u32) -> impl Iterator<Item = u32> {
    (0..depth.min(DEPTH_MAX)).filter(move |level| first >> level & 1 == 1)
}

/// Levels, from the leaves up, at which the path from a run's last slot has its sibling right of the run.
pub fn right_levels(last: u64, depth: u32) -> impl Iterator<Item = u32> {
    (0..depth.min(DEPTH_MAX)).filter(move |level| last >> level & 1 == 0)
}

fn check_count(expected: usize, actual: usize) -> Result<(), StateProofError> {
    if expected == actual { Ok(()) } else { Err(StateProofError::Siblings { expected, actual }) }
}

fn check_root(slots: u64, top: &Hash32, root: &StateRoot) -> Result<(), StateProofError> {
    if root_hash(slots, top) == *root { Ok(()) } else { Err(StateProofError::Root) }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "the numbers here are small and chosen")]
mod tests {
    use super::*;
    use crate::codec::{decode, encode};

    /// The tree written down once more, as plainly as the specification: every level in full.
    struct Naive {
        levels: Vec<Vec<Hash32>>,
        entries: Vec<StateEntry>,
    }

    impl Naive {
        fn new(entries: Vec<StateEntry>) -> Self {
            let slots = entries.len() as u64;
            let mut level: Vec<Hash32> = (0..slots)
                .zip(&entries)
                .map(|(slot, e)| {
                    let mut bytes = slot.to_le_bytes().to_vec();
                    let tag = if e.value.is_some() { "vouch/state-leaf/1" } else { "vouch/state-tombstone/1" };
                    if e.value.is_some() {
                        bytes.extend((e.key.len() as u32).to_le_bytes());
                    }
                    bytes.extend(&e.key);
                    bytes.extend(e.value.iter().flatten());
                    Hash32(*blake3::keyed_hash(blake3::hash(tag.as_bytes()).as_bytes(), &bytes).as_bytes())
                })
                .collect();
            level.resize(16usize.pow(page_levels(slots)), Hash32::ZERO);
            let mut levels = vec![level];
            while levels.last().unwrap().len() > 1 {
                levels.push(levels.last().unwrap().chunks(2).map(|p| node_hash(&p[0], &p[1])).collect());
            }
            Self { levels, entries }
        }

        fn root(&self) -> StateRoot {
            root_hash(self.entries.len() as u64, &self.levels.last().unwrap()[0])
        }

        fn sibling(&self, slot: u64, level: u32) -> Hash32 {
            self.levels[level as usize][(slot >> level ^ 1) as usize]
        }

        fn prove(&self, slot: u64) -> StateProof {
            let slots = self.entries.len() as u64;
            let entry = self.entries[slot as usize].clone();
            let siblings = (0..depth(slots)).map(|level| self.sibling(slot, level)).collect();
            StateProof { key: entry.key, value: entry.value, slot, slots, siblings }
        }

        fn prove_range(&self, from: u64, to: u64) -> RangeProof {
            let slots = self.entries.len() as u64;
            let depth = depth(slots);
            RangeProof {
                from,
                slots,
                entries: self.entries[from as usize..to as usize].to_vec(),
                left: left_levels(from, depth).map(|l| self.sibling(from, l)).collect(),
                right: right_levels(to - 1, depth).map(|l| self.sibling(to - 1, l)).collect(),
            }
        }
    }

    fn entries(count: u64) -> Vec<StateEntry> {
        (0..count)
            .map(|n| StateEntry {
                key: format!("key/{n}").into_bytes(),
                value: (n % 5 != 3).then(|| vec![n as u8; (n % 700) as usize]),
            })
            .collect()
    }

    #[test]
    fn keys_are_the_hashes_of_their_tags() {
        for (key, tag) in [
            (LEAF_KEY, "vouch/state-leaf/1"),
            (TOMBSTONE_KEY, "vouch/state-tombstone/1"),
            (NODE_KEY, "vouch/state-node/1"),
        ] {
            assert_eq!(hex::encode(key), hex::encode(blake3::hash(tag.as_bytes()).as_bytes()), "{tag}");
        }
    }

    #[test]
    fn levels_grow_at_powers_of_sixteen() {
        for (slots, levels) in
            [(0, 1), (1, 1), (16, 1), (17, 2), (256, 2), (257, 3), (10_000_000, 6), (1 << 60, 15), (u64::MAX, 16)]
        {
            assert_eq!(page_levels(slots), levels, "{slots}");
        }
    }

    #[test]
    fn every_slot_is_proved_and_every_change_of_a_proof_is_refused() {
        for count in [1, 2, 15, 16, 17, 100, 256, 257] {
            let naive = Naive::new(entries(count));
            let root = naive.root();
            for slot in 0..count {
                let proof = naive.prove(slot);
                assert_eq!(proof.verify(&root), Ok(()));
                for mutated in mutations(&proof) {
                    assert!(mutated.verify(&root).is_err(), "{mutated:?}");
                }
                let bytes = encode(&proof);
                assert_eq!(decode::<StateProof>("state proof", &bytes, 4096).unwrap(), proof);
            }
        }
    }

    fn mutations(proof: &StateProof) -> Vec<StateProof> {
        let mut all = Vec::new();
        let mut add = |change: &dyn Fn(&mut StateProof)| {
            let mut mutated = proof.clone();
            change(&mut mutated);
            all.push(mutated);
        };
        add(&|p| p.key.push(0));
        add(&|p| p.value = if p.value.is_some() { None } else { Some(Vec::new()) });
        add(&|p| p.value.get_or_insert_default().push(1));
        add(&|p| p.slot ^= 1);
        add(&|p| p.slot = u64::MAX);
        add(&|p| p.slots += 1);
        add(&|p| p.slots = 0);
        add(&|p| p.slots *= 16);
        add(&|p| p.siblings.truncate(p.siblings.len() - 1));
        add(&|p| p.siblings.push(Hash32::ZERO));
        for level in 0..proof.siblings.len() {
            add(&|p| p.siblings[level].0[level % 32] ^= 1);
        }
        all
    }

    #[test]
    fn a_byte_moved_between_key_and_value_is_refused() {
        let naive = Naive::new(vec![StateEntry { key: b"ab".to_vec(), value: Some(b"cd".to_vec()) }]);
        let mut proof = naive.prove(0);
        proof.key = b"abc".to_vec();
        proof.value = Some(b"d".to_vec());
        assert_eq!(proof.verify(&naive.root()), Err(StateProofError::Root));
    }

    #[test]
    fn roots_are_pinned() {
        for (count, root) in [
            (0, "770c0001490c51d2b3d357c46344b8a6a5aa6253d9920232dcd06bb6a57e509f"),
            (1, "5d96c8b6ef88be0018c03dbd63b2663693dbd8eb1ecc1ba3de87ff4034986a00"),
            (20, "13b0efc9f4f6fe9131c6132b99ea9a70f71445817525264f4f35ee667194c0d1"),
        ] {
            assert_eq!(Naive::new(entries(count)).root().to_string(), root, "{count} slots");
        }
    }

    #[test]
    fn all_ranges_are_proved() {
        for count in [1, 2, 16, 17, 40] {
            let naive = Naive::new(entries(count));
            let root = naive.root();
            for from in 0..count {
                for to in from + 1..=count {
                    let proof = naive.prove_range(from, to);
                    assert_eq!(proof.verify(&root).as_deref(), Ok(&naive.levels[0][from as usize..to as usize]));
                }
            }
        }
    }

    #[test]
    fn changed_ranges_are_refused() {
        let naive = Naive::new(entries(300));
        let root = naive.root();
        let proof = naive.prove_range(33, 210);
        assert!(proof.verify(&root).is_ok());
        let check = |change: &dyn Fn(&mut RangeProof)| {
            let mut mutated = proof.clone();
            change(&mut mutated);
            assert!(mutated.verify(&root).is_err(), "{:?}", (mutated.from, mutated.slots, mutated.entries.len()));
        };
        check(&|p| p.from += 1);
        check(&|p| p.from = u64::MAX - 3);
        check(&|p| p.slots += 1);
        check(&|p| p.slots = 0);
        check(&|p| p.entries.clear());
        check(&|p| p.entries.truncate(176));
        check(&|p| p.entries = p.entries.split_off(1));
        check(&|p| p.entries.swap(4, 5));
        check(&|p| p.entries[17].value = None);
        check(&|p| p.entries[176].key.push(1));
        check(&|p| p.left.push(Hash32::ZERO));
        check(&|p| p.left.truncate(p.left.len() - 1));
        check(&|p| p.left[0].0[0] ^= 1);
        check(&|p| p.right.truncate(p.right.len() - 1));
        check(&|p| p.right[1].0[31] ^= 1);
    }
}
