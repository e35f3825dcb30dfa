//! Video output: timing, and a channel's place on the screen.
//!
//! Public header: `hi_comm_vo.h`.

use super::geometry::Rect;
use crate::layout::layout;

layout! {
    /// A screen's timing; read by the library only if the interface's timing is "user".
    pub struct VoSyncInfo = "tagVO_SYNC_INFO_S", 48 {
        /// 0 is timing of its own lines, 1 is within the data.
        0 sync_embedded: i32 = "bSynm",
        /// 0 is interlaced, 1 is progressive.
        4 progressive: i32 = "bIop",
        /// Width of the interface's data.
        8 interface_width: u8 = "u8Intfb",
        /// Active lines.
        10 vertical_active: u16 = "u16Vact",
        /// Lines after the active ones.
        12 vertical_back: u16 = "u16Vbb",
        /// Lines before the active ones.
        14 vertical_front: u16 = "u16Vfb",
        /// Active pixels.
        16 horizontal_active: u16 = "u16Hact",
        /// Pixels after the active ones.
        18 horizontal_back: u16 = "u16Hbb",
        /// Pixels before the active ones.
        20 horizontal_front: u16 = "u16Hfb",
        /// Where the bottom field's synchronisation begins, pixels.
        22 horizontal_middle: u16 = "u16Hmid",
        /// Active lines, bottom field.
        24 bottom_vertical_active: u16 = "u16Bvact",
        /// Lines after the active ones, bottom field.
        26 bottom_vertical_back: u16 = "u16Bvbb",
        /// Lines before the active ones, bottom field.
        28 bottom_vertical_front: u16 = "u16Bvfb",
        /// Pixels of the horizontal pulse.
        30 horizontal_pulse: u16 = "u16Hpw",
        /// Lines of the vertical pulse.
        32 vertical_pulse: u16 = "u16Vpw",
        /// Whether validity is active low.
        36 valid_low: i32 = "bIdv",
        /// Whether the horizontal pulse is active low.
        40 horizontal_low: i32 = "bIhs",
        /// Whether the vertical pulse is active low.
        44 vertical_low: i32 = "bIvs",
    }
}

layout! {
    /// A channel's place on its layer.
    pub struct VoChnAttr = "hiVO_CHN_ATTR_S", 24 {
        /// Higher lies on top.
        0 priority: u32 = "u32Priority",
        /// Where it lies, pixels of the layer.
        4 rect: Rect = "stRect",
        /// Whether flicker is filtered.
        20 deflicker: i32 = "bDeflicker",
    }
}
