//! What the store says about itself and about what it did.
//!
//! Does not belong here: doing it (`store`, `keeping`).

use std::time::Duration;

use evidence::ChunkHeader;
use hal::{ByteCount, Pts90k, WallTime};

use crate::config::Cipher;
use crate::retention::{Class, Retention};

/// The last unit of a stream that the store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastUnit {
    /// Its presentation time.
    pub pts: Pts90k,
    /// The wall time of that, to within 0.1 s of what the source said.
    pub wall: WallTime,
}

impl LastUnit {
    /// The last unit in decoding order.
    pub(crate) fn of(chunk: &ChunkHeader) -> Option<Self> {
        let offset = chunk.frames.last()?.pts_offset;
        Some(Self { pts: Pts90k(chunk.pts.0.wrapping_add(i64::from(offset))), wall: chunk.wall_of(offset) })
    }
}

/// A unit that the store has in memory alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnwrittenUnit {
    /// Its presentation time, and the wall time of that.
    pub unit: LastUnit,
    /// Decoding can start here.
    pub keyframe: bool,
}

impl UnwrittenUnit {
    /// Those of a chunk, in decoding order.
    pub(crate) fn all_of(chunk: &ChunkHeader) -> impl Iterator<Item = Self> {
        chunk.frames.iter().map(|frame| Self {
            unit: LastUnit {
                pts: Pts90k(chunk.pts.0.wrapping_add(i64::from(frame.pts_offset))),
                wall: chunk.wall_of(frame.pts_offset),
            },
            keyframe: frame.keyframe,
        })
    }
}

/// What a commit wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitReport {
    /// Chunks made durable.
    pub chunks: u64,
    /// Units in them.
    pub units: u64,
    /// Coded bytes in them.
    pub payload: ByteCount,
    /// Bytes written for them: headers, padding and footers included, the index not.
    pub written: ByteCount,
    /// Segments sealed on the way.
    pub sealed: u64,
    /// Segments that failed and were left for a new one.
    pub failed: u64,
    /// How long it took.
    pub latency: Duration,
    /// The file system was full and the oldest footage made room before its time.
    pub recycled_early: bool,
    /// Segments whose footage was too old and was forgotten.
    pub expired: u64,
    /// Segments whose footage went although the witness could not write it down.
    pub unwitnessed: u64,
    /// Something could not be forgotten or written down, for people; the next commit tries again.
    pub retention_error: Option<String>,
    /// The index could not be written, for people; the footage is durable, and the next commit tries again.
    pub index_error: Option<String>,
}

/// How full a volume is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VolumeStatus {
    /// What all segments may take.
    pub max_bytes: ByteCount,
    /// What they take now.
    pub used_bytes: ByteCount,
    /// Bytes appended, not yet committed.
    pub pending_bytes: ByteCount,
    /// Of those in use, what locks keep from being overwritten: whole segments.
    pub locked_bytes: ByteCount,
    /// What day it is for footage that is forgotten by days. Behind the wall clock after a time without power, or when
    /// the clock was set ahead and is not trusted.
    pub calendar: WallTime,
    /// How payloads lie on disk.
    pub cipher: Cipher,
    /// The volume opens with the owner's recovery key.
    pub recoverable: bool,
}

/// One class of retention: what it takes, and for how long its footage stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassStatus {
    /// Which one.
    pub class: Class,
    /// Its rule.
    pub rule: Retention,
    /// What its segments take.
    pub used_bytes: ByteCount,
    /// What is written a day, from the last 24 hours; `None` in the first hour of a new volume.
    pub bytes_per_day: Option<ByteCount>,
    /// For how long footage that is recorded now will stay; `None` while too little is known.
    pub expected: Option<Duration>,
}
