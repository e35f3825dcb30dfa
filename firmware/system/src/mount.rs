//! Mounting the footage disk, and letting go of one that is gone.
//!
//! Does not belong here: which disk (`disks.rs`).

use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::error::SystemError;

/// The file system of footage disks.
pub const FILE_SYSTEM: &str = "ext4";

/// Mounts the ext4 file system on `device` at `at`: nothing on it is a program, a device or gains rights.
///
/// # Errors
/// `Device` when the kernel refuses: damaged, foreign, or not there.
pub fn mount_disk(device: &Path, at: &Path) -> Result<(), SystemError> {
    let flags = MsFlags::MS_NOEXEC | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOATIME;
    // A file system with a mistake is not written any further: footage that is there stays there.
    mount(Some(device), at, Some(FILE_SYSTEM), flags, Some("errors=remount-ro"))
        .map_err(|error| SystemError::io(format_args!("{} cannot be mounted", device.display()), error))
}

/// Unmounts in order: everything is on the disk when this returns.
///
/// # Errors
/// `Device` while somebody still uses it.
pub fn unmount(at: &Path) -> Result<(), SystemError> {
    unmounted(at, MntFlags::empty())
}

/// Takes the disk out of everybody's sight now; the kernel lets go when the last user does.
///
/// # Errors
/// As the kernel.
pub fn detach(at: &Path) -> Result<(), SystemError> {
    unmounted(at, MntFlags::MNT_DETACH)
}

fn unmounted(at: &Path, flags: MntFlags) -> Result<(), SystemError> {
    match umount2(at, flags) {
        // Nothing is mounted there, or there is no such place, which is what was wanted.
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => Ok(()),
        Err(error) => Err(SystemError::io(format_args!("{} cannot be unmounted", at.display()), error)),
    }
}
