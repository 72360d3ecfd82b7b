//! Hands the state over as it was at one height, and takes one over: how a node joins without executing the past.
//!
//! ```text
//! serving                                   joining
//! Ledger::pin --> Pinned --offer----------> SnapshotOffer::verify, from the genesis document alone
//!                    |-----range proofs---> Ledger::take_piece,   under the header's state root
//!                    |-----last blocks----> Ledger::take_history, under the header's chain of parents
//!                                              --> a ledger at the snapshot's height
//! ```
//!
//! Nothing received is written before it is verified; what was written is kept over a crash, and the head moves only when
//! all of it is there, in one synced batch. The last blocks come along because their transactions must not be accepted
//! again.
//!
//! Deliberately not here: whom to ask, and what becomes of a peer that lied.

use std::sync::Arc;

use vouch_types::{
    BlockHash, CommitCertificate, Hash32, Header, Height, RangeProof, TxId, UnverifiedTransaction,
    block::BLOCK_BYTES_MAX,
    codec::DECODE_BYTES_MAX,
    decode, encode,
    light::{FinalityProof, LightClient, ProofError, SET_CHANGES_MAX, SetChange},
    merkle,
    receipt::{events_root, output_hash},
};
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    chain::{HEAD_KEY, Head, Ledger, LedgerError, load_registry, open_tree, read_header, set_change_key},
    executor::TransactionRecord,
    prune::LOWEST_KEY,
    reader::{Published, Reader},
    storage::{Batch, Durability, StorageError, Table, View},
    tree::{StateImport, TreeError, prove_range},
};

/// Most bytes of an encoded [`SnapshotOffer`].
pub const OFFER_BYTES_MAX: usize = 15 << 20;
/// About how many bytes of keys and values one piece of the state holds.
pub const PIECE_BYTES: usize = 1 << 20;
/// Most bytes of blocks in one answer; one block is always in it.
pub const HISTORY_BYTES_MAX: usize = 4 << 20;
/// Most blocks in one answer.
pub const HISTORY_BLOCKS_MAX: usize = 64;
/// A block whose transactions and receipts together take more bytes than this travels without its receipts.
const RECORDS_BYTES_MAX: usize = 14 << 20;

/// Key of the [`Marker`] in [`Table::Meta`].
const JOIN_KEY: &[u8] = b"join";
/// Key of the lowest height of the last blocks that was taken over so far, in [`Table::Meta`].
const HISTORY_KEY: &[u8] = b"join_history";
const MARKER_VERSION: u8 = 1;

/// A state that can be had, and why it is the chain's.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct SnapshotOffer {
    /// The block after which the state was so.
    pub finality: FinalityProof,
    /// Every change of the validator set below it, ascending.
    pub set_changes: Vec<SetChange>,
}

impl SnapshotOffer {
    /// Height of the state.
    #[must_use]
    pub const fn height(&self) -> Height {
        self.finality.header.height
    }

    /// Leads a light client from genesis to the offer's height.
    ///
    /// # Errors
    /// [`ProofError`]: the offer shows nothing.
    pub fn verify(&self, mut client: LightClient) -> Result<LightClient, ProofError> {
        if self.set_changes.len() > SET_CHANGES_MAX {
            return Err(ProofError::SetChanges { actual: self.set_changes.len(), max: SET_CHANGES_MAX });
        }
        for change in &self.set_changes {
            client.advance(&change.finality, Some(change.next_set.clone()))?;
        }
        let (actual, head) = (self.height(), client.head().map(|h| h.height).unwrap_or_default());
        if actual <= head {
            return Err(ProofError::NotNewer { actual, head });
        }
        client.verify_at(&self.finality)?;
        Ok(client)
    }
}

/// One of the last blocks before a snapshot, with what it came to.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct HistoryBlock {
    /// Its header.
    pub header: Header,
    /// Precommits for it.
    pub certificate: CommitCertificate,
    /// Encoded list of its transactions.
    pub body: Vec<u8>,
    /// Encoded list of [`TransactionRecord`]s; left out where that would not fit into a message.
    pub records: Option<Vec<u8>>,
}

/// What a join needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// The piece of the state from this slot on.
    Piece {
        /// First slot.
        slot: u64,
    },
    /// Blocks in descending order.
    History {
        /// Below this height.
        before: Height,
        /// Down to this one.
        from: Height,
    },
}

/// How far a join is after something was taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// More is due.
    NotYet,
    /// The ledger stands at the snapshot's height.
    Yes,
}

/// How a peer lied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinFault {
    /// A piece that is not the one due, or not of the state.
    #[error("the piece does not belong to the state")]
    Piece,
    /// A header that is not the parent of the one above it.
    #[error("the header is not the parent's")]
    Header,
    /// A certificate that proves nothing.
    #[error("the certificate does not make the block final")]
    Certificate,
    /// The offer left out changes of the validator set.
    #[error("the offer's validator sets are not the chain's")]
    WrongSet,
    /// Transactions that are not the block's.
    #[error("the transactions are not the block's")]
    Body,
    /// Receipts, outputs or events that are not the block's.
    #[error("the receipts are not the block's")]
    Receipts,
}

impl JoinFault {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Piece => "peer.snapshot_bad_piece",
            Self::Header => "peer.snapshot_bad_header",
            Self::Certificate => "peer.snapshot_bad_certificate",
            Self::WrongSet => "peer.snapshot_wrong_set",
            Self::Body => "peer.snapshot_bad_body",
            Self::Receipts => "peer.snapshot_bad_receipts",
        }
    }

    /// What is wrong with an offer that does not verify.
    #[must_use]
    pub const fn of_offer(error: &ProofError) -> Self {
        match error {
            ProofError::Certificate(_) | ProofError::CertificateHeight { .. } | ProofError::CertificateBlock { .. } => {
                Self::Certificate
            }
            ProofError::SetChanges { .. }
            | ProofError::Set(_)
            | ProofError::UnknownValidators { .. }
            | ProofError::NextSetMissing { .. }
            | ProofError::NextSet { .. }
            | ProofError::NextSetSurplus { .. } => Self::WrongSet,
            _ => Self::Header,
        }
    }
}

fn damaged(error: impl core::fmt::Display) -> LedgerError {
    LedgerError::Damaged(error.to_string())
}

/// A fault of the tree that is not a peer's.
fn of_tree(error: TreeError) -> LedgerError {
    match error {
        TreeError::Storage(error) => error.into(),
        error => damaged(error),
    }
}

/// First height whose transactions could be replayed on top of `head`.
fn replayable_from(head: Height, expiry_window: u64) -> Height {
    Height(head.0.saturating_sub(expiry_window).saturating_add(1).max(1))
}

/// A state held still, with all that others need to take it over.
pub struct Pinned {
    view: Arc<dyn View>,
    offer: SnapshotOffer,
    lowest: Height,
}

impl core::fmt::Debug for Pinned {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Pinned").field("height", &self.offer.height()).field("lowest", &self.lowest).finish()
    }
}

impl Pinned {
    /// What to tell others.
    #[must_use]
    pub const fn offer(&self) -> &SnapshotOffer {
        &self.offer
    }

    /// Height of the state.
    #[must_use]
    pub const fn height(&self) -> Height {
        self.offer.height()
    }

    /// About [`PIECE_BYTES`] of the state from `slot` on; `None` when there is no such slot.
    ///
    /// # Errors
    /// [`TreeError`]: the pinned view cannot be read; what it was made from is not concerned.
    pub fn piece(&self, slot: u64) -> Result<Option<RangeProof>, TreeError> {
        prove_range(self.view.as_ref(), slot, u64::MAX, PIECE_BYTES)
    }

    /// Blocks below `before` down to `from` in descending order, as many as one answer holds.
    ///
    /// # Errors
    /// [`LedgerError`], as [`Pinned::piece`].
    pub fn history(&self, before: Height, from: Height) -> Result<Vec<HistoryBlock>, LedgerError> {
        let (mut blocks, mut bytes) = (Vec::new(), 0usize);
        let mut at = Height(before.0.min(self.height().0.saturating_add(1))).previous();
        while let Some(height) = at.filter(|h| *h >= from.max(self.lowest) && blocks.len() < HISTORY_BLOCKS_MAX) {
            let Some(block) = self.history_block(height)? else { break };
            bytes = bytes.saturating_add(block.body.len()).saturating_add(block.records.as_ref().map_or(0, Vec::len));
            if bytes > HISTORY_BYTES_MAX && !blocks.is_empty() {
                break;
            }
            blocks.push(block);
            at = height.previous();
        }
        Ok(blocks)
    }

    fn history_block(&self, height: Height) -> Result<Option<HistoryBlock>, LedgerError> {
        let (view, key) = (self.view.as_ref(), height.0.to_be_bytes());
        let Some(header) = read_header(view, height)? else { return Ok(None) };
        let Some(certificate) = crate::chain::read_certificate(view, height)? else { return Ok(None) };
        let Some(body) = view.get(Table::Bodies, &key)? else { return Ok(None) };
        let records = view.get(Table::Receipts, &key)?;
        let records = records.filter(|records| body.len().saturating_add(records.len()) <= RECORDS_BYTES_MAX);
        Ok(Some(HistoryBlock { header, certificate, body, records }))
    }
}

/// What is stored while a join is under way.
#[derive(Debug, Clone, SchemaRead, SchemaWrite)]
struct Marker {
    version: u8,
    offer: SnapshotOffer,
}

#[derive(Debug)]
enum Stage {
    State(StateImport),
    /// The block below `before` has the hash `expected`.
    History {
        before: Height,
        from: Height,
        expected: BlockHash,
    },
}

/// A snapshot being taken over.
#[derive(Debug)]
pub struct Join {
    offer: SnapshotOffer,
    client: LightClient,
    stage: Stage,
}

impl Join {
    /// Whether `view` holds a join that was begun and not ended.
    pub(crate) fn is_begun(view: &dyn View) -> Result<bool, LedgerError> {
        Ok(view.get(Table::Meta, JOIN_KEY)?.is_some())
    }

    /// What is being taken over.
    #[must_use]
    pub const fn offer(&self) -> &SnapshotOffer {
        &self.offer
    }

    /// What it needs next.
    #[must_use]
    pub const fn due(&self) -> Due {
        match &self.stage {
            Stage::State(import) => Due::Piece { slot: import.next_slot() },
            Stage::History { before, from, .. } => Due::History { before: *before, from: *from },
        }
    }

    /// Slots taken over so far and slots of the whole state, once they are known.
    #[must_use]
    pub fn progress(&self) -> Option<(u64, u64)> {
        match &self.stage {
            Stage::State(import) => import.slots().map(|slots| (import.next_slot(), slots)),
            Stage::History { .. } => None,
        }
    }

    /// Checks one block against what the block above it says; returns its rows.
    fn check(&self, block: &HistoryBlock, expected: &BlockHash) -> Result<Batch, JoinFault> {
        if block.header.hash() != *expected {
            return Err(JoinFault::Header);
        }
        let finality = FinalityProof { header: block.header.clone(), certificate: block.certificate.clone() };
        self.client.verify_at(&finality).map_err(|error| match JoinFault::of_offer(&error) {
            // The header is the chain's, so it is the offer that leads to another set.
            JoinFault::WrongSet => JoinFault::WrongSet,
            _ => JoinFault::Certificate,
        })?;
        let header = &block.header;
        let body: Vec<Vec<u8>> = decode("block body", &block.body, BLOCK_BYTES_MAX * 2).map_err(|_| JoinFault::Body)?;
        let leaves: Vec<Hash32> = body.iter().map(|t| merkle::leaf_hash(t)).collect();
        if merkle::root(&leaves).0 != header.transactions_root.0 {
            return Err(JoinFault::Body);
        }
        let ids = match &block.records {
            Some(records) => check_records(header, records, body.len())?,
            None => ids_of(header, body)?,
        };
        let key = header.height.0.to_be_bytes();
        let mut batch = Batch::new();
        batch.put(Table::Headers, key, encode(header));
        batch.put(Table::Certificates, key, encode(&block.certificate));
        batch.put(Table::Bodies, key, block.body.as_slice());
        if let Some(records) = &block.records {
            batch.put(Table::Receipts, key, records.as_slice());
        }
        for (index, id) in (0u32..).zip(ids) {
            batch.put(Table::Transactions, id.0, [key.as_slice(), &index.to_be_bytes()].concat());
        }
        batch.put(Table::Meta, HISTORY_KEY, encode(&header.height));
        Ok(batch)
    }
}

fn check_records(header: &Header, bytes: &[u8], count: usize) -> Result<Vec<TxId>, JoinFault> {
    let records: Vec<TransactionRecord> =
        decode("receipts", bytes, DECODE_BYTES_MAX).map_err(|_| JoinFault::Receipts)?;
    let leaves: Vec<Hash32> = records.iter().map(|r| r.receipt.leaf()).collect();
    let whole = records
        .iter()
        .all(|r| r.receipt.output_hash == output_hash(&r.output) && r.receipt.events_root == events_root(&r.events));
    if records.len() != count || !whole || merkle::root(&leaves).0 != header.receipts_root.0 {
        return Err(JoinFault::Receipts);
    }
    Ok(records.iter().map(|r| r.receipt.tx).collect())
}

/// Ids of transactions that are known to stand in the block of `header`.
pub(crate) fn ids_of(header: &Header, body: Vec<Vec<u8>>) -> Result<Vec<TxId>, JoinFault> {
    let id = |raw| UnverifiedTransaction::decode(raw, header.chain).map(|tx| tx.id()).map_err(|_| JoinFault::Body);
    body.into_iter().map(id).collect()
}

impl Reader {
    /// Verifies what a peer offers from the genesis document alone.
    ///
    /// # Errors
    /// [`JoinFault`]: how the peer lied.
    pub fn verify_offer(&self, offer: &SnapshotOffer) -> Result<LightClient, JoinFault> {
        self.light_client().and_then(|client| offer.verify(client)).map_err(|error| JoinFault::of_offer(&error))
    }
}

impl Ledger {
    /// Holds the state of the head still; `None` when there is none to hand over or the storage cannot. The inner error says
    /// why a copy could not be made, for want of disk space for example; the storage itself is as it was.
    ///
    /// # Errors
    /// [`LedgerError`] when the storage cannot be read: the node must stop.
    pub fn pin(&self) -> Result<Result<Option<Pinned>, StorageError>, LedgerError> {
        let head = self.head.height;
        let from = replayable_from(head, self.registry.params.expiry_window);
        if self.join.is_some() || head == Height::ZERO || self.lowest > from {
            return Ok(Ok(None));
        }
        let set_changes = self.reader.set_changes(head)?;
        let Some(finality) = self.reader.finality(head)? else { return Ok(Ok(None)) };
        let offer = SnapshotOffer { finality, set_changes };
        if offer.set_changes.len() >= SET_CHANGES_MAX || encode(&offer).len() > OFFER_BYTES_MAX {
            return Ok(Ok(None));
        }
        Ok(self.storage.pin().map(|view| view.map(|view| Pinned { view, offer, lowest: self.lowest })))
    }

    /// The snapshot being taken over, if one is; nothing is executed and nothing but blocks is to be read meanwhile.
    #[must_use]
    pub fn join(&self) -> Option<&Join> {
        self.join.as_deref()
    }

    /// Gives up the state that is here and begins to take over the one of an offer that [`Reader::verify_offer`] led
    /// `client` to; a join under way is given up as well.
    ///
    /// # Errors
    /// [`LedgerError`]: the node must stop.
    pub fn begin_join(&mut self, offer: SnapshotOffer, client: LightClient) -> Result<(), LedgerError> {
        self.gate.set_joining();
        self.forget_prepared();
        let mut batch = StateImport::clear(self.storage.as_ref()).map_err(of_tree)?;
        for table in [Table::Undecided, Table::ConsensusLog] {
            clear_rows(self.storage.as_ref(), table, &mut batch)?;
        }
        batch.delete(Table::Meta, HISTORY_KEY);
        let marker = Marker { version: MARKER_VERSION, offer };
        batch.put(Table::Meta, JOIN_KEY, encode(&marker));
        self.storage.write(batch, Durability::Synced)?;
        let root = marker.offer.finality.header.state_root;
        let import = StateImport::open(self.storage.as_ref(), root).map_err(of_tree)?;
        self.join = Some(Box::new(Join { offer: marker.offer, client, stage: Stage::State(import) }));
        Ok(())
    }

    /// Goes on with the join that the storage holds.
    pub(crate) fn resume_join(&mut self) -> Result<(), LedgerError> {
        let storage = self.storage.as_ref();
        let bytes = storage.get(Table::Meta, JOIN_KEY)?.ok_or_else(|| damaged("no join"))?;
        let marker: Marker = decode("join", &bytes, OFFER_BYTES_MAX + 64).map_err(damaged)?;
        if marker.version != MARKER_VERSION {
            return Err(damaged("join of another version"));
        }
        let client = self.reader.verify_offer(&marker.offer).map_err(damaged)?;
        let root = marker.offer.finality.header.state_root;
        let stage = match StateImport::open(storage, root) {
            Ok(import) => Stage::State(import),
            // The state is whole, the last blocks are not.
            Err(TreeError::NotEmpty) => {
                self.tree = open_tree(storage, &root)?;
                self.history_stage(&marker.offer)?
            }
            Err(error) => return Err(of_tree(error)),
        };
        self.join = Some(Box::new(Join { offer: marker.offer, client, stage }));
        self.end_stage().map(drop)
    }

    /// Checks the piece that is due and stores it; the inner error says how the peer lied.
    ///
    /// # Errors
    /// [`LedgerError`]: the node must stop.
    pub fn take_piece(&mut self, piece: &RangeProof) -> Result<Result<Joined, JoinFault>, LedgerError> {
        let Some(Join { stage: Stage::State(import), .. }) = self.join.as_deref_mut() else {
            return Ok(Err(JoinFault::Piece));
        };
        match import.accept(piece) {
            Ok(batch) => self.storage.write(batch, Durability::Synced)?,
            Err(TreeError::Proof(_) | TreeError::OutOfOrder { .. }) => return Ok(Err(JoinFault::Piece)),
            Err(error) => return Err(of_tree(error)),
        }
        self.end_stage().map(Ok)
    }

    /// Checks blocks below the snapshot and stores them; the inner error says how the peer lied. Blocks before the lie are
    /// kept.
    ///
    /// # Errors
    /// [`LedgerError`]: the node must stop.
    pub fn take_history(&mut self, blocks: &[HistoryBlock]) -> Result<Result<Joined, JoinFault>, LedgerError> {
        let Some(join) = self.join.as_deref_mut() else { return Ok(Ok(Joined::Yes)) };
        let (mut batch, mut fault) = (Batch::new(), None);
        for block in blocks {
            let Stage::History { before, from, expected } = join.stage else { return Ok(Err(JoinFault::Header)) };
            if before <= from {
                break;
            }
            match join.check(block, &expected) {
                Ok(rows) => batch.append(rows),
                Err(found) => {
                    fault = Some(found);
                    break;
                }
            }
            join.stage = Stage::History { before: block.header.height, from, expected: block.header.parent };
        }
        self.storage.write(batch, Durability::Synced)?;
        match fault {
            Some(fault) => Ok(Err(fault)),
            None => self.end_stage().map(Ok),
        }
    }

    /// Passes from the state to the last blocks, and from these to a ledger at the snapshot's height, when one is whole.
    fn end_stage(&mut self) -> Result<Joined, LedgerError> {
        let Some(mut join) = self.join.take() else { return Ok(Joined::Yes) };
        if let Stage::State(import) = join.stage {
            if !import.is_complete() {
                join.stage = Stage::State(import);
                self.join = Some(join);
                return Ok(Joined::NotYet);
            }
            self.tree = import.finish(self.storage.as_ref()).map_err(of_tree)?;
            join.stage = self.history_stage(&join.offer)?;
        }
        match join.stage {
            Stage::History { before, from, .. } if before <= from => {
                self.adopt(&join.offer, from)?;
                Ok(Joined::Yes)
            }
            _ => {
                self.join = Some(join);
                Ok(Joined::NotYet)
            }
        }
    }

    /// Where the last blocks begin by the imported state's own parameters, and how far they are here.
    fn history_stage(&self, offer: &SnapshotOffer) -> Result<Stage, LedgerError> {
        let registry = load_registry(&self.storage)?;
        let from = replayable_from(offer.height(), registry.params.expiry_window);
        let Some(bytes) = self.storage.get(Table::Meta, HISTORY_KEY)? else {
            let before = Height(offer.height().0.saturating_add(1));
            return Ok(Stage::History { before, from, expected: offer.finality.header.hash() });
        };
        let before: Height = decode("history of a join", &bytes, 8).map_err(damaged)?;
        let header = read_header(self.storage.as_ref(), before)?.ok_or_else(|| damaged("no header of a join"))?;
        Ok(Stage::History { before, from, expected: header.parent })
    }

    /// Makes the snapshot's block the head.
    fn adopt(&mut self, offer: &SnapshotOffer, from: Height) -> Result<(), LedgerError> {
        let registry = Arc::new(load_registry(&self.storage)?);
        let validators = registry.validator_set().map_err(damaged)?;
        let header = &offer.finality.header;
        if validators.hash() != header.next_validators_hash {
            return Err(damaged("the imported state names other validators than its block"));
        }
        let head =
            Head { height: header.height, hash: header.hash(), time: header.time, state_root: header.state_root };
        let mut batch = Batch::new();
        for table in [Table::Bodies, Table::Receipts, Table::Certificates] {
            // An older chain that this one left behind with a gap.
            batch.delete_range(table, Vec::new(), from.0.to_be_bytes());
        }
        for SetChange { finality, next_set } in &offer.set_changes {
            let key = finality.header.height.0.to_be_bytes();
            batch.put(Table::Headers, key, encode(&finality.header));
            batch.put(Table::Certificates, key, encode(&finality.certificate));
            batch.put(Table::Validators, finality.header.next_validators_hash.0, encode(next_set));
            batch.put(Table::Meta, set_change_key(finality.header.height), finality.header.next_validators_hash.0);
        }
        batch.put(Table::Validators, validators.hash().0, encode(&validators));
        if header.next_validators_hash != header.validators_hash {
            batch.put(Table::Meta, set_change_key(header.height), header.next_validators_hash.0);
        }
        batch.put(Table::Meta, HEAD_KEY, encode(&head));
        batch.put(Table::Meta, LOWEST_KEY, encode(&from));
        batch.delete(Table::Meta, JOIN_KEY);
        batch.delete(Table::Meta, HISTORY_KEY);
        let published = Published::of(head, Arc::clone(&registry), validators.clone());
        self.gate.pass(published, || self.storage.write(batch, Durability::Synced))?;
        (self.registry, self.validators, self.head, self.lowest) = (registry, validators, head, from);
        Ok(())
    }
}

fn clear_rows(view: &dyn View, table: Table, batch: &mut Batch) -> Result<(), LedgerError> {
    if let Some((mut last, _)) = view.last(table, None)? {
        last.push(0);
        batch.delete_range(table, Vec::new(), last);
    }
    Ok(())
}
