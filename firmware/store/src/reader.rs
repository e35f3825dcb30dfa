//! Reading footage of one volume, or of several as if they were one.
//!
//! It works beside the writer and without one, changes nothing and takes no lock, and every chunk is verified before its
//! bytes leave. A volume that fails stops no other: what another one has is taken from there. Does not belong here: what
//! is there (`catalog`), choosing chunks (`select`), MP4 (`movie`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use evidence::SampleFormat;
use hal::{StreamId, WallTime};

use crate::catalog::Catalog;
use crate::coverage::{Coverage, Question};
use crate::disk::{Disk, RealDisk};
use crate::error::{ErrorKind, StoreError};
use crate::keys::Keys;
use crate::lane::{Chunks, Failure, Selected};
use crate::runs::{Bounds, DISCONTINUITY_GAP_MICROS, RUN_GAP_MICROS, Run, join, join_sides, spanning};
use crate::select::Selection;
use crate::store::Store;
use crate::unit::StoredUnit;

/// The most volumes read as one: as many disks as the largest boards take.
pub const MAX_VOLUMES: usize = 8;

/// Footage that should be there and cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The stream.
    pub stream: StreamId,
    /// The first moment that is missing.
    pub start: WallTime,
    /// The end of it.
    pub end: WallTime,
    /// Why.
    pub kind: ErrorKind,
    /// Where and why, for people.
    pub what: String,
}

impl Unread {
    pub(crate) fn new(stream: StreamId, failure: &Failure) -> Self {
        let Failure { start, end, error } = failure;
        Self { stream, start: *start, end: *end, kind: error.kind(), what: error.to_string() }
    }
}

/// One volume to read from, or several as one; shared by any number of threads, cheap to clone.
#[derive(Clone)]
pub struct Reader {
    pub(crate) volumes: Arc<[Arc<Catalog>]>,
}

impl Reader {
    /// Opens the volume in `dir`. Works beside the writer, from any process, and without a writer; where the index
    /// cannot be used, what the segments themselves say is taken, as of now. Of an encrypted volume that `keys` do not open
    /// everything is told but the footage: that is `NoKey`.
    ///
    /// # Errors
    /// `NotFound` when there is no volume, `Unsupported`, `Damaged`, `Io`.
    pub fn open(dir: &Path, keys: &Keys) -> Result<Self, StoreError> {
        Self::open_on(Arc::new(RealDisk), dir, keys)
    }

    /// Reads beside `store`, in its process: what is being written need not be looked for on the disk.
    ///
    /// # Errors
    /// `Damaged`, `Io`.
    pub fn beside(store: &Store) -> Result<Self, StoreError> {
        Ok(Self { volumes: [Arc::new(Catalog::beside(&store.writer)?)].into() })
    }

    /// As [`Reader::open`], on another disk.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open_on(disk: Arc<dyn Disk>, dir: &Path, keys: &Keys) -> Result<Self, StoreError> {
        Ok(Self { volumes: [Arc::new(Catalog::open(disk, dir, keys)?)].into() })
    }

    /// The volumes of all `readers` as one; the first [`MAX_VOLUMES`] of them. Footage that lies on several is taken from the
    /// first that has it, and from another where that one cannot be read.
    #[must_use]
    pub fn together<'a>(readers: impl IntoIterator<Item = &'a Self>) -> Self {
        let all = readers.into_iter().flat_map(|reader| reader.volumes.iter());
        Self { volumes: all.take(MAX_VOLUMES).map(Arc::clone).collect() }
    }

    /// What errors about all of it name.
    pub(crate) fn dir(&self) -> &Path {
        self.volumes.first().map_or(Path::new("no volume"), |volume| &volume.volume.dir)
    }

    pub(crate) fn no_footage(&self) -> StoreError {
        let what = "there is no footage of this in this time";
        StoreError::new(ErrorKind::NoFootage, self.dir(), None, what)
    }

    /// The streams with footage, in order.
    ///
    /// # Errors
    /// `Index`, `Io`, when no volume can tell.
    pub fn streams(&self) -> Result<Vec<StreamId>, StoreError> {
        let all: BTreeSet<StreamId> = self.ask(Catalog::streams)?.into_iter().flatten().collect();
        Ok(all.into_iter().collect())
    }

    /// The first and the last moment of a stream's footage; `None` when there is none.
    ///
    /// # Errors
    /// `Index`, `Io`, when no volume can tell.
    pub fn bounds(&self, stream: StreamId) -> Result<Option<Bounds>, StoreError> {
        let all = self.ask(|volume| volume.bounds(stream))?.into_iter().flatten();
        Ok(all.reduce(spanning))
    }

    /// The same of every stream that has footage.
    ///
    /// # Errors
    /// `Index`, `Io`, when no volume can tell.
    pub fn all_bounds(&self) -> Result<BTreeMap<StreamId, Bounds>, StoreError> {
        let mut all = BTreeMap::new();
        for (stream, bounds) in self.ask(Catalog::all_bounds)?.into_iter().flatten() {
            all.entry(stream).and_modify(|known| *known = spanning(*known, bounds)).or_insert(bounds);
        }
        Ok(all)
    }

    /// The runs that touch `from`..`to`, in recording order. A run that began earlier or ends later is told from at
    /// most an hour before `from`.
    ///
    /// # Errors
    /// `Index`, `Io`, when no volume can tell.
    pub fn runs(&self, stream: StreamId, from: WallTime, to: WallTime) -> Result<Vec<Run>, StoreError> {
        let of_volume = |volume: &Catalog| {
            Ok(join(volume.segment_runs(stream, from, to)?).iter().map(Run::from).collect())
        };
        Ok(self.ask(of_volume)?.into_iter().reduce(merge_runs).unwrap_or_default())
    }

    /// When `streams` have footage in `from`..`to`, for a timeline: one answer a stream, in their order, of at most
    /// `at_most` runs a volume. Where there are more, gaps no longer than that part of the asked time are left out. Takes
    /// milliseconds for 16 streams and a year.
    ///
    /// # Errors
    /// `Index`, `Io`, when no volume can tell.
    pub fn coverage(
        &self,
        streams: &[StreamId],
        from: WallTime,
        to: WallTime,
        at_most: usize,
    ) -> Result<Vec<Coverage>, StoreError> {
        let answers = self.ask(|volume| volume.coverage(&Question { streams, from, to, at_most }))?;
        let both = |one: Vec<Coverage>, other: Vec<Coverage>| {
            one.into_iter().zip(other).map(|(one, other)| one.and(other)).collect()
        };
        Ok(answers.into_iter().reduce(both).unwrap_or_default())
    }

    /// The units presented in `from`..`to`, in decoding order. It begins at the last keyframe before `from` when
    /// the footage goes on from there, and ends with the last unit needed for a presentation before `to`.
    ///
    /// # Errors
    /// `Index`, `Io`; the iterator also has `Damaged`, `NoKey` and `Recycled`, each once for a stretch that cannot be read, and goes on
    /// behind it.
    pub fn units(&self, stream: StreamId, from: WallTime, to: WallTime) -> Result<Units<'_>, StoreError> {
        Ok(Units::new(self, self.select(stream, from, to)?, false))
    }

    /// As [`Reader::units`], the keyframes alone: chunks without one are not read.
    ///
    /// # Errors
    /// As [`Reader::units`].
    pub fn keyframes(&self, stream: StreamId, from: WallTime, to: WallTime) -> Result<Units<'_>, StoreError> {
        Ok(Units::new(self, self.select(stream, from, to)?, true))
    }

    pub(crate) fn select(
        &self,
        stream: StreamId,
        from: WallTime,
        to: WallTime,
    ) -> Result<Selection<'_>, StoreError> {
        Selection::new(self.volumes.iter().map(|volume| &**volume as &dyn Chunks), stream, from, to)
    }

    /// The answers of all volumes that have one.
    fn ask<T>(&self, question: impl Fn(&Catalog) -> Result<T, StoreError>) -> Result<Vec<T>, StoreError> {
        let mut answers = Vec::with_capacity(self.volumes.len());
        let mut failure = None;
        for volume in self.volumes.iter() {
            match question(volume) {
                Ok(answer) => answers.push(answer),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if answers.is_empty() => Err(error),
            Some(error) => {
                tracing::warn!(%error, "a volume is left out");
                Ok(answers)
            }
            None => Ok(answers),
        }
    }
}

/// Joins what two volumes have of one stretch.
fn merge_runs(one: Vec<Run>, other: Vec<Run>) -> Vec<Run> {
    join_sides(
        one,
        other,
        |run| (run.start, run.end),
        |last, run| {
            // Of what both have, the longer one's bytes are as good a number as any.
            let both = run.start < last.end;
            last.bytes.0 = if both { last.bytes.0.max(run.bytes.0) } else { last.bytes.0 + run.bytes.0 };
            last.end = last.end.max(run.end);
        },
    )
}

/// A unit, and how it stands to the one before.
pub(crate) struct Told {
    pub(crate) unit: StoredUnit,
    /// Decoding goes on: not a unit is missing before it.
    pub(crate) follows: bool,
    /// That nothing is recorded for so long before it, microseconds; `None` where the footage goes on.
    pub(crate) missing_micros: Option<i64>,
}

/// Iterates over stored units; made by [`Reader::units`] and [`Reader::keyframes`].
pub struct Units<'a> {
    reader: &'a Reader,
    selection: Selection<'a>,
    keyframes_only: bool,
    ready: VecDeque<Told>,
    failed: VecDeque<StoreError>,
    /// Read, but what is missing before it was not told yet.
    next: Option<(Selected, Bytes)>,
    /// Of the last chunk that was read or passed over.
    end: Option<WallTime>,
    /// What is to be told of the next unit.
    broken: bool,
    missing_micros: Option<i64>,
}

impl<'a> Units<'a> {
    fn new(reader: &'a Reader, selection: Selection<'a>, keyframes_only: bool) -> Self {
        Self {
            reader,
            selection,
            keyframes_only,
            ready: VecDeque::new(),
            failed: VecDeque::new(),
            next: None,
            end: None,
            broken: false,
            missing_micros: None,
        }
    }

    /// The next chunk that can be read.
    fn load(&mut self) -> Option<(Selected, Bytes)> {
        loop {
            let selected = self.selection.next()?;
            if self.keyframes_only && !selected.frames().iter().any(|frame| frame.keyframe) {
                self.pass(&selected);
                continue;
            }
            match self.reader.volumes[selected.volume].fetch(selected.segment, &selected.entry) {
                Ok(payload) => return Some((selected, payload)),
                Err(error) => self.selection.refuse(&selected, error),
            }
        }
    }

    /// Notes what is missing between the chunk before and this one.
    fn pass(&mut self, selected: &Selected) {
        if let Some(end) = self.end.replace(selected.entry.end()) {
            self.broken |= !selected.follows;
            let missing = selected.entry.start().micros_since(end);
            if missing > RUN_GAP_MICROS || !selected.follows && missing > DISCONTINUITY_GAP_MICROS {
                self.missing_micros = Some(self.missing_micros.unwrap_or(0) + missing);
            }
        }
    }

    fn unpack(&mut self, selected: &Selected, payload: &Bytes) -> Result<(), StoreError> {
        let header = &selected.header;
        let format = SampleFormat::decode(&header.entry).map_err(|what| {
            let volume = &self.reader.volumes[selected.volume].volume;
            volume.damaged(selected.segment, selected.entry.offset, what)
        })?;
        let format = Arc::new(format);
        self.pass(selected);
        for unit in selected.units(payload, &format) {
            if self.keyframes_only && !unit.keyframe {
                continue;
            }
            let follows = !std::mem::take(&mut self.broken);
            self.ready.push_back(Told { unit, follows, missing_micros: self.missing_micros.take() });
        }
        Ok(())
    }

    /// As the iterator, and how each unit stands to the one before.
    pub(crate) fn next_told(&mut self) -> Option<Result<Told, StoreError>> {
        loop {
            if let Some(unit) = self.ready.pop_front() {
                return Some(Ok(unit));
            }
            if let Some(error) = self.failed.pop_front() {
                return Some(Err(error));
            }
            match self.next.take() {
                Some((selected, payload)) => {
                    if let Err(error) = self.unpack(&selected, &payload) {
                        return Some(Err(error));
                    }
                }
                None => {
                    self.next = self.load();
                    let until = match &self.next {
                        Some((selected, _)) if selected.follows => continue,
                        Some((selected, _)) => selected.entry.end(),
                        None => WallTime::from_unix_micros(i64::MAX),
                    };
                    let failures = self.selection.failures(until);
                    self.failed.extend(failures.into_iter().map(|failure| failure.error));
                    if self.next.is_none() && self.failed.is_empty() {
                        return None;
                    }
                }
            }
        }
    }
}

impl Iterator for Units<'_> {
    type Item = Result<StoredUnit, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_told()?.map(|told| told.unit))
    }
}
