//! Every chunk of a volume that is not deleted, as the segments alone tell of it.
//!
//! For comparing what two disks hold, or one disk at two times. Does not belong here: verifying payloads (`check`),
//! joining chunks to runs (`runs`).
//!
//! Invariant: nothing is changed, and nothing is told of that recovery would cut off.

use std::path::Path;
use std::sync::Arc;

use hal::{ByteCount, StreamId, WallTime};

use crate::disk::{Disk, RealDisk};
use crate::error::StoreError;
use crate::volume::Volume;
use crate::walk::walk;

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
    /// Its units.
    pub units: u32,
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
    walk(&volume, |header, _, contents| {
        all.extend(contents.entries.iter().rev().filter(|entry| !entry.deleted).map(|entry| ChunkInfo {
            stream: entry.stream,
            sequence: entry.sequence,
            segment: header.segment,
            start: entry.start(),
            end: entry.end(),
            units: entry.units,
            payload: ByteCount(u64::from(entry.payload_bytes)),
            hash: entry.hash,
        }));
        Ok(())
    })?;
    all.reverse();
    Ok(all)
}
