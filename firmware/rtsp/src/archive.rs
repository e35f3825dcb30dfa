//! Recorded footage, as the server asks its owner for it.
//!
//! Does not belong here: where footage lies and how it is read; what becomes of it (`replay.rs`).

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use hal::{Pts90k, StreamFormat, StreamId, WallTime};
use media::ParameterSets;
use tokio::sync::mpsc;

/// A stretch of a channel's footage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveRequest {
    /// The video stream.
    pub stream: StreamId,
    /// The channel's sound, too, in turns with the pictures; forwards, with all pictures.
    pub sound: bool,
    /// The first moment; what comes begins with the keyframe before.
    pub start: WallTime,
    /// The end, or later than all footage.
    pub end: WallTime,
    /// The last picture group first, each in decoding order.
    pub reverse: bool,
    /// Keyframes alone.
    pub keyframes_only: bool,
}

/// Footage that is there.
#[derive(Debug)]
pub struct Recording {
    /// Of the first picture.
    pub video: Arc<RecordedFormat>,
    /// Of the first sound; `None` where there is none or it was not asked for.
    pub audio: Option<Arc<RecordedFormat>>,
    /// When the first picture is shown.
    pub first: WallTime,
    /// The end of all footage of the stream.
    pub newest: WallTime,
    /// The units; their source waits for whoever takes them, and ends when this is dropped. Closed at the end of the stretch;
    /// an error ends it early.
    pub units: mpsc::Receiver<io::Result<RecordedUnit>>,
}

/// What a decoder must know first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedFormat {
    /// Codec and parameters.
    pub format: StreamFormat,
    /// Of video.
    pub parameter_sets: ParameterSets,
}

/// One recorded access unit.
#[derive(Clone, Debug)]
pub struct RecordedUnit {
    /// What a decoder must know; video or audio tells the track.
    pub format: Arc<RecordedFormat>,
    /// When to present it.
    pub pts: Pts90k,
    /// When it was recorded.
    pub wall: WallTime,
    /// Decoding can start here.
    pub keyframe: bool,
    /// That nothing is recorded for so long between it and what came before, microseconds. Backwards: behind the picture
    /// group that it begins.
    pub missing_micros: Option<i64>,
    /// The last of its track before a gap.
    pub ends_section: bool,
    /// The last of its track.
    pub is_last: bool,
    /// Video: NAL units behind 4-byte lengths, without parameter sets. Audio: as it was recorded.
    pub data: Bytes,
}

impl RecordedUnit {
    pub(crate) fn is_sound(&self) -> bool {
        matches!(self.format.format, StreamFormat::Audio(_))
    }
}

/// Why footage cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// Nothing is recorded there.
    #[error("nothing is recorded there")]
    NoFootage,
    /// As much is replayed as the recorder serves.
    #[error("as much is replayed as the recorder serves")]
    Full,
    /// The disk cannot be read now.
    #[error("the disk cannot be read now")]
    Unavailable,
}

/// What [`Archive::open`] answers with, in time.
pub type Opening<'a> = Pin<Box<dyn Future<Output = Result<Recording, ArchiveError>> + Send + 'a>>;

/// Has the footage. Asked from many tasks at once.
pub trait Archive: Send + Sync {
    /// Opens a stretch.
    fn open(&self, request: ArchiveRequest) -> Opening<'_>;
}
