//! What the parts of `serve` share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bus::{EventKind, Feeds};
use hal::{ChannelId, Clock};
use live::Live;
use tokio::sync::watch;

use super::accounts::Accounts;
use super::notes::Notes;
use super::watchers::Watchers;
use crate::announcer::Announcer;
use crate::control::Control;
use crate::footage_client::FootageClient;
use crate::messages::Snapshot;
use crate::settings::Settings;

/// One for the process.
pub(super) struct House {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) control: Control,
    /// Where the warden takes bundles.
    pub(super) run_dir: PathBuf,
    /// As the warden last told; camera passwords are not among them.
    pub(super) settings: watch::Sender<Settings>,
    /// As the warden last told.
    pub(super) snapshot: watch::Sender<Snapshot>,
    pub(super) accounts: Accounts,
    pub(super) watchers: Arc<Watchers>,
    pub(super) feeds: Arc<Feeds>,
    pub(super) live: Live,
    pub(super) footage: FootageClient,
    pub(super) notes: Notes,
    /// What people tell the other roles.
    pub(super) announcer: Mutex<Announcer>,
}

impl House {
    /// Has the other roles hear what happens on a channel; whether they can.
    pub(super) fn announce(&self, channel: ChannelId, kind: EventKind) -> bool {
        let mut announcer = self.announcer.lock().unwrap_or_else(PoisonError::into_inner);
        announcer.happened(channel, kind, self.clock.wall())
    }
}
