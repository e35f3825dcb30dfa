//! The battery-backed clock: the kernel's `/dev/rtc0`.
//!
//! It keeps UTC. Reading it is a file in /sys; only setting it takes a call. Does not belong here: when.

use std::fs::File;
use std::os::fd::AsRawFd;

use hal::{ErrorKind, HalError};

use crate::fault::{errno_fault, fault};

/// The first clock.
const DEVICE: &str = "/dev/rtc0";

/// Sets it to this many seconds since 1970-01-01 UTC.
///
/// # Errors
/// `NotFound` without one, `Device` when it does not take it, `Unsupported` for a year that it cannot show.
pub fn set_rtc(unix_sec: i64) -> Result<(), HalError> {
    let what = format!("setting {DEVICE}");
    let file = File::open(DEVICE).map_err(|error| fault(&what, &error))?;
    let time = uapi::broken_down(unix_sec)
        .ok_or_else(|| HalError::new(ErrorKind::Unsupported, format!("{what}: no such date")))?;
    uapi::set(file.as_raw_fd(), &time).map_err(|errno| errno_fault(&what, errno))
}

/// The calls that nix has no safe form of.
#[expect(unsafe_code, reason = "the ioctl of a real-time clock, and libc's calendar")]
mod uapi {
    use std::os::fd::RawFd;

    use nix::errno::Errno;
    use nix::libc;

    /// `struct rtc_time`: the first nine fields of `struct tm`.
    #[repr(C)]
    #[derive(Debug, PartialEq, Eq)]
    pub(super) struct RtcTime([libc::c_int; 9]);

    nix::ioctl_write_ptr!(rtc_set_time, b'p', 0x0a, RtcTime);

    pub(super) fn broken_down(unix_sec: i64) -> Option<RtcTime> {
        #[allow(clippy::useless_conversion, reason = "libc's type has 32 or 64 bits")]
        let seconds = unix_sec.try_into().ok()?;
        // SAFETY: tm is made of numbers and a pointer; all zeros is a value of each.
        let mut tm: libc::tm = unsafe { std::mem::zeroed() };
        // SAFETY: gmtime_r reads the number and writes the structure; both outlive the call.
        let filled = unsafe { libc::gmtime_r(&raw const seconds, &raw mut tm) };
        (!filled.is_null()).then_some(RtcTime([
            tm.tm_sec, tm.tm_min, tm.tm_hour, tm.tm_mday, tm.tm_mon, tm.tm_year, tm.tm_wday, tm.tm_yday, 0,
        ]))
    }

    pub(super) fn set(fd: RawFd, time: &RtcTime) -> Result<(), Errno> {
        // SAFETY: RTC_SET_TIME only reads the structure, which is laid out as the kernel's and outlives the call.
        unsafe { rtc_set_time(fd, time) }?;
        Ok(())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_moment_has_its_date() {
            // 2026-11-20T14:10:05Z, a Friday.
            let expected = RtcTime([5, 10, 14, 20, 10, 126, 5, 323, 0]);
            assert_eq!(broken_down(1_795_183_805), Some(expected));
        }
    }
}
