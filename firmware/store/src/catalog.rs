//! What readers know of a volume: its runs, and the contents of its segments.
//!
//! The index tells what is durable, footers tell where it is; of an open segment the writer tells in its own process, and
//! others scan it as far as it is committed. Does not belong here: choosing chunks (`select`), units (`reader`).
//!
//! Invariants
//! - Nothing is reported that the writer has not acknowledged.
//! - Bytes that do not match their SHA-256 are an error, never an answer.

use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_map};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hal::{StreamId, WallTime};

use crate::config::Cipher;
use crate::coverage::{Beside, Coverage, Question};
use crate::disk::{Access, Disk, DiskFile};
use crate::error::{ErrorKind, StoreError};
use crate::index::{Index, SegmentRow, State};
use crate::keys::Keys;
use crate::lane::Chunks;
use crate::live::Live;
use crate::runs::{Bounds, SegmentRun, runs_of, spanning};
use crate::scan::{Scan, read_chunk};
use crate::segment::{Contents, Entry, footer_limit};
use crate::volume::{Probe, Volume};
use crate::walk::walk;
use crate::writer::Writer;

/// Segments whose contents are kept: a few readers at different times.
const KEPT_CONTENTS: usize = 6;

/// And so much of them, if it is more than two. A chunk of a second has about 0.8 KB in the footer: at 4 Mbit/s that is
/// 0.2 % of a segment, half a megabyte of 256 MiB; at a tenth of that, or with sound, several times as much.
const MAX_KEPT_BYTES: usize = 3 << 20;

/// Chunks that could not be read and are remembered; where more are bad, finding the damage again costs time, not footage.
const MAX_UNREADABLE: usize = 4096;

/// A volume as its readers know it; shared by any number of threads.
pub(crate) struct Catalog {
    pub(crate) volume: Volume,
    state: Mutex<Known>,
    /// By segment and offset: why a chunk could not be read. What is planned after that does without it.
    unreadable: Mutex<BTreeMap<(u64, u64), (ErrorKind, String)>>,
}

/// What is known of the volume.
struct Known {
    index: Index,
    /// Where the writer is in this process.
    live: Option<Arc<Live>>,
    /// In the index, but not there: a power cut took away that they were forgotten.
    missing: BTreeSet<u64>,
    kept: VecDeque<(u64, Arc<Contents>)>,
    /// By number; one for each class of retention in use.
    open: BTreeMap<u64, OpenSegment>,
}

/// A segment being written, as far as it was scanned.
struct OpenSegment {
    scan: Scan,
    file: Arc<dyn DiskFile>,
    contents: Arc<Contents>,
}

impl Catalog {
    /// Opens the volume in `dir`. Works beside the writer, from any process, and without a writer; where the index
    /// cannot be used, what the segments themselves say is taken, as of now.
    ///
    /// # Errors
    /// `NotFound` when there is no volume, `Unsupported`, `Damaged`, `Io`.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, keys: &Keys) -> Result<Self, StoreError> {
        let mut volume = Volume::open(disk, dir)?;
        volume.unlock_if_possible(keys)?;
        Self::new(volume, None)
    }

    /// Beside the writer of `volume` in this process.
    ///
    /// # Errors
    /// `Damaged`, `Io`.
    pub(crate) fn beside(writer: &Writer) -> Result<Self, StoreError> {
        Self::new(writer.volume().clone(), Some(Arc::clone(writer.live())))
    }

    fn new(volume: Volume, live: Option<Arc<Live>>) -> Result<Self, StoreError> {
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
        let known = Known { index, live, missing, kept: VecDeque::new(), open: BTreeMap::new() };
        Ok(Self { volume, state: Mutex::new(known), unreadable: Mutex::default() })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // A panic elsewhere leaves caches at worst behind, never wrong.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The streams with footage, in order.
    ///
    /// # Errors
    /// `Index`, `Io`.
    pub(crate) fn streams(&self) -> Result<Vec<StreamId>, StoreError> {
        let mut known = self.known();
        let mut streams: BTreeSet<StreamId> = known.index.streams()?.into_iter().collect();
        for (_, contents) in known.open_contents(&self.volume)? {
            streams.extend(contents.entries.iter().map(|entry| entry.stream));
        }
        Ok(streams.into_iter().collect())
    }

    /// The first and the last moment of every stream's footage.
    ///
    /// # Errors
    /// `Index`, `Io`.
    pub(crate) fn all_bounds(&self) -> Result<BTreeMap<StreamId, Bounds>, StoreError> {
        let mut known = self.known();
        let mut all = known.index.all_bounds()?;
        for (segment, contents) in known.open_contents(&self.volume)? {
            for run in runs_of(segment, &contents.entries) {
                let bounds = all.entry(run.stream).or_insert((run.start, run.end));
                *bounds = spanning(*bounds, (run.start, run.end));
            }
        }
        Ok(all)
    }

    /// The first and the last moment of a stream's footage; `None` when there is none.
    ///
    /// # Errors
    /// `Index`, `Io`.
    pub(crate) fn bounds(&self, stream: StreamId) -> Result<Option<Bounds>, StoreError> {
        let mut known = self.known();
        let mut bounds = known.index.bounds(stream)?;
        for (segment, contents) in known.open_contents(&self.volume)? {
            for run in runs_of(segment, &contents.entries).iter().filter(|run| run.stream == stream) {
                let of_run = (run.start, run.end);
                bounds = Some(bounds.map_or(of_run, |known| spanning(known, of_run)));
            }
        }
        Ok(bounds)
    }

    /// The runs that touch `from`..`to`, as far as they lie in one segment each, in recording order.
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

    /// When streams have footage.
    pub(crate) fn coverage(&self, question: &Question<'_>) -> Result<Vec<Coverage>, StoreError> {
        let mut known = self.known();
        let mut beside = Beside::default();
        // The open segments first: should one be sealed in between, its runs come twice and not never.
        for (segment, contents) in known.open_contents(&self.volume)? {
            beside.open.extend(runs_of(segment, &contents.entries));
        }
        for &segment in &known.missing {
            beside.missing.extend(known.index.runs_in(segment)?);
        }
        known.index.coverage(question, &beside)
    }

    /// Reads a chunk's footage, verified. Remembers when that is not possible.
    ///
    /// # Errors
    /// `Recycled` when newer footage has taken the place, `NoKey`, `Damaged`, `Io`.
    pub(crate) fn fetch(&self, segment: u64, entry: &Entry) -> Result<Bytes, StoreError> {
        fetch(&self.volume, segment, entry).inspect_err(|error| {
            if !matches!(error.kind(), ErrorKind::Recycled | ErrorKind::NoKey) {
                tracing::warn!(%error, "footage cannot be read");
                let mut known = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
                known.insert((segment, entry.offset), (error.kind(), error.what()));
                if known.len() > MAX_UNREADABLE {
                    known.pop_first();
                }
            }
        })
    }

    /// Why no footage of the volume can be read, although what there is is known.
    pub(crate) fn locked(&self) -> Option<StoreError> {
        let locked = self.volume.cipher != Cipher::None && self.volume.key.is_none();
        locked.then(|| no_key(&self.volume.dir, None))
    }

    /// Why a chunk could not be read, when that was tried before.
    pub(crate) fn unreadable(&self, segment: u64, entry: &Entry) -> Option<StoreError> {
        let known = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        let (kind, what) = known.get(&(segment, entry.offset))?;
        Some(StoreError::new(*kind, &self.volume.path(segment), Some(entry.offset), what.as_str()))
    }

    /// Whether a segment will never change.
    pub(crate) fn is_sealed(&self, segment: u64) -> Result<bool, StoreError> {
        Ok(self.known().index.segment(segment)?.is_some_and(|row| row.state == State::Sealed))
    }

    /// Where the chunks of a segment are.
    pub(crate) fn contents(&self, segment: u64) -> Result<Arc<Contents>, StoreError> {
        self.known().contents(&self.volume, segment)
    }
}

impl Chunks for Catalog {
    fn runs(&self, stream: StreamId, from: WallTime, to: WallTime) -> Result<Vec<SegmentRun>, StoreError> {
        self.segment_runs(stream, from, to)
    }

    fn chunks(&self, segment: u64) -> Result<Arc<Contents>, StoreError> {
        self.locked().map_or_else(|| self.contents(segment), Err)
    }

    fn refusal(&self, segment: u64, entry: &Entry) -> Option<StoreError> {
        self.unreadable(segment, entry)
    }

    fn damage(&self, segment: u64, offset: u64, what: &str) -> StoreError {
        self.volume.damaged(segment, offset, what)
    }
}

impl Known {
    /// The contents of segments that are being written: one a class, but the index decides.
    fn open_contents(&mut self, volume: &Volume) -> Result<Vec<(u64, Arc<Contents>)>, StoreError> {
        let mut found = Vec::new();
        let unsealed = self.index.unsealed()?;
        self.open.retain(|segment, _| unsealed.iter().any(|row| row.segment == *segment));
        for row in unsealed {
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
        let footer = if row.state == State::Sealed {
            let (chunks, payload_bytes) = self.index.amount(segment)?;
            volume.footer(segment, &*file, footer_limit(row.committed_bytes, chunks, payload_bytes))?
        } else {
            None
        };
        let contents = match footer {
            Some(contents) => contents,
            None => match volume.probe(segment, &*file)? {
                Probe::Sealed(_, _, contents) => contents,
                Probe::Open(header) | Probe::Footless(header) => {
                    let mut scan = Scan::new(&header);
                    scan.advance_over_damage(volume, &*file, row.committed_bytes)?;
                    scan.contents
                }
                Probe::Unbegun | Probe::Foreign => return Err(recycled(volume, segment)),
            },
        };
        let contents = Arc::new(contents);
        self.kept.push_back((segment, Arc::clone(&contents)));
        let are_many = |kept: &VecDeque<(u64, Arc<Contents>)>| {
            let bytes: usize = kept.iter().map(|(_, contents)| contents.bytes()).sum();
            kept.len() > KEPT_CONTENTS || kept.len() > 2 && bytes > MAX_KEPT_BYTES
        };
        while are_many(&self.kept) {
            self.kept.pop_front();
        }
        Ok(contents)
    }

    fn open_segment(&mut self, volume: &Volume, row: SegmentRow) -> Result<Arc<Contents>, StoreError> {
        let told = self.live.as_ref().and_then(|live| live.before(row.segment, row.committed_bytes));
        if let Some(contents) = told {
            return Ok(contents);
        }
        let open = match self.open.entry(row.segment) {
            btree_map::Entry::Occupied(known) => known.into_mut(),
            btree_map::Entry::Vacant(place) => {
                let file = open(volume, row.segment)?;
                let Some(header) = volume.header(row.segment, &*file)? else {
                    return Err(recycled(volume, row.segment));
                };
                place.insert(OpenSegment { scan: Scan::new(&header), file, contents: Arc::default() })
            }
        };
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

fn no_key(file: &Path, offset: Option<u64>) -> StoreError {
    let what = "the footage is encrypted, and the volume's key is not at hand";
    StoreError::new(ErrorKind::NoKey, file, offset, what)
}

/// Reads a chunk's footage, verified.
fn fetch(volume: &Volume, segment: u64, entry: &Entry) -> Result<Bytes, StoreError> {
    let file = open(volume, segment)?;
    match read_chunk(volume, segment, &*file, entry) {
        Ok((_, Some(footage))) => Ok(footage),
        Ok((_, None)) => Err(no_key(&volume.path(segment), Some(entry.offset))),
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
    walk(volume, |header, end, contents| {
        let row = SegmentRow::closed(header, end, None, &contents.entries);
        index.close(row, &runs_of(header.segment, &contents.entries))
    })?;
    Ok(index)
}
