//! Why footage is missing: what the ledger's leaves say about gaps.
//!
//! docs/evidence.md, section 6. Does not belong here: whether a leaf is in the ledger (`statement`).

use hal::{ChannelId, StreamId, StreamKind, WallTime};
use ledger::{Event, Leaf, LossReason, RemovalReason, VolumeId};

use crate::moment::Time;
use crate::report::{Gap, GapKind, Reason};

/// How far from a gap's ends a leaf may have been written that has no times of its own: a recorder that starts is up
/// within that.
const SLACK_MICROS: i64 = 5_000_000;

/// Reasons that are listed for one gap.
const MAX_REASONS: usize = 8;

/// The leaves of a proof that can explain something.
#[derive(Debug, Default)]
pub(crate) struct Causes(Vec<Cause>);

#[derive(Debug)]
struct Cause {
    reason: Reason,
    when: When,
}

#[derive(Clone, Copy, Debug)]
struct Stretch {
    stream: StreamId,
    start: WallTime,
    end: WallTime,
}

#[derive(Debug)]
enum When {
    /// Footage was not recorded, on this volume where one is named.
    Lost(Stretch, Option<VolumeId>),
    /// Footage was taken away.
    Removed(Vec<Stretch>),
    /// A step of the clock.
    Step(WallTime, WallTime),
    /// Something at this moment.
    At(WallTime),
}

impl Causes {
    /// Keeps what a leaf says about `streams`, if it explains anything.
    pub(crate) fn add(&mut self, leaf: u64, content: &Leaf, streams: &[StreamId]) {
        let Some((when, what)) = explain(content, streams) else { return };
        self.0.push(Cause { reason: Reason { leaf, at: content.time, what }, when });
    }

    /// What is said about a gap of `stream`.
    pub(crate) fn of(&self, stream: StreamId, gap: &Gap) -> Vec<Reason> {
        if gap.kind == GapKind::LeftOut {
            return Vec::new();
        }
        let fitting = self.0.iter().filter(|cause| cause.when.explains(stream, gap));
        fitting.take(MAX_REASONS).map(|cause| cause.reason.clone()).collect()
    }

    /// Times in which footage of `stream` was lost, and on which volume.
    pub(crate) fn losses(
        &self,
        stream: StreamId,
    ) -> impl Iterator<Item = (WallTime, WallTime, Option<VolumeId>)> {
        self.0.iter().filter_map(move |cause| match &cause.when {
            When::Lost(lost, volume) if lost.stream == stream => Some((lost.start, lost.end, *volume)),
            _ => None,
        })
    }
}

impl Stretch {
    fn meets(&self, stream: StreamId, from: WallTime, to: WallTime) -> bool {
        self.stream == stream && self.start <= to && self.end >= from
    }
}

impl When {
    fn explains(&self, stream: StreamId, gap: &Gap) -> bool {
        let (from, to) = (gap.from.min(gap.to), gap.from.max(gap.to));
        match self {
            Self::Lost(lost, _) => lost.meets(stream, from, to),
            Self::Removed(removed) => removed.iter().any(|removed| removed.meets(stream, from, to)),
            Self::Step(before, after) => near(*before, gap.from) && near(*after, gap.to),
            Self::At(at) => at.micros_since(from) >= -SLACK_MICROS && to.micros_since(*at) >= -SLACK_MICROS,
        }
    }
}

fn near(one: WallTime, other: WallTime) -> bool {
    one.micros_since(other).abs() <= SLACK_MICROS
}

fn explain(leaf: &Leaf, streams: &[StreamId]) -> Option<(When, String)> {
    let at = When::At(leaf.time);
    Some(match &leaf.event {
        Event::FootageLost { volume, channel, stream, start, end, units, reason } => {
            let stream = StreamId::new(*channel, *stream);
            if !streams.contains(&stream) {
                return None;
            }
            let lost = Stretch { stream, start: *start, end: *end };
            let units = if *units > 0 { format!(", {units} units were lost") } else { String::new() };
            (When::Lost(lost, *volume), format!("{}{units}", loss(*reason)))
        }
        Event::SegmentRemoved { reason, streams: ranges, .. } => {
            let ranges = ranges.iter().map(|range| (range.channel, range.stream, range.start, range.end));
            (removed(ranges, streams)?, removal(*reason).into())
        }
        Event::VolumeErased { by, streams: spans, .. } => {
            let spans = spans.iter().map(|span| (span.channel, span.stream, span.start, span.end));
            (removed(spans, streams)?, format!("erased with its disk by {by}"))
        }
        Event::FootageDeleted { by, streams: spans, .. } => {
            let spans = spans.iter().map(|span| (span.channel, span.stream, span.start, span.end));
            (removed(spans, streams)?, format!("deleted by {by}"))
        }
        Event::ClockStep { before, after } => {
            let (from, to) = (Time(*before), Time(*after));
            (When::Step(*before, *after), format!("the clock was set from {from} to {to}"))
        }
        Event::RecorderStarted { version } => (at, format!("the recorder started (version {version})")),
        Event::RecorderStopped => (at, "the recorder was stopped in order".into()),
        Event::VolumeOpened { volume } => (at, format!("volume {volume} began to be used")),
        Event::VolumeClosed { volume } => (at, format!("volume {volume} was closed in order")),
        Event::VolumeFailed { volume, error } => (at, format!("volume {volume} failed: {error}")),
        _ => return None,
    })
}

/// What went of `streams`; `None` when nothing did.
fn removed(
    all: impl Iterator<Item = (ChannelId, StreamKind, WallTime, WallTime)>,
    streams: &[StreamId],
) -> Option<When> {
    let all =
        all.map(|(channel, kind, start, end)| Stretch { stream: StreamId::new(channel, kind), start, end });
    let removed: Vec<Stretch> = all.filter(|stretch| streams.contains(&stretch.stream)).collect();
    (!removed.is_empty()).then_some(When::Removed(removed))
}

fn loss(reason: LossReason) -> &'static str {
    match reason {
        LossReason::DiskFailed => "the disk failed, was pulled or was full",
        LossReason::RingOverrun => "the disk did not keep up",
        LossReason::NoSignal => "the camera sent nothing",
        LossReason::Other => "something failed",
    }
}

fn removal(reason: RemovalReason) -> &'static str {
    match reason {
        RemovalReason::Overwritten => "overwritten by newer footage",
        RemovalReason::Expired => "older than it may be kept, and removed",
        RemovalReason::VolumeShrunk => "removed, because the volume was given less room",
    }
}
