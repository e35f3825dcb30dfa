//! A decoder's registers over I2C: one byte each, some of them in banks.
//!
//! A bank is chosen by a register, so every driver chooses it anew before it reads: the vendor's kernel driver may use the chip
//! between two looks. Does not belong here: what any register means.

use embedded_hal::i2c::{I2c, SevenBitAddress};
use hal::{ErrorKind, HalError, i2c_error};

/// The registers of the chip at one address. `what` in each call says for errors what was asked: `lock of port 2 of the TP2823`.
#[derive(Debug)]
pub(super) struct Registers<I> {
    bus: I,
    address: SevenBitAddress,
}

/// One thing to do with a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Writes it.
    Write(u8, u8),
    /// Reads it, keeps the bits of `keep`, adds those of `set`, and writes it back.
    Change { register: u8, keep: u8, set: u8 },
}

impl<I: I2c> Registers<I> {
    /// Asks `identify` at each of `addresses`, 8-bit ones as a board's description has them, and takes the first chip that it knows;
    /// of another it says what it answers as.
    pub(super) fn probe<C>(
        bus: I,
        addresses: &[u8],
        family: &str,
        identify: impl Fn(&mut Self, &str) -> Result<Result<C, String>, HalError>,
    ) -> Result<(Self, C), HalError> {
        let mut registers = Self { bus, address: 0 };
        let mut seen = Vec::new();
        for eight_bit in addresses {
            registers.address = eight_bit >> 1;
            match identify(&mut registers, &format!("chip id of the decoder at {eight_bit:#04x}")) {
                Ok(Ok(chip)) => return Ok((registers, chip)),
                Ok(Err(id)) => seen.push(format!("{eight_bit:#04x} answers as {id}")),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let seen = if seen.is_empty() { "nothing answers".to_owned() } else { seen.join(", ") };
        let addresses: Vec<String> = addresses.iter().map(|address| format!("{address:#04x}")).collect();
        let message = format!("no {family} at {}: {seen}", addresses.join(", "));
        Err(HalError::new(ErrorKind::NotFound, message))
    }

    pub(super) fn read(&mut self, register: u8, what: &str) -> Result<u8, HalError> {
        let mut value = [0];
        let read = self.bus.write_read(self.address, &[register], &mut value);
        read.map_err(|error| i2c_error(what, &error))?;
        Ok(value[0])
    }

    pub(super) fn write(&mut self, register: u8, value: u8, what: &str) -> Result<(), HalError> {
        self.bus.write(self.address, &[register, value]).map_err(|error| i2c_error(what, &error))
    }

    pub(super) fn run(&mut self, steps: &[Step], what: &str) -> Result<(), HalError> {
        for step in steps {
            match *step {
                Step::Write(register, value) => self.write(register, value, what)?,
                Step::Change { register, keep, set } => {
                    let value = self.read(register, what)? & keep | set;
                    self.write(register, value, what)?;
                }
            }
        }
        Ok(())
    }
}
