//! What the vault says on the chain by itself, as transactions of the node's service account through the node's own
//! admission.
//!
//! An act that does not reach the chain is given out again by the vault. What a contract refuses for good is settled; what it
//! refuses because something is not in place yet is not.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use vouch_genesis::AccountRole;
use vouch_ledger::{LedgerError, Reader};
use vouch_types::{
    Call, ContractName, Hash32, Height, NodeId, Outcome, SecretKey, TransactionBody, TxId, decode,
    document::{AuditAnchor, CONTRACT},
    encode,
    transaction::TRANSACTION_VERSION,
};
use vouch_vault::{Act, ActResult};

use super::{VaultHandle, roster::member_of};
use crate::submit::Submitter;

/// Acts on their way at a time; the vault gives the others out again.
pub(super) const ACTS_MAX: usize = 64;
/// Blocks within which an act is in the chain, or is given up and made anew.
const WAIT_BLOCKS: u64 = 100;
/// Names under which a node anchored audits that its present one does not continue: after a lost database.
const LOGS_MAX: usize = 99;
/// The contract's query for the newest anchor.
const AUDIT_HEAD: &str = "audit_head";
/// Most bytes of its answer.
const ANSWER_BYTES_MAX: usize = 4 << 10;

/// Carries acts out.
pub(super) struct ActWorker {
    pub(super) submitter: Submitter,
    pub(super) vault: VaultHandle,
    pub(super) head: watch::Receiver<Height>,
    pub(super) service: SecretKey,
    pub(super) node: NodeId,
}

/// Carries out what comes until the vault is gone.
pub(super) async fn run(worker: Arc<ActWorker>, mut acts: mpsc::Receiver<(u64, Act)>) {
    let open: Arc<Mutex<BTreeSet<u64>>> = Arc::default();
    while let Some((number, act)) = acts.recv().await {
        {
            let mut open = open.lock();
            if open.len() >= ACTS_MAX || !open.insert(number) {
                continue;
            }
        }
        let (worker, open) = (Arc::clone(&worker), Arc::clone(&open));
        tokio::spawn(async move {
            let result = worker.say(&act).await.unwrap_or_else(ActResult::Failed);
            worker.vault.settled(number, result).await;
            open.lock().remove(&number);
        });
    }
}

impl ActWorker {
    fn reader(&self) -> &Reader {
        &self.submitter.reader
    }

    /// Brings an act to the chain; the text says why it did not get there.
    async fn say(&self, act: &Act) -> Result<ActResult, String> {
        let (member, name) = self.account()?;
        let call = match act {
            Act::AnchorAudit { entries, .. } => match self.log(&member, &name, *entries).await? {
                Some((log, before)) => act.call(&log, before),
                None => return Ok(ActResult::Done),
            },
            other => other.call("", Hash32::ZERO),
        };
        let at = self.reader().published();
        let ahead = (at.registry.params.expiry_window / 2).clamp(1, WAIT_BLOCKS);
        let expiry = Height(at.head.height.0.saturating_add(ahead));
        let chain = self.reader().chain();
        let (version, salt) = (TRANSACTION_VERSION, rand::random());
        let body = TransactionBody { version, chain, expiry, salt, calls: vec![call] };
        let id = body.id();
        let raw = encode(&body.sign(&[&self.service]));
        match self.submitter.submit_own(raw).await {
            Ok(_) => self.outcome(id, expiry).await,
            Err(error) => Err(error.to_string()),
        }
    }

    /// The member and the node's name, if the service account can speak for them now.
    fn account(&self) -> Result<(String, String), String> {
        let at = self.reader().published();
        if !at.registry.contracts.keys().any(|name| name.as_str() == CONTRACT) {
            return Err("there is no contract of documents".into());
        }
        let member = member_of(&at.registry, &self.node).ok_or("this node is of no member")?;
        let name = at.registry.nodes.get(&self.node).map(|node| node.name.clone()).unwrap_or_default();
        let account = self.service.public().account();
        let speaks_for = at.registry.member_of(&account).is_some_and(|record| record.name == member);
        let may = speaks_for && at.registry.roles_of(&account).contains(&AccountRole::Service);
        let noticed = &self.vault.noticed;
        if !may && !noticed.service_missing.swap(true, Relaxed) {
            tracing::warn!(%account, member, "the node's service account has no role service: what is held here is not attested");
        }
        noticed.service_missing.store(!may, Relaxed);
        if may { Ok((member, name)) } else { Err(format!("account {account} has no role service")) }
    }

    /// Under which name the audit is anchored, and the head anchored there before; `None` when `entries` are anchored.
    ///
    /// An anchored audit can only be continued. One whose database was lost begins anew, under the next name.
    async fn log(&self, member: &str, node: &str, entries: u64) -> Result<Option<(String, Hash32)>, String> {
        for number in 1..=LOGS_MAX {
            let log = if number == 1 { node.to_owned() } else { format!("{node}.{number}") };
            let Some(anchor) = self.anchor(member, &log).await? else { return Ok(Some((log, Hash32::ZERO))) };
            let before = anchor.entries.saturating_sub(1);
            let ours = self.vault.ask(move |vault, _| vault.audit(before, 1)).await.map_err(|e| e.to_string())?;
            if ours.iter().any(|record| record.number == anchor.entries && record.hash() == anchor.head) {
                return Ok((anchor.entries < entries).then_some((log, anchor.head)));
            }
        }
        Err(format!("{LOGS_MAX} audits of this node stand on the chain, and this is the continuation of none"))
    }

    async fn anchor(&self, member: &str, log: &str) -> Result<Option<AuditAnchor>, String> {
        let asked = call(AUDIT_HEAD, encode(&(member.to_owned(), log.to_owned())));
        let outcome = self.read(move |reader| reader.query(&asked)).await?;
        let output = outcome.result.map_err(|failure| failure.code)?;
        decode("audit anchor", &output, ANSWER_BYTES_MAX).map_err(|error| error.to_string())
    }

    /// Waits until a transaction is final, or cannot become so any more.
    async fn outcome(&self, id: TxId, expiry: Height) -> Result<ActResult, String> {
        let mut head = self.head.clone();
        loop {
            let height = *head.borrow_and_update();
            if let Some(outcome) = self.read(move |reader| outcome_of(reader, &id)).await? {
                return Ok(ActResult::of(outcome));
            }
            if height >= expiry {
                return Err(format!("{id} expired at height {expiry}"));
            }
            head.changed().await.map_err(|_| "the node stops")?;
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, String> {
        let reader = self.reader().clone();
        let done = tokio::task::spawn_blocking(move || work(&reader)).await;
        done.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }
}

fn call(method: &str, arguments: Vec<u8>) -> Call {
    let contract = ContractName::new(CONTRACT).expect("the contract's name has the form of one");
    Call { contract, method: method.into(), arguments }
}

fn outcome_of(reader: &Reader, id: &TxId) -> Result<Option<Outcome>, LedgerError> {
    let Some((height, index)) = reader.find(id)? else { return Ok(None) };
    let block = reader.block(height)?;
    let record = block.and_then(|block| block.records.into_iter().nth(usize::try_from(index).unwrap_or(usize::MAX)));
    Ok(record.map(|record| record.receipt.outcome))
}
