//! The power goes while footage is deleted: at every operation, with every index.
//!
//! What was accepted goes, now or after the next start; nothing else does; and a deletion that nobody was told of is whole or none.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use hal::{StreamKind, WallTime};

use super::crash_index::{Fate, IndexCopy};
use super::crash_told::{ChunkName, assert_clean_on, list};
use super::support::{START_MICROS, Source, clock, keys, noise, scratch, small, stream};
use crate::check::check_on;
use crate::faults::{Fault, FaultDisk, Loss, MemoryDisk, Moment};
use crate::{ChunkInfo, Deletion, Store, StoreError};

const SECONDS: u64 = 24;

/// An operation that overwrites something.
const IN_THE_MIDDLE: u64 = 12;

fn at(second: i64) -> WallTime {
    WallTime::from_unix_micros(START_MICROS + second * 1_000_000)
}

struct Point {
    moment: Moment,
    index: IndexCopy,
    /// Who ordered it was told that it is accepted.
    accepted: bool,
    /// And that it is done.
    done: bool,
}

fn open(disk: &FaultDisk, dir: &Path) -> Result<Store, StoreError> {
    let (store, report) = Store::open_on(Arc::new(disk.clone()), dir, small(40), &keys(), clock())?;
    assert_eq!(report.damages, [""; 0]);
    Ok(store)
}

fn sources() -> [Source; 2] {
    [1, 2].map(|channel| Source::new(stream(channel, StreamKind::Main), 10, 500))
}

fn record(store: &mut Store, sources: &mut [Source]) {
    for source in sources {
        source.feed(store, 10);
    }
    store.commit().unwrap();
}

/// Records and deletes; all chunks before that, and every moment from there on.
fn live(dir: &Path, fails: Option<u64>) -> (BTreeMap<ChunkName, ChunkInfo>, Vec<Point>) {
    let disk = FaultDisk::in_memory(&MemoryDisk::default(), Loss::Everything);
    let mut store = open(&disk, dir).unwrap();
    let mut sources = sources();
    for _ in 0..SECONDS {
        record(&mut store, &mut sources);
    }
    let before = list(&disk, dir);
    let points: Arc<Mutex<Vec<Point>>> = Arc::default();
    let known: Arc<Mutex<(bool, bool)>> = Arc::default();
    let (kept, told, folder) = (Arc::clone(&points), Arc::clone(&known), dir.to_owned());
    disk.watch(move |moment| {
        let (accepted, done) = *told.lock().unwrap();
        kept.lock().unwrap().push(Point { moment, index: IndexCopy::take(&folder), accepted, done });
    });
    // The first is to seal what is being written.
    if let Some(operation) = fails {
        disk.fail_at(disk.operations() + operation, Fault::WriteEio);
    }
    store.delete(1, &[sources[0].stream], at(5), at(23), "ann").unwrap();
    known.lock().unwrap().0 = true;
    for _ in 0..3 {
        record(&mut store, &mut sources);
        known.lock().unwrap().1 = store.deletions().is_empty();
    }
    assert_eq!(known.lock().unwrap().1, fails != Some(IN_THE_MIDDLE));
    disk.unwatch();
    drop(store);
    let points = std::mem::take(&mut *points.lock().unwrap());
    (before, points)
}

fn goes(chunk: &ChunkInfo) -> bool {
    chunk.stream == sources()[0].stream && chunk.start < at(23) && chunk.end > at(5)
}

fn crash(before: &BTreeMap<ChunkName, ChunkInfo>, point: &Point, number: usize, dir: &Path) -> bool {
    let loss = match noise(number as u64) % 4 {
        0 => Loss::Everything,
        1 => Loss::Nothing,
        2 => Loss::Writes(number as u64),
        _ => Loss::Torn(number as u64),
    };
    let disk = FaultDisk::after_power_cut(&point.moment, loss);
    let fate = if number.is_multiple_of(3) { Fate::Lost } else { Fate::Kept };
    point.index.after(fate, |_| IndexCopy::default()).put(dir);
    let mut store = open(&disk, dir).unwrap();
    let pending = store.deletions().iter().map(|deletion: &Deletion| deletion.id).collect::<Vec<_>>();
    assert!(!point.done || pending.is_empty(), "done once");
    let mut sources = sources();
    for source in &mut sources {
        source.next = 10_000;
    }
    for _ in 0..3 {
        record(&mut store, &mut sources);
    }
    assert!(store.deletions().is_empty(), "it does not end");
    let there = list(&disk, dir);
    let doomed = before.values().filter(|chunk| goes(chunk)).count();
    let left =
        before.values().filter(|chunk| goes(chunk) && there.contains_key(&(chunk.stream, chunk.sequence)));
    let left = left.count();
    let all_gone = point.accepted || !pending.is_empty();
    assert_eq!(left, if all_gone { 0 } else { doomed }, "of {doomed}, accepted {}", point.accepted);
    for (name, chunk) in before.iter().filter(|(_, chunk)| !goes(chunk)) {
        assert_eq!(there.get(name), Some(chunk), "it was not to go");
    }
    assert_clean_on(&disk, dir);
    let report = check_on(Arc::new(disk), dir, &keys()).unwrap();
    assert_eq!(report.deleted, if all_gone { doomed as u64 } else { 0 });
    all_gone
}

fn sweep(fails: Option<u64>) {
    let dir = scratch();
    let (before, points) = live(dir.path(), fails);
    assert!(points.len() > 25, "{}", points.len());
    let mut outcomes = [0; 2];
    for (number, point) in points.iter().enumerate() {
        // Each place several times: what is lost is another matter each time.
        for again in 0..4 {
            let gone = crash(&before, point, number * 4 + again, dir.path());
            outcomes[usize::from(gone)] += 1;
        }
    }
    assert!(outcomes[0] >= 4 && outcomes[1] >= 80, "{outcomes:?}");
}

#[test]
fn on_a_good_device() {
    sweep(None);
}

#[test]
fn on_a_device_that_fails_in_the_middle() {
    sweep(Some(IN_THE_MIDDLE));
}

#[test]
fn on_a_device_that_refuses_the_seal() {
    sweep(Some(0));
}
