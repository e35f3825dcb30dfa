//! The mark: channel, frame number and time in the picture, for machines to read.
//!
//! 7 rows of 16 black or white cells from the picture's top left corner, each cell 16x16 luma samples. The table
//! is in docs/sim-mark.md; tests and the browser read it after any chain of recording, scaling and decoding.
//! Does not belong here: how cells get into the picture (`picture.rs`).

/// Samples of a cell's side in the picture as coded.
pub const CELL: u32 = 16;

/// Cells in a row.
pub const COLUMNS: usize = 16;

/// Rows of cells.
pub const ROWS: usize = 7;

/// The first byte: tells the mark from other pictures, and black from white.
pub const SYNC: u8 = 0xB2;

/// The largest wall time, in ms, that 48 bits hold.
pub const MAX_WALL_MS: u64 = (1 << 48) - 1;

const BYTES: usize = COLUMNS * ROWS / 8;

/// Luma between black (16) and white (235). A full-range picture (0, 255) has nearly the same middle.
const THRESHOLD: u32 = 126;

/// What the mark of one picture says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The channel, 1 to 64.
    pub channel: u8,
    /// The frame's number since the channel was opened, from 0; frames not delivered count too. Wraps.
    pub counter: u32,
    /// The wall time of the picture in ms since 1970-01-01 UTC, at most [`MAX_WALL_MS`].
    pub wall_ms: u64,
}

/// The cells of a mark, row by row; `true` is white.
#[must_use]
pub fn encode(mark: Mark) -> [bool; COLUMNS * ROWS] {
    let mut bytes = [0; BYTES];
    bytes[0] = SYNC;
    bytes[1] = mark.channel;
    bytes[2..6].copy_from_slice(&mark.counter.to_be_bytes());
    bytes[6..12].copy_from_slice(&mark.wall_ms.min(MAX_WALL_MS).to_be_bytes()[2..]);
    let crc = crc16(&bytes[..12]).to_be_bytes();
    bytes[12..].copy_from_slice(&crc);
    std::array::from_fn(|cell| bytes[cell / 8] >> (7 - cell % 8) & 1 == 1)
}

/// Reads the mark of a picture in its coded size. `None` where there is no valid mark.
///
/// `luma` has `height` lines of `width` samples, `stride` bytes apart.
#[must_use]
pub fn decode(luma: &[u8], width: usize, height: usize, stride: usize) -> Option<Mark> {
    decode_scaled(luma, width, height, stride, CELL as f32)
}

/// Reads the mark of a scaled picture: `cell` is a cell's side now, [`CELL`] times the scale, at least 2.
///
/// The middle half of each cell is averaged, so blurred edges and coding noise do no harm.
#[must_use]
pub fn decode_scaled(luma: &[u8], width: usize, height: usize, stride: usize, cell: f32) -> Option<Mark> {
    let fits = cell >= 2.0
        && cell * COLUMNS as f32 <= width as f32 + 0.5
        && cell * ROWS as f32 <= height as f32 + 0.5
        && stride >= width
        && luma.len() >= stride.checked_mul(height)?.checked_sub(stride - width)?;
    if !fits {
        return None;
    }
    let mut bytes = [0u8; BYTES];
    for number in 0..COLUMNS * ROWS {
        let columns = middle(number % COLUMNS, cell, width);
        let rows = middle(number / COLUMNS, cell, height);
        let count = (columns.len() * rows.len()) as u32;
        let sum: u32 = rows
            .map(|y| luma[y * stride..][columns.clone()].iter().map(|&s| u32::from(s)).sum::<u32>())
            .sum();
        bytes[number / 8] |= u8::from(sum > THRESHOLD * count) << (7 - number % 8);
    }
    let crc = u16::from_be_bytes([bytes[12], bytes[13]]);
    (bytes[0] == SYNC && crc == crc16(&bytes[..12])).then(|| Mark {
        channel: bytes[1],
        counter: u32::from_be_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]),
        wall_ms: bytes[6..12].iter().fold(0, |ms, &b| ms << 8 | u64::from(b)),
    })
}

/// The samples of a cell's middle half along one axis, at least one.
fn middle(index: usize, cell: f32, limit: usize) -> std::ops::Range<usize> {
    let start = ((index as f32 + 0.25) * cell) as usize;
    let end = ((index as f32 + 0.75) * cell) as usize;
    let start = start.min(limit - 1);
    start..end.clamp(start + 1, limit)
}

/// CRC-16/IBM-3740: polynomial 0x1021, initial value 0xFFFF, not reflected. No library for 12 bytes a picture.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, &byte| {
        (0..8).fold(
            crc ^ u16::from(byte) << 8,
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The mark drawn at `cell` samples a cell into a grey picture.
    fn draw(mark: Mark, cell: usize, width: usize, height: usize) -> Vec<u8> {
        let cells = encode(mark);
        let mut luma = vec![100; width * height];
        for y in 0..ROWS * cell {
            for x in 0..COLUMNS * cell {
                luma[y * width + x] = if cells[y / cell * COLUMNS + x / cell] { 235 } else { 16 };
            }
        }
        luma
    }

    #[test]
    fn crc_is_the_catalogued_one() {
        assert_eq!(crc16(b"123456789"), 0x29B1);
    }

    #[test]
    fn a_known_mark_has_known_cells() {
        let cells = encode(Mark { channel: 3, counter: 0x0102_0304, wall_ms: 0x0193_4567_89AB });
        let hex: String = cells
            .chunks(8)
            .map(|byte| format!("{:02x}", byte.iter().fold(0u8, |value, &bit| value << 1 | u8::from(bit))))
            .collect();
        assert_eq!(&hex[..24], "b203010203040193456789ab");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn marks_are_read_back_at_any_scale_and_through_noise(
            channel in 1u8..=64, counter: u32, wall_ms in 0..=MAX_WALL_MS, cell in 4usize..40, seed: u64,
        ) {
            let mark = Mark { channel, counter, wall_ms };
            let (width, height) = (cell * COLUMNS + 7, cell * ROWS + 5);
            let mut luma = draw(mark, cell, width, height);
            prop_assert_eq!(decode_scaled(&luma, width, height, width, cell as f32), Some(mark));
            // Coarse coding: noise of up to a quarter of the range on every sample.
            let mut state = seed;
            for sample in &mut luma {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let noise = (state >> 33) as i32 % 110 - 55;
                *sample = (i32::from(*sample) + noise).clamp(0, 255) as u8;
            }
            prop_assert_eq!(decode_scaled(&luma, width, height, width, cell as f32), Some(mark));
        }
    }

    #[test]
    fn a_changed_cell_a_blank_and_a_short_picture_have_no_mark() {
        let mark = Mark { channel: 1, counter: 7, wall_ms: 1 };
        let mut luma = draw(mark, 16, 320, 180);
        assert_eq!(decode(&luma, 320, 180, 320), Some(mark));
        for y in 40..60 {
            luma[y * 320 + 60..][..20].iter_mut().for_each(|s| *s = 255 - *s);
        }
        assert_eq!(decode(&luma, 320, 180, 320), None);
        assert_eq!(decode(&[16; 320 * 180], 320, 180, 320), None);
        assert_eq!(decode(&luma[..1000], 320, 180, 320), None);
        assert_eq!(decode(&luma, 100, 50, 320), None);
        assert_eq!(decode(&[], 0, 0, 0), None);
    }
}
