//! G2: Hi3521A, Hi3520DV300, and what is built from the same tree.

mod io;
mod picture;
mod rate;
mod region;
mod venc;

pub use io::{AencChnAttr, AioAttr, ViChnAttr, ViDevAttr, VoPubAttr, VoVideoLayerAttr};
pub use picture::{
    AspectRatio, Border, ViUserpicAttr, VideoFrame, VideoFrameInfo, VideoSupplement, VpssChnAttr,
    VpssChnMode, VpssFrameRate, VpssGrpAttr,
};
pub use rate::{
    VencAttrH264Avbr, VencAttrH264Cbr, VencAttrH264Fixqp, VencAttrH264Vbr, VencAttrMjpegCbr,
    VencAttrMjpegFixqp, VencAttrMjpegVbr,
};
pub use region::{
    CoverChnAttr, OverlayAttr, OverlayChnAttr, OverlayInvertColor, OverlayQpInfo, RgnAttr, RgnChnAttr,
};
pub use venc::{
    VencAttr, VencAttrH264, VencAttrH265, VencAttrJpeg, VencAttrMjpeg, VencChnAttr, VencChnStat, VencPack,
    VencPackInfo, VencRcAttr, VencStream,
};
