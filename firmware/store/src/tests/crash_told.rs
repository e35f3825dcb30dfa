//! What the world was told of a volume, and whether the volume keeps to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use hal::StreamId;

use super::support::{BEGINNING, END, Made, keys};
use crate::check::check_on;
use crate::faults::FaultDisk;
use crate::inventory::chunks_on;
use crate::{ChunkInfo, Reader, Store, StoreOptions, StoredUnit};

/// The size of a segment in these tests.
pub(crate) const SMALL_BYTES: u64 = 64 << 10;

/// Which chunk.
pub(crate) type ChunkName = (StreamId, u64);

/// What is known outside of the volume.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) lines: Vec<Line>,
    /// What is durable, and was not overwritten in its turn.
    pub(crate) chunks: Arc<BTreeMap<ChunkName, ChunkInfo>>,
    pub(crate) options: StoreOptions,
    /// Operations fail now and then, not only the power.
    pub(crate) failing: bool,
    /// The disk has less room than the volume may take.
    pub(crate) narrow: bool,
}

/// One stream.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) stream: StreamId,
    /// What was handed in, without what was lost in a crash.
    pub(crate) made: Arc<Vec<Arc<Made>>>,
    /// So many of them are acknowledged.
    pub(crate) acknowledged: usize,
}

/// The chunks of a volume, and that there are no two of one name.
#[track_caller]
pub(crate) fn list(disk: &FaultDisk, dir: &Path) -> BTreeMap<ChunkName, ChunkInfo> {
    let all = chunks_on(Arc::new(disk.clone()), dir).unwrap();
    let count = all.len();
    let chunks: BTreeMap<_, _> =
        all.into_iter().map(|chunk| ((chunk.stream, chunk.sequence), chunk)).collect();
    assert_eq!(chunks.len(), count, "a chunk is there twice");
    chunks
}

/// Asserts that everything is as it was written, and that nothing waits for repair.
#[track_caller]
pub(crate) fn assert_clean_on(disk: &FaultDisk, dir: &Path) {
    let report = check_on(Arc::new(disk.clone()), dir, &keys()).unwrap();
    assert!(report.is_clean(), "{:#?}", report.damages);
    assert!(report.notes.is_empty(), "{:#?}", report.notes);
}

impl Told {
    /// A segment's file is taken for newer footage: only ever the oldest, and only when there is no other room.
    #[track_caller]
    pub(crate) fn recycle(&mut self, segment: u64) {
        let oldest = self.chunks.values().map(|chunk| chunk.segment).min();
        if self.chunks.values().any(|chunk| chunk.segment == segment) {
            assert_eq!(oldest, Some(segment), "the oldest goes first");
            let used: BTreeSet<u64> = self.chunks.values().map(|chunk| chunk.segment).collect();
            // One more may have got its first footage in the commit that is being made.
            let full = (used.len() as u64 + 1) * SMALL_BYTES >= self.options.max_bytes.0;
            assert!(full || self.narrow || self.failing, "there was other room");
            Arc::make_mut(&mut self.chunks).retain(|_, chunk| chunk.segment != segment);
        }
    }

    /// Asserts that a reader tells the truth, whatever it knows; how far it knows each stream.
    #[track_caller]
    pub(crate) fn assert_true(&self, reader: &Reader) -> Vec<usize> {
        let end = |line: &Line| {
            let units = reader.units(line.stream, BEGINNING, END).unwrap();
            let read: Vec<StoredUnit> = units.map(Result::unwrap).collect();
            line.place(&read).map_or(0, |(_, end)| end)
        };
        self.lines.iter().map(end).collect()
    }

    /// Asserts that what a reader finds in a volume that nobody put right yet was made, in this order.
    #[track_caller]
    pub(crate) fn assert_made(&self, reader: &Reader) {
        for line in &self.lines {
            let mut made = line.made.iter();
            for read in reader.units(line.stream, BEGINNING, END).unwrap() {
                let read = read.unwrap();
                let made = made.find(|made| made.pts == read.pts).expect("what is read was made, and once");
                assert!(made.is(&read), "{}: a unit is not as it was made", line.stream);
            }
        }
    }

    /// Asserts that of damaged footage nothing untrue is read; how many units there are before the damage.
    #[track_caller]
    pub(crate) fn assert_made_before_damage(&self, reader: &Reader) -> usize {
        let mut whole = 0;
        for line in &self.lines {
            for read in reader.units(line.stream, BEGINNING, END).unwrap().filter_map(Result::ok) {
                let made = line.made.iter().any(|made| made.is(&read));
                assert!(made, "{}: a unit is not as it was made", line.stream);
                whole += 1;
            }
        }
        whole
    }

    /// Asserts that a volume that was put right has all that it must have, and tells nothing else; the end of each stream
    /// among what was made.
    #[track_caller]
    pub(crate) fn assert_kept(&self, disk: &FaultDisk, dir: &Path, store: &Store) -> Vec<usize> {
        let there = list(disk, dir);
        for (name, chunk) in &*self.chunks {
            let found = there.get(name).map(|found| found.hash);
            assert_eq!(found, Some(chunk.hash), "chunk {} of {} is lost", name.1, name.0);
        }
        let reader = Reader::open_on(Arc::new(disk.clone()), dir, &keys()).unwrap();
        let end = |line: &Line| {
            let chunks = there.values().filter(|chunk| chunk.stream == line.stream);
            let units: usize = chunks.map(|chunk| chunk.units as usize).sum();
            let read = reader.units(line.stream, BEGINNING, END).unwrap();
            let read: Vec<StoredUnit> = read.map(Result::unwrap).collect();
            let Some(last) = store.last(line.stream) else {
                assert!(units == 0 && read.is_empty(), "{}: the store does not know its end", line.stream);
                return 0;
            };
            let last = line.made.iter().position(|made| made.pts == last.pts);
            let end = last.expect("the last unit was made") + 1;
            let acknowledged = line.acknowledged;
            assert!(end >= acknowledged, "{}: {acknowledged} units were durable, not {end}", line.stream);
            // A stretch begins where decoding can.
            let begin = end.checked_sub(units).expect("no more units than were made");
            let wanted = line.made[begin..end].iter().skip_while(|made| !made.keyframe).count();
            assert_eq!(read.len(), wanted, "{}: units from {begin} to {end}", line.stream);
            assert!(read.is_empty() || line.place(&read) == Some((end - wanted, end)), "{}", line.stream);
            end
        };
        self.lines.iter().map(end).collect()
    }

    /// What is there now is what everybody knows, and what was lost is forgotten.
    pub(crate) fn learn(&mut self, chunks: BTreeMap<ChunkName, ChunkInfo>, ends: &[usize]) {
        self.chunks = Arc::new(chunks);
        for (line, &end) in self.lines.iter_mut().zip(ends) {
            Arc::make_mut(&mut line.made).truncate(end);
            line.acknowledged = end;
        }
    }
}

impl Line {
    /// Asserts that `read` is a stretch of what was made, bit by bit; where it begins and ends.
    #[track_caller]
    fn place(&self, read: &[StoredUnit]) -> Option<(usize, usize)> {
        let first = read.first()?;
        let begin = self.made.iter().position(|made| made.is(first)).expect("what is read was made");
        let end = begin + read.len();
        assert!(end <= self.made.len(), "{}: more is read than was made", self.stream);
        for (made, read) in self.made[begin..end].iter().zip(read) {
            assert!(made.is(read), "{}: a unit is not as it was made", self.stream);
        }
        Some((begin, end))
    }
}
