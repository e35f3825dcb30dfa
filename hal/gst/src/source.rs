//! Inputs: what a channel can show, as pipeline text of raw pictures and sound.
//!
//! Does not belong here: encoders, and anything after the raw picture.

use gstreamer as gst;
use gstreamer::prelude::*;
use hal::{ErrorKind, HalError};

use crate::device::{self, Place};
use crate::front_end::FrontEnd;
use crate::modes::{self, Wish};

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
    /// A V4L2 capture device.
    V4l2(Place),
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
            let reason = device::why_not(name).unwrap_or_else(|| format!("there is no input \"{name}\""));
            HalError::new(ErrorKind::NotFound, format!("{reason}; there are: {}", known.join(", ")))
        })
    }

    /// What the input delivers for a wish; asks the device.
    ///
    /// # Errors
    /// `Unsupported` when it delivers nothing that this backend reads, `Busy` and `Device` as the device says.
    pub(crate) fn feed(&self, wish: Wish) -> Result<Feed, HalError> {
        let Self::V4l2(place) = self else { return Ok(Feed::Scene) };
        let path = place.path();
        let offered = device::probe(&path)?;
        let choice = modes::choose(&offered, wish).ok_or_else(|| {
            let kinds: Vec<_> = offered.iter().map(|structure| structure.name().as_str()).collect();
            let context =
                format!("{path} has no picture format that is read here; it has: {}", kinds.join(", "));
            HalError::new(ErrorKind::Unsupported, context)
        })?;
        tracing::info!(%path, mode = %choice.mode, "capture mode");
        // Behind an HDMI receiver size and rate are the signal's, and may change while it runs.
        let follows_signal = FrontEnd::open(&path).is_some_and(|front_end| front_end.follows_signal());
        Ok(Feed::Device {
            path,
            caps: if follows_signal { kind_of(&choice) } else { choice.caps.clone() },
            jpeg: choice.mode.is_jpeg(),
            fields: choice.fields,
        })
    }

    /// Asks the device's front end whether there is a signal; none for inputs without one.
    pub(crate) fn front_end(&self) -> Option<FrontEnd> {
        match self {
            Self::Test(_) => None,
            Self::V4l2(place) => FrontEnd::open(&place.path()),
        }
    }

    /// Elements that `video` needs.
    pub(crate) fn video_elements(&self, feed: &Feed) -> Vec<&'static str> {
        match (self, feed) {
            (Self::Test(_), _) | (_, Feed::Scene) => vec!["videotestsrc"],
            (Self::V4l2(_), Feed::Device { jpeg, fields, .. }) => {
                let more = [("jpegdec", *jpeg), ("deinterlace", *fields)];
                let more = more.into_iter().filter(|(_, needed)| *needed).map(|(element, _)| element);
                ["v4l2src", "capsfilter", "videoconvert", "videoscale", "videorate"]
                    .into_iter()
                    .chain(more)
                    .collect()
            }
        }
    }

    /// Pipeline text for raw pictures that fit `caps`.
    pub(crate) fn video(&self, feed: &Feed, caps: &str) -> String {
        match (self, feed) {
            (Self::Test(number), _) => {
                let scene = SCENES[usize::from(*number) % SCENES.len()];
                format!("videotestsrc name=source is-live=true {scene} ! {caps}")
            }
            (Self::V4l2(_), feed) => {
                let (decode, weave) = match feed {
                    Feed::Scene => ("", ""),
                    Feed::Device { jpeg, fields, .. } => (
                        if *jpeg { "jpegdec ! " } else { "" },
                        // One picture of two fields stays one: twice as many would be more than was ordered.
                        if *fields { "deinterlace fields=top ! " } else { "" },
                    ),
                };
                // The device's path and mode are set as properties afterwards: they do not become pipeline text.
                format!(
                    "v4l2src name=source ! capsfilter name=mode ! {decode}videoconvert ! {weave}videoscale \
                     ! videorate skip-to-first=true ! {caps}"
                )
            }
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
    pub(crate) fn prepare(feed: &Feed, pipeline: &gst::Pipeline) {
        let Feed::Device { path, caps, .. } = feed else { return };
        if let Some(source) = pipeline.by_name("source") {
            source.set_property("device", path);
        }
        if let Some(mode) = pipeline.by_name("mode") {
            mode.set_property("caps", caps);
        }
    }
}

/// What an input delivers.
#[derive(Debug)]
pub(crate) enum Feed {
    /// A test scene, at any size and rate.
    Scene,
    /// A capture device's pictures.
    Device {
        path: String,
        caps: gst::Caps,
        jpeg: bool,
        /// Whether pictures may be of two fields.
        fields: bool,
    },
}

/// The kind of picture alone, of any size and rate.
fn kind_of(choice: &modes::Choice) -> gst::Caps {
    gst::Caps::new_empty_simple(if choice.mode.is_jpeg() { "image/jpeg" } else { "video/x-raw" })
}

/// Every input with its name.
pub(crate) fn all(test_inputs: u16) -> Vec<(String, Input)> {
    let tests = (0..test_inputs).map(|number| (format!("test{number}"), Input::Test(number)));
    tests.chain(device::paths().iter().filter_map(|path| v4l2_input(path))).collect()
}

fn v4l2_input(path: &str) -> Option<(String, Input)> {
    let name = device::input_name(path)?.to_owned();
    Some((name, Input::V4l2(Place::of(path))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins;

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
        assert_eq!(v4l2_input("/dev/video2"), Some(("video2".into(), Input::V4l2(Place::of("/dev/video2")))));
        assert_eq!(v4l2_input("/dev/v4l/by-id/x"), None);
        assert_eq!(v4l2_input("rtsp://camera"), None);
    }

    #[test]
    fn a_device_path_becomes_a_property_not_pipeline_text() {
        plugins::init().unwrap();
        let path = "/dev/video0 ! filesink location=x";
        let input = Input::V4l2(Place::of(path));
        let caps = gst::Caps::new_empty_simple("image/jpeg");
        let feed = Feed::Device { path: path.into(), caps: caps.clone(), jpeg: true, fields: true };
        let text = input.video(&feed, "video/x-raw");
        assert!(!text.contains("filesink"));
        let Ok(element) = gst::parse::launch(&format!("{text} ! fakesink")) else {
            assert!(
                plugins::require(&input.video_elements(&feed)).is_err(),
                "the text must parse where its plugins are"
            );
            return;
        };
        let pipeline = element.downcast::<gst::Pipeline>().unwrap();
        Input::prepare(&feed, &pipeline);
        assert_eq!(pipeline.by_name("mode").unwrap().property::<gst::Caps>("caps"), caps);
        let device: String = pipeline.by_name("source").unwrap().property("device");
        assert_eq!(device, path);
    }
}
