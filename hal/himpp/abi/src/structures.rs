//! Every structure that is described here, dialect by dialect.
//!
//! For the `abi` example and the tests that compare it with the facts.

use crate::generation::Dialect;
use crate::layout::Layout;
use crate::{common, g1, g2, g3};

/// All structures of that dialect, each once, in no order that means something.
pub fn structures(dialect: Dialect) -> impl Iterator<Item = &'static Layout> {
    let own = match dialect {
        Dialect::G1 => [G1, &[]],
        Dialect::G2 => [G2, &[]],
        Dialect::G3Early => [G3, G3_EARLY],
        Dialect::G3Late => [G3, G3_LATE],
    };
    COMMON.iter().chain(own[0]).chain(own[1]).copied()
}

/// Of all.
const COMMON: &[&Layout] = &[
    &common::AencAttrG711::LAYOUT,
    &common::AudioFrame::LAYOUT,
    &common::AudioStream::LAYOUT,
    &common::Bitmap::LAYOUT,
    &common::MppChn::LAYOUT,
    &common::MppSysConf::LAYOUT,
    &common::MppVersion::LAYOUT,
    &common::Point::LAYOUT,
    &common::Rect::LAYOUT,
    &common::Size::LAYOUT,
    &common::VbConf::LAYOUT,
    &common::VbPool::LAYOUT,
    &common::VdaChnAttr::LAYOUT,
    &common::VdaData::LAYOUT,
    &common::VdaMbSadData::LAYOUT,
    &common::VdaMdAttr::LAYOUT,
    &common::VdaMdData::LAYOUT,
    &common::VdaObj::LAYOUT,
    &common::VdaObjData::LAYOUT,
    &common::VencRecvPicParam::LAYOUT,
    &common::ViSyncCfg::LAYOUT,
    &common::ViTimingBlank::LAYOUT,
    &common::VoChnAttr::LAYOUT,
    &common::VoSyncInfo::LAYOUT,
];

/// Of G1.
const G1: &[&Layout] = &[
    &g1::AencChnAttr::LAYOUT,
    &g1::AioAttr::LAYOUT,
    &g1::CoverChnAttr::LAYOUT,
    &g1::OverlayAttr::LAYOUT,
    &g1::OverlayChnAttr::LAYOUT,
    &g1::OverlayInvertColor::LAYOUT,
    &g1::OverlayQpInfo::LAYOUT,
    &g1::RgnAttr::LAYOUT,
    &g1::RgnChnAttr::LAYOUT,
    &g1::VencAttr::LAYOUT,
    &g1::VencAttrH264::LAYOUT,
    &g1::VencAttrH264Cbr::LAYOUT,
    &g1::VencAttrH264Fixqp::LAYOUT,
    &g1::VencAttrH264Vbr::LAYOUT,
    &g1::VencAttrJpeg::LAYOUT,
    &g1::VencAttrMjpeg::LAYOUT,
    &g1::VencAttrMjpegCbr::LAYOUT,
    &g1::VencAttrMjpegFixqp::LAYOUT,
    &g1::VencAttrMjpegVbr::LAYOUT,
    &g1::VencChnAttr::LAYOUT,
    &g1::VencChnStat::LAYOUT,
    &g1::VencPack::LAYOUT,
    &g1::VencRcAttr::LAYOUT,
    &g1::VencStream::LAYOUT,
    &g1::ViChnAttr::LAYOUT,
    &g1::ViDevAttr::LAYOUT,
    &g1::ViUserpicAttr::LAYOUT,
    &g1::VideoFrame::LAYOUT,
    &g1::VideoFrameInfo::LAYOUT,
    &g1::VoPubAttr::LAYOUT,
    &g1::VoVideoLayerAttr::LAYOUT,
    &g1::VpssChnAttr::LAYOUT,
    &g1::VpssChnMode::LAYOUT,
    &g1::VpssFrame::LAYOUT,
    &g1::VpssGrpAttr::LAYOUT,
];

/// Of G2.
const G2: &[&Layout] = &[
    &g2::AencChnAttr::LAYOUT,
    &g2::AioAttr::LAYOUT,
    &g2::AspectRatio::LAYOUT,
    &g2::Border::LAYOUT,
    &g2::CoverChnAttr::LAYOUT,
    &g2::OverlayAttr::LAYOUT,
    &g2::OverlayChnAttr::LAYOUT,
    &g2::OverlayInvertColor::LAYOUT,
    &g2::OverlayQpInfo::LAYOUT,
    &g2::RgnAttr::LAYOUT,
    &g2::RgnChnAttr::LAYOUT,
    &g2::VencAttr::LAYOUT,
    &g2::VencAttrH264::LAYOUT,
    &g2::VencAttrH264Avbr::LAYOUT,
    &g2::VencAttrH264Cbr::LAYOUT,
    &g2::VencAttrH264Fixqp::LAYOUT,
    &g2::VencAttrH264Vbr::LAYOUT,
    &g2::VencAttrH265::LAYOUT,
    &g2::VencAttrJpeg::LAYOUT,
    &g2::VencAttrMjpeg::LAYOUT,
    &g2::VencAttrMjpegCbr::LAYOUT,
    &g2::VencAttrMjpegFixqp::LAYOUT,
    &g2::VencAttrMjpegVbr::LAYOUT,
    &g2::VencChnAttr::LAYOUT,
    &g2::VencChnStat::LAYOUT,
    &g2::VencPack::LAYOUT,
    &g2::VencPackInfo::LAYOUT,
    &g2::VencRcAttr::LAYOUT,
    &g2::VencStream::LAYOUT,
    &g2::ViChnAttr::LAYOUT,
    &g2::ViDevAttr::LAYOUT,
    &g2::ViUserpicAttr::LAYOUT,
    &g2::VideoFrame::LAYOUT,
    &g2::VideoFrameInfo::LAYOUT,
    &g2::VideoSupplement::LAYOUT,
    &g2::VoPubAttr::LAYOUT,
    &g2::VoVideoLayerAttr::LAYOUT,
    &g2::VpssChnAttr::LAYOUT,
    &g2::VpssChnMode::LAYOUT,
    &g2::VpssFrameRate::LAYOUT,
    &g2::VpssGrpAttr::LAYOUT,
];

/// Of both dialects of G3.
const G3: &[&Layout] = &[
    &g3::AencChnAttr::LAYOUT,
    &g3::AioAttr::LAYOUT,
    &g3::AspectRatio::LAYOUT,
    &g3::Border::LAYOUT,
    &g3::CoverChnAttr::LAYOUT,
    &g3::OverlayChnAttr::LAYOUT,
    &g3::OverlayInvertColor::LAYOUT,
    &g3::OverlayQpInfo::LAYOUT,
    &g3::RgnChnAttr::LAYOUT,
    &g3::VencAttr::LAYOUT,
    &g3::VencAttrH264::LAYOUT,
    &g3::VencAttrH264Avbr::LAYOUT,
    &g3::VencAttrH264Cbr::LAYOUT,
    &g3::VencAttrH264Fixqp::LAYOUT,
    &g3::VencAttrH264Vbr::LAYOUT,
    &g3::VencAttrH265::LAYOUT,
    &g3::VencAttrJpeg::LAYOUT,
    &g3::VencAttrMjpeg::LAYOUT,
    &g3::VencAttrMjpegCbr::LAYOUT,
    &g3::VencAttrMjpegFixqp::LAYOUT,
    &g3::VencAttrMjpegVbr::LAYOUT,
    &g3::VencChnAttr::LAYOUT,
    &g3::VencChnStat::LAYOUT,
    &g3::VencGopAttr::LAYOUT,
    &g3::VencGopNormalp::LAYOUT,
    &g3::VencPack::LAYOUT,
    &g3::VencPackInfo::LAYOUT,
    &g3::VencRcAttr::LAYOUT,
    &g3::VencStream::LAYOUT,
    &g3::ViChnAttr::LAYOUT,
    &g3::ViDevAttr::LAYOUT,
    &g3::ViUserpicAttr::LAYOUT,
    &g3::VideoFrame::LAYOUT,
    &g3::VideoFrameInfo::LAYOUT,
    &g3::VideoSupplement::LAYOUT,
    &g3::VoPubAttr::LAYOUT,
    &g3::VoVideoLayerAttr::LAYOUT,
    &g3::VpssChnAttr::LAYOUT,
    &g3::VpssChnMode::LAYOUT,
    &g3::VpssFrameRate::LAYOUT,
];

/// Of G3 before they grew.
const G3_EARLY: &[&Layout] = &[&g3::OverlayAttr::LAYOUT, &g3::RgnAttr::LAYOUT, &g3::VpssGrpAttr::LAYOUT];

/// Of G3 after.
const G3_LATE: &[&Layout] = &[
    &g3::late::OverlayAttr::LAYOUT,
    &g3::late::RgnAttr::LAYOUT,
    &g3::late::VpssGrpAttr::LAYOUT,
    &g3::VencAttrH264Qvbr::LAYOUT,
];

#[cfg(test)]
mod tests {
    extern crate std;
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_structure_is_there_twice_and_none_is_forgotten_within_another() {
        for dialect in Dialect::ALL {
            let tags: BTreeSet<_> = structures(dialect).map(|layout| layout.vendor).collect();
            assert_eq!(tags.len(), structures(dialect).count(), "{dialect:?}");
            for member in structures(dialect).flat_map(|layout| layout.members) {
                if let Some(inner) = member.inner {
                    assert!(tags.contains(inner.vendor), "{dialect:?} {}", inner.vendor);
                    assert!(
                        structures(dialect).any(|layout| layout == inner),
                        "{dialect:?} {}",
                        inner.vendor
                    );
                }
            }
        }
    }
}
