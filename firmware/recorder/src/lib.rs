//! Decides what is recorded and feeds the store.
//!
//! One thread drains the rings of every channel into the store and commits once a second. Does not belong here:
//! how footage lies on disk (crate `store`), where units come from (`bus` and whoever publishes).
//!
//! Invariants
//! - Nothing that is still in a ring is lost, whoever was killed.
//! - A failing disk never ends recording; it is retried for as long as it takes.

mod follow;
mod recorder;
mod status;

pub use recorder::Recorder;
pub use status::{RecorderStatus, StatusHandle, StopFlag, StreamStatus};

#[cfg(test)]
mod tests;
