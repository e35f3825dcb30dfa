//! What an owner orders of one volume, and how it ends.
//!
//! From `serve` to `record` over the footage socket. Does not belong here: how it is done (`record_volume`).

use std::sync::mpsc::SyncSender;

use serde::{Deserialize, Serialize};

use crate::footage_keys::SecretText;

/// What is ordered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum VolumeAct {
    /// Open it with the recovery key of the recorder that it comes from.
    Unlock(SecretText),
    /// Destroy its key, and begin a new volume.
    Erase {
        /// Who orders it.
        by: String,
        /// Whether the new one is encrypted; as the settings say where nothing is said.
        encrypt: Option<bool>,
    },
    /// Write down that it is erased: its disk is about to be formatted.
    GiveUp {
        /// Who orders it.
        by: String,
    },
}

/// Why it was not done; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum VolumeRefusal {
    /// There is no volume at this path.
    NoVolume,
    /// It is open, or not encrypted.
    NotLocked,
    /// The text is no recovery key; for people.
    Mistyped(String),
    /// The recovery key is not this volume's.
    WrongKey,
    /// It has no key that could be destroyed.
    NotEncrypted,
    /// It is being erased.
    Busy,
    /// What the disk said, for the log.
    Failed(String),
}

/// An order on its way to the role's own thread.
pub(crate) struct VolumeOrder {
    /// As in `VolumeStatus`.
    pub(crate) path: String,
    pub(crate) act: VolumeAct,
    pub(crate) answer: SyncSender<Result<(), VolumeRefusal>>,
}
