//! Decides what is recorded and feeds the store.
//!
//! One thread a volume drains the rings of that volume's channels into its store and commits once a second. Does not belong here:
//! how footage lies on disk (crate `store`), where units come from (`bus` and whoever publishes).
//!
//! Invariants
//! - Nothing that is still in a ring is lost, whoever was killed.
//! - What a ring has no more is told, also where no volume was there to take it.
//! - A failing disk never ends recording; it is retried for as long as it takes.

mod assign;
mod desk;
mod follow;
mod loss;
mod reached;
mod recorder;
mod status;
mod trigger;

pub use assign::{Candidate, Channels, assign};
pub use desk::StoreDesk;
pub use loss::{Loss, LossCause, Losses};
pub use reached::Reached;
pub use recorder::{ChannelChoice, RECORDED_KINDS, Recorder};
pub use status::{RecorderStatus, StatusHandle, StopFlag, StreamStatus};
pub use trigger::{POST_EVENT, Trigger};

#[cfg(test)]
mod tests;
