//! Which segment goes when room is needed, and which because it is too old.
//!
//! Does not belong here: what happens to the file afterwards (`pool`), the rules themselves (`retention`).
//!
//! Invariants
//! - What is locked stays.
//! - A removal is written down, and the index has forgotten the segment, before its file is touched.
//! - What expired cannot be read any more when its file is free.

use std::collections::BTreeMap;
use std::io::IoSlice;

use crate::disk::{Access, DiskFile, write_full};
use crate::error::{ErrorKind, StoreError};
use crate::layout::BLOCK_BYTES;
use crate::pool::{Free, Kept, Pool};
use crate::retention::{Class, Today};
use crate::runs::SegmentRun;
use crate::volume::Probe;
use crate::witness::{Removal, SegmentSummary, StreamRange, joined, ranges};

/// How often a witness may refuse before footage goes unwitnessed because its room is needed: as many commits fail, and
/// memory and rings take what comes meanwhile.
const OVERWRITING_PATIENCE: u32 = 3;

/// The same for footage that is too old or has no room in a smaller volume: an hour of commits.
const EXPIRING_PATIENCE: u32 = 3600;

/// Segments that expire in one commit, at most: each costs two syncs.
const EXPIRED_A_COMMIT: u64 = 4;

/// Files that are removed in one commit, at most, when the volume became smaller.
const SHRUNK_A_COMMIT: u64 = 16;

/// Seals that are told of in one commit, at most: each reads a footer.
const TOLD_A_COMMIT: u64 = 4;

impl Pool {
    /// The segments of each class that may go, oldest first, with all that the class has.
    fn candidates(&self) -> BTreeMap<Class, Candidates> {
        let mut classes: BTreeMap<Class, Candidates> = BTreeMap::new();
        for (&segment, kept) in &self.existing {
            let class = classes.entry(kept.class).or_default();
            class.segments += 1;
            // A segment without a footer is scanned by what the next one says, so that one stays with it.
            let stays = kept.locks > 0 || class.needed;
            class.needed = stays && !kept.sealed;
            if !stays && class.oldest.is_none() {
                class.oldest = Some((segment, *kept));
            }
        }
        classes
    }

    /// The segment that goes when room is needed: the oldest of the class that takes most for each of its shares. `None` when
    /// all that there is has to stay.
    pub(crate) fn victim(&self) -> Option<u64> {
        let classes = self.candidates();
        let most = classes
            .iter()
            .filter_map(|(class, candidates)| {
                let (segment, _) = candidates.oldest?;
                Some((candidates.segments, u64::from(self.rules.of(*class).share), segment))
            })
            .max_by(|a, b| (a.0 * b.1).cmp(&(b.0 * a.1)).then(b.2.cmp(&a.2)));
        most.map(|(_, _, segment)| segment)
    }

    /// Writes down that a segment goes and makes everybody forget it.
    pub(crate) fn announce(&mut self, segment: u64, why: Removal) -> Result<(), StoreError> {
        if self.witnesses.is_set() {
            let streams = self.ranges(segment).unwrap_or_else(|| self.known(segment));
            let summary = self.summary(segment, streams);
            let patience = if why == Removal::Overwritten { OVERWRITING_PATIENCE } else { EXPIRING_PATIENCE };
            self.witnesses.removing(&summary, why, patience).map_err(|error| {
                let what = format!("is not removed, because that cannot be written down: {error}");
                StoreError::new(ErrorKind::Unwitnessed, &self.volume.path(segment), None, what)
            })?;
        }
        self.backlog.forget(segment);
        self.scrubber.forget(segment);
        self.deleting.forget(segment);
        Ok(())
    }

    /// What a segment without a footer holds, as the index has it.
    fn known(&self, segment: u64) -> Vec<StreamRange> {
        let runs = self.backlog.runs_in(segment);
        let range = |run: &SegmentRun| StreamRange {
            stream: run.stream,
            first_sequence: run.first_sequence,
            last_sequence: run.last_sequence,
            start: run.start,
            end: run.end,
            head: None,
        };
        joined(runs.iter().map(range).collect())
    }

    fn summary(&self, segment: u64, streams: Vec<StreamRange>) -> SegmentSummary {
        let class = self.existing.get(&segment).map(|kept| kept.class).unwrap_or_default();
        SegmentSummary { volume: self.volume.id, segment, class, streams }
    }

    /// What a sealed segment holds; `None` when it cannot be read, or has no footer.
    fn ranges(&self, segment: u64) -> Option<Vec<StreamRange>> {
        let file = self.volume.open_segment(segment, Access::Read).ok()?;
        match self.volume.probe(segment, &*file).ok()? {
            Probe::Sealed(_, _, contents) => Some(ranges(&contents.entries)),
            _ => None,
        }
    }

    /// Forgets what is too old; how many segments went.
    pub(crate) fn expire(&mut self, today: Today) -> Result<u64, StoreError> {
        let mut gone = 0;
        while gone < EXPIRED_A_COMMIT {
            let over = |(class, candidates): (Class, Candidates)| {
                let days = self.rules.of(class).max_days?;
                let (segment, kept) = candidates.oldest?;
                today.is_over(days, kept.closed, kept.newest).then_some(segment)
            };
            let Some(segment) = self.candidates().into_iter().find_map(over) else { break };
            self.blank_free()?;
            self.announce(segment, Removal::Expired)?;
            let to = self.next_segment;
            let file = self.reuse(segment, to)?;
            self.existing.remove(&segment);
            self.next_segment = to + 1;
            // Under another name it cannot be read; without its header it cannot be given back the old one.
            if let Some(file) = file {
                let blanked = self.volume.disk.sync_dir(&self.volume.segments).and_then(|()| blank(&*file));
                self.free.push(Free { segment: to, blank: blanked.is_ok() });
                blanked.map_err(|error| {
                    StoreError::io(&self.volume.path(to), None, "cannot be made unreadable", error)
                })?;
            }
            gone += 1;
        }
        Ok(gone)
    }

    /// A file that may hold a void commit must not outlive the segment that makes it void.
    fn blank_free(&mut self) -> Result<(), StoreError> {
        for free in self.free.iter_mut().filter(|free| !free.blank) {
            let path = self.volume.path(free.segment);
            let blanked = self.volume.open_segment(free.segment, Access::ReadWrite).and_then(|file| {
                blank(&*file).map_err(|error| StoreError::io(&path, None, "cannot be blanked", error))
            });
            blanked?;
            free.blank = true;
        }
        Ok(())
    }

    /// Removes what a smaller `max_bytes` has no room for, some of it: the only time that files go.
    pub(crate) fn shrink(&mut self, open: usize) -> Result<(), StoreError> {
        for _ in 0..SHRUNK_A_COMMIT {
            if self.files(open) <= self.max_files(open) {
                break;
            }
            let segment = match self.free.pop() {
                Some(free) => free.segment,
                None => {
                    // What is locked stays, and takes more than there should be.
                    let Some(victim) = self.victim() else { break };
                    self.announce(victim, Removal::Shrunk)?;
                    self.existing.remove(&victim);
                    victim
                }
            };
            let path = self.volume.path(segment);
            self.volume
                .disk
                .remove(&path)
                .map_err(|error| StoreError::io(&path, None, "cannot be removed", error))?;
        }
        Ok(())
    }

    /// Tells the witness of seals, some of them.
    pub(crate) fn tell_seals(&mut self) -> Result<(), StoreError> {
        self.witnesses.ask(self.volume.id).map_err(|error| {
            let what = format!("it cannot be found out which seals were written down: {error}");
            StoreError::new(ErrorKind::Unwitnessed, &self.volume.segments, None, what)
        })?;
        for _ in 0..TOLD_A_COMMIT {
            let Some(segment) = self.witnesses.next() else { break };
            let Some(streams) = self.ranges(segment) else {
                // Reading it back says what is wrong with it; there is nothing to vouch for.
                self.witnesses.pass_over();
                continue;
            };
            let summary = self.summary(segment, streams);
            self.witnesses.tell(&summary).map_err(|error| {
                let what = format!("its seal cannot be written down: {error}");
                StoreError::new(ErrorKind::Unwitnessed, &self.volume.path(segment), None, what)
            })?;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Candidates {
    segments: u64,
    /// The oldest that may go.
    oldest: Option<(u64, Kept)>,
    /// The last one stays and has no footer.
    needed: bool,
}

/// Takes the header away, durably.
fn blank(file: &dyn DiskFile) -> std::io::Result<()> {
    write_full(file, 0, &mut [IoSlice::new(&[0; BLOCK_BYTES as usize])])?;
    file.sync_data()
}
