//! The crate's one error: why a camera's settings were refused.
//!
//! Does not belong here: what goes wrong with a running camera, which is a status.

/// What a caller can decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The address is not one of a camera.
    Url,
    /// The user's name is missing or too long.
    User,
    /// The password is too long.
    Password,
    /// There are as many cameras as can be.
    TooMany,
}

/// Settings that were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{context}")]
pub struct IngestError {
    kind: ErrorKind,
    context: String,
}

impl IngestError {
    pub(crate) fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into() }
    }

    /// What a caller can decide by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}
