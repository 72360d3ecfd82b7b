//! The way of a client's transaction into this node: form and signatures, what the registry already rules out, sensitive
//! text in clear, what the vault says of documents, room in the mempool.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use vouch_api::ApiError;
use vouch_ledger::{PooledTransaction, Published, Reader, executor::check_rules, keys::SYSTEM, mempool::MempoolError};
use vouch_replica::Refusal;
use vouch_types::{
    TransactionError, VerifiedTransaction,
    api::{SubmitStatus, Submitted},
};

use crate::{
    admission::{Checked, Job},
    clear_text,
    runner::Request,
    vault::VaultHandle,
    views::Abis,
};

/// Takes transactions in. Clones go the same way.
#[derive(Clone)]
pub struct Submitter {
    /// The chain.
    pub reader: Reader,
    /// The replica's thread.
    pub requests: mpsc::Sender<Request>,
    /// The thread that checks signatures.
    pub admission: mpsc::Sender<Job>,
    /// The vault, which lets no submission of a document pass that it did not check.
    pub vault: VaultHandle,
    /// Interfaces of contracts, to read arguments by.
    pub abis: Arc<Abis>,
}

/// The replica has stopped.
pub fn gone() -> ApiError {
    ApiError::new("node.failed", "the node's replica has stopped")
}

fn refused(refusal: &Refusal) -> ApiError {
    let error = ApiError::new(refusal.code(), refusal.to_string());
    if matches!(refusal, Refusal::Mempool(_) | Refusal::Joining) { error.retry_after(1) } else { error }
}

/// What the registry already rules out, so that a caller hears of it now and not from a receipt.
fn foresee(at: &Published, tx: &VerifiedTransaction) -> Result<(), ApiError> {
    let next = at.head.height.next().unwrap_or(at.head.height);
    check_rules(&at.registry, tx, next)?;
    for (index, call) in tx.body().calls.iter().enumerate() {
        if call.contract.as_str() != SYSTEM && !at.registry.contracts.contains_key(&call.contract) {
            let detail = format!("there is no contract {}", call.contract);
            return Err(ApiError::new("contract.unknown", detail).at(format!("calls[{index}].contract")));
        }
    }
    Ok(())
}

impl Submitter {
    /// Takes a client's encoded transactions: one result per item, in order.
    pub async fn submit(&self, transactions: Vec<Vec<u8>>) -> Vec<Result<Submitted, ApiError>> {
        self.take(transactions, true).await
    }

    /// Takes one that this node made itself: nothing in it is a client's, so nothing sensitive is looked for.
    pub async fn submit_own(&self, transaction: Vec<u8>) -> Result<Submitted, ApiError> {
        self.take(vec![transaction], false).await.pop().unwrap_or_else(|| Err(gone()))
    }

    async fn take(&self, transactions: Vec<Vec<u8>>, is_clients: bool) -> Vec<Result<Submitted, ApiError>> {
        let total = transactions.len();
        let failed = |error: ApiError| vec![Err(error); total];
        let (reply, checked) = oneshot::channel();
        if self.admission.send(Job::Submitted { raw: transactions, reply }).await.is_err() {
            return failed(gone());
        }
        let Ok(checked) = checked.await else { return failed(gone()) };
        let at = self.reader.published();
        let mut results: Vec<Option<Result<Submitted, ApiError>>> = Vec::with_capacity(total);
        let (mut good, mut places) = (Vec::new(), Vec::new());
        for verdict in checked {
            match self.check(&at, verdict, is_clients).await {
                Ok(pooled) => {
                    places.push((results.len(), pooled.tx.id()));
                    good.push(pooled);
                    results.push(None);
                }
                Err(error) => results.push(Some(Err(error))),
            }
        }
        if !good.is_empty() {
            let (reply, verdicts) = oneshot::channel();
            if self.requests.send(Request::Admit { transactions: good, reply }).await.is_err() {
                return failed(gone());
            }
            let Ok(verdicts) = verdicts.await else { return failed(gone()) };
            for ((place, id), verdict) in places.into_iter().zip(verdicts) {
                let result = match verdict {
                    Ok(()) => Ok(Submitted { id, status: SubmitStatus::Accepted }),
                    Err(
                        Refusal::Mempool(MempoolError::Known) | Refusal::Transaction(TransactionError::Replayed { .. }),
                    ) => Ok(Submitted { id, status: SubmitStatus::Known }),
                    Err(refusal) => Err(refused(&refusal)),
                };
                if let Some(slot) = results.get_mut(place) {
                    *slot = Some(result);
                }
            }
        }
        results.into_iter().map(|r| r.unwrap_or_else(|| Err(gone()))).collect()
    }

    async fn check(&self, at: &Published, checked: Checked, is_clients: bool) -> Result<PooledTransaction, ApiError> {
        let pooled = checked?;
        foresee(at, &pooled.tx)?;
        if is_clients {
            clear_text::check(&pooled.tx.body().calls, &self.reader, &at.registry, &self.abis)?;
        }
        self.vault.admits(&pooled.tx.body().calls).await?;
        Ok(pooled)
    }
}
