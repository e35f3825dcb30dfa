//! G3: encoders and what comes out of them.
//!
//! Packs and statistics are those of G2. Public header: `hi_comm_venc.h`.

use super::rate::{VencAttrH264Fixqp, VencAttrH264Qvbr, VencAttrH264Vbr};
use crate::addr::Addr32;
use crate::codes::value;
use crate::g2::{
    VencAttrH264Avbr, VencAttrH264Cbr, VencAttrJpeg, VencAttrMjpeg, VencAttrMjpegCbr, VencAttrMjpegFixqp,
    VencAttrMjpegVbr,
};
use crate::layout::layout;
use crate::words::{union, words};

layout! {
    /// An H.264 encoder.
    pub struct VencAttrH264 = "hiVENC_ATTR_H264_S", 28 {
        /// Pixels across at most.
        0 max_width: u32 = "u32MaxPicWidth",
        /// Pixels down at most.
        4 max_height: u32 = "u32MaxPicHeight",
        /// Bytes of the stream's buffer; samples take width * height * 2.
        8 buffer_size: u32 = "u32BufSize",
        /// 0 base, 1 main, 2 high.
        12 profile: u32 = "u32Profile",
        /// Whether a whole picture is handed out at once.
        16 by_frame: i32 = "bByFrame",
        /// Pixels across.
        20 width: u32 = "u32PicWidth",
        /// Pixels down.
        24 height: u32 = "u32PicHeight",
    }
}

layout! {
    /// An H.265 encoder.
    pub struct VencAttrH265 = "hiVENC_ATTR_H265_S", 28 {
        /// Pixels across at most.
        0 max_width: u32 = "u32MaxPicWidth",
        /// Pixels down at most.
        4 max_height: u32 = "u32MaxPicHeight",
        /// Bytes of the stream's buffer; samples take width * height * 2.
        8 buffer_size: u32 = "u32BufSize",
        /// 0 main.
        12 profile: u32 = "u32Profile",
        /// Whether a whole picture is handed out at once.
        16 by_frame: i32 = "bByFrame",
        /// Pixels across.
        20 width: u32 = "u32PicWidth",
        /// Pixels down.
        24 height: u32 = "u32PicHeight",
    }
}

layout! {
    /// An encoder.
    pub struct VencAttr = "hiVENC_ATTR_S", 32 {
        /// Payload ([`value::PT_H264`](crate::value::PT_H264)).
        0 kind: i32 = "enType",
        /// What that kind wants to know.
        4 attr: [u32; 7] = "stAttrH264e" as VencAttrH264 | "stAttrMjpege" as VencAttrMjpeg
            | "stAttrJpege" as VencAttrJpeg | "stAttrH265e" as VencAttrH265,
    }
}

layout! {
    /// Rate control. QVBR is not listed: it is not in 1.0.3.0, and takes no more room.
    pub struct VencRcAttr = "hiVENC_RC_ATTR_S", 40 {
        /// Which: its numbers differ by generation ([`Codes`](crate::Codes)).
        0 mode: i32 = "enRcMode",
        /// What that mode wants to know.
        4 attr: [u32; 8] = "stAttrH264Cbr" as VencAttrH264Cbr | "stAttrH264Vbr" as VencAttrH264Vbr
            | "stAttrH264FixQp" as VencAttrH264Fixqp | "stAttrMjpegeCbr" as VencAttrMjpegCbr
            | "stAttrH264AVbr" as VencAttrH264Avbr | "stAttrMjpegeFixQp" as VencAttrMjpegFixqp
            | "stAttrMjpegeVbr" as VencAttrMjpegVbr | "stAttrH265Cbr" as VencAttrH264Cbr
            | "stAttrH265Vbr" as VencAttrH264Vbr | "stAttrH265AVbr" as VencAttrH264Avbr
            | "stAttrH265FixQp" as VencAttrH264Fixqp,
        /// The user's own; null.
        36 own: Addr32 = "pRcAttr",
    }
}

layout! {
    /// How pictures refer to one another.
    pub struct VencGopAttr = "hiVENC_GOP_ATTR_S", 16 {
        /// 0 is each to the one before it, [`VencGopNormalp`]. The other modes are not described.
        0 mode: i32 = "enGopMode",
        /// What that mode wants to know.
        4 attr: [u32; 3] = "stNormalP" as VencGopNormalp,
    }
}

layout! {
    /// Each picture refers to the one before it.
    pub struct VencGopNormalp = "hiVENC_GOP_NORMALP_S", 4 {
        /// How much better key pictures are than the others, -10 to 30.
        0 ip_qp_delta: i32 = "s32IPQpDelta",
    }
}

layout! {
    /// An encoder, its rate control, and how pictures refer to one another.
    pub struct VencChnAttr = "hiVENC_CHN_ATTR_S", 88 {
        /// The encoder.
        0 encoder: VencAttr = "stVeAttr",
        /// Its rate control.
        32 rate: VencRcAttr = "stRcAttr",
        /// How pictures refer to one another.
        72 gop: VencGopAttr = "stGopAttr",
    }
}

layout! {
    /// An encoded picture. The caller brings the packs.
    pub struct VencStream = "hiVENC_STREAM_S", 376 {
        /// The first [`VencPack`](crate::g2::VencPack).
        0 packs: Addr32 = "pstPack",
        /// In: how many there is room for. Out: how many there are.
        4 pack_count: u32 = "u32PackCount",
        /// Counts up by one a picture.
        8 sequence: u32 = "u32Seq",
        /// The encoder's statistics; the first word is the picture's bytes.
        12 info: [u32; 14] = "stH264Info" as [u32; 12] | "stJpegInfo" as [u32; 3] | "stH265Info" as [u32; 14],
        /// More statistics, among them floating-point ones; not read here.
        72 advanced: [u64; 38] = "stAdvanceH264Info" as [u64; 38] | "stAdvanceH265Info" as [u64; 38],
    }
}

words! {
    VencAttrH264 {
        max_width: u32, max_height: u32, buffer_size: u32, profile: u32, by_frame: i32, width: u32, height: u32,
    }
    VencAttrH265 {
        max_width: u32, max_height: u32, buffer_size: u32, profile: u32, by_frame: i32, width: u32, height: u32,
    }
    VencGopNormalp { ip_qp_delta: i32 }
}

union! { VencGopAttr { mode, attr: 3 } holds VencGopNormalp }

union! { VencAttr { kind, attr: 7 } holds VencAttrH264, VencAttrH265, VencAttrJpeg, VencAttrMjpeg }

union! {
    VencRcAttr { mode, attr: 8 } holds
        VencAttrH264Cbr, VencAttrH264Vbr, VencAttrH264Avbr, VencAttrH264Qvbr, VencAttrH264Fixqp, VencAttrMjpegCbr, VencAttrMjpegVbr, VencAttrMjpegFixqp
}

impl VencAttr {
    /// An H.264 encoder.
    #[must_use]
    pub fn h264(attr: &VencAttrH264) -> Self {
        Self::of(value::PT_H264, attr)
    }

    /// An H.265 encoder.
    #[must_use]
    pub fn h265(attr: &VencAttrH265) -> Self {
        Self::of(value::PT_H265, attr)
    }

    /// An encoder of single JPEGs.
    #[must_use]
    pub fn jpeg(attr: &VencAttrJpeg) -> Self {
        Self::of(value::PT_JPEG, attr)
    }

    /// A motion JPEG encoder.
    #[must_use]
    pub fn mjpeg(attr: &VencAttrMjpeg) -> Self {
        Self::of(value::PT_MJPEG, attr)
    }
}

impl VencGopAttr {
    /// Each picture refers to the one before it.
    #[must_use]
    pub fn normal(ip_qp_delta: i32) -> Self {
        Self::of(0, &VencGopNormalp { ip_qp_delta })
    }
}
