//! What `mpp-host` and its client say to one another: messages, a ring of packs.
//!
//! `mpp-host` alone loads the vendor's library. Its client, in the role `capture`, starts it with one end of a Unix
//! stream socket as standard input. Orders and answers go over that socket ([`ToHost`], [`FromHost`], framed by
//! [`send`] and [`receive`]); what encoders deliver goes through one ring in shared memory ([`PackWriter`], [`PackReader`]).
//! The two programs are built for different C libraries, so nothing here depends on one.
//!
//! Does not belong here: the vendor's structures (`mpp-abi`), and what either side does with a message.
//!
//! Invariant: neither side trusts the other's bytes. Whatever is in the ring, a reader stays inside it, and says so when it
//! makes no sense.

mod frame;
mod mapping;
mod message;
mod plan;
mod ring;

pub use frame::{MAX_FRAME_BYTES, receive, send};
pub use message::{Answer, Begin, Confinement, Fault, FaultKind, FromHost, Order, Ready, ToHost, VERSION};
pub use plan::{
    AudioPlan, BitmapPlan, ChannelPlan, Codec, DevicePlan, DisplayPlan, InputPlan, Interface,
    MAX_BITMAP_BYTES, MAX_COVERS, MotionPlan, Multiplex, PoolPlan, RatePlan, Rect, StreamPlan, StreamTag,
    SystemPlan, TilePlan,
};
pub use ring::{
    MAX_PACK_BYTES, Pack, PackHead, PackKind, PackReader, PackWriter, RING_HEAD_BYTES, RingError, ring_bytes,
};
