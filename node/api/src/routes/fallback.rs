//! What no route answers.

use axum::{
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};

use crate::ApiError;

/// No route has this path.
pub(crate) fn unknown_route(uri: &Uri) -> ApiError {
    const SHOWN: usize = 200;
    let path: String = uri.path().chars().take(SHOWN).collect();
    ApiError::new("route.unknown", format!("no route has the path {path}")).at("path")
}

/// A route has this path but not this method; the header `Allow` is put in by the router. `OPTIONS` asks for just that.
pub(crate) async fn method_not_allowed(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    ApiError::new("route.method_not_allowed", format!("the method is {method}")).at("method").into_response()
}
