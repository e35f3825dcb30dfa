//! The bodies about events on channels.
//!
//! Does not belong here: behaviour (`api.rs`), what becomes of an event's footage (the daemon's).

use serde::Deserialize;
use utoipa::ToSchema;

/// Marks what a channel shows from now on as an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventInput {
    /// For how long, seconds, 1 to 3600.
    pub seconds: u32,
}
