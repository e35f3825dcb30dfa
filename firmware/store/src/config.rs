//! A volume's options and its `volume.toml`.
//!
//! Does not belong here: anything that changes while recording.

use hal::ByteCount;
use serde::{Deserialize, Serialize};

/// The version of the volume's layout.
pub(crate) const VOLUME_VERSION: u32 = 1;

/// The smallest segment: the header, a small chunk and a footer. Real volumes have far larger ones.
pub const MIN_SEGMENT_BYTES: u64 = 64 << 10;

/// The largest segment: what a reader is ready to scan after a power cut.
pub const MAX_SEGMENT_BYTES: u64 = 1 << 30;

/// The fewest segments of a volume: one being written, one being read, one to recycle.
pub const MIN_SEGMENTS: u64 = 3;

/// How a volume's payloads lie on disk; for its whole life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cipher {
    /// As they are.
    #[default]
    #[serde(rename = "none")]
    None,
    /// Sealed with ChaCha20-Poly1305 (RFC 8439).
    #[serde(rename = "chacha20-poly1305")]
    ChaCha20Poly1305,
}

/// How large a volume may become, and what a new one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// All segments together take no more than this; at least [`MIN_SEGMENTS`] segments are kept.
    pub max_bytes: ByteCount,
    /// The size of a new volume's segments; an existing volume keeps its own. [`MIN_SEGMENT_BYTES`] to
    /// [`MAX_SEGMENT_BYTES`], rounded up to whole blocks of 4096. Units larger than an eighth of it are refused,
    /// so a volume for real cameras wants at least 32 MiB.
    pub segment_bytes: ByteCount,
    /// Of a new volume; an existing volume keeps its own.
    pub cipher: Cipher,
    /// What may wait in memory to be written; beyond twice this nothing is taken. A second of all streams should fit: what does not
    /// is committed earlier.
    pub pending_bytes: ByteCount,
    /// Hash what is recorded from now on. Without it nobody can ever vouch for the footage: for measuring what that costs.
    pub hash: bool,
}

/// What may wait on a board, where the whole recorder has 48 MB beside the rings.
const PENDING_BYTES: ByteCount = ByteCount(16 << 20);

impl StoreOptions {
    /// A plain volume of `max_bytes` in some 4096 segments, of whole MiB, at least 64 and at most 256 of them.
    ///
    /// 64 MiB are 8 s of 16 channels at 4 Mbit/s. Larger ones are sealed less often, which is a wait for the medium each time;
    /// more than 256 MiB would take too long to scan after a power cut.
    #[must_use]
    pub const fn with_max_bytes(max_bytes: ByteCount) -> Self {
        let segment_mib = match (max_bytes.0 / 4096) >> 20 {
            ..64 => 64,
            fitting @ 64..256 => fitting,
            256.. => 256,
        };
        Self {
            max_bytes,
            segment_bytes: ByteCount(segment_mib << 20),
            cipher: Cipher::None,
            pending_bytes: PENDING_BYTES,
            hash: true,
        }
    }
}

/// `volume.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VolumeFile {
    /// [`VOLUME_VERSION`].
    pub(crate) version: u32,
    /// 32 hexadecimal digits, random.
    pub(crate) id: String,
    pub(crate) segment_bytes: u64,
    pub(crate) max_bytes: u64,
    /// Volumes from before there was a cipher are plain.
    #[serde(default)]
    pub(crate) cipher: Cipher,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_disks_have_large_segments() {
        let mib = |gb: u64| StoreOptions::with_max_bytes(ByteCount(gb * 1_000_000_000)).segment_bytes.0 >> 20;
        assert_eq!([1, 256, 500, 1000, 4000].map(mib), [64, 64, 116, 232, 256]);
    }
}
