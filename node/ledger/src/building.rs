//! Puts a block together. Nobody need wait for the moment at which it is proposed: what it is known to begin with is executed
//! ahead, by whoever proposes it and by those who will judge it, and what comes in meanwhile on top of that.

use vouch_types::{
    Block, BlockHash, Hash32, Header, NodeId, ReceiptsRoot, StateRoot, TimestampMs, TransactionsRoot, ValidatorsHash,
    block::{BLOCK_BYTES_MAX, BLOCK_VERSION},
    merkle,
};

use crate::{
    chain::{FRAME_BYTES, Ledger, LedgerError},
    executor::{Executor, Unfit},
    mempool::PooledTransaction,
};

/// A block on top of the head that is not proposed yet.
#[derive(Debug)]
pub(crate) struct Building {
    executor: Executor,
    time: TimestampMs,
    leaves: Vec<Hash32>,
    transactions: Vec<Vec<u8>>,
    bytes: usize,
    bytes_max: usize,
    count_max: usize,
    is_full: bool,
}

impl Building {
    /// Executes as many of `candidates`, in their order, as fit; those that may not stand in the block are skipped.
    fn extend<'a>(&mut self, candidates: impl Iterator<Item = &'a PooledTransaction>) -> Result<(), LedgerError> {
        for candidate in candidates {
            let size = candidate.tx.raw().len().saturating_add(8);
            self.is_full |=
                self.transactions.len() >= self.count_max || self.bytes.saturating_add(size) > self.bytes_max;
            if self.is_full {
                break;
            }
            match self.executor.execute(&candidate.tx)? {
                Ok(()) => {
                    self.bytes = self.bytes.saturating_add(size);
                    self.leaves.push(candidate.leaf);
                    self.transactions.push(candidate.tx.raw().to_vec());
                }
                Err(Unfit::BlockFull) => self.is_full = true,
                Err(Unfit::Transaction(_)) => {}
            }
        }
        Ok(())
    }
}

impl Ledger {
    /// Executes as many of `candidates`, in their order, as fit into the next block, behind those of earlier calls; those that
    /// may not stand in it are skipped. `time` becomes the block's, raised to the parent's plus one, when none is being put
    /// together yet. [`Self::propose`] finishes it, and [`Self::validate`] goes on from it with a block that begins like it.
    ///
    /// # Errors
    /// [`LedgerError`]: the node must stop.
    pub fn build<'a>(
        &mut self,
        candidates: impl Iterator<Item = &'a PooledTransaction>,
        time: TimestampMs,
    ) -> Result<(), LedgerError> {
        let mut building = self.building.take().unwrap_or_else(|| self.begin_building(time));
        building.extend(candidates)?;
        self.building = Some(building);
        Ok(())
    }

    /// How many transactions the block holds that is being put together, and its time; `None` when none is.
    #[must_use]
    pub fn built(&self) -> Option<(usize, TimestampMs)> {
        self.building.as_ref().map(|building| (building.transactions.len(), building.time))
    }

    /// The leaf hashes of the transactions of the block that is being put together.
    #[must_use]
    pub fn built_leaves(&self) -> &[Hash32] {
        self.building.as_ref().map_or(&[], |building| &building.leaves)
    }

    /// What has executed the first transactions of a block already, and how many; if nothing has, what has executed none.
    pub(crate) fn executor_of(&mut self, block: &Block) -> (Executor, usize) {
        let begins_it = |building: &mut Building| {
            building.time == block.header.time && block.transactions.starts_with(&building.transactions)
        };
        match self.building.take_if(begins_it) {
            Some(building) => (building.executor, building.transactions.len()),
            None => (self.executor(block.header.time), 0),
        }
    }

    /// Gives up the block that is being put together.
    pub fn forget_built(&mut self) {
        self.building = None;
    }

    fn begin_building(&self, time: TimestampMs) -> Building {
        let time = TimestampMs(time.0.max(self.head.time.0.saturating_add(1)));
        let params = &self.registry.params;
        let bytes_max = usize::try_from(params.block_bytes_max).unwrap_or(BLOCK_BYTES_MAX).saturating_sub(FRAME_BYTES);
        Building {
            executor: self.executor(time),
            time,
            leaves: Vec::new(),
            transactions: Vec::new(),
            bytes: 0,
            bytes_max,
            count_max: usize::try_from(params.block_transactions_max).unwrap_or(usize::MAX),
            is_full: false,
        }
    }

    /// Finishes the block that is being put together, or one that begins here, with as many of `candidates` as fit, as
    /// [`Self::build`] does.
    ///
    /// # Errors
    /// [`LedgerError`]: the node must stop.
    pub fn propose<'a>(
        &mut self,
        candidates: impl Iterator<Item = &'a PooledTransaction>,
        time: TimestampMs,
        proposer: NodeId,
    ) -> Result<(BlockHash, Block), LedgerError> {
        let mut building = self.building.take().unwrap_or_else(|| self.begin_building(time));
        building.extend(candidates)?;
        let Building { executor, time, leaves, transactions, .. } = building;
        let header = Header {
            version: BLOCK_VERSION,
            chain: self.chain(),
            height: self.next_height(),
            time,
            parent: self.head.hash,
            proposer,
            transactions_root: TransactionsRoot(merkle::root(&leaves).0),
            receipts_root: ReceiptsRoot::ZERO,
            state_root: StateRoot::ZERO,
            validators_hash: self.validators.hash(),
            next_validators_hash: ValidatorsHash::ZERO,
        };
        let mut prepared = self.prepare(executor, Block { header, transactions })?;
        let results = self.results(&prepared);
        let header = &mut prepared.block.header;
        (header.receipts_root, header.state_root, header.next_validators_hash) = results;
        let hash = header.hash();
        let block = prepared.block.clone();
        self.prepared.insert(hash, prepared);
        Ok((hash, block))
    }
}
