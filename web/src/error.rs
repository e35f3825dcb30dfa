//! The API's one error: what the caller is told, and what only the log is told.
//!
//! The split is made here and nowhere else: `internal` is logged when the answer is built, and never sent.
//!
//! Does not belong here: HTTP (`answer.rs` turns this into a response).

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

/// What kind of refusal; each is one HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// 400: the request cannot be read.
    Malformed,
    /// 401: not signed in, or wrong credentials.
    Unauthorized,
    /// 403: signed in, but not allowed; or the request came from a foreign page.
    Forbidden,
    /// 404: there is no such thing.
    NotFound,
    /// 405: not with this method.
    MethodNotAllowed,
    /// 409: it clashes with what is there.
    Conflict,
    /// 413: too many bytes.
    TooLarge,
    /// 416: the file has no such bytes.
    RangeNotSatisfiable,
    /// 422: readable, but a field's value cannot be taken.
    Invalid,
    /// 429: too often; the answer says when to try again.
    TooMany,
    /// 500: a fault of the recorder; the log has the details.
    Internal,
    /// 503: not now; the recorder is working on it.
    Unavailable,
    /// 507: the recorder has no room for it.
    NoSpace,
}

/// An answer that is not a success.
#[derive(Debug)]
pub struct ApiError {
    kind: ErrorKind,
    code: &'static str,
    message: String,
    field: Option<Cow<'static, str>>,
    retry_after: Option<Duration>,
    internal: Option<Box<dyn Error + Send + Sync>>,
}

impl ApiError {
    /// `code` is for programs, `snake_case`, and stays; `message` is for people: what happened, what to do.
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), field: None, retry_after: None, internal: None }
    }

    /// 400.
    pub fn malformed(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Malformed, code, message)
    }

    /// 401.
    pub fn unauthorized(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unauthorized, code, message)
    }

    /// 403.
    pub fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Forbidden, code, message)
    }

    /// 404.
    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, code, message)
    }

    /// 409.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, code, message)
    }

    /// 422, about one field of the body.
    pub fn invalid(
        code: &'static str,
        field: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self::new(ErrorKind::Invalid, code, message).with_field(field)
    }

    /// 429.
    pub fn too_many(code: &'static str, retry_after: Duration, message: impl Into<String>) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(ErrorKind::TooMany, code, message) }
    }

    /// 503.
    pub fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, code, message)
    }

    /// 500: the caller learns that something failed, the log learns what.
    pub fn internal(detail: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Internal, "internal", "The recorder made a mistake. Its log has the details.")
            .with_detail(detail)
    }

    /// Names the field of the body that is at fault.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Adds what only the log may say.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.internal = Some(detail.into());
        self
    }

    /// What kind of refusal.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What programs decide by.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// When to try again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// What only the log may say.
    #[must_use]
    pub fn detail(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.internal.as_deref()
    }

    pub(crate) fn body(&self) -> ErrorBody {
        ErrorBody {
            error: ErrorDetail {
                code: self.code.to_owned(),
                message: self.message.clone(),
                field: self.field.clone().map(Cow::into_owned),
            },
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.internal.as_deref().map(|detail| detail as &(dyn Error + 'static))
    }
}

/// The body of every answer that is not a success.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ErrorDetail {
    /// For programs; stays the same.
    pub code: String,
    /// For people: what happened and what to do.
    pub message: String,
    /// The field of the body that is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}
