//! One volume's chunks of one stream, in recording order.
//!
//! Does not belong here: which volume serves a stretch (`select`), reading payloads (`catalog`).
//!
//! Invariants
//! - Only headers are looked at, a segment's run at a time, and only of segments that are needed.
//! - What cannot be read is noted and passed over: one bad segment hides no other.

use std::collections::VecDeque;
use std::sync::Arc;

use evidence::{CHUNK_DISCONTINUITY, ChunkHeader};
use hal::{Pts90k, StreamId, WallTime};

use crate::error::StoreError;
use crate::runs::{RUN_GAP_MICROS, SegmentRun};
use crate::segment::{Contents, Entry};

/// How far back a keyframe is looked for: 600 frames, the most a GOP may have, at 5 frames a second.
const MAX_GOP_MICROS: i64 = 120_000_000;

/// How far behind `to` chunks are looked at: with B-frames a picture is decoded before others that are shown
/// earlier, but never by more than the 16 pictures of a decoder's memory, at 8 frames a second.
pub(crate) const MAX_REORDER_MICROS: i64 = 2_000_000;

/// Chunks that begin this far from the end of the one before are without a gap: a late frame, less than a lost picture
/// group. Where there is more, the other volumes are asked.
pub(crate) const GOES_ON_MICROS: i64 = 150_000;

/// The wall time of one unit is told this differently by two volumes, because chunks have their anchors in different places.
pub(crate) const ANCHOR_SPREAD_MICROS: i64 = 250_000;

/// A chunk, and the units of it that were asked for.
#[derive(Clone, Debug)]
pub(crate) struct Selected {
    /// Which of the reader's volumes it is on.
    pub(crate) volume: usize,
    pub(crate) segment: u64,
    pub(crate) entry: Entry,
    pub(crate) header: ChunkHeader,
    /// Index of the first unit.
    pub(crate) first: usize,
    /// Index behind the last unit.
    pub(crate) end: usize,
    /// Where the first unit begins in the footage.
    pub(crate) skip_bytes: u64,
    /// Decoding goes on from the chunk given out before: not a unit is missing between them.
    pub(crate) follows: bool,
}

impl Selected {
    /// Begins at another unit.
    pub(crate) fn begin_at(&mut self, first: usize) {
        self.first = first;
        self.skip_bytes = self.header.frames[..first].iter().map(|frame| u64::from(frame.size)).sum();
    }

    /// The units that were asked for.
    pub(crate) fn frames(&self) -> &[evidence::Frame] {
        &self.header.frames[self.first..self.end]
    }

    /// The coded bytes of these units.
    pub(crate) fn bytes(&self) -> u64 {
        self.frames().iter().map(|frame| u64::from(frame.size)).sum()
    }

    /// The last keyframe presented at `from` or before.
    pub(crate) fn last_keyframe(&self, from: WallTime) -> Option<usize> {
        let header = &self.header;
        header.frames.iter().rposition(|frame| frame.keyframe && header.wall_of(frame.pts_offset) <= from)
    }

    /// Wall time less presentation time, microseconds: another one when the clock was set or the timeline is another.
    pub(crate) fn shift(&self) -> i64 {
        self.entry.wall.as_unix_micros().wrapping_sub(self.entry.pts.as_micros())
    }

    pub(crate) fn begins_timeline(&self) -> bool {
        self.entry.flags & CHUNK_DISCONTINUITY != 0
    }

    /// The presentation time so many ticks from the chunk's.
    pub(crate) fn pts_at(&self, offset: i32) -> Pts90k {
        Pts90k(self.entry.pts.0.wrapping_add(offset.into()))
    }

    /// When its last unit in decoding order is presented.
    pub(crate) fn last_pts(&self) -> Option<Pts90k> {
        self.header.frames.last().map(|frame| self.pts_at(frame.pts_offset))
    }

    /// Index of the unit before which others may be missing: all from there on are presented more than `reach` ticks after
    /// all from unit `first` to there; the number of units where there is none.
    pub(crate) fn hole_behind(&self, first: usize, reach: i64) -> usize {
        let frames = &self.header.frames;
        let mut earliest = i32::MAX;
        let mut found = frames.len();
        let mut latest: Vec<i32> = Vec::with_capacity(frames.len() - first);
        for frame in &frames[first..] {
            latest.push(latest.last().map_or(frame.pts_offset, |last| frame.pts_offset.max(*last)));
        }
        for index in (first + 1..frames.len()).rev() {
            earliest = earliest.min(frames[index].pts_offset);
            if i64::from(earliest) - i64::from(latest[index - 1 - first]) > reach {
                found = index;
            }
        }
        found
    }

    /// From one unit to the next, ticks, at least 1: the half of the units that are closer together count.
    pub(crate) fn unit_ticks(&self) -> i64 {
        let mut times: Vec<i32> = self.header.frames.iter().map(|frame| frame.pts_offset).collect();
        times.sort_unstable();
        let last = times.last().map_or(0, |last| i64::from(self.entry.end_offset) - i64::from(*last));
        let mut steps: Vec<i64> =
            times.windows(2).map(|pair| i64::from(pair[1]) - i64::from(pair[0])).collect();
        steps.sort_unstable();
        let middle = steps.get(steps.len().saturating_sub(1) / 2).copied();
        last.min(middle.unwrap_or(last)).max(1)
    }
}

/// What a lane asks of a volume.
pub(crate) trait Chunks {
    /// The runs of a stream that touch `from`..`to`, each in one segment, in recording order.
    ///
    /// # Errors
    /// `Index`, `Io`.
    fn runs(&self, stream: StreamId, from: WallTime, to: WallTime) -> Result<Vec<SegmentRun>, StoreError>;

    /// Where the chunks of a segment are, and their headers.
    ///
    /// # Errors
    /// `NoKey` when no chunk of it can be read; `Recycled`, `Damaged`, `Io`.
    fn chunks(&self, segment: u64) -> Result<Arc<Contents>, StoreError>;

    /// Why a chunk could not be read, when that was tried before.
    fn refusal(&self, segment: u64, entry: &Entry) -> Option<StoreError>;

    /// That the bytes from `offset` on in a segment are not what was written.
    fn damage(&self, segment: u64, offset: u64, what: &str) -> StoreError;
}

/// Footage that should be there and cannot be read.
pub(crate) struct Failure {
    pub(crate) start: WallTime,
    pub(crate) end: WallTime,
    pub(crate) error: StoreError,
}

/// Walks through a stretch of a stream on one volume.
pub(crate) struct Lane<'a> {
    catalog: &'a dyn Chunks,
    volume: usize,
    stream: StreamId,
    from: WallTime,
    to: WallTime,
    /// Runs that were recorded before the first one that is asked for: for the keyframe alone.
    before: Vec<SegmentRun>,
    ahead: VecDeque<SegmentRun>,
    loaded: VecDeque<Selected>,
    /// The last sequence and the end of the run that was read last.
    read: Option<(u64, WallTime)>,
    /// Wall time less presentation time of the chunk that was taken last.
    shift: i64,
    pub(crate) failures: Vec<Failure>,
    /// The beginning was looked for.
    started: bool,
    /// Time only goes forward in it, so that its runs can be passed over by their times.
    pub(crate) in_order: bool,
    /// The next unit of the next chunk.
    pub(crate) at: usize,
}

impl<'a> Lane<'a> {
    /// # Errors
    /// `Index`, `Io`.
    pub(crate) fn new(
        catalog: &'a dyn Chunks,
        volume: usize,
        stream: StreamId,
        from: WallTime,
        to: WallTime,
    ) -> Result<Self, StoreError> {
        let earliest = from.offset_micros(-MAX_GOP_MICROS);
        let runs = catalog.runs(stream, earliest, to.offset_micros(MAX_REORDER_MICROS))?;
        let in_order =
            runs.is_sorted_by(|one, next| next.start.micros_since(one.end) >= -ANCHOR_SPREAD_MICROS);
        // What lies behind the end and was recorded earlier, before the clock was set back, is not where this begins.
        let split = runs.iter().position(|run| run.end > from && run.start < to).unwrap_or(runs.len());
        let mut before = runs;
        let ahead = before.split_off(split).into();
        let (loaded, failures) = (VecDeque::new(), Vec::new());
        let (read, shift, started, at) = (None, 0, false, 0);
        Ok(Self {
            catalog,
            volume,
            stream,
            from,
            to,
            before,
            ahead,
            loaded,
            read,
            shift,
            failures,
            started,
            in_order,
            at,
        })
    }

    /// Whether the index has `from` in a run, or between two that may be one.
    fn covers_start(&self) -> bool {
        self.ahead.front().is_some_and(|run| run.start <= self.from.offset_micros(RUN_GAP_MICROS))
    }

    /// Goes to the last keyframe at or before `from`, if decoding goes on from there; otherwise the lane begins with the first
    /// chunk behind `from`. Tells once whether it is there, and without a gap that another volume might fill.
    pub(crate) fn find_start(&mut self) -> bool {
        if std::mem::replace(&mut self.started, true) || !self.covers_start() {
            return false;
        }
        // All of the first run: the keyframe lies before `from`.
        let earliest = self.from.offset_micros(-MAX_GOP_MICROS);
        if let Some(run) = self.ahead.pop_front() {
            let chunks = self.read_run(&run, earliest);
            self.loaded.extend(chunks);
            self.read = Some((run.last_sequence, run.end));
        }
        let Some(touching) = self.loaded.iter().position(|chunk| chunk.entry.end() > self.from) else {
            self.loaded.clear();
            return false;
        };
        let mut at = touching;
        let mut seamless = true;
        let found = loop {
            if self.loaded[at].last_keyframe(self.from).is_some() {
                break true;
            }
            if at == 0 {
                let Some(run) = self.before.pop() else { break false };
                let chunks = self.read_run(&run, earliest);
                at = chunks.len();
                for chunk in chunks.into_iter().rev() {
                    self.loaded.push_front(chunk);
                }
                if at == 0 {
                    break false;
                }
            }
            let (earlier, later) = (&self.loaded[at - 1], &self.loaded[at]);
            if !decodes_on(earlier, later) {
                break false;
            }
            seamless &= later.entry.start().micros_since(earlier.entry.end()).abs() <= GOES_ON_MICROS;
            at -= 1;
        };
        // Without it the footage begins between keyframes, or behind `from`.
        if !found {
            at = self.loaded.iter().position(|chunk| chunk.entry.end() > self.from).unwrap_or(at);
        }
        self.loaded.drain(..at);
        let keyframe = self.loaded.front().and_then(|chunk| chunk.last_keyframe(self.from));
        self.at = keyframe.filter(|_| found).unwrap_or(0);
        found && seamless
    }

    /// The chunk that is `ahead` chunks from the next one; what was asked for before is kept.
    pub(crate) fn peek(&mut self, ahead: usize) -> Option<&mut Selected> {
        while self.loaded.len() <= ahead {
            let run = self.ahead.pop_front()?;
            let chunks = self.read_run(&run, self.from);
            self.loaded.extend(chunks);
            self.read = Some((run.last_sequence, run.end));
        }
        self.loaded.get_mut(ahead)
    }

    pub(crate) fn pop(&mut self) -> Option<Selected> {
        self.peek(0)?;
        let chunk = self.loaded.pop_front()?;
        self.shift = chunk.shift();
        self.at = 0;
        Some(chunk)
    }

    /// Goes to the unit `at` of the next chunk; behind its last one, to the chunk after it.
    pub(crate) fn go_to(&mut self, at: usize) {
        self.at = at;
        if self.loaded.front().is_some_and(|chunk| at >= chunk.header.frames.len()) {
            self.pop();
        }
    }

    /// Passes over the runs that go on from the one that was read last, as far as their times say that they `may_be_out`, and
    /// the last chunk of them `is_out` and has the same shift. A run may go on over a gap and a clock that was set back by as
    /// much: its times do not tell, but the shift of every chunk behind that. So a few segments are read, however many are
    /// passed over.
    pub(crate) fn skip(
        &mut self,
        may_be_out: impl Fn(WallTime, WallTime, i64) -> bool,
        is_out: impl Fn(&Selected) -> bool,
    ) {
        let Some((mut sequence, mut end)) = self.read.filter(|_| self.loaded.is_empty()) else { return };
        let mut known = 0;
        for run in &self.ahead {
            let goes_on = run.first_sequence == sequence + 1
                && run.start.micros_since(end).abs() <= GOES_ON_MICROS
                && !run.discontinuity;
            if !goes_on || !may_be_out(run.start, run.end, self.shift) {
                break;
            }
            (sequence, end) = (run.last_sequence, run.end);
            known += 1;
        }
        // The first `passed` runs are out, run `behind` is not.
        let (mut passed, mut behind, mut next) = (0, known, known);
        while passed < next {
            let shift = self.shift;
            let same = |chunk: &Selected| (chunk.shift() - shift).abs() <= ANCHOR_SPREAD_MICROS;
            match self.last_of(next - 1).filter(|chunk| same(chunk) && is_out(chunk)) {
                Some(chunk) => (passed, self.shift) = (next, chunk.shift()),
                None => behind = next - 1,
            }
            next = passed + (behind - passed).div_ceil(2);
        }
        if let Some(run) = self.ahead.drain(..passed).next_back() {
            self.read = Some((run.last_sequence, run.end));
        }
    }

    /// The last chunk of the run that is `ahead` runs from the next one.
    fn last_of(&mut self, ahead: usize) -> Option<Selected> {
        let run = self.ahead.get(ahead)?.clone();
        let noted = self.failures.len();
        let chunks = self.read_run(&run, self.from);
        // What cannot be read is noted when it is needed.
        self.failures.truncate(noted);
        chunks.into_iter().next_back().filter(|chunk| chunk.entry.sequence == run.last_sequence)
    }

    /// The chunks of a run from `earliest` on.
    fn read_run(&mut self, run: &SegmentRun, earliest: WallTime) -> Vec<Selected> {
        let contents = match self.catalog.chunks(run.segment) {
            Ok(contents) => contents,
            Err(error) => {
                self.note(run.start, run.end, error);
                return Vec::new();
            }
        };
        let latest = self.to.offset_micros(MAX_REORDER_MICROS);
        let mut chunks = Vec::new();
        for (entry, encoded) in contents.iter() {
            let of_run = entry.stream == self.stream
                && (run.first_sequence..=run.last_sequence).contains(&entry.sequence);
            if !of_run || entry.deleted || entry.start() >= latest || entry.end() <= earliest {
                continue;
            }
            let error = match ChunkHeader::decode(encoded) {
                Ok(header) => match self.catalog.refusal(run.segment, entry) {
                    None => {
                        let end = header.frames.len();
                        chunks.push(Selected {
                            volume: self.volume,
                            segment: run.segment,
                            entry: *entry,
                            header,
                            first: 0,
                            end,
                            skip_bytes: 0,
                            follows: false,
                        });
                        continue;
                    }
                    Some(error) => error,
                },
                Err(_) => self.catalog.damage(
                    run.segment,
                    entry.offset,
                    "the footer's copy of the header is damaged",
                ),
            };
            self.note(entry.start(), entry.end(), error);
        }
        chunks
    }

    /// Notes what cannot be read.
    fn note(&mut self, start: WallTime, end: WallTime, error: StoreError) {
        let (start, end) = (start.max(self.from), end.min(self.to));
        if start < end {
            self.failures.push(Failure { start, end, error });
        }
    }
}

/// Whether decoding goes on from `earlier` to `later`, both of one lane.
pub(crate) fn decodes_on(earlier: &Selected, later: &Selected) -> bool {
    later.entry.sequence == earlier.entry.sequence + 1
        && !later.begins_timeline()
        && later.entry.format == earlier.entry.format
}
