//! The text on the picture: title and wall clock, drawn into raw I420 frames.
//!
//! A bitmap font on black boxes: it costs next to nothing, stays readable on any scene, and needs no text
//! plugin. White is luma 235, black luma 16 (ITU-R BT.601 studio range).
//!
//! Does not belong here: time. The caller says what the clock shows.

use std::convert::Infallible;

use embedded_graphics::Drawable;
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::iso_8859_1::FONT_10X20;
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::text::{Baseline, Text};
use gstreamer as gst;
use gstreamer_video::{VideoFrameRef, VideoInfo, prelude::*};
use hal::WallTime;

const FONT: MonoFont<'static> = FONT_10X20;
const BLACK: u8 = 16;
const WHITE: u8 = 235;
const NEUTRAL: u8 = 128;

/// Lines of picture for which the font is drawn at its own size; a picture twice as high gets it twice as large.
const LINES_AT_SCALE_1: u32 = 360;

/// Longer titles are cut: 10 samples a character must fit a 352-sample picture.
pub(crate) const MAX_TITLE_CHARS: usize = 32;

/// Draws a channel's title and clock.
pub(crate) struct Overlay {
    info: VideoInfo,
    title: String,
    clock: bool,
    scale: u32,
}

impl Overlay {
    /// `info` describes I420 frames.
    pub(crate) fn new(info: VideoInfo, title: &str, clock: bool) -> Self {
        let scale = (info.height() / LINES_AT_SCALE_1).max(1);
        Self { info, title: title.chars().take(MAX_TITLE_CHARS).collect(), clock, scale }
    }

    /// Clock at the top left, title at the bottom left. A frame that cannot be mapped stays as it is.
    pub(crate) fn draw(&self, buffer: &mut gst::BufferRef, wall: WallTime) {
        let Ok(mut frame) = VideoFrameRef::from_buffer_ref_writable(buffer, &self.info) else {
            tracing::warn!("a raw frame could not be mapped for its clock");
            return;
        };
        let margin = 8 * self.scale;
        if self.clock {
            self.line(&mut frame, &clock_text(wall), margin, margin);
        }
        if !self.title.is_empty() {
            let top = self.info.height().saturating_sub(margin + FONT.character_size.height * self.scale);
            self.line(&mut frame, &self.title, margin, top);
        }
    }

    fn line(&self, frame: &mut VideoFrameRef<&mut gst::BufferRef>, text: &str, left: u32, top: u32) {
        let size = Size::new(
            u32::try_from(text.chars().count()).unwrap_or(0) * FONT.character_size.width,
            FONT.character_size.height,
        );
        // Even edges, so that the box covers whole chroma samples.
        let (left, top) = (left & !1, top & !1);
        fill(frame, [left, top, size.width * self.scale, size.height * self.scale]);
        let stride = frame.plane_stride()[0] as usize;
        let (width, height) = (frame.width(), frame.height());
        let Ok(luma) = frame.plane_data_mut(0) else { return };
        let mut target = Luma { luma, stride, width, height, left, top, size, scale: self.scale };
        let style = MonoTextStyle::new(&FONT, BinaryColor::On);
        let Ok(_) = Text::with_baseline(text, Point::zero(), style, Baseline::Top).draw(&mut target);
    }
}

/// `2026-11-20 10:05:35 UTC`.
fn clock_text(wall: WallTime) -> String {
    jiff::Timestamp::from_microsecond(wall.as_unix_micros())
        .map_or_else(|_| String::from("----"), |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// Blackens a box given as left, top, width, height; clipped to the frame.
fn fill(frame: &mut VideoFrameRef<&mut gst::BufferRef>, [left, top, width, height]: [u32; 4]) {
    let (right, bottom) = ((left + width).min(frame.width()), (top + height).min(frame.height()));
    for plane in 0..3 {
        let (shift, value) = if plane == 0 { (0, BLACK) } else { (1, NEUTRAL) };
        let stride = frame.plane_stride()[plane as usize] as usize;
        let Ok(data) = frame.plane_data_mut(plane) else { return };
        let columns = (left >> shift) as usize..(right.max(left) >> shift) as usize;
        for row in (top >> shift) as usize..(bottom >> shift) as usize {
            if let Some(samples) = data.get_mut(row * stride + columns.start..row * stride + columns.end) {
                samples.fill(value);
            }
        }
    }
}

/// A luma plane seen as a target for text, `scale` samples a dot.
struct Luma<'a> {
    luma: &'a mut [u8],
    stride: usize,
    width: u32,
    height: u32,
    left: u32,
    top: u32,
    size: Size,
    scale: u32,
}

impl OriginDimensions for Luma<'_> {
    fn size(&self) -> Size {
        self.size
    }
}

impl DrawTarget for Luma<'_> {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Infallible>
    where
        I: IntoIterator<Item = Pixel<BinaryColor>>,
    {
        for Pixel(point, color) in pixels {
            let (Ok(x), Ok(y)) = (u32::try_from(point.x), u32::try_from(point.y)) else { continue };
            if color == BinaryColor::Off {
                continue;
            }
            let (x, y) = (self.left + x * self.scale, self.top + y * self.scale);
            if x + self.scale > self.width || y + self.scale > self.height {
                continue;
            }
            for row in y..y + self.scale {
                let from = row as usize * self.stride + x as usize;
                if let Some(dots) = self.luma.get_mut(from..from + self.scale as usize) {
                    dots.fill(WHITE);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gstreamer_video::VideoFormat;

    fn frame(width: u32, height: u32) -> (VideoInfo, gst::Buffer) {
        gst::init().unwrap();
        let info = VideoInfo::builder(VideoFormat::I420, width, height).build().unwrap();
        let mut buffer = gst::Buffer::with_size(info.size()).unwrap();
        buffer.get_mut().unwrap().map_writable().unwrap().fill(77);
        (info, buffer)
    }

    #[test]
    fn the_clock_is_utc_to_the_second() {
        assert_eq!(clock_text(WallTime::from_unix_micros(1_795_169_135_999_999)), "2026-11-20 10:05:35 UTC");
        assert_eq!(clock_text(WallTime::from_unix_micros(i64::MAX)), "----");
    }

    #[test]
    fn another_second_changes_the_picture_and_the_same_one_does_not() {
        let draw = |micros| {
            let (info, mut buffer) = frame(640, 360);
            Overlay::new(info, "Gate", true)
                .draw(buffer.get_mut().unwrap(), WallTime::from_unix_micros(micros));
            buffer.map_readable().unwrap().to_vec()
        };
        assert_eq!(draw(1_000_000), draw(1_999_999));
        assert_ne!(draw(1_000_000), draw(2_000_000));
        assert!(draw(0).contains(&WHITE));
    }

    #[test]
    fn a_picture_smaller_than_the_text_is_clipped_not_overrun() {
        for (width, height) in [(16, 16), (64, 10), (2, 2), (176, 144)] {
            let (info, mut buffer) = frame(width, height);
            let overlay = Overlay::new(info, "A title that is much longer than the picture is wide", true);
            overlay.draw(buffer.get_mut().unwrap(), WallTime::from_unix_micros(0));
        }
    }
}
