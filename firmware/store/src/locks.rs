//! Locked footage: stretches of time that somebody wants kept, in `locks.toml`.
//!
//! Does not belong here: which segments that keeps (`pool`), who may lock (crate `auth`).
//!
//! Invariants
//! - A lock that was acknowledged is on the medium, and so is the end of one.
//! - The file names times and streams, not segments: it survives a new index.

use std::path::PathBuf;

use evidence::stream;
use hal::{StreamId, WallTime};
use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, StoreError};
use crate::runs::SegmentRun;
use crate::volume::{Versioned, Volume};
use crate::wipe;

/// The most locks of a volume: each is looked at when a segment is closed.
pub const MAX_LOCKS: usize = 1000;

/// The most bytes of a reason and of a name: what a line of the ledger takes.
pub const MAX_LOCK_TEXT_BYTES: usize = 200;

/// The most streams in one lock: all that there can be.
const MAX_STREAMS: usize = hal::MAX_CHANNELS as usize * hal::StreamKind::ALL.len();

/// A stretch of footage that is not overwritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Names it, within this volume.
    pub id: u64,
    /// Whose footage.
    pub streams: Vec<StreamId>,
    /// From when.
    pub from: WallTime,
    /// Until when.
    pub to: WallTime,
    /// Why, in the words of whoever locked it.
    pub reason: String,
    /// Who locked it.
    pub by: String,
    /// When they did.
    pub at: WallTime,
}

impl Lock {
    pub(crate) fn holds(&self, of: StreamId, start: WallTime, end: WallTime) -> bool {
        start < self.to && end > self.from && self.streams.contains(&of)
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LocksFile {
    version: u32,
    next_id: u64,
    #[serde(default, rename = "lock")]
    locks: Vec<LockEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockEntry {
    id: u64,
    from_us: i64,
    to_us: i64,
    at_us: i64,
    by: String,
    reason: String,
    /// Channel, and main 0, sub 1, audio 2.
    streams: Vec<(u16, u8)>,
}

/// The version of the file.
const LOCKS_VERSION: u32 = 1;

impl Versioned for LocksFile {
    const VERSION: u32 = LOCKS_VERSION;

    fn version(&self) -> u32 {
        self.version
    }
}

/// All locks of a volume.
pub(crate) struct Locks {
    volume: Volume,
    locks: Vec<Lock>,
    next_id: u64,
}

impl Locks {
    /// Reads the file; none is no locks.
    ///
    /// # Errors
    /// `Damaged`, `Unsupported`, `Io`.
    pub(crate) fn load(volume: &Volume) -> Result<Self, StoreError> {
        let mut locks = Self { volume: volume.clone(), locks: Vec::new(), next_id: 1 };
        let path = locks.path();
        let Some(file) = volume.read_small::<LocksFile>(&path)? else { return Ok(locks) };
        let damaged = |what: &str| StoreError::new(ErrorKind::Damaged, &path, None, what);
        for entry in file.locks {
            locks.locks.push(entry.lock().ok_or_else(|| damaged("names a stream that cannot be"))?);
        }
        locks.next_id = locks.locks.iter().map(|lock| lock.id.saturating_add(1)).fold(file.next_id, u64::max);
        Ok(locks)
    }

    /// What is used when the file cannot be: recording matters more, and the damaged file stays until the next lock.
    pub(crate) fn none(volume: &Volume) -> Self {
        Self { volume: volume.clone(), locks: Vec::new(), next_id: 1 }
    }

    /// Makes a volume forget all locks, and who had which reason: its footage is gone.
    ///
    /// # Errors
    /// `Unwritable`, `Io`.
    pub(crate) fn erase(volume: &Volume) -> Result<(), StoreError> {
        let path = Self::none(volume).path();
        wipe::remove(&*volume.disk, &path)
            .map_err(|error| StoreError::io(&path, None, "cannot be erased", error))
    }

    fn path(&self) -> PathBuf {
        self.volume.dir.join("locks.toml")
    }

    pub(crate) fn all(&self) -> &[Lock] {
        &self.locks
    }

    /// How many locks want one of `runs`, all of one segment, to be kept.
    pub(crate) fn on(&self, runs: &[SegmentRun]) -> u16 {
        let wants = |lock: &&Lock| runs.iter().any(|run| lock.holds(run.stream, run.start, run.end));
        u16::try_from(self.locks.iter().filter(wants).count()).unwrap_or(u16::MAX)
    }

    /// Whether `lock` can be added.
    pub(crate) fn check(&self, lock: &Lock) -> Result<(), StoreError> {
        let refuse = |what: String| Err(StoreError::new(ErrorKind::Invalid, &self.path(), None, what));
        if lock.streams.is_empty() || lock.streams.len() > MAX_STREAMS {
            return refuse(format!(
                "a lock of {} streams; 1 to {MAX_STREAMS} are possible",
                lock.streams.len()
            ));
        }
        if lock.from >= lock.to {
            return refuse("a lock that ends before it begins".into());
        }
        if lock.reason.len() > MAX_LOCK_TEXT_BYTES || lock.by.len() > MAX_LOCK_TEXT_BYTES {
            return refuse(format!("a reason or name of more than {MAX_LOCK_TEXT_BYTES} bytes"));
        }
        if lock.id == 0 || lock.id == u64::MAX || self.locks.iter().any(|other| other.id == lock.id) {
            return refuse(format!("{} is no number for a new lock", lock.id));
        }
        if self.locks.len() >= MAX_LOCKS {
            return refuse(format!("there are {MAX_LOCKS} locks, which is the most"));
        }
        Ok(())
    }

    /// The number that the next lock gets.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id
    }

    /// Adds a lock, durably.
    pub(crate) fn add(&mut self, lock: Lock) -> Result<(), StoreError> {
        let before = self.next_id;
        self.next_id = before.max(lock.id + 1);
        self.locks.push(lock);
        self.save().inspect_err(|_| {
            self.locks.pop();
            self.next_id = before;
        })
    }

    /// Ends a lock, durably; `None` when there is no such lock.
    pub(crate) fn remove(&mut self, id: u64) -> Result<Option<Lock>, StoreError> {
        let Some(at) = self.locks.iter().position(|lock| lock.id == id) else { return Ok(None) };
        let lock = self.locks.remove(at);
        match self.save() {
            Ok(()) => Ok(Some(lock)),
            Err(error) => {
                self.locks.insert(at, lock);
                Err(error)
            }
        }
    }

    fn save(&self) -> Result<(), StoreError> {
        let file = LocksFile {
            version: LOCKS_VERSION,
            next_id: self.next_id,
            locks: self.locks.iter().map(LockEntry::of).collect(),
        };
        self.volume.replace_small(&self.path(), &file)
    }
}

impl LockEntry {
    fn of(lock: &Lock) -> Self {
        Self {
            id: lock.id,
            from_us: lock.from.as_unix_micros(),
            to_us: lock.to.as_unix_micros(),
            at_us: lock.at.as_unix_micros(),
            by: lock.by.clone(),
            reason: lock.reason.clone(),
            streams: lock.streams.iter().map(|of| (of.channel.get(), of.kind.code())).collect(),
        }
    }

    fn lock(self) -> Option<Lock> {
        let streams: Option<Vec<StreamId>> =
            self.streams.iter().map(|&(channel, kind)| stream(channel, kind)).collect();
        Some(Lock {
            id: self.id,
            streams: streams?,
            from: WallTime::from_unix_micros(self.from_us),
            to: WallTime::from_unix_micros(self.to_us),
            reason: self.reason,
            by: self.by,
            at: WallTime::from_unix_micros(self.at_us),
        })
    }
}
