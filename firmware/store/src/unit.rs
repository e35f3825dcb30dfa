//! One access unit as it is stored, and those of a chunk.
//!
//! Does not belong here: which chunks (`select`), reading them (`catalog`).

use std::sync::Arc;

use bytes::Bytes;
use evidence::SampleFormat;
use hal::{Pts90k, StreamId, WallTime};

use crate::lane::Selected;

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

impl Selected {
    /// The units that were asked for, out of the chunk's footage.
    pub(crate) fn units<'a>(
        &'a self,
        footage: &'a Bytes,
        format: &'a Arc<SampleFormat>,
    ) -> impl Iterator<Item = StoredUnit> + 'a {
        let header = &self.header;
        let mut at = self.skip_bytes as usize;
        self.frames().iter().map(move |frame| {
            let begin = at;
            at += frame.size as usize;
            StoredUnit {
                stream: header.stream,
                pts: Pts90k(header.pts.0.wrapping_add(i64::from(frame.pts_offset))),
                wall: header.wall_of(frame.pts_offset),
                keyframe: frame.keyframe,
                discontinuity: frame.discontinuity,
                format: Arc::clone(format),
                data: footage.slice(begin..at),
            }
        })
    }
}
