//! Capture: a board's video inputs and their encoders, behind one trait.
//!
//! A backend owns its threads. It delivers encoded access units to a [`UnitSink`] and takes orders through a
//! [`Channel`]; dropping the channel stops it.
//!
//! For backend authors: deliver one access unit a call, Annex B, keyframe flag and PTS set, in decoding order.
//! Report signal loss from the front end, never by guessing from missing frames.

use crate::display::Display;
use crate::error::{ErrorKind, HalError};
use crate::motion::MotionDetector;
use crate::overlay::Overlay;
use crate::stream::{ChannelId, StreamFormat, StreamId, StreamKind};
use crate::time::WallTime;
use crate::unit::AccessUnit;
use crate::video::{BitsPerSecond, FrameRate, Resolution, VideoCodec};

/// What one encoder is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// Main or sub.
    pub kind: StreamKind,
    /// The codec.
    pub codec: VideoCodec,
    /// The coded size; multiples of 2.
    pub resolution: Resolution,
    /// Frames a second.
    pub frame_rate: FrameRate,
    /// Target bit rate, constant over about a second.
    pub bit_rate: BitsPerSecond,
    /// Frames from keyframe to keyframe, 1 to 600.
    pub gop_frames: u16,
}

/// What one channel is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelConfig {
    /// The channel's number.
    pub channel: ChannelId,
    /// The board's input, as its description names it: `test0`, `video0`, `sim3`.
    pub input: String,
    /// The title on the picture; empty for none.
    pub title: String,
    /// Whether the wall clock is drawn on the picture.
    pub clock: bool,
    /// Whether sound is captured where the input has it.
    pub audio: bool,
    /// The encoders: a main stream, and perhaps a sub stream.
    pub streams: Vec<StreamConfig>,
}

/// Whether an input has a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A picture is there.
    Present,
    /// No picture since then.
    Lost {
        /// When the front end noticed.
        since: WallTime,
    },
    /// The device behind the input failed; the backend goes on trying.
    Failed {
        /// What happened, for people.
        reason: String,
    },
}

/// Where a backend delivers. Called from the backend's own threads; must not block.
pub trait UnitSink: Send + Sync {
    /// A stream is about to deliver, or its format changed.
    fn format(&self, stream: StreamId, format: StreamFormat);
    /// One access unit.
    fn unit(&self, unit: &AccessUnit<'_>);
    /// The input's signal changed.
    fn signal(&self, channel: ChannelId, signal: Signal);
    /// The picture that [`Channel::request_snapshot`] asked for, as JPEG.
    fn snapshot(&self, _channel: ChannelId, _jpeg: &[u8]) {}
}

/// One running channel; dropping it stops its encoders and joins its threads.
pub trait Channel: Send {
    /// Asks for a keyframe at once. The caller limits the rate.
    ///
    /// # Errors
    /// `NotFound` when the channel has no such stream.
    fn request_keyframe(&mut self, kind: StreamKind) -> Result<(), HalError>;

    /// Changes the target bit rate without a new stream.
    ///
    /// # Errors
    /// `NotFound` when the channel has no such stream, `Unsupported` for a rate the encoder cannot make.
    fn set_bit_rate(&mut self, kind: StreamKind, bit_rate: BitsPerSecond) -> Result<(), HalError>;

    /// Makes a running channel what `config` says, where that needs no new streams: rates, GOP, title and clock. False when it
    /// needs them, and nothing was changed: open the channel anew.
    ///
    /// # Errors
    /// As [`Backend::open`]; nothing was changed then.
    fn reconfigure(&mut self, _config: &ChannelConfig) -> Result<bool, HalError> {
        Ok(false)
    }

    /// Asks for one JPEG of the picture; it comes through [`UnitSink::snapshot`].
    ///
    /// # Errors
    /// `Unsupported` where the hardware makes none, `Busy` while the channel has no picture.
    fn request_snapshot(&mut self) -> Result<(), HalError> {
        Err(HalError::new(ErrorKind::Unsupported, "these inputs make no snapshots"))
    }
}

/// A board's capture hardware.
pub trait Backend: Send {
    /// The backend's name: `sim`, `gst`, `himpp`.
    fn name(&self) -> &'static str;

    /// The inputs a channel can name.
    fn inputs(&self) -> Vec<String>;

    /// Starts a channel; its units go to `sink`.
    ///
    /// # Errors
    /// `NotFound` for an unknown input, `Busy` when it is in use, `Unsupported` for a configuration the
    /// hardware cannot do, `Device` when it fails.
    fn open(
        &mut self,
        config: &ChannelConfig,
        sink: std::sync::Arc<dyn UnitSink>,
    ) -> Result<Box<dyn Channel>, HalError>;

    /// The overlays of its channels, where the hardware draws them.
    fn overlay(&mut self) -> Option<Box<dyn Overlay>> {
        None
    }

    /// The motion detectors of its channels, where the hardware has them.
    fn motion(&mut self) -> Option<Box<dyn MotionDetector>> {
        None
    }

    /// The monitors, where the board has them.
    fn display(&mut self) -> Option<Box<dyn Display>> {
        None
    }
}
