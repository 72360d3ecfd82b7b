//! What a node holds about a person, for the person and for the members that serve them.

use axum::{
    Json,
    extract::{Request, State},
};
use vouch_types::{
    SubjectId,
    api::{HeldView, Page, Problem},
};

use crate::{
    Api, ApiError,
    caller::authenticate_anyone,
    extract::{Paging, Path, Query},
    routes::{blocks::head, documents::NO_BODY},
};

/// Roles that may answer a person who has no key of their own.
const ROLES: &[&str] = &["approver", "auditor", "reader"];
/// Most documents at a time: each takes a look at all its versions.
const ITEMS_MAX: u32 = 50;

/// What this node holds about a person
///
/// Ascending by the number among the person's documents, without gaps; continue with `after`. Signed with the person's own
/// key, at any node, or by an account of a member that serves the person, at that member's node. No values: those are read
/// one document at a time, with a purpose.
#[utoipa::path(
    get, path = "/api/v1/persons/{subject}/held", tag = "documents",
    params(
        ("subject" = SubjectId, Path, description = "The person's alias"),
        ("after" = Option<u64>, Query, description = "Only documents with a higher number"),
        ("limit" = Option<u32>, Query, description = "At most so many", minimum = 1, maximum = 50),
    ),
    security(("account" = [])),
    responses(
        (status = 200, description = "The person's documents, with what lies here of each", body = Page<HeldView>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn held(
    State(api): State<Api>,
    Path(subject): Path<SubjectId>,
    Query(paging): Query<Paging>,
    request: Request,
) -> Result<Json<Page<HeldView>>, ApiError> {
    let (caller, _) = authenticate_anyone(&api, request, ROLES, NO_BODY).await?;
    let documents = api.documents()?;
    let is_allowed = match caller.person() {
        Some(person) => person == subject,
        None => documents.serves(subject).await?,
    };
    if !is_allowed {
        let detail = "only the person and the members that serve them may ask";
        return Err(ApiError::new("caller.forbidden", detail).at("subject"));
    }
    Paging::refuse("before", paging.before.as_ref())?;
    let limit = paging.limit()?.min(ITEMS_MAX);
    let after = Paging::parsed("after", paging.after.as_ref(), "the number of a document")?.unwrap_or(0);
    let items = documents.held(subject, after, limit).await?;
    let is_full = u32::try_from(items.len()).is_ok_and(|count| count >= limit);
    let next = items.last().filter(|_| is_full).map(|held| held.number.to_string());
    Ok(Json(Page { head: head(&api), items, next }))
}
