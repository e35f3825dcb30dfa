//! Full disks, folders that cannot be written, second writers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use hal::StreamKind;

use super::support::{
    Source, assert_clean, assert_stretch, clock, keys, open, read_all, scratch, small, stream,
};
use crate::{ErrorKind, Reader, Store};

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A small file system of its own; `None` where mounting is not allowed.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn new(at: &'a Path, bytes: u64) -> Option<Self> {
        let size = format!("size={bytes}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        mount.is_ok_and(|output| output.status.success()).then_some(Self(at))
    }

    /// An ext4 in the file `image` that turns read-only when it finds itself damaged, as disks of recorders do.
    fn ext4(at: &'a Path, image: &Path) -> Option<Self> {
        let mount = Command::new("mount").args(["-o", "loop,errors=remount-ro"]).arg(image).arg(at).output();
        mount.is_ok_and(|output| output.status.success()).then_some(Self(at))
    }

    /// Has an ext4 find itself damaged; `false` where the kernel does not let us.
    fn turn_read_only(&self) -> bool {
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let at = self.0.to_str().unwrap();
        let device =
            mounts.lines().find_map(|line| line.split_once(' ').filter(|(_, rest)| rest.starts_with(at)));
        let name = device.unwrap().0.trim_start_matches("/dev/");
        fs::write(format!("/sys/fs/ext4/{name}/trigger_fs_error"), "as in a test").is_ok()
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).output();
    }
}

#[test]
fn a_full_disk_recycles_early_or_says_so_and_goes_on_when_there_is_room() {
    let at = scratch();
    // Where mounting is not allowed, the fault disk's ENOSPC (tests::crash) has to do.
    let Some(_mounted) = is_root().then(|| Mounted::new(at.path(), 16 << 20)).flatten() else { return };
    let dir = at.path().join("volume");
    let ballast = at.path().join("ballast");
    // The volume may take 64 MiB, but there are 16 MiB.
    let (mut store, _) = Store::open(&dir, small(1024), &keys(), clock()).unwrap();
    let mut source = Source::new(stream(1, StreamKind::Main), 30, 5000);
    let mut made = Vec::new();
    let mut early = false;
    for _ in 0..120 {
        made.extend(source.feed(&mut store, 30));
        let report = store.commit().unwrap();
        assert_eq!(report.index_error, None);
        early |= report.recycled_early;
    }
    assert!(early, "the oldest footage made room");
    let units = read_all(&Reader::open(&dir, &keys()).unwrap(), source.stream);
    let (begin, end) = assert_stretch(&made, &units);
    assert!(begin > 0 && end == made.len());
    store.finish().unwrap();
    assert_clean(&dir);
    fs::remove_dir_all(&dir).unwrap();

    // Nothing of its own to give up: somebody else has filled the disk.
    let (mut store, _) = Store::open(&dir, small(1024), &keys(), clock()).unwrap();
    let mut made = source.feed(&mut store, 10);
    let _ = fs::write(&ballast, vec![1; 20 << 20]);
    for _ in 0..3 {
        let error = store.commit().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DiskFull, "{error}");
        assert!(error.to_string().contains("segments/"), "{error}");
        made.extend(source.feed(&mut store, 10));
    }
    fs::remove_file(&ballast).unwrap();
    store.commit().unwrap();
    store.finish().unwrap();
    let units = read_all(&Reader::open(&dir, &keys()).unwrap(), source.stream);
    assert_eq!(units.len(), made.iter().skip_while(|made| !made.keyframe).count());
    assert_clean(&dir);
}

#[test]
fn a_folder_that_cannot_be_written_is_a_clear_error() {
    let dir = scratch();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(&file, small(3), &keys(), clock()).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unwritable, "{error}");
    assert!(error.to_string().contains("file"), "{error}");

    if is_root() {
        // Root may write anywhere; a read-only file system stops it too.
        let mounted = dir.path().join("mounted");
        fs::create_dir(&mounted).unwrap();
        let Some(_mounted) = Mounted::new(&mounted, 1 << 20) else { return };
        let volume = mounted.join("volume");
        drop(open(&volume, 3));
        let remount = |mode: &str| {
            let option = format!("remount,{mode}");
            assert!(Command::new("mount").args(["-o", &option]).arg(&mounted).status().unwrap().success());
        };
        remount("ro");
        let error = Store::open(&volume, small(3), &keys(), clock()).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unwritable, "{error}");
        remount("rw");
        drop(open(&volume, 3));
    } else {
        let closed = dir.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
        let error = Store::open(&closed.join("volume"), small(3), &keys(), clock()).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unwritable, "{error}");
    }
}

#[test]
fn a_disk_that_turns_read_only_while_it_is_written_says_so_and_keeps_what_it_has() {
    let dir = scratch();
    let (image, at) = (dir.path().join("image"), dir.path().join("mounted"));
    fs::create_dir(&at).unwrap();
    fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
    let made = Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image).output();
    // Where mounting is not allowed, the fault disk's EROFS (tests::crash, the role's volumes) has to do.
    if !is_root() || !made.is_ok_and(|output| output.status.success()) {
        return;
    }
    let Some(mounted) = Mounted::ext4(&at, &image) else { return };
    let volume = at.join("volume");
    let (mut store, _) = Store::open(&volume, small(64), &keys(), clock()).unwrap();
    let mut source = Source::new(stream(1, StreamKind::Main), 30, 5000);
    let mut made = Vec::new();
    for _ in 0..4 {
        made.extend(source.feed(&mut store, 30));
        store.commit().unwrap();
    }
    if !mounted.turn_read_only() {
        return;
    }
    for _ in 0..3 {
        source.feed(&mut store, 30);
        let error = store.commit().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unwritable, "{error}");
        assert!(error.to_string().contains("segments/"), "{error}");
    }
    assert_eq!(store.unwritten().values().map(Vec::len).sum::<usize>(), 90);
    drop(store);
    drop(mounted);
    let Some(_mounted) = Mounted::ext4(&at, &image) else { panic!("it was mounted before") };
    let (mut store, _) = Store::open(&volume, small(64), &keys(), clock()).unwrap();
    let reader = Reader::open(&volume, &keys()).unwrap();
    let there = read_all(&reader, source.stream).len();
    assert_eq!(there, made.iter().skip_while(|made| !made.keyframe).count());
    source.feed(&mut store, 30);
    store.commit().unwrap();
    store.finish().unwrap();
    assert_clean(&volume);
}

#[test]
fn a_second_writer_is_refused() {
    let dir = scratch();
    let store = open(dir.path(), 3);
    let error = Store::open(dir.path(), small(3), &keys(), clock()).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains("another writer"), "{error}");
    assert_eq!(crate::rebuild_index(dir.path()).unwrap_err().kind(), ErrorKind::Locked);
    drop(store);
    drop(open(dir.path(), 3));
}
