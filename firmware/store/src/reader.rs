//! Reading footage, beside the writer or without one.

use std::path::Path;

use bytes::Bytes;
use hal::{Pts90k, StreamId, WallTime};

use crate::error::{ErrorKind, StoreError};
use crate::runs::Run;
use crate::sample::SampleFormat;
use std::sync::Arc;

/// One access unit as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredUnit {
    /// The stream.
    pub stream: StreamId,
    /// When to present it.
    pub pts: Pts90k,
    /// The wall time of that.
    pub wall: WallTime,
    /// Decoding can start here.
    pub keyframe: bool,
    /// The first unit of a new timeline.
    pub discontinuity: bool,
    /// What a decoder must know first; the same `Arc` within a chunk.
    pub format: Arc<SampleFormat>,
    /// Video: NAL units behind 4-byte lengths, without parameter sets. Audio: as it came.
    pub data: Bytes,
}

/// A volume to read from.
#[derive(Debug)]
pub struct Reader;

/// Iterates over stored units; made by [`Reader::units`].
#[derive(Debug)]
pub struct Units<'a>(std::marker::PhantomData<&'a ()>);

impl Iterator for Units<'_> {
    type Item = Result<StoredUnit, StoreError>;
    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

impl Reader {
    /// Opens the volume in `dir` read-only.
    ///
    /// # Errors
    /// As the system.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Err(StoreError::new(ErrorKind::Unsupported, dir, None, "not yet"))
    }

    /// Streams with footage.
    ///
    /// # Errors
    /// As the system.
    pub fn streams(&self) -> Result<Vec<StreamId>, StoreError> {
        Ok(Vec::new())
    }

    /// The first and last moment of a stream.
    ///
    /// # Errors
    /// As the system.
    pub fn bounds(&self, _stream: StreamId) -> Result<Option<(WallTime, WallTime)>, StoreError> {
        Ok(None)
    }

    /// Runs that overlap `from`..`to`.
    ///
    /// # Errors
    /// As the system.
    pub fn runs(&self, _stream: StreamId, _from: WallTime, _to: WallTime) -> Result<Vec<Run>, StoreError> {
        Ok(Vec::new())
    }

    /// Units of `from`..`to` in decoding order, from the keyframe before.
    ///
    /// # Errors
    /// As the system.
    pub fn units(&self, _stream: StreamId, _from: WallTime, _to: WallTime) -> Result<Units<'_>, StoreError> {
        Ok(Units(std::marker::PhantomData))
    }
}
