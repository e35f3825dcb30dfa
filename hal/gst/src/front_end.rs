//! The front end of a V4L2 input: whether its device receives a signal.
//!
//! The device is asked (V4L2: VIDIOC_ENUMINPUT); nothing is concluded from missing pictures. Many devices show
//! noise or blue while they have no signal, others nothing.
//!
//! Does not belong here: what becomes of the pictures.

use gstreamer as gst;
use hal::{Signal, WallTime};
use linuxvideo::{Device, InputCapabilities, InputStatus};

/// What a device says when there is nothing to see: of the states that V4L2 has, those with no picture behind
/// them. A lock that is missing for a weak signal is not one of them.
const NOTHING_TO_SEE: [InputStatus; 3] =
    [InputStatus::NO_POWER, InputStatus::NO_SIGNAL, InputStatus::NO_SYNC];

/// A device that can be asked for its input's state while another part of the program captures from it.
///
/// Keeps the device open, and with it its number: to be dropped as soon as the device fails, or it comes back
/// under another name.
pub(crate) struct FrontEnd {
    device: Device,
}

impl FrontEnd {
    /// None for a device that opens for one user alone, or has no inputs: it cannot be asked.
    pub(crate) fn open(path: &str) -> Option<Self> {
        let front_end = Self { device: Device::open(path).ok()? };
        front_end.is_lost().map(|_| front_end)
    }

    /// Whether the input has no signal; none when the device does not say. A driver fills in the state of the
    /// selected input alone, so it does not matter which one that is.
    pub(crate) fn is_lost(&self) -> Option<bool> {
        let inputs: Vec<_> = self.device.inputs().collect::<Result<_, _>>().ok()?;
        let lost =
            inputs.iter().any(|input| NOTHING_TO_SEE.iter().any(|state| input.status().contains(*state)));
        (!inputs.is_empty()).then_some(lost)
    }

    /// What a capture element says by itself when its device announces a change: whether the signal is lost. It
    /// asks the same question, at the same place; of a device that cannot be opened twice it is all there is.
    pub(crate) fn said(message: &gst::MessageRef) -> Option<bool> {
        match message.view() {
            gst::MessageView::Warning(warning) => {
                warning.error().matches(gst::ResourceError::Read).then_some(true)
            }
            gst::MessageView::Info(info) => info.error().matches(gst::ResourceError::Read).then_some(false),
            _ => None,
        }
    }

    /// Whether the signal decides on size and rate, as behind an HDMI receiver.
    pub(crate) fn follows_signal(&self) -> bool {
        self.device
            .inputs()
            .flatten()
            .any(|input| input.capabilities().contains(InputCapabilities::DV_TIMINGS))
    }
}

/// What is known of an input, and what its user was told of it.
#[derive(Default)]
pub(crate) struct Picture {
    flows: bool,
    lost: bool,
    told_lost: Option<bool>,
}

impl Picture {
    /// Units come.
    pub(crate) fn flows(&mut self) {
        self.flows = true;
    }

    /// The device says whether its signal is lost.
    pub(crate) fn signal(&mut self, lost: bool) {
        self.lost = lost;
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lost
    }

    /// What the user has not heard yet. A picture is there when the device has a signal and units came.
    pub(crate) fn news(&mut self, now: WallTime) -> Option<Signal> {
        if self.told_lost == Some(self.lost) || !(self.lost || self.flows) {
            return None;
        }
        self.told_lost = Some(self.lost);
        Some(if self.lost { Signal::Lost { since: now } } else { Signal::Present })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallTime = WallTime::from_unix_micros(1_000_000);

    #[test]
    fn a_picture_is_told_of_once_it_is_there() {
        let mut picture = Picture::default();
        picture.signal(false);
        assert_eq!(picture.news(NOW), None, "no unit has come");
        picture.flows();
        assert_eq!(picture.news(NOW), Some(Signal::Present));
        assert_eq!(picture.news(NOW), None);
    }

    #[test]
    fn a_loss_is_told_of_with_or_without_pictures() {
        let mut picture = Picture::default();
        picture.signal(true);
        assert_eq!(picture.news(NOW), Some(Signal::Lost { since: NOW }));
        picture.flows();
        assert_eq!(picture.news(NOW), None, "noise is no picture");
        picture.signal(false);
        assert_eq!(picture.news(NOW), Some(Signal::Present));
        picture.signal(true);
        assert_eq!(picture.news(NOW), Some(Signal::Lost { since: NOW }));
    }

    #[test]
    fn an_elements_word_of_its_signal_is_told_from_other_warnings() {
        crate::plugins::init().unwrap();
        let read = gst::ResourceError::Read;
        assert_eq!(FrontEnd::said(&gst::message::Warning::new(read, "Signal lost")), Some(true));
        assert_eq!(FrontEnd::said(&gst::message::Info::new(read, "Signal recovered")), Some(false));
        assert_eq!(FrontEnd::said(&gst::message::Error::new(read, "gone")), None);
        assert_eq!(FrontEnd::said(&gst::message::Warning::new(gst::ResourceError::Settings, "rate")), None);
    }

    #[test]
    fn what_is_no_device_cannot_be_asked() {
        assert!(FrontEnd::open("/dev/null").is_none());
        assert!(FrontEnd::open("/dev/video-none").is_none());
    }
}
