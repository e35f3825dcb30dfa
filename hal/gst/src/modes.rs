//! Modes: which of a capture device's formats, sizes and rates a channel takes.
//!
//! Pure: reads the caps that a device offers, touches no device.
//!
//! Does not belong here: opening devices (`device.rs`), and pipeline text.

use gstreamer as gst;
use hal::{FrameRate, Resolution};

/// A device slower than its order by less than a twentieth is fast enough: 30000/1001 passes for 30.
const TOLERANCE: u64 = 20;

/// One format of a capture device, with the size and the rate of it that come nearest to a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureMode {
    /// GStreamer's name of the raw format, as `YUY2`; or `MJPEG`.
    pub format: String,
    /// The size of its pictures.
    pub resolution: Resolution,
    /// Its pictures a second.
    pub frame_rate: FrameRate,
    /// Whether a picture is two fields, one after the other.
    pub interlaced: bool,
}

impl CaptureMode {
    /// Whether its pictures are JPEG files.
    pub(crate) fn is_jpeg(&self) -> bool {
        self.format == JPEG
    }
}

impl std::fmt::Display for CaptureMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (size, rate) = (self.resolution, self.frame_rate);
        let scan = if self.interlaced { ", interlaced" } else { "" };
        write!(f, "{} {}x{} at ", self.format, size.width, size.height)?;
        match rate.denominator {
            1 => write!(f, "{}/s{scan}", rate.numerator),
            _ => write!(f, "{}/{} s{scan}", rate.numerator, rate.denominator),
        }
    }
}

/// What a channel would like a device to deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) resolution: Resolution,
    pub(crate) frame_rate: FrameRate,
}

/// A mode and the caps that make a device deliver it.
pub(crate) struct Choice {
    pub(crate) mode: CaptureMode,
    pub(crate) caps: gst::Caps,
    /// Whether fields may come: the device says so, or does not say before it runs.
    pub(crate) fields: bool,
}

const JPEG: &str = "MJPEG";

/// The best mode for a wish. None where the device has no format that this backend reads.
///
/// First the size counts, then the rate: a picture that is too small has lost what nothing brings back. Of those
/// that suffice, whole pictures before fields, raw before JPEG, which costs a decoder; then the smallest.
pub(crate) fn choose(caps: &gst::CapsRef, wish: Wish) -> Option<Choice> {
    all(caps, wish).min_by_key(|choice| {
        let (has, needs) = (choice.mode.resolution, wish.resolution);
        let missing = u32::from(needs.width.saturating_sub(has.width))
            + u32::from(needs.height.saturating_sub(has.height));
        let needed = per_kilosecond(wish.frame_rate);
        let lacking = (needed - needed / TOLERANCE).saturating_sub(per_kilosecond(choice.mode.frame_rate));
        let area = u32::from(has.width) * u32::from(has.height);
        (missing, lacking, choice.mode.interlaced, choice.mode.is_jpeg(), area)
    })
}

/// Every format that this backend reads, each as near to the wish as it comes.
pub(crate) fn all(caps: &gst::CapsRef, wish: Wish) -> impl Iterator<Item = Choice> {
    caps.iter_with_features().filter_map(move |(structure, features)| {
        // Pictures elsewhere than in memory, and those whose fields come one by one, have a feature of their own.
        let plain = features.is_equal(gst::CapsFeatures::new_empty().as_ref())
            || features.is_equal(gst::CAPS_FEATURES_MEMORY_SYSTEM_MEMORY.as_ref());
        plain.then(|| fit(structure, wish)).flatten()
    })
}

fn fit(structure: &gst::StructureRef, wish: Wish) -> Option<Choice> {
    let jpeg = match structure.name().as_str() {
        "video/x-raw" => false,
        "image/jpeg" => true,
        _ => return None,
    };
    if !["width", "height", "framerate"].iter().all(|field| structure.has_field(*field)) {
        return None;
    }
    let (size, rate) = (wish.resolution, wish.frame_rate);
    let mut structure = structure.to_owned();
    structure.fixate_field_nearest_int("width", size.width.into());
    structure.fixate_field_nearest_int("height", size.height.into());
    let wanted = gst::Fraction::new(
        rate.numerator.try_into().ok()?,
        rate.denominator.try_into().ok().filter(|&denominator| denominator != 0)?,
    );
    structure.fixate_field_nearest_fraction("framerate", wanted);
    for (field, target) in [("format", "I420"), ("interlace-mode", "progressive")] {
        if structure.has_field(field) {
            structure.fixate_field_str(field, target);
        }
    }
    let scan = structure.get::<&str>("interlace-mode").ok();
    let (interlaced, fields) =
        (scan.is_some_and(|mode| mode != "progressive"), !jpeg && scan != Some("progressive"));
    let format = if jpeg { JPEG } else { structure.get::<&str>("format").ok()? };
    let rate = structure.get::<gst::Fraction>("framerate").ok()?;
    let mode = CaptureMode {
        format: format.to_owned(),
        resolution: Resolution {
            width: structure.get::<i32>("width").ok()?.try_into().ok()?,
            height: structure.get::<i32>("height").ok()?.try_into().ok()?,
        },
        frame_rate: FrameRate {
            numerator: rate.numer().try_into().ok()?,
            denominator: rate.denom().try_into().ok()?,
        },
        interlaced,
    };
    Some(Choice { mode, caps: gst::Caps::builder_full().structure(structure).build(), fields })
}

/// Pictures in 1000 s: enough to tell 30000/1001 from 30.
fn per_kilosecond(rate: FrameRate) -> u64 {
    u64::from(rate.numerator) * 1000 / u64::from(rate.denominator.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr;

    /// A webcam: raw pictures are slow when they are large, JPEGs are not.
    const WEBCAM: &str = "video/x-raw,format=YUY2,width=640,height=480,framerate={(fraction)30/1,(fraction)15/1}; \
        video/x-raw,format=YUY2,width=1280,height=720,framerate=10/1; \
        image/jpeg,width=1280,height=720,framerate={(fraction)30/1,(fraction)25/1}; \
        image/jpeg,width=1920,height=1080,framerate=30/1; \
        video/x-h264,stream-format=byte-stream,alignment=au,width=1920,height=1080,framerate=30/1";

    /// A composite input: 25 pictures of two fields.
    const COMPOSITE: &str = "video/x-raw,format={UYVY,I420},width=720,height=576,framerate=25/1,\
        interlace-mode=interleaved; \
        video/x-raw(format:Interlaced),format=UYVY,width=720,height=576,framerate=25/1,interlace-mode=alternate";

    /// A sensor's bridge that scales.
    const SCALER: &str = "video/x-raw,format=NV12,width=[32,3280,2],height=[32,2464,2],framerate=[1/1,60/1]";

    fn chosen(caps: &str, width: u16, height: u16, numerator: u32) -> Option<String> {
        crate::plugins::init().unwrap();
        let wish = Wish {
            resolution: Resolution { width, height },
            frame_rate: FrameRate { numerator, denominator: 1 },
        };
        choose(&gst::Caps::from_str(caps).unwrap(), wish).map(|choice| {
            assert!(choice.caps.is_fixed(), "{}", choice.caps);
            choice.mode.to_string()
        })
    }

    #[test]
    fn the_smallest_mode_that_is_large_and_fast_enough_is_taken() {
        let webcam = |width, height, rate| chosen(WEBCAM, width, height, rate).unwrap();
        assert_eq!(webcam(640, 480, 15), "YUY2 640x480 at 15/s");
        assert_eq!(webcam(320, 180, 30), "YUY2 640x480 at 30/s");
        assert_eq!(webcam(1280, 720, 10), "YUY2 1280x720 at 10/s", "raw where it is fast enough");
        assert_eq!(webcam(1280, 720, 25), "MJPEG 1280x720 at 25/s");
        assert_eq!(webcam(1600, 900, 25), "MJPEG 1920x1080 at 30/s");
        assert_eq!(webcam(3840, 2160, 25), "MJPEG 1920x1080 at 30/s", "the largest there is");
    }

    #[test]
    fn a_range_gives_what_is_asked_for() {
        assert_eq!(chosen(SCALER, 1280, 720, 25).unwrap(), "NV12 1280x720 at 25/s");
        assert_eq!(chosen(SCALER, 3840, 2160, 120).unwrap(), "NV12 3280x2160 at 60/s");
    }

    #[test]
    fn fields_are_taken_where_there_are_no_whole_pictures() {
        assert_eq!(chosen(COMPOSITE, 704, 576, 25).unwrap(), "I420 720x576 at 25/s, interlaced");
        let both = format!("{COMPOSITE}; video/x-raw,format=UYVY,width=720,height=576,framerate=25/1");
        assert_eq!(chosen(&both, 704, 576, 25).unwrap(), "UYVY 720x576 at 25/s");
    }

    #[test]
    fn a_device_that_does_not_say_may_send_fields() {
        crate::plugins::init().unwrap();
        let wish = Wish {
            resolution: Resolution { width: 640, height: 480 },
            frame_rate: FrameRate { numerator: 25, denominator: 1 },
        };
        let fields = |caps: &str| choose(&gst::Caps::from_str(caps).unwrap(), wish).unwrap().fields;
        assert!(fields(SCALER) && fields(COMPOSITE));
        assert!(!fields("video/x-raw,format=I420,width=8,height=8,framerate=1/1,interlace-mode=progressive"));
        assert!(!fields("image/jpeg,width=640,height=480,framerate=25/1"));
    }

    #[test]
    fn a_rate_of_broadcasting_passes_for_the_whole_one() {
        let caps = "video/x-raw,format=UYVY,width=720,height=480,framerate=30000/1001; \
                    image/jpeg,width=720,height=480,framerate=30/1";
        assert_eq!(chosen(caps, 720, 480, 30).unwrap(), "UYVY 720x480 at 30000/1001 s");
    }

    #[test]
    fn a_device_without_a_format_that_is_read_here_has_no_mode() {
        assert_eq!(
            chosen("video/x-bayer,format=bggr,width=640,height=480,framerate=30/1", 640, 480, 30),
            None
        );
        assert_eq!(chosen("video/x-h265", 640, 480, 30), None);
        assert_eq!(chosen("EMPTY", 640, 480, 30), None);
    }
}
