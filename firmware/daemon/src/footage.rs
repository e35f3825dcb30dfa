//! What `serve` may ask of `record` about footage, and the answers.
//!
//! One request, one answer, over a Unix socket in the run folder; an answer with bytes is followed by exactly
//! that many raw bytes. `record` alone has disks and keys: what comes out here is what the asker may show.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use hal::{ChannelId, Pts90k, StreamId, WallTime};
use serde::{Deserialize, Serialize};

use crate::footage_deletions::{DeletionRefusal, DeletionScope, DeletionView, DeletionWish};
use crate::footage_locks::{LockRefusal, LockView, LockWish};
use crate::volume_order::{VolumeAct, VolumeRefusal};

/// The most bytes one read answers.
pub(crate) const MAX_READ_BYTES: u32 = 256 << 10;
/// The most bytes of a unit: as the recorder takes it, with lengths for start codes of three bytes.
pub(crate) const MAX_UNIT_BYTES: usize = 2 * hal::MAX_UNIT_BYTES;
/// The most runs a channel that one answer lists: a timeline has no more pixels.
pub(crate) const MAX_RUNS: usize = 2000;

/// The socket's place.
pub(crate) fn socket_path(run_dir: &Path) -> PathBuf {
    run_dir.join("record.sock")
}

/// Which file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileOf {
    /// Each with what players call its tracks.
    pub(crate) channels: Vec<(ChannelId, String)>,
    pub(crate) start: WallTime,
    pub(crate) end: WallTime,
}

/// Which footage, and which way; as `store::ReplayRequest` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReplayOf {
    pub(crate) stream: StreamId,
    pub(crate) sound: bool,
    pub(crate) start: WallTime,
    pub(crate) end: WallTime,
    pub(crate) reverse: bool,
    pub(crate) keyframes_only: bool,
}

/// A question.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// What is recorded of these channels' main streams between two moments.
    Timeline { channels: Vec<ChannelId>, start: WallTime, end: WallTime },
    /// A range as an MP4 file: its size and how its time runs.
    Plan(FileOf),
    /// The same with the proof of what the recorder recorded, where there is a ledger; writes the export down.
    Export { file: FileOf, by: String, from: Option<IpAddr> },
    /// A part of that file; the plan is made again when it is no longer kept.
    Read { file: FileOf, etag: String, offset: u64, length: u32 },
    /// Fragments from `start` on, media time 0 being `zero`. Answered by [`Response::Stream`], any number of
    /// [`Response::Bytes`] and an [`Response::End`]; a connection that ends instead may be asked anew.
    Play { channel: ChannelId, start: WallTime, end: WallTime, zero: WallTime, sound: bool },
    /// Units one by one. Answered by [`Response::Replay`], any number of [`Response::Unit`] and an [`Response::End`].
    Replay(ReplayOf),
    /// Write an event down in the ledger: `ledger::Event` as JSON, and when it was.
    Note { unix_micros: i64, event: String },
    /// How far the ledger is, and its leaves before number `before`, or the newest.
    Ledger { before: Option<u64>, limit: u16 },
    /// All locks.
    Locks,
    /// To keep footage.
    Lock(LockWish),
    /// To keep it no more, and who says so.
    Unlock { id: u64, by: String },
    /// All deletions that are not done.
    Deletions,
    /// What would be deleted.
    Deletable(DeletionWish),
    /// To delete it, and who says so.
    Delete { wish: DeletionWish, by: String },
    /// To do something with the volume in this folder.
    Order { path: String, act: VolumeAct },
}

/// An answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Response {
    Timeline(Vec<ChannelFootage>),
    Plan(Plan),
    /// This many bytes follow.
    Bytes(u32),
    /// It will be in the ledger.
    Noted,
    Ledger(LedgerPage),
    /// A stream of this content type.
    Stream {
        mime: String,
    },
    /// Units follow.
    Replay(ReplayHead),
    /// A unit, whose bytes follow.
    Unit(UnitHead),
    /// The stream was sent to its end.
    End,
    /// Nothing is recorded there.
    NoFootage,
    /// The footage was overwritten or changed since the plan was made.
    Changed,
    /// All locks, the oldest first.
    Locks(Result<Vec<LockView>, LockRefusal>),
    /// The lock, and the bytes that it keeps and no other does.
    Locked(Result<(LockView, u64), LockRefusal>),
    Unlocked(Result<(), LockRefusal>),
    /// All deletions that are not done, the oldest first.
    Deletions(Result<Vec<DeletionView>, DeletionRefusal>),
    /// What is deleted from now on, or would be.
    Deletable(Result<DeletionScope, DeletionRefusal>),
    /// The order was followed, or why not.
    Ordered(Result<(), VolumeRefusal>),
    /// It could not be read; the words are for the log.
    Failed(String),
}

/// What is replayed. Formats are `store::SampleFormat`'s bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ReplayHead {
    pub(crate) video: Vec<u8>,
    /// `None` where there is no sound, or it was not asked for.
    pub(crate) audio: Option<Vec<u8>>,
    /// When the first picture is shown.
    pub(crate) first: WallTime,
    /// The end of all of the stream's footage.
    pub(crate) newest: WallTime,
}

/// One unit; as `store::ReplayUnit` has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UnitHead {
    /// Another format than this track had so far.
    pub(crate) format: Option<Vec<u8>>,
    pub(crate) sound: bool,
    pub(crate) pts: Pts90k,
    pub(crate) wall: WallTime,
    pub(crate) keyframe: bool,
    pub(crate) missing_micros: Option<i64>,
    pub(crate) ends_section: bool,
    pub(crate) is_last: bool,
    /// At most [`MAX_UNIT_BYTES`].
    pub(crate) bytes: u32,
}

/// A part of the ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LedgerPage {
    pub(crate) head: LedgerHead,
    /// Number and text, newest first.
    pub(crate) leaves: Vec<(u64, String)>,
}

/// How far the ledger is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LedgerHead {
    /// Its origin; empty while there is none.
    pub(crate) origin: String,
    /// The public key, as a C2SP vkey.
    pub(crate) key: String,
    /// Of the key.
    pub(crate) fingerprint: String,
    /// The last signed checkpoint, as its text.
    pub(crate) checkpoint: String,
    /// Leaves, those behind the checkpoint included.
    pub(crate) size: u64,
}

/// One channel's footage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ChannelFootage {
    pub(crate) channel: ChannelId,
    pub(crate) runs: Vec<(WallTime, WallTime)>,
    pub(crate) oldest: Option<WallTime>,
    pub(crate) newest: Option<WallTime>,
}

/// A range as a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The moment of media time 0.
    pub(crate) start: WallTime,
    pub(crate) end: WallTime,
    pub(crate) bytes: u64,
    /// Changes whenever any byte would.
    pub(crate) etag: String,
    pub(crate) mime: String,
    pub(crate) frame_rate: f64,
    /// Of the first track.
    pub(crate) pieces: Vec<Piece>,
    pub(crate) codecs: Vec<String>,
    /// What should be in it and cannot be read.
    pub(crate) unread: Vec<(WallTime, WallTime)>,
}

/// A part without a gap.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Piece {
    pub(crate) start: WallTime,
    pub(crate) end: WallTime,
    pub(crate) media_start_sec: f64,
}
