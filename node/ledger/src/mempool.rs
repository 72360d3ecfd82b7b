//! Transactions that wait for a block: bounded in number, bytes and per account, first come first served.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use vouch_types::{AccountId, Hash32, Height, TxId, VerifiedTransaction, merkle};

/// Bounds of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MempoolLimits {
    /// Most transactions.
    pub count_max: usize,
    /// Most bytes of transactions.
    pub bytes_max: usize,
    /// Most transactions of one account, which signed them last.
    pub per_account_max: usize,
}

impl Default for MempoolLimits {
    fn default() -> Self {
        Self { count_max: 50_000, bytes_max: 64 << 20, per_account_max: 20_000 }
    }
}

/// A checked transaction and the hash it has as a leaf of the transactions tree.
#[derive(Debug, Clone)]
pub struct PooledTransaction {
    /// The transaction.
    pub tx: Arc<VerifiedTransaction>,
    /// Its leaf.
    pub leaf: Hash32,
}

impl PooledTransaction {
    /// Computes the leaf.
    #[must_use]
    pub fn new(tx: VerifiedTransaction) -> Self {
        let leaf = merkle::leaf_hash(tx.raw());
        Self { tx: Arc::new(tx), leaf }
    }
}

/// Why a transaction does not wait here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MempoolError {
    /// It already does.
    #[error("the transaction is already waiting")]
    Known,
    /// No room for anyone.
    #[error("the node has as many waiting transactions as it can hold")]
    Full,
    /// No room for this account.
    #[error("the account has as many waiting transactions as one account may have")]
    AccountFull,
}

impl MempoolError {
    /// Stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Known => "mempool.known",
            Self::Full => "mempool.full",
            Self::AccountFull => "mempool.account_full",
        }
    }
}

/// The pool.
#[derive(Debug, Default)]
pub struct Mempool {
    limits: MempoolLimits,
    queue: BTreeMap<u64, PooledTransaction>,
    by_id: BTreeMap<TxId, u64>,
    by_leaf: BTreeMap<Hash32, u64>,
    by_expiry: BTreeSet<(Height, u64)>,
    per_account: BTreeMap<AccountId, usize>,
    bytes: usize,
    next: u64,
}

impl Mempool {
    /// Empty.
    #[must_use]
    pub fn new(limits: MempoolLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Their bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether one of this id waits.
    #[must_use]
    pub fn contains(&self, id: &TxId) -> bool {
        self.by_id.contains_key(id)
    }

    /// A waiting transaction by the leaf hash of its bytes.
    #[must_use]
    pub fn by_leaf(&self, leaf: &Hash32) -> Option<Arc<VerifiedTransaction>> {
        let place = self.by_leaf.get(leaf)?;
        self.queue.get(place).map(|p| Arc::clone(&p.tx))
    }

    /// Lets a transaction wait.
    ///
    /// # Errors
    /// [`MempoolError`].
    pub fn insert(&mut self, pooled: PooledTransaction) -> Result<(), MempoolError> {
        let id = pooled.tx.id();
        let size = pooled.tx.raw().len();
        if self.by_id.contains_key(&id) {
            return Err(MempoolError::Known);
        }
        if self.queue.len() >= self.limits.count_max || self.bytes.saturating_add(size) > self.limits.bytes_max {
            return Err(MempoolError::Full);
        }
        let waiting = self.per_account.entry(answerable(&pooled)).or_default();
        if *waiting >= self.limits.per_account_max {
            return Err(MempoolError::AccountFull);
        }
        *waiting += 1;
        let place = self.next;
        self.next += 1;
        self.bytes += size;
        self.by_id.insert(id, place);
        self.by_leaf.insert(pooled.leaf, place);
        self.by_expiry.insert((pooled.tx.body().expiry, place));
        self.queue.insert(place, pooled);
        Ok(())
    }

    /// All waiting transactions, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &PooledTransaction> {
        self.queue.values()
    }

    /// Those that came to `place` or later, oldest first, with their places; everyone has its own, and later ones greater ones.
    pub fn since(&self, place: u64) -> impl Iterator<Item = (u64, &PooledTransaction)> {
        self.queue.range(place..).map(|(place, pooled)| (*place, pooled))
    }

    /// Takes one out, for example because it is in a block now.
    pub fn remove(&mut self, id: &TxId) -> Option<PooledTransaction> {
        let place = self.by_id.remove(id)?;
        let pooled = self.queue.remove(&place)?;
        self.by_leaf.remove(&pooled.leaf);
        self.by_expiry.remove(&(pooled.tx.body().expiry, place));
        self.bytes -= pooled.tx.raw().len();
        if let Some(waiting) = self.per_account.get_mut(&answerable(&pooled)) {
            *waiting -= 1;
            if *waiting == 0 {
                self.per_account.remove(&answerable(&pooled));
            }
        }
        Some(pooled)
    }

    /// Takes out all that can no longer stand in a block of height `next`; returns their ids.
    pub fn expire(&mut self, next: Height) -> Vec<TxId> {
        let mut gone = Vec::new();
        while let Some((_, place)) = self.by_expiry.first().copied().filter(|(expiry, _)| *expiry < next) {
            let Some(id) = self.queue.get(&place).map(|p| p.tx.id()) else { break };
            self.remove(&id);
            gone.push(id);
        }
        gone
    }
}

/// Who answers for its room: the last signer, which is always an account of the registry; the first may be anybody's key.
fn answerable(pooled: &PooledTransaction) -> AccountId {
    pooled.tx.signers().last().map(|s| s.key.account()).unwrap_or_default()
}
