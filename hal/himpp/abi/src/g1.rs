//! G1, the "group" generation: Hi3520D, Hi3520DV200.

mod io;
mod picture;
mod rate;
mod region;
mod venc;

pub use io::{AencChnAttr, AioAttr, ViChnAttr, ViDevAttr, VoPubAttr, VoVideoLayerAttr};
pub use picture::{
    ViUserpicAttr, VideoFrame, VideoFrameInfo, VpssChnAttr, VpssChnMode, VpssFrame, VpssGrpAttr,
};
pub use rate::{
    VencAttrH264Cbr, VencAttrH264Fixqp, VencAttrH264Vbr, VencAttrMjpegCbr, VencAttrMjpegFixqp,
    VencAttrMjpegVbr,
};
pub use region::{
    CoverChnAttr, OverlayAttr, OverlayChnAttr, OverlayInvertColor, OverlayQpInfo, RgnAttr, RgnChnAttr,
};
pub use venc::{
    VencAttr, VencAttrH264, VencAttrJpeg, VencAttrMjpeg, VencChnAttr, VencChnStat, VencPack, VencRcAttr,
    VencStream,
};
