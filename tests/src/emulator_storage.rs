//! What the emulated board keeps without power: its NOR chip and its disk.
//!
//! Both lie in one file, the chip first. With a log (QEMU's `blklogwrites`) every write to either is kept in the
//! order in which it was made, so that the state at any moment can be made again: `emulator_log.rs`.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::programs::run;

/// The emulated machine's second flash bank.
pub const NOR_BYTES: u64 = 64 << 20;
/// A disk large enough for four segments of the default size and what else is kept there; most of it is a hole.
pub const DISK_BYTES: u64 = 1 << 30;
/// A disk of which many copies are made: room for a few segments of the smallest size, and for the index.
const SMALL_DISK_BYTES: u64 = 96 << 20;
/// As `xtask/src/image/ext4_seed.rs` makes footage disks, with a journal that goes round within a minute.
const AS_BOARDS_DO: &str = "-b 4096 -m 0 -I 256 -J size=4 -O none,has_journal,ext_attr,resize_inode,dir_index,filetype,\
    extent,flex_bg,sparse_super,large_file,huge_file,uninit_bg,dir_nlink,extra_isize";
/// What programs that look at a disk may take.
const LIMIT: Duration = Duration::from_secs(120);
/// How much is copied at once.
const STEP: usize = 1 << 20;

/// What is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskState {
    /// A file system of ours, empty.
    Formatted,
    /// The same on a small disk, made with the options of a board's own disks.
    Small,
    /// Zeroes.
    Blank,
}

impl DiskState {
    fn disk_bytes(self) -> u64 {
        if self == Self::Small { SMALL_DISK_BYTES } else { DISK_BYTES }
    }

    /// `None` where there is no file system to be made.
    fn options(self) -> Option<&'static str> {
        match self {
            Self::Formatted => Some(""),
            Self::Small => Some(AS_BOARDS_DO),
            Self::Blank => None,
        }
    }
}

/// One board's.
#[derive(Clone, Debug)]
pub struct Storage {
    path: PathBuf,
    disk_bytes: u64,
}

impl Storage {
    /// A board as it was flashed.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new(path: &Path, nor: &Path, disk: DiskState) -> Self {
        let storage = Self { path: path.to_owned(), disk_bytes: disk.disk_bytes() };
        let file = File::create(path).expect("an image can be made");
        file.set_len(NOR_BYTES + storage.disk_bytes).expect("an image can be made");
        let image = File::open(nor).unwrap_or_else(|error| panic!("{}: {error}", nor.display()));
        let size = image.metadata().expect("the chip's image has a size").len();
        assert!(size <= NOR_BYTES, "{}: {size} bytes are more than the chip has", nor.display());
        copy(&image, 0, &file, 0, size);
        if let Some(options) = disk.options() {
            make_file_system(path, NOR_BYTES, storage.disk_bytes, options);
        }
        storage
    }

    /// One that is there already.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        let bytes = fs::metadata(path).expect("the storage is there").len();
        let disk_bytes = bytes.checked_sub(NOR_BYTES).expect("the storage has a chip");
        Self { path: path.to_owned(), disk_bytes }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The disk's size.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.disk_bytes
    }

    /// The same in another file.
    ///
    /// # Panics
    /// When it cannot be copied.
    #[must_use]
    pub fn copied_to(&self, path: &Path) -> Self {
        let mut command = Command::new("cp");
        command.arg("--sparse=always").arg(&self.path).arg(path);
        let _ = run(LIMIT, &mut command).flawless();
        Self { path: path.to_owned(), ..*self }
    }

    /// Bytes of the chip.
    ///
    /// # Panics
    /// When they cannot be read.
    #[must_use]
    pub fn nor(&self, offset: u64, bytes: usize) -> Vec<u8> {
        let mut data = vec![0; bytes];
        let file = File::open(&self.path).expect("the storage is there");
        file.read_exact_at(&mut data, offset).expect("the chip can be read");
        data
    }

    /// Puts bytes on the chip from outside, as a programmer clip would.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn put_nor(&self, offset: u64, data: &[u8]) {
        assert!(offset + data.len() as u64 <= NOR_BYTES);
        let file = File::options().write(true).open(&self.path).expect("the storage is there");
        file.write_all_at(data, offset).expect("the chip can be written");
    }

    /// The disk alone, in another file.
    ///
    /// # Panics
    /// When it cannot be copied.
    #[must_use]
    pub fn disk(&self, path: &Path) -> DiskImage {
        let from = File::open(&self.path).expect("the storage is there");
        let to = File::create(path).expect("an image can be made");
        to.set_len(self.disk_bytes).expect("an image can be made");
        copy(&from, NOR_BYTES, &to, 0, self.disk_bytes);
        DiskImage(path.to_owned())
    }
}

/// A disk's image, looked into with e2fsprogs: nothing is mounted.
pub struct DiskImage(PathBuf);

impl DiskImage {
    /// The file system is checked and its journal replayed, as by mounting it.
    ///
    /// # Panics
    /// When it cannot be repaired without losing something.
    pub fn check_file_system(&self) {
        let mut command = Command::new("e2fsck");
        // -p replays the journal, and repairs nothing that would need a decision.
        let done = run(LIMIT, command.args(["-f", "-p"]).arg(&self.0));
        let code = done.status.code().unwrap_or(-1);
        assert!(code == 0 || code == 1, "e2fsck: {}: {}{}", done.status, done.text(), done.stderr);
        let mut command = Command::new("e2fsck");
        let done = run(LIMIT, command.args(["-f", "-n"]).arg(&self.0));
        assert!(done.status.success(), "e2fsck found more: {}{}", done.text(), done.stderr);
    }

    /// The journal is replayed, as by mounting it, and nothing else is touched.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn replay_journal(&self) -> Result<(), String> {
        let done = run(LIMIT, Command::new("e2fsck").args(["-E", "journal_only", "-y"]).arg(&self.0));
        if done.status.success() {
            return Ok(());
        }
        Err(format!("e2fsck: {}: {}{}", done.status, done.text(), done.stderr))
    }

    /// What `e2fsck` finds wrong, and repairs whatever that costs: only for an image that nobody needs any more.
    /// The super block's counts of what is free are left out: the kernel makes them anew whenever it mounts.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let done = run(LIMIT, Command::new("e2fsck").args(["-f", "-y"]).arg(&self.0));
        let usual = |line: &str| {
            ["Pass ", "Fix? yes", "Free blocks count wrong (", "Free inodes count wrong ("]
                .iter()
                .any(|start| line.starts_with(start))
                || line.contains("FILE SYSTEM WAS MODIFIED")
                || line.ends_with(" blocks")
        };
        done.text().lines().filter(|line| !line.is_empty() && !usual(line)).map(str::to_owned).collect()
    }

    /// Takes a folder off the disk.
    ///
    /// # Panics
    /// When it is not there.
    pub fn take_folder(&self, folder: &str, to: &Path) {
        fs::create_dir_all(to).expect("a folder");
        let request = format!("rdump {folder} {}", to.display());
        let done = run(LIMIT, Command::new("debugfs").args(["-R", &request]).arg(&self.0));
        assert!(done.status.success(), "debugfs: {}{}", done.text(), done.stderr);
    }
}

/// A disk's image in a file of its own.
///
/// # Panics
/// When it cannot be made.
pub fn make_disk(path: &Path, state: DiskState) {
    let file = File::create(path).expect("an image can be made");
    file.set_len(state.disk_bytes()).expect("an image can be made");
    if let Some(options) = state.options() {
        make_file_system(path, 0, state.disk_bytes(), options);
    }
}

/// ext4 with the label by which the recorder knows its own.
fn make_file_system(path: &Path, offset: u64, bytes: u64, options: &str) {
    let mut command = Command::new("mkfs.ext4");
    command
        .args(options.split_whitespace())
        .args(["-q", "-F", "-L", "candor1", "-E", &format!("offset={offset}")])
        .arg(path);
    command.arg(format!("{}k", bytes / 1024));
    let done = run(LIMIT, &mut command);
    assert!(done.status.success(), "mkfs.ext4: {}", done.stderr);
}

/// Copies bytes between files; zeroes where a file is new stay holes.
pub(crate) fn copy(mut from: &File, from_offset: u64, mut to: &File, to_offset: u64, bytes: u64) {
    from.seek(SeekFrom::Start(from_offset)).expect("a file can be read");
    let (mut buffer, mut left, mut at) = (vec![0; STEP], bytes, to_offset);
    while left > 0 {
        let step = usize::try_from(left.min(STEP as u64)).unwrap_or(STEP);
        from.read_exact(&mut buffer[..step]).expect("a file can be read");
        if buffer[..step].iter().any(|byte| *byte != 0) {
            to.seek(SeekFrom::Start(at)).expect("a file can be written");
            to.write_all(&buffer[..step]).expect("a file can be written");
        }
        left -= step as u64;
        at += step as u64;
    }
}
