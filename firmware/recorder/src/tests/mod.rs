//! The recorder between real rings and a real store: restarts, a failing disk.

mod failing;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bus::{Publisher, RingSpec};
use hal::{
    AccessUnit, AudioCodec, AudioFormat, ByteCount, ChannelId, Clock, MonoTime, Pts90k, StreamFormat,
    StreamId, StreamKind, SystemClock, VideoCodec, WallTime,
};
use store::faults::{Fault, FaultDisk, Loss};
use store::{Class, ErrorKind, Keys, Reader, Store, StoreError, StoreOptions};

use crate::{ChannelChoice, Channels, LossCause, Reached, Recorder, RecorderStatus, StatusHandle, StopFlag};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const OPTIONS: StoreOptions =
    StoreOptions { segment_bytes: ByteCount(1 << 20), ..StoreOptions::with_max_bytes(ByteCount(256 << 20)) };

const BEGINNING: WallTime = WallTime::from_unix_micros(0);
const END: WallTime = WallTime::from_unix_micros(i64::MAX / 4);

fn scratch() -> tempfile::TempDir {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() }.unwrap()
}

/// A camera that publishes into a ring.
struct Camera {
    publisher: Publisher,
    stream: StreamId,
    next: i64,
    /// At least so large are units.
    unit_bytes: usize,
}

impl Camera {
    fn new(bus: &Path, channel: u16, kind: StreamKind) -> Self {
        let stream = StreamId::new(ChannelId::new(channel).unwrap(), kind);
        let format = if kind == StreamKind::Audio {
            StreamFormat::Audio(AudioFormat {
                codec: AudioCodec::G711U,
                sample_rate: 8000,
                channels: 1,
                config: Vec::new(),
            })
        } else {
            StreamFormat::Video(VideoCodec::H264)
        };
        let spec = RingSpec { payload_bytes: 4 << 20, slots: 1024 };
        let publisher = Publisher::create(bus, stream, &format, spec).unwrap();
        Self { publisher, stream, next: 0, unit_bytes: 0 }
    }

    /// Channel 1 in a ring of another size.
    fn in_ring(bus: &Path, spec: RingSpec) -> Self {
        let stream = sub_main(1);
        let publisher = Publisher::create(bus, stream, &StreamFormat::Video(VideoCodec::H264), spec).unwrap();
        Self { publisher, stream, next: 0, unit_bytes: 0 }
    }

    fn bytes(stream: StreamId, number: i64) -> Vec<u8> {
        let body = |byte: u8| vec![byte | 1; 400 + number as usize % 700];
        if stream.kind == StreamKind::Audio {
            return body(number as u8);
        }
        let mut unit = Vec::new();
        if number % 20 == 0 {
            unit.extend_from_slice(b"\0\0\0\x01\x67\x64\x00\x1f\xac\0\0\0\x01\x68\xee\x3c\x80");
        }
        unit.extend_from_slice(&[0, 0, 0, 1, if number % 20 == 0 { 0x65 } else { 0x41 }]);
        unit.extend_from_slice(&body(number as u8));
        unit
    }

    /// 10 units a second on its own timeline, whatever the wall clock says.
    fn publish(&mut self, count: i64) {
        for _ in 0..count {
            let number = self.next;
            self.next += 1;
            let mut data = Self::bytes(self.stream, number);
            data.resize(data.len().max(self.unit_bytes), 1);
            self.publisher
                .publish(&AccessUnit {
                    stream: self.stream,
                    pts: Pts90k(number * 9_000),
                    wall: WallTime::from_unix_micros(1_795_168_800_000_000 + number * 100_000),
                    keyframe: self.stream.kind == StreamKind::Audio || number % 20 == 0,
                    discontinuity: false,
                    data: &data,
                })
                .unwrap();
        }
    }
}

struct Running {
    status: StatusHandle,
    stop: StopFlag,
    thread: JoinHandle<Result<(), StoreError>>,
}

fn start(bus: &Path, store: Store) -> Running {
    run(Recorder::new(bus, store, Arc::new(SystemClock::new())))
}

fn run(recorder: Recorder) -> Running {
    let (status, stop) = (recorder.status(), StopFlag::new());
    let flag = stop.clone();
    let thread = std::thread::spawn(move || recorder.run(&flag));
    Running { status, stop, thread }
}

fn open(dir: &Path) -> Store {
    Store::open(dir, OPTIONS, &Keys::NONE, Arc::new(SystemClock::new())).unwrap().0
}

impl Running {
    #[track_caller]
    fn until(&self, what: &str, done: impl Fn(&RecorderStatus) -> bool) -> RecorderStatus {
        wait_until(what, || Some(self.status.get()).filter(|status| done(status)))
    }

    fn end(self) {
        self.stop.stop();
        self.thread.join().unwrap().unwrap();
    }
}

/// Asks again and again: the recorder has no event that tells of its figures.
#[track_caller]
fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let clock = SystemClock::new();
    let begun = clock.mono();
    while clock.mono().since(begun) < PATIENCE {
        if let Some(answer) = ask() {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("waited for {what} in vain");
}

/// Every unit from number 0 on is there once, bit-exact and in order.
#[track_caller]
fn assert_all(volume: &Path, stream: StreamId, count: i64) {
    let reader = Reader::open(volume, &Keys::NONE).unwrap();
    let units: Vec<_> = reader.units(stream, BEGINNING, END).unwrap().map(Result::unwrap).collect();
    for (number, unit) in units.iter().enumerate() {
        assert_eq!(unit.pts, Pts90k(number as i64 * 9_000), "{stream}: unit {number}");
        let sent = Camera::bytes(stream, number as i64);
        let coded =
            &sent[sent.len() - (unit.data.len() - if stream.kind == StreamKind::Audio { 0 } else { 4 })..];
        assert!(unit.data.ends_with(coded), "{stream}: unit {number}");
    }
    assert_eq!(units.len() as i64, count, "{stream}");
    assert_eq!(reader.runs(stream, BEGINNING, END).unwrap().len(), 1);
}

#[test]
fn records_rings_as_they_appear_and_seals_at_the_end() {
    let (bus, volume) = (scratch(), scratch());
    let mut front = Camera::new(bus.path(), 1, StreamKind::Main);
    let mut sound = Camera::new(bus.path(), 1, StreamKind::Audio);
    // The pre-record buffer: all of this is from before the recorder ran.
    front.publish(100);
    sound.publish(100);
    let running = start(bus.path(), open(volume.path()));
    running.until("what was in the rings", |status| status.committed.0 > 80_000);
    let mut gate = Camera::new(bus.path(), 7, StreamKind::Main);
    let mut sub = Camera::new(bus.path(), 7, StreamKind::Sub);
    gate.publish(50);
    sub.publish(50);
    front.publish(30);
    let status = running.until("the new ring", |status| {
        status.streams.get(&gate.stream).is_some_and(|figures| figures.units == 50)
            && status.streams[&front.stream].units == 130
    });
    assert!(!status.streams.contains_key(&sub.stream), "sub streams are not recorded");
    assert!(status.streams.values().all(|figures| figures.present && figures.lost_gops == 0));
    assert_eq!(status.last_error, None);
    // A publisher that ends and begins again.
    drop(gate);
    running.until("the ring's end", |status| !status.streams[&sub_main(7)].present);
    front.publish(1);
    running.end();
    assert_all(volume.path(), front.stream, 131);
    assert_all(volume.path(), sound.stream, 100);
    assert_all(volume.path(), sub_main(7), 50);
    let report = store::check(volume.path(), &Keys::NONE).unwrap();
    assert!(report.is_clean() && report.notes.is_empty(), "{report:#?}");
    assert!(store::list(volume.path()).unwrap().segments.iter().all(|segment| segment.sealed));

    // Again, on the same rings: nothing comes twice.
    let running = start(bus.path(), open(volume.path()));
    front.publish(9);
    running.until("what is new", |status| status.streams.get(&front.stream).is_some_and(|it| it.units == 9));
    running.end();
    assert_all(volume.path(), front.stream, 140);
    assert_all(volume.path(), sound.stream, 100);
}

fn sub_main(channel: u16) -> StreamId {
    StreamId::new(ChannelId::new(channel).unwrap(), StreamKind::Main)
}

#[test]
fn a_failing_disk_is_told_and_loses_nothing_that_the_rings_keep() {
    for (fault, kind) in [(Fault::Enospc, ErrorKind::DiskFull), (Fault::Eio, ErrorKind::Io)] {
        let (bus, volume) = (scratch(), scratch());
        let disk = FaultDisk::new(Loss::Everything);
        let clock = Arc::new(SystemClock::new());
        let (store, _) =
            Store::open_on(Arc::new(disk.clone()), volume.path(), OPTIONS, &Keys::NONE, clock).unwrap();
        let mut camera = Camera::new(bus.path(), 1, StreamKind::Main);
        camera.publish(60);
        let running = start(bus.path(), store);
        running.until("the first commit", |status| status.committed.0 > 0);
        disk.fail_next(u64::MAX, fault);
        camera.publish(60);
        let status = running.until("the failure", |status| status.failed_commits >= 2);
        assert_eq!(status.last_error_kind, Some(kind), "{:?}", status.last_error);
        assert!(status.last_error.unwrap().contains("segments"));
        disk.heal();
        let before = status.commits;
        let status = running.until("the recovery", |status| status.commits > before + 1);
        assert_eq!(status.last_error, None);
        camera.publish(10);
        running.end();
        assert_all(volume.path(), camera.stream, 130);
    }
}

#[test]
fn what_a_ring_lost_is_counted() {
    let (bus, volume) = (scratch(), scratch());
    let mut camera = Camera::new(bus.path(), 1, StreamKind::Main);
    camera.publish(20);
    let disk = FaultDisk::new(Loss::Everything);
    let clock = Arc::new(SystemClock::new());
    let options = StoreOptions {
        segment_bytes: ByteCount(64 << 20),
        ..StoreOptions::with_max_bytes(ByteCount(256 << 20))
    };
    let (store, _) =
        Store::open_on(Arc::new(disk.clone()), volume.path(), options, &Keys::NONE, clock).unwrap();
    let recorder = Recorder::new(bus.path(), store, Arc::new(SystemClock::new()));
    let losses = recorder.losses();
    let running = run(recorder);
    running.until("the first commit", |status| status.committed.0 > 0);
    // Far more than the ring holds, in one go.
    disk.fail_next(u64::MAX, Fault::Enospc);
    camera.publish(60_000);
    let status = running.until("the loss", |status| status.streams[&camera.stream].lost_gops > 0);
    assert!(status.streams[&camera.stream].lost_units > 100);
    disk.heal();
    // What comes next ends it.
    camera.publish(20);
    let status = running.until("the end of the ring", |status| {
        let figures = &status.streams[&camera.stream];
        figures.units + figures.lost_units == camera.next as u64
    });
    let figures = &status.streams[&camera.stream];
    let lost = losses.take();
    assert_eq!(lost.iter().map(|loss| loss.units).sum::<u64>(), figures.lost_units);
    for loss in &lost {
        assert_eq!(loss.stream, camera.stream);
        // From the last unit that is there to the next one.
        let micros = loss.end.micros_since(loss.start);
        assert_eq!(micros, (loss.units as i64 + 1) * 100_000, "{loss:?}");
    }
    running.end();
    assert!(store::check(volume.path(), &Keys::NONE).unwrap().is_clean());
}

#[test]
fn what_a_ring_lost_while_commits_failed_is_the_disk_s_fault_and_else_its_own() {
    for (fails, cause) in [(true, LossCause::DiskFailed), (false, LossCause::Overrun)] {
        let (bus, volume) = (scratch(), scratch());
        let mut camera = Camera::new(bus.path(), 1, StreamKind::Main);
        camera.publish(20);
        let disk = FaultDisk::new(Loss::Everything);
        let clock = Arc::new(SystemClock::new());
        let (store, _) =
            Store::open_on(Arc::new(disk.clone()), volume.path(), OPTIONS, &Keys::NONE, clock).unwrap();
        let recorder = Recorder::new(bus.path(), store, Arc::new(SystemClock::new()));
        let (losses, stall) = (recorder.losses(), disk.stall_at(disk.operations()));
        if fails {
            disk.fail_at(disk.operations(), Fault::Enospc);
        }
        let running = run(recorder);
        stall.wait();
        // The ring has 1024 slots.
        camera.publish(3000);
        drop(stall);
        camera.publish(20);
        running.until("the end of the ring", |status| {
            let figures = &status.streams[&camera.stream];
            figures.units + figures.lost_units == camera.next as u64
        });
        let lost = losses.take();
        assert!(!lost.is_empty() && lost.iter().all(|loss| loss.cause == cause), "{lost:?}");
        running.end();
    }
}

/// Twenty times as fast as others.
struct Hurried(SystemClock);

impl Clock for Hurried {
    fn mono(&self) -> MonoTime {
        MonoTime::default() + 20 * self.0.mono().since(MonoTime::default())
    }

    fn wall(&self) -> WallTime {
        self.0.wall()
    }
}

#[test]
fn a_camera_that_sends_nothing_for_a_while_is_a_loss() {
    let (bus, volume) = (scratch(), scratch());
    let mut camera = Camera::new(bus.path(), 1, StreamKind::Main);
    camera.publish(20);
    let recorder = Recorder::new(bus.path(), open(volume.path()), Arc::new(Hurried(SystemClock::new())));
    let losses = recorder.losses();
    let running = run(recorder);
    let begun = running.until("the first commit", |status| status.committed.0 > 0).commits;
    // It looks for units as often as it commits, and each look is five seconds of its clock later.
    running.until("some more looks", |status| status.commits >= begun + 4);
    camera.publish(20);
    running.until("the rest", |status| status.streams[&camera.stream].units == 40);
    let lost = losses.take();
    let [loss] = &lost[..] else { panic!("{lost:?}") };
    assert_eq!((loss.stream, loss.cause, loss.units), (camera.stream, LossCause::Silence, 0));
    assert_eq!(loss.end.micros_since(loss.start), 100_000, "from unit to unit, whatever their times");
    running.end();
}

#[test]
fn others_have_things_done_with_the_store_between_two_drains() {
    let (bus, volume) = (scratch(), scratch());
    let mut camera = Camera::new(bus.path(), 1, StreamKind::Main);
    camera.publish(20);
    let recorder = Recorder::new(bus.path(), open(volume.path()), Arc::new(SystemClock::new()));
    let desk = recorder.desk();
    let running = run(recorder);
    running.until("the first commit", |status| status.committed.0 > 0);
    let (answer, answered) = std::sync::mpsc::sync_channel(1);
    let stream = camera.stream;
    assert!(desk.order(move |store| {
        let at = |micros: i64| WallTime::from_unix_micros(1_795_168_800_000_000 + micros);
        let locked = store.lock(&[stream], at(0), at(500_000), "", "ann").map(|(lock, _)| lock.id);
        let _ = answer.send(locked.unwrap());
    }));
    assert_eq!(answered.recv_timeout(PATIENCE).unwrap(), 1);
    running.end();
    assert_eq!(open(volume.path()).locks().len(), 1);
}

#[test]
fn a_stream_goes_on_in_another_class_with_a_keyframe_that_it_is_asked_for() {
    let (bus, volume) = (scratch(), scratch());
    let mut camera = Camera::new(bus.path(), 1, StreamKind::Main);
    let mut sound = Camera::new(bus.path(), 1, StreamKind::Audio);
    camera.publish(20);
    sound.publish(20);
    let recorder = Recorder::new(bus.path(), open(volume.path()), Arc::new(SystemClock::new()));
    let desk = recorder.desk();
    let running = run(recorder);
    let streams = [camera.stream, sound.stream];
    let has = |count| {
        running.until("its footage", |status| {
            streams.iter().all(|stream| status.streams.get(stream).is_some_and(|it| it.units == count))
        })
    };
    let _ = has(20);
    let _ = camera.publisher.take_keyframe_request();
    let event = Class::new(5).unwrap();
    for (class, count) in [(event, 40), (Class::DEFAULT, 60)] {
        assert!(desk.order(move |store| streams.iter().for_each(|stream| store.set_class(*stream, class))));
        wait_until("the wish for a keyframe", || camera.publisher.take_keyframe_request().then_some(()));
        // It comes as it was wished.
        assert_eq!(camera.next % 20, 0);
        camera.publish(20);
        sound.publish(20);
        let _ = has(count);
    }
    running.end();
    let classes: BTreeMap<u64, Class> = store::list(volume.path())
        .unwrap()
        .segments
        .iter()
        .map(|segment| (segment.segment, segment.class))
        .collect();
    for chunk in store::chunks(volume.path()).unwrap() {
        let micros = chunk.start.as_unix_micros() - 1_795_168_800_000_000;
        let is_event = (2_000_000..4_000_000).contains(&micros);
        assert_eq!(classes[&chunk.segment] == event, is_event, "{chunk:?}");
    }
    for stream in streams {
        assert_all(volume.path(), stream, 60);
    }
    assert!(store::check(volume.path(), &Keys::NONE).unwrap().is_clean());
}

const BUS: &str = "CANDOR_RECORDER_TEST_BUS";
const VOLUME: &str = "CANDOR_RECORDER_TEST_VOLUME";

/// The recording process, until it is killed.
#[test]
#[ignore = "started by the test below"]
fn child() {
    let (Some(bus), Some(volume)) = (std::env::var_os(BUS), std::env::var_os(VOLUME)) else { return };
    let recorder = Recorder::new(bus.as_ref(), open(volume.as_ref()), Arc::new(SystemClock::new()));
    recorder.run(&StopFlag::new()).unwrap();
}

#[test]
fn a_killed_recorder_loses_nothing_that_is_still_in_the_rings() {
    let (bus, volume) = (scratch(), scratch());
    let mut camera = Camera::new(bus.path(), 1, StreamKind::Main);
    let mut sound = Camera::new(bus.path(), 1, StreamKind::Audio);
    for life in 1..=4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "tests::child"])
            .env(BUS, bus.path())
            .env(VOLUME, volume.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        camera.publish(40);
        sound.publish(40);
        // Something of this life is durable; what comes after it is in memory or in the ring at the kill.
        let already = camera.next - 40;
        wait_until("a commit", || {
            let (_, end) = Reader::open(volume.path(), &Keys::NONE).ok()?.bounds(camera.stream).ok()??;
            (end.as_unix_micros() > 1_795_168_800_000_000 + already * 100_000).then_some(())
        });
        camera.publish(25 + life);
        sound.publish(25);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let running = start(bus.path(), open(volume.path()));
    running.until("the rest", |status| status.last_durable.is_some() && status.streams.len() == 2);
    running.end();
    assert_all(volume.path(), camera.stream, camera.next);
    assert_all(volume.path(), sound.stream, sound.next);
    assert!(store::check(volume.path(), &Keys::NONE).unwrap().is_clean());
}
