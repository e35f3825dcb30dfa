//! The crate's one error: what was tried on what, and what the system said.
//!
//! Does not belong here: deciding what to do about it; callers go by `kind()`.

use std::io;

/// What a caller can decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// There is no such device, or it is gone.
    NotFound,
    /// What was asked makes no sense for this device.
    Unsupported,
    /// The device or the system refused or failed.
    Device,
    /// What came from outside does not read: a packet, a file.
    Malformed,
}

/// Something about the system that failed.
#[derive(Debug, thiserror::Error)]
#[error("{context}")]
pub struct SystemError {
    kind: ErrorKind,
    context: String,
}

impl SystemError {
    /// `context` is a sentence for people.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into() }
    }

    /// What a caller can decide by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// A failed system call: `tried` says on what.
    pub(crate) fn io(tried: impl std::fmt::Display, error: impl Into<io::Error>) -> Self {
        let error = error.into();
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Device,
        };
        Self { kind, context: format!("{tried}: {error}") }
    }
}
