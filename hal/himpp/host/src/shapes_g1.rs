//! The first generation (Hi3520D): encoders in groups, packs that wrap.
//!
//! Does not belong here: what all share (`shapes.rs`).

use mpp_abi::common::{MppChn, Point};
use mpp_abi::{Addr32, Codes, Dialect, g1, value};
use mpp_wire::{Codec, DevicePlan, InputPlan, Rect, StreamPlan};

use crate::param::Param;
use crate::shapes::{
    IN_ORDER, Monitor, OPAQUE, Picture, RATE_SECONDS, SOUND_FRAMES, Shapes, UNCHANGED, behind, bitmap_kind,
    deinterlace, frame_rates, interface, rect, samples_per_frame, size, starts, stream_buffer, whole,
    work_mode,
};

pub(crate) struct G1(Dialect);

impl G1 {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self(dialect)
    }
}

impl Shapes for G1 {
    fn codes(&self) -> &'static Codes {
        self.0.codes()
    }

    fn device(&self, plan: &DevicePlan) -> Param {
        // Where later ones have the clock's edge stands the scan mode here.
        Param::new(g1::ViDevAttr {
            interface: interface(plan),
            work_mode: work_mode(plan),
            component_mask: plan.mask,
            scan_mode: value::VI_PROGRESSIVE,
            decoder_channels: IN_ORDER,
            data_sequence: value::VI_SEQUENCE_YUYV,
            ..g1::ViDevAttr::default()
        })
    }

    fn input(&self, plan: &InputPlan) -> Param {
        Param::new(g1::ViChnAttr {
            capture: whole(plan),
            size: size(plan.width, plan.height),
            fields: value::VI_CAPTURE_BOTH,
            pixel_format: self.codes().semiplanar_420,
            source_frame_rate: UNCHANGED,
            target_frame_rate: UNCHANGED,
            ..g1::ViChnAttr::default()
        })
    }

    fn user_picture(&self, rgb: u32) -> Param {
        Param::new(g1::ViUserpicAttr::colour(rgb))
    }

    fn group(&self, plan: &InputPlan) -> Param {
        Param::new(g1::VpssGrpAttr {
            max_width: plan.width.into(),
            max_height: plan.height.into(),
            pixel_format: self.codes().semiplanar_420,
            denoise: 1,
            deinterlace: deinterlace(self.codes(), plan),
            ..g1::VpssGrpAttr::default()
        })
    }

    fn output(&self) -> Param {
        Param::new(g1::VpssChnAttr::default())
    }

    fn output_size(&self, width: u16, height: u16) -> Param {
        Param::new(g1::VpssChnMode {
            mode: value::VPSS_USER,
            width: width.into(),
            height: height.into(),
            double: 0,
            pixel_format: self.codes().semiplanar_420,
        })
    }

    fn encoder(&self, plan: &StreamPlan, input: &InputPlan) -> Param {
        let (source_frame_rate, target_frame_rate) = frame_rates(&plan.rate, input);
        let encoder = g1::VencAttr::h264(&g1::VencAttrH264 {
            max_width: plan.width.into(),
            max_height: plan.height.into(),
            buffer_size: stream_buffer(plan.width, plan.height),
            profile: value::PROFILE_HIGH,
            by_frame: 1,
            main_stream: 1,
            width: plan.width.into(),
            height: plan.height.into(),
            ..g1::VencAttrH264::default()
        });
        let rate = g1::VencAttrH264Cbr {
            gop: plan.rate.gop_frames.into(),
            stat_time: RATE_SECONDS,
            source_frame_rate,
            target_frame_rate,
            bit_rate: plan.rate.kbit_per_sec,
            ..g1::VencAttrH264Cbr::default()
        };
        let rate = g1::VencRcAttr::of(self.codes().rc_h264_cbr, &rate);
        Param::new(g1::VencChnAttr { encoder, rate })
    }

    fn snapshot(&self, width: u16, height: u16) -> Param {
        let encoder = g1::VencAttr::jpeg(&g1::VencAttrJpeg {
            max_width: width.into(),
            max_height: height.into(),
            buffer_size: stream_buffer(width, height),
            by_frame: 1,
            width: width.into(),
            height: height.into(),
            ..g1::VencAttrJpeg::default()
        });
        Param::new(g1::VencChnAttr { encoder, ..g1::VencChnAttr::default() })
    }

    fn status(&self) -> Param {
        Param::new(g1::VencChnStat::default())
    }

    fn waiting_packs(&self, status: &Param) -> u32 {
        status.get::<g1::VencChnStat>().packs
    }

    fn packs(&self, count: usize) -> Param {
        Param::array(&vec![g1::VencPack::default(); count])
    }

    fn stream(&self, packs: Addr32, count: u32) -> Param {
        Param::new(g1::VencStream { packs, pack_count: count, ..g1::VencStream::default() })
    }

    fn picture(&self, codec: Option<Codec>, stream: &Param, packs: &Param, room: u32) -> Picture {
        let stream = stream.get::<g1::VencStream>();
        let packs: Vec<g1::VencPack> =
            (0..stream.pack_count.min(room) as usize).map(|number| packs.at(number)).collect();
        let piece = |pack: &g1::VencPack, half: usize| (pack.data[half].0, pack.length[half]);
        Picture {
            pts: packs.first().map_or(0, |pack| pack.pts),
            sequence: stream.sequence,
            keyframe: packs.iter().any(|pack| starts(self.codes(), codec, pack.data_type)),
            pieces: packs
                .iter()
                .flat_map(|pack| behind(pack.offset, [piece(pack, 0), piece(pack, 1)]))
                .collect(),
        }
    }

    fn bitmap_region(&self, place: Rect, external: bool) -> Param {
        let overlay = g1::OverlayAttr {
            pixel_format: value::ARGB1555,
            size: size(place.width, place.height),
            ..g1::OverlayAttr::default()
        };
        Param::new(g1::RgnAttr { kind: bitmap_kind(external), overlay })
    }

    fn bitmap_place(&self, place: Rect, layer: u32, external: bool) -> Param {
        let attr = g1::OverlayChnAttr {
            point: Point { x: place.x.into(), y: place.y.into() },
            foreground_alpha: OPAQUE,
            layer,
            ..g1::OverlayChnAttr::default()
        };
        Param::new(g1::RgnChnAttr { show: 1, ..g1::RgnChnAttr::of(bitmap_kind(external), &attr) })
    }

    fn cover_region(&self) -> Param {
        Param::new(g1::RgnAttr::cover())
    }

    fn cover_place(&self, place: Rect, layer: u32) -> Param {
        Param::new(g1::RgnChnAttr::cover(&g1::CoverChnAttr::rectangle(rect(place), 0, layer)))
    }

    fn sound_device(&self, sample_rate: u32, channels: u32) -> Param {
        Param::new(g1::AioAttr {
            sample_rate: sample_rate as i32,
            bit_width: value::AUDIO_16_BIT,
            work_mode: value::AIO_I2S_SLAVE,
            expand: 1,
            frames: SOUND_FRAMES,
            samples_per_frame: samples_per_frame(sample_rate),
            channels,
            ..g1::AioAttr::default()
        })
    }

    fn sound_encoder(&self, _sample_rate: u32, attr: Addr32) -> Param {
        Param::new(g1::AencChnAttr { payload: value::PT_G711A, frames: SOUND_FRAMES, attr })
    }

    fn monitor(&self, monitor: Monitor) -> Param {
        Param::new(g1::VoPubAttr {
            interface: value::VO_HDMI | value::VO_VGA,
            sync: monitor.sync(self.codes()),
            ..g1::VoPubAttr::default()
        })
    }

    fn layer(&self, monitor: Monitor) -> Param {
        Param::new(g1::VoVideoLayerAttr {
            display: monitor.area(),
            image: size(monitor.width, monitor.height),
            frame_rate: monitor.frame_rate.into(),
            pixel_format: self.codes().semiplanar_420,
        })
    }

    fn encoder_sink(&self, encoder: i32) -> MppChn {
        // The group of the encoder's number, and its only place.
        MppChn::new(value::MOD_GROUP, encoder, 0)
    }

    fn has_encoder_groups(&self) -> bool {
        true
    }
}
