//! Every chunk of a volume, one by one, as the segments alone tell of it.
//!
//! For comparing what two disks hold, or one disk at two times. Does not belong here: verifying payloads (`check`),
//! joining chunks to runs (`runs`).
//!
//! Invariant: nothing is changed, and nothing is told of that recovery would cut off.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hal::{ByteCount, StreamId, WallTime};

use crate::disk::{Access, Disk, RealDisk};
use crate::error::StoreError;
use crate::scan::Scan;
use crate::volume::{Probe, Volume};

/// One chunk: up to a second of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkInfo {
    /// Whose footage it is.
    pub stream: StreamId,
    /// Its number in the stream, from 1.
    pub sequence: u64,
    /// The segment that it lies in.
    pub segment: u64,
    /// The first presentation.
    pub start: WallTime,
    /// The end of the last presentation.
    pub end: WallTime,
    /// The bytes of its payload on disk.
    pub payload: ByteCount,
    /// SHA-256 of its header, which names its payload, its place and the chunk before it.
    pub hash: [u8; 32],
}

/// All chunks, in the order of their segments and their places in them: within a class of retention that is the order
/// in which they were written.
///
/// # Errors
/// When something cannot be read; [`crate::check`] goes on.
pub fn chunks(dir: &Path) -> Result<Vec<ChunkInfo>, StoreError> {
    chunks_on(Arc::new(RealDisk), dir)
}

/// As [`chunks`], on another disk.
pub(crate) fn chunks_on(disk: Arc<dyn Disk>, dir: &Path) -> Result<Vec<ChunkInfo>, StoreError> {
    let volume = Volume::open(disk, dir)?;
    let mut all = Vec::new();
    // From the newest back: what failed in one segment and is there again in a later one of its class is void
    // (docs/storage.md).
    let mut void_from = BTreeMap::new();
    for segment in volume.numbers()?.into_iter().rev() {
        let file = volume.open_segment(segment, Access::Read)?;
        let (header, contents) = match volume.probe(segment, &*file)? {
            Probe::Sealed(header, _, contents) => (header, contents),
            Probe::Open(header) | Probe::Footless(header) => {
                let mut scan = Scan::new(&header);
                scan.advance_over_damage(&volume, &*file, volume.segment_bytes)?;
                scan.cut_torn(&volume, &*file)?;
                if let Some(bound) = void_from.get(&header.class) {
                    scan.cut_from(*bound);
                }
                (header, scan.contents)
            }
            Probe::Unbegun | Probe::Foreign => continue,
        };
        void_from.insert(header.class, header.first_commit);
        all.extend(contents.entries.iter().rev().map(|entry| ChunkInfo {
            stream: entry.stream,
            sequence: entry.sequence,
            segment,
            start: entry.start(),
            end: entry.end(),
            payload: ByteCount(u64::from(entry.payload_bytes)),
            hash: entry.hash,
        }));
    }
    all.reverse();
    Ok(all)
}
