//! Techwell TW2865 and TW2868: lock, format, and modes of composite video.
//!
//! They have four and eight ports. A port has sixteen registers; ports 4 to 7 of the TW2868 have theirs on a second page (0x40).
//! The first says whether there is a signal (bit 7: none), lines (bit 6) and fields (bit 3) are locked; the one at 14 which
//! colour system the chip has found, and whether it still searches (bit 7). 0xFF identifies the chip. Samples are 720 a line.
//!
//! Sources: Linux's solo6x10 driver (chip id), its tw5864 driver (the meaning of the same registers), and HiSilicon's public drivers
//! of both chips (pages, cropping, addresses). Checked against transcripts and a chip's double, not against a chip. Not done: clocks,
//! outputs and audio, which start-up code sets up for the board's wiring. There is no camera control over the cable.

use embedded_hal::i2c::I2c;
use hal::{AnalogFormat, AnalogMode, AnalogStandard, ErrorKind, FrontEnd, HalError};

use super::ports::Ports;
use super::registers::{Registers, Step};

const PAGE: u8 = 0x40;
const PORTS_A_PAGE: u8 = 4;

/// Registers of a port.
const STATUS: u8 = 0x00;
const CROPPING: u8 = 0x07;
const STANDARD: u8 = 0x0E;
const RECOGNITION: u8 = 0x0F;

const NO_SIGNAL: u8 = 0x80;
const LOCKED: u8 = 0x48;
const SEARCHING: u8 = 0x80;

/// Finds the colour system by itself.
const ANY_STANDARD: u8 = 0x07;

/// Starts the search, among all colour systems.
const SEARCH: u8 = 0xFF;

/// The chips that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwChip {
    /// TW2865, four ports.
    Tw2865,
    /// TW2868, eight ports.
    Tw2868,
}

impl TwChip {
    /// The five upper bits of 0xFF; the others are the revision.
    fn of_id(id: u8) -> Option<Self> {
        match id >> 3 {
            0x18 => Some(Self::Tw2865),
            0x16 => Some(Self::Tw2868),
            _ => None,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Tw2865 => "TW2865",
            Self::Tw2868 => "TW2868",
        }
    }

    fn ports(self) -> u8 {
        match self {
            Self::Tw2865 => 4,
            Self::Tw2868 => 8,
        }
    }
}

/// An analog decoder of that family.
#[derive(Debug)]
pub struct Tw286x<I> {
    registers: Registers<I>,
    chip: TwChip,
    revision: u8,
    ports: Ports,
    modes: Vec<Mode>,
}

/// What a port was told, and whose lines it shows.
#[derive(Clone, Copy, Debug, Default)]
struct Mode {
    auto: bool,
    lines: Option<AnalogStandard>,
}

impl<I: I2c> Tw286x<I> {
    /// Looks for the chip at each of `addresses`, 8-bit ones as a board's description has them, and takes the first. Writes nothing.
    ///
    /// # Errors
    /// `NotFound` when none of them answers as one, `Device` when the bus fails.
    pub fn probe(bus: I, addresses: &[u8]) -> Result<Self, HalError> {
        let (registers, (chip, revision)) =
            Registers::probe(bus, addresses, "TW2865 or TW2868", |registers, what| {
                let id = registers.read(0xFF, what)?;
                Ok(TwChip::of_id(id).map(|chip| (chip, id & 7)).ok_or_else(|| format!("{id:#04x}")))
            })?;
        let ports = Ports::new(chip.ports());
        let modes = vec![Mode::default(); usize::from(chip.ports())];
        Ok(Self { registers, chip, revision, ports, modes })
    }

    /// Which it is.
    #[must_use]
    pub fn kind(&self) -> TwChip {
        self.chip
    }

    /// Does `work` on the page of `port`, given its first register, and leaves the first page behind as the vendor's driver does.
    fn on_page<T>(
        &mut self,
        port: u8,
        what: &str,
        work: impl FnOnce(&mut Registers<I>, u8) -> Result<T, HalError>,
    ) -> Result<T, HalError> {
        let first = port % PORTS_A_PAGE * 0x10;
        if port < PORTS_A_PAGE {
            return work(&mut self.registers, first);
        }
        self.registers.write(PAGE, 1, what)?;
        let done = work(&mut self.registers, first);
        self.registers.write(PAGE, 0, what)?;
        done
    }

    fn words(&self, what: &str, port: u8) -> String {
        format!("{what} of port {port} of the {}", self.chip.words())
    }

    fn crop(&mut self, port: u8, standard: AnalogStandard) -> Result<(), HalError> {
        let what = self.words("active lines", port);
        self.on_page(port, &what, |registers, first| registers.run(&cropping(first, standard), &what))?;
        self.modes[usize::from(port)].lines = Some(standard);
        Ok(())
    }
}

impl<I: I2c + Send> FrontEnd for Tw286x<I> {
    fn chip(&self) -> String {
        format!("{}, revision {}", self.chip.words(), self.revision)
    }

    fn ports(&self) -> u8 {
        self.ports.count()
    }

    fn locked(&mut self, port: u8) -> Result<Option<AnalogFormat>, HalError> {
        self.ports.check(self.chip.words(), port)?;
        let what = self.words("lock", port);
        let [status, found] = self.on_page(port, &what, |registers, first| {
            Ok([registers.read(first + STATUS, &what)?, registers.read(first + STANDARD, &what)?])
        })?;
        let locked = status & NO_SIGNAL == 0 && status & LOCKED == LOCKED && found & SEARCHING == 0;
        let now = standard(found >> 4 & 7).filter(|_| locked);
        let mode = self.modes[usize::from(port)];
        if let Some(standard) = now.filter(|_| mode.auto && mode.lines != now) {
            self.crop(port, standard)?;
        }
        Ok(self.ports.steady(port, now.map(|standard| AnalogFormat::composite(standard, 720))))
    }

    fn set_mode(&mut self, port: u8, mode: AnalogMode) -> Result<(), HalError> {
        self.ports.check(self.chip.words(), port)?;
        let what = self.words("mode", port);
        let wanted = match mode {
            AnalogMode::Auto => None,
            AnalogMode::Fixed(format) => match format.standard {
                AnalogStandard::Pal | AnalogStandard::Ntsc => Some(format.standard),
                other => {
                    let message = format!("the {} takes composite video, not {other:?}", self.chip.words());
                    return Err(HalError::new(ErrorKind::Unsupported, message));
                }
            },
        };
        let code = match wanted {
            None => ANY_STANDARD,
            Some(AnalogStandard::Pal) => 0x01,
            Some(_) => 0x00,
        };
        self.on_page(port, &what, |registers, first| {
            registers.write(first + STANDARD, code, &what)?;
            if wanted.is_none() { registers.write(first + RECOGNITION, SEARCH, &what) } else { Ok(()) }
        })?;
        self.modes[usize::from(port)] = Mode { auto: wanted.is_none(), lines: None };
        wanted.map_or(Ok(()), |standard| self.crop(port, standard))
    }
}

/// Whose lines and fields a colour system goes with.
fn standard(code: u8) -> Option<AnalogStandard> {
    Some(match code {
        // NTSC-M, NTSC 4.43, PAL-M, PAL-60.
        0 | 3 | 4 | 6 => AnalogStandard::Ntsc,
        // PAL-B, SECAM, PAL-N.
        1 | 2 | 5 => AnalogStandard::Pal,
        _ => return None,
    })
}

/// The active picture: five registers, the upper bits of the other four in the first.
fn cropping(first: u8, standard: AnalogStandard) -> Vec<Step> {
    const FROM_POINT: u16 = 12;
    const POINTS: u16 = 720;
    let (from_line, lines): (u16, u16) = if standard == AnalogStandard::Pal { (23, 288) } else { (21, 240) };
    let values = [from_line, lines, FROM_POINT, POINTS];
    let high = values.iter().fold(0, |high, value| high << 2 | (value >> 8 & 3) as u8);
    let all = [high].into_iter().chain(values.map(|value| (value & 0xFF) as u8));
    (first + CROPPING..).zip(all).map(|(register, value)| Step::Write(register, value)).collect()
}

#[cfg(test)]
mod tests {
    use embedded_hal::i2c::{ErrorKind as Bus, NoAcknowledgeSource};
    use embedded_hal_mock::eh1::i2c::{Mock, Transaction};

    use super::super::chip_double::ChipDouble;
    use super::*;

    fn read(register: u8, value: u8) -> Transaction {
        Transaction::write_read(0x28, vec![register], vec![value])
    }

    #[test]
    fn a_tw2865_is_found_and_its_ports_are_looked_at() {
        let transcript = [
            Transaction::write_read(0x29, vec![0xFF], vec![0])
                .with_error(Bus::NoAcknowledge(NoAcknowledgeSource::Address)),
            read(0xFF, 0xC1),
            // Locked, still searching, then PAL-B twice, then no signal.
            read(0x20, 0x48),
            read(0x2E, 0x97),
            read(0x20, 0x49),
            read(0x2E, 0x17),
            read(0x20, 0x49),
            read(0x2E, 0x17),
            read(0x20, 0x80),
            read(0x2E, 0x17),
        ];
        let mut bus = Mock::new(&transcript);
        let mut decoder = Tw286x::probe(bus.clone(), &[0x52, 0x50]).unwrap();
        assert_eq!((decoder.kind(), decoder.chip().as_str()), (TwChip::Tw2865, "TW2865, revision 1"));
        let seen = [(); 4].map(|()| decoder.locked(2).unwrap());
        let pal = AnalogFormat::composite(AnalogStandard::Pal, 720);
        assert_eq!(seen, [None, None, Some(pal), None]);
        assert_eq!(decoder.locked(4).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(decoder.coax().is_none());
        bus.done();
    }

    #[test]
    fn another_chip_is_named_and_a_broken_bus_is_told() {
        let mut bus = Mock::new(&[read(0xFF, 0x68)]);
        let error = Tw286x::probe(bus.clone(), &[0x50]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.to_string(), "no TW2865 or TW2868 at 0x50: 0x50 answers as 0x68");
        bus.done();
        let chip = ChipDouble::new(0x28, PAGE, 0x00..=0x3F);
        chip.set(0, 0xFF, 0xC0);
        let mut decoder = Tw286x::probe(chip.clone(), &[0x50]).unwrap();
        chip.break_bus();
        assert_eq!(decoder.locked(0).unwrap_err().kind(), ErrorKind::Device);
        assert_eq!(decoder.set_mode(0, AnalogMode::Auto).unwrap_err().kind(), ErrorKind::Device);
    }

    #[test]
    fn every_colour_system_has_its_lines() {
        use AnalogStandard::{Ntsc, Pal};
        let all: Vec<_> = (0..8).map(standard).collect();
        assert_eq!(
            all,
            [Some(Ntsc), Some(Pal), Some(Pal), Some(Ntsc), Some(Ntsc), Some(Pal), Some(Ntsc), None]
        );
    }

    /// The registers as HiSilicon's drivers write them.
    #[test]
    fn a_mode_is_written_on_the_ports_page() {
        let chip = ChipDouble::new(0x28, PAGE, 0x00..=0x3F);
        chip.set(0, 0xFF, 0xB0);
        let mut decoder = Tw286x::probe(chip.clone(), &[0x50]).unwrap();
        assert_eq!((decoder.kind(), decoder.ports()), (TwChip::Tw2868, 8));
        let pal = AnalogFormat::composite(AnalogStandard::Pal, 720);
        decoder.set_mode(5, AnalogMode::Fixed(pal)).unwrap();
        assert_eq!(
            chip.written(),
            [
                (1, 0x1E, 0x01),
                (1, 0x17, 0x12),
                (1, 0x18, 0x17),
                (1, 0x19, 0x20),
                (1, 0x1A, 0x0C),
                (1, 0x1B, 0xD0)
            ]
        );
        let ntsc = AnalogFormat::composite(AnalogStandard::Ntsc, 720);
        decoder.set_mode(0, AnalogMode::Fixed(ntsc)).unwrap();
        assert_eq!(chip.written()[..3], [(0, 0x0E, 0x00), (0, 0x07, 0x02), (0, 0x08, 0x15)]);
        let ahd = AnalogFormat::progressive(AnalogStandard::Ahd, 720, 25);
        assert_eq!(decoder.set_mode(0, AnalogMode::Fixed(ahd)).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn an_automatic_port_shows_the_lines_of_what_it_found() {
        let chip = ChipDouble::new(0x28, PAGE, 0x00..=0x3F);
        chip.set(0, 0xFF, 0xB0);
        let mut decoder = Tw286x::probe(chip.clone(), &[0x50]).unwrap();
        decoder.set_mode(7, AnalogMode::Auto).unwrap();
        assert_eq!(chip.written(), [(1, 0x3E, 0x07), (1, 0x3F, 0xFF)]);
        chip.set(1, 0x30, 0x49);
        chip.set(1, 0x3E, 0x17);
        assert_eq!(decoder.locked(7).unwrap(), None);
        assert_eq!(chip.written()[2], (1, 0x39, 0x20), "288 lines");
        assert_eq!(decoder.locked(7).unwrap().unwrap().standard, AnalogStandard::Pal);
        assert_eq!(chip.written(), [], "once");
        chip.set(1, 0x3E, 0x07);
        decoder.locked(7).unwrap();
        assert_eq!(chip.written()[2], (1, 0x39, 0xF0), "240 lines");
    }
}
