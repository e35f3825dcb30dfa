//! Which chunks of which volume, and which units, make up a stretch of time.
//!
//! Volumes are read as one: the footage of a stream may lie on any of them, go on from one to another, or lie on several
//! (a mirror). docs/storage.md, section 8, has the rules. Does not belong here: reading payloads (`catalog`), what was given
//! out (`given`), media time (`movie`).
//!
//! Invariants
//! - It begins at a keyframe. From there on every unit comes once, and those of a volume in the order in which it has them:
//!   a lane moves only past units that were given out.
//! - As long as one volume has the next unit, the others are left alone; they are asked where it has not.

use std::cmp::Ordering;
use std::ops::Range;

use evidence::Frame;
use hal::{Pts90k, StreamId, WallTime};

use crate::error::StoreError;
use crate::given::{Given, Stretch};
use crate::lane::{
    ANCHOR_SPREAD_MICROS, Chunks, Failure, GOES_ON_MICROS, Lane, MAX_REORDER_MICROS, Selected,
};

/// Of so many units it can be told how long one is, although one may be missing.
const TELLING_UNITS: usize = 3;

/// The last units that were given out.
struct Last {
    lane: usize,
    sequence: u64,
    /// Index in the chunk behind the last unit.
    at: usize,
    /// Of the last unit in decoding order.
    pts: Pts90k,
    shift: i64,
    end: WallTime,
    format: u32,
    /// How long a unit is, where anybody knows.
    unit_ticks: Option<i64>,
    /// There is no more in the chunk.
    is_whole: bool,
}

/// Given out, and not refused so far.
struct Out {
    last: Last,
    fresh: Stretch,
    units: Vec<Pts90k>,
    reach: i64,
}

/// Where a lane stands in its timelines.
#[derive(Clone, Copy)]
struct Line {
    timeline: u32,
    /// The chunk that was looked at last.
    sequence: u64,
    pts: Option<Pts90k>,
}

/// Units of one chunk that a lane has next.
struct Run {
    /// Their indexes.
    units: Range<usize>,
    /// Whether the very next one comes first, by the lane's own order.
    fits: bool,
    /// Ticks from one to the next, at most, where none is missing.
    reach: i64,
}

/// What a lane has next.
struct Candidate {
    lane: usize,
    /// Indexes of the units.
    units: Range<usize>,
    /// Decoding goes on there.
    follows: bool,
    /// How well.
    seam: Seam,
    keyframe: bool,
    shift: i64,
    fresh: Stretch,
}

/// How what a lane has next fits to what was given out last; the better ones last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seam {
    /// There is a gap.
    Gap,
    /// It begins at about the right time, and can be decoded: a picture may be missing that another lane has.
    Near,
    /// No unit is missing.
    Exact,
}

impl Candidate {
    /// Whether it comes first. One timeline is in order of presentation time, whatever became of the clock; what is not
    /// known to be of one is in order of wall time.
    fn is_before(&self, other: &Self) -> bool {
        match self.seam.cmp(&other.seam) {
            Ordering::Greater => return true,
            Ordering::Less => return false,
            Ordering::Equal => {}
        }
        let same_shift = (self.shift - other.shift).abs() <= ANCHOR_SPREAD_MICROS;
        if same_shift || self.fresh.timeline == other.fresh.timeline {
            self.fresh.pts.0 < other.fresh.pts.0
        } else {
            self.fresh.wall.0 < other.fresh.wall.0
        }
    }
}

/// Walks through a stretch of a stream.
pub(crate) struct Selection<'a> {
    lanes: Vec<Lane<'a>>,
    lines: Vec<Line>,
    timelines: u32,
    from: WallTime,
    to: WallTime,
    current: usize,
    /// `None` while a keyframe must come first.
    last: Option<Last>,
    given: Given,
    out: Option<Out>,
    failures: Vec<Failure>,
    done: bool,
}

impl<'a> Selection<'a> {
    /// # Errors
    /// `Index`, `Io`: of the first volume, when none can be asked.
    pub(crate) fn new(
        volumes: impl IntoIterator<Item = &'a dyn Chunks>,
        stream: StreamId,
        from: WallTime,
        to: WallTime,
    ) -> Result<Self, StoreError> {
        let mut lanes = Vec::new();
        let mut failures = Vec::new();
        for (number, catalog) in volumes.into_iter().enumerate() {
            match Lane::new(catalog, number, stream, from, to) {
                Ok(lane) => lanes.push(lane),
                // Nobody knows what it has.
                Err(error) => failures.push(Failure { start: from, end: to, error }),
            }
        }
        if lanes.is_empty() && !failures.is_empty() {
            return Err(failures.swap_remove(0).error);
        }
        let timelines = lanes.len() as u32;
        Ok(Self {
            lanes,
            lines: (0..timelines).map(|timeline| Line { timeline, sequence: 0, pts: None }).collect(),
            timelines,
            from,
            to,
            current: 0,
            last: None,
            given: Given::default(),
            out: None,
            failures,
            done: false,
        })
    }

    /// The next units, all of one chunk.
    pub(crate) fn next(&mut self) -> Option<Selected> {
        self.settle();
        while !self.done {
            let Candidate { lane, units, follows, fresh, .. } = self.best()?;
            let chunk = self.lanes[lane].peek(0)?;
            let (mut chunk, count) = if units.end < chunk.header.frames.len() {
                (chunk.clone(), units.end)
            } else {
                (self.lanes[lane].pop()?, 0)
            };
            self.lanes[lane].go_to(count);
            chunk.begin_at(units.start);
            chunk.end = units.end;
            chunk.follows = follows;
            self.failures.append(&mut self.lanes[lane].failures);
            let behind = chunk.entry.start() >= self.to;
            self.cut(lane, &mut chunk);
            if chunk.first < chunk.end {
                self.out = Some(self.out(lane, &chunk, fresh.timeline));
                self.current = lane;
                return Some(chunk);
            }
            self.done = behind && self.is_one_in_order();
        }
        None
    }

    /// The chunk that was given out last cannot be read: what it has is looked for elsewhere.
    pub(crate) fn refuse(&mut self, chunk: &Selected, error: StoreError) {
        if let Some(out) = self.out.take() {
            let lane = &mut self.lanes[out.last.lane];
            if lane.at > 0 && !out.last.is_whole {
                lane.pop();
            }
        }
        let (start, end) = (chunk.entry.start().max(self.from), chunk.entry.end().min(self.to));
        self.failures.push(Failure { start, end: end.max(start.offset_micros(1)), error });
    }

    /// What ended before `until`, could not be read and was not had elsewhere either; each told once.
    pub(crate) fn failures(&mut self, until: WallTime) -> Vec<Failure> {
        for lane in &mut self.lanes {
            self.failures.append(&mut lane.failures);
        }
        let out = self.out.iter().map(|out| &out.fresh);
        let given: Vec<(WallTime, WallTime)> =
            self.given.stretches().chain(out).map(|given| given.wall).collect();
        let (mut left, later): (Vec<Failure>, Vec<Failure>) =
            self.failures.drain(..).partition(|failure| failure.end <= until);
        self.failures = later;
        left.retain_mut(|failure| {
            let mut least = 0;
            for &(start, end) in &given {
                if start.micros_since(failure.start) <= GOES_ON_MICROS && end > failure.start {
                    (failure.start, least) = (end, ANCHOR_SPREAD_MICROS);
                }
                if failure.end.micros_since(end) <= GOES_ON_MICROS && start < failure.end {
                    (failure.end, least) = (start, ANCHOR_SPREAD_MICROS);
                }
            }
            failure.end.micros_since(failure.start) > least
        });
        left
    }

    /// Why something could not be read: the first reason.
    pub(crate) fn first_failure(&mut self) -> Option<StoreError> {
        self.failures(WallTime::from_unix_micros(i64::MAX)).into_iter().next().map(|failure| failure.error)
    }

    /// Where time only goes forward, what comes behind the end is not looked for. Of several volumes one may have what was
    /// recorded after the clock was set back, and another what was recorded before.
    fn is_one_in_order(&self) -> bool {
        matches!(self.lanes.as_slice(), [lane] if lane.in_order)
    }

    /// What was given out and not refused counts.
    fn settle(&mut self) {
        let Some(Out { last, fresh, units, reach }) = self.out.take() else { return };
        self.lines[last.lane].timeline = fresh.timeline;
        self.given.add(fresh, units, reach);
        self.last = Some(last);
    }

    fn out(&self, lane: usize, chunk: &Selected, timeline: u32) -> Out {
        let fresh = Stretch::of(chunk, chunk.first..chunk.end, timeline);
        let units: Vec<Pts90k> = chunk.frames().iter().map(|frame| chunk.pts_at(frame.pts_offset)).collect();
        let before = self.last.as_ref().and_then(|last| last.unit_ticks);
        let own = chunk.unit_ticks();
        let usual = usual_ticks(before, own);
        let is_whole = chunk.end == chunk.header.frames.len();
        // One that comes in parts, for one because it has a hole, counts when all of it is out.
        let tells = is_whole && chunk.header.frames.len() >= TELLING_UNITS;
        // Where there is a hole behind them, they do not last until its end.
        let shown = i32::try_from(fresh.pts.1 - chunk.entry.pts + usual).unwrap_or(i32::MAX);
        let last = Last {
            lane,
            sequence: chunk.entry.sequence,
            at: chunk.end,
            pts: units.last().copied().unwrap_or(chunk.entry.pts),
            shift: chunk.shift(),
            end: fresh.wall.1.min(chunk.header.wall_of(shown)),
            format: chunk.entry.format,
            unit_ticks: if tells { Some(own) } else { before },
            is_whole,
        };
        Out { last, fresh, units, reach: reach(usual, self.lanes.len() == 1) }
    }

    /// What comes next, and on which lane: where the present one has a gap or ends, another may go on.
    fn best(&mut self) -> Option<Candidate> {
        loop {
            let at_end = |last: &Last| last.end >= self.to;
            if self.last.as_ref().is_some_and(at_end) && self.is_one_in_order() && !self.goes_on() {
                return None;
            }
            let mut best: Option<Candidate> = None;
            let count = self.lanes.len();
            for lane in (self.current..count).chain(0..self.current) {
                let Some(candidate) = self.candidate(lane) else { continue };
                if best.as_ref().is_none_or(|best| candidate.is_before(best)) {
                    best = Some(candidate);
                }
                if best.as_ref().is_some_and(|best| best.seam == Seam::Exact) {
                    break;
                }
            }
            let best = best?;
            if self.last.is_some() || best.keyframe {
                return Some(best);
            }
            // Nothing can be decoded before the first keyframe.
            self.lanes[best.lane].go_to(best.units.start + 1);
        }
    }

    /// Whether the lane that served last has the very next chunk.
    fn goes_on(&mut self) -> bool {
        let Some(last) = &self.last else { return false };
        let lane = &mut self.lanes[last.lane];
        let at = lane.at;
        lane.peek(0).is_some_and(|chunk| last.is_before(last.lane, chunk, at))
    }

    /// Brings a lane to its first unit that was not given out, and says how that joins what was.
    fn candidate(&mut self, number: usize) -> Option<Candidate> {
        // Whoever has the keyframe before serves the beginning; so the others are not even looked at.
        let starts = self.last.is_none() && self.lanes[number].find_start();
        let run = self.run(number)?;
        let chunk = self.lanes[number].peek(0)?;
        let frame = chunk.header.frames[run.units.start];
        let fresh = Stretch::of(chunk, run.units.clone(), self.lines[number].timeline);
        let (mut seam, mut follows) = (if starts { Seam::Exact } else { Seam::Gap }, false);
        if let (Some(last), Some(before)) = (&self.last, self.given.last()) {
            let goes_on = !frame.discontinuity && chunk.entry.format == last.format;
            let distance = fresh.pts.0 - before.pts.1;
            let shares = goes_on && last.shares(chunk);
            let is_next = goes_on
                && (run.fits || shares)
                && (-Pts90k::from_micros(MAX_REORDER_MICROS).0..=run.reach).contains(&distance);
            let near = fresh.wall.0.micros_since(last.end).abs() <= GOES_ON_MICROS;
            // The first volume ended about where this one begins.
            let begins = near && shares && frame.keyframe;
            seam = match (is_next, begins || near && run.fits) {
                (true, _) => Seam::Exact,
                (false, true) => Seam::Near,
                (false, false) => Seam::Gap,
            };
            follows = is_next || begins || run.fits && goes_on;
        }
        let shift = chunk.shift();
        Some(Candidate {
            lane: number,
            units: run.units,
            follows,
            seam,
            keyframe: frame.keyframe,
            shift,
            fresh,
        })
    }

    /// Brings a lane to its first unit that was not given out: which ones of that chunk can follow each other.
    fn run(&mut self, number: usize) -> Option<Run> {
        let Self { lanes, lines, timelines, given, last, from, .. } = self;
        let alone = lanes.len() == 1;
        let (lane, line) = (&mut lanes[number], &mut lines[number]);
        let mut reached: Option<Selected> = None;
        loop {
            let at = lane.at;
            let chunk = lane.peek(0)?;
            line.enter(chunk, timelines);
            let own = last.as_ref().is_some_and(|last| last.is_before(number, chunk, at));
            let around = given.around(chunk);
            let out_in = |frame: &Frame| {
                around.timeline_of(chunk.pts_at(frame.pts_offset)).filter(|_| !(alone && own))
            };
            let frames = &chunk.header.frames;
            let mut first = None;
            for (index, frame) in frames.iter().enumerate().skip(at) {
                if let Some(timeline) = out_in(frame) {
                    line.timeline = timeline;
                } else if own || chunk.header.wall_of(frame.pts_offset) >= *from {
                    first = Some(index);
                    break;
                }
            }
            if last.is_none() {
                first = chunk.last_keyframe(*from).filter(|index| *index >= at).or(first);
            }
            let Some(first) = first else {
                let is_end = last.as_ref().is_some_and(|last| last.is_end_of(chunk));
                reached = lane.pop().filter(|_| is_end);
                lane.skip(
                    |start, end, shift| given.covers(start, end, shift),
                    |chunk| given.has_end_of(chunk),
                );
                continue;
            };
            let before = last.as_ref().and_then(|last| last.unit_ticks);
            let reach = reach(usual_ticks(before, chunk.unit_ticks()), alone);
            let hole = if alone { frames.len() } else { chunk.hole_behind(first, reach) };
            let end = (first + 1..hole).find(|index| out_in(&frames[*index]).is_some()).unwrap_or(hole);
            let fits = match last {
                None => false,
                Some(_) if own => true,
                Some(last) if first > 0 => {
                    last.shares(chunk) && chunk.pts_at(frames[first - 1].pts_offset) == last.pts
                }
                Some(_) => reached.is_some_and(|before| before.entry.sequence + 1 == chunk.entry.sequence),
            };
            return Some(Run { units: first..end, fits, reach });
        }
    }

    /// Cuts what nobody needs at the end: `chunk` is the last one, or `to` is not in it.
    fn cut(&mut self, lane: usize, chunk: &mut Selected) {
        let to = self.to;
        if chunk.entry.end() <= to {
            return;
        }
        let mut sequence = chunk.entry.sequence;
        // Of the chunk itself there may be more.
        let mut ahead = usize::from(self.lanes[lane].at > 0);
        while let Some(next) = self.lanes[lane].peek(ahead) {
            if next.entry.sequence != sequence + 1 {
                break;
            }
            if next.entry.start() < to {
                // Needed to decode what follows.
                return;
            }
            sequence += 1;
            ahead += 1;
        }
        let header = &chunk.header;
        let wanted = |frame: &evidence::Frame| header.wall_of(frame.pts_offset) < to;
        chunk.end = header.frames[..chunk.end].iter().rposition(wanted).map_or(0, |last| last + 1);
    }
}

impl Last {
    /// Whether `chunk` is of the same timeline and format.
    fn shares(&self, chunk: &Selected) -> bool {
        (chunk.shift() - self.shift).abs() <= ANCHOR_SPREAD_MICROS && chunk.entry.format == self.format
    }

    /// Whether they are of this chunk.
    fn is_of(&self, lane: usize, chunk: &Selected) -> bool {
        self.lane == lane && self.sequence == chunk.entry.sequence
    }

    /// Whether unit `at` of `next` is the very next one of its lane.
    fn is_before(&self, lane: usize, next: &Selected, at: usize) -> bool {
        let next_chunk = next.entry.sequence == self.sequence + 1 && at == 0 && self.is_whole;
        self.lane == lane && (next_chunk || self.is_of(lane, next) && at == self.at)
    }

    /// Whether `chunk` ends with the same unit.
    fn is_end_of(&self, chunk: &Selected) -> bool {
        self.shares(chunk) && chunk.last_pts() == Some(self.pts)
    }
}

impl Line {
    /// A new timeline begins where the chunk says so, and where presentation time goes back.
    fn enter(&mut self, chunk: &Selected, timelines: &mut u32) {
        if self.sequence == chunk.entry.sequence {
            return;
        }
        let reordered = Pts90k::from_micros(MAX_REORDER_MICROS).0;
        if chunk.begins_timeline() || self.pts.is_some_and(|pts| pts - chunk.entry.pts > reordered) {
            self.timeline = *timelines;
            *timelines = timelines.wrapping_add(1);
        }
        (self.sequence, self.pts) = (chunk.entry.sequence, Some(chunk.entry.pts));
    }
}

/// How long a unit is, where the chunk that tells it may have holes: not longer than before.
fn usual_ticks(before: Option<i64>, own: i64) -> i64 {
    before.map_or(own, |before| before.min(own))
}

/// Ticks to the next unit, at most, where none is missing.
fn reach(unit_ticks: i64, alone: bool) -> i64 {
    // Of one volume alone nobody looks for what it has not.
    let late = if alone { Pts90k::from_micros(GOES_ON_MICROS).0 } else { 0 };
    unit_ticks + (unit_ticks / 2).max(late)
}
