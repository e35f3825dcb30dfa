//! G2 and G3: what is drawn over a picture, and what covers a part of it.
//!
//! Regions attach to the encoder's channel or to the VPSS. Public header: `hi_comm_region.h`.

use crate::common::{Point, Rect, Size};
use crate::layout::layout;
use crate::words::{union, words};

layout! {
    /// An overlay's bitmap.
    pub struct OverlayAttr = "hiOVERLAY_ATTR_S", 16 {
        /// Pixel format, [`value::ARGB1555`](crate::value::ARGB1555).
        0 pixel_format: i32 = "enPixelFmt",
        /// In that pixel format.
        4 background: u32 = "u32BgColor",
        /// Pixels; both even.
        8 size: Size = "stSize",
    }
}

layout! {
    /// A region.
    pub struct RgnAttr = "hiRGN_ATTR_S", 20 {
        /// [`value::RGN_OVERLAY`](crate::value::RGN_OVERLAY) and others; a cover has no attributes here.
        0 kind: i32 = "enType",
        /// An overlay's bitmap.
        4 overlay: OverlayAttr = "unAttr",
    }
}

layout! {
    /// Quality of the picture below an overlay.
    pub struct OverlayQpInfo = "hiOVERLAY_QP_INFO_S", 12 {
        /// Whether this does not apply.
        0 disable: i32 = "bQpDisable",
        /// 1 is absolute, 0 is a difference.
        4 absolute: i32 = "bAbsQp",
        /// The quantiser or its difference.
        8 qp: i32 = "s32Qp",
    }
}

layout! {
    /// Inverting an overlay over a bright or dark picture.
    pub struct OverlayInvertColor = "hiOVERLAY_INVERT_COLOR_S", 20 {
        /// Blocks that are looked at, multiples of 16 to 64.
        0 area: Size = "stInvColArea",
        /// Luma, 0 to 255.
        8 threshold: u32 = "u32LumThresh",
        /// 0 inverts below the threshold, 1 above.
        12 mode: i32 = "enChgMod",
        /// Whether it is done.
        16 on: i32 = "bInvColEn",
    }
}

layout! {
    /// An overlay on a channel.
    pub struct OverlayChnAttr = "hiOVERLAY_CHN_ATTR_S", 52 {
        /// Upper left corner; both even.
        0 point: Point = "stPoint",
        /// Of pixels with alpha, 0 to 128.
        8 foreground_alpha: u32 = "u32FgAlpha",
        /// Of pixels without, 0 to 128.
        12 background_alpha: u32 = "u32BgAlpha",
        /// Higher lies on top, 0 to 7.
        16 layer: u32 = "u32Layer",
        /// Quality below.
        20 qp: OverlayQpInfo = "stQpInfo",
        /// Inverting.
        32 invert: OverlayInvertColor = "stInvertColor",
    }
}

layout! {
    /// A cover on a channel.
    pub struct CoverChnAttr = "hiCOVER_CHN_ATTR_S", 52 {
        /// 0 is a rectangle, 1 four points.
        0 shape: i32 = "enCoverType",
        /// What is covered.
        4 area: [u32; 10] = "stRect" as Rect | "stQuadRangle" as [u32; 10],
        /// Red, green, blue from the upper byte down.
        44 colour: u32 = "u32Color",
        /// Higher lies on top, 0 to 3.
        48 layer: u32 = "u32Layer",
    }
}

layout! {
    /// A region on a channel.
    pub struct RgnChnAttr = "hiRGN_CHN_ATTR_S", 60 {
        /// Whether it shows.
        0 show: i32 = "bShow",
        /// As in [`RgnAttr`].
        4 kind: i32 = "enType",
        /// What that kind wants to know.
        8 attr: [u32; 13] = "unChnAttr",
    }
}

words! {
    OverlayQpInfo { disable: i32, absolute: i32, qp: i32 }
    OverlayInvertColor { area: Size, threshold: u32, mode: i32, on: i32 }
    OverlayChnAttr {
        point: Point, foreground_alpha: u32, background_alpha: u32, layer: u32, qp: OverlayQpInfo,
        invert: OverlayInvertColor,
    }
    CoverChnAttr { shape: i32, area: [u32; 10], colour: u32, layer: u32 }
}

union! { CoverChnAttr { shape, area: 10 } holds Rect }

union! { RgnChnAttr { kind, attr: 13 } holds OverlayChnAttr, CoverChnAttr }

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

impl CoverChnAttr {
    /// A rectangle of that colour; red, green, blue from the upper byte down.
    #[must_use]
    pub fn rectangle(rect: Rect, colour: u32, layer: u32) -> Self {
        Self { colour, layer, ..Self::of(0, &rect) }
    }
}

impl RgnChnAttr {
    /// An overlay that shows.
    #[must_use]
    pub fn overlay(overlay: &OverlayChnAttr) -> Self {
        Self { show: 1, ..Self::of(crate::codes::value::RGN_OVERLAY, overlay) }
    }

    /// A cover that shows.
    #[must_use]
    pub fn cover(cover: &CoverChnAttr) -> Self {
        Self { show: 1, ..Self::of(crate::codes::value::RGN_COVER, cover) }
    }
}
