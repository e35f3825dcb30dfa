//! The segment files of a volume: which hold footage, and where the next is from.
//!
//! Does not belong here: what is written to them (`writer`), telling the index (`backlog`).
//!
//! Invariants
//! - The index forgets a segment before its file is reused, unless the index itself fails.
//! - Files are reused, and removed only when the volume became smaller or somebody changed their size.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::backlog::Backlog;
use crate::config::MIN_SEGMENTS;
use crate::disk::{Access, DiskFile};
use crate::error::{ErrorKind, StoreError};
use crate::index::SegmentRow;
use crate::retention::Class;
use crate::scrub::Scrubber;
use crate::volume::Volume;

/// What is left free for the index: SQLite's log is 4 MiB before it is folded in, and the database grows by about
/// 100 bytes a run.
const INDEX_ROOM_BYTES: u64 = 8 << 20;

/// A closed segment. 4 TB in segments of 64 MiB are 65 536 of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    pub(crate) class: Class,
}

impl Kept {
    /// What cannot even be read.
    pub(crate) const UNKNOWN: Self = Self { class: Class::DEFAULT };
}

impl From<&SegmentRow> for Kept {
    fn from(row: &SegmentRow) -> Self {
        Self { class: row.class }
    }
}

/// The file of a segment that is to be begun.
pub(crate) struct Taken {
    pub(crate) segment: u64,
    pub(crate) file: Arc<dyn DiskFile>,
    /// The file system was full and the oldest footage made room before its time.
    pub(crate) early: bool,
}

pub(crate) struct Pool {
    volume: Volume,
    /// Closed segments with footage.
    pub(crate) existing: BTreeMap<u64, Kept>,
    free: Vec<u64>,
    /// Fresh files whose first write failed: not tried again before the next commit.
    resting: Vec<u64>,
    next_segment: u64,
}

impl Pool {
    pub(crate) fn new(
        volume: Volume,
        existing: BTreeMap<u64, Kept>,
        free: Vec<u64>,
        next_segment: u64,
    ) -> Self {
        Self { volume, existing, free, resting: Vec::new(), next_segment }
    }

    /// All files, when `open` segments are being written.
    pub(crate) fn files(&self, open: usize) -> u64 {
        (self.existing.len() + self.free.len() + self.resting.len() + open) as u64
    }

    /// How many files there may be, when `open` segments are being written: one more is, and one is being read.
    fn max_files(&self, open: usize) -> u64 {
        (self.volume.max_bytes / self.volume.segment_bytes).max(MIN_SEGMENTS).max(open as u64 + 2)
    }

    /// Removes what a smaller `max_bytes` has no room for: the only time that files go.
    pub(crate) fn shrink(&mut self, open: usize, backlog: &mut Backlog) -> Result<(), StoreError> {
        while self.files(open) > self.max_files(open) {
            let segment = match self.free.pop() {
                Some(free) => free,
                None => match self.existing.pop_first() {
                    Some((oldest, _)) => oldest,
                    None => break,
                },
            };
            backlog.forget(segment);
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

    /// Nothing was written to this segment.
    pub(crate) fn give_back(&mut self, segment: u64) {
        self.free.push(segment);
    }

    /// The first write to this segment failed. It is kept for the next try: a device that refuses every write must
    /// not cost an old segment each time.
    pub(crate) fn rest(&mut self, segment: u64) {
        self.resting.push(segment);
    }

    /// A file for the next segment, under its durable name; `open` others are being written.
    pub(crate) fn take(
        &mut self,
        open: usize,
        backlog: &mut Backlog,
        scrubber: &Scrubber,
    ) -> Result<Taken, StoreError> {
        let segment = self.next_segment;
        let path = self.volume.path(segment);
        let mut early = false;
        let file = if let Some(&free) = self.free.last() {
            let file = self.reuse(free, segment)?;
            self.free.pop();
            file
        } else if self.files(open) < self.max_files(open) {
            match self.create(&path) {
                Ok(file) => Some(file),
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
                    ) && self.existing.len() as u64 >= MIN_SEGMENTS =>
                {
                    early = true;
                    self.recycle(segment, backlog, scrubber)?
                }
                Err(error) => {
                    return Err(StoreError::io(&path, None, "a new segment cannot be made", error));
                }
            }
        } else {
            self.recycle(segment, backlog, scrubber)?
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
        Ok(Taken { segment, file, early })
    }

    fn create(&self, path: &Path) -> std::io::Result<Arc<dyn DiskFile>> {
        let free = self.volume.disk.free_bytes(&self.volume.segments)?;
        if free < self.volume.segment_bytes + INDEX_ROOM_BYTES {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.volume.disk.create(path, self.volume.segment_bytes)
    }

    /// Takes the oldest segment's file; `None` when it had the wrong size and is gone.
    fn recycle(
        &mut self,
        to: u64,
        backlog: &mut Backlog,
        scrubber: &Scrubber,
    ) -> Result<Option<Arc<dyn DiskFile>>, StoreError> {
        let Some((&oldest, _)) = self.existing.first_key_value() else {
            let what = "there is no segment to recycle";
            return Err(StoreError::new(ErrorKind::DiskFull, &self.volume.segments, None, what));
        };
        backlog.forget(oldest);
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
}
