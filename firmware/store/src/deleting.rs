//! What people may have deleted, and the orders for that.
//!
//! Does not belong here: overwriting (`deletion`), who may (crate `auth`).
//!
//! Invariants
//! - Nothing that is locked goes, and nothing that could not be written down before.
//! - What is accepted goes, whatever happens to the power: each commit does a part of it.

use hal::{ByteCount, StreamId, WallTime};

use crate::deletions::Deletion;
use crate::error::{ErrorKind, StoreError};
use crate::report::CommitReport;
use crate::runs::{SegmentRun, runs_of};
use crate::segment::Entry;
use crate::store::Store;
use crate::witness::{DeletedSpan, FootageDeletion};

/// A chunk goes as a whole, and lasts about a second: what is locked so close to the stretch may be in one.
const LOCK_MARGIN_MICROS: i64 = 2_000_000;

/// What a volume has of a stretch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deletable {
    /// The footage of each stream that has some: from the first moment to the last one.
    pub spans: Vec<DeletedSpan>,
    /// Its bytes, estimated: streams are taken to be even.
    pub bytes: ByteCount,
}

impl Deletable {
    fn add(&mut self, run: &SegmentRun, from: WallTime, to: WallTime) {
        let (start, end) = (run.start.max(from), run.end.min(to));
        if start > end {
            return;
        }
        let all = run.end.micros_since(run.start).max(1);
        let part = end.micros_since(start).clamp(0, all);
        let bytes =
            u128::from(run.payload_bytes) * u128::from(part.unsigned_abs()) / u128::from(all.unsigned_abs());
        self.bytes.0 += bytes as u64;
        match self.spans.iter_mut().find(|span| span.stream == run.stream) {
            Some(span) => (span.start, span.end) = (span.start.min(start), span.end.max(end)),
            None => self.spans.push(DeletedSpan { stream: run.stream, start, end }),
        }
    }
}

impl Store {
    /// What [`Store::delete`] would take.
    ///
    /// # Errors
    /// As [`Store::delete`], but for what is not tried.
    pub fn deletable(
        &self,
        streams: &[StreamId],
        from: WallTime,
        to: WallTime,
    ) -> Result<Deletable, StoreError> {
        let refused = |kind, what: &str| Err(StoreError::new(kind, &self.writer.volume().dir, None, what));
        if from >= to {
            return refused(ErrorKind::Invalid, "a stretch that ends before it begins");
        }
        let touches = |run: &&SegmentRun| {
            run.start < to && run.end.max(run.start) > from && streams.contains(&run.stream)
        };
        if self.waiting().any(|header| {
            let (start, end) = (header.start(), header.end());
            start < to && end > from && streams.contains(&header.stream)
        }) {
            let what = "some of it is not on the disk yet: try it again in a moment";
            return refused(ErrorKind::Invalid, what);
        }
        let pool = &self.writer.pool;
        let mut found = Deletable::default();
        for run in pool.backlog.runs(streams, from, to)?.iter().filter(touches) {
            found.add(run, from, to);
        }
        for (segment, contents) in self.writer.open_contents() {
            for run in runs_of(segment, &contents.entries).iter().filter(touches) {
                found.add(run, from, to);
            }
        }
        found.spans.sort_by_key(|span| span.stream);
        let locked = pool.locks.all().iter().find(|lock| {
            found.spans.iter().any(|span| {
                let start = span.start.offset_micros(-LOCK_MARGIN_MICROS);
                lock.holds(span.stream, start, span.end.offset_micros(LOCK_MARGIN_MICROS))
            })
        });
        if let Some(lock) = locked {
            let what = format!("some of it is locked by {}: unlock it first", lock.by);
            return refused(ErrorKind::Pinned, &what);
        }
        Ok(found)
    }

    /// Deletes the footage of `streams` in `from`..`to` for good: each chunk of which a part is shown then. The witness is told
    /// and the order is durable when this returns; the commits that follow overwrite the footage, and [`Store::deletions`]
    /// has it until all of it is gone. Where there is nothing to delete, nothing is told.
    ///
    /// # Errors
    /// `Pinned` where something is locked, within two seconds around it too; `Invalid` for a stretch that is none or is not on
    /// the disk yet, a number that is in use, and too many deletions; `Unwitnessed` when it cannot be written down;
    /// `DiskFull`, `Unwritable`, `Io`, `Index`. Nothing is deleted then.
    pub fn delete(
        &mut self,
        id: u64,
        streams: &[StreamId],
        from: WallTime,
        to: WallTime,
        by: &str,
    ) -> Result<Deletable, StoreError> {
        let found = self.deletable(streams, from, to)?;
        let deletion = Deletion {
            id,
            streams: streams.to_vec(),
            from,
            to,
            by: by.to_owned(),
            at: self.clock.wall(),
            before: self.writer.pool.next_segment,
        };
        self.writer.pool.deletions.check(&deletion)?;
        if found.spans.is_empty() {
            return Ok(found);
        }
        // Only what is closed is changed: a segment that is being written has no footer that could tell of it.
        for class in self.writer.open_with(|entry| deletion.takes_chunk(entry)) {
            self.seal(class, &mut CommitReport::default());
        }
        self.writer.update_index()?;
        let pool = &mut self.writer.pool;
        let ends = pool.ends_of(streams)?;
        let told = FootageDeletion { volume: pool.volume.id, by, spans: &found.spans };
        pool.witnesses.deleting(&told).map_err(|error| {
            let what = format!("nothing is deleted, because that cannot be written down: {error}");
            StoreError::new(ErrorKind::Unwitnessed, &pool.volume.dir, None, what)
        })?;
        pool.deletions.add(deletion, ends)?;
        // Not after the rest of an earlier failure.
        self.delete_at = self.clock.mono();
        Ok(found)
    }

    /// What was to be deleted when the volume was closed may be in a segment that is being written again: one of which the
    /// footer did not become whole. Only what is closed is changed.
    pub(crate) fn close_for_deletion(&mut self) {
        let pending = self.deletions().to_vec();
        let goes = |entry: &Entry| {
            let of = |deletion: &Deletion| deletion.takes_chunk(entry);
            !entry.deleted && pending.iter().any(of)
        };
        for class in self.writer.open_with(goes) {
            self.seal(class, &mut CommitReport::default());
        }
    }

    /// The deletions that are not done, the oldest first.
    #[must_use]
    pub fn deletions(&self) -> &[Deletion] {
        self.writer.pool.deletions.all()
    }
}
