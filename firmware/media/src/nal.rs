//! What a NAL unit is, by its header.
//!
//! ITU-T H.264 table 7-1 and ITU-T H.265 table 7-1. Does not belong here: what is inside (`h264`, `h265`).

use hal::VideoCodec;

/// The kinds of NAL unit that something here treats differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NalKind {
    /// Video parameter set (H.265 only).
    Vps,
    /// Sequence parameter set.
    Sps,
    /// Picture parameter set.
    Pps,
    /// Access unit delimiter.
    Aud,
    /// A slice of a picture at which decoding can start: IDR (H.264), IRAP (H.265: BLA, IDR, CRA).
    KeySlice,
    /// A slice of any other picture.
    Slice,
    /// Anything else: SEI, filler, end of sequence, reserved.
    Other,
}

impl NalKind {
    /// Reads the NAL unit header; an empty NAL unit is [`NalKind::Other`].
    #[must_use]
    pub fn of(codec: VideoCodec, nal: &[u8]) -> Self {
        let Some(&first) = nal.first() else { return Self::Other };
        match codec {
            VideoCodec::H264 => match first & 0x1f {
                1..=4 => Self::Slice,
                5 => Self::KeySlice,
                7 => Self::Sps,
                8 => Self::Pps,
                9 => Self::Aud,
                _ => Self::Other,
            },
            VideoCodec::H265 => match (first >> 1) & 0x3f {
                16..=21 => Self::KeySlice,
                0..=9 => Self::Slice,
                32 => Self::Vps,
                33 => Self::Sps,
                34 => Self::Pps,
                35 => Self::Aud,
                _ => Self::Other,
            },
        }
    }

    /// Whether this is a VPS, SPS or PPS.
    #[must_use]
    pub const fn is_parameter_set(self) -> bool {
        matches!(self, Self::Vps | Self::Sps | Self::Pps)
    }
}
