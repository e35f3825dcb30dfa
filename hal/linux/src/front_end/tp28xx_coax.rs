//! TP2823, TP2827 and TP2853: the transmitter for camera control.
//!
//! The cable carries camera control in the blanking interval. Each port has data registers for two lines of it in each of two
//! banks, and registers for which lines they are and how long a bit is. TVI's bits go out as they are; AHD's and composite
//! video's as three each (110 and 100), the most significant first; CVI's with a parity bit, the least significant first.
//!
//! Source: Techpoint's public Linux driver (0.6.4). Checked against what it writes, not against a camera. Not done: what cameras
//! answer.

use super::coax::Frame;
use super::tp28xx_modes::TpChip;

/// The page register's values for the two banks.
pub(super) const BANKS: [u8; 2] = [0x00, 0x10];

/// Bank, register, value.
pub(super) type Data = (u8, u8, u8);

/// Seven registers of `port`: the four lines, the length of a bit, where the bits begin, how many there are.
pub(super) fn timing(chip: TpChip, port: u8, frame: &Frame, second: bool) -> Option<Vec<Data>> {
    let values = match frame {
        Frame::Tvi(_) if second => [0x0B, 0x0C, 0x00, 0x00, 0x33, 0xF0, 0x21],
        Frame::Tvi(_) => [0x0B, 0x0C, 0x00, 0x00, 0x19, 0x78, 0x21],
        _ if !chip.takes_all() => return None,
        Frame::Ahd1080(_) => [0x0E, 0x0F, 0x10, 0x11, 0x24, 0xF0, 0x57],
        Frame::Ahd720(_) => [0x0E, 0x0F, 0x00, 0x00, 0x24, 0xE0, 0xEF],
        Frame::Composite(_) => [0x0F, 0x10, 0x00, 0x00, 0x48, 0xF0, 0x6F],
        Frame::Cvi(_) => [0x10, 0x11, 0x12, 0x13, 0x15, 0xB8, 0xA1],
    };
    let first = if port.is_multiple_of(2) { 0xC2 } else { 0xDA };
    let bank = BANKS[usize::from(port / 2 % 2)];
    Some((first..).zip(values).map(|(register, value)| (bank, register, value)).collect())
}

/// What empties the data registers of `port`.
pub(super) fn cleared(chip: TpChip, port: u8) -> Vec<Data> {
    let [first, second] = lines(port);
    let mut data = Vec::new();
    if chip.takes_all() {
        data.extend([(BANKS[0], first.head, 0), (BANKS[0], second.head, 0)]);
    }
    for bank in BANKS {
        for line in [first, second] {
            data.extend([(bank, line.body, 0), (bank, line.body + 1, 0)]);
        }
    }
    data
}

/// The data of each round of sending.
pub(super) fn rounds(port: u8, frame: &Frame) -> Vec<Vec<Data>> {
    let [first, second] = lines(port);
    match frame {
        Frame::Tvi(bytes) => {
            let line = |line: Line, bytes: &[u8]| {
                let mut data = vec![(BANKS[0], line.body, 0x02)];
                data.extend((line.body + 1..).zip(bytes).map(|(register, byte)| (BANKS[0], register, *byte)));
                data
            };
            vec![[line(first, &bytes[..4]), line(second, &bytes[4..])].concat()]
        }
        // A byte a line, on four lines.
        Frame::Ahd1080(bytes) => [[0; 4], *bytes]
            .iter()
            .map(|bytes| {
                let places = [(BANKS[0], first), (BANKS[0], second), (BANKS[1], first), (BANKS[1], second)];
                let data = places.iter().zip(bytes).flat_map(|((bank, line), byte)| {
                    (line.body + 2..).zip(tripled(*byte)).map(|(register, value)| (*bank, register, value))
                });
                data.collect()
            })
            .collect(),
        // Two bytes a line, on two lines.
        Frame::Ahd720(bytes) | Frame::Composite(bytes) => [[0; 4], *bytes]
            .iter()
            .map(|bytes| {
                let data = [first, second].into_iter().zip(bytes.chunks(2)).flat_map(|(line, pair)| {
                    let registers = [line.head].into_iter().chain(line.body..line.body + 5);
                    let bits: Vec<u8> = pair.iter().flat_map(|byte| tripled(*byte)).collect();
                    registers
                        .zip(bits)
                        .map(|(register, value)| (BANKS[0], register, value))
                        .collect::<Vec<_>>()
                });
                data.collect()
            })
            .collect(),
        Frame::Cvi(bytes) => {
            let mut words: Vec<[u8; 5]> = bytes.iter().map(|byte| with_parity(*byte)).collect();
            words.push(NOTHING);
            let places = [(BANKS[0], first), (BANKS[0], second), (BANKS[1], first), (BANKS[1], second)];
            let round = |words: &[[u8; 5]]| {
                let data = places.iter().zip(words).flat_map(|((bank, line), word)| {
                    (line.body..).zip(*word).map(|(register, value)| (*bank, register, value))
                });
                data.collect()
            };
            words.chunks(4).map(round).collect()
        }
    }
}

/// Where a line's data lie: five registers, and one for what goes before them.
#[derive(Clone, Copy)]
struct Line {
    head: u8,
    body: u8,
}

fn lines(port: u8) -> [Line; 2] {
    [
        Line { head: 0x7F + 2 * port, body: 0x56 + 10 * port },
        Line { head: 0x80 + 2 * port, body: 0x5B + 10 * port },
    ]
}

/// 110 for a one, 100 for a zero.
fn tripled(byte: u8) -> [u8; 3] {
    let bits =
        (0..8).rev().fold(0u32, |bits, bit| bits << 3 | if byte >> bit & 1 == 1 { 0b110 } else { 0b100 });
    let [_, first, second, third] = bits.to_be_bytes();
    [first, second, third]
}

/// A CVI word: a start bit, the byte, its parity, ones until the end.
fn with_parity(byte: u8) -> [u8; 5] {
    let odd = byte.count_ones() % 2 == 1;
    [0x02, byte.reverse_bits(), if odd { 0xFF } else { 0x7F }, 0xFF, 0xFC]
}

/// A line without a CVI word.
const NOTHING: [u8; 5] = [0x03, 0xFF, 0xFF, 0xFF, 0xFC];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tvi_goes_out_as_it_is_on_two_lines() {
        let rounds = rounds(1, &Frame::Tvi([0xB5, 0, 0x06, 0x24, 0, 0, 0, 0xDF]));
        let line =
            |first: u8, bytes: [u8; 5]| (first..).zip(bytes).map(|(register, byte)| (0, register, byte));
        let expected: Vec<Data> =
            line(0x60, [0x02, 0xB5, 0, 0x06, 0x24]).chain(line(0x65, [0x02, 0, 0, 0, 0xDF])).collect();
        assert_eq!(rounds, [expected]);
    }

    /// As `HDA_SetACPV2Data` and `ConvertACPV1Data` of the public driver make them.
    #[test]
    fn ahd_has_three_bits_for_one() {
        assert_eq!(tripled(0x00), [0x92, 0x49, 0x24]);
        assert_eq!(tripled(0xFF), [0xDB, 0x6D, 0xB6]);
        assert_eq!(tripled(0x08), [0x92, 0x4D, 0x24]);
        let fast = rounds(0, &Frame::Ahd1080([0, 0x08, 0, 0x32]));
        assert_eq!(fast.len(), 2, "an empty frame, then the command");
        assert_eq!(fast[1][3..6], [(0x00, 0x5D, 0x92), (0x00, 0x5E, 0x4D), (0x00, 0x5F, 0x24)]);
        assert_eq!((fast[1][6].0, fast[1][6].1), (0x10, 0x58));
        let slow = rounds(2, &Frame::Ahd720([0, 0x08, 0x08, 0x32]));
        let registers: Vec<u8> = slow[1].iter().map(|(_, register, _)| *register).collect();
        assert_eq!(registers, [0x83, 0x6A, 0x6B, 0x6C, 0x6D, 0x6E, 0x84, 0x6F, 0x70, 0x71, 0x72, 0x73]);
    }

    #[test]
    fn cvi_has_parity_and_eight_words() {
        let rounds = rounds(0, &Frame::Cvi([0xA5, 1, 0x08, 0, 0x9F, 0, 0x4D]));
        assert_eq!(rounds.len(), 2);
        assert_eq!(rounds[0][..3], [(0, 0x56, 0x02), (0, 0x57, 0xA5), (0, 0x58, 0x7F)]);
        assert_eq!(rounds[0][5..8], [(0, 0x5B, 0x02), (0, 0x5C, 0x80), (0, 0x5D, 0xFF)]);
        assert_eq!(
            rounds[1][15..],
            [
                (0x10, 0x5B, 0x03),
                (0x10, 0x5C, 0xFF),
                (0x10, 0x5D, 0xFF),
                (0x10, 0x5E, 0xFF),
                (0x10, 0x5F, 0xFC)
            ]
        );
    }

    #[test]
    fn the_tp2823_speaks_tvi_alone() {
        let ahd = Frame::Ahd1080([0; 4]);
        assert_eq!(timing(TpChip::Tp2823, 0, &ahd, false), None);
        let tvi = timing(TpChip::Tp2823, 3, &Frame::Tvi([0; 8]), true).unwrap();
        assert_eq!((tvi[0], tvi[4]), ((0x10, 0xDA, 0x0B), (0x10, 0xDE, 0x33)));
    }
}
