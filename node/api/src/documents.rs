//! The seam between the API and the node's vault: what the routes for private documents ask for.

use async_trait::async_trait;
use vouch_types::{
    AccountId,
    api::{
        AccountView, AuditRecordView, CheckView, DocumentReading, ErasureStatementView, HoldingView,
        ReadDocumentRequest, StageRequest, StagedView, VaultView,
    },
    document::DocumentId,
};

use crate::ApiError;

/// The private documents of the node's member.
///
/// Every method may be called from many tasks at once. The routes have checked who calls; whether an account may read or
/// audit a document is the contract's word, which implementations ask for. Refusals come back with the codes `stage.*` and
/// `vault.*`.
#[async_trait]
pub trait Documents: Send + Sync + 'static {
    /// The member this node belongs to. Code: `vault.not_running` while it has none.
    async fn member(&self) -> Result<String, ApiError>;

    /// An account of the registry; `None` for one that is not in it.
    async fn account(&self, account: AccountId) -> Result<Option<AccountView>, ApiError>;

    /// Checks a document of this member and keeps it until its transaction comes. It is durable when this returns.
    async fn stage(&self, request: StageRequest) -> Result<StagedView, ApiError>;

    /// Shows fields of a version to an account. If the request names fields of which one may not be seen, it is refused
    /// with `vault.not_allowed` and the contract's reason. Reading stands in the audit, durably, when this returns.
    async fn read(
        &self,
        actor: AccountId,
        document: DocumentId,
        version: u32,
        request: ReadDocumentRequest,
    ) -> Result<DocumentReading, ApiError>;

    /// What is here of a version, and the receipts of others. Code: `vault.unknown_document` when nothing is known of it.
    async fn holding(&self, document: DocumentId, version: u32) -> Result<HoldingView, ApiError>;

    /// Records of the read audit with numbers above `after`, ascending: of one document, or with `None` of this node.
    async fn audit(
        &self,
        document: Option<DocumentId>,
        after: u64,
        limit: u32,
    ) -> Result<Vec<AuditRecordView>, ApiError>;

    /// Whether the contract lets an account see who has read a document (action `Audit`). Code: `vault.not_allowed`.
    async fn may_audit(&self, actor: AccountId, document: DocumentId) -> Result<(), ApiError>;

    /// What this node said when it shredded a document; `None` when it did not.
    async fn erasure_statement(&self, document: DocumentId) -> Result<Option<ErasureStatementView>, ApiError>;

    /// How the vault is.
    async fn vault(&self) -> Result<VaultView, ApiError>;

    /// Checks everything at rest now, which reads all of it.
    async fn check(&self) -> Result<CheckView, ApiError>;
}
