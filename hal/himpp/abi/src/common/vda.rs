//! Motion detection: what to look at, and how much changed where.
//!
//! Public header: `hi_comm_vda.h`. The other mode, objects left and taken, is not described.

use crate::addr::Addr32;
use crate::layout::layout;
use crate::words::{union, words};

layout! {
    /// How motion is looked for.
    pub struct VdaMdAttr = "hiVDA_MD_ATTR_S", 36 {
        /// Against what: 0 a background that is learned, 1 the picture before.
        0 algorithm: i32 = "enVdaAlg",
        /// Edge of a block: 0 is 8 pixels, 1 is 16.
        4 block_size: i32 = "enMbSize",
        /// Bits of a block's sum of differences: 0 is 8, 1 is 16.
        8 sad_bits: i32 = "enMbSadBits",
        /// Reference: 0 is updated, 1 stays, 2 comes from the user.
        12 reference: i32 = "enRefMode",
        /// Results that are kept until they are fetched: 1 to 16.
        16 buffers: u32 = "u32MdBufNum",
        /// Pictures from one look to the next, 0 up.
        20 interval: u32 = "u32VdaIntvl",
        /// How much of the picture goes into the background, 1 to 256.
        24 background_weight: u32 = "u32BgUpSrcWgt",
        /// From which sum of differences on a block has moved.
        28 threshold: u32 = "u32SadTh",
        /// Objects that are reported at most, 1 to 128.
        32 max_objects: u32 = "u32ObjNumMax",
    }
}

layout! {
    /// A channel that looks for motion.
    pub struct VdaChnAttr = "hiVDA_CHN_ATTR_S", 168 {
        /// 0 is motion, 1 is objects left and taken.
        0 work_mode: i32 = "enWorkMode",
        /// What that mode wants to know.
        4 attr: [u32; 39] = "unAttr",
        /// Pixels across.
        160 width: u32 = "u32Width",
        /// Pixels down.
        164 height: u32 = "u32Height",
    }
}

layout! {
    /// The sums of differences, a grid of blocks.
    pub struct VdaMbSadData = "hiVDA_MB_SAD_DATA_S", 12 {
        /// First row.
        0 data: Addr32 = "pAddr",
        /// Bytes from one row to the next.
        4 stride: u32 = "u32Stride",
        /// Bits of one sum: 0 is 8, 1 is 16.
        8 sad_bits: i32 = "enMbSadBits",
    }
}

layout! {
    /// An object's rectangle, pixels.
    pub struct VdaObj = "hiVDA_OBJ_S", 8 {
        /// First column.
        0 left: u16 = "u16Left",
        /// First row.
        2 top: u16 = "u16Top",
        /// Last column.
        4 right: u16 = "u16Right",
        /// Last row.
        6 bottom: u16 = "u16Bottom",
    }
}

layout! {
    /// Objects that moved.
    pub struct VdaObjData = "hiVDA_OBJ_DATA_S", 20 {
        /// How many.
        0 count: u32 = "u32ObjNum",
        /// The first [`VdaObj`].
        4 objects: Addr32 = "pstAddr",
        /// Which is the largest.
        8 largest: u32 = "u32IndexOfMaxObj",
        /// Pixels of the largest.
        12 largest_size: u32 = "u32SizeOfMaxObj",
        /// Pixels of all.
        16 total_size: u32 = "u32SizeOfTotalObj",
    }
}

layout! {
    /// What motion detection found.
    pub struct VdaMdData = "hiVDA_MD_DATA_S", 48 {
        /// Whether `sad` is filled in.
        0 sad_valid: i32 = "bMbSadValid",
        /// Sums of differences.
        4 sad: VdaMbSadData = "stMbSadData",
        /// Whether `objects` is filled in.
        16 objects_valid: i32 = "bObjValid",
        /// Objects.
        20 objects: VdaObjData = "stObjData",
        /// Whether `alarm_pixels` is filled in.
        40 alarm_pixels_valid: i32 = "bPelsNumValid",
        /// Pixels in blocks over the threshold.
        44 alarm_pixels: u32 = "u32AlarmPixCnt",
    }
}

layout! {
    /// One look's result. The union holds what motion detection found; it is its largest variant.
    pub struct VdaData = "hiVDA_DATA_S", 72 {
        /// 0 is motion.
        0 work_mode: i32 = "enWorkMode",
        /// What was found.
        4 motion: VdaMdData = "unData",
        /// Edge of a block: 0 is 8 pixels, 1 is 16.
        52 block_size: i32 = "enMbSize",
        /// Blocks across.
        56 columns: u32 = "u32MbWidth",
        /// Blocks down.
        60 rows: u32 = "u32MbHeight",
        /// Microseconds of the platform's clock.
        64 pts: u64 = "u64Pts",
    }
}

words! {
    VdaMdAttr {
        algorithm: i32, block_size: i32, sad_bits: i32, reference: i32, buffers: u32, interval: u32,
        background_weight: u32, threshold: u32, max_objects: u32,
    }
}

union! { VdaChnAttr { work_mode, attr: 39 } holds VdaMdAttr }
