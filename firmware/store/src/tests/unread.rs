//! A place that cannot be read while the volume is opened, and can the next time.

use std::path::Path;
use std::sync::Arc;

use hal::StreamKind;

use super::support::{Source, assert_stretch, clock, keys, read_all, scratch, small, stream};
use crate::check::check_on;
use crate::faults::{FaultDisk, Loss, MemoryDisk};
use crate::{Reader, RecoveryReport, Store};

fn open(disk: &FaultDisk, dir: &Path) -> (Store, RecoveryReport) {
    Store::open_on(Arc::new(disk.clone()), dir, small(12), &keys(), clock()).unwrap()
}

#[test]
fn it_costs_nothing_that_was_acknowledged() {
    let mut failed = 0;
    for reading in 0.. {
        let dir = scratch();
        let disk = FaultDisk::in_memory(&MemoryDisk::with_capacity(64 << 20), Loss::Everything);
        let mut source = Source::new(stream(1, StreamKind::Main), 5, 1200);
        let (mut store, _) = open(&disk, dir.path());
        let mut made = Vec::new();
        for _ in 0..4 {
            made.extend(source.feed(&mut store, 5));
            store.commit().unwrap();
        }
        drop(store);
        let before = disk.reads();
        disk.fail_read_at(before + reading);
        let opened = Store::open_on(Arc::new(disk.clone()), dir.path(), small(12), &keys(), clock());
        if disk.reads() <= before + reading {
            // There are no more to fail.
            break;
        }
        // What it does not tell the owner of, because it could not be read, is not lost.
        if let Ok((mut store, report)) = opened {
            failed += u64::from(!report.damages.is_empty());
            let mut other = Source::new(stream(2, StreamKind::Main), 5, 1200);
            source.next = source.next.next_multiple_of(source.gop);
            source.discontinuity = true;
            made.extend(source.feed(&mut store, 5));
            other.feed(&mut store, 5);
            store.commit().unwrap();
        }
        let (store, report) = open(&disk, dir.path());
        assert!(report.damages.is_empty(), "reading {reading}: {:?}", report.damages);
        let reader = Reader::open_on(Arc::new(disk.clone()), dir.path(), &keys()).unwrap();
        let read = read_all(&reader, source.stream);
        assert_eq!(read.len(), made.len(), "reading {reading}");
        assert_stretch(&made, &read);
        drop(store);
        let report = check_on(Arc::new(disk.clone()), dir.path(), &keys()).unwrap();
        assert!(report.is_clean() && report.notes.is_empty(), "reading {reading}: {report:?}");
    }
    assert!(failed > 3, "{failed} places matter");
}
