//! How far the erasure of a document is, member by member. All of it stands on the chain, so reading needs no credentials.

use axum::{Json, extract::State};
use vouch_types::{
    ContractName, Height,
    api::{ErasureProgressView, HexBytes, Problem, QueryBody, QueryRequest},
    codec::CodecError,
    decode,
    document::{Audience, CONTRACT, Document, DocumentId, Erasure, Hold, RECORD_BYTES_MAX, erasure_by_member, method},
    encode,
};

use crate::{Api, ApiError, extract::Path};

/// The contract's queries for an erasure and for legal holds.
const ERASURE: &str = "erasure";
const HOLDS: &str = "holds";
/// Most bytes of an audience: as many as a query answers.
const AUDIENCE_BYTES_MAX: usize = 1 << 20;

/// Questions to the contract, and the lowest height of the states that answered.
struct Asked<'a> {
    api: &'a Api,
    height: Option<Height>,
}

impl Asked<'_> {
    async fn ask<T>(
        &mut self,
        method: &str,
        arguments: Vec<u8>,
        read: impl FnOnce(&[u8]) -> Result<T, CodecError>,
    ) -> Result<T, ApiError> {
        let contract = ContractName::new(CONTRACT).map_err(|error| ApiError::new("query.failed", error.to_string()))?;
        let body = QueryBody { encoded: Some(HexBytes(arguments)), ..QueryBody::default() };
        let answer = self.api.backend.query(QueryRequest { contract, method: method.into(), body }).await?;
        self.height = Some(self.height.map_or(answer.height, |height| height.min(answer.height)));
        read(&answer.output.0).map_err(|error| {
            let detail = format!("what {CONTRACT}.{method} answers cannot be read by this program: {error}");
            ApiError::new("query.failed", detail)
        })
    }
}

/// How far a document's erasure is at each member
///
/// For every member that was ordered to destroy its copy: in which block it attested that, whether it still has time, or that
/// the deadline passed without its word. Before an order, every entitled member, and what holds the erasure back.
#[utoipa::path(
    get, path = "/api/v1/documents/{document}/erasure/progress", tag = "documents",
    params(("document" = DocumentId, Path, description = "The document")),
    responses(
        (status = 200, description = "The erasure, member by member", body = ErasureProgressView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn progress(
    State(api): State<Api>,
    Path(document): Path<DocumentId>,
) -> Result<Json<ErasureProgressView>, ApiError> {
    let mut asked = Asked { api: &api, height: None };
    let id = || encode(&document);
    let found: Option<Document> =
        asked.ask(method::DOCUMENT, id(), |bytes| decode("document", bytes, RECORD_BYTES_MAX)).await?;
    let Some(record) = found else {
        let detail = format!("the chain knows no document {document}");
        return Err(ApiError::new("vault.unknown_document", detail).at("document"));
    };
    let erasure: Option<Erasure> = asked.ask(ERASURE, id(), |bytes| decode("erasure", bytes, RECORD_BYTES_MAX)).await?;
    let holds: Vec<Hold> = asked.ask(HOLDS, id(), |bytes| decode("holds", bytes, RECORD_BYTES_MAX)).await?;
    let newest = encode(&(document, record.latest));
    let audience: Audience =
        asked.ask(method::AUDIENCE, newest, |bytes| decode("audience", bytes, AUDIENCE_BYTES_MAX)).await?;

    let height = asked.height.unwrap_or(Height::ZERO);
    let time = api.backend.block_detail(height).await?.summary.time;
    let entitled: Vec<String> = audience.members.into_iter().map(|entitled| entitled.member).collect();
    let members = erasure_by_member(erasure.as_ref(), &entitled, time);
    Ok(Json(ErasureProgressView {
        height,
        time,
        document,
        state: record.erasure,
        disputes: record.disputes,
        holds,
        record: erasure,
        members,
    }))
}
