//! The client.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::Stream;
use serde_json::json;
use tokio::time::Instant;
use vouch_types::{
    BlockHash, ChainId, ContractName, Height, TxId,
    abi::Abi,
    api::{
        AccountView, BackupView, BlockDetail, BlockSummary, CertificateView, ChainParams, Claim, ContractSummary,
        ContractView, Cursor, DryRunView, EvidenceView, FeedItem, HexBytes, IndexPage, IndexStatusView, MemberView,
        NodeStatus, PackageView, Page, ProposalSummary, ProposalView, QueryBody, QueryView, StateView,
        SubmitBatchAnswer, SubmitItem, Submitted, TransactionStatus, TransactionView, ValidatorsView, WAIT_MS_MAX,
    },
    light::{Fact, ProofBundle, VerifiedClaim},
};

use crate::{
    ClientConfig, Error, EventsRequest, SignedTransaction, TransactionBuilder, events,
    transport::{Body, Call, Transport},
};

/// Which part of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// What the page before gave as `next`.
    pub from: Option<String>,
    /// Items of the page.
    pub limit: Option<u32>,
}

/// Talks to one or several nodes of a chain. Cheap to clone; all clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) transport: Arc<Transport>,
    known: Arc<Known>,
}

/// How long the chain's numbers are used for building transactions. The head among them says when these expire, and that is many
/// blocks ahead.
const PARAMS_KEPT_FOR: Duration = Duration::from_secs(1);
/// Blocks remembered that were found to be final here.
const FINAL_BLOCKS_MAX: usize = 256;

/// What a client has learned and need not ask or check again.
#[derive(Debug, Default)]
struct Known {
    params: Mutex<Option<(Instant, ChainParams)>>,
    /// Hashes of blocks whose finality was proven from the chain id, the newest last.
    final_blocks: Mutex<VecDeque<BlockHash>>,
}

impl Client {
    /// With a configuration; [`ClientConfig::build`] does the same.
    ///
    /// # Errors
    /// [`Error::Configuration`].
    pub fn new(config: ClientConfig) -> Result<Self, Error> {
        Ok(Self { transport: Arc::new(Transport::new(config)?), known: Arc::default() })
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: impl Into<String>) -> Result<T, Error> {
        self.transport.json(&Call::get(path)).await
    }

    /// The chain's numbers, needed to build transactions.
    ///
    /// # Errors
    /// [`Error`]; [`Error::WrongChain`] when the configuration names another chain.
    pub async fn params(&self) -> Result<ChainParams, Error> {
        let params: ChainParams = self.get("/api/v1/params").await?;
        self.check_chain(params.chain)?;
        Ok(params)
    }

    /// The header that names the chain may get lost on the way, through a proxy.
    fn check_chain(&self, actual: ChainId) -> Result<(), Error> {
        match self.transport.config.chain {
            Some(expected) if expected != actual => {
                let node = self.transport.config.nodes.join(", ");
                Err(Error::WrongChain { node, actual, expected })
            }
            _ => Ok(()),
        }
    }

    /// A transaction to be filled, with an expiry that fits the chain's head.
    ///
    /// # Errors
    /// As [`Client::params`].
    pub async fn transaction_builder(&self) -> Result<TransactionBuilder, Error> {
        Ok(TransactionBuilder::new(&self.params().await?))
    }

    /// The same by numbers that are at most a second old: for many transactions, one after the other.
    pub(crate) async fn recent_builder(&self) -> Result<TransactionBuilder, Error> {
        let recent = lock(&self.known.params).clone().filter(|(since, _)| since.elapsed() < PARAMS_KEPT_FOR);
        let params = match recent {
            Some((_, params)) => params,
            None => {
                let params = self.params().await?;
                *lock(&self.known.params) = Some((Instant::now(), params.clone()));
                params
            }
        };
        Ok(TransactionBuilder::new(&params))
    }

    /// Submits; again and elsewhere if need be, which is safe: the id is the same and it takes effect at most once.
    ///
    /// # Errors
    /// [`Error::Refused`] with the node's code, or that no node could be reached.
    pub async fn submit(&self, transaction: &SignedTransaction) -> Result<Submitted, Error> {
        let body = Body::Octets(transaction.raw.clone().into());
        let submitted: Submitted = self.transport.json(&Call::post("/api/v1/transactions", body)).await?;
        if submitted.id == transaction.id {
            Ok(submitted)
        } else {
            let reason = format!("it names the transaction {} instead of {}", submitted.id, transaction.id);
            Err(Error::BadAnswer { node: self.transport.config.nodes.join(", "), reason })
        }
    }

    /// Submits many in one request, at most [`vouch_types::api::BATCH_ITEMS_MAX`]; one result each, in order.
    ///
    /// # Errors
    /// When the request as a whole failed.
    pub async fn submit_batch(&self, transactions: &[SignedTransaction]) -> Result<Vec<SubmitItem>, Error> {
        let mut body = Vec::with_capacity(transactions.iter().map(|tx| tx.raw.len() + 4).sum());
        for transaction in transactions {
            let length = u32::try_from(transaction.raw.len())
                .map_err(|_| Error::Configuration("a transaction has more than 4 GiB".into()))?;
            body.extend_from_slice(&length.to_le_bytes());
            body.extend_from_slice(&transaction.raw);
        }
        let call = Call::post("/api/v1/transactions/batch", Body::Octets(body.into()));
        let answer: SubmitBatchAnswer = self.transport.json(&call).await?;
        if answer.results.len() == transactions.len() {
            Ok(answer.results)
        } else {
            let reason = format!("{} results for {} transactions", answer.results.len(), transactions.len());
            Err(Error::BadAnswer { node: self.transport.config.nodes.join(", "), reason })
        }
    }

    /// What became of a transaction.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn transaction(&self, id: TxId) -> Result<TransactionStatus, Error> {
        self.get(format!("/api/v1/transactions/{id}")).await
    }

    /// Waits until a transaction is final. It may have failed: see its receipt.
    ///
    /// # Errors
    /// [`Error::Timeout`] when the time is over; waiting again is safe.
    pub async fn wait(&self, id: TxId, timeout: Duration) -> Result<TransactionView, Error> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let wait_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX).min(WAIT_MS_MAX);
            let mut call = Call::get(format!("/api/v1/transactions/{id}?wait_ms={wait_ms}"));
            call.wait = Duration::from_millis(wait_ms);
            if let TransactionStatus::Final { transaction, .. } = self.transport.json(&call).await? {
                return Ok(*transaction);
            }
            if Instant::now() >= deadline {
                let detail = format!("transaction {id} was not final after {} ms", timeout.as_millis());
                return Err(Error::Timeout(detail));
            }
        }
    }

    /// A proof bundle as a node gives it, not checked.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn proof_bundle(&self, id: TxId, claim: Claim) -> Result<ProofBundle, Error> {
        self.proof_bundle_within(id, claim, Duration::ZERO).await
    }

    /// The same; the node waits so long until there is one, at most [`WAIT_MS_MAX`].
    async fn proof_bundle_within(&self, id: TxId, claim: Claim, wait: Duration) -> Result<ProofBundle, Error> {
        let claim = match claim {
            Claim::Transaction => "claim=transaction".to_owned(),
            Claim::Receipt => "claim=receipt".to_owned(),
            Claim::Event { index } => format!("claim=event&index={index}"),
        };
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).min(WAIT_MS_MAX);
        let wait_for = if wait_ms == 0 { String::new() } else { format!("&wait_ms={wait_ms}") };
        let mut call = Call::get(format!("/api/v1/transactions/{id}/proof?{claim}{wait_for}"));
        call.wait = Duration::from_millis(wait_ms);
        call.accept = "application/octet-stream";
        Ok(ProofBundle::from_bytes(&self.transport.bytes(&call).await?)?)
    }

    /// A proof, checked here from the chain id alone: no node is believed. The configuration must name the chain.
    ///
    /// # Errors
    /// [`Error::Proof`] when it shows nothing, [`Error::OtherClaim`] when it shows something else than was asked.
    pub async fn proof(&self, id: TxId, claim: Claim) -> Result<(ProofBundle, VerifiedClaim), Error> {
        let bundle = self.proof_bundle(id, claim).await?;
        let verified = self.checked(&bundle, id, claim)?;
        Ok((bundle, verified))
    }

    /// The same as soon as the transaction is final: one question less than to wait first and ask then.
    ///
    /// # Errors
    /// As [`Client::proof`]; [`Error::Timeout`] when the time is over; waiting again is safe.
    pub async fn proof_when_final(
        &self,
        id: TxId,
        claim: Claim,
        timeout: Duration,
    ) -> Result<(ProofBundle, VerifiedClaim), Error> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.proof_bundle_within(id, claim, left).await {
                Ok(bundle) => {
                    let verified = self.checked(&bundle, id, claim)?;
                    return Ok((bundle, verified));
                }
                Err(error) if matches!(error.code(), "tx.unknown" | "tx.not_final") => {}
                Err(error) => return Err(error),
            }
            if Instant::now() >= deadline {
                let detail = format!("transaction {id} was not final after {} ms", timeout.as_millis());
                return Err(Error::Timeout(detail));
            }
        }
    }

    /// What a bundle proves, if that is what was asked. The signatures of a block are checked once.
    fn checked(&self, bundle: &ProofBundle, id: TxId, claim: Claim) -> Result<VerifiedClaim, Error> {
        let chain = self
            .transport
            .config
            .chain
            .ok_or_else(|| Error::Configuration("to check a proof the configuration must name the chain".into()))?;
        let block = bundle.finality.header.hash();
        if !lock(&self.known.final_blocks).contains(&block) {
            bundle.verify_finality(chain)?;
            let mut known = lock(&self.known.final_blocks);
            if known.len() >= FINAL_BLOCKS_MAX {
                known.pop_front();
            }
            known.push_back(block);
        }
        let verified = bundle.verify_claim()?;
        let is_asked = match (&verified.fact, claim) {
            (Fact::Transaction { transaction, .. }, Claim::Transaction) => transaction.id() == id,
            (Fact::Receipt(receipt), Claim::Receipt) => receipt.tx == id,
            (Fact::Event { index, receipt, .. }, Claim::Event { index: asked }) => receipt.tx == id && *index == asked,
            _ => false,
        };
        if is_asked { Ok(verified) } else { Err(Error::OtherClaim(format!("asked was about transaction {id}"))) }
    }

    /// Blocks, newest first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn blocks(&self, list: &ListQuery) -> Result<Page<BlockSummary>, Error> {
        self.get(list_path("/api/v1/blocks", "before", list)).await
    }

    /// One block; the last one when `height` is `None`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn block(&self, height: Option<Height>) -> Result<BlockDetail, Error> {
        self.get(format!("/api/v1/blocks/{}", height_text(height))).await
    }

    /// A block's transactions with their results.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn block_transactions(
        &self,
        height: Option<Height>,
        list: &ListQuery,
    ) -> Result<Page<TransactionView>, Error> {
        let path = format!("/api/v1/blocks/{}/transactions", height_text(height));
        self.get(list_path(&path, "after", list)).await
    }

    /// Asks a contract.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn query(&self, contract: &ContractName, method: &str, body: QueryBody) -> Result<QueryView, Error> {
        let path = format!("/api/v1/contracts/{contract}/query/{}", escape(method));
        self.transport.json(&Call::post(path, Body::Json(json!(body)))).await
    }

    /// One value of a contract's state, as the node says or with a proof to check.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn state(&self, contract: &ContractName, key: &[u8], prove: bool) -> Result<StateView, Error> {
        let key = HexBytes(key.to_vec());
        self.get(format!("/api/v1/contracts/{contract}/state/{key}?proof={prove}")).await
    }

    /// Contracts by name.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn contracts(&self, list: &ListQuery) -> Result<Page<ContractSummary>, Error> {
        self.get(list_path("/api/v1/contracts", "after", list)).await
    }

    /// One contract with its ABI as JSON.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn contract(&self, name: &ContractName) -> Result<ContractView, Error> {
        self.get(format!("/api/v1/contracts/{name}")).await
    }

    /// A contract's ABI, read and checked.
    ///
    /// # Errors
    /// [`Error::Abi`], or that it could not be had.
    pub async fn abi(&self, name: &ContractName) -> Result<Abi, Error> {
        Ok(Abi::from_json(&self.contract(name).await?.abi.to_string())?)
    }

    /// The validators of a height; the next one when `None`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn validators(&self, height: Option<Height>) -> Result<ValidatorsView, Error> {
        let query = height.map(|height| format!("?height={height}")).unwrap_or_default();
        self.get(format!("/api/v1/validators{query}")).await
    }

    /// The members.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn members(&self) -> Result<Page<MemberView>, Error> {
        self.get("/api/v1/members").await
    }

    /// Users and services, of one member or of all, by account.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn accounts(&self, member: Option<&str>, list: &ListQuery) -> Result<Page<AccountView>, Error> {
        self.get(member_path("/api/v1/accounts", member, list)).await
    }

    /// Certificates, of one member or of all, by fingerprint.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn certificates(&self, member: Option<&str>, list: &ListQuery) -> Result<Page<CertificateView>, Error> {
        self.get(member_path("/api/v1/certificates", member, list)).await
    }

    /// Code in the state that a proposal can put under a name.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn packages(&self) -> Result<Page<PackageView>, Error> {
        self.get("/api/v1/packages").await
    }

    /// Proposals, newest first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn proposals(&self, list: &ListQuery) -> Result<Page<ProposalSummary>, Error> {
        self.get(list_path("/api/v1/proposals", "before", list)).await
    }

    /// One proposal with its actions and ballots. Its content's hash is checked: what is shown is what is voted on.
    ///
    /// # Errors
    /// [`Error::BadAnswer`] when the actions are not those of the hash; [`Error`].
    pub async fn proposal(&self, id: u64) -> Result<ProposalView, Error> {
        let view: ProposalView = self.get(format!("/api/v1/proposals/{id}")).await?;
        if view.summary.id == id && view.content().hash() == view.summary.content {
            Ok(view)
        } else {
            let reason = format!("what it shows of proposal {id} is not what its hash says");
            Err(Error::BadAnswer { node: self.transport.config.nodes.join(", "), reason })
        }
    }

    /// What a proposal would do now, by the node asked.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn dry_run(&self, id: u64) -> Result<DryRunView, Error> {
        self.transport.json(&Call::post(format!("/api/v1/proposals/{id}/dry-run"), Body::Json(json!({})))).await
    }

    /// Misbehaviour of validators that was seen.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn evidence(&self, list: &ListQuery) -> Result<Page<EvidenceView>, Error> {
        self.get(list_path("/api/v1/evidence", "after", list)).await
    }

    /// How the node is, and why.
    ///
    /// # Errors
    /// [`Error`]; [`Error::WrongChain`] when the configuration names another chain.
    pub async fn status(&self) -> Result<NodeStatus, Error> {
        let status: NodeStatus = self.get("/api/v1/status").await?;
        self.check_chain(status.chain)?;
        Ok(status)
    }

    /// The node's metrics page, as Prometheus reads it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn metrics(&self) -> Result<String, Error> {
        let bytes = self.transport.bytes(&Call { accept: "text/plain", ..Call::get("/metrics") }).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Follows final blocks, transactions and events: in order, each once, across broken connections and nodes.
    pub fn events(
        &self,
        request: EventsRequest,
    ) -> impl Stream<Item = Result<(Cursor, FeedItem), Error>> + Send + Unpin + 'static {
        events::follow(Arc::clone(&self.transport), request)
    }

    /// How the node's index is.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn index_status(&self) -> Result<IndexStatusView, Error> {
        self.get("/api/v1/index/status").await
    }

    /// Has the node make its index anew beside the one that serves. Needs the admin token.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn rebuild_index(&self) -> Result<IndexStatusView, Error> {
        let mut call = Call::post("/api/v1/admin/index/rebuild", Body::Json(json!({})));
        call.is_admin = true;
        self.transport.json(&call).await
    }

    /// A page of the node's index: `path` is a list's route with its filter, for example
    /// `/api/v1/documents?category=Invoice`; `after` is what the page before gave as `next`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn index_page<T>(&self, path: &str, after: Option<&str>) -> Result<IndexPage<T>, Error>
    where
        T: serde::de::DeserializeOwned,
    {
        let sign = if path.contains('?') { '&' } else { '?' };
        let after = after.map_or_else(String::new, |after| format!("{sign}after={}", escape(after)));
        self.get(format!("{path}{after}")).await
    }

    /// Has the node make a backup at an absolute path of its own machine. Needs the admin token; not tried twice.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn backup(&self, path: &str) -> Result<BackupView, Error> {
        const PATIENCE: Duration = Duration::from_secs(24 * 3600);
        let mut call = Call::post("/api/v1/admin/backup", Body::Json(json!({ "path": path })));
        (call.is_idempotent, call.is_admin, call.wait) = (false, true, PATIENCE);
        self.transport.json(&call).await
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

fn height_text(height: Option<Height>) -> String {
    height.map_or_else(|| "latest".to_owned(), |height| height.to_string())
}

pub(crate) fn list_path(path: &str, from: &str, list: &ListQuery) -> String {
    let from = list.from.as_ref().map(|value| format!("{from}={}", escape(value)));
    let limit = list.limit.map(|limit| format!("limit={limit}"));
    let query: Vec<String> = [from, limit].into_iter().flatten().collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

fn member_path(path: &str, member: Option<&str>, list: &ListQuery) -> String {
    let path = list_path(path, "after", list);
    match member {
        None => path,
        Some(member) => format!("{path}{}member={}", if path.contains('?') { '&' } else { '?' }, escape(member)),
    }
}

/// Percent-encodes all but unreserved characters.
pub(crate) fn escape(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
