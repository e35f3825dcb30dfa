//! G2 and G3: pictures in memory, and VPSS between input and encoder.
//!
//! Public headers: `hi_comm_video.h`, `hi_comm_vi.h`, `hi_comm_vpss.h`.

use crate::addr::Addr32;
use crate::common::Rect;
use crate::layout::layout;

layout! {
    /// What goes with a picture.
    pub struct VideoSupplement = "hiVIDEO_SUPPLEMENT_S", 12 {
        /// A thumbnail's physical address.
        0 thumbnail_physical: Addr32 = "u32JpegDcfPhyAddr",
        /// A thumbnail's address.
        4 thumbnail: Addr32 = "pJpegDcfVirAddr",
        /// Whether a flash was used.
        8 flash: i32 = "enFlashType",
    }
}

layout! {
    /// A picture in memory.
    pub struct VideoFrame = "hiVIDEO_FRAME_S", 136 {
        /// Pixels across.
        0 width: u32 = "u32Width",
        /// Pixels down.
        4 height: u32 = "u32Height",
        /// Fields: 1 top, 2 bottom, 3 interlaced, 4 a whole frame.
        8 field: i32 = "u32Field",
        /// Pixel format.
        12 pixel_format: i32 = "enPixelFormat",
        /// 0 is rows one after the other, others are tiles.
        16 video_format: i32 = "enVideoFormat",
        /// 0 is not compressed.
        20 compression: i32 = "enCompressMode",
        /// Planes' physical addresses.
        24 physical: [Addr32; 3] = "u32PhyAddr",
        /// Planes' addresses.
        36 data: [Addr32; 3] = "pVirAddr",
        /// Planes' bytes from one row to the next.
        48 stride: [u32; 3] = "u32Stride",
        /// Physical addresses of what describes compressed planes.
        60 header_physical: [Addr32; 3] = "u32HeaderPhyAddr",
        /// Addresses of what describes compressed planes.
        72 header: [Addr32; 3] = "pHeaderVirAddr",
        /// Its bytes from one row to the next.
        84 header_stride: [u32; 3] = "u32HeaderStride",
        /// Rows at the top that are not shown.
        96 offset_top: i16 = "s16OffsetTop",
        /// Rows at the bottom that are not shown.
        98 offset_bottom: i16 = "s16OffsetBottom",
        /// Columns at the left that are not shown.
        100 offset_left: i16 = "s16OffsetLeft",
        /// Columns at the right that are not shown.
        102 offset_right: i16 = "s16OffsetRight",
        /// Microseconds of the platform's clock.
        104 pts: u64 = "u64pts",
        /// Counts up by two a picture.
        112 time_reference: u32 = "u32TimeRef",
        /// The user's.
        116 private: u32 = "u32PrivateData",
        /// What goes with it.
        120 supplement: VideoSupplement = "stSupplement",
    }
}

layout! {
    /// A picture and the pool that it lies in.
    pub struct VideoFrameInfo = "hiVIDEO_FRAME_INFO_S", 144 {
        /// The picture.
        0 frame: VideoFrame = "stVFrame",
        /// The pool's number.
        136 pool: u32 = "u32PoolId",
    }
}

layout! {
    /// What an input shows when it is told to show nothing that comes in.
    pub struct ViUserpicAttr = "hiVI_USERPIC_ATTR_S", 152 {
        /// Whether all channels share it.
        0 public: i32 = "bPub",
        /// 0 is a picture, 1 is a colour.
        4 mode: i32 = "enUsrPicMode",
        /// The picture. A colour takes its first word: [`ViUserpicAttr::colour`].
        8 picture: VideoFrameInfo = "unUsrPic",
    }
}

impl ViUserpicAttr {
    /// One colour: red, green, blue from the upper byte down.
    #[must_use]
    pub fn colour(rgb: u32) -> Self {
        let mut attr = Self { mode: 1, ..Self::default() };
        attr.picture.frame.width = rgb;
        attr
    }
}

layout! {
    /// A VPSS group: what comes in, and what is done to it.
    pub struct VpssGrpAttr = "hiVPSS_GRP_ATTR_S", 36 {
        /// Pixels across at most.
        0 max_width: u32 = "u32MaxW",
        /// Pixels down at most.
        4 max_height: u32 = "u32MaxH",
        /// Pixel format.
        8 pixel_format: i32 = "enPixFmt",
        /// Whether the image is enhanced.
        12 enhance: i32 = "bIeEn",
        /// Whether contrast follows the picture.
        16 contrast: i32 = "bDciEn",
        /// Whether noise is reduced.
        20 denoise: i32 = "bNrEn",
        /// Whether a histogram is made.
        24 histogram: i32 = "bHistEn",
        /// Whether edges are smoothed.
        28 edge_smooth: i32 = "bEsEn",
        /// De-interlacing: its numbers differ by generation ([`Codes`](crate::Codes)).
        32 deinterlace: i32 = "enDieMode",
    }
}

layout! {
    /// A border around a picture.
    pub struct Border = "hiBORDER_S", 20 {
        /// Pixels, even.
        0 top: u32 = "u32TopWidth",
        /// Pixels, even.
        4 bottom: u32 = "u32BottomWidth",
        /// Pixels, even.
        8 left: u32 = "u32LeftWidth",
        /// Pixels, even.
        12 right: u32 = "u32RightWidth",
        /// Red, green, blue from the upper byte down.
        16 colour: u32 = "u32Color",
    }
}

layout! {
    /// A VPSS channel.
    pub struct VpssChnAttr = "hiVPSS_CHN_ATTR_S", 32 {
        /// Whether it is sharpened.
        0 sharpen: i32 = "bSpEn",
        /// Whether the two chroma values are exchanged.
        4 uv_invert: i32 = "bUVInvert",
        /// Whether a border is drawn.
        8 border_on: i32 = "bBorderEn",
        /// The border.
        12 border: Border = "stBorder",
    }
}

layout! {
    /// How many pictures a channel lets through.
    pub struct VpssFrameRate = "hiVPSS_FRAME_RATE_S", 8 {
        /// Pictures a second that come in; -1 leaves it.
        0 source: i32 = "s32SrcFrmRate",
        /// Pictures a second that go on; -1 leaves it.
        4 target: i32 = "s32DstFrmRate",
    }
}

layout! {
    /// What becomes of a picture of another shape.
    pub struct AspectRatio = "hiASPECT_RATIO_S", 24 {
        /// 0 stretches it, 1 keeps its shape, 2 puts it into `rect`.
        0 mode: i32 = "enMode",
        /// Red, green, blue from the upper byte down.
        4 background: u32 = "u32BgColor",
        /// Where it goes.
        8 rect: Rect = "stVideoRect",
    }
}

layout! {
    /// What a VPSS channel hands on.
    pub struct VpssChnMode = "hiVPSS_CHN_MODE_S", 56 {
        /// 0 follows what is bound to it, 1 is the size given here.
        0 mode: i32 = "enChnMode",
        /// Pixels across.
        4 width: u32 = "u32Width",
        /// Pixels down.
        8 height: u32 = "u32Height",
        /// Whether fields are doubled.
        12 double: i32 = "bDouble",
        /// How many pictures it lets through.
        16 frame_rate: VpssFrameRate = "stFrameRate",
        /// What becomes of a picture of another shape.
        24 aspect: AspectRatio = "stAspectRatio",
        /// Pixel format.
        48 pixel_format: i32 = "enPixelFormat",
        /// 0 is not compressed.
        52 compression: i32 = "enCompressMode",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_lies_where_the_union_begins() {
        let attr = ViUserpicAttr::colour(0x0010_2030);
        assert_eq!((attr.mode, attr.picture.frame.width, attr.picture.frame.height), (1, 0x0010_2030, 0));
        assert_eq!(ViUserpicAttr::LAYOUT.offset_of("unUsrPic.stVFrame.u32Width"), Some(8));
    }
}
