//! One channel's pipeline: a source, a tee, an encoder a stream, and the way out.
//!
//! ```text
//! source ! I420 ! stamp ! tee ! queue ! scale ! encoder ! appsink (main)
//!                             ! queue ! scale ! encoder ! appsink (sub)
//! sound  ! queue ! AAC encoder ! appsink
//! ```
//! `stamp` draws title and clock. The queues before the encoders leak: a machine that is too slow loses
//! pictures, not time.
//!
//! Does not belong here: starting again after a failure (`channel.rs`).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks};
use gstreamer_video::{VideoFormat, VideoInfo};
use hal::{
    AccessUnit, AudioCodec, AudioFormat, ChannelConfig, ErrorKind, FrameRate, HalError, MAX_AAC_CONFIG_BYTES,
    MAX_UNIT_BYTES, Resolution, StreamFormat, StreamId, StreamKind, UnitSink, VideoCodec,
};

use crate::encoder::Encoders;
use crate::modes::Wish;
use crate::overlay::Overlay;
use crate::source::{Feed, Input};
use crate::timeline::Timeline;
use crate::{annexb, encoder, plugins};

/// Raw pictures waiting for an encoder: a picture is 1.4 MB at 1280x720, and three cover a scheduling hiccup.
const QUEUED_PICTURES: u32 = 3;

/// Sound waiting for its encoder: 32 buffers of 1024 samples are 0.7 s.
const QUEUED_SOUNDS: u32 = 32;

/// Encoded units waiting for the sink, which takes each at once.
const QUEUED_UNITS: u32 = 8;

/// A built pipeline; dropping it stops it.
pub(crate) struct Pipeline {
    pipeline: gst::Pipeline,
    encoders: Vec<(StreamKind, gst::Element)>,
}

/// What the pipeline's threads tell.
pub(crate) struct Delivery {
    pub(crate) sink: Arc<dyn UnitSink>,
    pub(crate) timeline: Arc<Timeline>,
    /// Called with the first unit after a start.
    pub(crate) alive: Box<dyn Fn() + Send + Sync>,
    /// Video units delivered.
    pub(crate) units: AtomicU64,
}

impl Pipeline {
    /// Builds the pipeline, stopped.
    ///
    /// # Errors
    /// `Unsupported` for a missing plugin or a setting that cannot be, `Device` when GStreamer refuses.
    pub(crate) fn build(
        config: &ChannelConfig,
        input: &Input,
        encoders: Encoders,
        delivery: &Arc<Delivery>,
    ) -> Result<Self, HalError> {
        let feed = input.feed(wish(config)?)?;
        let text = describe(config, input, &feed, encoders)?;
        tracing::debug!(channel = %config.channel, pipeline = %text, "pipeline");
        let pipeline = gst::parse::launch(&text)
            .map_err(|error| device(format!("GStreamer refused the pipeline: {error}")))?
            .downcast::<gst::Pipeline>()
            .map_err(|_| device("GStreamer made no pipeline".into()))?;
        Input::prepare(&feed, &pipeline);
        // One clock for every channel, so that a sound card's clock never becomes the pictures'.
        pipeline.use_clock(Some(&gst::SystemClock::obtain()));

        stamp(&pipeline, config, &delivery.timeline)?;
        let mut encoders = Vec::new();
        for stream in &config.streams {
            let id = StreamId::new(config.channel, stream.kind);
            collect_video(
                &element(&pipeline, &format!("sink_{}", stream.kind))?,
                id,
                stream.codec,
                delivery,
            )?;
            encoders.push((stream.kind, element(&pipeline, &format!("encoder_{}", stream.kind))?));
        }
        if config.audio && input.audio().is_some() {
            let id = StreamId::new(config.channel, StreamKind::Audio);
            collect_audio(&element(&pipeline, "sink_audio")?, id, delivery)?;
        }
        delivery.timeline.restart(&pipeline);
        Ok(Self { pipeline, encoders })
    }

    pub(crate) fn bus(&self) -> Option<gst::Bus> {
        self.pipeline.bus()
    }

    /// # Errors
    /// `Busy` when the device is in use, `Device` when it does not start.
    pub(crate) fn play(&self) -> Result<(), HalError> {
        self.pipeline
            .set_state(gst::State::Playing)
            .map(drop)
            .map_err(|_| device("the capture pipeline does not start".into()))
    }

    /// # Errors
    /// `NotFound` when there is no such stream.
    pub(crate) fn encoder(&self, kind: StreamKind) -> Result<&gst::Element, HalError> {
        self.encoders.iter().find(|(known, _)| *known == kind).map(|(_, encoder)| encoder).ok_or_else(|| {
            HalError::new(ErrorKind::NotFound, format!("the channel has no {kind} stream to give orders to"))
        })
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        if self.pipeline.set_state(gst::State::Null).is_err() {
            tracing::warn!("a capture pipeline did not stop cleanly");
        }
    }
}

/// What the input should deliver: the main stream's size, at the rate of the fastest.
fn wish(config: &ChannelConfig) -> Result<Wish, HalError> {
    let main = config.streams.first().ok_or_else(|| {
        HalError::new(ErrorKind::Unsupported, format!("channel {} has no stream", config.channel))
    })?;
    config.streams.iter().try_for_each(encoder::check)?;
    let rate = config.streams.iter().map(|stream| stream.frame_rate).max_by_key(|rate| {
        // Frames in 1000 s: enough to tell 30000/1001 from 30.
        u64::from(rate.numerator) * 1000 / u64::from(rate.denominator.max(1))
    });
    Ok(Wish { resolution: main.resolution, frame_rate: rate.unwrap_or(main.frame_rate) })
}

/// The whole pipeline as text. Holds numbers and constants only: names and paths are set as properties.
fn describe(
    config: &ChannelConfig,
    input: &Input,
    feed: &Feed,
    encoders: Encoders,
) -> Result<String, HalError> {
    plugins::require(&input.video_elements(feed))?;
    plugins::require(&["videoscale", "videorate", "appsink"])?;
    let wish = wish(config)?;
    let source_caps = raw_caps(wish.resolution, wish.frame_rate);
    let mut text =
        format!("{} ! identity name=stamp silent=true ! tee name=pictures", input.video(feed, &source_caps));
    let mut kinds = Vec::new();
    for stream in &config.streams {
        let kind = stream.kind;
        if kind == StreamKind::Audio || kinds.contains(&kind) {
            let context = format!("channel {} asks twice for {kind}, or for it as video", config.channel);
            return Err(HalError::new(ErrorKind::Unsupported, context));
        }
        kinds.push(kind);
        text.push_str(&format!(
            " pictures. ! queue leaky=downstream max-size-buffers={QUEUED_PICTURES} max-size-bytes=0 \
             max-size-time=0 ! videorate drop-only=true ! videoscale ! {} ! {} \
             ! appsink name=sink_{kind} sync=false max-buffers={QUEUED_UNITS}",
            raw_caps(stream.resolution, stream.frame_rate),
            encoder::video(stream, &format!("encoder_{kind}"), encoders)?,
        ));
    }
    if let Some(sound) = input.audio().filter(|_| config.audio) {
        plugins::require(&["audiotestsrc"])?;
        text.push_str(&format!(
            " {sound} ! queue leaky=downstream max-size-buffers={QUEUED_SOUNDS} max-size-bytes=0 \
             max-size-time=0 ! {} ! appsink name=sink_audio sync=false max-buffers={QUEUED_UNITS}",
            encoder::audio()?
        ));
    }
    Ok(text)
}

fn raw_caps(size: Resolution, rate: FrameRate) -> String {
    format!(
        "video/x-raw,format=I420,width={},height={},framerate={}/{},pixel-aspect-ratio=1/1",
        size.width, size.height, rate.numerator, rate.denominator
    )
}

fn device(context: String) -> HalError {
    HalError::new(ErrorKind::Device, context)
}

fn element(pipeline: &gst::Pipeline, name: &str) -> Result<gst::Element, HalError> {
    pipeline.by_name(name).ok_or_else(|| device(format!("the pipeline has no {name}")))
}

/// Draws title and clock on every picture before it goes to the encoders.
fn stamp(pipeline: &gst::Pipeline, config: &ChannelConfig, timeline: &Arc<Timeline>) -> Result<(), HalError> {
    let size = config.streams[0].resolution;
    let info = VideoInfo::builder(VideoFormat::I420, size.width.into(), size.height.into())
        .build()
        .map_err(|error| device(format!("no such picture format: {error}")))?;
    let overlay = Overlay::new(info, &config.title, config.clock);
    let timeline = Arc::clone(timeline);
    let pad = element(pipeline, "stamp")?.static_pad("src").ok_or_else(|| device("no stamp".into()))?;
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let segment = pad.sticky_event::<gst::event::Segment>(0).map(|event| event.segment().to_owned());
        if let Some(buffer) = info.buffer_mut()
            && let Some(running) = running_time(buffer, segment.as_ref())
        {
            let stamp = timeline.capture(running);
            overlay.draw(buffer.make_mut(), stamp.wall);
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// When the buffer was captured, in the pipeline's time. Encoders shift their output's timestamps and say so in
/// the segment, so both are needed.
fn running_time(buffer: &gst::BufferRef, segment: Option<&gst::Segment>) -> Option<gst::ClockTime> {
    let pts = buffer.pts()?;
    segment?.downcast_ref::<gst::ClockTime>()?.to_running_time(pts)
}

/// Video units from the encoder to the sink.
fn collect_video(
    sink: &gst::Element,
    stream: StreamId,
    codec: VideoCodec,
    delivery: &Arc<Delivery>,
) -> Result<(), HalError> {
    let delivery = Arc::clone(delivery);
    let first = AtomicBool::new(true);
    let scratch = Mutex::new(Vec::new());
    collect(sink, move |sample| {
        let Some((buffer, running)) = timed(sample) else { return };
        let Ok(map) = buffer.map_readable() else { return };
        let mut data = scratch.lock().unwrap_or_else(PoisonError::into_inner);
        data.clear();
        annexb::normalise(&map, &mut data);
        if data.is_empty() || data.len() > MAX_UNIT_BYTES {
            tracing::warn!(%stream, bytes = data.len(), "an access unit of impossible size was dropped");
            return;
        }
        let discontinuity = first.swap(false, Ordering::Relaxed);
        if discontinuity {
            delivery.sink.format(stream, StreamFormat::Video(codec));
        }
        let stamp = delivery.timeline.stamp(running);
        delivery.sink.unit(&AccessUnit {
            stream,
            pts: stamp.pts,
            wall: stamp.wall,
            keyframe: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
            discontinuity,
            data: &data,
        });
        // Behind the unit: whoever hears that there is a picture finds it.
        if discontinuity {
            (delivery.alive)();
        }
        delivery.units.fetch_add(1, Ordering::Relaxed);
    })
}

/// AAC units from the encoder to the sink.
fn collect_audio(sink: &gst::Element, stream: StreamId, delivery: &Arc<Delivery>) -> Result<(), HalError> {
    let delivery = Arc::clone(delivery);
    let first = AtomicBool::new(true);
    collect(sink, move |sample| {
        let Some((buffer, running)) = timed(sample) else { return };
        let discontinuity = first.load(Ordering::Relaxed);
        if discontinuity {
            let Some(format) = sample.caps().and_then(audio_format) else {
                tracing::warn!(%stream, "the AAC encoder gives no AudioSpecificConfig");
                return;
            };
            delivery.sink.format(stream, StreamFormat::Audio(format));
            first.store(false, Ordering::Relaxed);
        }
        let Ok(map) = buffer.map_readable() else { return };
        if map.is_empty() || map.len() > MAX_UNIT_BYTES {
            return;
        }
        let stamp = delivery.timeline.stamp(running);
        delivery.sink.unit(&AccessUnit {
            stream,
            pts: stamp.pts,
            wall: stamp.wall,
            keyframe: true,
            discontinuity,
            data: &map,
        });
    })
}

/// AudioSpecificConfig from the encoder's `codec_data` (ISO 14496-3 section 1.6.2.1).
fn audio_format(caps: &gst::CapsRef) -> Option<AudioFormat> {
    let caps = caps.structure(0)?;
    let config = caps.get::<gst::Buffer>("codec_data").ok()?.map_readable().ok()?.to_vec();
    (!config.is_empty() && config.len() <= MAX_AAC_CONFIG_BYTES).then_some(AudioFormat {
        codec: AudioCodec::Aac,
        sample_rate: caps.get::<i32>("rate").ok()?.try_into().ok()?,
        channels: caps.get::<i32>("channels").ok()?.try_into().ok()?,
        config,
    })
}

fn collect(sink: &gst::Element, take: impl Fn(&gst::Sample) + Send + Sync + 'static) -> Result<(), HalError> {
    let sink = sink.downcast_ref::<AppSink>().ok_or_else(|| device("no appsink".into()))?;
    sink.set_callbacks(
        AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Flushing)?;
                take(&sample);
                Ok(gst::FlowSuccess::Ok)
            })
            .build(),
    );
    Ok(())
}

fn timed(sample: &gst::Sample) -> Option<(&gst::BufferRef, gst::ClockTime)> {
    let buffer = sample.buffer()?;
    Some((buffer, running_time(buffer, sample.segment())?))
}
