//! Inputs: what a channel can show, as pipeline text of raw pictures and sound.
//!
//! Does not belong here: encoders, and anything after the raw picture.

use gstreamer as gst;
use gstreamer::prelude::*;
use hal::{ErrorKind, HalError};

use crate::plugins;

/// The device property that holds `/dev/videoN`; the first is PipeWire's spelling, the second the plugin's own.
const PATH_PROPERTIES: [&str; 2] = ["api.v4l2.path", "device.path"];

/// Scenes of the test inputs: all move, none looks like another. Colours are big-endian ARGB.
const SCENES: [&str; 6] = [
    "pattern=ball motion=wavy background-color=0xff16324f foreground-color=0xffffd23f",
    "pattern=smpte horizontal-speed=4",
    "pattern=pinwheel background-color=0xff5f0f40 foreground-color=0xfffb8b24",
    "pattern=ball motion=hsweep background-color=0xff3a5a40 foreground-color=0xffffffff",
    "pattern=spokes background-color=0xff000000 foreground-color=0xff2ec4b6",
    "pattern=smpte75 horizontal-speed=-6",
];

/// One of the backend's inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A moving test scene.
    Test(u16),
    /// A V4L2 capture device, by its path.
    V4l2(String),
}

impl Input {
    /// The input called `name`.
    ///
    /// # Errors
    /// `NotFound` with the names that are there.
    pub(crate) fn find(name: &str, test_inputs: u16) -> Result<Self, HalError> {
        let inputs = all(test_inputs);
        inputs.iter().find(|(known, _)| known == name).map(|(_, input)| input.clone()).ok_or_else(|| {
            let known: Vec<_> = inputs.iter().map(|(known, _)| known.as_str()).collect();
            HalError::new(
                ErrorKind::NotFound,
                format!("there is no input \"{name}\"; there are: {}", known.join(", ")),
            )
        })
    }

    /// Elements that `video` needs.
    pub(crate) fn video_elements(&self) -> &'static [&'static str] {
        match self {
            Self::Test(_) => &["videotestsrc"],
            Self::V4l2(_) => &["v4l2src", "decodebin", "videoconvert", "videoscale", "videorate"],
        }
    }

    /// Pipeline text for raw pictures that fit `caps`.
    pub(crate) fn video(&self, caps: &str) -> String {
        match self {
            Self::Test(number) => {
                let scene = SCENES[usize::from(*number) % SCENES.len()];
                format!("videotestsrc name=source is-live=true {scene} ! {caps}")
            }
            // The device's path is set as a property afterwards: it does not become pipeline text.
            Self::V4l2(_) => format!(
                "v4l2src name=source ! decodebin ! videoconvert ! videoscale ! videorate \
                 skip-to-first=true ! {caps}"
            ),
        }
    }

    /// Pipeline text for raw sound, where the input has any.
    pub(crate) fn audio(&self) -> Option<&'static str> {
        match self {
            Self::Test(_) => Some(
                "audiotestsrc name=sound is-live=true wave=ticks tick-interval=1000000000 volume=0.3 \
                 samplesperbuffer=1024",
            ),
            Self::V4l2(_) => None,
        }
    }

    /// Properties that are not pipeline text.
    pub(crate) fn prepare(&self, pipeline: &gst::Pipeline) {
        if let (Self::V4l2(path), Some(source)) = (self, pipeline.by_name("source")) {
            source.set_property("device", path);
        }
    }
}

/// Every input with its name.
pub(crate) fn all(test_inputs: u16) -> Vec<(String, Input)> {
    let tests = (0..test_inputs).map(|number| (format!("test{number}"), Input::Test(number)));
    tests.chain(v4l2_paths().into_iter().filter_map(v4l2_input)).collect()
}

/// `/dev/video2` is called `video2`.
fn v4l2_input(path: String) -> Option<(String, Input)> {
    let name = path.strip_prefix("/dev/").filter(|name| !name.is_empty() && !name.contains('/'))?;
    Some((name.to_owned(), Input::V4l2(path)))
}

/// The V4L2 devices that can capture pictures; codecs and metadata nodes are not among them.
fn v4l2_paths() -> Vec<String> {
    if !plugins::has("v4l2src") {
        return Vec::new();
    }
    let monitor = gst::DeviceMonitor::new();
    if monitor.add_filter(Some("Video/Source"), None).is_none() {
        return Vec::new();
    }
    let mut paths: Vec<String> = monitor.devices().iter().filter_map(device_path).collect();
    paths.sort();
    paths.dedup();
    paths
}

fn device_path(device: &gst::Device) -> Option<String> {
    let properties = device.properties()?;
    PATH_PROPERTIES.iter().find_map(|name| properties.get::<String>(*name).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_named_and_found() {
        plugins::init().unwrap();
        let names: Vec<_> = all(2).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names[..2], ["test0", "test1"]);
        assert_eq!(Input::find("test1", 2).unwrap(), Input::Test(1));
        let error = Input::find("test2", 2).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("test0, test1"), "{error}");
    }

    #[test]
    fn a_device_is_called_by_its_file_name() {
        assert_eq!(
            v4l2_input("/dev/video2".into()),
            Some(("video2".into(), Input::V4l2("/dev/video2".into())))
        );
        assert_eq!(v4l2_input("/dev/v4l/by-id/x".into()), None);
        assert_eq!(v4l2_input("rtsp://camera".into()), None);
    }

    #[test]
    fn a_device_path_becomes_a_property_not_pipeline_text() {
        plugins::init().unwrap();
        let input = Input::V4l2("/dev/video0 ! filesink location=x".into());
        let text = input.video("video/x-raw");
        assert!(!text.contains("filesink"));
        let Ok(element) = gst::parse::launch(&format!("{text} ! fakesink")) else {
            assert!(!plugins::has("v4l2src"), "the text must parse where the plugin is");
            return;
        };
        let pipeline = element.downcast::<gst::Pipeline>().unwrap();
        input.prepare(&pipeline);
        let device: String = pipeline.by_name("source").unwrap().property("device");
        assert_eq!(device, "/dev/video0 ! filesink location=x");
    }
}
