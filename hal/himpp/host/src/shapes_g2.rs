//! The second generation (Hi3521A, Hi3520DV300): what the third does not share.
//!
//! Does not belong here: what both share (`shapes.rs`).

use mpp_abi::{Addr32, Codes, Dialect, g2};
use mpp_wire::{Codec, InputPlan, Rect, StreamPlan};

use crate::param::Param;
use crate::shapes::{
    Picture, Shapes, bitmap_kind, bitmap_point, coded, constant_rate, picture_of, rect, snapshot_attr,
};

pub(crate) struct G2(Dialect);

impl G2 {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self(dialect)
    }
}

impl Shapes for G2 {
    fn codes(&self) -> &'static Codes {
        self.0.codes()
    }

    fn encoder(&self, plan: &StreamPlan, input: &InputPlan) -> Param {
        let size = coded(plan);
        let encoder = match plan.codec {
            Codec::H264 => g2::VencAttr::h264(&g2::VencAttrH264 {
                max_width: size.width,
                max_height: size.height,
                buffer_size: size.buffer,
                profile: size.profile,
                by_frame: 1,
                width: size.width,
                height: size.height,
                b_frames: 0,
                references: 1,
            }),
            Codec::H265 => g2::VencAttr::h265(&g2::VencAttrH265 {
                max_width: size.width,
                max_height: size.height,
                buffer_size: size.buffer,
                profile: 0,
                by_frame: 1,
                width: size.width,
                height: size.height,
                b_frames: 0,
                references: 1,
            }),
        };
        let (mode, rate) = constant_rate(self.codes(), plan, input);
        Param::new(g2::VencChnAttr { encoder, rate: g2::VencRcAttr::of(mode, &rate) })
    }

    fn snapshot(&self, width: u16, height: u16) -> Param {
        let encoder = g2::VencAttr::jpeg(&snapshot_attr(width, height));
        Param::new(g2::VencChnAttr { encoder, ..g2::VencChnAttr::default() })
    }

    fn stream(&self, packs: Addr32, count: u32) -> Param {
        Param::new(g2::VencStream { packs, pack_count: count, ..g2::VencStream::default() })
    }

    fn picture(&self, codec: Option<Codec>, stream: &Param, packs: &Param, room: u32) -> Picture {
        let stream = stream.get::<g2::VencStream>();
        picture_of(self.codes(), codec, stream.sequence, stream.pack_count.min(room), packs)
    }

    fn bitmap_place(&self, place: Rect, layer: u32, external: bool) -> Param {
        let attr = g2::RgnChnAttr::of(bitmap_kind(external), &bitmap_point(place, layer));
        Param::new(g2::RgnChnAttr { show: 1, ..attr })
    }

    fn cover_place(&self, place: Rect, layer: u32) -> Param {
        Param::new(g2::RgnChnAttr::cover(&g2::CoverChnAttr::rectangle(rect(place), 0, layer)))
    }
}
