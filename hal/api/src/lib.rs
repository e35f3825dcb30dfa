//! The hardware vocabulary: time, media and device traits.
//!
//! Everything above this crate speaks in these types; everything below implements them (`hal-sim`, `hal-gst`,
//! and the board backends). A trait family has its own file, named for the peripheral.
//!
//! Does not belong here: any implementation that touches hardware, and any bitstream parsing.

mod alarm;
mod audio;
mod capture;
mod display;
mod error;
mod flash;
mod front_end;
mod indicator;
mod motion;
mod overlay;
mod pin;
mod rtc;
mod serial;
mod stream;
mod time;
mod unit;
mod video;
mod watchdog;

pub use alarm::{AlarmInput, PinInput, PinRelay, RelayOutput};
pub use audio::{AudioCodec, AudioFormat, MAX_AAC_CONFIG_BYTES};
pub use capture::{Backend, Channel, ChannelConfig, Signal, StreamConfig, UnitSink};
pub use display::{Display, DisplayMode, DisplayOutput, MAX_TILES, Tile};
pub use error::{ErrorKind, HalError};
pub use flash::{FlashGeometry, NorFlash};
pub use front_end::{
    AnalogFormat, AnalogMode, AnalogStandard, CoaxCommand, CoaxControl, CoaxSpeed, FrontEnd, MAX_COAX_SPEED,
    i2c_error,
};
pub use indicator::{Buzzer, Led, PinBuzzer, PinLed};
pub use motion::{MAX_GRID_SIDE, MotionDetector, MotionGrid};
pub use overlay::{Area, MAX_COVERS, MAX_TITLE_CHARS, Overlay};
pub use rtc::Rtc;
pub use serial::{MAX_SERIAL_FRAME_BYTES, Parity, Rs485, SerialConfig};
pub use stream::{ChannelId, MAX_CHANNELS, StreamFormat, StreamId, StreamKind};
pub use time::{Clock, MonoTime, Pts90k, SystemClock, WallTime};
pub use unit::{AccessUnit, MAX_UNIT_BYTES};
pub use video::{BitsPerSecond, ByteCount, FrameRate, Resolution, VideoCodec};
pub use watchdog::Watchdog;
