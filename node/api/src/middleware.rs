//! What surrounds every route: request ids, metrics, limits, the guard against panics, headers.

use std::{
    any::Any,
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use vouch_types::api::Language;

use crate::{
    Api, ApiError,
    error::{Unsent, problem_response},
    metrics::Counted,
    origin::Origin,
    rooms::Holder,
};

/// Where a connection comes from; put into each request by the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RemoteAddress(pub(crate) SocketAddr);

/// Names the chain in every answer, so that a client that means another one does not take it for its own.
const CHAIN_HEADER: &str = "vouch-chain";

/// Outermost: names the request, and completes whatever answer comes out.
pub(crate) async fn finish(State(api): State<Api>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = api.next_request_id();
    let language = language_of(request.headers());
    let method = method_label(request.method());
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or("unknown", MatchedPath::as_str).to_owned();
    let counted = Counted::enter(&api.metrics, |metrics| &metrics.in_flight);

    let mut response = next.run(request).await;
    if let Some(Unsent(problem)) = response.extensions_mut().remove::<Unsent>() {
        if problem.code == "internal" {
            api.metrics.panics.increment();
        }
        tracing::debug!(request = %id, route, code = %problem.code, detail = %problem.detail, "request refused");
        let mut problem = problem.translated(language);
        problem.instance = Some(format!("urn:vouch:request:{id}"));
        response = rebuilt(&response, &problem);
    }
    complete_headers(response.headers_mut(), &id, api.is_tls);
    if let Ok(chain) = HeaderValue::from_str(&api.backend.chain().to_string()) {
        response.headers_mut().insert(HeaderName::from_static(CHAIN_HEADER), chain);
    }
    drop(counted);
    api.metrics.answered(&route, method, response.status().as_u16(), started.elapsed());
    response
}

/// The same problem with its last fields filled in; other headers stay.
fn rebuilt(old: &Response, problem: &vouch_types::api::Problem) -> Response {
    let mut new = problem_response(old.status(), problem);
    for (name, value) in old.headers() {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            new.headers_mut().append(name, value.clone());
        }
    }
    new
}

fn complete_headers(headers: &mut HeaderMap, id: &str, is_tls: bool) {
    const ALWAYS: [(HeaderName, &str); 5] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if is_tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(HeaderName::from_static("x-request-id"), value);
    }
}

/// Metrics must not grow with what callers invent.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn language_of(headers: &HeaderMap) -> Language {
    let first = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    first.map_or(Language::English, Language::from_tag)
}

/// A handler panicked: the caller is told so, the node goes on.
#[expect(clippy::needless_pass_by_value, reason = "the signature is that of the layer's callback")]
pub(crate) fn panicked(payload: Box<dyn Any + Send + 'static>) -> Response {
    let text = payload.downcast_ref::<&str>().copied().map(str::to_owned);
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
    tracing::error!(panic = text, "an API handler panicked");
    ApiError::new("internal", "the node could not work on this request").into_response()
}

/// Lets a request in, or says that there are too many.
pub(crate) async fn admit(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let is_probe = matches!(request.uri().path(), "/health" | "/ready");
    let remote = request.extensions().get::<RemoteAddress>().copied();
    let origin = Origin::find(remote, request.headers(), &api.proxies);
    request.extensions_mut().insert(origin);
    if let (Some(limiter), false) = (&api.limiter, is_probe)
        && let Err(wait_s) = limiter.take(&origin, Instant::now())
    {
        api.metrics.rate_limited.increment();
        let detail = format!("the allowance is used up, the next request is let in after {wait_s} s");
        return ApiError::new("request.rate_limited", detail).retry_after(wait_s).into_response();
    }
    let is_exempt = origin.is_local && api.limits.rate.is_none_or(|rate| rate.exempt_loopback);
    let holder = if is_exempt { Holder::Machine } else { Holder::Address(origin.caller()) };
    let _room = match api.in_flight.take(holder, 1) {
        Ok(room) => room,
        Err(error) => return error.into_response(),
    };
    next.run(request).await
}

/// Ends a request that takes too long, for example because its body trickles in.
pub(crate) async fn limit_time(State(api): State<Api>, request: Request, next: Next) -> Response {
    // An administrator's work may take as long as it takes; nobody gets that far without the token.
    if request.uri().path().starts_with("/api/v1/admin/") {
        return next.run(request).await;
    }
    let limit_ms = api.limits.request_timeout_ms;
    match tokio::time::timeout(Duration::from_millis(limit_ms), next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!("no complete request and answer within {limit_ms} ms");
            let mut response = ApiError::new("request.timeout", detail).into_response();
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        }
    }
}
