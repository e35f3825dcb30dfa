//! A recorder that is killed leaves footage that only the kernel has.

use std::path::Path;
use std::sync::{Arc, Mutex};

use hal::StreamKind;

use super::support::{Source, clock, keys, read_all, scratch, small, stream};
use crate::faults::{FaultDisk, Loss, MemoryDisk, Operation};
use crate::{Reader, Store};

/// Opens for writing, and reads everything; how many units there are.
fn units_after_opening(disk: &FaultDisk, dir: &Path, source: &Source) -> usize {
    // Another life: its index is not that of this disk's moment.
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        let _ = std::fs::remove_file(dir.join(name));
    }
    let (store, _) = Store::open_on(Arc::new(disk.clone()), dir, small(12), &keys(), clock()).unwrap();
    let reader = Reader::open_on(Arc::new(disk.clone()), dir, &keys()).unwrap();
    let units = read_all(&reader, source.stream).len();
    drop(store);
    units
}

#[test]
fn it_is_made_durable_before_it_is_told_of() {
    let dir = scratch();
    let disk = FaultDisk::in_memory(&MemoryDisk::with_capacity(64 << 20), Loss::Everything);
    let mut source = Source::new(stream(1, StreamKind::Main), 5, 1200);
    let (mut store, _) =
        Store::open_on(Arc::new(disk.clone()), dir.path(), small(12), &keys(), clock()).unwrap();
    source.feed(&mut store, 5);
    store.commit().unwrap();
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    disk.watch(move |moment| {
        if moment.next == Operation::Sync {
            *keep.lock().unwrap() = Some(moment);
        }
    });
    source.feed(&mut store, 5);
    store.commit().unwrap();
    disk.unwatch();
    drop(store);

    // Killed between the write and the sync of the second commit: the kernel has it, the medium has not.
    let moment = kept.lock().unwrap().take().unwrap();
    let killed = FaultDisk::after_kill(&moment, Loss::Everything);
    let told = units_after_opening(&killed, dir.path(), &source);
    assert_eq!(told, 10, "it can be read");
    let cut = FaultDisk::after_power_cut(&killed.moment().unwrap(), Loss::Everything);
    assert_eq!(
        units_after_opening(&cut, dir.path(), &source),
        told,
        "what was told of is there after a power cut"
    );
}
