//! The seam between the API and the node: what routes ask for.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::watch;
use vouch_types::{
    AccountId, ChainId, ContractName, Hash32, Height, TxId,
    api::{
        AccountView, BackupView, BlockDetail, BlockSummary, CertificateView, ChainParams, Claim, ContractSummary,
        ContractView, Cursor, DryRunView, EvidenceView, FinalBlock, MemberView, NodeStatus, OperationsView,
        PackageView, ProposalSummary, ProposalView, QueryRequest, QueryView, StateView, Submitted, TransactionStatus,
        ValidatorsView,
    },
};

use crate::{ApiError, Lists};

/// A running node as its API sees it. Every method may be called from many tasks at once.
///
/// Implementations answer from final state only, and move work that blocks (storage, contract code) off the executor's
/// threads. Whatever is wrong with what a caller asked for comes back as an [`ApiError`] with its own code; a failing
/// storage as `node.storage`.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// The chain; every answer names it in the header `vouch-chain`.
    fn chain(&self) -> ChainId;

    /// The height of the last final block, 0 before the first. A change is seen only after the block can be read
    /// through [`Backend::block`].
    fn head(&self) -> watch::Receiver<Height>;

    /// Takes encoded transactions: one result per item, in order, each independent of the others.
    ///
    /// A transaction the node has already, waiting or final, is [`vouch_types::api::SubmitStatus::Known`] and no error.
    async fn submit(&self, transactions: Vec<Vec<u8>>) -> Vec<Result<Submitted, ApiError>>;

    /// What became of a transaction.
    async fn transaction(&self, id: TxId) -> Result<TransactionStatus, ApiError>;

    /// Whether a transaction is final here. Everyone who waits for one is asked about at each block, so it is to be cheap.
    async fn is_final(&self, id: TxId) -> Result<bool, ApiError>;

    /// Waits until a transaction is final or `timeout` has passed. A transaction that nobody knows yet may still arrive.
    async fn until_final(&self, id: TxId, timeout: Duration) -> Result<(), ApiError> {
        let mut head = self.head();
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            head.mark_unchanged();
            if self.is_final(id).await? {
                return Ok(());
            }
            match tokio::time::timeout_at(deadline, head.changed()).await {
                Ok(Ok(())) => {}
                // The time is over, or the node is going down and no block will come.
                Ok(Err(_)) | Err(_) => return Ok(()),
            }
        }
    }

    /// Waits as [`Backend::until_final`], and answers with what is known then.
    async fn wait_final(&self, id: TxId, timeout: Duration) -> Result<TransactionStatus, ApiError> {
        self.until_final(id, timeout).await?;
        self.transaction(id).await
    }

    /// An encoded proof bundle for a final transaction. Codes: `tx.unknown`, `tx.not_final`, `tx.no_such_event`,
    /// `block.pruned`.
    async fn proof(&self, id: TxId, claim: Claim) -> Result<Vec<u8>, ApiError>;

    /// Waits as [`Backend::until_final`] before. Codes: as without waiting.
    async fn proof_when_final(&self, id: TxId, claim: Claim, timeout: Duration) -> Result<Vec<u8>, ApiError> {
        self.until_final(id, timeout).await?;
        self.proof(id, claim).await
    }

    /// A final block with everything in it. Codes: `block.unknown` above the head and at 0, `block.pruned`.
    async fn block(&self, height: Height) -> Result<Arc<FinalBlock>, ApiError>;

    /// A final block with its transactions' ids only, for which no transaction is looked into. Codes as [`Backend::block`].
    async fn block_detail(&self, height: Height) -> Result<BlockDetail, ApiError>;

    /// Up to `limit` blocks below `before` (from the head when `None`), highest first.
    async fn blocks(&self, before: Option<Height>, limit: u32) -> Result<Vec<BlockSummary>, ApiError>;

    /// Runs a read-only call. Codes: the `query.*` ones, or the contract's own.
    async fn query(&self, request: QueryRequest) -> Result<QueryView, ApiError>;

    /// One value of a contract's state, with a proof when `prove` is set and there is a value. Code: `contract.unknown`.
    async fn state(&self, contract: ContractName, key: Vec<u8>, prove: bool) -> Result<StateView, ApiError>;

    /// One contract. Code: `contract.unknown`.
    async fn contract(&self, name: ContractName) -> Result<ContractView, ApiError>;

    /// Up to `limit` contracts with names above `after`, in ascending order.
    async fn contracts(&self, after: Option<ContractName>, limit: u32) -> Result<Vec<ContractSummary>, ApiError>;

    /// The validators of a height up to one above the head (the next height when `None`). Codes: `block.unknown`,
    /// `block.pruned`.
    async fn validators(&self, height: Option<Height>) -> Result<ValidatorsView, ApiError>;

    /// All members in order of name.
    async fn members(&self) -> Result<Vec<MemberView>, ApiError>;

    /// Up to `limit` users and services, of one member or of all, above `after`, in ascending order of account.
    async fn accounts(
        &self,
        member: Option<String>,
        after: Option<AccountId>,
        limit: u32,
    ) -> Result<Vec<AccountView>, ApiError>;

    /// Up to `limit` certificates, of one member or of all, above `after`, in ascending order of fingerprint.
    async fn certificates(
        &self,
        member: Option<String>,
        after: Option<Hash32>,
        limit: u32,
    ) -> Result<Vec<CertificateView>, ApiError>;

    /// The member this node is of, by the registry, and its root certificate in DER; `None` when there is none.
    fn member_authority(&self) -> Option<(String, Vec<u8>)>;

    /// What the chain says of a certificate.
    fn certificate(&self, fingerprint: Hash32) -> Option<CertificateView>;

    /// All packages in ascending order of code hash; the members bound their number.
    async fn packages(&self) -> Result<Vec<PackageView>, ApiError>;

    /// Up to `limit` proposals with numbers below `before` (from the last when `None`), highest first.
    async fn proposals(&self, before: Option<u64>, limit: u32) -> Result<Vec<ProposalSummary>, ApiError>;

    /// One proposal. Code: `proposal.unknown`.
    async fn proposal(&self, id: u64) -> Result<ProposalView, ApiError>;

    /// What a proposal would do now. Code: `proposal.unknown`.
    async fn dry_run(&self, id: u64) -> Result<DryRunView, ApiError>;

    /// Up to `limit` pieces of evidence above `after`, in ascending order of height and sequence.
    async fn evidence(&self, after: Option<Cursor>, limit: u32) -> Result<Vec<EvidenceView>, ApiError>;

    /// How the node is doing. Answers also while nothing else works.
    async fn status(&self) -> NodeStatus;

    /// The chain's numbers.
    async fn params(&self) -> Result<ChainParams, ApiError>;

    /// How the process and its machine do.
    async fn operations(&self) -> Result<OperationsView, ApiError>;

    /// The node's index; `None` when it keeps none.
    fn lists(&self) -> Option<&dyn Lists>;

    /// The node's own metrics in Prometheus' text format; the API adds those of HTTP.
    async fn metrics(&self) -> String;

    /// Makes and checks a backup in a directory that does not exist yet. Codes: the `backup.*` ones.
    async fn backup(&self, path: std::path::PathBuf) -> Result<BackupView, ApiError>;
}
