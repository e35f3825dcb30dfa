//! RS-485: a serial line whose driver is on only while it sends.
//!
//! Three kinds of board: a pin turns the driver on, the kernel's UART driver does it itself (`TIOCSRS485`), or nothing needs to,
//! because the line is full duplex or the hardware sees to it.
//!
//! With a pin, the driver goes off when the kernel says that the last bit is out (tcdrain). A UART driver that polls for that is up
//! to 10 ms late on old kernels; Pelco's cameras wait longer before they answer.

use std::path::Path;
use std::time::Duration;

use board::{ActiveLevel, Duplex};
use embedded_hal::digital::OutputPin;
use hal::{ErrorKind, HalError, MAX_SERIAL_FRAME_BYTES, Parity, Rs485, SerialConfig};

use crate::lines::LineOutput;
use crate::tty::Tty;

/// What PTZ cameras are set to when they leave the factory, more often than 2400.
const FIRST_CONFIG: SerialConfig = SerialConfig { baud: 9600, parity: Parity::None, stop_bits: 1 };

/// An RS-485 port on a serial line of the kernel. `P` turns its driver on, where a pin does that.
#[derive(Debug)]
pub struct LinuxRs485<P = LineOutput> {
    tty: Tty,
    duplex: Duplex,
    direction: Option<DirectionPin<P>>,
}

/// The pin that turns an RS-485 driver on, and its level for that.
#[derive(Debug)]
pub struct DirectionPin<P> {
    pin: P,
    sending: ActiveLevel,
}

impl<P: OutputPin> DirectionPin<P> {
    /// The driver is on while the pin has the level `sending`.
    pub fn new(pin: P, sending: ActiveLevel) -> Self {
        Self { pin, sending }
    }

    fn drive(&mut self, sending: bool) -> Result<(), HalError> {
        let high = sending == (self.sending == ActiveLevel::High);
        self.pin.set_state(high.into()).map_err(|error| {
            HalError::new(ErrorKind::Device, format!("the RS-485 driver's pin failed ({error:?})"))
        })
    }
}

impl<P: OutputPin> LinuxRs485<P> {
    /// Opens a line at 9600 baud, no parity, one stop bit, with its driver off. A half-duplex one without a pin is left to the
    /// kernel's RS-485 mode where its driver has one, and to the hardware elsewhere.
    ///
    /// # Errors
    /// `NotFound` without such a line, `Device` when the pin cannot be driven.
    pub fn open(
        path: impl AsRef<Path>,
        duplex: Duplex,
        mut direction: Option<DirectionPin<P>>,
    ) -> Result<Self, HalError> {
        if let Some(direction) = &mut direction {
            direction.drive(false)?;
        }
        let tty = Tty::open(path.as_ref(), FIRST_CONFIG)?;
        if duplex == Duplex::Half && direction.is_none() {
            uapi::let_kernel_switch(&tty)?;
        }
        Ok(Self { tty, duplex, direction })
    }
}

impl<P: OutputPin + Send> Rs485 for LinuxRs485<P> {
    fn duplex(&self) -> Duplex {
        self.duplex
    }

    fn configure(&mut self, config: SerialConfig) -> Result<(), HalError> {
        self.tty.configure(config)
    }

    fn send(&mut self, frame: &[u8]) -> Result<(), HalError> {
        if !(1..=MAX_SERIAL_FRAME_BYTES).contains(&frame.len()) {
            let message = format!("a frame of {} bytes; send 1 to {MAX_SERIAL_FRAME_BYTES}", frame.len());
            return Err(HalError::new(ErrorKind::Unsupported, message));
        }
        if let Some(direction) = &mut self.direction {
            direction.drive(true)?;
        }
        let sent = self.tty.write(frame).and_then(|()| self.tty.drain());
        // Whatever happened: a driver that stays on silences the line for everybody.
        let off = self.direction.as_mut().map_or(Ok(()), |direction| direction.drive(false));
        sent.and(off)
    }

    fn receive(&mut self, into: &mut [u8], timeout: Duration) -> Result<usize, HalError> {
        self.tty.read(into, timeout)
    }
}

/// The call that nix has no safe form of.
#[expect(unsafe_code, reason = "the ioctl of a UART driver's RS-485 mode")]
mod uapi {
    use std::os::fd::{AsFd, AsRawFd};

    use hal::HalError;
    use nix::errno::Errno;
    use nix::libc;

    use crate::fault::errno_fault;
    use crate::tty::Tty;

    /// `struct serial_rs485` (linux/serial.h): flags, two delays in ms, and what later kernels put into the rest.
    #[repr(C)]
    struct SerialRs485 {
        flags: u32,
        delay_before_send_ms: u32,
        delay_after_send_ms: u32,
        rest: [u32; 5],
    }

    /// `SER_RS485_ENABLED`, `SER_RS485_RTS_ON_SEND`: RTS is high while it sends.
    const ENABLED: u32 = 1;
    const RTS_ON_SEND: u32 = 1 << 1;

    nix::ioctl_readwrite_bad!(set_rs485, libc::TIOCSRS485, SerialRs485);

    /// Turns the mode on. A driver without it is no error: then the hardware switches by itself, or the board's description lacks
    /// a pin.
    pub(super) fn let_kernel_switch(tty: &Tty) -> Result<(), HalError> {
        let mut mode = SerialRs485 {
            flags: ENABLED | RTS_ON_SEND,
            delay_before_send_ms: 0,
            delay_after_send_ms: 0,
            rest: [0; 5],
        };
        // SAFETY: TIOCSRS485 reads the structure, and newer kernels write it back; it is laid out as theirs and outlives the call.
        match unsafe { set_rs485(tty.as_fd().as_raw_fd(), &raw mut mode) } {
            Ok(_) | Err(Errno::ENOTTY | Errno::EINVAL | Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(()),
            Err(errno) => Err(errno_fault(&format!("the RS-485 mode of {}", tty.path().display()), errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};

    use embedded_hal::digital::ErrorType;
    use embedded_hal_mock::eh1::digital::{Mock, State, Transaction};

    use super::*;
    use crate::tty::pair::{FarEnd, PATIENCE, line};

    const FRAME: [u8; 7] = [0xFF, 1, 0, 2, 0x20, 0, 0x23];
    const NO_PIN: Option<DirectionPin<Mock>> = None;

    #[test]
    fn what_is_sent_is_received_and_the_other_way_round() {
        let (mut camera, path) = line();
        let mut port = LinuxRs485::open(&path, Duplex::Full, NO_PIN).unwrap();
        assert_eq!(port.duplex(), Duplex::Full);
        // Every byte as it is: no line editing, no flow control, no newlines made of carriage returns.
        let all: Vec<u8> = (0..=255).collect();
        port.send(&all).unwrap();
        assert_eq!(camera.receive(256), all);
        camera.send(&all);
        let mut got = Vec::new();
        while got.len() < 256 {
            let mut some = [0; 64];
            let count = port.receive(&mut some, PATIENCE).unwrap();
            assert!(count > 0, "{} of 256 bytes came", got.len());
            got.extend_from_slice(&some[..count]);
        }
        assert_eq!(got, all);
        assert_eq!(port.receive(&mut [0; 8], Duration::from_millis(1)).unwrap(), 0);
        assert_eq!(port.receive(&mut [], PATIENCE).unwrap(), 0);
    }

    #[test]
    fn the_direction_pin_is_on_for_a_frame_only() {
        for (sending, off, on) in
            [(ActiveLevel::High, State::Low, State::High), (ActiveLevel::Low, State::High, State::Low)]
        {
            let (mut camera, path) = line();
            let levels = [off, on, off, on, off].map(Transaction::set);
            let mut pin = Mock::new(&levels);
            let direction = DirectionPin::new(pin.clone(), sending);
            let mut port = LinuxRs485::open(&path, Duplex::Half, Some(direction)).unwrap();
            port.send(&FRAME).unwrap();
            port.send(&FRAME[..2]).unwrap();
            assert_eq!(camera.receive(9)[..7], FRAME);
            pin.done();
        }
    }

    /// Notes at each change whether the far end has bytes.
    struct Witness {
        far: FarEnd,
        seen: Arc<Mutex<Vec<(bool, bool)>>>,
    }

    impl ErrorType for Witness {
        type Error = Infallible;
    }

    impl OutputPin for Witness {
        fn set_low(&mut self) -> Result<(), Infallible> {
            self.seen.lock().unwrap().push((false, self.far.has_bytes(Duration::ZERO)));
            Ok(())
        }

        fn set_high(&mut self) -> Result<(), Infallible> {
            self.seen.lock().unwrap().push((true, self.far.has_bytes(Duration::ZERO)));
            Ok(())
        }
    }

    #[test]
    fn the_driver_is_on_before_the_first_byte_and_off_after_the_last() {
        let (far, path) = line();
        let seen = Arc::default();
        let pin = Witness { far: far.another(), seen: Arc::clone(&seen) };
        let direction = DirectionPin::new(pin, ActiveLevel::High);
        let mut port = LinuxRs485::open(&path, Duplex::Half, Some(direction)).unwrap();
        port.send(&FRAME).unwrap();
        assert_eq!(*seen.lock().unwrap(), [(false, false), (true, false), (false, true)]);
    }

    #[test]
    fn frames_have_a_limit() {
        let (far, path) = line();
        let mut pin = Mock::new(&[Transaction::set(State::Low)]);
        let direction = DirectionPin::new(pin.clone(), ActiveLevel::High);
        let mut port = LinuxRs485::open(&path, Duplex::Half, Some(direction)).unwrap();
        for length in [0, MAX_SERIAL_FRAME_BYTES + 1] {
            assert_eq!(port.send(&vec![0; length]).unwrap_err().kind(), ErrorKind::Unsupported);
        }
        assert!(!far.has_bytes(Duration::ZERO));
        pin.done();
    }

    #[test]
    fn rates_change_and_what_a_line_cannot_do_is_refused() {
        let (mut camera, path) = line();
        let mut port = LinuxRs485::open(&path, Duplex::Full, NO_PIN).unwrap();
        for baud in [1200, 2400, 4800, 19_200, 115_200] {
            port.configure(SerialConfig { baud, parity: Parity::None, stop_bits: 2 }).unwrap();
            port.send(&FRAME).unwrap();
            assert_eq!(camera.receive(7), FRAME);
        }
        // A pseudo-terminal has no parity; rates between the usual ones and three stop bits nobody has.
        for config in [
            SerialConfig { baud: 9600, parity: Parity::Even, stop_bits: 1 },
            SerialConfig { baud: 9601, parity: Parity::None, stop_bits: 1 },
            SerialConfig { baud: 300, parity: Parity::None, stop_bits: 1 },
            SerialConfig { baud: 9600, parity: Parity::None, stop_bits: 3 },
        ] {
            let error = port.configure(config).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        }
    }

    #[test]
    fn a_half_duplex_line_without_a_pin_works_where_the_driver_has_no_such_mode() {
        let (mut camera, path) = line();
        let mut port = LinuxRs485::open(&path, Duplex::Half, NO_PIN).unwrap();
        port.send(&FRAME).unwrap();
        assert_eq!(camera.receive(7), FRAME);
    }

    #[test]
    fn what_is_no_serial_line_says_so() {
        let missing = LinuxRs485::open("/dev/no-such-tty", Duplex::Full, NO_PIN).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        let file = tempfile::NamedTempFile::new().unwrap();
        let wrong = LinuxRs485::open(file.path(), Duplex::Full, NO_PIN).unwrap_err();
        assert_eq!(wrong.kind(), ErrorKind::Unsupported, "{wrong}");
        assert!(wrong.to_string().contains(&file.path().display().to_string()), "{wrong}");
    }
}
