//! What the loader tells the system it starts: `/run/candor-boot.json`.
//!
//! The two may be of different versions: the loader is in the stage, which updates leave alone. So this file is an
//! interface; fields are added, never changed.

use serde::{Deserialize, Serialize};

use crate::version::{COMMIT, VERSION};

/// Where the file is, in the new root.
pub(crate) const BOOT_FACTS_PATH: &str = "/run/candor-boot.json";

/// The initial root document, in the stage.
pub(crate) const ROOT_KEYS_PATH: &str = "/etc/candor/root-keys.json";

/// Where the new root finds it: it verifies updates with the same trust as the loader.
pub(crate) const ROOT_KEYS_HANDED_ON_PATH: &str = "/run/candor-root-keys.json";

/// How this start came about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BootFacts {
    /// The board with its variant, as on the command line.
    pub(crate) board: String,
    /// `a` or `b`; `ram` for a root in the initramfs.
    pub(crate) slot: String,
    /// The root's version.
    pub(crate) version: String,
    /// The commit it was built from.
    pub(crate) commit: String,
    /// The SHA-256 of the root, as it was verified; empty for a root in the initramfs.
    pub(crate) root_sha256: String,
    /// When it was built, RFC 3339.
    pub(crate) created: String,
    /// Whose key signed it: `release` or `owner`.
    pub(crate) signed_by: String,
    /// Whether it is on trial: it must be confirmed, or it is left again.
    pub(crate) trying: bool,
    /// How many starts it has left beside this one, while on trial.
    pub(crate) tries_left: Option<u8>,
    /// What became of the version that was tried before, when this start is the way back from it.
    pub(crate) previous: Option<PreviousAttempt>,
}

impl BootFacts {
    /// Of a root in the initramfs: as old as the loader, and believed as far as the loader is.
    pub(crate) fn of_ram(board: &str) -> Self {
        Self {
            board: board.to_owned(),
            slot: "ram".to_owned(),
            version: VERSION.to_owned(),
            commit: COMMIT.unwrap_or_default().to_owned(),
            root_sha256: String::new(),
            created: String::new(),
            signed_by: String::new(),
            trying: false,
            tries_left: None,
            previous: None,
        }
    }
}

/// A version that was left again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PreviousAttempt {
    /// Which; `unknown` where the bundle could not be read.
    pub(crate) version: String,
    /// `rolled_back`, or `refused` when it was never written.
    pub(crate) outcome: String,
    /// Why, for people.
    pub(crate) message: String,
}
