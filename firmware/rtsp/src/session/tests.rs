//! The session without a network: what is said and done, and hostile input.

mod many;
mod recorded;
mod sealed;
mod second;
mod talk;

use hal::{ChannelId, StreamId, StreamKind};
use proptest::prelude::*;

use super::*;
use talk::{TCP, Talk, URL, header, status};

#[test]
fn from_options_to_teardown() {
    let mut talk = Talk::new();
    assert!(header(&talk.ask("OPTIONS", "*", ""), "Public").contains("PLAY"));
    talk.log_in();
    let described = talk.ask("DESCRIBE", URL, "Accept: application/sdp\r\n");
    assert_eq!(header(&described, "Content-Base"), "rtsp://10.0.0.1:8554/ch1/main/");
    assert!(described.contains("a=control:trackID=0"));
    let setup = talk.ask("SETUP", &format!("{URL}/trackID=0"), TCP);
    assert_eq!(header(&setup, "Transport"), "RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=0000ABCD");
    let session = header(&setup, "Session").to_owned();
    assert!(session.ends_with(";timeout=60"));
    let session = format!("Session: {session}\r\n");
    let play = talk.ask("PLAY", &format!("{URL}/"), &format!("{session}Range: npt=0.000-\r\n"));
    assert_eq!(header(&play, "RTP-Info"), "url=rtsp://10.0.0.1:8554/ch1/main/trackID=0;seq=17;rtptime=4242");
    assert_eq!(header(&play, "Range"), "npt=now-");
    assert_eq!(status(&talk.ask("GET_PARAMETER", URL, &session)), 200);
    assert_eq!(status(&talk.ask("PAUSE", URL, &session)), 200);
    assert_eq!(status(&talk.ask("PLAY", URL, &session)), 200);
    assert_eq!(status(&talk.ask("TEARDOWN", URL, &session)), 200);
    assert_eq!(status(&talk.ask("PLAY", URL, &session)), 454);
    assert_eq!(talk.done, ["Describe", "Setup", "Play", "Pause", "Play", "End"]);
}

#[test]
fn nothing_but_options_without_a_key() {
    for method in [
        "DESCRIBE",
        "SETUP",
        "PLAY",
        "PAUSE",
        "TEARDOWN",
        "GET_PARAMETER",
        "SET_PARAMETER",
        "ANNOUNCE",
        "JUNK",
    ] {
        let mut talk = Talk::new();
        let answer = talk.ask(method, URL, TCP);
        assert_eq!(status(&answer), 401, "{method}");
        let challenges: Vec<&str> =
            answer.lines().filter(|line| line.starts_with("WWW-Authenticate: Digest realm=")).collect();
        assert_eq!(challenges.len(), 2, "{answer}");
        assert!(challenges[0].contains("SHA-256") && challenges[1].contains("algorithm=MD5"));
        assert!(talk.done.is_empty(), "{method}");
    }
}

#[test]
fn a_few_wrong_keys_end_the_connection() {
    let mut talk = Talk::new();
    talk.log_in();
    talk.key = "another";
    for _ in 0..MAX_WRONG_KEYS {
        assert_eq!(status(&talk.ask("DESCRIBE", URL, "")), 401);
    }
    assert_eq!(talk.done, ["Close"]);
    let refused = talk.gate.refused.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(refused, usize::from(MAX_WRONG_KEYS));
    assert!(talk.said.iter().all(|answer| !answer.contains("anna") && !answer.contains("another")));
}

#[test]
fn clear_answers() {
    let mut talk = Talk::new();
    talk.log_in();
    let track = format!("{URL}/trackID=0");
    let other = "rtsp://10.0.0.1:8554/ch2/main";
    let unknown = "Session: 0123\r\n";
    assert_eq!(status(&talk.ask("DESCRIBE", other, "")), 404);
    assert_eq!(status(&talk.ask("DESCRIBE", "rtsp://10.0.0.1/../etc/passwd", "")), 404);
    assert_eq!(status(&talk.ask("DESCRIBE", "*", "")), 404);
    assert_eq!(status(&talk.ask("DESCRIBE", URL, "Accept: text/html\r\n")), 406);
    assert_eq!(status(&talk.ask("SETUP", &track, "Transport: RTP/AVP;multicast\r\n")), 461);
    assert_eq!(status(&talk.ask("SETUP", &track, "")), 461);
    assert_eq!(status(&talk.ask("SETUP", URL, TCP)), 459, "the presentation as a whole");
    assert_eq!(status(&talk.ask("SETUP", &format!("{other}/trackID=0"), TCP)), 503, "too many watchers");
    assert_eq!(status(&talk.ask("SETUP", &track, &format!("{unknown}{TCP}"))), 454);
    assert_eq!(status(&talk.ask("PLAY", URL, "")), 454);
    assert_eq!(status(&talk.ask("GET_PARAMETER", URL, unknown)), 454);
    assert_eq!(status(&talk.ask("ANNOUNCE", URL, "")), 405);
    assert_eq!(status(&talk.ask("FROBNICATE", URL, "")), 501);
    assert_eq!(status(&talk.ask("DESCRIBE", URL, "Require: onvif-replay\r\n")), 551);
    let session = talk.ask("SETUP", &track, TCP);
    let session = format!("Session: {}\r\n", header(&session, "Session"));
    assert_eq!(status(&talk.ask("SETUP", &track, TCP)), 455, "one session a connection");
    assert_eq!(status(&talk.ask("PAUSE", URL, &session)), 455, "not playing");
    let second = format!("{URL}/trackID=1");
    assert_eq!(status(&talk.ask("SETUP", &format!("{other}/trackID=0"), &format!("{session}{TCP}"))), 459);
    assert_eq!(status(&talk.ask("SETUP", &second, &format!("{session}{TCP}"))), 461, "channels in use");
    let tcp = TCP.replace("0-1", "2-3");
    assert_eq!(status(&talk.ask("SETUP", &second, &format!("{session}{tcp}"))), 200);
    assert_eq!(status(&talk.ask("PLAY", &track, &session)), 460, "one track of two");
    for range in ["npt=10-20-30", "npt=now-20", "clock=20261120T100000Z-", "smpte=0-", "npt=", "npt=-5"] {
        let answer = talk.ask("PLAY", URL, &format!("{session}Range: {range}\r\n"));
        assert_eq!(status(&answer), 457, "{range}");
    }
    let played = talk.ask("PLAY", URL, &format!("{session}Range: npt=0.000-20.000\r\n"));
    assert_eq!((status(&played), header(&played, "Range")), (200, "npt=now-"), "live555's, for 20 s");
    assert_eq!(status(&talk.ask("PLAY", URL, &session)), 200, "a keep-alive of some players");
    assert_eq!(talk.done.iter().filter(|name| *name == "Play").count(), 1);
    assert_eq!(status(&talk.ask("SETUP", &second, &format!("{session}{tcp}"))), 455, "while playing");
}

#[test]
fn parameters_are_keep_alives_only() {
    let mut talk = Talk::new();
    talk.log_in();
    for method in ["GET_PARAMETER", "SET_PARAMETER"] {
        assert_eq!(status(&talk.ask(method, URL, "")), 200);
        talk.cseq += 1;
        let text = talk.text(method, URL, "Content-Length: 8\r\n", talk.cseq) + "packets\n";
        talk.bytes(text.as_bytes());
        assert_eq!(status(talk.said.last().unwrap()), 451);
    }
}

#[test]
fn udp_goes_to_the_peer() {
    let mut talk = Talk::new();
    talk.log_in();
    let transport = "Transport: RTP/AVP;unicast;destination=198.51.100.1;client_port=5000-5001\r\n";
    let answer = talk.ask("SETUP", &format!("{URL}/trackID=0"), transport);
    assert_eq!(
        header(&answer, "Transport"),
        "RTP/AVP;unicast;client_port=5000-5001;server_port=8000-8001;ssrc=0000ABCD"
    );
}

#[test]
fn silence_ends_a_session_and_signs_of_life_do_not() {
    let mut talk = Talk::new();
    let session = talk.set_up();
    talk.ask("PLAY", URL, &session);
    talk.pass(59);
    talk.ask("OPTIONS", "*", "");
    talk.pass(59);
    talk.session.sign_of_life(talk.now);
    talk.pass(59);
    // An empty receiver report, interleaved on the RTCP channel; on another channel it is none.
    let report = [0x80, 201, 0, 1, 0, 0, 0, 5];
    talk.bytes(&[&[b'$', 1, 0, 8][..], &report].concat());
    talk.pass(59);
    assert!(!talk.done.contains(&"End".to_owned()));
    talk.bytes(&[&[b'$', 0, 0, 8][..], &report].concat());
    talk.pass(1);
    assert_eq!(talk.done, ["Setup", "Play", "End", "Close"]);
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let mut talk = Talk::new();
    talk.bytes(b"OPTIONS * RTSP/1.0\r\nCSe");
    talk.pass(FIRST_REQUEST_TIMEOUT.as_secs());
    assert_eq!(talk.done, ["Close"]);
}

#[test]
fn a_revoked_key_ends_the_session() {
    let mut talk = Talk::new();
    let session = talk.set_up();
    talk.ask("PLAY", URL, &session);
    talk.pass(1);
    assert_eq!(talk.done, ["Setup", "Play"]);
    talk.gate.revoked.store(true, std::sync::atomic::Ordering::SeqCst);
    talk.pass(1);
    assert_eq!(talk.done, ["Setup", "Play", "End", "Close"]);
}

#[test]
fn an_address_that_may_no_longer_connect_is_cut_off() {
    let mut talk = Talk::new();
    talk.set_up();
    talk.pass(1);
    talk.gate.shut_out.store(true, std::sync::atomic::Ordering::SeqCst);
    talk.pass(1);
    assert_eq!(talk.done, ["Setup", "End", "Close"]);
}

#[test]
fn limits_close_the_connection() {
    let mut talk = Talk::with(true);
    assert_eq!(status(&talk.ask("OPTIONS", "*", "")), 503);
    assert_eq!(talk.done, ["Close"]);

    let mut talk = Talk::new();
    for _ in 0..1000 {
        talk.ask("OPTIONS", "*", "");
    }
    assert_eq!(talk.said.iter().filter(|answer| status(answer) == 200).count(), 60);
    assert_eq!((status(talk.said.last().unwrap()), talk.done.as_slice()), (503, &["Close".to_owned()][..]));

    let mut talk = Talk::new();
    for _ in 0..MAX_FAULTS {
        assert!(talk.done.is_empty());
        talk.bytes(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(status(talk.said.last().unwrap()), 400);
    }
    assert_eq!(talk.done, ["Close"]);

    let mut talk = Talk::new();
    talk.bytes(&vec![b'A'; 100_000]);
    assert_eq!((status(talk.said.last().unwrap()), talk.done.as_slice()), (414, &["Close".to_owned()][..]));
}

#[test]
fn a_pipeline_is_bounded_while_an_answer_is_awaited() {
    let mut talk = Talk::new();
    talk.log_in();
    let request = talk.text("DESCRIBE", URL, "", 2);
    let pipeline = request.repeat(200);
    let taken = talk.session.receive(talk.now, pipeline.as_bytes());
    assert!(taken < pipeline.len());
    let more = talk.session.receive(talk.now, &pipeline.as_bytes()[taken..]);
    assert!(taken + more <= 2 * crate::framing::MAX_BUFFER_BYTES, "held back: {}", taken + more);
    assert_eq!(talk.session.receive(talk.now, b"x"), 0);
    talk.settle();
    assert!(talk.said.len() > 10, "all of them are answered in the end");
}

#[test]
fn an_expired_nonce_is_stale() {
    let mut talk = Talk::new();
    talk.log_in();
    talk.now = talk.now + crate::digest::NONCE_LIFETIME;
    let answer = talk.ask("DESCRIBE", URL, "");
    assert!(status(&answer) == 401 && answer.contains("stale=TRUE"), "{answer}");
}

#[test]
fn header_injection_is_not_echoed() {
    let mut talk = Talk::new();
    let answer = talk.ask("OPTIONS", "*", "CSeq: 9\r\n");
    assert_eq!(status(&answer), 400, "two of them are no number");
    let mut talk = Talk::new();
    talk.log_in();
    let answer = talk.ask("DESCRIBE", "rtsp://anna:key@10.0.0.1:8554/ch1/main", "");
    assert_eq!(header(&answer, "Content-Base"), "rtsp://10.0.0.1:8554/ch1/main/");
}

/// A whole conversation in one buffer; credentials are left out, so every answer is known beforehand.
fn conversation() -> Vec<u8> {
    let mut bytes = Vec::new();
    for (cseq, method) in ["OPTIONS", "DESCRIBE", "SETUP", "JUNK"].iter().enumerate() {
        bytes.extend_from_slice(format!("{method} {URL} RTSP/1.0\r\nCSeq: {cseq}\r\n\r\n").as_bytes());
        bytes.extend_from_slice(&[b'$', 1, 0, 4, 1, 2, 3, 4]);
    }
    bytes
}

fn statuses(talk: &Talk) -> Vec<String> {
    talk.said.iter().map(|answer| format!("{} {}", status(answer), header(answer, "CSeq"))).collect()
}

#[test]
fn cut_at_any_byte_the_answers_are_the_same() {
    let bytes = conversation();
    for at in 0..=bytes.len() {
        let mut talk = Talk::new();
        talk.bytes(&bytes[..at]);
        talk.bytes(&bytes[at..]);
        assert_eq!(statuses(&talk), ["200 0", "401 1", "401 2", "401 3"], "cut at {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_bytes_never_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        pieces in 1usize..50,
    ) {
        let mut talk = Talk::new();
        talk.log_in();
        let mut bytes = Vec::new();
        for (cseq, (method, headers)) in [
            ("DESCRIBE", "Accept: application/sdp\r\n"),
            ("SETUP", "Transport: RTP/AVP;unicast;client_port=5000-5001,RTP/AVP/TCP;interleaved=0-1\r\n"),
            ("PLAY", "Session: 1\r\nRange: npt=now-\r\n"),
            ("TEARDOWN", "Session: 1\r\nContent-Length: 0\r\n"),
        ].into_iter().enumerate() {
            let url = format!("{URL}/trackID=0");
            bytes.extend_from_slice(talk.text(method, &url, headers, cseq as u32 + 2).as_bytes());
        }
        for (index, value) in damage {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        for piece in bytes.chunks(pieces) {
            talk.bytes(piece);
        }
        talk.pass(60);
        prop_assert!(talk.done.contains(&"Close".to_owned()));
    }

    #[test]
    fn hostile_header_values_never_panic(
        method in "(SETUP|PLAY|DESCRIBE|GET_PARAMETER)",
        name in "(Transport|Range|Session|Authorization|Accept|Require|Content-Type|CSeq)",
        value in "[ -~]{0,300}",
    ) {
        let mut talk = Talk::new();
        let session = talk.set_up();
        talk.ask(&method, &format!("{URL}/trackID=0"), &format!("{name}: {value}\r\n{session}"));
        talk.ask(&method, URL, &format!("{name}: {value}\r\n"));
        prop_assert!(!talk.said.is_empty());
    }
}

#[test]
fn the_sub_stream_is_another_presentation() {
    let mut talk = Talk::new();
    talk.log_in();
    let answer = talk.ask("DESCRIBE", "rtsp://10.0.0.1:8554/ch1/sub", "");
    assert_eq!(header(&answer, "Content-Base"), "rtsp://10.0.0.1:8554/ch1/sub/");
    let stream = StreamId::new(ChannelId::new(1).unwrap(), StreamKind::Sub);
    assert!(answer.contains(&format!("s={stream}\r\n")));
}
