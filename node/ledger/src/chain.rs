//! The ledger itself: executes blocks before they are voted on and commits the one that was decided.
//!
//! A block is executed once at each node, when it is built or first validated; what execution prepared is kept under the
//! block's hash and is what commit writes, in one atomic, synced batch together with the certificate.

use std::{collections::BTreeMap, sync::Arc};

use vouch_genesis::GenesisDocument;
use vouch_types::{
    Block, BlockHash, ChainId, CommitCertificate, Hash32, Header, Height, ReceiptsRoot, StateRoot, TimestampMs,
    TransactionError, TxId, UnverifiedTransaction, ValidatorSet, ValidatorsHash, VerifiedTransaction,
    block::{BLOCK_BYTES_MAX, BLOCK_VERSION},
    certificate::CERTIFICATE_BYTES_MAX,
    decode, encode, merkle,
};
use vouch_vm::FatalError;
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    building::Building,
    executor::{Executor, TransactionRecord, Unfit},
    founding,
    memory::MemoryStorage,
    overlay::Overlay,
    prune::read_lowest,
    reader::{Gate, Published, Reader},
    registry::Registry,
    session::{Moment, Runtime, Session},
    snapshot::Join,
    storage::{Batch, Durability, Storage, StorageError, Table, View},
    tree::{PreparedUpdate, StateTree},
};

/// Key of [`Head`] in [`Table::Meta`].
pub(crate) const HEAD_KEY: &[u8] = b"head";
/// Key of the chain's id in [`Table::Meta`].
const CHAIN_KEY: &[u8] = b"chain";
/// Bytes a block may take beyond its transactions: header, counts and lengths.
pub(crate) const FRAME_BYTES: usize = 1024;

/// The last committed block, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Head {
    /// Its height; 0 before the first block.
    pub height: Height,
    /// Its hash; before the first block the chain id's bytes.
    pub hash: BlockHash,
    /// Its time; before the first block that of the genesis document.
    pub time: TimestampMs,
    /// The state after it.
    pub state_root: StateRoot,
}

/// Why the ledger cannot be opened or must stop.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Execution could not come to a verdict.
    #[error("execution failed: {0}")]
    Execution(#[from] FatalError),
    /// The data directory belongs to another chain.
    #[error("the data is of chain {found}, the genesis document makes chain {expected}")]
    OtherChain {
        /// What the storage says.
        found: ChainId,
        /// What the document says.
        expected: ChainId,
    },
    /// What is stored contradicts itself.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
    /// The genesis document cannot be carried out.
    #[error("genesis: {0}")]
    Genesis(String),
    /// There is no whole state yet: a snapshot is being taken over.
    #[error("the state is being taken over from other nodes")]
    Joining,
    /// So few blocks may not be kept: replays could not be told, or peers not be served.
    #[error("{keep} blocks are too few to keep, the chain's parameters call for at least {min}; 0 keeps all")]
    KeepTooFew {
        /// How many were asked for.
        keep: u64,
        /// How many are needed.
        min: u64,
    },
}

impl LedgerError {
    /// Stable code for logs and status.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Storage(_) => "ledger.storage",
            Self::Execution(_) => "ledger.execution",
            Self::OtherChain { .. } => "ledger.other_chain",
            Self::Damaged(_) => "ledger.damaged",
            Self::Genesis(_) => "ledger.genesis",
            Self::Joining => "node.syncing",
            Self::KeepTooFew { .. } => "ledger.keep_too_few",
        }
    }
}

/// Why a block is not voted for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Bytes that are no block, or too many.
    #[error("not a block: {0}")]
    Malformed(String),
    /// A header field is not what it must be.
    #[error("header field {0} is wrong")]
    Header(&'static str),
    /// The time is not above the parent's or too far ahead.
    #[error("block time {actual} is outside {min}..={max}")]
    Time {
        /// The block's.
        actual: TimestampMs,
        /// The earliest allowed.
        min: TimestampMs,
        /// The latest allowed.
        max: TimestampMs,
    },
    /// Too many transactions or bytes.
    #[error("the block is larger than the chain's parameters allow")]
    TooLarge,
    /// A transaction that may not stand there.
    #[error("transaction {index}: {reason}")]
    Transaction {
        /// Its position.
        index: usize,
        /// Why.
        reason: Unfit,
    },
    /// Executing it here gives another result than the header says.
    #[error("executing the block gives another {0}")]
    Result(&'static str),
}

impl BlockError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "block.malformed",
            Self::Header(_) => "block.header",
            Self::Time { .. } => "block.time",
            Self::TooLarge => "block.too_large",
            Self::Transaction { .. } => "block.transaction",
            Self::Result(_) => "block.result",
        }
    }
}

/// A block that was executed but not decided.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) block: Block,
    pub(crate) records: Vec<TransactionRecord>,
    pub(crate) update: PreparedUpdate,
    pub(crate) registry: Arc<Registry>,
    next_validators: ValidatorSet,
}

/// A block that is final.
#[derive(Debug)]
pub struct CommittedBlock {
    /// Its hash.
    pub hash: BlockHash,
    /// Its header.
    pub header: Header,
    /// The proof of finality held here.
    pub certificate: CommitCertificate,
    /// What its transactions came to.
    pub records: Vec<TransactionRecord>,
    /// Bytes of the encoded block.
    pub bytes: usize,
    /// Whether members, nodes, accounts, contracts or parameters changed.
    pub registry_changed: bool,
}

/// The chain as this node holds it.
#[derive(Debug)]
pub struct Ledger {
    chain: ChainId,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) tree: StateTree,
    pub(crate) registry: Arc<Registry>,
    pub(crate) head: Head,
    pub(crate) validators: ValidatorSet,
    pub(crate) prepared: BTreeMap<BlockHash, Prepared>,
    pub(crate) building: Option<Building>,
    pub(crate) reader: Reader,
    pub(crate) gate: Arc<Gate>,
    /// The snapshot being taken over; the fields above are then those of the genesis document.
    pub(crate) join: Option<Box<Join>>,
    pub(crate) lowest: Height,
    pub(crate) keep_blocks: u64,
}

impl Ledger {
    /// Opens what `storage` holds, or begins the chain of `genesis` in an empty one.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn open(
        storage: Arc<dyn Storage>,
        genesis: &GenesisDocument,
        runtime: Arc<Runtime>,
    ) -> Result<Self, LedgerError> {
        let chain = genesis.chain_id().map_err(|e| LedgerError::Genesis(e.to_string()))?;
        match storage.get(Table::Meta, CHAIN_KEY)? {
            None => Self::found(&storage, genesis, chain, &runtime)?,
            Some(bytes) => {
                let found: ChainId = decode("chain id", &bytes, 32).map_err(|e| LedgerError::Damaged(e.to_string()))?;
                if found != chain {
                    return Err(LedgerError::OtherChain { found, expected: chain });
                }
            }
        }
        let head = read_head(storage.as_ref())?;
        let joining = Join::is_begun(storage.as_ref())?;
        let (tree, registry) = if joining {
            // The stored state is in pieces; until it is whole the node knows what the genesis document says.
            let scratch: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
            let registry = Arc::clone(&founding::establish(genesis, &scratch, &runtime)?.registry);
            (StateTree::open(scratch.as_ref()).map_err(|e| LedgerError::Damaged(e.to_string()))?, registry)
        } else {
            (open_tree(storage.as_ref(), &head.state_root)?, Arc::new(load_registry(&storage)?))
        };
        let validators = registry.validator_set().map_err(|e| LedgerError::Damaged(e.to_string()))?;
        let published = Published { head, registry: Arc::clone(&registry), validators: validators.clone(), joining };
        let gate = Arc::new(Gate::new(published));
        let reader = Reader::new(genesis, Arc::clone(&storage), Arc::clone(&runtime), Arc::clone(&gate))?;
        let (prepared, lowest) = (BTreeMap::new(), read_lowest(storage.as_ref())?);
        let mut ledger = Self {
            chain,
            storage,
            runtime,
            tree,
            registry,
            head,
            validators,
            prepared,
            building: None,
            reader,
            gate,
            join: None,
            lowest,
            keep_blocks: 0,
        };
        if joining {
            ledger.resume_join()?;
        }
        Ok(ledger)
    }

    fn found(
        storage: &Arc<dyn Storage>,
        genesis: &GenesisDocument,
        chain: ChainId,
        runtime: &Arc<Runtime>,
    ) -> Result<(), LedgerError> {
        let session = founding::establish(genesis, storage, runtime)?;
        let validators = session.registry.validator_set().map_err(|e| LedgerError::Genesis(e.to_string()))?;
        let changes = session.overlay.into_changes();
        let tree = StateTree::open(storage.as_ref()).map_err(|e| LedgerError::Damaged(e.to_string()))?;
        let mut update =
            tree.prepare(storage.as_ref(), &changes, &[]).map_err(|e| LedgerError::Damaged(e.to_string()))?;
        let head =
            Head { height: Height::ZERO, hash: BlockHash(chain.0), time: genesis.time, state_root: update.root() };
        let mut batch = update.take_batch();
        batch.put(Table::Meta, CHAIN_KEY, encode(&chain));
        batch.put(Table::Meta, HEAD_KEY, encode(&head));
        batch.put(Table::Validators, validators.hash().0, encode(&validators));
        storage.write(batch, Durability::Synced)?;
        Ok(())
    }

    /// The chain's id.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// The last committed block.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// The height that comes next.
    ///
    /// # Panics
    /// Never in practice: 2^64 blocks are out of reach.
    #[must_use]
    pub fn next_height(&self) -> Height {
        self.head.height.next().expect("fewer than 2^64 blocks")
    }

    /// The validators of the next height.
    #[must_use]
    pub const fn validators(&self) -> &ValidatorSet {
        &self.validators
    }

    /// The kernel's records after the head.
    #[must_use]
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Where it is kept.
    #[must_use]
    pub const fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// The virtual machine.
    #[must_use]
    pub const fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// Reads the chain beside this ledger, from any thread.
    #[must_use]
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The state tree after the head.
    #[must_use]
    pub const fn tree(&self) -> &StateTree {
        &self.tree
    }

    /// Whether a block of this hash was executed on top of the head.
    #[must_use]
    pub fn is_prepared(&self, hash: &BlockHash) -> bool {
        self.prepared.contains_key(hash)
    }

    /// A block that was executed on top of the head.
    #[must_use]
    pub fn prepared_block(&self, hash: &BlockHash) -> Option<&Block> {
        self.prepared.get(hash).map(|p| &p.block)
    }

    /// Who validates after a block that was executed on top of the head.
    #[must_use]
    pub fn validators_after(&self, hash: &BlockHash) -> Option<&ValidatorSet> {
        self.prepared.get(hash).map(|prepared| &prepared.next_validators)
    }

    /// The transactions of a block that was executed on top of the head; none when it was not.
    pub fn prepared_transactions(&self, hash: &BlockHash) -> impl Iterator<Item = TxId> + '_ {
        self.prepared.get(hash).into_iter().flat_map(|p| p.records.iter().map(|record| record.receipt.tx))
    }

    pub(crate) fn executor(&self, time: TimestampMs) -> Executor {
        let moment = Moment { height: self.next_height(), time, read_only: false };
        let overlay = Overlay::new(Arc::clone(&self.storage));
        let session = Session::new(overlay, Arc::clone(&self.registry), moment, Arc::clone(&self.runtime));
        Executor::new(session, Arc::clone(&self.storage))
    }

    pub(crate) fn prepare(&self, executor: Executor, block: Block) -> Result<Prepared, LedgerError> {
        let (session, records) = executor.finish()?;
        let registry = Arc::clone(&session.registry);
        let next_validators = if Arc::ptr_eq(&registry, &self.registry) {
            self.validators.clone()
        } else {
            registry.validator_set().map_err(|e| LedgerError::Damaged(e.to_string()))?
        };
        let changes = session.overlay.into_changes();
        let update =
            self.tree.prepare(self.storage.as_ref(), &changes, &[]).map_err(|e| LedgerError::Damaged(e.to_string()))?;
        Ok(Prepared { block, records, update, registry, next_validators })
    }

    pub(crate) fn results(&self, prepared: &Prepared) -> (ReceiptsRoot, StateRoot, ValidatorsHash) {
        let leaves: Vec<Hash32> = prepared.records.iter().map(|r| r.receipt.leaf()).collect();
        (ReceiptsRoot(merkle::root(&leaves).0), prepared.update.root(), prepared.next_validators.hash())
    }

    /// Checks and executes a block that someone proposed on top of the head.
    ///
    /// `verified` answers with a transaction whose signatures were already checked, by the leaf hash of its bytes;
    /// `latest` is the latest time a block may have (`None` when it was already decided); `entropy` blinds signature
    /// batches.
    ///
    /// # Errors
    /// [`LedgerError`] when the node must stop; the inner [`BlockError`] when the block must not be voted for.
    pub fn validate(
        &mut self,
        block: &Block,
        latest: Option<TimestampMs>,
        entropy: &[u8; 32],
        verified: &dyn Fn(&Hash32) -> Option<Arc<VerifiedTransaction>>,
    ) -> Result<Result<BlockHash, BlockError>, LedgerError> {
        let hash = block.header.hash();
        if self.prepared.contains_key(&hash) {
            return Ok(Ok(hash));
        }
        let transactions = match self.check_block(block, latest, entropy, verified) {
            Ok(transactions) => transactions,
            Err(reason) => return Ok(Err(reason)),
        };
        let (mut executor, executed) = self.executor_of(block);
        for (index, tx) in transactions.iter().enumerate().skip(executed) {
            if let Err(reason) = executor.execute(tx)? {
                return Ok(Err(BlockError::Transaction { index, reason }));
            }
        }
        let prepared = self.prepare(executor, block.clone())?;
        let (receipts_root, state_root, next_validators_hash) = self.results(&prepared);
        let header = &block.header;
        let differing = [
            ("receipts root", header.receipts_root.0 == receipts_root.0),
            ("state root", header.state_root.0 == state_root.0),
            ("next validator set", header.next_validators_hash.0 == next_validators_hash.0),
        ];
        if let Some((what, _)) = differing.into_iter().find(|(_, same)| !same) {
            return Ok(Err(BlockError::Result(what)));
        }
        self.prepared.insert(hash, prepared);
        Ok(Ok(hash))
    }

    fn check_block(
        &self,
        block: &Block,
        latest: Option<TimestampMs>,
        entropy: &[u8; 32],
        verified: &dyn Fn(&Hash32) -> Option<Arc<VerifiedTransaction>>,
    ) -> Result<Vec<Arc<VerifiedTransaction>>, BlockError> {
        self.check_header(&block.header, latest)?;
        let params = &self.registry.params;
        let bytes: usize = block.transactions.iter().map(|t| t.len().saturating_add(8)).sum();
        if bytes.saturating_add(FRAME_BYTES) > usize::try_from(params.block_bytes_max).unwrap_or(BLOCK_BYTES_MAX)
            || block.transactions.len() > usize::try_from(params.block_transactions_max).unwrap_or(usize::MAX)
        {
            return Err(BlockError::TooLarge);
        }
        let leaves: Vec<Hash32> = block.transactions.iter().map(|t| merkle::leaf_hash(t)).collect();
        if block.header.transactions_root.0 != merkle::root(&leaves).0 {
            return Err(BlockError::Header("transactions_root"));
        }
        self.verify_transactions(block, &leaves, entropy, verified)
    }

    fn check_header(&self, header: &Header, latest: Option<TimestampMs>) -> Result<(), BlockError> {
        let fields = [
            ("version", header.version == BLOCK_VERSION),
            ("chain", header.chain == self.chain),
            ("height", header.height == self.next_height()),
            ("parent", header.parent == self.head.hash),
            ("validators_hash", header.validators_hash == self.validators.hash()),
            ("proposer", self.validators.index_of(&header.proposer).is_some()),
        ];
        if let Some((field, _)) = fields.into_iter().find(|(_, right)| !right) {
            return Err(BlockError::Header(field));
        }
        let min = TimestampMs(self.head.time.0.saturating_add(1));
        let max = latest.unwrap_or(TimestampMs(u64::MAX));
        if header.time < min || header.time > max {
            return Err(BlockError::Time { actual: header.time, min, max });
        }
        Ok(())
    }

    fn verify_transactions(
        &self,
        block: &Block,
        leaves: &[Hash32],
        entropy: &[u8; 32],
        verified: &dyn Fn(&Hash32) -> Option<Arc<VerifiedTransaction>>,
    ) -> Result<Vec<Arc<VerifiedTransaction>>, BlockError> {
        let refused = |index: usize, reason: TransactionError| BlockError::Transaction { index, reason: reason.into() };
        let mut transactions: Vec<Option<Arc<VerifiedTransaction>>> = leaves.iter().map(verified).collect();
        let mut unknown = Vec::new();
        let mut positions = Vec::new();
        for (index, raw) in block.transactions.iter().enumerate() {
            if transactions.get(index).is_some_and(Option::is_none) {
                let tx = UnverifiedTransaction::decode(raw.clone(), self.chain).map_err(|e| refused(index, e))?;
                unknown.push(tx);
                positions.push(index);
            }
        }
        for (index, verdict) in positions.into_iter().zip(UnverifiedTransaction::verify_all(unknown, entropy)) {
            let tx = verdict.map_err(|e| refused(index, e))?;
            if let Some(place) = transactions.get_mut(index) {
                *place = Some(Arc::new(tx));
            }
        }
        Ok(transactions.into_iter().flatten().collect())
    }

    /// Writes a decided block, synced, with everything that follows from it, and makes it the head.
    ///
    /// The block must have been executed ([`Self::is_prepared`]) and the certificate checked. `extra` is written in the
    /// same batch.
    ///
    /// # Errors
    /// [`LedgerError`]: the node must stop.
    pub fn commit(
        &mut self,
        hash: BlockHash,
        certificate: CommitCertificate,
        extra: Batch,
    ) -> Result<CommittedBlock, LedgerError> {
        let mut prepared = self
            .prepared
            .remove(&hash)
            .ok_or_else(|| LedgerError::Damaged(format!("block {hash} was decided but never executed here")))?;
        let mut batch = prepared.update.take_batch();
        let header = prepared.block.header.clone();
        let head = Head { height: header.height, hash, time: header.time, state_root: header.state_root };
        let key = header.height.0.to_be_bytes();
        let body = encode(&prepared.block.transactions);
        let bytes = body.len();
        batch.put(Table::Headers, key, encode(&header));
        batch.put(Table::Bodies, key, body);
        batch.put(Table::Certificates, key, encode(&certificate));
        batch.put(Table::Receipts, key, encode(&prepared.records));
        let mut places: Vec<(TxId, u32)> = prepared.records.iter().map(|r| (r.receipt.tx, r.receipt.index)).collect();
        // Rows in ascending order cost the storage less.
        places.sort_unstable();
        for (tx, index) in places {
            batch.put(Table::Transactions, tx.0, [key.as_slice(), &index.to_be_bytes()].concat());
        }
        if header.next_validators_hash != header.validators_hash {
            batch.put(Table::Validators, header.next_validators_hash.0, encode(&prepared.next_validators));
            batch.put(Table::Meta, set_change_key(header.height), header.next_validators_hash.0);
        }
        batch.put(Table::Meta, HEAD_KEY, encode(&head));
        batch.append(extra);
        let published = Published::of(head, Arc::clone(&prepared.registry), prepared.next_validators.clone());
        self.gate.pass(published, || self.storage.write(batch, Durability::Synced))?;
        self.tree.commit(prepared.update).map_err(|e| LedgerError::Damaged(e.to_string()))?;
        let registry_changed = !Arc::ptr_eq(&self.registry, &prepared.registry);
        self.registry = prepared.registry;
        self.validators = prepared.next_validators;
        self.head = head;
        self.prepared.clear();
        if self.building.as_ref().is_some_and(|building| !building.is_on(&hash)) {
            self.building = None;
        }
        Ok(CommittedBlock { hash, header, certificate, records: prepared.records, bytes, registry_changed })
    }

    /// Forgets blocks that were executed but not decided.
    pub fn forget_prepared(&mut self) {
        self.prepared.clear();
        self.building = None;
    }
}

/// Key in [`Table::Meta`] under which a block that changes the validator set leaves a mark for proofs.
#[must_use]
pub fn set_change_key(height: Height) -> Vec<u8> {
    [b"set-change/".as_slice(), &height.0.to_be_bytes()].concat()
}

/// The tree, which must lead to `root`.
pub(crate) fn open_tree(storage: &dyn Storage, root: &StateRoot) -> Result<StateTree, LedgerError> {
    let tree = StateTree::open(storage).map_err(|e| LedgerError::Damaged(e.to_string()))?;
    if tree.root() == *root {
        return Ok(tree);
    }
    Err(LedgerError::Damaged(format!("the state tree has root {}, the head says {root}", tree.root())))
}

/// The kernel's records of the stored state.
pub(crate) fn load_registry(storage: &Arc<dyn Storage>) -> Result<Registry, LedgerError> {
    Registry::load(storage)?.ok_or_else(|| LedgerError::Damaged("no parameters in the state".into()))
}

fn read_head(view: &dyn View) -> Result<Head, LedgerError> {
    let bytes = view.get(Table::Meta, HEAD_KEY)?.ok_or_else(|| LedgerError::Damaged("no head".into()))?;
    decode("head", &bytes, 256).map_err(|e| LedgerError::Damaged(e.to_string()))
}

/// A stored certificate.
///
/// # Errors
/// [`LedgerError`].
pub fn read_certificate(view: &dyn View, height: Height) -> Result<Option<CommitCertificate>, LedgerError> {
    view.get(Table::Certificates, &height.0.to_be_bytes())?
        .map(|b| decode("certificate", &b, CERTIFICATE_BYTES_MAX).map_err(|e| LedgerError::Damaged(e.to_string())))
        .transpose()
}

/// A stored header.
///
/// # Errors
/// [`LedgerError`].
pub fn read_header(view: &dyn View, height: Height) -> Result<Option<Header>, LedgerError> {
    view.get(Table::Headers, &height.0.to_be_bytes())?
        .map(|b| decode("header", &b, 4096).map_err(|e| LedgerError::Damaged(e.to_string())))
        .transpose()
}

/// The stored transactions of a block; `None` when there is no such block or it was pruned.
///
/// # Errors
/// [`LedgerError`].
pub fn read_body(view: &dyn View, height: Height) -> Result<Option<Vec<Vec<u8>>>, LedgerError> {
    view.get(Table::Bodies, &height.0.to_be_bytes())?
        .map(|b| decode("block body", &b, BLOCK_BYTES_MAX * 2).map_err(|e| LedgerError::Damaged(e.to_string())))
        .transpose()
}

/// The stored records of a block.
///
/// # Errors
/// [`LedgerError`].
pub fn read_records(view: &dyn View, height: Height) -> Result<Option<Vec<TransactionRecord>>, LedgerError> {
    view.get(Table::Receipts, &height.0.to_be_bytes())?
        .map(|b| {
            decode("receipts", &b, vouch_types::codec::DECODE_BYTES_MAX)
                .map_err(|e| LedgerError::Damaged(e.to_string()))
        })
        .transpose()
}

/// A stored validator set.
///
/// # Errors
/// [`LedgerError`].
pub fn read_validators(view: &dyn View, hash: &ValidatorsHash) -> Result<Option<ValidatorSet>, LedgerError> {
    view.get(Table::Validators, &hash.0)?
        .map(|b| decode("validator set", &b, 64 << 10).map_err(|e| LedgerError::Damaged(e.to_string())))
        .transpose()
}
