//! A reader in the writer's process: it tells the same, and without the disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use hal::{StreamId, StreamKind, WallTime};

use super::support::{Source, clock, keys, read_all, scratch, small, stream};
use crate::faults::{FaultDisk, Loss};
use crate::{Bounds, Class, Reader, Run, Store};

const COMMITS: usize = 12;

type Told = (BTreeMap<StreamId, Bounds>, Vec<Vec<Run>>);

fn told(reader: &Reader) -> Told {
    let bounds = reader.all_bounds().unwrap();
    let (from, to) = (WallTime::from_unix_micros(0), WallTime::from_unix_micros(i64::MAX));
    let runs = bounds.keys().map(|stream| reader.runs(*stream, from, to).unwrap()).collect();
    (bounds, runs)
}

fn step(store: &mut Store, sources: &mut [Source]) {
    for source in sources {
        source.feed(store, source.rate);
    }
    store.commit().unwrap();
}

#[test]
fn what_is_being_written_is_told_without_the_disk() {
    let dir = scratch();
    let disk = FaultDisk::new(Loss::Nothing);
    let open = || Store::open_on(Arc::new(disk.clone()), dir.path(), small(60), &keys(), clock()).unwrap().0;
    let other = || Reader::open_on(Arc::new(disk.clone()), dir.path(), &keys()).unwrap();
    let mut sources = vec![
        Source::new(stream(1, StreamKind::Main), 5, 1200),
        Source::new(stream(1, StreamKind::Audio), 10, 160),
        Source::new(stream(2, StreamKind::Main), 4, 600),
    ];
    let mut store = open();
    store.set_class(sources[2].stream, Class::new(5).unwrap());
    let beside = Reader::beside(&store).unwrap();
    let mut sealed = 0;
    for _ in 0..COMMITS {
        for source in &mut sources {
            source.feed(&mut store, source.rate);
        }
        sealed += store.commit().unwrap().sealed;
        let reads = disk.reads();
        let of_beside = told(&beside);
        assert_eq!(disk.reads(), reads, "nothing is looked for on the disk");
        assert_eq!(of_beside.0.len(), 3);
        assert_eq!(of_beside, told(&other()));
    }
    assert!(sealed > 0, "segments came and went");
    for source in &sources {
        assert_eq!(read_all(&beside, source.stream), read_all(&other(), source.stream));
    }

    // Its writer ends without a word, and another one goes on in the same segments.
    drop(store);
    let mut store = open();
    step(&mut store, &mut sources);
    assert_eq!(told(&beside), told(&other()));
    let now_beside = Reader::beside(&store).unwrap();
    assert_eq!(told(&now_beside), told(&beside));
}
