//! What a session and its connection say to one another.
//!
//! Does not belong here: what either does.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hal::WallTime;

use crate::gate::Gate;
use crate::payload::TrackId;
use crate::srtp::MasterKey;
use crate::target::Source;
use crate::transport::{Abilities, Delivery};
use crate::wish::Wish;

/// What the caller has to do, in this order.
#[derive(Debug)]
pub(crate) enum Action {
    /// Write to the connection.
    Send(Bytes),
    /// Find out what the stream or the recording carries, then call `Session::described`.
    Describe(Source),
    /// Get a track ready, then call `Session::set_up`.
    Setup {
        source: Source,
        track: TrackId,
        delivery: Delivery,
        /// Of a track that is sent as SRTP.
        key: Option<MasterKey>,
    },
    /// Start every track at its latest keyframe, but send nothing before `Session::playing` was called and its
    /// answer written.
    Play,
    /// The same of a recording, which may be playing.
    Replay(Wish),
    /// Stop sending; the tracks stay.
    Pause,
    /// The session is over: let its tracks go.
    End,
    /// Close the connection when everything is written. Nothing follows.
    Close,
}

/// Why something could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No such stream or track.
    NotFound,
    /// As many as the recorder serves are watching.
    Full,
    /// A recording has nothing there.
    NothingThere,
    /// Over the transport that was set up.
    NotThisWay,
}

/// Where a track begins, for `RTP-Info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beginning {
    pub(crate) track: TrackId,
    /// Sequence number and RTP time of its first packet; `None` while it has none.
    pub(crate) first: Option<(u16, u32)>,
}

/// What playing a recording became.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Replayed {
    /// The first moment and the end; backwards the end comes first.
    pub(crate) from: WallTime,
    pub(crate) to: WallTime,
    /// What [`Beginning`]s and `npt=0` are measured from.
    pub(crate) start: WallTime,
    pub(crate) wish: Wish,
}

/// How a connection differs from another.
pub(crate) struct Options {
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) peer: SocketAddr,
    /// The address that the client reached.
    pub(crate) local: IpAddr,
    /// Of every track, without its group.
    pub(crate) abilities: Abilities,
    /// The recorder's address on the network that groups of this client are in; `None` where it can be in none.
    pub(crate) interface: Option<Ipv4Addr>,
    pub(crate) timeout: Duration,
    /// Too many clients: say so at the first request and close.
    pub(crate) turned_away: bool,
}
