//! Locked footage stays, whatever else happens to the volume.

use std::path::Path;
use std::sync::Arc;

use hal::{ByteCount, StreamId, StreamKind, WallTime};

use super::support::{
    END, Made, Source, Turned, assert_clean, clock, keys, open, read_all, scratch, small, stream,
};
use crate::faults::{Fault, FaultDisk, Loss};
use crate::{Class, ErrorKind, MAX_LOCK_TEXT_BYTES, Reader, Retention, Store, StoredUnit};

const SEGMENT: u64 = 64 << 10;

fn source() -> Source {
    Source::new(stream(1, StreamKind::Main), 10, 1000)
}

/// Seconds of footage, each committed.
fn record(store: &mut Store, source: &mut Source, seconds: u64) -> Vec<Made> {
    (0..seconds)
        .flat_map(|_| {
            let made = source.feed(store, 10);
            store.commit().unwrap();
            made
        })
        .collect()
}

fn units(dir: &Path, of: StreamId) -> Vec<StoredUnit> {
    read_all(&Reader::open(dir, &keys()).unwrap(), of)
}

/// Whether all of `made` is there.
fn has(dir: &Path, made: &[Made]) -> bool {
    let units = units(dir, made[0].stream);
    made.iter().all(|made| units.iter().any(|unit| made.is(unit)))
}

fn range(made: &[Made]) -> (WallTime, WallTime) {
    (made[0].wall, made[made.len() - 1].wall.offset_micros(1))
}

#[test]
fn locked_footage_survives_wrapping_around_and_reopening_until_it_is_unlocked() {
    let dir = scratch();
    let mut store = open(dir.path(), 8);
    let mut source = source();
    let lost = record(&mut store, &mut source, 10);
    let kept = record(&mut store, &mut source, 2);
    // What was recorded last is in a segment that is still open.
    let (from, to) = range(&kept);
    let (lock, cost) = store.lock(&[source.stream], from, to, "a theft", "ann").unwrap();
    assert!((SEGMENT..=2 * SEGMENT).contains(&cost.0), "{cost:?}");
    record(&mut store, &mut source, 100);
    assert!(has(dir.path(), &kept) && !has(dir.path(), &lost));
    assert_eq!(store.status().locked_bytes, cost);
    assert_clean(dir.path());

    drop(store);
    let mut store = open(dir.path(), 8);
    assert_eq!(store.locks(), std::slice::from_ref(&lock));
    assert_eq!(store.status().locked_bytes, cost);
    let newest = record(&mut store, &mut source, 100);
    assert!(has(dir.path(), &kept) && has(dir.path(), &newest[newest.len() - 100..]));
    drop(store);
    crate::rebuild_index(dir.path()).unwrap();
    let mut store = open(dir.path(), 8);
    record(&mut store, &mut source, 50);
    assert!(has(dir.path(), &kept));

    assert_eq!(store.unlock(lock.id + 1).unwrap(), None);
    assert_eq!(store.unlock(lock.id).unwrap(), Some(lock));
    assert_eq!(store.status().locked_bytes, ByteCount(0));
    record(&mut store, &mut source, 100);
    assert!(!has(dir.path(), &kept));
    assert_clean(dir.path());
}

#[test]
fn at_most_half_of_a_volume_is_locked_and_a_refusal_names_the_sum() {
    let dir = scratch();
    let mut store = open(dir.path(), 8);
    let mut source = source();
    let made = record(&mut store, &mut source, 100);
    let (from, to) = range(&made);
    let error = store.lock(&[source.stream], from, to, "", "ann").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Pinned);
    let (all, half) = (format!("keep {} bytes", 8 * SEGMENT), format!("at most {}", 4 * SEGMENT));
    assert!(error.to_string().contains(&all) && error.to_string().contains(&half), "{error}");
    assert_eq!((store.locks().len(), store.status().locked_bytes.0), (0, 0));

    // What another lock keeps already costs nothing, and is no reason to refuse.
    let newest = &made[made.len() - 60..];
    let (from, to) = range(newest);
    let (first, cost) = store.lock(&[source.stream], from, to, "", "ann").unwrap();
    let (second, nothing) = store.lock(&[source.stream], from, to, "", "bob").unwrap();
    assert!(cost.0 > 0 && nothing.0 == 0, "{cost:?} {nothing:?}");
    store.unlock(first.id).unwrap();
    record(&mut store, &mut source, 100);
    assert!(has(dir.path(), newest), "the other lock still keeps it");
    let (from, to) = range(&record(&mut store, &mut source, 12));
    let sum = store.lock(&[source.stream], from, to, "", "ann").map_or_else(
        |error| error.kind(),
        |_| {
            panic!("more than half: {:?}", store.status());
        },
    );
    assert_eq!(sum, ErrorKind::Pinned);
    store.unlock(second.id).unwrap();
    store.lock(&[source.stream], from, to, "", "ann").unwrap();
    assert_clean(dir.path());
}

#[test]
fn other_streams_and_other_times_are_not_locked() {
    let dir = scratch();
    let mut store = open(dir.path(), 12);
    let mut sources = [source(), Source::new(stream(2, StreamKind::Main), 10, 1000)];
    store.set_class(sources[1].stream, Class::new(1).unwrap());
    let first = sources.each_mut().map(|source| record(&mut store, source, 20));
    let (from, to) = range(&first[0][..20]);
    store.lock(&[sources[0].stream], from, to, "", "ann").unwrap();
    for _ in 0..100 {
        for source in &mut sources {
            source.feed(&mut store, 10);
        }
        store.commit().unwrap();
    }
    assert!(has(dir.path(), &first[0][..20]));
    assert!(!has(dir.path(), &first[0][150..]) && !has(dir.path(), &first[1][..20]));
}

#[test]
fn locks_that_cannot_be_are_refused() {
    let dir = scratch();
    let clock_turned = Turned::new();
    let mut store = Store::open(dir.path(), small(8), &keys(), clock_turned.clone()).unwrap().0;
    let mut source = source();
    let made = record(&mut store, &mut source, 10);
    let (from, to) = range(&made);
    let long = "x".repeat(MAX_LOCK_TEXT_BYTES + 1);
    let ahead = to.offset_micros(3_600_000_000);
    let none: &[StreamId] = &[];
    let of = &[source.stream][..];
    for (streams, from, to, text) in [
        (none, from, to, ""),
        (of, to, from, ""),
        (of, from, from, ""),
        (of, from, ahead, ""),
        (of, from, END, ""),
        (of, from, to, &long),
    ] {
        let error = store.lock(streams, from, to, text, "ann").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    assert_eq!(store.locks(), []);
    assert!(!dir.path().join("locks.toml").exists());

    // A number of one's own: the next ones are higher.
    store.lock_as(1 << 50, of, from, to, "", "ann").unwrap();
    for taken in [1 << 50, 0, u64::MAX] {
        let error = store.lock_as(taken, of, from, to, "", "ann").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    assert_eq!(store.lock(of, from, to, "", "ann").unwrap().0.id, (1 << 50) + 1);
    store.lock_as(7, of, from, to, "", "ann").unwrap();
    let ids: Vec<u64> = store.locks().iter().map(|lock| lock.id).collect();
    assert_eq!(ids, [1 << 50, (1 << 50) + 1, 7]);
}

#[test]
fn a_lock_that_is_not_on_the_medium_was_never_given() {
    let dir = scratch();
    let disk = FaultDisk::new(Loss::Everything);
    let open =
        |disk: &FaultDisk| Store::open_on(Arc::new(disk.clone()), dir.path(), small(8), &keys(), clock());
    let mut store = open(&disk).unwrap().0;
    let mut source = source();
    let made = record(&mut store, &mut source, 10);
    let (from, to) = range(&made);
    disk.fail_next(1, Fault::Enospc);
    let error = store.lock(&[source.stream], from, to, "", "ann").unwrap_err();
    assert_eq!((error.kind(), store.locks().len()), (ErrorKind::DiskFull, 0));
    let (lock, _) = store.lock(&[source.stream], from, to, "", "ann").unwrap();
    disk.fail_next(1, Fault::Eio);
    assert_eq!(store.unlock(lock.id).unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(store.locks().len(), 1, "it stays");
    disk.cut_power();
    drop(store);
    disk.come_back();
    let mut store = open(&disk).unwrap().0;
    assert_eq!(store.locks(), [lock]);
    record(&mut store, &mut source, 100);
    assert!(has(dir.path(), &made));
}

#[test]
fn locks_do_not_expire_and_do_not_stop_recording_when_the_volume_becomes_smaller() {
    let (dir, clock) = (scratch(), Turned::new());
    let open = |segments| Store::open(dir.path(), small(segments), &keys(), clock.clone()).unwrap().0;
    let mut store = open(16);
    store.set_clock_trusted(true);
    let mut source = source();
    let made = record(&mut store, &mut source, 30);
    let (from, to) = range(&made);
    store.lock(&[source.stream], from, to, "", "ann").unwrap();
    let locked = store.status().locked_bytes;
    assert!(locked.0 > 3 * SEGMENT);
    store.set_retention(Class::DEFAULT, Retention { max_days: Some(1), share: 1 });
    clock.pass(3 * 86_400);
    source.go_to(hal::Clock::wall(&*clock));
    record(&mut store, &mut source, 5);
    assert!(has(dir.path(), &made));

    drop(store);
    let mut store = open(3);
    let newest = record(&mut store, &mut source, 40);
    assert!(has(dir.path(), &made) && has(dir.path(), &newest[newest.len() - 20..]));
    assert!(store.status().used_bytes.0 <= locked.0 + 3 * SEGMENT, "{:?}", store.status());
    assert_clean(dir.path());
}

#[test]
fn locks_that_cannot_be_read_are_reported_and_recording_goes_on() {
    let dir = scratch();
    let mut store = open(dir.path(), 8);
    let mut source = source();
    record(&mut store, &mut source, 5);
    drop(store);
    for text in ["not toml", "version = 2\nnext_id = 1\n", "version = 1\nnext_id = 1\n[[lock]]\nid = 1\n"] {
        std::fs::write(dir.path().join("locks.toml"), text).unwrap();
        let (mut store, report) = Store::open(dir.path(), small(8), &keys(), clock()).unwrap();
        assert!(
            report.damages.len() == 1 && report.damages[0].contains("locks.toml"),
            "{:?}",
            report.damages
        );
        record(&mut store, &mut source, 5);
        assert_eq!(std::fs::read_to_string(dir.path().join("locks.toml")).unwrap(), text, "it is left alone");
    }
}
