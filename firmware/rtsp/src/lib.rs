//! The RTSP server: session, SDP, packetisers, transports.

mod audio;
mod digest;
mod error;
mod framing;
mod gate;
mod packet;
mod payload;
mod rtcp;
mod sdp;
mod transport;
mod video;

pub use digest::REALM;
pub use error::{ErrorKind, RtspError};
pub use gate::{Gate, Via, Watch, WatchGuard};
pub use payload::TrackId;
pub use transport::Delivery;
