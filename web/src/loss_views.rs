//! The bodies about footage that did not get onto a disk.
//!
//! Does not belong here: noticing it (the daemon's), the ledger's entries of it (`ledger_views`).

use serde::Serialize;
use utoipa::ToSchema;

use crate::time::UtcTime;

/// Footage of one channel that came and did not get onto a disk, for one reason, since the recording process was started.
/// Each stretch of it is in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LostFootage {
    /// The channel's number.
    pub channel: u16,
    /// Its sound is missing; else its picture.
    pub sound: bool,
    /// Why.
    pub cause: LostBy,
    /// How much in all, rounded up.
    pub lost_sec: u64,
    /// In how many stretches.
    pub times: u32,
    /// The end of the last one.
    pub last: UtcTime,
    /// For people: what is missing, and why.
    pub message: String,
}

/// Why footage did not get onto a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LostBy {
    /// The disk failed, was full or was pulled for longer than memory lasts.
    DiskFailed,
    /// The disk, or the recorder, did not keep up.
    DiskSlow,
    /// It cannot be stored as it came.
    Refused,
}
