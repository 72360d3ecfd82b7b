//! The routes put together with what surrounds all of them.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
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
use vouch_types::api::caller::Authority;

use crate::{
    AdminToken, ApiConfig, ApiError, Backend, ClientPolicy, Documents, Limits, ServeError, answers,
    caller::Nonces,
    clients::{self, Gate},
    explorer,
    metrics::Metrics,
    middleware,
    rate_limit::RateLimiter,
    rooms::Rooms,
    routes::{
        blocks, contracts, document_files, documents, erasures, events, fallback, governance, lists, node, persons,
        registry, transactions,
    },
};

/// What all handlers share.
pub struct ApiState {
    pub(crate) backend: Arc<dyn Backend>,
    documents: Option<Arc<dyn Documents>>,
    pub(crate) nonces: Nonces,
    pub(crate) names: BTreeSet<Authority>,
    pub(crate) proxies: BTreeSet<IpAddr>,
    /// Where it listens.
    pub(crate) port: u16,
    pub(crate) limits: Limits,
    pub(crate) admin_token: Option<AdminToken>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limiter: Option<RateLimiter>,
    pub(crate) event_streams: Arc<Semaphore>,
    /// For requests, however small.
    pub(crate) in_flight: Rooms,
    /// For callers whose signatures are good.
    pub(crate) signed_rooms: Rooms,
    /// For everybody else.
    pub(crate) open_rooms: Rooms,
    pub(crate) shutdown: CancellationToken,
    pub(crate) is_tls: bool,
    pub(crate) gate: Option<Arc<Gate>>,
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
    ///
    /// # Errors
    /// [`ServeError::Certificate`] when the files about clients' certificates cannot be used.
    pub fn new(
        backend: Arc<dyn Backend>,
        documents: Option<Arc<dyn Documents>>,
        config: &ApiConfig,
        shutdown: CancellationToken,
    ) -> Result<Api, ServeError> {
        let limits = config.limits;
        let open = |policy: &ClientPolicy| Gate::open(policy.clone(), Arc::clone(&backend)).map(Arc::new);
        let gate = config.clients.as_ref().map(open).transpose()?;
        Ok(Arc::new(Self {
            backend,
            documents,
            nonces: Nonces::default(),
            names: config.names.clone(),
            proxies: config.proxies.clone(),
            port: config.listen.port(),
            limits,
            admin_token: config.admin_token.clone(),
            metrics: Arc::new(Metrics::default()),
            limiter: limits.rate.map(RateLimiter::new),
            event_streams: Arc::new(Semaphore::new(limits.event_streams_max)),
            in_flight: Rooms::for_requests(limits.requests_in_flight_max),
            signed_rooms: Rooms::for_bytes(limits.signed_bytes_max),
            open_rooms: Rooms::for_bytes(limits.open_bytes_max),
            shutdown,
            is_tls: matches!(config.transport, crate::Transport::Tls { .. }),
            request_prefix: RandomState::new().hash_one(std::process::id()),
            request_count: AtomicU64::new(0),
            gate,
        }))
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
        .layer(axum::middleware::from_fn_with_state(with_api(&api), answers::hold))
        .layer(axum::middleware::from_fn_with_state(with_api(&api), clients::admit))
        .layer(axum::middleware::from_fn_with_state(with_api(&api), middleware::admit))
        .layer(CatchPanicLayer::custom(middleware::panicked))
        .layer(axum::middleware::from_fn_with_state(with_api(&api), middleware::finish))
        .with_state(api)
}

fn v1() -> Router<Api> {
    Router::new()
        .route("/transactions", post(transactions::submit).get(lists::transactions))
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
        .route("/documents", get(lists::documents))
        .route("/documents/{document}", get(lists::document))
        .route("/documents/{document}/grants", get(lists::grants))
        .route("/documents/{document}/provenance", get(lists::provenance))
        .route("/relationships", get(lists::relationships))
        .route("/disputes", get(lists::disputes))
        .route("/search", get(lists::search))
        .route("/statistics", get(lists::statistics))
        .route("/index/status", get(lists::status))
        .route("/operations", get(lists::operations))
        .route("/documents/stage", post(documents::stage))
        .route("/documents/{document}/versions/{version}/read", post(documents::read))
        .route("/documents/{document}/versions/{version}/holding", get(documents::holding))
        .route(
            "/documents/{document}/versions/{version}/uploads/{slot}/{index}",
            get(document_files::upload)
                .post(document_files::begin_upload)
                .patch(document_files::put_piece)
                .delete(document_files::end_upload),
        )
        .route(
            "/documents/{document}/versions/{version}/uploads/{slot}/{index}/finish",
            post(document_files::finish_upload),
        )
        .route("/documents/{document}/versions/{version}/files/{slot}/{index}", get(document_files::piece))
        .route("/documents/{document}/versions/{version}/files/{slot}/{index}/open", post(document_files::open))
        .route("/documents/{document}/audit", get(documents::audit_of))
        .route("/documents/{document}/erasure", get(documents::erasure))
        .route("/documents/{document}/erasure/progress", get(erasures::progress))
        .route("/persons/{subject}/held", get(persons::held))
        .route("/vault", get(documents::vault))
        .route("/vault/audit", get(documents::audit))
        .route("/vault/check", post(documents::check))
        .route("/events", get(events::follow))
        .route("/status", get(node::status))
        .route("/params", get(node::params))
        .route("/admin/backup", post(node::backup))
        .route("/admin/index/rebuild", post(lists::rebuild))
        .route("/openapi.json", get(node::openapi))
}
