//! Routes over the index: what they read out of an address, what they refuse, and what comes back.

use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::json;
use vouch_api::{ApiError, Lists};
use vouch_types::{
    Height, TimestampMs,
    api::{
        CountView, Direction, DisputeFilter, DocumentDetail, DocumentFilter, DocumentItem, IndexPage, IndexState,
        IndexStatusView, NamedCount, ProvenanceView, RelationshipFilter, SearchView, StatisticsQuery, StatisticsView,
        TransactionFilter, TransactionItem,
    },
    document::{Category, Dispute, DocumentId, ErasureState, Grant, Moment, Party, VersionState},
    relation::Relationship,
};

use crate::double::{ADMIN, Plain, api, get, request, send};

/// Lists that hold one document and remember what they were asked.
#[derive(Debug, Default)]
pub struct PlainLists {
    asked: Mutex<Vec<String>>,
}

pub const KNOWN: DocumentId = DocumentId::new([7; 16]);

fn item() -> DocumentItem {
    DocumentItem {
        number: 1,
        id: KNOWN,
        category: Category::Invoice,
        category_number: 1,
        issuer: "works".into(),
        issuer_number: 1,
        schema: "bill".into(),
        state: VersionState::Effective,
        version: 1,
        effective: Some(1),
        created: Moment { height: Height(1), time_ms: TimestampMs(5) },
        changed: Height(1),
        disputes: 0,
        holds: 0,
        correction: false,
        erasure: ErasureState::None,
        references: 0,
        referenced_by: 0,
    }
}

fn page<T>(items: Vec<T>, next: Option<&str>) -> IndexPage<T> {
    IndexPage { head: Height(2), indexed: Height(1), items, next: next.map(Into::into), total: Some(1) }
}

impl PlainLists {
    fn hear(&self, what: impl std::fmt::Debug) {
        self.asked.lock().unwrap().push(format!("{what:?}"));
    }

    pub fn last(&self) -> String {
        self.asked.lock().unwrap().last().cloned().unwrap_or_default()
    }

    fn known(id: DocumentId) -> Result<(), ApiError> {
        if id == KNOWN { Ok(()) } else { Err(ApiError::new("vault.unknown_document", "no such document")) }
    }
}

#[async_trait]
impl Lists for PlainLists {
    async fn status(&self) -> Result<IndexStatusView, ApiError> {
        let count = CountView { indexed: 1, on_chain: Some(1) };
        Ok(IndexStatusView {
            head: Height(2),
            indexed: Height(1),
            lag: 1,
            state: IndexState::Following,
            code: None,
            detail: None,
            first_block: Height(1),
            rebuild: None,
            documents: count,
            relationships: count,
            disputes: count,
            grants: count,
            transactions: 3,
            bytes: 4096,
            layout: 1,
        })
    }

    async fn rebuild(&self) -> Result<(), ApiError> {
        self.hear("rebuild");
        Ok(())
    }

    async fn documents(
        &self,
        filter: DocumentFilter,
        after: Option<String>,
        limit: u32,
    ) -> Result<IndexPage<DocumentItem>, ApiError> {
        self.hear((filter, after, limit));
        Ok(page(vec![item()], Some("aa")))
    }

    async fn document(&self, id: DocumentId) -> Result<DocumentDetail, ApiError> {
        Self::known(id)?;
        let (head, indexed) = (Height(2), Height(1));
        Ok(DocumentDetail { head, indexed, document: item(), public: Vec::new(), state_keys: Vec::new() })
    }

    async fn grants(&self, id: DocumentId, after: Option<String>, limit: u32) -> Result<IndexPage<Grant>, ApiError> {
        self.hear((id, after, limit));
        Self::known(id)?;
        Ok(page(Vec::new(), None))
    }

    async fn provenance(&self, id: DocumentId, direction: Direction, depth: u32) -> Result<ProvenanceView, ApiError> {
        self.hear((direction, depth));
        Self::known(id)?;
        let (nodes, edges) = (Vec::new(), Vec::new());
        Ok(ProvenanceView { head: Height(2), indexed: Height(1), nodes, edges, complete: true })
    }

    async fn transactions(
        &self,
        filter: TransactionFilter,
        after: Option<String>,
        limit: u32,
    ) -> Result<IndexPage<TransactionItem>, ApiError> {
        self.hear((filter, after, limit));
        Ok(page(Vec::new(), None))
    }

    async fn relationships(
        &self,
        filter: RelationshipFilter,
        after: Option<String>,
        limit: u32,
    ) -> Result<IndexPage<Relationship>, ApiError> {
        self.hear((filter, after, limit));
        Ok(page(Vec::new(), None))
    }

    async fn disputes(
        &self,
        filter: DisputeFilter,
        after: Option<String>,
        limit: u32,
    ) -> Result<IndexPage<Dispute>, ApiError> {
        self.hear((filter, after, limit));
        Ok(page(Vec::new(), None))
    }

    async fn search(&self, wanted: String) -> Result<SearchView, ApiError> {
        self.hear(wanted);
        Ok(SearchView { head: Height(2), indexed: Height(1), hits: Vec::new(), complete: true })
    }

    async fn statistics(&self, query: StatisticsQuery) -> Result<StatisticsView, ApiError> {
        self.hear(query);
        let totals = vec![NamedCount { name: "Invoice".into(), count: 1 }];
        Ok(StatisticsView { head: Height(2), indexed: Height(1), days: Vec::new(), totals, states: Vec::new() })
    }
}

fn asked(chain: &Plain) -> String {
    chain.lists.as_ref().unwrap().last()
}

#[tokio::test]
async fn filters_are_read_out_of_the_address() {
    let chain = Plain::new();
    let api = api(&chain);
    let alias = "5a".repeat(32);
    let path = format!(
        "/api/v1/documents?category=Invoice&state=Effective&issuer=works&schema=bill&party=subject:{alias}&number=HT-1\
         &from=5&to=9&disputed=true&after=aa&limit=7"
    );
    let answer = get(&api, &path).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    let shown = answer.json();
    assert_eq!((&shown["indexed"], &shown["next"], &shown["total"]), (&json!(1), &json!("aa"), &json!(1)));
    assert_eq!(shown["items"][0]["category"], "Invoice");
    let filter = DocumentFilter {
        category: Some(Category::Invoice),
        state: Some(VersionState::Effective),
        issuer: Some("works".into()),
        schema: Some("bill".into()),
        party: Some(Party::subject(alias.parse().unwrap())),
        number: Some("HT-1".into()),
        from: Some(TimestampMs(5)),
        to: Some(TimestampMs(9)),
        disputed: Some(true),
    };
    assert_eq!(asked(&chain), format!("{:?}", (filter, Some("aa"), 7)));
    get(&api, "/api/v1/documents?party=works&number=%20").await;
    let filter = DocumentFilter { party: Some(Party::member("works")), ..DocumentFilter::default() };
    assert_eq!(asked(&chain), format!("{:?}", (filter, None::<String>, 50)));

    get(&api, "/api/v1/transactions?contract=documents&method=submit&failed=false").await;
    assert!(asked(&chain).contains("submit") && asked(&chain).contains("failed: Some(false)"), "{}", asked(&chain));
    get(&api, "/api/v1/relationships?kind=Serves&state=Agreed&member=agency").await;
    assert!(asked(&chain).contains("Serves") && asked(&chain).contains("agency"), "{}", asked(&chain));
    get(&api, &format!("/api/v1/disputes?state=Open&document={KNOWN}")).await;
    assert!(asked(&chain).contains("Open"), "{}", asked(&chain));
    get(&api, &format!("/api/v1/documents/{KNOWN}/provenance?direction=up&depth=3")).await;
    assert_eq!(asked(&chain), "(Up, 3)");
    get(&api, "/api/v1/search?q=ab%20cd").await;
    assert_eq!(asked(&chain), "\"ab cd\"");
    get(&api, "/api/v1/statistics?measure=issuers&zone=8").await;
    assert!(asked(&chain).contains("Issuers") && asked(&chain).contains("Some(8)"), "{}", asked(&chain));
    for path in ["/api/v1/index/status", "/api/v1/operations", &format!("/api/v1/documents/{KNOWN}")] {
        assert_eq!(get(&api, path).await.status, 200, "{path}");
    }
    assert_eq!(get(&api, &format!("/api/v1/documents/{KNOWN}/grants")).await.json()["items"], json!([]));
}

#[tokio::test]
async fn what_is_no_filter_is_refused() {
    let api = api(&Plain::new());
    let unknown = "08".repeat(16);
    for (path, code) in [
        ("/api/v1/documents?category=Letter".to_owned(), "request.bad_parameter"),
        ("/api/v1/documents?limit=0".into(), "request.bad_parameter"),
        ("/api/v1/documents?limit=201".into(), "request.bad_parameter"),
        ("/api/v1/documents?party=subject:zz".into(), "request.bad_parameter"),
        ("/api/v1/documents?party=member:".into(), "request.bad_parameter"),
        ("/api/v1/documents?issuer=".into(), "request.bad_parameter"),
        (format!("/api/v1/documents?number={}", "x".repeat(129)), "request.bad_parameter"),
        (format!("/api/v1/documents?after={}", "a".repeat(65)), "request.bad_parameter"),
        ("/api/v1/documents?unknown=1".into(), "request.bad_parameter"),
        ("/api/v1/documents/zz".into(), "request.bad_parameter"),
        (format!("/api/v1/documents/{unknown}"), "vault.unknown_document"),
        (format!("/api/v1/documents/{KNOWN}/provenance?depth=7"), "request.bad_parameter"),
        (format!("/api/v1/documents/{KNOWN}/provenance?depth=0"), "request.bad_parameter"),
        (format!("/api/v1/documents/{KNOWN}/provenance?direction=left"), "request.bad_parameter"),
        ("/api/v1/transactions?method=submit".into(), "request.bad_parameter"),
        ("/api/v1/transactions?contract=No!".into(), "request.bad_parameter"),
        ("/api/v1/transactions?account=1".into(), "request.bad_parameter"),
        ("/api/v1/search".into(), "request.bad_parameter"),
        ("/api/v1/search?q=%20".into(), "request.bad_parameter"),
        ("/api/v1/statistics".into(), "request.bad_parameter"),
        ("/api/v1/statistics?measure=documents&zone=15".into(), "request.bad_parameter"),
    ] {
        assert_eq!(get(&api, &path).await.code(), code, "{path}");
    }
}

#[tokio::test]
async fn a_rebuild_needs_the_token_and_a_node_without_an_index_says_so() {
    let chain = Plain::new();
    let with_index = api(&chain);
    let path = "/api/v1/admin/index/rebuild";
    let bare = request("POST", path).body(axum::body::Body::empty()).expect("request");
    assert_eq!(send(&with_index, bare).await.code(), "auth.required");
    assert_eq!(asked(&chain), "");
    let with_token = request("POST", path).header("authorization", format!("Bearer {ADMIN}"));
    let answer = send(&with_index, with_token.body(axum::body::Body::empty()).expect("request")).await;
    assert_eq!((answer.status.as_u16(), asked(&chain).as_str()), (200, "\"rebuild\""));
    let without = api(&Plain::without_index());
    for path in ["/api/v1/documents", "/api/v1/index/status", "/api/v1/search?q=abcd", "/api/v1/transactions"] {
        assert_eq!(get(&without, path).await.code(), "index.off", "{path}");
    }
}
