//! G3: regions, where they differ from G2.
//!
//! Public header: `hi_comm_region.h`.

use crate::common::Rect;
use crate::g2::OverlayChnAttr;
use crate::layout::layout;
use crate::words::{union, words};

layout! {
    /// A cover on a channel.
    pub struct CoverChnAttr = "hiCOVER_CHN_ATTR_S", 56 {
        /// 0 is a rectangle, 1 four points.
        0 shape: i32 = "enCoverType",
        /// What is covered.
        4 area: [u32; 10] = "stRect" as Rect | "stQuadRangle" as [u32; 10],
        /// Red, green, blue from the upper byte down.
        44 colour: u32 = "u32Color",
        /// Higher lies on top, 0 to 3.
        48 layer: u32 = "u32Layer",
        /// 0 is pixels, 1 thousandths of the picture.
        52 coordinates: i32 = "enCoordinate",
    }
}

layout! {
    /// A region on a channel.
    pub struct RgnChnAttr = "hiRGN_CHN_ATTR_S", 64 {
        /// Whether it shows.
        0 show: i32 = "bShow",
        /// As in [`RgnAttr`](super::RgnAttr).
        4 kind: i32 = "enType",
        /// What that kind wants to know.
        8 attr: [u32; 14] = "unChnAttr",
    }
}

words! {
    CoverChnAttr { shape: i32, area: [u32; 10], colour: u32, layer: u32, coordinates: i32 }
}

union! { CoverChnAttr { shape, area: 10 } holds Rect }

union! { RgnChnAttr { kind, attr: 14 } holds OverlayChnAttr, CoverChnAttr }

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
