//! The index as segments come and go in any order, and as it is made anew.

use std::collections::BTreeMap;
use std::path::Path;

use hal::{StreamId, StreamKind, WallTime};
use proptest::prelude::*;
use rusqlite::types::Value;

use super::support::{BEGINNING, END, START_MICROS, Source, assert_clean, keys, open, scratch, stream};
use crate::coverage::{Beside, Question};
use crate::index::{Index, SegmentRow, State};
use crate::runs::SegmentRun;
use crate::{Class, Reader, rebuild_index};

const TABLES: [&str; 5] = ["segment", "run", "slice", "span", "day"];

/// Every row of every table.
fn dump(path: &Path) -> BTreeMap<&'static str, Vec<Vec<Value>>> {
    let db = rusqlite::Connection::open(path).unwrap();
    let rows = |table: &str| -> Vec<Vec<Value>> {
        let mut select = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = select.column_count();
        let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
        let mut rows: Vec<Vec<Value>> = select.query_map([], row).unwrap().map(Result::unwrap).collect();
        rows.sort_by_key(|row| format!("{row:?}"));
        rows
    };
    TABLES.map(|table| (table, rows(table))).into()
}

/// Rows of one stream in recording order, and the segment that each lies in.
#[derive(Clone, Copy, Debug)]
struct Piece {
    segment: u64,
    chunks: u64,
    /// From the end of the one before, microseconds.
    gap: i64,
    length: i64,
    format: u32,
    discontinuity: bool,
}

fn piece(segments: u64) -> impl Strategy<Value = Piece> {
    let gap = prop_oneof![
        6 => Just(0i64),
        2 => -1_600_000i64..1_600_000,
        // Over midnights, and back when the clock is set back.
        1 => -90_000_000_000i64..90_000_000_000,
    ];
    let length = prop_oneof![4 => 1i64..1_000_000, 2 => 1i64..3_600_000_000, 1 => Just(0)];
    let format = prop_oneof![6 => Just(1u32), 1 => Just(2)];
    (0..segments, 1..40u64, gap, length, format, prop::bool::weighted(0.1)).prop_map(
        |(segment, chunks, gap, length, format, discontinuity)| Piece {
            segment,
            chunks,
            gap,
            length,
            format,
            discontinuity,
        },
    )
}

/// What segments hold when each stream's pieces were recorded one behind the other.
fn segments_of(streams: &[Vec<Piece>], count: u64) -> Vec<Vec<SegmentRun>> {
    let mut segments = vec![Vec::new(); count as usize];
    for (number, pieces) in streams.iter().enumerate() {
        let kind = if number % 2 == 0 { StreamKind::Main } else { StreamKind::Audio };
        let of = stream(1 + number as u16 / 2, kind);
        let (mut sequence, mut at) = (1, START_MICROS + 50_000_000_000);
        for piece in pieces {
            at += piece.gap;
            segments[piece.segment as usize].push(SegmentRun {
                segment: piece.segment + 1,
                stream: of,
                first_sequence: sequence,
                last_sequence: sequence + piece.chunks - 1,
                payload_bytes: piece.chunks * 1000,
                start: WallTime::from_unix_micros(at),
                end: WallTime::from_unix_micros(at + piece.length),
                format: piece.format,
                discontinuity: piece.discontinuity,
                last_offset: sequence * 4096,
            });
            sequence += piece.chunks;
            at += piece.length;
        }
    }
    segments
}

fn row(segment: u64) -> SegmentRow {
    let closed = WallTime::from_unix_micros(1);
    SegmentRow {
        segment,
        state: State::Sealed,
        committed_bytes: 8192,
        class: Class::DEFAULT,
        begun: closed,
        closed,
        newest: closed,
    }
}

const SEGMENTS: u64 = 6;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Segments close and are forgotten in any order, also twice; the rows are those of closing what is left.
    #[test]
    fn whatever_comes_and_goes_the_rows_are_those_of_what_is_there(
        streams in prop::collection::vec(prop::collection::vec(piece(SEGMENTS), 0..25), 1..4),
        steps in prop::collection::vec((0..SEGMENTS, prop::bool::weighted(0.6)), 1..30),
    ) {
        let dir = scratch();
        let segments = segments_of(&streams, SEGMENTS);
        let mut index = Index::open(&dir.path().join("grown.db")).unwrap();
        let mut there = [false; SEGMENTS as usize];
        for (segment, close) in steps {
            if close {
                index.close(row(segment + 1), &segments[segment as usize]).unwrap();
            } else {
                index.forget(&[segment + 1]).unwrap();
            }
            there[segment as usize] = close;
        }
        prop_assert_eq!(index.timeline_agrees().unwrap(), Ok(()));
        let mut anew = Index::open(&dir.path().join("anew.db")).unwrap();
        for segment in (0..SEGMENTS).filter(|segment| there[*segment as usize]) {
            anew.close(row(segment + 1), &segments[segment as usize]).unwrap();
        }
        prop_assert_eq!(dump(&dir.path().join("grown.db")), dump(&dir.path().join("anew.db")));
        // What a search finds is what the segments have.
        for (segment, runs) in segments.iter().enumerate() {
            for run in runs.iter().filter(|run| run.end > run.start) {
                let found = index.runs(run.stream, run.start, run.end).unwrap();
                prop_assert_eq!(found.contains(run), there[segment]);
            }
        }
        let kept = segments.iter().zip(there).filter(|(_, there)| *there).flat_map(|(runs, _)| runs);
        let mut last: BTreeMap<StreamId, u64> = BTreeMap::new();
        for run in kept {
            let last = last.entry(run.stream).or_default();
            *last = run.last_sequence.max(*last);
        }
        prop_assert_eq!(index.streams().unwrap(), last.keys().copied().collect::<Vec<_>>());
        for (stream, sequence) in last {
            prop_assert_eq!(index.last(stream).unwrap().map(|run| run.last_sequence), Some(sequence));
        }
    }
}

#[test]
fn made_anew_from_the_segments_it_is_the_same_in_every_row() {
    let dir = scratch();
    let mut store = open(dir.path(), 12);
    let mut sources = [
        Source::new(stream(1, StreamKind::Main), 10, 700),
        Source::new(stream(1, StreamKind::Audio), 10, 100),
        Source::new(stream(2, StreamKind::Main), 5, 600),
    ];
    // Long enough to recycle, with gaps, another format, and a clock that is set back by an hour and over midnight.
    for second in 0..150u64 {
        for source in &mut sources {
            match (second, source.stream.kind) {
                (20, _) => source.wall_shift_micros += 30_000_000,
                (60, StreamKind::Main) => source.parameter_set += 1,
                (90, _) => source.wall_shift_micros -= 3_600_000_000,
                (120, _) => source.wall_shift_micros += 15 * 3_600_000_000,
                _ => {}
            }
            source.discontinuity = matches!(second, 20 | 90 | 120);
            source.feed(&mut store, source.rate);
        }
        store.commit().unwrap();
    }
    store.finish().unwrap();
    assert_clean(dir.path());
    let index = dir.path().join("index.db");
    let grown = dump(&index);
    let rows = TABLES.map(|table| grown[table].len());
    assert!(rows[0] > 8 && rows[1] > 20 && rows[3] >= 6 && rows[4] >= 6, "{rows:?}");
    rebuild_index(dir.path()).unwrap();
    assert_eq!(dump(&index), grown);
    assert_clean(dir.path());
}

#[test]
fn a_timeline_is_told_exactly_or_says_that_gaps_are_left_out() {
    let dir = scratch();
    let mut store = open(dir.path(), 40);
    let mut source = Source::new(stream(1, StreamKind::Main), 10, 100);
    let at = |tenths: i64| WallTime::from_unix_micros(START_MICROS + tenths * 100_000);
    // Twelve times 4 s of footage, 6 s apart; the last ones are still in the open segment.
    for _ in 0..12 {
        source.discontinuity = true;
        source.feed(&mut store, 40);
        store.commit().unwrap();
        source.next += 60;
    }
    let reader = Reader::open(dir.path(), &keys()).unwrap();
    let ask = |from, to, at_most| {
        let streams = [stream(9, StreamKind::Main), source.stream];
        let [none, coverage]: [_; 2] =
            reader.coverage(&streams, from, to, at_most).unwrap().try_into().unwrap();
        assert!(none.runs.is_empty() && !none.merged && none.stream == streams[0]);
        assert_eq!(coverage.stream, source.stream);
        (coverage.runs, coverage.merged)
    };
    let exact: Vec<_> = (0..12).map(|n| (at(n * 100), at(n * 100 + 40))).collect();
    assert_eq!(ask(BEGINNING, END, 12), (exact.clone(), false));
    assert_eq!(ask(at(150), at(320), 12), (exact[2..4].to_vec(), false));
    assert_eq!(ask(at(40), at(100), 12), (vec![], false));
    assert_eq!(ask(at(300), at(300), 12), (vec![], false));
    assert_eq!(ask(at(300), at(200), 12), (vec![], false));
    // A tenth of it is 11 s, longer than every gap.
    assert_eq!(ask(at(0), at(1100), 10), (vec![(at(0), at(1040))], true));
    assert_eq!(ask(BEGINNING, END, 0).0.len(), 1);
    assert_eq!(reader.bounds(source.stream).unwrap(), Some((at(0), at(1140))));
    store.finish().unwrap();
    assert_eq!(ask(BEGINNING, END, 12), (exact, false));
}

#[test]
fn from_afar_a_timeline_is_told_by_slots_and_leaves_no_footage_out() {
    let dir = scratch();
    let mut index = Index::open(&dir.path().join("index.db")).unwrap();
    let (busy, calm) = (stream(1, StreamKind::Main), stream(2, StreamKind::Main));
    // 2026-11-21T00:00Z
    let midnight = WallTime::from_unix_micros(START_MICROS + 14 * 3_600_000_000);
    let at = |seconds: i64| midnight.offset_micros(seconds * 1_000_000);
    let run = |stream, sequence, start: WallTime, end| SegmentRun {
        segment: 1,
        stream,
        first_sequence: sequence,
        last_sequence: sequence,
        payload_bytes: 1000,
        start,
        end,
        format: 1,
        discontinuity: false,
        last_offset: 4096,
    };
    // A second of footage every 10 s for two days, but none between 06:00 and 12:00 and from 18:00:01 on.
    let mut runs = Vec::new();
    for second in (0..2 * 86_400).step_by(10) {
        let of_day = second % 86_400;
        if !(21_600..43_200).contains(&of_day) && of_day <= 64_800 {
            runs.push(run(busy, second as u64 + 1, at(second), at(second + 1)));
        }
    }
    assert!(runs.len() as u64 > 8_000);
    runs.push(run(calm, 1, at(-5), at(1)));
    runs.push(run(calm, 2, at(70), at(100)));
    index.close(row(1), &runs).unwrap();
    let ask = |streams: &[StreamId], at_most| {
        let question = Question { streams, from: at(-86_400), to: at(3 * 86_400), at_most };
        index.coverage(&question, &Beside::default()).unwrap()
    };
    let slots = [(0, 21_600), (43_200, 64_801), (86_400, 108_000), (129_600, 151_201)];
    let slots: Vec<_> = slots.map(|(start, end)| (at(start), at(end))).into();
    // As many streams as share what is read for an answer: the busy one has more than its part, the calm one not.
    let many: Vec<StreamId> = (1..=4).map(|channel| stream(channel, StreamKind::Main)).collect();
    let told = ask(&many, 10_000);
    assert_eq!((&told[0].runs, told[0].merged), (&slots, true));
    assert_eq!((&told[1].runs, told[1].merged), (&vec![(at(-5), at(1)), (at(70), at(100))], false));
    assert!(told[2].runs.is_empty() && !told[2].merged);
    // Alone it is told exactly, or as far as was asked.
    let told = ask(&[busy], 10_000);
    assert_eq!((told[0].runs.len(), told[0].merged), (runs.len() - 2, false));
    let told = ask(&[busy], 1_000);
    let exact = [(0, 21_591), (43_200, 64_801), (86_400, 107_991), (129_600, 151_201)];
    let exact: Vec<_> = exact.map(|(start, end)| (at(start), at(end))).into();
    assert_eq!((&told[0].runs, told[0].merged), (&exact, true));
}
