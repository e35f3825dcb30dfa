//! The one writer of a volume.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hal::{AccessUnit, ByteCount, Clock, Pts90k, StreamFormat, StreamId, WallTime};

use crate::config::StoreOptions;
use crate::disk::Disk;
use crate::error::{ErrorKind, StoreError};
use crate::recover::RecoveryReport;

/// The last unit of a stream that the store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastUnit {
    /// Its presentation time.
    pub pts: Pts90k,
    /// The wall time of that, to within 0.1 s of what the source said.
    pub wall: WallTime,
}

/// What a commit wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitReport {
    /// Chunks made durable.
    pub chunks: u64,
    /// Units in them.
    pub units: u64,
    /// Coded bytes in them.
    pub payload: ByteCount,
    /// Bytes written for them, headers, padding and footers included.
    pub written: ByteCount,
    /// Segments sealed on the way.
    pub sealed: u64,
    /// Segments that failed and were left for a new one.
    pub failed: u64,
    /// How long it took.
    pub latency: Duration,
}

/// What reading back found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubReport {
    /// Bytes read back.
    pub bytes: ByteCount,
    /// Damage, for people.
    pub damages: Vec<String>,
}

/// How full a volume is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VolumeStatus {
    /// What all segments may take.
    pub max_bytes: ByteCount,
    /// What they take now.
    pub used_bytes: ByteCount,
    /// Bytes appended, not yet committed.
    pub pending_bytes: ByteCount,
}

/// The one writer of a volume.
pub struct Store;

impl Store {
    /// Opens or makes the volume in `dir`.
    ///
    /// # Errors
    /// See [`ErrorKind`].
    pub fn open(
        dir: &Path,
        _options: StoreOptions,
        _clock: Arc<dyn Clock>,
    ) -> Result<(Self, RecoveryReport), StoreError> {
        Err(StoreError::new(ErrorKind::Unsupported, dir, None, "not yet"))
    }

    /// As [`Store::open`], on another disk.
    ///
    /// # Errors
    /// See [`ErrorKind`].
    pub fn open_on(
        _disk: Arc<dyn Disk>,
        dir: &Path,
        options: StoreOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, RecoveryReport), StoreError> {
        Self::open(dir, options, clock)
    }

    /// Takes a unit into memory.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn append(&mut self, _format: &StreamFormat, _unit: &AccessUnit<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    /// Makes everything appended durable.
    ///
    /// # Errors
    /// See [`ErrorKind`]; what was appended is kept for the next try.
    pub fn commit(&mut self) -> Result<CommitReport, StoreError> {
        Ok(CommitReport::default())
    }

    /// The last unit of a stream.
    #[must_use]
    pub fn last(&self, _stream: StreamId) -> Option<LastUnit> {
        None
    }

    /// Reads back up to `budget` bytes of sealed segments.
    pub fn scrub(&mut self, _budget: ByteCount) -> ScrubReport {
        ScrubReport::default()
    }

    /// How full the volume is.
    #[must_use]
    pub fn status(&self) -> VolumeStatus {
        VolumeStatus::default()
    }

    /// Commits and seals.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn finish(mut self) -> Result<CommitReport, StoreError> {
        self.commit()
    }
}
