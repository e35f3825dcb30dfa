//! Nextchip NVP6124 and NVP6134: what their four ports have locked to.
//!
//! Registers are in banks that register 0xFF chooses. Read so far: chip id (bank 0, 0xF4) and revision (0xF5), the missing-signal
//! bits and the detected format. What they mean follows the public Linux drivers of the chips; it was checked against transcripts,
//! not against a chip. Formats above 1080p are not told apart and count as no lock.
//!
//! Does not belong here: setting the chip up, equaliser, camera control over the coaxial cable (the HiSilicon backend will
//! need them).

use embedded_hal::i2c::{I2c, SevenBitAddress};
use hal::{AnalogFormat, AnalogStandard, ErrorKind, FrameRate, FrontEnd, HalError, Resolution, i2c_error};

/// Ports of each of these chips.
const PORTS: u8 = 4;

const BANK: u8 = 0xFF;
const CHIP_ID: u8 = 0xF4;
const REVISION: u8 = 0xF5;

/// The chips that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NvpChip {
    /// NVP6124 (id 0x84).
    Nvp6124,
    /// NVP6124B (id 0x86).
    Nvp6124b,
    /// NVP6134 (id 0x91).
    Nvp6134,
    /// NVP6134B, C and later (id 0x90); the revision tells them apart.
    Nvp6134b,
}

impl NvpChip {
    fn of_id(id: u8) -> Option<Self> {
        Some(match id {
            0x84 => Self::Nvp6124,
            0x86 => Self::Nvp6124b,
            0x91 => Self::Nvp6134,
            0x90 => Self::Nvp6134b,
            _ => return None,
        })
    }

    fn is_6134(self) -> bool {
        matches!(self, Self::Nvp6134 | Self::Nvp6134b)
    }

    /// The register in bank 0 whose bit for a port says that it has no signal.
    fn no_signal(self) -> u8 {
        if self.is_6134() { 0xA8 } else { 0xB8 }
    }
}

/// An analog decoder of that family.
#[derive(Debug)]
pub struct Nvp6134<I> {
    bus: I,
    address: SevenBitAddress,
    chip: NvpChip,
    revision: u8,
    /// The format that each port had at the last look: one counts once it was seen twice in a row.
    last: [Option<AnalogFormat>; PORTS as usize],
}

impl<I: I2c> Nvp6134<I> {
    /// Looks for the chip at each of `addresses`, 8-bit ones as a board's description has them, and takes the first. Writes nothing but
    /// the bank.
    ///
    /// # Errors
    /// `NotFound` when none of them answers as one, `Device` when the bus fails.
    pub fn probe(mut bus: I, addresses: &[u8]) -> Result<Self, HalError> {
        let mut seen = Vec::new();
        for eight_bit in addresses {
            let address = eight_bit >> 1;
            let what = format!("chip id of the decoder at {eight_bit:#04x}");
            let id = match read(&mut bus, address, 0, CHIP_ID, &what) {
                Ok(id) => id,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if let Some(chip) = NvpChip::of_id(id) {
                let revision = read(&mut bus, address, 0, REVISION, &what)?;
                return Ok(Self { bus, address, chip, revision, last: [None; PORTS as usize] });
            }
            seen.push(format!("{eight_bit:#04x} answers as {id:#04x}"));
        }
        let seen = if seen.is_empty() { "nothing answers".to_owned() } else { seen.join(", ") };
        let message = format!("no NVP6124 or NVP6134 at {addresses:#04x?}: {seen}");
        Err(HalError::new(ErrorKind::NotFound, message))
    }

    /// Which it is.
    #[must_use]
    pub fn chip(&self) -> NvpChip {
        self.chip
    }

    /// Its revision register.
    #[must_use]
    pub fn revision(&self) -> u8 {
        self.revision
    }

    fn detected(&mut self, port: u8) -> Result<Option<AnalogFormat>, HalError> {
        let what = format!("lock of port {port} of the {:?}", self.chip);
        let missing = read(&mut self.bus, self.address, 0, self.chip.no_signal(), &what)?;
        if missing & (1 << port) != 0 {
            return Ok(None);
        }
        Ok(if self.chip.is_6134() {
            format_of_6134(read(&mut self.bus, self.address, 5 + port, 0xF0, &what)?)
        } else {
            format_of_6124(read(&mut self.bus, self.address, 0, 0xD0 + port, &what)?)
        })
    }
}

impl<I: I2c + Send> FrontEnd for Nvp6134<I> {
    fn ports(&self) -> u8 {
        PORTS
    }

    fn locked(&mut self, port: u8) -> Result<Option<AnalogFormat>, HalError> {
        if port >= PORTS {
            let message = format!("the {:?} has ports 0 to {}, not {port}", self.chip, PORTS - 1);
            return Err(HalError::new(ErrorKind::NotFound, message));
        }
        let now = self.detected(port)?;
        let before = std::mem::replace(&mut self.last[usize::from(port)], now);
        Ok(now.filter(|_| now == before))
    }
}

fn read<I: I2c>(
    bus: &mut I,
    address: SevenBitAddress,
    bank: u8,
    register: u8,
    what: &str,
) -> Result<u8, HalError> {
    let mut value = [0];
    bus.write(address, &[BANK, bank])
        .and_then(|()| bus.write_read(address, &[register], &mut value))
        .map_err(|error| i2c_error(what, &error))?;
    Ok(value[0])
}

/// One bit a format.
fn format_of_6124(code: u8) -> Option<AnalogFormat> {
    use AnalogStandard::{Ahd, Ntsc, Pal};
    Some(match code {
        0x01 => composite(Ntsc),
        0x02 => composite(Pal),
        0x04 => progressive(Ahd, 720, 30),
        0x08 => progressive(Ahd, 720, 25),
        0x10 => progressive(Ahd, 720, 60),
        0x20 => progressive(Ahd, 720, 50),
        0x40 => progressive(Ahd, 1080, 30),
        0x80 => progressive(Ahd, 1080, 25),
        _ => return None,
    })
}

/// A number a format; 0xFF while nothing is detected.
fn format_of_6134(code: u8) -> Option<AnalogFormat> {
    use AnalogStandard::{Ahd, Cvi, Ntsc, Pal, Tvi};
    Some(match code {
        0x00 => composite(Ntsc),
        0x10 => composite(Pal),
        0x20 => progressive(Ahd, 720, 30),
        0x21 => progressive(Ahd, 720, 25),
        0x22 => progressive(Ahd, 720, 60),
        0x23 => progressive(Ahd, 720, 50),
        0x25 | 0x29 => progressive(Tvi, 720, 30),
        0x26 | 0x2A => progressive(Tvi, 720, 25),
        0x27 => progressive(Tvi, 720, 60),
        0x28 => progressive(Tvi, 720, 50),
        0x2B => progressive(Cvi, 720, 30),
        0x2C => progressive(Cvi, 720, 25),
        0x2D => progressive(Cvi, 720, 60),
        0x2E => progressive(Cvi, 720, 50),
        0x30 => progressive(Ahd, 1080, 30),
        0x31 => progressive(Ahd, 1080, 25),
        0x33 => progressive(Tvi, 1080, 30),
        0x34 => progressive(Tvi, 1080, 25),
        0x35 => progressive(Cvi, 1080, 30),
        0x36 => progressive(Cvi, 1080, 25),
        _ => return None,
    })
}

/// Both chips sample composite video at 960 points a line.
fn composite(standard: AnalogStandard) -> AnalogFormat {
    let (height, frame_rate) = match standard {
        AnalogStandard::Ntsc => (480, FrameRate { numerator: 30_000, denominator: 1001 }),
        _ => (576, FrameRate { numerator: 25, denominator: 1 }),
    };
    AnalogFormat { standard, resolution: Resolution { width: 960, height }, frame_rate, interlaced: true }
}

fn progressive(standard: AnalogStandard, height: u16, rate: u32) -> AnalogFormat {
    let width = if height == 720 { 1280 } else { 1920 };
    let frame_rate = FrameRate { numerator: rate, denominator: 1 };
    AnalogFormat { standard, resolution: Resolution { width, height }, frame_rate, interlaced: false }
}

#[cfg(test)]
mod tests {
    use embedded_hal::i2c::{ErrorKind as Bus, NoAcknowledgeSource};
    use embedded_hal_mock::eh1::i2c::{Mock, Transaction};

    use super::*;

    fn bank(address: u8, bank: u8) -> Transaction {
        Transaction::write(address, vec![BANK, bank])
    }

    fn register(address: u8, register: u8, value: u8) -> Transaction {
        Transaction::write_read(address, vec![register], vec![value])
    }

    fn found(address: u8, id: u8, revision: u8) -> Vec<Transaction> {
        vec![
            bank(address, 0),
            register(address, 0xF4, id),
            bank(address, 0),
            register(address, 0xF5, revision),
        ]
    }

    fn silent(address: u8) -> Transaction {
        bank(address, 0).with_error(Bus::NoAcknowledge(NoAcknowledgeSource::Address))
    }

    #[test]
    fn a_chip_is_found_at_the_address_it_answers_at() {
        let mut transcript = vec![silent(0x30), bank(0x31, 0), register(0x31, 0xF4, 0x12)];
        transcript.extend(found(0x32, 0x90, 0x01));
        let mut bus = Mock::new(&transcript);
        let decoder = Nvp6134::probe(bus.clone(), &[0x60, 0x62, 0x64, 0x66]).unwrap();
        assert_eq!((decoder.chip(), decoder.revision()), (NvpChip::Nvp6134b, 1));
        bus.done();
    }

    #[test]
    fn no_chip_is_told_with_what_answers() {
        let mut bus = Mock::new(&[silent(0x30), bank(0x31, 0), register(0x31, 0xF4, 0x12)]);
        let error = Nvp6134::probe(bus.clone(), &[0x60, 0x62]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().ends_with("0x62 answers as 0x12"), "{error}");
        bus.done();
        let mut bus = Mock::new(&[bank(0x30, 0).with_error(Bus::Bus)]);
        assert_eq!(Nvp6134::probe(bus.clone(), &[0x60]).unwrap_err().kind(), ErrorKind::Device);
        bus.done();
    }

    #[test]
    fn a_6134_locks_when_it_says_the_same_twice() {
        let look = |missing, code| {
            [bank(0x30, 0), register(0x30, 0xA8, missing), bank(0x30, 7), register(0x30, 0xF0, code)]
        };
        let mut transcript = found(0x30, 0x91, 0);
        transcript.extend(look(0b1011, 0x21));
        transcript.extend(look(0b1011, 0x31));
        transcript.extend(look(0b1011, 0x31));
        transcript.extend([bank(0x30, 0), register(0x30, 0xA8, 0b1111)]);
        transcript.extend(look(0b1011, 0xFF));
        let mut bus = Mock::new(&transcript);
        let mut decoder = Nvp6134::probe(bus.clone(), &[0x60]).unwrap();
        assert_eq!(decoder.locked(2).unwrap(), None, "first look");
        assert_eq!(decoder.locked(2).unwrap(), None, "it changed its mind");
        let locked = decoder.locked(2).unwrap().unwrap();
        assert_eq!((locked.standard, locked.resolution.height), (AnalogStandard::Ahd, 1080));
        assert_eq!(locked.frame_rate, FrameRate { numerator: 25, denominator: 1 });
        assert_eq!(decoder.locked(2).unwrap(), None, "no signal");
        assert_eq!(decoder.locked(2).unwrap(), None, "a signal of no known format");
        assert_eq!(decoder.locked(4).unwrap_err().kind(), ErrorKind::NotFound);
        bus.done();
    }

    #[test]
    fn a_6124_has_its_registers_elsewhere() {
        let look = [bank(0x33, 0), register(0x33, 0xB8, 0b1110), bank(0x33, 0), register(0x33, 0xD0, 0x02)];
        let mut transcript = found(0x33, 0x84, 0);
        transcript.extend(look.iter().chain(&look).cloned());
        let mut bus = Mock::new(&transcript);
        let mut decoder = Nvp6134::probe(bus.clone(), &[0x66]).unwrap();
        assert_eq!((decoder.chip(), decoder.ports()), (NvpChip::Nvp6124, 4));
        decoder.locked(0).unwrap();
        let locked = decoder.locked(0).unwrap().unwrap();
        assert_eq!((locked.standard, locked.interlaced), (AnalogStandard::Pal, true));
        assert_eq!(locked.resolution, Resolution { width: 960, height: 576 });
        bus.done();
    }
}
