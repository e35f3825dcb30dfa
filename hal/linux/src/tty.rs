//! A serial line as bytes: opened raw, set up, written, drained, read.
//!
//! Does not belong here: directions (`rs485.rs`) and what is said on a line (`panel_tvt.rs`).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hal::{ErrorKind, HalError, Parity, SerialConfig};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{
    self, BaudRate, ControlFlags, FlushArg, InputFlags, SetArg, cfmakeraw, tcdrain, tcflush, tcgetattr,
    tcsetattr,
};

use crate::fault::{errno_fault, fault};

/// The kernel takes a frame at once unless its page of output is full; the longest frame takes 3 s at 1200 baud.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);

/// What must be as it was asked for: rate, bits, parity, stop bits.
const FRAMING: ControlFlags = ControlFlags::CBAUD
    .union(ControlFlags::CSIZE)
    .union(ControlFlags::PARENB)
    .union(ControlFlags::PARODD)
    .union(ControlFlags::CSTOPB);

/// An open serial line. Nobody else's hangs and echoes: raw, no flow control, no modem lines.
#[derive(Debug)]
pub(crate) struct Tty {
    path: PathBuf,
    file: File,
}

impl Tty {
    /// Opens it and sets rate and framing; what came before is forgotten.
    ///
    /// # Errors
    /// `NotFound` without such a line, `Unsupported` for what it cannot do.
    pub(crate) fn open(path: &Path, config: SerialConfig) -> Result<Self, HalError> {
        let flags = libc::O_NOCTTY | libc::O_NONBLOCK;
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path);
        let file = file.map_err(|error| fault(&format!("opening {}", path.display()), &error))?;
        let mut tty = Self { path: path.to_owned(), file };
        tty.configure(config)?;
        Ok(tty)
    }

    /// Sets rate and framing, once what was written is out; unread bytes of the old rate are forgotten.
    pub(crate) fn configure(&mut self, config: SerialConfig) -> Result<(), HalError> {
        let what = self.words("setting up");
        let SerialConfig { baud, parity, stop_bits } = config;
        let refused = || {
            let message =
                format!("{what}: it cannot do {baud} baud, parity {parity:?}, {stop_bits} stop bits");
            HalError::new(ErrorKind::Unsupported, message)
        };
        let failed = |errno| errno_fault(&what, errno);
        let rate = baud_rate(baud).filter(|_| (1..=2).contains(&stop_bits)).ok_or_else(refused)?;
        let mut wanted = tcgetattr(&self.file).map_err(failed)?;
        cfmakeraw(&mut wanted);
        wanted.control_flags.remove(FRAMING | ControlFlags::CRTSCTS);
        wanted.control_flags.insert(ControlFlags::CS8 | ControlFlags::CREAD | ControlFlags::CLOCAL);
        wanted.control_flags.set(ControlFlags::CSTOPB, stop_bits == 2);
        wanted.control_flags.set(ControlFlags::PARENB, parity != Parity::None);
        wanted.control_flags.set(ControlFlags::PARODD, parity == Parity::Odd);
        // A byte of wrong parity is left out, so that a frame with it is too short.
        let checked = InputFlags::INPCK | InputFlags::IGNPAR;
        wanted.input_flags.set(checked, parity != Parity::None);
        termios::cfsetspeed(&mut wanted, rate).map_err(failed)?;
        tcsetattr(&self.file, SetArg::TCSADRAIN, &wanted).map_err(failed)?;
        // tcsetattr(3) succeeds when it could do any of it.
        let really = tcgetattr(&self.file).map_err(failed)?;
        if really.control_flags & FRAMING != wanted.control_flags & FRAMING {
            return Err(refused());
        }
        tcflush(&self.file, FlushArg::TCIFLUSH).map_err(failed)
    }

    /// Gives the kernel all of `bytes`.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), HalError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.wait(PollFlags::POLLOUT, WRITE_PATIENCE)? {
                        let message = format!("{}: nothing goes out", self.words("writing to"));
                        return Err(HalError::new(ErrorKind::Device, message));
                    }
                }
                Err(error) => return Err(fault(&self.words("writing to"), &error)),
            }
        }
        Ok(())
    }

    /// Returns when the last bit is out.
    pub(crate) fn drain(&self) -> Result<(), HalError> {
        loop {
            match tcdrain(&self.file) {
                Err(Errno::EINTR) => {}
                drained => return drained.map_err(|errno| errno_fault(&self.words("draining"), errno)),
            }
        }
    }

    /// Waits for bytes, at most `timeout`; 0 when none came.
    pub(crate) fn read(&mut self, into: &mut [u8], timeout: Duration) -> Result<usize, HalError> {
        if into.is_empty() || !self.wait(PollFlags::POLLIN, timeout)? {
            return Ok(0);
        }
        match self.file.read(into) {
            Ok(0) => Err(HalError::new(ErrorKind::Device, self.words("the line is gone:"))),
            Ok(count) => Ok(count),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(0)
            }
            Err(error) => Err(fault(&self.words("reading"), &error)),
        }
    }

    fn wait(&self, flags: PollFlags, timeout: Duration) -> Result<bool, HalError> {
        let mut line = [PollFd::new(self.file.as_fd(), flags)];
        match poll(&mut line, poll_timeout(timeout)) {
            Ok(ready) => Ok(ready > 0),
            // Whoever called waits again; there is no clock here to say how much is left.
            Err(Errno::EINTR) => Ok(false),
            Err(errno) => Err(errno_fault(&self.words("waiting for"), errno)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn words(&self, what: &str) -> String {
        format!("{what} {}", self.path.display())
    }
}

impl AsFd for Tty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// In poll's milliseconds: rounded up, so that a short wait is not a busy loop.
pub(crate) fn poll_timeout(timeout: Duration) -> PollTimeout {
    PollTimeout::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX)
}

/// The rates that every UART driver has.
fn baud_rate(baud: u32) -> Option<BaudRate> {
    Some(match baud {
        1200 => BaudRate::B1200,
        2400 => BaudRate::B2400,
        4800 => BaudRate::B4800,
        9600 => BaudRate::B9600,
        19_200 => BaudRate::B19200,
        38_400 => BaudRate::B38400,
        57_600 => BaudRate::B57600,
        115_200 => BaudRate::B115200,
        _ => return None,
    })
}

/// Both ends of a line for tests: the far one as a file, the near one by its path.
#[cfg(test)]
pub(crate) mod pair {
    use std::os::fd::AsRawFd;

    use nix::pty::openpty;

    use super::*;

    pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

    /// The far end of a pseudo-terminal.
    pub(crate) struct FarEnd {
        file: File,
        /// Keeps the line up when the near end is closed.
        _near: std::os::fd::OwnedFd,
    }

    pub(crate) fn line() -> (FarEnd, PathBuf) {
        let pty = openpty(None, None).unwrap();
        let path = std::fs::read_link(format!("/proc/self/fd/{}", pty.slave.as_raw_fd())).unwrap();
        // As a wire is from the first moment on: no echo.
        let mut raw = tcgetattr(&pty.slave).unwrap();
        cfmakeraw(&mut raw);
        tcsetattr(&pty.slave, SetArg::TCSANOW, &raw).unwrap();
        (FarEnd { file: File::from(pty.master), _near: pty.slave }, path)
    }

    impl FarEnd {
        pub(crate) fn send(&mut self, bytes: &[u8]) {
            self.file.write_all(bytes).unwrap();
        }

        /// Waits for exactly so many bytes.
        pub(crate) fn receive(&mut self, count: usize) -> Vec<u8> {
            let mut bytes = vec![0; count];
            let mut got = 0;
            while got < count {
                assert!(self.has_bytes(PATIENCE), "{got} of {count} bytes came");
                got += self.file.read(&mut bytes[got..]).unwrap();
            }
            bytes
        }

        pub(crate) fn has_bytes(&self, timeout: Duration) -> bool {
            let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, poll_timeout(timeout)).unwrap() > 0
        }

        pub(crate) fn another(&self) -> Self {
            Self { file: self.file.try_clone().unwrap(), _near: self._near.try_clone().unwrap() }
        }
    }
}
