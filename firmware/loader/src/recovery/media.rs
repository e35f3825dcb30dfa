//! Disks and sticks: whether one has a bundle at its root.
//!
//! Each is mounted read-only for the moment of looking or opening, and let go at once: an open file keeps its file system. Nothing is
//! installed from one unless somebody who stands there says so.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde::{Deserialize, Serialize};

/// Where one is mounted for a moment.
const MOUNT_POINT: &str = "/media";

/// Whoever has more bundles on one stick finds the first ones.
const MAX_FILES: usize = 16;

/// What a stick or a footage disk is formatted as. `noload`: an ext4 journal is not replayed, which would write.
const FILE_SYSTEMS: [(&str, Option<&str>); 2] = [("vfat", None), ("ext4", Some("noload"))];

/// A bundle on a disk or stick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Medium {
    /// The device's name under /dev: `sda1`.
    pub(super) device: String,
    /// The file's name, at the root of its file system.
    pub(super) file: String,
    pub(super) bytes: u64,
}

/// Where bundles may be.
pub(super) trait MediaSource: Send + Sync {
    /// All that are there now.
    fn list(&self) -> Vec<Medium>;

    /// Opens one that [`MediaSource::list`] gave.
    ///
    /// # Errors
    /// The system's, when it is gone or does not read.
    fn open(&self, device: &str, file: &str) -> io::Result<Box<dyn Read + Send>>;
}

/// The board's disks and sticks.
pub(super) struct BlockDevices {
    /// The board's name, as its bundles have it.
    board: String,
}

impl BlockDevices {
    pub(super) fn new(board: &str) -> Self {
        Self { board: board.to_owned() }
    }
}

impl MediaSource for BlockDevices {
    fn list(&self) -> Vec<Medium> {
        let mut found = Vec::new();
        for device in block_devices() {
            if let Ok(mounted) = Mounted::new(&device) {
                found.extend(bundles(&mounted.at, &device, &self.board));
            }
        }
        found
    }

    fn open(&self, device: &str, file: &str) -> io::Result<Box<dyn Read + Send>> {
        let mounted = Mounted::new(device)?;
        Ok(Box::new(File::open(mounted.at.join(file))?))
    }
}

/// The disks and partitions that could be mounted: `sda`, `sda1`.
pub(super) fn block_devices() -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir("/sys/class/block") else { return BTreeSet::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| ["sd", "mmcblk", "vd"].iter().any(|kind| name.starts_with(kind))).collect()
}

fn bundles(at: &Path, device: &str, board: &str) -> Vec<Medium> {
    let Ok(entries) = fs::read_dir(at) else { return Vec::new() };
    let prefix = format!("candor-{board}-");
    let bundles = entries.flatten().filter_map(|entry| {
        let file = entry.file_name().into_string().ok()?;
        // Not a folder, and not a link to elsewhere.
        let meta = entry.path().symlink_metadata().ok().filter(fs::Metadata::is_file)?;
        let ours = file.starts_with(&prefix) && file.ends_with(".bundle");
        ours.then(|| Medium { device: device.to_owned(), file, bytes: meta.len() })
    });
    let mut bundles: Vec<Medium> = bundles.take(MAX_FILES).collect();
    bundles.sort_by(|left, right| left.file.cmp(&right.file));
    bundles
}

/// A file system that is mounted as long as this lives.
struct Mounted {
    at: PathBuf,
}

impl Mounted {
    fn new(device: &str) -> io::Result<Self> {
        let at = PathBuf::from(MOUNT_POINT);
        fs::create_dir_all(&at)?;
        let source = Path::new("/dev").join(device);
        let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOEXEC | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        let mut last = io::Error::from(io::ErrorKind::Unsupported);
        for (kind, options) in FILE_SYSTEMS {
            match mount(Some(&source), &at, Some(kind), flags, options) {
                Ok(()) => return Ok(Self { at }),
                Err(errno) => last = errno.into(),
            }
        }
        Err(last)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Out of sight at once; gone when the last file of it is closed.
        let _ = umount2(&self.at, MntFlags::MNT_DETACH);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_this_board_at_the_root_count() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "candor-virt-a7-0.2.0.bundle",
            "candor-virt-a7-0.1.0.bundle",
            "candor-other-0.2.0.bundle",
            "candor-virt-a7-0.2.0.bundle.part",
            "holiday.jpg",
        ] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        fs::create_dir(dir.path().join("candor-virt-a7-0.3.0.bundle")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("candor-virt-a7-9.bundle")).unwrap();
        let found = bundles(dir.path(), "sda1", "virt-a7");
        let names: Vec<&str> = found.iter().map(|medium| medium.file.as_str()).collect();
        assert_eq!(names, ["candor-virt-a7-0.1.0.bundle", "candor-virt-a7-0.2.0.bundle"]);
        assert_eq!((found[0].device.as_str(), found[0].bytes), ("sda1", 27));
    }
}
