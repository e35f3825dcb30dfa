//! Why recovery runs, and what it could find out about what was there.
//!
//! Does not belong here: deciding it (`decide.rs`), showing it (`recovery`).

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, LoaderError};

/// Why recovery runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecoveryReason {
    /// For programs.
    pub(crate) code: ReasonCode,
    /// For people: what happened, and to which slot.
    pub(crate) message: String,
    /// The version that was installed, where it is still known.
    pub(crate) version: Option<String>,
}

/// The reasons there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReasonCode {
    /// Somebody asked for it.
    Requested,
    /// No slot holds a system that may be started.
    NoSystem,
    /// What is installed was started and did not become ready, and there is nothing to go back to.
    NotReady,
    /// An update could not be written.
    InstallFailed,
    /// The flash cannot be read or written.
    FlashFailed,
    /// The loader itself failed.
    LoaderFailed,
}

impl RecoveryReason {
    pub(crate) fn new(code: ReasonCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), version: None }
    }

    /// When deciding itself failed.
    pub(crate) fn of_failure(error: &LoaderError) -> Self {
        let code = match error.kind() {
            ErrorKind::Flash => ReasonCode::FlashFailed,
            ErrorKind::System => ReasonCode::LoaderFailed,
        };
        Self::new(code, format!("The recorder could not find out what to start: {error}."))
    }
}
