//! Memory for reading what lies anywhere in a file, without copying it.
//!
//! Does not belong here: how a file is opened for that (`direct`).
//!
//! Invariant: whole blocks of memory are read from whole blocks of the file.

use std::io;

use crate::direct::{ALIGNMENT, aligned};
use crate::disk::{DiskFile, read_full};

/// Grows to what was read at most, and a little.
#[derive(Default)]
pub(crate) struct Blocks(Vec<u8>);

impl Blocks {
    /// Reads `bytes` bytes from `offset` on, or as far as the file goes.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn read(&mut self, file: &dyn DiskFile, offset: u64, bytes: usize) -> io::Result<&[u8]> {
        let before = (offset % ALIGNMENT as u64) as usize;
        let wanted = (before + bytes).next_multiple_of(ALIGNMENT);
        if self.0.len() < wanted + ALIGNMENT {
            self.0.resize(wanted + ALIGNMENT, 0);
        }
        let blocks = &mut aligned(&mut self.0)[..wanted];
        let got = read_full(file, offset - before as u64, blocks)?;
        Ok(&blocks[before.min(got)..got.min(before + bytes)])
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::disk::{Access, Disk, RealDisk};

    #[test]
    fn what_lies_anywhere_is_read() {
        let content: Vec<u8> = (0..50_000u32).flat_map(u32::to_le_bytes).collect();
        let program = std::env::current_exe().unwrap();
        // On a disk, and in memory where nothing goes past the cache.
        for folder in [program.parent().unwrap(), Path::new("/dev/shm")] {
            let Ok(dir) = tempfile::tempdir_in(folder) else { continue };
            let path = dir.path().join("segment");
            std::fs::write(&path, &content).unwrap();
            let file = RealDisk.open(&path, Access::Medium).unwrap();
            let mut memory = Blocks::default();
            for (offset, bytes) in [(0, 4096), (4095, 70_000), (8192, 3), (content.len() - 5, 5)] {
                let read = memory.read(&*file, offset as u64, bytes).unwrap();
                assert!(read == &content[offset..][..bytes], "{bytes} from {offset} on");
            }
            assert_eq!(memory.read(&*file, content.len() as u64 - 3, 9).unwrap().len(), 3);
            assert!(memory.read(&*file, content.len() as u64 + 5, 7).unwrap().is_empty());
        }
    }
}
