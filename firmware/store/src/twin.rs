//! The same footage from another volume, where one cannot be read.
//!
//! Two volumes cut a stream into chunks at different units, so a chunk is put together again from the units of the other
//! volume; the hash in its header tells whether that is what was lost.
//!
//! Invariant: what comes out has the hash of what was asked for.

use bytes::{Bytes, BytesMut};
use evidence::layout::{Hash, sha256};

use crate::lane::{Lane, decodes_on};
use crate::reader::Reader;
use crate::segment::Entry;

/// How far from its own time a chunk's units are looked for: anchors of wall time differ by less.
const AROUND_MICROS: i64 = 500_000;

/// The footage of the chunk that `entry` tells of, from any volume but `volume`.
pub(crate) fn twin(reader: &Reader, volume: usize, entry: &Entry, footage: &Hash) -> Option<Bytes> {
    let others = reader.volumes.iter().enumerate().filter(|(number, _)| *number != volume);
    others.into_iter().find_map(|(number, catalog)| {
        let from = entry.start().offset_micros(-AROUND_MICROS);
        let to = entry.end().offset_micros(AROUND_MICROS);
        let mut lane = Lane::new(&**catalog, number, entry.stream, from, to).ok()?;
        let mut found = BytesMut::new();
        let mut units = 0;
        let mut before = None;
        while units < entry.units as usize {
            let chunk = lane.pop()?;
            let first = match &before {
                Some(before) if decodes_on(before, &chunk) => 0,
                Some(_) => return None,
                // In decoding order the first unit is the one with the chunk's own time.
                None => {
                    let pts = |offset: i32| chunk.entry.pts.0.wrapping_add(offset.into());
                    let own = |frame: &evidence::Frame| pts(frame.pts_offset) == entry.pts.0;
                    let Some(first) = chunk.header.frames.iter().position(own) else { continue };
                    first
                }
            };
            let end = chunk.header.frames.len().min(first + entry.units as usize - units);
            let bytes = |frames: &[evidence::Frame]| -> usize {
                frames.iter().map(|frame| frame.size as usize).sum()
            };
            let skip = bytes(&chunk.header.frames[..first]);
            let payload = catalog.fetch(chunk.segment, &chunk.entry).ok()?;
            found.extend_from_slice(&payload[skip..skip + bytes(&chunk.header.frames[first..end])]);
            units += end - first;
            before = Some(chunk);
        }
        let found = found.freeze();
        (sha256(&found) == *footage).then_some(found)
    })
}
