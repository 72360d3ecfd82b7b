//! What anyone may be shown of the chain, read beside the commits: blocks, receipts, proofs, queries.
//!
//! Reads of one answer come from one moment. Short ones hold the gate that a commit takes for its write; a query, which
//! may run long, runs without it and again when a block came in between, the last time with it.

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
};

use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use vouch_genesis::GenesisDocument;
use vouch_types::{
    AccountId, Call, ChainId, CodeHash, CommitCertificate, ContractName, GenesisHeader, Hash32, Header, Height, TxId,
    ValidatorSet,
    codec::encode,
    light::{
        Claim, EventProof, FinalityProof, LightClient, PROOF_VERSION, ProofBundle, ProofError, ReceiptProof, SetChange,
        TransactionProof,
    },
    merkle,
};
use vouch_vm::CallFailure;

use crate::{
    chain::{
        Head, LedgerError, read_body, read_certificate, read_header, read_records, read_validators, set_change_key,
    },
    executor::{TransactionRecord, find_transaction},
    keys,
    overlay::{Overlay, read_state},
    registry::Registry,
    session::{Moment, Runtime, Session},
    storage::{Storage, Table},
    tree,
};

/// How often a query is run again because a block came in between, before it runs with commits held back.
const QUERY_TRIES: usize = 3;
/// Blocks kept for proofs.
const PROVABLE_MAX: usize = 2;
/// Most marks of validator set changes read for one proof.
const SET_CHANGES_MAX: usize = vouch_types::light::SET_CHANGES_MAX;

/// What changes with each block, published as a whole.
#[derive(Debug, Clone)]
pub struct Published {
    /// The last committed block.
    pub head: Head,
    /// The kernel's records after it.
    pub registry: Arc<Registry>,
    /// The validators of the next height.
    pub validators: ValidatorSet,
    /// True while the state is being taken over from a snapshot: it cannot be read then.
    pub joining: bool,
}

impl Published {
    pub(crate) const fn of(head: Head, registry: Arc<Registry>, validators: ValidatorSet) -> Self {
        Self { head, registry, validators, joining: false }
    }
}

/// The gate between commits and readers. Whoever only asks what is published does not wait while a block is being written.
#[derive(Debug)]
pub(crate) struct Gate {
    commits: RwLock<()>,
    published: RwLock<Published>,
}

/// What is published while this is held, and the storage to it: no commit comes in between.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    published: Published,
    _commits: RwLockReadGuard<'a, ()>,
}

impl core::ops::Deref for Held<'_> {
    type Target = Published;

    fn deref(&self) -> &Published {
        &self.published
    }
}

impl Gate {
    pub(crate) const fn new(published: Published) -> Self {
        Self { commits: RwLock::new(()), published: RwLock::new(published) }
    }

    /// Keeps commits back.
    pub(crate) fn hold(&self) -> Held<'_> {
        let commits = self.commits.read();
        Held { published: self.published.read().clone(), _commits: commits }
    }

    /// Writes a block, and publishes what follows from it.
    pub(crate) fn pass<E>(&self, published: Published, write: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let _commits = self.commits.write();
        write()?;
        *self.published.write() = published;
        Ok(())
    }

    /// From now on the state cannot be read.
    pub(crate) fn set_joining(&self) {
        let _commits = self.commits.write();
        self.published.write().joining = true;
    }
}

/// A committed block with everything that belongs to it.
#[derive(Debug, Clone)]
pub struct StoredBlock {
    /// Its header.
    pub header: Header,
    /// The proof of its finality kept here.
    pub certificate: CommitCertificate,
    /// Its transactions as received.
    pub transactions: Vec<Vec<u8>>,
    /// What they came to.
    pub records: Vec<TransactionRecord>,
}

/// A block about which many proofs are asked for: everyone who waits for a transaction asks when its block is final.
#[derive(Debug)]
struct Provable {
    block: StoredBlock,
    transactions: OnceLock<Vec<Hash32>>,
    receipts: OnceLock<Vec<Hash32>>,
}

impl Provable {
    const fn new(block: StoredBlock) -> Self {
        Self { block, transactions: OnceLock::new(), receipts: OnceLock::new() }
    }

    /// Leaves under the root of transactions.
    fn transactions(&self) -> &[Hash32] {
        let leaves = || self.block.transactions.iter().map(|raw| merkle::leaf_hash(raw)).collect();
        self.transactions.get_or_init(leaves)
    }

    /// Leaves under the root of receipts.
    fn receipts(&self) -> &[Hash32] {
        let leaves = || self.block.records.iter().map(|record| record.receipt.leaf()).collect();
        self.receipts.get_or_init(leaves)
    }
}

/// What a proof shall show about a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// It stands in the block.
    Transaction,
    /// How it ended.
    Receipt,
    /// It emitted its event of this position.
    Event(u32),
}

/// How a query ended.
#[derive(Debug, Clone)]
pub struct QueryOutcome {
    /// Height of the state that answered.
    pub height: Height,
    /// The encoded output, or why there is none.
    pub result: Result<Vec<u8>, CallFailure>,
    /// Work done.
    pub fuel_used: u64,
}

/// A value of the state.
#[derive(Debug, Clone)]
pub struct StateValue {
    /// Height of the state.
    pub height: Height,
    /// The value, if the key has one.
    pub value: Option<Vec<u8>>,
    /// Proof of it, when asked for; none before the first block and for a key that was never written.
    pub proof: Option<ProofBundle>,
}

/// Reads a chain that another thread may be extending.
#[derive(Debug, Clone)]
pub struct Reader {
    chain: ChainId,
    genesis: GenesisHeader,
    first_set: ValidatorSet,
    storage: Arc<dyn Storage>,
    runtime: Arc<Runtime>,
    gate: Arc<Gate>,
    /// The blocks about which proofs were asked for last.
    provable: Arc<Mutex<VecDeque<Arc<Provable>>>>,
}

impl Reader {
    pub(crate) fn new(
        genesis: &GenesisDocument,
        storage: Arc<dyn Storage>,
        runtime: Arc<Runtime>,
        gate: Arc<Gate>,
    ) -> Result<Self, LedgerError> {
        let wrong = |e: vouch_genesis::GenesisError| LedgerError::Genesis(e.to_string());
        let header = genesis.header().map_err(wrong)?;
        let first_set = genesis.validator_set().map_err(wrong)?;
        Ok(Self { chain: header.chain(), genesis: header, first_set, storage, runtime, gate, provable: Arc::default() })
    }

    /// The chain's id.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// Head, records and validators of this moment.
    #[must_use]
    pub fn published(&self) -> Published {
        self.gate.published.read().clone()
    }

    /// The storage, for reads of single rows.
    #[must_use]
    pub const fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// A light client that knows what the genesis document says and nothing else.
    ///
    /// # Errors
    /// None for a document that made this reader.
    pub fn light_client(&self) -> Result<LightClient, ProofError> {
        LightClient::from_genesis(self.chain, &self.genesis, self.first_set.clone())
    }

    /// A committed block; `None` above the head, at 0, and where it was pruned.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn block(&self, height: Height) -> Result<Option<StoredBlock>, LedgerError> {
        let storage = self.storage.as_ref();
        let (Some(header), Some(certificate), Some(transactions), Some(records)) = (
            read_header(storage, height)?,
            read_certificate(storage, height)?,
            read_body(storage, height)?,
            read_records(storage, height)?,
        ) else {
            return Ok(None);
        };
        Ok(Some(StoredBlock { header, certificate, transactions, records }))
    }

    /// The header of a height; `None` above the head and at 0. Headers are kept for ever.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn header(&self, height: Height) -> Result<Option<Header>, LedgerError> {
        read_header(self.storage.as_ref(), height)
    }

    /// The lowest height whose block is kept; all above are, too.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn lowest(&self) -> Result<Height, LedgerError> {
        crate::prune::read_lowest(self.storage.as_ref())
    }

    /// A committed header with its certificate.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn finality(&self, height: Height) -> Result<Option<FinalityProof>, LedgerError> {
        let storage = self.storage.as_ref();
        Ok(match (read_header(storage, height)?, read_certificate(storage, height)?) {
            (Some(header), Some(certificate)) => Some(FinalityProof { header, certificate }),
            _ => None,
        })
    }

    /// Where a transaction stands.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn find(&self, tx: &TxId) -> Result<Option<(Height, u32)>, LedgerError> {
        Ok(find_transaction(self.storage.as_ref(), tx)?)
    }

    /// The validator set that makes the block of a height final.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn validators_at(&self, height: Height) -> Result<Option<ValidatorSet>, LedgerError> {
        let published = self.published();
        if Some(height) == published.head.height.next() {
            return Ok(Some(published.validators));
        }
        match read_header(self.storage.as_ref(), height)? {
            Some(header) => read_validators(self.storage.as_ref(), &header.validators_hash),
            None => Ok(None),
        }
    }

    /// A proof about a transaction at its place; `None` when there is no such place or event.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn prove_transaction(
        &self,
        (height, index): (Height, u32),
        wanted: Wanted,
    ) -> Result<Option<ProofBundle>, LedgerError> {
        let Some(provable) = self.provable(height)? else { return Ok(None) };
        let Some(claim) = claim(&provable, index, wanted) else { return Ok(None) };
        let StoredBlock { header, certificate, .. } = &provable.block;
        let finality = FinalityProof { header: header.clone(), certificate: certificate.clone() };
        self.bundle(finality, claim).map(Some)
    }

    /// A block to prove something about, read once for all who ask about it at the same time.
    fn provable(&self, height: Height) -> Result<Option<Arc<Provable>>, LedgerError> {
        let is_it = |provable: &&Arc<Provable>| provable.block.header.height == height;
        if let Some(found) = self.provable.lock().iter().find(is_it) {
            return Ok(Some(Arc::clone(found)));
        }
        let Some(block) = self.block(height)? else { return Ok(None) };
        let read = Arc::new(Provable::new(block));
        let mut kept = self.provable.lock();
        if kept.len() >= PROVABLE_MAX {
            kept.pop_front();
        }
        kept.push_back(Arc::clone(&read));
        Ok(Some(read))
    }

    fn bundle(&self, finality: FinalityProof, claim: Claim) -> Result<ProofBundle, LedgerError> {
        let height = finality.header.height;
        let set_changes = self.set_changes(height)?;
        let first_set = self.first_set.clone();
        Ok(ProofBundle {
            version: PROOF_VERSION,
            genesis: self.genesis.clone(),
            first_set,
            set_changes,
            finality,
            claim,
        })
    }

    /// Every change of the validator set below a height, as far as one proof may carry them: what leads a light client there.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn set_changes(&self, below: Height) -> Result<Vec<SetChange>, LedgerError> {
        let (from, to) = (set_change_key(Height::ZERO), set_change_key(below));
        let marks = self.storage.scan(Table::Meta, &from, Some(&to), SET_CHANGES_MAX)?;
        let damaged = |what: &str| LedgerError::Damaged(format!("a change of the validator set has no {what}"));
        marks
            .into_iter()
            .map(|(key, _)| {
                let height = key.get(key.len().saturating_sub(8)..).and_then(|b| b.try_into().ok());
                let height = Height(u64::from_be_bytes(height.ok_or_else(|| damaged("height"))?));
                let finality = self.finality(height)?.ok_or_else(|| damaged("block"))?;
                let hash = finality.header.next_validators_hash;
                let next_set =
                    read_validators(self.storage.as_ref(), &hash)?.ok_or_else(|| damaged("validator set"))?;
                Ok(SetChange { finality, next_set })
            })
            .collect()
    }

    /// A value of a contract's state at the head.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn state(&self, contract: &ContractName, key: &[u8], prove: bool) -> Result<StateValue, LedgerError> {
        let full = keys::contract_key(contract, key);
        let published = self.gate.hold();
        if published.joining {
            return Err(LedgerError::Joining);
        }
        let value = read_state(self.storage.as_ref(), &full)?;
        let height = published.head.height;
        let mut proof = None;
        if prove && height > Height::ZERO {
            let found = tree::prove(&*self.storage, &full).map_err(|e| LedgerError::Damaged(e.to_string()))?;
            if let Some(found) = found {
                let finality = self.finality(height)?;
                let finality = finality.ok_or_else(|| LedgerError::Damaged("the head has no block".into()))?;
                proof = Some(self.bundle(finality, Claim::State(found))?);
            }
        }
        Ok(StateValue { height, value, proof })
    }

    /// The code of a contract.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn code(&self, hash: &CodeHash) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(read_state(self.storage.as_ref(), &keys::code(&Hash32(hash.0)))?)
    }

    /// The self-description of deployed code, as JSON text; `None` when there is no such code.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn abi_json(&self, hash: &CodeHash) -> Result<Option<String>, LedgerError> {
        let code = self.code(hash)?;
        Ok(code.and_then(|code| self.runtime.vm.validate(&code).ok()).map(|info| info.abi_json))
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(crate) const fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// Runs a read-only call at the head, on behalf of nobody in particular.
    ///
    /// # Errors
    /// [`LedgerError`]: the node must stop.
    pub fn query(&self, call: &Call) -> Result<QueryOutcome, LedgerError> {
        self.at_one_height(|at| self.run_query(call, at))
    }

    /// Runs work that may take long beside commits, and again when a block came in between, the last time without any.
    pub(crate) fn at_one_height<T>(
        &self,
        work: impl Fn(&Published) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let run = |at: &Published| if at.joining { Err(LedgerError::Joining) } else { work(at) };
        for _ in 0..QUERY_TRIES {
            let before = self.published();
            let outcome = run(&before);
            let now = self.gate.hold();
            if (now.head, now.joining) == (before.head, before.joining) {
                return outcome;
            }
        }
        let published = self.gate.hold();
        run(&published)
    }

    fn run_query(&self, call: &Call, at: &Published) -> Result<QueryOutcome, LedgerError> {
        let moment = Moment { height: at.head.height, time: at.head.time, read_only: true };
        let overlay = Overlay::new(Arc::clone(&self.storage));
        let mut session = Session::new(overlay, Arc::clone(&at.registry), moment, Arc::clone(&self.runtime));
        session.signers = vec![AccountId::ZERO];
        let fuel = at.registry.params.fuel_per_transaction_max;
        let end = session.run_all(core::slice::from_ref(call), fuel)?;
        let result = end.result.map_err(|(_, failure)| failure);
        Ok(QueryOutcome { height: at.head.height, result, fuel_used: end.fuel_used })
    }
}

fn claim(provable: &Provable, index: u32, wanted: Wanted) -> Option<Claim> {
    let (block, position) = (&provable.block, usize::try_from(index).ok()?);
    if wanted == Wanted::Transaction {
        let raw = block.transactions.get(position)?.clone();
        let path = merkle::path(provable.transactions(), position)?;
        return Some(Claim::Transaction(TransactionProof { raw, path }));
    }
    let record = block.records.get(position)?;
    let path = merkle::path(provable.receipts(), position)?;
    let receipt = ReceiptProof { receipt: record.receipt.clone(), path };
    match wanted {
        Wanted::Event(event) => {
            let leaves: Vec<Hash32> = record.events.iter().map(|e| merkle::leaf_hash(&encode(e))).collect();
            let event = usize::try_from(event).ok()?;
            let path = merkle::path(&leaves, event)?;
            Some(Claim::Event(EventProof { event: record.events.get(event)?.clone(), path, receipt }))
        }
        Wanted::Receipt | Wanted::Transaction => Some(Claim::Receipt(receipt)),
    }
}
