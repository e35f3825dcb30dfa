//! Crashes and device errors at every single operation.

use std::path::Path;
use std::sync::Arc;

use hal::StreamKind;
use proptest::prelude::*;

use super::support::{
    BEGINNING, END, Made, Source, assert_clean, assert_stretch, clock, keys, noise, read_all, scratch, small,
    stream,
};
use crate::faults::{Fault, FaultDisk, Loss};
use crate::{ErrorKind, Reader, Store};

/// Segments of the volume: recycling begins after a few commits.
const SEGMENTS: u64 = 4;

/// Commits of the scenario: the ring of segments goes round more than once.
const COMMITS: usize = 28;

/// What a scenario handed in, and how much of it was acknowledged.
struct Story {
    sources: Vec<Source>,
    made: Vec<Vec<Made>>,
    acknowledged: Vec<usize>,
    /// Commits that were acknowledged.
    commits: usize,
}

fn story() -> Story {
    let sources = vec![
        Source::new(stream(1, StreamKind::Main), 5, 1200),
        Source::new(stream(1, StreamKind::Audio), 10, 160),
        Source::new(stream(2, StreamKind::Main), 4, 600),
    ];
    Story { made: vec![Vec::new(); 3], acknowledged: vec![0; 3], commits: 0, sources }
}

impl Story {
    fn feed(&mut self, store: &mut Store) {
        for (source, made) in self.sources.iter_mut().zip(&mut self.made) {
            made.extend(source.feed(store, source.rate));
        }
    }

    fn commit(&mut self, store: &mut Store) -> bool {
        let done = store.commit().is_ok();
        if done {
            self.commits += 1;
            self.acknowledged = self.made.iter().map(Vec::len).collect();
        }
        done
    }

    /// Runs until the end, or until the power goes.
    fn run(&mut self, disk: &FaultDisk, dir: &Path) {
        let opened = Store::open_on(Arc::new(disk.clone()), dir, small(SEGMENTS), &keys(), clock());
        let Ok((mut store, _)) = opened else { return };
        for _ in 0..COMMITS {
            self.feed(&mut store);
            self.commit(&mut store);
            if disk.is_off() {
                return;
            }
        }
        let made = self.made.iter().map(Vec::len).collect();
        if store.finish().is_ok() {
            self.acknowledged = made;
        }
    }

    /// Everything acknowledged is there and bit-exact, `kept_from` on; nothing else is told.
    #[track_caller]
    fn assert_kept(&self, reader: &Reader, kept_from: Option<&[usize]>) {
        for (number, source) in self.sources.iter().enumerate() {
            let read = read_all(reader, source.stream);
            if read.is_empty() && self.acknowledged[number] == 0 {
                continue;
            }
            let (begin, end) = assert_stretch(&self.made[number], &read);
            if let Some(kept_from) = kept_from {
                assert!(begin <= kept_from[number], "{}: lost {begin}", source.stream);
                assert!(end >= self.acknowledged[number], "{}: acknowledged units are lost", source.stream);
            }
        }
    }
}

/// Where the footage of each stream begins after each commit, if nothing goes wrong; the operations it took.
fn undisturbed() -> (Vec<Vec<usize>>, u64) {
    let dir = scratch();
    let disk = FaultDisk::new(Loss::Everything);
    let mut story = story();
    let mut begins = vec![vec![0; 3]];
    let (mut store, _) =
        Store::open_on(Arc::new(disk.clone()), dir.path(), small(SEGMENTS), &keys(), clock()).unwrap();
    for _ in 0..COMMITS {
        story.feed(&mut store);
        assert!(story.commit(&mut store));
        let reader = Reader::open(dir.path(), &keys()).unwrap();
        let begin =
            |(source, made): (&Source, &Vec<Made>)| assert_stretch(made, &read_all(&reader, source.stream)).0;
        begins.push(story.sources.iter().zip(&story.made).map(begin).collect());
    }
    store.finish().unwrap();
    assert!(begins.last().unwrap()[0] > 0, "the scenario recycles");
    (begins, disk.operations())
}

/// What happens to the index, which no fault disk watches.
#[derive(Clone, Copy, Debug)]
enum IndexFate {
    Kept,
    Deleted,
    /// As it was after so many commits.
    Stale(usize),
    Garbage,
}

/// Cuts the power at `operation` and opens the volume again.
fn crash_at(operation: u64, loss: Loss, fate: IndexFate, begins: &[Vec<usize>]) {
    let dir = scratch();
    let disk = FaultDisk::new(loss);
    disk.fail_at(operation, Fault::PowerCut);
    let mut story = story();
    if let IndexFate::Stale(commits) = fate {
        run_with_copy(&mut story, &disk, dir.path(), commits);
    } else {
        story.run(&disk, dir.path());
    }
    disk.cut_power();
    let index = dir.path().join("index.db");
    match fate {
        IndexFate::Kept => {}
        IndexFate::Deleted => remove_index(dir.path()),
        IndexFate::Stale(_) => {
            let copy = dir.path().join("copy.db");
            if copy.exists() {
                remove_index(dir.path());
                std::fs::rename(&copy, &index).unwrap();
            }
        }
        IndexFate::Garbage => {
            remove_index(dir.path());
            std::fs::write(
                &index,
                b"not a database, but long enough to be read as the head of one ............",
            )
            .unwrap();
        }
    }
    // Before anybody repairs anything, a reader tells no untruth.
    if matches!(fate, IndexFate::Kept)
        && let Ok(reader) = Reader::open(dir.path(), &keys())
    {
        story.assert_kept(&reader, None);
    }
    let (mut store, _) = Store::open(dir.path(), small(SEGMENTS), &keys(), clock())
        .unwrap_or_else(|error| panic!("operation {operation}, {loss:?}, {fate:?}: {error}"));
    let kept_from = &begins[(story.commits + 1).min(COMMITS)];
    story.assert_kept(&Reader::open(dir.path(), &keys()).unwrap(), Some(kept_from));
    assert_clean(dir.path());

    // And it goes on: with what the store does not have yet, as a recorder does from its rings.
    for (source, made) in story.sources.iter_mut().zip(&mut story.made) {
        let have = match store.last(source.stream) {
            Some(last) => made.iter().position(|made| made.pts == last.pts).unwrap() + 1,
            None => 0,
        };
        for again in &made[have..] {
            store.append(&source.format(), &again.unit()).unwrap();
        }
        made.extend(source.feed(&mut store, source.rate));
    }
    assert!(story.commit(&mut store));
    store.finish().unwrap();
    assert_clean(dir.path());
    let reader = Reader::open(dir.path(), &keys()).unwrap();
    for (number, source) in story.sources.iter().enumerate() {
        let (_, end) = assert_stretch(&story.made[number], &read_all(&reader, source.stream));
        assert_eq!(end, story.made[number].len(), "{} after {operation}, {loss:?}, {fate:?}", source.stream);
    }
}

fn remove_index(dir: &Path) {
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        let _ = std::fs::remove_file(dir.join(name));
    }
}

fn run_with_copy(story: &mut Story, disk: &FaultDisk, dir: &Path, commits: usize) {
    let opened = Store::open_on(Arc::new(disk.clone()), dir, small(SEGMENTS), &keys(), clock());
    let Ok((mut store, _)) = opened else { return };
    for commit in 0..COMMITS {
        if commit == commits {
            let copy = dir.join("copy.db");
            let db = rusqlite::Connection::open(dir.join("index.db")).unwrap();
            db.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
        }
        story.feed(&mut store);
        story.commit(&mut store);
        if disk.is_off() {
            return;
        }
    }
}

#[test]
fn power_cuts_at_every_operation_that_lose_everything() {
    let (begins, operations) = undisturbed();
    assert!(operations > 80, "{operations} crash points");
    for operation in 0..=operations {
        crash_at(operation, Loss::Everything, IndexFate::Kept, &begins);
    }
}

#[test]
fn kills_at_every_operation_that_lose_nothing() {
    let (begins, operations) = undisturbed();
    for operation in 0..=operations {
        crash_at(operation, Loss::Nothing, IndexFate::Kept, &begins);
    }
}

#[test]
fn power_cuts_at_every_operation_that_lose_some_sectors() {
    let (begins, operations) = undisturbed();
    for operation in 0..=operations {
        crash_at(operation, Loss::Some(noise(operation)), IndexFate::Kept, &begins);
    }
}

#[test]
fn power_cuts_at_every_operation_with_the_index_lost_stale_or_garbage() {
    let (begins, operations) = undisturbed();
    for operation in 0..=operations {
        let fate = match operation % 3 {
            0 => IndexFate::Deleted,
            1 => IndexFate::Stale(noise(operation) as usize % COMMITS),
            _ => IndexFate::Garbage,
        };
        crash_at(operation, Loss::Some(noise(operation + 1)), fate, &begins);
    }
}

#[test]
fn a_device_error_at_any_operation_loses_nothing_that_was_handed_in() {
    let (_, operations) = undisturbed();
    // The first ones make the volume: without one there is nothing to go on with.
    for fault in [Fault::Eio, Fault::Short, Fault::Enospc] {
        for operation in 1..operations {
            let dir = scratch();
            let disk = FaultDisk::new(Loss::Everything);
            disk.fail_at(operation, fault);
            let mut story = story();
            story.run(&disk, dir.path());
            if story.acknowledged.iter().sum::<usize>() != story.made.iter().map(Vec::len).sum::<usize>() {
                // Only the very last commit may be refused: nobody came after it to try again.
                assert!(story.commits >= COMMITS - 1, "{fault:?} at {operation}");
            }
            let (store, _) = Store::open(dir.path(), small(SEGMENTS), &keys(), clock()).unwrap();
            drop(store);
            let reader = Reader::open(dir.path(), &keys()).unwrap();
            for (number, source) in story.sources.iter().enumerate() {
                let (_, end) = assert_stretch(&story.made[number], &read_all(&reader, source.stream));
                assert!(end >= story.acknowledged[number], "{fault:?} at {operation}");
            }
            assert_clean(dir.path());
        }
    }
}

#[test]
fn a_dead_device_is_an_error_until_it_works_again() {
    for (fault, kind) in [
        (Fault::Eio, ErrorKind::Io),
        (Fault::Enospc, ErrorKind::DiskFull),
        (Fault::ReadOnly, ErrorKind::Unwritable),
    ] {
        let dir = scratch();
        let disk = FaultDisk::new(Loss::Everything);
        let mut story = story();
        let (mut store, _) =
            Store::open_on(Arc::new(disk.clone()), dir.path(), small(40), &keys(), clock()).unwrap();
        story.feed(&mut store);
        assert!(story.commit(&mut store));
        disk.fail_next(u64::MAX, fault);
        for _ in 0..3 {
            story.feed(&mut store);
            let error = store.commit().unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.file().starts_with(dir.path()), "{error}");
            let reader = Reader::open(dir.path(), &keys()).unwrap();
            for (number, source) in story.sources.iter().enumerate() {
                assert_eq!(read_all(&reader, source.stream).len(), story.acknowledged[number]);
            }
        }
        disk.heal();
        assert!(story.commit(&mut store));
        store.finish().unwrap();
        story.assert_kept(&Reader::open(dir.path(), &keys()).unwrap(), Some(&[0, 0, 0]));
        assert_clean(dir.path());
    }
}

#[test]
fn a_device_that_refuses_writes_does_not_eat_old_footage() {
    let dir = scratch();
    let disk = FaultDisk::new(Loss::Everything);
    let mut story = story();
    let (mut store, _) =
        Store::open_on(Arc::new(disk.clone()), dir.path(), small(12), &keys(), clock()).unwrap();
    for _ in 0..COMMITS * 4 {
        story.feed(&mut store);
        assert!(story.commit(&mut store));
    }
    let begin = |story: &Story| {
        let read = read_all(&Reader::open(dir.path(), &keys()).unwrap(), story.sources[0].stream);
        assert_stretch(&story.made[0], &read).0
    };
    let before = begin(&story);
    assert!(before > 0, "the volume is full");
    disk.fail_next(u64::MAX, Fault::WriteEio);
    for _ in 0..20 {
        story.feed(&mut store);
        assert!(!story.commit(&mut store));
    }
    // Three segments of 12 were tried, with about 35 units each.
    assert!(begin(&story) <= before + 3 * 40, "{} were there from {before} on", begin(&story));
    disk.heal();
    assert!(story.commit(&mut store));
    store.finish().unwrap();
    assert_clean(dir.path());
    let read = read_all(&Reader::open(dir.path(), &keys()).unwrap(), story.sources[0].stream);
    assert_eq!(assert_stretch(&story.made[0], &read).1, story.made[0].len());
}

#[test]
fn a_disk_that_lies_loses_footage_but_nothing_untrue_is_told() {
    let mut lost = 0;
    for cut in (20..80).step_by(3) {
        let dir = scratch();
        let disk = FaultDisk::new(Loss::Some(noise(cut)));
        for operation in cut.saturating_sub(12)..cut {
            disk.fail_at(operation, Fault::Lie);
        }
        disk.fail_at(cut, Fault::PowerCut);
        let mut story = story();
        story.run(&disk, dir.path());
        assert!(disk.is_off());
        // The index is newer than what is on disk.
        let (store, _) = Store::open(dir.path(), small(SEGMENTS), &keys(), clock()).unwrap();
        drop(store);
        let reader = Reader::open(dir.path(), &keys()).unwrap();
        for (number, source) in story.sources.iter().enumerate() {
            // A commit that was lost under a seal is an error at reading, as any damage.
            let units = reader.units(source.stream, BEGINNING, END).unwrap();
            let read: Vec<_> = units.map_while(Result::ok).collect();
            assert!(read.iter().all(|read| story.made[number].iter().any(|made| made.is(read))));
            let last = read.last().and_then(|last| story.made[number].iter().position(|made| made.is(last)));
            lost += usize::from(last.map_or(0, |last| last + 1) < story.acknowledged[number]);
        }
    }
    // Which proves that the tests above would notice a sync that is not made.
    assert!(lost > 15, "{lost}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn errors_and_then_a_power_cut(
        faults in proptest::collection::vec((1..150_u64, 0..3_u8), 0..6),
        cut in 1..160_u64,
        seed in any::<u64>(),
    ) {
        let dir = scratch();
        let disk = FaultDisk::new(Loss::Some(seed));
        for (operation, kind) in faults {
            disk.fail_at(operation, [Fault::Eio, Fault::Short, Fault::Enospc][usize::from(kind)]);
        }
        disk.fail_at(cut, Fault::PowerCut);
        let mut story = story();
        story.run(&disk, dir.path());
        disk.cut_power();
        drop(Store::open(dir.path(), small(SEGMENTS), &keys(), clock()).unwrap());
        let reader = Reader::open(dir.path(), &keys()).unwrap();
        for (number, source) in story.sources.iter().enumerate() {
            let (_, end) = assert_stretch(&story.made[number], &read_all(&reader, source.stream));
            prop_assert!(end >= story.acknowledged[number]);
        }
        assert_clean(dir.path());
    }
}
