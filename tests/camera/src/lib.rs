//! A network camera for tests and for the demo: serves a clip over RTSP.
//!
//! [`TestCamera`] is a GStreamer RTSP server on the loopback interface. It plays an MP4 clip in an endless loop
//! without encoding it again, so that what a recorder receives can be compared with the file byte by byte; or
//! it plays a generated scene in codecs for which there is no clip. It can ask for a password, fall silent like
//! a camera that hangs, and go away like one whose plug was pulled.
//!
//! A tool, not firmware: it listens on loopback only and trusts its caller.
//!
//! Invariant: RTP timestamps advance in real time across the end of the clip, by the clip's own steps.

mod camera;
mod clip;
mod error;
mod feeder;

pub use camera::{Audio, Auth, CameraOptions, Login, Source, TestCamera, Video};
pub use error::{CameraError, ErrorKind};
