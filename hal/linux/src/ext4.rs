//! Growing a mounted ext4 file system (Linux's `EXT4_IOC_RESIZE_FS`, since 3.3).

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use hal::HalError;

use crate::fault::{errno_fault, fault};

/// Grows the file system that is mounted at `at` to `blocks` of its own blocks. It stays in use meanwhile.
///
/// # Errors
/// `Unsupported` when it is not ext4, or has no room in its tables to grow so far; `Device` when the disk fails.
pub fn grow_ext4(at: &Path, blocks: u64) -> Result<(), HalError> {
    let what = format!("growing the file system at {}", at.display());
    let folder = File::open(at).map_err(|error| fault(&what, &error))?;
    uapi::resize(folder.as_raw_fd(), blocks).map_err(|errno| errno_fault(&what, errno))
}

/// The call that nix has no safe form of.
#[expect(unsafe_code, reason = "an ioctl of ext4")]
mod uapi {
    use std::os::fd::RawFd;

    use nix::errno::Errno;

    nix::ioctl_write_ptr!(ext4_resize_fs, b'f', 16, u64);

    pub(super) fn resize(fd: RawFd, blocks: u64) -> Result<(), Errno> {
        // SAFETY: EXT4_IOC_RESIZE_FS only reads one u64, which outlives the call.
        unsafe { ext4_resize_fs(fd, &raw const blocks) }?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_ext4_is_refused() {
        let proc = grow_ext4(Path::new("/proc"), 1).unwrap_err();
        assert_eq!(proc.kind(), hal::ErrorKind::Unsupported, "{proc}");
        assert_eq!(grow_ext4(Path::new("/no-such-place"), 1).unwrap_err().kind(), hal::ErrorKind::NotFound);
    }
}
