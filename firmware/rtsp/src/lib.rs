//! The RTSP server: session, SDP, packetisers, transports.
//!
//! Live streams of the bus at `/ch{n}/{main|sub}`, and with `?start=` what was recorded of them, in RTSP 1.0 (RFC 2326) and 2.0 (RFC 7826),
//! over TCP interleaved, UDP and UDP multicast, in clear, over TLS, as SRTP and through HTTP (docs/rtsp.md). Viewers prove a stream key by Digest (RFC 7616);
//! the login password is never asked for.
//!
//! From below: `packet`, `video`, `audio`, `onvif`, `payload`, `rtcp`, `srtp` make what is sent; `facts` is what metadata tells of, `metadata` when; `framing`,
//! `digest`, `target`, `transport`, `moment`, `wish`, `sdp`, `mikey` read and write what is said; `session` decides, without sockets or time; `tunnel` reads HTTP;
//! `wire`, `outlet`, `lanes`, `groups`, `leg`, `tracks`, `replay`, `client`, `door` and `server` connect it to the world.
//!
//! Does not belong here: who has which key ([`Gate`]'s implementer knows), where footage lies ([`Archive`]'s knows), ONVIF's
//! web services.
//!
//! Invariants: a live stream is packetised once for all its clients; no client delays another or the publisher; no
//! input makes it panic; everything that can grow has a limit.

mod action;
mod active;
mod archive;
mod audio;
mod bucket;
mod client;
mod connection;
mod datagrams;
mod digest;
mod door;
mod error;
mod extension;
mod facts;
mod framing;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod gate;
mod groups;
mod keys;
mod lanes;
mod leg;
mod message;
mod metadata;
mod mikey;
mod moment;
mod multicast;
mod onvif;
mod outbox;
mod outlet;
mod pace;
mod packet;
mod payload;
mod place;
mod replay;
mod rtcp;
mod sdp;
mod second;
mod server;
mod session;
mod shared;
mod socket;
mod srtp;
mod target;
mod timeline;
mod tracks;
mod transport;
mod tunnel;
mod tunnels;
mod udp_pair;
mod video;
mod wire;
mod wish;

pub use archive::{Archive, ArchiveError, ArchiveRequest, Opening, RecordedFormat, RecordedUnit, Recording};
pub use digest::REALM;
pub use error::{ErrorKind, RtspError};
pub use facts::{ChannelSource, Metadata};
pub use gate::{Gate, Via, Watch, WatchGuard};
pub use multicast::Multicast;
pub use server::{Entrance, Server, ServerStats};
pub use session::SESSION_TIMEOUT;
pub use shared::ServerOptions;
pub use udp_pair::UdpPair;
