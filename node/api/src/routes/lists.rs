//! Lists over the index. All of it stands on the chain, so reading needs no credentials; only a rebuild does.

use axum::{Json, extract::State, http::HeaderMap};
use serde::Deserialize;
use vouch_types::{
    AccountId, ContractName, TimestampMs,
    api::{
        Direction, DisputeFilter, DocumentDetail, DocumentFilter, DocumentItem, INDEX_ITEMS_MAX, IndexPage,
        IndexStatusView, Measure, OperationsView, PAGE_ITEMS_DEFAULT, PROVENANCE_DEPTH_MAX, Problem, ProvenanceView,
        RelationshipFilter, SEARCH_BYTES_MAX, SearchView, StatisticsQuery, StatisticsView, TransactionFilter,
        TransactionItem,
    },
    document::{Category, Dispute, DisputeState, DocumentId, Grant, Party, VersionState},
    relation::{RelationKind, RelationState, Relationship},
};

use crate::{
    Api, ApiError, admin,
    extract::{Path, Query, bad_parameter},
    lists::Lists,
};

/// Longest name that is looked for, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Longest cursor, in bytes.
const CURSOR_BYTES_MAX: usize = 64;
/// Farthest zone from UTC, in hours.
const ZONES: std::ops::RangeInclusive<i32> = -12..=14;

fn lists(api: &Api) -> Result<&dyn Lists, ApiError> {
    api.backend.lists().ok_or_else(|| ApiError::new("index.off", "this node keeps no index"))
}

/// Where a page begins, and how long it is.
struct Place {
    after: Option<String>,
    limit: u32,
}

impl Place {
    fn new(after: Option<String>, limit: Option<u32>) -> Result<Self, ApiError> {
        let limit = match limit {
            None => PAGE_ITEMS_DEFAULT,
            Some(limit) if (1..=INDEX_ITEMS_MAX).contains(&limit) => limit,
            Some(_) => return Err(bad_parameter("limit", &format!("1 to {INDEX_ITEMS_MAX}"))),
        };
        if after.as_ref().is_some_and(|after| after.len() > CURSOR_BYTES_MAX) {
            return Err(bad_parameter("after", "the `next` of a page of this list"));
        }
        Ok(Self { after, limit })
    }
}

fn named(field: &str, name: Option<String>) -> Result<Option<String>, ApiError> {
    match name {
        Some(name) if name.is_empty() || name.len() > NAME_BYTES_MAX => Err(bad_parameter(field, "a name")),
        name => Ok(name),
    }
}

/// `subject:` and 64 digits for a person, else `member:` and a name, or the name alone.
fn party(text: Option<String>) -> Result<Option<Party>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || bad_parameter("party", "member:NAME or subject:ALIAS");
    if let Some(alias) = text.strip_prefix("subject:") {
        return alias.parse().map(|alias| Some(Party::subject(alias))).map_err(|_| wrong());
    }
    let name = text.strip_prefix("member:").unwrap_or(&text);
    if name.is_empty() || name.len() > NAME_BYTES_MAX { Err(wrong()) } else { Ok(Some(Party::member(name))) }
}

/// Parameters of [`documents`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DocumentsQuery {
    category: Option<Category>,
    state: Option<VersionState>,
    issuer: Option<String>,
    schema: Option<String>,
    party: Option<String>,
    number: Option<String>,
    from: Option<TimestampMs>,
    to: Option<TimestampMs>,
    disputed: Option<bool>,
    after: Option<String>,
    limit: Option<u32>,
}

/// List documents, newest first
///
/// From the node's index. A page may have fewer items than asked for, even none, and still a `next`: the search goes on
/// there.
#[utoipa::path(
    get, path = "/api/v1/documents", tag = "index",
    params(
        ("category" = Option<Category>, Query, description = "Of this category"),
        ("state" = Option<VersionState>, Query, description = "Whose standing version, else newest, is in this state"),
        ("issuer" = Option<String>, Query, description = "Issued by this member"),
        ("schema" = Option<String>, Query, description = "Of this schema"),
        ("party" = Option<String>, Query, description = "Naming `member:NAME` or `subject:ALIAS` in any version"),
        ("number" = Option<String>, Query, description = "With a public text that begins so"),
        ("from" = Option<TimestampMs>, Query, description = "Created at or after this time"),
        ("to" = Option<TimestampMs>, Query, description = "Created before this time"),
        ("disputed" = Option<bool>, Query, description = "Under dispute now, or not"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<u32>, Query, description = "Items of the page, 50 if left out", minimum = 1, maximum = 200),
    ),
    responses(
        (status = 200, description = "A page", body = IndexPage<DocumentItem>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn documents(
    State(api): State<Api>,
    Query(query): Query<DocumentsQuery>,
) -> Result<Json<IndexPage<DocumentItem>>, ApiError> {
    let place = Place::new(query.after, query.limit)?;
    let number = query.number.filter(|number| !number.trim().is_empty());
    if number.as_ref().is_some_and(|number| number.len() > SEARCH_BYTES_MAX) {
        return Err(bad_parameter("number", &format!("at most {SEARCH_BYTES_MAX} bytes")));
    }
    let filter = DocumentFilter {
        category: query.category,
        state: query.state,
        issuer: named("issuer", query.issuer)?,
        schema: named("schema", query.schema)?,
        party: party(query.party)?,
        number,
        from: query.from,
        to: query.to,
        disputed: query.disputed,
    };
    Ok(Json(lists(&api)?.documents(filter, place.after, place.limit).await?))
}

/// One document, as the index knows it
///
/// With the keys of the contract's state under which its records stand, so that they can be asked for with proofs.
#[utoipa::path(
    get, path = "/api/v1/documents/{document}", tag = "index",
    params(("document" = DocumentId, Path, description = "The document")),
    responses(
        (status = 200, description = "The document", body = DocumentDetail),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn document(
    State(api): State<Api>,
    Path(id): Path<DocumentId>,
) -> Result<Json<DocumentDetail>, ApiError> {
    Ok(Json(lists(&api)?.document(id).await?))
}

/// Parameters of lists without a filter.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlaceQuery {
    after: Option<String>,
    limit: Option<u32>,
}

/// A document's grants, newest first, ended ones too
#[utoipa::path(
    get, path = "/api/v1/documents/{document}/grants", tag = "index",
    params(
        ("document" = DocumentId, Path, description = "The document"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<u32>, Query, description = "Items of the page, 50 if left out", minimum = 1, maximum = 200),
    ),
    responses(
        (status = 200, description = "A page", body = IndexPage<Grant>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn grants(
    State(api): State<Api>,
    Path(id): Path<DocumentId>,
    Query(query): Query<PlaceQuery>,
) -> Result<Json<IndexPage<Grant>>, ApiError> {
    let place = Place::new(query.after, query.limit)?;
    Ok(Json(lists(&api)?.grants(id, place.after, place.limit).await?))
}

/// Parameters of [`provenance`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProvenanceQuery {
    direction: Option<Direction>,
    depth: Option<u32>,
}

/// What a document stands on, and what stands on it
///
/// At most 200 documents and 24 neighbours of each; what is left out is counted. Each step stands in the version that
/// names the other, which can be asked for with a proof.
#[utoipa::path(
    get, path = "/api/v1/documents/{document}/provenance", tag = "index",
    params(
        ("document" = DocumentId, Path, description = "The document"),
        ("direction" = Option<Direction>, Query, description = "Which way, both if left out"),
        ("depth" = Option<u32>, Query, description = "Steps away, 2 if left out", minimum = 1, maximum = 6),
    ),
    responses(
        (status = 200, description = "The chain of evidence", body = ProvenanceView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn provenance(
    State(api): State<Api>,
    Path(id): Path<DocumentId>,
    Query(query): Query<ProvenanceQuery>,
) -> Result<Json<ProvenanceView>, ApiError> {
    let depth = query.depth.unwrap_or(2);
    if !(1..=PROVENANCE_DEPTH_MAX).contains(&depth) {
        return Err(bad_parameter("depth", &format!("1 to {PROVENANCE_DEPTH_MAX}")));
    }
    Ok(Json(lists(&api)?.provenance(id, query.direction.unwrap_or_default(), depth).await?))
}

/// Parameters of [`transactions`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TransactionsQuery {
    account: Option<AccountId>,
    contract: Option<String>,
    method: Option<String>,
    failed: Option<bool>,
    from: Option<TimestampMs>,
    to: Option<TimestampMs>,
    after: Option<String>,
    limit: Option<u32>,
}

/// List transactions, newest first
///
/// From the node's index; paging as with documents.
#[utoipa::path(
    get, path = "/api/v1/transactions", tag = "index",
    params(
        ("account" = Option<AccountId>, Query, description = "Signed first by this account"),
        ("contract" = Option<ContractName>, Query, description = "With a call of this contract"),
        ("method" = Option<String>, Query, description = "With a call of this method of that contract"),
        ("failed" = Option<bool>, Query, description = "That failed, or did not"),
        ("from" = Option<TimestampMs>, Query, description = "In blocks at or after this time"),
        ("to" = Option<TimestampMs>, Query, description = "In blocks before this time"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<u32>, Query, description = "Items of the page, 50 if left out", minimum = 1, maximum = 200),
    ),
    responses(
        (status = 200, description = "A page", body = IndexPage<TransactionItem>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn transactions(
    State(api): State<Api>,
    Query(query): Query<TransactionsQuery>,
) -> Result<Json<IndexPage<TransactionItem>>, ApiError> {
    let place = Place::new(query.after, query.limit)?;
    let contract = query.contract.map(|name| crate::extract::contract_name(name, "contract")).transpose()?;
    if query.method.is_some() && contract.is_none() {
        return Err(bad_parameter("method", "the contract as well"));
    }
    let filter = TransactionFilter {
        account: query.account,
        contract,
        method: named("method", query.method)?,
        failed: query.failed,
        from: query.from,
        to: query.to,
    };
    Ok(Json(lists(&api)?.transactions(filter, place.after, place.limit).await?))
}

/// Parameters of [`relationships`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RelationshipsQuery {
    kind: Option<RelationKind>,
    state: Option<RelationState>,
    member: Option<String>,
    party: Option<String>,
    after: Option<String>,
    limit: Option<u32>,
}

/// List relationships, newest first
#[utoipa::path(
    get, path = "/api/v1/relationships", tag = "index",
    params(
        ("kind" = Option<RelationKind>, Query, description = "Of this kind"),
        ("state" = Option<RelationState>, Query, description = "In this state"),
        ("member" = Option<String>, Query, description = "Of the member that serves, received or watches"),
        ("party" = Option<String>, Query, description = "Concerning `member:NAME` or `subject:ALIAS`"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<u32>, Query, description = "Items of the page, 50 if left out", minimum = 1, maximum = 200),
    ),
    responses(
        (status = 200, description = "A page", body = IndexPage<Relationship>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn relationships(
    State(api): State<Api>,
    Query(query): Query<RelationshipsQuery>,
) -> Result<Json<IndexPage<Relationship>>, ApiError> {
    let place = Place::new(query.after, query.limit)?;
    let (kind, state) = (query.kind, query.state);
    let filter = RelationshipFilter { kind, state, member: named("member", query.member)?, party: party(query.party)? };
    Ok(Json(lists(&api)?.relationships(filter, place.after, place.limit).await?))
}

/// Parameters of [`disputes`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DisputesQuery {
    state: Option<DisputeState>,
    arbiter: Option<String>,
    document: Option<DocumentId>,
    after: Option<String>,
    limit: Option<u32>,
}

/// List disputes, newest first
#[utoipa::path(
    get, path = "/api/v1/disputes", tag = "index",
    params(
        ("state" = Option<DisputeState>, Query, description = "In this state"),
        ("arbiter" = Option<String>, Query, description = "Decided by this member"),
        ("document" = Option<DocumentId>, Query, description = "About this document"),
        ("after" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<u32>, Query, description = "Items of the page, 50 if left out", minimum = 1, maximum = 200),
    ),
    responses(
        (status = 200, description = "A page", body = IndexPage<Dispute>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn disputes(
    State(api): State<Api>,
    Query(query): Query<DisputesQuery>,
) -> Result<Json<IndexPage<Dispute>>, ApiError> {
    let place = Place::new(query.after, query.limit)?;
    let (state, document) = (query.state, query.document);
    let filter = DisputeFilter { state, arbiter: named("arbiter", query.arbiter)?, document };
    Ok(Json(lists(&api)?.disputes(filter, place.after, place.limit).await?))
}

/// Parameters of [`search`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchQuery {
    q: String,
}

/// Search the index
///
/// Blocks by height or by the beginning of their hash, transactions and documents by that of their id (from four digits
/// on), documents by number and by the beginning of a public text.
#[utoipa::path(
    get, path = "/api/v1/search", tag = "index",
    params(("q" = String, Query, description = "What is looked for", max_length = 128)),
    responses(
        (status = 200, description = "What was found, at most ten of a kind", body = SearchView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn search(
    State(api): State<Api>,
    Query(query): Query<SearchQuery>,
) -> Result<Json<SearchView>, ApiError> {
    if query.q.trim().is_empty() || query.q.len() > SEARCH_BYTES_MAX {
        return Err(bad_parameter("q", &format!("1 to {SEARCH_BYTES_MAX} bytes")));
    }
    Ok(Json(lists(&api)?.search(query.q).await?))
}

/// Counts by day, and of all time
///
/// Kept while blocks come, so that an answer costs the same however many documents there are.
#[utoipa::path(
    get, path = "/api/v1/statistics", tag = "index",
    params(
        ("measure" = Measure, Query, description = "What is counted"),
        ("from" = Option<TimestampMs>, Query, description = "A time in the first day; 30 days if left out, at most 400"),
        ("to" = Option<TimestampMs>, Query, description = "A time in the last day; that of the newest block if left out"),
        ("zone" = Option<i32>, Query, description = "Hours by which days begin before those of UTC", minimum = -12, maximum = 14),
    ),
    responses(
        (status = 200, description = "The counts", body = StatisticsView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn statistics(
    State(api): State<Api>,
    Query(query): Query<StatisticsQuery>,
) -> Result<Json<StatisticsView>, ApiError> {
    if query.zone.is_some_and(|zone| !ZONES.contains(&zone)) {
        return Err(bad_parameter("zone", "-12 to 14"));
    }
    Ok(Json(lists(&api)?.statistics(query).await?))
}

/// How the index is
#[utoipa::path(
    get, path = "/api/v1/index/status", tag = "index",
    responses(
        (status = 200, description = "Its height, lag and counts", body = IndexStatusView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn status(State(api): State<Api>) -> Result<Json<IndexStatusView>, ApiError> {
    Ok(Json(lists(&api)?.status().await?))
}

/// Make the index anew
///
/// Needs the node's admin token. The one that is there serves until the new one is at the head.
#[utoipa::path(
    post, path = "/api/v1/admin/index/rebuild", tag = "index",
    security(("admin" = [])),
    responses(
        (status = 200, description = "It has begun", body = IndexStatusView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn rebuild(State(api): State<Api>, headers: HeaderMap) -> Result<Json<IndexStatusView>, ApiError> {
    admin::require(api.admin_token.as_ref(), &headers)?;
    let lists = lists(&api)?;
    lists.rebuild().await?;
    Ok(Json(lists.status().await?))
}

/// How the node's process and its machine do
#[utoipa::path(
    get, path = "/api/v1/operations", tag = "node",
    responses(
        (status = 200, description = "Samples of the last hour", body = OperationsView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn operations(State(api): State<Api>) -> Result<Json<OperationsView>, ApiError> {
    Ok(Json(api.backend.operations().await?))
}
