//! The test camera's one error.

/// What a caller can decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The clip cannot be read, or holds nothing that can be served.
    Clip,
    /// The port is taken, or cannot be had.
    Port,
    /// GStreamer or one of its plugins is missing or refused.
    GStreamer,
}

/// A camera that could not be started.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{context}")]
pub struct CameraError {
    kind: ErrorKind,
    context: String,
}

impl CameraError {
    pub(crate) fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into() }
    }

    /// What a caller can decide by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}
