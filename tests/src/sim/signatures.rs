//! Signatures that were checked once in a run, for all its nodes: the arithmetic is most of what a run costs, and its result
//! depends on nothing else. That the libraries agree, alone and in batches, is for the tests of `sdk/types`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use vouch_consensus::SignatureCheck;
use vouch_ledger::PooledTransaction;
use vouch_types::{ChainId, Hash32, PublicKey, Signature, UnverifiedTransaction, VerifiedTransaction};

/// Who signed, what, and the signature.
type Statement = (PublicKey, Vec<u8>, Signature);

/// Verdicts by key, message and signature, and by transaction.
#[derive(Debug, Default)]
pub struct Signatures {
    statements: Mutex<HashMap<Statement, bool>>,
    transactions: Mutex<HashMap<Vec<u8>, Option<PooledTransaction>>>,
    leaves: Mutex<HashMap<Hash32, Arc<VerifiedTransaction>>>,
}

impl Signatures {
    /// A transaction, if its form and all its signatures are good.
    pub fn transaction(&self, raw: &[u8], chain: ChainId) -> Option<PooledTransaction> {
        let mut known = self.transactions.lock().unwrap();
        if let Some(verdict) = known.get(raw) {
            return verdict.clone();
        }
        let verified = UnverifiedTransaction::decode(raw.to_vec(), chain).ok().and_then(|tx| tx.verify().ok());
        let verdict = verified.map(PooledTransaction::new);
        if let Some(pooled) = &verdict {
            self.leaves.lock().unwrap().insert(pooled.leaf, Arc::clone(&pooled.tx));
        }
        known.insert(raw.to_vec(), verdict.clone());
        verdict
    }

    /// One that was found good, by its leaf in the tree of a block's transactions.
    pub fn by_leaf(&self, leaf: &Hash32) -> Option<Arc<VerifiedTransaction>> {
        self.leaves.lock().unwrap().get(leaf).cloned()
    }
}

impl SignatureCheck for Signatures {
    fn holds(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        let place = (*key, message.to_vec(), *signature);
        *self.statements.lock().unwrap().entry(place).or_insert_with(|| key.verify(message, signature).is_ok())
    }
}
