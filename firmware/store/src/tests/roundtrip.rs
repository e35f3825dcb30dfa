//! What goes in comes out: units, runs, recycling, formats.

use std::collections::{BTreeMap, BTreeSet};

use hal::{ByteCount, StreamKind, WallTime};

use super::support::{
    BEGINNING, END, START_MICROS, Source, assert_clean, assert_stretch, clock, keys, open, read_all, scratch,
    small, stream,
};
use crate::{ErrorKind, Reader, Store, StoreOptions, chunks, list, rebuild_index};

#[test]
fn units_come_back_bit_exact_after_each_commit_and_a_reopening() {
    let dir = scratch();
    let mut store = open(dir.path(), 40);
    let mut sources = [
        Source::new(stream(1, StreamKind::Main), 25, 900),
        Source::new(stream(1, StreamKind::Audio), 50, 160),
        Source::new(stream(2, StreamKind::Main), 12, 300),
    ];
    let mut made = [Vec::new(), Vec::new(), Vec::new()];
    let mut reader = None;
    for second in 0..12 {
        for (source, made) in sources.iter_mut().zip(&mut made) {
            made.extend(source.feed(&mut store, source.rate));
        }
        let before = reader.as_ref().map_or(0, |reader| read_all(reader, sources[0].stream).len());
        assert_eq!(before, second * 25, "nothing is told before it is committed");
        let report = store.commit().unwrap();
        assert_eq!(report.index_error, None);
        assert_eq!(report.units, 25 + 50 + 12);
        let reader = reader.get_or_insert_with(|| Reader::open(dir.path(), &keys()).unwrap());
        for (source, made) in sources.iter().zip(&made) {
            assert_eq!(assert_stretch(made, &read_all(reader, source.stream)), (0, made.len()));
        }
        if second == 5 {
            drop(store);
            let (reopened, report) = Store::open(dir.path(), small(40), &keys(), clock()).unwrap();
            assert_eq!((report.scanned, report.torn_bytes, report.dropped_rows), (1, 0, 0));
            store = reopened;
        }
    }
    let reader = reader.unwrap();
    assert_eq!(reader.streams().unwrap().len(), 3);
    let runs = reader.runs(sources[0].stream, BEGINNING, END).unwrap();
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert_eq!(runs[0].start, made[0][0].wall);
    assert_eq!(runs[0].end.micros_since(runs[0].start), 12_000_000);
    assert_eq!(reader.bounds(sources[0].stream).unwrap(), Some((runs[0].start, runs[0].end)));
    let last = store.last(sources[1].stream).unwrap();
    assert_eq!(last.pts, made[1].last().unwrap().pts);
    store.finish().unwrap();
    assert_clean(dir.path());
    let volume = list(dir.path()).unwrap();
    assert!(volume.segments.iter().all(|segment| segment.sealed));
    assert_eq!(volume.runs.len(), 3);
    let (_, report) = Store::open(dir.path(), small(40), &keys(), clock()).unwrap();
    assert_eq!(report.scanned, 0, "what is sealed is not scanned");
}

#[test]
fn a_stretch_begins_at_the_keyframe_before_and_ends_in_time() {
    let dir = scratch();
    let mut store = open(dir.path(), 40);
    let mut source = Source::new(stream(1, StreamKind::Main), 10, 300);
    let mut made = Vec::new();
    for _ in 0..20 {
        made.extend(source.feed(&mut store, 10));
        store.commit().unwrap();
    }
    let reader = Reader::open(dir.path(), &keys()).unwrap();
    // Keyframes are 2 s apart: at unit 0, 20, 40 and so on.
    for (from, to, begin, end) in [(57, 63, 40, 64), (60, 61, 60, 62), (0, 5, 0, 6), (195, 900, 180, 200)] {
        let at = |unit: i64| WallTime::from_unix_micros(START_MICROS + unit * 100_000);
        let units: Vec<_> = reader
            .units(source.stream, at(from), at(to).offset_micros(1))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(assert_stretch(&made, &units), (begin, end), "{from} to {to}");
    }
    let after = WallTime::from_unix_micros(START_MICROS + 20_500_000);
    assert_eq!(reader.units(source.stream, after, END).unwrap().count(), 0);
}

#[test]
fn the_oldest_segment_is_recycled_and_files_never_go() {
    let dir = scratch();
    let mut store = open(dir.path(), 5);
    let mut source = Source::new(stream(1, StreamKind::Main), 10, 1000);
    let mut made = Vec::new();
    let reader_at = |dir: &std::path::Path| Reader::open(dir, &keys()).unwrap();
    let mut files = BTreeSet::new();
    for _ in 0..60 {
        made.extend(source.feed(&mut store, 10));
        store.commit().unwrap();
        for entry in std::fs::read_dir(dir.path().join("segments")).unwrap() {
            use std::os::unix::fs::MetadataExt;
            let metadata = entry.unwrap().metadata().unwrap();
            assert_eq!(metadata.len(), 64 << 10);
            files.insert(metadata.ino());
        }
        let (_, end) = assert_stretch(&made, &read_all(&reader_at(dir.path()), source.stream));
        assert_eq!(end, made.len());
    }
    assert_eq!(files.len(), 5, "the same five files all the time");
    assert_eq!(store.status().used_bytes, ByteCount(5 * (64 << 10)));
    let reader = reader_at(dir.path());
    let kept = read_all(&reader, source.stream);
    // A second is about 10 KiB, so four whole segments have at least 16 s.
    assert!(kept.len() > 150 && kept.len() < 350, "{} units", kept.len());
    assert_clean(dir.path());
    drop(store);
    // Smaller: the oldest go with the next commit.
    let (mut store, _) = Store::open(dir.path(), small(3), &keys(), clock()).unwrap();
    store.commit().unwrap();
    assert_eq!(store.status().used_bytes, ByteCount(3 * (64 << 10)));
    assert_clean(dir.path());
}

#[test]
fn a_second_is_divided_for_a_large_rest_of_a_segment_and_not_for_a_small_one() {
    /// Seconds of four streams, of units of so many bytes, that lie in two segments each.
    fn divided(unit_bytes: usize) -> usize {
        let dir = scratch();
        let options = StoreOptions {
            segment_bytes: ByteCount(1 << 20),
            ..StoreOptions::with_max_bytes(ByteCount(64 << 20))
        };
        let (mut store, _) = Store::open(dir.path(), options, &keys(), clock()).unwrap();
        let streams = (1..=4).map(|channel| stream(channel, StreamKind::Main));
        let mut sources: Vec<Source> = streams.map(|stream| Source::new(stream, 4, unit_bytes)).collect();
        for _ in 0..80 {
            sources.iter_mut().for_each(|source| drop(source.feed(&mut store, 4)));
            store.commit().unwrap();
        }
        assert_clean(dir.path());
        let mut segments: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for chunk in chunks(dir.path()).unwrap() {
            segments.entry(chunk.sequence).or_default().insert(chunk.segment);
        }
        assert_eq!(segments.len(), 80);
        let used: BTreeSet<u64> = segments.values().flatten().copied().collect();
        assert!(used.len() >= 4, "in {} segments", used.len());
        segments.values().filter(|segments| segments.len() > 1).count()
    }
    // 40 KiB a second are less than a sixteenth of a segment, 160 KiB are more.
    assert_eq!(divided(2_500), 0);
    assert_ne!(divided(10_000), 0);
}

#[test]
fn a_reader_is_told_when_its_footage_is_recycled() {
    let dir = scratch();
    let mut store = open(dir.path(), 3);
    let mut source = Source::new(stream(1, StreamKind::Main), 10, 1000);
    source.feed(&mut store, 10);
    store.commit().unwrap();
    let reader = Reader::open(dir.path(), &keys()).unwrap();
    let mut units = reader.units(source.stream, BEGINNING, END).unwrap();
    for _ in 0..40 {
        source.feed(&mut store, 10);
        store.commit().unwrap();
    }
    let error = units.find_map(Result::err).expect("the first segment is gone");
    assert_eq!(error.kind(), ErrorKind::Recycled, "{error}");
    assert!(units.next().is_none());
}

#[test]
fn runs_break_at_gaps_formats_and_wall_jumps_only() {
    let dir = scratch();
    let mut store = open(dir.path(), 40);
    let mut source = Source::new(stream(1, StreamKind::Main), 10, 100);
    let second = |source: &mut Source, store: &mut Store| {
        source.feed(store, 20);
        store.commit().unwrap();
    };
    second(&mut source, &mut store);
    // 1.2 s without a picture: still one run.
    source.next += 20;
    source.wall_shift_micros -= 800_000;
    second(&mut source, &mut store);
    // A source that begins anew at once.
    source.discontinuity = true;
    second(&mut source, &mut store);
    // 1. A gap of 4 s.
    source.next += 40;
    second(&mut source, &mut store);
    // 2. Other parameter sets.
    source.parameter_set += 1;
    second(&mut source, &mut store);
    // 3. A new source, and the wall clock was set an hour back.
    source.discontinuity = true;
    source.wall_shift_micros -= 3_600_000_000;
    second(&mut source, &mut store);
    let reader = Reader::open(dir.path(), &keys()).unwrap();
    let runs = reader.runs(source.stream, BEGINNING, END).unwrap();
    let seconds: Vec<i64> = runs.iter().map(|run| run.end.micros_since(run.start) / 100_000).collect();
    assert_eq!(seconds, [72, 20, 20, 20], "{runs:?}");
    assert_eq!(runs[1].start.micros_since(runs[0].end), 4_000_000);
    store.finish().unwrap();
    let sealed = Reader::open(dir.path(), &keys()).unwrap().runs(source.stream, BEGINNING, END).unwrap();
    assert_eq!(sealed, runs);
    rebuild_index(dir.path()).unwrap();
    let rebuilt = Reader::open(dir.path(), &keys()).unwrap().runs(source.stream, BEGINNING, END).unwrap();
    assert_eq!(rebuilt, runs);
}

#[test]
fn a_stream_begins_at_its_first_parameter_sets_and_goes_on_after_reopening_without_them() {
    let dir = scratch();
    let mut store = open(dir.path(), 40);
    let mut source = Source::new(stream(1, StreamKind::Main), 10, 100);
    source.next = 5;
    let mut made = source.feed(&mut store, 30);
    store.commit().unwrap();
    drop(store);
    let mut store = open(dir.path(), 40);
    made.extend(source.feed(&mut store, 5));
    store.commit().unwrap();
    let reader = Reader::open(dir.path(), &keys()).unwrap();
    // Unit 20 is the first keyframe, the 16th that was handed in.
    assert_eq!(assert_stretch(&made, &read_all(&reader, source.stream)), (15, 35));
}

#[test]
fn options_that_cannot_be_are_refused() {
    let dir = scratch();
    let options =
        StoreOptions { segment_bytes: ByteCount(1000), ..StoreOptions::with_max_bytes(ByteCount(1 << 30)) };
    let error = Store::open(dir.path(), options, &keys(), clock()).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");

    let mut store = open(dir.path(), 3);
    let mut source = Source::new(stream(1, StreamKind::Main), 10, 100_000);
    let made = source.make();
    let error = store.append(&source.format(), &made.unit()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let audio = Source::new(stream(1, StreamKind::Audio), 10, 100).format();
    let small = Source::new(stream(1, StreamKind::Main), 10, 100).make();
    assert_eq!(store.append(&audio, &small.unit()).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(store.commit().unwrap().units, 0);
}

#[test]
fn what_is_written_beside_the_footage_is_less_than_two_percent() {
    let dir = scratch();
    let options = StoreOptions {
        segment_bytes: ByteCount(8 << 20),
        ..StoreOptions::with_max_bytes(ByteCount(64 << 20))
    };
    let (mut store, _) = Store::open(dir.path(), options, &keys(), clock()).unwrap();
    // Four cameras of 2 Mbit/s.
    let mut sources: Vec<Source> =
        (1..=4).map(|channel| Source::new(stream(channel, StreamKind::Main), 25, 10_000)).collect();
    let (mut payload, mut written) = (0, 0);
    for _ in 0..30 {
        for source in &mut sources {
            source.feed(&mut store, 25);
        }
        let report = store.commit().unwrap();
        payload += report.payload.0;
        written += report.written.0;
    }
    // And the index: a page of SQLite's log a commit.
    let index = std::fs::metadata(dir.path().join("index.db-wal")).unwrap().len();
    let amplification = (written + index) as f64 / payload as f64;
    assert!(amplification > 1.0 && amplification <= 1.02, "{amplification}");
}
