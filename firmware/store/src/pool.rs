//! The segment files of a volume: which hold footage, and where the next is from.
//!
//! Does not belong here: what is written to them (`writer`), whose footage goes when and why (`removal`).
//!
//! Invariants
//! - The index forgets a segment before its file is reused, unless the index itself fails.
//! - Files are reused, and removed only when the volume became smaller or somebody changed their size.

use std::collections::BTreeMap;
use std::sync::Arc;

use hal::WallTime;

use crate::backlog::Backlog;
use crate::config::MIN_SEGMENTS;
use crate::deletion_progress::Progress;
use crate::deletions::Deletions;
use crate::disk::{Access, DiskFile};
use crate::error::StoreError;
use crate::index::{SegmentRow, State};
use crate::locks::Locks;
use crate::retention::{Class, Rules};
use crate::runs::runs_of;
use crate::scrub::Scrubber;
use crate::segment::Entry;
use crate::volume::Volume;
use crate::witness::{Removal, Witnesses};

/// What is left free for the index: SQLite's log is 4 MiB before it is folded in, and the database grows by about
/// 100 bytes a run.
const INDEX_ROOM_BYTES: u64 = 8 << 20;

/// When something is closed of which nobody knows when it was.
pub(crate) const NEVER: WallTime = WallTime::from_unix_micros(i64::MAX);

/// A closed segment. 4 TB in segments of 64 MiB are 65 536 of them: 3 MB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    pub(crate) class: Class,
    /// It has a footer.
    pub(crate) sealed: bool,
    /// How many locks want it kept.
    pub(crate) locks: u16,
    /// When it was closed, by the volume's calendar.
    pub(crate) closed: WallTime,
    /// The end of its last presentation.
    pub(crate) newest: WallTime,
}

impl Kept {
    /// What cannot even be read: it goes when room is needed, never because of its age.
    pub(crate) const UNKNOWN: Self =
        Self { class: Class::DEFAULT, sealed: false, locks: 0, closed: NEVER, newest: NEVER };
}

impl From<&SegmentRow> for Kept {
    fn from(row: &SegmentRow) -> Self {
        let sealed = row.state == State::Sealed;
        Self { class: row.class, sealed, locks: 0, closed: row.closed, newest: row.newest }
    }
}

/// A file without footage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Free {
    pub(crate) segment: u64,
    /// Its header is known not to carry its number. One whose first commit failed may hold that commit, and only the
    /// segment that has it again says that it is void.
    pub(crate) blank: bool,
}

/// The file of a segment that is to be begun.
pub(crate) struct Taken {
    pub(crate) segment: u64,
    pub(crate) file: Arc<dyn DiskFile>,
    /// The file system was full and the oldest footage made room before its time.
    pub(crate) early: bool,
}

pub(crate) struct Pool {
    pub(crate) volume: Volume,
    /// Closed segments with footage.
    pub(crate) existing: BTreeMap<u64, Kept>,
    /// Of these, how many are locked.
    pub(crate) locked: u64,
    pub(crate) free: Vec<Free>,
    /// Fresh files whose first write failed: not tried again before the next commit.
    resting: Vec<u64>,
    /// The segment whose file could not be made. Where its name could not be removed either, it is still there.
    half_made: Option<u64>,
    pub(crate) next_segment: u64,
    pub(crate) backlog: Backlog,
    pub(crate) scrubber: Scrubber,
    pub(crate) locks: Locks,
    pub(crate) deletions: Deletions,
    pub(crate) deleting: Progress,
    pub(crate) rules: Rules,
    pub(crate) witnesses: Witnesses,
}

impl Pool {
    pub(crate) fn new(
        volume: Volume,
        backlog: Backlog,
        (locks, deletions): (Locks, Deletions),
        existing: BTreeMap<u64, Kept>,
        free: Vec<Free>,
        next_segment: u64,
    ) -> Self {
        Self {
            existing,
            locked: 0,
            free,
            resting: Vec::new(),
            half_made: None,
            next_segment,
            backlog,
            scrubber: Scrubber::new(volume.clone()),
            locks,
            deletions,
            deleting: Progress::default(),
            rules: Rules::default(),
            witnesses: Witnesses::default(),
            volume,
        }
    }

    /// All files, when `open` segments are being written.
    pub(crate) fn files(&self, open: usize) -> u64 {
        (self.existing.len() + self.free.len() + self.resting.len() + open) as u64
    }

    /// How many files there may be, when `open` segments are being written: one more is, and one is being read.
    pub(crate) fn max_files(&self, open: usize) -> u64 {
        (self.volume.max_bytes / self.volume.segment_bytes).max(MIN_SEGMENTS).max(open as u64 + 2)
    }

    /// A new commit: what failed in the last one may be tried again.
    pub(crate) fn begin(&mut self) {
        self.free.extend(self.resting.drain(..).map(|segment| Free { segment, blank: false }));
    }

    /// A segment was closed.
    pub(crate) fn closed(&mut self, row: SegmentRow, entries: &[Entry]) {
        let runs = runs_of(row.segment, entries);
        let mut kept = Kept { locks: self.locks.on(&runs), ..Kept::from(&row) };
        if kept.locks > 0 && self.locked >= self.lockable() {
            tracing::error!(segment = row.segment, "there is no more room to lock footage");
            kept.locks = 0;
        }
        self.locked += u64::from(kept.locks > 0);
        self.existing.insert(row.segment, kept);
        if kept.sealed {
            self.scrubber.queue(row.segment);
            self.witnesses.sealed(row.segment);
        }
        self.backlog.closed(row, runs);
    }

    /// Nothing was written to this segment.
    pub(crate) fn give_back(&mut self, segment: u64) {
        self.free.push(Free { segment, blank: true });
    }

    /// The first write to this segment failed. It is kept for the next try: a device that refuses every write must
    /// not cost an old segment each time.
    pub(crate) fn rest(&mut self, segment: u64) {
        self.resting.push(segment);
    }

    /// A file for the next segment, under its durable name; `open` others are being written.
    pub(crate) fn take(&mut self, open: usize) -> Result<Taken, StoreError> {
        let segment = self.next_segment;
        let path = self.volume.path(segment);
        let mut early = false;
        let file = if let Some(free) = self.free.last() {
            let file = self.reuse(free.segment, segment)?;
            self.free.pop();
            file
        } else {
            let victim = self.victim();
            match victim.filter(|_| self.files(open) >= self.max_files(open)) {
                Some(victim) => self.recycle(victim, segment)?,
                // Also where nothing may go: what is locked in a volume that became smaller does not stop recording.
                None => match self.create(segment) {
                    Ok(file) => Some(file),
                    Err(error) => {
                        let full = matches!(
                            error.kind(),
                            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
                        );
                        let victim = victim.filter(|_| full && self.existing.len() as u64 >= MIN_SEGMENTS);
                        let Some(victim) = victim else {
                            return Err(StoreError::io(&path, None, "a new segment cannot be made", error));
                        };
                        early = true;
                        self.recycle(victim, segment)?
                    }
                },
            }
        };
        self.next_segment = segment + 1;
        // Not the asked size: whoever truncated it, a new file takes its place.
        let file = match file {
            Some(file) => file,
            None => self
                .make(segment)
                .map_err(|error| StoreError::io(&path, None, "a new segment cannot be made", error))?,
        };
        if let Err(error) = self.volume.disk.sync_dir(&self.volume.segments) {
            self.free.push(Free { segment, blank: true });
            let what = "the new segment's name cannot be made durable";
            return Err(StoreError::io(&self.volume.segments, None, what, error));
        }
        Ok(Taken { segment, file, early })
    }

    fn create(&mut self, segment: u64) -> std::io::Result<Arc<dyn DiskFile>> {
        let free = self.volume.disk.free_bytes(&self.volume.segments)?;
        if free < self.volume.segment_bytes + INDEX_ROOM_BYTES {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.make(segment)
    }

    /// A new file under a number that nobody else has.
    fn make(&mut self, segment: u64) -> std::io::Result<Arc<dyn DiskFile>> {
        let path = self.volume.path(segment);
        if self.half_made == Some(segment) {
            match self.volume.disk.remove(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => self.half_made = None,
            }
        }
        let made = self.volume.disk.create(&path, self.volume.segment_bytes);
        if made.is_err() {
            self.half_made = Some(segment);
        }
        made
    }

    /// Takes the file of a segment; `None` when it had the wrong size and is gone.
    fn recycle(&mut self, victim: u64, to: u64) -> Result<Option<Arc<dyn DiskFile>>, StoreError> {
        self.announce(victim, Removal::Overwritten)?;
        let file = self.reuse(victim, to)?;
        self.existing.remove(&victim);
        Ok(file)
    }

    /// Gives a file another segment's name; `None` when it had the wrong size and is gone.
    pub(crate) fn reuse(&mut self, from: u64, to: u64) -> Result<Option<Arc<dyn DiskFile>>, StoreError> {
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
