//! G3: Hi3531DV100, Hi3521DV100, Hi3536C, Hi3536DV100.
//!
//! What is not here but in [`late`] grew with 1.0.5.0.

mod rate;
mod region;
mod venc;

pub mod late;

pub use crate::g2::{
    AencChnAttr, AioAttr, AspectRatio, Border, OverlayAttr, OverlayChnAttr, OverlayInvertColor,
    OverlayQpInfo, RgnAttr, VencAttrH264Avbr, VencAttrH264Cbr, VencAttrJpeg, VencAttrMjpeg, VencAttrMjpegCbr,
    VencAttrMjpegFixqp, VencAttrMjpegVbr, VencChnStat, VencPack, VencPackInfo, ViChnAttr, ViDevAttr,
    ViUserpicAttr, VideoFrame, VideoFrameInfo, VideoSupplement, VoPubAttr, VoVideoLayerAttr, VpssChnAttr,
    VpssChnMode, VpssFrameRate, VpssGrpAttr,
};
pub use rate::{VencAttrH264Fixqp, VencAttrH264Qvbr, VencAttrH264Vbr};
pub use region::{CoverChnAttr, RgnChnAttr};
pub use venc::{
    VencAttr, VencAttrH264, VencAttrH265, VencChnAttr, VencGopAttr, VencGopNormalp, VencRcAttr, VencStream,
};
