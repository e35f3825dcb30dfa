//! Single JPEGs of a simulated picture.

use jpeg_encoder::{ColorType, Encoder};

/// About what the vendor's encoder makes by itself.
const QUALITY: u8 = 75;

/// A picture in planar 4:2:0, video range, as a JPEG; empty if it cannot be made.
pub(crate) fn encode(i420: &[u8], width: u16, height: u16) -> Vec<u8> {
    let (columns, rows) = (usize::from(width), usize::from(height));
    let (luma, chroma) = i420.split_at(columns * rows);
    let (cb, cr) = chroma.split_at(chroma.len() / 2);
    let full = |sample: u8, middle: i32, range: i32| {
        ((i32::from(sample) - middle) * 255 / range + if middle == 128 { 128 } else { 0 }).clamp(0, 255) as u8
    };
    let mut samples = Vec::with_capacity(columns * rows * 3);
    for row in 0..rows {
        for column in 0..columns {
            let small = row / 2 * (columns / 2) + column / 2;
            samples.push(full(luma[row * columns + column], 16, 219));
            samples.push(full(cb[small], 128, 224));
            samples.push(full(cr[small], 128, 224));
        }
    }
    let mut jpeg = Vec::new();
    let made = Encoder::new(&mut jpeg, QUALITY).encode(&samples, width, height, ColorType::Ycbcr);
    if made.is_err() {
        jpeg.clear();
    }
    jpeg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_becomes_a_whole_jpeg() {
        let jpeg = encode(&[128; 64 * 32 * 3 / 2], 64, 32);
        assert_eq!(jpeg[..3], [0xFF, 0xD8, 0xFF]);
        assert_eq!(jpeg[jpeg.len() - 2..], [0xFF, 0xD9]);
    }
}
