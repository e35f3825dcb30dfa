//! The NVP6124's and NVP6134's codes for what a port has locked to.
//!
//! Does not belong here: where the codes are read.

use hal::{AnalogFormat, AnalogStandard, FrameRate};

/// The NVP6124's: one bit a format.
pub(super) fn of_6124(code: u8) -> Option<AnalogFormat> {
    use AnalogStandard::{Ahd, Ntsc, Pal};
    Some(match code {
        0x01 => composite(Ntsc),
        0x02 => composite(Pal),
        0x04 => AnalogFormat::progressive(Ahd, 720, 30),
        0x08 => AnalogFormat::progressive(Ahd, 720, 25),
        0x10 => AnalogFormat::progressive(Ahd, 720, 60),
        0x20 => AnalogFormat::progressive(Ahd, 720, 50),
        0x40 => AnalogFormat::progressive(Ahd, 1080, 30),
        0x80 => AnalogFormat::progressive(Ahd, 1080, 25),
        _ => return None,
    })
}

/// The NVP6134's registers of a port's bank that tell the format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Detected {
    /// 0xF0: a number a format; 0xFF when it fits none.
    pub(super) code: u8,
    /// 0xF2 and 0xF3: which format of more than 1080 lines it is.
    pub(super) kind: [u8; 2],
    /// 0xF4 and 0xF5: the vertical count; tells TVI of more than 1080 lines.
    pub(super) count: [u8; 2],
    /// 0x5C: the format's number when its colour is AHD's.
    pub(super) ahd: u8,
}

/// The NVP6134's.
pub(super) fn of_6134(detected: &Detected) -> Option<AnalogFormat> {
    use AnalogStandard::{Ahd, Cvi};
    if let Some(format) = by_number(detected.ahd).filter(|format| format.standard == Ahd) {
        return Some(format);
    }
    let mut format = match (detected.code, detected.kind, detected.count) {
        (0x6F, [rate, 0x01 | 0x02], _) => {
            AnalogFormat::progressive(Ahd, 1536, if rate >> 4 == 2 { 30 } else { 25 })
        }
        (0x6F, [_, 0x03 | 0x04], _) => AnalogFormat::progressive(Ahd, 1536, 18),
        (0x7F, [_, 0x02], _) => AnalogFormat::progressive(Ahd, 1944, 20),
        (0x7F, [_, 0x04], _) => half_of_25(Ahd),
        (0x40, ..) => AnalogFormat::progressive(Ahd, 1440, 30),
        (0x41, ..) => AnalogFormat::progressive(Ahd, 1440, 25),
        (0x4F, ..) => AnalogFormat::progressive(Ahd, 1440, 15),
        (_, _, [0x30 | 0x31, 0x06]) => AnalogFormat::progressive(AnalogStandard::Tvi, 1536, 18),
        (_, _, [0xD0 | 0xD1, 0x07]) => half_of_25(AnalogStandard::Tvi),
        (code, ..) => by_number(code)?,
    };
    // AHD and CVI have the same lines; the number says AHD for both.
    if format.standard == Ahd && format.resolution.height <= 1080 {
        format.standard = Cvi;
    }
    Some(format)
}

fn by_number(code: u8) -> Option<AnalogFormat> {
    use AnalogStandard::{Ahd, Cvi, Ntsc, Pal, Tvi};
    let (standard, height, rate) = match code {
        0x00 => return Some(composite(Ntsc)),
        0x10 => return Some(composite(Pal)),
        0x20 => (Ahd, 720, 30),
        0x21 => (Ahd, 720, 25),
        0x22 => (Ahd, 720, 60),
        0x23 => (Ahd, 720, 50),
        0x25 | 0x29 => (Tvi, 720, 30),
        0x26 | 0x2A => (Tvi, 720, 25),
        0x27 => (Tvi, 720, 60),
        0x28 => (Tvi, 720, 50),
        0x2B => (Cvi, 720, 30),
        0x2C => (Cvi, 720, 25),
        0x2D => (Cvi, 720, 60),
        0x2E => (Cvi, 720, 50),
        0x30 => (Ahd, 1080, 30),
        0x31 => (Ahd, 1080, 25),
        0x33 => (Tvi, 1080, 30),
        0x34 => (Tvi, 1080, 25),
        0x35 => (Cvi, 1080, 30),
        0x36 => (Cvi, 1080, 25),
        _ => return None,
    };
    Some(AnalogFormat::progressive(standard, height, rate))
}

/// 2592x1944 at 12.5 frames a second.
pub(super) fn half_of_25(standard: AnalogStandard) -> AnalogFormat {
    let frame_rate = FrameRate { numerator: 25, denominator: 2 };
    AnalogFormat { frame_rate, ..AnalogFormat::progressive(standard, 1944, 25) }
}

/// Both chips sample composite video at 960 points a line.
pub(super) fn composite(standard: AnalogStandard) -> AnalogFormat {
    AnalogFormat::composite(standard, 960)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(detected: Detected) -> Option<(AnalogStandard, u16, u32)> {
        of_6134(&detected)
            .map(|format| (format.standard, format.resolution.height, format.frame_rate.numerator))
    }

    #[test]
    fn ahd_is_told_from_cvi_by_its_colour() {
        let lines = Detected { code: 0x31, ..Detected::default() };
        assert_eq!(seen(Detected { ahd: 0x31, ..lines }), Some((AnalogStandard::Ahd, 1080, 25)));
        assert_eq!(seen(Detected { ahd: 0xFF, ..lines }), Some((AnalogStandard::Cvi, 1080, 25)));
        let tvi = Detected { code: 0x33, ahd: 0xFF, ..lines };
        assert_eq!(seen(tvi), Some((AnalogStandard::Tvi, 1080, 30)));
        assert_eq!(seen(Detected { code: 0x10, ahd: 0xFF, ..lines }), Some((AnalogStandard::Pal, 576, 25)));
        assert_eq!(seen(Detected { code: 0xFF, ahd: 0xFF, ..lines }), None);
    }

    #[test]
    fn more_than_1080_lines_are_told_by_further_registers() {
        let none = Detected { ahd: 0xFF, ..Detected::default() };
        let kind = |code, kind| seen(Detected { code, kind, ..none });
        assert_eq!(kind(0x6F, [0x20, 0x01]), Some((AnalogStandard::Ahd, 1536, 30)));
        assert_eq!(kind(0x6F, [0x10, 0x02]), Some((AnalogStandard::Ahd, 1536, 25)));
        assert_eq!(kind(0x6F, [0, 0x04]), Some((AnalogStandard::Ahd, 1536, 18)));
        assert_eq!(kind(0x7F, [0, 0x02]), Some((AnalogStandard::Ahd, 1944, 20)));
        assert_eq!(kind(0x7F, [0, 0x09]), None);
        assert_eq!(kind(0x4F, [0, 0]), Some((AnalogStandard::Ahd, 1440, 15)));
        let count = |count| seen(Detected { code: 0xFF, count, ..none });
        assert_eq!(count([0x31, 0x06]), Some((AnalogStandard::Tvi, 1536, 18)));
        let slow = of_6134(&Detected { code: 0xFF, count: [0xD0, 0x07], ..none }).unwrap();
        assert_eq!(slow.frame_rate, FrameRate { numerator: 25, denominator: 2 });
    }

    #[test]
    fn the_6124_has_a_bit_for_each() {
        let known: Vec<u8> = (0..=u8::MAX).filter(|code| of_6124(*code).is_some()).collect();
        assert_eq!(known, [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80]);
    }
}
