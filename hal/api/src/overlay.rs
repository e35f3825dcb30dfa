//! Overlay: title, clock and privacy covers, drawn before encoding.
//!
//! What is drawn here is in every recording and cannot be taken out again; that is the point of covers. Does not
//! belong here: what the browser draws over a picture.
//!
//! For backend authors: first-generation hardware uploads a whole bitmap at each change, so change at most once
//! a second, and place at even samples. Covers come first: if a cover cannot be drawn, report it; never deliver
//! a picture without it.

use crate::error::HalError;
use crate::stream::ChannelId;
use crate::video::Resolution;

/// The longest title in characters: what fits a CIF picture (352 samples) in the smallest legible font.
pub const MAX_TITLE_CHARS: usize = 32;

/// The most covers of a channel: what the smallest hardware of the family offers.
pub const MAX_COVERS: usize = 4;

/// A rectangle in parts of the picture's width and height, so that it fits main and sub stream alike.
///
/// Invariant: not empty and inside the picture; [`Area::new`] is the only way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    left: u16,
    top: u16,
    width: u16,
    height: u16,
}

impl Area {
    /// The picture's width and height in the units of an area.
    pub const WHOLE: u16 = 10_000;

    /// An area in 1/[`Area::WHOLE`] of the picture; `None` when empty or partly outside.
    #[must_use]
    pub const fn new(left: u16, top: u16, width: u16, height: u16) -> Option<Self> {
        let inside = left as u32 + width as u32 <= Self::WHOLE as u32
            && top as u32 + height as u32 <= Self::WHOLE as u32;
        if width > 0 && height > 0 && inside { Some(Self { left, top, width, height }) } else { None }
    }

    /// Left edge, top edge, width and height in samples of a picture of `picture` samples: outwards to even ones,
    /// so that a cover never covers less than was asked for.
    #[must_use]
    pub fn in_samples(self, picture: Resolution) -> (u16, u16, u16, u16) {
        let (left, width) = outwards(self.left, self.width, picture.width);
        let (top, height) = outwards(self.top, self.height, picture.height);
        (left, top, width, height)
    }
}

/// Start and length of a span in samples, both even, covering at least the span.
fn outwards(start: u16, length: u16, samples: u16) -> (u16, u16) {
    let whole = u32::from(Area::WHOLE);
    let first = u32::from(start) * u32::from(samples) / whole / 2 * 2;
    let end = ((u32::from(start) + u32::from(length)) * u32::from(samples)).div_ceil(whole);
    let end = end.next_multiple_of(2).min(u32::from(samples));
    (first as u16, (end - first) as u16)
}

/// The overlays of a board's channels.
pub trait Overlay: Send {
    /// Draws `title`, at most [`MAX_TITLE_CHARS`]; an empty one removes it.
    ///
    /// # Errors
    /// `NotFound` for a channel that is not open, `Unsupported` for a title too long, `Device` when drawing fails.
    fn set_title(&mut self, channel: ChannelId, title: &str) -> Result<(), HalError>;

    /// Shows or hides the clock.
    ///
    /// # Errors
    /// `NotFound` for a channel that is not open, `Device` when drawing fails.
    fn set_clock(&mut self, channel: ChannelId, on: bool) -> Result<(), HalError>;

    /// Replaces a channel's covers, at most [`MAX_COVERS`]. All of them or none are changed.
    ///
    /// # Errors
    /// `NotFound` for a channel that is not open, `Unsupported` for too many covers, `Device` when drawing fails:
    /// the old covers are then still drawn.
    fn set_covers(&mut self, channel: ChannelId, covers: &[Area]) -> Result<(), HalError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_lie_inside_the_picture() {
        assert!(Area::new(0, 0, 10_000, 10_000).is_some());
        assert!(Area::new(1, 0, 10_000, 10_000).is_none());
        assert!(Area::new(0, 0, 0, 1).is_none());
        assert!(Area::new(u16::MAX, u16::MAX, u16::MAX, u16::MAX).is_none());
    }

    #[test]
    fn areas_grow_to_even_samples_and_stay_inside() {
        let picture = Resolution { width: 1920, height: 1080 };
        assert_eq!(Area::new(0, 0, 10_000, 10_000).unwrap().in_samples(picture), (0, 0, 1920, 1080));
        // 192.192 to 384.192 samples across, 108.108 to 108.216 down.
        assert_eq!(Area::new(1_001, 1_001, 1_000, 1).unwrap().in_samples(picture), (192, 108, 194, 2));
        let (left, top, width, height) = Area::new(9_999, 9_999, 1, 1).unwrap().in_samples(picture);
        assert_eq!((left + width, top + height), (1920, 1080));
    }
}
