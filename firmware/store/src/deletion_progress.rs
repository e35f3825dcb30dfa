//! How far the deletions of a volume are, between two commits.
//!
//! Does not belong here: doing them (`deletion`), what has to survive a restart (`deletions`).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::disk::DiskFile;
use crate::error::StoreError;
use crate::index::SegmentRow;
use crate::segment::Contents;

/// How far the deletions are.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) round: Option<Round>,
    pub(crate) job: Option<Job>,
    /// Deletions that rest until the next try, because something of them could not be overwritten.
    pub(crate) resting: BTreeSet<u64>,
    /// What went wrong since the last try.
    pub(crate) failed: Option<StoreError>,
}

/// One way through the segments of a deletion.
pub(crate) struct Round {
    /// Of which one.
    pub(crate) id: u64,
    /// The segments that are still to be looked at.
    pub(crate) waiting: BTreeSet<u64>,
    /// Something of it could not be overwritten.
    pub(crate) failed: bool,
}

/// A segment of which something goes.
pub(crate) struct Job {
    pub(crate) segment: u64,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) row: SegmentRow,
    pub(crate) contents: Contents,
    /// The chunks that go, by their places in the contents.
    pub(crate) doomed: Vec<usize>,
    /// How many of them are overwritten.
    pub(crate) overwritten: usize,
}

impl Progress {
    /// The segment's file is about to be reused or removed.
    pub(crate) fn forget(&mut self, segment: u64) {
        if let Some(round) = &mut self.round {
            round.waiting.remove(&segment);
        }
        self.job.take_if(|job| job.segment == segment);
    }

    /// Something could not be done; the rest of the round is.
    pub(crate) fn fail(&mut self, error: StoreError) {
        self.failed = Some(error);
        if let Some(round) = &mut self.round {
            round.failed = true;
        }
    }
}
