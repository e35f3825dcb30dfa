//! From bytes to requests and interleaved packets.
//!
//! Limits are checked before anything is parsed. Does not belong here: what a request means.
//!
//! Invariants: never panics, whatever arrives in whatever pieces; holds at most [`MAX_BUFFER_BYTES`]; the same
//! bytes give the same frames however they are cut.

use rtsp_types::{Message, Request, StatusCode, headers};

/// Request line and headers. The longest real ones, with Digest SHA-256 and two transports, have about 1 KB.
pub(crate) const MAX_HEAD_BYTES: usize = 8 << 10;

/// The request line alone; a URL of ours has under 100 bytes.
pub(crate) const MAX_REQUEST_LINE_BYTES: usize = 1 << 10;

/// Bodies: only GET_PARAMETER and SET_PARAMETER have one, and we know no parameter.
pub(crate) const MAX_BODY_BYTES: usize = 4 << 10;

/// Interleaved packets larger than this are skipped: RTCP of a receiver has about 100 bytes.
pub(crate) const MAX_INTERLEAVED_BYTES: usize = 2 << 10;

/// What is held of one connection: a request of full size, and as much again that was sent ahead.
pub(crate) const MAX_BUFFER_BYTES: usize = 2 * (MAX_HEAD_BYTES + MAX_BODY_BYTES);

const INTERLEAVED_HEADER_BYTES: usize = 4;

/// One thing that a client sent.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame {
    Request(Box<Request<Vec<u8>>>),
    /// A packet on an interleaved channel.
    Interleaved {
        channel: u8,
        payload: Vec<u8>,
    },
    /// A response.
    Answer,
    /// A request of another version than 1.0 and 2.0.
    OtherVersion,
    /// Not RTSP, but its end is known: the next request can be read.
    Malformed,
    /// Nothing after this can be understood.
    Fatal(StatusCode),
}

/// Cuts a byte stream into frames.
#[derive(Debug, Default)]
pub(crate) struct Framer {
    buffer: Vec<u8>,
    /// Bytes of an oversized interleaved packet still to be thrown away.
    skip: usize,
    failed: bool,
}

impl Framer {
    /// How many bytes may be pushed now.
    pub(crate) fn room(&self) -> usize {
        if self.failed { 0 } else { MAX_BUFFER_BYTES - self.buffer.len() }
    }

    /// Takes the first [`Self::room`] bytes and returns how many that were.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.room());
        let skipped = taken.min(self.skip);
        self.skip -= skipped;
        self.buffer.extend_from_slice(&bytes[skipped..taken]);
        taken
    }

    /// The next complete frame. After [`Frame::Fatal`] there is none.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        loop {
            if self.failed {
                return None;
            }
            // Empty lines between messages are allowed (RFC 2326 section 4.1).
            let blank = self.buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            self.buffer.drain(..blank);
            match self.buffer.first()? {
                b'$' => match self.interleaved()? {
                    Some(frame) => return Some(frame),
                    None => continue,
                },
                b'A'..=b'Z' | b'a'..=b'z' => return self.message(),
                _ => return Some(self.fail(StatusCode::BadRequest)),
            }
        }
    }

    /// `None` while incomplete; `Some(None)` when one was thrown away.
    fn interleaved(&mut self) -> Option<Option<Frame>> {
        let [_, channel, high, low] = *self.buffer.first_chunk::<INTERLEAVED_HEADER_BYTES>()?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let end = INTERLEAVED_HEADER_BYTES + length;
        if length > MAX_INTERLEAVED_BYTES {
            let here = end.min(self.buffer.len());
            self.buffer.drain(..here);
            self.skip = end - here;
            return Some(None);
        }
        if self.buffer.len() < end {
            return None;
        }
        let payload = self.buffer[INTERLEAVED_HEADER_BYTES..end].to_vec();
        self.buffer.drain(..end);
        Some(Some(Frame::Interleaved { channel, payload }))
    }

    fn message(&mut self) -> Option<Frame> {
        let line = &self.buffer[..self.buffer.len().min(MAX_REQUEST_LINE_BYTES)];
        if line.len() == MAX_REQUEST_LINE_BYTES && !line.contains(&b'\n') {
            return Some(self.fail(StatusCode::RequestURITooLong));
        }
        let window = &self.buffer[..self.buffer.len().min(MAX_HEAD_BYTES)];
        let Some(head) = window.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) else {
            let full = window.len() == MAX_HEAD_BYTES;
            return full.then(|| self.fail(StatusCode::RequestMessageBodyTooLarge));
        };
        let body = match content_length(&self.buffer[..head]) {
            Ok(length) if length > MAX_BODY_BYTES => {
                return Some(self.fail(StatusCode::RequestMessageBodyTooLarge));
            }
            Ok(length) => length,
            Err(()) => return Some(self.fail(StatusCode::BadRequest)),
        };
        let end = head + body;
        if self.buffer.len() < end {
            return None;
        }
        let parsed = Message::<Vec<u8>>::parse(&self.buffer[..end]);
        let frame = match parsed {
            Ok((Message::Request(request), used)) if used == end => Frame::Request(Box::new(request)),
            Ok((Message::Response(_), used)) if used == end => Frame::Answer,
            Err(_) if is_other_version(&self.buffer[..head]) => Frame::OtherVersion,
            _ => Frame::Malformed,
        };
        self.buffer.drain(..end);
        Some(frame)
    }

    fn fail(&mut self, status: StatusCode) -> Frame {
        self.failed = true;
        self.buffer = Vec::new();
        Frame::Fatal(status)
    }
}

/// Whether a request line ends with a version that there may be one day.
fn is_other_version(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let version = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    matches!(version, [b'R', b'T', b'S', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit())
        && !matches!(version, b"RTSP/1.0" | b"RTSP/2.0")
}

/// The length that every `Content-Length` header agrees on: where two readings are possible, the next request
/// could be smuggled into a body.
fn content_length(head: &[u8]) -> Result<usize, ()> {
    let mut found = None;
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        if !line[..colon].eq_ignore_ascii_case(headers::CONTENT_LENGTH.as_str().as_bytes()) {
            continue;
        }
        let text = line[colon + 1..].trim_ascii();
        if text.is_empty() || text.len() > 9 || !text.iter().all(u8::is_ascii_digit) {
            return Err(());
        }
        let value = text.iter().fold(0, |value, digit| value * 10 + usize::from(digit - b'0'));
        if found.is_some_and(|other| other != value) {
            return Err(());
        }
        found = Some(value);
    }
    Ok(found.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(pieces: &[&[u8]]) -> Vec<String> {
        let mut framer = Framer::default();
        let mut all = Vec::new();
        for piece in pieces {
            let mut rest: &[u8] = piece;
            loop {
                let taken = framer.push(rest);
                rest = &rest[taken..];
                let before = all.len();
                all.extend(std::iter::from_fn(|| framer.next()).map(|frame| format!("{frame:?}")));
                if rest.is_empty() || (taken == 0 && all.len() == before) {
                    break;
                }
            }
        }
        all
    }

    const MIXED: &[u8] = b"\r\nOPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n$\x01\x00\x03abc\
        SET_PARAMETER rtsp://a/ch1/main RTSP/1.0\r\nCSeq: 2\r\ncontent-length: 4\r\n\r\n$\x00\r\n\
        nonsense\r\n\r\nRTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\nOPTIONS * RTSP/1.0\r\nCSeq: 3\r\n\r\n";

    #[test]
    fn requests_and_packets_in_one_stream() {
        let all = frames(&[MIXED]);
        let kinds: Vec<&str> = all.iter().map(|frame| frame.split(['(', ' ']).next().unwrap()).collect();
        assert_eq!(kinds, ["Request", "Interleaved", "Request", "Malformed", "Answer", "Request"]);
    }

    #[test]
    fn cut_anywhere_the_frames_are_the_same() {
        let whole = frames(&[MIXED]);
        for at in 0..MIXED.len() {
            assert_eq!(frames(&[&MIXED[..at], &MIXED[at..]]), whole, "cut at {at}");
        }
        let bytes: Vec<&[u8]> = MIXED.chunks(1).collect();
        assert_eq!(frames(&bytes), whole);
    }

    #[test]
    fn limits() {
        let fatal = |bytes: &[u8]| frames(&[bytes]).pop().unwrap_or_default();
        let long_line = [b"DESCRIBE rtsp://a/".as_slice(), &[b'x'; 2000]].concat();
        assert_eq!(fatal(&long_line), "Fatal(RequestURITooLong)");
        let mut head = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nX: ".to_vec();
        head.resize(MAX_HEAD_BYTES + 1, b'x');
        assert_eq!(fatal(&head), "Fatal(RequestMessageBodyTooLarge)");
        for (length, status) in [
            ("4097", "RequestMessageBodyTooLarge"),
            ("-1", "BadRequest"),
            ("+1", "BadRequest"),
            ("99999999999999999999", "BadRequest"),
            ("1\r\nContent-Length: 2", "BadRequest"),
        ] {
            let request = format!("OPTIONS * RTSP/1.0\r\nContent-Length: {length}\r\n\r\n");
            assert_eq!(fatal(request.as_bytes()), format!("Fatal({status})"), "{length}");
        }
        assert_eq!(fatal(b"\x16\x03\x01\x02\x00\x01"), "Fatal(BadRequest)");
    }

    #[test]
    fn an_oversized_packet_is_skipped() {
        let mut bytes = b"$\x00\xff\xff".to_vec();
        bytes.resize(4 + 0xffff, b'O');
        bytes.extend_from_slice(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n");
        let all = frames(&[&bytes]);
        assert_eq!(all.len(), 1);
        assert!(all[0].starts_with("Request"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_bytes_in_any_pieces(
            bytes in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'$'), Just(b':'), any::<u8>()], 0..400),
            cut in any::<prop::sample::Index>(),
        ) {
            let bytes = [b"OPTIONS * RTSP/1.0\r\n".as_slice(), &bytes].concat();
            let at = cut.index(bytes.len());
            prop_assert_eq!(frames(&[&bytes]), frames(&[&bytes[..at], &bytes[at..]]));
        }
    }
}
