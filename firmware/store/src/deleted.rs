//! Chunks whose payload was deleted: zeros take its place, and a mark says so.
//!
//! docs/storage.md, "Deleting a stretch". Does not belong here: which chunks those are (`deletion`).
//!
//! Invariants
//! - The header stays as it is, and with it the hash chain.
//! - The mark names the segment, so that it is none in a later life of the file, and a write that was torn never looks like it.
//! - Where a mark is, the rest of the payload is zeros on the medium.

use std::io::{self, IoSlice};

use crate::disk::{DiskFile, write_full};
use crate::segment::Entry;

/// What the payload of a deleted chunk begins with; the segment's number follows.
const MAGIC: [u8; 4] = *b"CDEL";

/// The magic and the number. A payload that is shorter has as much of it as fits, and only the footer tells that it was deleted.
pub(crate) const MARK_BYTES: usize = 12;

fn mark_of(segment: u64) -> [u8; MARK_BYTES] {
    let mut mark = [0; MARK_BYTES];
    mark[..4].copy_from_slice(&MAGIC);
    mark[4..].copy_from_slice(&segment.to_le_bytes());
    mark
}

/// Whether `payload`, or the beginning of one, is what is left of a deleted chunk of `segment`.
pub(crate) fn is_marked(payload: &[u8], segment: u64) -> bool {
    payload.get(..MARK_BYTES) == Some(&mark_of(segment))
}

/// Whether nothing of the payload is there any more.
pub(crate) fn is_overwritten(payload: &[u8], segment: u64) -> bool {
    let (begin, rest) = payload.split_at(payload.len().min(MARK_BYTES));
    *begin == mark_of(segment)[..begin.len()] && rest.iter().all(|&byte| byte == 0)
}

/// Puts zeros in place of a chunk's payload; they are durable when the file is synced.
///
/// # Errors
/// The system's.
pub(crate) fn overwrite(file: &dyn DiskFile, entry: &Entry) -> io::Result<()> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let mut slices = Vec::new();
    let mut left = entry.payload_bytes as usize;
    while left > 0 {
        let piece = left.min(ZEROS.len());
        slices.push(IoSlice::new(&ZEROS[..piece]));
        left -= piece;
    }
    write_full(file, payload_offset(entry), &mut slices)
}

/// Marks a chunk whose payload is overwritten, durably.
///
/// # Errors
/// The system's.
pub(crate) fn mark(file: &dyn DiskFile, segment: u64, entry: &Entry) -> io::Result<()> {
    let mark = mark_of(segment);
    let size = MARK_BYTES.min(entry.payload_bytes as usize);
    write_full(file, payload_offset(entry), &mut [IoSlice::new(&mark[..size])])
}

fn payload_offset(entry: &Entry) -> u64 {
    entry.offset + u64::from(entry.header_bytes)
}
