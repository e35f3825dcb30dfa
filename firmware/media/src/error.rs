//! What can be wrong with a bitstream or with a request for boxes.
//!
//! Does not belong here: what to do about it; callers decide by `kind()`.

/// What a caller can decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The bytes break their format: a broken or hostile source.
    Malformed,
    /// The bytes keep to the format, but exceed a limit of ours.
    Limit,
    /// The bytes keep to the format, but use a part of it that is not supported.
    Unsupported,
    /// The caller's description contradicts itself.
    Inconsistent,
}

/// A bitstream that cannot be read, or boxes that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// A parameter set that a decoder needs is missing.
    #[error("the stream has no {0}")]
    Missing(&'static str),
    /// A parameter set cannot be read.
    #[error("{set} cannot be read: {reason}")]
    ParameterSet {
        /// Which: `H.264 SPS`, `H.265 SPS`.
        set: &'static str,
        /// What the reader says.
        reason: String,
    },
    /// The data ends inside of something.
    #[error("{0} is cut short")]
    Truncated(&'static str),
    /// A count or size exceeds its limit.
    #[error("more {what} than {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The format cannot express it.
    #[error("{0}")]
    Unsupported(String),
    /// The caller's description contradicts itself.
    #[error("inconsistent track: {0}")]
    Inconsistent(String),
    /// The box writer refuses.
    #[error("box cannot be written: {0}")]
    Boxes(#[from] mp4_atom::Error),
}

impl MediaError {
    /// What a caller can decide by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing(_) | Self::ParameterSet { .. } | Self::Truncated(_) => ErrorKind::Malformed,
            Self::TooMany { .. } => ErrorKind::Limit,
            Self::Unsupported(_) => ErrorKind::Unsupported,
            Self::Inconsistent(_) | Self::Boxes(_) => ErrorKind::Inconsistent,
        }
    }
}
