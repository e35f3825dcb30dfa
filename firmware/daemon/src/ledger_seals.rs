//! How far the sealed segments of each volume are written down in a ledger.
//!
//! Does not belong here: the ledger itself (`record_ledger`).

use std::collections::BTreeMap;

use ledger::{Event, Leaf, LedgerError, Reader, VolumeId};

/// So many of the newest leaves are looked through when a ledger is opened: some hours of a large recorder. What was sealed
/// before that, and is not found, is told of again.
const MAX_LOOKED_AT: usize = 4096;
/// And not many more bytes.
const MAX_BYTES: usize = 16 << 20;
/// At once.
const LEAVES: usize = 256;

/// The highest number of a sealed segment, by volume and class of retention.
#[derive(Default)]
pub(crate) struct Seals(BTreeMap<(VolumeId, u8), u64>);

impl Seals {
    /// What a ledger has.
    pub(crate) fn read(reader: &Reader) -> Result<Self, LedgerError> {
        let mut seals = Self::default();
        let (mut before, mut looked_at, mut bytes) = (reader.size(), 0, 0);
        while looked_at < MAX_LOOKED_AT && bytes < MAX_BYTES {
            let leaves = reader.leaves_backwards(before, LEAVES)?;
            let Some((first, _)) = leaves.last() else { break };
            before = *first;
            looked_at += leaves.len();
            for (_, leaf) in &leaves {
                bytes += leaf.len();
                // Most are of another kind, and none is understood for nothing.
                if is_seal(leaf) {
                    seals.note(&Leaf::decode(leaf)?.event);
                }
            }
        }
        Ok(seals)
    }

    /// It is written down now.
    pub(crate) fn note(&mut self, event: &Event) {
        if let Event::SegmentSealed { volume, segment, class, .. } = event {
            let last = self.0.entry((*volume, *class)).or_default();
            *last = (*last).max(*segment);
        }
    }

    pub(crate) fn last(&self, volume: VolumeId, class: u8) -> Option<u64> {
        self.0.get(&(volume, class)).copied()
    }
}

/// Whether a leaf may tell of a sealed segment.
pub(crate) fn is_seal(leaf: &[u8]) -> bool {
    mentions(leaf, b"\"segment_sealed\"")
}

/// Whether these bytes occur in a leaf: a kind in quotation marks says what it may be without understanding it.
pub(crate) fn mentions(leaf: &[u8], kind: &[u8]) -> bool {
    memchr::memmem::find(leaf, kind).is_some()
}
