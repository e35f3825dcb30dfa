//! Rate control. H.265 uses the structures of H.264.
//!
//! Public header: `hi_comm_rc.h`.

use crate::layout::layout;
use crate::words::words;

layout! {
    /// Constant bit rate.
    pub struct VencAttrH264Cbr = "hiVENC_ATTR_H264_CBR_S", 24 {
        /// Pictures from one key picture to the next.
        0 gop: u32 = "u32Gop",
        /// Seconds over which the rate is held.
        4 stat_time: u32 = "u32StatTime",
        /// Pictures a second that come in.
        8 source_frame_rate: u32 = "u32SrcFrmRate",
        /// Pictures a second that go out; the upper half is a divisor if it is not zero.
        12 target_frame_rate: u32 = "fr32DstFrmRate",
        /// Kilobits a second.
        16 bit_rate: u32 = "u32BitRate",
        /// 1 to 5; 1 is what the vendor advises.
        20 fluctuate_level: u32 = "u32FluctuateLevel",
    }
}

layout! {
    /// Variable bit rate.
    pub struct VencAttrH264Vbr = "hiVENC_ATTR_H264_VBR_S", 28 {
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
    }
}

layout! {
    /// One quality.
    pub struct VencAttrH264Fixqp = "hiVENC_ATTR_H264_FIXQP_S", 20 {
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
    }
}

layout! {
    /// Variable bit rate that follows the scene.
    pub struct VencAttrH264Avbr = "hiVENC_ATTR_H264_AVBR_S", 20 {
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
    }
}

layout! {
    /// Motion JPEG at a constant bit rate.
    pub struct VencAttrMjpegCbr = "hiVENC_ATTR_MJPEG_CBR_S", 20 {
        /// Seconds over which the rate is held.
        0 stat_time: u32 = "u32StatTime",
        /// Pictures a second that come in.
        4 source_frame_rate: u32 = "u32SrcFrmRate",
        /// Pictures a second that go out.
        8 target_frame_rate: u32 = "fr32DstFrmRate",
        /// Kilobits a second.
        12 bit_rate: u32 = "u32BitRate",
        /// 1 to 5; 1 is what the vendor advises.
        16 fluctuate_level: u32 = "u32FluctuateLevel",
    }
}

layout! {
    /// Motion JPEG at a variable bit rate.
    pub struct VencAttrMjpegVbr = "hiVENC_ATTR_MJPEG_VBR_S", 24 {
        /// Seconds over which the rate is held.
        0 stat_time: u32 = "u32StatTime",
        /// Pictures a second that come in.
        4 source_frame_rate: u32 = "u32SrcFrmRate",
        /// Pictures a second that go out.
        8 target_frame_rate: u32 = "fr32DstFrmRate",
        /// Kilobits a second at most.
        12 max_bit_rate: u32 = "u32MaxBitRate",
        /// Best quality, 1 to 99.
        16 max_quality: u32 = "u32MaxQfactor",
        /// Worst quality, 1 to 99.
        20 min_quality: u32 = "u32MinQfactor",
    }
}

layout! {
    /// Motion JPEG of one quality.
    pub struct VencAttrMjpegFixqp = "hiVENC_ATTR_MJPEG_FIXQP_S", 12 {
        /// Pictures a second that come in.
        0 source_frame_rate: u32 = "u32SrcFrmRate",
        /// Pictures a second that go out.
        4 target_frame_rate: u32 = "fr32DstFrmRate",
        /// 1 to 99.
        8 quality: u32 = "u32Qfactor",
    }
}

words! {
    VencAttrH264Vbr {
        gop: u32, stat_time: u32, source_frame_rate: u32, target_frame_rate: u32, max_bit_rate: u32, max_qp: u32,
        min_qp: u32,
    }
    VencAttrH264Fixqp { gop: u32, source_frame_rate: u32, target_frame_rate: u32, i_qp: u32, p_qp: u32 }
    VencAttrH264Cbr {
        gop: u32, stat_time: u32, source_frame_rate: u32, target_frame_rate: u32, bit_rate: u32, fluctuate_level: u32,
    }
    VencAttrH264Avbr {
        gop: u32, stat_time: u32, source_frame_rate: u32, target_frame_rate: u32, max_bit_rate: u32,
    }
    VencAttrMjpegCbr {
        stat_time: u32, source_frame_rate: u32, target_frame_rate: u32, bit_rate: u32, fluctuate_level: u32,
    }
    VencAttrMjpegVbr {
        stat_time: u32, source_frame_rate: u32, target_frame_rate: u32, max_bit_rate: u32, max_quality: u32,
        min_quality: u32,
    }
    VencAttrMjpegFixqp { source_frame_rate: u32, target_frame_rate: u32, quality: u32 }
}
