//! What can go wrong with the server itself.
//!
//! A client's errors are RTSP status codes.

/// What a caller can decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// No free pair of UDP ports; RTSP works over TCP without.
    NoPorts,
    /// A socket failed.
    Io,
}

/// A failure of the server.
#[derive(Debug, thiserror::Error)]
pub enum RtspError {
    /// No even port with a free odd one above it.
    #[error("no free pair of UDP ports for RTP on {address}")]
    NoPorts {
        /// The address that was tried.
        address: std::net::IpAddr,
    },
    /// A socket failed.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// The operating system's answer.
        source: std::io::Error,
    },
}

impl RtspError {
    /// What a caller can decide by.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoPorts { .. } => ErrorKind::NoPorts,
            Self::Io { .. } => ErrorKind::Io,
        }
    }
}
