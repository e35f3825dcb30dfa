//! The way to the supervisor's thread, with overlays and detectors on it.
//!
//! Does not belong here: channels (`backend.rs`) and monitors (`monitor.rs`).

use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use hal::{Area, ChannelId, HalError, MAX_COVERS, MAX_TITLE_CHARS, MotionDetector, MotionGrid, Overlay};

use crate::command::{Command, Event, Reply};
use crate::error::{device, not_found, unsupported};
use crate::shared::Shared;

/// The host is watched, so an answer comes or its host is ended; this is for a thread that is gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends commands.
#[derive(Clone)]
pub(crate) struct Controls {
    events: SyncSender<Event>,
}

impl Controls {
    pub(crate) fn new(events: SyncSender<Event>) -> Self {
        Self { events }
    }

    pub(crate) fn tell(&self, command: Command) -> Result<(), HalError> {
        self.events.send(Event::Command(command)).map_err(|_| gone())
    }

    /// Waits for the answer.
    pub(crate) fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, HalError> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.tell(command(reply))?;
        answer.recv_timeout(PATIENCE).map_err(|_| gone())?
    }
}

fn gone() -> HalError {
    device("the media platform did not answer; it is started again")
}

/// Titles, clocks and covers.
pub(crate) struct HimppOverlay {
    controls: Controls,
}

impl HimppOverlay {
    pub(crate) fn new(controls: Controls) -> Self {
        Self { controls }
    }
}

impl Overlay for HimppOverlay {
    fn set_title(&mut self, channel: ChannelId, title: &str) -> Result<(), HalError> {
        if title.chars().count() > MAX_TITLE_CHARS {
            return Err(unsupported(format!("a title has at most {MAX_TITLE_CHARS} characters")));
        }
        self.controls.ask(|reply| Command::Title(channel, title.to_owned(), reply))
    }

    fn set_clock(&mut self, channel: ChannelId, on: bool) -> Result<(), HalError> {
        self.controls.ask(|reply| Command::Clock(channel, on, reply))
    }

    fn set_covers(&mut self, channel: ChannelId, covers: &[Area]) -> Result<(), HalError> {
        if covers.len() > MAX_COVERS {
            return Err(unsupported(format!("a channel has at most {MAX_COVERS} covers")));
        }
        self.controls.ask(|reply| Command::Covers(channel, covers.to_vec(), reply))
    }
}

/// The motion grids of channels.
pub(crate) struct HimppMotion {
    controls: Controls,
    shared: Arc<Shared>,
}

impl HimppMotion {
    pub(crate) fn new(controls: Controls, shared: Arc<Shared>) -> Self {
        Self { controls, shared }
    }
}

impl MotionDetector for HimppMotion {
    fn enable(&mut self, channel: ChannelId, on: bool) -> Result<(), HalError> {
        self.controls.ask(|reply| Command::Motion(channel, on, reply))
    }

    fn read(&mut self, channel: ChannelId, grid: &mut MotionGrid) -> Result<bool, HalError> {
        let mut grids = self.shared.grids();
        let Some(newest) = grids.get_mut(&channel) else {
            return Err(not_found(format!("the motion detector of channel {channel} is off")));
        };
        Ok(newest.take().map(|newest| *grid = newest).is_some())
    }
}
