//! The bodies about locked footage.
//!
//! Does not belong here: behaviour (`api.rs`), which footage a lock keeps (the daemon's).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::UtcTime;

/// Footage that is not deleted until it is unlocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Lock {
    /// Names it.
    pub id: u64,
    /// The channels.
    pub channels: Vec<u16>,
    /// From when: some seconds before what was asked for, so that its first picture can be shown.
    pub start: UtcTime,
    /// Until when.
    pub end: UtcTime,
    /// Why, in the words of whoever locked it.
    pub reason: String,
    /// Who locked it.
    pub by: String,
    /// When they did.
    pub at: UtcTime,
}

/// Locks footage that is there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LockInput {
    /// The channels, 1 to 64 of them.
    pub channels: Vec<u16>,
    /// From when.
    pub start: UtcTime,
    /// Until when; not in the future.
    pub end: UtcTime,
    /// Why, at most 200 bytes; it is written down in the ledger.
    #[serde(default)]
    pub reason: String,
}

/// A lock that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NewLock {
    /// It.
    pub lock: Lock,
    /// What it keeps from being deleted and no other lock does, on all disks.
    pub bytes: u64,
}
