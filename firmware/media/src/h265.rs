//! The H.265 sequence parameter set, as far as hvcC, the size and the codec string need it.
//!
//! ITU-T H.265 section 7.3.2.2, read up to sps_max_num_reorder_pics; the frame rate is not read, because it
//! stands behind the reference picture sets, and players take it from the timestamps.

use std::fmt::Write as _;
use std::num::NonZeroUsize;

use h264_reader::rbsp::{BitRead, BitReaderError};
use hal::Resolution;

use crate::error::MediaError;
use crate::params::{DecoderConfig, SpsFacts};
use crate::reader::bits;

/// The bytes of a NAL unit header (7.3.1.2).
const HEADER: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// sps_max_sub_layers_minus1 is at most 6 (7.4.3.2.1).
const MAX_SUB_LAYERS_MINUS1: u8 = 6;

/// The most pictures in the DPB (A.4.2).
const MAX_DPB_PICTURES: u32 = 16;

/// The fields of hvcC that come from the SPS (ISO/IEC 14496-15 section 8.3.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
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

impl ProfileTierLevel {
    /// ISO/IEC 14496-15 annex E.3: profile, compatibility with the bits reversed, tier and level, then the
    /// constraint bytes without trailing zeros.
    fn rfc6381(&self) -> String {
        let space = ["", "A", "B", "C"][usize::from(self.profile_space & 3)];
        let tier = if self.high_tier { 'H' } else { 'L' };
        let mut text = format!(
            "hvc1.{space}{}.{:X}.{tier}{}",
            self.profile,
            self.compatibility.reverse_bits(),
            self.level
        );
        let used = self.constraints.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        for byte in &self.constraints[..used] {
            write!(text, ".{byte:X}").expect("writing to a String succeeds");
        }
        text
    }
}

pub(crate) fn read_sps(nal: &[u8]) -> Result<SpsFacts, MediaError> {
    let mut r = bits(nal, HEADER);
    let sps = Sps::read(&mut r).map_err(|error| bad(format!("{error:?}")))??;
    let resolution = sps.resolution()?;
    Ok(SpsFacts {
        resolution,
        frame_rate: None,
        reorder_frames: Some(sps.reorder_pictures),
        rfc6381: sps.config.ptl.rfc6381(),
        config: DecoderConfig::H265(sps.config),
    })
}

struct Sps {
    config: Config,
    width: u32,
    height: u32,
    /// conf_win offsets left, right, top, bottom, in chroma units.
    window: [u32; 4],
    reorder_pictures: u8,
}

impl Sps {
    /// The outer error is the bit reader's, the inner one is about values.
    fn read(r: &mut impl BitRead) -> Result<Result<Self, MediaError>, BitReaderError> {
        r.skip(4, "sps_video_parameter_set_id")?;
        let sub_layers_minus1: u8 = r.read::<3, u8>("sps_max_sub_layers_minus1")?;
        if sub_layers_minus1 > MAX_SUB_LAYERS_MINUS1 {
            return Ok(Err(bad(format!("{sub_layers_minus1} + 1 sub-layers"))));
        }
        let temporal_id_nested = r.read_bit("sps_temporal_id_nesting_flag")?;
        let ptl = read_profile_tier_level(r, sub_layers_minus1)?;
        r.read_ue("sps_seq_parameter_set_id")?;
        let chroma_format = r.read_ue("chroma_format_idc")?;
        if chroma_format > 3 {
            return Ok(Err(bad(format!("chroma format {chroma_format}"))));
        }
        if chroma_format == 3 {
            r.skip(1, "separate_colour_plane_flag")?;
        }
        let width = r.read_ue("pic_width_in_luma_samples")?;
        let height = r.read_ue("pic_height_in_luma_samples")?;
        let mut window = [0; 4];
        if r.read_bit("conformance_window_flag")? {
            for offset in &mut window {
                *offset = r.read_ue("conf_win_offset")?;
            }
        }
        let depths = [r.read_ue("bit_depth_luma_minus8")?, r.read_ue("bit_depth_chroma_minus8")?];
        // 0 to 8 (7.4.3.2.1); hvcC has 3 bits for it, and nobody makes 16-bit cameras.
        if depths.iter().any(|&minus8| minus8 > 7) {
            return Ok(Err(bad(format!("a bit depth of 8 + {depths:?}"))));
        }
        r.read_ue("log2_max_pic_order_cnt_lsb_minus4")?;
        let every_layer = r.read_bit("sps_sub_layer_ordering_info_present_flag")?;
        let mut reorder_pictures = 0;
        for _ in 0..=if every_layer { sub_layers_minus1 } else { 0 } {
            r.read_ue("sps_max_dec_pic_buffering_minus1")?;
            // The last is that of the highest sub-layer, which is what is played.
            reorder_pictures = r.read_ue("sps_max_num_reorder_pics")?;
            r.read_ue("sps_max_latency_increase_plus1")?;
        }
        if reorder_pictures > MAX_DPB_PICTURES {
            return Ok(Err(bad(format!("{reorder_pictures} pictures out of order"))));
        }
        let config = Config {
            ptl,
            chroma_format: chroma_format as u8,
            bit_depth_luma_minus8: depths[0] as u8,
            bit_depth_chroma_minus8: depths[1] as u8,
            temporal_layers: sub_layers_minus1 + 1,
            temporal_id_nested,
        };
        Ok(Ok(Self { config, width, height, window, reorder_pictures: reorder_pictures as u8 }))
    }

    fn resolution(&self) -> Result<Resolution, MediaError> {
        // Table 6-1: SubWidthC and SubHeightC.
        let (sub_width, sub_height) = match self.config.chroma_format {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        let [left, right, top, bottom] = self.window.map(u64::from);
        let width = u64::from(self.width).checked_sub(sub_width * (left + right));
        let height = u64::from(self.height).checked_sub(sub_height * (top + bottom));
        width
            .and_then(|width| u16::try_from(width).ok())
            .zip(height.and_then(|height| u16::try_from(height).ok()))
            .filter(|&(width, height)| width > 0 && height > 0)
            .map(|(width, height)| Resolution { width, height })
            .ok_or_else(|| {
                bad(format!("a picture of {} by {} cropped by {:?}", self.width, self.height, self.window))
            })
    }
}

fn read_profile_tier_level(
    r: &mut impl BitRead,
    sub_layers_minus1: u8,
) -> Result<ProfileTierLevel, BitReaderError> {
    let ptl = ProfileTierLevel {
        profile_space: r.read::<2, u8>("general_profile_space")?,
        high_tier: r.read_bit("general_tier_flag")?,
        profile: r.read::<5, u8>("general_profile_idc")?,
        compatibility: r.read::<32, u32>("general_profile_compatibility_flag")?,
        constraints: r.read_to::<[u8; 6]>("general_constraint_indicator_flags")?,
        level: r.read::<8, u8>("general_level_idc")?,
    };
    let mut skipped_bits = 0;
    for _ in 0..sub_layers_minus1 {
        let profile = r.read_bit("sub_layer_profile_present_flag")?;
        let level = r.read_bit("sub_layer_level_present_flag")?;
        skipped_bits += if profile { 88 } else { 0 } + if level { 8 } else { 0 };
    }
    if sub_layers_minus1 > 0 {
        skipped_bits += 2 * (8 - u32::from(sub_layers_minus1));
    }
    r.skip(skipped_bits, "sub_layers")?;
    Ok(ptl)
}

fn bad(reason: String) -> MediaError {
    MediaError::ParameterSet { set: "H.265 SPS", reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codec_string_as_in_annex_e() {
        let mut ptl = ProfileTierLevel {
            profile_space: 0,
            high_tier: false,
            profile: 1,
            compatibility: 0x6000_0000,
            constraints: [0xb0, 0, 0, 0, 0, 0],
            level: 93,
        };
        assert_eq!(ptl.rfc6381(), "hvc1.1.6.L93.B0");
        ptl = ProfileTierLevel { profile_space: 1, high_tier: true, constraints: [0; 6], ..ptl };
        assert_eq!(ptl.rfc6381(), "hvc1.A1.6.H93");
    }
}
