//! The power goes while footage expires, is overwritten and is locked.
//!
//! Every moment of a life is a place where it may go, on a good device and on one that fails now and then. What was acknowledged
//! and no witness was told of as gone is there; what is locked is there; nothing is there twice, and nothing is damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use evidence::VolumeId;
use hal::{Clock, StreamKind, WallTime};

use super::crash_index::{Fate, IndexCopy};
use super::crash_told::{ChunkName, assert_clean_on, list};
use super::support::{Source, Turned, keys, noise, scratch, small, stream};
use crate::faults::{Fault, FaultDisk, Loss, MemoryDisk, Moment};
use crate::{ChunkInfo, Class, Removal, Retention, SegmentSummary, Store, StoreError, Witness, WitnessError};

const HOURS: u64 = 90;
const SEGMENTS: u64 = 12;

/// The segments that are told of as gone.
#[derive(Clone, Default)]
struct Gone(Arc<Mutex<BTreeMap<u64, Removal>>>);

impl Witness for Gone {
    fn removing(&mut self, segment: &SegmentSummary, why: Removal) -> Result<(), WitnessError> {
        self.0.lock().unwrap().insert(segment.segment, why);
        Ok(())
    }

    fn deleting(&mut self, _: &crate::FootageDeletion<'_>) -> Result<(), WitnessError> {
        Ok(())
    }

    fn sealed(&mut self, _: &SegmentSummary) -> Result<(), WitnessError> {
        Ok(())
    }

    fn last_sealed(&mut self, _: VolumeId, _: Class) -> Result<Option<u64>, WitnessError> {
        Ok(None)
    }
}

/// A moment, and what the world knew then.
struct Point {
    moment: Moment,
    index: IndexCopy,
    gone: BTreeSet<u64>,
    there: Arc<BTreeMap<ChunkName, ChunkInfo>>,
    locked: Arc<BTreeMap<ChunkName, ChunkInfo>>,
    wall: WallTime,
}

fn open(disk: &FaultDisk, dir: &Path, clock: &Arc<Turned>, gone: &Gone) -> Result<Store, StoreError> {
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    let (mut store, report) = Store::open_on(Arc::new(disk.clone()), dir, small(SEGMENTS), &keys(), clock)?;
    assert_eq!(report.damages, [""; 0]);
    let second = Class::new(1).unwrap();
    store.set_clock_trusted(true);
    store.set_retention(second, Retention { max_days: Some(1), share: 4 });
    store.set_class(stream(2, StreamKind::Main), second);
    store.set_witness(Box::new(gone.clone()));
    Ok(store)
}

fn record(store: &mut Store, sources: &mut [Source], wall: WallTime) -> Result<(), StoreError> {
    for source in sources {
        source.go_to(wall);
        source.feed(store, 5);
    }
    store.commit().map(drop)
}

fn sources() -> [Source; 2] {
    [1, 2].map(|channel| Source::new(stream(channel, StreamKind::Main), 5, 2000))
}

/// Lives for [`HOURS`]; where `fails`, some operations fail. Every moment of it, and why footage went.
fn live(dir: &Path, fails: bool) -> (Vec<Point>, Vec<Removal>) {
    let (clock, gone) = (Turned::new(), Gone::default());
    let disk = FaultDisk::in_memory(&MemoryDisk::default(), Loss::Everything);
    let mut store = open(&disk, dir, &clock, &gone).unwrap();
    let points: Arc<Mutex<Vec<Point>>> = Arc::default();
    let known: Arc<Mutex<(Arc<BTreeMap<_, _>>, Arc<BTreeMap<_, _>>)>> = Arc::default();
    let (told, kept, shown, folder) = (gone.clone(), Arc::clone(&points), Arc::clone(&known), dir.to_owned());
    let of_watch = Arc::clone(&clock);
    disk.watch(move |moment| {
        let gone = told.0.lock().unwrap().keys().copied().collect();
        let (there, locked) = shown.lock().unwrap().clone();
        let (index, wall) = (IndexCopy::take(&folder), of_watch.wall());
        kept.lock().unwrap().push(Point { moment, index, gone, there, locked, wall });
    });
    let mut sources = sources();
    for hour in 0..HOURS {
        clock.pass(3600);
        if fails && hour % 7 == 3 {
            let fault = [Fault::Eio, Fault::SyncEio, Fault::WriteEio, Fault::Enospc][hour as usize / 7 % 4];
            disk.fail_at(disk.operations() + noise(hour) % 5, fault);
        }
        let done = record(&mut store, &mut sources, clock.wall());
        assert!(fails || done.is_ok());
        if done.is_ok() {
            let still = FaultDisk::after_kill(&disk.moment().unwrap(), Loss::Everything);
            let there = Arc::new(list(&still, dir));
            if hour == 5 {
                let (from, to) = (WallTime::from_unix_micros(0), clock.wall().offset_micros(1_000_000));
                store.lock(&[sources[0].stream], from, to, "", "ann").unwrap();
                known.lock().unwrap().1 = there
                    .iter()
                    .filter(|(name, _)| name.0 == sources[0].stream)
                    .map(|(name, chunk)| (*name, *chunk))
                    .collect::<BTreeMap<_, _>>()
                    .into();
            }
            known.lock().unwrap().0 = there;
        }
    }
    disk.unwatch();
    drop(store);
    let reasons = gone.0.lock().unwrap().values().copied().collect();
    (std::mem::take(&mut *points.lock().unwrap()), reasons)
}

/// The power goes there.
fn crash(point: &Point, number: usize, dir: &Path) {
    let loss = match noise(number as u64) % 4 {
        0 => Loss::Everything,
        1 => Loss::Nothing,
        2 => Loss::Writes(number as u64),
        _ => Loss::Torn(number as u64),
    };
    let disk = FaultDisk::after_power_cut(&point.moment, loss);
    let fate = if number.is_multiple_of(3) { Fate::Lost } else { Fate::Kept };
    point.index.after(fate, |_| IndexCopy::default()).put(dir);
    let (clock, gone) = (Turned::new(), Gone::default());
    clock.set(point.wall);
    let mut store = open(&disk, dir, &clock, &gone).unwrap();
    let told = |there: &BTreeMap<ChunkName, ChunkInfo>, gone: &BTreeSet<u64>| {
        for (name, chunk) in &*point.there {
            let is_gone = gone.contains(&chunk.segment) || point.gone.contains(&chunk.segment);
            assert!(is_gone || there.get(name) == Some(chunk), "{name:?} is lost");
        }
        for (name, chunk) in &*point.locked {
            assert_eq!(there.get(name), Some(chunk), "locked, and lost");
        }
    };
    told(&list(&disk, dir), &BTreeSet::new());
    assert_clean_on(&disk, dir);
    // And it goes on, for as long as it takes to expire and to wrap around.
    let mut sources = sources();
    for source in &mut sources {
        source.next = 10_000;
    }
    let hours = if number.is_multiple_of(16) { 40 } else { 2 };
    for _ in 0..hours {
        clock.pass(3600);
        record(&mut store, &mut sources, clock.wall()).unwrap();
    }
    let gone: BTreeSet<u64> = gone.0.lock().unwrap().keys().copied().collect();
    told(&list(&disk, dir), &gone);
    assert_clean_on(&disk, dir);
}

fn sweep(fails: bool) {
    let dir = scratch();
    let (points, reasons) = live(dir.path(), fails);
    let expired = reasons.iter().filter(|why| **why == Removal::Expired).count();
    assert!(expired > 3 && reasons.len() - expired > 3, "{reasons:?}");
    assert!(points.len() > 300, "{}", points.len());
    // Every other one: the two lives have moments of the same kinds.
    for (number, point) in points.iter().enumerate().skip(usize::from(fails)).step_by(2) {
        crash(point, number, dir.path());
    }
}

#[test]
fn on_a_good_device() {
    sweep(false);
}

#[test]
fn on_a_failing_device() {
    sweep(true);
}
