//! Boot state: the started slot, the one on trial, and what is left to do.
//!
//! Kept in the state log as JSON (docs/update-format.md). Pure data: the rules are in `decide.rs`.

use semver::Version;
use serde::{Deserialize, Serialize};

/// How often a new version is started before it counts as failed.
pub const TRIES: u8 = 3;

/// The place of a root file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// The first, or the only one.
    #[default]
    A,
    /// The second.
    B,
}

impl Slot {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// How many slots a device has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One: an update is installed by the loader, which keeps the old version on the disk.
    Single,
    /// Two: an update is installed beside the running version.
    Dual,
}

/// What the loader and the running system tell one another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BootState {
    /// The slot of the last confirmed version.
    pub active: Slot,
    /// A version that was not confirmed yet.
    pub trying: Option<Trial>,
    /// What the loader has still to do, on devices with one slot.
    pub install: Option<Install>,
    /// The last update that did not come to stay; kept until the next one begins.
    pub failed: Option<Failure>,
}

/// A version on trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Where it is.
    pub slot: Slot,
    /// Which it is.
    pub version: Version,
    /// How often it may still be started.
    pub tries_left: u8,
    /// Why the running system gave up on it, for people.
    #[serde(default)]
    pub rejected: Option<String>,
}

/// What the loader has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Install {
    /// A bundle is staged: verify it, keep the old version, write the slot.
    Staged {
        /// The owner agreed to an older version.
        allow_downgrade: bool,
    },
    /// The old version is kept, the slot is being written from the staged bundle.
    Writing,
    /// The slot is being written from the kept old version.
    Restoring,
}

/// An update that did not come to stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its version, when that is known.
    pub version: Option<Version>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, for people.
    pub message: String,
}

/// What became of a failed update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was started and was not healthy, or its slot broke.
    RolledBack,
    /// It was never written.
    Refused,
}

impl BootState {
    /// The state after a version was written to `slot`.
    #[must_use]
    pub fn after_install(&self, slot: Slot, version: Version) -> Self {
        let trial = Trial { slot, version, tries_left: TRIES, rejected: None };
        Self { active: self.active, trying: Some(trial), install: None, failed: None }
    }
}
