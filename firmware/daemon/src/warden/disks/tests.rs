//! Disks come and go before a kernel made of files.

use std::fs;
use std::sync::{Mutex, PoisonError};

use super::*;

/// What was done, in words.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct FakeHands {
    log: Log,
    dev: PathBuf,
    /// Mounting these fails.
    broken: Vec<&'static str>,
}

impl Log {
    fn say(&self, words: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(words);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Hands for FakeHands {
    fn mount(&mut self, device: &Path, at: &Path) -> Result<u64, String> {
        let name = device.strip_prefix(&self.dev).unwrap().display().to_string();
        self.log.say(format!("mount {name} at {}", at.file_name().unwrap().display()));
        if self.broken.contains(&name.as_str()) { Err("bad superblock".to_owned()) } else { Ok(1 << 30) }
    }

    fn detach(&mut self, at: &Path) {
        self.log.say(format!("detach {}", at.file_name().unwrap().display()));
    }

    fn format(&mut self, disk: &Path, _: u64, _: &Path) -> Result<(), String> {
        self.log.say(format!("format {}", disk.strip_prefix(&self.dev).unwrap().display()));
        fs::write(disk, ours()).map_err(|error| error.to_string())
    }
}

struct Bench {
    dir: tempfile::TempDir,
    disks: Disks<FakeHands>,
    log: Log,
    told: Vec<(Vec<Volume>, Vec<DiskView>)>,
}

fn ours() -> Vec<u8> {
    let mut start = vec![0; 4096];
    start[1080..1082].copy_from_slice(&[0x53, 0xEF]);
    start[1144..1150].copy_from_slice(b"candor");
    start
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let places = DiskPlaces { sys_block: dir.path().join("block"), dev: dir.path().join("dev") };
        fs::create_dir(&places.sys_block).unwrap();
        fs::create_dir(&places.dev).unwrap();
        let log = Log::default();
        let hands = FakeHands { log: log.clone(), dev: places.dev.clone(), broken: Vec::new() };
        let disks = Disks::new(places, ["data", "2", "3"].map(|at| dir.path().join(at)).into(), hands);
        Self { dir, disks, log, told: Vec::new() }
    }

    fn plug(&self, name: &str, removable: u8, start: &[u8]) {
        let home = self.dir.path().join("block").join(name);
        fs::create_dir(&home).unwrap();
        fs::write(home.join("size"), "2097152\n").unwrap();
        fs::write(home.join("removable"), format!("{removable}\n")).unwrap();
        fs::write(self.dir.path().join("dev").join(name), start).unwrap();
    }

    fn pull(&self, name: &str) {
        fs::remove_dir_all(self.dir.path().join("block").join(name)).unwrap();
    }

    /// One look; what was done.
    fn look(&mut self) -> Vec<String> {
        self.look_while(&[])
    }

    /// The same, while the volumes of these disks cannot be written.
    fn look_while(&mut self, failing: &[&str]) -> Vec<String> {
        self.told.clear();
        let failing: Vec<PathBuf> = failing.iter().map(|at| self.dir.path().join(at).join(VOLUME)).collect();
        let told = &mut self.told;
        self.disks.look(&failing, &mut |volumes, views| told.push((volumes, views)));
        self.log.take()
    }

    /// The first volume.
    fn volume(&self) -> &Volume {
        &self.volumes()[0]
    }

    fn volumes(&self) -> &[Volume] {
        &self.told.last().unwrap().0
    }

    fn uses(&self) -> Vec<DiskUse> {
        self.told.last().unwrap().1.iter().map(|view| view.state).collect()
    }
}

#[test]
fn ours_is_mounted_once_and_let_go_of_when_pulled() {
    let mut bench = Bench::new();
    assert!(bench.look().is_empty());
    assert_eq!((bench.volume().dir.clone(), bench.volume().state), (None, DiskState::Missing));
    bench.plug("sda", 0, &ours());
    assert_eq!(bench.look(), ["mount sda at data"]);
    let first = bench.volume().clone();
    assert_eq!(first.dir.as_deref(), Some(bench.dir.path().join("data/volume").as_path()));
    assert_eq!(first.capacity_bytes, Some(1 << 30));
    assert!(bench.look().is_empty(), "once is enough");
    bench.pull("sda");
    assert_eq!(bench.look(), ["detach data"]);
    assert_eq!((bench.volume().dir.clone(), bench.volume().state), (None, DiskState::Missing));
    bench.plug("sda", 0, &ours());
    assert_eq!(bench.look(), ["mount sda at data"]);
    assert_ne!(bench.volume().generation, first.generation, "record must open it anew");
}

#[test]
fn a_replacement_in_the_same_moment_is_noticed() {
    let mut bench = Bench::new();
    bench.plug("sda", 0, &ours());
    bench.look();
    let first = bench.volume().generation;
    // The new folder is made before the old one goes, so that it cannot be given the same number.
    bench.plug("sdx", 0, &ours());
    bench.pull("sda");
    fs::rename(bench.dir.path().join("block/sdx"), bench.dir.path().join("block/sda")).unwrap();
    assert_eq!(bench.look(), ["detach data", "mount sda at data"]);
    assert_ne!(bench.volume().generation, first);
    assert!(bench.told[0].0[0].dir.is_none(), "record hears that the old one went");
}

#[test]
fn only_a_blank_fixed_disk_is_formatted_unasked() {
    let mut bench = Bench::new();
    let blank = vec![0; 1 << 20];
    bench.plug("sda", 1, &blank);
    bench.plug("sdb", 0, b"somebody else's");
    assert!(bench.look().is_empty());
    assert_eq!(bench.volume().state, DiskState::Unformatted);
    assert_eq!(bench.uses(), [DiskUse::Unformatted, DiskUse::Unformatted]);
    bench.plug("sdc", 0, &blank);
    assert_eq!(bench.look(), ["format sdc", "mount sdc at data"]);
    assert_eq!(bench.uses(), [DiskUse::Unformatted, DiskUse::Unformatted, DiskUse::Footage]);
    assert!(bench.told[0].1.iter().any(|view| view.state == DiskUse::Formatting));
    bench.plug("sdd", 0, &blank);
    assert_eq!(bench.look(), ["format sdd", "mount sdd at 2"], "a second disk shares the work");
}

#[test]
fn the_owner_has_a_foreign_disk_formatted_but_not_the_one_in_use() {
    let mut bench = Bench::new();
    bench.plug("sda", 0, b"somebody else's");
    bench.look();
    assert!(bench.disks.accept_format("sdz", None).is_err());
    bench.disks.accept_format("sda", None).unwrap();
    assert_eq!(bench.look(), ["format sda", "mount sda at data"]);
    assert!(bench.disks.accept_format("sda", None).is_err());
}

#[test]
fn a_disk_is_encrypted_as_its_owner_said_when_it_was_formatted() {
    let mut bench = Bench::new();
    for (name, choice) in [("sda", Some(false)), ("sdb", Some(true)), ("sdc", None)] {
        bench.plug(name, 0, b"somebody else's");
        bench.look();
        bench.disks.accept_format(name, choice).unwrap();
        bench.look();
        assert_eq!(bench.volumes().last().unwrap().encrypt, choice, "{name}");
    }
    assert_eq!(bench.volume().encrypt, Some(false), "as long as it is here");
    // Another disk in its place is not the one that was meant.
    bench.pull("sda");
    bench.look();
    bench.plug("sda", 0, &ours());
    bench.look();
    assert_eq!(bench.volume().encrypt, None);
}

#[test]
fn a_disk_that_does_not_mount_is_said_and_tried_again_and_another_is_taken() {
    let mut bench = Bench::new();
    bench.disks.hands.broken = vec!["sda"];
    bench.plug("sda", 0, &ours());
    assert_eq!(bench.look(), ["mount sda at data"]);
    assert_eq!(bench.volume().state, DiskState::Failed);
    assert!(bench.volume().message.contains("bad superblock"));
    bench.plug("sdb", 0, &ours());
    assert_eq!(bench.look(), ["mount sdb at data"]);
    assert_eq!(bench.uses(), [DiskUse::Failed, DiskUse::Footage]);
    assert_eq!(bench.volumes().len(), 1);
    bench.pull("sdb");
    bench.disks.hands.broken.clear();
    let mut done = Vec::new();
    for _ in 0..=RETRY_LOOKS {
        done.extend(bench.look());
    }
    assert_eq!(done, ["detach data", "mount sda at data"]);
}

#[test]
fn a_disk_that_cannot_be_written_is_mounted_anew_and_ever_later() {
    let mut bench = Bench::new();
    bench.plug("sda", 0, &ours());
    bench.plug("sdb", 0, &ours());
    bench.look();
    let (first, second) = (bench.volumes()[0].clone(), bench.volumes()[1].clone());
    let mut looks = Vec::new();
    for _ in 0..12 {
        for _ in 1..FAILING_LOOKS {
            assert!(bench.look_while(&["data"]).is_empty(), "it may pass");
        }
        assert!(bench.look().is_empty(), "it passed");
        for _ in 1..FAILING_LOOKS {
            assert!(bench.look_while(&["data"]).is_empty());
        }
        assert_eq!(bench.look_while(&["data"]), ["detach data"]);
        let told = &bench.told[0].0;
        assert_eq!(told[0], second, "record keeps the other one");
        assert_eq!((told.len(), told[1].dir.clone(), told[1].state), (2, None, DiskState::Failed));
        assert!(told[1].message.contains("The disk sda does not work"), "{}", told[1].message);
        assert_eq!(bench.uses(), [DiskUse::Failed, DiskUse::Footage]);
        let mut count = 1;
        loop {
            match bench.look().as_slice() {
                [] if count < 10_000 => count += 1,
                done => {
                    assert_eq!(done, ["mount sda at data"]);
                    break;
                }
            }
        }
        looks.push(count);
        assert_ne!(bench.volumes()[0].generation, first.generation, "record must open it anew");
    }
    assert_eq!(looks, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]);
    // Another attachment of it may be the cure.
    bench.pull("sda");
    bench.look();
    bench.plug("sda", 0, &ours());
    bench.look();
    for _ in 0..FAILING_LOOKS {
        bench.look_while(&["data"]);
    }
    assert!(bench.look().is_empty());
    assert_eq!(bench.look(), ["mount sda at data"]);
}

#[test]
fn several_disks_take_footage_and_one_that_goes_leaves_the_others_alone() {
    let mut bench = Bench::new();
    bench.plug("sda", 0, &ours());
    bench.plug("sdb", 0, &ours());
    bench.plug("sdc", 1, &ours());
    assert_eq!(bench.look(), ["mount sda at data", "mount sdb at 2"]);
    assert_eq!(bench.uses(), [DiskUse::Footage, DiskUse::Footage, DiskUse::Spare], "a stick is for exports");
    let second = bench.volumes()[1].clone();
    bench.pull("sda");
    assert_eq!(bench.look(), ["detach data"]);
    assert_eq!(bench.volumes(), std::slice::from_ref(&second), "it stays as it is, and where it is");
    bench.plug("sdd", 0, &ours());
    assert_eq!(bench.look(), ["mount sdd at data"]);
    assert_eq!(bench.volumes()[1], second);
    assert_eq!(bench.volumes()[0].device, "sdd");
}

#[test]
fn a_removable_disk_takes_footage_while_there_is_no_other() {
    let mut bench = Bench::new();
    bench.plug("sda", 1, &ours());
    assert_eq!(bench.look(), ["mount sda at data"]);
}
