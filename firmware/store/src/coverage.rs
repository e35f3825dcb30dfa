//! What exists between two moments, as a timeline shows it.
//!
//! Exact as far as that is cheap: beyond, days are told by the index's slots of five minutes. So an answer costs no
//! more than some 30 000 rows, whatever lies in the volume. Does not belong here: the rows (`spans`).
//!
//! Invariants
//! - Footage is never left out: only gaps are, and then the answer says so.
//! - A stretch of time that was recorded twice, because the clock was set back, is told twice, unless gaps are merged.

use std::collections::BTreeMap;

use hal::{ChannelId, StreamId, StreamKind, WallTime};
use rusqlite::{Connection, Result};

use crate::runs::{SegmentRun, Span, day_of, join_sides, join_spans};
use crate::spans::{self, Day};

/// Spans read for one answer, shared by its streams: a few milliseconds.
const MAX_SPANS: u64 = 24_576;

/// When a stream has footage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// The stream.
    pub stream: StreamId,
    /// Beginnings and ends of what touches the asked time, by beginning. What begins earlier or ends later is told so,
    /// by a day at most.
    pub runs: Vec<(WallTime, WallTime)>,
    /// Gaps were left out: those no longer than a part of the asked time, and where there are very many those
    /// shorter than five minutes.
    pub merged: bool,
}

impl Coverage {
    /// With what another volume has of the same stream.
    pub(crate) fn and(self, other: Self) -> Self {
        let runs = join_sides(self.runs, other.runs, |run| *run, |last, run| last.1 = last.1.max(run.1));
        Self { runs, merged: self.merged || other.merged, ..self }
    }
}

/// What is asked.
pub(crate) struct Question<'a> {
    pub(crate) streams: &'a [StreamId],
    pub(crate) from: WallTime,
    pub(crate) to: WallTime,
    /// The most runs a stream.
    pub(crate) at_most: usize,
}

impl Question<'_> {
    /// Microseconds: the shortest gap that is told where there are more runs than may be.
    fn pixel(&self) -> i64 {
        self.to.micros_since(self.from) / (self.at_most as i64).max(1)
    }
}

/// What is known beside the index.
#[derive(Default)]
pub(crate) struct Beside {
    /// Runs of segments that are still being written, in recording order.
    pub(crate) open: Vec<SegmentRun>,
    /// Runs of segments that the index has, but the disk has not.
    pub(crate) missing: Vec<SegmentRun>,
}

/// One answer a stream, in the order of the question.
pub(crate) fn coverage(db: &Connection, question: &Question<'_>, beside: &Beside) -> Result<Vec<Coverage>> {
    let (from, to) = (question.from, question.to);
    let mut found: BTreeMap<StreamId, Found> =
        question.streams.iter().map(|stream| (*stream, Found::default())).collect();
    if from < to {
        // A span begins on its day, and may reach into the asked one.
        let (first, last) = (day_of(from).saturating_sub(1), day_of(to));
        let kinds = || found.keys().map(|stream| stream.kind);
        let kinds = kinds().min().unwrap_or(StreamKind::Main)..=kinds().max().unwrap_or(StreamKind::Audio);
        for day in spans::days(db, first, last, kinds, |stream| found.contains_key(&stream))? {
            if let Some(found) = found.get_mut(&day.stream) {
                found.count += day.spans;
                found.days.push(day);
            }
        }
        let quota = MAX_SPANS / (found.len() as u64).max(1);
        found.values_mut().for_each(|found| found.exact = found.count <= quota);
        read_spans(db, &mut found)?;
    }
    let answer = |stream: &StreamId| {
        let mut coverage = Coverage { stream: *stream, runs: Vec::new(), merged: false };
        if let Some(found) = found.get(stream).filter(|_| from < to) {
            coverage.merged = !found.exact;
            coverage.runs = if found.exact {
                found.exactly(*stream, beside)
            } else {
                found.roughly(*stream, question, beside)
            };
            coverage.runs.retain(|run| run.0 < to && run.1 > from);
            coverage.runs.sort_unstable();
            if coverage.runs.len() > question.at_most {
                coverage.merged |= merge(&mut coverage.runs, question.pixel());
            }
        }
        coverage
    };
    Ok(question.streams.iter().map(answer).collect())
}

/// What the index has of a stream.
#[derive(Default)]
struct Found {
    days: Vec<Day>,
    count: u64,
    /// The spans are read.
    exact: bool,
    spans: Vec<Span>,
}

/// Reads the spans of all streams that are to be told exactly, a day at a time: those of a day lie side by side.
fn read_spans(db: &Connection, found: &mut BTreeMap<StreamId, Found>) -> Result<()> {
    let mut days: BTreeMap<(i64, StreamKind), (ChannelId, ChannelId)> = BTreeMap::new();
    for day in found.values().filter(|found| found.exact).flat_map(|found| &found.days) {
        let channel = day.stream.channel;
        let range = days.entry((day.day, day.stream.kind)).or_insert((channel, channel));
        *range = (range.0.min(channel), range.1.max(channel));
    }
    for ((day, kind), (first, last)) in days {
        spans::of_day(db, day, kind, first..=last, |span| {
            if let Some(found) = found.get_mut(&span.stream).filter(|found| found.exact) {
                found.spans.push(span);
            }
        })?;
    }
    Ok(())
}

impl Found {
    fn exactly(&self, stream: StreamId, beside: &Beside) -> Vec<(WallTime, WallTime)> {
        let mut spans = self.spans.clone();
        // What was closed since is in both.
        let is_new = |run: &&SegmentRun| {
            run.stream == stream
                && !self.spans.iter().any(|span| {
                    span.first_sequence <= run.last_sequence && run.first_sequence <= span.last_sequence
                })
        };
        spans.extend(beside.open.iter().filter(is_new).map(SegmentRun::span));
        spans.sort_by_key(|span| span.first_sequence);
        let mut runs = Vec::new();
        for span in join_spans(spans) {
            let gone = beside.missing.iter().filter(|run| {
                run.stream == stream
                    && span.first_sequence <= run.first_sequence
                    && run.last_sequence <= span.last_sequence
            });
            let mut start = span.start;
            // In recording order, as the segments are.
            for run in gone {
                runs.push((start, run.start));
                start = run.end;
            }
            runs.push((start, span.end));
        }
        runs.retain(|run| run.0 < run.1);
        runs
    }

    fn roughly(
        &self,
        stream: StreamId,
        question: &Question<'_>,
        beside: &Beside,
    ) -> Vec<(WallTime, WallTime)> {
        // Two days may share a stretch, and even then there are more than may be told: most of them need not be made.
        let count: usize = self.days.iter().map(Day::stretch_count).sum();
        let gap = if count > question.at_most + self.days.len() { question.pixel() } else { 0 };
        let mut runs = Vec::new();
        self.days.iter().for_each(|day| day.stretches(gap, &mut runs));
        let open = beside.open.iter().filter(|run| run.stream == stream);
        runs.extend(open.map(|run| (run.start, run.end)));
        runs.sort_unstable();
        merge(&mut runs, gap);
        runs
    }
}

/// Joins what is no farther apart than `gap`; whether anything was. `runs` by beginning.
fn merge(runs: &mut Vec<(WallTime, WallTime)>, gap: i64) -> bool {
    let before = runs.len();
    runs.dedup_by(|next, last| {
        let near = next.0.micros_since(last.1) <= gap;
        if near {
            last.1 = last.1.max(next.1);
        }
        near
    });
    runs.len() < before
}
