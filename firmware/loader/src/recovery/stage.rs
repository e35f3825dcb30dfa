//! What recovery is doing, for the page.

use serde::{Deserialize, Serialize};

/// What it is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stage {
    pub(super) code: StageCode,
    /// For people.
    pub(super) message: String,
    /// How much is done, in bytes of the bundle or of the flash.
    pub(super) done_bytes: u64,
    /// Of how much; 0 where nobody knows.
    pub(super) total_bytes: u64,
}

/// The stages there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StageCode {
    /// Waiting for somebody.
    Idle,
    /// A bundle comes in.
    Receiving,
    /// Flash is written.
    Installing,
    /// It is installed; the board restarts.
    Restarting,
    /// The last attempt failed; another may be made.
    Failed,
}

impl Stage {
    pub(super) fn new(code: StageCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), done_bytes: 0, total_bytes: 0 }
    }

    pub(super) fn with(self, done_bytes: u64, total_bytes: u64) -> Self {
        Self { done_bytes, total_bytes, ..self }
    }

    /// Whether another attempt may begin.
    pub(super) fn is_free(&self) -> bool {
        matches!(self.code, StageCode::Idle | StageCode::Failed)
    }
}
