//! Contracts: what there is, what they answer, what they keep.

use axum::{
    Json,
    extract::{Request, State},
};
use serde::Deserialize;
use vouch_types::{
    api::{ContractSummary, ContractView, HexBytes, Page, Problem, QueryBody, QueryRequest, QueryView, StateView},
    transaction::METHOD_BYTES_MAX,
};

use super::blocks::head;
use crate::{
    Api, ApiError,
    extract::{MediaType, Paging, Path, Query, bad_parameter, contract_name, from_json, read_body},
};

/// Most bytes of a query's body.
const QUERY_BYTES_MAX: usize = 1 << 20;
/// Longest state key that can be asked for, in bytes.
const KEY_BYTES_MAX: usize = 1024;

/// List contracts by name
#[utoipa::path(
    get, path = "/api/v1/contracts", tag = "contracts",
    params(
        ("after" = Option<String>, Query, description = "Begin after this name"),
        ("limit" = Option<u32>, Query, description = "Items of the page, 50 if left out", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "A page; `next` is the next `after`", body = Page<ContractSummary>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<ContractSummary>>, ApiError> {
    Paging::refuse("before", paging.before.as_ref())?;
    let limit = paging.limit()?;
    let after = paging.after.map(|after| contract_name(after, "after")).transpose()?;
    let mut items = api.backend.contracts(after, limit.saturating_add(1)).await?;
    let has_more = items.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = items.last().filter(|_| has_more).map(|last| last.name.to_string());
    Ok(Json(Page { head: head(&api), items, next }))
}

/// One contract with its description
#[utoipa::path(
    get, path = "/api/v1/contracts/{name}", tag = "contracts",
    params(("name" = String, Path, description = "The contract")),
    responses(
        (status = 200, description = "The contract", body = ContractView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(State(api): State<Api>, Path(name): Path<String>) -> Result<Json<ContractView>, ApiError> {
    Ok(Json(api.backend.contract(contract_name(name, "name")?).await?))
}

/// Ask a contract
///
/// Runs a method on this node only, without any change. The body may be left out for a method without arguments; as octets
/// it is the encoded arguments.
#[utoipa::path(
    post, path = "/api/v1/contracts/{name}/query/{method}", tag = "contracts",
    params(
        ("name" = String, Path, description = "The contract"),
        ("method" = String, Path, description = "One of its queries"),
    ),
    request_body(content(
        (QueryBody = "application/json"),
        (String = "application/octet-stream"),
    )),
    responses(
        (status = 200, description = "The answer", body = QueryView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn query(
    State(api): State<Api>,
    Path((name, method)): Path<(String, String)>,
    request: Request,
) -> Result<Json<QueryView>, ApiError> {
    let contract = contract_name(name, "name")?;
    if method.len() > METHOD_BYTES_MAX {
        return Err(bad_parameter("method", &format!("1 to {METHOD_BYTES_MAX} bytes")));
    }
    let media_type = MediaType::of(request.headers())?;
    let bytes = read_body(&api, request, QUERY_BYTES_MAX).await?;
    let body = match media_type {
        None | Some(MediaType::Json) if bytes.is_empty() => QueryBody::default(),
        None => return Err(no_media_type()),
        Some(MediaType::Json) => from_json(&bytes)?,
        Some(MediaType::Octets) => QueryBody { encoded: Some(HexBytes(bytes.to_vec())), ..QueryBody::default() },
    };
    if body.encoded.is_some() && !body.arguments.is_null() {
        return Err(ApiError::new("request.malformed", "give arguments or encoded, not both").at("encoded"));
    }
    Ok(Json(api.backend.query(QueryRequest { contract, method, body }).await?))
}

fn no_media_type() -> ApiError {
    ApiError::new("request.unsupported_media_type", "the header Content-Type is missing").at("Content-Type")
}

/// Parameters of [`state`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateQuery {
    #[serde(default)]
    proof: bool,
}

/// One value of a contract's state
#[utoipa::path(
    get, path = "/api/v1/contracts/{name}/state/{key}", tag = "contracts",
    params(
        ("name" = String, Path, description = "The contract"),
        ("key" = HexBytes, Path, description = "The key within the contract's space"),
        ("proof" = Option<bool>, Query, description = "Whether to prove the value"),
    ),
    responses(
        (status = 200, description = "The value, or that there is none", body = StateView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn state(
    State(api): State<Api>,
    Path((name, key)): Path<(String, String)>,
    Query(query): Query<StateQuery>,
) -> Result<Json<StateView>, ApiError> {
    let contract = contract_name(name, "name")?;
    let key: HexBytes = key.parse().map_err(|_| bad_parameter("key", "hexadecimal digits"))?;
    if key.0.len() > KEY_BYTES_MAX {
        return Err(bad_parameter("key", &format!("at most {KEY_BYTES_MAX} bytes")));
    }
    Ok(Json(api.backend.state(contract, key.0, query.proof).await?))
}
