//! Blocks.

use axum::{Json, extract::State};
use vouch_types::{
    Height,
    api::{BlockDetail, BlockSummary, Page, Problem, TransactionView},
};

use crate::{
    Api, ApiError,
    extract::{Paging, Path, Query, bad_parameter},
};

/// List blocks, newest first
#[utoipa::path(
    get, path = "/api/v1/blocks", tag = "blocks",
    params(
        ("before" = Option<Height>, Query, description = "Begin below this height"),
        ("limit" = Option<u32>, Query, description = "Items of the page, 50 if left out", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "A page; `next` is the next `before`", body = Page<BlockSummary>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<BlockSummary>>, ApiError> {
    Paging::refuse("after", paging.after.as_ref())?;
    let before = Paging::parsed("before", paging.before.as_ref(), "a height")?;
    let items = api.backend.blocks(before, paging.limit()?).await?;
    let lowest = items.last().map_or(Height::ZERO, |block| block.height);
    let next = (lowest > Height(1)).then(|| lowest.to_string());
    Ok(Json(Page { head: head(&api), items, next }))
}

/// One block
#[utoipa::path(
    get, path = "/api/v1/blocks/{height}", tag = "blocks",
    params(("height" = String, Path, description = "A height, or latest")),
    responses(
        (status = 200, description = "The block", body = BlockDetail),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(State(api): State<Api>, Path(height): Path<String>) -> Result<Json<BlockDetail>, ApiError> {
    Ok(Json(api.backend.block_detail(which(&api, &height)?).await?))
}

/// A block's transactions with their results
#[utoipa::path(
    get, path = "/api/v1/blocks/{height}/transactions", tag = "blocks",
    params(
        ("height" = String, Path, description = "A height, or latest"),
        ("after" = Option<u32>, Query, description = "Begin after this position"),
        ("limit" = Option<u32>, Query, description = "Items of the page, 50 if left out", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "A page; `next` is the next `after`", body = Page<TransactionView>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn transactions(
    State(api): State<Api>,
    Path(height): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<TransactionView>>, ApiError> {
    Paging::refuse("before", paging.before.as_ref())?;
    let after: Option<u32> = Paging::parsed("after", paging.after.as_ref(), "a position")?;
    let limit = usize::try_from(paging.limit()?).unwrap_or(usize::MAX);
    let block = api.backend.block(which(&api, &height)?).await?;
    let rest = block.transactions.iter().filter(|tx| after.is_none_or(|after| tx.index > after));
    let items: Vec<TransactionView> = rest.take(limit).cloned().collect();
    let last = items.last().map(|tx| tx.index);
    let next = last.filter(|last| block.transactions.last().is_some_and(|tx| tx.index > *last));
    Ok(Json(Page { head: head(&api), items, next: next.map(|next| next.to_string()) }))
}

fn which(api: &Api, height: &str) -> Result<Height, ApiError> {
    match height {
        "latest" => Ok(head(api)),
        text => text.parse().map_err(|_| bad_parameter("height", "a number, or latest")),
    }
}

/// Height of the last block.
pub(crate) fn head(api: &Api) -> Height {
    *api.backend.head().borrow()
}
