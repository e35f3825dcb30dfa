//! Reading sealed segments back from the medium.
//!
//! Kernels before 4.13 can report a write error to nobody, and disks lie; so every sealed segment is read back
//! once, a little between two commits, and compared with the CRCs that were written. Does not belong here: the full
//! check (`check`), which also hashes and decrypts.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use hal::ByteCount;

use crate::blocks::Blocks;
use crate::disk::{Access, DiskFile};
use crate::error::StoreError;
use crate::scan::{unreadable, verify_stored};
use crate::segment::Entry;
use crate::volume::{Probe, Volume};

/// What waits at most: enough for a disk that is behind for minutes, and each entry is small.
const MAX_WAITING: usize = 1024;

/// What reading back found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubReport {
    /// Bytes read back.
    pub bytes: ByteCount,
    /// Damage, for people.
    pub damages: Vec<String>,
}

struct Job {
    segment: u64,
    file: Arc<dyn DiskFile>,
    entries: VecDeque<Entry>,
    /// For the chunk that is looked at.
    memory: Blocks,
}

#[derive(Default)]
struct Work {
    waiting: VecDeque<u64>,
    job: Option<Job>,
}

pub(crate) struct Scrubber {
    volume: Volume,
    work: RefCell<Work>,
}

impl Scrubber {
    pub(crate) fn new(volume: Volume) -> Self {
        Self { volume, work: RefCell::default() }
    }

    pub(crate) fn queue(&self, segment: u64) {
        let waiting = &mut self.work.borrow_mut().waiting;
        if waiting.len() < MAX_WAITING {
            waiting.push_back(segment);
        }
    }

    /// The segment's file is about to be reused.
    pub(crate) fn forget(&self, segment: u64) {
        let work = &mut *self.work.borrow_mut();
        work.waiting.retain(|&waiting| waiting != segment);
        if work.job.as_ref().is_some_and(|job| job.segment == segment) {
            work.job = None;
        }
    }

    pub(crate) fn run(&self, budget: u64) -> ScrubReport {
        let work = &mut *self.work.borrow_mut();
        let mut report = ScrubReport::default();
        while report.bytes.0 < budget {
            if work.job.is_none() {
                let Some(segment) = work.waiting.pop_front() else { break };
                work.job = self.begin(segment, &mut report);
            }
            let Some(job) = &mut work.job else { continue };
            let Some(entry) = job.entries.pop_front() else {
                work.job = None;
                continue;
            };
            report.bytes.0 += entry.stored_bytes() as u64;
            if let Err(error) = self.look_at(job, &entry) {
                report.damages.push(error.to_string());
            }
        }
        report
    }

    fn look_at(&self, job: &mut Job, entry: &Entry) -> Result<(), StoreError> {
        let read = job.memory.read(&*job.file, entry.offset, entry.stored_bytes());
        let bytes = read.map_err(|error| unreadable(&self.volume, job.segment, entry, error))?;
        verify_stored(&self.volume, job.segment, entry, bytes).map(drop)
    }

    fn begin(&self, segment: u64, report: &mut ScrubReport) -> Option<Job> {
        let probed = self.volume.open_segment(segment, Access::Medium).and_then(|file| {
            let probe = self.volume.probe(segment, &*file)?;
            Ok((file, probe))
        });
        match probed {
            Ok((file, Probe::Sealed(_, _, contents))) => {
                let mut entries = VecDeque::from(contents.entries);
                entries.retain(|entry| !entry.deleted);
                Some(Job { segment, file, entries, memory: Blocks::default() })
            }
            Ok(_) => {
                let error =
                    self.volume.damaged(segment, self.volume.segment_bytes, "the footer reads back wrong");
                report.damages.push(error.to_string());
                None
            }
            Err(error) => {
                report.damages.push(error.to_string());
                None
            }
        }
    }
}
