//! What fuzz targets do with their input: one function a target.
//!
//! Each takes any bytes, and panics when something that is promised does not hold: that is what the fuzzer looks for. There
//! is no such module but under `cargo fuzz` and in unit tests, which run the same functions over the corpus in `fuzz/seeds`.
//!
//! Does not belong here: what is promised (the modules' invariants say that).

mod conversation;
#[cfg(test)]
mod seeds;
mod sending;

use std::net::IpAddr;
use std::time::Duration;

use auth::StreamKeyVerifier;
use hal::{ChannelId, MonoTime, StreamId, StreamKind};
use rtsp_types::{HeaderValue, Request, Url, headers};

use crate::digest::{Challenger, REALM, Verdict};
use crate::framing::{Frame, Framer, MAX_BUFFER_BYTES, MAX_INTERLEAVED_BYTES};
use crate::message::{cseq, feature_missing, is_live_range, session_id, target};
use crate::multicast::Multicast;
use crate::payload::TrackId;
use crate::rtcp;
use crate::second;
use crate::target::Target;
use crate::transport::{self, Abilities, Delivery};
use crate::tunnel::{Decoder, Greeting, MAX_HTTP_HEAD_BYTES, NotBase64, greeting};
use crate::wish::Wish;

/// A request, or several: everything that is read of its headers.
pub fn request(data: &[u8]) {
    let mut framer = Framer::default();
    framer.push(data);
    while let Some(frame) = framer.next() {
        if let Frame::Request(request) = frame {
            read(&request);
        }
    }
}

/// A byte that says how the rest is cut, then a stream of requests and interleaved packets: the same bytes give the same
/// frames however they are cut, and no more is held of them than may be.
pub fn framing(data: &[u8]) {
    let Some((size, stream)) = data.split_first() else { return };
    let size = usize::from(*size);
    assert_eq!(frames(stream, stream.len()), frames(stream, size), "cut by {size}");
}

/// A byte that says how the rest is cut, then what a connection begins with: a tunnel's head, and base64 in which requests are.
pub fn tunnel(data: &[u8]) {
    let Some((size, stream)) = data.split_first() else { return };
    let size = usize::from(*size).max(1);
    let whole = greeting(stream);
    // As a connection reads: until the first pieces say what it is.
    let mut cuts = (size..stream.len().min(MAX_HTTP_HEAD_BYTES)).step_by(size);
    let early = cuts.find_map(|at| greeting(&stream[..at]));
    assert!(early.is_none() || early == whole, "cut by {size}: {early:?}, whole: {whole:?}");
    let Some(Greeting::Post { cookie, body }) = whole else { return };
    assert!(!cookie.is_empty() && cookie.bytes().all(|byte| byte.is_ascii_graphic()), "{cookie:?}");
    let text = &stream[body..];
    let decoded = decode(text, text.len());
    assert_eq!(decoded, decode(text, size), "cut by {size}");
    if let Ok(bytes) = decoded {
        assert!(bytes.len() <= text.len() / 4 * 3, "more than the text has");
        frames(&bytes, size);
    }
}

/// A conversation with a session and its world. Its parts are separated by byte 1E; the first has the connection's options and
/// how what is received is cut, each other one begins with a letter that says what happens:
///
/// | | |
/// |---|---|
/// | `R` | a request comes; `{auth}` in it becomes its credentials, `{session}` the session's name |
/// | `B` | bytes come as they are |
/// | `$` | an interleaved packet comes: a byte of its channel, then what it carries |
/// | `T` | as many seconds pass as the next byte says |
/// | `H`, `A` | the world answers no action any more; it answers one, as the next byte says, and then every one |
/// | `L` | a receiver report comes by UDP |
/// | `U` | a unit comes on each track that plays: of one packet and as many as a byte says (to seven), after 256 times as many lost ones as the next says |
/// | `E`, `X` | a recording was played to its end; a stream ended |
/// | `M` | multicast is turned on or off |
/// | `K`, `V`, `D` | the key is revoked, its recordings, or the address; or had again |
pub fn session(data: &[u8]) {
    conversation::hold(data);
}

fn frames(stream: &[u8], size: usize) -> Vec<Frame> {
    let mut framer = Framer::default();
    let mut all = Vec::new();
    for piece in stream.chunks(size.max(1)) {
        let mut rest = piece;
        loop {
            let taken = framer.push(rest);
            rest = &rest[taken..];
            assert!(framer.room() <= MAX_BUFFER_BYTES, "the buffer is bounded");
            let before = all.len();
            while let Some(frame) = framer.next() {
                if let Frame::Interleaved { payload, .. } = &frame {
                    assert!(payload.len() <= MAX_INTERLEAVED_BYTES, "packets are bounded");
                    rtcp::is_receiver_report(payload);
                }
                all.push(frame);
            }
            if rest.is_empty() || (taken == 0 && all.len() == before) {
                break;
            }
        }
    }
    // A packet has four bytes and a request more, whatever it says of itself.
    assert!(all.len() <= stream.len() / 4 + 1, "{} frames of {} bytes", all.len(), stream.len());
    all
}

fn decode(text: &[u8], size: usize) -> Result<Vec<u8>, NotBase64> {
    let (mut decoder, mut bytes) = (Decoder::default(), Vec::new());
    for piece in text.chunks(size.max(1)) {
        decoder.push(piece, &mut bytes)?;
    }
    Ok(bytes)
}

fn read(request: &Request<Vec<u8>>) {
    if let Some(cseq) = cseq(request) {
        assert!(cseq.bytes().all(|byte| byte.is_ascii_digit()), "{cseq:?}");
    }
    session_id(request);
    feature_missing(request);
    second::pipeline(request);
    if let Some((url, target)) = target(request) {
        read_back(&url, target);
    }
    if let Some(range) = request.header(&headers::RANGE) {
        is_live_range(range.as_str());
    }
    if let Ok(wish) = Wish::read(request, 7) {
        assert!((0.25..=32.0).contains(&wish.scale.abs()), "scale {}", wish.scale);
        assert!((0.25..=8.0).contains(&wish.speed), "speed {}", wish.speed);
    }
    if let Some(offers) = request.header(&headers::TRANSPORT) {
        let peer = IpAddr::from([192, 0, 2, 7]);
        let stream = ChannelId::new(1).map(|channel| StreamId::new(channel, StreamKind::Main));
        let multicast = Multicast::new([239, 192, 0, 0].into(), 1).ok();
        let group =
            multicast.zip(stream).map(|(multicast, stream)| multicast.group(stream, [192, 0, 2, 1].into()));
        for (udp_ports, group) in [(None, None), (Some((8000, 8001)), None), (Some((8000, 8001)), group)] {
            for (secure, has_key) in [(false, false), (true, false), (true, true)] {
                offered(offers.as_str(), &Abilities { peer, udp_ports, group, secure, has_key });
            }
        }
    }
    let header = request.header(&headers::AUTHORIZATION).map(HeaderValue::as_str);
    let uri = request.request_uri().map_or("*", Url::as_str);
    let key = StreamKeyVerifier::derive("anna", REALM, "key");
    let known = |user: &str| (user == "anna").then(|| key.clone());
    let verdict = Challenger::new().check(
        header,
        request.method().into(),
        uri,
        MonoTime::from_start(Duration::ZERO),
        &known,
    );
    assert!(!matches!(verdict, Verdict::Granted(_)), "nothing was asked, so nothing is proven");
}

/// What a client is told to ask for means what it asked for.
fn read_back(url: &Url, target: Target) {
    let again = |text: &str| Url::parse(text).ok().and_then(|url| Target::parse(&url));
    let metadata = target.metadata.then_some(TrackId::Metadata);
    for track in [TrackId::Video, TrackId::Audio].into_iter().chain(metadata) {
        let text = target.track_url(url, track);
        assert_eq!(again(&text), Some(Target { track: Some(track), ..target }), "{text}");
    }
    let text = target.base(url);
    assert_eq!(again(&text), Some(Target { track: None, ..target }), "{text}");
}

fn offered(offers: &str, abilities: &Abilities) {
    let Some(chosen) = transport::choose(offers, abilities, 2, &|channel| channel == 3) else { return };
    let delivery = chosen.delivery;
    assert!(!chosen.sealed || abilities.has_key, "{chosen:?}");
    match delivery {
        Delivery::Interleaved { rtp, rtcp } => assert!(rtp != rtcp && rtp != 3 && rtcp != 3, "{delivery:?}"),
        Delivery::Udp { rtp, rtcp } => {
            assert!(abilities.udp_ports.is_some() && rtp.port().min(rtcp.port()) >= 1024, "{delivery:?}");
            assert!(rtp.ip() == abilities.peer && rtcp.ip() == abilities.peer, "{delivery:?}");
            assert!(chosen.sealed || !abilities.secure, "in clear beside TLS");
        }
        Delivery::Multicast(group) => assert_eq!(Some(group), abilities.group),
    }
    let answer = transport::answer(&chosen, abilities, 0xabcd) + &transport::addresses(&delivery, abilities);
    assert_eq!(transport::choose(&answer, abilities, 2, &|_| false), Some(chosen), "{answer}");
}
