//! Techpoint TP2823, TP2827 and TP2853: lock, format, modes, camera control.
//!
//! Register 0x40 chooses a port's page (0x00 to 0x3F) and the banks of the transmitter. 0xFE, 0xFF and 0xFD identify the chip; of a
//! port, 0x01 says whether there is a signal (bit 7: none), whether lines and frames are locked (bits 6 and 5) and TVI's carrier is
//! (bit 2), 0x03 how many lines and frames there are. The standard is the one that the port is set to, as its colour decoder's registers
//! have it (`tp28xx_modes.rs`): a port that is set to another does not lock, or has no colour.
//!
//! [`AnalogMode::Auto`] follows what 0x03 says, and tries in the order of the public driver: TVI; without its carrier, CVI when the
//! receiver of camera control hears a CVI camera, else AHD; for composite video PAL and NTSC in turn.
//!
//! Source: Techpoint's public Linux drivers (0.3.4 and 0.6.4, in a HiSilicon SDK). Checked against transcripts and a chip's
//! double, not against a chip. Not done: more than 1080 lines; what `tp28xx_modes.rs` and `tp28xx_coax.rs` leave out.

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;
use hal::{
    AnalogFormat, AnalogMode, AnalogStandard, CoaxCommand, CoaxControl, ErrorKind, FrontEnd, HalError,
};

use super::coax::frame;
use super::ports::{Ports, no_camera};
use super::registers::Registers;
use super::tp28xx_coax::{BANKS, Data, cleared, rounds, timing};
use super::tp28xx_modes::{Output, Setting, TpChip, steps};

/// Ports of each of these chips.
const PORTS: u8 = 4;

const PAGE: u8 = 0x40;
const STATUS: u8 = 0x01;
const STANDARD: u8 = 0x03;

const NO_SIGNAL: u8 = 0x80;
const LOCKED: u8 = 0x60;
const CARRIER: u8 = 0x04;

/// Bit 3 of [`STANDARD`]: TVI's second version.
const SECOND_VERSION: u8 = 0x08;

/// Looks for which PAL or NTSC is tried before the other is: a lock takes about half a second.
const LOOKS_A_TRY: u8 = 4;

/// Looks until a lock without TVI's carrier counts as another standard's: the carrier comes after lines and frames.
const LOOKS_FOR_CARRIER: u8 = 3;

/// The longest that sending a frame takes.
const LONGEST_SEND_MS: u32 = 100;

/// The transmitters' flags, one bit a port.
const SENT: u8 = 0xB6;
const SENT_ENABLE: u8 = 0xB7;
const SEND: u8 = 0xBB;

/// An analog decoder of that family.
#[derive(Debug)]
pub struct Tp28xx<I, D> {
    registers: Registers<I>,
    delay: D,
    chip: TpChip,
    revision: u8,
    ports: Ports,
    modes: [Mode; PORTS as usize],
}

/// What a port was told, and how far it has come.
#[derive(Clone, Copy, Debug, Default)]
struct Mode {
    wanted: Option<AnalogMode>,
    set: Option<Setting>,
    /// Looks since it was set to that, or since the signal came.
    looks: u8,
}

/// What the chip says of a port.
#[derive(Clone, Copy, Debug)]
struct Look {
    status: u8,
    standard: u8,
}

impl Look {
    fn has_signal(self) -> bool {
        self.status & NO_SIGNAL == 0
    }

    fn is_locked(self) -> bool {
        self.has_signal() && self.status & LOCKED == LOCKED
    }

    fn has_carrier(self) -> bool {
        self.status & CARRIER != 0
    }

    /// Whether `format` is TVI with two versions, and this is the second.
    fn is_second(self, format: &AnalogFormat) -> bool {
        let two = format.resolution.height == 720 && format.frame_rate.numerator <= 30;
        two && format.standard == AnalogStandard::Tvi && self.standard & SECOND_VERSION != 0
    }

    /// Lines and frames a second; `None` for composite video.
    fn shape(self) -> Option<Option<(u16, u32)>> {
        Some(match self.standard & 0x07 {
            0 => Some((720, 60)),
            1 => Some((720, 50)),
            2 => Some((1080, 30)),
            3 => Some((1080, 25)),
            4 => Some((720, 30)),
            5 => Some((720, 25)),
            6 => None,
            _ => return None,
        })
    }
}

impl<I: I2c, D: DelayNs> Tp28xx<I, D> {
    /// Looks for the chip at each of `addresses`, 8-bit ones as a board's description has them, and takes the first. Writes nothing.
    ///
    /// # Errors
    /// `NotFound` when none of them answers as one, `Device` when the bus fails.
    pub fn probe(bus: I, delay: D, addresses: &[u8]) -> Result<Self, HalError> {
        let (registers, (chip, revision)) =
            Registers::probe(bus, addresses, "TP2823, TP2827 or TP2853", |registers, what| {
                let maker = registers.read(0xFE, what)?;
                let id = u16::from_be_bytes([registers.read(0xFF, what)?, registers.read(0xFD, what)?]);
                let chip = TpChip::of_id(id).filter(|_| maker == 0x28);
                Ok(chip.map(|chip| (chip, id as u8)).ok_or_else(|| format!("{maker:#04x}, {id:#06x}")))
            })?;
        let ports = Ports::new(PORTS);
        Ok(Self { registers, delay, chip, revision, ports, modes: [Mode::default(); PORTS as usize] })
    }

    /// Which it is.
    #[must_use]
    pub fn kind(&self) -> TpChip {
        self.chip
    }

    fn words(&self, what: &str, port: u8) -> String {
        format!("{what} of port {port} of the {}", self.chip.words())
    }

    fn look(&mut self, port: u8, what: &str) -> Result<Look, HalError> {
        self.registers.write(PAGE, port, what)?;
        let status = self.registers.read(STATUS, what)?;
        Ok(Look { status, standard: self.registers.read(STANDARD, what)? })
    }

    /// The format of a locked port.
    fn format(&mut self, look: Look, what: &str) -> Result<Option<AnalogFormat>, HalError> {
        let Some(shape) = look.shape().filter(|_| look.is_locked()) else { return Ok(None) };
        let Some((lines, rate)) = shape else {
            let pal = self.registers.read(0x0D, what)? & 1 != 0;
            let standard = if pal { AnalogStandard::Pal } else { AnalogStandard::Ntsc };
            return Ok(Some(AnalogFormat::composite(standard, 960)));
        };
        let standard = if !self.chip.takes_all() {
            AnalogStandard::Tvi
        } else if self.registers.read(0x13, what)? & 0x40 != 0 {
            AnalogStandard::Cvi
        } else if self.registers.read(0x14, what)? & 0x40 != 0 {
            AnalogStandard::Ahd
        } else {
            AnalogStandard::Tvi
        };
        Ok(Some(AnalogFormat::progressive(standard, lines, rate)))
    }

    /// In which mode a port in [`AnalogMode::Auto`] should be, by what the chip says now.
    fn follow(&mut self, port: u8, look: Look, what: &str) -> Result<Option<Setting>, HalError> {
        let mode = &mut self.modes[usize::from(port)];
        if !look.has_signal() {
            *mode = Mode { wanted: mode.wanted, ..Mode::default() };
            return Ok(None);
        }
        let (set, looks) = (mode.set, mode.looks);
        mode.looks = mode.looks.saturating_add(1);
        let Some(shape) = look.shape() else { return Ok(set) };
        let Some((lines, rate)) = shape else {
            let pal = Setting { format: AnalogFormat::composite(AnalogStandard::Pal, 960), second: false };
            let ntsc = Setting { format: AnalogFormat::composite(AnalogStandard::Ntsc, 960), ..pal };
            return Ok(Some(match set.filter(|set| [pal, ntsc].contains(set)) {
                None => pal,
                Some(set) if look.is_locked() || looks < LOOKS_A_TRY => set,
                Some(set) => {
                    if set == pal {
                        ntsc
                    } else {
                        pal
                    }
                }
            }));
        };
        let format = AnalogFormat::progressive(AnalogStandard::Tvi, lines, rate);
        let tvi = Setting { format, second: look.is_second(&format) };
        let same_shape = |set: &Setting| {
            set.format.resolution.height == lines && set.format.frame_rate == tvi.format.frame_rate
        };
        Ok(Some(match set.filter(same_shape) {
            None => tvi,
            Some(set) if set.format.standard != AnalogStandard::Tvi => set,
            Some(_) => {
                let foreign = look.is_locked() && !look.has_carrier() && looks >= LOOKS_FOR_CARRIER;
                if !foreign || !self.chip.takes_all() {
                    return Ok(Some(tvi));
                }
                let cvi = self.hears_cvi(port, what)?;
                let standard = if cvi { AnalogStandard::Cvi } else { AnalogStandard::Ahd };
                let other = Setting { format: AnalogFormat { standard, ..tvi.format }, second: false };
                // What cannot be set to it, is not it.
                if steps(self.chip, port, &other, Output::One).is_ok() { other } else { tvi }
            }
        }))
    }

    /// Whether the receiver of camera control hears a CVI camera: all ones, or nothing.
    fn hears_cvi(&mut self, port: u8, what: &str) -> Result<bool, HalError> {
        let received = if self.chip == TpChip::Tp2827 { 0x8E } else { 0x94 + 10 * port };
        Ok(matches!(self.registers.read(received, what)?, 0x00 | 0xFF))
    }

    fn apply(&mut self, port: u8, setting: &Setting) -> Result<(), HalError> {
        let what = self.words("mode", port);
        let mut read = |register| self.registers.read(register, &what);
        let output = Output::of(read(0x45)?, read(0xF6)?, read(0xF7)?);
        let steps = steps(self.chip, port, setting, output)?;
        self.registers.write(PAGE, port, &what)?;
        self.registers.run(&steps, &what)?;
        let mode = &mut self.modes[usize::from(port)];
        (mode.set, mode.looks) = (Some(*setting), 0);
        Ok(())
    }

    fn put(&mut self, data: &[Data], what: &str) -> Result<(), HalError> {
        for bank in BANKS {
            let mut of_bank = data.iter().filter(|(of, ..)| *of == bank).peekable();
            if of_bank.peek().is_some() {
                self.registers.write(PAGE, bank, what)?;
            }
            for (_, register, value) in of_bank {
                self.registers.write(*register, *value, what)?;
            }
        }
        Ok(())
    }

    /// Sends what is in the data registers.
    fn transmit(&mut self, port: u8, what: &str) -> Result<(), HalError> {
        let bit = 1 << port;
        self.registers.write(SENT, bit, what)?;
        self.registers.write(SEND, bit, what)?;
        let mut sent = false;
        for _ in 0..LONGEST_SEND_MS {
            sent = self.registers.read(SENT, what)? & bit != 0;
            if sent {
                break;
            }
            self.delay.delay_ms(1);
        }
        let sending = self.registers.read(SEND, what)?;
        self.registers.write(SEND, sending & !(0x11 << port), what)?;
        if sent {
            return Ok(());
        }
        Err(HalError::new(ErrorKind::Device, format!("{what}: not sent within {LONGEST_SEND_MS} ms")))
    }
}

impl<I: I2c + Send, D: DelayNs + Send> FrontEnd for Tp28xx<I, D> {
    fn chip(&self) -> String {
        format!("{}, revision {:#04x}", self.chip.words(), self.revision)
    }

    fn ports(&self) -> u8 {
        PORTS
    }

    fn locked(&mut self, port: u8) -> Result<Option<AnalogFormat>, HalError> {
        self.ports.check(self.chip.words(), port)?;
        let what = self.words("lock", port);
        let look = self.look(port, &what)?;
        let now = self.format(look, &what)?;
        let mode = self.modes[usize::from(port)];
        let better = match (mode.wanted, mode.set) {
            (Some(AnalogMode::Auto), _) => self.follow(port, look, &what)?,
            // Both versions of TVI are one format.
            (Some(AnalogMode::Fixed(_)), Some(set)) if look.has_signal() && look.shape().is_some() => {
                Some(Setting { second: look.is_second(&set.format), ..set })
            }
            _ => None,
        };
        match better {
            Some(better) if mode.set != Some(better) => {
                self.apply(port, &better)?;
                Ok(self.ports.steady(port, None))
            }
            _ => Ok(self.ports.steady(port, now)),
        }
    }

    fn set_mode(&mut self, port: u8, mode: AnalogMode) -> Result<(), HalError> {
        self.ports.check(self.chip.words(), port)?;
        if let AnalogMode::Fixed(format) = mode {
            let what = self.words("mode", port);
            let second = self.look(port, &what)?.is_second(&format);
            self.apply(port, &Setting { format, second })?;
        } else {
            self.modes[usize::from(port)] = Mode::default();
        }
        self.modes[usize::from(port)].wanted = Some(mode);
        Ok(())
    }

    fn coax(&mut self) -> Option<&mut dyn CoaxControl> {
        Some(self)
    }
}

impl<I: I2c + Send, D: DelayNs + Send> CoaxControl for Tp28xx<I, D> {
    fn send(&mut self, port: u8, command: CoaxCommand) -> Result<(), HalError> {
        self.ports.check(self.chip.words(), port)?;
        let what = self.words("camera control", port);
        let look = self.look(port, &what)?;
        let Some(format) = self.format(look, &what)? else { return Err(no_camera(self.chip.words(), port)) };
        let frame = frame(&format, command)?;
        let second = self.registers.read(0xF5, &what)? >> port & 1 != 0;
        let timing = timing(self.chip, port, &frame, second).ok_or_else(|| {
            let message = format!("the {} has no camera control for {format:?}", self.chip.words());
            HalError::new(ErrorKind::Unsupported, message)
        })?;
        self.put(&timing, &what)?;
        self.registers.write(SENT_ENABLE, 0x0F, &what)?;
        self.put(&cleared(self.chip, port), &what)?;
        for data in rounds(port, &frame) {
            self.put(&data, &what)?;
            self.transmit(port, &what)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal_mock::eh1::delay::NoopDelay;
    use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
    use hal::CoaxSpeed;

    use super::super::chip_double::ChipDouble;
    use super::*;

    type Double = Tp28xx<ChipDouble, NoopDelay>;

    const COMPOSITE: u8 = 6;

    /// A chip of this id; ports are the pages.
    fn chip(id: u16) -> (ChipDouble, Double) {
        let chip = ChipDouble::new(0x44, PAGE, 0x00..=0x3F);
        let [high, low] = id.to_be_bytes();
        for (register, value) in [(0xFE, 0x28), (0xFF, high), (0xFD, low), (0xF6, 0x10), (0xF7, 0x23)] {
            chip.set(0, register, value);
        }
        for port in 0..PORTS {
            chip.set(port, STATUS, NO_SIGNAL);
        }
        let decoder = Tp28xx::probe(chip.clone(), NoopDelay, &[0x88, 0x8A]).unwrap();
        (chip, decoder)
    }

    fn signal(chip: &ChipDouble, port: u8, status: u8, standard: u8) {
        chip.set(port, STATUS, status);
        chip.set(port, STANDARD, standard);
    }

    fn looks(decoder: &mut Double, port: u8, count: usize) -> Option<AnalogFormat> {
        (0..count).map(|_| decoder.locked(port).unwrap()).last().flatten()
    }

    #[test]
    fn a_chip_is_found_by_its_maker_and_id() {
        let (_, decoder) = chip(0x2600);
        assert_eq!((decoder.kind(), decoder.chip().as_str()), (TpChip::Tp2853c, "TP2853C, revision 0x00"));
        let read = |register, value| Transaction::write_read(0x44, vec![register], vec![value]);
        let mut bus = Mock::new(&[read(0xFE, 0x28), read(0xFF, 0x24), read(0xFD, 0x00)]);
        let error = Tp28xx::probe(bus.clone(), NoopDelay, &[0x88]).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let words = "no TP2823, TP2827 or TP2853 at 0x88: 0x88 answers as 0x28, 0x2400";
        assert_eq!(error.to_string(), words);
        bus.done();
        let (chip, _) = chip(0x2300);
        let error = Tp28xx::probe(chip, NoopDelay, &[0x8A, 0x8C]).err().unwrap();
        assert!(error.to_string().ends_with("nothing answers"), "{error}");
    }

    #[test]
    fn a_port_that_nobody_set_is_only_looked_at() {
        let (chip, mut decoder) = chip(0x2300);
        assert_eq!(looks(&mut decoder, 3, 3), None, "no signal");
        for (standard, lines, rate) in
            [(0, 720, 60), (1, 720, 50), (2, 1080, 30), (3, 1080, 25), (4, 720, 30), (0x0D, 720, 25)]
        {
            signal(&chip, 3, LOCKED | CARRIER, standard);
            let format = AnalogFormat::progressive(AnalogStandard::Tvi, lines, rate);
            assert_eq!(looks(&mut decoder, 3, 2), Some(format));
        }
        signal(&chip, 3, 0x20, 3);
        assert_eq!(looks(&mut decoder, 3, 3), None, "lines are locked, frames are not");
        signal(&chip, 3, LOCKED, COMPOSITE);
        chip.set(3, 0x0D, 0x11);
        assert_eq!(looks(&mut decoder, 3, 2).unwrap().standard, AnalogStandard::Pal);
        signal(&chip, 3, LOCKED, 7);
        assert_eq!(looks(&mut decoder, 3, 3), None, "no known shape");
        assert_eq!(chip.written(), [], "nothing but the page");
        assert_eq!(decoder.locked(4).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn the_standard_is_the_one_the_port_is_set_to() {
        let (chip, mut decoder) = chip(0x2611);
        signal(&chip, 1, LOCKED, 3);
        for (register, value, standard) in
            [(0x14, 0x60, AnalogStandard::Ahd), (0x13, 0x40, AnalogStandard::Cvi)]
        {
            chip.set(1, register, value);
            assert_eq!(looks(&mut decoder, 1, 2).unwrap().standard, standard);
        }
    }

    #[test]
    fn a_fixed_mode_is_written_once_and_follows_tvis_versions() {
        let (chip, mut decoder) = chip(0x2300);
        let tvi = AnalogFormat::progressive(AnalogStandard::Tvi, 720, 25);
        decoder.set_mode(2, AnalogMode::Fixed(tvi)).unwrap();
        assert_eq!((chip.get(2, 0x1C), chip.get(2, 0x1D)), (0x0F, 0x78), "3960 points a line");
        assert_eq!(chip.get(2, 0x35), 0x45, "two ports share an output");
        chip.written();
        signal(&chip, 2, LOCKED | CARRIER, 0x05);
        assert_eq!(looks(&mut decoder, 2, 2), Some(tvi));
        assert_eq!(chip.written(), []);
        signal(&chip, 2, LOCKED | CARRIER, 0x0D);
        assert_eq!(looks(&mut decoder, 2, 1), None, "it is set to the second version");
        assert_eq!((chip.get(2, 0x1C), chip.get(2, 0x1D)), (0x07, 0xBC), "1980 points a line");
        assert_eq!(chip.get(0, 0xF5), 0b100);
        assert_eq!(looks(&mut decoder, 2, 2), Some(tvi));
        let ahd = AnalogFormat::progressive(AnalogStandard::Ahd, 720, 25);
        assert_eq!(decoder.set_mode(2, AnalogMode::Fixed(ahd)).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn an_automatic_port_follows_its_camera() {
        let (chip, mut decoder) = chip(0x2600);
        decoder.set_mode(0, AnalogMode::Auto).unwrap();
        assert_eq!(looks(&mut decoder, 0, 2), None);
        assert_eq!(chip.written(), [], "nothing to follow");
        // A TVI camera of 1080 lines.
        signal(&chip, 0, 0x00, 0x03);
        looks(&mut decoder, 0, 1);
        assert_eq!((chip.get(0, 0x1C), chip.get(0, 0x02)), (0x0A, 0x00));
        chip.written();
        signal(&chip, 0, LOCKED | CARRIER, 0x03);
        let tvi = AnalogFormat::progressive(AnalogStandard::Tvi, 1080, 25);
        assert_eq!(looks(&mut decoder, 0, 9), Some(tvi));
        assert_eq!(chip.written(), [], "once");
        // An AHD one takes its place: no carrier, and the receiver hears something that is not CVI.
        signal(&chip, 0, NO_SIGNAL, 0x07);
        assert_eq!(looks(&mut decoder, 0, 1), None);
        chip.set(0, 0x94, 0x12);
        signal(&chip, 0, LOCKED, 0x03);
        assert_eq!(looks(&mut decoder, 0, 8), Some(AnalogFormat { standard: AnalogStandard::Ahd, ..tvi }));
        // And a CVI one.
        signal(&chip, 0, NO_SIGNAL, 0x07);
        looks(&mut decoder, 0, 1);
        chip.set(0, 0x94, 0xFF);
        signal(&chip, 0, LOCKED, 0x03);
        assert_eq!(looks(&mut decoder, 0, 8), Some(AnalogFormat { standard: AnalogStandard::Cvi, ..tvi }));
    }

    #[test]
    fn pal_and_ntsc_are_tried_in_turn() {
        let (chip, mut decoder) = chip(0x2300);
        decoder.set_mode(1, AnalogMode::Auto).unwrap();
        signal(&chip, 1, 0x00, COMPOSITE);
        let mut tried = Vec::new();
        for _ in 0..12 {
            decoder.locked(1).unwrap();
            tried.push(chip.get(1, 0x0D) & 1);
        }
        assert_eq!(tried, [1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1]);
        signal(&chip, 1, LOCKED, COMPOSITE);
        let pal = AnalogFormat::composite(AnalogStandard::Pal, 960);
        assert_eq!(looks(&mut decoder, 1, 9), Some(pal), "what locks stays");
    }

    #[test]
    fn a_command_is_sent_and_waited_for() {
        let (chip, mut decoder) = chip(0x2600);
        signal(&chip, 1, LOCKED | CARRIER, 0x03);
        // A flag is cleared by writing it; the chip sets it when the frame is out.
        chip.raise((SENT, 0b10), (SENT, 0));
        chip.raise((SEND, 0b10), (SENT, 0b10));
        decoder.coax().unwrap().send(1, CoaxCommand::Left(CoaxSpeed::new(0x24))).unwrap();
        let frame: Vec<u8> = (0x60..0x6A).map(|register| chip.get(0, register)).collect();
        assert_eq!(frame, [0x02, 0xB5, 0x00, 0x09, 0x00, 0x02, 0x24, 0x00, 0x00, 0xE2]);
        assert_eq!(chip.written().last(), Some(&(0, SEND, 0)), "nothing is sent on");
        let absent = decoder.coax().unwrap().send(0, CoaxCommand::Stop).unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::NotFound);
        chip.raise((SEND, 0b10), (0x00, 0));
        let stuck = decoder.coax().unwrap().send(1, CoaxCommand::Stop).unwrap_err();
        assert_eq!((stuck.kind(), stuck.to_string().contains("not sent within")), (ErrorKind::Device, true));
    }

    #[test]
    fn the_tp2823_commands_tvi_cameras_alone() {
        let (chip, mut decoder) = chip(0x2300);
        signal(&chip, 0, LOCKED, COMPOSITE);
        let refused = decoder.coax().unwrap().send(0, CoaxCommand::Stop).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        chip.break_bus();
        assert_eq!(decoder.locked(0).unwrap_err().kind(), ErrorKind::Device);
        assert_eq!(decoder.set_mode(0, AnalogMode::Auto).ok(), Some(()), "that is only remembered");
        let pal = AnalogMode::Fixed(AnalogFormat::composite(AnalogStandard::Pal, 960));
        assert_eq!(decoder.set_mode(0, pal).unwrap_err().kind(), ErrorKind::Device);
    }
}
