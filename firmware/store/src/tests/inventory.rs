//! What is listed chunk by chunk, before and after a volume is put right.

use std::os::unix::fs::FileExt;

use hal::StreamKind;

use super::support::{Source, assert_clean, clock, keys, open, scratch, small, stream};
use crate::{ErrorKind, Store, check, chunks, recover_volume};

/// More than fit into the volume, so that the first segments are recycled.
const COMMITS: u64 = 45;
const SEGMENTS: u64 = 4;

#[test]
fn a_torn_tail_is_not_listed_and_putting_right_changes_no_chunk() {
    let dir = scratch();
    let mut source = Source::new(stream(1, StreamKind::Main), 5, 1000);
    let mut store = open(dir.path(), SEGMENTS);
    for _ in 0..COMMITS {
        source.feed(&mut store, 5);
        store.commit().unwrap();
    }
    assert_eq!(recover_volume(dir.path()).unwrap_err().kind(), ErrorKind::Locked);
    drop(store);
    let all = chunks(dir.path()).unwrap();
    let first = all[0].sequence;
    assert!(first > 1 && all[0].segment > 1, "nothing was recycled");
    assert!(all.iter().zip(first..).all(|(chunk, sequence)| chunk.sequence == sequence), "{all:#?}");
    assert_eq!(all.last().unwrap().sequence, COMMITS);

    // The last commit is torn.
    let last = all.last().unwrap();
    let path = dir.path().join("segments").join(format!("{:016}.seg", last.segment));
    let bytes = std::fs::read(&path).unwrap();
    let is_last = |head: &[u8]| {
        head.starts_with(b"CCHK")
            && head[16..24] == last.segment.to_le_bytes()
            && head[48..56] == last.sequence.to_le_bytes()
    };
    let at = bytes.windows(64).position(is_last).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.write_all_at(&[0; 64], at as u64 + 400).unwrap();
    let whole = &all[..all.len() - 1];
    assert_eq!(chunks(dir.path()).unwrap(), whole);

    let report = recover_volume(dir.path()).unwrap();
    assert!(report.torn_bytes > 0, "{report:?}");
    assert_clean(dir.path());
    assert_eq!(chunks(dir.path()).unwrap(), whole);
    // And the recorder goes on from there.
    let (mut store, _) = Store::open(dir.path(), small(SEGMENTS), &keys(), clock()).unwrap();
    source.feed(&mut store, 5);
    store.commit().unwrap();
    drop(store);
    assert_eq!(chunks(dir.path()).unwrap().last().unwrap().sequence, COMMITS);
}

#[test]
fn a_seal_that_a_power_cut_tore_is_no_damage_and_is_made_anew() {
    let dir = scratch();
    let mut store = open(dir.path(), SEGMENTS);
    Source::new(stream(1, StreamKind::Main), 5, 1000).feed(&mut store, 5);
    store.commit().unwrap();
    let all = chunks(dir.path()).unwrap();
    // The index as it was before the seal: what it hears then is not on the disk yet when the power goes.
    let index =
        ["index.db", "index.db-wal"].map(|name| (name, std::fs::read(dir.path().join(name)).unwrap()));
    store.finish().unwrap();
    let _ = std::fs::remove_file(dir.path().join("index.db-shm"));
    for (name, bytes) in index {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    let path = dir.path().join("segments").join(format!("{:016}.seg", 1));
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.write_all_at(&[0; 32], (64 << 10) - 64 - 112).unwrap();

    let report = check(dir.path(), &keys()).unwrap();
    assert!(report.is_clean(), "{:#?}", report.damages);
    assert!(report.notes.iter().any(|note| note.contains("seal")), "{:#?}", report.notes);
    let report = recover_volume(dir.path()).unwrap();
    assert_eq!((report.sealed, &report.damages[..]), (1, &[][..]));
    assert_clean(dir.path());
    assert_eq!(chunks(dir.path()).unwrap(), all);
    assert_eq!(all.len(), 1);
}
