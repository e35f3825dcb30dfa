//! Which stream, and perhaps which of its tracks, a URL means.
//!
//! `/ch{n}/{main|sub}[/trackID={0|1}]`. Does not belong here: whether that stream exists.
//!
//! Invariant: a closed list of shapes; no part of a URL ever becomes a file name, and credentials in it are
//! neither used nor repeated.

use hal::{ChannelId, StreamId, StreamKind};
use rtsp_types::Url;

use crate::payload::TrackId;

/// What a URL means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) stream: StreamId,
    /// `None` for the whole presentation.
    pub(crate) track: Option<TrackId>,
}

impl Target {
    /// `None` for everything that is not exactly one of ours. A query is refused too: what it asks for would not
    /// happen.
    pub(crate) fn parse(url: &Url) -> Option<Self> {
        if !matches!(url.scheme(), "rtsp" | "rtsps") || url.query().is_some_and(|query| !query.is_empty()) {
            return None;
        }
        let mut parts = url.path().strip_prefix('/')?.split('/');
        let number = parts.next()?.strip_prefix("ch")?;
        if number.is_empty() || number.starts_with('0') || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let channel = ChannelId::new(number.parse().ok()?)?;
        let kind = match parts.next()? {
            "main" => StreamKind::Main,
            "sub" => StreamKind::Sub,
            _ => return None,
        };
        let track = match parts.next() {
            None | Some("") => None,
            Some(part) => {
                let (name, number) = part.split_once('=')?;
                if !name.eq_ignore_ascii_case("trackID") {
                    return None;
                }
                Some(TrackId::from_number(number.parse().ok()?)?)
            }
        };
        match parts.next() {
            None => {}
            Some("") if track.is_some() => {}
            Some(_) => return None,
        }
        parts.next().is_none().then_some(Self { stream: StreamId::new(channel, kind), track })
    }

    /// The presentation's URL as the client reached it, ending in a slash so that control URLs resolve below it
    /// (RFC 2326 appendix C.1.1).
    pub(crate) fn base(&self, url: &Url) -> String {
        let host = url.host_str().unwrap_or_default();
        let port = url.port().map_or(String::new(), |port| format!(":{port}"));
        format!("{}://{host}{port}/{}/", url.scheme(), self.stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Option<Target> {
        Target::parse(&Url::parse(url).unwrap())
    }

    #[test]
    fn our_shapes() {
        let stream = |number, kind| StreamId::new(ChannelId::new(number).unwrap(), kind);
        let main = stream(1, StreamKind::Main);
        for url in ["rtsp://a/ch1/main", "rtsp://a:8554/ch1/main/", "rtsps://[::1]:8322/ch1/main?"] {
            assert_eq!(parse(url), Some(Target { stream: main, track: None }), "{url}");
        }
        let audio = Some(Target { stream: stream(12, StreamKind::Sub), track: Some(TrackId::Audio) });
        assert_eq!(parse("rtsp://a/ch12/sub/trackID=1"), audio);
        assert_eq!(parse("rtsp://a/ch12/sub/trackid=1/"), audio);
    }

    #[test]
    fn everything_else() {
        for url in [
            "rtsp://a",
            "rtsp://a/",
            "rtsp://a/ch0/main",
            "rtsp://a/ch01/main",
            "rtsp://a/ch+1/main",
            "rtsp://a/ch65/main",
            "rtsp://a/ch99999999999/main",
            "rtsp://a/ch1",
            "rtsp://a/ch1/audio",
            "rtsp://a/ch1/main/trackID=2",
            "rtsp://a/ch1/main/trackID=0/x",
            "rtsp://a/ch1/main//",
            "rtsp://a/ch1/main?auth=YWRtaW46MTEK",
            "rtsp://a/../../etc/passwd",
            "rtsp://a/ch1/%6dain",
            "http://a/ch1/main",
            "rtsp:ch1/main",
        ] {
            assert_eq!(parse(url), None, "{url}");
        }
    }

    #[test]
    fn the_base_repeats_no_credentials() {
        let url = Url::parse("rtsp://anna:key@10.0.0.1:8554/ch1/main/trackID=0").unwrap();
        assert_eq!(Target::parse(&url).unwrap().base(&url), "rtsp://10.0.0.1:8554/ch1/main/");
    }
}
