//! Watchdog: the kernel's character device (Linux's `watchdog-api.rst`).
//!
//! Opening the device starts the watchdog; closing it without a word leaves it running on all drivers that know the
//! "magic close" (`WDIOF_MAGICCLOSE`; those of the boards' chips do). So whoever comes next can take it over without a pause: one
//! process closes it, the next opens it within the time-out.
//!
//! A board may have several: they are told apart by what their drivers call themselves, and where nothing in /sys says that
//! (kernels before 4.5), by their order. Kernels before 3.5 have one, without a number.
//!
//! Does not belong here: when to feed.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use board::WatchdogKind;
use hal::{HalError, Watchdog};
use nix::errno::Errno;

use crate::fault::{errno_fault, fault};

/// `WDIOF_CARDRESET`: the last reset was the watchdog's.
const CARD_RESET: i32 = 0x20;

/// Longer ones are asked for as this; 16-bit counters of seconds are the longest there are.
const LONGEST_SECONDS: u64 = 65_535;

/// Where the kernel shows its watchdogs.
const CLASS: &str = "/sys/class/watchdog";
/// Where their devices are.
const DEVICES: &str = "/dev";

/// A watchdog of the kernel. Dropping it leaves it running.
#[derive(Debug)]
pub struct LinuxWatchdog {
    path: PathBuf,
    file: File,
}

impl LinuxWatchdog {
    /// Takes over `/dev/watchdog0` or another. The kernel starts it here if it was not running, with the driver's
    /// own time-out (30 s is usual) until [`Watchdog::start`] changes it.
    ///
    /// # Errors
    /// `NotFound` without one, `Busy` when another process has it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, HalError> {
        let path = path.as_ref();
        let file = OpenOptions::new().write(true).open(path);
        let file = file.map_err(|error| fault(&format!("opening watchdog {}", path.display()), &error))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Takes over the watchdog of that kind, the board's `place`-th of the kernel's from 0 on.
    ///
    /// # Errors
    /// `NotFound` without one, `Busy` when another process has it.
    pub fn open_kind(kind: WatchdogKind, place: usize) -> Result<Self, HalError> {
        Self::open(device_of(Path::new(CLASS), Path::new(DEVICES), kind, place))
    }

    /// Whether the last reset was this watchdog's; `None` where the hardware cannot tell.
    #[must_use]
    pub fn caused_last_reset(&self) -> Option<bool> {
        uapi::boot_status(self.file.as_raw_fd()).ok().map(|status| status & CARD_RESET != 0)
    }

    fn words(&self, what: &str) -> String {
        format!("{what} watchdog {}", self.path.display())
    }
}

impl Watchdog for LinuxWatchdog {
    fn start(&mut self, timeout: Duration) -> Result<Duration, HalError> {
        let seconds = timeout.as_secs().saturating_add(u64::from(timeout.subsec_nanos() > 0));
        let wanted = seconds.clamp(1, LONGEST_SECONDS) as i32;
        let fd = self.file.as_raw_fd();
        let set = nearest(wanted, |seconds| uapi::set_timeout(fd, seconds));
        let set = set.map_err(|errno| errno_fault(&self.words("setting the time-out of"), errno))?;
        self.feed()?;
        Ok(Duration::from_secs(u64::try_from(set).unwrap_or_default()))
    }

    fn feed(&mut self) -> Result<(), HalError> {
        let fed = uapi::keep_alive(self.file.as_raw_fd());
        fed.map_err(|errno| errno_fault(&self.words("feeding"), errno))
    }

    fn stop(&mut self) -> Result<(), HalError> {
        uapi::disable(self.file.as_raw_fd()).map_err(|errno| errno_fault(&self.words("stopping"), errno))?;
        // So that closing it, which may come long after, is an orderly end too.
        self.file.write_all(b"V").map_err(|error| fault(&self.words("stopping"), &error))
    }
}

/// The device of a kind by its driver's name, else by its place.
fn device_of(class: &Path, devices: &Path, kind: WatchdogKind, place: usize) -> PathBuf {
    let called = match kind {
        WatchdogKind::Sp805 => "SP805 Watchdog",
        WatchdogKind::I6300esb => "i6300ESB timer",
        // It is no device of the kernel's; the panel's driver has it.
        WatchdogKind::Panel => "",
    };
    let mut named: Vec<_> = fs::read_dir(class)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let identity = fs::read_to_string(entry.path().join("identity"));
            identity.is_ok_and(|identity| identity.trim() == called)
        })
        .map(|entry| entry.file_name())
        .collect();
    named.sort();
    if let Some(name) = named.first() {
        return devices.join(name);
    }
    let numbered = devices.join(format!("watchdog{place}"));
    if place == 0 && !numbered.exists() { devices.join("watchdog") } else { numbered }
}

/// The time-out that the driver takes: `wanted`, or its longest below that. Drivers refuse a longer one with EINVAL and do not
/// say what they could do.
fn nearest(wanted: i32, set: impl Fn(i32) -> Result<i32, Errno>) -> Result<i32, Errno> {
    let first = set(wanted);
    if first != Err(Errno::EINVAL) {
        return first;
    }
    let (mut taken, mut refused) = (0, wanted);
    let mut answer = first;
    while refused - taken > 1 {
        let middle = taken + (refused - taken) / 2;
        match set(middle) {
            Ok(seconds) => (taken, answer) = (middle, Ok(seconds)),
            Err(Errno::EINVAL) => refused = middle,
            Err(other) => return Err(other),
        }
    }
    answer
}

/// The calls that nix has no safe form of.
#[expect(unsafe_code, reason = "ioctls of the watchdog device")]
mod uapi {
    use std::os::fd::RawFd;

    use nix::errno::Errno;

    nix::ioctl_read!(get_boot_status, b'W', 2, i32);
    nix::ioctl_read!(set_options, b'W', 4, i32);
    nix::ioctl_read!(keepalive, b'W', 5, i32);
    nix::ioctl_readwrite!(set_time_out, b'W', 6, i32);

    /// `WDIOS_DISABLECARD`.
    const DISABLE_CARD: i32 = 1;

    pub(super) fn boot_status(fd: RawFd) -> Result<i32, Errno> {
        let mut status = 0;
        // SAFETY: WDIOC_GETBOOTSTATUS writes one int, which outlives the call.
        unsafe { get_boot_status(fd, &raw mut status) }?;
        Ok(status)
    }

    /// The time-out that it really has now.
    pub(super) fn set_timeout(fd: RawFd, seconds: i32) -> Result<i32, Errno> {
        let mut seconds = seconds;
        // SAFETY: WDIOC_SETTIMEOUT reads and writes one int, which outlives the call.
        unsafe { set_time_out(fd, &raw mut seconds) }?;
        Ok(seconds)
    }

    pub(super) fn keep_alive(fd: RawFd) -> Result<(), Errno> {
        let mut unused = 0;
        // SAFETY: WDIOC_KEEPALIVE does not use its argument; one int outlives the call.
        unsafe { keepalive(fd, &raw mut unused) }?;
        Ok(())
    }

    pub(super) fn disable(fd: RawFd) -> Result<(), Errno> {
        let mut options = DISABLE_CARD;
        // SAFETY: WDIOC_SETOPTIONS reads one int, whatever its number says; it outlives the call.
        unsafe { set_options(fd, &raw mut options) }?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use hal::ErrorKind;

    use super::*;

    #[test]
    fn the_nearest_time_out_is_found() {
        let up_to = |longest: i32| move |s: i32| if s <= longest { Ok(s) } else { Err(Errno::EINVAL) };
        assert_eq!(nearest(60, up_to(2046)), Ok(60));
        for longest in [1, 2, 15, 59] {
            assert_eq!(nearest(60, up_to(longest)), Ok(longest));
        }
        // Steps of the hardware: what it says it took counts.
        assert_eq!(nearest(60, |s| Ok((s + 31) / 32 * 32)), Ok(64));
        assert_eq!(nearest(60, up_to(0)), Err(Errno::EINVAL));
        assert_eq!(nearest(60, |_| Err(Errno::EIO)), Err(Errno::EIO));
    }

    #[test]
    fn each_kind_has_its_device() {
        let dir = tempfile::tempdir().unwrap();
        let (class, devices) = (dir.path().join("class"), dir.path().join("dev"));
        fs::create_dir(&devices).unwrap();
        let device = |kind, place| {
            let path = device_of(&class, &devices, kind, place);
            path.strip_prefix(&devices).unwrap().to_str().unwrap().to_owned()
        };
        // An old kernel: one without a number, then numbers without names.
        assert_eq!(device(WatchdogKind::Sp805, 0), "watchdog");
        for number in 0..2 {
            fs::write(devices.join(format!("watchdog{number}")), "").unwrap();
        }
        assert_eq!(device(WatchdogKind::Sp805, 0), "watchdog0");
        assert_eq!(device(WatchdogKind::Sp805, 1), "watchdog1");
        for (number, identity) in ["i6300ESB timer\n", "SP805 Watchdog\n"].iter().enumerate() {
            let folder = class.join(format!("watchdog{number}"));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("identity"), identity).unwrap();
        }
        assert_eq!(device(WatchdogKind::Sp805, 0), "watchdog1");
        assert_eq!(device(WatchdogKind::I6300esb, 1), "watchdog0");
    }

    #[test]
    fn what_is_no_watchdog_says_so() {
        let missing = LinuxWatchdog::open("/dev/no-such-watchdog").unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut wrong = LinuxWatchdog::open(file.path()).unwrap();
        let error = wrong.start(Duration::from_secs(60)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
        assert!(wrong.feed().is_err() && wrong.stop().is_err());
        assert_eq!(wrong.caused_last_reset(), None);
    }
}
