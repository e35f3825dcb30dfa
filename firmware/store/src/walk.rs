//! All segments of a volume, as they themselves tell of their chunks.
//!
//! Does not belong here: the index, and what is made of the chunks.
//!
//! Invariant: nothing is changed, and nothing is told of that recovery would cut off.

use std::collections::BTreeMap;

use crate::disk::Access;
use crate::error::StoreError;
use crate::scan::Scan;
use crate::segment::{Contents, SegmentHeader};
use crate::volume::{Probe, Volume};

/// Hands `each` every segment that was begun, from the newest back: its header, the first byte behind its last whole commit,
/// and its chunks.
///
/// # Errors
/// When something cannot be read, and what `each` fails with.
pub(crate) fn walk(
    volume: &Volume,
    mut each: impl FnMut(&SegmentHeader, u64, Contents) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    // What failed in one segment and is there again in a later one of its class is void (docs/storage.md).
    let mut void_from = BTreeMap::new();
    for segment in volume.numbers()?.into_iter().rev() {
        let file = volume.open_segment(segment, Access::Read)?;
        let (header, end, contents) = match volume.probe(segment, &*file)? {
            Probe::Sealed(header, trailer, contents) => (header, trailer.end, contents),
            Probe::Open(header) | Probe::Footless(header) => {
                let mut scan = Scan::new(&header);
                scan.advance_over_damage(volume, &*file, volume.segment_bytes)?;
                scan.cut_torn(volume, &*file)?;
                if let Some(bound) = void_from.get(&header.class) {
                    scan.cut_from(*bound);
                }
                (header, scan.end, scan.contents)
            }
            Probe::Unbegun | Probe::Foreign => continue,
        };
        void_from.insert(header.class, header.first_commit);
        each(&header, end, contents)?;
    }
    Ok(())
}
