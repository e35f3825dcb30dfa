//! What reaches the supervisor's thread: decoders, the host, and holders.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use hal::{Area, ChannelConfig, ChannelId, HalError, UnitSink};
use mpp_wire::{DisplayPlan, StreamTag};

use crate::link::Said;
use crate::signal::Sight;

/// Where an answer goes.
pub(crate) type Reply<T> = SyncSender<Result<T, HalError>>;

pub(crate) enum Event {
    /// From the host of that life.
    Host(u64, Said),
    /// From the decoders.
    Input(String, Sight),
    /// From holders.
    Command(Command),
}

pub(crate) enum Command {
    Open(ChannelConfig, Arc<dyn UnitSink>, Reply<()>),
    /// The channel delivers nothing more once this was answered.
    Close(ChannelId, Reply<()>),
    Keyframe(ChannelId, StreamTag),
    Change(ChannelConfig, Reply<bool>),
    Title(ChannelId, String, Reply<()>),
    Clock(ChannelId, bool, Reply<()>),
    Covers(ChannelId, Vec<Area>, Reply<()>),
    Motion(ChannelId, bool, Reply<()>),
    Snapshot(ChannelId, Reply<()>),
    Display(Option<DisplayPlan>),
    Stop,
}
