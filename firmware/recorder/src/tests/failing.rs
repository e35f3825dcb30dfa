//! A disk that stalls, and one that fails to the end.

use hal_sim::SimClock;

use super::*;
use crate::Loss as Lost;

const START: WallTime = WallTime::from_unix_micros(1_795_168_800_000_000);
/// Ten units of this a second are 4 Mbit/s.
const UNIT_BYTES: usize = 50_000;

fn at(number: i64) -> WallTime {
    START.offset_micros(number * 100_000)
}

#[test]
fn a_disk_that_stalls_for_five_seconds_loses_nothing() {
    // In the write, and in the fdatasync behind it.
    for operation in [0, 1] {
        let (bus, volume) = (scratch(), scratch());
        let mut camera = Camera::in_ring(bus.path(), RingSpec::for_stream(StreamKind::Main));
        camera.unit_bytes = UNIT_BYTES;
        let (disk, clock) = (FaultDisk::new(Loss::Everything), Arc::new(SimClock::new(START)));
        let options = StoreOptions {
            segment_bytes: ByteCount(64 << 20),
            ..StoreOptions::with_max_bytes(ByteCount(256 << 20))
        };
        let of_store = Arc::clone(&clock) as Arc<dyn Clock>;
        let (store, _) =
            Store::open_on(Arc::new(disk.clone()), volume.path(), options, &Keys::NONE, of_store).unwrap();
        let recorder = Recorder::new(bus.path(), store, Arc::clone(&clock) as Arc<dyn Clock>);
        let losses = recorder.losses();
        camera.publish(10);
        let running = run(recorder);
        running.until("the first commit", |status| status.committed.0 > 0);

        let stall = disk.stall_at(disk.operations() + operation);
        camera.publish(10);
        clock.advance(Duration::from_secs(1));
        stall.wait();
        for _ in 0..5 {
            camera.publish(10);
            clock.advance(Duration::from_secs(1));
        }
        let status = running.status.get();
        let waits = status.committing_since.map(|since| clock.mono().since(since));
        assert!(waits >= Some(Duration::from_secs(5)), "{waits:?}");
        drop(stall);
        let status = running.until("what waited in the ring", |status| {
            status.streams[&camera.stream].units == camera.next as u64 && status.committing_since.is_none()
        });
        assert!(status.slowest_commit >= Duration::from_secs(5));
        assert_eq!((status.failed_commits, status.streams[&camera.stream].lost_units), (0, 0));
        running.end();
        assert_eq!(losses.take(), []);
        let reader = Reader::open(volume.path(), &Keys::NONE).unwrap();
        let units = reader.units(camera.stream, BEGINNING, END).unwrap();
        let numbers: Vec<i64> = units.map(|unit| unit.unwrap().pts.0 / 9_000).collect();
        assert_eq!(numbers, (0..camera.next).collect::<Vec<_>>());
        assert_eq!(reader.runs(camera.stream, BEGINNING, END).unwrap().len(), 1);
    }
}

#[test]
fn what_was_in_memory_alone_when_a_recorder_ends_is_told_as_far_as_the_ring_has_it_no_more() {
    for has_ring in [true, false] {
        let (bus, volume) = (scratch(), scratch());
        let disk = FaultDisk::new(Loss::Everything);
        let clock = Arc::new(SystemClock::new());
        let (store, _) =
            Store::open_on(Arc::new(disk.clone()), volume.path(), OPTIONS, &Keys::NONE, clock).unwrap();
        let mut camera = Camera::in_ring(bus.path(), RingSpec { payload_bytes: 1 << 20, slots: 64 });
        let (stream, units) = (camera.stream, |status: &RecorderStatus, stream| {
            status.streams.get(&stream).map_or(0, |figures| figures.units)
        });
        camera.publish(20);
        let recorder = Recorder::new(bus.path(), store, Arc::new(SystemClock::new()));
        let losses = recorder.losses();
        let running = run(recorder);
        running.until("the first commit", |status| status.committed.0 > 0);
        disk.fail_next(u64::MAX, Fault::Enospc);
        for taken in [60, 100] {
            camera.publish(40);
            running.until("all units", |status| units(status, stream) == taken);
        }
        if !has_ring {
            drop(camera);
        }
        running.stop.stop();
        assert_eq!(running.thread.join().unwrap().unwrap_err().kind(), ErrorKind::DiskFull);
        // A ring is read from a keyframe on.
        let (count, end) = if has_ring { (20, at(40)) } else { (80, at(99)) };
        let lost = losses.take();
        let (cause, elsewhere) = (LossCause::DiskFailed, false);
        assert_eq!(lost, [Lost { stream, start: at(20), end, units: count, cause, elsewhere }]);
        let status = running.status.get();
        assert_eq!(status.streams[&stream].lost_units, count);
        assert_eq!(status.streams[&stream].lost_gops, if has_ring { 1 } else { 4 });
    }
}

/// A recorder of a volume on `disk`, one of all that know of each other.
fn one_of(reached: &Reached, bus: &Path, disk: &FaultDisk, volume: &Path) -> Recorder {
    let clock = || Arc::new(SystemClock::new());
    let (store, _) = Store::open_on(Arc::new(disk.clone()), volume, OPTIONS, &Keys::NONE, clock()).unwrap();
    Recorder::new(bus, store, clock()).after(reached.clone())
}

/// Who had the camera before the ring went on without anybody.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Before {
    /// Closed in order.
    Ended,
    /// It failed to the end, with units in memory.
    Failed,
    /// It fails still, with units in memory, and another one has its channel now.
    GivenUp,
}

#[test]
fn what_a_ring_lost_while_nobody_followed_it_is_told_by_whoever_comes_next() {
    for before in [Before::Ended, Before::Failed, Before::GivenUp] {
        let (bus, first, second) = (scratch(), scratch(), scratch());
        let mut camera = Camera::in_ring(bus.path(), RingSpec { payload_bytes: 1 << 20, slots: 64 });
        let (stream, reached) = (camera.stream, Reached::default());
        let disk = FaultDisk::new(Loss::Everything);
        let start = |disk: &FaultDisk, volume: &Path, choice: &ChannelChoice| {
            let recorder = one_of(&reached, bus.path(), disk, volume).choose(choice.clone());
            (recorder.losses(), run(recorder))
        };
        let this: Channels = [stream.channel].into_iter().collect();
        let choice = ChannelChoice::default();
        choice.set(this.clone());
        camera.publish(20);
        let (of_first, running) = start(&disk, first.path(), &choice);
        running.until("the first commit", |status| status.committed.0 > 0);
        if before != Before::Ended {
            disk.fail_next(u64::MAX, Fault::Enospc);
            camera.publish(20);
            running.until("what stays in memory", |status| status.streams[&stream].units == 40);
        }
        let given_up = match before {
            Before::GivenUp => {
                choice.set(Channels::new());
                // Until it looks at no ring any more, it takes what comes.
                camera.publish(100);
                Some(running)
            }
            _ => {
                running.stop.stop();
                let _ = running.thread.join().unwrap();
                None
            }
        };
        // More than the ring holds.
        camera.publish(200);
        let other = ChannelChoice::default();
        other.set(this);
        let (of_second, running) = start(&FaultDisk::new(Loss::Everything), second.path(), &other);
        running.until("the newest", |status| {
            let newest = Some(at(camera.next - 1));
            status.streams.get(&stream).is_some_and(|figures| figures.last_unit == newest)
        });
        running.end();
        if let Some(running) = given_up {
            running.stop.stop();
            running.thread.join().unwrap().unwrap_err();
        }

        let there = |volume: &Path| {
            let reader = Reader::open(volume, &Keys::NONE).unwrap();
            let units = reader.units(stream, BEGINNING, END).unwrap();
            units.map(|unit| unit.unwrap().pts.0 / 9_000).collect::<Vec<_>>()
        };
        let (old, new) = (there(first.path()), there(second.path()));
        assert_eq!(old, (0..20).collect::<Vec<_>>());
        assert_eq!(new, (new[0]..camera.next).collect::<Vec<_>>());
        let told: Vec<Lost> = of_first.take().into_iter().chain(of_second.take()).collect();
        let units: u64 = told.iter().map(|lost| lost.units).sum();
        assert_eq!(units, new[0] as u64 - 20, "{before:?}: {told:?}");
        assert!(told.iter().all(|lost| lost.cause == LossCause::DiskFailed && !lost.elsewhere), "{told:?}");
        let stretch = (told.iter().map(|lost| lost.start).min(), told.iter().map(|lost| lost.end).max());
        let from = if before == Before::Ended { at(19) } else { at(20) };
        assert_eq!(stretch, (Some(from), Some(at(new[0]))), "{before:?}: {told:?}");
    }
}

#[test]
fn what_one_copy_lost_and_the_other_has_is_told_as_such() {
    let (bus, first, second) = (scratch(), scratch(), scratch());
    let mut camera = Camera::in_ring(bus.path(), RingSpec { payload_bytes: 1 << 20, slots: 64 });
    let (stream, reached) = (camera.stream, Reached::default());
    let disk = FaultDisk::new(Loss::Everything);
    let start = |disk: &FaultDisk, volume: &Path| {
        let recorder = one_of(&reached, bus.path(), disk, volume);
        (recorder.losses(), run(recorder))
    };
    camera.publish(20);
    let (of_first, hangs) = start(&disk, first.path());
    let (of_second, goes_on) = start(&FaultDisk::new(Loss::Everything), second.path());
    for copy in [&hangs, &goes_on] {
        copy.until("the first commit", |status| status.committed.0 > 0);
    }
    let stall = disk.stall_at(disk.operations());
    camera.publish(20);
    stall.wait();
    for _ in 0..10 {
        camera.publish(20);
        goes_on.until("the newest", |status| status.streams[&stream].last_unit == Some(at(camera.next - 1)));
    }
    drop(stall);
    hangs.until("the newest", |status| status.streams[&stream].last_unit == Some(at(camera.next - 1)));
    hangs.end();
    goes_on.end();
    let lost = of_first.take();
    assert!(lost.len() == 1 && lost[0].units > 100 && lost[0].elsewhere, "{lost:?}");
    assert_eq!(of_second.take(), []);
    assert_all(second.path(), stream, camera.next);
}
