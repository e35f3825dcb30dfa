//! The bus's one error: what failed on which file, and what a caller may do.

use std::io;
use std::path::PathBuf;

/// What a caller can decide by; the words for people are in the error itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Nobody has published this stream yet, or its publisher ended in good order.
    NotFound,
    /// Another process publishes this stream.
    Busy,
    /// The unit is larger than half the ring; the ring needs another geometry or the source is broken.
    TooLarge,
    /// The caller asked for something that cannot be: an empty unit, another stream's unit, a bad geometry.
    Invalid,
    /// The file is not a ring that this version reads: magic, version, geometry or stream do not match.
    Foreign,
    /// The file was a ring, but is truncated or points outside itself.
    Damaged,
    /// The system refused: no memory left in the tmpfs, no permission.
    Io,
}

/// A request to the bus that failed.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// There is no ring.
    #[error("there is no ring {path}")]
    NotFound {
        /// The file looked for.
        path: PathBuf,
    },
    /// The ring has a publisher already.
    #[error("another process publishes {path}")]
    Busy {
        /// The ring.
        path: PathBuf,
    },
    /// The unit does not fit.
    #[error("a unit of {bytes} bytes is over the limit of {limit} bytes of {path}")]
    TooLarge {
        /// The ring.
        path: PathBuf,
        /// The unit's size.
        bytes: usize,
        /// The largest unit that this ring takes.
        limit: usize,
    },
    /// The request makes no sense.
    #[error("{what}")]
    Invalid {
        /// What is wrong, for people.
        what: String,
    },
    /// The file is something else.
    #[error("{path} is not a ring this program reads: {what}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What does not match.
        what: String,
    },
    /// The ring contradicts itself.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

impl BusError {
    /// What a caller can decide by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Busy { .. } => ErrorKind::Busy,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Invalid { .. } => ErrorKind::Invalid,
            Self::Foreign { .. } => ErrorKind::Foreign,
            Self::Damaged { .. } => ErrorKind::Damaged,
            Self::Io { .. } => ErrorKind::Io,
        }
    }
}
