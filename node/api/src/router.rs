//! The routes put together with what surrounds all of them.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    routing::{get, post},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    AdminToken, ApiConfig, ApiError, Backend, Documents, Limits,
    caller::Nonces,
    explorer,
    metrics::Metrics,
    middleware,
    rate_limit::RateLimiter,
    routes::{blocks, contracts, documents, events, fallback, governance, node, registry, transactions},
};

/// What all handlers share.
pub struct ApiState {
    pub(crate) backend: Arc<dyn Backend>,
    documents: Option<Arc<dyn Documents>>,
    pub(crate) nonces: Nonces,
    pub(crate) limits: Limits,
    pub(crate) admin_token: Option<AdminToken>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limiter: Option<RateLimiter>,
    pub(crate) event_streams: Arc<Semaphore>,
    pub(crate) in_flight: Semaphore,
    pub(crate) shutdown: CancellationToken,
    pub(crate) is_tls: bool,
    request_prefix: u64,
    request_count: AtomicU64,
}

/// Handle on [`ApiState`]; cheap to clone.
pub type Api = Arc<ApiState>;

impl std::fmt::Debug for ApiState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiState").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl ApiState {
    /// Over a backend, and over the member's private documents if there are any. Event streams end when `shutdown` is
    /// cancelled.
    #[must_use]
    pub fn new(
        backend: Arc<dyn Backend>,
        documents: Option<Arc<dyn Documents>>,
        config: &ApiConfig,
        shutdown: CancellationToken,
    ) -> Api {
        let limits = config.limits;
        Arc::new(Self {
            backend,
            documents,
            nonces: Nonces::default(),
            limits,
            admin_token: config.admin_token.clone(),
            metrics: Arc::new(Metrics::default()),
            limiter: limits.rate.map(RateLimiter::new),
            event_streams: Arc::new(Semaphore::new(limits.event_streams_max)),
            in_flight: Semaphore::new(limits.requests_in_flight_max),
            shutdown,
            is_tls: matches!(config.transport, crate::Transport::Tls { .. }),
            request_prefix: RandomState::new().hash_one(std::process::id()),
            request_count: AtomicU64::new(0),
        })
    }

    /// The member's private documents.
    pub(crate) fn documents(&self) -> Result<&dyn Documents, ApiError> {
        let none = || ApiError::new("vault.not_running", "this node serves no private documents");
        self.documents.as_deref().ok_or_else(none)
    }

    /// A name for one request: told to the caller, written to the log.
    pub(crate) fn next_request_id(&self) -> String {
        let count = self.request_count.fetch_add(1, Ordering::Relaxed);
        format!("{:012x}-{count:x}", self.request_prefix & 0xffff_ffff_ffff)
    }
}

/// All routes with all their layers; answers every request there can be.
pub fn router(api: Api) -> Router {
    let with_api = |api: &Api| Arc::clone(api);
    Router::new()
        .nest("/api/v1", v1())
        .route("/health", get(node::health))
        .route("/ready", get(node::ready))
        .route("/metrics", get(node::metrics))
        .fallback(explorer::serve)
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .layer(axum::middleware::from_fn_with_state(with_api(&api), middleware::limit_time))
        .layer(axum::middleware::from_fn_with_state(with_api(&api), middleware::admit))
        .layer(CatchPanicLayer::custom(middleware::panicked))
        .layer(axum::middleware::from_fn_with_state(with_api(&api), middleware::finish))
        .with_state(api)
}

fn v1() -> Router<Api> {
    Router::new()
        .route("/transactions", post(transactions::submit))
        .route("/transactions/batch", post(transactions::submit_batch))
        .route("/transactions/{id}", get(transactions::show))
        .route("/transactions/{id}/proof", get(transactions::proof))
        .route("/blocks", get(blocks::list))
        .route("/blocks/{height}", get(blocks::show))
        .route("/blocks/{height}/transactions", get(blocks::transactions))
        .route("/contracts", get(contracts::list))
        .route("/contracts/{name}", get(contracts::show))
        .route("/contracts/{name}/query/{method}", post(contracts::query))
        .route("/contracts/{name}/state/{key}", get(contracts::state))
        .route("/validators", get(registry::validators))
        .route("/members", get(registry::members))
        .route("/evidence", get(registry::evidence))
        .route("/accounts", get(governance::accounts))
        .route("/certificates", get(governance::certificates))
        .route("/packages", get(governance::packages))
        .route("/proposals", get(governance::proposals))
        .route("/proposals/{id}", get(governance::proposal))
        .route("/proposals/{id}/dry-run", post(governance::dry_run))
        .route("/account", get(documents::account))
        .route("/documents/stage", post(documents::stage))
        .route("/documents/{document}/versions/{version}/read", post(documents::read))
        .route("/documents/{document}/versions/{version}/holding", get(documents::holding))
        .route("/documents/{document}/audit", get(documents::audit_of))
        .route("/documents/{document}/erasure", get(documents::erasure))
        .route("/vault", get(documents::vault))
        .route("/vault/audit", get(documents::audit))
        .route("/vault/check", post(documents::check))
        .route("/events", get(events::follow))
        .route("/status", get(node::status))
        .route("/params", get(node::params))
        .route("/admin/backup", post(node::backup))
        .route("/openapi.json", get(node::openapi))
}
