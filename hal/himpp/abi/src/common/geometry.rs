//! Places, sizes and bitmaps.
//!
//! Public headers: `hi_common.h`, `hi_comm_video.h`.

use crate::addr::Addr32;
use crate::layout::layout;
use crate::words::words;

layout! {
    /// A place in a picture, pixels.
    pub struct Point = "hiPOINT_S", 8 {
        /// From the left.
        0 x: i32 = "s32X",
        /// From the top.
        4 y: i32 = "s32Y",
    }
}

layout! {
    /// A size, pixels.
    pub struct Size = "hiSIZE_S", 8 {
        /// Across.
        0 width: u32 = "u32Width",
        /// Down.
        4 height: u32 = "u32Height",
    }
}

layout! {
    /// A rectangle in a picture, pixels.
    pub struct Rect = "hiRECT_S", 16 {
        /// From the left.
        0 x: i32 = "s32X",
        /// From the top.
        4 y: i32 = "s32Y",
        /// Across.
        8 width: u32 = "u32Width",
        /// Down.
        12 height: u32 = "u32Height",
    }
}

layout! {
    /// A picture for `RGN_SetBitMap`.
    pub struct Bitmap = "hiBITMAP_S", 16 {
        /// Pixel format, that of the region.
        0 pixel_format: i32 = "enPixelFormat",
        /// Pixels across.
        4 width: u32 = "u32Width",
        /// Pixels down.
        8 height: u32 = "u32Height",
        /// Rows without gaps.
        12 data: Addr32 = "pData",
    }
}

words! {
    Point { x: i32, y: i32 }
    Size { width: u32, height: u32 }
    Rect { x: i32, y: i32, width: u32, height: u32 }
}
