//! Errors as HTTP: the body, the status, `Retry-After`, and the line in the log.
//!
//! Does not belong here: what an error means (`error.rs`).

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::error::{ApiError, ErrorKind};

/// Answers of the API are about this moment and this user.
pub(crate) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

impl ErrorKind {
    /// RFC 9110 section 15.5 and 15.6; 422 there too, 429 in RFC 6585 section 4, 507 in RFC 4918 section 11.5.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Some(detail) = self.detail() {
            let causes: Vec<String> =
                std::iter::successors(Some(detail as &dyn std::error::Error), |cause| cause.source())
                    .map(ToString::to_string)
                    .collect();
            tracing::error!(code = self.code(), detail = causes.join(": "), "a request failed");
        }
        let mut response = json(self.kind().status(), &self.body());
        if let Some(wait) = self.retry_after() {
            // Whole seconds, rounded up: to come back early is to be refused again.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// A JSON answer that nobody keeps.
pub(crate) fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    (status, [(CACHE_CONTROL, NO_STORE)], Json(body)).into_response()
}

/// A success with a body, or the error.
pub(crate) fn ok<T: Serialize>(result: Result<T, ApiError>) -> Result<Response, ApiError> {
    result.map(|body| json(StatusCode::OK, &body))
}

/// A success with a body that tells of something new, or the error.
pub(crate) fn created<T: Serialize>(result: Result<T, ApiError>) -> Result<Response, ApiError> {
    result.map(|body| json(StatusCode::CREATED, &body))
}

/// A success without a body, or the error.
pub(crate) fn done(result: Result<(), ApiError>) -> Result<Response, ApiError> {
    result.map(|()| (StatusCode::NO_CONTENT, [(CACHE_CONTROL, NO_STORE)]).into_response())
}
