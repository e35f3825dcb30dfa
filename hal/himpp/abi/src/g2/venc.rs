//! G2 and G3: encoders and what comes out of them.
//!
//! A pack is one piece. Public header: `hi_comm_venc.h`.

use super::rate::{
    VencAttrH264Avbr, VencAttrH264Cbr, VencAttrH264Fixqp, VencAttrH264Vbr, VencAttrMjpegCbr,
    VencAttrMjpegFixqp, VencAttrMjpegVbr,
};
use crate::addr::Addr32;
use crate::codes::value;
use crate::layout::layout;
use crate::words::{union, words};

layout! {
    /// An H.264 encoder.
    pub struct VencAttrH264 = "hiVENC_ATTR_H264_S", 36 {
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
        /// Pictures in both directions between two others; 0.
        28 b_frames: u32 = "u32BFrameNum",
        /// Reference pictures.
        32 references: u32 = "u32RefNum",
    }
}

layout! {
    /// An H.265 encoder.
    pub struct VencAttrH265 = "hiVENC_ATTR_H265_S", 36 {
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
        /// Pictures in both directions between two others; 0.
        28 b_frames: u32 = "u32BFrameNum",
        /// Reference pictures.
        32 references: u32 = "u32RefNum",
    }
}

layout! {
    /// An encoder of single JPEGs.
    pub struct VencAttrJpeg = "hiVENC_ATTR_JPEG_S", 28 {
        /// Pixels across at most.
        0 max_width: u32 = "u32MaxPicWidth",
        /// Pixels down at most.
        4 max_height: u32 = "u32MaxPicHeight",
        /// Bytes of the stream's buffer.
        8 buffer_size: u32 = "u32BufSize",
        /// Whether a whole picture is handed out at once.
        12 by_frame: i32 = "bByFrame",
        /// Pixels across.
        16 width: u32 = "u32PicWidth",
        /// Pixels down.
        20 height: u32 = "u32PicHeight",
        /// Whether a thumbnail is put in.
        24 thumbnail: i32 = "bSupportDCF",
    }
}

layout! {
    /// A motion JPEG encoder.
    pub struct VencAttrMjpeg = "hiVENC_ATTR_MJPEG_S", 24 {
        /// Pixels across at most.
        0 max_width: u32 = "u32MaxPicWidth",
        /// Pixels down at most.
        4 max_height: u32 = "u32MaxPicHeight",
        /// Bytes of the stream's buffer.
        8 buffer_size: u32 = "u32BufSize",
        /// Whether a whole picture is handed out at once.
        12 by_frame: i32 = "bByFrame",
        /// Pixels across.
        16 width: u32 = "u32PicWidth",
        /// Pixels down.
        20 height: u32 = "u32PicHeight",
    }
}

layout! {
    /// An encoder.
    pub struct VencAttr = "hiVENC_ATTR_S", 40 {
        /// Payload ([`value::PT_H264`](crate::value::PT_H264)).
        0 kind: i32 = "enType",
        /// What that kind wants to know.
        4 attr: [u32; 9] = "stAttrH264e" as VencAttrH264 | "stAttrMjpeg" as VencAttrMjpeg
            | "stAttrJpeg" as VencAttrJpeg | "stAttrH265e" as VencAttrH265,
    }
}

layout! {
    /// Rate control.
    pub struct VencRcAttr = "hiVENC_RC_ATTR_S", 36 {
        /// Which: its numbers differ by generation ([`Codes`](crate::Codes)).
        0 mode: i32 = "enRcMode",
        /// What that mode wants to know.
        4 attr: [u32; 7] = "stAttrH264Cbr" as VencAttrH264Cbr | "stAttrH264Vbr" as VencAttrH264Vbr
            | "stAttrH264FixQp" as VencAttrH264Fixqp | "stAttrMjpegeCbr" as VencAttrMjpegCbr
            | "stAttrH264AVbr" as VencAttrH264Avbr | "stAttrMjpegeFixQp" as VencAttrMjpegFixqp
            | "stAttrMjpegeVbr" as VencAttrMjpegVbr | "stAttrH265Cbr" as VencAttrH264Cbr
            | "stAttrH265Vbr" as VencAttrH264Vbr | "stAttrH265AVbr" as VencAttrH264Avbr
            | "stAttrH265FixQp" as VencAttrH264Fixqp,
        /// The user's own; null.
        32 own: Addr32 = "pRcAttr",
    }
}

layout! {
    /// An encoder and its rate control.
    pub struct VencChnAttr = "hiVENC_CHN_ATTR_S", 76 {
        /// The encoder.
        0 encoder: VencAttr = "stVeAttr",
        /// Its rate control.
        40 rate: VencRcAttr = "stRcAttr",
    }
}

layout! {
    /// How an encoder is doing.
    pub struct VencChnStat = "hiVENC_CHN_STAT_S", 24 {
        /// Pictures that wait to be encoded.
        0 left_pictures: u32 = "u32LeftPics",
        /// Bytes that wait to be fetched.
        4 left_bytes: u32 = "u32LeftStreamBytes",
        /// Encoded pictures that wait to be fetched.
        8 left_frames: u32 = "u32LeftStreamFrames",
        /// Packs of the next one: the caller brings that many [`VencPack`].
        12 packs: u32 = "u32CurPacks",
        /// Pictures still to take, if a number was given.
        16 left_to_receive: u32 = "u32LeftRecvPics",
        /// Pictures still to encode, if a number was given.
        20 left_to_encode: u32 = "u32LeftEncPics",
    }
}

layout! {
    /// Further NAL units within a pack.
    pub struct VencPackInfo = "hiVENC_PACK_INFO_S", 12 {
        /// Kind of NAL unit.
        0 data_type: i32 = "u32PackType",
        /// Bytes from the pack's start.
        4 offset: u32 = "u32PackOffset",
        /// Bytes.
        8 length: u32 = "u32PackLength",
    }
}

layout! {
    /// A piece of an encoded picture.
    pub struct VencPack = "hiVENC_PACK_S", 136 {
        /// Physical address.
        0 physical: Addr32 = "u32PhyAddr",
        /// Address.
        4 data: Addr32 = "pu8Addr",
        /// Bytes, `offset` included.
        8 length: u32 = "u32Len",
        /// Microseconds of the platform's clock.
        16 pts: u64 = "u64PTS",
        /// Whether the picture ends here.
        24 frame_end: i32 = "bFrameEnd",
        /// Kind of NAL unit or of JPEG piece ([`Codes`](crate::Codes)).
        28 data_type: i32 = "DataType",
        /// Bytes at the start that are not the stream's.
        32 offset: u32 = "u32Offset",
        /// How many of `info` are filled in.
        36 info_count: u32 = "u32DataNum",
        /// Further NAL units within.
        40 info: [VencPackInfo; 8] = "stPackInfo",
    }
}

layout! {
    /// An encoded picture. The caller brings the packs.
    pub struct VencStream = "hiVENC_STREAM_S", 68 {
        /// The first [`VencPack`].
        0 packs: Addr32 = "pstPack",
        /// In: how many there is room for. Out: how many there are.
        4 pack_count: u32 = "u32PackCount",
        /// Counts up by one a picture.
        8 sequence: u32 = "u32Seq",
        /// The encoder's statistics; the first word is the picture's bytes.
        12 info: [u32; 14] = "stH264Info" as [u32; 14] | "stJpegInfo" as [u32; 3] | "stH265Info" as [u32; 12],
    }
}

words! {
    VencAttrH264 {
        max_width: u32, max_height: u32, buffer_size: u32, profile: u32, by_frame: i32, width: u32, height: u32,
        b_frames: u32, references: u32,
    }
    VencAttrH265 {
        max_width: u32, max_height: u32, buffer_size: u32, profile: u32, by_frame: i32, width: u32, height: u32,
        b_frames: u32, references: u32,
    }
    VencAttrJpeg {
        max_width: u32, max_height: u32, buffer_size: u32, by_frame: i32, width: u32, height: u32, thumbnail: i32,
    }
    VencAttrMjpeg { max_width: u32, max_height: u32, buffer_size: u32, by_frame: i32, width: u32, height: u32 }
}

union! { VencAttr { kind, attr: 9 } holds VencAttrH264, VencAttrH265, VencAttrJpeg, VencAttrMjpeg }

union! {
    VencRcAttr { mode, attr: 7 } holds
        VencAttrH264Cbr, VencAttrH264Vbr, VencAttrH264Avbr, VencAttrH264Fixqp, VencAttrMjpegCbr, VencAttrMjpegVbr, VencAttrMjpegFixqp
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
