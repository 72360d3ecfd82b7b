//! Forgets old blocks by policy: bodies, receipts, certificates and transaction places go, headers stay.
//!
//! The certificates of blocks that change the validator set stay as well, so that proofs about the blocks that are kept
//! lead back to the genesis document as before.

use vouch_types::{Height, TxId, decode, encode};

use crate::{
    chain::{Ledger, LedgerError, read_body, read_header, read_records, set_change_key},
    snapshot::ids_of,
    storage::{Batch, Durability, Table, View},
};

/// Blocks kept beyond the heights in which a transaction could be replayed: so far a peer may be behind and still follow
/// by blocks.
pub const KEEP_MARGIN_BLOCKS: u64 = 1_000;
/// Most blocks forgotten in one step, so that a step costs a commit little.
pub const PRUNE_BLOCKS_MAX: u64 = 16;

/// Key of the lowest height whose block is still here, in [`Table::Meta`]; 1 when there is none.
pub(crate) const LOWEST_KEY: &[u8] = b"lowest";

pub(crate) fn read_lowest(view: &dyn View) -> Result<Height, LedgerError> {
    let Some(bytes) = view.get(Table::Meta, LOWEST_KEY)? else { return Ok(Height(1)) };
    decode("lowest height", &bytes, 8).map_err(|e| LedgerError::Damaged(e.to_string()))
}

impl Ledger {
    /// The lowest height whose block is here with all that belongs to it; all above are here too.
    #[must_use]
    pub const fn lowest(&self) -> Height {
        self.lowest
    }

    /// How many blocks below the head are kept; 0 keeps all.
    #[must_use]
    pub const fn keep_blocks(&self) -> u64 {
        self.keep_blocks
    }

    /// Sets how many blocks below the head are kept from now on; 0, the default, keeps all.
    ///
    /// # Errors
    /// [`LedgerError::KeepTooFew`] below the expiry window and [`KEEP_MARGIN_BLOCKS`].
    pub fn set_keep_blocks(&mut self, keep: u64) -> Result<(), LedgerError> {
        let min = self.registry.params.expiry_window.saturating_add(KEEP_MARGIN_BLOCKS);
        if keep != 0 && keep < min {
            return Err(LedgerError::KeepTooFew { keep, min });
        }
        self.keep_blocks = keep;
        Ok(())
    }

    /// Forgets up to [`PRUNE_BLOCKS_MAX`] blocks that the policy no longer keeps, none from `needed` on; returns how many.
    ///
    /// # Errors
    /// [`LedgerError`]: the node must stop.
    pub fn prune(&mut self, needed: Height) -> Result<u64, LedgerError> {
        let keep_from = self.head.height.0.saturating_sub(self.keep_blocks).min(needed.0);
        let end = Height(keep_from.min(self.lowest.0.saturating_add(PRUNE_BLOCKS_MAX)));
        if self.keep_blocks == 0 || self.join.is_some() || end <= self.lowest {
            return Ok(0);
        }
        let mut batch = Batch::new();
        for height in (self.lowest.0..end.0).map(Height) {
            let key = height.0.to_be_bytes();
            for id in self.ids_at(height)? {
                batch.delete(Table::Transactions, id.0);
            }
            batch.delete(Table::Bodies, key);
            batch.delete(Table::Receipts, key);
            if self.storage.get(Table::Meta, &set_change_key(height))?.is_none() {
                batch.delete(Table::Certificates, key);
            }
        }
        batch.put(Table::Meta, LOWEST_KEY, encode(&end));
        self.storage.write(batch, Durability::Buffered)?;
        let count = end.0.saturating_sub(self.lowest.0);
        self.lowest = end;
        Ok(count)
    }

    fn ids_at(&self, height: Height) -> Result<Vec<TxId>, LedgerError> {
        let storage = self.storage.as_ref();
        if let Some(records) = read_records(storage, height)? {
            return Ok(records.iter().map(|r| r.receipt.tx).collect());
        }
        match (read_header(storage, height)?, read_body(storage, height)?) {
            (Some(header), Some(body)) => ids_of(&header, body).map_err(|e| LedgerError::Damaged(e.to_string())),
            _ => Ok(Vec::new()),
        }
    }
}
