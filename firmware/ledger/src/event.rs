//! What is written down: the kinds of events.
//!
//! In JSON an event is one flat object; `kind` says which one. Fields are only ever added to a kind; a reader
//! passes over fields and kinds that it does not know. Times are the recorder's wall time; a channel is 1 to
//! 64.
//!
//! Does not belong here: when something is written (crates `store`, `recorder`, `candor`).

use std::net::IpAddr;

use hal::{ChannelId, StreamKind, WallTime};
use serde::{Deserialize, Serialize};

use crate::hex::{Hash, VolumeId};
use crate::moment;
use crate::text::Text;

/// The chunks of one stream in one segment: what a proof of footage starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRange {
    /// The channel.
    pub channel: ChannelId,
    /// Which of its streams.
    pub stream: StreamKind,
    /// Sequence number of the first chunk.
    pub first_sequence: u64,
    /// Sequence number of the last chunk.
    pub last_sequence: u64,
    /// When the first presentation begins.
    #[serde(with = "moment")]
    pub start: WallTime,
    /// When the last presentation ends.
    #[serde(with = "moment")]
    pub end: WallTime,
    /// SHA-256 of the last chunk's header, which through the hash chain vouches for all before it
    /// (docs/storage.md). Left out where the footage is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Hash>,
}

/// The newest chunk of one stream: what a proof of footage in a segment that is still open ends at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamHead {
    /// The channel.
    pub channel: ChannelId,
    /// Which of its streams.
    pub stream: StreamKind,
    /// Sequence number of the chunk.
    pub sequence: u64,
    /// SHA-256 of its header.
    pub head: Hash,
}

/// The footage of one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSpan {
    /// The channel.
    pub channel: ChannelId,
    /// Which of its streams.
    pub stream: StreamKind,
    /// When the first presentation begins.
    #[serde(with = "moment")]
    pub start: WallTime,
    /// When the last presentation ends.
    #[serde(with = "moment")]
    pub end: WallTime,
}

/// Why the recorder removed footage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemovalReason {
    /// Its room was needed for new footage.
    Overwritten,
    /// It was older than its class of retention allows.
    Expired,
    /// The volume was given less room.
    VolumeShrunk,
}

/// Why footage is missing that should be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossReason {
    /// The disk failed, was pulled or was full.
    DiskFailed,
    /// The disk did not keep up: the ring overwrote what was not yet written.
    RingOverrun,
    /// The camera sent nothing.
    NoSignal,
    /// Something else failed.
    Other,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The recorder began to run.
    RecorderStarted {
        /// Of its software.
        version: Text,
    },
    /// The recorder stopped in order. Where this is missing before the next start, the power went.
    RecorderStopped,
    /// A volume began to be used.
    VolumeOpened {
        /// Which one.
        volume: VolumeId,
    },
    /// A volume was closed in order.
    VolumeClosed {
        /// Which one.
        volume: VolumeId,
    },
    /// A volume failed.
    VolumeFailed {
        /// Which one.
        volume: VolumeId,
        /// What the system said.
        error: Text,
    },
    /// A segment is full and will not change any more.
    SegmentSealed {
        /// The volume it lies on.
        volume: VolumeId,
        /// Its number.
        segment: u64,
        /// Its class of retention.
        class: u8,
        /// What it holds, each with its head.
        streams: Vec<StreamRange>,
    },
    /// A segment's footage goes; written before the file is touched.
    SegmentRemoved {
        /// The volume it lies on.
        volume: VolumeId,
        /// Its number.
        segment: u64,
        /// Why.
        reason: RemovalReason,
        /// What it held.
        streams: Vec<StreamRange>,
    },
    /// A volume's key is destroyed, or its disk formatted, so that nobody can read its footage any more; written before that
    /// is done.
    VolumeErased {
        /// Which one.
        volume: VolumeId,
        /// Who had it done.
        by: Text,
        /// What it held; nothing where this recorder could not read it either.
        streams: Vec<StreamSpan>,
    },
    /// Somebody has footage deleted; written before it is touched.
    FootageDeleted {
        /// The volume it lies on.
        volume: VolumeId,
        /// Who had it done.
        by: Text,
        /// What goes: the chunks of which a part is shown then.
        streams: Vec<StreamSpan>,
    },
    /// Footage that should be there is not.
    FootageLost {
        /// The volume that should have it, where there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        volume: Option<VolumeId>,
        /// The channel.
        channel: ChannelId,
        /// Which of its streams.
        stream: StreamKind,
        /// When it begins to be missing.
        #[serde(with = "moment")]
        start: WallTime,
        /// When it is there again.
        #[serde(with = "moment")]
        end: WallTime,
        /// How many access units, as far as that is known.
        units: u64,
        /// Why.
        reason: LossReason,
    },
    /// The clock was set by more than it drifts.
    ClockStep {
        /// What it said.
        #[serde(with = "moment")]
        before: WallTime,
        /// What it says now.
        #[serde(with = "moment")]
        after: WallTime,
    },
    /// Footage was locked: it is not overwritten.
    FootageLocked {
        /// Which channels.
        channels: Vec<ChannelId>,
        /// From when.
        #[serde(with = "moment")]
        start: WallTime,
        /// Until when.
        #[serde(with = "moment")]
        end: WallTime,
        /// Who did.
        by: Text,
        /// Why, in their words.
        reason: Text,
    },
    /// Footage was unlocked.
    FootageUnlocked {
        /// Which channels.
        channels: Vec<ChannelId>,
        /// From when.
        #[serde(with = "moment")]
        start: WallTime,
        /// Until when.
        #[serde(with = "moment")]
        end: WallTime,
        /// Who did.
        by: Text,
        /// Why, in their words.
        reason: Text,
    },
    /// What a channel shows was marked as an event, which may be kept for longer.
    EventMarked {
        /// Who did.
        by: Text,
        /// From where; nowhere when at the recorder itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<IpAddr>,
        /// The channel.
        channel: ChannelId,
        /// For how long, from then on.
        seconds: u64,
    },
    /// Footage was saved.
    Export {
        /// Who did.
        by: Text,
        /// From where; nowhere when at the recorder itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<IpAddr>,
        /// Which channels.
        channels: Vec<ChannelId>,
        /// From when.
        #[serde(with = "moment")]
        start: WallTime,
        /// Until when.
        #[serde(with = "moment")]
        end: WallTime,
        /// The newest chunks that the export covers, so that those in an open segment are vouched for too.
        heads: Vec<StreamHead>,
        /// SHA-256 of what the file's proof calls its manifest (docs/evidence.md); left out where the file has no proof.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        manifest: Option<Hash>,
    },
    /// Somebody began to watch, live or recorded.
    ViewStarted {
        /// Who.
        by: Text,
        /// From where; nowhere when at the recorder itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<IpAddr>,
        /// The channel.
        channel: ChannelId,
        /// Which of its streams.
        stream: StreamKind,
        /// How: `rtsp`, `web`, `onvif`, `screen`.
        via: Text,
    },
    /// Somebody stopped watching.
    ViewEnded {
        /// Who.
        by: Text,
        /// From where; nowhere when at the recorder itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<IpAddr>,
        /// The channel.
        channel: ChannelId,
        /// Which of its streams.
        stream: StreamKind,
        /// How: `rtsp`, `web`, `onvif`, `screen`.
        via: Text,
        /// For how long.
        seconds: u64,
    },
    /// Somebody logged in.
    LoginOk {
        /// Who.
        by: Text,
        /// From where; nowhere when at the recorder itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<IpAddr>,
    },
    /// Somebody tried to log in.
    LoginFailed {
        /// The name that was given.
        by: Text,
        /// From where; nowhere when at the recorder itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<IpAddr>,
    },
    /// Settings were changed.
    SettingsChanged {
        /// Who did.
        by: Text,
        /// Which ones, never their values: there are secrets among them.
        what: Text,
    },
    /// Other software was installed.
    UpdateInstalled {
        /// Its version.
        version: Text,
    },
    /// The first leaf of a ledger that had to be begun because the one before was damaged.
    LedgerReplaced {
        /// Origin of the one before.
        origin: Text,
        /// Its size at its last checkpoint that could be read.
        size: u64,
        /// Its root there.
        root: Hash,
        /// What was wrong with it.
        reason: Text,
    },
    /// A kind that this program does not know. It is read, never written.
    #[serde(skip)]
    Unknown {
        /// What the leaf calls it.
        kind: Text,
    },
}

impl Event {
    /// The kinds that this program knows.
    pub(crate) const KINDS: &[&str] = &[
        "recorder_started",
        "recorder_stopped",
        "volume_opened",
        "volume_closed",
        "volume_failed",
        "segment_sealed",
        "segment_removed",
        "volume_erased",
        "footage_deleted",
        "footage_lost",
        "clock_step",
        "footage_locked",
        "footage_unlocked",
        "event_marked",
        "export",
        "view_started",
        "view_ended",
        "login_ok",
        "login_failed",
        "settings_changed",
        "update_installed",
        "ledger_replaced",
    ];
}
