//! V4L2 capture devices: which are there, and what they deliver.
//!
//! Does not belong here: which mode a channel takes (`modes.rs`), whether there is a signal (`front_end.rs`).

use gstreamer as gst;
use gstreamer::prelude::*;
use hal::{ErrorKind, FrameRate, HalError, Resolution};
use linuxvideo::{CapabilityFlags, Device};

use crate::modes::{self, CaptureMode, Wish};
use crate::plugins;

/// Where the kernel's devices are.
const DEVICES: &str = "/dev";

/// More than any device has: of a format, its largest size and its highest rate.
const MOST: Wish = Wish {
    resolution: Resolution { width: u16::MAX, height: u16::MAX },
    frame_rate: FrameRate { numerator: 1000, denominator: 1 },
};

/// A capture device of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureDevice {
    /// The input's name for [`hal::ChannelConfig::input`]: `video0` for `/dev/video0`.
    pub input: String,
    /// The kernel's driver, as `uvcvideo`.
    pub driver: String,
    /// The device's name by its driver.
    pub card: String,
    /// What it delivers: for each format and size its highest rate. Empty when it is none that this backend reads,
    /// or when the device is silent on it.
    pub modes: Vec<CaptureMode>,
}

/// The capture devices that are there now.
///
/// # Errors
/// `Device` when GStreamer does not start.
pub fn capture_devices() -> Result<Vec<CaptureDevice>, HalError> {
    plugins::init()?;
    Ok(paths().iter().filter_map(|path| describe(path)).collect())
}

fn describe(path: &str) -> Option<CaptureDevice> {
    let Identity { driver, card, .. } = identity(path).ok()?;
    let caps = probe(path).unwrap_or_else(|_| gst::Caps::new_empty());
    let modes = modes::all(&caps, MOST).map(|choice| choice.mode).collect();
    Some(CaptureDevice { input: input_name(path)?.to_owned(), driver, card, modes })
}

/// `/dev/video2` is called `video2`.
pub(crate) fn input_name(path: &str) -> Option<&str> {
    path.strip_prefix("/dev/").filter(|name| !name.is_empty() && !name.contains('/'))
}

/// The V4L2 devices that can capture pictures; codecs and metadata nodes are not among them.
pub(crate) fn paths() -> Vec<String> {
    let names = std::fs::read_dir(DEVICES).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let mut numbers: Vec<u32> = names.filter_map(|name| name.strip_prefix("video")?.parse().ok()).collect();
    numbers.sort_unstable();
    let paths = numbers.iter().map(|number| format!("{DEVICES}/video{number}"));
    paths.filter(|path| identity(path).is_ok_and(|identity| identity.captures)).collect()
}

/// A device, and where it is plugged in: the kernel gives numbers as devices come, and a device that was pulled may
/// return with another one. GStreamer 1.22 sees to that: each pipeline that captured leaves the device open once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    path: String,
    /// Card and bus, as `usb-0000:00:14.0-3`; none where the device was not there to tell.
    socket: Option<(String, String)>,
}

impl Place {
    pub(crate) fn of(path: &str) -> Self {
        Self { path: path.to_owned(), socket: socket(path) }
    }

    /// The device's path now; the one it had where no other device is at its place.
    pub(crate) fn path(&self) -> String {
        if self.socket.is_none() || socket(&self.path) == self.socket {
            return self.path.clone();
        }
        paths().into_iter().find(|path| socket(path) == self.socket).unwrap_or_else(|| self.path.clone())
    }
}

fn socket(path: &str) -> Option<(String, String)> {
    identity(path).ok().map(|identity| (identity.card, identity.bus))
}

/// Why the device behind an input's name is none of [`paths`]; none where there is no such device.
pub(crate) fn why_not(input: &str) -> Option<String> {
    let path = format!("{DEVICES}/{input}");
    input_name(&path)?;
    if !input.starts_with("video") || !std::path::Path::new(&path).exists() {
        return None;
    }
    Some(match identity(&path) {
        Ok(Identity { driver, card, .. }) => {
            format!("{path} ({card}, driver {driver}) is no capture device")
        }
        Err(error) => format!("{path} does not open: {error}"),
    })
}

struct Identity {
    driver: String,
    card: String,
    bus: String,
    captures: bool,
}

fn identity(path: &str) -> std::io::Result<Identity> {
    let capabilities = Device::open(path)?.capabilities()?;
    let can = capabilities.device_capabilities();
    Ok(Identity {
        driver: capabilities.driver().to_owned(),
        card: capabilities.card().to_owned(),
        bus: capabilities.bus_info().to_owned(),
        // A codec captures too, of what it is given.
        captures: can.intersects(CapabilityFlags::VIDEO_CAPTURE | CapabilityFlags::VIDEO_CAPTURE_MPLANE)
            && !can.intersects(CapabilityFlags::VIDEO_M2M | CapabilityFlags::VIDEO_M2M_MPLANE),
    })
}

/// What a device offers, by its own word.
///
/// # Errors
/// `Unsupported` without the plugin, `Busy` when another program has the device, `Device` when it does not open.
pub(crate) fn probe(path: &str) -> Result<gst::Caps, HalError> {
    plugins::require(&["v4l2src"])?;
    let failed = |context: String| HalError::new(ErrorKind::Device, context);
    let source = gst::ElementFactory::make("v4l2src")
        .property("device", path)
        .build()
        .map_err(|error| failed(format!("{path}: {error}")))?;
    let bus = gst::Bus::new();
    source.set_bus(Some(&bus));
    let opened = source.set_state(gst::State::Ready);
    let caps = source.static_pad("src").filter(|_| opened.is_ok()).map(|pad| pad.query_caps(None));
    let closed = source.set_state(gst::State::Null);
    let said = bus.pop_filtered(&[gst::MessageType::Error]).and_then(|message| plugins::failure(&message));
    source.set_bus(None);
    match (opened, caps, closed) {
        (Ok(_), Some(caps), Ok(_)) => Ok(caps),
        _ => Err(match said {
            Some((kind, reason)) => HalError::new(kind, reason),
            None => failed(format!("{path} does not open")),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_captures_nothing_is_refused_with_the_reason() {
        assert_eq!(why_not("video-none"), None, "it is not there");
        assert_eq!(why_not("null"), None, "no such name is an input's");
        assert_eq!(why_not("video/../null"), None);
    }

    #[test]
    fn what_is_no_capture_device_does_not_open() {
        plugins::init().unwrap();
        if plugins::has("v4l2src") {
            let error = probe("/dev/null").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Device);
            assert!(error.to_string().contains("/dev/null"), "{error}");
        }
    }
}
