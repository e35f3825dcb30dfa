//! What lies over a picture: titles, clocks and covers, to the sample.
//!
//! A macroblock that an overlay covers wholly in one colour stays flat; any other that an overlay touches becomes I_PCM, with
//! the scene where the overlay lets it through. Does not belong here: what the bitmap says, and the scene (`picture.rs`).
//!
//! Invariant: as in the picture, every sample is 16 or more; colours below are raised.

use hal::Resolution;

use crate::syntax::{Colour, PCM_BYTES, flat, size_in_macroblocks};

/// A macroblock's side in luma samples.
const SIDE: usize = 16;

/// The darkest sample: I_PCM samples must never look like a start code.
const DARKEST: u8 = 16;

/// Something over a picture. What lies outside the picture is cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// The left edge, luma samples.
    pub x: u16,
    /// The top edge, luma samples.
    pub y: u16,
    /// Luma samples across.
    pub width: u16,
    /// Luma samples down.
    pub height: u16,
    /// What is seen there.
    pub paint: Paint,
}

/// What an overlay shows. A colour is Y, Cb, Cr in BT.709 video range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paint {
    /// One colour, and nothing of what is below.
    Flat([u8; 3]),
    /// Samples, row by row; `None` lets through what is below. Missing rows do too.
    Samples(Vec<Option<[u8; 3]>>),
}

/// Red, green and blue as Y, Cb, Cr in BT.709 video range.
#[must_use]
pub fn colour_from_rgb([red, green, blue]: [u8; 3]) -> [u8; 3] {
    let [r, g, b] = [red, green, blue].map(f32::from);
    let luma = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    let chroma = |difference: f32, range: f32| (128.0 + difference / range * 224.0 / 255.0).round() as u8;
    [(16.0 + luma * 219.0 / 255.0).round() as u8, chroma(b - luma, 1.8556), chroma(r - luma, 1.5748)]
}

/// What lies over one macroblock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Over {
    /// Nothing.
    #[default]
    Nothing,
    /// One colour everywhere.
    Flat(Colour),
    /// The layer's patch of that number.
    Patch(u16),
}

/// Samples over one macroblock, in I_PCM's order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Patch {
    samples: [u8; PCM_BYTES],
    opaque: [bool; PCM_BYTES],
}

/// All overlays of a picture, macroblock by macroblock.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    /// Empty without overlays.
    over: Vec<Over>,
    patches: Vec<Patch>,
}

impl Layer {
    /// The overlays over a picture of that size; later ones lie on top.
    pub(crate) fn new(size: Resolution, overlays: &[Overlay]) -> Self {
        let (width_mbs, height_mbs) = size_in_macroblocks(size);
        let mut layer = Self::default();
        if overlays.is_empty() {
            return layer;
        }
        layer.over = vec![Over::Nothing; (width_mbs * height_mbs) as usize];
        for overlay in overlays.iter().filter(|overlay| overlay.width > 0 && overlay.height > 0) {
            let right = (usize::from(overlay.x) + usize::from(overlay.width)).min(width_mbs as usize * SIDE);
            let bottom =
                (usize::from(overlay.y) + usize::from(overlay.height)).min(height_mbs as usize * SIDE);
            for row in usize::from(overlay.y) / SIDE..bottom.div_ceil(SIDE) {
                for column in usize::from(overlay.x) / SIDE..right.div_ceil(SIDE) {
                    layer.paint(row * width_mbs as usize + column, (column * SIDE, row * SIDE), overlay);
                }
            }
        }
        layer.simplify();
        layer
    }

    /// What lies over macroblock `at`.
    pub(crate) fn over(&self, at: u32) -> Over {
        self.over.get(at as usize).copied().unwrap_or_default()
    }

    /// Whether nothing of the scene is seen in macroblock `at`.
    pub(crate) fn hides(&self, at: u32) -> bool {
        match self.over(at) {
            Over::Nothing => false,
            Over::Flat(_) => true,
            Over::Patch(number) => self.patches[usize::from(number)].opaque.iter().all(|&opaque| opaque),
        }
    }

    /// Puts patch `number` over `below`.
    pub(crate) fn put_over(&self, number: u16, below: &mut [u8; PCM_BYTES]) {
        let patch = &self.patches[usize::from(number)];
        for ((sample, &over), _) in
            below.iter_mut().zip(&patch.samples).zip(&patch.opaque).filter(|(_, opaque)| **opaque)
        {
            *sample = over;
        }
    }

    /// The macroblocks that look different under `other`.
    pub(crate) fn differences(&self, other: &Self) -> Vec<u32> {
        let patch = |layer: &Self, number: u16| layer.patches[usize::from(number)].clone();
        (0..self.over.len().max(other.over.len()) as u32)
            .filter(|&at| match (self.over(at), other.over(at)) {
                (Over::Patch(one), Over::Patch(two)) => patch(self, one) != patch(other, two),
                (one, two) => one != two,
            })
            .collect()
    }

    fn paint(&mut self, at: usize, (left, top): (usize, usize), overlay: &Overlay) {
        let (x, y) = (usize::from(overlay.x), usize::from(overlay.y));
        let (width, height) = (usize::from(overlay.width), usize::from(overlay.height));
        if let Paint::Flat(colour) = overlay.paint
            && x <= left
            && y <= top
            && x + width >= left + SIDE
            && y + height >= top + SIDE
        {
            self.over[at] = Over::Flat(bright(colour));
            return;
        }
        let shown = |column: usize, row: usize| -> Option<Colour> {
            let (column, row) = ((left + column).checked_sub(x)?, (top + row).checked_sub(y)?);
            if column >= width || row >= height {
                return None;
            }
            match &overlay.paint {
                Paint::Flat(colour) => Some(bright(*colour)),
                Paint::Samples(samples) => samples.get(row * width + column).copied().flatten().map(bright),
            }
        };
        let patch = self.patch(at);
        for row in (0..SIDE).step_by(2) {
            for column in (0..SIDE).step_by(2) {
                let mut chroma = [0u32; 3];
                for (column, row) in
                    [(column, row), (column + 1, row), (column, row + 1), (column + 1, row + 1)]
                {
                    if let Some([luma, cb, cr]) = shown(column, row) {
                        patch.samples[row * SIDE + column] = luma;
                        patch.opaque[row * SIDE + column] = true;
                        chroma = [chroma[0] + 1, chroma[1] + u32::from(cb), chroma[2] + u32::from(cr)];
                    }
                }
                let place = 256 + row / 2 * 8 + column / 2;
                for (place, sum) in [(place, chroma[1]), (place + 64, chroma[2])] {
                    if let Some(mean) = sum.checked_div(chroma[0]) {
                        patch.samples[place] = mean as u8;
                        patch.opaque[place] = true;
                    }
                }
            }
        }
    }

    /// The patch over macroblock `at`, made of what is there.
    fn patch(&mut self, at: usize) -> &mut Patch {
        let number = match self.over[at] {
            Over::Patch(number) => usize::from(number),
            before => {
                let mut patch = Patch { samples: [0; PCM_BYTES], opaque: [false; PCM_BYTES] };
                if let Over::Flat(colour) = before {
                    patch = Patch { samples: flat(colour), opaque: [true; PCM_BYTES] };
                }
                self.patches.push(patch);
                // A picture has fewer macroblocks than that.
                self.over[at] = Over::Patch((self.patches.len() - 1) as u16);
                self.patches.len() - 1
            }
        };
        &mut self.patches[number]
    }

    /// What became one colour is coded as one; what shows nothing is nothing.
    fn simplify(&mut self) {
        for over in &mut self.over {
            if let Over::Patch(number) = *over {
                let patch = &self.patches[usize::from(number)];
                let colour = [patch.samples[0], patch.samples[256], patch.samples[320]];
                if patch.opaque.iter().all(|&opaque| !opaque) {
                    *over = Over::Nothing;
                } else if patch.opaque.iter().all(|&opaque| opaque) && patch.samples == flat(colour) {
                    *over = Over::Flat(colour);
                }
            }
        }
    }
}

fn bright(colour: Colour) -> Colour {
    colour.map(|sample| sample.max(DARKEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Resolution = Resolution { width: 320, height: 180 };
    const BLUE: Colour = [40, 200, 110];

    #[test]
    fn colours_are_those_of_bt709() {
        assert_eq!(colour_from_rgb([0, 0, 0]), [16, 128, 128]);
        assert_eq!(colour_from_rgb([255, 255, 255]), [235, 128, 128]);
        assert_eq!(colour_from_rgb([255, 0, 0]), [63, 102, 240]);
        assert_eq!(colour_from_rgb([0, 0, 255]), [32, 240, 118]);
    }

    #[test]
    fn what_is_covered_wholly_is_flat_and_what_partly_is_a_patch() {
        let cover = Overlay { x: 8, y: 16, width: 40, height: 16, paint: Paint::Flat(BLUE) };
        let layer = Layer::new(SIZE, &[cover]);
        let row: Vec<Over> = (20..24).map(|at| layer.over(at)).collect();
        assert!(
            matches!(row[..], [Over::Patch(_), Over::Flat(BLUE), Over::Flat(BLUE), Over::Nothing]),
            "{row:?}"
        );
        assert!(!layer.hides(20) && layer.hides(21) && !layer.hides(23));
        let mut below = [99; PCM_BYTES];
        layer.put_over(0, &mut below);
        assert_eq!((below[7], below[8], below[256 + 3], below[256 + 4]), (99, 40, 99, 200));
    }

    #[test]
    fn samples_let_through_where_there_are_none_and_two_halves_make_a_whole() {
        let half =
            |x| Overlay { x, y: 0, width: 8, height: 16, paint: Paint::Samples(vec![Some(BLUE); 128]) };
        let layer = Layer::new(SIZE, &[half(0), half(8)]);
        assert_eq!(layer.over(0), Over::Flat(BLUE));
        let nothing = Overlay { paint: Paint::Samples(vec![None; 128]), ..half(0) };
        assert_eq!(Layer::new(SIZE, &[nothing]).over(0), Over::Nothing);
        assert_eq!(Layer::new(SIZE, &[half(0)]).differences(&layer), [0]);
        assert_eq!(layer.differences(&Layer::new(SIZE, &[half(0), half(8)])), [0; 0]);
    }

    #[test]
    fn what_lies_outside_is_cut_off() {
        let far = Overlay { x: 310, y: 170, width: 600, height: 600, paint: Paint::Flat([0, 0, 0]) };
        let layer = Layer::new(SIZE, &[far]);
        assert!(matches!(layer.over(10 * 20 + 19), Over::Patch(_)));
        assert_eq!(layer.over(11 * 20 + 19), Over::Patch(1));
        let mut below = [99; PCM_BYTES];
        layer.put_over(1, &mut below);
        assert_eq!((below[5], below[6]), (99, DARKEST));
    }
}
