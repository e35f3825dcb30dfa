//! What the host is to set up: pools, devices, channels, streams, regions.
//!
//! Plans are made by the client from a board's description and the owner's settings; the host turns them into the
//! structures of the library's generation. Sizes are in samples and bytes, rates in kbit/s as the platform counts them.

use serde::{Deserialize, Serialize};

/// The most covers of a channel, as `hal::MAX_COVERS`.
pub const MAX_COVERS: usize = 4;

/// The largest overlay bitmap: 32 characters of 24x48 samples in ARGB1555, twice over.
pub const MAX_BITMAP_BYTES: usize = 256 << 10;

/// The platform as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemPlan {
    /// Common video buffers, at most 16 pools (`HI_MPI_VB_SetConf`).
    pub pools: Vec<PoolPlan>,
    /// Video input devices.
    pub devices: Vec<DevicePlan>,
}

/// A pool of video buffers of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolPlan {
    /// One block, bytes.
    pub block_bytes: u32,
    /// How many.
    pub blocks: u32,
}

/// A video input device: a port of the SoC that a decoder chip feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevicePlan {
    /// Its number.
    pub device: u8,
    /// The bus' format.
    pub interface: Interface,
    /// How many channels share the bus.
    pub multiplex: Multiplex,
    /// Which pins carry which component (`au32CompMask`).
    pub mask: [u32; 2],
    /// Whether data is taken on both clock edges.
    pub double_edge: bool,
}

/// A digital video bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Interface {
    /// ITU-R BT.656, 8 bits with embedded sync.
    Bt656,
    /// ITU-R BT.1120, 16 bits with embedded sync.
    Bt1120,
}

/// Channels on one bus, taking turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Multiplex {
    /// One.
    One,
    /// Two.
    Two,
    /// Four.
    Four,
}

/// One analog channel: its input and everything that is made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelPlan {
    /// The recorder's number of the channel, from 1.
    pub channel: u16,
    /// Where the picture comes from.
    pub input: InputPlan,
    /// The encoders.
    pub streams: Vec<StreamPlan>,
    /// Sound, where wanted.
    pub audio: Option<AudioPlan>,
    /// Whether the input's motion grid is wanted, and how often.
    pub motion: Option<MotionPlan>,
    /// The covers from the first picture on, as `Order::Covers` has them.
    pub covers: Vec<Rect>,
}

/// A video input channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputPlan {
    /// The platform's number (`VI_CHN`); also the VPSS group's.
    pub input: u8,
    /// The device that it comes from.
    pub device: u8,
    /// Which of the channels that share the device's bus, from 0.
    pub way: u8,
    /// Samples a line.
    pub width: u16,
    /// Lines, both fields together.
    pub height: u16,
    /// Pictures a second, rounded.
    pub frame_rate: u8,
    /// Whether a picture comes as two fields.
    pub interlaced: bool,
}

/// Which stream of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StreamTag {
    /// Full size.
    Main,
    /// Small.
    Sub,
}

/// A video codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Codec {
    /// H.264, high profile.
    H264,
    /// H.265, where the generation has it.
    H265,
}

/// One encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamPlan {
    /// Main or sub.
    pub stream: StreamTag,
    /// The codec.
    pub codec: Codec,
    /// Samples a line, even.
    pub width: u16,
    /// Lines, even.
    pub height: u16,
    /// What may change while it runs.
    pub rate: RatePlan,
}

/// What changes without a new encoder: bit rate, GOP, frame rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RatePlan {
    /// Target, kbit/s.
    pub kbit_per_sec: u32,
    /// Frames from keyframe to keyframe.
    pub gop_frames: u16,
    /// Frames a second, at most the input's.
    pub frame_rate: u8,
}

/// Sound of a channel: G.711 A-law, one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioPlan {
    /// The audio input device.
    pub device: u8,
    /// How many channels the device brings: 1, 2, 4, 8 or 16.
    pub device_channels: u8,
    /// The channel of it.
    pub input: u8,
    /// Samples a second: 8000 or 16000.
    pub sample_rate: u32,
}

/// A grid of what moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MotionPlan {
    /// Grids a second, 1 to 25.
    pub per_sec: u8,
}

/// A rectangle in samples; everything even.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rect {
    /// Left edge.
    pub x: u16,
    /// Top edge.
    pub y: u16,
    /// Width.
    pub width: u16,
    /// Height.
    pub height: u16,
}

/// A bitmap on a stream's picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BitmapPlan {
    /// Where.
    pub place: Rect,
    /// ARGB1555, line by line, `width * height` samples; the top bit set is opaque. At most [`MAX_BITMAP_BYTES`].
    pub argb1555: Vec<u16>,
}

/// What a monitor shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisplayPlan {
    /// Samples a line: 1280 or 1920.
    pub width: u16,
    /// Lines: 720 or 1080.
    pub height: u16,
    /// Pictures a second: 50 or 60.
    pub frame_rate: u8,
    /// The tiles.
    pub tiles: Vec<TilePlan>,
    /// A line of text at the bottom.
    pub status: Option<BitmapPlan>,
}

/// A channel on a monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TilePlan {
    /// The recorder's number of the channel.
    pub channel: u16,
    /// Where.
    pub place: Rect,
}
