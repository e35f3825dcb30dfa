//! What a PLAY of recorded footage asks for: `Range`, `Scale`, ONVIF's headers.
//!
//! RFC 2326 sections 3.6, 3.7, 12.29, 12.34 and 12.35; ONVIF Streaming Specification section 6.5. Does not belong here:
//! whether there is such footage.
//!
//! Invariants: numbers are finite and within the limits below; what is out of them but means something is brought within, and
//! the answer says so; what means nothing is refused.

use std::time::Duration;

use hal::WallTime;
use rtsp_types::{HeaderName, Request, StatusCode, headers};

use crate::moment;

/// ONVIF's feature tag.
pub(crate) const ONVIF_REPLAY: &str = "onvif-replay";

/// Slower than this a picture stands for seconds, and faster than the other nobody sees any.
const MIN_SCALE: f64 = 0.25;
const MAX_SCALE: f64 = 32.0;

/// Faster than this only keyframes are sent: a decoder takes about so many times real time, and so does a network.
const MAX_FULL_SCALE: f64 = 4.0;

/// How much faster than they are played pictures may be delivered, for a client that fills a buffer.
const MIN_SPEED: f64 = 0.25;
const MAX_SPEED: f64 = 8.0;

/// What GStreamer's rtspsrc (1.22) makes of a description's `clock=` range outside its ONVIF mode: `npt=` in seconds since
/// 1900. From 1970 on it is taken for that; no recording is seventy years long.
const SINCE_1900_MICROS: i64 = 2_208_988_800_000_000;

/// Numbers with more digits are nobody's.
const MAX_NUMBER_BYTES: usize = 24;

/// In which words a range was asked for, and is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Clock,
    Npt,
}

/// A `Range`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    Clock {
        start: WallTime,
        end: Option<WallTime>,
    },
    /// Microseconds from the start of the presentation.
    Npt {
        start: i64,
        end: Option<i64>,
    },
}

/// What to play, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Wish {
    /// `None` to go on.
    pub(crate) span: Option<Span>,
    /// Within its limits; negative for backwards.
    pub(crate) scale: f64,
    /// Within its limits.
    pub(crate) speed: f64,
    /// `false`: as fast as the client reads.
    pub(crate) rate_control: bool,
    /// Keyframes alone, this far apart at least; `None` for all pictures.
    pub(crate) keyframes: Option<Duration>,
    /// Of the request.
    pub(crate) cseq: u8,
    /// Nothing of the above was said.
    pub(crate) says_nothing: bool,
}

impl Wish {
    /// Reads the headers.
    ///
    /// # Errors
    /// The status that refuses them.
    pub(crate) fn read(request: &Request<Vec<u8>>, cseq: u8) -> Result<Self, StatusCode> {
        let text = |name: &HeaderName| request.header(name).map(|value| value.as_str().trim());
        let named = |name: &'static str| HeaderName::from_static_str(name).ok().and_then(|name| text(&name));
        let span = text(&headers::RANGE).map(Span::parse).transpose()?;
        let scale = text(&headers::SCALE).map(|text| number(text).filter(|scale| *scale != 0.0));
        let speed = text(&headers::SPEED).map(|text| number(fastest(text)).filter(|speed| *speed > 0.0));
        let rate_control = named("Rate-Control").map(yes_or_no).transpose()?;
        // Every PLAY of a recording takes effect at once; the header is read so that nonsense is refused.
        let immediate = named("Immediate").map(yes_or_no).transpose()?;
        let frames = named("Frames").map(frames).transpose()?;
        let says_nothing = span.is_none()
            && scale.is_none()
            && speed.is_none()
            && rate_control.is_none()
            && immediate.is_none()
            && frames.is_none();
        let scale = scale.unwrap_or(Some(1.0)).ok_or(StatusCode::BadRequest)?;
        let speed = speed.unwrap_or(Some(1.0)).ok_or(StatusCode::BadRequest)?;
        let rate_control = rate_control.unwrap_or(true);
        let scale = scale.abs().clamp(MIN_SCALE, MAX_SCALE).copysign(scale);
        let keyframes =
            frames.flatten().or((rate_control && scale.abs() > MAX_FULL_SCALE).then_some(Duration::ZERO));
        let speed = speed.clamp(MIN_SPEED, MAX_SPEED);
        Ok(Self { span, scale, speed, rate_control, keyframes, cseq, says_nothing })
    }

    pub(crate) fn is_reverse(&self) -> bool {
        self.scale < 0.0
    }

    /// Sound is played as it was recorded, or not at all.
    pub(crate) fn has_sound(&self) -> bool {
        self.keyframes.is_none() && (self.scale == 1.0 || !self.rate_control && !self.is_reverse())
    }

    /// In which words to answer.
    pub(crate) fn unit(&self) -> Unit {
        match self.span {
            Some(Span::Npt { .. }) => Unit::Npt,
            Some(Span::Clock { .. }) | None => Unit::Clock,
        }
    }
}

impl Span {
    fn parse(text: &str) -> Result<Self, StatusCode> {
        // `;time=` says when the request takes effect (RFC 2326 section 12.29): at once.
        let text = text.split(';').next().unwrap_or(text).trim();
        let parsed = match text.split_once('=') {
            Some(("clock", span)) => {
                both(span, moment::parse_clock).map(|(start, end)| Self::Clock { start, end })
            }
            Some(("npt", span)) => both(span, moment::parse_npt).map(|(start, end)| Self::of_npt(start, end)),
            _ => None,
        };
        parsed.ok_or(StatusCode::InvalidRange)
    }

    fn of_npt(start: i64, end: Option<i64>) -> Self {
        if start < SINCE_1900_MICROS {
            return Self::Npt { start, end };
        }
        let wall = |micros: i64| WallTime::from_unix_micros(micros.saturating_sub(SINCE_1900_MICROS));
        Self::Clock { start: wall(start), end: end.map(wall) }
    }
}

fn both<T>(span: &str, parse: impl Fn(&str) -> Option<T>) -> Option<(T, Option<T>)> {
    let (start, end) = span.split_once('-')?;
    let end = match end.trim() {
        "" => None,
        end => Some(parse(end)?),
    };
    Some((parse(start.trim())?, end))
}

fn number(text: &str) -> Option<f64> {
    let is_decimal = text.len() <= MAX_NUMBER_BYTES
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.".contains(&byte));
    text.parse().ok().filter(|number: &f64| is_decimal && number.is_finite())
}

fn yes_or_no(text: &str) -> Result<bool, StatusCode> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(StatusCode::BadRequest),
    }
}

/// `intra`, or `intra/4000` with the least distance in milliseconds. What is predicted cannot be told from all of it, and is
/// all of it where there are no B-frames.
fn frames(text: &str) -> Result<Option<Duration>, StatusCode> {
    match text.split_once('/') {
        None if text == "intra" => Ok(Some(Duration::ZERO)),
        None if text == "all" || text == "predicted" => Ok(None),
        Some(("intra", distance)) => {
            let millis: u32 = distance.parse().map_err(|_| StatusCode::BadRequest)?;
            Ok(Some(Duration::from_millis(millis.into())))
        }
        _ => Err(StatusCode::BadRequest),
    }
}

/// RTSP 2.0 gives a range of speeds (RFC 7826 section 18.50).
fn fastest(speed: &str) -> &str {
    match speed.rsplit_once('-') {
        Some((slowest, fastest)) if !slowest.trim().is_empty() => fastest.trim(),
        _ => speed,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rtsp_types::{Method, Version};

    use super::*;

    fn read(lines: &[(&str, &str)]) -> Result<Wish, u16> {
        let mut request = Request::builder(Method::Play, Version::V1_0);
        for (name, value) in lines {
            request = request.header(HeaderName::try_from(*name).unwrap(), *value);
        }
        Wish::read(&request.build(Vec::new()), 7).map_err(u16::from)
    }

    fn one(name: &str, value: &str) -> Result<Wish, u16> {
        read(&[(name, value)])
    }

    #[test]
    fn nothing_said_means_forwards_in_real_time() {
        let wish = read(&[]).unwrap();
        assert!(wish.says_nothing && wish.rate_control && wish.has_sound() && !wish.is_reverse());
        assert_eq!((wish.span, wish.scale, wish.speed, wish.keyframes, wish.cseq), (None, 1.0, 1.0, None, 7));
        for (name, value) in
            [("Scale", "1"), ("Immediate", "yes"), ("Rate-Control", "yes"), ("Frames", "all")]
        {
            assert!(!one(name, value).unwrap().says_nothing, "{name}");
        }
    }

    #[test]
    fn ranges() {
        let span = |text: &str| one("Range", text).map(|wish| wish.span.unwrap());
        assert_eq!(span("npt=0.000-"), Ok(Span::Npt { start: 0, end: None }));
        assert_eq!(span("npt=1.5-0:00:03"), Ok(Span::Npt { start: 1_500_000, end: Some(3_000_000) }));
        let start = WallTime::from_unix_micros(1_795_168_800_000_000);
        let end = Some(start.offset_micros(10_250_000));
        assert_eq!(span("clock=20261120T100000Z-"), Ok(Span::Clock { start, end: None }));
        let text = "clock=20261120T100000Z-20261120T100010.25Z;time=20261120T110000Z";
        assert_eq!(span(text), Ok(Span::Clock { start, end }));
        assert_eq!(span("npt=4004157600-"), Ok(Span::Clock { start, end: None }), "GStreamer's");
        for text in [
            "",
            "npt",
            "npt=",
            "npt=-",
            "npt=-5",
            "npt=now-",
            "npt=1",
            "npt=1-2-3",
            "clock=-",
            "clock=20261120T100000Z",
            "clock=20261120-",
            "smpte=0-",
            "bytes=0-5",
        ] {
            assert_eq!(span(text), Err(457), "{text}");
        }
    }

    #[test]
    fn scale_and_speed_are_brought_within_their_limits() {
        let scale = |text: &str| one("Scale", text).map(|wish| wish.scale);
        for (text, used) in [
            ("1", 1.0),
            ("2.0", 2.0),
            ("-1.0", -1.0),
            ("0.1", 0.25),
            ("-0.1", -0.25),
            ("1000", 32.0),
            ("-99", -32.0),
        ] {
            assert_eq!(scale(text), Ok(used), "{text}");
        }
        for text in ["", "0", "-0", "x", "NaN", "inf", "1e3", "1.1111111111111111111111111"] {
            assert_eq!(scale(text), Err(400), "{text}");
        }
        let speed = |text: &str| one("Speed", text).map(|wish| wish.speed);
        assert_eq!((speed("2"), speed("0.01"), speed("1000")), (Ok(2.0), Ok(0.25), Ok(8.0)));
        assert_eq!((speed("0"), speed("-1"), speed("")), (Err(400), Err(400), Err(400)));
    }

    #[test]
    fn fast_means_keyframes_and_sound_is_never_stretched() {
        let wish = |scale: &str, rate: &str| read(&[("Scale", scale), ("Rate-Control", rate)]).unwrap();
        assert_eq!((wish("4", "yes").keyframes, wish("4", "yes").has_sound()), (None, false));
        assert_eq!(wish("4.1", "yes").keyframes, Some(Duration::ZERO));
        assert_eq!(wish("-8", "yes").keyframes, Some(Duration::ZERO));
        assert!(!wish("-1", "no").has_sound() && wish("1", "no").has_sound());
        assert_eq!(one("Frames", "intra").unwrap().keyframes, Some(Duration::ZERO));
        assert_eq!(one("Frames", "intra/4000").unwrap().keyframes, Some(Duration::from_secs(4)));
        for (name, value) in [
            ("Frames", "intra/"),
            ("Frames", "intra/-1"),
            ("Frames", "some"),
            ("Rate-Control", "maybe"),
            ("Immediate", ""),
        ] {
            assert_eq!(one(name, value).map(|_| ()), Err(400), "{name}: {value}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn whatever_is_said_the_numbers_are_within_limits(
            name in "(Range|Scale|Speed|Frames|Rate-Control|Immediate)",
            value in "(npt=|clock=|)[ -~]{0,40}",
        ) {
            if let Ok(wish) = one(&name, &value) {
                prop_assert!((MIN_SCALE..=MAX_SCALE).contains(&wish.scale.abs()));
                prop_assert!((MIN_SPEED..=MAX_SPEED).contains(&wish.speed));
            }
        }
    }
}
