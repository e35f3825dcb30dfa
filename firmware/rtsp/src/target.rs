//! Which stream, and perhaps which of its tracks, a URL means.
//!
//! `/ch{n}/{main|sub}[/srtp][/trackID={0|1}]`, live, or with `?start={RFC 3339}[&end={RFC 3339}]` as it was recorded. With
//! `?metadata=yes` what is live has its metadata, too, as `trackID=2`. Does not belong here: whether there is such a stream or
//! such footage.
//!
//! Invariant: a closed list of shapes; no part of a URL ever becomes a file name, and credentials in it are
//! neither used nor repeated.

use hal::{ChannelId, StreamId, StreamKind, WallTime};
use rtsp_types::Url;

use crate::moment;
use crate::payload::TrackId;

/// What a URL means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) stream: StreamId,
    /// `None` for the whole presentation.
    pub(crate) track: Option<TrackId>,
    /// `None` for what happens now.
    pub(crate) range: Option<RecordedRange>,
    /// As SRTP.
    pub(crate) sealed: bool,
    /// Of what happens now: with metadata.
    pub(crate) metadata: bool,
}

/// A stream, or a stretch of what was recorded of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) stream: StreamId,
    pub(crate) recorded: Option<RecordedRange>,
    /// Metadata was asked for.
    pub(crate) metadata: bool,
}

impl Source {
    /// The stream that `track` is of.
    pub(crate) fn stream_of(&self, track: TrackId) -> StreamId {
        match track {
            // Metadata is the channel's, and told beside this stream.
            TrackId::Video | TrackId::Metadata => self.stream,
            TrackId::Audio => StreamId::new(self.stream.channel, StreamKind::Audio),
        }
    }
}

/// A stretch of what was recorded; not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordedRange {
    pub(crate) start: WallTime,
    /// `None` for all there is.
    pub(crate) end: Option<WallTime>,
}

impl Target {
    /// `None` for everything that is not exactly one of ours. Any other query is refused too: what it asks for would not
    /// happen.
    pub(crate) fn parse(url: &Url) -> Option<Self> {
        if !matches!(url.scheme(), "rtsp" | "rtsps") {
            return None;
        }
        let (query, tail) = split_tail(url.query().unwrap_or(""));
        let (range, metadata) = match query {
            "" => (None, false),
            "metadata=yes" => (None, true),
            query => (Some(RecordedRange::parse(url, query)?), false),
        };
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
        let mut part = parts.next();
        let sealed = part == Some("srtp");
        if sealed {
            part = parts.next();
        }
        let track = match part {
            None | Some("") => None,
            Some(part) => Some(track(part)?),
        };
        match parts.next() {
            None => {}
            Some("") if track.is_some() => {}
            Some(_) => return None,
        }
        let track = match (track, tail) {
            (Some(_), Some(_)) => return None,
            (track, tail) => track.or(tail),
        };
        if parts.next().is_some() || (track == Some(TrackId::Metadata) && !metadata) {
            return None;
        }
        Some(Self { stream: StreamId::new(channel, kind), track, range, sealed, metadata })
    }

    pub(crate) fn source(&self) -> Source {
        Source { stream: self.stream, recorded: self.range, metadata: self.metadata }
    }

    /// The presentation's URL as the client reached it, ending in a slash so that control URLs resolve below it
    /// (RFC 2326 appendix C.1.1).
    pub(crate) fn base(&self, url: &Url) -> String {
        format!("{}{}", self.folder(url), self.query())
    }

    /// A track's control URL in a description: below the base, or absolute where a query leaves nothing below it.
    pub(crate) fn control(&self, url: &Url, track: TrackId) -> String {
        if self.query().is_empty() {
            format!("trackID={}", track.number())
        } else {
            self.track_url(url, track)
        }
    }

    /// A track's URL as the client would reach it.
    pub(crate) fn track_url(&self, url: &Url, track: TrackId) -> String {
        format!("{}trackID={}{}", self.folder(url), track.number(), self.query())
    }

    fn folder(&self, url: &Url) -> String {
        let host = url.host_str().unwrap_or_default();
        let port = url.port().map_or(String::new(), |port| format!(":{port}"));
        let sealed = if self.sealed { "srtp/" } else { "" };
        format!("{}://{host}{port}/{}/{sealed}", url.scheme(), self.stream)
    }

    fn query(&self) -> String {
        let Some(RecordedRange { start, end }) = self.range else {
            return if self.metadata { "?metadata=yes".to_owned() } else { String::new() };
        };
        let end = end.map_or(String::new(), |end| format!("&end={}", moment::rfc3339(end)));
        format!("?start={}{end}", moment::rfc3339(start))
    }
}

impl RecordedRange {
    /// `start=…` and perhaps `end=…`, each once, and nothing else.
    fn parse(url: &Url, query: &str) -> Option<Self> {
        let (mut start, mut end) = (None, None);
        let mut url = url.clone();
        url.set_query(Some(query));
        for (name, value) in url.query_pairs() {
            // The plus of an offset is a space in the form encoding, and nobody thinks of it.
            let moment = moment::parse_rfc3339(&value.replace(' ', "+"))?;
            let place = match &*name {
                "start" => &mut start,
                "end" => &mut end,
                _ => return None,
            };
            if place.replace(moment).is_some() {
                return None;
            }
        }
        let start = start?;
        end.is_none_or(|end| end > start).then_some(Self { start, end })
    }
}

/// FFmpeg and VLC append a control URL to a whole URL, query included.
fn split_tail(query: &str) -> (&str, Option<TrackId>) {
    let query = query.strip_suffix('/').unwrap_or(query);
    match query.rsplit_once('/').and_then(|(query, tail)| Some((query, track(tail)?))) {
        Some((query, track)) => (query, Some(track)),
        None => (query, None),
    }
}

fn track(part: &str) -> Option<TrackId> {
    let (name, number) = part.split_once('=')?;
    if name.eq_ignore_ascii_case("trackID") { TrackId::from_number(number.parse().ok()?) } else { None }
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
        let live = |stream, track| Target { stream, track, range: None, sealed: false, metadata: false };
        let main = stream(1, StreamKind::Main);
        for url in ["rtsp://a/ch1/main", "rtsp://a:8554/ch1/main/", "rtsps://[::1]:8322/ch1/main?"] {
            assert_eq!(parse(url), Some(live(main, None)), "{url}");
        }
        let sub = stream(12, StreamKind::Sub);
        let audio = Some(live(sub, Some(TrackId::Audio)));
        assert_eq!(parse("rtsp://a/ch12/sub/trackID=1"), audio);
        assert_eq!(parse("rtsp://a/ch12/sub/trackid=1/"), audio);
    }

    #[test]
    fn sealed_ones() {
        for (url, track) in [
            ("rtsps://a/ch1/main/srtp", None),
            ("rtsps://a/ch1/main/srtp/", None),
            ("rtsps://a/ch1/main/srtp/trackID=0", Some(TrackId::Video)),
            ("rtsps://a/ch1/main/srtp?start=2026-11-20T10:00:00Z", None),
        ] {
            let parsed = parse(url).unwrap();
            assert_eq!((parsed.sealed, parsed.track), (true, track), "{url}");
            let url = Url::parse(url).unwrap();
            assert_eq!(parse(&parsed.base(&url)), Some(Target { track: None, ..parsed }));
            let video = Some(TrackId::Video);
            assert_eq!(
                parse(&parsed.track_url(&url, TrackId::Video)),
                Some(Target { track: video, ..parsed })
            );
        }
        for url in
            ["rtsps://a/ch1/srtp/main", "rtsps://a/ch1/main/srtp/srtp", "rtsps://a/ch1/main/trackID=0/srtp"]
        {
            assert_eq!(parse(url), None, "{url}");
        }
    }

    #[test]
    fn metadata_where_it_is_asked_for() {
        for (url, track) in [
            ("rtsp://a/ch1/main?metadata=yes", None),
            ("rtsp://a/ch1/main/?metadata=yes/", None),
            ("rtsp://a/ch1/main/trackID=2?metadata=yes", Some(TrackId::Metadata)),
            ("rtsp://a/ch1/main?metadata=yes/trackID=2", Some(TrackId::Metadata)),
            ("rtsp://a/ch1/main?metadata=yes/trackID=0", Some(TrackId::Video)),
        ] {
            let target = parse(url).unwrap();
            assert_eq!((target.track, target.metadata, target.range), (track, true, None), "{url}");
            let url = Url::parse(url).unwrap();
            let control = target.control(&url, TrackId::Metadata);
            assert_eq!(control, "rtsp://a/ch1/main/trackID=2?metadata=yes");
            assert_eq!(parse(&control).unwrap().source(), target.source());
            assert_eq!(parse(&target.base(&url)), Some(Target { track: None, ..target }));
        }
        for url in [
            "rtsp://a/ch1/main/trackID=2",
            "rtsp://a/ch1/main?metadata=no",
            "rtsp://a/ch1/main?metadata",
            "rtsp://a/ch1/main?metadata=yes&metadata=yes",
            "rtsp://a/ch1/main?start=2026-11-20T10:00:00Z&metadata=yes",
        ] {
            assert_eq!(parse(url), None, "{url}");
        }
    }

    #[test]
    fn recordings() {
        let start = WallTime::from_unix_micros(1_795_168_800_000_000);
        let range = |url: &str| parse(url).and_then(|target| target.range.map(|range| (target.track, range)));
        let open = RecordedRange { start, end: None };
        let closed = RecordedRange { start, end: Some(start.offset_micros(90_500_000)) };
        let video = Some(TrackId::Video);
        for (url, found) in [
            ("rtsp://a/ch1/main?start=2026-11-20T10:00:00Z", (None, open)),
            ("rtsp://a/ch1/main/?start=2026-11-20T11%3A00:00+01:00", (None, open)),
            ("rtsp://a/ch1/main?start=2026-11-20T10:00:00Z/", (None, open)),
            ("rtsp://a/ch1/main?start=2026-11-20T10:00:00Z&end=2026-11-20T10:01:30.5Z", (None, closed)),
            ("rtsp://a/ch1/main?end=2026-11-20T10:01:30.5Z&start=2026-11-20T10:00:00Z", (None, closed)),
            (
                "rtsp://a/ch1/main/trackID=0?start=2026-11-20T10:00:00Z&end=2026-11-20T10:01:30.5Z",
                (video, closed),
            ),
            (
                "rtsp://a/ch1/main?start=2026-11-20T10:00:00Z&end=2026-11-20T10:01:30.5Z/trackID=0",
                (video, closed),
            ),
        ] {
            assert_eq!(range(url), Some(found), "{url}");
            let url = Url::parse(url).unwrap();
            let target = Target::parse(&url).unwrap();
            assert_eq!(parse(&target.track_url(&url, TrackId::Video)).unwrap().track, video);
            assert_eq!(parse(&target.base(&url)), Some(Target { track: None, ..target }));
        }
        for url in [
            "rtsp://a/ch1/main?start=",
            "rtsp://a/ch1/main?start=now",
            "rtsp://a/ch1/main?end=2026-11-20T10:00:00Z",
            "rtsp://a/ch1/main?start=2026-11-20T10:00:00Z&start=2026-11-20T10:00:00Z",
            "rtsp://a/ch1/main?start=2026-11-20T10:00:00Z&end=2026-11-20T10:00:00Z",
            "rtsp://a/ch1/main?start=2026-11-20T10:00:00Z&speed=2",
            "rtsp://a/ch1/main?start=2026-11-20T10:00:00Z/trackID=2",
            "rtsp://a/ch1/main/trackID=0?start=2026-11-20T10:00:00Z/trackID=0",
        ] {
            assert_eq!(parse(url), None, "{url}");
        }
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
