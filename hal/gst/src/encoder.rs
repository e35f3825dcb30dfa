//! Encoders: which one, its settings, and the orders it takes while it runs.
//!
//! Does not belong here: where pictures come from and where access units go.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video::UpstreamForceKeyUnitEvent;
use hal::{BitsPerSecond, ErrorKind, HalError, StreamConfig, VideoCodec};

use crate::{m2m, plugins};

/// Which encoders a backend may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoders {
    /// A SoC's own where it can do the stream, else software.
    #[default]
    HardwareFirst,
    /// Software alone.
    Software,
}

/// The range of GOP lengths of [`StreamConfig::gop_frames`].
const GOP_FRAMES: std::ops::RangeInclusive<u16> = 1..=600;

/// Below this x264 cannot hold the rate; above it a software encoder of a PC has no use for it.
const BIT_RATE_BPS: std::ops::RangeInclusive<u32> = 16_000..=100_000_000;

/// A picture larger than 8 megapixels is beyond every board of the family, and beyond this backend.
const MAX_SIDE: u16 = 4096;

/// Sound: one channel at 48 kHz, enough for speech at 64 kbit/s AAC-LC.
pub(crate) const AUDIO_CAPS: &str = "audio/x-raw,rate=48000,channels=1";
const AUDIO_BIT_RATE_BPS: u32 = 64_000;

/// AAC encoders, best first.
const AAC_ENCODERS: [&str; 3] = ["fdkaacenc", "avenc_aac", "voaacenc"];

/// # Errors
/// `Unsupported` for what no encoder here can do.
pub(crate) fn check(config: &StreamConfig) -> Result<(), HalError> {
    let refuse =
        |what: String| Err(HalError::new(ErrorKind::Unsupported, format!("{} stream: {what}", config.kind)));
    let (size, rate) = (config.resolution, config.frame_rate);
    if [size.width, size.height].iter().any(|side| !(16..=MAX_SIDE).contains(side) || side % 2 != 0) {
        return refuse(format!(
            "{}x{} is not a size of even sides from 16 to {MAX_SIDE}",
            size.width, size.height
        ));
    }
    if rate.denominator == 0
        || rate.numerator < rate.denominator
        || rate.numerator / rate.denominator > 120
        || i32::try_from(rate.numerator).is_err()
    {
        return refuse(format!("{}/{} is not 1 to 120 frames a second", rate.numerator, rate.denominator));
    }
    if !GOP_FRAMES.contains(&config.gop_frames) {
        return refuse(format!("a GOP of {} frames is not 1 to 600", config.gop_frames));
    }
    check_bit_rate(config.bit_rate)
}

fn check_bit_rate(rate: BitsPerSecond) -> Result<(), HalError> {
    if BIT_RATE_BPS.contains(&rate.0) {
        return Ok(());
    }
    let context =
        format!("{} bit/s is not between {} and {}", rate.0, BIT_RATE_BPS.start(), BIT_RATE_BPS.end());
    Err(HalError::new(ErrorKind::Unsupported, context))
}

/// Pipeline text that encodes raw pictures into Annex B access units, the encoder being called `name`.
///
/// # Errors
/// `Unsupported` where there is no encoder for the stream: the package of one in software, and what the hardware
/// cannot do.
pub(crate) fn video(config: &StreamConfig, name: &str, encoders: Encoders) -> Result<String, HalError> {
    let refusals = match hardware(config, encoders) {
        Ok(choice) => {
            tracing::info!(stream = name, encoder = choice.element, "encoded in hardware");
            return Ok(m2m::text(&choice, config, name));
        }
        Err(refusals) => refusals,
    };
    let elements: &[&str] = match config.codec {
        VideoCodec::H264 => &["x264enc", "openh264enc"],
        VideoCodec::H265 => &["x265enc"],
    };
    let element = plugins::first_of(elements).map_err(|error| match refusals.is_empty() {
        true => error,
        false => HalError::new(error.kind(), format!("{}; {error}", refusals.join("; "))),
    })?;
    if !refusals.is_empty() {
        tracing::info!(stream = name, encoder = element, why = refusals.join("; "), "encoded in software");
    }
    Ok(text(element, config, name))
}

/// The hardware encoder for the stream, or what each of them cannot do.
fn hardware(config: &StreamConfig, encoders: Encoders) -> Result<m2m::Choice, Vec<String>> {
    if encoders == Encoders::Software {
        return Err(Vec::new());
    }
    let choice = m2m::choose(&m2m::offers(config.codec), config)?;
    if let Err(error) = plugins::require(&["videoconvert", m2m::parser(config.codec)]) {
        return Err(vec![format!("{} cannot be used: {error}", choice.element)]);
    }
    Ok(choice)
}

/// The same with a given encoder element.
fn text(element: &str, config: &StreamConfig, name: &str) -> String {
    let (gop, bps, kbps) = (config.gop_frames, config.bit_rate.0, config.bit_rate.0 / 1000);
    // No scene cuts: a GOP is as long as it was ordered. One thread: the channels share the processor.
    let settings = match element {
        "x264enc" => format!(
            "tune=zerolatency speed-preset=ultrafast threads=1 byte-stream=true aud=false bframes=0 \
             key-int-max={gop} bitrate={kbps} vbv-buf-capacity=1000 \
             option-string=scenecut=0:repeat-headers=1:open-gop=0"
        ),
        "openh264enc" => format!(
            "complexity=low rate-control=bitrate gop-size={gop} bitrate={bps} multi-thread=1 \
             scene-change-detection=false"
        ),
        _ => format!(
            "tune=zerolatency speed-preset=ultrafast key-int-max={gop} bitrate={kbps} \
             option-string=scenecut=0:repeat-headers=1:bframes=0:open-gop=0:pools=1:frame-threads=1:\
             min-keyint={gop}"
        ),
    };
    let media = match config.codec {
        VideoCodec::H264 => "video/x-h264",
        VideoCodec::H265 => "video/x-h265",
    };
    format!("{element} name={name} {settings} ! {media},stream-format=byte-stream,alignment=au")
}

/// Pipeline text that encodes raw sound into raw AAC units.
///
/// # Errors
/// `Unsupported`, naming the package, where there is no AAC encoder.
pub(crate) fn audio() -> Result<String, HalError> {
    plugins::require(&["audioconvert", "audioresample"])?;
    let encoder = AAC_ENCODERS.iter().find(|name| plugins::has(name)).copied();
    let encoder = encoder.map_or_else(|| plugins::first_of(&AAC_ENCODERS[1..]), Ok)?;
    Ok(format!(
        "audioconvert ! audioresample ! {AUDIO_CAPS} ! {encoder} bitrate={AUDIO_BIT_RATE_BPS} \
         ! audio/mpeg,mpegversion=4,stream-format=raw"
    ))
}

/// Makes the next picture a keyframe with its parameter sets.
///
/// # Errors
/// `Device` when the encoder does not take the order.
pub(crate) fn force_keyframe(encoder: &gst::Element) -> Result<(), HalError> {
    let event = UpstreamForceKeyUnitEvent::builder().all_headers(true).build();
    let taken = encoder.static_pad("src").is_some_and(|pad| pad.send_event(event));
    if taken {
        return Ok(());
    }
    Err(HalError::new(ErrorKind::Device, format!("{} refused to make a keyframe", encoder.name())))
}

/// Whether a message comes from an encoder in hardware, or from a part of one.
pub(crate) fn is_hardware(message: &gst::MessageRef) -> bool {
    let mut object = message.src().cloned();
    while let Some(current) = object {
        if current.downcast_ref::<gst::Element>().is_some_and(m2m::is_one) {
            return true;
        }
        object = current.parent();
    }
    false
}

/// # Errors
/// `Unsupported` for a rate that the encoder cannot make.
pub(crate) fn set_bit_rate(encoder: &gst::Element, rate: BitsPerSecond) -> Result<(), HalError> {
    check_bit_rate(rate)?;
    if m2m::set_bit_rate(encoder, rate) {
        return Ok(());
    }
    // openh264enc counts bits, the others thousands of them.
    let in_bits = encoder.factory().is_some_and(|factory| factory.name() == "openh264enc");
    encoder.set_property("bitrate", if in_bits { rate.0 } else { rate.0 / 1000 });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hal::{FrameRate, Resolution, StreamKind};

    fn config() -> StreamConfig {
        StreamConfig {
            kind: StreamKind::Main,
            codec: VideoCodec::H264,
            resolution: Resolution { width: 640, height: 360 },
            frame_rate: FrameRate { numerator: 15, denominator: 1 },
            bit_rate: BitsPerSecond(500_000),
            gop_frames: 15,
        }
    }

    #[test]
    fn settings_that_no_encoder_takes_are_refused_before_it_is_started() {
        assert!(check(&config()).is_ok());
        let bad = [
            StreamConfig { resolution: Resolution { width: 641, height: 360 }, ..config() },
            StreamConfig { resolution: Resolution { width: 0, height: 0 }, ..config() },
            StreamConfig { frame_rate: FrameRate { numerator: 15, denominator: 0 }, ..config() },
            StreamConfig { frame_rate: FrameRate { numerator: u32::MAX, denominator: 1 }, ..config() },
            StreamConfig { gop_frames: 0, ..config() },
            StreamConfig { gop_frames: 601, ..config() },
            StreamConfig { bit_rate: BitsPerSecond(1), ..config() },
        ];
        for config in bad {
            assert_eq!(check(&config).unwrap_err().kind(), ErrorKind::Unsupported, "{config:?}");
        }
    }

    #[test]
    fn every_encoder_that_is_there_keeps_the_gop_and_takes_orders() {
        plugins::init().unwrap();
        let all = [
            ("x264enc", VideoCodec::H264, 0x1f, 0, 7),
            ("openh264enc", VideoCodec::H264, 0x1f, 0, 7),
            ("x265enc", VideoCodec::H265, 0x7e, 1, 32),
        ];
        for (element, codec, mask, shift, first) in
            all.into_iter().filter(|(element, ..)| plugins::has(element))
        {
            let config = StreamConfig { codec, gop_frames: 10, ..config() };
            let text = text(element, &config, "encoder");
            let pipeline = gst::parse::launch(&format!(
                "videotestsrc num-buffers=28 ! video/x-raw,format=I420,width=320,height=180,framerate=15/1 \
                 ! {text} ! appsink name=sink sync=false"
            ));
            let pipeline = pipeline.unwrap().downcast::<gst::Pipeline>().unwrap();
            let encoder = pipeline.by_name("encoder").unwrap();
            let sink = pipeline.by_name("sink").unwrap().downcast::<gstreamer_app::AppSink>().unwrap();
            pipeline.set_state(gst::State::Playing).unwrap();
            let mut keyframes = Vec::new();
            for number in 0.. {
                let Ok(sample) = sink.pull_sample() else { break };
                let buffer = sample.buffer().unwrap();
                let map = buffer.map_readable().unwrap();
                let kind = (crate::annexb::nal_units(&map).next().unwrap()[0] & mask) >> shift;
                let keyframe = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
                assert_eq!(
                    keyframe,
                    kind == first,
                    "{element}: picture {number} begins with NAL unit type {kind}"
                );
                if keyframe {
                    keyframes.push(number);
                }
            }
            assert_eq!(keyframes, [0, 10, 20], "{element}");
            set_bit_rate(&encoder, BitsPerSecond(300_000)).unwrap();
            let expected = if element == "openh264enc" { 300_000 } else { 300 };
            assert_eq!(encoder.property::<u32>("bitrate"), expected, "{element}");
            assert!(set_bit_rate(&encoder, BitsPerSecond(0)).is_err());
            pipeline.set_state(gst::State::Null).unwrap();
        }
    }
}
