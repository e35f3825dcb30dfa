//! Kernel modules: loading one with its parameters.
//!
//! Does not belong here: which modules a board needs, and in which order (its description).
#![allow(unsafe_code, reason = "the system calls have no safe form in nix as it is used here")]

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use hal::{ErrorKind, HalError};
use nix::errno::Errno;
use nix::libc;

use crate::fault::fault;

/// The largest module read: vendors' have up to 2 MB.
const MAX_BYTES: u64 = 32 << 20;

/// Loads a module. One that is loaded already stays as it is.
///
/// # Errors
/// `NotFound` without such a file, `Unsupported` for what is no module of this kernel, `Device` when it does not start.
pub fn load_kernel_module(path: &Path, parameters: &str) -> Result<(), HalError> {
    let what = format!("loading the kernel module {}", path.display());
    let failed = |error: io::Error| fault(&what, &error);
    let text = CString::new(parameters)
        .map_err(|_| HalError::new(ErrorKind::Unsupported, format!("{what}: a zero in its parameters")))?;
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() > MAX_BYTES {
        return Err(HalError::new(ErrorKind::Unsupported, format!("{what}: more than {MAX_BYTES} bytes")));
    }
    // SAFETY: the descriptor and the string live through the call, which only reads them.
    let loaded = unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), text.as_ptr(), 0) };
    match Errno::result(loaded) {
        Ok(_) | Err(Errno::EEXIST) => return Ok(()),
        // Before Linux 3.8.
        Err(Errno::ENOSYS) => {}
        Err(errno) => return Err(failed(errno.into())),
    }
    let bytes = fs::read(path).map_err(failed)?;
    // SAFETY: as above; the kernel reads as many bytes as it is told.
    let loaded = unsafe { libc::syscall(libc::SYS_init_module, bytes.as_ptr(), bytes.len(), text.as_ptr()) };
    match Errno::result(loaded) {
        Ok(_) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(failed(errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_is_not_there_is_told_with_its_path() {
        let error = load_kernel_module(Path::new("/nowhere/mmz.ko"), "mmz=anonymous,0").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("/nowhere/mmz.ko"), "{error}");
    }

    #[test]
    fn what_is_no_module_is_not_loaded() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "not a module").unwrap();
        assert!(load_kernel_module(file.path(), "").is_err());
        assert_eq!(load_kernel_module(file.path(), "a\0b").unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
