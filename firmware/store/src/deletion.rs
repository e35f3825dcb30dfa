//! Deleting a stretch of footage: chunks, in place, some with each commit.
//!
//! docs/storage.md, "Deleting a stretch". Does not belong here: what is to go (`deletions`), whole segments (`removal`), what is
//! left of a chunk (`deleted`).
//!
//! Invariants
//! - Payloads are overwritten and synced before marks and footer say that they are gone, that is durable before the index hears
//!   of it, and that before the deletion counts as done. Doing any of it twice does nothing the second time.
//! - A place that cannot be overwritten is tried again and again; it keeps no other from being overwritten.

use std::io::IoSlice;

use hal::StreamId;

use crate::deleted::{mark, overwrite};
use crate::deletion_progress::{Job, Round};
use crate::deletions::{Deletion, End};
use crate::disk::{Access, write_full};
use crate::error::StoreError;
use crate::index::{SegmentRow, State};
use crate::pool::Pool;
use crate::runs::runs_of;
use crate::scan::Scan;
use crate::segment::encode_footer;
use crate::volume::Probe;

/// What is overwritten with one commit, at most: a third of a second of a slow disk, and rings hold many times that.
const OVERWRITTEN_A_COMMIT: u64 = 32 << 20;

/// What it costs of that to look at a segment: its footer is read.
const LOOK_BYTES: u64 = 512 << 10;

impl Pool {
    /// Goes on with what is to be deleted.
    ///
    /// # Errors
    /// When something could not be overwritten; the rest was tried, and the next call tries all of it again.
    pub(crate) fn delete_some(&mut self) -> Result<(), StoreError> {
        let mut budget = OVERWRITTEN_A_COMMIT;
        while budget > 0 {
            if self.deleting.job.is_none() && !self.next_job(&mut budget)? {
                break;
            }
            let Some(mut job) = self.deleting.job.take() else { break };
            match self.work(&mut job, &mut budget) {
                Ok(true) => {}
                Ok(false) => self.deleting.job = Some(job),
                Err(error) => self.deleting.fail(error),
            }
        }
        Ok(())
    }

    /// Finds the next segment of which something goes; `false` when there is nothing more to do.
    fn next_job(&mut self, budget: &mut u64) -> Result<bool, StoreError> {
        loop {
            let awake = |deletion: &&Deletion| !self.deleting.resting.contains(&deletion.id);
            let Some(deletion) = self.deletions.all().iter().find(awake).cloned() else {
                self.deleting.resting.clear();
                return self.deleting.failed.take().map_or(Ok(false), Err);
            };
            if self.deleting.round.as_ref().is_none_or(|round| round.id != deletion.id) {
                let mut waiting = self.backlog.touching(&deletion.streams, deletion.from, deletion.to)?;
                waiting.retain(|segment| *segment < deletion.before);
                self.deleting.round = Some(Round { id: deletion.id, waiting, failed: false });
            }
            if *budget == 0 {
                return Ok(false);
            }
            let Some(round) = &mut self.deleting.round else { continue };
            if let Some(segment) = round.waiting.pop_first() {
                *budget = budget.saturating_sub(LOOK_BYTES);
                match self.begin_job(segment, &deletion) {
                    Ok(None) => {}
                    Ok(job) => {
                        self.deleting.job = job;
                        return Ok(true);
                    }
                    Err(error) => self.deleting.fail(error),
                }
                continue;
            }
            if !round.failed
                && let Err(error) = self.finish_deletion(deletion.id)
            {
                self.deleting.fail(error);
            }
            if self.deleting.round.take().is_some_and(|round| round.failed) {
                self.deleting.resting.insert(deletion.id);
            }
        }
    }

    fn finish_deletion(&mut self, id: u64) -> Result<(), StoreError> {
        self.backlog.settle()?;
        self.deletions.finish(id)
    }

    /// `None` where nothing is left to be done.
    fn begin_job(&mut self, segment: u64, deletion: &Deletion) -> Result<Option<Job>, StoreError> {
        if !self.existing.contains_key(&segment) {
            return Ok(None);
        }
        let file = self.volume.open_segment(segment, Access::ReadWrite)?;
        let known = self.backlog.row(segment)?;
        let (row, contents, is_whole) = match self.volume.probe(segment, &*file)? {
            Probe::Unbegun | Probe::Foreign => return Ok(None),
            Probe::Sealed(header, trailer, contents) => {
                let row = SegmentRow::closed(&header, trailer.end, Some(trailer.closed), &contents.entries);
                (row, contents, true)
            }
            Probe::Open(header) | Probe::Footless(header) => {
                let limit = known.map_or(self.volume.segment_bytes, |row| row.committed_bytes);
                let mut scan = Scan::new(&header);
                scan.advance_over_damage(&self.volume, &*file, limit)?;
                // Sealed, as far as the index knows: the power went while its footer was written anew.
                let sealed = known.filter(|row| row.state == State::Sealed);
                let closed = sealed.map(|row| row.closed);
                let row = SegmentRow::closed(&header, scan.end, closed, &scan.contents.entries);
                (row, scan.contents, false)
            }
        };
        let goes = |at: &usize| deletion.takes_chunk(&contents.entries[*at]);
        let doomed: Vec<usize> = (0..contents.entries.len()).filter(goes).collect();
        // A footer is written when what it tells is so; without one nobody knows how far the overwriting went.
        let is_done = is_whole && doomed.iter().all(|at| contents.entries[*at].deleted);
        let job = Job { segment, file, row, contents, doomed, overwritten: 0 };
        if is_done {
            self.tell_index(&job);
            return Ok(None);
        }
        self.scrubber.forget(segment);
        Ok(Some(job))
    }

    /// Overwrites as much as `budget` allows; whether the segment is done.
    fn work(&mut self, job: &mut Job, budget: &mut u64) -> Result<bool, StoreError> {
        let path = self.volume.path(job.segment);
        let failed =
            |offset, error| StoreError::io(&path, offset, "what is deleted cannot be overwritten", error);
        for at in &job.doomed[job.overwritten..] {
            if *budget == 0 {
                return Ok(false);
            }
            let entry = &job.contents.entries[*at];
            overwrite(&*job.file, entry).map_err(|error| failed(Some(entry.offset), error))?;
            *budget = budget.saturating_sub(u64::from(entry.payload_bytes));
            job.overwritten += 1;
        }
        job.file.sync_data().map_err(|error| failed(None, error))?;
        for at in &job.doomed {
            let entry = &mut job.contents.entries[*at];
            mark(&*job.file, job.segment, entry).map_err(|error| failed(Some(entry.offset), error))?;
            entry.deleted = true;
        }
        job.file.sync_data().map_err(|error| failed(None, error))?;
        if job.row.state == State::Sealed {
            let (end, closed) = (job.row.committed_bytes, job.row.closed);
            let footer = encode_footer(job.segment, end, closed, &job.contents);
            let at = self.volume.segment_bytes - footer.len() as u64;
            write_full(&*job.file, at, &mut [IoSlice::new(&footer)])
                .and_then(|()| job.file.sync_data())
                .map_err(|error| StoreError::io(&path, Some(at), "cannot be sealed again", error))?;
            self.scrubber.queue(job.segment);
        }
        self.tell_index(job);
        Ok(true)
    }

    /// The index hears what is left in a segment, if it does not know.
    fn tell_index(&mut self, job: &Job) {
        let runs = runs_of(job.segment, &job.contents.entries);
        let mut sorted = runs.clone();
        sorted.sort_by_key(|run| (run.stream, run.first_sequence));
        let mut known = self.backlog.runs_in(job.segment);
        known.sort_by_key(|run| (run.stream, run.first_sequence));
        if known != sorted {
            self.backlog.closed(job.row, runs);
        }
    }

    /// Where streams end, as far as segments are closed.
    pub(crate) fn ends_of(&self, streams: &[StreamId]) -> Result<Vec<(StreamId, End)>, StoreError> {
        let mut ends = Vec::new();
        for &stream in streams {
            ends.extend(self.backlog.last(stream)?.map(|run| (stream, End::from(&run))));
        }
        Ok(ends)
    }
}
