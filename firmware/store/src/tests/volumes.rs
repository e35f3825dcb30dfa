//! Several volumes read as one: nothing twice, nothing missing that one has.

#![allow(clippy::single_range_in_vec_init, reason = "a volume may have one stretch of units")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hal::{Pts90k, StreamKind, WallTime};

use super::support::{
    BEGINNING, END, Made, START_MICROS, Source, assert_stretch, keys, noise, open, read_all, scratch, stream,
};
use super::watched::Watched;
use crate::{Cut, ErrorKind, Movie, MovieChannel, MovieRequest, Reader};

fn main_stream() -> hal::StreamId {
    stream(1, StreamKind::Main)
}

/// A camera's units: 10 a second, a keyframe every 2 s.
fn camera(units: u64) -> Vec<Made> {
    let mut source = Source::new(main_stream(), 10, 600);
    (0..units).map(|_| source.make()).collect()
}

/// Records stretches of `made`, with a commit every `every` units: chunks end there.
fn record(dir: &Path, made: &[Made], stretches: &[Stretch], every: usize) {
    let format = Source::new(main_stream(), 10, 600).format();
    let mut store = open(dir, 60);
    for stretch in stretches {
        for (number, made) in made[stretch.clone()].iter().enumerate() {
            store.append(&format, &made.unit()).unwrap();
            if number % every == every - 1 {
                store.commit().unwrap();
            }
        }
        store.commit().unwrap();
    }
    store.finish().unwrap();
}

/// Which units, by their numbers.
type Stretch = std::ops::Range<usize>;

/// Several volumes, each with its stretches of the same footage.
struct Shelf {
    dirs: Vec<tempfile::TempDir>,
    readers: Vec<Reader>,
}

impl Shelf {
    fn new(made: &[Made], volumes: &[(&[Stretch], usize)]) -> Self {
        let dirs: Vec<_> = volumes.iter().map(|_| scratch()).collect();
        for (dir, (stretches, every)) in dirs.iter().zip(volumes) {
            record(dir.path(), made, stretches, *every);
        }
        let readers = dirs.iter().map(|dir| Reader::open(dir.path(), &keys()).unwrap()).collect();
        Self { dirs, readers }
    }

    fn reader(&self) -> Reader {
        Reader::together(&self.readers)
    }

    /// Turns a bit in the payload of every chunk of volume `number` that holds one of `units`.
    fn rot(&self, number: usize, made: &[Made], units: std::ops::Range<usize>) {
        for made in &made[units] {
            let mut changed = 0;
            for file in std::fs::read_dir(self.dirs[number].path().join("segments")).unwrap() {
                let path = file.unwrap().path();
                let mut bytes = std::fs::read(&path).unwrap();
                let found = bytes.windows(made.stored.len()).position(|window| window == made.stored);
                if let Some(at) = found {
                    bytes[at + 20] ^= 1;
                    std::fs::write(&path, bytes).unwrap();
                    changed += 1;
                }
            }
            assert_eq!(changed, 1, "the unit lies in the volume once");
        }
    }
}

fn movie(reader: &Reader) -> Movie {
    Movie::plan(reader, main_stream().channel, at(0), at(3_600_000_000)).unwrap()
}

fn at(micros: i64) -> WallTime {
    WallTime::from_unix_micros(START_MICROS + micros)
}

fn bytes(movie: &Movie) -> Vec<u8> {
    let mut bytes = vec![0; movie.len() as usize];
    assert_eq!(movie.read_at(0, &mut bytes).unwrap(), bytes.len());
    bytes
}

#[test]
fn a_mirror_is_read_once() {
    let made = camera(200);
    let shelf = Shelf::new(&made, &[(&[0..200], 10), (&[0..200], 7)]);
    let reader = shelf.reader();
    assert_eq!(assert_stretch(&made, &read_all(&reader, main_stream())), (0, 200));
    assert_eq!(reader.streams().unwrap(), [main_stream()]);
    let runs = reader.runs(main_stream(), BEGINNING, END).unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!((runs[0].start, runs[0].end), reader.bounds(main_stream()).unwrap().unwrap());
    // The second one is not even looked at.
    assert_eq!(bytes(&movie(&reader)), bytes(&movie(&shelf.readers[0])));
}

#[test]
fn a_channel_that_moved_goes_on_without_a_seam() {
    let made = camera(200);
    // The first disk fails in the middle of a GOP; the other one has the GOP from its keyframe.
    for (first, second) in [(0..93, 80..200), (0..100, 100..200), (0..93, 40..200)] {
        let shelf = Shelf::new(&made, &[(&[first], 10), (&[second], 7)]);
        let reader = shelf.reader();
        let read = read_all(&reader, main_stream());
        assert_eq!(assert_stretch(&made, &read), (0, 200));
        assert_eq!(reader.runs(main_stream(), BEGINNING, END).unwrap().len(), 1);
        let whole = Shelf::new(&made, &[(&[0..200], 10)]);
        let (moved, whole) = (movie(&reader), movie(&whole.reader()));
        assert_eq!(moved.pieces(), whole.pieces());
        assert!(bytes(&moved).ends_with(&bytes(&whole)[bytes(&whole).len() - 60_000..]));
    }
}

#[test]
fn what_one_volume_lost_is_taken_from_the_other() {
    let made = camera(300);
    let shelf = Shelf::new(&made, &[(&[0..80, 120..300], 10), (&[0..200, 260..300], 7)]);
    for order in [[0, 1], [1, 0]] {
        let reader = Reader::together(order.map(|number| &shelf.readers[number]));
        assert_eq!(assert_stretch(&made, &read_all(&reader, main_stream())), (0, 300));
        assert_eq!(movie(&reader).pieces().len(), 1);
        // From anywhere.
        for start in [0, 79, 85, 119, 121, 199, 230, 259, 280] {
            let from = made[start].wall;
            let read: Vec<_> =
                reader.units(main_stream(), from, END).unwrap().collect::<Result<_, _>>().unwrap();
            assert_eq!(assert_stretch(&made, &read), (start / 20 * 20, 300), "from {start}");
        }
    }
}

#[test]
fn bad_chunks_are_had_from_the_mirror() {
    let made = camera(200);
    let shelf = Shelf::new(&made, &[(&[0..200], 10), (&[0..200], 7)]);
    let planned_before = movie(&shelf.reader());
    let expected = bytes(&planned_before);
    let planned_before = movie(&shelf.reader());
    shelf.rot(0, &made, 0..5);
    shelf.rot(0, &made, 95..116);
    shelf.rot(1, &made, 150..160);
    // In the middle of reading a range: the very same bytes.
    assert_eq!(bytes(&planned_before), expected);
    let reader = shelf.reader();
    assert_eq!(assert_stretch(&made, &read_all(&reader, main_stream())), (0, 200));
    // What is planned from now on does without them.
    let planned_after = movie(&reader);
    assert_eq!((planned_after.pieces().len(), planned_after.unread().len()), (1, 0));
    assert_eq!(bytes(&planned_after).len(), planned_after.len() as usize);

    // Alone, the first volume tells what is missing, and goes on behind it.
    let alone = Reader::open(shelf.dirs[0].path(), &keys()).unwrap();
    let (mut read, mut errors) = (Vec::new(), Vec::new());
    for unit in alone.units(main_stream(), BEGINNING, END).unwrap() {
        match unit {
            Ok(unit) => read.push(unit),
            Err(error) => errors.push(error),
        }
    }
    assert_eq!(errors.len(), 4, "{errors:?}");
    assert!(errors.iter().all(|error| error.kind() == ErrorKind::Damaged));
    assert_stretch(&made[20..90], &read[..70]);
    assert_stretch(&made[120..], &read[70..]);
    let movie = movie(&alone);
    assert_eq!(movie.unread().len(), 4);
    assert_eq!(movie.pieces().len(), 2, "{:?}", movie.pieces());
    bytes(&movie);
}

#[test]
fn both_copies_bad_is_one_gap() {
    let made = camera(200);
    let shelf = Shelf::new(&made, &[(&[0..200], 10), (&[0..200], 7)]);
    shelf.rot(0, &made, 100..110);
    shelf.rot(1, &made, 104..106);
    let planned = movie(&shelf.reader());
    let error = planned.read_at(planned.len() / 2, &mut vec![0; planned.len() as usize / 2]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
    let reader = shelf.reader();
    let units: Vec<_> = reader.units(main_stream(), BEGINNING, END).unwrap().collect();
    let errors = units.iter().filter(|unit| unit.is_err()).count();
    assert!((1..=3).contains(&errors), "{errors}");
    assert!(units.len() - errors >= 190);
    let planned = movie(&reader);
    assert!(!planned.unread().is_empty());
    bytes(&planned);
}

#[test]
fn a_volume_that_fails_stops_no_other() {
    let made = camera(200);
    let shelf = Shelf::new(&made, &[(&[0..200], 10), (&[0..200], 7)]);
    let disk = Watched::new();
    let failing = Reader::open_on(disk.clone(), shelf.dirs[0].path(), &keys()).unwrap();
    let reader = Reader::together([&failing, &shelf.readers[1]]);
    let planned = movie(&reader);
    disk.fail();
    assert!(bytes(&planned).len() > 100_000);
    assert_eq!(assert_stretch(&made, &read_all(&reader, main_stream())), (0, 200));
    // Nothing of it is known any more: the footers cannot be read either.
    let fresh = Watched::new();
    let failing = Reader::open_on(fresh.clone(), shelf.dirs[0].path(), &keys()).unwrap();
    fresh.fail();
    let reader = Reader::together([&failing, &shelf.readers[1]]);
    assert_eq!(assert_stretch(&made, &read_all(&reader, main_stream())), (0, 200));
    let planned = movie(&reader);
    assert_eq!((planned.unread().len(), planned.pieces().len()), (0, 1), "{:?}", planned.unread());
    bytes(&planned);
    let alone = movie_error(&failing);
    assert_eq!(alone, ErrorKind::Io);
}

fn movie_error(reader: &Reader) -> ErrorKind {
    Movie::plan(reader, main_stream().channel, at(0), at(60_000_000)).err().unwrap().kind()
}

#[test]
fn a_clock_set_back_hides_nothing_and_doubles_nothing() {
    let mut made = camera(200);
    // At 12 s the clock goes back by 8 s.
    for made in &mut made[120..] {
        made.wall = made.wall.offset_micros(-8_000_000);
    }
    for volumes in [
        [(vec![0..200], 10), (vec![0..200], 7)],
        [(vec![0..100, 140..200], 10), (vec![0..160], 7)],
        [(vec![0..120], 10), (vec![120..200], 7)],
    ] {
        let shelf = Shelf::new(&made, &[(&volumes[0].0, 10), (&volumes[1].0, 7)]);
        let read = read_all(&shelf.reader(), main_stream());
        assert_eq!(assert_stretch(&made, &read), (0, 200), "{volumes:?}");
        let movie = movie(&shelf.reader());
        assert_eq!(movie.pieces().len(), 2);
        assert_eq!(movie.pieces()[1].media_start_micros, 12_000_000);
    }
}

#[test]
fn any_pieces_on_any_volumes_make_the_whole() {
    for seed in 0..150_u64 {
        let roll = |salt: u64, below: u64| (noise(seed << 16 | salt) % below) as usize;
        let mut made = camera(400);
        let set_back = roll(1, 4) == 0;
        if set_back {
            let back = 100_000 * (1 + roll(2, 100) as i64);
            for made in &mut made[20 * (5 + roll(3, 10))..] {
                made.wall = made.wall.offset_micros(-back);
            }
        }
        let mut has = BTreeMap::new();
        let mut layout = Vec::new();
        for volume in 0..2 + roll(4, 2) as u64 {
            let mut stretches = Vec::new();
            let mut next = 0;
            while next < 400 {
                let salt = 1000 * (volume + 1) + 10 * next as u64;
                // Begins at a keyframe, as a recorder does; ends anywhere.
                let begin = next + 20 * roll(salt, 6);
                let end = (begin + 1 + roll(salt + 1, 150)).min(400);
                if begin < end {
                    stretches.push(begin..end);
                    (begin..end).for_each(|unit| *has.entry(unit).or_insert(0) += 1);
                }
                next = (end.max(begin) + 20).next_multiple_of(20);
            }
            layout.push((stretches, 3 + roll(500 + volume, 15)));
        }
        let volumes: Vec<_> =
            layout.iter().map(|(stretches, every)| (stretches.as_slice(), *every)).collect();
        let shelf = Shelf::new(&made, &volumes);
        let reader = shelf.reader();
        let number_of: BTreeMap<Pts90k, usize> =
            made.iter().enumerate().map(|(number, made)| (made.pts, number)).collect();
        let numbers = |from, to| -> Vec<usize> {
            let units = reader.units(main_stream(), from, to).unwrap().map(Result::unwrap);
            units.map(|unit| number_of[&unit.pts]).collect()
        };
        let mut all = numbers(BEGINNING, END);
        if set_back {
            // What one volume missed before and another one after may come in either order.
            all.sort_unstable();
        }
        assert!(all.iter().copied().eq(has.keys().copied()), "seed {seed}: {layout:?}\n{all:?}");
        for part in 0..4 {
            let from = at(100_000 * roll(600 + part, 420) as i64);
            let to = from.offset_micros(100_000 * (1 + roll(700 + part, 200) as i64));
            let some = numbers(from, to);
            let known: BTreeSet<usize> = some.iter().copied().collect();
            assert_eq!(known.len(), some.len(), "seed {seed}: twice in {from:?}..{to:?}: {layout:?}");
            let wanted = has.keys().filter(|&&unit| made[unit].wall >= from && made[unit].wall < to);
            let missing: Vec<_> = wanted.filter(|unit| !known.contains(unit)).collect();
            assert!(missing.is_empty(), "seed {seed}: {missing:?} of {from:?}..{to:?}: {layout:?}");
            assert!(some.first().is_none_or(|first| first.is_multiple_of(20)), "seed {seed}: {some:?}");
        }
    }
}

#[test]
fn whole_chunks_hold_every_unit_and_hide_the_rest() {
    let made = camera(200);
    let shelf = Shelf::new(&made, &[(&[0..200], 7)]);
    let reader = shelf.reader();
    let request = MovieRequest {
        channels: vec![MovieChannel { channel: main_stream().channel, name: "Yard".into() }],
        start: made[50].wall,
        end: made[99].wall,
        cut: Cut::Chunks,
    };
    let whole = Movie::plan_all(&reader, &request).unwrap();
    let units = Movie::plan_all(&reader, &MovieRequest { cut: Cut::Units, ..request.clone() }).unwrap();
    assert_eq!((whole.start(), whole.end()), (units.start(), units.end()));
    assert_eq!(whole.pieces(), units.pieces());
    let all = bytes(&whole);
    for chunk in crate::chunks(shelf.dirs[0].path()).unwrap() {
        let touches = chunk.end > made[40].wall && chunk.start < made[99].wall;
        let within = |made: &&Made| {
            made.wall.micros_since(chunk.start) >= -1_000 && made.wall.micros_since(chunk.end) < -1_000
        };
        let payload: Vec<u8> = made.iter().filter(within).flat_map(|made| made.stored.clone()).collect();
        assert_eq!(payload.len() as u64, chunk.payload.0);
        let there = all.windows(payload.len()).any(|window| window == payload);
        assert_eq!(there, touches, "chunk {}", chunk.sequence);
    }
}
