//! Small readers and writers of RTSP messages.
//!
//! Does not belong here: decisions.

use rtsp_types::{Request, Response, StatusCode, Url, Version, headers};

use crate::target::Target;

pub(crate) fn ok() -> rtsp_types::ResponseBuilder {
    response(StatusCode::Ok)
}

pub(crate) fn response(status: StatusCode) -> rtsp_types::ResponseBuilder {
    Response::builder(Version::V1_0, status).header(headers::SERVER, "Candor")
}

pub(crate) fn serialise<B: AsRef<[u8]>>(response: &Response<B>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    // Writing into memory does not fail.
    let _ = response.write(&mut bytes);
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

/// A live stream has one position, now. Players ask for `npt=0-` or, after a pause, for where they were.
pub(crate) fn is_live_range(range: &str) -> bool {
    let Some(span) = range.trim().strip_prefix("npt=") else { return false };
    let span = span.split(';').next().unwrap_or(span).trim();
    let Some(start) = span.strip_suffix('-') else { return false };
    start == "now"
        || (!start.is_empty() && start.bytes().all(|byte| byte.is_ascii_digit() || b".:".contains(&byte)))
}
