//! The picture: what each macroblock of a simulated camera's picture shows.
//!
//! The mark at the top left, title and clock below it, and on a coloured background a moving block and a wandering
//! band of texture that makes the bit rate. Kept as a list of changes from picture to picture, so that the cost
//! is that of the changes, whatever the size. Does not belong here: how macroblocks are coded (`syntax.rs`).
//!
//! Invariant: every sample is 16 or more, so that I_PCM samples can never look like a start code.

use hal::{FrameRate, Resolution};

use crate::mark::{self, Mark};
use crate::overlay::{Layer, Over, Overlay};
use crate::syntax::{Colour, PCM_BYTES, flat, size_in_macroblocks};
use crate::{font, random};

/// The narrowest picture: the mark, a column of background, and one for texture.
pub(crate) const MIN_WIDTH: u16 = 288;

/// The lowest picture: the mark, two lines of text, and a row for the block.
pub(crate) const MIN_HEIGHT: u16 = 160;

/// From this width on a character has a macroblock of its own; below, two share one.
const WIDE_TEXT_WIDTH: u16 = 576;

const TITLE_ROW: u32 = mark::ROWS as u32;
const CLOCK_ROW: u32 = TITLE_ROW + 1;
const FIRST_FREE_ROW: u32 = CLOCK_ROW + 1;

/// The block's side in macroblocks, and how often a second it moves by one.
pub(crate) const BLOCK_MBS: u32 = 2;
const BLOCK_STEPS_PER_SEC: u64 = 6;

/// Different textures: enough that neighbours rarely repeat, few enough for a small cache (12 KiB).
const TEXTURES: usize = 32;

/// How far a texture's luma strays from the background's.
const TEXTURE_CONTRAST: u8 = 24;

/// Macroblocks that the band of texture wanders by in each picture.
const BAND_STEP: u64 = 3;

const BLACK: Colour = [16, 128, 128];
const WHITE: Colour = [235, 128, 128];
const TEXT_LUMA: u8 = 220;

/// Backgrounds of channel 1, 2, ...: differ in hue from each to the next.
const BACKGROUNDS: [Colour; 8] = [
    [70, 170, 96],   // blue
    [90, 96, 110],   // green
    [84, 110, 176],  // red
    [110, 80, 140],  // olive
    [100, 150, 70],  // teal
    [76, 150, 160],  // purple
    [120, 100, 160], // orange
    [100, 128, 128], // grey
];

/// What one macroblock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// One colour.
    Flat(Colour),
    /// One of the picture's textures.
    Texture(u8),
    /// Two narrow characters.
    Pair([u8; 2]),
    /// One wide character.
    Wide(u8),
    /// What is below, with the overlays' patch of that number over it.
    Patched(u16),
}

/// A picture that changes.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) width_mbs: u32,
    cells: Vec<Cell>,
    dirty: Vec<u32>,
    layer: Layer,
    /// The macroblocks in which overlays changed.
    repainted: Vec<u32>,
    background: Colour,
    block_colour: Colour,
    textures: Vec<[u8; PCM_BYTES]>,
    texture_seed: u64,
    size: Resolution,
    /// Where the band of texture wanders, in its order.
    free: Vec<u32>,
    band: std::ops::Range<u64>,
    block: Option<(u32, u32)>,
}

impl Picture {
    /// A blank picture, at least [`MIN_WIDTH`] x [`MIN_HEIGHT`].
    pub(crate) fn new(size: Resolution, seed: u64, channel: u16) -> Self {
        let (width_mbs, height_mbs) = size_in_macroblocks(size);
        let mut background = BACKGROUNDS[usize::from(channel - 1) % BACKGROUNDS.len()];
        // Channels of one hue differ in brightness.
        background[0] += 8 * (usize::from(channel - 1) / BACKGROUNDS.len()) as u8;
        let texture_seed = random::mix(seed ^ u64::from(channel) << 32);
        let below = (FIRST_FREE_ROW..height_mbs).flat_map(|y| (1..width_mbs).map(move |x| (x, y)));
        let right_of_mark = (mark::COLUMNS as u32 + 1..width_mbs)
            .flat_map(|x| (0..mark::ROWS as u32).map(move |y| (x, y)))
            .collect::<Vec<_>>();
        Self {
            width_mbs,
            cells: vec![Cell::Flat(background); (width_mbs * height_mbs) as usize],
            dirty: Vec::new(),
            layer: Layer::default(),
            repainted: Vec::new(),
            background,
            block_colour: [200, 255 - background[1], 255 - background[2]],
            textures: (0..TEXTURES as u64)
                .map(|n| texture(texture_seed.wrapping_add(n), background))
                .collect(),
            texture_seed,
            size,
            free: below.chain(right_of_mark).map(|(x, y)| y * width_mbs + x).collect(),
            band: 0..0,
            block: None,
        }
    }

    /// How many macroblocks there are.
    pub(crate) fn macroblocks(&self) -> u32 {
        self.cells.len() as u32
    }

    /// What macroblock `at`, in raster order, shows.
    pub(crate) fn shown(&self, at: u32) -> Cell {
        match self.layer.over(at) {
            Over::Nothing => self.cells[at as usize],
            Over::Flat(colour) => Cell::Flat(colour),
            Over::Patch(number) => Cell::Patched(number),
        }
    }

    /// Puts those overlays over the picture, in place of any before.
    pub(crate) fn set_overlays(&mut self, overlays: &[Overlay]) {
        let layer = Layer::new(self.size, overlays);
        self.repainted.append(&mut self.layer.differences(&layer));
        self.layer = layer;
    }

    /// The macroblocks to be sent again, in raster order; forgets them.
    pub(crate) fn take_changes(&mut self, into: &mut Vec<u32>) {
        into.clear();
        into.extend(self.dirty.drain(..).filter(|&at| !self.layer.hides(at)));
        into.append(&mut self.repainted);
        into.sort_unstable();
        into.dedup();
    }

    /// The most macroblocks of texture that a picture can hold.
    pub(crate) fn max_texture(size: Resolution) -> u32 {
        let (width_mbs, height_mbs) = size_in_macroblocks(size);
        let below = (height_mbs - FIRST_FREE_ROW) * (width_mbs - 1);
        let right = (width_mbs - mark::COLUMNS as u32 - 1) * mark::ROWS as u32;
        below + right - BLOCK_MBS * BLOCK_MBS
    }

    /// Draws the mark.
    pub(crate) fn draw_mark(&mut self, mark: Mark) {
        for (number, white) in mark::encode(mark).into_iter().enumerate() {
            let (x, y) = ((number % mark::COLUMNS) as u32, (number / mark::COLUMNS) as u32);
            self.set(y * self.width_mbs + x, Cell::Flat(if white { WHITE } else { BLACK }));
        }
    }

    /// Writes the title's line.
    pub(crate) fn draw_title(&mut self, text: &str) {
        self.draw_text(TITLE_ROW, text);
    }

    /// Writes the clock's line.
    pub(crate) fn draw_clock(&mut self, text: &str) {
        self.draw_text(CLOCK_ROW, text);
    }

    /// Moves the block and the band of texture on to picture `counter`, `texture` macroblocks long.
    pub(crate) fn move_scene(&mut self, counter: u32, rate: FrameRate, texture: u32) {
        let block = block_position(self.size, counter, rate);
        if let Some((x, y)) = self.block.filter(|&old| old != block) {
            self.fill_block(x, y, self.background);
        }
        self.block = Some(block);
        let length = self.free.len() as u64;
        let start = u64::from(counter) * BAND_STEP % length;
        let band = start..start + u64::from(texture).min(length);
        let old = std::mem::replace(&mut self.band, band.clone());
        let in_band = |place: u64| (place + length - start) % length < band.end - start;
        for place in old.map(|p| p % length).filter(|&p| !in_band(p)) {
            self.set(self.free[place as usize], Cell::Flat(self.background));
        }
        for place in band {
            let at = self.free[(place % length) as usize];
            let (x, y) = (at % self.width_mbs, at / self.width_mbs);
            if x.wrapping_sub(block.0) < BLOCK_MBS && y.wrapping_sub(block.1) < BLOCK_MBS {
                continue;
            }
            let choice = random::mix(self.texture_seed ^ u64::from(counter) << 20 ^ u64::from(at));
            self.cells[at as usize] = Cell::Texture((choice % TEXTURES as u64) as u8);
            self.dirty.push(at);
        }
        self.fill_block(block.0, block.1, self.block_colour);
    }

    /// The samples of macroblock `at`, as I_PCM carries them.
    pub(crate) fn samples(&self, at: u32) -> [u8; PCM_BYTES] {
        match self.shown(at) {
            Cell::Patched(number) => {
                let mut samples = self.cell_samples(self.cells[at as usize]);
                self.layer.put_over(number, &mut samples);
                samples
            }
            cell => self.cell_samples(cell),
        }
    }

    fn cell_samples(&self, cell: Cell) -> [u8; PCM_BYTES] {
        match cell {
            // The scene below has none.
            Cell::Patched(_) => flat(self.background),
            Cell::Flat(colour) => flat(colour),
            Cell::Texture(number) => self.textures[usize::from(number)],
            Cell::Pair(characters) => {
                let mut samples = flat(BLACK);
                draw_glyph(&mut samples, characters[0], 1, 1);
                draw_glyph(&mut samples, characters[1], 9, 1);
                samples
            }
            Cell::Wide(character) => {
                let mut samples = flat(BLACK);
                draw_glyph(&mut samples, character, 3, 2);
                samples
            }
        }
    }

    /// The picture as a decoder must show it: planar 4:2:0, cropped.
    pub(crate) fn render(&self) -> Vec<u8> {
        let (width, height) = (usize::from(self.size.width), usize::from(self.size.height));
        let mut planes = vec![0; width * height * 3 / 2];
        let (luma, chroma) = planes.split_at_mut(width * height);
        let (cb, cr) = chroma.split_at_mut(width * height / 4);
        for number in 0..self.cells.len() {
            let (x, y) = (number % self.width_mbs as usize, number / self.width_mbs as usize);
            let samples = self.samples(number as u32);
            copy_square(&samples[..256], 16, luma, (x * 16, y * 16), (width, height));
            copy_square(&samples[256..320], 8, cb, (x * 8, y * 8), (width / 2, height / 2));
            copy_square(&samples[320..], 8, cr, (x * 8, y * 8), (width / 2, height / 2));
        }
        planes
    }

    fn set(&mut self, at: u32, cell: Cell) {
        if self.cells[at as usize] != cell {
            self.cells[at as usize] = cell;
            self.dirty.push(at);
        }
    }

    fn fill_block(&mut self, x: u32, y: u32, colour: Colour) {
        for row in y..(y + BLOCK_MBS).min(u32::from(self.size.height) / 16) {
            for column in x..x + BLOCK_MBS {
                self.set(row * self.width_mbs + column, Cell::Flat(colour));
            }
        }
    }

    fn draw_text(&mut self, row: u32, text: &str) {
        let wide = self.size.width >= WIDE_TEXT_WIDTH;
        let per_cell = if wide { 1 } else { 2 };
        // A column of background stays free on both sides.
        let columns = u32::from(self.size.width) / 16 - 2;
        let mut characters =
            text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c as u8 } else { 0x7F });
        for column in 1..=columns {
            let next: Vec<u8> = characters.by_ref().take(per_cell).collect();
            let cell = match *next.as_slice() {
                [] => Cell::Flat(self.background),
                [b' '] | [b' ', b' '] => Cell::Flat(BLACK),
                [one] if wide => Cell::Wide(one),
                [one] => Cell::Pair([one, b' ']),
                [first, second, ..] => Cell::Pair([first, second]),
            };
            self.set(row * self.width_mbs + column, cell);
        }
    }
}

/// Where the block is in picture `counter`: its left and upper macroblock. To and fro across the free rows, and more slowly up
/// and down.
pub(crate) fn block_position(size: Resolution, counter: u32, rate: FrameRate) -> (u32, u32) {
    let step =
        u64::from(counter) * BLOCK_STEPS_PER_SEC * u64::from(rate.denominator) / u64::from(rate.numerator);
    let columns = u32::from(size.width) / 16 - 1 - BLOCK_MBS;
    let rows = (u32::from(size.height) / 16).saturating_sub(FIRST_FREE_ROW + BLOCK_MBS);
    (1 + to_and_fro(step, columns), FIRST_FREE_ROW + to_and_fro(step / 3, rows))
}

/// 0, 1, ... `range`, ... 1, 0, 1: a triangle.
fn to_and_fro(step: u64, range: u32) -> u32 {
    let range = u64::from(range);
    let place = if range == 0 { 0 } else { step % (2 * range) };
    place.min(2 * range - place) as u32
}

/// Seeded noise around the background's brightness, in its colour.
fn texture(seed: u64, background: Colour) -> [u8; PCM_BYTES] {
    let mut samples = flat(background);
    let mut state = seed;
    for eight in samples[..256].chunks_exact_mut(8) {
        state = random::mix(state);
        for (sample, noise) in eight.iter_mut().zip(state.to_le_bytes()) {
            *sample = *sample - TEXTURE_CONTRAST + noise % (2 * TEXTURE_CONTRAST);
        }
    }
    samples
}

/// Draws a glyph at column `left`, each of its points `scale` samples wide and 2 lines high.
fn draw_glyph(samples: &mut [u8; PCM_BYTES], character: u8, left: usize, scale: usize) {
    for (row, bits) in font::glyph(character).into_iter().enumerate() {
        for column in (0..font::WIDTH).filter(|column| bits >> (font::WIDTH - 1 - column) & 1 == 1) {
            for line in [1 + 2 * row, 2 + 2 * row] {
                samples[line * 16 + left + column * scale..][..scale].fill(TEXT_LUMA);
            }
        }
    }
}

/// Copies a square of samples to `at`, leaving out what lies outside the plane.
fn copy_square(
    from: &[u8],
    side: usize,
    plane: &mut [u8],
    at: (usize, usize),
    (width, height): (usize, usize),
) {
    let columns = side.min(width.saturating_sub(at.0));
    for row in 0..side.min(height.saturating_sub(at.1)) {
        plane[(at.1 + row) * width + at.0..][..columns].copy_from_slice(&from[row * side..][..columns]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_turns_at_both_ends() {
        let places: Vec<u32> = (0..8).map(|step| to_and_fro(step, 3)).collect();
        assert_eq!(places, [0, 1, 2, 3, 2, 1, 0, 1]);
        assert_eq!(to_and_fro(17, 0), 0);
    }

    #[test]
    fn no_sample_is_below_16() {
        for channel in 1..=hal::MAX_CHANNELS {
            let size = Resolution { width: MIN_WIDTH, height: MIN_HEIGHT };
            let mut picture = Picture::new(size, 9, channel);
            picture.draw_title("Gate");
            picture.move_scene(40, FrameRate { numerator: 25, denominator: 1 }, 30);
            assert!(picture.render().iter().all(|&s| s >= 16), "channel {channel}");
        }
    }
}
