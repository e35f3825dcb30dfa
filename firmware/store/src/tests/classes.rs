//! Several classes of retention at once: streams that change, and crashes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hal::StreamKind;

use super::support::{
    Made, Source, assert_clean, assert_stretch, clock, keys, noise, open, read_all, scratch, small, stream,
};
use crate::faults::{Fault, FaultDisk, Loss};
use crate::{Class, Reader, Store, chunks, list, rebuild_index};

/// More than the story needs: nothing is recycled.
const SEGMENTS: u64 = 60;
const COMMITS: usize = 16;

fn class(number: u8) -> Class {
    Class::new(number).unwrap()
}

/// Three streams in three classes, the first of which moves between two.
struct Story {
    sources: Vec<Source>,
    made: Vec<Vec<Made>>,
    acknowledged: Vec<usize>,
}

fn story() -> Story {
    let sources = vec![
        Source::new(stream(1, StreamKind::Main), 5, 1200),
        Source::new(stream(1, StreamKind::Audio), 10, 160),
        Source::new(stream(2, StreamKind::Main), 4, 600),
    ];
    Story { made: vec![Vec::new(); 3], acknowledged: vec![0; 3], sources }
}

impl Story {
    fn step(&mut self, store: &mut Store, number: usize) {
        // Back and forth, so that its chunks lie in segments that are open at the same time.
        store.set_class(self.sources[0].stream, class(if (number / 3).is_multiple_of(2) { 0 } else { 5 }));
        store.set_class(self.sources[1].stream, class(5));
        store.set_class(self.sources[2].stream, class(7));
        for (source, made) in self.sources.iter_mut().zip(&mut self.made) {
            made.extend(source.feed(store, source.rate));
        }
        if store.commit().is_ok() {
            self.acknowledged = self.made.iter().map(Vec::len).collect();
        }
    }

    fn run(&mut self, disk: &FaultDisk, dir: &Path) {
        let opened = Store::open_on(Arc::new(disk.clone()), dir, small(SEGMENTS), &keys(), clock());
        let Ok((mut store, _)) = opened else { return };
        for number in 0..COMMITS {
            self.step(&mut store, number);
            if disk.is_off() {
                return;
            }
        }
    }

    /// Everything acknowledged is there, and nothing else is told.
    #[track_caller]
    fn assert_kept(&self, dir: &Path) {
        let reader = Reader::open(dir, &keys()).unwrap();
        for (number, source) in self.sources.iter().enumerate() {
            let (begin, end) = assert_stretch(&self.made[number], &read_all(&reader, source.stream));
            let acknowledged = self.acknowledged[number];
            assert!(begin == 0 || acknowledged == 0, "{}: lost {begin}", source.stream);
            assert!(end >= acknowledged, "{}: {end} of {acknowledged}", source.stream);
        }
    }

    /// As far as older footage did not have to make room, which may have been in the middle of a stream.
    #[track_caller]
    fn assert_newest_kept(&self, dir: &Path) {
        let reader = Reader::open(dir, &keys()).unwrap();
        for (number, source) in self.sources.iter().enumerate() {
            let read = read_all(&reader, source.stream);
            let last = read.last().and_then(|last| self.made[number].iter().position(|made| made.is(last)));
            assert!(last.map_or(0, |last| last + 1) >= self.acknowledged[number], "{}", source.stream);
        }
    }
}

#[test]
fn each_class_has_segments_of_its_own_and_a_stream_can_change_and_come_back() {
    let dir = scratch();
    let mut story = story();
    let mut store = open(dir.path(), SEGMENTS);
    for number in 0..COMMITS {
        story.step(&mut store, number);
        assert_eq!(story.acknowledged[0], story.made[0].len());
        story.assert_kept(dir.path());
        if number == 7 {
            drop(store);
            let (reopened, report) = Store::open(dir.path(), small(SEGMENTS), &keys(), clock()).unwrap();
            assert_eq!((report.scanned, report.sealed, report.dropped_rows), (3, 0, 0), "all are continued");
            store = reopened;
        }
    }
    assert_clean(dir.path());
    store.finish().unwrap();
    story.assert_kept(dir.path());
    assert_clean(dir.path());

    let classes: BTreeMap<u64, Class> =
        list(dir.path()).unwrap().segments.iter().map(|segment| (segment.segment, segment.class)).collect();
    assert_eq!(classes.values().collect::<std::collections::BTreeSet<_>>().len(), 3);
    let all = chunks(dir.path()).unwrap();
    for (number, (source, allowed)) in story.sources.iter().zip([&[0, 5][..], &[5], &[7]]).enumerate() {
        let of: Vec<_> = all.iter().filter(|chunk| chunk.stream == source.stream).collect();
        assert_eq!(of.len(), COMMITS);
        assert!(of.iter().all(|chunk| allowed.contains(&classes[&chunk.segment].get())), "stream {number}");
    }
    // Not in the order of the segments, which is why sequences tell it.
    let moved: Vec<u64> =
        all.iter().filter(|chunk| chunk.stream == story.sources[0].stream).map(|it| it.sequence).collect();
    assert!(!moved.is_sorted(), "{moved:?}");

    let before = Reader::open(dir.path(), &keys()).unwrap().bounds(story.sources[0].stream).unwrap();
    rebuild_index(dir.path()).unwrap();
    assert_clean(dir.path());
    story.assert_kept(dir.path());
    assert_eq!(Reader::open(dir.path(), &keys()).unwrap().bounds(story.sources[0].stream).unwrap(), before);
}

#[test]
fn what_waits_stays_in_its_class_until_it_is_written() {
    let dir = scratch();
    let disk = FaultDisk::new(Loss::Everything);
    let (mut store, _) =
        Store::open_on(Arc::new(disk.clone()), dir.path(), small(40), &keys(), clock()).unwrap();
    let mut source = Source::new(stream(1, StreamKind::Main), 5, 1200);
    let mut made = source.feed(&mut store, 5);
    disk.fail_next(u64::MAX, Fault::Enospc);
    store.commit().unwrap_err();
    store.set_class(source.stream, class(3));
    made.extend(source.feed(&mut store, 5));
    store.commit().unwrap_err();
    disk.heal();
    store.commit().unwrap();
    made.extend(source.feed(&mut store, 5));
    store.commit().unwrap();
    store.finish().unwrap();
    let segments = list(dir.path()).unwrap().segments;
    let of: Vec<(Class, u64)> = segments.iter().map(|it| (it.class, it.chunks)).collect();
    assert_eq!(of, [(Class::DEFAULT, 2), (class(3), 1)]);
    assert_eq!(
        assert_stretch(&made, &read_all(&Reader::open(dir.path(), &keys()).unwrap(), source.stream)),
        (0, 15)
    );
    assert_clean(dir.path());
}

#[test]
fn a_class_that_cannot_be_written_does_not_hold_up_the_others() {
    let dir = scratch();
    let disk = FaultDisk::new(Loss::Everything);
    let mut story = story();
    let (mut store, _) =
        Store::open_on(Arc::new(disk.clone()), dir.path(), small(40), &keys(), clock()).unwrap();
    story.step(&mut store, 0);
    // Three writes and three syncs; the first class has the first of each.
    disk.fail_next(1, Fault::Enospc);
    story.step(&mut store, 1);
    assert_eq!(story.acknowledged[0], 5, "the commit was not acknowledged");
    let reader = Reader::open(dir.path(), &keys()).unwrap();
    let there = story.sources.iter().map(|source| read_all(&reader, source.stream).len());
    assert_eq!(there.collect::<Vec<_>>(), [5, 20, 8]);
    story.step(&mut store, 2);
    story.assert_kept(dir.path());
    assert_clean(dir.path());
}

/// Cuts the power at `operation`, opens the volume again and goes on.
fn crash_at(operation: u64, loss: Loss, without_index: bool) {
    let dir = scratch();
    let disk = FaultDisk::new(loss);
    disk.fail_at(operation, Fault::PowerCut);
    let mut story = story();
    story.run(&disk, dir.path());
    disk.cut_power();
    if without_index {
        for name in ["index.db", "index.db-wal", "index.db-shm"] {
            let _ = std::fs::remove_file(dir.path().join(name));
        }
    }
    let (mut store, _) = Store::open(dir.path(), small(SEGMENTS), &keys(), clock())
        .unwrap_or_else(|error| panic!("operation {operation}, {loss:?}: {error}"));
    story.assert_kept(dir.path());
    assert_clean(dir.path());
    for (source, made) in story.sources.iter_mut().zip(&mut story.made) {
        let last = store.last(source.stream);
        let have = last.map_or(0, |last| made.iter().position(|made| made.pts == last.pts).unwrap() + 1);
        for again in &made[have..] {
            store.append(&source.format(), &again.unit()).unwrap();
        }
    }
    for number in 0..3 {
        story.step(&mut store, number);
    }
    store.finish().unwrap();
    story.assert_kept(dir.path());
    for (source, made) in story.sources.iter().zip(&story.made) {
        let read = read_all(&Reader::open(dir.path(), &keys()).unwrap(), source.stream);
        assert_eq!(assert_stretch(made, &read), (0, made.len()), "operation {operation}, {loss:?}");
    }
    assert_clean(dir.path());
}

#[test]
fn a_crash_between_the_commits_of_classes_keeps_what_each_had() {
    let dir = scratch();
    let disk = FaultDisk::new(Loss::Everything);
    let mut story = story();
    story.run(&disk, dir.path());
    story.assert_kept(dir.path());
    let operations = disk.operations();
    assert!(operations > 2 * 3 * COMMITS as u64, "{operations} crash points");
    for operation in 0..=operations {
        crash_at(operation, Loss::Everything, operation % 2 == 0);
        crash_at(operation, Loss::Some(noise(operation)), operation % 2 == 1);
        crash_at(operation, Loss::Nothing, false);
    }
}

#[test]
fn device_errors_with_several_classes_lose_nothing() {
    let operations = 6 * COMMITS as u64;
    for fault in [Fault::Eio, Fault::Short, Fault::Enospc] {
        for operation in 1..operations {
            let dir = scratch();
            let disk = FaultDisk::new(Loss::Some(noise(operation)));
            disk.fail_at(operation, fault);
            let mut story = story();
            story.run(&disk, dir.path());
            disk.cut_power();
            drop(Store::open(dir.path(), small(SEGMENTS), &keys(), clock()).unwrap());
            if fault == Fault::Enospc {
                // Where a new file was refused, the oldest footage made room.
                story.assert_newest_kept(dir.path());
            } else {
                story.assert_kept(dir.path());
            }
            assert_clean(dir.path());
        }
    }
}
