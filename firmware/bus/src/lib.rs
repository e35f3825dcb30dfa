//! Shared-memory rings of access units, and events.
//!
//! One process publishes a stream, any number of processes read it in place ([`Publisher`], [`Subscriber`]).
//! Within a process one [`Feed`] a stream copies each unit once and hands it to all readers ([`Fanout`]).
//! Events go the same way ([`EventPublisher`], [`EventSubscriber`]). The format is docs/ring-format.md.
//!
//! Does not belong here: anything that looks into a unit's bytes.
//!
//! Invariants: a publisher never waits and never depends on a reader; a reader that falls behind loses whole
//! GOPs and is told; nothing torn is ever handed out; no file, however broken, crashes a reader.

mod area;
mod error;
mod events;
mod fanout;
mod feed;
mod layout;
mod mapping;
mod reader;
mod ring;
mod unit;
mod writer;

pub use error::{BusError, ErrorKind};
pub use events::{Event, EventKind, EventPublisher, EventSubscriber, MAX_EVENT_TEXT_BYTES, NextEvent};
pub use fanout::{Fanout, FanoutReader, Item, Limits};
pub use feed::{Feed, Feeds, Listening};
pub use layout::RingSpec;
pub use ring::{Publisher, Subscriber, ring_path};
pub use unit::{Next, Start, Unit, UnitMeta};
