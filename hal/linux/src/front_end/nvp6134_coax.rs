//! NVP6124 and NVP6134: the transmitter for camera control over the coaxial cable.
//!
//! Each port has one: which lines it uses and how long a bit is depends on the format; two sets of data registers take the bytes,
//! the older one with the first bit last. A pulse register sends them. Values and waits follow the public Linux drivers of both
//! chips; checked against what those write, not against a camera.
//!
//! Not as those drivers do: after a TVI command they send Stop at once, which ends any movement. Not done: AHD of 720 lines at 50
//! or 60 frames a second, where the drivers contradict themselves; what cameras answer.

use hal::{AnalogFormat, AnalogStandard};

use super::coax::Frame;
use super::nvp6134_chip::NvpChip;
use super::registers::Step;

/// Registers of a port's half of its bank.
const FAST_CLOCK: u8 = 0x00;
const SLOW_CLOCK: u8 = 0x02;
const FAST_LINE: u8 = 0x03;
const FAST_LINES: u8 = 0x05;
const SLOW_LINE: u8 = 0x07;
const FAST_BYTES: u8 = 0x0A;
const PACKET: u8 = 0x0B;
const START: u8 = 0x0D;
const EVEN_LINES: u8 = 0x2F;

/// The two ways into a transmitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// The first data register.
    pub(super) data: u8,
    /// The register that starts and ends sending.
    pub(super) pulse: u8,
    /// Its value for start.
    pub(super) start: u8,
    /// How long sending takes.
    pub(super) wait_ms: u32,
}

const SLOW: Way = Way { data: 0x20, pulse: 0x0C, start: 0x01, wait_ms: 30 };
const FAST: Way = Way { data: 0x10, pulse: 0x09, start: 0x08, wait_ms: 25 };

/// One round of sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Round {
    pub(super) way: Way,
    pub(super) bytes: Vec<u8>,
}

/// The rounds for a frame: an empty one first, where the camera needs one.
pub(super) fn rounds(frame: &Frame) -> Vec<Round> {
    let after_zeros =
        |way, bytes: Vec<u8>| vec![Round { way, bytes: vec![0; bytes.len()] }, Round { way, bytes }];
    let reversed = |bytes: &[u8]| bytes.iter().map(|byte| byte.reverse_bits()).collect();
    match frame {
        Frame::Composite(bytes) => after_zeros(SLOW, reversed(bytes)),
        Frame::Ahd720(bytes) => after_zeros(Way { wait_ms: 70, ..SLOW }, reversed(bytes)),
        Frame::Ahd1080(bytes) => after_zeros(FAST, bytes.to_vec()),
        // Four bytes a line; a bit more in each, as the second half of the start.
        Frame::Tvi(bytes) => {
            let lines = bytes.chunks(4).flat_map(|line| [line, &[0x80]].concat()).collect();
            vec![Round { way: FAST, bytes: lines }]
        }
        // The first bit last, and a byte with the parity before each; the second round has what did not fit.
        Frame::Cvi(bytes) => {
            let words: Vec<u8> =
                bytes.iter().flat_map(|byte| [0x80 | parity(*byte), byte.reverse_bits()]).collect();
            let (first, last) = words.split_at(12);
            let mut rest = last.to_vec();
            rest.extend([0xC1, 0xFF].repeat(5));
            vec![Round { way: FAST, bytes: first.to_vec() }, Round { way: FAST, bytes: rest }]
        }
    }
}

/// 1 for an odd number of ones.
fn parity(byte: u8) -> u8 {
    u8::from(byte.count_ones() % 2 == 1)
}

/// What sets up a port's transmitter for a format, in the port's half (`half`: 0 or 0x80) of bank 3 or 4.
pub(super) fn transmitter(chip: NvpChip, format: &AnalogFormat, half: u8) -> Vec<Step> {
    let lines_625 = matches!(format.frame_rate.numerator, 25 | 50);
    let by_rate = |of_25: u8, of_30: u8| if lines_625 { of_25 } else { of_30 };
    let height = format.resolution.height;
    let newer = chip.is_6134();
    let settings: Vec<(u8, u8)> = match format.standard {
        AnalogStandard::Pal | AnalogStandard::Ntsc => {
            let [start_25, high_25] = if newer { [0x20, 0x06] } else { [0xA0, 0x05] };
            vec![
                (SLOW_CLOCK, 0x1B),
                (SLOW_LINE, 0x0E),
                (PACKET, 0x06),
                (START, by_rate(start_25, 0xD4)),
                (START + 1, by_rate(high_25, 0x05)),
                (EVEN_LINES, 0x01),
            ]
        }
        AnalogStandard::Ahd if height == 720 => {
            let (clock, start, high) =
                if newer { (0x12, 0x50, 0x00) } else { (0x0D, by_rate(0x40, 0x80), by_rate(0x05, 0x00)) };
            vec![
                (SLOW_CLOCK, clock),
                (SLOW_LINE, by_rate(0x0D, 0x0E)),
                (PACKET, 0x06),
                (START, start),
                (START + 1, high),
                (EVEN_LINES, 0x00),
            ]
        }
        AnalogStandard::Ahd => {
            let (clock, start) = if newer { (0x27, by_rate(0xB4, 0xBB)) } else { (0x0E, 0x14) };
            fast(clock, 0x0E, 0x03, 0x03, 0x10, [start, 0x00])
        }
        AnalogStandard::Tvi => {
            let start = if height == 720 && format.frame_rate.numerator <= 30 { 0x52 } else { 0x00 };
            fast(0x34, 0x0A, 0x04, 0x08, 0x08, [start, 0x00])
        }
        AnalogStandard::Cvi => {
            let (clock, start) = match (height, format.frame_rate.numerator) {
                (720, ..=30) => (0x0B, 0x02),
                (720, _) => (0x16, by_rate(0x02, 0x03)),
                _ => (0x16, by_rate(0x01, 0x02)),
            };
            fast(clock, 0x10, 0x05, 0x08, 0x40, [0x00, start])
        }
    };
    settings.into_iter().map(|(register, value)| Step::Write(half + register, value)).collect()
}

fn fast(clock: u8, line: u8, lines: u8, bytes: u8, packet: u8, start: [u8; 2]) -> Vec<(u8, u8)> {
    vec![
        (FAST_CLOCK, clock),
        (FAST_LINE, line),
        (FAST_LINES, lines),
        (FAST_BYTES, bytes),
        (PACKET, packet),
        (START, start[0]),
        (START + 1, start[1]),
        (EVEN_LINES, 0x00),
    ]
}

/// What sets up the output to the cable: bank, register, value. `slow` for 720 lines at 25 or 30 frames a second.
pub(super) fn driver(chip: NvpChip, port: u8, slow: bool) -> Vec<(u8, u8, u8)> {
    if !chip.is_6134() {
        return vec![(1, 0xBD, 0xD0), (1, 0xBE, 0xDD), (1, 0xBF, 0x0D), (5 + port, 0x7C, 0x11)];
    }
    vec![
        (1, 0xA8 + port, if port < 2 { 0x01 } else { 0x02 }),
        (1, 0xBC + port, if port.is_multiple_of(2) { 0x07 } else { 0x0F }),
        (5 + port, 0x2F, 0x00),
        (5 + port, 0x30, 0x00),
        (5 + port, 0x31, 0x43),
        (5 + port, 0x32, 0xA2),
        (5 + port, 0x7C, if slow { 0x01 } else { 0x11 }),
        (5 + port, 0x7D, 0x80),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_lie_as_public_drivers_lay_them() {
        let up = rounds(&Frame::Composite([0, 0x08, 0, 0x32]));
        assert_eq!(
            up.iter().map(|round| round.bytes.clone()).collect::<Vec<_>>(),
            [vec![0, 0, 0, 0], vec![0x00, 0x10, 0x00, 0x4C],]
        );
        let right = rounds(&Frame::Ahd720([0, 0x02, 0x02, 0]));
        assert_eq!((right[1].bytes.as_slice(), right[1].way.wait_ms), (&[0x00, 0x40, 0x40, 0x00][..], 70));
        let up = rounds(&Frame::Tvi([0xB5, 0, 0x06, 0x24, 0, 0, 0, 0xDF]));
        assert_eq!(up, [Round { way: FAST, bytes: vec![0xB5, 0, 0x06, 0x24, 0x80, 0, 0, 0, 0xDF, 0x80] }]);
        let down = rounds(&Frame::Cvi([0xA5, 1, 0x04, 0, 0x9F, 0, 0x49]));
        let first = [0x80, 0xA5, 0x81, 0x80, 0x81, 0x20, 0x80, 0x00, 0x80, 0xF9, 0x80, 0x00];
        assert_eq!(down[0].bytes, first);
        assert_eq!(down[1].bytes[..4], [0x81, 0x92, 0xC1, 0xFF]);
        assert_eq!(down[1].bytes.len(), 12);
    }

    #[test]
    fn each_port_has_its_half() {
        let format = AnalogFormat::progressive(AnalogStandard::Ahd, 1080, 25);
        let steps = transmitter(NvpChip::Nvp6134, &format, 0x80);
        assert_eq!(steps[0], Step::Write(0x80, 0x27));
        assert!(steps.contains(&Step::Write(0x8D, 0xB4)));
        let older = transmitter(NvpChip::Nvp6124, &format, 0);
        assert!(older.contains(&Step::Write(0x00, 0x0E)) && older.contains(&Step::Write(0x0D, 0x14)));
    }
}
