//! Battery-backed clocks: the kernel's, or a chip on I2C.
//!
//! The kernel's are `/dev/rtcN`; the chip is one that no driver of the kernel has. They keep UTC. Reading one is a file in /sys; only setting it takes a call. A PL031 of a Hi3531 stands still until its lock
//! register is written: only a driver in the kernel can do that without a map of all registers, so such a clock is one that the
//! kernel does not have, or that shows 1970.
//!
//! Does not belong here: which clock is believed, and when one is set.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use board::RtcChip;
use hal::{ErrorKind, HalError, Rtc, WallTime};

use crate::ds1307::{ADDRESS, Ds1307Rtc};
use crate::fault::{errno_fault, fault};
use crate::i2c::I2cBus;

/// Where the kernel shows its clocks.
const CLASS: &str = "/sys/class/rtc";

/// A clock of a board, with its name for messages: `ds1307 (rtc0)`.
pub struct BoardRtc {
    /// The chip and how it is reached.
    pub title: String,
    /// The clock.
    pub clock: Box<dyn Rtc>,
}

impl std::fmt::Debug for BoardRtc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoardRtc").field("title", &self.title).finish_non_exhaustive()
    }
}

/// The clocks that a board describes, in its order, as far as they can be reached; the others' errors. A board that describes
/// none has the kernel's first, if there is one.
#[must_use]
pub fn open_rtcs(described: &[board::Rtc]) -> (Vec<BoardRtc>, Vec<HalError>) {
    let (mut clocks, mut errors) = (Vec::new(), Vec::new());
    if described.is_empty() {
        clocks.extend(LinuxRtc::first(Path::new(CLASS)).map(LinuxRtc::titled));
    }
    for rtc in described {
        match open(rtc, Path::new(CLASS)) {
            Ok(clock) => clocks.push(clock),
            Err(error) => errors.push(error),
        }
    }
    (clocks, errors)
}

/// The kernel's, where it drives the chip; else over I2C.
fn open(rtc: &board::Rtc, class: &Path) -> Result<BoardRtc, HalError> {
    if let Some(kernels) = LinuxRtc::of_chip(class, rtc.chip) {
        return Ok(kernels.titled());
    }
    let (RtcChip::Ds1307, Some(bus)) = (rtc.chip, &rtc.i2c) else {
        let message = format!("the kernel drives no {}", word(rtc.chip));
        return Err(HalError::new(ErrorKind::NotFound, message));
    };
    if let Some(other) = rtc.address.filter(|address| *address != ADDRESS) {
        let message = format!("a DS1307 is at {ADDRESS:#04x} alone, not at {other:#04x}");
        return Err(HalError::new(ErrorKind::Unsupported, message));
    }
    let clock = Ds1307Rtc::new(I2cBus::named(bus)?);
    Ok(BoardRtc { title: format!("ds1307 (I2C bus {bus})"), clock: Box::new(clock) })
}

/// As it is in the kernel's names of clocks.
fn word(chip: RtcChip) -> &'static str {
    match chip {
        RtcChip::Ds1307 => "ds1307",
        RtcChip::Pl031 => "pl031",
    }
}

/// A clock that the kernel drives.
#[derive(Debug)]
struct LinuxRtc {
    /// Its folder in /sys.
    folder: PathBuf,
    /// `rtc0`.
    device: String,
    chip: String,
}

impl LinuxRtc {
    /// The first whose name has the chip's: `rtc-pl031 9010000.pl031`, on old kernels `pl031`.
    fn of_chip(class: &Path, chip: RtcChip) -> Option<Self> {
        Self::all(class).into_iter().find(|clock| clock.chip.contains(word(chip)))
    }

    fn first(class: &Path) -> Option<Self> {
        Self::all(class).into_iter().next()
    }

    fn all(class: &Path) -> Vec<Self> {
        let entries = fs::read_dir(class).into_iter().flatten().flatten();
        let mut clocks: Vec<Self> = entries
            .filter_map(|entry| {
                let device = entry.file_name().into_string().ok()?;
                let chip = fs::read_to_string(entry.path().join("name")).ok()?.trim().to_owned();
                Some(Self { folder: entry.path(), device, chip })
            })
            .collect();
        clocks.sort_by(|one, other| one.device.cmp(&other.device));
        clocks
    }

    fn titled(self) -> BoardRtc {
        BoardRtc { title: format!("{} ({})", self.chip, self.device), clock: Box::new(self) }
    }
}

impl Rtc for LinuxRtc {
    fn read(&mut self) -> Result<Option<WallTime>, HalError> {
        // A driver whose clock lost its power gives an error in the place of a number (EINVAL).
        let text = match fs::read_to_string(self.folder.join("since_epoch")) {
            Ok(text) => text,
            Err(error) => match fault(&format!("reading {}", self.device), &error) {
                error if error.kind() == ErrorKind::Unsupported => return Ok(None),
                error => return Err(error),
            },
        };
        let seconds = text.trim().parse::<i64>().ok();
        Ok(seconds.map(|seconds| WallTime::from_unix_micros(seconds.saturating_mul(1_000_000))))
    }

    fn set(&mut self, time: WallTime) -> Result<(), HalError> {
        let what = format!("setting {}", self.device);
        let file = File::open(Path::new("/dev").join(&self.device)).map_err(|error| fault(&what, &error))?;
        let time = uapi::broken_down(time.as_unix_micros().div_euclid(1_000_000))
            .ok_or_else(|| HalError::new(ErrorKind::Unsupported, format!("{what}: no such date")))?;
        uapi::set(file.as_raw_fd(), &time).map_err(|errno| errno_fault(&what, errno))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(class: &Path, device: &str, name: &str, since_epoch: &str) {
        fs::create_dir(class.join(device)).unwrap();
        fs::write(class.join(device).join("name"), name).unwrap();
        fs::write(class.join(device).join("since_epoch"), since_epoch).unwrap();
    }

    fn described(chip: RtcChip) -> board::Rtc {
        board::Rtc { chip, i2c: None, address: None, base: None, unlock_offset: None, unlock_value: None }
    }

    #[test]
    fn the_kernels_clock_is_found_by_its_chip_and_read() {
        let class = tempfile::tempdir().unwrap();
        clock(class.path(), "rtc1", "rtc-ds1307 0-0068\n", "1795183805\n");
        clock(class.path(), "rtc0", "rtc-pl031 9010000.pl031\n", "\n");
        let mut battery = open(&described(RtcChip::Ds1307), class.path()).unwrap();
        assert_eq!(battery.title, "rtc-ds1307 0-0068 (rtc1)");
        let seconds = battery.clock.read().unwrap().map(|time| time.as_unix_micros() / 1_000_000);
        assert_eq!(seconds, Some(1_795_183_805));
        let mut other = open(&described(RtcChip::Pl031), class.path()).unwrap();
        assert_eq!(other.clock.read().unwrap(), None, "no number");
        assert_eq!(LinuxRtc::first(class.path()).unwrap().device, "rtc0");
    }

    #[test]
    fn a_clock_that_cannot_be_reached_says_why() {
        let class = tempfile::tempdir().unwrap();
        let refused = |rtc: &board::Rtc| open(rtc, class.path()).unwrap_err();
        let none = refused(&described(RtcChip::Pl031));
        assert_eq!(
            (none.kind(), none.to_string().as_str()),
            (ErrorKind::NotFound, "the kernel drives no pl031")
        );
        assert_eq!(refused(&described(RtcChip::Ds1307)).kind(), ErrorKind::NotFound);
        let on_bus = board::Rtc { i2c: Some("no-such-bus".to_owned()), ..described(RtcChip::Ds1307) };
        assert_eq!(refused(&on_bus).kind(), ErrorKind::NotFound);
        let elsewhere = board::Rtc { address: Some(0x51), ..on_bus };
        assert_eq!(refused(&elsewhere).kind(), ErrorKind::Unsupported);
    }
}
