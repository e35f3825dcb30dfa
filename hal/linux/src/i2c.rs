//! I2C: a bus behind `/dev/i2c-N`, as embedded-hal's bus.
//!
//! Adapters that only speak SMBus (the kernel's i2c-stub, some controllers) cannot run a transaction of any shape: for them, reads
//! and writes of registers are made of SMBus' byte transfers, one register after the other. Other shapes they refuse.
//!
//! Does not belong here: what is at which address (a board's description), drivers of chips.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use embedded_hal::i2c::{
    Error, ErrorKind as BusErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation, SevenBitAddress,
};
use hal::{ErrorKind, HalError};
use i2cdev::core::{I2CDevice, I2CMessage, I2CTransfer};
use i2cdev::linux::{I2CMessageFlags, LinuxI2CBus, LinuxI2CDevice, LinuxI2CError, LinuxI2CMessage};
use nix::errno::Errno;

use crate::fault::fault;

/// Where the kernel shows its buses and what is on them.
const BUSES: &str = "/sys/bus/i2c/devices";

/// A bus.
pub struct I2cBus {
    path: PathBuf,
    bus: LinuxI2CBus,
    smbus_only: bool,
}

impl I2cBus {
    /// Opens `/dev/i2c-N`.
    ///
    /// # Errors
    /// `NotFound` without such a bus.
    pub fn open(number: u32) -> Result<Self, HalError> {
        let path = PathBuf::from(format!("/dev/i2c-{number}"));
        let bus = LinuxI2CBus::new(&path)
            .map_err(|error| fault(&format!("opening I2C bus {}", path.display()), &error.into()))?;
        Ok(Self { path, bus, smbus_only: false })
    }

    /// Opens the bus that a board's description calls `name`: the kernel's adapter of that name, or `/dev/i2c-N` for
    /// one called `i2cN`.
    ///
    /// # Errors
    /// `NotFound` without such a bus.
    pub fn named(name: &str) -> Result<Self, HalError> {
        Self::open(number_of(Path::new(BUSES), name)?)
    }

    /// Whether somebody answers at a 7-bit address, by reading one byte from wherever the chip's own counter stands. Nothing
    /// is written; a few chips move that counter on.
    pub fn answers(&mut self, address: u8) -> bool {
        self.read(address, &mut [0]).is_ok()
    }

    fn plain(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), I2cBusError> {
        let mut messages: Vec<LinuxI2CMessage<'_>> = operations
            .iter_mut()
            .map(|operation| match operation {
                Operation::Read(into) => LinuxI2CMessage::read(into).with_flags(I2CMessageFlags::READ),
                Operation::Write(data) => LinuxI2CMessage::write(data),
            })
            .map(|message| message.with_address(u16::from(address)))
            .collect();
        self.bus.transfer(&mut messages).map(|_| ()).map_err(I2cBusError::from)
    }

    fn over_smbus(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), I2cBusError> {
        let mut chip = LinuxI2CDevice::new(&self.path, u16::from(address))?;
        registers(operations, &mut SmbusRegisters(&mut chip))
    }
}

impl fmt::Debug for I2cBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("I2cBus")
            .field("path", &self.path)
            .field("smbus_only", &self.smbus_only)
            .finish_non_exhaustive()
    }
}

impl ErrorType for I2cBus {
    type Error = I2cBusError;
}

impl I2c<SevenBitAddress> for I2cBus {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), I2cBusError> {
        if !self.smbus_only {
            match self.plain(address, operations) {
                Err(I2cBusError(Errno::EOPNOTSUPP)) => self.smbus_only = true,
                answer => return answer,
            }
        }
        self.over_smbus(address, operations)
    }
}

/// A transfer that failed: the kernel's number for it (Linux's `Documentation/i2c/fault-codes.rst`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct I2cBusError(Errno);

impl Error for I2cBusError {
    fn kind(&self) -> BusErrorKind {
        match self.0 {
            Errno::ENXIO | Errno::ENODEV | Errno::EREMOTEIO => {
                BusErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown)
            }
            Errno::EAGAIN | Errno::EBUSY => BusErrorKind::ArbitrationLoss,
            Errno::EIO | Errno::ETIMEDOUT | Errno::EPROTO => BusErrorKind::Bus,
            Errno::EOVERFLOW => BusErrorKind::Overrun,
            _ => BusErrorKind::Other,
        }
    }
}

impl From<LinuxI2CError> for I2cBusError {
    fn from(error: LinuxI2CError) -> Self {
        Self(Errno::from_raw(io::Error::from(error).raw_os_error().unwrap_or(Errno::EIO as i32)))
    }
}

/// A chip's registers, a byte at a time.
trait Registers {
    fn read(&mut self, register: u8) -> Result<u8, I2cBusError>;
    fn write(&mut self, register: u8, value: u8) -> Result<(), I2cBusError>;
}

struct SmbusRegisters<'a>(&'a mut LinuxI2CDevice);

impl Registers for SmbusRegisters<'_> {
    fn read(&mut self, register: u8) -> Result<u8, I2cBusError> {
        Ok(self.0.smbus_read_byte_data(register)?)
    }

    fn write(&mut self, register: u8, value: u8) -> Result<(), I2cBusError> {
        Ok(self.0.smbus_write_byte_data(register, value)?)
    }
}

/// Runs what is a read or a write of registers; a chip counts them up by itself.
fn registers(operations: &mut [Operation<'_>], chip: &mut impl Registers) -> Result<(), I2cBusError> {
    match operations {
        [Operation::Write([register]), Operation::Read(into)] => {
            for (value, register) in into.iter_mut().zip(count_up(*register)) {
                *value = chip.read(register)?;
            }
            Ok(())
        }
        [Operation::Write([register, values @ ..])] if !values.is_empty() => {
            for (value, register) in values.iter().zip(count_up(*register)) {
                chip.write(register, *value)?;
            }
            Ok(())
        }
        _ => Err(I2cBusError(Errno::EOPNOTSUPP)),
    }
}

/// The number of the bus called `name`; the lowest where several are.
fn number_of(buses: &Path, name: &str) -> Result<u32, HalError> {
    let entries = fs::read_dir(buses).into_iter().flatten().flatten();
    let of_that_name = entries.filter_map(|entry| {
        let number = entry.file_name().to_str()?.strip_prefix("i2c-")?.parse::<u32>().ok()?;
        let is = fs::read_to_string(entry.path().join("name")).is_ok_and(|text| text.trim() == name);
        is.then_some(number)
    });
    let numbered = || name.strip_prefix("i2c")?.parse().ok();
    of_that_name.min().or_else(numbered).ok_or_else(|| {
        let message = format!("the kernel has no I2C bus called {name}, and that is not i2c and a number");
        HalError::new(ErrorKind::NotFound, message)
    })
}

fn count_up(first: u8) -> impl Iterator<Item = u8> {
    (0u8..=u8::MAX).map(move |step| first.wrapping_add(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Memory([u8; 256]);

    impl Registers for Memory {
        fn read(&mut self, register: u8) -> Result<u8, I2cBusError> {
            Ok(self.0[usize::from(register)])
        }

        fn write(&mut self, register: u8, value: u8) -> Result<(), I2cBusError> {
            self.0[usize::from(register)] = value;
            Ok(())
        }
    }

    #[test]
    fn registers_are_read_and_written_one_after_the_other() {
        let mut chip = Memory([0; 256]);
        registers(&mut [Operation::Write(&[0xFE, 1, 2, 3])], &mut chip).unwrap();
        assert_eq!((chip.0[0xFE], chip.0[0xFF], chip.0[0]), (1, 2, 3));
        let mut into = [0; 3];
        registers(&mut [Operation::Write(&[0xFE]), Operation::Read(&mut into)], &mut chip).unwrap();
        assert_eq!(into, [1, 2, 3]);
    }

    #[test]
    fn other_shapes_are_refused() {
        let mut chip = Memory([0; 256]);
        let mut into = [0; 1];
        for operations in [
            &mut [] as &mut [Operation<'_>],
            &mut [Operation::Write(&[])],
            &mut [Operation::Write(&[1])],
            &mut [Operation::Read(&mut into)],
        ] {
            assert_eq!(registers(operations, &mut chip), Err(I2cBusError(Errno::EOPNOTSUPP)));
        }
    }

    #[test]
    fn a_bus_is_found_by_its_name() {
        let buses = tempfile::tempdir().unwrap();
        for (folder, name) in [("i2c-2", "i2c-gpio"), ("i2c-10", "i2c-gpio"), ("0-0068", "ds1307")] {
            fs::create_dir(buses.path().join(folder)).unwrap();
            fs::write(buses.path().join(folder).join("name"), format!("{name}\n")).unwrap();
        }
        assert_eq!(number_of(buses.path(), "i2c-gpio").unwrap(), 2);
        assert_eq!(number_of(buses.path(), "i2c1").unwrap(), 1);
        assert_eq!(number_of(buses.path(), "ds1307").unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_bus_that_is_not_there_is_not_found() {
        assert_eq!(I2cBus::open(4_000_000).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
