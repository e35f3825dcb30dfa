//! Structures that all generations share.

mod audio;
mod geometry;
mod system;
mod vda;
mod vi;
mod vo;

pub use audio::{AencAttrG711, AudioFrame, AudioStream};
pub use geometry::{Bitmap, Point, Rect, Size};
pub use system::{MppChn, MppSysConf, MppVersion, VbConf, VbPool, VencRecvPicParam};
pub use vda::{VdaChnAttr, VdaData, VdaMbSadData, VdaMdAttr, VdaMdData, VdaObj, VdaObjData};
pub use vi::{ViSyncCfg, ViTimingBlank};
pub use vo::{VoChnAttr, VoSyncInfo};
