//! Footage that is deleted on several volumes.

use super::*;
use crate::footage_deletions::{DeletionRefusal, DeletionWish};

#[test]
fn a_deletion_is_on_all_disks_that_answer_or_on_none_and_the_others_are_counted() {
    let mut bench = Bench::new(true);
    let _ring = bench.publish_channel_one();
    let (first, second) = (bench.dir.path().join("first"), bench.dir.path().join("second"));
    let now = SystemClock::new().wall();
    let later = now.offset_micros(60_000_000);
    let [one, two] = [1, 2].map(|number| ChannelId::new(number).unwrap());
    let wish = DeletionWish {
        channels: vec![one, two],
        start: now.offset_micros(-60_000_000),
        end: now.offset_micros(30_000_000),
    };
    assert_eq!(bench.locks.deletable(&wish, later), Err(DeletionRefusal::NoDisk));
    bench.volumes.move_to(vec![on_disk(&first, 1), on_disk(&second, 2), pulled(3)]);
    while bench.look().2.volumes[..2].iter().any(|volume| volume.newest.is_none()) {
        std::thread::yield_now();
    }
    assert!(matches!(bench.locks.deletable(&wish, now), Err(DeletionRefusal::Invalid(_))), "too new");
    let scope = bench.locks.deletable(&wish, later).unwrap();
    assert_eq!((scope.channels.iter().copied().collect::<Vec<_>>(), scope.silent), (vec![one], 1));
    // A mirror has all of it twice.
    assert!(scope.bytes > 2 * 19 * 500, "{scope:?}");

    // Locked: nowhere.
    let reason = String::new();
    let lock = LockWish { channels: vec![one], start: now, end: wish.end, reason, by: "bert".to_owned() };
    let (lock, _) = bench.locks.lock(lock, now).unwrap();
    let refused = bench.locks.delete(&wish, "ann", later);
    assert!(matches!(&refused, Err(DeletionRefusal::Locked(who)) if who.contains("bert")), "{refused:?}");
    assert_eq!(bench.locks.deletions().unwrap(), []);
    bench.locks.unlock(lock.id).unwrap();

    assert_eq!(bench.locks.delete(&wish, "ann", later).unwrap(), scope);
    while !bench.locks.deletions().unwrap().is_empty() {
        std::thread::yield_now();
    }
    bench.volumes.close(PATIENCE).unwrap();
    for disk in [first, second] {
        let report = store::check(&disk.join("volume"), &keys(7).keys()).unwrap();
        assert!(report.is_clean() && report.chunks == 0 && report.deleted > 0, "{report:?}");
    }
}
