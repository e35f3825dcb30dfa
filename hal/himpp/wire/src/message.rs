//! The messages: orders to the host, and what it tells.
//!
//! The client speaks first ([`ToHost::Begin`]); the host answers [`FromHost::Ready`] or [`FromHost::Refused`]. Each order has a
//! number, and is answered once under that number. Packs are not sent here but lie in the ring.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::plan::{BitmapPlan, ChannelPlan, DisplayPlan, RatePlan, Rect, StreamTag, SystemPlan};

/// The version of messages and ring. Host and client come in one image; this tells when they did not.
pub const VERSION: u16 = 1;

/// From the client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ToHost {
    /// The first message.
    Begin(Box<Begin>),
    /// An order, with a number for its answer.
    Order(u32, Order),
    /// Take everything down, and end.
    Stop,
}

/// What the host needs before it can do anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// [`VERSION`].
    pub version: u16,
    /// The file of the ring; mapped, then never opened again.
    pub ring: String,
    /// Libraries to load, in this order, the platform's own last.
    pub libraries: Vec<String>,
    /// User and group to become, where it may.
    pub user: Option<(u32, u32)>,
    /// The platform's set-up.
    pub system: SystemPlan,
}

/// Something to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Start a channel. One that is open already is closed first.
    Open(ChannelPlan),
    /// Stop a channel.
    Close {
        /// Its number.
        channel: u16,
    },
    /// Make the next picture of a stream a keyframe.
    Keyframe {
        /// The channel's number.
        channel: u16,
        /// Which stream.
        stream: StreamTag,
    },
    /// Change a running encoder.
    Rate {
        /// The channel's number.
        channel: u16,
        /// Which stream.
        stream: StreamTag,
        /// The new rates.
        rate: RatePlan,
    },
    /// Send the "no signal" picture instead of the input's, or the input's again.
    UserPicture {
        /// The channel's number.
        channel: u16,
        /// Whether the user picture is shown.
        on: bool,
    },
    /// Replace title and clock of a stream; an empty list removes them.
    Bitmaps {
        /// The channel's number.
        channel: u16,
        /// Which stream.
        stream: StreamTag,
        /// At most two.
        bitmaps: Vec<BitmapPlan>,
    },
    /// Replace the covers of a channel, at most [`crate::MAX_COVERS`]: they lie on its picture before anything is made
    /// of it, so that no stream, snapshot or monitor is without them.
    Covers {
        /// The channel's number.
        channel: u16,
        /// Where they are, in samples of the input's picture.
        covers: Vec<Rect>,
    },
    /// One JPEG of the channel's picture; it comes through the ring.
    Snapshot {
        /// The channel's number.
        channel: u16,
    },
    /// Start the monitor, change what it shows, or stop it.
    Display(Option<DisplayPlan>),
}

/// From the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromHost {
    /// The platform is up.
    Ready(Box<Ready>),
    /// It cannot be: the host ends after this.
    Refused(Fault),
    /// The answer to an order.
    Answer(u32, Answer),
    /// Something lies in the ring.
    Packs,
    /// A running channel failed; the client closes it, and opens it again when it likes.
    Failed {
        /// Its number.
        channel: u16,
        /// Why.
        fault: Fault,
    },
}

/// How an order went.
pub type Answer = Result<(), Fault>;

/// What the host found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The library's own words for its version.
    pub library: String,
    /// The generation's name: `G1`, `G2`, `G3`.
    pub generation: String,
    /// How far the host could confine itself.
    pub confinement: Confinement,
    /// Whether the library has the functions for the motion grid.
    pub motion: bool,
    /// Whether it has those for H.265.
    pub h265: bool,
}

/// What a kernel let the host give up. Kernels of recorders offer very different amounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// No program that it starts can gain rights.
    pub no_new_privileges: bool,
    /// It runs as a user of its own.
    pub own_user: bool,
    /// It has no network devices.
    pub no_network: bool,
    /// Only the system calls of a list are answered.
    pub system_calls: bool,
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.own_user, "own user"),
            (self.no_network, "no network"),
            (self.system_calls, "system-call list"),
            (self.no_new_privileges, "no new privileges"),
        ];
        let held: Vec<&str> = parts.iter().filter(|(held, _)| *held).map(|(_, name)| *name).collect();
        if held.is_empty() { f.write_str("none") } else { f.write_str(&held.join(", ")) }
    }
}

/// What a client can decide by; as `hal::ErrorKind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// No such channel, stream or library.
    NotFound,
    /// Outside what the platform offers.
    Unsupported,
    /// Not now.
    Busy,
    /// The platform failed.
    Device,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What a client can decide by.
    pub kind: FaultKind,
    /// A sentence for people, with the function and the number that it answered.
    pub message: String,
}

impl Fault {
    /// A fault in words.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}
