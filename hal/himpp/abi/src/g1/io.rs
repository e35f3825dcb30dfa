//! G1: video input, video output, sound.
//!
//! Public headers: `hi_comm_vi.h`, `hi_comm_vo.h`, `hi_comm_aio.h`, `hi_comm_aenc.h`.

use crate::addr::Addr32;
use crate::common::{Rect, Size, ViSyncCfg, VoSyncInfo};
use crate::layout::layout;

layout! {
    /// A video input device.
    pub struct ViDevAttr = "hiVI_DEV_ATTR_S", 112 {
        /// What comes in ([`value::VI_BT656`](crate::value::VI_BT656)).
        0 interface: i32 = "enIntfMode",
        /// How many channels share the wires: 0 is one, 1 is two, 2 is four.
        4 work_mode: i32 = "enWorkMode",
        /// Which wires carry data.
        8 component_mask: [u32; 2] = "au32CompMask",
        /// 0 is interlaced, 1 progressive. G2 has the clock's edge here.
        16 scan_mode: i32 = "enScanMode",
        /// Channel of the decoder for each way; -1 is the order as it comes.
        20 decoder_channels: [i32; 4] = "s32AdChnId",
        /// Order of luma and chroma: 2 is Y U Y V.
        36 data_sequence: i32 = "enDataSeq",
        /// Synchronising lines.
        40 sync: ViSyncCfg = "stSynCfg",
        /// 0 goes past the image processor.
        100 data_path: i32 = "enDataPath",
        /// 0 is YUV.
        104 data_type: i32 = "enInputDataType",
        /// Whether the wires are in reverse order.
        108 data_reversed: i32 = "bDataRev",
    }
}

layout! {
    /// A video input channel.
    pub struct ViChnAttr = "hiVI_CHN_ATTR_S", 52 {
        /// What is cut out of the input.
        0 capture: Rect = "stCapRect",
        /// What it becomes.
        16 size: Size = "stDestSize",
        /// Fields: 0 top, 1 bottom, 2 both.
        24 fields: i32 = "enCapSel",
        /// Pixel format.
        28 pixel_format: i32 = "enPixFormat",
        /// Whether left and right are exchanged.
        32 mirror: i32 = "bMirror",
        /// Whether top and bottom are exchanged.
        36 flip: i32 = "bFlip",
        /// Whether chroma is resampled.
        40 chroma_resample: i32 = "bChromaResample",
        /// Pictures a second that come in; -1 leaves it.
        44 source_frame_rate: i32 = "s32SrcFrameRate",
        /// Pictures a second that go on; -1 leaves it.
        48 target_frame_rate: i32 = "s32FrameRate",
    }
}

layout! {
    /// A video output device.
    pub struct VoPubAttr = "hiVO_PUB_ATTR_S", 64 {
        /// Red, green, blue from the upper byte down.
        0 background: u32 = "u32BgColor",
        /// Interfaces as bits ([`value::VO_VGA`](crate::value::VO_VGA)).
        4 interface: i32 = "enIntfType",
        /// Timing ([`VoSync`](crate::VoSync)).
        8 sync: i32 = "enIntfSync",
        /// Timing if `sync` is "user".
        12 sync_info: VoSyncInfo = "stSyncInfo",
        /// Whether frames are doubled.
        60 double_frame: i32 = "bDoubleFrame",
    }
}

layout! {
    /// A layer of video on a screen.
    pub struct VoVideoLayerAttr = "hiVO_VIDEO_LAYER_ATTR_S", 32 {
        /// Where it lies on the screen.
        0 display: Rect = "stDispRect",
        /// Size that its channels are laid out in.
        16 image: Size = "stImageSize",
        /// Pictures a second.
        24 frame_rate: u32 = "u32DispFrmRt",
        /// Pixel format.
        28 pixel_format: i32 = "enPixFormat",
    }
}

layout! {
    /// A sound device.
    pub struct AioAttr = "hiAIO_ATTR_S", 36 {
        /// Samples a second, literally.
        0 sample_rate: i32 = "enSamplerate",
        /// Bits of a sample: 1 is 16.
        4 bit_width: i32 = "enBitwidth",
        /// 0 is I2S and master, 1 I2S and slave.
        8 work_mode: i32 = "enWorkmode",
        /// 0 is mono.
        12 sound_mode: i32 = "enSoundmode",
        /// 1 makes 16 bits of 8.
        16 expand: u32 = "u32EXFlag",
        /// Frames that are buffered.
        20 frames: u32 = "u32FrmNum",
        /// Samples of a frame.
        24 samples_per_frame: u32 = "u32PtNumPerFrm",
        /// Channels.
        28 channels: u32 = "u32ChnCnt",
        /// Whether the clock is shared with another device.
        32 clock_select: u32 = "u32ClkSel",
    }
}

layout! {
    /// A sound encoder.
    pub struct AencChnAttr = "hiAENC_CHN_ATTR_S", 12 {
        /// Payload ([`value::PT_G711A`](crate::value::PT_G711A)).
        0 payload: i32 = "enType",
        /// Frames that are buffered.
        4 frames: u32 = "u32BufSize",
        /// What the encoder wants to know, [`AencAttrG711`](crate::common::AencAttrG711).
        8 attr: Addr32 = "pValue",
    }
}
