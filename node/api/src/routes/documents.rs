//! Private documents of the node's member. Every request is signed by one of its accounts, or by a person it concerns; the
//! read audit may be asked for by other members too, as far as it is theirs.

use axum::{
    Json,
    extract::{Request, State},
    http::HeaderMap,
};
use serde::Deserialize;
use vouch_types::{
    DocumentRoot,
    api::{
        AuditRecordView, CallerView, CheckView, DocumentReading, ErasureStatementView, HexBytes, HoldingView, Page,
        Problem, ReadDocumentRequest, STAGE_BYTES_MAX, StageRequest, StagedView, VaultView, caller::KEY_HEADER,
    },
    document::DocumentId,
};

use crate::{
    Api, ApiError,
    caller::{DOCUMENT_ROLES, authenticate, authenticate_anyone, authenticate_everywhere},
    extract::{MediaType, Paging, Path, Query, from_json},
    routes::blocks::head,
};

/// Most bytes of a wish to read.
pub(crate) const READ_BYTES_MAX: usize = 4 << 10;
/// Most bytes of a request that has no body to speak of.
pub(crate) const NO_BODY: usize = 1 << 10;

/// Who the caller is
///
/// Shows that a key, its account and its signature are good. An account of another member than the node's may ask no more
/// than this and for the read audit of what concerns its member.
#[utoipa::path(
    get, path = "/api/v1/account", tag = "documents",
    security(("account" = [])),
    responses(
        (status = 200, description = "The account that signed the request", body = CallerView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn account(State(api): State<Api>, request: Request) -> Result<Json<CallerView>, ApiError> {
    let (caller, _) = authenticate_everywhere(&api, request, DOCUMENT_ROLES, NO_BODY).await?;
    Ok(Json(caller.view()))
}

/// Parameters of [`stage`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StageQuery {
    root: DocumentRoot,
}

/// Stage a document
///
/// The body is document id, version and a delivery sealed to the member's own encryption key, in the chain's layout. The
/// node checks the construction and keeps it; only then does it let the submission pass. Staging the same again is safe.
#[utoipa::path(
    post, path = "/api/v1/documents/stage", tag = "documents",
    params(("root" = DocumentRoot, Query, description = "Root of the commitment")),
    request_body(content = String, content_type = "application/octet-stream"),
    security(("account" = [])),
    responses(
        (status = 200, description = "Checked and kept", body = StagedView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn stage(
    State(api): State<Api>,
    Query(query): Query<StageQuery>,
    request: Request,
) -> Result<Json<StagedView>, ApiError> {
    if MediaType::required(request.headers())? != MediaType::Octets {
        let detail = "send application/octet-stream";
        return Err(ApiError::new("request.unsupported_media_type", detail).at("Content-Type"));
    }
    let (_, body) = authenticate(&api, request, &["submitter"], STAGE_BYTES_MAX).await?;
    if body.is_empty() {
        return Err(ApiError::new("request.empty", "the document has no bytes").at("body"));
    }
    let request = StageRequest { root: query.root, delivery: HexBytes(body.to_vec()) };
    Ok(Json(api.documents()?.stage(request).await?))
}

/// Read fields of a version
///
/// The contract decides; both a reading and a refusal stand in the node's read audit before anything is shown.
#[utoipa::path(
    post, path = "/api/v1/documents/{document}/versions/{version}/read", tag = "documents",
    params(
        ("document" = DocumentId, Path, description = "The document"),
        ("version" = u32, Path, description = "Its version"),
    ),
    request_body = ReadDocumentRequest,
    security(("account" = [])),
    responses(
        (status = 200, description = "The fields with what proves them under the root on the chain", body = DocumentReading),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn read(
    State(api): State<Api>,
    Path((document, version)): Path<(DocumentId, u32)>,
    request: Request,
) -> Result<Json<DocumentReading>, ApiError> {
    json_only(request.headers())?;
    let (caller, body) = authenticate_anyone(&api, request, DOCUMENT_ROLES, READ_BYTES_MAX).await?;
    let wish: ReadDocumentRequest = from_json(&body)?;
    if wish.fields.as_ref().is_some_and(|fields| !fields.is_valid() || fields.is_empty()) {
        return Err(ApiError::new("request.malformed", "expected a set of slots, at least one").at("fields"));
    }
    Ok(Json(api.documents()?.read(caller.id(), document, version, wish).await?))
}

pub(crate) fn json_only(headers: &HeaderMap) -> Result<(), ApiError> {
    match MediaType::required(headers)? {
        MediaType::Json => Ok(()),
        MediaType::Octets => {
            Err(ApiError::new("request.unsupported_media_type", "send application/json").at("Content-Type"))
        }
    }
}

/// What is here of a version, and whose receipts
#[utoipa::path(
    get, path = "/api/v1/documents/{document}/versions/{version}/holding", tag = "documents",
    params(
        ("document" = DocumentId, Path, description = "The document"),
        ("version" = u32, Path, description = "Its version"),
    ),
    security(("account" = [])),
    responses(
        (status = 200, description = "Fields here, and receipts of other holders", body = HoldingView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn holding(
    State(api): State<Api>,
    Path((document, version)): Path<(DocumentId, u32)>,
    request: Request,
) -> Result<Json<HoldingView>, ApiError> {
    authenticate_anyone(&api, request, DOCUMENT_ROLES, NO_BODY).await?;
    Ok(Json(api.documents()?.holding(document, version).await?))
}

/// Who has read a document here
///
/// Ascending by number; continue with `after`. The contract decides who may see it: accounts of other members too, each
/// with the role auditor.
#[utoipa::path(
    get, path = "/api/v1/documents/{document}/audit", tag = "documents",
    params(
        ("document" = DocumentId, Path, description = "The document"),
        ("after" = Option<u64>, Query, description = "Only records with a higher number"),
        ("limit" = Option<u32>, Query, description = "At most so many", minimum = 1, maximum = 1000),
    ),
    security(("account" = [])),
    responses(
        (status = 200, description = "Records of the read audit", body = Page<AuditRecordView>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn audit_of(
    State(api): State<Api>,
    Path(document): Path<DocumentId>,
    Query(paging): Query<Paging>,
    request: Request,
) -> Result<Json<Page<AuditRecordView>>, ApiError> {
    let (caller, _) = authenticate_everywhere(&api, request, DOCUMENT_ROLES, NO_BODY).await?;
    api.documents()?.may_audit(caller.id(), document).await?;
    audit_page(&api, Some(document), &paging).await
}

/// The whole read audit of this node
///
/// For auditors of its member and of regulators that watch over it; each record names the one before, and the head is
/// anchored on the chain.
#[utoipa::path(
    get, path = "/api/v1/vault/audit", tag = "documents",
    params(
        ("after" = Option<u64>, Query, description = "Only records with a higher number"),
        ("limit" = Option<u32>, Query, description = "At most so many", minimum = 1, maximum = 1000),
    ),
    security(("account" = [])),
    responses(
        (status = 200, description = "Records of the read audit", body = Page<AuditRecordView>),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn audit(
    State(api): State<Api>,
    Query(paging): Query<Paging>,
    request: Request,
) -> Result<Json<Page<AuditRecordView>>, ApiError> {
    let (caller, _) = authenticate_everywhere(&api, request, &["auditor"], NO_BODY).await?;
    if caller.person().is_some() {
        let detail = "a person's own key opens what concerns that person only";
        return Err(ApiError::new("caller.forbidden", detail).at(KEY_HEADER));
    }
    if let Some(member) = caller.foreign_member()
        && !api.documents()?.is_watched_by(member.to_owned()).await?
    {
        let detail = format!("{member} does not watch over {}", caller.node_member());
        return Err(ApiError::new("caller.forbidden", detail).at(KEY_HEADER));
    }
    audit_page(&api, None, &paging).await
}

async fn audit_page(
    api: &Api,
    document: Option<DocumentId>,
    paging: &Paging,
) -> Result<Json<Page<AuditRecordView>>, ApiError> {
    Paging::refuse("before", paging.before.as_ref())?;
    let limit = paging.limit()?;
    let after = Paging::parsed("after", paging.after.as_ref(), "the number of a record")?.unwrap_or(0);
    let items = api.documents()?.audit(document, after, limit).await?;
    let is_full = u32::try_from(items.len()).is_ok_and(|count| count >= limit);
    let next = items.last().filter(|_| is_full).map(|record| record.number.to_string());
    Ok(Json(Page { head: head(api), items, next }))
}

/// This node's word that it destroyed a document
#[utoipa::path(
    get, path = "/api/v1/documents/{document}/erasure", tag = "documents",
    params(("document" = DocumentId, Path, description = "The document")),
    security(("account" = [])),
    responses(
        (status = 200, description = "The statement whose hash stands on the chain", body = ErasureStatementView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn erasure(
    State(api): State<Api>,
    Path(document): Path<DocumentId>,
    request: Request,
) -> Result<Json<ErasureStatementView>, ApiError> {
    authenticate_anyone(&api, request, DOCUMENT_ROLES, NO_BODY).await?;
    let statement = api.documents()?.erasure_statement(document).await?;
    statement.map(Json).ok_or_else(|| {
        ApiError::new("document.no_statement", format!("this node has not destroyed {document}")).at("document")
    })
}

/// How the vault is
#[utoipa::path(
    get, path = "/api/v1/vault", tag = "documents",
    security(("account" = [])),
    responses(
        (status = 200, description = "The vault's state", body = VaultView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn vault(State(api): State<Api>, request: Request) -> Result<Json<VaultView>, ApiError> {
    authenticate(&api, request, DOCUMENT_ROLES, NO_BODY).await?;
    Ok(Json(api.documents()?.vault().await?))
}

/// Parameters of [`check`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckQuery {
    from: Option<String>,
}

/// Check what lies at rest now
///
/// Reads copies and files for some seconds; what is altered is named, dropped and fetched anew. Continue with `from` until
/// there is no `next`: then all was checked.
#[utoipa::path(
    post, path = "/api/v1/vault/check", tag = "documents",
    params(("from" = Option<String>, Query, description = "Where the check before ended, as it said")),
    security(("account" = [])),
    responses(
        (status = 200, description = "What was damaged", body = CheckView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn check(
    State(api): State<Api>,
    Query(query): Query<CheckQuery>,
    request: Request,
) -> Result<Json<CheckView>, ApiError> {
    authenticate(&api, request, &["operator", "auditor"], NO_BODY).await?;
    Ok(Json(api.documents()?.check(query.from).await?))
}
