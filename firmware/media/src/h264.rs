//! The H.264 sequence parameter set: size, frame rate, codec string.
//!
//! The syntax (ITU-T H.264 section 7.3.2.1.1) is h264-reader's; here is what we make of it.

use std::num::NonZeroUsize;

use h264_reader::nal::sps::{PicOrderCntType, SeqParameterSet};
use hal::{FrameRate, Resolution};

use crate::error::MediaError;
use crate::reader::{Tolerant, bits};
use crate::sps::{AvcFields, DecoderConfig, SpsFacts, frame_rate};

/// The bytes of a NAL unit header.
const HEADER: NonZeroUsize = NonZeroUsize::MIN;

/// profile_idc of Baseline, which has no B slices (A.2.1).
const PROFILE_BASELINE: u8 = 66;

pub(crate) fn read_sps(nal: &[u8]) -> Result<SpsFacts, MediaError> {
    let sps = SeqParameterSet::from_bits(Tolerant::new(bits(nal, HEADER), false))
        .or_else(|_| SeqParameterSet::from_bits(Tolerant::new(bits(nal, HEADER), true)))
        .map_err(|error| bad(format!("{error:?}")))?;
    let (width, height) = sps.pixel_dimensions().map_err(|error| bad(format!("{error:?}")))?;
    let resolution = u16::try_from(width)
        .ok()
        .zip(u16::try_from(height).ok())
        .filter(|&(width, height)| width > 0 && height > 0)
        .map(|(width, height)| Resolution { width, height })
        .ok_or_else(|| bad(format!("a picture of {width} by {height}")))?;
    // The three bytes stand as they are behind the header; reading them got this far.
    let [_, profile, compatibility, level, ..] = *nal else {
        return Err(MediaError::Truncated("an H.264 SPS"));
    };
    let chroma = &sps.chroma_info;
    Ok(SpsFacts {
        resolution,
        frame_rate: vui_frame_rate(&sps),
        reorder_frames: reorder_frames(&sps, profile),
        rfc6381: format!("avc1.{profile:02x}{compatibility:02x}{level:02x}"),
        config: DecoderConfig::H264(AvcFields {
            profile,
            compatibility,
            level,
            chroma_format: u8::try_from(chroma.chroma_format.to_u32())
                .ok()
                .filter(|&idc| idc <= 3)
                .ok_or_else(|| bad("an unknown chroma format".into()))?,
            bit_depth_luma: bit_depth(chroma.bit_depth_luma_minus8)?,
            bit_depth_chroma: bit_depth(chroma.bit_depth_chroma_minus8)?,
        }),
    })
}

/// A frame is two ticks long, whether coded as frame or as fields (E.2.1, num_units_in_tick).
fn vui_frame_rate(sps: &SeqParameterSet) -> Option<FrameRate> {
    let timing = sps.vui_parameters.as_ref()?.timing_info.as_ref()?;
    frame_rate(u64::from(timing.time_scale), 2 * u64::from(timing.num_units_in_tick))
}

fn reorder_frames(sps: &SeqParameterSet, profile: u8) -> Option<u8> {
    // With type 2 the output order is the decoding order (8.2.1.3).
    if profile == PROFILE_BASELINE || matches!(sps.pic_order_cnt, PicOrderCntType::TypeTwo) {
        return Some(0);
    }
    let restrictions = sps.vui_parameters.as_ref()?.bitstream_restrictions.as_ref()?;
    // At most 16, the size of the largest DPB (A.3.1).
    u8::try_from(restrictions.max_num_reorder_frames).ok().filter(|&frames| frames <= 16)
}

fn bit_depth(minus8: u8) -> Result<u8, MediaError> {
    // 0 to 6 (7.4.2.1.1); avcC has 3 bits for it.
    if minus8 <= 6 { Ok(minus8 + 8) } else { Err(bad(format!("a bit depth of 8 + {minus8}"))) }
}

fn bad(reason: String) -> MediaError {
    MediaError::ParameterSet { set: "H.264 SPS", reason }
}
