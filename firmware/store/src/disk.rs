//! The volume's file operations, behind a trait so that tests can break them.
//!
//! [`RealDisk`] is the file system; `faults` has one that fails on order. Does not belong here: what the bytes
//! mean, and the index (SQLite brings its own file access).
//!
//! Invariant: nothing is durable before `sync_data` on the file, and before `sync_dir` for its name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{FallocateFlags, PosixFadviseAdvice, fallocate, posix_fadvise};
use nix::sys::statvfs::statvfs;
use nix::sys::uio::pwritev;

use crate::direct::Direct;

/// Why a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read only.
    Read,
    /// Read only, and what the medium has: not what a cache still has of it, best effort.
    Medium,
    /// Read and write in place.
    ReadWrite,
}

/// The file operations of one volume.
pub trait Disk: Send + Sync {
    /// Creates a new file with `bytes` allocated to it; on failure there is no file.
    ///
    /// # Errors
    /// The system's, `AlreadyExists` among them.
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens an existing file.
    ///
    /// # Errors
    /// The system's.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>>;
    /// Renames within one folder.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file: only when a volume shrinks.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// The system's.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// The files in a folder, unsorted.
    ///
    /// # Errors
    /// The system's.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;
    /// Makes a folder and its parents.
    ///
    /// # Errors
    /// The system's.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Room that this process may still use in the folder's file system.
    ///
    /// # Errors
    /// The system's.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
    /// A small file as text.
    ///
    /// # Errors
    /// The system's.
    fn read_text(&self, path: &Path) -> io::Result<String>;
    /// Replaces a small file atomically and durably.
    ///
    /// # Errors
    /// The system's.
    fn replace_text(&self, path: &Path, text: &str) -> io::Result<()>;
}

/// One open file.
pub trait DiskFile: Send + Sync {
    /// Reads up to `into.len()` bytes; 0 at the end.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Writes from the slices in order; may write less, as `pwritev(2)`.
    ///
    /// # Errors
    /// The system's.
    fn write_at(&self, offset: u64, from: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Makes what was written durable, as `fdatasync(2)`.
    ///
    /// # Errors
    /// The system's; then nothing is known about what was written since the last success.
    fn sync_data(&self) -> io::Result<()>;
    /// The file's size in bytes.
    ///
    /// # Errors
    /// The system's.
    fn size(&self) -> io::Result<u64>;
    /// Drops cached pages, so that reading back reads the medium; best effort.
    fn forget_cache(&self);
}

/// Reads exactly, or as far as the file goes; returns how many bytes.
pub(crate) fn read_full(file: &dyn DiskFile, mut offset: u64, mut into: &mut [u8]) -> io::Result<usize> {
    let asked = into.len();
    while !into.is_empty() {
        match file.read_at(offset, into) {
            Ok(0) => break,
            Ok(n) => {
                offset += n as u64;
                into = &mut into[n..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(asked - into.len())
}

/// Writes everything: goes on after short writes.
pub(crate) fn write_full(
    file: &dyn DiskFile,
    mut offset: u64,
    mut slices: &mut [IoSlice<'_>],
) -> io::Result<()> {
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        let batch = slices.len().min(MAX_SLICES);
        match file.write_at(offset, &slices[..batch]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                offset += n as u64;
                IoSlice::advance_slices(&mut slices, n);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Slices in one call: Linux's UIO_MAXIOV.
const MAX_SLICES: usize = 1024;

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

struct RealFile {
    file: File,
    /// What footage is written through; not in every file system.
    writing: Option<Direct>,
    /// What is read for [`Access::Medium`]; the same.
    reading: Option<Direct>,
}

impl Disk for RealDisk {
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        let len = i64::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let allocated = match fallocate(&file, FallocateFlags::empty(), 0, len) {
            // Some file systems (FAT, old ZFS) cannot allocate ahead: then ENOSPC comes at the write.
            Err(nix::Error::EOPNOTSUPP) => file.set_len(bytes),
            other => other.map_err(io::Error::from),
        };
        if let Err(error) = allocated.and_then(|()| file.sync_data()) {
            // Nobody knows the file yet; what is left of it would only take room.
            let _ = fs::remove_file(path);
            return Err(error);
        }
        Ok(Arc::new(RealFile { file, writing: Direct::for_writing(path), reading: None }))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(access == Access::ReadWrite).open(path)?;
        let (writing, reading) = match access {
            Access::Read => (None, None),
            Access::Medium => (None, Direct::for_reading(path)),
            Access::ReadWrite => (Direct::for_writing(path), None),
        };
        let file = RealFile { file, writing, reading };
        if access == Access::Medium && file.reading.is_none() {
            file.forget_cache();
        }
        Ok(Arc::new(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path())).collect()
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    #[allow(
        clippy::useless_conversion,
        reason = "the fields are as wide as a machine word: 32 bits on a board"
    )]
    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let system = statvfs(dir)?;
        Ok(u64::from(system.blocks_available()).saturating_mul(u64::from(system.fragment_size())))
    }

    fn read_text(&self, path: &Path) -> io::Result<String> {
        fs::read_to_string(path)
    }

    fn replace_text(&self, path: &Path, text: &str) -> io::Result<()> {
        let fresh = path.with_added_extension("new");
        let mut file = File::create(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        path.parent().map_or(Ok(()), |dir| self.sync_dir(dir))
    }
}

/// EINVAL: the disk's blocks are larger than those of [`Direct`].
fn wants_larger_blocks(done: &io::Result<usize>) -> bool {
    done.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::InvalidInput)
}

impl DiskFile for RealFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        match self.reading.as_ref().map(|direct| direct.read_at(offset, into)) {
            Some(done) if !wants_larger_blocks(&done) => done,
            _ => self.file.read_at(into, offset),
        }
    }

    fn write_at(&self, offset: u64, from: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.writing.as_ref().map(|direct| direct.write_at(offset, from)) {
            // 0: no whole block begins there.
            Some(done) if !matches!(done, Ok(0)) && !wants_larger_blocks(&done) => done,
            _ => {
                let offset = i64::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
                pwritev(&self.file, from, offset).map_err(io::Error::from)
            }
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn forget_cache(&self) {
        // Advice: a refusal costs nothing but the certainty of reading the medium.
        let _ = posix_fadvise(&self.file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    }
}
