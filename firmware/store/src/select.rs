//! Which chunks, and which of their units, make up a stretch of time.
//!
//! Does not belong here: reading payloads (`catalog`), media time (`movie`).
//!
//! Invariants
//! - Units come in recording order, beginning at a keyframe.
//! - Only headers are looked at, a segment's run at a time.

use std::collections::VecDeque;

use evidence::{CHUNK_DISCONTINUITY, ChunkHeader};
use hal::{StreamId, WallTime};

use crate::catalog::Catalog;
use crate::error::StoreError;
use crate::runs::SegmentRun;
use crate::segment::Entry;

/// How far back a keyframe is looked for: 600 frames, the most a GOP may have, at 5 frames a second.
const MAX_GOP_MICROS: i64 = 120_000_000;

/// How far behind `to` chunks are looked at: with B-frames a picture is decoded before others that are shown
/// earlier, but never by more than the 16 pictures of a decoder's memory, at 8 frames a second.
const MAX_REORDER_MICROS: i64 = 2_000_000;

/// A chunk, and the units of it that were asked for.
#[derive(Clone, Debug)]
pub(crate) struct Selected {
    pub(crate) segment: u64,
    pub(crate) entry: Entry,
    pub(crate) header: ChunkHeader,
    /// Index of the first unit.
    pub(crate) first: usize,
    /// Index behind the last unit.
    pub(crate) end: usize,
    /// Where the first unit begins in the payload.
    pub(crate) skip_bytes: u64,
}

/// Walks through a stretch of a stream.
pub(crate) struct Selection<'a> {
    catalog: &'a Catalog,
    stream: StreamId,
    from: WallTime,
    to: WallTime,
    runs: VecDeque<SegmentRun>,
    loaded: VecDeque<Selected>,
    /// Nothing was given out yet: a keyframe must come first.
    waiting: bool,
}

impl<'a> Selection<'a> {
    pub(crate) fn new(
        catalog: &'a Catalog,
        stream: StreamId,
        from: WallTime,
        to: WallTime,
    ) -> Result<Self, StoreError> {
        let (earliest, latest) = (from.offset_micros(-MAX_GOP_MICROS), to.offset_micros(MAX_REORDER_MICROS));
        let runs = catalog.segment_runs(stream, earliest, latest)?.into();
        let mut selection = Self { catalog, stream, from, to, runs, loaded: VecDeque::new(), waiting: true };
        selection.find_start()?;
        Ok(selection)
    }

    /// Loads until the chunk that holds `from` is there, and drops what is not needed before it.
    fn find_start(&mut self) -> Result<(), StoreError> {
        let touches = |chunk: &Selected, from| chunk.entry.end() > from;
        while !self.loaded.back().is_some_and(|chunk| touches(chunk, self.from)) && self.load_run()? {}
        let Some(mut begin) = self.loaded.iter().position(|chunk| touches(chunk, self.from)) else {
            self.loaded.clear();
            return Ok(());
        };
        let first = begin;
        loop {
            if last_keyframe(&self.loaded[begin], self.from).is_some() {
                break;
            }
            if begin == 0 || !follows(&self.loaded[begin - 1], &self.loaded[begin]) {
                // The footage begins between keyframes, or at a keyframe after `from`.
                begin = first;
                break;
            }
            begin -= 1;
        }
        self.loaded.drain(..begin);
        Ok(())
    }

    fn load_run(&mut self) -> Result<bool, StoreError> {
        let Some(run) = self.runs.pop_front() else { return Ok(false) };
        let segment = run.segment;
        let contents = self.catalog.contents(segment)?;
        let earliest = self.from.offset_micros(-MAX_GOP_MICROS);
        let latest = self.to.offset_micros(MAX_REORDER_MICROS);
        for (entry, encoded) in contents.iter() {
            let of_run = (run.first_sequence..=run.last_sequence).contains(&entry.sequence);
            if entry.stream != self.stream || !of_run || entry.start() >= latest || entry.end() <= earliest {
                continue;
            }
            let header = ChunkHeader::decode(encoded).map_err(|_| {
                self.catalog.volume.damaged(
                    segment,
                    entry.offset,
                    "the footer's copy of the header is damaged",
                )
            })?;
            let end = header.frames.len();
            self.loaded.push_back(Selected { segment, entry: *entry, header, first: 0, end, skip_bytes: 0 });
        }
        Ok(true)
    }

    /// The next chunk with its units.
    pub(crate) fn next(&mut self) -> Result<Option<Selected>, StoreError> {
        loop {
            // The last one is cut, so it must be known whether this is it.
            let to = self.to;
            let wanted = |chunk: &Selected| chunk.entry.start() < to;
            while !self.loaded.iter().skip(1).any(wanted) && self.load_run()? {}
            let last = !self.loaded.iter().skip(1).any(wanted);
            let Some(mut chunk) = self.loaded.pop_front().filter(|chunk| !last || wanted(chunk)) else {
                self.loaded.clear();
                return Ok(None);
            };
            if self.waiting {
                let keyframe = last_keyframe(&chunk, self.from)
                    .or_else(|| chunk.header.frames.iter().position(|frame| frame.keyframe));
                let Some(keyframe) = keyframe else { continue };
                self.waiting = false;
                chunk.first = keyframe;
                chunk.skip_bytes =
                    chunk.header.frames[..keyframe].iter().map(|frame| u64::from(frame.size)).sum();
            }
            if last {
                let wanted = |frame: &evidence::Frame| chunk.header.wall_of(frame.pts_offset) < to;
                chunk.end = chunk.header.frames.iter().rposition(wanted).map_or(0, |last| last + 1);
            }
            if chunk.first < chunk.end {
                return Ok(Some(chunk));
            }
        }
    }
}

/// The last keyframe presented at `from` or before.
fn last_keyframe(chunk: &Selected, from: WallTime) -> Option<usize> {
    let header = &chunk.header;
    header.frames.iter().rposition(|frame| frame.keyframe && header.wall_of(frame.pts_offset) <= from)
}

/// Whether decoding goes on from `earlier` to `later`.
fn follows(earlier: &Selected, later: &Selected) -> bool {
    later.entry.sequence == earlier.entry.sequence + 1
        && later.entry.flags & CHUNK_DISCONTINUITY == 0
        && later.entry.format == earlier.entry.format
}
