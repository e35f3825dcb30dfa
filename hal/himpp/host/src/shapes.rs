//! What each structure looks like in one generation: plans in, bytes out.
//!
//! The steps of a pipeline are the same everywhere (`channel.rs`, `encoder.rs`); which structures they take is behind this
//! trait. One implementation a generation; the third takes from the second what did not change.
//!
//! Does not belong here: calling anything.

use mpp_abi::common::{self, MppChn, Point, Size};
use mpp_abi::{Addr32, Codes, g2, value};
use mpp_wire::{Codec, DevicePlan, InputPlan, Interface, Multiplex, RatePlan, Rect, StreamPlan};

use crate::param::Param;

/// A piece of an encoded picture in the library's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) address: u32,
    pub(crate) bytes: u32,
}

/// An encoded picture that the library has handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    /// Microseconds of the platform's clock.
    pub(crate) pts: u64,
    /// Counts the encoder's pictures.
    pub(crate) sequence: u32,
    /// Whether one of its packs is of a kind that decoding can start at.
    pub(crate) keyframe: bool,
    /// In the order of the stream.
    pub(crate) pieces: Vec<Piece>,
}

/// `VI_DEV_ATTR_S.s32AdChnId`: the decoder's channels as they come.
pub(crate) const IN_ORDER: [i32; 4] = [-1; 4];
/// `u32FgAlpha` of 0 to 128.
pub(crate) const OPAQUE: u32 = 128;
/// A frame rate that is not changed.
pub(crate) const UNCHANGED: i32 = -1;
/// Frames that sound devices and encoders keep: what the vendor's samples take.
pub(crate) const SOUND_FRAMES: u32 = 30;

/// The size of a monitor and how often it shows a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Monitor {
    pub(crate) width: u16,
    pub(crate) height: u16,
    pub(crate) frame_rate: u8,
}

/// One generation's structures. What is given here is what the second and the third share; the first has others.
pub(crate) trait Shapes: Send {
    /// Numbers that differ by generation.
    fn codes(&self) -> &'static Codes;

    /// `VI_DEV_ATTR_S`.
    fn device(&self, plan: &DevicePlan) -> Param {
        Param::new(g2::ViDevAttr {
            interface: interface(plan),
            work_mode: work_mode(plan),
            component_mask: plan.mask,
            clock_edge: i32::from(plan.double_edge),
            decoder_channels: IN_ORDER,
            data_sequence: value::VI_SEQUENCE_YUYV,
            ..g2::ViDevAttr::default()
        })
    }

    /// `VI_CHN_ATTR_S`.
    fn input(&self, plan: &InputPlan) -> Param {
        Param::new(g2::ViChnAttr {
            capture: whole(plan),
            size: size(plan.width, plan.height),
            fields: value::VI_CAPTURE_BOTH,
            scan_mode: i32::from(!plan.interlaced),
            pixel_format: self.codes().semiplanar_420,
            source_frame_rate: UNCHANGED,
            target_frame_rate: UNCHANGED,
            ..g2::ViChnAttr::default()
        })
    }

    /// `VI_USERPIC_ATTR_S`: one colour.
    fn user_picture(&self, rgb: u32) -> Param {
        Param::new(g2::ViUserpicAttr::colour(rgb))
    }

    /// `VPSS_GRP_ATTR_S`.
    fn group(&self, plan: &InputPlan) -> Param {
        Param::new(group_attr(self.codes(), plan))
    }

    /// `VPSS_CHN_ATTR_S`.
    fn output(&self) -> Param {
        Param::new(g2::VpssChnAttr::default())
    }

    /// `VPSS_CHN_MODE_S`: scaled to that size.
    fn output_size(&self, width: u16, height: u16) -> Param {
        Param::new(g2::VpssChnMode {
            mode: value::VPSS_USER,
            width: width.into(),
            height: height.into(),
            frame_rate: g2::VpssFrameRate { source: UNCHANGED, target: UNCHANGED },
            pixel_format: self.codes().semiplanar_420,
            ..g2::VpssChnMode::default()
        })
    }

    /// `VENC_CHN_ATTR_S`: video at a constant bit rate.
    fn encoder(&self, plan: &StreamPlan, input: &InputPlan) -> Param;

    /// `VENC_CHN_ATTR_S`: single JPEGs.
    fn snapshot(&self, width: u16, height: u16) -> Param;

    /// `VENC_CHN_STAT_S`, to be filled in.
    fn status(&self) -> Param {
        Param::new(g2::VencChnStat::default())
    }

    /// How many packs the next picture has; 0 while there is none.
    fn waiting_packs(&self, status: &Param) -> u32 {
        status.get::<g2::VencChnStat>().packs
    }

    /// An array of `VENC_PACK_S`, to be filled in.
    fn packs(&self, count: usize) -> Param {
        Param::array(&vec![g2::VencPack::default(); count])
    }

    /// `VENC_STREAM_S` with room for that many packs at that address.
    fn stream(&self, packs: Addr32, count: u32) -> Param;

    /// What a stream and its packs hold. At most `room` packs are believed.
    fn picture(&self, codec: Option<Codec>, stream: &Param, packs: &Param, room: u32) -> Picture;

    /// `RGN_ATTR_S` of a bitmap, on an encoder's picture or (`external`) on the monitor.
    fn bitmap_region(&self, place: Rect, external: bool) -> Param {
        Param::new(bitmap_attr(place, external))
    }

    /// `RGN_CHN_ATTR_S` of a bitmap.
    fn bitmap_place(&self, place: Rect, layer: u32, external: bool) -> Param;

    /// `RGN_ATTR_S` of a cover.
    fn cover_region(&self) -> Param {
        Param::new(g2::RgnAttr::cover())
    }

    /// `RGN_CHN_ATTR_S` of a cover: black.
    fn cover_place(&self, place: Rect, layer: u32) -> Param;

    /// `AIO_ATTR_S`: a device that brings `channels`.
    fn sound_device(&self, sample_rate: u32, channels: u32) -> Param {
        Param::new(g2::AioAttr {
            sample_rate: sample_rate as i32,
            bit_width: value::AUDIO_16_BIT,
            work_mode: value::AIO_I2S_SLAVE,
            expand: 1,
            frames: SOUND_FRAMES,
            samples_per_frame: samples_per_frame(sample_rate),
            channels,
            clock_channels: channels,
            ..g2::AioAttr::default()
        })
    }

    /// `AENC_CHN_ATTR_S`: G.711 A-law; its own attribute is at that address.
    fn sound_encoder(&self, sample_rate: u32, attr: Addr32) -> Param {
        Param::new(g2::AencChnAttr {
            payload: value::PT_G711A,
            samples_per_frame: samples_per_frame(sample_rate),
            frames: SOUND_FRAMES,
            attr,
        })
    }

    /// `VO_PUB_ATTR_S`: HDMI and VGA at that timing.
    fn monitor(&self, monitor: Monitor) -> Param {
        Param::new(g2::VoPubAttr {
            interface: value::VO_HDMI | value::VO_VGA,
            sync: monitor.sync(self.codes()),
            ..g2::VoPubAttr::default()
        })
    }

    /// `VO_VIDEO_LAYER_ATTR_S`: the whole monitor.
    fn layer(&self, monitor: Monitor) -> Param {
        Param::new(g2::VoVideoLayerAttr {
            display: monitor.area(),
            image: size(monitor.width, monitor.height),
            frame_rate: monitor.frame_rate.into(),
            pixel_format: self.codes().semiplanar_420,
            ..g2::VoVideoLayerAttr::default()
        })
    }

    /// Where an encoder takes its pictures, and where regions on its picture are attached.
    fn encoder_sink(&self, encoder: i32) -> MppChn {
        MppChn::new(self.codes().mod_venc, 0, encoder)
    }

    /// Whether encoders are in groups that pictures are sent to.
    fn has_encoder_groups(&self) -> bool {
        false
    }
}

impl Monitor {
    /// `VO_INTF_SYNC_E`.
    pub(crate) fn sync(self, codes: &Codes) -> i32 {
        match (self.height, self.frame_rate) {
            (720, 50) => codes.vo_sync.p720_50,
            (720, _) => codes.vo_sync.p720_60,
            (_, 50) => codes.vo_sync.p1080_50,
            _ => codes.vo_sync.p1080_60,
        }
    }

    pub(crate) fn area(self) -> common::Rect {
        common::Rect { x: 0, y: 0, width: self.width.into(), height: self.height.into() }
    }
}

/// `VI_INTF_MODE_E`.
pub(crate) fn interface(plan: &DevicePlan) -> i32 {
    match plan.interface {
        Interface::Bt656 => value::VI_BT656,
        Interface::Bt1120 => value::VI_BT1120_STANDARD,
    }
}

/// `VI_WORK_MODE_E`.
pub(crate) fn work_mode(plan: &DevicePlan) -> i32 {
    match plan.multiplex {
        Multiplex::One => value::VI_MULTIPLEX_1,
        Multiplex::Two => value::VI_MULTIPLEX_2,
        Multiplex::Four => value::VI_MULTIPLEX_4,
    }
}

/// `VPSS_DIE_MODE_E`: fields are woven together where there are any.
pub(crate) fn deinterlace(codes: &Codes, plan: &InputPlan) -> i32 {
    if plan.interlaced { codes.die_auto } else { codes.die_off }
}

/// `RGN_TYPE_E` of a bitmap.
pub(crate) fn bitmap_kind(external: bool) -> i32 {
    if external { value::RGN_OVERLAY_EX } else { value::RGN_OVERLAY }
}

pub(crate) fn whole(plan: &InputPlan) -> common::Rect {
    common::Rect { x: 0, y: 0, width: plan.width.into(), height: plan.height.into() }
}

pub(crate) fn size(width: u16, height: u16) -> Size {
    Size { width: width.into(), height: height.into() }
}

pub(crate) fn rect(place: Rect) -> common::Rect {
    common::Rect {
        x: place.x.into(),
        y: place.y.into(),
        width: place.width.into(),
        height: place.height.into(),
    }
}

/// 20 ms, as RFC 3551 recommends for G.711.
pub(crate) fn samples_per_frame(sample_rate: u32) -> u32 {
    sample_rate / 50
}

/// Bytes of an encoder's stream buffer: what the vendor's samples take.
pub(crate) fn stream_buffer(width: u16, height: u16) -> u32 {
    u32::from(width) * u32::from(height) * 2
}

/// What rate control is told of the pictures that come and go: `(source, target)` a second.
pub(crate) fn frame_rates(rate: &RatePlan, input: &InputPlan) -> (u32, u32) {
    let source = u32::from(input.frame_rate);
    (source, u32::from(rate.frame_rate).min(source))
}

/// A scaler as the second generation has it, and the third before it grew.
pub(crate) fn group_attr(codes: &Codes, plan: &InputPlan) -> g2::VpssGrpAttr {
    g2::VpssGrpAttr {
        max_width: plan.width.into(),
        max_height: plan.height.into(),
        pixel_format: codes.semiplanar_420,
        denoise: 1,
        deinterlace: deinterlace(codes, plan),
        ..g2::VpssGrpAttr::default()
    }
}

/// A bitmap's region as the second generation has it, and the third before it grew.
pub(crate) fn bitmap_attr(place: Rect, external: bool) -> g2::RgnAttr {
    let overlay = g2::OverlayAttr {
        pixel_format: value::ARGB1555,
        size: size(place.width, place.height),
        ..g2::OverlayAttr::default()
    };
    g2::RgnAttr { kind: bitmap_kind(external), overlay }
}

/// What both H.264 and H.265 encoders are told.
pub(crate) struct Coded {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) buffer: u32,
    pub(crate) profile: u32,
}

pub(crate) fn coded(plan: &StreamPlan) -> Coded {
    Coded {
        width: plan.width.into(),
        height: plan.height.into(),
        buffer: stream_buffer(plan.width, plan.height),
        profile: value::PROFILE_HIGH,
    }
}

/// Rate control of the second and third generation: a constant bit rate.
pub(crate) fn constant_rate(
    codes: &Codes,
    plan: &StreamPlan,
    input: &InputPlan,
) -> (i32, g2::VencAttrH264Cbr) {
    let (source_frame_rate, target_frame_rate) = frame_rates(&plan.rate, input);
    let rate = g2::VencAttrH264Cbr {
        gop: plan.rate.gop_frames.into(),
        stat_time: RATE_SECONDS,
        source_frame_rate,
        target_frame_rate,
        bit_rate: plan.rate.kbit_per_sec,
        ..g2::VencAttrH264Cbr::default()
    };
    let mode = match plan.codec {
        Codec::H264 => codes.rc_h264_cbr,
        Codec::H265 => codes.rc_h265_cbr.unwrap_or(codes.rc_h264_cbr),
    };
    (mode, rate)
}

/// A JPEG encoder of the second and third generation.
pub(crate) fn snapshot_attr(width: u16, height: u16) -> g2::VencAttrJpeg {
    g2::VencAttrJpeg {
        max_width: width.into(),
        max_height: height.into(),
        buffer_size: stream_buffer(width, height),
        by_frame: 1,
        width: width.into(),
        height: height.into(),
        thumbnail: 0,
    }
}

/// A bitmap's place in the second and third generation.
pub(crate) fn bitmap_point(place: Rect, layer: u32) -> g2::OverlayChnAttr {
    g2::OverlayChnAttr {
        point: Point { x: place.x.into(), y: place.y.into() },
        foreground_alpha: OPAQUE,
        layer,
        ..g2::OverlayChnAttr::default()
    }
}

/// A picture of the second and third generation, whose packs are one piece each.
pub(crate) fn picture_of(
    codes: &Codes,
    codec: Option<Codec>,
    sequence: u32,
    count: u32,
    packs: &Param,
) -> Picture {
    let packs: Vec<g2::VencPack> = (0..count as usize).map(|number| packs.at(number)).collect();
    Picture {
        pts: packs.first().map_or(0, |pack| pack.pts),
        sequence,
        keyframe: packs.iter().any(|pack| starts(codes, codec, pack.data_type)),
        pieces: packs
            .iter()
            .flat_map(|pack| behind(pack.offset, [(pack.data.0, pack.length), (0, 0)]))
            .collect(),
    }
}

/// Whether decoding can start at a pack of that kind. H.265 says so by the parameter sets that go before.
pub(crate) fn starts(codes: &Codes, codec: Option<Codec>, data_type: i32) -> bool {
    match codec {
        Some(Codec::H264) => data_type == codes.nalu_h264_idr,
        Some(Codec::H265) => data_type == value::NALU_H265_VPS,
        // Each JPEG stands for itself.
        None => true,
    }
}

/// Over how many seconds a bit rate is kept.
pub(crate) const RATE_SECONDS: u32 = 1;

/// The parts of two pieces behind `offset` bytes that are not the stream's: a pack of the first generation may wrap.
pub(crate) fn behind(offset: u32, pieces: [(u32, u32); 2]) -> impl Iterator<Item = Piece> {
    let mut skip = offset;
    pieces.into_iter().filter_map(move |(address, bytes)| {
        let skipped = skip.min(bytes);
        skip -= skipped;
        (bytes > skipped).then(|| Piece { address: address.wrapping_add(skipped), bytes: bytes - skipped })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(offset: u32, first: u32, second: u32) -> Vec<(u32, u32)> {
        behind(offset, [(100, first), (20, second)]).map(|piece| (piece.address, piece.bytes)).collect()
    }

    #[test]
    fn an_offset_is_skipped_wherever_the_pack_wraps() {
        assert_eq!(pieces(0, 10, 0), [(100, 10)]);
        assert_eq!(pieces(4, 10, 5), [(104, 6), (20, 5)]);
        assert_eq!(pieces(12, 10, 5), [(22, 3)]);
        assert_eq!(pieces(99, 10, 5), []);
    }
}
