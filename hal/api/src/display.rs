//! Display: a monitor on the board's own output.
//!
//! Shows channels as tiles straight from the hardware, without the network. Does not belong here: menus (there are
//! none: a board is configured in a browser).

use crate::error::HalError;
use crate::overlay::Area;
use crate::stream::ChannelId;
use crate::video::{FrameRate, Resolution};

/// The most tiles on one monitor: 8 by 8.
pub const MAX_TILES: usize = 64;

/// A monitor socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DisplayOutput {
    /// HDMI.
    Hdmi,
    /// VGA.
    Vga,
    /// Composite.
    Cvbs,
}

/// A picture format of a monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DisplayMode {
    /// The active picture.
    pub resolution: Resolution,
    /// Frames a second.
    pub frame_rate: FrameRate,
}

/// A channel's place on the monitor. Later tiles lie over earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// The channel; black while it has no picture.
    pub channel: ChannelId,
    /// Where, in parts of the monitor.
    pub area: Area,
}

/// The monitors of a board.
pub trait Display: Send {
    /// The sockets there are.
    fn outputs(&self) -> &[DisplayOutput];

    /// The mode that an output is best started in.
    ///
    /// # Errors
    /// `NotFound` for an output that is not there.
    fn mode(&self, output: DisplayOutput) -> Result<DisplayMode, HalError>;

    /// Starts an output in a mode, `None` turns it off.
    ///
    /// # Errors
    /// `NotFound` for an output that is not there, `Unsupported` for a mode it cannot show, `Device` when it fails.
    fn set_mode(&mut self, output: DisplayOutput, mode: Option<DisplayMode>) -> Result<(), HalError>;

    /// Replaces what an output shows, at most [`MAX_TILES`].
    ///
    /// # Errors
    /// `NotFound` for an output that is off, `Unsupported` for more tiles than the hardware scales.
    fn show(&mut self, output: DisplayOutput, tiles: &[Tile]) -> Result<(), HalError>;

    /// Writes a line at the bottom, for whoever stands before the monitor; an empty one removes it.
    ///
    /// # Errors
    /// `NotFound` for an output that is off, `Device` when drawing fails.
    fn set_status(&mut self, output: DisplayOutput, line: &str) -> Result<(), HalError>;
}
