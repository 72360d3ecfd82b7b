//! The tree of RFC 9162 over 32-byte leaves: split at the largest power of two below the count, no leaf counted twice.

use sha2::{Digest as _, Sha256};

/// SHA-256 over parts; the caller's parts have fixed lengths or begin with a tag, so that their split does not matter.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    sha256(&[&[1], left, right])
}

/// Largest power of two below `count`, which is at least 2.
const fn split(count: usize) -> usize {
    1 << (usize::BITS - 1 - (count - 1).leading_zeros())
}

/// The head of the tree; that of no leaves is the hash of nothing, as in the RFC.
pub(crate) fn head(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => sha256(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node(&head(left), &head(right))
        }
    }
}

/// Siblings from the leaf upwards; `None` when there is no such leaf.
pub(crate) fn path(leaves: &[[u8; 32]], index: usize) -> Option<Vec<[u8; 32]>> {
    if index >= leaves.len() {
        return None;
    }
    if leaves.len() == 1 {
        return Some(Vec::new());
    }
    let at = split(leaves.len());
    let (left, right) = leaves.split_at(at);
    let (mut below, sibling) =
        if index < at { (path(left, index)?, head(right)) } else { (path(right, index - at)?, head(left)) };
    below.push(sibling);
    Some(below)
}

/// The head that a leaf and its path lead to, by RFC 9162 section 2.1.3.2; `None` when the path has not the length that
/// index and count call for.
pub(crate) fn head_from(leaf: &[u8; 32], index: usize, count: usize, path: &[[u8; 32]]) -> Option<[u8; 32]> {
    if index >= count {
        return None;
    }
    let (mut at, mut last, mut hash) = (index, count - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: usize) -> Vec<[u8; 32]> {
        (0..count).map(|i| sha256(&[&[0], &u64::try_from(i).unwrap().to_be_bytes()])).collect()
    }

    #[test]
    fn every_leaf_of_every_small_tree_leads_to_the_head() {
        for count in 1..=70 {
            let leaves = leaves(count);
            for (index, leaf) in leaves.iter().enumerate() {
                let path = path(&leaves, index).unwrap();
                assert_eq!(head_from(leaf, index, count, &path), Some(head(&leaves)), "{index} of {count}");
            }
            assert_eq!(path(&leaves, count), None);
        }
    }

    #[test]
    fn another_place_or_length_leads_elsewhere() {
        let leaves = leaves(13);
        let good = path(&leaves, 5).unwrap();
        for index in (0..13).filter(|index| *index != 5) {
            assert_ne!(head_from(&leaves[5], index, 13, &good), Some(head(&leaves)), "{index}");
        }
        assert_eq!(head_from(&leaves[5], 13, 13, &good), None);
        assert_eq!(head_from(&leaves[5], 5, 13, &good[1..]), None);
        assert_eq!(head_from(&leaves[5], 5, 13, &[good.clone(), vec![[0; 32]]].concat()), None);
        assert_ne!(head_from(&leaves[5], 5, 13, &good.iter().rev().copied().collect::<Vec<_>>()), Some(head(&leaves)));
    }

    #[test]
    fn the_empty_tree_is_the_hash_of_nothing() {
        let expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex::encode(head(&[])), expected);
    }
}
