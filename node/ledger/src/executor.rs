//! Runs the transactions of one block, in order, and keeps what each came to.

use std::{collections::BTreeSet, sync::Arc};

use vouch_types::{
    Event, Failure, Fuel, Outcome, Receipt, TransactionError, TxId, VerifiedTransaction,
    codec::DECODE_BYTES_MAX,
    encode,
    receipt::{FAILURE_TEXT_BYTES_MAX, events_root, output_hash},
};
use vouch_vm::{CallFailure, FatalError};
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    registry::Registry,
    session::Session,
    storage::{Storage, Table},
};

/// Fuel every transaction costs before its first call runs.
pub const TRANSACTION_BASE_FUEL: u64 = 2_000;

/// Most bytes of a block's encoded [`TransactionRecord`]s: outputs and events cost little fuel, and every node keeps them, reads
/// them back as a whole and holds them in memory for each block that is proposed.
pub const RESULT_BYTES_MAX: usize = 16 << 20;
const _: () = assert!(RESULT_BYTES_MAX < DECODE_BYTES_MAX, "what is written can be read back");

/// A receipt with what it only commits to.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct TransactionRecord {
    /// As in the receipts tree.
    pub receipt: Receipt,
    /// What the last call returned.
    pub output: Vec<u8>,
    /// What the contracts said happened.
    pub events: Vec<Event>,
}

/// Why a transaction cannot stand at this place in a block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A rule about the transaction itself.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// The block is full.
    #[error("the block's fuel, or its room for results, is used up")]
    BlockFull,
}

/// Executes transactions one after the other on top of the head.
#[derive(Debug)]
pub struct Executor {
    session: Option<Box<Session>>,
    storage: Arc<dyn Storage>,
    /// What this block holds, and one before it that may not be stored yet.
    included: BTreeSet<TxId>,
    records: Vec<TransactionRecord>,
    fuel_used: u64,
    result_bytes: usize,
}

impl Executor {
    /// For a block that begins with `session`.
    #[must_use]
    pub const fn new(session: Box<Session>, storage: Arc<dyn Storage>) -> Self {
        Self {
            session: Some(session),
            storage,
            included: BTreeSet::new(),
            records: Vec::new(),
            fuel_used: 0,
            result_bytes: 0,
        }
    }

    /// For a block that begins with `session`, behind one that holds `included` and may not be stored yet.
    #[must_use]
    pub fn behind(included: BTreeSet<TxId>, session: Box<Session>, storage: Arc<dyn Storage>) -> Self {
        let mut executor = Self::new(session, storage);
        executor.included = included;
        executor
    }

    fn session(&mut self) -> Result<&mut Session, FatalError> {
        self.session
            .as_deref_mut()
            .ok_or_else(|| FatalError::Host("an earlier call did not hand the session back".into()))
    }

    /// Checks the rules for the next place in the block, then runs the transaction. An unfit one leaves no trace.
    ///
    /// # Errors
    /// [`FatalError`]: the node must stop.
    pub fn execute(&mut self, tx: &VerifiedTransaction) -> Result<Result<(), Unfit>, FatalError> {
        if let Err(reason) = self.check(tx)? {
            return Ok(Err(reason.into()));
        }
        let session = self.session()?;
        let (limit, block_limit) =
            (session.registry.params.fuel_per_transaction_max, session.registry.params.fuel_per_block_max);
        let height = session.moment.height;
        session.signers = tx.signers().iter().map(|s| s.key.account()).collect();
        let registry_before = Arc::clone(&session.registry);
        let checkpoint = session.overlay.checkpoint();

        let session = self.session.take().ok_or_else(|| FatalError::Host("no session".into()))?;
        let end = session.run_all(&tx.body().calls, limit.saturating_sub(TRANSACTION_BASE_FUEL))?;
        let (result, mut session) = (end.result, end.session);
        let used = end.fuel_used.saturating_add(TRANSACTION_BASE_FUEL).min(limit);
        let events = core::mem::take(&mut session.events);
        let index =
            u32::try_from(self.records.len()).map_err(|_| FatalError::Host("more than 2^32 transactions".into()))?;
        let record = Place { tx: tx.id(), height, index }.record(result, used, events);
        let bytes = encode(&record).len();
        // A transaction's own bounds are far below this one, so each fits into some block.
        let is_full = self.fuel_used.saturating_add(used) > block_limit
            || self.result_bytes.saturating_add(bytes) > RESULT_BYTES_MAX;
        if is_full {
            session.overlay.roll_back(checkpoint);
            session.registry = registry_before;
            self.session = Some(session);
            return Ok(Err(Unfit::BlockFull));
        }
        self.session = Some(session);
        self.fuel_used = self.fuel_used.saturating_add(used);
        self.result_bytes = self.result_bytes.saturating_add(bytes);
        self.records.push(record);
        self.included.insert(tx.id());
        Ok(Ok(()))
    }

    fn check(&mut self, tx: &VerifiedTransaction) -> Result<Result<(), TransactionError>, FatalError> {
        let known = self.included.contains(&tx.id());
        let storage = Arc::clone(&self.storage);
        let session = self.session()?;
        let next = session.moment.height;
        if known {
            return Ok(Err(TransactionError::Replayed { tx: tx.id(), height: next }));
        }
        if let Err(reason) = check_rules(&session.registry, tx, next) {
            return Ok(Err(reason));
        }
        match find_transaction(storage.as_ref(), &tx.id()).map_err(|e| FatalError::Host(e.to_string()))? {
            Some((height, _)) => Ok(Err(TransactionError::Replayed { tx: tx.id(), height })),
            None => Ok(Ok(())),
        }
    }

    /// Fuel used so far.
    #[must_use]
    pub const fn fuel_used(&self) -> u64 {
        self.fuel_used
    }

    /// How many transactions were executed.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether none was executed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The session and the records.
    ///
    /// # Errors
    /// [`FatalError`] after an earlier fatal error.
    pub fn finish(mut self) -> Result<(Box<Session>, Vec<TransactionRecord>), FatalError> {
        let session = self.session.take().ok_or_else(|| FatalError::Host("no session".into()))?;
        Ok((session, self.records))
    }
}

/// The rules that need the registry but not the history: size, expiry, signers.
///
/// # Errors
/// [`TransactionError`].
pub fn check_rules(
    registry: &Registry,
    tx: &VerifiedTransaction,
    next: vouch_types::Height,
) -> Result<(), TransactionError> {
    let max = usize::try_from(registry.params.transaction_bytes_max).unwrap_or(usize::MAX);
    if tx.raw().len() > max {
        let error = vouch_types::CodecError::TooLarge { what: "transaction", actual: tx.raw().len(), max };
        return Err(TransactionError::Codec(error));
    }
    tx.check_expiry(next, registry.params.expiry_window)?;
    // The first signer is the caller. It may be a key that only contracts know, a person's own, if an account of the
    // registry carries the transaction by signing it as well.
    let is_carried = tx.signers().len() > 1;
    for (index, signer) in tx.signers().iter().enumerate() {
        let account = signer.key.account();
        if registry.member_of(&account).is_none() && !(index == 0 && is_carried) {
            return Err(TransactionError::UnknownAccount(account));
        }
    }
    Ok(())
}

/// Where a transaction stands in the chain: height and index.
///
/// # Errors
/// [`crate::StorageError`].
pub fn find_transaction(
    storage: &dyn Storage,
    tx: &TxId,
) -> Result<Option<(vouch_types::Height, u32)>, crate::StorageError> {
    Ok(storage.get(Table::Transactions, &tx.0)?.and_then(|row| {
        let (height, index) = row.split_at_checked(8)?;
        Some((
            vouch_types::Height(u64::from_be_bytes(height.try_into().ok()?)),
            u32::from_be_bytes(index.try_into().ok()?),
        ))
    }))
}

struct Place {
    tx: TxId,
    height: vouch_types::Height,
    index: u32,
}

impl Place {
    fn record(
        &self,
        result: Result<Vec<u8>, (u16, CallFailure)>,
        fuel_used: u64,
        events: Vec<Event>,
    ) -> TransactionRecord {
        let (outcome, output) = match result {
            Ok(output) => (Outcome::Success, output),
            Err((call, CallFailure { code, message })) => {
                let failure = Failure { call, code, message: bounded(message) };
                (Outcome::Failed(failure), Vec::new())
            }
        };
        let receipt = Receipt {
            tx: self.tx,
            height: self.height,
            index: self.index,
            outcome,
            fuel_used: Fuel(fuel_used),
            output_hash: output_hash(&output),
            events_root: events_root(&events),
        };
        TransactionRecord { receipt, output, events }
    }
}

fn bounded(mut message: String) -> String {
    let mut end = FAILURE_TEXT_BYTES_MAX.min(message.len());
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.truncate(end);
    message
}
