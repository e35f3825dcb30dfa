//! Runs: footage of one stream without a gap.
//!
//! Does not belong here: where they are kept (`index`), what a timeline shows of them (`coverage`).
//!
//! Invariants
//! - Whether a run goes on in the next is told from these two alone, so that runs may be joined in any order.
//! - Ends never go back within a run, so that it ends with its last chunk.

use evidence::CHUNK_DISCONTINUITY;
use hal::{ByteCount, StreamId, WallTime};

use crate::segment::Entry;

/// Chunks farther apart than this are two runs: the 1 s commit interval and half of it again, so that a late
/// frame is no gap.
pub(crate) const RUN_GAP_MICROS: i64 = 1_500_000;

/// A source that began anew continues its run if its wall time fits this well: it was never away.
pub(crate) const DISCONTINUITY_GAP_MICROS: i64 = 500_000;

/// A row of the index covers no more than this, so that a search need not look farther back.
pub(crate) const MAX_ROW_MICROS: i64 = 3_600_000_000;

/// A day of UTC: rows of the index and the spans made of them hold chunks that begin on one.
pub(crate) const DAY_MICROS: i64 = 86_400_000_000;

/// The first presentation and the end of the last one.
pub type Bounds = (WallTime, WallTime);

/// What spans both, and what is between them.
#[must_use]
pub fn spanning((start, end): Bounds, (first, last): Bounds) -> Bounds {
    (start.min(first), end.max(last))
}

/// Footage of one stream without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The stream.
    pub stream: StreamId,
    /// The first presentation.
    pub start: WallTime,
    /// The end of the last presentation.
    pub end: WallTime,
    /// The bytes of its payloads on disk.
    pub bytes: ByteCount,
}

/// A run as far as it lies in one segment and its chunks begin on one day: a row of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentRun {
    pub(crate) segment: u64,
    pub(crate) stream: StreamId,
    pub(crate) first_sequence: u64,
    pub(crate) last_sequence: u64,
    pub(crate) payload_bytes: u64,
    pub(crate) start: WallTime,
    pub(crate) end: WallTime,
    pub(crate) format: u32,
    /// The first chunk begins a new timeline.
    pub(crate) discontinuity: bool,
    /// Where the last chunk begins in the segment.
    pub(crate) last_offset: u64,
}

impl SegmentRun {
    fn of(segment: u64, entry: &Entry) -> Self {
        Self {
            segment,
            stream: entry.stream,
            first_sequence: entry.sequence,
            last_sequence: entry.sequence,
            payload_bytes: u64::from(entry.payload_bytes),
            start: entry.start(),
            // A chunk of one unit may have no length that is known.
            end: entry.end().max(entry.start()),
            format: entry.format,
            discontinuity: entry.flags & CHUNK_DISCONTINUITY != 0,
            last_offset: entry.offset,
        }
    }

    /// What there is of it on a timeline.
    pub(crate) fn span(&self) -> Span {
        Span {
            stream: self.stream,
            first_sequence: self.first_sequence,
            last_sequence: self.last_sequence,
            start: self.start,
            first_end: self.end,
            end: self.end,
            format: self.format,
            discontinuity: self.discontinuity,
        }
    }

    fn extend(&mut self, next: &Self) {
        self.last_sequence = next.last_sequence;
        self.payload_bytes += next.payload_bytes;
        self.end = next.end;
        self.last_offset = next.last_offset;
    }
}

/// Footage of one stream without a gap, whichever segments it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) stream: StreamId,
    pub(crate) first_sequence: u64,
    pub(crate) last_sequence: u64,
    pub(crate) start: WallTime,
    /// The end of the first run in it.
    pub(crate) first_end: WallTime,
    pub(crate) end: WallTime,
    pub(crate) format: u32,
    /// The first chunk begins a new timeline.
    pub(crate) discontinuity: bool,
}

impl Span {
    /// Whether `next` goes on where this one ends.
    pub(crate) fn continues_with(&self, next: &Self) -> bool {
        let gap = next.start.micros_since(self.end).abs();
        let limit = if next.discontinuity { DISCONTINUITY_GAP_MICROS } else { RUN_GAP_MICROS };
        next.stream == self.stream
            && next.first_sequence == self.last_sequence.wrapping_add(1)
            && next.format == self.format
            && next.first_end >= self.end
            && gap <= limit
    }

    /// Whether `next` goes on where this one ends, and began on the same day.
    pub(crate) fn joins(&self, next: &Self) -> bool {
        self.continues_with(next) && day_of(self.start) == day_of(next.start)
    }

    pub(crate) fn extend(&mut self, next: &Self) {
        self.last_sequence = next.last_sequence;
        self.end = next.end;
    }
}

/// The day of UTC, counted from 1970-01-01.
pub(crate) fn day_of(wall: WallTime) -> i64 {
    wall.as_unix_micros().div_euclid(DAY_MICROS)
}

/// The runs of a segment, of what is not deleted, in the order in which they begin on disk.
pub(crate) fn runs_of(segment: u64, entries: &[Entry]) -> Vec<SegmentRun> {
    let mut runs: Vec<SegmentRun> = Vec::new();
    for entry in entries.iter().filter(|entry| !entry.deleted) {
        let fresh = SegmentRun::of(segment, entry);
        match runs.iter_mut().rev().find(|run| run.stream == entry.stream) {
            Some(run)
                if run.span().joins(&fresh.span()) && fresh.end.micros_since(run.start) <= MAX_ROW_MICROS =>
            {
                run.extend(&fresh);
            }
            _ => runs.push(fresh),
        }
    }
    runs
}

/// Joins what goes on across segments; `rows` of one stream in recording order.
pub(crate) fn join(rows: impl IntoIterator<Item = SegmentRun>) -> Vec<SegmentRun> {
    let mut runs: Vec<SegmentRun> = Vec::new();
    for row in rows {
        match runs.last_mut() {
            Some(run) if run.span().continues_with(&row.span()) => run.extend(&row),
            _ => runs.push(row),
        }
    }
    runs
}

/// Joins what goes on; `spans` of one stream in recording order.
pub(crate) fn join_spans(spans: impl IntoIterator<Item = Span>) -> Vec<Span> {
    let mut joined: Vec<Span> = Vec::new();
    for span in spans {
        match joined.last_mut() {
            Some(last) if last.continues_with(&span) => last.extend(&span),
            _ => joined.push(span),
        }
    }
    joined
}

/// Joins what two volumes have, each in order: what touches on both sides is one. What one volume has twice, because the clock
/// was set back, stays so.
pub(crate) fn join_sides<T>(
    one: Vec<T>,
    other: Vec<T>,
    times: impl Fn(&T) -> (WallTime, WallTime),
    extend: impl Fn(&mut T, T),
) -> Vec<T> {
    let (mut one, mut other) = (one.into_iter().peekable(), other.into_iter().peekable());
    let mut joined: Vec<(T, bool)> = Vec::new();
    loop {
        let of_other = match (one.peek(), other.peek()) {
            (Some(one), Some(other)) => times(other).0 < times(one).0,
            (one, _) => one.is_none(),
        };
        let Some(run) = (if of_other { other.next() } else { one.next() }) else { break };
        let (start, end) = times(&run);
        match joined.last_mut() {
            Some((last, side))
                if *side != of_other && start.micros_since(times(last).1) <= RUN_GAP_MICROS =>
            {
                if end > times(last).1 {
                    *side = of_other;
                }
                extend(last, run);
            }
            _ => joined.push((run, of_other)),
        }
    }
    joined.into_iter().map(|(run, _)| run).collect()
}

impl From<&SegmentRun> for Run {
    fn from(run: &SegmentRun) -> Self {
        Self { stream: run.stream, start: run.start, end: run.end, bytes: ByteCount(run.payload_bytes) }
    }
}
