//! The H.265 sequence parameter set, as far as hvcC, size and codec string need it.
//!
//! ITU-T H.265 section 7.3.2.2, read in two parts: what must be there, up to sps_max_num_reorder_pics, and then the
//! way to the VUI's timing, where anything odd costs only the frame rate.

use std::fmt::Write as _;
use std::num::NonZeroUsize;

use h264_reader::rbsp::{BitRead, BitReaderError};
use hal::{FrameRate, Resolution};

use crate::error::MediaError;
use crate::reader::bits;
use crate::sps::{DecoderConfig, HevcFields, ProfileTierLevel, SpsFacts, frame_rate};

/// The bytes of a NAL unit header (7.3.1.2).
const HEADER: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// sps_max_sub_layers_minus1 is at most 6 (7.4.3.2.1).
const MAX_SUB_LAYERS_MINUS1: u8 = 6;

/// The most pictures in the DPB (A.4.2).
const MAX_DPB_PICTURES: u32 = 16;

/// num_short_term_ref_pic_sets is at most 64 (7.4.3.2.1).
const MAX_SHORT_TERM_SETS: u32 = 64;

/// num_long_term_ref_pics_sps is at most 32 (7.4.3.2.1).
const MAX_LONG_TERM_PICTURES: u32 = 32;

/// aspect_ratio_idc EXTENDED_SAR (table E.1).
const EXTENDED_SAR: u8 = 255;

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
    let frame_rate = read_timing(&mut r, sps.poc_lsb_bits).ok().flatten();
    Ok(SpsFacts {
        resolution,
        frame_rate,
        reorder_frames: Some(sps.reorder_pictures),
        rfc6381: sps.config.ptl.rfc6381(),
        config: DecoderConfig::H265(sps.config),
    })
}

struct Sps {
    config: HevcFields,
    width: u32,
    height: u32,
    /// conf_win offsets left, right, top, bottom, in chroma units.
    window: [u32; 4],
    reorder_pictures: u8,
    /// log2 of MaxPicOrderCntLsb.
    poc_lsb_bits: u32,
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
        let poc_lsb_bits = r.read_ue("log2_max_pic_order_cnt_lsb_minus4")?.saturating_add(4);
        if poc_lsb_bits > 16 {
            return Ok(Err(bad(format!("{poc_lsb_bits} bits of picture order count"))));
        }
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
        let config = HevcFields {
            ptl,
            chroma_format: chroma_format as u8,
            bit_depth_luma_minus8: depths[0] as u8,
            bit_depth_chroma_minus8: depths[1] as u8,
            temporal_layers: sub_layers_minus1 + 1,
            temporal_id_nested,
        };
        Ok(Ok(Self { config, width, height, window, reorder_pictures: reorder_pictures as u8, poc_lsb_bits }))
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

/// From log2_min_luma_coding_block_size_minus3 to the VUI's timing; `None` where there is none, or nonsense before it.
fn read_timing(r: &mut impl BitRead, poc_lsb_bits: u32) -> Result<Option<FrameRate>, BitReaderError> {
    for _ in 0..6 {
        r.read_ue("coding block, transform block and hierarchy sizes")?;
    }
    if r.read_bit("scaling_list_enabled_flag")? && r.read_bit("sps_scaling_list_data_present_flag")? {
        skip_scaling_lists(r)?;
    }
    r.skip(2, "amp_enabled_flag, sample_adaptive_offset_enabled_flag")?;
    if r.read_bit("pcm_enabled_flag")? {
        r.skip(8, "pcm_sample_bit_depth")?;
        r.read_ue("log2_min_pcm_luma_coding_block_size_minus3")?;
        r.read_ue("log2_diff_max_min_pcm_luma_coding_block_size")?;
        r.skip(1, "pcm_loop_filter_disabled_flag")?;
    }
    let sets = r.read_ue("num_short_term_ref_pic_sets")?;
    if sets > MAX_SHORT_TERM_SETS {
        return Ok(None);
    }
    let mut delta_pocs = 0;
    for set in 0..sets {
        match read_short_term_set(r, set, delta_pocs)? {
            Some(count) => delta_pocs = count,
            None => return Ok(None),
        }
    }
    if r.read_bit("long_term_ref_pics_present_flag")? {
        let pictures = r.read_ue("num_long_term_ref_pics_sps")?;
        if pictures > MAX_LONG_TERM_PICTURES {
            return Ok(None);
        }
        for _ in 0..pictures {
            r.skip(poc_lsb_bits + 1, "lt_ref_pic_poc_lsb_sps, used_by_curr_pic_lt_sps_flag")?;
        }
    }
    r.skip(2, "sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag")?;
    if r.read_bit("vui_parameters_present_flag")? { read_vui_timing(r) } else { Ok(None) }
}

/// 7.3.4: scaling_list_data.
fn skip_scaling_lists(r: &mut impl BitRead) -> Result<(), BitReaderError> {
    for size in 0..4 {
        for _ in (0..6).step_by(if size == 3 { 3 } else { 1 }) {
            if !r.read_bit("scaling_list_pred_mode_flag")? {
                r.read_ue("scaling_list_pred_matrix_id_delta")?;
                continue;
            }
            if size > 1 {
                r.read_se("scaling_list_dc_coef_minus8")?;
            }
            for _ in 0..64.min(1 << (4 + 2 * size)) {
                r.read_se("scaling_list_delta_coef")?;
            }
        }
    }
    Ok(())
}

/// 7.3.7: st_ref_pic_set; returns NumDeltaPocs, given that of the set before. `None` for more than a DPB holds.
fn read_short_term_set(
    r: &mut impl BitRead,
    set: u32,
    delta_pocs_before: u32,
) -> Result<Option<u32>, BitReaderError> {
    let mut count = 0;
    if set > 0 && r.read_bit("inter_ref_pic_set_prediction_flag")? {
        r.skip(1, "delta_rps_sign")?;
        r.read_ue("abs_delta_rps_minus1")?;
        for _ in 0..=delta_pocs_before {
            let used = r.read_bit("used_by_curr_pic_flag")?;
            count += u32::from(used || r.read_bit("use_delta_flag")?);
        }
    } else {
        count = r.read_ue("num_negative_pics")?.saturating_add(r.read_ue("num_positive_pics")?);
        if count > MAX_DPB_PICTURES {
            return Ok(None);
        }
        for _ in 0..count {
            r.read_ue("delta_poc_minus1")?;
            r.skip(1, "used_by_curr_pic_flag")?;
        }
    }
    Ok(Some(count).filter(|&count| count <= MAX_DPB_PICTURES))
}

/// E.2.1: vui_parameters up to vui_time_scale.
fn read_vui_timing(r: &mut impl BitRead) -> Result<Option<FrameRate>, BitReaderError> {
    if r.read_bit("aspect_ratio_info_present_flag")? && r.read::<8, u8>("aspect_ratio_idc")? == EXTENDED_SAR {
        r.skip(32, "sar_width, sar_height")?;
    }
    if r.read_bit("overscan_info_present_flag")? {
        r.skip(1, "overscan_appropriate_flag")?;
    }
    if r.read_bit("video_signal_type_present_flag")? {
        r.skip(4, "video_format, video_full_range_flag")?;
        if r.read_bit("colour_description_present_flag")? {
            r.skip(24, "colour description")?;
        }
    }
    if r.read_bit("chroma_loc_info_present_flag")? {
        r.read_ue("chroma_sample_loc_type_top_field")?;
        r.read_ue("chroma_sample_loc_type_bottom_field")?;
    }
    r.skip(3, "neutral_chroma_indication_flag, field_seq_flag, frame_field_info_present_flag")?;
    if r.read_bit("default_display_window_flag")? {
        for _ in 0..4 {
            r.read_ue("def_disp_win_offset")?;
        }
    }
    if !r.read_bit("vui_timing_info_present_flag")? {
        return Ok(None);
    }
    let units = r.read::<32, u32>("vui_num_units_in_tick")?;
    let scale = r.read::<32, u32>("vui_time_scale")?;
    Ok(frame_rate(u64::from(scale), u64::from(units)))
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
