//! Hardware encoders as channels meet them, played by an element like one.
//!
//! No driver of this kind runs without its SoC (the kernel's vicodec makes a codec of its own), so x264 stands
//! behind the names of GStreamer's V4L2 plugin: the choice, the controls, the order of things in the pipeline are
//! tested; a driver is not.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use common::{Sink, Unit, config, ffprobe, h264_types, stream};
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer::subclass::prelude::*;
use hal::{Backend, BitsPerSecond, FrameRate, StreamConfig, StreamKind, SystemClock};
use hal_gst::{Encoders, GstBackend};

/// Every set of controls that the encoder was given.
static TOLD: Mutex<Vec<gst::Structure>> = Mutex::new(Vec::new());

/// Asked for this rate, the encoder does not open.
const NO_SESSION_BPS: i32 = 777_000;

mod imp {
    use super::*;

    /// x264 with the properties and pads of a V4L2 encoder for up to 640x480.
    #[derive(Default)]
    pub(super) struct Encoder {
        controls: Mutex<Option<gst::Structure>>,
    }

    impl Encoder {
        fn x264(&self) -> gst::Element {
            self.obj().by_name("x264").unwrap()
        }
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Encoder {
        const NAME: &'static str = "CandorTestM2m";
        type Type = super::Encoder;
        type ParentType = gst::Bin;
    }

    impl ObjectImpl for Encoder {
        fn properties() -> &'static [glib::ParamSpec] {
            static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
                vec![glib::ParamSpecBoxed::builder::<gst::Structure>("extra-controls").build()]
            });
            &PROPERTIES
        }

        fn set_property(&self, _: usize, value: &glib::Value, _: &glib::ParamSpec) {
            let controls: gst::Structure = value.get().unwrap();
            let bps: i32 = controls.get("video_bitrate").unwrap();
            let gop: i32 = controls.get("video_gop_size").unwrap();
            self.x264().set_property("bitrate", u32::try_from(bps / 1000).unwrap());
            self.x264().set_property("key-int-max", u32::try_from(gop).unwrap());
            TOLD.lock().unwrap().push(controls.clone());
            *self.controls.lock().unwrap() = Some(controls);
        }

        fn property(&self, _: usize, _: &glib::ParamSpec) -> glib::Value {
            self.controls.lock().unwrap().to_value()
        }

        fn constructed(&self) {
            self.parent_constructed();
            let x264 = gst::ElementFactory::make("x264enc")
                .name("x264")
                .property_from_str("tune", "zerolatency")
                .property_from_str("speed-preset", "ultrafast")
                .property("option-string", "scenecut=0:repeat-headers=1:open-gop=0")
                .build()
                .unwrap();
            self.obj().add(&x264).unwrap();
            let first = AtomicBool::new(true);
            x264.static_pad("src").unwrap().add_probe(gst::PadProbeType::BUFFER, move |_, info| {
                let buffer = info.buffer_mut().unwrap();
                if !first.swap(false, Ordering::Relaxed) {
                    *buffer = without_parameter_sets(buffer);
                }
                gst::PadProbeReturn::Ok
            });
            for name in ["sink", "src"] {
                let pad = x264.static_pad(name).unwrap();
                let template = self.obj().pad_template(name).unwrap();
                let ghost = gst::GhostPad::builder_from_template_with_target(&template, &pad).unwrap();
                self.obj().add_pad(&ghost.name(name).build()).unwrap();
            }
        }
    }

    impl GstObjectImpl for Encoder {}
    impl BinImpl for Encoder {}

    impl ElementImpl for Encoder {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
                gst::subclass::ElementMetadata::new("Test", "Codec/Encoder/Video/Hardware", "x264", "Candor")
            });
            Some(&METADATA)
        }

        fn change_state(
            &self,
            change: gst::StateChange,
        ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
            let controls = self.controls.lock().unwrap().clone();
            let bps = controls.and_then(|controls| controls.get::<i32>("video_bitrate").ok());
            if change == gst::StateChange::NullToReady && bps == Some(NO_SESSION_BPS) {
                gst::element_imp_error!(self, gst::ResourceError::OpenReadWrite, ["no session is free"]);
                return Err(gst::StateChangeError);
            }
            self.parent_change_state(change)
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
                let caps = |text: &str| text.parse::<gst::Caps>().unwrap();
                let template = |name, direction, caps| {
                    gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps).unwrap()
                };
                vec![
                    template(
                        "sink",
                        gst::PadDirection::Sink,
                        caps("video/x-raw,format=NV12,width=[32,640],height=[32,480]"),
                    ),
                    template(
                        "src",
                        gst::PadDirection::Src,
                        caps(
                            "video/x-h264,stream-format=byte-stream,alignment=au,\
                             profile={(string)constrained-baseline,(string)main}",
                        ),
                    ),
                ]
            });
            &TEMPLATES
        }
    }
}

/// The same picture from its IDR slice on: many drivers give the parameter sets once, at the start.
fn without_parameter_sets(buffer: &gst::Buffer) -> gst::Buffer {
    let data = buffer.map_readable().unwrap();
    let idr = data.windows(4).position(|bytes| bytes[..3] == [0, 0, 1] && bytes[3] & 0x1f == 5);
    let mut cut = gst::Buffer::from_slice(data[idr.unwrap_or(0)..].to_vec());
    buffer.copy_into(cut.get_mut().unwrap(), gst::BUFFER_COPY_METADATA, ..).unwrap();
    cut
}

glib::wrapper! {
    pub(crate) struct Encoder(ObjectSubclass<imp::Encoder>) @extends gst::Bin, gst::Element, gst::Object;
}

/// A name that GStreamer gives a second device's encoder: a real first one would keep its own.
const ELEMENT: &str = "v4l2video97h264enc";

fn backend() -> GstBackend {
    let backend = GstBackend::new(Arc::new(SystemClock::new()), 2).unwrap();
    gst::Element::register(None, ELEMENT, gst::Rank::PRIMARY + 100, Encoder::static_type()).unwrap();
    backend
}

fn bytes(units: &[Unit]) -> usize {
    units.iter().map(|unit| unit.data.len()).sum()
}

fn told() -> Vec<gst::Structure> {
    TOLD.lock().unwrap().clone()
}

/// One test, since the element and what it was told are the process's.
#[test]
fn a_hardware_encoder_takes_what_it_can_do_and_software_the_rest() {
    let mut backend = backend();
    let sink = Sink::default();
    let main = StreamConfig {
        gop_frames: 20,
        frame_rate: FrameRate { numerator: 30, denominator: 1 },
        bit_rate: BitsPerSecond(2_000_000),
        ..stream(StreamKind::Main, 640, 360)
    };
    let mut channel = backend.open(&config("test1", vec![main]), Arc::new(sink.clone())).unwrap();
    let units = sink.wait_for(StreamKind::Main, 61);
    let controls = told().pop().expect("the hardware encoder was told what to make");
    let control = |name| controls.get::<i32>(name).unwrap();
    assert_eq!((control("video_bitrate"), control("video_gop_size")), (2_000_000, 20));
    assert_eq!((control("h264_i_frame_period"), control("video_b_frames")), (20, 0));
    for (at, unit) in units.iter().enumerate() {
        assert_eq!(unit.keyframe, at % 20 == 0, "unit {at}");
        let types = h264_types(&unit.data);
        // The encoder said its parameter sets once; each keyframe has them.
        assert_eq!([7, 8, 5].iter().all(|kind| types.contains(kind)), unit.keyframe, "{at}: {types:?}");
    }
    assert!(units.windows(2).all(|pair| pair[1].pts > pair[0].pts), "units come in the order of their time");
    assert_eq!(ffprobe(&units, ".h264"), format!("h264,640,360,0,{}", units.len()));

    // A keyframe within a few pictures of its request.
    let before = sink.wait_for(StreamKind::Main, units.len() + 5).len();
    channel.request_keyframe(StreamKind::Main).unwrap();
    let units = sink.wait_for(StreamKind::Main, before + 8);
    let asked: Vec<_> = (before..before + 8).filter(|at| units[*at].keyframe && at % 20 != 0).collect();
    assert!(!asked.is_empty(), "asked after {before}");

    // Another rate, while it runs.
    let before = units.len();
    channel.set_bit_rate(StreamKind::Main, BitsPerSecond(150_000)).unwrap();
    let settled = sink.wait_for(StreamKind::Main, before + 30).len();
    let after = sink.wait_for(StreamKind::Main, settled + 40);
    let (high, low) = (bytes(&after[before - 40..before]), bytes(&after[settled..settled + 40]));
    assert!(low * 3 < high, "{high} bytes in 40 pictures before, {low} after");
    let controls = told().pop().unwrap();
    assert_eq!(controls.get::<i32>("video_bitrate").unwrap(), 150_000);
    assert_eq!(controls.get::<i32>("video_gop_size").unwrap(), 20, "the other controls stay");
    drop(channel);

    // A device that offers the stream and then fails: software has it at once.
    let sink = Sink::default();
    let rate = BitsPerSecond(NO_SESSION_BPS.unsigned_abs());
    let unlucky = StreamConfig { bit_rate: rate, ..main };
    let channel = backend.open(&config("test0", vec![unlucky]), Arc::new(sink.clone())).unwrap();
    assert_eq!(told().pop().unwrap().get::<i32>("video_bitrate").unwrap(), NO_SESSION_BPS, "it was tried");
    sink.wait_for(StreamKind::Main, 5);
    drop(channel);

    // What the device cannot do, and what was ordered so, is software's.
    let count = told().len();
    let sink = Sink::default();
    let large = stream(StreamKind::Main, 1280, 720);
    let channel = backend.open(&config("test0", vec![large]), Arc::new(sink.clone())).unwrap();
    sink.wait_for(StreamKind::Main, 5);
    drop(channel);
    let mut backend = backend.with_encoders(Encoders::Software);
    let sink = Sink::default();
    let channel = backend.open(&config("test0", vec![main]), Arc::new(sink.clone())).unwrap();
    sink.wait_for(StreamKind::Main, 5);
    drop(channel);
    assert_eq!(told().len(), count, "the hardware encoder was left alone");
}
