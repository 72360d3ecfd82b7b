//! A page: sixteen sibling nodes of the state tree, kept and read together.

use vouch_types::{Hash32, state::node_hash};

use super::TreeError;

/// Children of a page.
pub const PAGE_CHILDREN: u64 = 16;

/// The same as a length.
pub const CHILDREN: usize = 16;

/// Size of a stored page, in bytes.
pub const PAGE_BYTES: usize = 512;

/// Sixteen nodes side by side; zero where the tree has no slot yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Page([Hash32; CHILDREN]);

impl Page {
    /// The child at a position, counted modulo 16, so that a node's number on its level can be given as it is.
    #[must_use]
    pub const fn child(&self, number: u64) -> &Hash32 {
        &self.0[(number % PAGE_CHILDREN) as usize]
    }

    /// Sets the child at a position, counted modulo 16.
    pub const fn set(&mut self, number: u64, hash: Hash32) {
        self.0[(number % PAGE_CHILDREN) as usize] = hash;
    }

    /// The node above all sixteen.
    #[must_use]
    pub fn node(&self) -> Hash32 {
        self.fold(|_, _| {})
    }

    /// The node above all sixteen, and the four siblings on the way up from one child, lowest first.
    #[must_use]
    pub fn path(&self, number: u64) -> (Hash32, [Hash32; 4]) {
        let child = (number % PAGE_CHILDREN) as usize;
        let mut siblings = [Hash32::ZERO; 4];
        let node = self.fold(|level, nodes| siblings[level] = nodes[child >> level ^ 1]);
        (node, siblings)
    }

    fn fold(&self, mut seen: impl FnMut(usize, &[Hash32])) -> Hash32 {
        let mut nodes = self.0;
        for level in 0..4 {
            let width = 16 >> level;
            seen(level, &nodes[..width]);
            for pair in 0..width / 2 {
                nodes[pair] = node_hash(&nodes[2 * pair], &nodes[2 * pair + 1]);
            }
        }
        nodes[0]
    }

    /// The stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(PAGE_BYTES);
        for child in &self.0 {
            bytes.extend_from_slice(&child.0);
        }
        bytes
    }

    /// A page from its stored form.
    ///
    /// # Errors
    /// [`TreeError::Corrupt`] when it has not the size of a page.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TreeError> {
        let (children, rest) = bytes.as_chunks::<32>();
        let children: [[u8; 32]; 16] =
            children.try_into().map_err(|_| TreeError::Corrupt { what: "size of a tree page" })?;
        if !rest.is_empty() {
            return Err(TreeError::Corrupt { what: "size of a tree page" });
        }
        Ok(Self(children.map(Hash32)))
    }
}

/// A page with the nodes between its children and the one above, so that a change costs four hashes and not fifteen.
#[derive(Debug, Clone)]
pub struct HashedPage {
    /// As in a heap: the node above all at 1, those below node `n` at `2n` and `2n + 1`, the children from 16 on.
    heap: [Hash32; 2 * CHILDREN],
    /// Which nodes no longer fit those below them, one bit each.
    outdated: u32,
}

impl HashedPage {
    /// A page whose nodes are worked out when they are asked for.
    #[must_use]
    pub fn unhashed(page: &Page) -> Self {
        let mut heap = [Hash32::ZERO; 2 * CHILDREN];
        heap[CHILDREN..].copy_from_slice(&page.0);
        Self { heap, outdated: 0xffff }
    }

    /// Sets the child at a position, counted modulo 16.
    pub fn set(&mut self, number: u64, hash: Hash32) {
        let mut at = CHILDREN + (number % PAGE_CHILDREN) as usize;
        self.heap[at] = hash;
        while at > 1 {
            at /= 2;
            self.outdated |= 1 << at;
        }
    }

    /// The node above all sixteen.
    pub fn node(&mut self) -> Hash32 {
        for at in (1..CHILDREN).rev() {
            if self.outdated >> at & 1 == 1 {
                self.heap[at] = node_hash(&self.heap[2 * at], &self.heap[2 * at + 1]);
            }
        }
        self.outdated = 0;
        self.heap[1]
    }

    /// The page itself.
    #[must_use]
    pub fn page(&self) -> Page {
        let mut page = Page::default();
        page.0.copy_from_slice(&self.heap[CHILDREN..]);
        page
    }
}

/// Key of a page in [`crate::storage::Table::Tree`]: level, then page number big-endian. Level 0 is above the leaves.
#[must_use]
pub fn page_key(level: u32, page: u64) -> [u8; 9] {
    let mut key = [0; 9];
    // There are at most 16 levels.
    key[0] = level.to_le_bytes()[0];
    key[1..].copy_from_slice(&page.to_be_bytes());
    key
}

/// How many pages a level has over `slots`.
#[must_use]
pub const fn pages_on_level(slots: u64, level: u32) -> u64 {
    let shift = 4 * (level + 1);
    if slots == 0 {
        0
    } else if shift >= u64::BITS {
        1
    } else {
        ((slots - 1) >> shift) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_form_is_read_back_and_other_sizes_are_refused() {
        let mut page = Page::default();
        page.set(3, Hash32([7; 32]));
        page.set(31, Hash32([9; 32]));
        let bytes = page.to_bytes();
        assert_eq!(bytes.len(), PAGE_BYTES);
        assert_eq!(Page::from_bytes(&bytes).unwrap(), page);
        for wrong in [0, 1, 32, 511, 513, 544] {
            assert!(Page::from_bytes(&vec![0; wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_hashed_page_follows_its_children() {
        let mut page = Page::default();
        let mut hashed = HashedPage::unhashed(&page);
        assert_eq!(hashed.node(), Hash32::ZERO);
        for step in 0..200u64 {
            let hash = Hash32(*blake3::hash(&step.to_le_bytes()).as_bytes());
            page.set(step * step * 7 + step, hash);
            hashed.set(step * step * 7 + step, hash);
            if step % 3 != 1 {
                assert_eq!((hashed.node(), hashed.page()), (page.node(), page), "step {step}");
                assert_eq!(HashedPage::unhashed(&page).node(), page.node());
            }
        }
    }

    #[test]
    fn pages_are_counted() {
        for (slots, level, pages) in [
            (0, 0, 0),
            (1, 0, 1),
            (16, 0, 1),
            (17, 0, 2),
            (17, 1, 1),
            (257, 1, 2),
            (u64::MAX, 15, 1),
            (u64::MAX, 14, 16),
        ] {
            assert_eq!(pages_on_level(slots, level), pages, "{slots} slots, level {level}");
        }
    }
}
