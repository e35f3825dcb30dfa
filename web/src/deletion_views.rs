//! The bodies about deleting footage.
//!
//! Does not belong here: behaviour (`api.rs`), what is deleted of a disk (the daemon's).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::UtcTime;

/// What somebody may want deleted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Deletable {
    /// The channels, 1 to 64 of them, with all their streams and sound.
    pub channels: Vec<u16>,
    /// From when.
    pub start: UtcTime,
    /// Until when; at least 10 seconds ago.
    pub end: UtcTime,
}

/// Deletes footage for good.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeletionInput {
    /// The channels, 1 to 64 of them, with all their streams and sound.
    pub channels: Vec<u16>,
    /// From when.
    pub start: UtcTime,
    /// Until when; at least 10 seconds ago.
    pub end: UtcTime,
    /// `DELETE`, typed by whoever means it.
    pub confirm: String,
}

/// What is deleted, or would be: pieces of about a second, so up to a second more at both ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeletionScope {
    /// The channels that have something there.
    pub channels: Vec<u16>,
    /// The first moment that is recorded of them; missing where nothing is.
    pub start: Option<UtcTime>,
    /// The last one.
    pub end: Option<UtcTime>,
    /// About so many bytes, on all disks.
    pub bytes: u64,
    /// Disks of this recorder that do not answer now. What is on them stays.
    pub silent_disks: u32,
}

/// A deletion that is not done: its footage is being overwritten, which takes a while where it is much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Deletion {
    /// Names it.
    pub id: u64,
    /// The channels.
    pub channels: Vec<u16>,
    /// From when.
    pub start: UtcTime,
    /// Until when.
    pub end: UtcTime,
    /// Who ordered it.
    pub by: String,
    /// When they did.
    pub at: UtcTime,
}
