//! What the HTTP API says and hears: one set of shapes for the server, the SDK and the command line.
//!
//! Deliberately not here: HTTP itself, streams, signing. Names of fields are the JSON names, heights and indices are
//! numbers, hashes and byte strings are lower-case hexadecimal, times are milliseconds since 1970. A reader ignores fields
//! it does not know; a field is never given a new meaning under `/api/v1`.
//!
//! ```text
//! request  SubmitRequest, QueryRequest, BackupRequest
//! answer   Submitted, TransactionStatus, ProofView, QueryView, StateView, Page<…>, NodeStatus, …
//! feed     Cursor, FeedItem                    (server-sent events)
//! index    DocumentFilter, IndexPage<…>, ProvenanceView, SearchView, StatisticsView, IndexStatusView
//! error    Problem, and the catalogue of codes (RFC 9457)
//! ```

pub mod caller;
mod chain;
mod document;
mod document_file;
mod feed;
mod governance;
mod hex_bytes;
mod index;
mod node;
#[cfg(feature = "openapi")]
mod openapi;
mod operations;
mod problem;
mod problem_catalogue;
mod transactions;

pub use caller::CallerView;
pub use chain::{
    BlockDetail, BlockSummary, ChainParams, ContractSummary, ContractView, EvidenceView, FinalBlock, MemberNodeView,
    MemberView, Page, QueryBody, QueryRequest, QueryView, StateView, ValidatorView, ValidatorsView,
};
pub use document::{
    AuditRecordView, CheckView, DamageView, DisclosedField, DocumentReading, ErasureProgressView, ErasureStatementView,
    HeldVersionView, HeldView, HoldingView, PossessionReceiptView, ReadDocumentRequest, STAGE_BYTES_MAX, StageRequest,
    StagedView, VaultView, VersionRef,
};
pub use document_file::{
    BeginUploadRequest, FILE_GROUP_BYTES, FILE_PIECE_BYTES_MAX, FILE_PIECE_BYTES_MIN, FileOpening, FinishUploadRequest,
    OpenFileRequest, UploadView,
};
pub use feed::{Cursor, FeedEnd, FeedItem, ParseCursorError};
pub use governance::{
    AccountView, ActionReportView, ActionView, BallotView, CanaryView, CertificateView, DryRunView, EncryptionKeyView,
    PackageView, ProposalFailure, ProposalSummary, ProposalView, StateKey, TallyView,
};
pub use hex_bytes::{HexBytes, ParseHexError};
pub use index::{
    CountView, DayCount, Direction, DisputeFilter, DocumentDetail, DocumentFilter, DocumentItem, INDEX_ITEMS_MAX,
    IndexPage, IndexState, IndexStatusView, Measure, NamedCount, PROVENANCE_DEPTH_MAX, PROVENANCE_NODES_MAX,
    ProvenanceEdge, ProvenanceNode, ProvenanceView, PublicText, RebuildView, RelationshipFilter, SEARCH_BYTES_MAX,
    STATISTICS_DAYS_MAX, SearchHit, SearchView, StatisticsQuery, StatisticsView, TransactionFilter, TransactionItem,
};
pub use node::{BackupRequest, BackupView, Condition, ConditionState, Liveness, NodeStatus, PeerView, Role};
pub use operations::{OperationsSample, OperationsView, SAMPLE_SECONDS, SAMPLES_MAX};
pub use problem::{Language, Problem, ProblemKind, kind_of};
pub use problem_catalogue::CATALOGUE;
pub use transactions::{
    CallView, Claim, EventView, OutcomeView, ProofView, ReceiptView, SubmitBatchAnswer, SubmitBatchRequest, SubmitItem,
    SubmitRequest, SubmitStatus, Submitted, TransactionStatus, TransactionView,
};

/// Most items of a page, and the number given when none is asked for is [`PAGE_ITEMS_DEFAULT`].
pub const PAGE_ITEMS_MAX: u32 = 1000;
/// Items of a page when the caller names no limit.
pub const PAGE_ITEMS_DEFAULT: u32 = 50;
/// Most transactions in one batch request.
pub const BATCH_ITEMS_MAX: usize = 2000;
/// Most bytes of a batch request's body.
pub const BATCH_BYTES_MAX: usize = 8 << 20;
/// Longest wait a caller may ask for, in milliseconds.
pub const WAIT_MS_MAX: u64 = 30_000;
