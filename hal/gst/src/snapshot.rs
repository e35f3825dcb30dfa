//! Snapshots: one keyframe becomes a JPEG picture.
//!
//! Does not belong here: finding the keyframe, and keeping the picture.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSrc};
use hal::{ErrorKind, HalError, MAX_UNIT_BYTES, VideoCodec};

use crate::plugins;

/// Decoding one picture takes milliseconds; more than this means a decoder that hangs.
const TIMEOUT: gst::ClockTime = gst::ClockTime::from_seconds(5);

/// Decodes one keyframe access unit (Annex B, parameter sets included) and codes it as JPEG. Takes tens of
/// milliseconds of the calling thread, which must not be a channel's.
///
/// # Errors
/// `Unsupported` for a missing decoder plugin, naming the package; `Device` for a unit that does not decode.
pub fn snapshot(codec: VideoCodec, annexb: &[u8]) -> Result<Vec<u8>, HalError> {
    plugins::init()?;
    let fail = |context: String| HalError::new(ErrorKind::Device, format!("no snapshot: {context}"));
    if annexb.is_empty() || annexb.len() > MAX_UNIT_BYTES {
        return Err(fail(format!("an access unit of {} bytes", annexb.len())));
    }
    let (caps, decoder) = match codec {
        VideoCodec::H264 => ("video/x-h264", "avdec_h264"),
        VideoCodec::H265 => ("video/x-h265", "avdec_h265"),
    };
    let parser = if codec == VideoCodec::H264 { "h264parse" } else { "h265parse" };
    plugins::require(&["appsrc", parser, decoder, "videoconvert", "jpegenc", "appsink"])?;
    let pipeline = gst::parse::launch(&format!(
        "appsrc name=in format=time caps={caps},stream-format=byte-stream,alignment=au ! {parser} \
         ! {decoder} max-threads=1 ! videoconvert ! jpegenc quality=85 ! appsink name=out sync=false max-buffers=1"
    ))
    .map_err(|error| fail(error.to_string()))?;
    let pipeline = Stopped(pipeline.downcast::<gst::Pipeline>().map_err(|_| fail("no pipeline".into()))?);
    let source = pipeline.0.by_name("in").and_then(|element| element.downcast::<AppSrc>().ok());
    let sink = pipeline.0.by_name("out").and_then(|element| element.downcast::<AppSink>().ok());
    let (Some(source), Some(sink)) = (source, sink) else { return Err(fail("no pipeline".into())) };
    pipeline.0.set_state(gst::State::Playing).map_err(|error| fail(error.to_string()))?;

    let mut buffer = gst::Buffer::from_slice(annexb.to_vec());
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(gst::ClockTime::ZERO);
    }
    source.push_buffer(buffer).map_err(|error| fail(error.to_string()))?;
    source.end_of_stream().map_err(|error| fail(error.to_string()))?;
    // At the end of the stream, and so when nothing could be decoded, there is no sample.
    let sample = sink.try_pull_sample(TIMEOUT).ok_or_else(|| fail("the keyframe does not decode".into()))?;
    let jpeg = sample.buffer().and_then(|buffer| buffer.map_readable().ok()).map(|map| map.to_vec());
    jpeg.filter(|jpeg| jpeg.starts_with(&[0xff, 0xd8])).ok_or_else(|| fail("the encoder gave no JPEG".into()))
}

/// Stops its pipeline on every way out.
struct Stopped(gst::Pipeline);

impl Drop for Stopped {
    fn drop(&mut self) {
        if self.0.set_state(gst::State::Null).is_err() {
            tracing::warn!("a snapshot's pipeline did not stop cleanly");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rubbish_gives_an_error_and_not_a_picture() {
        for bytes in [&[][..], &[0; 64], &[0, 0, 0, 1, 0x65, 1, 2, 3, 4, 5]] {
            let error = snapshot(VideoCodec::H264, bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Device, "{error}");
        }
    }
}
