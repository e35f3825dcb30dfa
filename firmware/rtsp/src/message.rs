//! Small readers and writers of RTSP messages.
//!
//! Does not belong here: decisions.

use rtsp_types::{HeaderName, Request, Response, ResponseBuilder, StatusCode, Url, Version, headers};

use crate::action::Replayed;
use crate::moment;
use crate::second::features_missing;
use crate::target::Target;
use crate::wish::{ONVIF_REPLAY, Unit};

pub(crate) fn ok() -> rtsp_types::ResponseBuilder {
    response(StatusCode::Ok)
}

pub(crate) fn response(status: StatusCode) -> rtsp_types::ResponseBuilder {
    Response::builder(Version::V1_0, status).header(headers::SERVER, "Candor")
}

/// Responses are made as RTSP 1.0's; the version is that of the request.
pub(crate) fn serialise<B: AsRef<[u8]>>(response: &Response<B>, version: Version) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    // Writing into memory does not fail.
    let _ = response.write(&mut bytes);
    if let (Version::V2_0, Some(line)) = (version, bytes.get_mut(.."RTSP/2.0".len())) {
        line.copy_from_slice(b"RTSP/2.0");
    }
    bytes
}

/// The sequence number to repeat (RFC 2326 section 12.17): digits, so that nothing else can be echoed.
pub(crate) fn cseq(request: &Request<Vec<u8>>) -> Option<String> {
    let text = request.header(&headers::CSEQ)?.as_str();
    let number: u32 = text.parse().ok()?;
    Some(number.to_string())
}

pub(crate) fn target(request: &Request<Vec<u8>>) -> Option<(Url, Target)> {
    let url = request.request_uri()?;
    Some((url.clone(), Target::parse(url)?))
}

/// Without `;timeout=`, which some players send back.
pub(crate) fn session_id(request: &Request<Vec<u8>>) -> Option<&str> {
    let value = request.header(&headers::SESSION)?.as_str();
    Some(value.split(';').next().unwrap_or(value).trim())
}

/// What a request requires and this server has not: ONVIF's replay is had of recordings, and some features of RTSP 2.0.
pub(crate) fn feature_missing(request: &Request<Vec<u8>>) -> Option<String> {
    let required = request.header(&headers::REQUIRE)?.as_str();
    let replays = || target(request).is_some_and(|(_, target)| target.range.is_some());
    if required.trim() == ONVIF_REPLAY && replays() { None } else { features_missing(required) }
}

/// The range of a recording that is played, in the words that were asked in.
pub(crate) fn range_played(replayed: &Replayed) -> String {
    let Replayed { from, to, start, wish } = replayed;
    match wish.unit() {
        Unit::Clock => format!("clock={}-{}", moment::clock(*from), moment::clock(*to)),
        Unit::Npt => {
            let npt = |wall: &hal::WallTime| moment::npt(wall.micros_since(*start));
            format!("npt={}-{}", npt(from), npt(to))
        }
    }
}

/// How a recording is played.
pub(crate) fn replayed_headers(
    response: ResponseBuilder,
    replayed: &Replayed,
    version: Version,
) -> ResponseBuilder {
    let wish = &replayed.wish;
    let mut response = response.header(headers::SCALE, wish.scale.to_string());
    response = match version {
        Version::V1_0 => response.header(headers::SPEED, wish.speed.to_string()),
        // A range of speeds, and playing begins with the keyframe before (RFC 7826 sections 18.50 and 18.47).
        Version::V2_0 => response
            .header(headers::SPEED, format!("{speed:?}-{speed:?}", speed = wish.speed))
            .header(headers::SEEK_STYLE, "RAP"),
    };
    if let Ok(name) = HeaderName::from_static_str("Rate-Control") {
        response = response.header(name, if wish.rate_control { "yes" } else { "no" });
    }
    response
}

/// A live stream has one position, now. Players ask for `npt=0-` or, after a pause, for where they were; live555's for as long as
/// it will play, `npt=0-20`, of which it takes care itself: the answer says that there is no end.
pub(crate) fn is_live_range(range: &str) -> bool {
    let Some(span) = range.trim().strip_prefix("npt=") else { return false };
    let span = span.split(';').next().unwrap_or(span).trim();
    let Some((start, end)) = span.split_once('-') else { return false };
    let is_time = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || b".:".contains(&byte));
    start == "now" && end.is_empty() || !start.is_empty() && is_time(start) && is_time(end)
}
