//! Status: how a camera is doing, for people and for the roles that show it.

use hal::{AudioCodec, Resolution, VideoCodec, WallTime};
use serde::{Deserialize, Serialize};

/// How a camera is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum CameraState {
    /// The first attempt is under way.
    Connecting,
    /// Pictures arrive.
    Streaming {
        /// The main stream's codec.
        video: VideoCodec,
        /// The coded size, where the camera has said it.
        resolution: Option<Resolution>,
        /// The sound's codec, where it is taken.
        audio: Option<AudioCodec>,
    },
    /// Nobody answers there, or not as a camera does, or the connection broke.
    Unreachable,
    /// The camera wants another login.
    WrongPassword,
    /// The camera has no such path.
    NotFound,
    /// The camera sends no video that can be recorded.
    UnsupportedCodec,
    /// The camera is connected and sends no pictures.
    Stalled,
}

/// A camera's state, since when, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameraStatus {
    /// The state.
    #[serde(flatten)]
    pub state: CameraState,
    /// For people: what is the matter and what to do. Holds no password.
    pub message: String,
    /// Since when it has been in this state; attempts that end in the same state do not change it.
    pub since: WallTime,
}
