//! The unit as readers get it, and where a reader starts.

use bytes::Bytes;
use hal::{Pts90k, StreamId, WallTime};

/// What a ring knows about one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitMeta {
    /// Consecutive within one ring file, from 0; a successor of a killed publisher goes on counting.
    pub sequence: u64,
    /// When to present it, on the timeline that the channel's streams share.
    pub pts: Pts90k,
    /// The wall time of that presentation.
    pub wall: WallTime,
    /// Decoding can start here. Always set for audio.
    pub keyframe: bool,
    /// `pts` does not continue from the unit read before: the source or its publisher began anew. Also set on
    /// the first unit after a loss that took the flagged one.
    pub discontinuity: bool,
    /// Bytes.
    pub len: u32,
}

/// One access unit, held in this process and shared by all its readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Its place and time.
    pub meta: UnitMeta,
    /// The coded bytes: Annex B for video, one raw unit for audio.
    pub data: Bytes,
}

/// Where a reader starts. It always starts at a keyframe; what it skips to get there is not counted as lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The oldest keyframe that the ring still holds.
    Oldest,
    /// The newest keyframe that the ring holds.
    LatestKeyframe,
    /// The first keyframe published from now on.
    Next,
}

/// What a reader found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A unit; its bytes are in the buffer.
    Unit(UnitMeta),
    /// The reader was too slow: it continues at the next keyframe that the ring still has.
    Lost {
        /// Units it will never see.
        units: u64,
        /// GOPs it has no complete copy of. May count one too many when the reader stood exactly between
        /// two GOPs and the index no longer tells.
        gops: u64,
    },
    /// Nothing new; wait.
    Empty,
    /// Nothing more will come from this file: open the stream again.
    Retired,
}
