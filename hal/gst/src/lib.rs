//! The GStreamer backend: test and V4L2 sources, encoders in SoCs and in software.
//!
//! A full backend behind [`hal::Backend`], for a PC and for SoCs with mainline drivers: inputs `test0`, `test1`, …
//! with a moving scene and a ticking sound, and `video0`, `video1`, … for every V4L2 capture device that is
//! there. Besides, the decoder that makes a JPEG snapshot of one keyframe.
//!
//! Does not belong here: bitstream parsing beyond start codes, and anything about the network.
//!
//! Invariants
//! - Title and clock are drawn into the raw picture from the same value that becomes [`hal::AccessUnit::wall`].
//! - All streams of a channel come from one pipeline, so they share one running time.
//! - A lost signal is the device's word, never concluded from missing pictures.
//! - Every queue is bounded; what cannot be encoded in time is dropped before the encoder, never after it.

mod annexb;
mod backend;
mod channel;
mod device;
mod encoder;
mod front_end;
mod lease;
mod m2m;
mod modes;
mod overlay;
mod pipeline;
mod plugins;
mod snapshot;
mod source;
mod timeline;

pub use backend::{GstBackend, MAX_TEST_INPUTS};
pub use device::{CaptureDevice, capture_devices};
pub use encoder::Encoders;
pub use modes::CaptureMode;
pub use snapshot::snapshot;
