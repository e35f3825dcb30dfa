//! Title and clock as bitmaps in the platform's format.
//!
//! White letters with a black outline, legible on any picture, on nothing: what is not letter or outline is transparent.
//! First-generation hardware uploads a whole bitmap at each change, so the title is drawn once, and the clock at most once a
//! second. Sizes and places are even, as 4:2:0 wants them.
//!
//! Does not belong here: covers (`plan.rs`), and who sends bitmaps when (`supervisor.rs`).

use std::convert::Infallible;

use embedded_graphics::Drawable;
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::iso_8859_1::{FONT_6X10, FONT_8X13, FONT_10X20};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::text::{Baseline, Text};
use hal::{MAX_TITLE_CHARS, Resolution, WallTime};
use mpp_wire::{BitmapPlan, MAX_BITMAP_BYTES, Rect};

/// Opaque white, opaque black and nothing, in ARGB1555.
const WHITE: u16 = 0xFFFF;
const BLACK: u16 = 0x8000;
const CLEAR: u16 = 0;

/// The longest line on a monitor: an address and a set-up code.
const MAX_STATUS_CHARS: usize = 80;

/// Title and clock of one stream.
#[derive(Debug)]
pub(crate) struct Osd {
    picture: Resolution,
    title: Option<BitmapPlan>,
    clock: bool,
    /// What is drawn now: the clock's second, and whether anything was.
    shown: Option<i64>,
    changed: bool,
}

impl Osd {
    /// A title longer than [`MAX_TITLE_CHARS`] is cut.
    pub(crate) fn new(picture: Resolution, title: &str, clock: bool) -> Self {
        let title: String = title.chars().take(MAX_TITLE_CHARS).collect();
        let title = line(&title, font(picture.height), picture).map(|drawn| {
            let margin = margin(picture);
            drawn.at(margin, margin)
        });
        Self { picture, title, clock, shown: None, changed: true }
    }

    /// What is to be on the picture from `wall` on; `None` while it is what was last asked for.
    pub(crate) fn draw(&mut self, wall: WallTime) -> Option<Vec<BitmapPlan>> {
        let second = self.clock.then(|| wall.as_unix_micros().div_euclid(1_000_000));
        if !self.changed && self.shown == second {
            return None;
        }
        self.changed = false;
        self.shown = second;
        let clock = second.and_then(|second| self.clock_at(second));
        Some(self.title.iter().cloned().chain(clock).collect())
    }

    /// At the top right, below the title where both do not fit beside one another.
    fn clock_at(&self, second: i64) -> Option<BitmapPlan> {
        // A time that no calendar has is left out.
        let time = jiff::Timestamp::from_second(second).ok()?;
        let text = time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        let drawn = line(&text, font(self.picture.height), self.picture)?;
        let margin = margin(self.picture);
        let right = self.picture.width.saturating_sub(drawn.width + margin) & !1;
        let title = self.title.as_ref().map(|title| title.place);
        Some(match title {
            Some(title) if title.x + title.width + margin > right => drawn.at(margin, title.y + title.height),
            _ => drawn.at(right, margin),
        })
    }
}

/// A line of text at the bottom of a monitor; `None` for an empty one.
pub(crate) fn status_line(text: &str, monitor: Resolution) -> Option<BitmapPlan> {
    let text: String = text.chars().take(MAX_STATUS_CHARS).collect();
    let drawn = line(&text, font(monitor.height), monitor)?;
    let margin = margin(monitor);
    let top = monitor.height.saturating_sub(drawn.height + margin) & !1;
    Some(drawn.at(margin, top))
}

/// Font and scale for a picture so high: about a 27th of it, but no smaller than can be read.
fn font(height: u16) -> (&'static MonoFont<'static>, u16) {
    match height {
        0..=239 => (&FONT_6X10, 1),
        240..=399 => (&FONT_8X13, 1),
        400..=899 => (&FONT_10X20, 1),
        _ => (&FONT_10X20, height / 540),
    }
}

fn margin(picture: Resolution) -> u16 {
    (picture.width / 80).max(2) & !1
}

/// A drawn line without a place.
struct Drawn {
    width: u16,
    height: u16,
    samples: Vec<u16>,
}

impl Drawn {
    fn at(self, x: u16, y: u16) -> BitmapPlan {
        let place = Rect { x, y, width: self.width, height: self.height };
        BitmapPlan { place, argb1555: self.samples }
    }
}

/// Draws text; what does not fit the picture, or the largest bitmap, is left out at its end.
fn line(text: &str, (font, scale): (&MonoFont<'_>, u16), picture: Resolution) -> Option<Drawn> {
    let cell = font.character_size;
    let (cell_width, cell_height) = (cell.width as u16 * scale, cell.height as u16 * scale);
    // The outline is as wide as a dot, on all sides; the size is even then.
    let height = (cell_height + 2 * scale).next_multiple_of(2);
    let samples = MAX_BITMAP_BYTES / 2 / usize::from(height);
    let room =
        picture.width.saturating_sub(2 * margin(picture)).min(samples.min(usize::from(u16::MAX)) as u16);
    let fitting = room.saturating_sub(2 * scale + 1) / cell_width;
    let text: String = text.chars().take(fitting.into()).map(|c| legible(font, c)).collect();
    if text.trim().is_empty() || height > picture.height {
        return None;
    }
    let mut dots = Dots::new(Size::new(text.chars().count() as u32 * cell.width, cell.height));
    let style = MonoTextStyle::new(font, BinaryColor::On);
    let Ok(_) = Text::with_baseline(&text, Point::zero(), style, Baseline::Top).draw(&mut dots);
    let width = (dots.size.width as u16 * scale + 2 * scale).next_multiple_of(2);
    let samples = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let samples = samples.map(|(x, y)| {
        // In dots, the outline's column and row being number -1.
        let (column, row) = (i32::from(x / scale) - 1, i32::from(y / scale) - 1);
        let around = |at: i32| at - 1..=at + 1;
        if dots.is_set(column, row) {
            WHITE
        } else if around(row).any(|row| around(column).any(|column| dots.is_set(column, row))) {
            BLACK
        } else {
            CLEAR
        }
    });
    Some(Drawn { width, height, samples: samples.collect() })
}

/// The character, or what stands for it where the font has none.
fn legible(font: &MonoFont<'_>, character: char) -> char {
    let unknown = font.glyph_mapping.index('\u{FFFF}');
    match character {
        ' ' => ' ',
        '\u{2018}' | '\u{2019}' => '\'',
        '\u{201C}'..='\u{201E}' => '"',
        '\u{2010}'..='\u{2015}' => '-',
        '€' => 'E',
        _ if character.is_control() || font.glyph_mapping.index(character) == unknown => '?',
        _ => character,
    }
}

/// Dots that are set or not.
struct Dots {
    size: Size,
    set: Vec<bool>,
}

impl Dots {
    fn new(size: Size) -> Self {
        Self { size, set: vec![false; (size.width * size.height) as usize] }
    }

    fn place(&self, x: i32, y: i32) -> Option<usize> {
        let (x, y) = (u32::try_from(x).ok()?, u32::try_from(y).ok()?);
        (x < self.size.width && y < self.size.height).then(|| (y * self.size.width + x) as usize)
    }

    fn is_set(&self, x: i32, y: i32) -> bool {
        self.place(x, y).is_some_and(|place| self.set[place])
    }
}

impl OriginDimensions for Dots {
    fn size(&self) -> Size {
        self.size
    }
}

impl DrawTarget for Dots {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Infallible>
    where
        I: IntoIterator<Item = Pixel<BinaryColor>>,
    {
        for Pixel(point, color) in pixels {
            if let Some(place) = self.place(point.x, point.y) {
                self.set[place] = color.is_on();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [(u16, u16); 8] =
        [(176, 144), (320, 180), (352, 288), (704, 480), (960, 576), (1280, 720), (1920, 1080), (3840, 2160)];

    fn at(second: i64) -> WallTime {
        WallTime::from_unix_micros(second * 1_000_000 + 999_999)
    }

    fn inside(bitmap: &BitmapPlan, width: u16, height: u16) {
        let Rect { x, y, width: w, height: h } = bitmap.place;
        assert!([x, y, w, h].iter().all(|n| n % 2 == 0), "{:?}", bitmap.place);
        assert!(x + w <= width && y + h <= height, "{:?} in {width}x{height}", bitmap.place);
        assert_eq!(bitmap.argb1555.len(), usize::from(w) * usize::from(h));
        assert!(bitmap.argb1555.len() * 2 <= MAX_BITMAP_BYTES);
        for color in [WHITE, BLACK, CLEAR] {
            assert!(bitmap.argb1555.contains(&color), "{color:#x} in {width}x{height}");
        }
        assert!(bitmap.argb1555.iter().all(|sample| [WHITE, BLACK, CLEAR].contains(sample)));
    }

    #[test]
    fn bitmaps_of_every_size_are_even_inside_and_apart() {
        for (width, height) in SIZES {
            for title in ["Door", &"W".repeat(MAX_TITLE_CHARS + 9)] {
                let mut osd = Osd::new(Resolution { width, height }, title, true);
                let drawn = osd.draw(at(0)).unwrap();
                assert_eq!(drawn.len(), 2, "{width}x{height}");
                drawn.iter().for_each(|bitmap| inside(bitmap, width, height));
                let (title, clock) = (drawn[0].place, drawn[1].place);
                let apart = title.x + title.width <= clock.x || title.y + title.height <= clock.y;
                assert!(apart, "{title:?} and {clock:?}");
                assert_eq!((title.x, title.y), (margin(osd.picture), margin(osd.picture)));
            }
        }
    }

    #[test]
    fn the_clock_changes_each_second_and_the_title_never() {
        let mut osd = Osd::new(Resolution { width: 1280, height: 720 }, "Door", true);
        let first = osd.draw(at(5)).unwrap();
        assert!(osd.draw(WallTime::from_unix_micros(5_000_000)).is_none(), "the same second");
        let second = osd.draw(at(6)).unwrap();
        assert_eq!(first[0], second[0]);
        assert_eq!(first[1].place, second[1].place, "in place");
        assert_ne!(first[1].argb1555, second[1].argb1555);
        assert!(osd.draw(at(6)).is_none());
    }

    #[test]
    fn without_a_clock_the_title_is_sent_once_and_without_both_nothing_stays() {
        let picture = Resolution { width: 704, height: 576 };
        let mut osd = Osd::new(picture, "Door", false);
        assert_eq!(osd.draw(at(5)).unwrap().len(), 1);
        assert!(osd.draw(at(6)).is_none());
        let mut empty = Osd::new(picture, "", false);
        assert_eq!(empty.draw(at(5)), Some(Vec::new()), "what was there is removed, once");
        assert!(empty.draw(at(6)).is_none());
    }

    #[test]
    fn what_the_font_lacks_has_something_to_stand_for_it() {
        let shown = |text: &str| text.chars().map(|c| legible(&FONT_10X20, c)).collect::<String>();
        assert_eq!(shown("Tür – “1” 門\t"), "Tür - \"1\" ??");
        assert!(line(" ", (&FONT_10X20, 1), Resolution { width: 704, height: 576 }).is_none());
    }

    #[test]
    fn letters_have_an_outline_around_every_dot() {
        let drawn = line("l", (&FONT_10X20, 2), Resolution { width: 704, height: 576 }).unwrap();
        let sample = |x: i32, y: i32| {
            let inside = x >= 0 && y >= 0 && x < drawn.width.into() && y < drawn.height.into();
            inside.then(|| drawn.samples[y as usize * usize::from(drawn.width) + x as usize])
        };
        for y in 0..i32::from(drawn.height) {
            for x in (0..i32::from(drawn.width)).filter(|&x| sample(x, y) == Some(WHITE)) {
                for (dx, dy) in [(-1, 0), (1, 0), (0, -1), (0, 1)] {
                    assert!(matches!(sample(x + dx, y + dy), Some(WHITE | BLACK)), "beside {x},{y}");
                }
            }
        }
    }

    #[test]
    fn a_status_line_is_at_the_bottom() {
        let monitor = Resolution { width: 1280, height: 720 };
        let bitmap = status_line("https://192.168.1.4  Set-up code: 1234-5678", monitor).unwrap();
        inside(&bitmap, 1280, 720);
        assert!(bitmap.place.y > 600);
        assert!(status_line("", monitor).is_none());
    }
}
