//! The crate's one error: what was tried, and what came of it.
//!
//! The loader has two answers to any of them, recovery and a restart; the kind is what recovery's page tells.

use std::fmt::Display;

/// What a caller can decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// The board's or the kernel's: a mount, a device, memory.
    System,
    /// The flash or what is kept in it.
    Flash,
}

/// Something in the loader that failed.
#[derive(Debug, thiserror::Error)]
#[error("{context}")]
pub(crate) struct LoaderError {
    kind: ErrorKind,
    context: String,
}

impl LoaderError {
    /// `context` is a sentence for people.
    pub(crate) fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into() }
    }

    /// A failed system call; `tried` says on what.
    pub(crate) fn system(tried: impl Display, error: impl Display) -> Self {
        Self::new(ErrorKind::System, format!("{tried}: {error}"))
    }

    /// What a caller can decide by.
    pub(crate) fn kind(&self) -> ErrorKind {
        self.kind
    }
}
