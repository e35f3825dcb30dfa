//! Why a file could not be verified at all.

use std::io;

/// The file could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the file cannot be read at byte {offset}: {source}")]
pub struct VerifyError {
    /// Where.
    pub(crate) offset: u64,
    /// What the system said.
    pub(crate) source: io::Error,
}
