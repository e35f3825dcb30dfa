//! H.264 syntax: parameter sets, slice headers and the few macroblocks used.
//!
//! Constrained Baseline, CAVLC, one slice a picture, one reference picture, no deblocking, so that every decoder
//! gives exactly the samples that were meant (clauses are of ISO/IEC 14496-10). Does not belong here: what is in
//! the picture (`picture.rs`), and which macroblocks are sent (`source.rs`).

use hal::{FrameRate, Resolution};

use crate::bits::BitWriter;

/// One flat colour: Y, Cb, Cr in BT.709 video range (16 to 235, 16 to 240).
pub(crate) type Colour = [u8; 3];

/// Samples of one macroblock as I_PCM carries them: 16x16 luma, 8x8 Cb, 8x8 Cr.
pub(crate) const PCM_BYTES: usize = 384;

/// What one I_PCM macroblock takes: its samples, mb_skip_run, mb_type and the alignment.
pub(crate) const PCM_CODED_BYTES: usize = PCM_BYTES + 2;

/// frame_num's bits: a GOP is at most 600 pictures, so it never wraps.
const FRAME_NUM_BITS: u32 = 16;

/// At QP 28 a lone Intra16x16 luma DC level of n moves every sample by exactly n (8.5.10: n * 256 >> 2 >> 6 of a
/// scaled 64 n), so flat macroblocks are exact.
const QP: i32 = 28;

/// Brings chroma to QP 22, where a lone chroma DC level of n likewise moves every sample by n (8.5.11.2).
const CHROMA_QP_OFFSET: i32 = -6;

/// Intra16x16PredMode and intra_chroma_pred_mode: the same idea has different numbers (tables 8-4, 7-16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prediction {
    /// From the macroblock above.
    Vertical,
    /// From the macroblock at the left.
    Horizontal,
    /// With neither there: 128.
    Grey,
}

/// What kind of slice macroblocks are written into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SliceKind {
    /// An IDR picture's, where every macroblock is coded.
    Idr {
        /// Differs between IDR pictures that follow one another (7.4.3).
        idr_pic_id: u16,
    },
    /// A P picture's, where macroblocks can be skipped.
    P,
}

/// seq_parameter_set_rbsp (7.3.2.1.1) and pic_parameter_set_rbsp (7.3.2.2), each behind a start code.
pub(crate) fn parameter_sets(size: Resolution, rate: FrameRate) -> Vec<u8> {
    let mut w = BitWriter::default();
    let (width_mbs, height_mbs) = size_in_macroblocks(size);
    w.start_nal(0x67);
    w.put(66, 8); // profile_idc: Baseline
    w.put(0b1110_0000, 8); // constraint_set0, 1, 2: Constrained Baseline, and legal as Main and Extended
    w.put(level_idc(size, rate), 8);
    w.ue(0); // seq_parameter_set_id
    w.ue(FRAME_NUM_BITS - 4);
    w.ue(2); // pic_order_cnt_type: output order is decoding order
    w.ue(1); // max_num_ref_frames
    w.flag(false); // gaps_in_frame_num_value_allowed_flag
    w.ue(width_mbs - 1);
    w.ue(height_mbs - 1);
    w.flag(true); // frame_mbs_only_flag
    w.flag(true); // direct_8x8_inference_flag
    let crop_right = (width_mbs * 16 - u32::from(size.width)) / 2;
    let crop_bottom = (height_mbs * 16 - u32::from(size.height)) / 2;
    w.flag(crop_right + crop_bottom > 0);
    if crop_right + crop_bottom > 0 {
        w.ue(0);
        w.ue(crop_right);
        w.ue(0);
        w.ue(crop_bottom);
    }
    w.flag(true); // vui_parameters_present_flag
    vui(&mut w, rate);
    w.end_nal();

    w.start_nal(0x68);
    w.ue(0); // pic_parameter_set_id
    w.ue(0); // seq_parameter_set_id
    w.flag(false); // entropy_coding_mode_flag: CAVLC
    w.flag(false); // bottom_field_pic_order_in_frame_present_flag
    w.ue(0); // num_slice_groups_minus1
    w.ue(0); // num_ref_idx_l0_default_active_minus1
    w.ue(0); // num_ref_idx_l1_default_active_minus1
    w.flag(false); // weighted_pred_flag
    w.put(0, 2); // weighted_bipred_idc
    w.se(QP - 26);
    w.se(0); // pic_init_qs_minus26
    w.se(CHROMA_QP_OFFSET);
    w.flag(true); // deblocking_filter_control_present_flag
    w.flag(false); // constrained_intra_pred_flag: skipped neighbours may be predicted from
    w.flag(false); // redundant_pic_cnt_present_flag
    w.end_nal();
    w.bytes().to_vec()
}

/// vui_parameters (E.1.1): BT.709 video range, the frame rate, and that no picture waits for another.
fn vui(w: &mut BitWriter, rate: FrameRate) {
    w.flag(true); // aspect_ratio_info_present_flag
    w.put(1, 8); // square samples
    w.flag(false); // overscan_info_present_flag
    w.flag(true); // video_signal_type_present_flag
    w.put(5, 3); // video_format: unspecified
    w.flag(false); // video_full_range_flag
    w.flag(true); // colour_description_present_flag
    w.put(1, 8); // BT.709 primaries
    w.put(1, 8); // BT.709 transfer
    w.put(1, 8); // BT.709 matrix
    w.flag(false); // chroma_loc_info_present_flag
    w.flag(true); // timing_info_present_flag
    w.put(rate.denominator, 32); // num_units_in_tick, a field's
    w.put(rate.numerator.saturating_mul(2), 32); // time_scale
    w.flag(false); // fixed_frame_rate_flag: frames are missing while the signal is lost
    w.flag(false); // nal_hrd_parameters_present_flag
    w.flag(false); // vcl_hrd_parameters_present_flag
    w.flag(false); // pic_struct_present_flag
    w.flag(true); // bitstream_restriction_flag
    w.flag(true); // motion_vectors_over_pic_boundaries_flag
    w.ue(0); // max_bytes_per_pic_denom: no limit
    w.ue(0); // max_bits_per_mb_denom: no limit
    w.ue(1); // log2_max_mv_length_horizontal
    w.ue(1); // log2_max_mv_length_vertical
    w.ue(0); // max_num_reorder_frames
    w.ue(1); // max_dec_frame_buffering
}

/// slice_header (7.3.3), with the NAL unit's start.
pub(crate) fn slice_header(w: &mut BitWriter, kind: SliceKind, frame_num: u32) {
    w.start_nal(if kind == SliceKind::P { 0x41 } else { 0x65 });
    w.ue(0); // first_mb_in_slice
    w.ue(if kind == SliceKind::P { 5 } else { 7 }); // slice_type: all of the picture's slices
    w.ue(0); // pic_parameter_set_id
    w.put(frame_num, FRAME_NUM_BITS);
    match kind {
        SliceKind::Idr { idr_pic_id } => {
            w.ue(u32::from(idr_pic_id));
            w.flag(false); // no_output_of_prior_pics_flag
            w.flag(false); // long_term_reference_flag
        }
        SliceKind::P => {
            w.flag(false); // num_ref_idx_active_override_flag
            w.flag(false); // ref_pic_list_modification_flag_l0
            w.flag(false); // adaptive_ref_pic_marking_mode_flag
        }
    }
    w.se(0); // slice_qp_delta
    w.ue(1); // disable_deblocking_filter_idc
}

/// An I_PCM macroblock (7.3.5). `samples` holds no byte below 16.
pub(crate) fn pcm_macroblock(w: &mut BitWriter, kind: SliceKind, samples: &[u8; PCM_BYTES]) {
    w.ue(intra_mb_type(kind, 25));
    w.align(); // pcm_alignment_zero_bit
    w.put_nonzero_bytes(samples);
}

/// An Intra16x16 macroblock of one colour: a flat prediction, and what it must be moved by in Y, Cb and Cr.
/// `beside_pcm`: the macroblock at the left or above is coded as I_PCM in this picture, which changes nC (9.2.1).
pub(crate) fn flat_macroblock(
    w: &mut BitWriter,
    kind: SliceKind,
    prediction: Prediction,
    change: [i32; 3],
    beside_pcm: bool,
) {
    let coded_chroma = change[1] != 0 || change[2] != 0;
    let (luma_mode, chroma_mode) = match prediction {
        Prediction::Vertical => (0, 2),
        Prediction::Horizontal => (1, 1),
        Prediction::Grey => (2, 0),
    };
    w.ue(intra_mb_type(kind, 1 + luma_mode + if coded_chroma { 4 } else { 0 }));
    w.ue(chroma_mode);
    w.se(0); // mb_qp_delta
    luma_dc(w, change[0], beside_pcm);
    if coded_chroma {
        chroma_dc(w, change[1]);
        chroma_dc(w, change[2]);
    }
}

/// One colour's samples, as I_PCM carries them.
pub(crate) fn flat(colour: Colour) -> [u8; PCM_BYTES] {
    let mut samples = [colour[0]; PCM_BYTES];
    samples[256..320].fill(colour[1]);
    samples[320..].fill(colour[2]);
    samples
}

/// The coded size in macroblocks, rounded up.
pub(crate) fn size_in_macroblocks(size: Resolution) -> (u32, u32) {
    (u32::from(size.width).div_ceil(16), u32::from(size.height).div_ceil(16))
}

/// mb_type of an intra macroblock: table 7-11's number, moved by 5 in P slices (table 7-13).
fn intra_mb_type(kind: SliceKind, number: u32) -> u32 {
    if kind == SliceKind::P { 5 + number } else { number }
}

/// Intra16x16DCLevel with none or one coefficient. A neighbour in I_PCM counts 16 coefficients, any other of ours
/// none, so nC is 0, 8 or 16: only the first and the last column of table 9-5 are met.
fn luma_dc(w: &mut BitWriter, level: i32, beside_pcm: bool) {
    match (level.unsigned_abs(), beside_pcm) {
        (0, false) => w.put(0b1, 1),
        (0, true) => w.put(0b00_0011, 6),
        (1, false) => w.put(0b01, 2),
        (1, true) => w.put(0b00_0001, 6),
        (_, false) => w.put(0b00_0101, 6),
        (_, true) => w.put(0b00_0000, 6),
    }
    level_and_no_zeros(w, level);
}

/// ChromaDCLevel with none or one coefficient (column nC = -1 of table 9-5).
fn chroma_dc(w: &mut BitWriter, level: i32) {
    match level.unsigned_abs() {
        0 => w.put(0b01, 2),
        1 => w.put(0b1, 1),
        _ => w.put(0b00_0111, 6),
    }
    level_and_no_zeros(w, level);
}

/// The one level (9.2.2) with suffixLength 0, and total_zeros 0.
fn level_and_no_zeros(w: &mut BitWriter, level: i32) {
    if level == 0 {
        return;
    }
    if level.unsigned_abs() == 1 {
        w.flag(level < 0); // trailing_ones_sign_flag
    } else {
        // levelCode, less the 2 that a decoder adds because there were no trailing ones.
        let code = level.unsigned_abs() * 2 - 4 + u32::from(level < 0);
        match code {
            0..14 => w.put(1, code + 1),
            14..30 => {
                w.put(1, 15);
                w.put(code - 14, 4);
            }
            _ => {
                w.put(1, 16);
                w.put(code - 30, 12);
            }
        }
    }
    w.put(1, 1); // total_zeros: 0
}

/// The lowest level of table A-1 for the size and rate, at least 3: its 10 Mbit/s leave room for rate changes.
fn level_idc(size: Resolution, rate: FrameRate) -> u32 {
    let (width, height) = size_in_macroblocks(size);
    let frame = width * height;
    let per_second =
        (u64::from(frame) * u64::from(rate.numerator)).div_ceil(u64::from(rate.denominator.max(1)));
    // level_idc, MaxMBPS, MaxFS
    const LEVELS: [(u32, u64, u32); 8] = [
        (30, 40_500, 1_620),
        (31, 108_000, 3_600),
        (32, 216_000, 5_120),
        (40, 245_760, 8_192),
        (42, 522_240, 8_704),
        (50, 589_824, 22_080),
        (51, 983_040, 36_864),
        (52, 2_073_600, 36_864),
    ];
    LEVELS.iter().find(|l| per_second <= l.1 && frame <= l.2).map_or(52, |l| l.0)
}
