//! What became durable and the index does not know yet.
//!
//! Does not belong here: rows and queries (`index`), what is written to segments (`writer`).
//!
//! Invariants
//! - A failing index never keeps footage from being written: what it missed is told again, in order.
//! - A segment that is forgotten is not told of afterwards.

use std::collections::{BTreeSet, VecDeque};

use hal::{StreamId, WallTime};

use crate::error::StoreError;
use crate::index::{Index, SegmentRow};
use crate::runs::{Bounds, SegmentRun, spanning};

/// What waits at most: a few minutes of a large recorder, at 5 KB a segment. What is dropped is found again when the
/// volume is opened.
const MAX_WAITING: usize = 256;

enum Unindexed {
    Closed(SegmentRow, Vec<SegmentRun>),
    Forgotten(u64),
}

pub(crate) struct Backlog {
    index: Index,
    waiting: VecDeque<Unindexed>,
}

impl Backlog {
    pub(crate) fn new(index: Index) -> Self {
        Self { index, waiting: VecDeque::new() }
    }

    /// A segment was closed; the index hears of it with the next [`Backlog::update`].
    pub(crate) fn closed(&mut self, row: SegmentRow, runs: Vec<SegmentRun>) {
        self.push(Unindexed::Closed(row, runs));
    }

    /// A segment's file is about to be reused or removed: the index must not tell of it any more.
    pub(crate) fn forget(&mut self, segment: u64) {
        self.waiting
            .retain(|waiting| !matches!(waiting, Unindexed::Closed(row, _) if row.segment == segment));
        if let Err(error) = self.index.forget(&[segment]) {
            // Recording goes on: readers are told when they ask for it, and opening the volume drops its rows.
            tracing::error!(%error, segment, "the index still tells of a recycled segment");
            self.push(Unindexed::Forgotten(segment));
        }
    }

    fn push(&mut self, unindexed: Unindexed) {
        if self.waiting.len() == MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(unindexed);
    }

    /// Tells the index what became durable; `open` are the segments being written.
    pub(crate) fn update(&mut self, open: &[SegmentRow]) -> Result<(), StoreError> {
        while let Some(next) = self.waiting.front() {
            match next {
                Unindexed::Closed(row, runs) => self.index.close(*row, runs)?,
                Unindexed::Forgotten(segment) => drop(self.index.forget(&[*segment])?),
            }
            self.waiting.pop_front();
        }
        if open.is_empty() { Ok(()) } else { self.index.set_open(open) }
    }

    /// From when to when closed and open segments have footage, as far as the index and what waits for it tell.
    pub(crate) fn bounds(&self) -> Result<Option<Bounds>, StoreError> {
        let indexed = self.index.all_bounds()?.into_values();
        let waiting = self.waiting.iter().flat_map(|waiting| match waiting {
            Unindexed::Closed(_, runs) => runs.as_slice(),
            Unindexed::Forgotten(_) => &[],
        });
        Ok(indexed.chain(waiting.map(|run| (run.start, run.end))).reduce(spanning))
    }

    /// As [`Backlog::update`], and what the index was ever told is on the medium.
    pub(crate) fn settle(&mut self) -> Result<(), StoreError> {
        self.update(&[])?;
        self.index.settle()
    }

    /// A segment, as far as anybody knows.
    pub(crate) fn row(&self, segment: u64) -> Result<Option<SegmentRow>, StoreError> {
        let waiting = self.waiting.iter().rev().find_map(|waiting| match waiting {
            Unindexed::Closed(row, _) if row.segment == segment => Some(*row),
            _ => None,
        });
        waiting.map_or_else(|| self.index.segment(segment), |row| Ok(Some(row)))
    }

    /// A stream's last run in recording order, as far as the index knows.
    pub(crate) fn last(&self, stream: StreamId) -> Result<Option<SegmentRun>, StoreError> {
        self.index.last(stream)
    }

    /// The runs of `streams` in closed segments that touch `from`..`to`, in no order.
    pub(crate) fn runs(
        &self,
        streams: &[StreamId],
        from: WallTime,
        to: WallTime,
    ) -> Result<Vec<SegmentRun>, StoreError> {
        let mut all = Vec::new();
        for &stream in streams {
            all.extend(self.index.runs(stream, from, to)?);
        }
        for waiting in &self.waiting {
            let segment = match waiting {
                Unindexed::Closed(row, _) => row.segment,
                Unindexed::Forgotten(segment) => *segment,
            };
            all.retain(|run| run.segment != segment);
        }
        for waiting in &self.waiting {
            let Unindexed::Closed(_, runs) = waiting else { continue };
            let touches =
                |run: &&SegmentRun| streams.contains(&run.stream) && run.start < to && run.end > from;
            all.extend(runs.iter().filter(touches).cloned());
        }
        Ok(all)
    }

    /// What a closed segment holds, as far as anybody knows.
    pub(crate) fn runs_in(&self, segment: u64) -> Vec<SegmentRun> {
        let waiting = self.waiting.iter().rev().find_map(|waiting| match waiting {
            Unindexed::Closed(row, runs) if row.segment == segment => Some(runs.clone()),
            _ => None,
        });
        waiting.unwrap_or_else(|| self.index.runs_in(segment).unwrap_or_default())
    }

    /// The closed segments with footage of `streams` in `from`..`to`.
    pub(crate) fn touching(
        &self,
        streams: &[StreamId],
        from: WallTime,
        to: WallTime,
    ) -> Result<BTreeSet<u64>, StoreError> {
        let mut segments = BTreeSet::new();
        for &stream in streams {
            segments.extend(self.index.runs(stream, from, to)?.iter().map(|run| run.segment));
        }
        for waiting in &self.waiting {
            let Unindexed::Closed(row, runs) = waiting else { continue };
            let touches =
                |run: &SegmentRun| streams.contains(&run.stream) && run.start < to && run.end > from;
            if runs.iter().any(touches) {
                segments.insert(row.segment);
            }
        }
        Ok(segments)
    }
}
