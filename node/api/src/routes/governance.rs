//! What the members decide, and the records each member keeps: proposals, users, certificates, packages.

use axum::{Json, extract::State};
use serde::Deserialize;
use vouch_types::api::{
    AccountView, CertificateView, DryRunView, PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX, PackageView, Page, Problem,
    ProposalSummary, ProposalView,
};

use super::blocks::head;
use crate::{
    Api, ApiError,
    extract::{Paging, Path, Query, bad_parameter},
};

/// Longest name of a member that is looked for, in bytes.
const MEMBER_BYTES_MAX: usize = 64;

/// Parameters of lists by member.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberPaging {
    member: Option<String>,
    after: Option<String>,
    limit: Option<u32>,
}

impl MemberPaging {
    fn limit(&self) -> Result<u32, ApiError> {
        match self.limit {
            None => Ok(PAGE_ITEMS_DEFAULT),
            Some(limit @ 1..=PAGE_ITEMS_MAX) => Ok(limit),
            Some(_) => Err(bad_parameter("limit", &format!("1 to {PAGE_ITEMS_MAX}"))),
        }
    }

    fn member(&self) -> Result<Option<String>, ApiError> {
        match &self.member {
            Some(name) if name.is_empty() || name.len() > MEMBER_BYTES_MAX => {
                Err(bad_parameter("member", "a member's name"))
            }
            name => Ok(name.clone()),
        }
    }
}

/// A page out of one item more than it may have.
fn page<T>(api: &Api, mut items: Vec<T>, limit: u32, place: impl Fn(&T) -> String) -> Page<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| has_more).map(place);
    Page { head: head(api), items, next }
}

fn number(id: &str) -> Result<u64, ApiError> {
    id.parse().map_err(|_| bad_parameter("id", "the number of a proposal"))
}

/// List proposals, newest first
#[utoipa::path(
    get, path = "/api/v1/proposals", tag = "governance",
    params(
        ("before" = Option<String>, Query, description = "Begin below this number"),
        ("limit" = Option<u32>, Query, description = "Items of the page, 50 if left out", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "A page; `next` is the next `before`", body = Page<ProposalSummary>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn proposals(
    State(api): State<Api>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<ProposalSummary>>, ApiError> {
    Paging::refuse("after", paging.after.as_ref())?;
    let limit = paging.limit()?;
    let before = Paging::parsed("before", paging.before.as_ref(), "the number of a proposal")?;
    let items = api.backend.proposals(before, limit.saturating_add(1)).await?;
    Ok(Json(page(&api, items, limit, |last| last.id.to_string())))
}

/// One proposal with its actions and ballots
#[utoipa::path(
    get, path = "/api/v1/proposals/{id}", tag = "governance",
    params(("id" = u64, Path, description = "Its number")),
    responses(
        (status = 200, description = "The proposal", body = ProposalView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn proposal(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<ProposalView>, ApiError> {
    Ok(Json(api.backend.proposal(number(&id)?).await?))
}

/// What a proposal would do now
///
/// Runs its actions on the state of the head, on this node only, and keeps nothing.
#[utoipa::path(
    post, path = "/api/v1/proposals/{id}/dry-run", tag = "governance",
    params(("id" = u64, Path, description = "Its number")),
    responses(
        (status = 200, description = "What each action would do", body = DryRunView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn dry_run(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<DryRunView>, ApiError> {
    Ok(Json(api.backend.dry_run(number(&id)?).await?))
}

/// List users and services, by account
#[utoipa::path(
    get, path = "/api/v1/accounts", tag = "registry",
    params(
        ("member" = Option<String>, Query, description = "Of this member only"),
        ("after" = Option<String>, Query, description = "Begin after this account"),
        ("limit" = Option<u32>, Query, description = "Items of the page, 50 if left out", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "A page; `next` is the next `after`", body = Page<AccountView>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn accounts(
    State(api): State<Api>,
    Query(paging): Query<MemberPaging>,
) -> Result<Json<Page<AccountView>>, ApiError> {
    let limit = paging.limit()?;
    let after = Paging::parsed("after", paging.after.as_ref(), "an account")?;
    let items = api.backend.accounts(paging.member()?, after, limit.saturating_add(1)).await?;
    Ok(Json(page(&api, items, limit, |last| last.account.to_string())))
}

/// List certificates, by fingerprint
#[utoipa::path(
    get, path = "/api/v1/certificates", tag = "registry",
    params(
        ("member" = Option<String>, Query, description = "Of this member only"),
        ("after" = Option<String>, Query, description = "Begin after this fingerprint"),
        ("limit" = Option<u32>, Query, description = "Items of the page, 50 if left out", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "A page; `next` is the next `after`", body = Page<CertificateView>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn certificates(
    State(api): State<Api>,
    Query(paging): Query<MemberPaging>,
) -> Result<Json<Page<CertificateView>>, ApiError> {
    let limit = paging.limit()?;
    let after = Paging::parsed("after", paging.after.as_ref(), "a fingerprint")?;
    let items = api.backend.certificates(paging.member()?, after, limit.saturating_add(1)).await?;
    Ok(Json(page(&api, items, limit, |last| last.fingerprint.to_string())))
}

/// Code in the state that a proposal can put under a name
#[utoipa::path(
    get, path = "/api/v1/packages", tag = "contracts",
    responses(
        (status = 200, description = "All of it", body = Page<PackageView>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn packages(State(api): State<Api>) -> Result<Json<Page<PackageView>>, ApiError> {
    Ok(Json(Page { head: head(&api), items: api.backend.packages().await?, next: None }))
}
