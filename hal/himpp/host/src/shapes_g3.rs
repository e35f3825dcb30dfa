//! The third generation (Hi3531D, Hi3521D): what the second does not share.
//!
//! With 1.0.5.0 two of them grew: [`mpp_abi::g3::late`]. Does not belong here: what both generations share (`shapes.rs`).

use mpp_abi::g3::late;
use mpp_abi::{Addr32, Codes, Dialect, g2, g3};
use mpp_wire::{Codec, InputPlan, Rect, StreamPlan};

use crate::param::Param;
use crate::shapes::{
    Picture, Shapes, bitmap_attr, bitmap_kind, bitmap_point, coded, constant_rate, group_attr, picture_of,
    rect, snapshot_attr,
};

/// How much coarser pictures between keyframes are quantised: what the vendor's samples take.
const IP_QP_DELTA: i32 = 2;
/// Bitmaps that a region keeps, one shown and one being drawn.
const CANVASES: u32 = 2;

pub(crate) struct G3(Dialect);

impl G3 {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self(dialect)
    }

    fn is_late(&self) -> bool {
        self.0 == Dialect::G3Late
    }
}

impl Shapes for G3 {
    fn codes(&self) -> &'static Codes {
        self.0.codes()
    }

    fn group(&self, plan: &InputPlan) -> Param {
        let early = group_attr(self.codes(), plan);
        if !self.is_late() {
            return Param::new(early);
        }
        Param::new(late::VpssGrpAttr {
            max_width: early.max_width,
            max_height: early.max_height,
            pixel_format: early.pixel_format,
            denoise: early.denoise,
            deinterlace: early.deinterlace,
            max_deinterlace_width: early.max_width,
            max_deinterlace_height: early.max_height,
            ..late::VpssGrpAttr::default()
        })
    }

    fn encoder(&self, plan: &StreamPlan, input: &InputPlan) -> Param {
        let size = coded(plan);
        let encoder = match plan.codec {
            Codec::H264 => g3::VencAttr::h264(&g3::VencAttrH264 {
                max_width: size.width,
                max_height: size.height,
                buffer_size: size.buffer,
                profile: size.profile,
                by_frame: 1,
                width: size.width,
                height: size.height,
            }),
            Codec::H265 => g3::VencAttr::h265(&g3::VencAttrH265 {
                max_width: size.width,
                max_height: size.height,
                buffer_size: size.buffer,
                profile: 0,
                by_frame: 1,
                width: size.width,
                height: size.height,
            }),
        };
        let (mode, rate) = constant_rate(self.codes(), plan, input);
        let rate = g3::VencRcAttr::of(mode, &rate);
        Param::new(g3::VencChnAttr { encoder, rate, gop: g3::VencGopAttr::normal(IP_QP_DELTA) })
    }

    fn snapshot(&self, width: u16, height: u16) -> Param {
        let encoder = g3::VencAttr::jpeg(&snapshot_attr(width, height));
        Param::new(g3::VencChnAttr { encoder, ..g3::VencChnAttr::default() })
    }

    fn stream(&self, packs: Addr32, count: u32) -> Param {
        Param::new(g3::VencStream { packs, pack_count: count, ..g3::VencStream::default() })
    }

    fn picture(&self, codec: Option<Codec>, stream: &Param, packs: &Param, room: u32) -> Picture {
        let stream = stream.get::<g3::VencStream>();
        picture_of(self.codes(), codec, stream.sequence, stream.pack_count.min(room), packs)
    }

    fn bitmap_region(&self, place: Rect, external: bool) -> Param {
        let early = bitmap_attr(place, external);
        if !self.is_late() {
            return Param::new(early);
        }
        let overlay = late::OverlayAttr {
            pixel_format: early.overlay.pixel_format,
            size: early.overlay.size,
            canvases: CANVASES,
            ..late::OverlayAttr::default()
        };
        Param::new(late::RgnAttr { kind: early.kind, overlay })
    }

    fn bitmap_place(&self, place: Rect, layer: u32, external: bool) -> Param {
        let attr = g3::RgnChnAttr::of(bitmap_kind(external), &bitmap_point(place, layer));
        Param::new(g3::RgnChnAttr { show: 1, ..attr })
    }

    fn cover_region(&self) -> Param {
        if self.is_late() { Param::new(late::RgnAttr::cover()) } else { Param::new(g2::RgnAttr::cover()) }
    }

    fn cover_place(&self, place: Rect, layer: u32) -> Param {
        Param::new(g3::RgnChnAttr::cover(&g3::CoverChnAttr::rectangle(rect(place), 0, layer)))
    }
}
