//! Opening a volume that is full: what is read does not grow with what lies there.

use std::sync::Arc;

use hal::{ByteCount, StreamKind, SystemClock, WallTime};

use super::support::stream;
use super::watched::Watched;
use crate::simulate::{Pattern, Simulation};
use crate::{Keys, Reader, Store, StoreOptions};

const SEGMENT_MICROS: i64 = 60_000_000;

/// Reads of segments while a volume of so many is opened: for writing, then for reading.
fn reads(segments: u64) -> (usize, usize) {
    let dir = tempfile::tempdir().unwrap();
    let simulation = Simulation {
        segments,
        segment_bytes: ByteCount(1 << 20),
        segment_micros: SEGMENT_MICROS,
        streams: vec![stream(1, StreamKind::Main), stream(1, StreamKind::Audio)],
        start: WallTime::from_unix_micros(1_763_632_800_000_000),
        pattern: Pattern::Continuous { gaps_a_day: 4 },
    };
    let runs = simulation.make(dir.path()).unwrap();
    assert!(runs >= segments, "{runs} runs");
    let options = StoreOptions {
        segment_bytes: simulation.segment_bytes,
        ..StoreOptions::with_max_bytes(simulation.max_bytes())
    };
    let of_segments = |disk: &Watched| {
        disk.reads().into_iter().filter(|read| read.file.parent().unwrap().ends_with("segments")).count()
    };
    let disk = Watched::new();
    let clock = Arc::new(SystemClock::new());
    let (store, report) = Store::open_on(disk.clone(), dir.path(), options, &Keys::default(), clock).unwrap();
    assert_eq!((report.segments, report.dropped_rows, report.rebuilt_index), (segments, 0, false));
    // The last chunk of each stream is looked for, and is not there.
    assert_eq!(report.damages.len(), simulation.streams.len(), "{report:?}");
    let writing = of_segments(&disk);
    drop(store);

    let reader = Reader::open_on(disk.clone(), dir.path(), &Keys::default()).unwrap();
    let streams = [stream(1, StreamKind::Main)];
    let coverage = reader.coverage(&streams, simulation.start, simulation.end(), 10).unwrap();
    assert_eq!(coverage[0].runs.first().unwrap().0, simulation.start);
    (writing, of_segments(&disk))
}

#[test]
fn opening_reads_as_much_of_a_large_volume_as_of_a_small_one() {
    let (small, large) = (reads(50), reads(500));
    assert_eq!(small, large);
    assert!(small.0 > 0 && small.1 == 0, "{small:?}");
}
