//! Which times a track's chunks cover, and which not.
//!
//! docs/evidence.md, section 6. Does not belong here: why (`reasons`), and whether the chunks are genuine (`walk`).

use hal::{StreamId, WallTime};
use ledger::VolumeId;

use crate::chunk::{CHUNK_DISCONTINUITY, ChunkHeader};
use crate::reasons::Causes;
use crate::report::{Gap, GapKind};

/// Chunks farther apart than this have a gap between them: a second's chunk may be late by half of one.
pub const JOIN_MICROS: i64 = 1_500_000;

/// The same where a source began anew, and at both ends of what was asked for.
pub const NEW_TIMELINE_MICROS: i64 = 500_000;

/// Gaps that are listed for one track: one every 40 s in 12 hours.
const MAX_GAPS: usize = 1_000;

/// Follows a track's chunks.
#[derive(Debug)]
pub(crate) struct Coverage {
    stream: StreamId,
    asked: (WallTime, WallTime),
    last: Option<Last>,
    /// Stretches by volume, so that a loss on one counts only for what came from it.
    stretches: Vec<(VolumeId, WallTime, WallTime)>,
    gaps: Vec<Gap>,
    more: u64,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    volume: VolumeId,
    sequence: u64,
    end: WallTime,
}

impl Coverage {
    /// Of what was asked for.
    pub(crate) fn new(stream: StreamId, start: WallTime, end: WallTime) -> Self {
        Self { stream, asked: (start, end), last: None, stretches: Vec::new(), gaps: Vec::new(), more: 0 }
    }

    /// The next chunk. How far wall time went back before it, in microseconds; 0 where it did not.
    pub(crate) fn chunk(&mut self, volume: VolumeId, header: &ChunkHeader, left_out: bool) -> i64 {
        let (start, end) = (header.start(), header.end());
        let mut back = 0;
        match self.last {
            None => {
                if start.micros_since(self.asked.0) > NEW_TIMELINE_MICROS {
                    self.add(GapKind::Missing, self.asked.0, start);
                }
            }
            Some(last) => {
                let missing = last.volume == volume && header.sequence != last.sequence + 1;
                let anew = header.flags & CHUNK_DISCONTINUITY != 0;
                let limit = if anew { NEW_TIMELINE_MICROS } else { JOIN_MICROS };
                let distance = start.micros_since(last.end);
                if distance < -limit {
                    back = -distance;
                    self.add(GapKind::ClockSetBack, last.end, start);
                } else if distance > limit || missing {
                    self.add(GapKind::Missing, last.end, start.max(last.end));
                }
            }
        }
        if left_out {
            self.add(GapKind::LeftOut, start, end);
        }
        match self.stretches.last_mut() {
            Some((of, _, until)) if *of == volume => *until = end.max(*until),
            _ => self.stretches.push((volume, start, end)),
        }
        self.last = Some(Last { volume, sequence: header.sequence, end });
        back
    }

    /// All gaps in order, each with its reasons; and how many there are besides.
    pub(crate) fn finish(mut self, causes: &Causes) -> (Vec<Gap>, u64) {
        let asked = self.asked;
        let end = self.last.map_or(asked.0, |last| last.end);
        if asked.1.micros_since(end) > NEW_TIMELINE_MICROS {
            self.add(GapKind::Missing, end, asked.1);
        }
        for (from, to, volume) in causes.losses(self.stream) {
            let concerned = |&(of, start, end): &(VolumeId, WallTime, WallTime)| {
                volume.is_none_or(|volume| volume == of) && start < to && end > from
            };
            let shown = self.gaps.iter().any(|gap| gap.from <= to && gap.to >= from);
            if !shown && self.stretches.iter().any(concerned) && from <= asked.1 && to >= asked.0 {
                self.add(GapKind::Loss, from, to);
            }
        }
        self.gaps.sort_by_key(|gap| gap.from);
        for gap in &mut self.gaps {
            gap.reasons = causes.of(self.stream, gap);
        }
        (self.gaps, self.more)
    }

    /// Only what lies in the time that was asked for counts.
    fn add(&mut self, kind: GapKind, from: WallTime, to: WallTime) {
        let (start, end) = self.asked;
        let (from, to) = match kind {
            GapKind::ClockSetBack => (from, to),
            _ => (from.max(start), to.min(end)),
        };
        if from.max(to) < start || from.min(to) > end || (kind != GapKind::ClockSetBack && from > to) {
            return;
        }
        if let Some(last) = self.gaps.last_mut()
            && kind == GapKind::LeftOut
            && last.kind == kind
            && from.micros_since(last.to).abs() <= JOIN_MICROS
        {
            last.to = to;
        } else if self.gaps.len() < MAX_GAPS {
            self.gaps.push(Gap { kind, from, to, reasons: Vec::new() });
        } else {
            self.more += 1;
        }
    }
}
