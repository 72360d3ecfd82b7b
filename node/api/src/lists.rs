//! The seam between the API and the node's index: lists, search, chains of evidence, statistics.

use async_trait::async_trait;
use vouch_types::{
    api::{
        Direction, DisputeFilter, DocumentDetail, DocumentFilter, DocumentItem, IndexPage, IndexStatusView,
        ProvenanceView, RelationshipFilter, SearchView, StatisticsQuery, StatisticsView, TransactionFilter,
        TransactionItem,
    },
    document::{Dispute, DocumentId, Grant},
    relation::Relationship,
};

use crate::ApiError;

/// The index of a node. Every method may be called from many tasks at once; work that blocks is moved off the executor's
/// threads. `after` is a place that an earlier page gave, `limit` is within bounds.
///
/// Codes: `index.*`; `request.bad_parameter` for a place of another list; `vault.unknown_document`.
#[async_trait]
pub trait Lists: Send + Sync {
    /// How it is. Answers also while it cannot go on.
    async fn status(&self) -> Result<IndexStatusView, ApiError>;

    /// Begins to make it anew beside the one that serves.
    async fn rebuild(&self) -> Result<(), ApiError>;

    /// Documents, newest first.
    async fn documents(
        &self,
        filter: DocumentFilter,
        after: Option<String>,
        limit: u32,
    ) -> Result<IndexPage<DocumentItem>, ApiError>;

    /// One document.
    async fn document(&self, id: DocumentId) -> Result<DocumentDetail, ApiError>;

    /// A document's grants, newest first.
    async fn grants(&self, id: DocumentId, after: Option<String>, limit: u32) -> Result<IndexPage<Grant>, ApiError>;

    /// What a document stands on, what stands on it.
    async fn provenance(&self, id: DocumentId, direction: Direction, depth: u32) -> Result<ProvenanceView, ApiError>;

    /// Transactions, newest first.
    async fn transactions(
        &self,
        filter: TransactionFilter,
        after: Option<String>,
        limit: u32,
    ) -> Result<IndexPage<TransactionItem>, ApiError>;

    /// Relationships, newest first.
    async fn relationships(
        &self,
        filter: RelationshipFilter,
        after: Option<String>,
        limit: u32,
    ) -> Result<IndexPage<Relationship>, ApiError>;

    /// Disputes, newest first.
    async fn disputes(
        &self,
        filter: DisputeFilter,
        after: Option<String>,
        limit: u32,
    ) -> Result<IndexPage<Dispute>, ApiError>;

    /// What begins with a text.
    async fn search(&self, wanted: String) -> Result<SearchView, ApiError>;

    /// Counts by day.
    async fn statistics(&self, query: StatisticsQuery) -> Result<StatisticsView, ApiError>;
}
