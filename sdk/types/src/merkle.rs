//! The binary Merkle tree over a block's lists: transactions, receipts, events.
//!
//! Leaf `H("vouch/merkle-leaf/1", data)`, inner node `H("vouch/merkle-node/1", left ‖ right)`; a last odd node is carried
//! up unchanged, so no leaf counts twice. The root binds the number of leaves: `H("vouch/merkle-root/1", count ‖ top)`.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use crate::hash::{Hash32, domain_hash};

/// Path from one leaf to the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct MerklePath {
    /// Position of the leaf, from 0.
    pub index: u32,
    /// Number of leaves under the root.
    pub count: u32,
    /// Sibling hashes, lowest first; levels at which the node was carried up have none.
    pub siblings: Vec<Hash32>,
}

/// Hash of one leaf's data.
#[must_use]
pub fn leaf_hash(data: &[u8]) -> Hash32 {
    domain_hash("vouch/merkle-leaf/1", &[data])
}

fn node_hash(left: &Hash32, right: &Hash32) -> Hash32 {
    domain_hash("vouch/merkle-node/1", &[&left.0, &right.0])
}

fn root_hash(count: u32, top: &Hash32) -> Hash32 {
    domain_hash("vouch/merkle-root/1", &[&count.to_le_bytes(), &top.0])
}

fn level_up(level: &[Hash32]) -> Vec<Hash32> {
    level
        .chunks(2)
        .map(|pair| match pair {
            [left, right] => node_hash(left, right),
            [single, ..] => *single,
            [] => Hash32::ZERO,
        })
        .collect()
}

/// Root over leaf hashes; no leaves give a root of their own.
///
/// # Panics
/// With more than `u32::MAX` leaves, which no block can hold.
#[must_use]
pub fn root(leaves: &[Hash32]) -> Hash32 {
    let count = u32::try_from(leaves.len()).expect("a block holds fewer than 2^32 items");
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = level_up(&level);
    }
    root_hash(count, level.first().unwrap_or(&Hash32::ZERO))
}

/// Path of leaf `index`; `None` when there is no such leaf.
#[must_use]
pub fn path(leaves: &[Hash32], index: usize) -> Option<MerklePath> {
    if index >= leaves.len() {
        return None;
    }
    let mut siblings = Vec::new();
    let mut level = leaves.to_vec();
    let mut at = index;
    while level.len() > 1 {
        if let Some(sibling) = level.get(at ^ 1) {
            siblings.push(*sibling);
        }
        level = level_up(&level);
        at /= 2;
    }
    Some(MerklePath { index: u32::try_from(index).ok()?, count: u32::try_from(leaves.len()).ok()?, siblings })
}

impl MerklePath {
    /// The root this path leads to from `leaf`; `None` when the path has not the shape its index and count call for.
    #[must_use]
    pub fn root_from(&self, leaf: &Hash32) -> Option<Hash32> {
        if self.index >= self.count {
            return None;
        }
        let mut siblings = self.siblings.iter();
        let (mut node, mut at, mut width) = (*leaf, self.index, self.count);
        while width > 1 {
            if (at ^ 1) < width {
                let sibling = siblings.next()?;
                node = if at & 1 == 0 { node_hash(&node, sibling) } else { node_hash(sibling, &node) };
            }
            at /= 2;
            width = width.div_ceil(2);
        }
        siblings.next().is_none().then(|| root_hash(self.count, &node))
    }
}
