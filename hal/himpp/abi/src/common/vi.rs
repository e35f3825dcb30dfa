//! Timing of a video input that has lines of its own for it.
//!
//! All zero for BT.656, where the timing is in the data. Public header: `hi_comm_vi.h`.

use crate::layout::layout;

layout! {
    /// Blanking of a picture: pixels of a line, lines of a field.
    pub struct ViTimingBlank = "hiVI_TIMING_BLANK_S", 36 {
        /// Pixels before the active ones.
        0 horizontal_front: u32 = "u32HsyncHfb",
        /// Active pixels.
        4 horizontal_active: u32 = "u32HsyncAct",
        /// Pixels after the active ones.
        8 horizontal_back: u32 = "u32HsyncHbb",
        /// Lines before the active ones; of the odd field if there are two.
        12 vertical_front: u32 = "u32VsyncVfb",
        /// Active lines.
        16 vertical_active: u32 = "u32VsyncVact",
        /// Lines after the active ones.
        20 vertical_back: u32 = "u32VsyncVbb",
        /// Lines before the active ones, even field.
        24 even_vertical_front: u32 = "u32VsyncVbfb",
        /// Active lines, even field.
        28 even_vertical_active: u32 = "u32VsyncVbact",
        /// Lines after the active ones, even field.
        32 even_vertical_back: u32 = "u32VsyncVbbb",
    }
}

layout! {
    /// What the synchronising lines mean.
    pub struct ViSyncCfg = "hiVI_SYNC_CFG_S", 60 {
        /// Vertical: 0 changes with the field, 1 is a pulse.
        0 vsync: i32 = "enVsync",
        /// Vertical: 0 is active high, 1 low.
        4 vsync_low: i32 = "enVsyncNeg",
        /// Horizontal: 0 says that data is valid, 1 is a pulse.
        8 hsync: i32 = "enHsync",
        /// Horizontal: 0 is active high, 1 low.
        12 hsync_low: i32 = "enHsyncNeg",
        /// Vertical validity: 0 is a pulse, 1 a level.
        16 vsync_valid: i32 = "enVsyncValid",
        /// Vertical validity: 0 is active high, 1 low.
        20 vsync_valid_low: i32 = "enVsyncValidNeg",
        /// Blanking.
        24 blank: ViTimingBlank = "stTimingBlank",
    }
}
