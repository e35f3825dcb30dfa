//! Nextchip NVP6124 and NVP6134: lock, format, and camera control.
//!
//! Registers are in banks that register 0xFF chooses. Read so far: chip id (bank 0, 0xF4) and revision (0xF5), the missing-signal
//! bits and the detected format. What they mean follows the public Linux drivers of the chips; it was checked against transcripts,
//! not against a chip.
//!
//! Not done: modes. Public drivers set them with hundreds of registers a format, and tune the equaliser against each cable; on a
//! board the vendor's kernel driver does that, through its device (`vendor_nvp.rs`). Does not belong here: what the codes mean
//! (`nvp6134_formats.rs`), the transmitters (`nvp6134_coax.rs`).

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;
use hal::{
    AnalogFormat, AnalogMode, AnalogStandard, CoaxCommand, CoaxControl, ErrorKind, FrontEnd, HalError,
};

use super::coax::frame;
use super::nvp6134_chip::NvpChip;
use super::nvp6134_coax::{driver, rounds, transmitter};
use super::nvp6134_formats::{Detected, of_6124, of_6134};
use super::ports::{Ports, no_camera};
use super::registers::Registers;

/// Ports of each of these chips.
const PORTS: u8 = 4;

const BANK: u8 = 0xFF;
const CHIP_ID: u8 = 0xF4;
const REVISION: u8 = 0xF5;

/// The pulse register's value that resets a 6134's transmitter.
const RESET_PULSE: u8 = 0x10;

/// The transmitter's packet register, and the value of every port that does not send.
const PACKET: u8 = 0x0B;
const NO_PACKET: u8 = 0x10;

/// An analog decoder of that family.
#[derive(Debug)]
pub struct Nvp6134<I, D> {
    registers: Registers<I>,
    delay: D,
    chip: NvpChip,
    revision: u8,
    ports: Ports,
}

impl<I: I2c, D: DelayNs> Nvp6134<I, D> {
    /// Looks for the chip at each of `addresses`, 8-bit ones as a board's description has them, and takes the first. Writes nothing but
    /// the bank.
    ///
    /// # Errors
    /// `NotFound` when none of them answers as one, `Device` when the bus fails.
    pub fn probe(bus: I, delay: D, addresses: &[u8]) -> Result<Self, HalError> {
        let (registers, (chip, revision)) =
            Registers::probe(bus, addresses, "NVP6124 or NVP6134", |registers, what| {
                registers.write(BANK, 0, what)?;
                let id = registers.read(CHIP_ID, what)?;
                let Some(chip) = NvpChip::of_id(id) else { return Ok(Err(format!("{id:#04x}"))) };
                Ok(Ok((chip, registers.read(REVISION, what)?)))
            })?;
        Ok(Self { registers, delay, chip, revision, ports: Ports::new(PORTS) })
    }

    /// Which it is.
    #[must_use]
    pub fn kind(&self) -> NvpChip {
        self.chip
    }

    fn detected(&mut self, port: u8) -> Result<Option<AnalogFormat>, HalError> {
        let what = format!("lock of port {port} of the {}", self.chip.words());
        let registers = &mut self.registers;
        registers.write(BANK, 0, &what)?;
        if registers.read(self.chip.no_signal(), &what)? & (1 << port) != 0 {
            return Ok(None);
        }
        if !self.chip.is_6134() {
            return Ok(of_6124(registers.read(0xD0 + port, &what)?));
        }
        registers.write(BANK, 5 + port, &what)?;
        let mut read = |register| registers.read(register, &what);
        Ok(of_6134(&Detected {
            code: read(0xF0)?,
            kind: [read(0xF2)?, read(0xF3)?],
            count: [read(0xF4)?, read(0xF5)?],
            ahd: read(0x5C)?,
        }))
    }
}

impl<I: I2c + Send, D: DelayNs + Send> FrontEnd for Nvp6134<I, D> {
    fn chip(&self) -> String {
        format!("{}, revision {}", self.chip.words(), self.revision)
    }

    fn ports(&self) -> u8 {
        PORTS
    }

    fn locked(&mut self, port: u8) -> Result<Option<AnalogFormat>, HalError> {
        self.ports.check(self.chip.words(), port)?;
        let now = self.detected(port)?;
        Ok(self.ports.steady(port, now))
    }

    fn set_mode(&mut self, port: u8, _mode: AnalogMode) -> Result<(), HalError> {
        self.ports.check(self.chip.words(), port)?;
        let message = format!("the {}'s modes are set by the vendor's kernel driver", self.chip.words());
        Err(HalError::new(ErrorKind::Unsupported, message))
    }

    fn coax(&mut self) -> Option<&mut dyn CoaxControl> {
        Some(self)
    }
}

impl<I: I2c + Send, D: DelayNs + Send> CoaxControl for Nvp6134<I, D> {
    fn send(&mut self, port: u8, command: CoaxCommand) -> Result<(), HalError> {
        self.ports.check(self.chip.words(), port)?;
        let Some(format) = self.detected(port)? else { return Err(no_camera(self.chip.words(), port)) };
        let frame = frame(&format, command)?;
        let what = format!("camera control on port {port} of the {}", self.chip.words());
        let high_definition = !matches!(format.standard, AnalogStandard::Pal | AnalogStandard::Ntsc);
        let slow = high_definition && format.resolution.height == 720 && format.frame_rate.numerator <= 30;
        for (bank, register, value) in driver(self.chip, port, slow) {
            self.registers.write(BANK, bank, &what)?;
            self.registers.write(register, value, &what)?;
        }
        let half = if port.is_multiple_of(2) { 0x00 } else { 0x80 };
        self.registers.write(BANK, 3 + port / 2, &what)?;
        self.registers.run(&transmitter(self.chip, &format, half), &what)?;
        for round in rounds(&frame) {
            for (register, byte) in (half + round.way.data..).zip(&round.bytes) {
                self.registers.write(register, *byte, &what)?;
            }
            let pulse = half + round.way.pulse;
            self.registers.write(pulse, round.way.start, &what)?;
            self.delay.delay_ms(round.way.wait_ms);
            if self.chip.is_6134() {
                self.registers.write(pulse, RESET_PULSE, &what)?;
            }
            self.registers.write(pulse, 0x00, &what)?;
            self.delay.delay_ms(round.way.wait_ms);
        }
        self.registers.write(half + PACKET, NO_PACKET, &what)
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal::i2c::{ErrorKind as Bus, NoAcknowledgeSource};
    use embedded_hal_mock::eh1::delay::NoopDelay;
    use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
    use hal::{CoaxSpeed, FrameRate, Resolution};

    use super::super::chip_double::ChipDouble;
    use super::*;

    fn bank(address: u8, bank: u8) -> Transaction {
        Transaction::write(address, vec![BANK, bank])
    }

    fn register(address: u8, register: u8, value: u8) -> Transaction {
        Transaction::write_read(address, vec![register], vec![value])
    }

    fn found(address: u8, id: u8, revision: u8) -> Vec<Transaction> {
        vec![bank(address, 0), register(address, 0xF4, id), register(address, 0xF5, revision)]
    }

    fn silent(address: u8) -> Transaction {
        bank(address, 0).with_error(Bus::NoAcknowledge(NoAcknowledgeSource::Address))
    }

    #[test]
    fn a_chip_is_found_at_the_address_it_answers_at() {
        let mut transcript = vec![silent(0x30), bank(0x31, 0), register(0x31, 0xF4, 0x12)];
        transcript.extend(found(0x32, 0x90, 0x01));
        let mut bus = Mock::new(&transcript);
        let decoder = Nvp6134::probe(bus.clone(), NoopDelay, &[0x60, 0x62, 0x64, 0x66]).unwrap();
        assert_eq!((decoder.kind(), decoder.chip().as_str()), (NvpChip::Nvp6134b, "NVP6134B, revision 1"));
        bus.done();
    }

    #[test]
    fn no_chip_is_told_with_what_answers() {
        let mut bus = Mock::new(&[silent(0x30), bank(0x31, 0), register(0x31, 0xF4, 0x12)]);
        let error = Nvp6134::probe(bus.clone(), NoopDelay, &[0x60, 0x62]).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().ends_with("0x62 answers as 0x12"), "{error}");
        bus.done();
        let mut bus = Mock::new(&[bank(0x30, 0).with_error(Bus::Bus)]);
        let error = Nvp6134::probe(bus.clone(), NoopDelay, &[0x60]).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Device);
        bus.done();
    }

    #[test]
    fn a_6134_locks_when_it_says_the_same_twice() {
        let look = |missing, code| {
            let registers = [(0xF0, code), (0xF2, 0), (0xF3, 0), (0xF4, 0), (0xF5, 0), (0x5C, code)];
            let mut look = vec![bank(0x30, 0), register(0x30, 0xA8, missing), bank(0x30, 7)];
            look.extend(registers.map(|(number, value)| register(0x30, number, value)));
            look
        };
        let mut transcript = found(0x30, 0x91, 0);
        transcript.extend(look(0b1011, 0x21));
        transcript.extend(look(0b1011, 0x31));
        transcript.extend(look(0b1011, 0x31));
        transcript.extend([bank(0x30, 0), register(0x30, 0xA8, 0b1111)]);
        transcript.extend(look(0b1011, 0xFF));
        let mut bus = Mock::new(&transcript);
        let mut decoder = Nvp6134::probe(bus.clone(), NoopDelay, &[0x60]).unwrap();
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
        let look = [bank(0x33, 0), register(0x33, 0xB8, 0b1110), register(0x33, 0xD0, 0x02)];
        let mut transcript = found(0x33, 0x84, 0);
        transcript.extend(look.iter().chain(&look).cloned());
        let mut bus = Mock::new(&transcript);
        let mut decoder = Nvp6134::probe(bus.clone(), NoopDelay, &[0x66]).unwrap();
        assert_eq!((decoder.kind(), decoder.ports()), (NvpChip::Nvp6124, 4));
        decoder.locked(0).unwrap();
        let locked = decoder.locked(0).unwrap().unwrap();
        assert_eq!((locked.standard, locked.interlaced), (AnalogStandard::Pal, true));
        assert_eq!(locked.resolution, Resolution { width: 960, height: 576 });
        bus.done();
    }

    /// A 6134 with a camera on port 3, bank by bank.
    fn with_camera(code: u8, ahd: u8) -> (ChipDouble, Nvp6134<ChipDouble, NoopDelay>) {
        let chip = ChipDouble::new(0x30, BANK, 0x00..=0xFE);
        for (bank, register, value) in [(0, 0xF4, 0x91), (0, 0xA8, 0b0111), (8, 0xF0, code), (8, 0x5C, ahd)] {
            chip.set(bank, register, value);
        }
        let decoder = Nvp6134::probe(chip.clone(), NoopDelay, &[0x60]).unwrap();
        (chip, decoder)
    }

    #[test]
    fn a_command_goes_out_on_the_ports_own_lines() {
        let (chip, mut decoder) = with_camera(0x34, 0xFF);
        let up = CoaxCommand::Up(CoaxSpeed::new(0x24));
        decoder.coax().unwrap().send(3, up).unwrap();
        let written = chip.written();
        let frame = [0xB5, 0x00, 0x06, 0x24, 0x80, 0x00, 0x00, 0x00, 0xDF, 0x80];
        let data: Vec<_> = (0x90..).zip(frame).map(|(register, byte)| (4, register, byte)).collect();
        assert!(written.windows(data.len()).any(|window| window == data), "{written:?}");
        let pulses: Vec<_> = written.iter().filter(|(_, register, _)| *register == 0x89).copied().collect();
        assert_eq!(pulses, [(4, 0x89, 0x08), (4, 0x89, 0x10), (4, 0x89, 0x00)]);
        assert!(written.contains(&(8, 0x7C, 0x11)) && written.contains(&(1, 0xAB, 0x02)));
        assert_eq!(written.last(), Some(&(4, 0x8B, 0x10)), "the packet register is as before");
    }

    #[test]
    fn an_ahd_camera_is_sent_an_empty_frame_first() {
        let (chip, mut decoder) = with_camera(0x21, 0x21);
        decoder.coax().unwrap().send(3, CoaxCommand::ZoomIn).unwrap();
        let data: Vec<u8> = chip
            .written()
            .iter()
            .filter(|(bank, register, _)| *bank == 4 && (0xA0..0xA4).contains(register))
            .map(|(.., value)| *value)
            .collect();
        assert_eq!(data, [0, 0, 0, 0, 0x00, 0x04, 0x04, 0x00]);
    }

    #[test]
    fn nobody_commands_a_camera_that_is_not_there() {
        let (chip, mut decoder) = with_camera(0x34, 0xFF);
        let coax = decoder.coax().unwrap();
        assert_eq!(coax.send(0, CoaxCommand::Stop).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(coax.send(4, CoaxCommand::Stop).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(chip.written(), []);
        let mode = decoder.set_mode(0, AnalogMode::Auto).unwrap_err();
        assert_eq!(mode.kind(), ErrorKind::Unsupported);
        chip.break_bus();
        assert_eq!(decoder.locked(3).unwrap_err().kind(), ErrorKind::Device);
        assert_eq!(decoder.coax().unwrap().send(3, CoaxCommand::Stop).unwrap_err().kind(), ErrorKind::Device);
    }
}
