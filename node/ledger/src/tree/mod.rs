//! The state tree: which slot each state key has, and the Merkle tree over the slots.
//!
//! What is hashed is specified in [`vouch_types::state`]; here it is kept in pages of sixteen nodes. The lowest level of
//! pages stays in storage, all levels above are also in memory: 21 MB at ten million keys. A block's changes are
//! *prepared* against the current tree without touching it, so that several blocks may compete for one height; one of them
//! is *committed* after its batch was written. Proofs are made from a [`View`] alone, beside the next commit.
//!
//! ```text
//! changes --prepare--> PreparedUpdate --batch--> storage
//!                           |  root --> header
//!                           +--commit--> levels in memory
//! ```
//!
//! Deliberately not here: what keys mean, blocks, and who decides what is written.

mod import;
mod levels;
mod page;
mod prove;
mod record;
#[cfg(test)]
mod tests;
mod update;

use vouch_types::{Hash32, StateProofError, StateRoot, state::page_levels};

use crate::storage::{StorageError, Table, View};

pub use import::{IMPORT_ALIGNMENT, StateImport};
pub use page::{PAGE_BYTES, PAGE_CHILDREN, Page};
pub use prove::{prove, prove_range, verify_stored};
pub use record::{StateRecord, TreeHead};
pub use update::{KnownSlot, PreparedUpdate, StateChange};

use levels::UpperLevels;
use page::{HashedPage, page_key, pages_on_level};

/// Why the tree cannot answer or go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The storage failed: the node must stop.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// What is stored is not what this tree wrote, or not of one moment: the node must stop.
    #[error("stored state is corrupt: {what}")]
    Corrupt {
        /// What does not fit.
        what: &'static str,
    },
    /// A snapshot import was begun and not finished: finish or clear it first.
    #[error("an import of the state is unfinished")]
    ImportUnfinished,
    /// There is state already, or an import of another state: clear it first.
    #[error("the state is not empty")]
    NotEmpty,
    /// The changes are not in ascending order of distinct keys, or the hints do not belong to them: a defect of the caller.
    #[error("changes must be sorted by distinct keys, with one hint each or none at all")]
    Unsorted,
    /// The update was prepared on another state than the current one: a defect of the caller.
    #[error("update was prepared on another state")]
    Stale,
    /// All 2^64 slots are given out.
    #[error("no slot is left")]
    SlotsExhausted,
    /// A snapshot piece does not follow the last one or does not end on a page's border: bad input from a peer.
    #[error("expected the piece of the snapshot from slot {expected}, ending on a page")]
    OutOfOrder {
        /// First slot of the piece that is due.
        expected: u64,
    },
    /// A snapshot piece does not verify: bad input from a peer.
    #[error(transparent)]
    Proof(#[from] StateProofError),
}

impl TreeError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Storage(_) => "state_tree.storage",
            Self::Corrupt { .. } => "state_tree.corrupt",
            Self::ImportUnfinished => "state_tree.import_unfinished",
            Self::NotEmpty => "state_tree.not_empty",
            Self::Unsorted => "state_tree.unsorted",
            Self::Stale => "state_tree.stale",
            Self::SlotsExhausted => "state_tree.slots_exhausted",
            Self::OutOfOrder { .. } => "state_tree.out_of_order",
            Self::Proof(error) => error.code(),
        }
    }
}

/// The tree at the last committed block.
#[derive(Debug)]
pub struct StateTree {
    head: TreeHead,
    upper: UpperLevels,
}

impl StateTree {
    /// Loads the tree from storage and checks that its parts belong together: the upper levels among each other and with
    /// the head, the rightmost page and the number of slots. [`verify_stored`] checks the rest.
    ///
    /// # Errors
    /// [`TreeError::Storage`], [`TreeError::Corrupt`], [`TreeError::ImportUnfinished`].
    pub fn open(view: &dyn View) -> Result<Self, TreeError> {
        if view.get(Table::Meta, record::IMPORT_KEY)?.is_some() {
            return Err(TreeError::ImportUnfinished);
        }
        let head = TreeHead::read(view)?;
        let tree = Self { head, upper: UpperLevels::read(view, head.slots)? };
        tree.check_upper()?;
        tree.check_edge(view)?;
        Ok(tree)
    }

    /// The root over everything committed.
    #[must_use]
    pub fn root(&self) -> StateRoot {
        self.head.root()
    }

    /// Slots given out, tombstones included.
    #[must_use]
    pub const fn slots(&self) -> u64 {
        self.head.slots
    }

    /// Takes over an update whose batch is on stable storage.
    ///
    /// # Errors
    /// [`TreeError::Stale`] when it was prepared on another state; nothing is changed then.
    pub fn commit(&mut self, update: PreparedUpdate) -> Result<(), TreeError> {
        if update.base != self.head {
            return Err(TreeError::Stale);
        }
        for (level, number, page) in update.upper {
            self.upper.set(level, number, page)?;
        }
        self.head = update.head;
        Ok(())
    }

    /// What the page at `number` must hash to: the child of the page above it, or the top.
    fn expected_node(&self, level: u32, number: u64) -> Result<&Hash32, TreeError> {
        if level + 1 == page_levels(self.head.slots) && number == 0 {
            return Ok(&self.head.top);
        }
        let parent = self.upper.get(level + 1, number / PAGE_CHILDREN);
        parent.map(|page| page.child(number)).ok_or(TreeError::Corrupt { what: "number of tree pages" })
    }

    /// A stored page of the lowest level, checked against the level above.
    fn checked_page(&self, number: u64, bytes: Option<&[u8]>) -> Result<HashedPage, TreeError> {
        let page = Page::from_bytes(bytes.ok_or(TreeError::Corrupt { what: "missing tree page" })?)?;
        let mut page = HashedPage::unhashed(&page);
        if page.node() == *self.expected_node(0, number)? {
            Ok(page)
        } else {
            Err(TreeError::Corrupt { what: "hash of a tree page" })
        }
    }

    fn check_upper(&self) -> Result<(), TreeError> {
        for level in 1..page_levels(self.head.slots) {
            for number in 0..pages_on_level(self.head.slots, level) {
                let page = self.upper.get(level, number).ok_or(TreeError::Corrupt { what: "number of tree pages" })?;
                if page.node() != *self.expected_node(level, number)? {
                    return Err(TreeError::Corrupt { what: "hash of a tree page" });
                }
            }
        }
        Ok(())
    }

    fn check_edge(&self, view: &dyn View) -> Result<(), TreeError> {
        let last_slot = view.last(Table::Slots, None)?.map(|(slot, _)| slot);
        let expected = self.head.slots.checked_sub(1).map(|slot| slot.to_be_bytes().to_vec());
        if last_slot != expected {
            return Err(TreeError::Corrupt { what: "number of slots" });
        }
        if let Some(number) = pages_on_level(self.head.slots, 0).checked_sub(1) {
            self.checked_page(number, view.get(Table::Tree, &page_key(0, number))?.as_deref())?;
        }
        Ok(())
    }
}
