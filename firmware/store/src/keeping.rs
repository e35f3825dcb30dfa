//! What is kept, for how long, and who is told when it goes.
//!
//! Does not belong here: recording (`store`), choosing segments (`removal`).

use std::collections::BTreeMap;

use evidence::VolumeId;
use hal::{ByteCount, StreamId, WallTime};

use crate::error::{ErrorKind, StoreError};
use crate::locks::Lock;
use crate::pins::Open;
use crate::pool::NEVER;
use crate::rates;
use crate::report::ClassStatus;
use crate::retention::{Class, Retention};
use crate::segment::Entry;
use crate::store::Store;
use crate::witness::Witness;

/// A lock ends at most so long from now: the clocks of people and of the recorder may differ by that.
const MAX_AHEAD_MICROS: i64 = 60_000_000;

impl Store {
    /// The volume's identity.
    #[must_use]
    pub fn volume(&self) -> VolumeId {
        self.writer.volume().id
    }

    /// Sets the rule of a class. Settings are told again after each opening: until then all is kept as long as there is
    /// room.
    pub fn set_retention(&mut self, class: Class, rule: Retention) {
        self.writer.pool.rules.set(class, rule);
    }

    /// Whether the wall clock is known to be right: set from the network, or by somebody.
    ///
    /// Days are counted on the volume's own calendar, which goes with the monotonic clock. While the wall clock is trusted and
    /// ahead, the calendar makes up for it, a day an hour; else it does not follow.
    pub fn set_clock_trusted(&mut self, trusted: bool) {
        self.calendar.set_trusted(trusted);
    }

    /// From now on `witness` is told of seals and removals; first of the sealed segments that it does not know.
    pub fn set_witness(&mut self, witness: Box<dyn Witness>) {
        let pool = &mut self.writer.pool;
        let sealed = pool.existing.iter().filter(|(_, kept)| kept.sealed);
        pool.witnesses.set(witness, sealed.map(|(segment, kept)| (*segment, kept.class)));
    }

    /// Keeps the footage of `streams` in `from`..`to` until [`Store::unlock`]. Whole segments stay, with all that is in them;
    /// the bytes that this keeps and nothing else keeps.
    ///
    /// # Errors
    /// `Pinned` when more than half of the volume would be locked; `Invalid` for a range that is none or ends more
    /// than a minute after now and after all footage, for too many streams or locks, and for texts over
    /// [`crate::MAX_LOCK_TEXT_BYTES`]; `DiskFull`, `Unwritable`, `Io`, `Index`.
    pub fn lock(
        &mut self,
        streams: &[StreamId],
        from: WallTime,
        to: WallTime,
        reason: &str,
        by: &str,
    ) -> Result<(Lock, ByteCount), StoreError> {
        self.lock_as(self.writer.pool.locks.next_id(), streams, from, to, reason, by)
    }

    /// As [`Store::lock`], with this number, so that a lock has the same one on several volumes.
    ///
    /// # Errors
    /// As [`Store::lock`]; `Invalid` too when there is a lock of this number.
    pub fn lock_as(
        &mut self,
        id: u64,
        streams: &[StreamId],
        from: WallTime,
        to: WallTime,
        reason: &str,
        by: &str,
    ) -> Result<(Lock, ByteCount), StoreError> {
        let at = self.clock.wall();
        // Footage may be from a time when the clock was ahead.
        let newest = self.writer.pool.existing.values().map(|kept| kept.newest).filter(|&time| time != NEVER);
        let latest = newest.fold(at, WallTime::max);
        if to.micros_since(latest) > MAX_AHEAD_MICROS {
            let what = "footage that is still to come cannot be locked";
            return Err(StoreError::new(ErrorKind::Invalid, &self.writer.volume().dir, None, what));
        }
        let lock = Lock {
            id,
            streams: streams.to_vec(),
            from,
            to,
            reason: reason.to_owned(),
            by: by.to_owned(),
            at,
        };
        let holds = |lock: &Lock, entry: &Entry| lock.holds(entry.stream, entry.start(), entry.end());
        let before = self.writer.open_with(|entry| self.locks().iter().any(|lock| holds(lock, entry)));
        let mut open = self.writer.open_with(|entry| holds(&lock, entry));
        open.retain(|class| !before.contains(class));
        let open = Open { fresh: open.len() as u64, locked: before.len() as u64 };
        let segments = self.writer.pool.lock(lock.clone(), open)?;
        Ok((lock, ByteCount(segments * self.writer.volume().segment_bytes)))
    }

    /// Ends a lock; `None` when there is none of that number.
    ///
    /// # Errors
    /// `DiskFull`, `Unwritable`, `Io`, `Index`: the lock stays.
    pub fn unlock(&mut self, id: u64) -> Result<Option<Lock>, StoreError> {
        self.writer.pool.unlock(id)
    }

    /// All locks, the oldest first.
    #[must_use]
    pub fn locks(&self) -> &[Lock] {
        self.writer.pool.locks.all()
    }

    /// Every class that has footage.
    #[must_use]
    pub fn classes(&self) -> Vec<ClassStatus> {
        let now = self.clock.mono();
        let pool = &self.writer.pool;
        let mut segments: BTreeMap<Class, u64> = BTreeMap::new();
        let open = self.writer.open_classes().into_iter().map(|(class, _)| class);
        for class in open.chain(pool.existing.values().map(|kept| kept.class)) {
            *segments.entry(class).or_default() += 1;
        }
        let segment_bytes = pool.volume.segment_bytes;
        // What is locked, and what classes hold of which too little is known, is no room for the others.
        let mut room = pool.max_files(self.writer.open_files()).saturating_sub(pool.locked) * segment_bytes;
        let mut known = Vec::new();
        for (&class, &segments) in &segments {
            match self.rates.of(now, class) {
                Some(rate) => known.push((class, rate)),
                None => room = room.saturating_sub(segments * segment_bytes),
            }
        }
        let expected = rates::expected(&known, &pool.rules, room);
        segments
            .into_iter()
            .map(|(class, segments)| ClassStatus {
                class,
                rule: pool.rules.of(class),
                used_bytes: ByteCount(segments * segment_bytes),
                bytes_per_day: self.rates.of(now, class).map(ByteCount),
                expected: expected.get(&class).copied(),
            })
            .collect()
    }
}
