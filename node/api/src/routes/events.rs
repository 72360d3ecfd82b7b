//! The event stream.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{Extensions, HeaderMap},
    response::{IntoResponse, Response, Sse, sse::KeepAlive},
};
use futures::StreamExt as _;
use serde::Deserialize;
use vouch_types::{
    TxId,
    api::{Cursor, FeedItem, Problem},
    transaction::METHOD_BYTES_MAX,
};

use super::blocks::head;
use crate::{
    Api, ApiError,
    extract::{Query, bad_parameter, contract_name},
    feed::{self, Filter},
};

/// Parameters of [`follow`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsQuery {
    after: Option<String>,
    contract: Option<String>,
    name: Option<String>,
    tx: Option<TxId>,
}

impl EventsQuery {
    /// `Last-Event-ID` is what a browser sends by itself when it connects again, so it is newer than the address.
    fn cursor(&self, headers: &HeaderMap) -> Result<Option<Cursor>, ApiError> {
        let (text, place) = match headers.get("last-event-id") {
            Some(value) => (Some(value.to_str().unwrap_or("?")), "Last-Event-ID"),
            None => (self.after.as_deref(), "after"),
        };
        let parsed = text.map(str::parse).transpose();
        parsed.map_err(|error| ApiError::new("events.bad_cursor", format!("{error}")).at(place))
    }

    fn filter(self) -> Result<Filter, ApiError> {
        if self.name.as_ref().is_some_and(|name| name.is_empty() || name.len() > METHOD_BYTES_MAX) {
            return Err(bad_parameter("name", &format!("1 to {METHOD_BYTES_MAX} bytes")));
        }
        let contract = self.contract.map(|name| contract_name(name, "contract")).transpose()?;
        Ok(Filter { contract, name: self.name, tx: self.tx })
    }
}

/// Follow final blocks, transactions and events
///
/// Server-sent events `block`, `transaction` and `event`, each with its cursor as `id`. Begins after the head, or after the
/// cursor in `Last-Event-ID` or `after`; `after=0-0` begins at the first block. With a filter only what fits is sent, and
/// now and then an id without data. The server ends a stream with one `end` (see `FeedEnd`).
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events",
    params(
        ("after" = Option<Cursor>, Query, description = "Begin after this item"),
        ("contract" = Option<String>, Query, description = "Only calls of and events by this contract"),
        ("name" = Option<String>, Query, description = "Only events of this name"),
        ("tx" = Option<TxId>, Query, description = "Only this transaction and its events"),
        ("Last-Event-ID" = Option<Cursor>, Header, description = "Begin after this item"),
    ),
    responses(
        (status = 200, description = "The stream; each data is one of these", body = FeedItem, content_type = "text/event-stream"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn follow(
    State(api): State<Api>,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<Response, ApiError> {
    let after = match query.cursor(&headers)? {
        Some(cursor) => cursor,
        None => Cursor { height: head(&api), index: u32::MAX },
    };
    let filter = query.filter()?;
    let permit = Arc::clone(&api.event_streams).try_acquire_owned().map_err(|_| {
        let detail = format!("{} event streams are open", api.limits.event_streams_max);
        ApiError::new("events.too_many", detail).retry_after(5)
    })?;
    let keep_alive = KeepAlive::new().interval(Duration::from_millis(api.limits.event_keep_alive_ms));
    let messages = feed::open(api, filter, after, extensions.get().cloned(), permit).map(Ok::<_, Infallible>);
    Ok(Sse::new(messages).keep_alive(keep_alive).into_response())
}
