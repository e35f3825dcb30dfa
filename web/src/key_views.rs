//! The bodies of the API about stream keys.
//!
//! Does not belong here: checks of what is taken (`limits.rs`).
//!
//! Invariant: no type that is sent has a place for a key but [`NewStreamKey`], whose `Debug` does not show it.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::UtcTime;

/// A stream key, without the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct StreamKey {
    /// The user name to give to an RTSP player.
    pub name: String,
    /// When it was made.
    pub created: UtcTime,
    /// Whether it opens recordings too, and not live streams alone.
    pub replay: bool,
}

/// Makes a stream key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamKeyInput {
    /// The user name to give to an RTSP player.
    pub name: String,
    /// Whether it opens recordings too; left out, it does not.
    #[serde(default)]
    pub replay: bool,
}

/// A new stream key: the only time that the key is shown.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NewStreamKey {
    /// The user name to give to an RTSP player.
    pub name: String,
    /// The password to give to an RTSP player.
    pub key: String,
    /// Where plain RTSP is served; null while it is off.
    #[schema(required)]
    pub rtsp_port: Option<u16>,
    /// Where RTSP over TLS is served.
    pub rtsps_port: u16,
}

impl fmt::Debug for NewStreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewStreamKey").field("name", &self.name).finish_non_exhaustive()
    }
}
