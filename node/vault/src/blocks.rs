//! Final blocks on their way to the vault: each once, in order, without a gap.
//!
//! What was taken in stands in the vault's storage. Blocks above come from the feed of the running replica; what it dropped, or
//! what became final while the vault did not run, is read from the ledger. Where the ledger has forgotten a block, the
//! vault jumps to the head and looks at everything.

use std::collections::BTreeMap;

use vouch_ledger::{CommittedBlock, LedgerError, Reader, TransactionRecord};
use vouch_types::Height;

use crate::{
    chain::{ChainChange, Scope, change_of},
    vault::Input,
    words::Now,
};

/// Blocks looked at for one step.
const BLOCKS_PER_STEP: usize = 64;
/// Blocks of the feed kept until their turn; the ledger has all others.
const FRESH_MAX: usize = 256;
/// Each height that a vault takes in costs it a sync. Blocks that change nothing for it are taken in together, this often.
const QUIET_MS: u64 = 1_000;

/// The cursor.
#[derive(Debug)]
pub struct Blocks {
    reader: Reader,
    next: Height,
    fresh: BTreeMap<Height, Vec<ChainChange>>,
    /// The last block that changed nothing and was not told, and when it will be, by the steady clock.
    quiet: Option<(Height, u64)>,
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
        Self { reader, next, fresh: BTreeMap::new(), quiet: None }
    }

    /// A block came over the feed.
    pub fn came(&mut self, block: &CommittedBlock) {
        if block.header.height >= self.next && self.fresh.len() < FRESH_MAX {
            self.fresh.insert(block.header.height, changes_in(&block.records));
        }
    }

    /// When there is something to take, if nothing new comes: milliseconds of the steady clock, 0 for at once.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        let is_behind = self.reader.published().head.height >= self.next;
        if is_behind { Some(0) } else { self.quiet.map(|(_, at)| at) }
    }

    /// The next blocks, as many as fit into one step.
    ///
    /// # Errors
    /// [`LedgerError`]: the node must stop.
    pub fn take(&mut self, now: Now) -> Result<Vec<Input>, LedgerError> {
        let head = self.reader.published().head.height;
        let mut inputs = Vec::new();
        for _ in 0..BLOCKS_PER_STEP {
            if self.next > head {
                break;
            }
            let changes = self.changes(head)?;
            if changes.is_empty() {
                let at = self.quiet.map_or(now.steady_ms + QUIET_MS, |(_, at)| at);
                self.quiet = Some((self.next, at));
            } else {
                self.quiet = None;
                inputs.push(Input::BlockCommitted { height: self.next, changes });
            }
            self.next = above(self.next);
        }
        if let Some((height, _)) = self.quiet.take_if(|(_, at)| *at <= now.steady_ms) {
            inputs.push(Input::BlockCommitted { height, changes: Vec::new() });
        }
        let next = self.next;
        self.fresh.retain(|height, _| *height >= next);
        Ok(inputs)
    }

    /// What the next block changed; moves on to the head where it is not kept.
    fn changes(&mut self, head: Height) -> Result<Vec<ChainChange>, LedgerError> {
        if let Some(changes) = self.fresh.remove(&self.next) {
            return Ok(changes);
        }
        if let Some(block) = self.reader.block(self.next)? {
            return Ok(changes_in(&block.records));
        }
        tracing::info!(from = %self.next, to = %head, "blocks are not kept here, the vault looks at everything");
        self.next = head;
        Ok(vec![ChainChange::Relations(Scope::All)])
    }
}

/// Above the last possible height there is none: then it is taken again, which changes nothing.
fn above(height: Height) -> Height {
    height.next().unwrap_or(height)
}
