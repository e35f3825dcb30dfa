//! What a verification found out.
//!
//! Does not belong here: how it is told to people (`text`), how it was found (`verify`).
//!
//! Invariant: however broken a file is, a report is small.

use std::ops::Range;

use hal::{ChannelId, StreamId, WallTime};
use serde::{Serialize, Serializer};

use crate::moment::Time;

/// Findings that are listed; of more only the number is told.
const MAX_FINDINGS: usize = 100;

/// The four answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The file is what was recorded, all of it.
    AuthenticAndComplete,
    /// The file is what was recorded; something was not recorded or is gone, and the report says what.
    AuthenticWithGaps,
    /// The file is not what was recorded, or its proof does not hold.
    NotAuthentic,
    /// The file does not say that anybody vouches for it.
    NoProof,
}

/// The answer and its reasons.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The answer.
    pub verdict: Verdict,
    /// Who vouches; `None` as long as no signature holds.
    pub recorder: Option<Recorder>,
    /// The export's entry in the ledger.
    pub export: Option<Export>,
    /// Who else has seen the ledger with this entry.
    pub witnesses: Vec<Seen>,
    /// In the file's order.
    pub tracks: Vec<TrackReport>,
    /// Channels that were asked for and of which there was nothing.
    pub absent: Vec<Absent>,
    /// What is wrong; empty when the file is authentic.
    pub findings: Vec<Finding>,
    /// What is wrong besides.
    pub more_findings: u64,
}

/// Whose signature holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recorder {
    /// The ledger's origin: `candor/` and the recorder's ID.
    pub name: String,
    /// The public key as a C2SP vkey.
    pub key: String,
    /// The key's fingerprint (docs/evidence.md, section 6).
    pub fingerprint: String,
    /// Whether it is the key that the caller trusts. Otherwise the report is worth what this key is worth.
    pub trusted: bool,
}

/// The export's leaf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Export {
    /// When, by the recorder's clock.
    #[serde(serialize_with = "moment")]
    pub at: WallTime,
    /// Who.
    pub by: String,
    /// From when footage was asked for.
    #[serde(serialize_with = "moment")]
    pub start: WallTime,
    /// Until when.
    #[serde(serialize_with = "moment")]
    pub end: WallTime,
    /// Its index in the ledger.
    pub leaf: u64,
    /// The number of leaves that the checkpoint counts.
    pub ledger_size: u64,
}

/// A co-signer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The name of its key.
    pub by: String,
    /// When, by its own clock.
    #[serde(serialize_with = "moment")]
    pub at: WallTime,
}

/// One track.
#[derive(Clone, Debug, Serialize)]
pub struct TrackReport {
    /// `track_ID`.
    pub track: u32,
    /// Whose footage it is.
    pub stream: StreamId,
    /// When the first chunk begins; with what was only needed to decode, before what was asked for.
    #[serde(serialize_with = "maybe_moment")]
    pub from: Option<WallTime>,
    /// When the last chunk ends.
    #[serde(serialize_with = "maybe_moment")]
    pub to: Option<WallTime>,
    /// Chunks whose samples are in the file.
    pub chunks: u64,
    /// How many of them the ledger knew before the export.
    pub sealed_chunks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is missing, in order.
    pub gaps: Vec<Gap>,
    /// How many gaps there are besides.
    pub more_gaps: u64,
}

/// A channel without a track.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Absent {
    /// Which one.
    pub channel: ChannelId,
    /// What the ledger says about it; without any, no reason is recorded.
    pub reasons: Vec<Reason>,
}

/// Why a stretch of time is not simply there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GapKind {
    /// There is no footage.
    Missing,
    /// Wall time goes on at an earlier time than it had reached.
    ClockSetBack,
    /// There is footage that the file's track cannot hold: sound of another format.
    LeftOut,
    /// The recorder wrote down that units were lost; the times join nevertheless.
    Loss,
}

/// A gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// What it is.
    pub kind: GapKind,
    /// Where footage ends.
    #[serde(serialize_with = "moment")]
    pub from: WallTime,
    /// Where it goes on; before `from` where the clock was set back.
    #[serde(serialize_with = "moment")]
    pub to: WallTime,
    /// What the ledger says about it; without any, no reason is recorded.
    pub reasons: Vec<Reason>,
}

/// A leaf that says why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Its index in the ledger.
    pub leaf: u64,
    /// When it was written.
    #[serde(serialize_with = "moment")]
    pub at: WallTime,
    /// What it says, for people.
    pub what: String,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// For people.
    pub what: String,
    /// Where.
    pub place: Place,
}

/// A place in the file and in the footage, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// `track_ID`.
    pub track: Option<u32>,
    /// Whose footage.
    pub stream: Option<StreamId>,
    /// From when, by the recorder's clock.
    #[serde(serialize_with = "maybe_moment")]
    pub from: Option<WallTime>,
    /// Until when.
    #[serde(serialize_with = "maybe_moment")]
    pub to: Option<WallTime>,
    /// Bytes of the file.
    pub bytes: Option<Range<u64>>,
}

impl Place {
    /// One byte.
    pub(crate) fn byte(at: u64) -> Self {
        Self::bytes(at..at.saturating_add(1))
    }

    pub(crate) fn bytes(bytes: Range<u64>) -> Self {
        Self { bytes: Some(bytes), ..Self::default() }
    }

    pub(crate) fn in_track(mut self, track: u32, stream: StreamId) -> Self {
        self.track = Some(track);
        self.stream = Some(stream);
        self
    }

    pub(crate) fn during(mut self, from: WallTime, to: WallTime) -> Self {
        (self.from, self.to) = (Some(from), Some(to));
        self
    }
}

/// Collects findings, and counts those for which there is no room.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) list: Vec<Finding>,
    pub(crate) more: u64,
}

impl Findings {
    /// Neighbours that differ only in where they are become one.
    pub(crate) fn add(&mut self, what: impl Into<String>, place: Place) {
        let what = what.into();
        if let Some(last) = self.list.last_mut()
            && last.what == what
            && last.place.goes_on_with(&place)
        {
            last.place.to = place.to;
            if let (Some(bytes), Some(more)) = (&mut last.place.bytes, &place.bytes) {
                bytes.end = bytes.end.max(more.end);
            }
        } else if self.list.len() < MAX_FINDINGS {
            self.list.push(Finding { what, place });
        } else {
            self.more += 1;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl Place {
    /// Of the same track, and within a second in time.
    fn goes_on_with(&self, other: &Self) -> bool {
        let near = |to: WallTime, from: WallTime| from.micros_since(to).abs() < 1_000_000;
        self.track == other.track && self.to.zip(other.from).is_some_and(|(to, from)| near(to, from))
    }
}

fn moment<S: Serializer>(time: &WallTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Time(*time))
}

fn maybe_moment<S: Serializer>(time: &Option<WallTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => moment(time, serializer),
        None => serializer.serialize_none(),
    }
}
