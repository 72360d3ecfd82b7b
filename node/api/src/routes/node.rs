//! The node itself: how it is, what it counts, its backup.

use std::path::PathBuf;

use axum::{
    Extension, Json,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use vouch_types::api::{
    BackupRequest, BackupView, ChainParams, Condition, ConditionState, Liveness, NodeStatus, Problem,
};

use crate::{
    Api, ApiError, admin,
    answers::Resident,
    extract::{MediaType, from_json, read_body},
};

/// Most bytes of a backup request.
const BACKUP_BYTES_MAX: usize = 16 << 10;

/// How the node is, and why
#[utoipa::path(
    get, path = "/api/v1/status", tag = "node",
    responses((status = 200, description = "The node's status", body = NodeStatus))
)]
pub(crate) async fn status(State(api): State<Api>) -> Json<NodeStatus> {
    Json(api.backend.status().await)
}

/// The chain's numbers
#[utoipa::path(
    get, path = "/api/v1/params", tag = "node",
    responses(
        (status = 200, description = "What a client needs to make transactions", body = ChainParams),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn params(State(api): State<Api>) -> Result<Json<ChainParams>, ApiError> {
    Ok(Json(api.backend.params().await?))
}

/// Whether the process answers at all
#[utoipa::path(
    get, path = "/health", tag = "node",
    responses((status = 200, description = "It does", body = Liveness))
)]
pub(crate) async fn health() -> Json<Liveness> {
    Json(Liveness { status: "live".into() })
}

/// Whether work should be sent here
#[utoipa::path(
    get, path = "/ready", tag = "node",
    responses(
        (status = 200, description = "Yes", body = Liveness),
        (status = 503, description = "No, and why", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn ready(State(api): State<Api>) -> Result<Json<Liveness>, ApiError> {
    let Condition { state, reason_en, .. } = api.backend.status().await.condition;
    let code = match state {
        ConditionState::Ok => return Ok(Json(Liveness { status: "ready".into() })),
        ConditionState::Stalled => "node.stalled",
        ConditionState::Syncing => "node.syncing",
        ConditionState::Starting => "node.starting",
        ConditionState::Failed => "node.failed",
    };
    Err(ApiError::new(code, reason_en))
}

/// Metrics in Prometheus' text format
#[utoipa::path(
    get, path = "/metrics", tag = "node",
    responses((status = 200, description = "All metrics of the node", body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics(State(api): State<Api>) -> Response {
    let mut text = api.backend.metrics().await;
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&api.metrics.render());
    let media_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, media_type)], text).into_response()
}

/// Make a backup
///
/// Needs the node's admin token. The node writes a checked copy to a path on its own machine while it goes on working.
#[utoipa::path(
    post, path = "/api/v1/admin/backup", tag = "node",
    request_body = BackupRequest,
    security(("admin" = [])),
    responses(
        (status = 200, description = "Made and checked", body = BackupView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn backup(
    State(api): State<Api>,
    headers: HeaderMap,
    request: Request,
) -> Result<Json<BackupView>, ApiError> {
    admin::require(api.admin_token.as_ref(), &headers)?;
    if MediaType::required(&headers)? != MediaType::Json {
        return Err(ApiError::new("request.unsupported_media_type", "send application/json").at("Content-Type"));
    }
    let request: BackupRequest = from_json(&read_body(&api, request, BACKUP_BYTES_MAX).await?)?;
    let path = PathBuf::from(&request.path);
    if !path.is_absolute() || request.path.contains('\0') {
        return Err(ApiError::new("backup.path_invalid", "the path is not absolute").at("path"));
    }
    // The backup goes on when the caller does not wait for it: half of one would be worth nothing.
    let backend = std::sync::Arc::clone(&api.backend);
    let backup = tokio::spawn(async move { backend.backup(path).await });
    let made = backup.await.map_err(|_| ApiError::new("internal", "the backup's task broke off"))?;
    Ok(Json(made?))
}

/// This document
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "node",
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
pub(crate) async fn openapi() -> Response {
    let media_type = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, media_type)], Extension(Resident), crate::openapi::document_json()).into_response()
}
