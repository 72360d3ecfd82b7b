//! The seam between the API and the node's vault: what the routes for private documents ask for.

use async_trait::async_trait;
use axum::body::Bytes;
use vouch_types::{
    AccountId, SubjectId,
    api::{
        AccountView, AuditRecordView, BeginUploadRequest, CheckView, DocumentReading, ErasureStatementView,
        FileOpening, FinishUploadRequest, HeldView, HoldingView, OpenFileRequest, ReadDocumentRequest, StageRequest,
        StagedView, UploadView, VaultView,
    },
    document::DocumentId,
};

use crate::ApiError;

/// The place of a file in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilePlace {
    /// The document.
    pub document: DocumentId,
    /// The version.
    pub version: u32,
    /// Slot of the field that names the file.
    pub slot: u16,
    /// Position in that field, from 0.
    pub index: u16,
}

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

    /// The person whose own key an account is, registered and not closed; `None` for any other.
    async fn person(&self, account: AccountId) -> Result<Option<SubjectId>, ApiError>;

    /// A person's documents with numbers above `after`, ascending, each with what lies here of it.
    async fn held(&self, subject: SubjectId, after: u64, limit: u32) -> Result<Vec<HeldView>, ApiError>;

    /// Whether this node's member serves a person now, or registered them.
    async fn serves(&self, subject: SubjectId) -> Result<bool, ApiError>;

    /// Whether a member is a regulator that watches over this node's member now.
    async fn is_watched_by(&self, member: String) -> Result<bool, ApiError>;

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

    /// Begins the upload of a file's ciphertext, or says how far one is that the same account began alike. Codes: `upload.*`.
    async fn begin_upload(
        &self,
        actor: AccountId,
        place: FilePlace,
        request: BeginUploadRequest,
    ) -> Result<UploadView, ApiError>;

    /// How far an upload of this account is. Code: `upload.unknown`.
    async fn upload(&self, actor: AccountId, place: FilePlace) -> Result<UploadView, ApiError>;

    /// Takes the piece that begins where the upload ends. It is durable when this returns. Code: `upload.offset`.
    async fn put_piece(
        &self,
        actor: AccountId,
        place: FilePlace,
        offset: u64,
        piece: Bytes,
    ) -> Result<UploadView, ApiError>;

    /// Hashes the whole file and compares it with what the client says. Codes: `upload.incomplete`, `upload.root`.
    async fn finish_upload(
        &self,
        actor: AccountId,
        place: FilePlace,
        request: FinishUploadRequest,
    ) -> Result<UploadView, ApiError>;

    /// Ends an upload and removes what came of it.
    async fn end_upload(&self, actor: AccountId, place: FilePlace) -> Result<(), ApiError>;

    /// Opens a file for reading. The opening stands in the audit, durably, when this returns. Code: `vault.not_allowed`.
    async fn open_file(
        &self,
        actor: AccountId,
        place: FilePlace,
        request: OpenFileRequest,
    ) -> Result<FileOpening, ApiError>;

    /// Bytes of an opened file's ciphertext with what proves them. `from` is a multiple of a group, and so is `to` unless it is
    /// the end. Codes: `vault.opening_unknown`, `vault.file_damaged`.
    async fn file_piece(
        &self,
        actor: AccountId,
        place: FilePlace,
        opening: [u8; 16],
        range: core::ops::Range<u64>,
    ) -> Result<Vec<u8>, ApiError>;

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

    /// Checks what lies at rest for some seconds, from where an answer said to go on. Code: `request.bad_parameter`.
    async fn check(&self, from: Option<String>) -> Result<CheckView, ApiError>;
}
