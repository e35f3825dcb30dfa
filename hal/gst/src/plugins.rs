//! GStreamer's plugins: which elements are there, which package brings the others.
//!
//! The packages are Debian's.
//!
//! Does not belong here: what an element is used for.

use std::sync::OnceLock;

use gstreamer as gst;
use hal::{ErrorKind, HalError};

/// Element and the Debian 12 package that holds it.
const PACKAGES: &[(&str, &str)] = &[
    ("appsink", "gstreamer1.0-plugins-base"),
    ("appsrc", "gstreamer1.0-plugins-base"),
    ("audioconvert", "gstreamer1.0-plugins-base"),
    ("audioresample", "gstreamer1.0-plugins-base"),
    ("audiotestsrc", "gstreamer1.0-plugins-base"),
    ("avdec_h264", "gstreamer1.0-libav"),
    ("avdec_h265", "gstreamer1.0-libav"),
    ("avenc_aac", "gstreamer1.0-libav"),
    ("decodebin", "gstreamer1.0-plugins-base"),
    ("deinterlace", "gstreamer1.0-plugins-good"),
    ("h264parse", "gstreamer1.0-plugins-bad"),
    ("h265parse", "gstreamer1.0-plugins-bad"),
    ("jpegdec", "gstreamer1.0-plugins-good"),
    ("jpegenc", "gstreamer1.0-plugins-good"),
    ("openh264enc", "gstreamer1.0-plugins-bad"),
    ("v4l2src", "gstreamer1.0-plugins-good"),
    ("videoconvert", "gstreamer1.0-plugins-base"),
    ("videorate", "gstreamer1.0-plugins-base"),
    ("videoscale", "gstreamer1.0-plugins-base"),
    ("videotestsrc", "gstreamer1.0-plugins-base"),
    ("voaacenc", "gstreamer1.0-plugins-bad"),
    ("x264enc", "gstreamer1.0-plugins-ugly"),
    ("x265enc", "gstreamer1.0-plugins-bad"),
];

/// Starts GStreamer, once in a process.
///
/// # Errors
/// `Device` when GStreamer itself does not start.
pub(crate) fn init() -> Result<(), HalError> {
    static RESULT: OnceLock<Result<(), String>> = OnceLock::new();
    RESULT
        .get_or_init(|| gst::init().map_err(|error| error.to_string()))
        .clone()
        .map_err(|error| HalError::new(ErrorKind::Device, format!("GStreamer does not start: {error}")))
}

/// Whether an element can be made.
pub(crate) fn has(element: &str) -> bool {
    gst::ElementFactory::find(element).is_some()
}

/// # Errors
/// `Unsupported`, naming the element and its package, for the first one that is missing.
pub(crate) fn require(elements: &[&str]) -> Result<(), HalError> {
    elements.iter().find(|element| !has(element)).map_or(Ok(()), |element| Err(missing(element)))
}

/// # Errors
/// `Unsupported`, naming the first element and its package, when none of them is there.
pub(crate) fn first_of<'a>(elements: &[&'a str]) -> Result<&'a str, HalError> {
    elements.iter().find(|element| has(element)).copied().ok_or_else(|| missing(elements[0]))
}

/// What a message says about the end of the pictures: its kind, and its reason for people.
pub(crate) fn failure(message: &gst::MessageRef) -> Option<(ErrorKind, String)> {
    match message.view() {
        gst::MessageView::Error(error) => {
            let kind = if error.error().matches(gst::ResourceError::Busy) {
                ErrorKind::Busy
            } else {
                ErrorKind::Device
            };
            Some((kind, error.error().message().to_owned()))
        }
        gst::MessageView::Eos(_) => Some((ErrorKind::Device, "the source ended".into())),
        _ => None,
    }
}

fn missing(element: &str) -> HalError {
    let package = PACKAGES.iter().find(|(name, _)| *name == element).map(|(_, package)| *package);
    HalError::new(
        ErrorKind::Unsupported,
        match package {
            Some(package) => format!(
                "GStreamer's element {element} is missing; on Debian it comes with: apt install {package}"
            ),
            None => format!("GStreamer's element {element} is missing"),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_element_names_its_package() {
        let error = missing("x265enc");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("apt install gstreamer1.0-plugins-bad"), "{error}");
    }

    #[test]
    fn the_first_element_that_is_there_is_taken() {
        init().unwrap();
        assert_eq!(first_of(&["no-such-element", "videotestsrc"]).unwrap(), "videotestsrc");
        assert!(first_of(&["no-such-element"]).is_err());
        assert!(
            require(&["appsink", "no-such-element"]).unwrap_err().to_string().contains("no-such-element")
        );
    }
}
