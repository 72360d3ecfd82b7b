//! Final blocks on their way to the vault: each once, in order, without a gap.
//!
//! What was taken in stands in the vault's storage. Blocks above come from the feed of the running replica; what it dropped, or
//! what became final while the vault did not run, is read from the ledger. Where the ledger has forgotten a block, the
//! vault jumps to the head and looks at everything.

use std::collections::BTreeMap;

use vouch_ledger::{CommittedBlock, LedgerError, Reader, TransactionRecord};
use vouch_types::Height;
use vouch_vault::{ChainChange, Input, Scope, chain::change_of};

/// Blocks given to one step.
const BLOCKS_PER_STEP: usize = 64;
/// Blocks of the feed kept until their turn; the ledger has all others.
const FRESH_MAX: usize = 256;

/// The cursor.
#[derive(Debug)]
pub struct Blocks {
    reader: Reader,
    next: Height,
    fresh: BTreeMap<Height, Vec<ChainChange>>,
}

fn changes_in(records: &[TransactionRecord]) -> Vec<ChainChange> {
    records.iter().flat_map(|record| &record.events).filter_map(change_of).collect()
}

impl Blocks {
    /// Begins above `taken`, the last height that a vault took in. One that took in none looks at everything anyway and
    /// begins with the newest block.
    #[must_use]
    pub fn begin(reader: Reader, taken: Height) -> Self {
        let head = reader.published().head.height;
        let next = if taken == Height::ZERO { head.max(Height(1)) } else { above(taken) };
        Self { reader, next, fresh: BTreeMap::new() }
    }

    /// A block came over the feed.
    pub fn came(&mut self, block: &CommittedBlock) {
        if block.header.height >= self.next && self.fresh.len() < FRESH_MAX {
            self.fresh.insert(block.header.height, changes_in(&block.records));
        }
    }

    /// Whether there are blocks that were not taken.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.reader.published().head.height >= self.next
    }

    /// The next blocks, as many as fit into one step.
    ///
    /// # Errors
    /// [`LedgerError`]: the node must stop.
    pub fn take(&mut self) -> Result<Vec<Input>, LedgerError> {
        let head = self.reader.published().head.height;
        let mut inputs = Vec::new();
        while inputs.len() < BLOCKS_PER_STEP && self.next <= head {
            let changes = match self.fresh.remove(&self.next) {
                Some(changes) => changes,
                None => match self.reader.block(self.next)? {
                    Some(block) => changes_in(&block.records),
                    None => {
                        tracing::info!(from = %self.next, to = %head, "blocks are not kept here, the vault looks at everything");
                        self.next = head;
                        vec![ChainChange::Relations(Scope::All)]
                    }
                },
            };
            inputs.push(Input::BlockCommitted { height: self.next, changes });
            self.next = above(self.next);
        }
        let next = self.next;
        self.fresh.retain(|height, _| *height >= next);
        Ok(inputs)
    }
}

/// Above the last possible height there is none: then it is taken again, which changes nothing.
fn above(height: Height) -> Height {
    height.next().unwrap_or(height)
}
