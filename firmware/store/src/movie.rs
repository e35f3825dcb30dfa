//! A range of footage as an MP4 that nobody writes.

use std::sync::Arc;

use hal::{ChannelId, WallTime};

use crate::error::{ErrorKind, StoreError};
use crate::reader::Reader;

/// Footage without a gap within a movie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    /// Wall time of its first presentation.
    pub start: WallTime,
    /// Wall time of its end.
    pub end: WallTime,
    /// Where it begins in the movie, microseconds.
    pub media_start_micros: i64,
}

/// A planned MP4.
#[derive(Debug)]
pub struct Movie;

impl Movie {
    /// Plans.
    ///
    /// # Errors
    /// `NoFootage`.
    pub fn plan(
        _reader: &Arc<Reader>,
        _channel: ChannelId,
        _start: WallTime,
        _end: WallTime,
    ) -> Result<Self, StoreError> {
        Err(StoreError::new(ErrorKind::NoFootage, std::path::Path::new(""), None, "not yet"))
    }

    /// The file's size in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a movie is never empty")]
    pub fn len(&self) -> u64 {
        0
    }

    /// Wall time to media time.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &[]
    }

    /// Content type with codecs (RFC 6381).
    #[must_use]
    pub fn mime(&self) -> &str {
        ""
    }

    /// Frames a second.
    #[must_use]
    pub fn frame_rate(&self) -> Option<f64> {
        None
    }

    /// A strong validator for the bytes.
    #[must_use]
    pub fn etag(&self) -> &str {
        ""
    }

    /// Reads up to `into.len()` bytes at `offset`; 0 at the end.
    ///
    /// # Errors
    /// `Recycled`, `Damaged`, `Io`.
    pub fn read_at(&self, _offset: u64, _into: &mut [u8]) -> Result<usize, StoreError> {
        Ok(0)
    }
}
