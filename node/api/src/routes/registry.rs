//! Validators, members, evidence.

use axum::{Json, extract::State};
use serde::Deserialize;
use vouch_types::{
    Height,
    api::{Cursor, EvidenceView, MemberView, Page, Problem, ValidatorsView},
};

use super::blocks::head;
use crate::{
    Api, ApiError,
    extract::{Paging, Query},
};

/// Parameters of [`validators`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ValidatorsQuery {
    height: Option<Height>,
}

/// The validators of a height
#[utoipa::path(
    get, path = "/api/v1/validators", tag = "registry",
    params(("height" = Option<Height>, Query, description = "The height they vote at; the next one if left out")),
    responses(
        (status = 200, description = "The set", body = ValidatorsView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn validators(
    State(api): State<Api>,
    Query(query): Query<ValidatorsQuery>,
) -> Result<Json<ValidatorsView>, ApiError> {
    Ok(Json(api.backend.validators(query.height).await?))
}

/// The members of the consortium
#[utoipa::path(
    get, path = "/api/v1/members", tag = "registry",
    responses(
        (status = 200, description = "All of them", body = Page<MemberView>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn members(State(api): State<Api>) -> Result<Json<Page<MemberView>>, ApiError> {
    Ok(Json(Page { head: head(&api), items: api.backend.members().await?, next: None }))
}

/// Misbehaviour of validators that was seen
#[utoipa::path(
    get, path = "/api/v1/evidence", tag = "registry",
    params(
        ("after" = Option<String>, Query, description = "Begin after this place, HEIGHT-SEQUENCE"),
        ("limit" = Option<u32>, Query, description = "Items of the page, 50 if left out", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "A page; `next` is the next `after`", body = Page<EvidenceView>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn evidence(
    State(api): State<Api>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<EvidenceView>>, ApiError> {
    Paging::refuse("before", paging.before.as_ref())?;
    let limit = paging.limit()?;
    let after = Paging::parsed("after", paging.after.as_ref(), "HEIGHT-SEQUENCE")?;
    let mut items = api.backend.evidence(after, limit.saturating_add(1)).await?;
    let has_more = items.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let last = items.last().filter(|_| has_more);
    let next = last.map(|last| Cursor { height: last.height, index: last.sequence }.to_string());
    Ok(Json(Page { head: head(&api), items, next }))
}
