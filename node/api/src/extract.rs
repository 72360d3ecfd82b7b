//! Reading what callers send: paths, queries, bodies; every fault with its own code.

use std::time::Duration;

use axum::{
    RequestPartsExt as _,
    body::{Bytes, to_bytes},
    extract::{FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
};
use base64::Engine as _;
use serde::{Deserialize, de::DeserializeOwned};
use vouch_types::{
    ContractName,
    api::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX},
};

use crate::{
    ApiError, ApiState,
    origin::Origin,
    rooms::{Holder, Rooms, SMALL_BYTES, kept},
};

/// Path parameters; a fault is `request.bad_parameter`.
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send + 'static> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let axum::extract::Path(value) = parts.extract::<axum::extract::Path<T>>().await?;
        Ok(Self(value))
    }
}

/// Query parameters; a fault, also an unknown parameter of a strict type, is `request.bad_parameter`.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send + 'static> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let axum::extract::Query(value) = parts.extract::<axum::extract::Query<T>>().await?;
        Ok(Self(value))
    }
}

/// What a body says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaType {
    Json,
    Octets,
}

impl MediaType {
    /// From the header `Content-Type`; `None` when there is none.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(None) };
        let text = value.to_str().unwrap_or("");
        let essence = text.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" => Ok(Some(Self::Json)),
            "application/octet-stream" => Ok(Some(Self::Octets)),
            _ => Err(unsupported(&format!("the content type is {essence:?}"))),
        }
    }

    /// The same, but there must be one.
    pub(crate) fn required(headers: &HeaderMap) -> Result<Self, ApiError> {
        Self::of(headers)?.ok_or_else(|| unsupported("the header Content-Type is missing"))
    }
}

fn unsupported(what: &str) -> ApiError {
    ApiError::new(
        "request.unsupported_media_type",
        format!("{what}; send application/json or application/octet-stream"),
    )
    .at("Content-Type")
}

/// The whole body of a request that anybody may send, if it is at most `max` bytes. A large one has its room in memory for as
/// long as any of it is used.
pub(crate) async fn read_body(api: &ApiState, request: Request, max: usize) -> Result<Bytes, ApiError> {
    let holder = Holder::Address(Origin::of(&request).caller());
    read_body_of(api, &api.open_rooms, holder, request, max).await
}

/// The same with room of another kind, for somebody.
pub(crate) async fn read_body_of(
    api: &ApiState,
    rooms: &Rooms,
    holder: Holder,
    request: Request,
    max: usize,
) -> Result<Bytes, ApiError> {
    let too_large = |actual: Option<u64>| {
        let actual = actual.map_or_else(String::new, |bytes| format!(" and this one has {bytes}"));
        ApiError::new("request.too_large", format!("the body may have {max} bytes here{actual}")).at("body")
    };
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    // Without an announced length there must be room for the largest.
    let length = match announced.map(usize::try_from) {
        None => max,
        Some(Ok(bytes)) if bytes <= max => bytes,
        Some(_) => return Err(too_large(announced)),
    };
    let room = if length > SMALL_BYTES { Some(rooms.take(holder, length)?) } else { None };
    let limit_ms = api.limits.body_timeout_ms;
    let read = tokio::time::timeout(Duration::from_millis(limit_ms), to_bytes(request.into_body(), length)).await;
    let read = read.map_err(|_| {
        ApiError::new("request.timeout", format!("the body did not come within {limit_ms} ms")).at("body")
    })?;
    let bytes = read.map_err(|error| {
        let is_length =
            std::error::Error::source(&error).is_some_and(|source| source.to_string().contains("length limit"));
        if is_length { too_large(None) } else { ApiError::new("request.malformed", "the body broke off").at("body") }
    })?;
    Ok(match room {
        Some(room) => kept(bytes, room),
        None => bytes,
    })
}

/// A JSON body; the fault's place is named by line and column.
pub(crate) fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        let place = format!("body line {} column {}", error.line(), error.column());
        ApiError::new("request.malformed", error.to_string()).at(place)
    })
}

/// Bytes given as text: hexadecimal if it can be read so, else standard base64.
pub(crate) fn bytes_from_text(text: &str, place: &str) -> Result<Vec<u8>, ApiError> {
    let text = text.trim();
    hex::decode(text)
        .or_else(|_| base64::engine::general_purpose::STANDARD.decode(text))
        .map_err(|_| ApiError::new("request.malformed", "expected hexadecimal or standard base64").at(place))
}

/// A contract's name out of a path or query.
pub(crate) fn contract_name(text: String, place: &str) -> Result<ContractName, ApiError> {
    ContractName::new(text).map_err(|error| ApiError::new("request.bad_parameter", error.to_string()).at(place))
}

/// A parameter that is not of its form.
pub(crate) fn bad_parameter(name: &str, expected: &str) -> ApiError {
    ApiError::new("request.bad_parameter", format!("{name}: expected {expected}")).at(name)
}

/// Paging of a list; what `after` or `before` mean is the route's business.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
    limit: Option<u32>,
}

impl Paging {
    pub(crate) fn limit(&self) -> Result<u32, ApiError> {
        match self.limit {
            None => Ok(PAGE_ITEMS_DEFAULT),
            Some(limit @ 1..=PAGE_ITEMS_MAX) => Ok(limit),
            Some(_) => Err(bad_parameter("limit", &format!("1 to {PAGE_ITEMS_MAX}"))),
        }
    }

    /// A parameter of this name, read.
    pub(crate) fn parsed<T: std::str::FromStr>(
        name: &str,
        text: Option<&String>,
        expected: &str,
    ) -> Result<Option<T>, ApiError> {
        text.map(|text| text.parse().map_err(|_| bad_parameter(name, expected))).transpose()
    }

    /// Refuses a parameter the route has no meaning for.
    pub(crate) fn refuse(name: &str, value: Option<&String>) -> Result<(), ApiError> {
        match value {
            None => Ok(()),
            Some(_) => Err(bad_parameter(name, "no such parameter on this route")),
        }
    }
}
