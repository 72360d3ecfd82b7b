//! Errors on their way to a caller.

use axum::{
    extract::rejection::{PathRejection, QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use vouch_types::{TransactionError, api::Problem};

/// A problem and, sometimes, when to try again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct ApiError {
    /// What the caller is told.
    pub problem: Box<Problem>,
    /// For the header `Retry-After`, in seconds.
    pub retry_after_s: Option<u32>,
}

impl ApiError {
    /// A problem by its code; status, title and mend come from the catalogue. A code that is not in it is one a contract
    /// defined and gets status 422.
    #[must_use]
    pub fn new(code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { problem: Box::new(Problem::new(code, detail)), retry_after_s: None }
    }

    /// Says where: a field, parameter, header, offset or item.
    #[must_use]
    pub fn at(mut self, location: impl Into<String>) -> Self {
        self.problem.location = Some(location.into());
        self
    }

    /// Says when to try again.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.problem.code
    }

    /// The HTTP status; 500 for a problem that was never meant for the wire.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.problem.status)
            .ok()
            .filter(|status| status.is_client_error() || status.is_server_error())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self { problem: Box::new(problem), retry_after_s: None }
    }
}

impl From<TransactionError> for ApiError {
    fn from(error: TransactionError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::new("request.bad_parameter", rejection.body_text()).at("path")
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new("request.bad_parameter", rejection.body_text()).at("query")
    }
}

/// Kept beside the response so that the outermost layer can put in the request id and the caller's language.
#[derive(Debug, Clone)]
pub(crate) struct Unsent(pub(crate) Problem);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = problem_response(self.status(), &self.problem);
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(Unsent(*self.problem));
        response
    }
}

/// A problem as a response body.
pub(crate) fn problem_response(status: StatusCode, problem: &Problem) -> Response {
    let body = serde_json::to_vec(problem).unwrap_or_default();
    let media_type = HeaderValue::from_static("application/problem+json");
    (status, [(header::CONTENT_TYPE, media_type)], body).into_response()
}
