//! Streams: which channel, which of its streams, and what they carry.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::audio::AudioFormat;
use crate::video::VideoCodec;

/// The most channels a recorder has: what the largest board of the family encodes (Hi3531), twice over.
pub const MAX_CHANNELS: u16 = 64;

/// A channel as people count them: 1 to [`MAX_CHANNELS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct ChannelId(u16);

impl ChannelId {
    /// `None` outside 1 to [`MAX_CHANNELS`].
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number >= 1 && number <= MAX_CHANNELS { Some(Self(number)) } else { None }
    }

    /// The number, from 1.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for ChannelId {
    type Error = String;

    fn try_from(number: u16) -> Result<Self, String> {
        Self::new(number).ok_or_else(|| format!("channel {number} is not between 1 and {MAX_CHANNELS}"))
    }
}

impl From<ChannelId> for u16 {
    fn from(channel: ChannelId) -> Self {
        channel.0
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One of a channel's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamKind {
    /// Video at full size: recorded, and shown when enlarged.
    Main,
    /// Video at a small size, for grids and phones.
    Sub,
    /// The channel's sound; it goes with either video stream.
    Audio,
}

impl StreamKind {
    /// Every kind, in the order of their codes.
    pub const ALL: [Self; 3] = [Self::Main, Self::Sub, Self::Audio];

    /// The number used in files and shared memory: main 0, sub 1, audio 2.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Main => 0,
            Self::Sub => 1,
            Self::Audio => 2,
        }
    }

    /// The reverse of [`Self::code`].
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Main),
            1 => Some(Self::Sub),
            2 => Some(Self::Audio),
            _ => None,
        }
    }
}

impl fmt::Display for StreamKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Main => "main",
            Self::Sub => "sub",
            Self::Audio => "audio",
        })
    }
}

/// One stream of the recorder; shown as `ch3/main`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamId {
    /// The channel.
    pub channel: ChannelId,
    /// Which of its streams.
    pub kind: StreamKind,
}

impl StreamId {
    /// The stream `kind` of `channel`.
    #[must_use]
    pub const fn new(channel: ChannelId, kind: StreamKind) -> Self {
        Self { channel, kind }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ch{}/{}", self.channel, self.kind)
    }
}

/// What a stream carries. A video decoder finds the rest in the parameter sets before each keyframe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamFormat {
    /// Video in Annex B.
    Video(VideoCodec),
    /// Audio.
    Audio(AudioFormat),
}
