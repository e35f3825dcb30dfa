//! G3 from 1.0.5.0 on: what grew since 1.0.3.0.
//!
//! Only for [`Dialect::G3Late`](crate::Dialect::G3Late); a 1.0.3.0 library reads and writes the shorter ones. Public headers:
//! `hi_comm_vpss.h`, `hi_comm_region.h`.

use crate::common::Size;
use crate::layout::layout;

layout! {
    /// A VPSS group: what comes in, and what is done to it.
    pub struct VpssGrpAttr = "hiVPSS_GRP_ATTR_S", 44 {
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
        /// Pixels across at most that are de-interlaced.
        36 max_deinterlace_width: u32 = "u32MaxDieWidth",
        /// Pixels down at most that are de-interlaced.
        40 max_deinterlace_height: u32 = "u32MaxDieHeight",
    }
}

layout! {
    /// An overlay's bitmap.
    pub struct OverlayAttr = "hiOVERLAY_ATTR_S", 20 {
        /// Pixel format, [`value::ARGB1555`](crate::value::ARGB1555).
        0 pixel_format: i32 = "enPixelFmt",
        /// In that pixel format.
        4 background: u32 = "u32BgColor",
        /// Pixels; both even.
        8 size: Size = "stSize",
        /// Bitmaps that are kept, 1 to 6.
        16 canvases: u32 = "u32CanvasNum",
    }
}

layout! {
    /// A region.
    pub struct RgnAttr = "hiRGN_ATTR_S", 24 {
        /// [`value::RGN_OVERLAY`](crate::value::RGN_OVERLAY) and others; a cover has no attributes here.
        0 kind: i32 = "enType",
        /// An overlay's bitmap.
        4 overlay: OverlayAttr = "unAttr",
    }
}

impl RgnAttr {
    /// An overlay.
    #[must_use]
    pub fn overlay(overlay: OverlayAttr) -> Self {
        Self { kind: crate::codes::value::RGN_OVERLAY, overlay }
    }

    /// A cover: all about it is said where it is attached.
    #[must_use]
    pub fn cover() -> Self {
        Self { kind: crate::codes::value::RGN_COVER, ..Self::default() }
    }
}
