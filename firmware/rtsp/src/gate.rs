//! What the server asks its owner: who may come in, and who is watching.
//!
//! Does not belong here: how keys are stored, and what is done with the knowledge.

use std::any::Any;
use std::net::{IpAddr, SocketAddr};

use auth::StreamKeyVerifier;
use hal::StreamId;

use crate::multicast::Multicast;

/// How somebody watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// RTSP in clear.
    Rtsp,
    /// RTSP over TLS.
    Rtsps,
}

/// Somebody watches a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// The name of the stream key.
    pub user: String,
    /// The client's end of the TCP connection.
    pub from: SocketAddr,
    /// The video stream; its channel's sound goes with it.
    pub stream: StreamId,
    /// In clear or over TLS.
    pub via: Via,
    /// What was recorded, and not what happens now.
    pub recorded: bool,
}

/// Lives as long as somebody watches: from PLAY to PAUSE, TEARDOWN or the end of the connection.
pub type WatchGuard = Box<dyn Any + Send + Sync>;

/// Asked from many tasks at once; must answer without waiting.
pub trait Gate: Send + Sync {
    /// The verifier of `user`'s stream key, for realm [`crate::REALM`]. Asked at every request and every few
    /// seconds while somebody watches: a revoked key ends its sessions.
    fn stream_key(&self, user: &str) -> Option<StreamKeyVerifier>;

    /// Whether an address may connect at all. Asked before a byte is read, and every second of those that have; an IPv4
    /// address is never in its IPv6 form here.
    fn admits(&self, _: IpAddr) -> bool {
        true
    }

    /// Whether `user`'s key is good for what was recorded too.
    fn may_replay(&self, _user: &str) -> bool {
        true
    }

    /// Where live streams may be multicast, in clear, to whoever is in that network; `None`: nowhere. Asked at every SETUP, and every
    /// second while somebody watches so: a session whose group is no more ends.
    fn multicast(&self) -> Option<Multicast> {
        None
    }

    /// Somebody begins to watch; the guard is dropped when that ends.
    fn watching(&self, watch: Watch) -> WatchGuard;

    /// Somebody showed credentials that prove nothing; for counting and for the log. A connection is closed after
    /// a few of them.
    fn refused(&self, from: SocketAddr) {
        tracing::warn!(%from, "RTSP request with a wrong stream key");
    }
}
