//! Who writes down what becomes of segments is told in time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use evidence::VolumeId;
use hal::{Clock, StreamKind};

use super::support::{Source, Turned, assert_clean, clock, keys, read_all, scratch, small, stream};
use crate::faults::{Fault, FaultDisk, Loss, MemoryDisk, Operation};
use crate::segment::number;
use crate::{
    Class, ErrorKind, Reader, Removal, Retention, SegmentSummary, Store, Witness, WitnessError, list,
};

/// What was written down.
#[derive(Default)]
struct Book {
    sealed: Vec<SegmentSummary>,
    removed: Vec<(SegmentSummary, Removal)>,
    refuses: bool,
    asked: u64,
}

/// Clones write into the same book.
#[derive(Clone, Default)]
struct Notary(Arc<Mutex<Book>>);

impl Notary {
    fn refuse(&self, refuses: bool) {
        self.0.lock().unwrap().refuses = refuses;
    }

    fn sealed(&self) -> Vec<u64> {
        self.0.lock().unwrap().sealed.iter().map(|it| it.segment).collect()
    }

    fn removed(&self) -> Vec<(u64, Removal)> {
        self.0.lock().unwrap().removed.iter().map(|(it, why)| (it.segment, *why)).collect()
    }
}

impl Witness for Notary {
    fn removing(&mut self, segment: &SegmentSummary, why: Removal) -> Result<(), WitnessError> {
        let mut book = self.0.lock().unwrap();
        book.asked += 1;
        if book.refuses {
            return Err("no ink".into());
        }
        book.removed.push((segment.clone(), why));
        Ok(())
    }

    fn deleting(&mut self, _: &crate::FootageDeletion<'_>) -> Result<(), WitnessError> {
        Ok(())
    }

    fn sealed(&mut self, segment: &SegmentSummary) -> Result<(), WitnessError> {
        let mut book = self.0.lock().unwrap();
        if book.refuses {
            return Err("no ink".into());
        }
        book.sealed.push(segment.clone());
        Ok(())
    }

    fn last_sealed(&mut self, volume: VolumeId, class: Class) -> Result<Option<u64>, WitnessError> {
        let book = self.0.lock().unwrap();
        if book.refuses {
            return Err("no ink".into());
        }
        let of = book.sealed.iter().filter(|it| it.volume == volume && it.class == class);
        Ok(of.map(|it| it.segment).max())
    }
}

fn class(number: u8) -> Class {
    Class::new(number).unwrap()
}

fn sources() -> [Source; 2] {
    [1, 2].map(|channel| Source::new(stream(channel, StreamKind::Main), 5, 2000))
}

fn record(store: &mut Store, sources: &mut [Source]) -> Result<crate::CommitReport, crate::StoreError> {
    for source in sources {
        source.feed(store, 5);
    }
    store.commit()
}

#[test]
fn a_removal_is_written_down_before_the_file_is_touched() {
    let (dir, turned, notary) = (scratch(), Turned::new(), Notary::default());
    let disk = FaultDisk::in_memory(&MemoryDisk::default(), Loss::Everything);
    let (watched, touched) = (notary.clone(), Arc::new(Mutex::new(Vec::new())));
    let footage: Arc<Mutex<Vec<u64>>> = Arc::default();
    let (noted, with_footage) = (Arc::clone(&touched), Arc::clone(&footage));
    disk.watch(move |moment| {
        if let Operation::Rename(from, _) | Operation::Remove(from) = moment.next
            && let Some(segment) = number(&from)
            && with_footage.lock().unwrap().contains(&segment)
        {
            noted.lock().unwrap().push(segment);
            assert!(watched.removed().iter().any(|(removed, _)| *removed == segment), "{segment} is touched");
        }
    });
    let open = |segments| {
        let clock = Arc::clone(&turned) as Arc<dyn Clock>;
        let disk = Arc::new(disk.clone());
        let mut store = Store::open_on(disk, dir.path(), small(segments), &keys(), clock).unwrap().0;
        store.set_witness(Box::new(notary.clone()));
        store.set_clock_trusted(true);
        store.set_class(stream(2, StreamKind::Main), class(1));
        store.set_retention(class(1), Retention { max_days: Some(1), share: 4 });
        store
    };
    let mut sources = sources();
    let mut before: BTreeMap<u64, Vec<crate::ChunkInfo>> = BTreeMap::new();
    let mut live = |store: &mut Store, hours: u64| {
        for _ in 0..hours {
            turned.pass(3600);
            sources.iter_mut().for_each(|source| source.go_to(turned.wall()));
            record(store, &mut sources).unwrap();
            for chunk in crate::inventory::chunks_on(Arc::new(disk.clone()), dir.path()).unwrap() {
                let of = before.entry(chunk.segment).or_default();
                if !of.contains(&chunk) {
                    of.push(chunk);
                }
            }
            *footage.lock().unwrap() = before.keys().copied().collect();
        }
    };
    let mut store = open(12);
    live(&mut store, 100);
    drop(store);
    let mut store = open(5);
    live(&mut store, 10);
    disk.unwatch();

    let removed = notary.removed();
    let count = |why| removed.iter().filter(|(_, because)| *because == why).count();
    let counts = [Removal::Overwritten, Removal::Expired, Removal::Shrunk].map(count);
    assert!(counts.iter().all(|count| *count >= 2), "{counts:?}");
    assert_eq!(touched.lock().unwrap().len(), removed.len(), "each is told of once");
    // What it says that they held is what they held.
    for (summary, _) in &notary.0.lock().unwrap().removed {
        let held = &before[&summary.segment];
        let told: u64 = summary.streams.iter().map(|it| it.last_sequence - it.first_sequence + 1).sum();
        assert_eq!(told, held.len() as u64);
        for range in &summary.streams {
            let last = held.iter().find(|it| it.stream == range.stream && it.sequence == range.last_sequence);
            let first =
                held.iter().find(|it| it.stream == range.stream && it.sequence == range.first_sequence);
            assert_eq!(range.head, Some(last.unwrap().hash));
            assert!(range.start <= first.unwrap().start && range.end >= last.unwrap().end);
        }
    }
}

#[test]
fn a_witness_that_cannot_write_keeps_footage_until_patience_ends_and_no_longer() {
    let (dir, notary) = (scratch(), Notary::default());
    let mut store = Store::open(dir.path(), small(5), &keys(), clock()).unwrap().0;
    store.set_witness(Box::new(notary.clone()));
    let mut sources = sources();
    while notary.removed().is_empty() {
        record(&mut store, &mut sources).unwrap();
    }
    notary.refuse(true);
    let there = || list(dir.path()).unwrap().segments[0].segment;
    let oldest = there();
    let error = loop {
        if let Err(error) = record(&mut store, &mut sources) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::Unwitnessed, "{error}");
    assert_eq!(there(), oldest, "the oldest stays");
    let error = record(&mut store, &mut sources).unwrap_err();
    assert_eq!((error.kind(), there()), (ErrorKind::Unwitnessed, oldest));
    // Recording matters more: what waited in memory is written, and the witness holds up nothing any more.
    let report = record(&mut store, &mut sources).unwrap();
    assert_eq!(report.unwitnessed, 1);
    assert!(report.chunks >= 4 && there() > oldest);
    let mut unwitnessed = 1;
    for _ in 0..20 {
        unwitnessed += record(&mut store, &mut sources).unwrap().unwitnessed;
    }
    assert!(unwitnessed > 2, "{unwitnessed}");
    let told = notary.sealed();

    // It is well again: told of all seals that are still there, and patient again.
    notary.refuse(false);
    for _ in 0..20 {
        assert_eq!(record(&mut store, &mut sources).unwrap().unwitnessed, 0);
    }
    let sealed: Vec<u64> =
        list(dir.path()).unwrap().segments.iter().filter(|it| it.sealed).map(|it| it.segment).collect();
    let (now, missing) = (notary.sealed(), sealed.iter().filter(|it| !notary.sealed().contains(it)).count());
    assert!(now.len() > told.len() && missing == 0, "{now:?} {sealed:?}");
    notary.refuse(true);
    let refused = (0..20).find_map(|_| record(&mut store, &mut sources).err()).unwrap();
    assert_eq!(refused.kind(), ErrorKind::Unwitnessed);
    let read = read_all(&Reader::open(dir.path(), &keys()).unwrap(), sources[0].stream);
    assert!(read.len() > 20);
    assert_clean(dir.path());
}

#[test]
fn what_expires_waits_longer_for_the_witness_than_what_is_in_the_way() {
    let (dir, turned, notary) = (scratch(), Turned::new(), Notary::default());
    let mut store = Store::open(dir.path(), small(20), &keys(), turned.clone()).unwrap().0;
    store.set_witness(Box::new(notary.clone()));
    store.set_clock_trusted(true);
    store.set_retention(Class::DEFAULT, Retention { max_days: Some(1), share: 1 });
    let mut sources = sources();
    for _ in 0..10 {
        record(&mut store, &mut sources).unwrap();
    }
    let before = list(dir.path()).unwrap().segments.len();
    notary.refuse(true);
    turned.pass(3 * 86_400);
    let mut told = 0;
    for _ in 0..50 {
        turned.pass(1);
        let report = store.commit().unwrap();
        told += u64::from(report.retention_error.is_some());
        assert_eq!((report.expired, report.unwitnessed), (0, 0));
    }
    assert!(told >= 50 && list(dir.path()).unwrap().segments.len() == before);
    notary.refuse(false);
    let expired: u64 = (0..10).map(|_| store.commit().unwrap().expired).sum();
    // The last one was being written, and was closed when time went on.
    assert_eq!(expired, before as u64 - 1);
    turned.pass(2 * 86_400);
    assert_eq!(store.commit().unwrap().expired, 1);
    assert!(notary.removed().iter().all(|(_, why)| *why == Removal::Expired));
    assert_eq!(list(dir.path()).unwrap().segments, []);
}

#[test]
fn every_seal_is_told_of_once_and_after_a_crash_at_least_once() {
    let (dir, notary) = (scratch(), Notary::default());
    let disk = FaultDisk::new(Loss::Everything);
    let open = || {
        let mut store =
            Store::open_on(Arc::new(disk.clone()), dir.path(), small(40), &keys(), clock()).unwrap().0;
        store.set_witness(Box::new(notary.clone()));
        store.set_class(stream(2, StreamKind::Main), class(3));
        store
    };
    let sealed = |dir: &Path| -> Vec<u64> {
        let segments = list(dir).unwrap().segments;
        segments.iter().filter(|it| it.sealed).map(|it| it.segment).collect()
    };
    let mut sources = sources();
    let mut store = open();
    for _ in 0..30 {
        record(&mut store, &mut sources).unwrap();
    }
    let mut told = notary.sealed();
    told.sort_unstable();
    assert_eq!(told, sealed(dir.path()), "each once");
    assert!(told.len() > 4);

    for crash in 0..12_u64 {
        // The power goes somewhere in the next commits; now and then the witness cannot write just before.
        notary.refuse(crash % 3 == 0);
        disk.fail_at(disk.operations() + 3 + crash * 5 % 37, Fault::PowerCut);
        while !disk.is_off() {
            let _ = record(&mut store, &mut sources);
        }
        notary.refuse(false);
        drop(store);
        disk.come_back();
        store = open();
        for source in &mut sources {
            source.go_to(clock().wall());
        }
        record(&mut store, &mut sources).unwrap();
    }
    store.finish().unwrap();
    let told = notary.sealed();
    assert!(sealed(dir.path()).iter().all(|segment| told.contains(segment)), "{told:?}");
    // In order within a class, and what is told is what is there.
    let book = notary.0.lock().unwrap();
    for number in [0, 3] {
        let of = book.sealed.iter().filter(|it| it.class == class(number)).map(|it| it.segment);
        assert!(of.collect::<Vec<_>>().is_sorted());
    }
    let all = crate::chunks(dir.path()).unwrap();
    for range in book.sealed.iter().flat_map(|it| &it.streams) {
        let last = all.iter().find(|it| it.stream == range.stream && it.sequence == range.last_sequence);
        assert_eq!(range.head, last.map(|chunk| chunk.hash));
    }
}
