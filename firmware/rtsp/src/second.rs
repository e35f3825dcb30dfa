//! What RTSP 2.0 (RFC 7826) says otherwise than 1.0.
//!
//! Feature tags, what a stream can do, where a track begins, and the notice that a recording has ended.
//!
//! Does not belong here: decisions.

use rtsp_types::{HeaderName, Method, Request, ResponseBuilder, Url, Version, headers};

/// Feature tags (RFC 7826 section 11.1).
pub(crate) const SUPPORTED: &str = "play.basic, play.scale, play.speed";

/// What a client of 2.0 is told of a recording's end, kept since its last PLAY.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    url: Url,
    /// PLAY's.
    cseq: String,
    range: Option<String>,
}

/// Which of the required features are not had.
pub(crate) fn features_missing(required: &str) -> Option<String> {
    let known = |tag: &str| SUPPORTED.split(", ").any(|ours| ours == tag);
    let missing: Vec<&str> =
        required.split(',').map(str::trim).filter(|tag| !tag.is_empty() && !known(tag)).collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

/// What SETUP says of the stream (RFC 7826 sections 18.5 and 18.29).
pub(crate) fn properties(response: ResponseBuilder, recorded: bool) -> ResponseBuilder {
    let (ranges, properties) = if recorded {
        // Until it is overwritten, which happens to the oldest footage.
        ("npt, clock", "Random-Access, Dynamic, Unlimited, Scales=\"-32.0:-0.25, 0.25:32.0\"")
    } else {
        ("npt", "No-Seeking, Time-Progressing, Time-Duration=0.0")
    };
    response.header(headers::ACCEPT_RANGES, ranges).header(headers::MEDIA_PROPERTIES, properties)
}

/// A track's part of `RTP-Info` (RFC 7826 section 18.45).
pub(crate) fn rtp_info(url: &str, ssrc: u32, (sequence, time): (u16, u32)) -> String {
    format!("url=\"{url}\" ssrc={ssrc:08X}:seq={sequence};rtptime={time}")
}

/// A client's number for requests that it sends ahead of an answer (RFC 7826 section 18.33).
pub(crate) fn pipeline(request: &Request<Vec<u8>>) -> Option<u32> {
    if request.version() != Version::V2_0 {
        return None;
    }
    request.header(&headers::PIPELINED_REQUESTS)?.as_str().trim().parse().ok()
}

impl Notice {
    /// `range` as PLAY was answered.
    pub(crate) fn new(url: Url, cseq: String, range: Option<&str>) -> Self {
        // "The Range header shall be included, the start point omitted" (section 13.5.1).
        let range = range.and_then(|range| {
            let (unit, span) = range.split_once('=')?;
            Some(format!("{unit}=-{}", span.rsplit_once('-')?.1))
        });
        Self { url, cseq, range }
    }

    /// PLAY_NOTIFY with the reason end-of-stream (RFC 7826 section 13.5.1).
    pub(crate) fn end_of_stream(self, cseq: u32, session: &str) -> Vec<u8> {
        let mut request = Request::builder(Method::PlayNotify, Version::V2_0)
            .request_uri(self.url)
            .header(headers::CSEQ, cseq.to_string())
            .header(headers::SESSION, session)
            .header(headers::NOTIFY_REASON, "end-of-stream");
        if let Some(range) = self.range {
            request = request.header(headers::RANGE, range);
        }
        if let Ok(status) = HeaderName::from_static_str("Request-Status") {
            request = request.header(status, format!("cseq={} status=200 reason=\"OK\"", self.cseq));
        }
        let mut bytes = Vec::with_capacity(256);
        // Writing into memory does not fail.
        let _ = request.empty().write(&mut bytes);
        bytes
    }
}
