//! What the parts of `serve` share.

use std::path::PathBuf;
use std::sync::Arc;

use bus::Feeds;
use hal::Clock;
use live::Live;
use tokio::sync::watch;

use super::accounts::Accounts;
use super::watchers::Watchers;
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
}
