//! Taking over a whole state from a snapshot, piece by piece.

use vouch_types::{RangeProof, StateRoot, codec};
use wincode::{SchemaRead, SchemaWrite};

use super::{
    StateTree, TreeError,
    levels::{UpperLevels, each_page},
    page::{CHILDREN, PAGE_CHILDREN, page_key, pages_on_level},
    prove::page_over,
    record::{HEAD_KEY, IMPORT_KEY, StateRecord, TreeHead},
};
use crate::storage::{Batch, Durability, Storage, Table, View};

/// Every piece but the last ends on a multiple of this many slots.
pub const IMPORT_ALIGNMENT: u64 = PAGE_CHILDREN;

const FORMAT_VERSION: u8 = 1;
const PROGRESS_BYTES_MAX: usize = 64;

/// Progress, stored with every piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
struct Progress {
    version: u8,
    root: StateRoot,
    slots: u64,
    next: u64,
}

/// An import of the state under one root. Pieces come in ascending order; each is verified before it is stored, and its
/// batch carries the progress, so that an import goes on after a crash where the last written batch ended. Until
/// [`StateImport::finish`] the storage has no state tree to open.
#[derive(Debug)]
pub struct StateImport {
    root: StateRoot,
    /// Known with the first piece; an empty state has none.
    slots: Option<u64>,
    next: u64,
}

impl StateImport {
    /// Begins the import of the state under `root`, which the caller took from a header it trusts, or goes on with it.
    ///
    /// # Errors
    /// [`TreeError::NotEmpty`] when there is state, or an import of another one: see [`StateImport::clear`];
    /// [`TreeError::Storage`], [`TreeError::Corrupt`].
    pub fn open(view: &dyn View, root: StateRoot) -> Result<Self, TreeError> {
        if let Some(bytes) = view.get(Table::Meta, IMPORT_KEY)? {
            let corrupt = TreeError::Corrupt { what: "progress of an import" };
            let progress: Progress =
                codec::decode("progress of an import", &bytes, PROGRESS_BYTES_MAX).map_err(|_| corrupt.clone())?;
            if progress.version != FORMAT_VERSION {
                return Err(corrupt);
            }
            if progress.root != root {
                return Err(TreeError::NotEmpty);
            }
            return Ok(Self { root, slots: Some(progress.slots), next: progress.next });
        }
        if TreeHead::read(view)? != TreeHead::EMPTY || view.last(Table::State, None)?.is_some() {
            return Err(TreeError::NotEmpty);
        }
        let slots = (root == TreeHead::EMPTY.root()).then_some(0);
        Ok(Self { root, slots, next: 0 })
    }

    /// The batch that removes all state, and an import that was begun.
    ///
    /// # Errors
    /// [`TreeError::Storage`].
    pub fn clear(view: &dyn View) -> Result<Batch, TreeError> {
        let mut batch = Batch::new();
        for table in [Table::State, Table::Slots, Table::Tree] {
            if let Some((mut last, _)) = view.last(table, None)? {
                last.push(0);
                batch.delete_range(table, Vec::new(), last);
            }
        }
        batch.delete(Table::Meta, HEAD_KEY);
        batch.delete(Table::Meta, IMPORT_KEY);
        Ok(batch)
    }

    /// First slot of the piece that is due.
    #[must_use]
    pub const fn next_slot(&self) -> u64 {
        self.next
    }

    /// Slots in the whole state; `None` before the first piece.
    #[must_use]
    pub const fn slots(&self) -> Option<u64> {
        self.slots
    }

    /// Whether every piece is there and [`StateImport::finish`] is due.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.slots == Some(self.next)
    }

    /// Verifies the piece that is due and returns the batch that stores it. The caller writes the batch or gives up the
    /// import: after a failed write it is opened again.
    ///
    /// # Errors
    /// [`TreeError::Proof`] and [`TreeError::OutOfOrder`]: bad input, nothing is changed, another peer may be asked.
    pub fn accept(&mut self, piece: &RangeProof) -> Result<Batch, TreeError> {
        let to = piece.to();
        let aligned = to.is_multiple_of(IMPORT_ALIGNMENT) || to == piece.slots;
        if piece.from != self.next || !aligned {
            return Err(TreeError::OutOfOrder { expected: self.next });
        }
        let leaves = piece.verify(&self.root)?;
        let mut batch = Batch { changes: Vec::with_capacity(piece.entries.len() * 3) };
        for (slot, entry) in (piece.from..to).zip(&piece.entries) {
            let record = StateRecord { slot, value: entry.value.as_deref() };
            batch.put(Table::Slots, slot.to_be_bytes(), entry.key.as_slice());
            batch.put(Table::State, entry.key.as_slice(), record.encode());
        }
        let first = piece.from / PAGE_CHILDREN;
        for (number, children) in (first..).zip(leaves.chunks(CHILDREN)) {
            batch.put(Table::Tree, page_key(0, number), page_over(children).to_bytes());
        }
        let progress = Progress { version: FORMAT_VERSION, root: self.root, slots: piece.slots, next: to };
        batch.put(Table::Meta, IMPORT_KEY, codec::encode(&progress));
        self.slots = Some(piece.slots);
        self.next = to;
        Ok(batch)
    }

    /// Builds the upper levels, checks the root over everything stored, and makes the tree ready to be opened. Interrupted,
    /// it is done again.
    ///
    /// # Errors
    /// [`TreeError::ImportUnfinished`] when pieces are missing; [`TreeError::Corrupt`] when the stored pages do not lead to
    /// the root; [`TreeError::Storage`].
    pub fn finish(self, storage: &dyn Storage) -> Result<StateTree, TreeError> {
        let Some(slots) = self.slots.filter(|&slots| slots == self.next) else {
            return Err(TreeError::ImportUnfinished);
        };
        let mut nodes = Vec::new();
        each_page(storage, 0, |_, page| {
            nodes.push(page.node());
            Ok(())
        })?;
        if nodes.len() as u64 != pages_on_level(slots, 0) {
            return Err(TreeError::Corrupt { what: "number of tree pages" });
        }
        let (upper, top) = UpperLevels::build(nodes, slots)?;
        let head = TreeHead::new(slots, top);
        if head.root() != self.root {
            return Err(TreeError::Corrupt { what: "root of an imported state" });
        }
        for batch in upper.batches() {
            storage.write(batch, Durability::Buffered)?;
        }
        let mut batch = Batch::new();
        batch.put(Table::Meta, HEAD_KEY, head.encode());
        batch.delete(Table::Meta, IMPORT_KEY);
        storage.write(batch, Durability::Synced)?;
        Ok(StateTree { head, upper })
    }
}
