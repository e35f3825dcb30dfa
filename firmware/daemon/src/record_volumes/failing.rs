//! Two volumes on disks that fail or hang: what goes on, who waits, who hears.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bus::{Publisher, RingSpec};
use hal::{
    AccessUnit, ByteCount, Clock, Pts90k, StreamFormat, StreamId, StreamKind, SystemClock, VideoCodec,
    WallTime,
};
use hal_sim::SimClock;
use ledger::{Event, LossReason};
use recorder::{Reached, RecorderStatus};
use store::faults::{Fault, FaultDisk, Loss, Stall};

use super::*;
use crate::footage_keys::{FootageKeys, SecretText};
use crate::loss_tally::LossTally;
use crate::messages::{LostBy, VolumeStatus};
use crate::notary::Books;
use crate::record_ledger::RecordLedger;
use crate::settings::Channel;
use crate::volume_life::NO_ANSWER;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
const START: WallTime = WallTime::from_unix_micros(1_795_168_800_000_000);
const BEGINNING: WallTime = WallTime::from_unix_micros(0);
const END: WallTime = WallTime::from_unix_micros(i64::MAX / 4);
/// Pictures ten times a second, of 5000 bytes: 400 kbit/s.
const PICTURE: Duration = Duration::from_millis(100);
/// 13 s of that, as a ring of 4 Mbit/s holds.
const RING: RingSpec = RingSpec { payload_bytes: 640 << 10, slots: 1024 };
const CHANNELS: u16 = 4;

struct Camera {
    ring: Publisher,
    stream: StreamId,
    next: i64,
}

impl Camera {
    fn new(bus: &Path, channel: u16, ring: RingSpec) -> Self {
        let stream = StreamId::new(ChannelId::new(channel).unwrap(), StreamKind::Main);
        let format = StreamFormat::Video(VideoCodec::H264);
        Self { ring: Publisher::create(bus, stream, &format, ring).unwrap(), stream, next: 0 }
    }

    fn publish(&mut self, bytes: usize) {
        let number = self.next;
        self.next += 1;
        let keyframe = number % 10 == 0;
        let mut data = Vec::new();
        if keyframe {
            data.extend_from_slice(b"\0\0\0\x01\x67\x64\x00\x1f\xac\0\0\0\x01\x68\xee\x3c\x80");
        }
        data.extend_from_slice(&[0, 0, 0, 1, if keyframe { 0x65 } else { 0x41 }]);
        data.resize(data.len() + bytes, number as u8 | 1);
        let unit = AccessUnit {
            stream: self.stream,
            pts: Pts90k(number * 9_000),
            wall: START.offset_micros(number * PICTURE.as_micros() as i64),
            keyframe,
            discontinuity: false,
            data: &data,
        };
        self.ring.publish(&unit).unwrap();
    }
}

struct Bench {
    dir: tempfile::TempDir,
    clock: Arc<SimClock>,
    disks: [FaultDisk; 2],
    cameras: Vec<Camera>,
    wanted: Channels,
    volumes: RecordVolumes,
    shelf: Arc<Shelf>,
    ledger: Arc<RecordLedger>,
}

impl Bench {
    fn new(ring: RingSpec) -> Self {
        let shared = Path::new("/dev/shm");
        let dir = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() }.unwrap();
        let run_dir = dir.path().join("run");
        std::fs::create_dir_all(&run_dir).unwrap();
        let clock = Arc::new(SimClock::new(START));
        let disks = [FaultDisk::new(Loss::Everything), FaultDisk::new(Loss::Everything)];
        let key = crate::messages::LedgerKey { recorder: "0123abcd".to_owned(), seed: [7; 32] };
        let ledger = Arc::new(RecordLedger::new(key, Arc::clone(&clock) as Arc<dyn Clock>));
        ledger.move_to(Some(dir.path().join("ledger")));
        let (of_volumes, first) = (disks.clone(), volume(dir.path(), 0));
        let ground = Ground {
            pending_bytes: ByteCount(16 << 20),
            run_dir: run_dir.clone(),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            disks: Arc::new(move |at| Arc::new(of_volumes[usize::from(at != first)].clone())),
            books: Some(Books::new(Arc::clone(&ledger)).unwrap()),
            tally: LossTally::default(),
            reached: Reached::default(),
            wake: Arc::new(|| {}),
        };
        let shelf = Arc::<Shelf>::default();
        let with = (Arc::clone(&shelf), FootageLocks::default());
        let mut volumes = RecordVolumes::new(ground, Storage::default(), FootageKeys::default(), with);
        volumes.move_to(vec![place(dir.path(), 0), place(dir.path(), 1)]);
        let cameras = (1..=CHANNELS).map(|channel| Camera::new(&run_dir, channel, ring)).collect();
        let wanted = (1..=CHANNELS).filter_map(ChannelId::new).collect();
        Self { dir, clock, disks, cameras, wanted, volumes, shelf, ledger }
    }

    /// Both are open, and have some seconds of all channels.
    fn recording() -> Self {
        Self::recording_from(RING)
    }

    fn recording_from(ring: RingSpec) -> Self {
        let mut bench = Self::new(ring);
        bench.until("both volumes", |bench| bench.shares() == [2, 2]);
        bench.pass(Duration::from_secs(3), &[0, 1]);
        bench
    }

    fn look(&mut self) {
        self.volumes.look_after(&self.wanted);
    }

    /// Looks again and again, as the role does, while no time passes.
    #[track_caller]
    fn until(&mut self, what: &str, done: impl Fn(&mut Self) -> bool) {
        let patience = SystemClock::new();
        let begun = patience.mono();
        while !done(self) {
            let figures = || self.volumes.volumes.iter().map(RecordVolume::figures).collect::<Vec<_>>();
            assert!(patience.mono().since(begun) < PATIENCE, "waited for {what} in vain: {:#?}", figures());
            std::thread::sleep(Duration::from_millis(5));
            self.look();
        }
    }

    /// The cameras send for so long, a second at once; then the disks that are `well` have taken what they have to.
    #[track_caller]
    fn pass(&mut self, span: Duration, well: &[usize]) {
        self.pass_in_steps_of(Duration::from_secs(1), span, well);
    }

    #[track_caller]
    fn pass_in_steps_of(&mut self, step: Duration, span: Duration, well: &[usize]) {
        let mut passed = Duration::ZERO;
        while passed < span {
            passed += step;
            let mut sent = Duration::ZERO;
            while sent < step {
                self.cameras.iter_mut().for_each(|camera| camera.publish(5000));
                sent += PICTURE;
            }
            self.clock.advance(step);
            self.look();
            self.until("what was sent", |bench| bench.is_taken(well));
        }
    }

    fn is_taken(&self, well: &[usize]) -> bool {
        well.iter().all(|&number| {
            let volume = &self.volumes.volumes[number];
            let (Some(status), channels) = (volume.figures(), volume.channels()) else { return false };
            let newest =
                |camera: &Camera| START.offset_micros((camera.next - 1) * PICTURE.as_micros() as i64);
            self.cameras.iter().filter(|camera| channels.contains(&camera.stream.channel)).all(|camera| {
                status.streams.get(&camera.stream).is_some_and(|it| it.last_unit == Some(newest(camera)))
            })
        })
    }

    fn shares(&mut self) -> Vec<usize> {
        self.volumes.volumes.iter().map(|volume| volume.channels().len()).collect()
    }

    fn status(&self, number: usize) -> VolumeStatus {
        self.volumes.status().volumes.swap_remove(number)
    }

    fn figures(&self, of: impl Fn(&RecorderStatus) -> u64) -> Vec<u64> {
        self.volumes.volumes.iter().map(|volume| volume.figures().map_or(0, |figures| of(&figures))).collect()
    }

    /// What was taken becomes durable.
    #[track_caller]
    fn commit(&mut self) {
        let commits = |bench: &Self| bench.figures(|figures| figures.commits);
        let before = commits(self);
        self.clock.advance(Duration::from_secs(2));
        self.until("a commit", |bench| commits(bench).iter().zip(&before).all(|(now, then)| now > then));
    }

    /// Every picture so far can be read, once and in order, from one volume or the other.
    #[track_caller]
    fn assert_all(&mut self) {
        self.commit();
        let reader = self.shelf.reader().unwrap();
        for camera in &self.cameras {
            let units = reader.units(camera.stream, BEGINNING, END).unwrap();
            let numbers: Vec<i64> = units.map(|unit| unit.unwrap().pts.0 / 9_000).collect();
            assert_eq!(numbers, (0..camera.next).collect::<Vec<_>>(), "{}", camera.stream);
            assert_eq!(reader.runs(camera.stream, BEGINNING, END).unwrap().len(), 1);
        }
    }

    /// All is durable, closed and written down: what the ledger tells of losses and failures, in order.
    fn end(self) -> Vec<Event> {
        self.volumes.close(PATIENCE).unwrap();
        // What was noted before is written with it.
        self.ledger.keep(&Event::RecorderStopped).unwrap();
        let leaves = self.ledger.leaves(None, 1000).unwrap();
        let events = leaves.iter().rev().map(|(_, leaf)| ledger::Leaf::decode(leaf).unwrap().event);
        events
            .filter(|event| matches!(event, Event::FootageLost { .. } | Event::VolumeFailed { .. }))
            .collect()
    }
}

fn volume(dir: &Path, number: usize) -> PathBuf {
    dir.join(["first", "second"][number]).join("volume")
}

fn place(dir: &Path, number: usize) -> Place {
    Place {
        dir: Some(volume(dir, number)),
        generation: number as u32,
        capacity_bytes: Some(64 << 20),
        ..Place::default()
    }
}

/// Its channels go on on the other volume, and come back when it was well for a minute; nothing is missing.
#[track_caller]
fn one_of_two_fails(fail: impl FnOnce(&FaultDisk) -> Option<Stall>, disk: DiskState, error: &str) {
    let mut bench = Bench::recording();
    let stall = fail(&bench.disks[0]);
    // Not in a moment: each move costs.
    bench.pass(Duration::from_secs(2), &[1]);
    assert_eq!(bench.shares(), [2, 2]);
    // What the rings hold is enough for this.
    let mut more = 0;
    while bench.shares() != [0, 4] {
        more += 1;
        assert!(more < 8, "8 s more");
        bench.pass(Duration::from_secs(1), &[1]);
    }
    let status = bench.status(0);
    assert_eq!(status.disk, disk);
    assert!(status.error.contains(error), "{}", status.error);
    assert_eq!(bench.volumes.status().recording.len(), 4);
    bench.disks[0].heal();
    drop(stall);
    bench.until("the end of the failure", |bench| {
        // Commits are tried each second.
        bench.clock.advance(Duration::from_millis(10));
        bench.status(0).disk == DiskState::Ok
    });
    bench.pass_in_steps_of(Duration::from_secs(4), Duration::from_secs(56), &[1]);
    assert_eq!(bench.shares(), [0, 4], "it was well for less than a minute");
    bench.pass_in_steps_of(Duration::from_secs(4), Duration::from_secs(8), &[1]);
    assert_eq!(bench.shares(), [2, 2]);
    bench.pass(Duration::from_secs(2), &[0, 1]);
    bench.assert_all();
    let told = bench.end();
    assert!(matches!(&told[..], [Event::VolumeFailed { .. }]), "{told:?}");
}

#[test]
fn a_disk_that_fails_to_write() {
    let fail = |disk: &FaultDisk| {
        disk.fail_next(u64::MAX, Fault::WriteEio);
        None
    };
    one_of_two_fails(fail, DiskState::Failed, "cannot be written");
}

#[test]
fn a_disk_that_fails_to_make_it_durable() {
    let fail = |disk: &FaultDisk| {
        disk.fail_next(u64::MAX, Fault::SyncEio);
        None
    };
    one_of_two_fails(fail, DiskState::Failed, "durable");
}

#[test]
fn a_disk_that_became_read_only() {
    let fail = |disk: &FaultDisk| {
        disk.fail_next(u64::MAX, Fault::ReadOnly);
        None
    };
    one_of_two_fails(fail, DiskState::Unwritable, "Read-only");
}

#[test]
fn a_disk_that_is_full() {
    let fail = |disk: &FaultDisk| {
        disk.fail_next(u64::MAX, Fault::Enospc);
        None
    };
    one_of_two_fails(fail, DiskState::Full, "No space");
}

#[test]
fn a_disk_that_hangs_while_it_commits() {
    let fail = |disk: &FaultDisk| Some(disk.stall_at(disk.operations()));
    one_of_two_fails(fail, DiskState::Failed, NO_ANSWER);
}

#[test]
fn a_disk_that_hung_is_told_the_rules_of_now() {
    let mut bench = Bench::recording();
    let stall = bench.disks[0].stall_at(bench.disks[0].operations());
    bench.pass(Duration::from_secs(2), &[1]);
    stall.wait();
    // More than waits for it at most.
    for days in 1..=100 {
        let channel = |number| Channel {
            number,
            title: String::new(),
            keep_days: Some(days),
            keep_event_days: None,
            input: None,
            camera: None,
        };
        let channels: Vec<Channel> = bench.wanted.iter().map(|number| channel(*number)).collect();
        bench.volumes.keep(Keeping::of(&channels, &Channels::new()));
    }
    drop(stall);
    bench.pass(Duration::from_secs(10), &[0, 1]);
    for number in [0, 1] {
        let rules = bench.status(number).retention;
        assert!(rules.iter().any(|rule| rule.keep_days == Some(100)), "{number}: {rules:?}");
    }
    assert_eq!(bench.end(), []);
}

#[test]
fn a_moment_s_failure_moves_nothing() {
    let mut bench = Bench::recording();
    bench.disks[0].fail_next(u64::MAX, Fault::Eio);
    bench.pass(Duration::from_secs(1), &[1]);
    bench.until("the first to fail", |bench| bench.figures(|figures| figures.failed_commits)[0] > 0);
    bench.disks[0].heal();
    // Which it does again well before it counts as failing.
    let commits = bench.figures(|figures| figures.commits)[0];
    bench.clock.advance(Duration::from_secs(1));
    bench.until("a commit", |bench| bench.figures(|figures| figures.commits)[0] > commits);
    bench.pass(Duration::from_secs(4), &[0, 1]);
    assert_eq!(bench.shares(), [2, 2]);
    bench.assert_all();
    assert_eq!(bench.end(), []);
}

#[test]
fn a_disk_that_hangs_while_it_is_opened() {
    let mut bench = Bench::new(RING);
    let stall = bench.disks[0].stall_at(0);
    bench.look();
    stall.wait();
    bench.until("the other volume", |bench| bench.shelf.len() == 1);
    assert_eq!(bench.shares(), [0, 0], "in a moment there may be two");
    bench.clock.advance(Duration::from_secs(5));
    bench.look();
    assert_eq!(bench.shares(), [0, 4]);
    bench.pass(Duration::from_secs(5), &[1]);
    let status = bench.status(0);
    assert_eq!((status.disk, status.error.as_str()), (DiskState::Failed, NO_ANSWER));
    assert_eq!(bench.status(1).disk, DiskState::Ok);
    // What people order of it is not waited for, either.
    let (answer, answered) = std::sync::mpsc::sync_channel(1);
    let path = volume(bench.dir.path(), 0).display().to_string();
    bench.volumes.follow(VolumeOrder { path, act: VolumeAct::Unlock(SecretText(String::new())), answer });
    assert!(answered.try_recv().is_ok());
    drop(stall);
    bench.until("the first volume", |bench| bench.shelf.len() == 2);
    assert_eq!(bench.shares(), [0, 4]);
    bench.pass_in_steps_of(Duration::from_secs(4), Duration::from_secs(64), &[1]);
    assert_eq!(bench.shares(), [2, 2]);
    bench.assert_all();
    assert_eq!(bench.end(), []);
}

#[test]
fn a_disk_that_hangs_while_it_is_closed() {
    let mut bench = Bench::recording();
    let stall = bench.disks[0].stall_at(bench.disks[0].operations());
    let second = place(bench.dir.path(), 1);
    bench.volumes.move_to(vec![second.clone()]);
    bench.pass(Duration::from_secs(3), &[0]);
    stall.wait();
    assert_eq!((bench.shares(), bench.shelf.len()), (vec![4], 1));
    // It is not opened beside its own end.
    bench.volumes.move_to(vec![place(bench.dir.path(), 0), second]);
    bench.pass(Duration::from_secs(2), &[1]);
    assert_eq!(bench.shelf.len(), 1);
    drop(stall);
    bench.until("its end and its beginning", |bench| bench.shelf.len() == 2);
    bench.pass(Duration::from_secs(2), &[1]);
    bench.assert_all();
    assert_eq!(bench.end(), []);
}

#[test]
fn a_disk_that_hangs_while_somebody_reads() {
    let mut bench = Bench::recording();
    // So that there is a footer to be read.
    bench.volumes.move_to(Vec::new());
    bench.until("the end of both", |bench| bench.volumes.is_settled());
    bench.volumes.move_to(vec![place(bench.dir.path(), 0), place(bench.dir.path(), 1)]);
    bench.until("both volumes", |bench| bench.shares() == [2, 2]);
    let channels = bench.volumes.volumes[0].channels();
    let stream = StreamId::new(*channels.first().unwrap(), StreamKind::Main);
    let reader = bench.volumes.volumes[0].reader().unwrap();
    let stall = bench.disks[0].stall_reading_at(bench.disks[0].reads());
    let reading =
        std::thread::spawn(move || reader.units(stream, BEGINNING, END).unwrap().map(Result::unwrap).count());
    stall.wait();
    // All that the role does while it goes on.
    bench.pass(Duration::from_secs(3), &[0, 1]);
    assert!(bench.status(0).newest > Some(START.offset_micros(4_000_000)));
    assert_eq!(bench.volumes.status().recording.len(), 4);
    assert!(!reading.is_finished());
    drop(stall);
    assert!(reading.join().unwrap() >= 30);
    assert_eq!(bench.end(), []);
}

#[test]
fn what_neither_disk_took_is_in_the_ledger() {
    let ring = RingSpec { payload_bytes: 4 << 20, ..RING };
    let mut bench = Bench::recording_from(ring);
    let before = bench.cameras[0].next;
    bench.disks.iter().for_each(|disk| disk.fail_next(u64::MAX, Fault::Enospc));
    bench.pass(Duration::from_secs(1), &[]);
    let failures = |bench: &Bench| bench.figures(|figures| figures.failed_commits);
    bench.until("both to fail", |bench| failures(bench).iter().all(|count| *count > 0));
    bench.clock.advance(Duration::from_secs(4));
    bench.look();
    assert_eq!(bench.shares(), [2, 2], "there is no better place");
    // Until there is no room: then a commit is tried with each look at the rings, and nothing is taken.
    let mut is_full = false;
    while !is_full {
        (0..30).for_each(|_| bench.cameras.iter_mut().for_each(|camera| camera.publish(50_000)));
        let before = failures(&bench);
        let full = |bench: &Bench, number: usize| failures(bench)[number] > before[number] + 1;
        bench.until("room, or none", |bench| {
            bench.clock.advance(Duration::from_millis(5));
            (0..2).all(|number| full(bench, number) || bench.is_taken(&[number]))
        });
        is_full = (0..2).all(|number| full(&bench, number));
    }
    // More than the rings hold.
    (0..200).for_each(|_| bench.cameras.iter_mut().for_each(|camera| camera.publish(50_000)));
    bench.disks.iter().for_each(FaultDisk::heal);
    bench.until("what the rings still had", |bench| {
        bench.clock.advance(Duration::from_millis(10));
        bench.is_taken(&[0, 1])
    });
    bench.pass(Duration::from_secs(2), &[0, 1]);
    bench.commit();
    let reader = bench.shelf.reader().unwrap();
    let there = |camera: &Camera| {
        let units = reader.units(camera.stream, BEGINNING, END).unwrap();
        (camera.stream, camera.next as u64, units.map(Result::unwrap).count() as u64)
    };
    let streams: Vec<_> = bench.cameras.iter().map(there).collect();
    let summed = bench.volumes.status().lost;
    let id = |number| store::list(&volume(bench.dir.path(), number)).unwrap().id;
    let ids = [id(0), id(1)];
    drop(reader);
    let told = bench.end();
    for (stream, sent, there) in streams {
        let lost = told.iter().filter_map(|event| match event {
            Event::FootageLost { volume: Some(volume), channel, stream: kind, start, end, units, reason }
                if (*channel, *kind) == (stream.channel, stream.kind) =>
            {
                assert!(ids.contains(&volume.to_string()));
                assert_eq!(*reason, LossReason::DiskFailed);
                // From the last picture that is there to the next one.
                let micros = PICTURE.as_micros() as i64 * (*units as i64 + 1);
                assert_eq!(end.micros_since(*start), micros);
                assert!(*start >= START.offset_micros(before * PICTURE.as_micros() as i64));
                Some(*units)
            }
            _ => None,
        });
        let lost: u64 = lost.sum();
        assert!(lost > 100 && lost + there == sent, "{stream}: {lost} lost, {there} there of {sent}");
        // People see the same.
        let sum = summed.iter().find(|sum| sum.channel == stream.channel).unwrap();
        assert_eq!((sum.stream, sum.cause), (StreamKind::Main, LostBy::DiskFailed));
        assert_eq!(sum.micros, (lost + u64::from(sum.times)) * PICTURE.as_micros() as u64);
    }
    assert_eq!(summed.len(), 4);
    let failed = told.iter().filter(|event| matches!(event, Event::VolumeFailed { .. })).count();
    assert_eq!(failed, 2, "{told:?}");
}

#[test]
fn what_came_while_no_disk_was_there_is_in_the_ledger() {
    let mut bench = Bench::recording();
    bench.commit();
    let before = bench.cameras[0].next as u64;
    bench.volumes.move_to(Vec::new());
    bench.until("the end of both", |bench| bench.volumes.is_settled());
    // More than the rings hold.
    (0..500).for_each(|_| bench.cameras.iter_mut().for_each(|camera| camera.publish(50_000)));
    // Others than before may take the channels.
    bench.volumes.move_to(vec![place(bench.dir.path(), 1), place(bench.dir.path(), 0)]);
    bench.until("both volumes", |bench| bench.shares() == [2, 2]);
    bench.pass(Duration::from_secs(2), &[0, 1]);
    bench.commit();
    let reader = bench.shelf.reader().unwrap();
    let there = |camera: &Camera| reader.units(camera.stream, BEGINNING, END).unwrap().count() as u64;
    let streams: Vec<_> = bench
        .cameras
        .iter()
        .map(|camera| (camera.stream.channel, camera.next as u64, there(camera)))
        .collect();
    let summed = bench.volumes.status().lost;
    drop(reader);
    let told = bench.end();
    for (number, sent, there) in streams {
        let lost: Vec<_> = told
            .iter()
            .filter_map(|event| match event {
                Event::FootageLost { channel, start, units, reason, .. } if *channel == number => {
                    Some((*start, *units, *reason))
                }
                _ => None,
            })
            .collect();
        let newest = START.offset_micros((before as i64 - 1) * PICTURE.as_micros() as i64);
        assert_eq!(lost, [(newest, sent - there, LossReason::DiskFailed)]);
        let sum = summed.iter().find(|sum| sum.channel == number).unwrap();
        assert_eq!((sum.cause, sum.times), (LostBy::DiskFailed, 1));
    }
}
