//! GStreamer's client, `rtspsrc`, driven as an application does it.
//!
//! gst-launch waits for "no more pads" to link what comes late, which `rtspsrc` says too early when the first packets of
//! two streams come in the same moment.

use std::sync::{Arc, Mutex};

use gstreamer as gst;
use gstreamer::prelude::*;

use super::{KEY, USER};

/// What becomes of one stream of the presentation.
pub struct Branch {
    /// `video` or `audio`, as in the SDP.
    pub media: &'static str,
    /// From RTP to raw frames.
    pub elements: &'static str,
    /// Raw buffers after which it ends, in real time.
    pub buffers: u32,
}

/// Plays until every branch has its buffers; GStreamer may not warn nor log an error until then.
pub fn play(location: &str, transport: &str, branches: &[Branch]) {
    play_as(location, transport, "1-0", branches);
}

/// In a version of RTSP.
pub fn play_as(location: &str, transport: &str, version: &str, branches: &[Branch]) {
    gst::init().unwrap();
    let pipeline = gst::Pipeline::new();
    let source = gst::ElementFactory::make("rtspsrc")
        .property("location", location)
        .property("user-id", USER)
        .property("user-pw", KEY)
        .property_from_str("protocols", transport)
        .property_from_str("default-rtsp-version", version)
        // Certificates in tests are their servers' own.
        .property_from_str("tls-validation-flags", "0")
        .build()
        .unwrap();
    pipeline.add(&source).unwrap();
    let sinks: Vec<(&'static str, gst::Pad)> = branches
        .iter()
        .map(|branch| {
            let elements = format!("{} ! fakesink sync=true num-buffers={}", branch.elements, branch.buffers);
            let bin = gst::parse::bin_from_description(&elements, true).unwrap();
            pipeline.add(&bin).unwrap();
            (branch.media, bin.static_pad("sink").unwrap())
        })
        .collect();
    source.connect_pad_added(move |_, pad| {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let media = caps.structure(0).and_then(|fields| fields.get::<String>("media").ok());
        if let Some((_, sink)) = sinks.iter().find(|(name, _)| media.as_deref() == Some(*name)) {
            pad.link(sink).unwrap();
        }
    });
    let said = errors_logged();
    pipeline.set_state(gst::State::Playing).unwrap();
    let wanted = [gst::MessageType::Eos, gst::MessageType::Error, gst::MessageType::Warning];
    let end = pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(60), &wanted);
    let logged = std::mem::take(&mut *said.lock().unwrap());
    pipeline.set_state(gst::State::Null).unwrap();
    let ended = end.as_ref().is_some_and(|message| message.type_() == gst::MessageType::Eos);
    assert!(ended && logged.is_empty(), "{transport}: {end:?}\n{logged:#?}");
}

/// What GStreamer logs as errors from now on.
fn errors_logged() -> Arc<Mutex<Vec<String>>> {
    let said = Arc::new(Mutex::new(Vec::new()));
    let theirs = Arc::clone(&said);
    gst::log::set_default_threshold(gst::DebugLevel::Error);
    gst::log::add_log_function(move |category, level, _, function, line, _, message| {
        if level == gst::DebugLevel::Error {
            let words = message.get().map(|text| text.to_string()).unwrap_or_default();
            theirs.lock().unwrap().push(format!("{} {function}:{line}: {words}", category.name()));
        }
    });
    said
}
