//! G1: pictures in memory, and VPSS between input and encoder.
//!
//! Public headers: `hi_comm_video.h`, `hi_comm_vi.h`, `hi_comm_vpss.h`.

use crate::addr::Addr32;
use crate::layout::layout;

layout! {
    /// A picture in memory.
    pub struct VideoFrame = "hiVIDEO_FRAME_S", 80 {
        /// Pixels across.
        0 width: u32 = "u32Width",
        /// Pixels down.
        4 height: u32 = "u32Height",
        /// Fields: 1 top, 2 bottom, 3 interlaced, 4 a whole frame.
        8 field: i32 = "u32Field",
        /// Pixel format.
        12 pixel_format: i32 = "enPixelFormat",
        /// Planes' physical addresses.
        16 physical: [Addr32; 3] = "u32PhyAddr",
        /// Planes' addresses.
        28 data: [Addr32; 3] = "pVirAddr",
        /// Planes' bytes from one row to the next.
        40 stride: [u32; 3] = "u32Stride",
        /// Rows at the top that are not shown.
        52 offset_top: u16 = "u16OffsetTop",
        /// Rows at the bottom that are not shown.
        54 offset_bottom: u16 = "u16OffsetBottom",
        /// Columns at the left that are not shown.
        56 offset_left: u16 = "u16OffsetLeft",
        /// Columns at the right that are not shown.
        58 offset_right: u16 = "u16OffsetRight",
        /// Microseconds of the platform's clock.
        64 pts: u64 = "u64pts",
        /// Counts up by two a picture.
        72 time_reference: u32 = "u32TimeRef",
        /// The user's.
        76 private: u32 = "u32PrivateData",
    }
}

layout! {
    /// A picture and the pool that it lies in.
    pub struct VideoFrameInfo = "hiVIDEO_FRAME_INFO_S", 88 {
        /// The picture.
        0 frame: VideoFrame = "stVFrame",
        /// The pool's number.
        80 pool: u32 = "u32PoolId",
    }
}

layout! {
    /// What an input shows when it is told to show nothing that comes in.
    pub struct ViUserpicAttr = "hiVI_USERPIC_ATTR_S", 96 {
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
    pub struct VpssGrpAttr = "HI_VPSS_GRP_ATTR_S", 36 {
        /// Pixels across at most.
        0 max_width: u32 = "u32MaxW",
        /// Pixels down at most.
        4 max_height: u32 = "u32MaxH",
        /// Pixel format.
        8 pixel_format: i32 = "enPixFmt",
        /// Whether ringing is reduced.
        12 dering: i32 = "bDrEn",
        /// Whether block edges are smoothed.
        16 deblock: i32 = "bDbEn",
        /// Whether the image is enhanced.
        20 enhance: i32 = "bIeEn",
        /// Whether noise is reduced.
        24 denoise: i32 = "bNrEn",
        /// Whether a histogram is made.
        28 histogram: i32 = "bHistEn",
        /// De-interlacing: its numbers differ by generation ([`Codes`](crate::Codes)).
        32 deinterlace: i32 = "enDieMode",
    }
}

layout! {
    /// A frame around a picture: left, right, top, bottom.
    pub struct VpssFrame = "HI_VPSS_FRAME_S", 32 {
        /// Pixels.
        0 width: [u32; 4] = "u32Width",
        /// Red, green, blue from the upper byte down.
        16 colour: [u32; 4] = "u32Color",
    }
}

layout! {
    /// A VPSS channel.
    pub struct VpssChnAttr = "HI_VPSS_CHN_ATTR_S", 40 {
        /// Whether it is sharpened.
        0 sharpen: i32 = "bSpEn",
        /// Whether a frame is drawn.
        4 frame_on: i32 = "bFrameEn",
        /// The frame.
        8 frame: VpssFrame = "stFrame",
    }
}

layout! {
    /// What a VPSS channel hands on.
    pub struct VpssChnMode = "HI_VPSS_CHN_MODE_S", 20 {
        /// 0 follows what is bound to it, 1 is the size given here.
        0 mode: i32 = "enChnMode",
        /// Pixels across.
        4 width: u32 = "u32Width",
        /// Pixels down.
        8 height: u32 = "u32Height",
        /// Whether fields are doubled.
        12 double: i32 = "bDouble",
        /// Pixel format.
        16 pixel_format: i32 = "enPixelFormat",
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
