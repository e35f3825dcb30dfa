//! What the kernel answered, as the HAL's error.

use std::io;

use hal::{ErrorKind, HalError};
use nix::errno::Errno;

/// `what` says what was asked of which device: `erasing 0x40000 of flash partition main`.
pub(crate) fn fault(what: &str, error: &io::Error) -> HalError {
    let kind = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT | Errno::ENODEV | Errno::ENXIO) => ErrorKind::NotFound,
        Some(Errno::EBUSY | Errno::EAGAIN) => ErrorKind::Busy,
        Some(Errno::EINVAL | Errno::EOPNOTSUPP | Errno::ENOTTY | Errno::ENOSYS) => ErrorKind::Unsupported,
        _ => ErrorKind::Device,
    };
    HalError::new(kind, format!("{what}: {error}"))
}

/// The same for one of nix's errors.
pub(crate) fn errno_fault(what: &str, errno: Errno) -> HalError {
    fault(what, &errno.into())
}
