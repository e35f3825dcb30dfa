//! The segment being written, the ones before it, and the next one.
//!
//! Does not belong here: filling chunks (`builder`), when to commit (`store`).
//!
//! Invariants
//! - One batch is one sequential write and one `fdatasync`; it begins on a block of its own.
//! - The index forgets a segment before its file is reused, unless the index itself fails.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use evidence::layout::{Hash, align_up};
use evidence::{ChunkHeader, Placement};
use hal::{StreamId, WallTime};

use crate::builder::ClosedChunk;
use crate::config::MIN_SEGMENTS;
use crate::disk::{Access, DiskFile, write_full};
use crate::error::{ErrorKind, StoreError};
use crate::index::{Index, SegmentRow, State};
use crate::layout::BLOCK_BYTES;
use crate::recover::Recovered;
use crate::runs::{SegmentRun, runs_of};
use crate::scrub::Scrubber;
use crate::segment::{Contents, SegmentHeader, encode_footer, footer_bytes};
use crate::volume::Volume;

/// What is left free for the index: SQLite's log is 4 MiB before it is folded in, and the database grows by about
/// 100 bytes a run.
const INDEX_ROOM_BYTES: u64 = 8 << 20;

/// The most chunks in one batch; the count is 16 bits on disk.
const MAX_BATCH_CHUNKS: usize = 4096;

/// What failed.
pub(crate) enum Failure {
    /// The segment: nothing more may be written to it.
    Segment(StoreError),
    /// Not the segment's fault; trying again later is right.
    Volume(StoreError),
}

struct Current {
    segment: u64,
    file: Arc<dyn DiskFile>,
    /// Behind the last durable commit; 0 while not even the header is written.
    end: u64,
    contents: Contents,
    created: WallTime,
    /// The index knows of `end`.
    indexed: bool,
}

/// What the index does not know yet.
enum Unindexed {
    Closed(SegmentRow, Vec<SegmentRun>),
    Recycled(u64),
}

pub(crate) struct Writer {
    volume: Volume,
    index: Index,
    nonce: u64,
    current: Option<Current>,
    existing: BTreeSet<u64>,
    free: Vec<u64>,
    /// Fresh files whose first write failed: not tried again before the next commit.
    resting: Vec<u64>,
    next_segment: u64,
    next_commit: u64,
    unindexed: VecDeque<Unindexed>,
    sealed: Vec<u64>,
}

impl Writer {
    pub(crate) fn new(volume: Volume, nonce: u64, recovered: Recovered) -> Result<Self, StoreError> {
        let current = recovered.resume.map(|(file, scan)| Current {
            segment: scan.segment,
            file,
            end: scan.end,
            contents: scan.contents,
            created: WallTime::default(),
            indexed: true,
        });
        let mut writer = Self {
            volume,
            index: recovered.index,
            nonce,
            current,
            existing: recovered.existing,
            free: recovered.free,
            resting: Vec::new(),
            next_segment: recovered.next_segment,
            next_commit: recovered.next_commit,
            unindexed: VecDeque::new(),
            sealed: Vec::new(),
        };
        writer.shrink()?;
        Ok(writer)
    }

    pub(crate) fn volume(&self) -> &Volume {
        &self.volume
    }

    fn files(&self) -> u64 {
        (self.existing.len() + self.free.len() + self.resting.len()) as u64
            + u64::from(self.current.is_some())
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.files() * self.volume.segment_bytes
    }

    fn max_segments(&self) -> u64 {
        (self.volume.max_bytes / self.volume.segment_bytes).max(MIN_SEGMENTS)
    }

    /// Removes what a smaller `max_bytes` has no room for: the only time that files go.
    fn shrink(&mut self) -> Result<(), StoreError> {
        while self.files() > self.max_segments() {
            let segment = match self.free.pop() {
                Some(free) => free,
                None => match self.existing.pop_first() {
                    Some(oldest) => oldest,
                    None => break,
                },
            };
            self.index.forget(&[segment])?;
            let path = self.volume.path(segment);
            self.volume
                .disk
                .remove(&path)
                .map_err(|error| StoreError::io(&path, None, "cannot be removed", error))?;
        }
        Ok(())
    }

    /// A new commit: what failed in the last one may be tried again.
    pub(crate) fn begin(&mut self) {
        self.free.append(&mut self.resting);
    }

    /// Makes sure that there is a segment to write to; `true` when the file system was full and the oldest
    /// footage had to make room.
    pub(crate) fn ensure_segment(&mut self, now: WallTime, scrubber: &Scrubber) -> Result<bool, StoreError> {
        if self.current.is_some() {
            return Ok(false);
        }
        let segment = self.next_segment;
        let path = self.volume.path(segment);
        let mut early = false;
        let file = if let Some(&free) = self.free.last() {
            let file = self.reuse(free, segment)?;
            self.free.pop();
            file
        } else if self.files() < self.max_segments() {
            match self.create(&path) {
                Ok(file) => Some(file),
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
                    ) && self.existing.len() as u64 >= MIN_SEGMENTS =>
                {
                    early = true;
                    self.recycle(segment, scrubber)?
                }
                Err(error) => {
                    return Err(StoreError::io(&path, None, "a new segment cannot be made", error));
                }
            }
        } else {
            self.recycle(segment, scrubber)?
        };
        self.next_segment = segment + 1;
        // Not the asked size: whoever truncated it, a new file takes its place.
        let file = match file {
            Some(file) => file,
            None => self
                .volume
                .disk
                .create(&path, self.volume.segment_bytes)
                .map_err(|error| StoreError::io(&path, None, "a new segment cannot be made", error))?,
        };
        if let Err(error) = self.volume.disk.sync_dir(&self.volume.segments) {
            self.free.push(segment);
            let what = "the new segment's name cannot be made durable";
            return Err(StoreError::io(&self.volume.segments, None, what, error));
        }
        self.current = Some(Current {
            segment,
            file,
            end: 0,
            contents: Contents::default(),
            created: now,
            indexed: true,
        });
        Ok(early)
    }

    fn create(&self, path: &Path) -> std::io::Result<Arc<dyn DiskFile>> {
        let free = self.volume.disk.free_bytes(&self.volume.segments)?;
        if free < self.volume.segment_bytes + INDEX_ROOM_BYTES {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.volume.disk.create(path, self.volume.segment_bytes)
    }

    /// Takes the oldest segment's file; `None` when it had the wrong size and is gone.
    fn recycle(&mut self, to: u64, scrubber: &Scrubber) -> Result<Option<Arc<dyn DiskFile>>, StoreError> {
        let Some(&oldest) = self.existing.first() else {
            let what = "there is no segment to recycle";
            return Err(StoreError::new(ErrorKind::DiskFull, &self.volume.segments, None, what));
        };
        self.unindexed
            .retain(|unindexed| !matches!(unindexed, Unindexed::Closed(row, _) if row.segment == oldest));
        if let Err(error) = self.index.forget(&[oldest]) {
            // Recording goes on: readers are told when they ask for it, and opening the volume drops its rows.
            tracing::error!(%error, segment = oldest, "the index still tells of a recycled segment");
            self.unindexed.push_front(Unindexed::Recycled(oldest));
        }
        scrubber.forget(oldest);
        let file = self.reuse(oldest, to)?;
        self.existing.remove(&oldest);
        Ok(file)
    }

    fn reuse(&mut self, from: u64, to: u64) -> Result<Option<Arc<dyn DiskFile>>, StoreError> {
        let (old, new) = (self.volume.path(from), self.volume.path(to));
        let file = self.volume.open_segment(from, Access::ReadWrite)?;
        let len = file.size().map_err(|error| StoreError::io(&old, None, "has no size", error))?;
        if len != self.volume.segment_bytes {
            self.volume
                .disk
                .remove(&old)
                .map_err(|error| StoreError::io(&old, None, "cannot be removed", error))?;
            return Ok(None);
        }
        self.volume
            .disk
            .rename(&old, &new)
            .map_err(|error| StoreError::io(&old, None, "cannot be recycled", error))?;
        Ok(Some(file))
    }

    /// Whether nothing was written to the current segment yet.
    pub(crate) fn is_fresh(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.end == 0)
    }

    /// How many of the first `chunks` fit into the current segment.
    pub(crate) fn fitting(&self, chunks: &[ClosedChunk]) -> usize {
        let Some(current) = &self.current else { return 0 };
        let mut end = current.end.max(BLOCK_BYTES);
        let mut headers = current.contents.headers.len();
        let mut count = 0;
        for chunk in chunks.iter().take(MAX_BATCH_CHUNKS) {
            end += chunk.header.stride();
            headers += chunk.header.header_bytes();
            let footer = footer_bytes(current.contents.entries.len() + count + 1, headers);
            if align_up(end, BLOCK_BYTES) + footer > self.volume.segment_bytes {
                break;
            }
            count += 1;
        }
        count
    }

    /// Writes `chunks` as one commit; the bytes written and the new end of each stream's hash chain.
    pub(crate) fn write(
        &mut self,
        chunks: &[ClosedChunk],
        chain: impl Fn(StreamId) -> Hash,
    ) -> Result<(u64, BTreeMap<StreamId, Hash>), Failure> {
        let Some(current) = &mut self.current else { return Ok((0, BTreeMap::new())) };
        let path = self.volume.path(current.segment);
        let begin = current.end;
        let mut parts: Vec<Vec<u8>> = Vec::with_capacity(chunks.len() + 1);
        if begin == 0 {
            let header = SegmentHeader {
                volume: self.volume.id,
                segment: current.segment,
                segment_bytes: self.volume.segment_bytes,
                first_commit: self.next_commit,
                created: current.created,
                writer: self.nonce,
                class: 0,
            };
            parts.push(header.encode());
        }
        let mut at = begin.max(BLOCK_BYTES);
        let mut chains: BTreeMap<StreamId, Hash> = BTreeMap::new();
        let mut contents = Contents::default();
        for (index, chunk) in chunks.iter().enumerate() {
            let mut header = chunk.header.clone();
            header.placement = Placement {
                segment: current.segment,
                commit: self.next_commit,
                writer: self.nonce,
                index: index as u16,
                count: chunks.len() as u16,
            };
            header.previous = chains.get(&header.stream).copied().unwrap_or_else(|| chain(header.stream));
            let encoded = header.encode();
            contents.push(at, &header, &encoded);
            chains.insert(header.stream, ChunkHeader::hash_of(&encoded));
            at += header.stride();
            parts.push(encoded);
        }
        let end = align_up(at, BLOCK_BYTES);

        static ZEROS: [u8; BLOCK_BYTES as usize] = [0; BLOCK_BYTES as usize];
        let mut slices = Vec::with_capacity(3 * chunks.len() + 2);
        let mut headers = parts.iter();
        if begin == 0 {
            slices.extend(headers.next().map(|header| IoSlice::new(header)));
        }
        let mut filled = begin.max(BLOCK_BYTES);
        for (header, chunk) in headers.zip(chunks) {
            let bytes = (header.len() + chunk.payload.len()) as u64;
            let padding = chunk.header.stride() - bytes;
            slices.push(IoSlice::new(header));
            slices.push(IoSlice::new(&chunk.payload));
            slices.push(IoSlice::new(&ZEROS[..padding as usize]));
            filled += bytes + padding;
        }
        slices.push(IoSlice::new(&ZEROS[..(end - filled) as usize]));

        write_full(&*current.file, begin, &mut slices).map_err(|error| {
            let error = StoreError::io(&path, Some(begin), "cannot be written", error);
            match error.kind() {
                // Full or read-only: nothing is known to be wrong with what is there.
                ErrorKind::DiskFull | ErrorKind::Unwritable => Failure::Volume(error),
                _ => Failure::Segment(error),
            }
        })?;
        // After a failed sync the kernel may have dropped the dirty pages: no second try on this file can tell.
        current.file.sync_data().map_err(|error| {
            Failure::Segment(StoreError::io(&path, Some(begin), "cannot be made durable", error))
        })?;
        current.end = end;
        current.contents.append(contents);
        current.indexed = false;
        self.next_commit += 1;
        Ok((end - begin, chains))
    }

    /// Seals the current segment, if anything is in it; the bytes written for that.
    ///
    /// # Errors
    /// The segment is then closed without a footer; what was committed to it stays.
    pub(crate) fn seal(&mut self) -> Result<Option<u64>, StoreError> {
        let Some(current) = self.current.take() else { return Ok(None) };
        if current.end == 0 {
            self.free.push(current.segment);
            return Ok(None);
        }
        self.close(&current).map(Some)
    }

    /// Leaves the current segment after an error; tries to seal what was committed to it.
    pub(crate) fn give_up(&mut self) {
        let Some(current) = self.current.take() else { return };
        if current.end == 0 {
            // Nothing in it was ever acknowledged. It is kept for the next try: a device that refuses every write
            // must not cost an old segment each time.
            self.resting.push(current.segment);
            return;
        }
        if let Err(error) = self.close(&current) {
            tracing::error!(%error, "the failed segment stays without a footer");
        }
    }

    fn close(&mut self, current: &Current) -> Result<u64, StoreError> {
        let segment = current.segment;
        let footer = encode_footer(segment, current.end, &current.contents);
        let at = self.volume.segment_bytes - footer.len() as u64;
        let written = write_full(&*current.file, at, &mut [IoSlice::new(&footer)])
            .and_then(|()| current.file.sync_data())
            .map_err(|error| StoreError::io(&self.volume.path(segment), Some(at), "cannot be sealed", error));
        let state = if written.is_ok() { State::Sealed } else { State::Failed };
        if state == State::Sealed {
            self.sealed.push(segment);
        }
        self.existing.insert(segment);
        let row = SegmentRow { segment, state, committed_bytes: current.end };
        self.unindexed.push_back(Unindexed::Closed(row, runs_of(segment, &current.contents.entries)));
        written.map(|()| footer.len() as u64)
    }

    /// Tells the index what became durable.
    pub(crate) fn update_index(&mut self) -> Result<(), StoreError> {
        while let Some(next) = self.unindexed.front() {
            match next {
                Unindexed::Closed(row, runs) => self.index.close(*row, runs)?,
                Unindexed::Recycled(segment) => drop(self.index.forget(&[*segment])?),
            }
            self.unindexed.pop_front();
        }
        if let Some(current) = self.current.as_mut().filter(|current| !current.indexed) {
            self.index.set_open(current.segment, current.end)?;
            current.indexed = true;
        }
        Ok(())
    }

    /// The segments sealed since the last call.
    pub(crate) fn take_sealed(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.sealed)
    }
}
