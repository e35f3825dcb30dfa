//! What `serve` has written down in the ledger: who came, who watched, who saved.
//!
//! `record` has the ledger; entries go there one by one, in order, and wait while it is started again. Does not belong here:
//! footage's own entries, which `record` makes itself.

use std::sync::Arc;
use std::time::Duration;

use hal::Clock;
use ledger::Event;
use tokio::sync::mpsc;

use crate::footage::{Request, Response};
use crate::footage_client::FootageClient;

/// Entries that wait for `record`: more than a burst of viewers makes while it restarts.
const MAX_WAITING: usize = 1024;
/// Between two tries while `record` is away.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Writes entries down; cheap to clone.
#[derive(Clone)]
pub(super) struct Notes {
    entries: mpsc::Sender<(i64, String)>,
    clock: Arc<dyn Clock>,
}

impl Notes {
    /// Sends them through `client` until the process ends.
    pub(super) fn start(client: FootageClient, clock: Arc<dyn Clock>) -> Self {
        let (entries, mut waiting) = mpsc::channel::<(i64, String)>(MAX_WAITING);
        tokio::spawn(async move {
            while let Some((micros, event)) = waiting.recv().await {
                let request = Request::Note { unix_micros: micros, event };
                while !matches!(client.ask(&request).await, Ok((Response::Noted, _))) {
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        });
        Self { entries, clock }
    }

    /// Entries go nowhere: for tests of what makes them.
    #[cfg(test)]
    pub(super) fn nowhere(clock: Arc<dyn Clock>) -> Self {
        Self { entries: mpsc::channel(1).0, clock }
    }

    /// Writes `event` down soon.
    pub(super) fn note(&self, event: &Event) {
        let entry = match serde_json::to_string(event) {
            Ok(entry) => entry,
            Err(error) => return tracing::error!(%error, "an entry cannot be written down"),
        };
        if let Err(error) = self.entries.try_send((self.clock.wall().as_unix_micros(), entry)) {
            tracing::error!(%error, "the ledger loses an entry: too many wait");
        }
    }
}
