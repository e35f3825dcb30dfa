//! Sound: frames, encoded sound, G.711.
//!
//! Public headers: `hi_comm_aio.h`, `hi_comm_aenc.h`.

use crate::addr::Addr32;
use crate::layout::layout;

layout! {
    /// What a G.711 encoder wants to know: nothing.
    pub struct AencAttrG711 = "hiAENC_ATTR_G711_S", 4 {
        /// Zero.
        0 reserved: u32 = "resv",
    }
}

layout! {
    /// Encoded sound.
    pub struct AudioStream = "hiAUDIO_STREAM_S", 32 {
        /// The bytes.
        0 data: Addr32 = "pStream",
        /// Their physical address.
        4 physical: Addr32 = "u32PhyAddr",
        /// How many.
        8 length: u32 = "u32Len",
        /// Microseconds of the platform's clock.
        16 timestamp: u64 = "u64TimeStamp",
        /// Counts up by one a frame.
        24 sequence: u32 = "u32Seq",
    }
}

layout! {
    /// Sound as samples.
    pub struct AudioFrame = "hiAUDIO_FRAME_S", 48 {
        /// Bits of a sample: 0 is 8, 1 is 16.
        0 bit_width: i32 = "enBitwidth",
        /// 0 is mono, 1 is stereo.
        4 sound_mode: i32 = "enSoundmode",
        /// Samples of the left and of the right.
        8 data: [Addr32; 2] = "pVirAddr",
        /// Their physical addresses.
        16 physical: [Addr32; 2] = "u32PhyAddr",
        /// Microseconds of the platform's clock.
        24 timestamp: u64 = "u64TimeStamp",
        /// Counts up by one a frame.
        32 sequence: u32 = "u32Seq",
        /// Bytes of one side.
        36 length: u32 = "u32Len",
        /// The pools that the samples lie in.
        40 pools: [u32; 2] = "u32PoolId",
    }
}
