//! Reading footage, beside the writer or without one.
//!
//! A reader changes nothing and takes no lock: the index tells what is durable, footers and headers tell where it
//! is, and every chunk is verified before its bytes leave. Does not belong here: choosing chunks (`select`), MP4
//! (`movie`).
//!
//! Invariants
//! - Nothing is reported that the writer has not acknowledged.
//! - Bytes that do not match their SHA-256 are an error, never an answer.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hal::{Pts90k, StreamId, WallTime};

use crate::disk::{Access, DiskFile, RealDisk};
use crate::error::{ErrorKind, StoreError};
use crate::index::{Index, SegmentRow, State};
use crate::runs::{Run, SegmentRun, join, runs_of};
use crate::sample::SampleFormat;
use crate::scan::{Scan, read_chunk};
use crate::segment::{Contents, Entry};
use crate::select::{Selected, Selection};
use crate::volume::{Probe, Volume};

/// Segments whose contents are kept: a few readers at different times. A footer is about half a percent of a
/// segment, so this is 2 MB at the usual size.
const KEPT_CONTENTS: usize = 6;

/// One access unit as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredUnit {
    /// The stream.
    pub stream: StreamId,
    /// When to present it.
    pub pts: Pts90k,
    /// The wall time of that.
    pub wall: WallTime,
    /// Decoding can start here.
    pub keyframe: bool,
    /// The first unit of a new timeline.
    pub discontinuity: bool,
    /// What a decoder must know first; the same `Arc` within a chunk.
    pub format: Arc<SampleFormat>,
    /// Video: NAL units behind 4-byte lengths, without parameter sets. Audio: as it came.
    pub data: Bytes,
}

/// A volume to read from; shared by any number of threads.
pub struct Reader {
    pub(crate) volume: Volume,
    state: Mutex<Known>,
}

/// What is known of the volume.
struct Known {
    index: Index,
    /// In the index, but not there: a power cut took away that they were forgotten.
    missing: BTreeSet<u64>,
    kept: VecDeque<(u64, Arc<Contents>)>,
    open: Option<OpenSegment>,
}

/// The segment being written, as far as it was scanned.
struct OpenSegment {
    scan: Scan,
    file: Arc<dyn DiskFile>,
    contents: Arc<Contents>,
}

impl Reader {
    /// Opens the volume in `dir`. Works beside the writer, from any process, and without a writer; where the index
    /// cannot be used, what the segments themselves say is taken, as of now.
    ///
    /// # Errors
    /// `NotFound` when there is no volume, `Unsupported`, `Damaged`, `Io`.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let volume = Volume::open(Arc::new(RealDisk), dir)?;
        let index = match Index::open_read_only(&volume.index_path()) {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unwritable | ErrorKind::Index) =>
            {
                tracing::warn!(%error, "reading without the index");
                index_in_memory(&volume)?
            }
            other => other?,
        };
        let there: BTreeSet<u64> = volume.numbers()?.into_iter().collect();
        let missing = index
            .segments()?
            .iter()
            .map(|row| row.segment)
            .filter(|segment| !there.contains(segment))
            .collect();
        let known = Known { index, missing, kept: VecDeque::new(), open: None };
        Ok(Self { volume, state: Mutex::new(known) })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // A panic elsewhere leaves caches at worst behind, never wrong.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The streams with footage, in order.
    ///
    /// # Errors
    /// `Index`, `Io`.
    pub fn streams(&self) -> Result<Vec<StreamId>, StoreError> {
        let mut known = self.known();
        let mut streams: BTreeSet<StreamId> = known.index.streams()?.into_iter().collect();
        for (_, contents) in known.open_contents(&self.volume)? {
            streams.extend(contents.entries.iter().map(|entry| entry.stream));
        }
        Ok(streams.into_iter().collect())
    }

    /// The first and the last moment of a stream's footage; `None` when there is none.
    ///
    /// # Errors
    /// `Index`, `Io`.
    pub fn bounds(&self, stream: StreamId) -> Result<Option<(WallTime, WallTime)>, StoreError> {
        let mut known = self.known();
        let ends = [known.index.first(stream)?, known.index.last(stream)?];
        let mut runs: Vec<SegmentRun> = ends.into_iter().flatten().collect();
        for (segment, contents) in known.open_contents(&self.volume)? {
            runs.extend(runs_of(segment, &contents.entries).into_iter().filter(|run| run.stream == stream));
        }
        let start = runs.iter().map(|run| run.start).min();
        let end = runs.iter().map(|run| run.end).max();
        Ok(start.zip(end))
    }

    /// The runs that touch `from`..`to`, in recording order. A run that began earlier or ends later is told from at
    /// most an hour before `from`.
    ///
    /// # Errors
    /// `Index`, `Io`.
    pub fn runs(&self, stream: StreamId, from: WallTime, to: WallTime) -> Result<Vec<Run>, StoreError> {
        Ok(join(self.segment_runs(stream, from, to)?).iter().map(Run::from).collect())
    }

    pub(crate) fn segment_runs(
        &self,
        stream: StreamId,
        from: WallTime,
        to: WallTime,
    ) -> Result<Vec<SegmentRun>, StoreError> {
        let mut known = self.known();
        // The open segment first: should it be sealed in between, its runs come twice and not never.
        let open = known.open_contents(&self.volume)?;
        let mut runs = known.index.runs(stream, from, to)?;
        runs.retain(|run| !known.missing.contains(&run.segment));
        for (segment, contents) in open {
            if runs.iter().any(|run| run.segment == segment) {
                continue;
            }
            runs.extend(
                runs_of(segment, &contents.entries)
                    .into_iter()
                    .filter(|run| run.stream == stream && run.start < to && run.end > from),
            );
        }
        runs.sort_by_key(|run| run.first_sequence);
        Ok(runs)
    }

    /// The units presented in `from`..`to`, in decoding order. It begins at the last keyframe before `from` when
    /// the footage goes on from there, and ends with the last unit needed for a presentation before `to`.
    ///
    /// # Errors
    /// `Index`, `Io`; the iterator also has `Damaged` and `Recycled`, and ends after an error.
    pub fn units(&self, stream: StreamId, from: WallTime, to: WallTime) -> Result<Units<'_>, StoreError> {
        let selection = Selection::new(self, stream, from, to)?;
        Ok(Units { reader: self, selection: Some(selection), ready: VecDeque::new() })
    }

    /// Where the chunks of a segment are.
    pub(crate) fn contents(&self, segment: u64) -> Result<Arc<Contents>, StoreError> {
        self.known().contents(&self.volume, segment)
    }
}

impl Known {
    /// The contents of segments that are being written: at most one, but the index decides.
    fn open_contents(&mut self, volume: &Volume) -> Result<Vec<(u64, Arc<Contents>)>, StoreError> {
        let mut found = Vec::new();
        for row in self.index.unsealed()? {
            if row.state != State::Open || self.missing.contains(&row.segment) {
                continue;
            }
            match self.open_segment(volume, row) {
                Ok(contents) => found.push((row.segment, contents)),
                // Recycled or removed a moment ago: the index's next answer will not have it.
                Err(error) if error.kind() == ErrorKind::Recycled => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    fn contents(&mut self, volume: &Volume, segment: u64) -> Result<Arc<Contents>, StoreError> {
        if let Some((_, contents)) = self.kept.iter().find(|(kept, _)| *kept == segment) {
            return Ok(Arc::clone(contents));
        }
        let Some(row) = self.index.segment(segment)? else { return Err(recycled(volume, segment)) };
        if row.state == State::Open {
            return self.open_segment(volume, row);
        }
        let file = open(volume, segment)?;
        let contents = match volume.probe(segment, &*file)? {
            Probe::Sealed(_, _, contents) => contents,
            Probe::Open(header) | Probe::Footless(header) => {
                let mut scan = Scan::new(&header);
                scan.advance_over_damage(volume, &*file, row.committed_bytes)?;
                scan.contents
            }
            Probe::Unbegun | Probe::Foreign => return Err(recycled(volume, segment)),
        };
        let contents = Arc::new(contents);
        self.kept.push_back((segment, Arc::clone(&contents)));
        if self.kept.len() > KEPT_CONTENTS {
            self.kept.pop_front();
        }
        Ok(contents)
    }

    fn open_segment(&mut self, volume: &Volume, row: SegmentRow) -> Result<Arc<Contents>, StoreError> {
        if self.open.as_ref().is_none_or(|open| open.scan.segment != row.segment) {
            let file = open(volume, row.segment)?;
            let Some(header) = volume.header(row.segment, &*file)? else {
                return Err(recycled(volume, row.segment));
            };
            self.open = Some(OpenSegment { scan: Scan::new(&header), file, contents: Arc::default() });
        }
        let Some(open) = &mut self.open else { return Ok(Arc::default()) };
        if open.scan.end < row.committed_bytes {
            open.scan.advance_over_damage(volume, &*open.file, row.committed_bytes)?;
            open.contents = Arc::new(open.scan.contents.clone());
        }
        Ok(Arc::clone(&open.contents))
    }
}

fn open(volume: &Volume, segment: u64) -> Result<Arc<dyn DiskFile>, StoreError> {
    volume.open_segment(segment, Access::Read).map_err(|error| match error.kind() {
        ErrorKind::NotFound => recycled(volume, segment),
        _ => error,
    })
}

fn recycled(volume: &Volume, segment: u64) -> StoreError {
    let what = "newer footage has taken the place of this segment";
    StoreError::new(ErrorKind::Recycled, &volume.path(segment), None, what)
}

/// Reads a chunk, verified.
pub(crate) fn fetch(volume: &Volume, segment: u64, entry: &Entry) -> Result<Bytes, StoreError> {
    let file = open(volume, segment)?;
    match read_chunk(volume, segment, &*file, entry) {
        Ok((_, payload)) => Ok(payload),
        // The header is the first thing that goes when a file is recycled.
        Err(error) if error.kind() == ErrorKind::Damaged && volume.header(segment, &*file)?.is_none() => {
            Err(recycled(volume, segment))
        }
        Err(error) => Err(error),
    }
}

/// What the segments themselves say, where there is no index to ask.
pub(crate) fn index_in_memory(volume: &Volume) -> Result<Index, StoreError> {
    let mut index = Index::open(Path::new(":memory:"))?;
    for segment in volume.numbers()? {
        let file = volume.open_segment(segment, Access::Read)?;
        let (committed_bytes, contents) = match volume.probe(segment, &*file)? {
            Probe::Sealed(_, trailer, contents) => (trailer.end, contents),
            Probe::Open(header) | Probe::Footless(header) => {
                let mut scan = Scan::new(&header);
                scan.advance_over_damage(volume, &*file, volume.segment_bytes)?;
                scan.cut_torn(volume, &*file)?;
                (scan.end, scan.contents)
            }
            Probe::Unbegun | Probe::Foreign => continue,
        };
        let row = SegmentRow { segment, state: State::Failed, committed_bytes };
        index.close(row, &runs_of(segment, &contents.entries))?;
    }
    Ok(index)
}

/// Iterates over stored units; made by [`Reader::units`].
pub struct Units<'a> {
    reader: &'a Reader,
    selection: Option<Selection<'a>>,
    ready: VecDeque<StoredUnit>,
}

impl Units<'_> {
    fn load(&mut self, selected: &Selected) -> Result<(), StoreError> {
        let payload = fetch(&self.reader.volume, selected.segment, &selected.entry)?;
        let header = &selected.header;
        let format = SampleFormat::decode(&header.entry)
            .map_err(|what| self.reader.volume.damaged(selected.segment, selected.entry.offset, what))?;
        let format = Arc::new(format);
        let mut at = selected.skip_bytes as usize;
        for frame in &header.frames[selected.first..selected.end] {
            let end = at + frame.size as usize;
            self.ready.push_back(StoredUnit {
                stream: header.stream,
                pts: Pts90k(header.pts.0.wrapping_add(i64::from(frame.pts_offset))),
                wall: header.wall_of(frame.pts_offset),
                keyframe: frame.keyframe,
                discontinuity: frame.discontinuity,
                format: Arc::clone(&format),
                data: payload.slice(at..end),
            });
            at = end;
        }
        Ok(())
    }
}

impl Iterator for Units<'_> {
    type Item = Result<StoredUnit, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(unit) = self.ready.pop_front() {
                return Some(Ok(unit));
            }
            let next = self.selection.as_mut()?.next();
            match next.and_then(|selected| selected.map(|selected| self.load(&selected)).transpose()) {
                Ok(Some(())) => {}
                Ok(None) => self.selection = None,
                Err(error) => {
                    self.selection = None;
                    return Some(Err(error));
                }
            }
        }
    }
}
