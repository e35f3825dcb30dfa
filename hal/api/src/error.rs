//! The HAL's one error: what failed, where, and what a caller may do about it.
//!
//! Modelled on embedded-hal: backends keep their own words in `context`, callers decide by `kind()`.

/// What a caller can decide by; the words for people are in the error itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The board has no such input, encoder or device.
    NotFound,
    /// The request is outside what the hardware offers; asking again will not help.
    Unsupported,
    /// The device is there but not ready, or used by somebody else; asking later may help.
    Busy,
    /// The device or its driver failed.
    Device,
}

/// A hardware request that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{context}")]
pub struct HalError {
    kind: ErrorKind,
    context: String,
}

impl HalError {
    /// `context` is a sentence for people: what was asked of which device, and what it answered.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into() }
    }

    /// What a caller can decide by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}
