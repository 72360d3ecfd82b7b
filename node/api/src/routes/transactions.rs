//! Submitting transactions, following them, proving them.

use std::time::Duration;

use axum::{
    Json,
    extract::{Request, State},
    http::{Extensions, HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use vouch_types::{
    TxId, UnverifiedTransaction,
    api::{
        BATCH_BYTES_MAX, BATCH_ITEMS_MAX, Claim, HexBytes, Problem, ProofView, SubmitBatchAnswer, SubmitBatchRequest,
        SubmitItem, SubmitRequest, SubmitStatus, Submitted, TransactionStatus, WAIT_MS_MAX,
    },
    transaction::TRANSACTION_BYTES_MAX,
};

use crate::{
    Api, ApiError, clients,
    extract::{MediaType, Path, Query, bad_parameter, bytes_from_text, from_json, read_body},
};

/// Room for the JSON around a transaction in hexadecimal.
const JSON_FRAME_BYTES: usize = 1024;

/// Submit one transaction
///
/// Answers 202 when it is new and 200 when the node has it already: submitting again is safe and changes nothing. Being
/// taken is no promise; ask for its status.
#[utoipa::path(
    post, path = "/api/v1/transactions", tag = "transactions",
    request_body(content(
        (SubmitRequest = "application/json"),
        (String = "application/octet-stream"),
    )),
    responses(
        (status = 202, description = "New and taken", body = Submitted),
        (status = 200, description = "Taken before", body = Submitted),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn submit(State(api): State<Api>, request: Request) -> Result<Response, ApiError> {
    let extensions = request.extensions().clone();
    let media_type = MediaType::required(request.headers())?;
    let bytes_max = match media_type {
        MediaType::Octets => TRANSACTION_BYTES_MAX,
        MediaType::Json => 2 * TRANSACTION_BYTES_MAX + JSON_FRAME_BYTES,
    };
    let body = read_body(&api, request, bytes_max).await?;
    let raw = match media_type {
        MediaType::Octets => body.to_vec(),
        MediaType::Json => {
            let request: SubmitRequest = from_json(&body)?;
            bytes_from_text(&request.transaction, "transaction")?
        }
    };
    if raw.is_empty() {
        return Err(ApiError::new("request.empty", "the transaction has no bytes").at("body"));
    }
    may_submit(&api, &extensions, &raw)?;
    let result = api.backend.submit(vec![raw]).await.into_iter().next();
    let submitted = result.ok_or_else(|| ApiError::new("internal", "the node gave no result"))??;
    let status = match submitted.status {
        SubmitStatus::Accepted => StatusCode::ACCEPTED,
        SubmitStatus::Known => StatusCode::OK,
    };
    Ok((status, Json(submitted)).into_response())
}

/// Submit many transactions
///
/// As octets: each transaction after its length as four bytes, little-endian. One result per item, in order; one item
/// refused does not touch the others.
#[utoipa::path(
    post, path = "/api/v1/transactions/batch", tag = "transactions",
    request_body(content(
        (SubmitBatchRequest = "application/json"),
        (String = "application/octet-stream"),
    )),
    responses(
        (status = 200, description = "One result per item", body = SubmitBatchAnswer),
        (status = "default", description = "Refused as a whole", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn submit_batch(
    State(api): State<Api>,
    request: Request,
) -> Result<Json<SubmitBatchAnswer>, ApiError> {
    let media_type = MediaType::required(request.headers())?;
    let extensions = request.extensions().clone();
    let body = read_body(&api, request, BATCH_BYTES_MAX).await?;
    let transactions = match media_type {
        MediaType::Octets => frames(&body)?,
        MediaType::Json => {
            let request: SubmitBatchRequest = from_json(&body)?;
            let texts = request.transactions.iter().enumerate();
            texts.map(|(i, text)| bytes_from_text(text, &format!("transactions[{i}]"))).collect::<Result<_, _>>()?
        }
    };
    if transactions.is_empty() {
        return Err(ApiError::new("request.empty", "the batch has no transactions").at("body"));
    }
    if transactions.len() > BATCH_ITEMS_MAX {
        return Err(too_many_items(transactions.len()));
    }
    for (index, raw) in transactions.iter().enumerate() {
        may_submit(&api, &extensions, raw).map_err(|error| error.at(format!("transactions[{index}]")))?;
    }
    let expected = transactions.len();
    let results = api.backend.submit(transactions).await;
    if results.len() != expected {
        return Err(ApiError::new("internal", "the node gave another number of results"));
    }
    let results = results.into_iter().map(|result| match result {
        Ok(Submitted { id, status: SubmitStatus::Accepted }) => SubmitItem::Accepted { id },
        Ok(Submitted { id, status: SubmitStatus::Known }) => SubmitItem::Known { id },
        Err(error) => SubmitItem::Refused { problem: *error.problem },
    });
    Ok(Json(SubmitBatchAnswer { results: results.collect() }))
}

/// Refuses a transaction with a signer that the client's certificate is not let in for. What cannot be read is refused with
/// its own reason behind.
fn may_submit(api: &Api, extensions: &Extensions, raw: &[u8]) -> Result<(), ApiError> {
    if !clients::is_bound(extensions) {
        return Ok(());
    }
    let Ok(transaction) = UnverifiedTransaction::decode(raw.to_vec(), api.backend.chain()) else { return Ok(()) };
    clients::may_act(extensions, transaction.batch_items().iter().map(|item| item.key.account()))
}

fn too_many_items(actual: usize) -> ApiError {
    let detail = format!("a batch has at most {BATCH_ITEMS_MAX} transactions and this one has at least {actual}");
    ApiError::new("request.too_many_items", detail).at("body")
}

/// Splits length-prefixed frames.
fn frames(mut rest: &[u8]) -> Result<Vec<Vec<u8>>, ApiError> {
    let whole = rest.len();
    let mut out = Vec::new();
    while !rest.is_empty() {
        if out.len() == BATCH_ITEMS_MAX {
            return Err(too_many_items(out.len() + 1));
        }
        let offset = whole - rest.len();
        let frame = rest.split_first_chunk::<4>().and_then(|(length, tail)| {
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            tail.split_at_checked(length)
        });
        let Some((frame, tail)) = frame else {
            let detail = "a frame's length goes beyond the end of the body";
            return Err(ApiError::new("request.malformed", detail).at(format!("body offset {offset}")));
        };
        out.push(frame.to_vec());
        rest = tail;
    }
    Ok(out)
}

/// Parameters of [`show`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowQuery {
    #[serde(default)]
    wait_ms: u64,
}

/// What became of a transaction
///
/// With `wait_ms` the answer waits until the transaction is final or the time has passed.
#[utoipa::path(
    get, path = "/api/v1/transactions/{id}", tag = "transactions",
    params(
        ("id" = TxId, Path, description = "The transaction"),
        ("wait_ms" = Option<u64>, Query, description = "How long to wait for finality, at most 30000", maximum = 30000),
    ),
    responses(
        (status = 200, description = "Unknown, pending or final", body = TransactionStatus),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Path(id): Path<TxId>,
    Query(query): Query<ShowQuery>,
) -> Result<Json<TransactionStatus>, ApiError> {
    let status = match query.wait_ms {
        0 => api.backend.transaction(id).await?,
        wait_ms @ 1..=WAIT_MS_MAX => api.backend.wait_final(id, Duration::from_millis(wait_ms)).await?,
        _ => return Err(bad_parameter("wait_ms", &format!("0 to {WAIT_MS_MAX}"))),
    };
    Ok(Json(status))
}

/// Parameters of [`proof`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProofQuery {
    claim: Option<String>,
    index: Option<u32>,
    #[serde(default)]
    wait_ms: u64,
}

impl ProofQuery {
    fn claim(&self) -> Result<Claim, ApiError> {
        match (self.claim.as_deref().unwrap_or("receipt"), self.index) {
            ("transaction", None) => Ok(Claim::Transaction),
            ("receipt", None) => Ok(Claim::Receipt),
            ("event", Some(index)) => Ok(Claim::Event { index }),
            ("event", None) => Err(bad_parameter("index", "the event's position, from 0")),
            ("transaction" | "receipt", Some(_)) => Err(bad_parameter("index", "only with claim=event")),
            _ => Err(bad_parameter("claim", "transaction, receipt or event")),
        }
    }
}

/// A proof that anyone can check
///
/// As JSON, or with `Accept: application/octet-stream` as bare bytes. With `wait_ms` the answer waits until the transaction is final
/// or the time has passed.
#[utoipa::path(
    get, path = "/api/v1/transactions/{id}/proof", tag = "transactions",
    params(
        ("id" = TxId, Path, description = "The transaction"),
        ("claim" = Option<String>, Query, description = "transaction, receipt (if left out) or event"),
        ("index" = Option<u32>, Query, description = "With claim=event: its position, from 0"),
        ("wait_ms" = Option<u64>, Query, description = "How long to wait for finality, at most 30000", maximum = 30000),
    ),
    responses(
        (status = 200, description = "The proof", content(
            (ProofView = "application/json"),
            (String = "application/octet-stream"),
        )),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn proof(
    State(api): State<Api>,
    Path(id): Path<TxId>,
    Query(query): Query<ProofQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let claim = query.claim()?;
    let proof = match query.wait_ms {
        0 => api.backend.proof(id, claim).await?,
        wait_ms @ 1..=WAIT_MS_MAX => api.backend.proof_when_final(id, claim, Duration::from_millis(wait_ms)).await?,
        _ => return Err(bad_parameter("wait_ms", &format!("0 to {WAIT_MS_MAX}"))),
    };
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    if accept.trim().starts_with("application/octet-stream") {
        let media_type = HeaderValue::from_static("application/octet-stream");
        return Ok(([(header::CONTENT_TYPE, media_type)], proof).into_response());
    }
    Ok(Json(ProofView { id, claim, proof: HexBytes(proof) }).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_split_or_name_the_offset() {
        let good = [2, 0, 0, 0, 7, 8, 0, 0, 0, 0, 1, 0, 0, 0, 9];
        assert_eq!(frames(&good).expect("good"), vec![vec![7, 8], vec![], vec![9]]);
        assert_eq!(frames(&[]).expect("none"), Vec::<Vec<u8>>::new());
        for (bytes, offset) in [(&good[..14], 10), (&good[..8], 6), (&[255, 255, 255, 255, 1][..], 0)] {
            let error = frames(bytes).expect_err("truncated");
            assert_eq!(error.code(), "request.malformed");
            assert_eq!(error.problem.location.as_deref(), Some(format!("body offset {offset}").as_str()));
        }
        let many = vec![0; 4 * (BATCH_ITEMS_MAX + 1)];
        assert_eq!(frames(&many).expect_err("too many").code(), "request.too_many_items");
    }
}
