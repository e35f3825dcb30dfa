//! What a sequence parameter set says, whichever codec it belongs to.
//!
//! The words that the readers (`h264`, `h265`) and their users (`params`, `entry`) share. Does not belong here: the
//! bit syntax, the parameter sets themselves.

use hal::{FrameRate, Resolution};

/// The highest frame rate believed; cameras write nonsense into the VUI.
const MAX_FRAME_RATE: u64 = 480;

/// What the readers find in an SPS.
pub(crate) struct SpsFacts {
    pub(crate) resolution: Resolution,
    pub(crate) frame_rate: Option<FrameRate>,
    pub(crate) reorder_frames: Option<u8>,
    pub(crate) rfc6381: String,
    pub(crate) config: DecoderConfig,
}

/// The fields of avcC and hvcC that come from the SPS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DecoderConfig {
    /// For AVCDecoderConfigurationRecord.
    H264(AvcFields),
    /// For HEVCDecoderConfigurationRecord.
    H265(HevcFields),
}

/// The fields of avcC that come from the SPS (ISO/IEC 14496-15 section 5.3.3.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AvcFields {
    pub(crate) profile: u8,
    pub(crate) compatibility: u8,
    pub(crate) level: u8,
    pub(crate) chroma_format: u8,
    pub(crate) bit_depth_luma: u8,
    pub(crate) bit_depth_chroma: u8,
}

/// The fields of hvcC that come from the SPS (ISO/IEC 14496-15 section 8.3.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HevcFields {
    pub(crate) ptl: ProfileTierLevel,
    pub(crate) chroma_format: u8,
    pub(crate) bit_depth_luma_minus8: u8,
    pub(crate) bit_depth_chroma_minus8: u8,
    pub(crate) temporal_layers: u8,
    pub(crate) temporal_id_nested: bool,
}

/// The general part of profile_tier_level (7.3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProfileTierLevel {
    pub(crate) profile_space: u8,
    pub(crate) high_tier: bool,
    pub(crate) profile: u8,
    pub(crate) compatibility: u32,
    pub(crate) constraints: [u8; 6],
    pub(crate) level: u8,
}

/// `units` of time in `scale`ths of a second for one frame, as a fraction in lowest terms; `None` when absurd.
pub(crate) fn frame_rate(scale: u64, units: u64) -> Option<FrameRate> {
    let gcd = gcd(scale, units);
    if units == 0 || scale == 0 || scale / units > MAX_FRAME_RATE {
        return None;
    }
    Some(FrameRate {
        numerator: u32::try_from(scale / gcd).ok()?,
        denominator: u32::try_from(units / gcd).ok()?,
    })
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
