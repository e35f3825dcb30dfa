//! What the recorder tells about itself, readable from any thread.
//!
//! Does not belong here: deciding anything by it.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hal::{BitsPerSecond, ByteCount, MonoTime, StreamId, WallTime};
use store::{Bounds, ClassStatus};

/// One stream's figures since the recorder started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamStatus {
    /// Units taken from the ring and given to the store.
    pub units: u64,
    /// Bytes of those units.
    pub bytes: ByteCount,
    /// Units that the ring had overwritten before they were read, or that were in memory alone when the recorder ended and not in
    /// the ring any more.
    pub lost_units: u64,
    /// Groups of pictures that lost at least one unit that way.
    pub lost_gops: u64,
    /// Units that the store refused.
    pub refused_units: u64,
    /// Over the last few seconds.
    pub bit_rate: BitsPerSecond,
    /// The wall time of the last unit.
    pub last_unit: Option<WallTime>,
    /// A ring is there.
    pub present: bool,
    /// What went wrong last, for people; cleared when the stream goes on.
    pub last_error: Option<String>,
}

/// The recorder's figures since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecorderStatus {
    /// Every stream that was ever seen.
    pub streams: BTreeMap<StreamId, StreamStatus>,
    /// Coded bytes made durable.
    pub committed: ByteCount,
    /// Bytes written for them.
    pub written: ByteCount,
    /// Written bytes a second, over the last few seconds.
    pub write_bytes_per_sec: u64,
    /// Commits that succeeded.
    pub commits: u64,
    /// Commits that failed; each is tried again.
    pub failed_commits: u64,
    /// When the first of a row of failed commits ended; `None` while they succeed.
    pub failing_since: Option<MonoTime>,
    /// When the commit that is still on its way began: a disk that stalls shows here.
    pub committing_since: Option<MonoTime>,
    /// How long the last commit took.
    pub last_commit: Duration,
    /// How long the slowest commit took.
    pub slowest_commit: Duration,
    /// When footage was last made durable.
    pub last_durable: Option<WallTime>,
    /// Why the disk is not being written, for people; `None` while it is.
    pub last_error: Option<String>,
    /// That error's kind.
    pub last_error_kind: Option<store::ErrorKind>,
    /// Damage that reading back sealed segments found, newest last; at most 16.
    pub damages: Vec<String>,
    /// From when to when the volume has footage, as of the last commit that succeeded.
    pub bounds: Option<Bounds>,
    /// What the volume may take.
    pub volume_max: ByteCount,
    /// What it takes.
    pub volume_used: ByteCount,
    /// What locks keep of it.
    pub volume_locked: ByteCount,
    /// For how long the footage of each class stays, as of some seconds ago.
    pub classes: Vec<ClassStatus>,
    /// Why footage is not forgotten, or not written down, as it should be, for people; `None` while it is.
    pub retention_error: Option<String>,
    /// Segments whose footage went although that could not be written down.
    pub unwitnessed: u64,
}

/// Reads the status; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct StatusHandle(Arc<Mutex<RecorderStatus>>);

impl StatusHandle {
    /// The figures as of the last drain.
    #[must_use]
    pub fn get(&self) -> RecorderStatus {
        self.lock().clone()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, RecorderStatus> {
        // Figures are never half-written in a way that matters.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks a running recorder to end; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<Flag>);

#[derive(Debug, Default)]
struct Flag {
    raised: Mutex<bool>,
    changed: Condvar,
}

impl StopFlag {
    /// A flag that is not raised.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises it: the recorder drains what is in the rings, commits, seals and returns.
    pub fn stop(&self) {
        *self.0.raised.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }

    /// Whether it is raised.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        *self.0.raised.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is raised, at most `timeout`.
    pub(crate) fn wait(&self, timeout: Duration) {
        let raised = self.0.raised.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.0.changed.wait_timeout_while(raised, timeout, |raised| !*raised));
    }
}
