//! Audio: codecs and formats.

use serde::{Deserialize, Serialize};

/// The longest AudioSpecificConfig kept (ISO 14496-3 section 1.6.2.1); AAC-LC needs 2 bytes, HE-AAC 5.
pub const MAX_AAC_CONFIG_BYTES: usize = 64;

/// An audio codec that a stream can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AudioCodec {
    /// MPEG-4 AAC, one raw access unit (no ADTS header) a unit.
    Aac,
    /// ITU-T G.711 A-law, one byte a sample.
    G711A,
    /// ITU-T G.711 mu-law, one byte a sample.
    G711U,
}

/// What a decoder must know before the first unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioFormat {
    /// The codec.
    pub codec: AudioCodec,
    /// Samples a second and channel.
    pub sample_rate: u32,
    /// 1 mono, 2 stereo.
    pub channels: u8,
    /// AAC's AudioSpecificConfig, at most [`MAX_AAC_CONFIG_BYTES`]; empty for G.711.
    pub config: Vec<u8>,
}
