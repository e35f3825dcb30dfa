//! Runs: footage of one stream without a gap.
//!
//! Does not belong here: where they are kept (`index`).

use evidence::CHUNK_DISCONTINUITY;
use evidence::layout::Hash;
use hal::{ByteCount, Pts90k, StreamId, WallTime};

use crate::segment::Entry;

/// Chunks farther apart than this are two runs: the 1 s commit interval and half of it again, so that a late
/// frame is no gap.
pub(crate) const RUN_GAP_MICROS: i64 = 1_500_000;

/// A source that began anew continues its run if its wall time fits this well: it was never away.
pub(crate) const DISCONTINUITY_GAP_MICROS: i64 = 500_000;

/// A row of the index covers no more than this, so that a search need not look farther back.
pub(crate) const MAX_ROW_MICROS: i64 = 3_600_000_000;

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

/// A run as far as it lies in one segment: a row of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentRun {
    pub(crate) segment: u64,
    pub(crate) stream: StreamId,
    pub(crate) first_sequence: u64,
    pub(crate) last_sequence: u64,
    pub(crate) units: u64,
    pub(crate) payload_bytes: u64,
    pub(crate) start: WallTime,
    pub(crate) end: WallTime,
    pub(crate) format: u32,
    /// The first chunk begins a new timeline.
    pub(crate) discontinuity: bool,
    pub(crate) last_pts: Pts90k,
    pub(crate) last_wall: WallTime,
    pub(crate) last_offset: u64,
    pub(crate) last_hash: Hash,
}

impl SegmentRun {
    fn of(segment: u64, entry: &Entry) -> Self {
        Self {
            segment,
            stream: entry.stream,
            first_sequence: entry.sequence,
            last_sequence: entry.sequence,
            units: u64::from(entry.units),
            payload_bytes: u64::from(entry.payload_bytes),
            start: entry.start(),
            end: entry.end(),
            format: entry.format,
            discontinuity: entry.flags & CHUNK_DISCONTINUITY != 0,
            last_pts: Pts90k(entry.pts.0.wrapping_add(i64::from(entry.last_offset))),
            last_wall: evidence::wall_at(entry.wall, entry.last_offset),
            last_offset: entry.offset,
            last_hash: entry.hash,
        }
    }

    /// Whether `next` goes on where this one ends.
    pub(crate) fn continues_with(&self, next: &Self) -> bool {
        let gap = next.start.micros_since(self.end).abs();
        let limit = if next.discontinuity { DISCONTINUITY_GAP_MICROS } else { RUN_GAP_MICROS };
        next.format == self.format && next.sequence_follows(self) && gap <= limit
    }

    fn sequence_follows(&self, earlier: &Self) -> bool {
        self.first_sequence > earlier.last_sequence
    }

    pub(crate) fn extend(&mut self, next: &Self) {
        self.last_sequence = next.last_sequence;
        self.units += next.units;
        self.payload_bytes += next.payload_bytes;
        self.start = self.start.min(next.start);
        self.end = self.end.max(next.end);
        self.last_pts = next.last_pts;
        self.last_wall = next.last_wall;
        self.last_offset = next.last_offset;
        self.last_hash = next.last_hash;
    }
}

/// The runs of a segment, in the order in which they begin on disk.
pub(crate) fn runs_of(segment: u64, entries: &[Entry]) -> Vec<SegmentRun> {
    let mut runs: Vec<SegmentRun> = Vec::new();
    for entry in entries {
        let fresh = SegmentRun::of(segment, entry);
        match runs.iter_mut().rev().find(|run| run.stream == entry.stream) {
            Some(run)
                if run.continues_with(&fresh)
                    && run.end.max(fresh.end).micros_since(run.start) <= MAX_ROW_MICROS =>
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
            Some(run) if run.continues_with(&row) => run.extend(&row),
            _ => runs.push(row),
        }
    }
    runs
}

impl From<&SegmentRun> for Run {
    fn from(run: &SegmentRun) -> Self {
        Self { stream: run.stream, start: run.start, end: run.end, bytes: ByteCount(run.payload_bytes) }
    }
}
