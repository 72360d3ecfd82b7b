use std::sync::Arc;

use async_trait::async_trait;
use vouch_api::{ApiError, Lists};
use vouch_index::{Index, IndexError, LAYOUT, Query};
use vouch_ledger::Reader;
use vouch_types::{
    ContractName, Height,
    api::{
        CountView, Direction, DisputeFilter, DocumentDetail, DocumentFilter, DocumentItem, IndexPage, IndexStatusView,
        ProvenanceView, RebuildView, RelationshipFilter, SearchView, StatisticsQuery, StatisticsView,
        TransactionFilter, TransactionItem,
    },
    decode,
    document::{self, Dispute, DocumentId, Grant},
    relation::{self, Relationship},
};

/// Answers lists for the API.
#[derive(Debug, Clone)]
pub struct NodeLists {
    /// The index.
    pub index: Arc<Index>,
    /// The chain.
    pub reader: Reader,
}

fn refused(error: &IndexError) -> ApiError {
    match error {
        IndexError::Connection(_) => {
            tracing::warn!(code = error.code(), "{error}");
            ApiError::new(error.code(), "the index's database server cannot be reached").retry_after(5)
        }
        IndexError::Storage(_)
        | IndexError::Files(_)
        | IndexError::Source(_)
        | IndexError::Closed
        | IndexError::Refused(_)
        | IndexError::Locked
        | IndexError::Damaged(_) => {
            tracing::error!(code = error.code(), "the index failed while answering: {error}");
            ApiError::new(error.code(), "the index could not be read").retry_after(5)
        }
        IndexError::TooSlow => ApiError::new(error.code(), error.to_string()).retry_after(5),
        IndexError::Cursor => ApiError::new(error.code(), error.to_string()).at("after"),
        IndexError::TooMany(_) => ApiError::new(error.code(), error.to_string()).at("number"),
        IndexError::Unknown => ApiError::new(error.code(), "the index knows no such document, or not yet"),
        IndexError::Gap { .. } | IndexError::Diverged { .. } | IndexError::Foreign { .. } | IndexError::InUse(_) => {
            ApiError::new(error.code(), error.to_string())
        }
    }
}

fn items(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

impl NodeLists {
    fn head(&self) -> Height {
        self.reader.published().head.height
    }

    /// Asks the index off the executor's threads. What was made from another chain, or by another node, says nothing here.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Query) -> Result<T, IndexError> + Send + 'static,
    ) -> Result<T, ApiError> {
        if let Some((code @ ("index.diverged" | "index.foreign"), detail)) = self.index.progress().problem {
            return Err(ApiError::new(code, detail));
        }
        let query = self.index.query(self.head());
        match tokio::task::spawn_blocking(move || work(&query)).await {
            Ok(answer) => answer.map_err(|error| refused(&error)),
            Err(_) => Err(ApiError::new("internal", "a question to the index did not end")),
        }
    }

    /// A counter of a contract, at the head; 0 before it was first written, `None` where there is no such contract.
    async fn counter(&self, contract: &'static str, key: &'static [u8]) -> Option<u64> {
        let reader = self.reader.clone();
        let read = tokio::task::spawn_blocking(move || {
            let contract = ContractName::new(contract).ok()?;
            reader.published().registry.contracts.get(&contract)?;
            match reader.state(&contract, key, false).ok()?.value {
                Some(value) => decode("counter", &value, 8).ok(),
                None => Some(0),
            }
        });
        read.await.ok().flatten()
    }
}

#[async_trait]
impl Lists for NodeLists {
    async fn status(&self) -> Result<IndexStatusView, ApiError> {
        let (progress, head) = (self.index.progress(), self.head());
        let query = self.index.query(head);
        let counts = tokio::task::spawn_blocking(move || query.counts()).await;
        // Whoever asks how it is wants to hear of a failure, not to be refused.
        let counts = counts.ok().and_then(Result::ok).unwrap_or_default();
        let (documents, relationships, disputes, grants) = tokio::join!(
            self.counter(document::CONTRACT, document::key::DOCUMENTS),
            self.counter(relation::CONTRACT, relation::key::RELATIONSHIPS),
            self.counter(document::CONTRACT, document::key::DISPUTES),
            self.counter(document::CONTRACT, document::key::GRANTS),
        );
        let beside = |count: CountView, on_chain| CountView { on_chain, ..count };
        Ok(IndexStatusView {
            head,
            indexed: progress.indexed,
            lag: head.0.saturating_sub(progress.indexed.0),
            state: progress.state,
            code: progress.problem.as_ref().map(|(code, _)| (*code).to_owned()),
            detail: progress.problem.map(|(_, detail)| detail),
            first_block: progress.first,
            rebuild: progress.rebuild.map(|indexed| RebuildView { indexed, head }),
            documents: beside(counts.documents, documents),
            relationships: beside(counts.relationships, relationships),
            disputes: beside(counts.disputes, disputes),
            grants: beside(counts.grants, grants),
            transactions: counts.transactions,
            bytes: self.index.bytes(),
            layout: LAYOUT,
        })
    }

    async fn rebuild(&self) -> Result<(), ApiError> {
        self.index.rebuild();
        Ok(())
    }

    async fn documents(
        &self,
        filter: DocumentFilter,
        after: Option<String>,
        limit: u32,
    ) -> Result<IndexPage<DocumentItem>, ApiError> {
        self.ask(move |query| query.documents(&filter, after.as_deref(), items(limit))).await
    }

    async fn document(&self, id: DocumentId) -> Result<DocumentDetail, ApiError> {
        self.ask(move |query| query.document(&id)).await
    }

    async fn grants(&self, id: DocumentId, after: Option<String>, limit: u32) -> Result<IndexPage<Grant>, ApiError> {
        self.ask(move |query| query.grants(&id, after.as_deref(), items(limit))).await
    }

    async fn provenance(&self, id: DocumentId, direction: Direction, depth: u32) -> Result<ProvenanceView, ApiError> {
        self.ask(move |query| query.provenance(&id, direction, depth)).await
    }

    async fn transactions(
        &self,
        filter: TransactionFilter,
        after: Option<String>,
        limit: u32,
    ) -> Result<IndexPage<TransactionItem>, ApiError> {
        self.ask(move |query| query.transactions(&filter, after.as_deref(), items(limit))).await
    }

    async fn relationships(
        &self,
        filter: RelationshipFilter,
        after: Option<String>,
        limit: u32,
    ) -> Result<IndexPage<Relationship>, ApiError> {
        self.ask(move |query| query.relationships(&filter, after.as_deref(), items(limit))).await
    }

    async fn disputes(
        &self,
        filter: DisputeFilter,
        after: Option<String>,
        limit: u32,
    ) -> Result<IndexPage<Dispute>, ApiError> {
        self.ask(move |query| query.disputes(&filter, after.as_deref(), items(limit))).await
    }

    async fn search(&self, wanted: String) -> Result<SearchView, ApiError> {
        self.ask(move |query| query.search(&wanted)).await
    }

    async fn statistics(&self, asked: StatisticsQuery) -> Result<StatisticsView, ApiError> {
        self.ask(move |query| query.statistics(&asked)).await
    }
}
