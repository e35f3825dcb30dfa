//! The simulator backend: deterministic cameras, clock and flash.
//!
//! A full backend of `hal`, not a mock: its cameras deliver real H.264 that every decoder plays, made without a
//! codec library, so that it runs on the smallest board too. What a picture shows follows from a seed, the channel,
//! the frame's number and the wall time, and the picture says so itself (`mark`, docs/sim-mark.md).
//!
//! Does not belong here: real devices, and anything above the HAL.

mod audio;
mod backend;
mod bits;
mod clock;
mod flash;
mod font;
pub mod mark;
mod overlay;
mod picture;
mod pin;
mod random;
mod serial;
mod source;
mod syntax;
mod watchdog;

pub use audio::Tick;
pub use backend::{INPUTS, LossPlan, MAX_LATE, SimBackend, SimOptions};
pub use clock::SimClock;
pub use flash::SimFlash;
pub use overlay::{Overlay, Paint, colour_from_rgb};
pub use pin::{PinBroken, SimPin};
pub use serial::{BUFFER_BYTES, SimRs485};
pub use source::{
    MAX_FRAMES_PER_SEC, MAX_GOP_FRAMES, MAX_HEIGHT, MAX_WIDTH, MIN_BIT_RATE, SCENE_BLOCK_MBS, Source,
    SourceConfig, max_bit_rate, scene_block,
};
pub use watchdog::{LONGEST_TIMEOUT, SimWatchdog};
