//! Clips: an MP4 file's access units in memory, with their times.
//!
//! Does not belong here: when they are sent.
//!
//! Invariant: times are the file's own, edit list applied, the earliest decoding time being zero.

use std::path::Path;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;

use crate::error::{CameraError, ErrorKind};

/// Clips are held in memory; a test clip has a few megabytes.
const MAX_CLIP_BYTES: u64 = 256 << 20;

/// One coded unit.
#[derive(Clone)]
pub(crate) struct Unit {
    pub(crate) data: gst::Buffer,
    /// Nanoseconds from the clip's start.
    pub(crate) pts: u64,
    pub(crate) dts: u64,
    duration: u64,
}

/// One of the clip's tracks.
pub(crate) struct Track {
    pub(crate) caps: gst::Caps,
    /// In decoding order.
    pub(crate) units: Vec<Unit>,
}

/// A clip's first video track, and its first AAC track where it has one.
pub(crate) struct Clip {
    pub(crate) video: Track,
    pub(crate) audio: Option<Track>,
    /// Nanoseconds from the start of one round to the start of the next.
    pub(crate) round: u64,
}

impl Clip {
    pub(crate) fn load(path: &Path) -> Result<Self, CameraError> {
        let fail = |what: &str| CameraError::new(ErrorKind::Clip, format!("{}: {what}", path.display()));
        let size = std::fs::metadata(path).map_err(|error| fail(&error.to_string()))?.len();
        if size > MAX_CLIP_BYTES {
            return Err(fail(&format!(
                "{size} bytes are more than the {MAX_CLIP_BYTES} that a clip may have"
            )));
        }
        let pipeline = gst::Pipeline::new();
        let make = |name: &str| {
            gst::ElementFactory::make(name).build().map_err(|error| {
                CameraError::new(
                    ErrorKind::GStreamer,
                    format!("GStreamer's element {name} is missing: {error}"),
                )
            })
        };
        let (source, demux) = (make("filesrc")?, make("qtdemux")?);
        source.set_property("location", path);
        let refused = |error: gst::glib::BoolError| fail(&error.to_string());
        pipeline.add_many([&source, &demux]).map_err(refused)?;
        source.link(&demux).map_err(refused)?;
        let weak = pipeline.downgrade();
        demux.connect_pad_added(move |_, pad| {
            let Some(pipeline) = weak.upgrade() else { return };
            // Unlimited: the whole clip is wanted, and its size is bounded above. It is taken out after its end.
            let sink = AppSink::builder().sync(false).wait_on_eos(false).name(pad.name()).build();
            if pipeline.add(&sink).is_ok()
                && sink.sync_state_with_parent().is_ok()
                && let Some(entry) = sink.static_pad("sink")
                && let Err(error) = pad.link(&entry)
            {
                eprintln!("test-camera: a track is left out: {error}");
            }
        });
        let result = run(&pipeline).map_err(|what| fail(&what)).and_then(|()| Self::collect(&pipeline, fail));
        let _ = pipeline.set_state(gst::State::Null);
        result
    }

    fn collect(pipeline: &gst::Pipeline, fail: impl Fn(&str) -> CameraError) -> Result<Self, CameraError> {
        let (mut video, mut audio) = (None, None);
        for sink in
            pipeline.iterate_sinks().into_iter().flatten().filter_map(|sink| sink.downcast::<AppSink>().ok())
        {
            let Some((track, name)) = drain(&sink) else { continue };
            match name.as_str() {
                "video/x-h264" | "video/x-h265" => video = video.or(Some(track)),
                "audio/mpeg" => audio = audio.or(Some(track)),
                _ => {}
            }
        }
        let mut video = video.ok_or_else(|| fail("no H.264 or H.265 track"))?;
        // B-frames decode before the clip's start; everything is moved so that the first one decodes at zero.
        shift([Some(&mut video), audio.as_mut()].into_iter().flatten().collect());
        let round = [Some(&video), audio.as_ref()].into_iter().flatten().map(Track::end).max().unwrap_or(0);
        if round == 0 {
            return Err(fail("the clip has no duration"));
        }
        Ok(Self { video, audio, round })
    }
}

impl Track {
    fn end(&self) -> u64 {
        self.units.iter().map(|unit| unit.pts + unit.duration).max().unwrap_or(0)
    }
}

/// Lets the pipeline read the file to its end.
fn run(pipeline: &gst::Pipeline) -> Result<(), String> {
    let bus = pipeline.bus().ok_or("no bus")?;
    pipeline.set_state(gst::State::Playing).map_err(|error| error.to_string())?;
    for message in bus.iter_timed(gst::ClockTime::from_seconds(60)) {
        match message.view() {
            gst::MessageView::Eos(_) => return Ok(()),
            gst::MessageView::Error(error) => return Err(error.error().message().to_owned()),
            _ => {}
        }
    }
    Err("it was not read within a minute".into())
}

const SIGN_OFFSET: i64 = 1 << 40;

/// All of a track, times relative to the presentation's start and moved by `SIGN_OFFSET` so that none is negative.
fn drain(sink: &AppSink) -> Option<(Track, String)> {
    let (mut units, mut caps) = (Vec::new(), None);
    while let Some(sample) = sink.try_pull_sample(gst::ClockTime::ZERO) {
        caps = caps.or_else(|| sample.caps_owned());
        let (Some(buffer), Some(segment)) = (sample.buffer_owned(), sample.segment()) else { continue };
        let segment = segment.downcast_ref::<gst::ClockTime>()?.clone();
        let place = |time: Option<gst::ClockTime>| match segment.to_running_time_full(time?)? {
            gst::Signed::Positive(time) => u64::try_from(SIGN_OFFSET).ok()?.checked_add(time.nseconds()),
            gst::Signed::Negative(time) => u64::try_from(SIGN_OFFSET).ok()?.checked_sub(time.nseconds()),
        };
        let pts = place(buffer.pts())?;
        let dts = place(buffer.dts()).unwrap_or(pts);
        let duration = buffer.duration().map_or(0, gst::ClockTime::nseconds);
        units.push(Unit { data: buffer, pts, dts, duration });
    }
    let caps = caps?;
    let name = caps.structure(0)?.name().to_string();
    (!units.is_empty()).then_some((Track { caps, units }, name))
}

fn shift(mut tracks: Vec<&mut Track>) {
    let first =
        tracks.iter().flat_map(|track| &track.units).map(|unit| unit.dts.min(unit.pts)).min().unwrap_or(0);
    for unit in tracks.iter_mut().flat_map(|track| &mut track.units) {
        unit.pts -= first;
        unit.dts -= first;
    }
}
