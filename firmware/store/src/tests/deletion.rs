//! Footage that people have deleted is gone, and nothing else is.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use evidence::VolumeId;
use hal::{Clock, StreamId, StreamKind, WallTime};

use super::crash_index::rows;
use super::support::{
    Made, START_MICROS, Source, Turned, assert_clean, clock, keys, open, read_all, scratch, small,
    small_sealed, stream,
};
use crate::faults::{Fault, FaultDisk, Loss};
use crate::{
    Class, Deletable, DeletedSpan, ErrorKind, FootageDeletion, Reader, Removal, SegmentSummary, Store,
    StoreOptions, Witness, WitnessError, check, chunks, rebuild_index,
};

fn at(second: i64) -> WallTime {
    WallTime::from_unix_micros(START_MICROS + second * 1_000_000)
}

fn sources() -> [Source; 2] {
    [1, 2].map(|channel| Source::new(stream(channel, StreamKind::Main), 10, 500))
}

/// Seconds of footage, each committed: what was made, stream by stream.
fn record(store: &mut Store, sources: &mut [Source], seconds: u64) -> Vec<Vec<Made>> {
    let mut made = vec![Vec::new(); sources.len()];
    for _ in 0..seconds {
        for (source, made) in sources.iter_mut().zip(&mut made) {
            made.extend(source.feed(store, 10));
        }
        store.commit().unwrap();
    }
    made
}

/// Commits until all of it is gone.
fn settle(store: &mut Store) {
    for _ in 0..100 {
        if store.deletions().is_empty() {
            return;
        }
        let report = store.commit().unwrap();
        assert_eq!((report.retention_error, report.index_error), (None, None));
    }
    panic!("it does not end");
}

fn volume(dir: &Path, options: StoreOptions) -> Store {
    Store::open(dir, options, &keys(), clock()).unwrap().0
}

/// How many of `made` lie somewhere in the segments as they were stored.
fn on_disk(dir: &Path, made: &[Made]) -> usize {
    const PIECE: usize = 32;
    let mut pieces: BTreeSet<&[u8]> = made.iter().map(|made| &made.stored[8..8 + PIECE]).collect();
    let all = pieces.len();
    for segment in fs::read_dir(dir.join("segments")).unwrap() {
        for window in fs::read(segment.unwrap().path()).unwrap().windows(PIECE) {
            pieces.remove(window);
        }
    }
    all - pieces.len()
}

fn assert_read(dir: &Path, of: StreamId, made: &[Made]) {
    let read = read_all(&Reader::open(dir, &keys()).unwrap(), of);
    assert_eq!(read.len(), made.len(), "{of}");
    assert!(made.iter().zip(&read).all(|(made, read)| made.is(read)), "{of}: another unit than was made");
}

#[test]
fn a_stretch_of_one_stream_goes_and_all_around_it_stays() {
    for options in [small(60), small_sealed(60)] {
        let dir = scratch();
        let mut store = volume(dir.path(), options);
        let mut sources = sources();
        let made = record(&mut store, &mut sources, 40);
        let (first, second) = (sources[0].stream, sources[1].stream);
        let reader = Reader::beside(&store).unwrap();
        assert_eq!(read_all(&reader, first).len(), 400);

        // Over several segments, the last of which is being written.
        let found = store.deletable(&[first], at(10), at(38)).unwrap();
        assert_eq!(found.spans, [DeletedSpan { stream: first, start: at(10), end: at(38) }]);
        let bytes: usize = made[0][100..380].iter().map(|made| made.stored.len()).sum();
        assert!(found.bytes.0.abs_diff(bytes as u64) < bytes as u64 / 10, "{found:?} of {bytes}");
        assert_eq!(store.delete(7, &[first], at(10), at(38), "ann").unwrap(), found);
        assert_eq!(store.deletions()[0].by, "ann");
        settle(&mut store);
        let text = fs::read_to_string(dir.path().join("deletions.toml")).unwrap();
        assert!(!text.contains("ann"), "{text}");

        // Whoever had it open before reads what is left, too.
        assert_eq!(read_all(&reader, first).len(), 120);
        let left: Vec<Made> = [&made[0][..100], &made[0][380..]].concat();
        assert_read(dir.path(), first, &left);
        assert_read(dir.path(), second, &made[1]);
        let runs: Vec<_> = reader.runs(first, at(0), at(40)).unwrap();
        assert_eq!(
            runs.iter().map(|run| (run.start, run.end)).collect::<Vec<_>>(),
            [(at(0), at(10)), (at(38), at(40))]
        );
        if options == small(60) {
            assert_eq!(on_disk(dir.path(), &made[0][100..380]), 0);
            assert_eq!(on_disk(dir.path(), &made[1]), 400);
        }
        let damages = store.scrub(hal::ByteCount(u64::MAX)).damages;
        assert!(damages.is_empty(), "{}", damages[0]);
        let more = record(&mut store, &mut sources, 3);
        store.finish().unwrap();
        assert_clean(dir.path());
        let report = check(dir.path(), &keys()).unwrap();
        assert_eq!((report.deleted, report.chunks), (28, 58), "{report:?}");

        // It stays so: an index is made from the segments, and streams go on where they ended.
        let before = rows(dir.path());
        rebuild_index(dir.path()).unwrap();
        assert_eq!(rows(dir.path()), before);
        let mut store = volume(dir.path(), options);
        let last = record(&mut store, &mut sources, 2);
        drop(store);
        assert_read(dir.path(), first, &[left, more[0].clone(), last[0].clone()].concat());
        assert_clean(dir.path());
    }
}

#[test]
fn a_stream_whose_end_is_deleted_goes_on_with_the_next_number() {
    let dir = scratch();
    let mut store = open(dir.path(), 60);
    let mut sources = sources();
    let made = record(&mut store, &mut sources, 20);
    let first = sources[0].stream;
    store.delete(1, &[first], at(0), at(20), "ann").unwrap();
    settle(&mut store);
    // Others go on until nobody looks at where it ended.
    record(&mut store, &mut sources[1..], 60);
    drop(store);
    assert_read(dir.path(), first, &[]);
    let mut store = open(dir.path(), 60);
    assert_eq!(store.last(first).map(|last| last.pts), made[0].last().map(|made| made.pts));
    let more = record(&mut store, &mut sources[..1], 2);
    drop(store);
    assert_read(dir.path(), first, &more[0]);
    let of_first = |info: &&crate::ChunkInfo| info.stream == first;
    let numbers: Vec<u64> =
        chunks(dir.path()).unwrap().iter().filter(of_first).map(|chunk| chunk.sequence).collect();
    assert_eq!(numbers, [21, 22]);
    assert_clean(dir.path());
    rebuild_index(dir.path()).unwrap();
    assert_clean(dir.path());
}

#[test]
fn what_is_deleted_is_known_without_footers() {
    let dir = scratch();
    let mut store = open(dir.path(), 60);
    let mut sources = sources();
    let made = record(&mut store, &mut sources, 20);
    store.delete(1, &[sources[0].stream], at(2), at(5), "ann").unwrap();
    settle(&mut store);
    store.finish().unwrap();
    for number in crate::list(dir.path()).unwrap().segments.iter().map(|segment| segment.segment) {
        let path = crate::segment::path(&dir.path().join("segments"), number);
        let mut bytes = fs::read(&path).unwrap();
        let end = bytes.len() - crate::segment::TRAILER_BYTES - 200;
        bytes[end] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    rebuild_index(dir.path()).unwrap();
    assert_read(dir.path(), sources[0].stream, &[&made[0][..20], &made[0][50..]].concat());
    assert_read(dir.path(), sources[1].stream, &made[1]);
    assert_clean(dir.path());
    assert_eq!(check(dir.path(), &keys()).unwrap().deleted, 3);
}

#[test]
fn what_cannot_be_deleted_is_refused_and_all_of_it_stays() {
    let dir = scratch();
    let mut store = open(dir.path(), 60);
    let mut sources = sources();
    let made = record(&mut store, &mut sources, 20);
    let (first, second) = (sources[0].stream, sources[1].stream);
    let (lock, _) = store.lock(&[first], at(10), at(12), "a theft", "bert").unwrap();
    let refused = |store: &mut Store, streams: &[StreamId], from, to| {
        store.delete(1, streams, at(from), at(to), "ann").map(drop).map_err(|error| error.kind())
    };
    for (from, to) in [(5, 20), (11, 12), (0, 10), (12, 15)] {
        assert_eq!(refused(&mut store, &[second, first], from, to), Err(ErrorKind::Pinned), "{from}..{to}");
    }
    let words = store.delete(1, &[first], at(5), at(11), "ann").unwrap_err().to_string();
    assert!(words.contains("locked by bert"), "{words}");
    assert_eq!(refused(&mut store, &[first], 5, 5), Err(ErrorKind::Invalid));
    assert_eq!(store.deletions(), []);
    // Not on the disk yet.
    sources[1].feed(&mut store, 20);
    sources[1].discontinuity = true;
    sources[1].feed(&mut store, 1);
    assert_eq!(refused(&mut store, &[second], 19, 21), Err(ErrorKind::Invalid));
    store.commit().unwrap();
    // Nothing there: nothing to be told.
    assert_eq!(store.delete(1, &[first], at(1000), at(2000), "ann").unwrap(), Deletable::default());
    assert!(!dir.path().join("deletions.toml").exists());
    assert_read(dir.path(), first, &made[0]);

    // What goes cannot be locked any more, and a number is used once at a time.
    store.delete(1, &[first], at(0), at(8), "ann").unwrap();
    assert_eq!(refused(&mut store, &[second], 0, 8), Err(ErrorKind::Invalid));
    assert_eq!(
        store.lock(&[first], at(7), at(9), "", "bert").map(drop).unwrap_err().kind(),
        ErrorKind::Invalid
    );
    settle(&mut store);
    store.unlock(lock.id).unwrap();
    store.delete(1, &[first], at(0), at(20), "ann").unwrap();
    settle(&mut store);
    assert_read(dir.path(), first, &[]);
    assert_clean(dir.path());
}

/// Writes down who deletes what, or does not.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<Leaves>>, bool);

type Leaves = Vec<(String, Vec<DeletedSpan>)>;

impl Witness for Book {
    fn removing(&mut self, _: &SegmentSummary, _: Removal) -> Result<(), WitnessError> {
        Ok(())
    }

    fn deleting(&mut self, footage: &FootageDeletion<'_>) -> Result<(), WitnessError> {
        self.0.lock().unwrap().push((footage.by.to_owned(), footage.spans.to_vec()));
        if self.1 { Err("no ink".into()) } else { Ok(()) }
    }

    fn sealed(&mut self, _: &SegmentSummary) -> Result<(), WitnessError> {
        Ok(())
    }

    fn last_sealed(&mut self, _: VolumeId, _: Class) -> Result<Option<u64>, WitnessError> {
        Ok(None)
    }
}

#[test]
fn what_cannot_be_written_down_is_not_deleted() {
    let dir = scratch();
    let mut store = open(dir.path(), 60);
    let mut sources = sources();
    let made = record(&mut store, &mut sources, 10);
    let first = sources[0].stream;
    store.set_witness(Box::new(Book(Arc::default(), true)));
    let error = store.delete(1, &[first], at(2), at(4), "ann").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unwitnessed);
    store.commit().unwrap();
    assert_eq!(store.deletions(), []);
    assert_read(dir.path(), first, &made[0]);

    let book = Book::default();
    store.set_witness(Box::new(book.clone()));
    store.delete(1, &[first, stream(9, StreamKind::Main)], at(2), at(400), "ann").unwrap();
    settle(&mut store);
    let span = DeletedSpan { stream: first, start: at(2), end: at(10) };
    assert_eq!(*book.0.lock().unwrap(), [("ann".to_owned(), vec![span])]);
}

#[test]
fn a_place_that_cannot_be_overwritten_is_tried_again_and_holds_up_nothing() {
    let (dir, turned) = (scratch(), Turned::new());
    let disk = FaultDisk::new(Loss::Everything);
    let clock = Arc::clone(&turned) as Arc<dyn Clock>;
    let mut store = Store::open_on(Arc::new(disk.clone()), dir.path(), small(60), &keys(), clock).unwrap().0;
    let mut sources = sources();
    let made = record(&mut store, &mut sources, 20);
    let (first, second) = (sources[0].stream, sources[1].stream);
    store.delete(1, &[first], at(2), at(4), "ann").unwrap();
    store.delete(2, &[second], at(2), at(4), "ann").unwrap();
    // A segment begins with its payloads.
    disk.fail_next(1, Fault::WriteEio);
    let failed = store.commit().unwrap().retention_error.expect("an error");
    assert!(failed.contains("cannot be overwritten"), "{failed}");
    let left: Vec<u64> = store.deletions().iter().map(|deletion| deletion.id).collect();
    assert_eq!(left, [1], "the other one is done");
    assert_eq!(store.commit().unwrap().retention_error, None, "it rests");
    turned.pass(11);
    settle(&mut store);
    drop(store);
    for (of, made) in [(first, &made[0]), (second, &made[1])] {
        assert_read(dir.path(), of, &[&made[..20], &made[40..]].concat());
    }
    assert_clean(dir.path());
}

#[test]
fn segments_that_are_recycled_meanwhile_are_left_alone() {
    let dir = scratch();
    let mut store = open(dir.path(), 5);
    let mut sources = sources();
    record(&mut store, &mut sources, 20);
    let first = sources[0].stream;
    store.delete(1, &[first], at(0), at(20), "ann").unwrap();
    // The same commit takes the oldest.
    let newest = record(&mut store, &mut sources, 30);
    settle(&mut store);
    drop(store);
    let read = read_all(&Reader::open(dir.path(), &keys()).unwrap(), first);
    assert!(!read.is_empty() && read.iter().all(|read| newest[0].iter().any(|made| made.is(read))));
    assert_clean(dir.path());
}
