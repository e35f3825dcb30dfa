//! What was written and not synced, sector by sector.
//!
//! Does not belong here: files and their names.
//!
//! Invariants
//! - The disk below holds what reading finds; here is what the medium has instead, and everything in between.
//! - A sector is lost or kept as a whole.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use super::fault::{Loss, dice};

/// What is lost or kept at once when the power goes.
pub(super) const SECTOR_BYTES: u64 = 512;

/// A sector: the file it is of, whatever its name is by now, and its number in it.
type Place = (u64, u64);

#[derive(Clone, Default)]
pub(super) struct Unsynced {
    sectors: BTreeMap<Place, Sector>,
    /// The writes so far.
    writes: u64,
}

#[derive(Clone)]
struct Sector {
    durable: Arc<[u8]>,
    /// What was written over it, in order.
    versions: Vec<Version>,
}

#[derive(Clone)]
struct Version {
    write: u64,
    bytes: Arc<[u8]>,
    /// A sync failed: the cache takes it for written, and the medium may never have got it.
    clean: bool,
}

/// The sectors that bytes lie in.
pub(super) fn sectors(bytes: &Range<u64>) -> Range<u64> {
    bytes.start / SECTOR_BYTES..bytes.end.div_ceil(SECTOR_BYTES)
}

/// What became of a sector.
pub(super) struct Settled {
    pub(super) file: u64,
    pub(super) offset: u64,
    pub(super) bytes: Arc<[u8]>,
}

/// Which writes of which sectors stay.
enum Verdict {
    Same(bool),
    Sectors(u64),
    Writes(u64),
    Torn { write: u64, sector: u64, head: bool },
}

impl Verdict {
    fn keeps(&self, write: u64, (_, sector): Place) -> bool {
        match *self {
            Self::Same(keeps) => keeps,
            Self::Sectors(seed) => dice(seed, write, sector) & 1 == 0,
            Self::Writes(seed) => dice(seed, write, u64::MAX) & 1 == 0,
            Self::Torn { write: torn, .. } if write != torn => write < torn,
            Self::Torn { sector: cut, head, .. } => (sector < cut) == head,
        }
    }
}

impl Unsynced {
    /// Notes a write: the sectors from number `first` on, as they were and as they are.
    pub(super) fn wrote(&mut self, file: u64, first: u64, before: &[u8], after: &[u8]) {
        self.writes += 1;
        for (at, bytes) in after.chunks(SECTOR_BYTES as usize).enumerate() {
            let begin = (at * SECTOR_BYTES as usize).min(before.len());
            let end = (begin + SECTOR_BYTES as usize).min(before.len());
            let sector = self
                .sectors
                .entry((file, first + at as u64))
                .or_insert_with(|| Sector { durable: before[begin..end].into(), versions: Vec::new() });
            sector.versions.push(Version { write: self.writes, bytes: bytes.into(), clean: false });
        }
    }

    /// A sync of a file worked. What an earlier failed one left behind stays as it is.
    pub(super) fn synced(&mut self, file: u64) {
        let of_file = |&(owner, _): &Place| owner == file;
        self.sectors.retain(|place, sector| !of_file(place) || sector.is_clean());
    }

    /// A sync of a file failed.
    pub(super) fn sync_failed(&mut self, file: u64) {
        for (_, sector) in self.sectors.range_mut(places(file)) {
            sector.versions.iter_mut().for_each(|version| version.clean = true);
        }
    }

    /// The cache lets go of what it takes for written: reading now finds what the medium got of it.
    pub(super) fn evict(&mut self, file: u64, loss: Loss) -> Vec<Settled> {
        let clean = self.sectors.range(places(file)).filter(|(_, sector)| sector.is_clean());
        let clean: BTreeMap<Place, Sector> = clean.map(|(place, sector)| (*place, sector.clone())).collect();
        self.sectors.retain(|place, _| !clean.contains_key(place));
        settle(clean, loss)
    }

    /// The power goes: what the medium has of everything.
    pub(super) fn cut(&mut self, loss: Loss) -> Vec<Settled> {
        settle(std::mem::take(&mut self.sectors), loss)
    }

    /// Changes what the medium has of a byte, where that is not what reading finds.
    pub(super) fn flip(&mut self, file: u64, offset: u64, mask: u8) {
        if let Some(sector) = self.sectors.get_mut(&(file, offset / SECTOR_BYTES)) {
            let mut durable = sector.durable.to_vec();
            if let Some(byte) = durable.get_mut((offset % SECTOR_BYTES) as usize) {
                *byte ^= mask;
            }
            sector.durable = durable.into();
        }
    }
}

impl Sector {
    fn is_clean(&self) -> bool {
        self.versions.last().is_some_and(|version| version.clean)
    }
}

fn places(file: u64) -> RangeInclusive<Place> {
    (file, 0)..=(file, u64::MAX)
}

fn settle(sectors: BTreeMap<Place, Sector>, loss: Loss) -> Vec<Settled> {
    let verdict = verdict(&sectors, loss);
    let settled = sectors.into_iter().map(|(place, sector)| {
        let kept = sector.versions.iter().rev().find(|version| verdict.keeps(version.write, place));
        let bytes = kept.map_or(sector.durable, |version| Arc::clone(&version.bytes));
        Settled { file: place.0, offset: place.1 * SECTOR_BYTES, bytes }
    });
    settled.collect()
}

fn verdict(sectors: &BTreeMap<Place, Sector>, loss: Loss) -> Verdict {
    match loss {
        Loss::Everything => Verdict::Same(false),
        Loss::Nothing => Verdict::Same(true),
        Loss::Some(seed) => Verdict::Sectors(seed),
        Loss::Writes(seed) => Verdict::Writes(seed),
        Loss::Torn(seed) => {
            let writes = |sector: &Sector| sector.versions.iter().map(|version| version.write).collect();
            let mut all: Vec<u64> = sectors.values().flat_map::<Vec<u64>, _>(writes).collect();
            all.sort_unstable();
            all.dedup();
            let Some(&write) = all.get(dice(seed, 2, 0) as usize % all.len().max(1)) else {
                return Verdict::Same(true);
            };
            let of_write = sectors
                .iter()
                .filter(|(_, sector)| sector.versions.iter().any(|version| version.write == write));
            let numbers: Vec<u64> = of_write.map(|((_, number), _)| *number).collect();
            // Before its first sector is all or nothing, which is a place to tear as well.
            let sector = numbers[dice(seed, 3, 0) as usize % numbers.len()];
            Verdict::Torn { write, sector, head: dice(seed, 4, 0) & 1 == 0 }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: usize = 4 * SECTOR_BYTES as usize;

    /// Two writes over the same four sectors, and what is left of each.
    fn left(loss: Loss, between: impl Fn(&mut Unsynced)) -> Vec<u8> {
        let mut unsynced = Unsynced::default();
        unsynced.wrote(1, 0, &[0; BLOCK], &[1; BLOCK]);
        between(&mut unsynced);
        unsynced.wrote(1, 0, &[1; BLOCK], &[2; BLOCK]);
        unsynced.cut(loss).iter().map(|settled| settled.bytes[0]).collect()
    }

    #[test]
    fn whole_writes_survive_in_any_order() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..32 {
            let left = left(Loss::Writes(seed), |_| {});
            assert!(left.iter().all(|sector| *sector == left[0]), "{left:?}");
            seen.insert(left[0]);
        }
        // Neither, the older, the newer (without the older or with it).
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(left(Loss::Everything, |_| {}), [0; 4]);
        assert_eq!(left(Loss::Nothing, |_| {}), [2; 4]);
    }

    #[test]
    fn a_torn_write_is_torn_at_any_sector_from_either_end() {
        let seen: std::collections::BTreeSet<_> =
            (0..200).map(|seed| left(Loss::Torn(seed), |_| {})).collect();
        for torn in [[2, 1, 1, 1], [2, 2, 1, 1], [1, 1, 2, 2], [1, 0, 0, 0], [0, 0, 0, 1], [0; 4], [2; 4]] {
            assert!(seen.contains(torn.as_slice()), "{torn:?} never happens: {seen:?}");
        }
        let sectors: std::collections::BTreeSet<_> =
            (0..2000).map(|seed| left(Loss::Some(seed), |_| {})).collect();
        assert_eq!(sectors.len(), 81, "each sector by itself");
    }

    #[test]
    fn what_a_failed_sync_left_is_not_written_by_the_next() {
        let mut unsynced = Unsynced::default();
        unsynced.wrote(1, 0, &[0; BLOCK], &[1; BLOCK]);
        unsynced.sync_failed(1);
        unsynced.synced(1);
        assert_eq!(unsynced.clone().cut(Loss::Everything).len(), 4, "still not on the medium");
        // Written again, it is.
        unsynced.wrote(1, 0, &[1; BLOCK], &[1; BLOCK / 2]);
        unsynced.synced(1);
        let places: Vec<u64> = unsynced.cut(Loss::Everything).iter().map(|left| left.offset).collect();
        assert_eq!(places, [2 * SECTOR_BYTES, 3 * SECTOR_BYTES]);
    }

    #[test]
    fn evicted_pages_show_what_the_medium_has() {
        let mut unsynced = Unsynced::default();
        unsynced.wrote(1, 0, &[0; BLOCK], &[1; BLOCK]);
        assert!(unsynced.evict(1, Loss::Everything).is_empty(), "dirty pages stay");
        unsynced.sync_failed(1);
        let evicted = unsynced.evict(1, Loss::Everything);
        assert!(evicted.len() == 4 && evicted.iter().all(|sector| sector.bytes[0] == 0));
        assert!(unsynced.cut(Loss::Nothing).is_empty());
    }
}
