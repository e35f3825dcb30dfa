//! A file past the kernel's page cache (`O_DIRECT`, open(2)).
//!
//! Footage is written once and read back from the medium: through the page cache each byte is copied by the kernel, and
//! pushes out what a small board needs more (docs/adr/0007). Does not belong here: where that cannot be (`disk`).
//!
//! Invariant: offset, length and memory of every call are whole blocks of [`ALIGNMENT`].

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use nix::fcntl::OFlag;
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};

/// What disks with the largest blocks want, and what batches of footage are written in.
pub(crate) const ALIGNMENT: usize = 4096;
/// In one system call: a disk's own speed is reached, and a small board can spare it.
const BUFFER_BYTES: usize = 512 << 10;

/// An open file of which whole blocks are written, or anything is read.
pub(crate) struct Direct {
    file: File,
    /// Empty until it is needed.
    buffer: Mutex<Vec<u8>>,
}

impl Direct {
    /// For [`Direct::write_at`]; `None` where the file system has no such thing.
    pub(crate) fn for_writing(path: &Path) -> Option<Self> {
        Self::open(path, OpenOptions::new().write(true))
    }

    /// For [`Direct::read_at`]; the same.
    pub(crate) fn for_reading(path: &Path) -> Option<Self> {
        Self::open(path, OpenOptions::new().read(true))
    }

    fn open(path: &Path, options: &mut OpenOptions) -> Option<Self> {
        let file = options.custom_flags(OFlag::O_DIRECT.bits()).open(path).ok()?;
        // Newer kernels say yes there, and copy as ever.
        let in_memory = fstatfs(&file).is_ok_and(|system| system.filesystem_type() == TMPFS_MAGIC);
        (!in_memory).then(|| Self { file, buffer: Mutex::default() })
    }

    /// Writes the whole blocks at the beginning of `from`, or as many as fit into the buffer; 0 where there are none.
    ///
    /// # Errors
    /// The system's; `InvalidInput` where a disk wants larger blocks.
    pub(crate) fn write_at(&self, offset: u64, from: &[IoSlice<'_>]) -> io::Result<usize> {
        if !offset.is_multiple_of(ALIGNMENT as u64) {
            return Ok(0);
        }
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        let room = staged(&mut buffer);
        let mut filled = 0;
        for slice in from {
            let taken = slice.len().min(room.len() - filled);
            room[filled..filled + taken].copy_from_slice(&slice[..taken]);
            filled += taken;
        }
        match filled - filled % ALIGNMENT {
            0 => Ok(0),
            whole => self.file.write_at(&room[..whole], offset),
        }
    }

    /// Reads up to `into.len()` bytes from anywhere; 0 at the end.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        if is_whole_blocks(offset, into) {
            return self.file.read_at(into, offset);
        }
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        let room = staged(&mut buffer);
        let before = (offset % ALIGNMENT as u64) as usize;
        let wanted = (before + into.len()).next_multiple_of(ALIGNMENT).min(room.len());
        let got = self.file.read_at(&mut room[..wanted], offset - before as u64)?;
        let found = &room[before.min(got)..got];
        let taken = found.len().min(into.len());
        into[..taken].copy_from_slice(&found[..taken]);
        Ok(taken)
    }
}

fn is_whole_blocks(offset: u64, memory: &[u8]) -> bool {
    offset.is_multiple_of(ALIGNMENT as u64)
        && memory.len().is_multiple_of(ALIGNMENT)
        && memory.as_ptr().addr().is_multiple_of(ALIGNMENT)
}

/// What of `memory` begins on a block.
pub(crate) fn aligned(memory: &mut [u8]) -> &mut [u8] {
    let begin = memory.as_ptr().align_offset(ALIGNMENT).min(memory.len());
    &mut memory[begin..]
}

/// The buffer, as much of it as it is for.
fn staged(buffer: &mut Vec<u8>) -> &mut [u8] {
    if buffer.is_empty() {
        buffer.resize(BUFFER_BYTES + ALIGNMENT, 0);
    }
    &mut aligned(buffer)[..BUFFER_BYTES]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Access, Disk, RealDisk, read_full, write_full};

    /// Longer than two buffers, and no two blocks are alike.
    fn content() -> Vec<u8> {
        let words = (0..(2 * BUFFER_BYTES + 3 * ALIGNMENT) as u32 / 4).map(|n| n.wrapping_mul(0x9e37_79b9));
        words.flat_map(u32::to_le_bytes).collect()
    }

    /// Beside the program: folders for temporary files are often in memory.
    fn folder() -> tempfile::TempDir {
        let program = std::env::current_exe().unwrap();
        tempfile::tempdir_in(program.parent().unwrap()).unwrap()
    }

    #[test]
    fn blocks_are_written_and_anything_is_read_past_the_cache() {
        let (dir, content) = (folder(), content());
        let path = dir.path().join("segment");
        File::create(&path).unwrap().set_len(content.len() as u64).unwrap();
        let Some(writing) = Direct::for_writing(&path) else {
            println!("{}: this file system has nothing past its cache", path.display());
            return;
        };
        let (odd, rest) = content.split_at(1001);
        assert_eq!(writing.write_at(1, &[IoSlice::new(odd)]).unwrap(), 0, "no block begins there");
        assert_eq!(writing.write_at(0, &[IoSlice::new(odd)]).unwrap(), 0, "no whole block");
        let first = writing.write_at(0, &[IoSlice::new(odd), IoSlice::new(rest)]).unwrap();
        assert_eq!(first, BUFFER_BYTES);
        let second = writing.write_at(first as u64, &[IoSlice::new(&content[first..first + 5000])]).unwrap();
        assert_eq!(second, ALIGNMENT, "what is behind the last whole block is not written");

        let written = first + second;
        assert_eq!(std::fs::read(&path).unwrap()[..written], content[..written]);
        let reading = Direct::for_reading(&path).unwrap();
        let mut read = vec![0; 70_000];
        assert_eq!(reading.read_at(4095, &mut read).unwrap(), read.len());
        assert_eq!(read, content[4095..][..read.len()]);
        assert_eq!(reading.read_at(content.len() as u64 - 5, &mut read).unwrap(), 5, "up to the end");
        assert_eq!(reading.read_at(content.len() as u64 + 5, &mut read).unwrap(), 0, "behind the end");
        assert_ne!(reading.buffer.lock().unwrap().len(), 0, "copied, where it is no whole block");

        let reading = Direct::for_reading(&path).unwrap();
        let mut memory = vec![0; 4 * ALIGNMENT];
        let blocks = &mut aligned(&mut memory)[..2 * ALIGNMENT];
        assert_eq!(reading.read_at(4096, blocks).unwrap(), blocks.len());
        assert_eq!(blocks, &content[4096..][..2 * ALIGNMENT]);
        assert_eq!(reading.buffer.lock().unwrap().len(), 0, "right where it belongs");
    }

    #[test]
    fn a_file_is_the_same_whichever_way_it_is_written_and_read() {
        let (dir, content) = (folder(), content());
        let path = dir.path().join("segment");
        let file = RealDisk.create(&path, content.len() as u64).unwrap();
        // A batch of pieces; then one that begins and ends in the midst of blocks; then over both.
        let pieces: Vec<&[u8]> = content.chunks(30_001).collect();
        let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        write_full(&*file, 0, &mut slices).unwrap();
        write_full(&*file, 6000, &mut [IoSlice::new(&content[6000..20_001])]).unwrap();
        write_full(&*file, 4096, &mut [IoSlice::new(&content[4096..8192])]).unwrap();
        file.sync_data().unwrap();
        for access in [Access::Read, Access::ReadWrite, Access::Medium] {
            let mut read = vec![0; content.len() + 1];
            let got = read_full(&*RealDisk.open(&path, access).unwrap(), 0, &mut read).unwrap();
            assert_eq!(got, content.len());
            assert!(read[..got] == content, "{access:?}");
        }
    }
}
