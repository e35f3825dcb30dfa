//! The ring's file: memory that the host maps by a path.
//!
//! A `memfd` where the kernel has them, sealed so that nobody can make it shorter under a mapping; the recorders' kernels
//! before 3.17 have none, and get a file in memory (`run_dir`). Does not belong here: what is in it (`mpp_wire`).

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use mpp_wire::{PackReader, ring_bytes};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use tempfile::NamedTempFile;

/// A second of 16 channels of 4 Mbit/s; the client takes out what is there at least four times a second.
const PACK_BYTES: usize = 8 << 20;
const NAME: &CStr = c"mpp-ring";

/// A ring and the path to it.
#[derive(Debug)]
pub(crate) struct RingFile {
    pub(crate) reader: PackReader,
    /// What the host opens.
    pub(crate) path: String,
    /// Held for the path to exist.
    _file: Held,
}

#[derive(Debug)]
enum Held {
    Memory(#[expect(dead_code, reason = "the path leads through it")] File),
    Named(#[expect(dead_code, reason = "removed when dropped")] NamedTempFile),
}

impl RingFile {
    /// A new ring; `run_dir` is used where the kernel has no other place.
    pub(crate) fn create(run_dir: &Path) -> io::Result<Self> {
        let bytes = ring_bytes(PACK_BYTES) as u64;
        match memfd_create(NAME, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING) {
            Ok(file) => Self::sealed(file.into(), bytes),
            Err(Errno::ENOSYS) => Self::named(run_dir, bytes),
            Err(errno) => Err(errno.into()),
        }
    }

    fn sealed(file: File, bytes: u64) -> io::Result<Self> {
        file.set_len(bytes)?;
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        Ok(Self { reader: PackReader::create(&file)?, path, _file: Held::Memory(file) })
    }

    fn named(run_dir: &Path, bytes: u64) -> io::Result<Self> {
        let file = NamedTempFile::with_prefix_in("mpp-ring-", run_dir)?;
        file.as_file().set_len(bytes)?;
        let path = file.path().to_str().ok_or(io::ErrorKind::InvalidFilename)?.to_owned();
        Ok(Self { reader: PackReader::create(file.as_file())?, path, _file: Held::Named(file) })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use mpp_wire::{PackHead, PackKind, PackWriter};

    use super::*;

    fn goes_through(ring: &mut RingFile) -> File {
        let file = OpenOptions::new().read(true).write(true).open(&ring.path).unwrap();
        let mut writer = PackWriter::open(&file).unwrap();
        let head = PackHead {
            kind: PackKind::Audio,
            channel: 1,
            keyframe: true,
            sequence: 0,
            pts_micros: 0,
            age_micros: 0,
        };
        assert!(writer.put(&head, b"sound"));
        assert_eq!(ring.reader.take().unwrap().unwrap().data, b"sound");
        file
    }

    #[test]
    fn another_process_s_way_leads_to_the_same_ring_which_nobody_shortens() {
        let dir = tempfile::tempdir().unwrap();
        let mut ring = RingFile::create(dir.path()).unwrap();
        let file = goes_through(&mut ring);
        assert!(file.set_len(0).is_err(), "sealed");
    }

    #[test]
    fn without_memfd_a_file_in_memory_serves_and_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let mut ring = RingFile::named(dir.path(), ring_bytes(0) as u64).unwrap();
        goes_through(&mut ring);
        drop(ring);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
