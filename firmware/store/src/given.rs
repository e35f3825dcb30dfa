//! Which units of a stream were given out, one by one.
//!
//! Does not belong here: which come next (`select`).
//!
//! Invariants
//! - A stretch has no hole that may hide a unit: where presentation times are farther apart, another one begins.
//! - No more than [`MAX_STRETCHES`] are kept.

use std::collections::VecDeque;
use std::ops::Range;

use hal::{Pts90k, WallTime};

use crate::lane::{ANCHOR_SPREAD_MICROS, Selected};

/// Stretches kept, 4 MB. At every gap all volumes are asked and pass by what was given out; so what is forgotten could come
/// again only where a clock was set back over so many of them.
const MAX_STRETCHES: usize = 65_536;

/// With B-frames a unit may come so many units after one that is shown later: twice a decoder's memory (16 pictures,
/// ISO/IEC 14496-10, A.3.1).
const REORDERED_UNITS: usize = 32;

/// Units of one timeline without a hole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    /// The first presentation and the last.
    pub(crate) pts: (Pts90k, Pts90k),
    /// Wall time less presentation time, microseconds: the least and the most.
    shift: (i64, i64),
    /// From the first presentation to the end of the last one.
    pub(crate) wall: (WallTime, WallTime),
    /// Whatever has a unit with it is of the same timeline.
    pub(crate) timeline: u32,
}

impl Stretch {
    /// What these units of a chunk are.
    pub(crate) fn of(chunk: &Selected, units: Range<usize>, timeline: u32) -> Self {
        let frames = &chunk.header.frames;
        let times = || frames[units.clone()].iter().map(|frame| frame.pts_offset);
        let (least, most) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
        let wall = |offset| chunk.header.wall_of(offset);
        // The first presentation behind them ends them.
        let next = frames.iter().map(|frame| frame.pts_offset).filter(|offset| *offset > most).min();
        let shift = chunk.shift();
        Self {
            pts: (chunk.pts_at(least), chunk.pts_at(most)),
            shift: (shift, shift),
            wall: (wall(least), next.map_or(chunk.entry.end(), wall)),
            timeline,
        }
    }

    fn extend(&mut self, fresh: &Self) {
        self.pts = (self.pts.0.min(fresh.pts.0), self.pts.1.max(fresh.pts.1));
        self.shift = (self.shift.0.min(fresh.shift.0), self.shift.1.max(fresh.shift.1));
        self.wall = (self.wall.0.min(fresh.wall.0), self.wall.1.max(fresh.wall.1));
    }

    fn adjoins(&self, fresh: &Self, reach: i64) -> bool {
        fresh.pts.0 - self.pts.1 <= reach
            && self.pts.0 - fresh.pts.1 <= reach
            && self.has_shift(fresh.shift.0)
    }

    fn has_shift(&self, shift: i64) -> bool {
        shift >= self.shift.0 - ANCHOR_SPREAD_MICROS && shift <= self.shift.1 + ANCHOR_SPREAD_MICROS
    }

    /// Whether it has, and not just at its end, what lies in these times.
    fn covers(&self, start: WallTime, end: WallTime, shift: i64) -> bool {
        self.wall.0 <= start
            && end <= self.wall.1.offset_micros(-2 * ANCHOR_SPREAD_MICROS)
            && self.has_shift(shift)
    }
}

/// What was given out so far.
#[derive(Debug, Default)]
pub(crate) struct Given {
    stretches: VecDeque<Stretch>,
    /// The last units of the last stretch, in decoding order.
    recent: VecDeque<Pts90k>,
    /// The last presentation of those before them.
    settled: Option<Pts90k>,
    /// The shortest distance, ticks, that was a hole in the last stretch.
    reach: i64,
}

impl Given {
    /// Takes in units with these presentation times; they go on from the last ones when they are within `reach` ticks of them.
    pub(crate) fn add(&mut self, fresh: Stretch, units: impl IntoIterator<Item = Pts90k>, reach: i64) {
        match self.stretches.back_mut() {
            Some(last) if last.adjoins(&fresh, reach) => {
                last.extend(&fresh);
                self.reach = self.reach.min(reach);
            }
            _ => {
                self.close();
                self.reach = reach;
                self.stretches.push_back(fresh);
                let surplus = self.stretches.len().saturating_sub(MAX_STRETCHES);
                self.stretches.drain(..surplus);
            }
        }
        self.recent.extend(units);
        let surplus = self.recent.len().saturating_sub(REORDERED_UNITS);
        self.settled = self.settled.max(self.recent.drain(..surplus).max());
    }

    /// Nothing more goes on from the last stretch. With B-frames it may have ended before units that are shown earlier than its
    /// last one; those are not out.
    fn close(&mut self) {
        let settled = self.settled.take();
        let mut times: Vec<Pts90k> = settled.into_iter().chain(self.recent.drain(..)).collect();
        times.retain(|time| Some(*time) >= settled);
        times.sort_unstable();
        for pair in times.windows(2) {
            if let [before, after] = *pair
                && after - before > self.reach
                && let Some(last) = self.stretches.back_mut()
            {
                let behind = Stretch { pts: (after, last.pts.1), wall: (last.wall.1, last.wall.1), ..*last };
                last.pts.1 = before;
                self.stretches.push_back(behind);
            }
        }
    }

    pub(crate) fn last(&self) -> Option<&Stretch> {
        self.stretches.back()
    }

    pub(crate) fn stretches(&self) -> impl Iterator<Item = &Stretch> {
        self.stretches.iter()
    }

    /// Whether all that lies in these times was given out, if it has this shift.
    pub(crate) fn covers(&self, start: WallTime, end: WallTime, shift: i64) -> bool {
        self.stretches.iter().rev().any(|stretch| stretch.covers(start, end, shift))
    }

    /// Whether the last unit of a chunk was given out.
    pub(crate) fn has_end_of(&self, chunk: &Selected) -> bool {
        chunk.last_pts().is_some_and(|pts| self.around(chunk).timeline_of(pts).is_some())
    }

    /// What to ask for the units of one chunk.
    pub(crate) fn around(&self, chunk: &Selected) -> Around<'_> {
        let whole = Stretch::of(chunk, 0..chunk.header.frames.len(), 0);
        let touches = |stretch: &&Stretch| {
            stretch.pts.0 <= whole.pts.1 && whole.pts.0 <= stretch.pts.1 && stretch.has_shift(whole.shift.0)
        };
        let mut stretches: Vec<Stretch> =
            self.stretches.iter().rev().skip(1).filter(touches).copied().collect();
        stretches.reverse();
        Around { given: self, last: self.last().filter(touches).copied(), earlier: stretches }
    }
}

/// The part of it that may have units of one chunk.
pub(crate) struct Around<'a> {
    given: &'a Given,
    last: Option<Stretch>,
    earlier: Vec<Stretch>,
}

impl Around<'_> {
    /// The timeline in which the unit with this time was given out, if it was.
    pub(crate) fn timeline_of(&self, pts: Pts90k) -> Option<u32> {
        let within = |stretch: &&Stretch| (stretch.pts.0..=stretch.pts.1).contains(&pts);
        let is_out = || Some(pts) <= self.given.settled || self.given.recent.contains(&pts);
        let found = self.last.as_ref().filter(within).filter(|_| is_out());
        found.or_else(|| self.earlier.iter().rev().find(within)).map(|stretch| stretch.timeline)
    }
}
