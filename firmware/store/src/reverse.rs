//! A stretch of video backwards: the last picture group first.
//!
//! Within a group units come in decoding order, as a decoder needs them; it is the groups that are turned. Each is looked
//! for by the moment at which the later one begins, so nothing but the headers around it and its own chunks are read.
//!
//! Does not belong here: forwards (`reader`), what a player is told of it (`replay`).
//!
//! Invariants
//! - What is held is one group.
//! - The moment only moves back, so it ends, whatever the clock did while it was recorded.

use std::sync::Arc;

use evidence::SampleFormat;
use hal::{StreamId, WallTime};

use crate::error::StoreError;
use crate::lane::Selected;
use crate::reader::Reader;
use crate::runs::DISCONTINUITY_GAP_MICROS;
use crate::unit::StoredUnit;

/// How far back earlier footage is looked for at first; doubled until there is some.
const FIRST_LOOK_MICROS: i64 = 3_600_000_000;

/// The step over a place that cannot be read; doubled up to the most while it goes on.
const FIRST_STEP_MICROS: i64 = 1_000_000;
const MAX_STEP_MICROS: i64 = 60_000_000;

/// One picture group.
pub(crate) struct Group {
    /// In decoding order; the first is a keyframe.
    pub(crate) units: Vec<StoredUnit>,
    /// That nothing is recorded for so long behind it, microseconds.
    pub(crate) missing_micros: Option<i64>,
}

/// Walks back through a stretch of a stream.
pub(crate) struct Groups<'a> {
    reader: &'a Reader,
    stream: StreamId,
    from: WallTime,
    /// Where the group that was given last begins, or the end of the stretch.
    later: WallTime,
    /// What is looked at is before this.
    before: WallTime,
    keyframes_only: bool,
    step_micros: i64,
}

impl<'a> Groups<'a> {
    pub(crate) fn new(
        reader: &'a Reader,
        stream: StreamId,
        from: WallTime,
        to: WallTime,
        keyframes_only: bool,
    ) -> Self {
        Self { reader, stream, from, later: to, before: to, keyframes_only, step_micros: FIRST_STEP_MICROS }
    }

    /// The group before; `None` when there is none any more.
    ///
    /// # Errors
    /// `Index`, `Io`, when no volume can tell.
    pub(crate) fn next(&mut self) -> Result<Option<Group>, StoreError> {
        while self.before > self.from {
            if let Some((units, end)) = self.group()? {
                let start = units[0].wall;
                let missing = self.later.micros_since(end);
                (self.later, self.before, self.step_micros) = (start, start, FIRST_STEP_MICROS);
                let missing_micros = (missing > DISCONTINUITY_GAP_MICROS).then_some(missing);
                return Ok(Some(Group { units, missing_micros }));
            }
            let Some(earlier) = self.step_back()? else { break };
            self.before = earlier;
        }
        self.before = self.from;
        Ok(None)
    }

    /// The group that is shown just before, as far as it can be read, and its end.
    fn group(&self) -> Result<Option<(Vec<StoredUnit>, WallTime)>, StoreError> {
        let mut selection = self.reader.select(self.stream, self.before.offset_micros(-1), self.before)?;
        let mut units: Vec<StoredUnit> = Vec::new();
        let mut end = None::<WallTime>;
        while let Some(mut chunk) = selection.next() {
            let first = end.is_none();
            if first {
                let starts = chunk.frames().first().filter(|frame| frame.keyframe);
                let shown = |frame: &evidence::Frame| chunk.header.wall_of(frame.pts_offset) < self.before;
                if !starts.is_some_and(shown) {
                    break;
                }
            } else if !chunk.follows {
                break;
            }
            let skip = usize::from(first);
            let next = chunk.frames()[skip..].iter().position(|frame| frame.keyframe);
            if let Some(at) = next {
                chunk.end = chunk.first + skip + at;
            }
            if chunk.first < chunk.end && (first || !self.keyframes_only) {
                match self.read(&chunk) {
                    Ok(read) => units.extend(read),
                    Err(error) => {
                        selection.refuse(&chunk, error);
                        continue;
                    }
                }
            }
            end = end.max(end_of(&chunk));
            if next.is_some() {
                break;
            }
        }
        if self.keyframes_only {
            units.truncate(1);
        }
        Ok(end.filter(|_| !units.is_empty()).map(|end| (units, end)))
    }

    fn read(&self, chunk: &Selected) -> Result<Vec<StoredUnit>, StoreError> {
        let catalog = &self.reader.volumes[chunk.volume];
        let footage = catalog.fetch(chunk.segment, &chunk.entry)?;
        let format = SampleFormat::decode(&chunk.header.entry)
            .map_err(|what| catalog.volume.damaged(chunk.segment, chunk.entry.offset, what))?;
        Ok(chunk.units(&footage, &Arc::new(format)).collect())
    }

    /// Where earlier footage may be.
    fn step_back(&mut self) -> Result<Option<WallTime>, StoreError> {
        let mut look = FIRST_LOOK_MICROS;
        loop {
            let earliest = self.before.offset_micros(-look).max(self.from);
            let runs = self.reader.runs(self.stream, earliest, self.before)?;
            let ends = runs.iter().filter(|run| run.start < self.before).map(|run| run.end.min(self.before));
            match ends.max() {
                Some(end) if end < self.before => return Ok(Some(end)),
                Some(_) => {
                    let step = self.step_micros;
                    self.step_micros = (step * 2).min(MAX_STEP_MICROS);
                    return Ok(Some(self.before.offset_micros(-step)));
                }
                None if earliest <= self.from => return Ok(None),
                None => look = look.saturating_mul(2),
            }
        }
    }
}

/// When what is left of a chunk ends: with its last picture's time, or with the chunk.
fn end_of(chunk: &Selected) -> Option<WallTime> {
    if chunk.end == chunk.header.frames.len() {
        return Some(chunk.entry.end());
    }
    let next = chunk.header.frames.get(chunk.end).map(|frame| chunk.header.wall_of(frame.pts_offset));
    next.filter(|_| chunk.first < chunk.end)
}
