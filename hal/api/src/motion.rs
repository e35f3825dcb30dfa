//! Motion: the grid of changed cells that encoders compute beside the picture.
//!
//! Does not belong here: zones, thresholds over time, and what follows from motion (analytics).
//!
//! For backend authors: the grid covers the whole picture; a cell's level is scaled to 0 to 255 whatever the
//! hardware counts.

use crate::error::HalError;
use crate::stream::ChannelId;
use crate::time::{Pts90k, WallTime};

/// The most columns or rows: a cell of 16x16 samples in a picture of 4096.
pub const MAX_GRID_SIDE: u16 = 256;

/// How much changed where, between a picture and the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MotionGrid {
    /// The picture's presentation time.
    pub pts: Pts90k,
    /// Its wall time.
    pub wall: WallTime,
    /// Columns, 1 to [`MAX_GRID_SIDE`].
    pub columns: u16,
    /// Rows, 1 to [`MAX_GRID_SIDE`].
    pub rows: u16,
    /// Levels row by row from the top left: 0 is still, 255 the largest change. `columns * rows` of them.
    pub levels: Vec<u8>,
}

/// The motion detectors of a board.
pub trait MotionDetector: Send {
    /// Turns a channel's detector on or off. It is off at first.
    ///
    /// # Errors
    /// `NotFound` for a channel that is not open, `Unsupported` where the hardware has no detector.
    fn enable(&mut self, channel: ChannelId, on: bool) -> Result<(), HalError>;

    /// Fills `grid` with the newest result, keeping its memory. `false` when there is none newer than the last read.
    ///
    /// # Errors
    /// `NotFound` for a channel whose detector is off, `Device` when the hardware fails.
    fn read(&mut self, channel: ChannelId, grid: &mut MotionGrid) -> Result<bool, HalError>;
}
