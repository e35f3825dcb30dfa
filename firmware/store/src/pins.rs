//! Locking and unlocking: which segments stay because of a lock.
//!
//! Does not belong here: the locks themselves (`locks`), choosing what goes (`removal`).
//!
//! Invariants
//! - A segment with footage that is locked is counted as locked until the last lock on it ends.
//! - Locks keep at most half of a volume, so that there is always room to record.

use crate::error::{ErrorKind, StoreError};
use crate::locks::Lock;
use crate::pool::Pool;

/// Segments that are being written: a lock holds them when they are closed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    /// They have footage of the lock that is asked for, and of no other.
    pub(crate) fresh: u64,
    /// They have footage of other locks.
    pub(crate) locked: u64,
}

impl Pool {
    /// How many segments may be locked.
    pub(crate) fn lockable(&self) -> u64 {
        self.max_files(0) / 2
    }

    /// Counts the locks again: after the volume was opened.
    pub(crate) fn restore_locks(&mut self) -> Result<(), StoreError> {
        for lock in self.locks.all() {
            for segment in self.backlog.touching(&lock.streams, lock.from, lock.to)? {
                if let Some(kept) = self.existing.get_mut(&segment) {
                    self.locked += u64::from(kept.locks == 0);
                    kept.locks = kept.locks.saturating_add(1);
                }
            }
        }
        Ok(())
    }

    /// Locks; how many segments that keeps that nothing else keeps.
    pub(crate) fn lock(&mut self, lock: Lock, open: Open) -> Result<u64, StoreError> {
        self.locks.check(&lock)?;
        if self.deletions.take_of(&lock.streams, lock.from, lock.to) {
            let what = "some of it is being deleted";
            return Err(StoreError::new(ErrorKind::Invalid, &self.volume.dir, None, what));
        }
        let touched = self.backlog.touching(&lock.streams, lock.from, lock.to)?;
        let fresh = touched
            .iter()
            .filter(|segment| self.existing.get(segment).is_some_and(|kept| kept.locks == 0))
            .count() as u64
            + open.fresh;
        let limit = self.lockable();
        let locked = self.locked + open.locked;
        if locked + fresh > limit {
            let bytes = |segments: u64| segments * self.volume.segment_bytes;
            let what = format!(
                "this lock would keep {} bytes, and {} are locked already; at most {}, half of the volume, can be",
                bytes(fresh),
                bytes(locked),
                bytes(limit)
            );
            return Err(StoreError::new(ErrorKind::Pinned, &self.volume.dir, None, what));
        }
        self.locks.add(lock)?;
        for segment in touched {
            if let Some(kept) = self.existing.get_mut(&segment) {
                self.locked += u64::from(kept.locks == 0);
                kept.locks = kept.locks.saturating_add(1);
            }
        }
        Ok(fresh)
    }

    /// Ends a lock; `None` when there is no such lock.
    pub(crate) fn unlock(&mut self, id: u64) -> Result<Option<Lock>, StoreError> {
        let Some(lock) = self.locks.all().iter().find(|lock| lock.id == id) else { return Ok(None) };
        let touched = self.backlog.touching(&lock.streams, lock.from, lock.to)?;
        let ended = self.locks.remove(id)?;
        for segment in touched {
            if let Some(kept) = self.existing.get_mut(&segment)
                && kept.locks > 0
            {
                kept.locks -= 1;
                self.locked -= u64::from(kept.locks == 0);
            }
        }
        Ok(ended)
    }
}
