//! Transactions on their way into the mempool. One that was submitted here is durable before it is acknowledged: after any
//! crash it waits again, until it stands in a block or has expired.

use std::collections::BTreeSet;

use vouch_ledger::{
    Batch, Durability, MempoolError, PooledTransaction, Storage, StorageError, Table,
    executor::{check_rules, find_transaction},
};
use vouch_types::{Height, TransactionError, TxId, UnverifiedTransaction};

use crate::{
    message::Message,
    replica::{Effect, Refusal, Replica, ReplicaError},
};

/// Most transactions in one batch to the peers.
const RELAY_COUNT_MAX: usize = 2_000;
/// Most bytes of transactions in one batch to the peers, unless a single one is larger; half of what the lane takes.
const RELAY_BYTES_MAX: usize = 1 << 20;
/// Bytes of the length before each transaction.
const LENGTH_BYTES: usize = 8;
/// Rows of kept transactions read at once.
const SCAN_ROWS: usize = 1_024;

/// Which waiting transactions were submitted here and are kept on disk.
#[derive(Debug, Default)]
pub struct Submissions {
    kept: BTreeSet<TxId>,
}

impl Submissions {
    /// What a block holds need not be kept any longer: the block keeps it.
    pub fn settle(&mut self, transactions: impl Iterator<Item = TxId>, batch: &mut Batch) {
        for id in transactions {
            if self.kept.remove(&id) {
                batch.delete(Table::Pending, id.0);
            }
        }
    }

    /// Forgets transactions that can no longer stand in a block.
    ///
    /// # Errors
    /// [`StorageError`]: the node must stop.
    pub fn give_up(&mut self, storage: &dyn Storage, expired: &[TxId]) -> Result<(), StorageError> {
        let mut batch = Batch::new();
        self.settle(expired.iter().copied(), &mut batch);
        if batch.changes.is_empty() { Ok(()) } else { storage.write(batch, Durability::Buffered) }
    }
}

impl Replica {
    /// Lets the transactions wait again that were acknowledged before a restart.
    pub(crate) fn restore_submissions(&mut self) -> Result<(), ReplicaError> {
        if self.ledger.join().is_some() {
            // They are judged by the state that is being taken over.
            return Ok(());
        }
        let mut from = Vec::new();
        let mut stale = Batch::new();
        loop {
            let rows = self.ledger.storage().scan(Table::Pending, &from, None, SCAN_ROWS)?;
            let Some((last, _)) = rows.last() else { break };
            from.clone_from(last);
            from.push(0);
            for (key, raw) in rows {
                if !self.restore(raw)? {
                    stale.delete(Table::Pending, key);
                }
            }
        }
        if stale.changes.is_empty() {
            return Ok(());
        }
        Ok(self.ledger.storage().write(stale, Durability::Buffered)?)
    }

    /// Whether the transaction waits again; one that does not is in a block, expired, or not allowed any more.
    fn restore(&mut self, raw: Vec<u8>) -> Result<bool, ReplicaError> {
        let verified = UnverifiedTransaction::decode(raw, self.chain()).and_then(UnverifiedTransaction::verify);
        let Ok(tx) = verified else { return Ok(false) };
        let id = tx.id();
        let waits = self.admit_one(self.ledger.next_height(), PooledTransaction::new(tx))?.is_ok();
        if waits {
            self.submissions.kept.insert(id);
        }
        Ok(waits)
    }

    /// Lets verified transactions wait; those submitted here are made durable, acknowledged and relayed.
    pub(crate) fn admit(
        &mut self,
        transactions: Vec<PooledTransaction>,
        submitted_here: bool,
    ) -> Result<(), ReplicaError> {
        let next = self.ledger.next_height();
        let mut kept = Batch::new();
        let mut accepted: Vec<Vec<u8>> = Vec::new();
        let mut verdicts = Vec::with_capacity(transactions.len());
        for pooled in transactions {
            let id = pooled.tx.id();
            let raw = submitted_here.then(|| pooled.tx.raw().to_vec());
            let result = self.admit_one(next, pooled)?;
            if let (Some(raw), Ok(())) = (raw, &result) {
                kept.put(Table::Pending, id.0, raw.as_slice());
                self.submissions.kept.insert(id);
                accepted.push(raw);
            }
            verdicts.push(Effect::Admitted { tx: id, result });
        }
        if submitted_here {
            if !kept.changes.is_empty() {
                self.ledger.storage().write(kept, Durability::Synced)?;
            }
            self.out.append(&mut verdicts);
            self.relay_transactions(accepted);
        }
        self.keep_pace()?;
        self.build_ahead()
    }

    fn relay_transactions(&mut self, transactions: Vec<Vec<u8>>) {
        let mut lot: Vec<Vec<u8>> = Vec::new();
        let mut bytes = 0;
        for raw in transactions {
            if !lot.is_empty() && (lot.len() >= RELAY_COUNT_MAX || bytes + raw.len() + LENGTH_BYTES > RELAY_BYTES_MAX) {
                self.broadcast(&Message::Transactions(core::mem::take(&mut lot)), None);
                bytes = 0;
            }
            bytes += raw.len() + LENGTH_BYTES;
            lot.push(raw);
        }
        if !lot.is_empty() {
            self.broadcast(&Message::Transactions(lot), None);
        }
    }

    fn admit_one(&mut self, next: Height, pooled: PooledTransaction) -> Result<Result<(), Refusal>, ReplicaError> {
        let id = pooled.tx.id();
        if self.ledger.join().is_some() {
            return Ok(Err(Refusal::Joining));
        }
        if let Err(reason) = check_rules(self.ledger.registry(), &pooled.tx, next) {
            return Ok(Err(reason.into()));
        }
        if self.mempool.contains(&id) {
            return Ok(Err(MempoolError::Known.into()));
        }
        if let Some((height, _)) = find_transaction(self.ledger.storage().as_ref(), &id)? {
            return Ok(Err(TransactionError::Replayed { tx: id, height }.into()));
        }
        Ok(self.mempool.insert(pooled).map_err(Refusal::from))
    }
}
