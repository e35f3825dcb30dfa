//! Memory-to-memory encoders: which hardware takes a stream, and its orders.
//!
//! A SoC's stateful encoder with a mainline driver is a V4L2 device; GStreamer's plugin makes an element of each,
//! `v4l2h264enc`, and `v4l2video11h264enc` of a second one, whose pad templates say what the device offers. The
//! choice is made from these alone. What an encoder is told goes through V4L2's standard controls; a driver that
//! lacks one passes over it.
//!
//! Does not belong here: encoders in software.

use std::str::FromStr;

use gstreamer as gst;
use gstreamer::prelude::*;
use hal::{BitsPerSecond, StreamConfig, VideoCodec};

/// H.264 profiles, best first: those of 8-bit 4:2:0 pictures, which every player decodes.
const H264_PROFILES: [&str; 4] = ["high", "main", "constrained-baseline", "baseline"];

/// H.264 levels: name, macroblocks a second, macroblocks a picture, kbit/s (ISO 14496-10 table A-1).
const H264_LEVELS: [(&str, u32, u32, u32); 16] = [
    ("1", 1_485, 99, 64),
    ("1.1", 3_000, 396, 192),
    ("1.2", 6_000, 396, 384),
    ("1.3", 11_880, 396, 768),
    ("2", 11_880, 396, 2_000),
    ("2.1", 19_800, 792, 4_000),
    ("2.2", 20_250, 1_620, 4_000),
    ("3", 40_500, 1_620, 10_000),
    ("3.1", 108_000, 3_600, 14_000),
    ("3.2", 216_000, 5_120, 20_000),
    ("4", 245_760, 8_192, 20_000),
    ("4.1", 245_760, 8_192, 50_000),
    ("4.2", 522_240, 8_704, 50_000),
    ("5", 589_824, 22_080, 135_000),
    ("5.1", 983_040, 36_864, 240_000),
    ("5.2", 2_073_600, 36_864, 240_000),
];

/// The property of GStreamer's V4L2 elements that holds V4L2's controls.
const CONTROLS: &str = "extra-controls";

/// An encoder element by its device's description.
pub(crate) struct Offer {
    element: String,
    takes: gst::Caps,
    makes: gst::Caps,
}

/// What a chosen encoder makes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) element: String,
    /// Caps text of its output: codec, profile, level.
    output: String,
}

/// The encoder elements for a codec, in the order of their rank.
pub(crate) fn offers(codec: VideoCodec) -> Vec<Offer> {
    let mut factories: Vec<_> =
        gst::ElementFactory::factories_with_type(gst::ElementFactoryType::VIDEO_ENCODER, gst::Rank::NONE)
            .into_iter()
            .filter(|factory| is_encoder(factory) && factory.name().ends_with(suffix(codec)))
            .collect();
    factories.sort_by_key(|factory| (std::cmp::Reverse(factory.rank()), factory.name()));
    factories.iter().map(Offer::of).collect()
}

fn suffix(codec: VideoCodec) -> &'static str {
    match codec {
        VideoCodec::H264 => "h264enc",
        VideoCodec::H265 => "h265enc",
    }
}

impl Offer {
    fn of(factory: &gst::ElementFactory) -> Self {
        let caps = |direction| {
            let mut all = gst::Caps::new_empty();
            for template in
                factory.static_pad_templates().into_iter().filter(|pad| pad.direction() == direction)
            {
                all.merge(template.caps());
            }
            all
        };
        Self {
            element: factory.name().into(),
            takes: caps(gst::PadDirection::Sink),
            makes: caps(gst::PadDirection::Src),
        }
    }

    /// # Errors
    /// What the device cannot do, in words.
    fn fit(&self, config: &StreamConfig) -> Result<Choice, String> {
        let (size, rate) = (config.resolution, config.frame_rate);
        let raw = format!(
            "video/x-raw,width={},height={},framerate={}/{}",
            size.width, size.height, rate.numerator, rate.denominator
        );
        if !overlap(&self.takes, &raw) {
            return Err(format!("{} does not take {}x{}", self.element, size.width, size.height));
        }
        let mut output = match config.codec {
            VideoCodec::H264 => {
                "video/x-h264,stream-format=(string)byte-stream,alignment=(string)au".to_owned()
            }
            VideoCodec::H265 => {
                "video/x-h265,stream-format=(string)byte-stream,alignment=(string)au".to_owned()
            }
        };
        if !overlap(&self.makes, &output) {
            return Err(format!("{} makes no {:?} that this backend reads", self.element, config.codec));
        }
        if config.codec == VideoCodec::H264 && self.says("profile") {
            let profile = H264_PROFILES
                .iter()
                .map(|profile| format!("{output},profile=(string){profile}"))
                .find(|output| overlap(&self.makes, output));
            output = profile.ok_or_else(|| format!("{} has no profile that players decode", self.element))?;
        }
        // A driver's default level may be too low for the stream, and it then refuses it: it is told.
        if config.codec == VideoCodec::H264 && self.says("level") {
            let level = levels(config)
                .map(|level| format!("{output},level=(string){level}"))
                .find(|output| overlap(&self.makes, output));
            output = level.ok_or_else(|| format!("{} has no level for this stream", self.element))?;
        }
        Ok(Choice { element: self.element.clone(), output })
    }

    fn says(&self, field: &str) -> bool {
        self.makes.iter().any(|structure| structure.has_field(field))
    }
}

fn overlap(caps: &gst::Caps, text: &str) -> bool {
    gst::Caps::from_str(text).is_ok_and(|other| caps.can_intersect(&other))
}

/// The names of the levels that hold the stream, lowest first.
fn levels(config: &StreamConfig) -> impl Iterator<Item = &'static str> {
    let (size, rate) = (config.resolution, config.frame_rate);
    let blocks = u32::from(size.width).div_ceil(16) * u32::from(size.height).div_ceil(16);
    let a_second =
        (u64::from(blocks) * u64::from(rate.numerator)).div_ceil(u64::from(rate.denominator.max(1)));
    let kbps = config.bit_rate.0.div_ceil(1000);
    H264_LEVELS
        .iter()
        .filter(move |(_, speed, picture, rate)| {
            u64::from(*speed) >= a_second && *picture >= blocks && *rate >= kbps
        })
        .map(|(name, ..)| *name)
}

/// The first encoder that can do the stream.
///
/// # Errors
/// What each of them cannot do, in words; empty when there are none.
pub(crate) fn choose(offers: &[Offer], config: &StreamConfig) -> Result<Choice, Vec<String>> {
    let mut refusals = Vec::new();
    for offer in offers {
        match offer.fit(config) {
            Ok(choice) => return Ok(choice),
            Err(refusal) => refusals.push(refusal),
        }
    }
    Err(refusals)
}

/// The parser behind the encoder: it tells keyframes apart by what is in them, and repeats the parameter sets
/// before each of them, which not every driver does.
pub(crate) fn parser(codec: VideoCodec) -> &'static str {
    match codec {
        VideoCodec::H264 => "h264parse",
        VideoCodec::H265 => "h265parse",
    }
}

/// Pipeline text that encodes raw pictures into Annex B access units, the encoder being called `name`.
pub(crate) fn text(choice: &Choice, config: &StreamConfig, name: &str) -> String {
    let media = choice.output.split(',').next().unwrap_or_default();
    format!(
        "videoconvert ! {} name={name} {CONTROLS}=\"{}\" ! {} ! {} config-interval=-1 \
         ! {media},stream-format=byte-stream,alignment=au",
        choice.element,
        controls(config),
        choice.output,
        parser(config.codec),
    )
}

/// The controls by the names that GStreamer makes of V4L2's. No B-frames: units come in the order of their time.
fn controls(config: &StreamConfig) -> String {
    let (gop, bps) = (config.gop_frames, config.bit_rate.0);
    // 1 is constant bit rate, and headers in one buffer with their keyframe.
    let common = format!(
        "controls,video_bitrate_mode=(int)1,frame_level_rate_control_enable=(int)1,{BIT_RATE}=(int){bps},\
         video_b_frames=(int)0,video_gop_size=(int){gop},sequence_header_mode=(int)1,\
         repeat_sequence_header=(int)1"
    );
    match config.codec {
        VideoCodec::H264 => format!("{common},h264_i_frame_period=(int){gop}"),
        VideoCodec::H265 => common,
    }
}

const BIT_RATE: &str = "video_bitrate";

/// Whether an element is one of these encoders.
pub(crate) fn is_one(element: &gst::Element) -> bool {
    element.factory().is_some_and(|factory| is_encoder(&factory)) && element.find_property(CONTROLS).is_some()
}

fn is_encoder(factory: &gst::ElementFactory) -> bool {
    let name = factory.name();
    name.starts_with("v4l2")
        && [VideoCodec::H264, VideoCodec::H265].iter().any(|codec| name.ends_with(suffix(*codec)))
}

/// Changes the rate of a running encoder. False for an encoder in software.
pub(crate) fn set_bit_rate(encoder: &gst::Element, rate: BitsPerSecond) -> bool {
    if !is_one(encoder) {
        return false;
    }
    // All controls again, the rate among them: what is not new to the kernel does not reach the driver.
    let mut controls = encoder
        .property::<Option<gst::Structure>>(CONTROLS)
        .unwrap_or_else(|| gst::Structure::new_empty("controls"));
    controls.set(BIT_RATE, i32::try_from(rate.0).unwrap_or(i32::MAX));
    encoder.set_property(CONTROLS, controls);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins;
    use hal::{FrameRate, Resolution, StreamKind};

    fn config(width: u16, height: u16, bps: u32) -> StreamConfig {
        StreamConfig {
            kind: StreamKind::Main,
            codec: VideoCodec::H264,
            resolution: Resolution { width, height },
            frame_rate: FrameRate { numerator: 25, denominator: 1 },
            bit_rate: BitsPerSecond(bps),
            gop_frames: 50,
        }
    }

    fn offer(element: &str, takes: &str, makes: &str) -> Offer {
        plugins::init().unwrap();
        let caps = |text: &str| gst::Caps::from_str(text).unwrap();
        Offer { element: element.into(), takes: caps(takes), makes: caps(makes) }
    }

    /// As a device with a limit of 1080 lines describes itself.
    fn small() -> Offer {
        offer(
            "v4l2h264enc",
            "video/x-raw,format={I420,NV12},width=[32,1920,2],height=[32,1920,2]",
            "video/x-h264,stream-format=byte-stream,alignment=au,\
             profile={(string)baseline,(string)constrained-baseline,(string)main,(string)high},\
             level={(string)1,(string)2,(string)3,(string)3.1,(string)4,(string)4.2}",
        )
    }

    fn large() -> Offer {
        offer(
            "v4l2video11h264enc",
            "video/x-raw,format=NV12,width=[64,4096],height=[64,2304]",
            "video/x-h264,stream-format=byte-stream,alignment=au",
        )
    }

    #[test]
    fn the_first_device_that_can_do_the_size_is_taken_with_its_best_profile() {
        let both = [small(), large()];
        let choice = choose(&both, &config(1280, 720, 2_000_000)).unwrap();
        assert_eq!(choice.element, "v4l2h264enc");
        assert!(choice.output.ends_with(",profile=(string)high,level=(string)3.1"), "{}", choice.output);
        let choice = choose(&both, &config(3840, 2160, 8_000_000)).unwrap();
        assert_eq!(choice.element, "v4l2video11h264enc");
        assert!(!choice.output.contains("profile") && !choice.output.contains("level"), "{}", choice.output);
    }

    #[test]
    fn what_no_device_can_do_is_said_in_words() {
        assert_eq!(choose(&[], &config(640, 360, 500_000)).unwrap_err(), [""; 0]);
        let refusals = choose(&[small()], &config(3840, 2160, 8_000_000)).unwrap_err();
        assert_eq!(refusals, ["v4l2h264enc does not take 3840x2160"]);
        let refusals = choose(&[small()], &config(1920, 1080, 60_000_000)).unwrap_err();
        assert_eq!(refusals, ["v4l2h264enc has no level for this stream"]);
        let ten_bits =
            offer("v4l2h264enc", "video/x-raw", "video/x-h264,stream-format=byte-stream,profile=high-10");
        let refusals = choose(&[ten_bits], &config(640, 360, 500_000)).unwrap_err();
        assert_eq!(refusals, ["v4l2h264enc has no profile that players decode"]);
        let another = offer("v4l2h264enc", "video/x-raw", "video/x-h264,stream-format=avc");
        assert_eq!(choose(&[another], &config(640, 360, 500_000)).unwrap_err().len(), 1);
    }

    #[test]
    fn the_level_is_the_lowest_that_holds_size_speed_and_rate() {
        let lowest = |width, height, bps| levels(&config(width, height, bps)).next();
        assert_eq!(lowest(160, 90, 60_000), Some("1.1"), "60 macroblocks, 1500 a second");
        assert_eq!(lowest(704, 576, 2_000_000), Some("3"), "1584 macroblocks, 39600 a second");
        assert_eq!(lowest(1920, 1080, 4_000_000), Some("4"), "8160 macroblocks, 204000 a second");
        assert_eq!(lowest(1920, 1080, 30_000_000), Some("4.1"));
        assert_eq!(lowest(4096, 4096, 4_000_000), None);
    }

    #[test]
    fn the_text_is_one_that_gstreamer_reads() {
        let choice = choose(&[small()], &config(640, 360, 500_000)).unwrap();
        assert_eq!(choice.output.matches("level=(string)3,").count(), 0);
        let controls = gst::Structure::from_str(&controls(&config(640, 360, 500_000))).unwrap();
        assert_eq!(controls.get::<i32>(BIT_RATE).unwrap(), 500_000);
        assert_eq!(controls.get::<i32>("video_gop_size").unwrap(), 50);
        assert_eq!(controls.get::<i32>("video_b_frames").unwrap(), 0);
        gst::Caps::from_str(&choice.output).unwrap();
    }
}
