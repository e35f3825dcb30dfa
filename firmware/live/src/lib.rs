//! Live video for browsers: fMP4 fragments built once a stream.
//!
//! A [`Live`] follows the bus and turns each stream that somebody watches into fragments for Media Source
//! Extensions; every viewer, a [`LiveReader`], gets clones of the same bytes. One access unit is one fragment, so
//! that nothing waits for a GOP.
//!
//! Does not belong here: WebSockets and who may watch (crate `web`), box syntax (crate `media`).
//!
//! Invariants
//! - A viewer begins at the newest keyframe, and every change of format or timeline is announced by a new init
//!   message before the first fragment it concerns.
//! - Decoding times of a track grow strictly from one init message to the next, and a fragment lasts exactly until
//!   the next one decodes. So a browser never sees a gap that is none; the price is one frame of delay.
//! - A slow viewer loses whole GOPs and costs the others nothing.

mod message;
mod mux;
mod server;

pub use message::Message;
pub use server::{Live, LiveReader};

#[cfg(test)]
mod tests;
