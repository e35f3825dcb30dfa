//! The hardware vocabulary: time, media and device traits.
//!
//! Everything above this crate speaks in these types; everything below implements them (`hal-sim`, `hal-gst`,
//! and the board backends). A trait family has its own file, named for the peripheral.
//!
//! Does not belong here: any implementation that touches hardware, and any bitstream parsing.

mod audio;
mod capture;
mod error;
mod stream;
mod time;
mod unit;
mod video;

pub use audio::{AudioCodec, AudioFormat, MAX_AAC_CONFIG_BYTES};
pub use capture::{Backend, Channel, ChannelConfig, Signal, StreamConfig, UnitSink};
pub use error::{ErrorKind, HalError};
pub use stream::{ChannelId, MAX_CHANNELS, StreamFormat, StreamId, StreamKind};
pub use time::{Clock, MonoTime, Pts90k, SystemClock, WallTime};
pub use unit::{AccessUnit, MAX_UNIT_BYTES};
pub use video::{BitsPerSecond, ByteCount, FrameRate, Resolution, VideoCodec};
