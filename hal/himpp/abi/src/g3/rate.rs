//! G3: rate control that differs from G2. H.265 uses the structures of H.264.
//!
//! Public header: `hi_comm_rc.h`.

use crate::layout::layout;
use crate::words::words;

layout! {
    /// Variable bit rate.
    pub struct VencAttrH264Vbr = "hiVENC_ATTR_H264_VBR_S", 32 {
        /// Pictures from one key picture to the next.
        0 gop: u32 = "u32Gop",
        /// Seconds over which the rate is held.
        4 stat_time: u32 = "u32StatTime",
        /// Pictures a second that come in.
        8 source_frame_rate: u32 = "u32SrcFrmRate",
        /// Pictures a second that go out.
        12 target_frame_rate: u32 = "fr32DstFrmRate",
        /// Kilobits a second at most.
        16 max_bit_rate: u32 = "u32MaxBitRate",
        /// Worst quality, 0 to 51.
        20 max_qp: u32 = "u32MaxQp",
        /// Best quality, 0 to 51.
        24 min_qp: u32 = "u32MinQp",
        /// Best quality of key pictures, 0 to 51.
        28 min_i_qp: u32 = "u32MinIQp",
    }
}

layout! {
    /// One quality.
    pub struct VencAttrH264Fixqp = "hiVENC_ATTR_H264_FIXQP_S", 24 {
        /// Pictures from one key picture to the next.
        0 gop: u32 = "u32Gop",
        /// Pictures a second that come in.
        4 source_frame_rate: u32 = "u32SrcFrmRate",
        /// Pictures a second that go out.
        8 target_frame_rate: u32 = "fr32DstFrmRate",
        /// Of key pictures, 0 to 51.
        12 i_qp: u32 = "u32IQp",
        /// Of the others, 0 to 51.
        16 p_qp: u32 = "u32PQp",
        /// Of those in both directions, 0 to 51.
        20 b_qp: u32 = "u32BQp",
    }
}

layout! {
    /// Variable bit rate towards a quality. From 1.0.5.0 on.
    pub struct VencAttrH264Qvbr = "hiVENC_ATTR_H264_QVBR_S", 20 {
        /// Pictures from one key picture to the next.
        0 gop: u32 = "u32Gop",
        /// Seconds over which the rate is held.
        4 stat_time: u32 = "u32StatTime",
        /// Pictures a second that come in.
        8 source_frame_rate: u32 = "u32SrcFrmRate",
        /// Pictures a second that go out.
        12 target_frame_rate: u32 = "fr32DstFrmRate",
        /// Kilobits a second.
        16 bit_rate: u32 = "u32TargetBitRate",
    }
}

words! {
    VencAttrH264Vbr {
        gop: u32, stat_time: u32, source_frame_rate: u32, target_frame_rate: u32, max_bit_rate: u32, max_qp: u32,
        min_qp: u32, min_i_qp: u32,
    }
    VencAttrH264Fixqp {
        gop: u32, source_frame_rate: u32, target_frame_rate: u32, i_qp: u32, p_qp: u32, b_qp: u32,
    }
    VencAttrH264Qvbr { gop: u32, stat_time: u32, source_frame_rate: u32, target_frame_rate: u32, bit_rate: u32 }
}
