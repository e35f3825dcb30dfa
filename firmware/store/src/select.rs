//! Which chunks of which volume, and which units, make up a stretch of time.
//!
//! Volumes are read as one: the footage of a stream may lie on any of them, go on from one to another, or lie on several
//! (a mirror). Does not belong here: reading payloads (`catalog`), media time (`movie`).
//!
//! Invariants
//! - Units come in recording order, beginning at a keyframe, and none twice: a unit is known by its presentation time
//!   and the distance of that to wall time.
//! - As long as one volume has the next unit, the others are left alone; they are asked where it has not.

use std::cmp::Ordering;
use std::ops::Range;

use hal::{Pts90k, StreamId, WallTime};

use crate::catalog::Catalog;
use crate::error::StoreError;
use crate::lane::{ANCHOR_SPREAD_MICROS, Failure, GOES_ON_MICROS, Lane, Selected, decodes_on};

/// What was given out without a gap.
#[derive(Clone, Copy, Debug)]
struct Given {
    pts: (Pts90k, Pts90k),
    /// Wall time less presentation time, the least and the most.
    shift: (i64, i64),
    wall: (WallTime, WallTime),
}

/// The last chunk that was given out.
struct Last {
    lane: usize,
    sequence: u64,
    /// Of its last unit in decoding order.
    pts: Pts90k,
    shift: i64,
    end: WallTime,
    format: u32,
    /// The rest of its chunk was left out.
    cut: bool,
}

/// Where a chunk stands to what was given out.
enum Standing {
    /// All of it was.
    Past { reaches_last: bool },
    /// These units are new.
    New { first: usize, end: usize, follows: bool },
}

/// Where a lane would go on.
struct Candidate {
    lane: usize,
    /// Index of the unit.
    first: usize,
    /// Index behind the last one that is new.
    end: usize,
    /// Decoding goes on there.
    follows: bool,
    /// How well.
    seam: Seam,
    start: WallTime,
}

/// How what a lane has next fits to what was given out last; the better ones last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seam {
    /// There is a gap.
    Gap,
    /// It begins at about the right time, with a keyframe: a picture may be missing that another lane has.
    Near,
    /// Its unit is the very next one.
    Exact,
}

impl Candidate {
    fn is_before(&self, other: &Self) -> bool {
        match self.seam.cmp(&other.seam) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal => self.start.micros_since(other.start) < -ANCHOR_SPREAD_MICROS,
        }
    }
}

/// Walks through a stretch of a stream.
pub(crate) struct Selection<'a> {
    lanes: Vec<Lane<'a>>,
    from: WallTime,
    to: WallTime,
    current: usize,
    last: Option<Last>,
    given: Vec<Given>,
    /// Given out, and not refused so far.
    out: Option<(Last, Given, bool)>,
    failures: Vec<Failure>,
    /// Nothing was given out yet: a keyframe must come first.
    waiting: bool,
    done: bool,
}

impl<'a> Selection<'a> {
    /// # Errors
    /// `Index`, `Io`: of the first volume, when none can be asked.
    pub(crate) fn new(
        volumes: impl IntoIterator<Item = &'a Catalog>,
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
        Ok(Self {
            lanes,
            from,
            to,
            current: 0,
            last: None,
            given: Vec::new(),
            out: None,
            failures,
            waiting: true,
            done: false,
        })
    }

    /// The next chunk with its units.
    pub(crate) fn next(&mut self) -> Option<Selected> {
        self.settle();
        while !self.done {
            let (lane, mut chunk) = self.take()?;
            self.failures.append(&mut self.lanes[lane].failures);
            if self.waiting {
                let keyframe = chunk
                    .last_keyframe(self.from)
                    .or_else(|| chunk.header.frames.iter().position(|frame| frame.keyframe));
                let Some(keyframe) = keyframe else { continue };
                chunk.begin_at(keyframe);
            }
            let behind = chunk.entry.start() >= self.to;
            self.cut(lane, &mut chunk);
            if chunk.first < chunk.end {
                self.waiting = false;
                self.out = Some((Last::of(lane, &chunk), Given::of(&chunk), chunk.follows));
                self.current = lane;
                return Some(chunk);
            }
            self.done = behind && self.is_one_in_order();
        }
        None
    }

    /// The chunk that was given out last cannot be read: what it has is looked for elsewhere.
    pub(crate) fn refuse(&mut self, chunk: &Selected, error: StoreError) {
        self.out = None;
        self.waiting = self.last.is_none();
        let (start, end) = (chunk.entry.start().max(self.from), chunk.entry.end().min(self.to));
        self.failures.push(Failure { start, end: end.max(start.offset_micros(1)), error });
    }

    /// What ended before `until`, could not be read and was not had elsewhere either; each told once.
    pub(crate) fn failures(&mut self, until: WallTime) -> Vec<Failure> {
        for lane in &mut self.lanes {
            self.failures.append(&mut lane.failures);
        }
        let out = self.out.iter().map(|(_, given, _)| given);
        let given: Vec<(WallTime, WallTime)> = self.given.iter().chain(out).map(|given| given.wall).collect();
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
        let Some((last, fresh, follows)) = self.out.take() else { return };
        // A gap that decoding goes on through may be filled from elsewhere later.
        match self.given.last_mut().filter(|given| follows && given.is_near(&fresh)) {
            Some(given) => given.extend(&fresh),
            None => self.given.push(fresh),
        }
        self.last = Some(last);
    }

    /// The next chunk, and its lane.
    fn take(&mut self) -> Option<(usize, Selected)> {
        if let Some(last) = &self.last
            && let Some(chunk) = self.lanes.get_mut(last.lane).and_then(|lane| lane.peek(0))
            && last.is_before(chunk)
        {
            let near = chunk.entry.start().micros_since(last.end).abs() <= GOES_ON_MICROS;
            let fresh = Given::of(chunk);
            let earlier = self.given.split_last().map_or(&[][..], |(_, earlier)| earlier);
            if self.lanes.len() == 1 || near && !earlier.iter().any(|given| given.overlaps(&fresh)) {
                let lane = last.lane;
                return self.lanes[lane].pop().map(|mut chunk| {
                    chunk.follows = last.decodes_on(&chunk);
                    (lane, chunk)
                });
            }
        }
        self.elsewhere()
    }

    /// Where the present lane has a gap or ends: the lane that goes on there, else the one that begins first.
    fn elsewhere(&mut self) -> Option<(usize, Selected)> {
        let at_end = |last: &Last| last.end >= self.to;
        if self.last.as_ref().is_some_and(at_end) && self.is_one_in_order() {
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
        let Candidate { lane, first, end, follows, .. } = best?;
        let mut chunk = self.lanes[lane].pop()?;
        chunk.begin_at(first);
        chunk.end = end;
        chunk.follows = follows;
        Some((lane, chunk))
    }

    /// Brings a lane to its first unit that was not given out.
    fn candidate(&mut self, number: usize) -> Option<Candidate> {
        let lane = &mut self.lanes[number];
        let Some(last) = &self.last else {
            // Whoever has the keyframe before serves the beginning; so the others are not even looked at.
            let seam = if lane.find_start() { Seam::Exact } else { Seam::Gap };
            let chunk = lane.peek(0)?;
            let (start, end) = (chunk.entry.start(), chunk.header.frames.len());
            return Some(Candidate { lane: number, first: 0, end, follows: false, seam, start });
        };
        let in_order = lane.in_order;
        let mut reached: Option<Selected> = None;
        let (first, end, follows) = loop {
            let chunk = lane.peek(0)?;
            let own = number == last.lane && last.is_before(chunk);
            // With B-frames the next chunk of the same lane has pictures that are shown before the last one.
            let given = if own {
                self.given.split_last().map_or(&[][..], |(_, earlier)| earlier)
            } else {
                &self.given
            };
            match standing(given, last, chunk, self.from) {
                Standing::New { first, end, .. } if in_order && is_behind(chunk, first..end, self.to) => {
                    lane.end();
                    return None;
                }
                Standing::New { first, end, follows } => {
                    let before = own && last.decodes_on(chunk)
                        || reached.is_some_and(|earlier| decodes_on(&earlier, chunk));
                    break (first, end, follows || before && first == 0);
                }
                Standing::Past { reaches_last } => {
                    reached = lane.pop().filter(|_| reaches_last);
                    let was_given =
                        |start, end, shift| self.given.iter().any(|given| given.covers(start, end, shift));
                    lane.skip(was_given);
                }
            }
        };
        let chunk = lane.peek(0)?;
        let frame = chunk.header.frames[first];
        let start = chunk.header.wall_of(frame.pts_offset);
        let near = start.micros_since(last.end).abs() <= GOES_ON_MICROS;
        // The first volume ended exactly where this one begins.
        let begins = near && frame.keyframe && !frame.discontinuity && last.shares(chunk);
        let seam = match (follows && near, begins) {
            (true, _) => Seam::Exact,
            (false, true) => Seam::Near,
            (false, false) => Seam::Gap,
        };
        Some(Candidate { lane: number, first, end, follows: follows || begins, seam, start })
    }

    /// Cuts what nobody needs at the end: `chunk` is the last one, or `to` is not in it.
    fn cut(&mut self, lane: usize, chunk: &mut Selected) {
        let to = self.to;
        if chunk.entry.end() <= to {
            return;
        }
        let mut sequence = chunk.entry.sequence;
        let mut ahead = 0;
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
    fn of(lane: usize, chunk: &Selected) -> Self {
        let offset = chunk.frames().last().map_or(0, |frame| frame.pts_offset);
        Self {
            lane,
            sequence: chunk.entry.sequence,
            pts: Pts90k(chunk.entry.pts.0.wrapping_add(offset.into())),
            shift: chunk.shift(),
            end: chunk.entry.end(),
            format: chunk.entry.format,
            cut: chunk.end < chunk.header.frames.len(),
        }
    }

    /// Whether `chunk` is of the same timeline and format.
    fn shares(&self, chunk: &Selected) -> bool {
        (chunk.shift() - self.shift).abs() <= ANCHOR_SPREAD_MICROS && chunk.entry.format == self.format
    }

    /// Whether `next` of the same lane is the very next chunk.
    fn is_before(&self, next: &Selected) -> bool {
        next.entry.sequence == self.sequence + 1 && !self.cut
    }

    /// Whether decoding goes on in `next` of the same lane.
    fn decodes_on(&self, next: &Selected) -> bool {
        self.is_before(next) && !next.begins_timeline() && next.entry.format == self.format
    }
}

impl Given {
    fn of(chunk: &Selected) -> Self {
        let times = || chunk.frames().iter().map(|frame| frame.pts_offset);
        let (least, most) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
        let pts = |offset: i32| Pts90k(chunk.entry.pts.0.wrapping_add(offset.into()));
        let shift = chunk.shift();
        Self {
            pts: (pts(least), pts(most)),
            shift: (shift, shift),
            wall: (chunk.header.wall_of(least), chunk.entry.end()),
        }
    }

    fn extend(&mut self, fresh: &Self) {
        self.pts = (self.pts.0.min(fresh.pts.0), self.pts.1.max(fresh.pts.1));
        self.shift = (self.shift.0.min(fresh.shift.0), self.shift.1.max(fresh.shift.1));
        self.wall = (self.wall.0.min(fresh.wall.0), self.wall.1.max(fresh.wall.1));
    }

    fn is_near(&self, fresh: &Self) -> bool {
        fresh.wall.0.micros_since(self.wall.1).abs() <= GOES_ON_MICROS && self.has_shift(fresh.shift.0)
    }

    fn overlaps(&self, fresh: &Self) -> bool {
        self.has(fresh.pts.0, fresh.shift.0) || self.has(fresh.pts.1, fresh.shift.0)
    }

    /// Whether it has, and not just at its end, what lies in these times.
    fn covers(&self, start: WallTime, end: WallTime, shift: i64) -> bool {
        self.wall.0 <= start
            && end <= self.wall.1.offset_micros(-2 * ANCHOR_SPREAD_MICROS)
            && self.has_shift(shift)
    }

    fn has(&self, pts: Pts90k, shift: i64) -> bool {
        (self.pts.0..=self.pts.1).contains(&pts) && self.has_shift(shift)
    }

    fn has_shift(&self, shift: i64) -> bool {
        shift >= self.shift.0 - ANCHOR_SPREAD_MICROS && shift <= self.shift.1 + ANCHOR_SPREAD_MICROS
    }
}

/// Whether all these units are shown at `to` or later.
fn is_behind(chunk: &Selected, units: Range<usize>, to: WallTime) -> bool {
    chunk.header.frames[units].iter().all(|frame| chunk.header.wall_of(frame.pts_offset) >= to)
}

fn standing(given: &[Given], last: &Last, chunk: &Selected, from: WallTime) -> Standing {
    let shift = chunk.shift();
    let header = &chunk.header;
    let count = header.frames.len();
    let pts = |frame: &evidence::Frame| Pts90k(chunk.entry.pts.0.wrapping_add(frame.pts_offset.into()));
    if last.shares(chunk)
        && let Some(at) = header.frames.iter().position(|frame| pts(frame) == last.pts)
    {
        // Its units from there on are the very ones that come next.
        return if at + 1 == count {
            Standing::Past { reaches_last: true }
        } else {
            Standing::New { first: at + 1, end: count, follows: true }
        };
    }
    let new = |frame: &evidence::Frame| {
        header.wall_of(frame.pts_offset) >= from
            && !given.iter().rev().any(|given| given.has(pts(frame), shift))
    };
    match header.frames.iter().position(new) {
        Some(first) => {
            let end = header.frames[first..].iter().position(|frame| !new(frame));
            Standing::New { first, end: end.map_or(count, |end| first + end), follows: false }
        }
        None => Standing::Past { reaches_last: false },
    }
}
