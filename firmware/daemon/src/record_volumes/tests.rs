//! Volumes come, go, are erased and told of; how disks fail is in `failing`.

mod deletions;

use std::path::Path;

use hal::{
    AccessUnit, ByteCount, Clock, Pts90k, StreamFormat, StreamId, StreamKind, SystemClock, VideoCodec,
    WallTime,
};
use ledger::{Event, Hex, Leaf};
use recorder::Reached;

use super::*;
use crate::footage_keys::SecretText;
use crate::footage_locks::{LockRefusal, LockWish};
use crate::loss_tally::LossTally;
use crate::messages::Encryption;
use crate::notary::Books;
use crate::record_ledger::RecordLedger;
use crate::settings::Channel;

fn on_disk(dir: &Path, generation: u32) -> Place {
    Place { dir: Some(dir.join("volume")), generation, capacity_bytes: Some(256 << 20), ..Place::default() }
}

fn pulled(generation: u32) -> Place {
    let message = "No disk is attached.".to_owned();
    Place { generation, state: DiskState::Missing, message, ..Place::default() }
}

fn wanted(numbers: std::ops::RangeInclusive<u16>) -> Channels {
    numbers.filter_map(ChannelId::new).collect()
}

fn keys(device: u8) -> FootageKeys {
    FootageKeys { device: Some([device; 32]), owner: None }
}

/// Longer than closing takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Bench {
    dir: tempfile::TempDir,
    volumes: RecordVolumes,
    shelf: Arc<Shelf>,
    locks: FootageLocks,
}

impl Bench {
    fn new(mirror: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Arc::<Shelf>::default();
        let locks = FootageLocks::default();
        let storage = Storage { mirror, ..Storage::default() };
        let ground = Ground {
            pending_bytes: ByteCount(16 << 20),
            run_dir: dir.path().join("run"),
            clock: Arc::new(SystemClock::new()),
            disks: Arc::new(|_| Arc::new(store::RealDisk)),
            books: None,
            tally: LossTally::default(),
            reached: Reached::default(),
            wake: Arc::new(|| {}),
        };
        let volumes = RecordVolumes::new(ground, storage, keys(7), (Arc::clone(&shelf), locks.clone()));
        Self { dir, volumes, shelf, locks }
    }

    /// How many volumes run, how many can be read, and the status, when nothing is on its way any more.
    fn look(&mut self) -> (usize, usize, RecordStatus) {
        self.volumes.look_after(&wanted(1..=4));
        while !self.volumes.is_settled() {
            std::thread::yield_now();
            self.volumes.look_after(&wanted(1..=4));
        }
        let running = self.volumes.volumes.iter().filter(|volume| volume.reader().is_some()).count();
        (running, self.shelf.len(), self.volumes.status())
    }

    fn with_ledger() -> (Self, Arc<RecordLedger>) {
        let mut bench = Self::new(false);
        bench.volumes.encrypt(true, keys(7));
        let key = crate::messages::LedgerKey { recorder: "0123abcd".to_owned(), seed: [7; 32] };
        let ledger = Arc::new(RecordLedger::new(key, Arc::new(SystemClock::new())));
        ledger.move_to(Some(bench.dir.path().join("ledger")));
        ledger.look_after();
        bench.volumes.ground.books = Some(Books::new(Arc::clone(&ledger)).unwrap());
        (bench, ledger)
    }

    /// Twenty pictures of channel 1, to be recorded while the ring's publisher lives.
    fn publish_channel_one(&self) -> bus::Publisher {
        let bus = self.dir.path().join("run");
        std::fs::create_dir_all(&bus).unwrap();
        let stream = StreamId::new(ChannelId::new(1).unwrap(), StreamKind::Main);
        let spec = bus::RingSpec { payload_bytes: 1 << 20, slots: 256 };
        let format = StreamFormat::Video(VideoCodec::H264);
        let mut ring = bus::Publisher::create(&bus, stream, &format, spec).unwrap();
        for number in 0..20 {
            let mut data = b"\0\0\0\x01\x67\x64\x00\x1f\xac\0\0\0\x01\x68\xee\x3c\x80\0\0\0\x01\x65".to_vec();
            data.extend([7; 500]);
            let wall = SystemClock::new().wall();
            let pts = Pts90k(number * 9_000);
            let unit = AccessUnit { stream, pts, wall, keyframe: true, discontinuity: false, data: &data };
            ring.publish(&unit).unwrap();
        }
        ring
    }

    fn shares(&mut self) -> Vec<usize> {
        self.volumes.volumes.iter_mut().map(|volume| volume.candidate().channels.len()).collect()
    }
}

#[test]
fn a_disk_comes_goes_and_is_replaced() {
    let mut bench = Bench::new(false);
    let (first, second) = (bench.dir.path().join("first"), bench.dir.path().join("second"));
    bench.volumes.move_to(vec![pulled(0)]);
    let (runs, reads, status) = bench.look();
    assert_eq!((runs, reads, status.disk), (0, 0, DiskState::Missing));
    assert_eq!((status.error.as_str(), status.volumes[0].path.as_str()), ("No disk is attached.", ""));

    bench.volumes.move_to(vec![on_disk(&first, 1)]);
    let (runs, reads, status) = bench.look();
    assert_eq!((runs, reads, status.disk), (1, 1, DiskState::Ok));
    assert_eq!(status.volumes[0].total_bytes, 256 << 20, "the disk is the limit, not the settings");

    bench.volumes.move_to(vec![pulled(1)]);
    let (runs, reads, status) = bench.look();
    assert_eq!((runs, reads, status.disk), (0, 0, DiskState::Missing));

    bench.volumes.move_to(vec![on_disk(&second, 2)]);
    assert_eq!(bench.look().0, 1);
    // The same folder, but another disk in it: it is opened anew, which the first one's lock would not allow twice.
    bench.volumes.move_to(vec![on_disk(&second, 3)]);
    assert!(bench.volumes.volumes[0].reader().is_none());
    assert_eq!(bench.look().0, 1);
    bench.volumes.close(PATIENCE).unwrap();
    assert!(first.join("volume/volume.toml").exists() && second.join("volume/volume.toml").exists());
}

#[test]
fn two_disks_share_the_channels_and_one_takes_all_when_the_other_is_pulled() {
    let mut bench = Bench::new(false);
    let (first, second) = (bench.dir.path().join("first"), bench.dir.path().join("second"));
    bench.volumes.move_to(vec![on_disk(&first, 1), on_disk(&second, 2)]);
    assert_eq!(bench.look().1, 2);
    assert_eq!(bench.shares(), [2, 2]);
    bench.volumes.move_to(vec![on_disk(&second, 2)]);
    assert_eq!(bench.look().1, 1, "the other one was not opened anew");
    assert_eq!(bench.shares(), [4]);
    bench.volumes.close(PATIENCE).unwrap();
}

fn order(volumes: &mut RecordVolumes, path: &Path, act: VolumeAct) -> Result<(), VolumeRefusal> {
    let (answer, answered) = std::sync::mpsc::sync_channel(1);
    volumes.follow(VolumeOrder { path: path.display().to_string(), act, answer });
    loop {
        match answered.try_recv() {
            Ok(answer) => return answer,
            Err(std::sync::mpsc::TryRecvError::Empty) => volumes.look_after(&wanted(1..=4)),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_disk_of_another_recorder_is_opened_with_its_recovery_key_or_erased() {
    let recovery = store::RecoveryKey::generate().unwrap();
    let unlock = || VolumeAct::Unlock(SecretText(recovery.to_text().to_string()));
    let mut first = Bench::new(false);
    let at = first.dir.path().join("disk");
    let owner = Some(*store::OwnerKey::of(&recovery).as_bytes());
    first.volumes.encrypt(true, FootageKeys { device: Some([7; 32]), owner });
    first.volumes.move_to(vec![on_disk(&at, 1)]);
    assert_eq!(first.look().2.volumes[0].encryption, Some(Encryption::Recoverable));
    let volume = at.join("volume");
    assert_eq!(order(&mut first.volumes, &volume, unlock()), Err(VolumeRefusal::NotLocked));
    first.volumes.close(PATIENCE).unwrap();

    let mut other = Bench::new(false);
    other.volumes.encrypt(true, keys(8));
    other.volumes.move_to(vec![on_disk(&at, 1)]);
    let (runs, _, status) = other.look();
    assert_eq!((runs, status.disk), (0, DiskState::Locked));
    assert_eq!(status.volumes[0].encryption, Some(Encryption::Locked));
    let wrong = VolumeAct::Unlock(SecretText(store::RecoveryKey::generate().unwrap().to_text().to_string()));
    assert_eq!(order(&mut other.volumes, &volume, wrong), Err(VolumeRefusal::WrongKey));
    let slip = VolumeAct::Unlock(SecretText("12345".to_owned()));
    assert!(matches!(order(&mut other.volumes, &volume, slip), Err(VolumeRefusal::Mistyped(_))));
    assert_eq!(order(&mut other.volumes, &at, unlock()), Err(VolumeRefusal::NoVolume));
    assert_eq!(order(&mut other.volumes, &volume, unlock()), Ok(()));
    assert_eq!(other.look().2.volumes[0].encryption, Some(Encryption::DeviceOnly), "nobody owns this one");
    // Its own recovery key takes the place of the other one as soon as there is one.
    let owner = Some(*store::OwnerKey::of(&store::RecoveryKey::generate().unwrap()).as_bytes());
    other.volumes.encrypt(true, FootageKeys { device: Some([8; 32]), owner });
    // By the thread that has the disk.
    while other.look().2.volumes[0].encryption != Some(Encryption::Recoverable) {
        std::thread::yield_now();
    }
    let visitor = store::Keys::NONE.and_recovery_key(&recovery);
    assert_eq!(store::check(&volume, &visitor).unwrap().damages, []);
    let before = store::list(&volume).unwrap().id;
    assert_eq!(order(&mut other.volumes, &volume, erase()), Ok(()));
    // The thread that answered may still be ending.
    while other.look().0 == 0 {
        std::thread::yield_now();
    }
    assert_ne!(store::list(&volume).unwrap().id, before);
    other.volumes.close(PATIENCE).unwrap();
}

#[test]
fn a_plain_disk_is_not_erased_and_without_a_kept_key_new_ones_are_plain() {
    let mut bench = Bench::new(false);
    bench.volumes.encrypt(true, FootageKeys::default());
    let at = bench.dir.path().join("disk");
    bench.volumes.move_to(vec![on_disk(&at, 1)]);
    assert_eq!(bench.look().2.volumes[0].encryption, Some(Encryption::Off));
    let refused = order(&mut bench.volumes, &at.join("volume"), erase());
    assert_eq!(refused, Err(VolumeRefusal::NotEncrypted));
    bench.volumes.close(PATIENCE).unwrap();
}

fn erase() -> VolumeAct {
    VolumeAct::Erase { by: "ann".to_owned(), encrypt: None }
}

#[test]
fn what_becomes_of_a_volume_is_in_the_ledger() {
    let (mut bench, ledger) = Bench::with_ledger();
    let _ring = bench.publish_channel_one();
    let disk = bench.dir.path().join("disk");
    let keep_days = Some(7);
    let number = ChannelId::new(1).unwrap();
    let channel =
        Channel { number, title: String::new(), keep_days, keep_event_days: None, input: None, camera: None };
    bench.volumes.keep(Keeping::of(&[channel], &Channels::new()));
    bench.volumes.move_to(vec![on_disk(&disk, 1)]);
    while bench.look().2.volumes[0].newest.is_none() {
        std::thread::yield_now();
    }
    bench.volumes.close(PATIENCE).unwrap();
    ledger.close();

    let leaves = ledger_leaves(&bench.dir.path().join("ledger"));
    let [
        Event::VolumeOpened { volume },
        Event::SegmentSealed { volume: same, segment: 1, class: 3, streams },
        Event::VolumeClosed { volume: also },
    ] = &leaves[..]
    else {
        panic!("{leaves:?}")
    };
    assert!(volume == same && volume == also);
    assert_eq!(volume.to_string(), store::list(&disk.join("volume")).unwrap().id);
    let last = *store::chunks(&disk.join("volume")).unwrap().last().unwrap();
    assert_eq!(streams.len(), 1);
    assert_eq!((streams[0].last_sequence, streams[0].head), (last.sequence, Some(Hex(last.hash))));
}

#[test]
fn erasing_a_volume_is_in_the_ledger_or_is_not_done() {
    let (mut bench, ledger) = Bench::with_ledger();
    let _ring = bench.publish_channel_one();
    let at = bench.dir.path().join("disk");
    let volume = at.join("volume");
    bench.volumes.move_to(vec![on_disk(&at, 1)]);
    while bench.look().2.volumes[0].newest.is_none() {
        std::thread::yield_now();
    }
    let before = store::list(&volume).unwrap().id;
    ledger.move_to(None);
    let refused = order(&mut bench.volumes, &volume, erase());
    assert!(matches!(refused, Err(VolumeRefusal::Failed(_))), "{refused:?}");
    assert_eq!(store::list(&volume).unwrap().id, before);
    ledger.move_to(Some(bench.dir.path().join("ledger")));
    ledger.look_after();
    while bench.look().0 == 0 {
        std::thread::yield_now();
    }
    assert_eq!(order(&mut bench.volumes, &volume, erase()), Ok(()));
    while bench.look().0 == 0 {
        std::thread::yield_now();
    }
    assert_ne!(store::list(&volume).unwrap().id, before);
    ledger.close();
    let leaves = ledger_leaves(&bench.dir.path().join("ledger"));
    let erased = leaves.iter().find_map(|event| match event {
        Event::VolumeErased { volume, by, streams } => Some((volume.to_string(), by.to_string(), streams)),
        _ => None,
    });
    let Some((volume, by, streams)) = erased else { panic!("{leaves:?}") };
    assert_eq!((volume, by.as_str(), streams.len()), (before, "ann", 1));
    assert_eq!(streams[0].channel, ChannelId::new(1).unwrap());
    bench.volumes.close(PATIENCE).unwrap();
}

#[test]
fn a_volume_is_encrypted_as_whoever_had_its_disk_erased_or_formatted_said() {
    let mut bench = Bench::new(false);
    let (first, second) = (bench.dir.path().join("first"), bench.dir.path().join("second"));
    let plain = Place { encrypt: Some(false), ..on_disk(&second, 2) };
    bench.volumes.move_to(vec![on_disk(&first, 1), plain]);
    assert_eq!(bench.look().0, 2);
    let encryption =
        |bench: &mut Bench| bench.look().2.volumes.iter().map(|volume| volume.encryption).collect::<Vec<_>>();
    let (device_only, off) = (Encryption::DeviceOnly, Encryption::Off);
    assert_eq!(encryption(&mut bench), [Some(device_only), Some(off)], "the settings say so; formatted so");
    let erase = |encrypt| VolumeAct::Erase { by: "ann".to_owned(), encrypt };
    assert_eq!(order(&mut bench.volumes, &first.join("volume"), erase(None)), Ok(()));
    while bench.look().0 < 2 {
        std::thread::yield_now();
    }
    assert_eq!(encryption(&mut bench), [Some(device_only), Some(off)]);
    assert_eq!(order(&mut bench.volumes, &first.join("volume"), erase(Some(false))), Ok(()));
    while bench.look().0 < 2 {
        std::thread::yield_now();
    }
    assert_eq!(encryption(&mut bench), [Some(off), Some(off)]);
    bench.volumes.close(PATIENCE).unwrap();
}

#[test]
fn a_disk_is_given_up_whether_the_ledger_can_write_it_down_now_or_later() {
    let (mut bench, ledger) = Bench::with_ledger();
    let _ring = bench.publish_channel_one();
    let at = bench.dir.path().join("disk");
    let volume = at.join("volume");
    let give_up = |by: &str| VolumeAct::GiveUp { by: by.to_owned() };
    assert_eq!(order(&mut bench.volumes, &volume, give_up("ann")), Err(VolumeRefusal::NoVolume));
    bench.volumes.move_to(vec![on_disk(&at, 1)]);
    while bench.look().2.volumes[0].newest.is_none() {
        std::thread::yield_now();
    }
    let id = store::list(&volume).unwrap().id;
    let place = bench.dir.path().join("ledger");
    let told = || -> Vec<(String, String, usize)> {
        let erased = |event| match event {
            Event::VolumeErased { volume, by, streams } => {
                Some((volume.to_string(), by.to_string(), streams.len()))
            }
            _ => None,
        };
        ledger_leaves(&place).into_iter().filter_map(erased).collect()
    };
    assert_eq!(order(&mut bench.volumes, &volume, give_up("ann")), Ok(()));
    assert_eq!(told(), [(id.clone(), "ann".to_owned(), 1)], "on the disk before it is answered");
    // Nothing was done to it yet: whoever formats it does that.
    assert_eq!(bench.look().0, 1);

    // The ledger's disk may be the one that is to be formatted.
    ledger.move_to(None);
    assert_eq!(order(&mut bench.volumes, &volume, give_up("bert")), Ok(()));
    assert_eq!(told().len(), 1);
    ledger.move_to(Some(place.clone()));
    ledger.look_after();
    ledger.close();
    assert_eq!(told()[1..], [(id, "bert".to_owned(), 1)]);
    bench.volumes.close(PATIENCE).unwrap();
}

fn ledger_leaves(place: &Path) -> Vec<Event> {
    let folder = std::fs::read_dir(place).unwrap().flatten().next().unwrap().path();
    let leaves = std::fs::read_to_string(folder.join("leaves-0000000000000000.jsonl")).unwrap();
    leaves.lines().map(|line| Leaf::decode(line.as_bytes()).unwrap().event).collect()
}

#[test]
fn a_lock_is_on_all_disks_or_on_none() {
    let mut bench = Bench::new(false);
    let at = WallTime::from_unix_micros(1_795_168_800_000_000);
    let wish = |channel| LockWish {
        channels: vec![ChannelId::new(channel).unwrap()],
        start: at,
        end: at.offset_micros(60_000_000),
        reason: "a theft".to_owned(),
        by: "ann".to_owned(),
    };
    assert_eq!(bench.locks.lock(wish(1), at), Err(LockRefusal::NoDisk));
    let (first, second) = (bench.dir.path().join("first"), bench.dir.path().join("second"));
    bench.volumes.move_to(vec![on_disk(&first, 1), on_disk(&second, 2)]);
    assert_eq!(bench.look().0, 2);
    let (lock, bytes) = bench.locks.lock(wish(1), at).unwrap();
    // Some seconds earlier, for the keyframe; and nothing is there yet that it could keep.
    assert_eq!((lock.start, lock.end), (at.offset_micros(-10_000_000), at.offset_micros(60_000_000)));
    assert_eq!((lock.id, bytes), (1_795_168_800_000_000, 0));
    let (other, _) = bench.locks.lock(wish(2), at).unwrap();
    assert_eq!(other.id, lock.id + 1, "its own number, in the same moment too");
    assert_eq!(bench.locks.all().unwrap(), [lock.clone(), other.clone()]);

    // One of the disks refuses.
    let in_the_way = second.join("volume/locks.toml.new");
    std::fs::create_dir(&in_the_way).unwrap();
    assert!(matches!(bench.locks.lock(wish(3), at), Err(LockRefusal::Failed(_))));
    std::fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(bench.locks.all().unwrap(), [lock.clone(), other]);
    let never = LockWish { end: at.offset_micros(-1), ..wish(3) };
    assert!(matches!(bench.locks.lock(never, at), Err(LockRefusal::Invalid(_))));

    assert_eq!(bench.locks.unlock(lock.id).unwrap(), lock);
    assert_eq!(bench.locks.unlock(lock.id), Err(LockRefusal::NotFound));
    bench.volumes.close(PATIENCE).unwrap();
    for disk in [&first, &second] {
        let text = std::fs::read_to_string(disk.join("volume/locks.toml")).unwrap();
        assert_eq!(text.matches("[[lock]]").count(), 1, "{text}");
    }
}

#[test]
fn a_disk_that_cannot_be_opened_stops_nobody() {
    let mut bench = Bench::new(true);
    let (first, second) = (bench.dir.path().join("first"), bench.dir.path().join("second"));
    std::fs::create_dir_all(&second).unwrap();
    std::fs::write(second.join("volume"), "no folder").unwrap();
    bench.volumes.move_to(vec![on_disk(&first, 1), on_disk(&second, 2)]);
    let (runs, reads, status) = bench.look();
    assert_eq!((runs, reads), (1, 1));
    assert_ne!(status.disk, DiskState::Ok, "it is said");
    assert_eq!(bench.shares(), [4, 0]);
    bench.volumes.close(PATIENCE).unwrap();
}
