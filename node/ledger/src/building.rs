//! Puts a block together. Nobody need wait for the moment at which it is proposed: what it is known to begin with is executed
//! ahead, by whoever proposes it and by those who will judge it, and what comes in meanwhile on top of that.

use std::sync::Arc;

use vouch_genesis::ChainParams;
use vouch_types::{
    Block, BlockHash, Hash32, Header, Height, NodeId, ReceiptsRoot, StateRoot, TimestampMs, TransactionsRoot, ValidatorsHash,
    block::{BLOCK_BYTES_MAX, BLOCK_VERSION},
    merkle,
};

use crate::{
    chain::{FRAME_BYTES, Ledger, LedgerError},
    executor::{Executor, Unfit},
    mempool::PooledTransaction,
    overlay::Overlay,
    session::{Moment, Session},
};

/// How far a block is that is not proposed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Built {
    /// Its height.
    pub height: Height,
    /// The block before it, final or not.
    pub parent: BlockHash,
    /// Its time.
    pub time: TimestampMs,
    /// How many transactions were executed.
    pub count: usize,
    /// Whether another would not fit.
    pub is_full: bool,
}

/// A block on top of the head, or of one that may become the head, that is not proposed yet.
#[derive(Debug)]
pub(crate) struct Building {
    parent: BlockHash,
    height: Height,
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
    fn new(parent: BlockHash, height: Height, executor: Executor, time: TimestampMs, params: &ChainParams) -> Self {
        let bytes_max = usize::try_from(params.block_bytes_max).unwrap_or(BLOCK_BYTES_MAX).saturating_sub(FRAME_BYTES);
        Self {
            parent,
            height,
            executor,
            time,
            leaves: Vec::new(),
            transactions: Vec::new(),
            bytes: 0,
            bytes_max,
            count_max: usize::try_from(params.block_transactions_max).unwrap_or(usize::MAX),
            is_full: false,
        }
    }

    /// Whether it is on top of that block.
    pub(crate) fn is_on(&self, parent: &BlockHash) -> bool {
        self.parent == *parent
    }

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
    /// Executes as many of `candidates`, in their order, as fit into a block on top of `parent`, behind those of earlier calls
    /// for the same parent; those that may not stand in it are skipped. `parent` is the head, or a block that was executed on
    /// top of it ([`Self::is_prepared`]) and may become the head; on top of any other nothing is done. `time` becomes the
    /// block's, raised to the parent's plus one, when none is being put together yet. When the parent is the head,
    /// [`Self::propose`] finishes it, and [`Self::validate`] goes on from it with a block that begins like it.
    ///
    /// # Errors
    /// [`LedgerError`]: the node must stop.
    pub fn build<'a>(
        &mut self,
        parent: &BlockHash,
        candidates: impl Iterator<Item = &'a PooledTransaction>,
        time: TimestampMs,
    ) -> Result<(), LedgerError> {
        let building = match self.building.take_if(|building| building.is_on(parent)) {
            Some(building) => Some(building),
            None => self.begin_building(parent, time)?,
        };
        if let Some(mut building) = building {
            building.extend(candidates)?;
            self.building = Some(building);
        }
        Ok(())
    }

    /// How far the block is that is being put together; `None` when none is.
    #[must_use]
    pub fn built(&self) -> Option<Built> {
        self.building.as_ref().map(|building| Built {
            height: building.height,
            parent: building.parent,
            time: building.time,
            count: building.transactions.len(),
            is_full: building.is_full,
        })
    }

    /// How far the block is that is being put together on top of the head.
    #[must_use]
    pub fn built_next(&self) -> Option<Built> {
        self.built().filter(|built| built.parent == self.head.hash)
    }

    /// The leaf hashes of the transactions of the block that is being put together.
    #[must_use]
    pub fn built_leaves(&self) -> &[Hash32] {
        self.building.as_ref().map_or(&[], |building| &building.leaves)
    }

    /// What has executed the first transactions of a block already, and how many; if nothing has, what has executed none.
    pub(crate) fn executor_of(&mut self, block: &Block) -> (Executor, usize) {
        let head = self.head.hash;
        let begins_it = |building: &mut Building| {
            building.is_on(&head)
                && building.time == block.header.time && block.transactions.starts_with(&building.transactions)
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

    fn begin_building(&self, parent: &BlockHash, time: TimestampMs) -> Result<Option<Building>, LedgerError> {
        if *parent == self.head.hash {
            return Ok(Some(self.begin_next(time)));
        }
        let Some(before) = self.prepared.get(parent) else { return Ok(None) };
        let height = before.block.header.height.next().ok_or_else(|| LedgerError::Damaged("no height is left".into()))?;
        let time = TimestampMs(time.0.max(before.block.header.time.0.saturating_add(1)));
        let overlay = Overlay::above(Arc::clone(&self.storage), before.update.state_rows())?;
        let moment = Moment { height, time, read_only: false };
        let session = Session::new(overlay, Arc::clone(&before.registry), moment, Arc::clone(&self.runtime));
        let included = before.records.iter().map(|record| record.receipt.tx).collect();
        let executor = Executor::behind(included, session, Arc::clone(&self.storage));
        Ok(Some(Building::new(*parent, height, executor, time, &before.registry.params)))
    }

    fn begin_next(&self, time: TimestampMs) -> Building {
        let time = TimestampMs(time.0.max(self.head.time.0.saturating_add(1)));
        Building::new(self.head.hash, self.next_height(), self.executor(time), time, &self.registry.params)
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
        let head = self.head.hash;
        let building = self.building.take_if(|building| building.is_on(&head));
        let mut building = building.unwrap_or_else(|| self.begin_next(time));
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
