//! Damaged files: found, named, and nothing around them lost.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use hal::{ByteCount, StreamKind};

use super::support::{
    BEGINNING, END, Made, Source, assert_clean, assert_stretch, clock, keys, open, read_all, scratch, small,
    stream,
};
use crate::{ErrorKind, Reader, Store, check, rebuild_index};

/// A volume of several sealed segments, and what is in it.
fn filled(dir: &Path) -> (Source, Vec<Made>) {
    let mut store = open(dir, 40);
    let mut source = Source::new(stream(1, StreamKind::Main), 10, 1000);
    let mut made = Vec::new();
    for _ in 0..20 {
        made.extend(source.feed(&mut store, 10));
        store.commit().unwrap();
    }
    store.finish().unwrap();
    assert_clean(dir);
    (source, made)
}

fn segment(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("segments/{number:016}.seg"))
}

fn flip(file: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

#[test]
fn check_names_the_file_and_the_byte_of_every_kind_of_damage() {
    for (at, what) in [
        (4096 + 2000, "payload does not match its CRC"),
        (4096 + 100, "CRC does not match"),
        (4096, "there is no chunk header"),
    ] {
        let dir = scratch();
        let (source, made) = filled(dir.path());
        flip(&segment(dir.path(), 2), at);
        let report = check(dir.path(), &keys()).unwrap();
        assert_eq!(report.damages.len(), 1, "{:#?}", report.damages);
        let damage = &report.damages[0];
        assert_eq!(damage.file, segment(dir.path(), 2));
        assert_eq!(damage.offset, Some(4096));
        assert!(damage.what.contains(what), "{damage}");
        // Reading gives all before it, then the error; from behind it all after it.
        let reader = Reader::open(dir.path(), &keys()).unwrap();
        let mut units = reader.units(source.stream, BEGINNING, END).unwrap();
        let before: Vec<_> = units.by_ref().map_while(Result::ok).collect();
        assert!(before.len() >= 40);
        assert_stretch(&made, &before);
        let after = made[before.len() + 10].wall.offset_micros(2_000_000);
        let rest: Vec<_> = reader.units(source.stream, after, END).unwrap().map(Result::unwrap).collect();
        assert_eq!(assert_stretch(&made, &rest).1, made.len());
    }
}

#[test]
fn a_damaged_footer_is_found_and_made_anew() {
    let dir = scratch();
    let (source, made) = filled(dir.path());
    let last = std::fs::read_dir(dir.path().join("segments")).unwrap().count() as u64;
    flip(&segment(dir.path(), last), (64 << 10) - 300);
    let report = check(dir.path(), &keys()).unwrap();
    assert!(report.damages.iter().any(|damage| damage.what.contains("footer")), "{:#?}", report.damages);
    let (_, report) = Store::open(dir.path(), small(40), &keys(), clock()).unwrap();
    assert_eq!((report.scanned, report.sealed), (1, 1));
    assert!(report.damages[0].contains("footer is damaged"), "{:?}", report.damages);
    assert_clean(dir.path());
    let units = read_all(&Reader::open(dir.path(), &keys()).unwrap(), source.stream);
    assert_eq!(assert_stretch(&made, &units), (0, made.len()));
}

#[test]
fn a_damaged_commit_in_an_unsealed_segment_costs_only_itself() {
    let dir = scratch();
    let mut store = open(dir.path(), 40);
    let mut source = Source::new(stream(1, StreamKind::Main), 2, 300);
    let mut made = Vec::new();
    for _ in 0..6 {
        made.extend(source.feed(&mut store, 2));
        store.commit().unwrap();
    }
    drop(store);
    // Each commit takes one block; this is the third.
    flip(&segment(dir.path(), 1), 3 * 4096 + 10);
    let (mut store, report) = Store::open(dir.path(), small(40), &keys(), clock()).unwrap();
    assert!(report.damages[0].contains("at byte 12288: a commit is damaged"), "{:?}", report.damages);
    made.extend(source.feed(&mut store, 4));
    store.commit().unwrap();
    drop(store);
    let units = read_all(&Reader::open(dir.path(), &keys()).unwrap(), source.stream);
    made.drain(4..6);
    assert_eq!(assert_stretch(&made, &units), (0, made.len()));
    let damages = check(dir.path(), &keys()).unwrap().damages;
    assert_eq!(damages.len(), 1, "{damages:#?}");
    assert!(damages[0].what.contains("footage between them is lost"), "{}", damages[0]);
}

#[test]
fn a_truncated_segment_keeps_what_it_has() {
    for sealed in [true, false] {
        let dir = scratch();
        let (source, made) = if sealed {
            filled(dir.path())
        } else {
            let mut store = open(dir.path(), 40);
            let mut source = Source::new(stream(1, StreamKind::Main), 10, 1000);
            let made = (0..4).flat_map(|_| {
                let made = source.feed(&mut store, 10);
                store.commit().unwrap();
                made
            });
            let made = made.collect();
            (source, made)
        };
        let number = if sealed { 4 } else { 1 };
        OpenOptions::new().write(true).open(segment(dir.path(), number)).unwrap().set_len(30_000).unwrap();
        let report = check(dir.path(), &keys()).unwrap();
        assert!(
            report.damages.iter().any(|damage| damage.what.contains("truncated")),
            "{:#?}",
            report.damages
        );
        let (mut store, report) = Store::open(dir.path(), small(40), &keys(), clock()).unwrap();
        assert!(report.damages.iter().any(|damage| damage.contains("truncated")), "{:?}", report.damages);
        let mut more = Source::new(stream(2, StreamKind::Main), 10, 1000);
        let fresh = more.feed(&mut store, 10);
        store.commit().unwrap();
        let reader = Reader::open(dir.path(), &keys()).unwrap();
        assert_eq!(read_all(&reader, more.stream).len(), fresh.len());
        let units = read_all(&reader, source.stream);
        let before = made.iter().zip(&units).take_while(|(made, read)| made.is(read)).count();
        assert!(before >= 20 && before < made.len(), "{before} of {}", made.len());
    }
}

#[test]
fn an_index_that_lies_is_found_and_put_right() {
    let dir = scratch();
    let (source, made) = filled(dir.path());
    let index = dir.path().join("index.db");
    let lie = |sql: &str| rusqlite::Connection::open(&index).unwrap().execute_batch(sql).unwrap();
    lie("UPDATE run SET duration_us = duration_us + 1 WHERE segment = 2");
    let report = check(dir.path(), &keys()).unwrap();
    assert!(report.damages[0].what.contains("other runs"), "{:#?}", report.damages);
    assert!(rebuild_index(dir.path()).unwrap() > 0);
    assert_clean(dir.path());
    for lie_of_spans in [
        "UPDATE span SET duration_us = duration_us + 1",
        "UPDATE day SET spans = spans + 1",
        "DELETE FROM day",
        "DELETE FROM slice",
    ] {
        lie(lie_of_spans);
        let report = check(dir.path(), &keys()).unwrap();
        assert!(report.damages[0].what.contains("timeline"), "{lie_of_spans}: {:#?}", report.damages);
        rebuild_index(dir.path()).unwrap();
        assert_clean(dir.path());
    }
    // Newer than what is on disk: rows of a segment that is not there.
    lie("INSERT INTO segment SELECT 99, 1, 8192, class, begun_us, closed_us, newest_us FROM segment WHERE seq = 2;
         INSERT INTO run SELECT 99, kind, channel, 9999, 1, payload_bytes, start_wall_us + 900000000, duration_us,
             format_crc32c, 0, 0 FROM run WHERE segment = 2;
         INSERT INTO slice SELECT start_wall_us + 900000000, 99, duration_us FROM slice WHERE segment = 2;
         INSERT INTO span SELECT (SELECT day FROM day), kind, channel, 9999, 99, 1, start_wall_us, duration_us,
             duration_us, format_crc32c, 0 FROM run WHERE segment = 99");
    let told = |reader: &Reader| reader.runs(source.stream, BEGINNING, END).unwrap().len();
    let reader = Reader::open(dir.path(), &keys()).unwrap();
    assert_eq!(told(&reader), 1, "a reader does not tell of it");
    let coverage = reader.coverage(&[source.stream], BEGINNING, END, 10).unwrap();
    assert_eq!(coverage[0].runs, [reader.bounds(source.stream).unwrap().unwrap()]);
    drop(reader);
    let (store, report) = Store::open(dir.path(), small(40), &keys(), clock()).unwrap();
    assert_eq!(report.dropped_rows, 2);
    drop(store);
    assert_clean(dir.path());
    assert_eq!(read_all(&Reader::open(dir.path(), &keys()).unwrap(), source.stream).len(), made.len());
}

#[test]
fn reading_works_without_an_index() {
    let dir = scratch();
    let (source, made) = filled(dir.path());
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        let _ = std::fs::remove_file(dir.path().join(name));
    }
    let reader = Reader::open(dir.path(), &keys()).unwrap();
    assert_eq!(read_all(&reader, source.stream).len(), made.len());
    assert!(!check(dir.path(), &keys()).unwrap().is_clean());
    let (_, report) = Store::open(dir.path(), small(40), &keys(), clock()).unwrap();
    assert!(report.rebuilt_index);
    assert_clean(dir.path());
}

#[test]
fn what_is_unknown_is_refused_and_left_alone() {
    let dir = scratch();
    filled(dir.path());
    let toml = dir.path().join("volume.toml");
    let text = std::fs::read_to_string(&toml).unwrap();
    std::fs::write(&toml, text.replace("version = 1", "version = 2")).unwrap();
    let error = Store::open(dir.path(), small(40), &keys(), clock()).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.file(), toml);
    std::fs::write(&toml, "version = [").unwrap();
    let error = Reader::open(dir.path(), &keys()).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
    std::fs::remove_file(&toml).unwrap();
    assert_eq!(Reader::open(dir.path(), &keys()).map(drop).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn reading_back_notices_what_the_device_did_not_tell() {
    let dir = scratch();
    let mut store = open(dir.path(), 40);
    let mut source = Source::new(stream(1, StreamKind::Main), 10, 1000);
    let mut sealed = 0;
    while sealed < 2 {
        source.feed(&mut store, 10);
        sealed += store.commit().unwrap().sealed;
    }
    assert_eq!(store.scrub(ByteCount(u64::MAX)).damages, Vec::<String>::new());
    while sealed < 3 {
        source.feed(&mut store, 10);
        sealed += store.commit().unwrap().sealed;
    }
    flip(&segment(dir.path(), 3), 6000);
    let mut read = 0;
    let damages: Vec<String> = std::iter::from_fn(|| {
        let report = store.scrub(ByteCount(10_000));
        read += report.bytes.0;
        (report.bytes.0 > 0).then_some(report.damages)
    })
    .flatten()
    .collect();
    assert!(read > 40_000, "{read} bytes");
    assert_eq!(damages.len(), 1);
    assert!(damages[0].contains("0000000000000003.seg at byte 4096"), "{}", damages[0]);
}
