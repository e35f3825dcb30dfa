//! Registers by their physical address, to look at and not to touch (`/dev/mem`).
//!
//! A chip's identity stands in a register that no driver tells of. The kernel lets `read` reach RAM only, so the page
//! is mapped, without the right to write it. Does not belong here: which address is safe to read on which chip (the
//! caller's): a place where nothing answers ends the program with a bus error.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use hal::{ErrorKind, HalError};
use nix::fcntl::OFlag;

use crate::fault::{errno_fault, fault};

/// Maps begin at a multiple of this: of every page size that Linux has on ARM and on a PC.
const MAP_ALIGN: u64 = 64 << 10;

/// Physical memory, read only.
#[derive(Debug)]
pub struct DevMem {
    path: PathBuf,
    file: File,
}

impl DevMem {
    /// Opens `/dev/mem`, or a file that stands for it.
    ///
    /// # Errors
    /// `NotFound` where the kernel has none, `Device` where it is not for us.
    pub fn open(path: &Path) -> Result<Self, HalError> {
        let file = OpenOptions::new()
            .read(true)
            // Without O_SYNC old kernels map registers through the cache.
            .custom_flags((OFlag::O_SYNC | OFlag::O_CLOEXEC).bits())
            .open(path)
            .map_err(|error| fault(&format!("opening {}", path.display()), &error))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Reads one 32-bit register.
    ///
    /// # Errors
    /// `Unsupported` for an address that is no multiple of 4 or that a map cannot reach, `NotFound` beyond the end of a
    /// file, `Device` where the kernel refuses.
    pub fn read_u32(&self, address: u64) -> Result<u32, HalError> {
        let what = format!("reading {address:#010x} of {}", self.path.display());
        if !address.is_multiple_of(4) {
            return Err(HalError::new(ErrorKind::Unsupported, format!("{what}: no multiple of 4")));
        }
        let metadata = self.file.metadata().map_err(|error| fault(&what, &error))?;
        // A map reaches past a file's end, and a look there ends the program.
        if metadata.is_file() && metadata.len() < address.saturating_add(4) {
            return Err(HalError::new(ErrorKind::NotFound, format!("{what}: beyond its end")));
        }
        let within = address % MAP_ALIGN;
        map::read_u32(&self.file, address - within, within as usize)
            .map_err(|errno| errno_fault(&what, errno))
    }
}

/// The calls that nix has no safe form of.
#[expect(unsafe_code, reason = "a map of physical memory")]
mod map {
    use std::fs::File;
    use std::num::NonZeroUsize;
    use std::ptr;

    use nix::errno::Errno;
    use nix::libc::off_t;
    use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

    /// Reads at `within` of a map that begins at `start`; `within` is a multiple of 4.
    pub(super) fn read_u32(file: &File, start: u64, within: usize) -> Result<u32, Errno> {
        let start = off_t::try_from(start).map_err(|_| Errno::EINVAL)?;
        let length = NonZeroUsize::new(within + 4).ok_or(Errno::EINVAL)?;
        // SAFETY: the kernel chooses where; nothing of ours lies there, and nothing is written through it.
        let base = unsafe { mmap(None, length, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, file, start) }?;
        // SAFETY: `within` + 4 bytes are mapped and readable, and a map begins at a page, so a multiple of 4 is aligned.
        let value = unsafe { ptr::read_volatile(base.as_ptr().cast::<u8>().add(within).cast::<u32>()) };
        // SAFETY: the map that was made above, whole; nothing points into it any more.
        unsafe { munmap(base, length.get()) }?;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn a_register_is_read_where_it_is() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(0x1205_1000).unwrap();
        file.as_file().write_all_at(&0x3536_D100_u32.to_ne_bytes(), 0x1205_0EE0).unwrap();
        let memory = DevMem::open(file.path()).unwrap();
        assert_eq!(memory.read_u32(0x1205_0EE0).unwrap(), 0x3536_D100);
        assert_eq!(memory.read_u32(0x1205_0EE4).unwrap(), 0);
        assert_eq!(memory.read_u32(0x1205_0EE2).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(memory.read_u32(0x1205_1000).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(memory.read_u32(u64::MAX - 3).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_kernel_without_it_says_so() {
        assert_eq!(DevMem::open(Path::new("/dev/no-mem")).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
