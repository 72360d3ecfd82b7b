//! The vault in the running node: a thread that owns it, and the parts of the node it works with.
//!
//! Deliberately not here: what a vault does (`node/vault`), who may see what (contracts), routes (`node/api`).
//!
//! ```text
//!  peers ══ node/net, lane "vault" ══► messages ─┐                      ┌─► node/net: send
//!  replica ── connections (latest), blocks (256) ┼─► thread "vault" ────┼─► acts (64) ─► transactions of the service account
//!  API ── asks (256) ────────────────────────────┘   step(now, inputs)  └─► storage, shelf, files: synced in the step
//! ```
//!
//! Architecture invariant: consensus never waits for the vault. What the replica tells it is the newest of something, or is
//! dropped and read from the ledger; everything else comes by another way.

mod acts;
mod report;
mod roster;
mod scanner;
mod secrets;
mod start;
mod thread;

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::{mpsc, oneshot, watch};
use vouch_api::ApiError;
use vouch_types::{Call, PublicKey, document};
use vouch_vault::{ActResult, Now, StageError, Vault, VaultError};

pub use report::VaultReport;
pub use roster::member_of;
pub use scanner::RuleScanner;
pub use secrets::{MemberKeys, master_key, new_encryption_key};
pub use start::{Ended, Surroundings, start};
use thread::Noticed;

/// Asks that wait for the vault's thread.
const REQUESTS_MAX: usize = 256;

/// Something done with the vault on its thread; what it gives is called when the step that follows has made everything durable.
type Work = Box<dyn FnOnce(&mut Vault, Now) -> Result<Option<Reply>, VaultError> + Send>;

/// Tells whoever asked.
type Reply = Box<dyn FnOnce() + Send>;

/// What the node's other parts want of the vault's thread.
enum Request {
    /// Do something with it.
    Ask(Work),
    /// How an act ended.
    Settled {
        /// The number it was given out with.
        number: u64,
        /// How.
        result: ActResult,
    },
    /// Stop after the current step.
    Stop,
}

/// Connected peers, each with the number of its connection.
#[derive(Debug, Default)]
pub struct Connections {
    count: u64,
    open: BTreeMap<PublicKey, u64>,
}

/// The replica's side of [`Connections`]. It says what is so now and never waits: the vault sees from the numbers which
/// connections are new ones.
#[derive(Debug, Clone)]
pub struct ConnectionsSender(Arc<watch::Sender<Connections>>);

impl ConnectionsSender {
    /// Nobody is connected.
    #[must_use]
    pub fn new() -> (Self, watch::Receiver<Connections>) {
        let (sender, receiver) = watch::channel(Connections::default());
        (Self(Arc::new(sender)), receiver)
    }

    /// A peer's connection is open.
    pub fn connected(&self, peer: PublicKey) {
        self.0.send_modify(|peers| {
            peers.count = peers.count.wrapping_add(1);
            peers.open.insert(peer, peers.count);
        });
    }

    /// It is closed.
    pub fn disconnected(&self, peer: &PublicKey) {
        self.0.send_if_modified(|peers| peers.open.remove(peer).is_some());
    }
}

/// The vault does not run: the node is not of a member yet, joins by a snapshot, or is going down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the vault of this node does not run now")]
pub struct NotRunning;

impl From<NotRunning> for ApiError {
    fn from(error: NotRunning) -> Self {
        Self::new("vault.not_running", error.to_string()).retry_after(5)
    }
}

/// Asks the vault. Clones ask the same one.
#[derive(Clone)]
pub struct VaultHandle {
    requests: mpsc::Sender<Request>,
    noticed: Arc<Noticed>,
}

impl std::fmt::Debug for VaultHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VaultHandle")
    }
}

impl VaultHandle {
    /// Does something with the vault on its thread, and returns what came of it. What it writes is durable then if the call
    /// on the vault says so. Waits while many others ask.
    ///
    /// # Errors
    /// [`NotRunning`]; also when the work failed, since then the node stops.
    pub async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vault, Now) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, NotRunning> {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |vault, now| {
            // A caller that went away needs no answer.
            drop(reply.send(work(vault, now)?));
            Ok(None)
        });
        self.requests.send(Request::Ask(work)).await.map_err(|_| NotRunning)?;
        answer.await.map_err(|_| NotRunning)
    }

    /// The same for work that is durable with the vault's next step: whoever asked hears of it after that. Many share one sync.
    ///
    /// # Errors
    /// As [`VaultHandle::ask`].
    pub async fn ask_with_step<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vault, Now) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, NotRunning> {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |vault, now| {
            let done = work(vault, now)?;
            Ok(Some(Box::new(move || drop(reply.send(done)))))
        });
        self.requests.send(Request::Ask(work)).await.map_err(|_| NotRunning)?;
        answer.await.map_err(|_| NotRunning)
    }

    /// Whether a transaction's calls may go to the chain from here: a submission needs its staged document.
    ///
    /// # Errors
    /// `stage.*` with the place, or `vault.not_running`.
    pub async fn admits(&self, calls: &[Call]) -> Result<(), ApiError> {
        if !calls.iter().any(is_submission) {
            return Ok(());
        }
        for (index, call) in calls.iter().enumerate().filter(|(_, call)| is_submission(call)) {
            let call = call.clone();
            let verdict = self.ask(move |vault, _| vault.admits(core::slice::from_ref(&call))).await?;
            verdict.map_err(|refusal| stage_error(&refusal).at(format!("calls[{index}]")))?;
        }
        Ok(())
    }

    /// Tells the thread to stop. It may have ended already.
    pub async fn stop(&self) {
        drop(self.requests.send(Request::Stop).await);
    }

    async fn settled(&self, number: u64, result: ActResult) {
        // Going down: the act is given out again after the next start.
        drop(self.requests.send(Request::Settled { number, result }).await);
    }
}

pub fn is_submission(call: &Call) -> bool {
    call.contract.as_str() == document::CONTRACT
        && [document::method::SUBMIT, document::method::REVISE].contains(&call.method.as_str())
}

/// A refused document on its way to a caller.
#[must_use]
pub fn stage_error(refusal: &StageError) -> ApiError {
    ApiError::new(refusal.code(), refusal.to_string())
}

#[cfg(test)]
mod tests;
