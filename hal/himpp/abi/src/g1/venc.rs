//! G1: encoders and what comes out of them.
//!
//! A pack may consist of two pieces here, where the stream's buffer wraps. Public header: `hi_comm_venc.h`.

use super::rate::{
    VencAttrH264Cbr, VencAttrH264Fixqp, VencAttrH264Vbr, VencAttrMjpegCbr, VencAttrMjpegFixqp,
    VencAttrMjpegVbr,
};
use crate::addr::Addr32;
use crate::codes::value;
use crate::layout::layout;
use crate::words::{union, words};

layout! {
    /// An H.264 encoder.
    pub struct VencAttrH264 = "hiVENC_ATTR_H264_S", 44 {
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
        /// Whether fields are encoded.
        20 field: i32 = "bField",
        /// Whether this is the main stream.
        24 main_stream: i32 = "bMainStream",
        /// Reserved, 0.
        28 priority: u32 = "u32Priority",
        /// Whether the input sends fields.
        32 input_field: i32 = "bVIField",
        /// Pixels across.
        36 width: u32 = "u32PicWidth",
        /// Pixels down.
        40 height: u32 = "u32PicHeight",
    }
}

layout! {
    /// An encoder of single JPEGs.
    pub struct VencAttrJpeg = "hiVENC_ATTR_JPEG_S", 32 {
        /// Pixels across at most.
        0 max_width: u32 = "u32MaxPicWidth",
        /// Pixels down at most.
        4 max_height: u32 = "u32MaxPicHeight",
        /// Bytes of the stream's buffer.
        8 buffer_size: u32 = "u32BufSize",
        /// Whether a whole picture is handed out at once.
        12 by_frame: i32 = "bByFrame",
        /// Whether the input sends fields.
        16 input_field: i32 = "bVIField",
        /// Reserved, 0.
        20 priority: u32 = "u32Priority",
        /// Pixels across.
        24 width: u32 = "u32PicWidth",
        /// Pixels down.
        28 height: u32 = "u32PicHeight",
    }
}

layout! {
    /// A motion JPEG encoder.
    pub struct VencAttrMjpeg = "hiVENC_ATTR_MJPEG_S", 36 {
        /// Pixels across at most.
        0 max_width: u32 = "u32MaxPicWidth",
        /// Pixels down at most.
        4 max_height: u32 = "u32MaxPicHeight",
        /// Bytes of the stream's buffer.
        8 buffer_size: u32 = "u32BufSize",
        /// Whether a whole picture is handed out at once.
        12 by_frame: i32 = "bByFrame",
        /// Whether this is the main stream.
        16 main_stream: i32 = "bMainStream",
        /// Whether the input sends fields.
        20 input_field: i32 = "bVIField",
        /// Reserved, 0.
        24 priority: u32 = "u32Priority",
        /// Pixels across.
        28 width: u32 = "u32PicWidth",
        /// Pixels down.
        32 height: u32 = "u32PicHeight",
    }
}

layout! {
    /// An encoder.
    pub struct VencAttr = "hiVENC_ATTR_S", 48 {
        /// Payload ([`value::PT_H264`](crate::value::PT_H264)).
        0 kind: i32 = "enType",
        /// What that kind wants to know.
        4 attr: [u32; 11] = "stAttrH264e" as VencAttrH264 | "stAttrMjpeg" as VencAttrMjpeg
            | "stAttrJpeg" as VencAttrJpeg,
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
            | "stAttrMjpegeFixQp" as VencAttrMjpegFixqp | "stAttrMjpegeVbr" as VencAttrMjpegVbr,
        /// The user's own; null.
        32 own: Addr32 = "pRcAttr",
    }
}

layout! {
    /// An encoder and its rate control.
    pub struct VencChnAttr = "hiVENC_CHN_ATTR_S", 84 {
        /// The encoder.
        0 encoder: VencAttr = "stVeAttr",
        /// Its rate control.
        48 rate: VencRcAttr = "stRcAttr",
    }
}

layout! {
    /// How an encoder is doing.
    pub struct VencChnStat = "hiVENC_CHN_STAT_S", 28 {
        /// Whether it belongs to a group.
        0 registered: i32 = "bRegistered",
        /// Pictures that wait to be encoded.
        4 left_pictures: u32 = "u32LeftPics",
        /// Bytes that wait to be fetched.
        8 left_bytes: u32 = "u32LeftStreamBytes",
        /// Encoded pictures that wait to be fetched.
        12 left_frames: u32 = "u32LeftStreamFrames",
        /// Packs of the next one: the caller brings that many [`VencPack`].
        16 packs: u32 = "u32CurPacks",
        /// Pictures still to take, if a number was given.
        20 left_to_receive: u32 = "u32LeftRecvPics",
        /// Pictures still to encode, if a number was given.
        24 left_to_encode: u32 = "u32LeftEncPics",
    }
}

layout! {
    /// A piece of an encoded picture, itself in up to two pieces.
    pub struct VencPack = "hiVENC_PACK_S", 48 {
        /// Physical addresses of both.
        0 physical: [Addr32; 2] = "u32PhyAddr",
        /// Addresses of both.
        8 data: [Addr32; 2] = "pu8Addr",
        /// Bytes of both; the second is zero unless the buffer wraps.
        16 length: [u32; 2] = "u32Len",
        /// Microseconds of the platform's clock.
        24 pts: u64 = "u64PTS",
        /// Whether the field ends here.
        32 field_end: i32 = "bFieldEnd",
        /// Whether the picture ends here.
        36 frame_end: i32 = "bFrameEnd",
        /// Kind of NAL unit or of JPEG piece ([`Codes`](crate::Codes)).
        40 data_type: i32 = "DataType",
        /// Bytes at the start that are not the stream's.
        44 offset: u32 = "u32Offset",
    }
}

layout! {
    /// An encoded picture. The caller brings the packs.
    pub struct VencStream = "hiVENC_STREAM_S", 64 {
        /// The first [`VencPack`].
        0 packs: Addr32 = "pstPack",
        /// In: how many there is room for. Out: how many there are.
        4 pack_count: u32 = "u32PackCount",
        /// Counts up by one a picture.
        8 sequence: u32 = "u32Seq",
        /// The encoder's statistics; the first word is the picture's bytes.
        12 info: [u32; 13] = "stH264Info" as [u32; 13] | "stJpegInfo" as [u32; 3],
    }
}

words! {
    VencAttrH264 {
        max_width: u32, max_height: u32, buffer_size: u32, profile: u32, by_frame: i32, field: i32, main_stream: i32,
        priority: u32, input_field: i32, width: u32, height: u32,
    }
    VencAttrJpeg {
        max_width: u32, max_height: u32, buffer_size: u32, by_frame: i32, input_field: i32, priority: u32, width: u32,
        height: u32,
    }
    VencAttrMjpeg {
        max_width: u32, max_height: u32, buffer_size: u32, by_frame: i32, main_stream: i32, input_field: i32,
        priority: u32, width: u32, height: u32,
    }
}

union! { VencAttr { kind, attr: 11 } holds VencAttrH264, VencAttrJpeg, VencAttrMjpeg }

union! {
    VencRcAttr { mode, attr: 7 } holds
        VencAttrH264Cbr, VencAttrH264Vbr, VencAttrH264Fixqp, VencAttrMjpegCbr, VencAttrMjpegVbr, VencAttrMjpegFixqp
}

impl VencAttr {
    /// An H.264 encoder.
    #[must_use]
    pub fn h264(attr: &VencAttrH264) -> Self {
        Self::of(value::PT_H264, attr)
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
