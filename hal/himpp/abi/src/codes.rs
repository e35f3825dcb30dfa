//! Enumeration values: those that differ, and those that do not.
//!
//! Public headers: `hi_common.h`, `hi_comm_rc.h`, `hi_comm_video.h`, `hi_comm_vpss.h`, `hi_comm_venc.h`, `hi_comm_vi.h`,
//! `hi_comm_vo.h`.

use crate::generation::Dialect;

/// Values that differ from dialect to dialect; `None` if there is no such thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codes {
    /// Module number of regions.
    pub mod_rgn: i32,
    /// Module number of the processing between input and encoder.
    pub mod_vpss: i32,
    /// Module number of encoders. G1 and the others exchange it with `mod_vpss`: a wrong binding may succeed.
    pub mod_venc: i32,

    /// H.264, constant bit rate.
    pub rc_h264_cbr: i32,
    /// H.264, variable bit rate.
    pub rc_h264_vbr: i32,
    /// H.264, variable bit rate that follows the scene.
    pub rc_h264_avbr: Option<i32>,
    /// H.264, variable bit rate towards a quality.
    pub rc_h264_qvbr: Option<i32>,
    /// H.264, one quality.
    pub rc_h264_fixqp: i32,
    /// H.264, a quality for each block.
    pub rc_h264_qpmap: Option<i32>,
    /// Motion JPEG, constant bit rate.
    pub rc_mjpeg_cbr: i32,
    /// Motion JPEG, variable bit rate.
    pub rc_mjpeg_vbr: i32,
    /// Motion JPEG, one quality.
    pub rc_mjpeg_fixqp: i32,
    /// H.265, constant bit rate.
    pub rc_h265_cbr: Option<i32>,
    /// H.265, variable bit rate.
    pub rc_h265_vbr: Option<i32>,
    /// H.265, variable bit rate that follows the scene.
    pub rc_h265_avbr: Option<i32>,
    /// H.265, one quality.
    pub rc_h265_fixqp: Option<i32>,

    /// Pixels: luma in one plane, both chroma values in another of half its width and height.
    pub semiplanar_420: i32,
    /// Pixels: luma in one plane, both chroma values in another of half its width.
    pub semiplanar_422: i32,

    /// No de-interlacing.
    pub die_off: i32,
    /// De-interlacing where it helps.
    pub die_auto: i32,
    /// De-interlacing always.
    pub die_on: i32,

    /// NAL unit of a key picture that is an IDR picture.
    pub nalu_h264_idr: i32,
    /// NAL unit of an intra picture; on G1 and G2 that is the IDR picture.
    pub nalu_h264_i: i32,
    /// H.265: NAL unit of a key picture.
    pub nalu_h265_idr: Option<i32>,
    /// H.265: NAL unit of an intra picture.
    pub nalu_h265_i: Option<i32>,

    /// Payload of H.265.
    pub payload_h265: Option<i32>,

    /// Timings of screens.
    pub vo_sync: VoSync,
}

/// Timings of screens, `VO_INTF_SYNC_E`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoSync {
    /// 720 x 576, 50 fields.
    pub pal: i32,
    /// 720 x 480, 60 fields.
    pub ntsc: i32,
    /// 1920 x 1080, 25 frames.
    pub p1080_25: i32,
    /// 1920 x 1080, 30 frames.
    pub p1080_30: i32,
    /// 1920 x 1080, 50 frames.
    pub p1080_50: i32,
    /// 1920 x 1080, 60 frames.
    pub p1080_60: i32,
    /// 1280 x 720, 50 frames.
    pub p720_50: i32,
    /// 1280 x 720, 60 frames.
    pub p720_60: i32,
    /// 800 x 600, 60 frames.
    pub vga_800_600: i32,
    /// 1024 x 768, 60 frames.
    pub vga_1024_768: i32,
    /// 1280 x 1024, 60 frames.
    pub vga_1280_1024: i32,
    /// As `VO_PUB_ATTR_S` says.
    pub user: i32,
}

const G1: Codes = Codes {
    mod_rgn: 18,
    mod_vpss: 8,
    mod_venc: 7,
    rc_h264_cbr: 1,
    rc_h264_vbr: 2,
    rc_h264_avbr: None,
    rc_h264_qvbr: None,
    rc_h264_fixqp: 4,
    rc_h264_qpmap: None,
    rc_mjpeg_cbr: 5,
    rc_mjpeg_vbr: 6,
    rc_mjpeg_fixqp: 8,
    rc_h265_cbr: None,
    rc_h265_vbr: None,
    rc_h265_avbr: None,
    rc_h265_fixqp: None,
    semiplanar_420: 19,
    semiplanar_422: 18,
    die_off: 1,
    die_auto: 0,
    die_on: 2,
    nalu_h264_idr: 5,
    nalu_h264_i: 5,
    nalu_h265_idr: None,
    nalu_h265_i: None,
    payload_h265: None,
    vo_sync: VoSync {
        pal: 0,
        ntsc: 1,
        p1080_25: 3,
        p1080_30: 4,
        p1080_50: 9,
        p1080_60: 10,
        p720_50: 5,
        p720_60: 6,
        vga_800_600: 13,
        vga_1024_768: 14,
        vga_1280_1024: 15,
        user: 25,
    },
};

const G2: Codes = Codes {
    mod_rgn: 3,
    mod_vpss: 7,
    mod_venc: 8,
    rc_h264_cbr: 1,
    rc_h264_vbr: 2,
    rc_h264_avbr: Some(3),
    rc_h264_qvbr: None,
    rc_h264_fixqp: 5,
    rc_h264_qpmap: None,
    rc_mjpeg_cbr: 6,
    rc_mjpeg_vbr: 7,
    rc_mjpeg_fixqp: 9,
    rc_h265_cbr: Some(14),
    rc_h265_vbr: Some(15),
    rc_h265_avbr: Some(16),
    rc_h265_fixqp: Some(17),
    semiplanar_420: 23,
    semiplanar_422: 22,
    die_off: 0,
    die_auto: 1,
    die_on: 2,
    nalu_h264_idr: 5,
    nalu_h264_i: 5,
    nalu_h265_idr: Some(19),
    nalu_h265_i: Some(19),
    payload_h265: Some(value::PT_H265),
    vo_sync: VoSync {
        pal: 0,
        ntsc: 1,
        p1080_25: 5,
        p1080_30: 6,
        p1080_50: 11,
        p1080_60: 12,
        p720_50: 7,
        p720_60: 8,
        vga_800_600: 16,
        vga_1024_768: 17,
        vga_1280_1024: 18,
        user: 33,
    },
};

const G3_EARLY: Codes = Codes {
    rc_h264_fixqp: 4,
    rc_h264_qpmap: Some(5),
    rc_mjpeg_cbr: 6,
    rc_mjpeg_vbr: 7,
    rc_mjpeg_fixqp: 8,
    rc_h265_cbr: Some(9),
    rc_h265_vbr: Some(10),
    rc_h265_avbr: Some(11),
    rc_h265_fixqp: Some(12),
    nalu_h264_i: 2,
    nalu_h265_i: Some(2),
    ..G2
};

/// QVBR came in before the fixed quality of both codecs and moved all that follows.
const G3_LATE: Codes = Codes {
    rc_h264_qvbr: Some(4),
    rc_h264_fixqp: 5,
    rc_h264_qpmap: Some(6),
    rc_mjpeg_cbr: 7,
    rc_mjpeg_vbr: 8,
    rc_mjpeg_fixqp: 9,
    rc_h265_cbr: Some(10),
    rc_h265_vbr: Some(11),
    rc_h265_avbr: Some(12),
    rc_h265_fixqp: Some(14),
    ..G3_EARLY
};

impl Dialect {
    /// The values that differ.
    #[must_use]
    pub const fn codes(self) -> &'static Codes {
        match self {
            Self::G1 => &G1,
            Self::G2 => &G2,
            Self::G3Early => &G3_EARLY,
            Self::G3Late => &G3_LATE,
        }
    }
}

/// Values that are the same everywhere.
pub mod value {
    /// Module: pools of picture buffers.
    pub const MOD_VB: i32 = 1;
    /// Module: the platform as a whole.
    pub const MOD_SYS: i32 = 2;
    /// Module: decoders.
    pub const MOD_VDEC: i32 = 5;
    /// Module: groups of encoders; there is none of these from G2 on, though the number stays.
    pub const MOD_GROUP: i32 = 6;
    /// Module: video detection.
    pub const MOD_VDA: i32 = 9;
    /// Module: video output.
    pub const MOD_VOU: i32 = 15;
    /// Module: video input.
    pub const MOD_VIU: i32 = 16;
    /// Module: sound input.
    pub const MOD_AI: i32 = 21;
    /// Module: sound output.
    pub const MOD_AO: i32 = 22;
    /// Module: sound encoders.
    pub const MOD_AENC: i32 = 23;

    /// Payload: G.711 A-law as RTP numbers it; encoders take [`PT_G711A`].
    pub const PT_PCMA: i32 = 8;
    /// Payload: G.711 A-law.
    pub const PT_G711A: i32 = 19;
    /// Payload: G.711 µ-law.
    pub const PT_G711U: i32 = 20;
    /// Payload: single JPEGs.
    pub const PT_JPEG: i32 = 26;
    /// Payload: H.264.
    pub const PT_H264: i32 = 96;
    /// Payload: H.265; G2 and G3.
    pub const PT_H265: i32 = 265;
    /// Payload: motion JPEG.
    pub const PT_MJPEG: i32 = 1002;

    /// H.264 profile.
    pub const PROFILE_BASE: u32 = 0;
    /// H.264 profile.
    pub const PROFILE_MAIN: u32 = 1;
    /// H.264 profile.
    pub const PROFILE_HIGH: u32 = 2;

    /// Pixels of 16 bits: one of alpha, five of each colour.
    pub const ARGB1555: i32 = 8;
    /// Pixels of 32 bits.
    pub const RGB8888: i32 = 10;

    /// Video input: BT.656.
    pub const VI_BT656: i32 = 0;
    /// Video input: BT.601.
    pub const VI_BT601: i32 = 1;
    /// Video input: digital camera.
    pub const VI_DIGITAL_CAMERA: i32 = 2;
    /// Video input: BT.1120 with luma and chroma on wires of their own.
    pub const VI_BT1120_STANDARD: i32 = 3;
    /// Video input: BT.1120 with luma and chroma on the same wires.
    pub const VI_BT1120_INTERLEAVED: i32 = 4;
    /// Video input: one channel on its wires.
    pub const VI_MULTIPLEX_1: i32 = 0;
    /// Video input: two channels on the same wires.
    pub const VI_MULTIPLEX_2: i32 = 1;
    /// Video input: four channels on the same wires.
    pub const VI_MULTIPLEX_4: i32 = 2;
    /// Video input: fields.
    pub const VI_INTERLACED: i32 = 0;
    /// Video input: frames.
    pub const VI_PROGRESSIVE: i32 = 1;
    /// Video input: both fields are taken.
    pub const VI_CAPTURE_BOTH: i32 = 2;
    /// Video input: order Y U Y V.
    pub const VI_SEQUENCE_YUYV: i32 = 2;

    /// VPSS channel: follows what is bound to it.
    pub const VPSS_AUTO: i32 = 0;
    /// VPSS channel: has a size of its own.
    pub const VPSS_USER: i32 = 1;

    /// NAL unit, H.264: a picture that depends on others.
    pub const NALU_H264_P: i32 = 1;
    /// NAL unit, H.264: supplemental information.
    pub const NALU_H264_SEI: i32 = 6;
    /// NAL unit, H.264: sequence parameters.
    pub const NALU_H264_SPS: i32 = 7;
    /// NAL unit, H.264: picture parameters.
    pub const NALU_H264_PPS: i32 = 8;
    /// NAL unit, H.265: a picture that depends on others.
    pub const NALU_H265_P: i32 = 1;
    /// NAL unit, H.265: video parameters.
    pub const NALU_H265_VPS: i32 = 32;
    /// NAL unit, H.265: sequence parameters.
    pub const NALU_H265_SPS: i32 = 33;
    /// NAL unit, H.265: picture parameters.
    pub const NALU_H265_PPS: i32 = 34;
    /// NAL unit, H.265: supplemental information.
    pub const NALU_H265_SEI: i32 = 39;
    /// JPEG: the picture.
    pub const JPEG_PICTURE: i32 = 8;

    /// Region: a bitmap.
    pub const RGN_OVERLAY: i32 = 0;
    /// Region: hides what is below.
    pub const RGN_COVER: i32 = 1;
    /// Region: hides what is below, drawn by another unit.
    pub const RGN_COVER_EX: i32 = 2;
    /// Region: a bitmap, drawn by another unit.
    pub const RGN_OVERLAY_EX: i32 = 3;

    /// Sound: I2S, clock from here.
    pub const AIO_I2S_MASTER: i32 = 0;
    /// Sound: I2S, clock from the other side.
    pub const AIO_I2S_SLAVE: i32 = 1;
    /// Sound: samples of 16 bits.
    pub const AUDIO_16_BIT: i32 = 1;
    /// Sound: one channel.
    pub const AUDIO_MONO: i32 = 0;

    /// Detection: motion.
    pub const VDA_MOTION: i32 = 0;
    /// Detection: against a background that is learned.
    pub const VDA_BACKGROUND: i32 = 0;
    /// Detection: against the picture before.
    pub const VDA_REFERENCE: i32 = 1;
    /// Detection: blocks of 8 pixels.
    pub const VDA_BLOCK_8: i32 = 0;
    /// Detection: blocks of 16 pixels.
    pub const VDA_BLOCK_16: i32 = 1;
    /// Detection: sums of 8 bits.
    pub const VDA_SAD_8_BIT: i32 = 0;
    /// Detection: sums of 16 bits.
    pub const VDA_SAD_16_BIT: i32 = 1;

    /// Video output: composite.
    pub const VO_CVBS: i32 = 1;
    /// Video output: VGA.
    pub const VO_VGA: i32 = 1 << 2;
    /// Video output: HDMI.
    pub const VO_HDMI: i32 = 1 << 5;
}
