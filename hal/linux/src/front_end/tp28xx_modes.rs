//! Techpoint TP2823, TP2827 and TP2853: the registers that set a port to a format.
//!
//! A mode is the raster (active size, where it begins, points a line), one of two sampling clocks (the slower one, "version 2", for 720
//! lines at 25 and 30 frames a second and for composite video), and a few values of the colour decoder, the subcarrier's frequency
//! among them. How a port's clock reaches the output depends on how start-up code shares outputs between ports; that is read back.
//!
//! Source: Techpoint's public Linux driver (0.6.4, in a HiSilicon SDK); the raster was worked out from its tables. Checked against
//! what that driver writes, not against a chip. Not done: more than 1080 lines, the equaliser and the gains that the driver
//! tunes after lock, and start-up: PLLs, outputs, audio.

use hal::{AnalogFormat, AnalogStandard, ErrorKind, HalError};

use super::registers::Step;

/// Chips whose registers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TpChip {
    /// TP2823 (id 0x2300): TVI and composite video.
    Tp2823,
    /// TP2823C (id 0x2618): as the TP2853C.
    Tp2823c,
    /// TP2827 (id 0x2611).
    Tp2827,
    /// TP2853C (id 0x2600).
    Tp2853c,
}

impl TpChip {
    pub(super) fn of_id(id: u16) -> Option<Self> {
        Some(match id {
            0x2300 => Self::Tp2823,
            0x2618 => Self::Tp2823c,
            0x2611 => Self::Tp2827,
            0x2600 => Self::Tp2853c,
            _ => return None,
        })
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Tp2823 => "TP2823",
            Self::Tp2823c => "TP2823C",
            Self::Tp2827 => "TP2827",
            Self::Tp2853c => "TP2853C",
        }
    }

    /// Whether it takes AHD and CVI too.
    pub(super) fn takes_all(self) -> bool {
        self != Self::Tp2823
    }
}

/// How ports share outputs, as registers 0x45, 0xF6 and 0xF7 have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// One port an output.
    One,
    /// Two ports an output, at 148.5 MHz.
    Two,
    /// Two ports an output, at 297 MHz.
    TwoFast,
    /// Four ports an output.
    Four,
}

impl Output {
    pub(super) fn of(pll: u8, first: u8, second: u8) -> Self {
        let ports = |register: u8| [register >> 4 & 7, register & 7];
        let [high, low] = ports(first);
        if high == low {
            return Self::One;
        }
        match (pll == 0x54, ports(second).iter().all(|port| *port >= 2)) {
            (false, _) => Self::Two,
            (true, true) => Self::TwoFast,
            (true, false) => Self::Four,
        }
    }
}

/// What a port is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) format: AnalogFormat,
    /// For TVI of 720 lines at 25 or 30 frames a second: whether it is the standard's second version, with the slower clock.
    pub(super) second: bool,
}

impl Setting {
    fn is_composite(&self) -> bool {
        matches!(self.format.standard, AnalogStandard::Pal | AnalogStandard::Ntsc)
    }

    /// Lines and frames a second, of what is not composite.
    fn shape(&self) -> (u16, u32) {
        (self.format.resolution.height, self.format.frame_rate.numerator)
    }

    fn has_slow_clock(&self) -> bool {
        let slow = matches!(self.shape(), (720, 25 | 30));
        self.is_composite() || slow && (self.second || self.format.standard != AnalogStandard::Tvi)
    }
}

struct Raster {
    from_point: u16,
    points: u16,
    from_line: u8,
    lines: u16,
    points_a_line: u16,
}

impl Raster {
    /// Nine registers from 0x15.
    fn steps(&self) -> impl Iterator<Item = Step> {
        let high = |value: u16| (value >> 8) as u8;
        let low = |value: u16| (value & 0xFF) as u8;
        let values = [
            high(self.from_point) << 4 | 0x03,
            low(self.from_point),
            low(self.points),
            self.from_line,
            low(self.lines),
            high(self.lines) << 4 | high(self.points),
            0x00,
            high(self.points_a_line),
            low(self.points_a_line),
        ];
        (0x15..).zip(values).map(|(register, value)| Step::Write(register, value))
    }
}

/// What sets `port` to `setting`, once its page is chosen. `Unsupported` for what the chip cannot take.
pub(super) fn steps(
    chip: TpChip,
    port: u8,
    setting: &Setting,
    output: Output,
) -> Result<Vec<Step>, HalError> {
    let refused = || {
        let message = format!("the {} cannot be set to {:?}", chip.words(), setting.format);
        HalError::new(ErrorKind::Unsupported, message)
    };
    let known =
        setting.is_composite() || matches!(setting.shape(), (1080, 25 | 30) | (720, 25 | 30 | 50 | 60));
    if !known {
        return Err(refused());
    }
    let slow = setting.has_slow_clock();
    let size = match setting.format.resolution.height {
        1080 => 0x00,
        720 => 0x02,
        _ => 0x07,
    };
    let bit = 1 << port;
    let mut steps = vec![Step::Write(0x35, if slow { 0x25 } else { 0x05 })];
    steps.extend(raster(chip, setting).steps());
    steps.push(Step::Change { register: 0x02, keep: 0xF8, set: size });
    steps.push(Step::Change { register: 0xF5, keep: !bit, set: if slow { bit } else { 0 } });
    steps.extend(match chip {
        TpChip::Tp2823 => older_colour(setting, slow),
        _ => newer_colour(chip, setting, slow),
    });
    match setting.format.standard {
        AnalogStandard::Ahd => steps.extend(ahd(chip, setting.shape()).ok_or_else(refused)?),
        AnalogStandard::Cvi => steps.extend(cvi(chip, setting.shape()).ok_or_else(refused)?),
        _ => {}
    }
    steps.extend(clock(chip, port, slow, output));
    Ok(steps)
}

fn raster(chip: TpChip, setting: &Setting) -> Raster {
    let newer_line = |older: u8, newer: u8| if chip == TpChip::Tp2823 { older } else { newer };
    match setting.format.standard {
        AnalogStandard::Pal => {
            return Raster {
                from_point: 0x15F,
                points: 1980,
                from_line: 23,
                lines: 288,
                points_a_line: 2376,
            };
        }
        AnalogStandard::Ntsc => {
            let from_line = newer_line(21, 18);
            return Raster { from_point: 0x14E, points: 1980, from_line, lines: 240, points_a_line: 2360 };
        }
        _ => {}
    }
    let (height, rate) = setting.shape();
    let mut raster = if height == 1080 {
        let points_a_line = if rate == 25 { 2640 } else { 2200 };
        Raster { from_point: 0xD3, points: 1920, from_line: 41, lines: 1080, points_a_line }
    } else {
        let points_a_line = match (rate, setting.has_slow_clock()) {
            (25, false) => 3960,
            (30, false) => 3300,
            (25 | 50, _) => 1980,
            _ => 1650,
        };
        Raster { from_point: 0x116, points: 1280, from_line: 25, lines: 720, points_a_line }
    };
    if setting.format.standard == AnalogStandard::Cvi {
        (raster.from_point, raster.points_a_line) = match (chip, height, rate) {
            (TpChip::Tp2827, 1080, _) => (0x160, 2400),
            (TpChip::Tp2827, _, 25 | 50) => (0x10A, 1658),
            (TpChip::Tp2827, ..) => (0x108, raster.points_a_line),
            (_, 1080, 25) => (0x184, raster.points_a_line),
            (_, 1080, _) => (0x144, raster.points_a_line),
            (_, _, 25 | 50) => (0x140, raster.points_a_line),
            _ => (0x102, raster.points_a_line),
        };
    }
    raster
}

/// The subcarrier's frequency: four registers from 0x30.
fn subcarrier(increment: u32) -> impl Iterator<Item = Step> {
    (0x30..).zip(increment.to_be_bytes()).map(|(register, value)| Step::Write(register, value))
}

const PAL_SUBCARRIER: u32 = 0x7A4A_4DF0;
const NTSC_SUBCARRIER: u32 = 0x62BB_96C0;
const TVI_SUBCARRIER: u32 = 0x48BB_2E90;

fn writes(values: &[(u8, u8)]) -> impl Iterator<Item = Step> {
    values.iter().map(|(register, value)| Step::Write(*register, *value))
}

fn older_colour(setting: &Setting, slow: bool) -> Vec<Step> {
    let (values, increment) = match setting.format.standard {
        AnalogStandard::Pal => ([0x53, 0x11, 0xB0, 0x02, 0x60, 0x5E, 0x10], PAL_SUBCARRIER),
        AnalogStandard::Ntsc => ([0x53, 0x10, 0xA0, 0x12, 0x68, 0x5E, 0x10], NTSC_SUBCARRIER),
        _ if slow => ([0x53, 0x10, 0x60, 0x02, 0x30, 0x70, 0x20], TVI_SUBCARRIER),
        _ => ([0x43, 0x10, 0x60, 0x02, 0x30, 0x70, 0x30], TVI_SUBCARRIER),
    };
    let registers = [0x0C, 0x0D, 0x20, 0x26, 0x2D, 0x2E, 0x39].into_iter().zip(values);
    registers.map(|(register, value)| Step::Write(register, value)).chain(subcarrier(increment)).collect()
}

fn newer_colour(chip: TpChip, setting: &Setting, slow: bool) -> Vec<Step> {
    let four_outputs = chip == TpChip::Tp2827;
    let (values, increment) = match setting.format.standard {
        AnalogStandard::Pal => {
            let burst = if four_outputs { 0x64 } else { 0x60 };
            ([0x13, 0x51, 0x48, 0x37, 0x3F, 0x70, 0x2A, burst, 0x56, 0x04], PAL_SUBCARRIER)
        }
        AnalogStandard::Ntsc => {
            ([0x13, 0x50, 0x40, 0x36, 0x3C, 0x70, 0x2A, 0x68, 0x57, 0x04], NTSC_SUBCARRIER)
        }
        _ => {
            let filter = if slow { 0x08 } else { 0x0C } | if four_outputs { 0x10 } else { 0x00 };
            let path = if slow { 0x13 } else { 0x03 };
            ([path, 0x50, 0x30, 0x36, 0x3C, 0x60, 0x0A, 0x30, 0x70, filter], TVI_SUBCARRIER)
        }
    };
    // As after reset: what AHD and CVI change.
    let mut steps: Vec<Step> = writes(&[
        (0x07, 0xC0),
        (0x13, 0x00),
        (0x21, 0x84),
        (0x25, 0xFF),
        (0x26, 0x05),
        (0x27, 0x2D),
        (0x28, 0x00),
        (0x3B, if four_outputs { 0x05 } else { 0x25 }),
    ])
    .collect();
    steps.push(Step::Change { register: 0x14, keep: 0x9F, set: 0 });
    let registers = [0x0C, 0x0D, 0x20, 0x22, 0x23, 0x2B, 0x2C, 0x2D, 0x2E, 0x39].into_iter().zip(values);
    steps.extend(registers.map(|(register, value)| Step::Write(register, value)));
    steps.extend(subcarrier(increment));
    steps
}

fn ahd(chip: TpChip, shape: (u16, u32)) -> Option<Vec<Step>> {
    let four_outputs = chip == TpChip::Tp2827;
    // Registers 0x20 (TP2827), 0x2D, 0x2E, and the subcarrier.
    let (clamp, burst, gain, increment) = match (four_outputs, shape) {
        _ if !chip.takes_all() => return None,
        (true, (720, 30)) => (0x40, 0x48, 0x40, 0x2772_8070),
        (true, (720, 25)) => (0x40, 0x48, 0x40, 0x2788_0420),
        (true, (1080, 30)) => (0x38, 0x44, 0x40, 0x2965_7810),
        (true, (1080, 25)) => (0x3C, 0x44, 0x40, 0x2961_BED0),
        (false, (720, 30)) => (0x30, 0x48, 0x5E, 0x2772_8077),
        (false, (720, 25)) => (0x30, 0x48, 0x5E, 0x2788_0423),
        (false, (1080, 30)) => (0x30, 0x45, 0x50, 0x2965_7816),
        (false, (1080, 25)) => (0x30, 0x45, 0x40, 0x2961_7816),
        _ => return None,
    };
    let path = if shape.0 == 720 { 0x40 } else { 0x60 };
    let mut steps = vec![Step::Change { register: 0x14, keep: 0xFF, set: path }];
    if !four_outputs {
        steps.push(Step::Write(0x07, 0x80));
    }
    let lock = if four_outputs { (0x46, 0xFE) } else { (0x44, 0xF0) };
    steps.extend(writes(&[(0x20, clamp), (0x21, lock.0), (0x25, lock.1), (0x26, 0x01)]));
    steps.extend(writes(&[(0x2D, burst), (0x2E, gain), (0x3B, 0x05)]));
    steps.extend(subcarrier(increment));
    Some(steps)
}

fn cvi(chip: TpChip, shape: (u16, u32)) -> Option<Vec<Step>> {
    let four_outputs = chip == TpChip::Tp2827;
    // Registers 0x20 and 0x2D, and the subcarrier.
    let (clamp, burst, increment) = match (four_outputs, shape) {
        _ if !chip.takes_all() => return None,
        (true, (1080, 25)) => (0x50, 0x54, 0x4182_27A2),
        (true, (1080, 30)) => (0x3C, 0x4C, 0x4182_27A4),
        (true, (720, 25)) => (0x3A, 0x36, 0x4867_6F33),
        (true, (720, 30)) => (0x30, 0x37, 0x4867_6F30),
        (true, (720, 50)) => (0x3A, 0x42, 0x4182_27A3),
        (true, (720, 60)) => (0x30, 0x37, 0x4182_27A0),
        (false, (1080, 25)) => (0x50, 0x54, 0x4182_27A6),
        (false, (1080, 30)) => (0x40, 0x47, 0x4182_27A6),
        (false, (720, 25)) => (0x3A, 0x42, 0x4867_6F31),
        (false, (720, 30)) => (0x30, 0x37, 0x4867_6F31),
        (false, (720, 50)) => (0x3A, 0x42, 0x4182_27A6),
        (false, (720, 60)) => (0x30, 0x37, 0x4182_27A6),
        _ => return None,
    };
    let mut steps: Vec<Step> = writes(&[(0x13, 0x40), (0x26, 0x01), (0x27, 0x5A), (0x28, 0x04)]).collect();
    if !four_outputs {
        steps.push(Step::Write(0x07, 0x80));
    }
    steps.extend(writes(&[(0x20, clamp), (0x2B, 0x60), (0x2D, burst), (0x2E, 0x40)]));
    steps.extend(subcarrier(increment));
    Some(steps)
}

/// How the port's clock reaches the output.
fn clock(chip: TpChip, port: u8, slow: bool, output: Output) -> Option<Step> {
    match output {
        Output::Two | Output::Four => {
            (!slow).then_some(Step::Change { register: 0x35, keep: 0xFF, set: 0x40 })
        }
        Output::TwoFast if chip.takes_all() => {
            // Ports 0 and 1 are on the first output, 2 and 3 on the second.
            let bit = [0x01, 0x02, 0x40, 0x80][usize::from(port % 4)];
            Some(Step::Change { register: 0x47, keep: !bit, set: if slow { bit } else { 0 } })
        }
        Output::TwoFast => None,
        Output::One => {
            // Half a register an output; the TP2827 has four, the others two.
            let register = if chip == TpChip::Tp2827 { 0xFA + port / 2 } else { 0xFA };
            let (keep, set) = if port.is_multiple_of(2) { (0xF8, 0x01) } else { (0x8F, 0x10) };
            Some(Step::Change { register, keep, set: if slow { set } else { 0 } })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The registers after all steps, from a chip full of `fill`.
    fn after(chip: TpChip, standard: AnalogStandard, shape: (u16, u32), second: bool, fill: u8) -> [u8; 256] {
        let format = match standard {
            AnalogStandard::Pal | AnalogStandard::Ntsc => AnalogFormat::composite(standard, 960),
            _ => AnalogFormat::progressive(standard, shape.0, shape.1),
        };
        let mut registers = [fill; 256];
        for step in steps(chip, 1, &Setting { format, second }, Output::One).unwrap() {
            match step {
                Step::Write(register, value) => registers[usize::from(register)] = value,
                Step::Change { register, keep, set } => {
                    let value = &mut registers[usize::from(register)];
                    *value = *value & keep | set;
                }
            }
        }
        registers
    }

    /// The tables of Techpoint's driver from 0x15, byte by byte.
    #[test]
    fn rasters_are_those_of_the_public_driver() {
        use AnalogStandard::{Cvi, Ntsc, Pal, Tvi};
        let raster = |chip, standard, shape, second| -> [u8; 9] {
            after(chip, standard, shape, second, 0)[0x15..0x1E].try_into().unwrap()
        };
        for (shape, second, table) in [
            ((1080, 25), false, [0x03, 0xD3, 0x80, 0x29, 0x38, 0x47, 0x00, 0x0A, 0x50]),
            ((1080, 30), false, [0x03, 0xD3, 0x80, 0x29, 0x38, 0x47, 0x00, 0x08, 0x98]),
            ((720, 25), false, [0x13, 0x16, 0x00, 0x19, 0xD0, 0x25, 0x00, 0x0F, 0x78]),
            ((720, 30), false, [0x13, 0x16, 0x00, 0x19, 0xD0, 0x25, 0x00, 0x0C, 0xE4]),
            ((720, 50), false, [0x13, 0x16, 0x00, 0x19, 0xD0, 0x25, 0x00, 0x07, 0xBC]),
            ((720, 60), false, [0x13, 0x16, 0x00, 0x19, 0xD0, 0x25, 0x00, 0x06, 0x72]),
            ((720, 25), true, [0x13, 0x16, 0x00, 0x19, 0xD0, 0x25, 0x00, 0x07, 0xBC]),
        ] {
            assert_eq!(raster(TpChip::Tp2823, Tvi, shape, second), table, "{shape:?} {second}");
        }
        let pal = [0x13, 0x5F, 0xBC, 0x17, 0x20, 0x17, 0x00, 0x09, 0x48];
        assert_eq!(raster(TpChip::Tp2853c, Pal, (0, 0), false), pal);
        let ntsc = [0x13, 0x4E, 0xBC, 0x12, 0xF0, 0x07, 0x00, 0x09, 0x38];
        assert_eq!(raster(TpChip::Tp2853c, Ntsc, (0, 0), false), ntsc);
        let cvi = [0x13, 0x0A, 0x00, 0x19, 0xD0, 0x25, 0x00, 0x06, 0x7A];
        assert_eq!(raster(TpChip::Tp2827, Cvi, (720, 25), false), cvi);
    }

    #[test]
    fn standards_leave_their_marks() {
        use AnalogStandard::{Ahd, Cvi, Pal, Tvi};
        let ahd = after(TpChip::Tp2853c, Ahd, (1080, 25), false, 0xFF);
        assert_eq!((ahd[0x14] & 0x60, ahd[0x13], ahd[0x07]), (0x60, 0x00, 0x80));
        assert_eq!(ahd[0x30..0x34], [0x29, 0x61, 0x78, 0x16]);
        let cvi = after(TpChip::Tp2827, Cvi, (1080, 30), false, 0xFF);
        assert_eq!((cvi[0x14] & 0x60, cvi[0x13], cvi[0x2D]), (0x00, 0x40, 0x4C));
        let tvi = after(TpChip::Tp2827, Tvi, (1080, 30), false, 0xFF);
        assert_eq!((tvi[0x14] & 0x60, tvi[0x13], tvi[0x39], tvi[0x02] & 7), (0, 0, 0x1C, 0));
        let pal = after(TpChip::Tp2823, Pal, (0, 0), false, 0);
        assert_eq!((pal[0x0D], pal[0x02], pal[0x35], pal[0xF5]), (0x11, 0x07, 0x25, 0b10));
        assert_eq!(pal[0x30..0x34], [0x7A, 0x4A, 0x4D, 0xF0]);
    }

    #[test]
    fn the_clock_goes_the_way_that_outputs_are_shared() {
        let of = |output, chip, port, slow| clock(chip, port, slow, output);
        let change = |register, keep, set| Some(Step::Change { register, keep, set });
        assert_eq!(of(Output::One, TpChip::Tp2853c, 3, true), change(0xFA, 0x8F, 0x10));
        assert_eq!(of(Output::One, TpChip::Tp2827, 2, false), change(0xFB, 0xF8, 0x00));
        assert_eq!(of(Output::Two, TpChip::Tp2823, 0, false), change(0x35, 0xFF, 0x40));
        assert_eq!(of(Output::Two, TpChip::Tp2823, 0, true), None);
        assert_eq!(of(Output::TwoFast, TpChip::Tp2853c, 2, true), change(0x47, !0x40, 0x40));
        assert_eq!(of(Output::TwoFast, TpChip::Tp2823, 2, true), None);
        for (registers, output) in [
            ([0x05, 0x00, 0x11], Output::One),
            ([0x05, 0x10, 0x23], Output::Two),
            ([0x54, 0x18, 0x23], Output::TwoFast),
            ([0x54, 0x10, 0x10], Output::Four),
            ([0x54, 0x09, 0x01], Output::Four),
        ] {
            assert_eq!(Output::of(registers[0], registers[1], registers[2]), output, "{registers:02x?}");
        }
    }

    #[test]
    fn what_a_chip_cannot_take_is_refused() {
        let refused = |chip, standard, height, rate| {
            let format = AnalogFormat::progressive(standard, height, rate);
            let answer = steps(chip, 0, &Setting { format, second: false }, Output::One);
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::Unsupported);
        };
        refused(TpChip::Tp2823, AnalogStandard::Ahd, 1080, 25);
        refused(TpChip::Tp2823, AnalogStandard::Cvi, 720, 25);
        refused(TpChip::Tp2853c, AnalogStandard::Ahd, 720, 50);
        refused(TpChip::Tp2827, AnalogStandard::Tvi, 1536, 18);
        refused(TpChip::Tp2827, AnalogStandard::Tvi, 1080, 60);
    }
}
