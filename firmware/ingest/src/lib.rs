//! Network cameras: pulls RTSP, publishes access units.
//!
//! One task a camera ([`Camera::spawn`], or many through [`Cameras`]): it connects, receives H.264 or H.265 and
//! AAC or G.711, and publishes them on the bus as the channel's main and audio streams. Whatever goes wrong
//! becomes a [`CameraStatus`] in words that say what to do, and a later attempt; it never reaches another
//! camera. RTSP, RTP and depacketizing are `retina`'s.
//!
//! Does not belong here: disk, decoding, discovery of cameras.
//!
//! Invariants
//! - What is published is what the camera sent, NAL unit by NAL unit; parameter sets stand before each keyframe.
//! - A channel's pts never runs backwards from one connection to the next, and video and audio share it.
//! - A password is in no log line, no error and no `Debug` text.

mod align;
mod backoff;
mod cameras;
mod config;
mod error;
mod failure;
mod outlet;
mod secret;
mod server;
mod status;

pub use cameras::{Cameras, MAX_CAMERAS};
pub use config::{CameraConfig, CameraSettings, MAX_CREDENTIAL_BYTES, MAX_URL_BYTES, Transport};
pub use error::{ErrorKind, IngestError};
pub use secret::Secret;
pub use server::{Camera, CameraHandle};
pub use status::{CameraState, CameraStatus};
