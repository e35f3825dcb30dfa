//! The session with a recording: what is said, and what is refused.

use super::talk::{RECORDED, TCP, Talk, URL, header, status};

/// Logs in and sets up a recording's video; returns the session header to send.
fn set_up_recorded(talk: &mut Talk) -> String {
    talk.log_in();
    let track = "rtsp://10.0.0.1:8554/ch1/main/trackID=0?start=2026-11-20T10:00:00Z&end=2026-11-20T11:00:00Z";
    let answer = talk.ask("SETUP", track, &format!("Require: onvif-replay\r\n{TCP}"));
    assert_eq!(status(&answer), 200, "{answer}");
    format!("Session: {}\r\n", header(&answer, "Session"))
}

#[test]
fn a_recording_from_describe_to_teardown() {
    let mut talk = Talk::new();
    let session = set_up_recorded(&mut talk);
    let described = talk.ask("DESCRIBE", RECORDED, "");
    let query = "?start=2026-11-20T10:00:00Z&end=2026-11-20T11:00:00Z";
    assert_eq!(header(&described, "Content-Base"), format!("rtsp://10.0.0.1:8554/ch1/main/{query}"));
    assert!(described.contains(&format!("a=control:rtsp://10.0.0.1:8554/ch1/main/trackID=0{query}\r\n")));
    assert!(described.contains("a=range:clock=20261120T100000.000000Z-20261120T110000.000000Z\r\n"));
    let play =
        talk.ask("PLAY", RECORDED, &format!("{session}Require: onvif-replay\r\nRange: npt=0.000-\r\n"));
    assert_eq!(header(&play, "Range"), "npt=0.000000-60.000000");
    assert_eq!(
        (header(&play, "Scale"), header(&play, "Speed"), header(&play, "Rate-Control")),
        ("1", "1", "yes")
    );
    let info = format!("url=rtsp://10.0.0.1:8554/ch1/main/trackID=0{query};seq=17;rtptime=4242");
    assert_eq!(header(&play, "RTP-Info"), info);
    assert_eq!(status(&talk.ask("PLAY", RECORDED, &session)), 200, "a keep-alive");
    assert_eq!(talk.wishes.len(), 1);
    let play =
        talk.ask("PLAY", RECORDED, &format!("{session}Scale: -100\r\nRange: clock=20261120T100030.5Z-\r\n"));
    assert_eq!(header(&play, "Range"), "clock=20261120T100030.500000Z-20261120T100100.000000Z");
    assert_eq!(header(&play, "Scale"), "-32");
    assert_eq!(status(&talk.ask("PAUSE", RECORDED, &session)), 200);
    assert_eq!(status(&talk.ask("PLAY", RECORDED, &format!("{session}Rate-Control: no\r\n"))), 200);
    assert_eq!(header(talk.said.last().unwrap(), "Rate-Control"), "no");
    let cseqs: Vec<u8> = talk.wishes.iter().map(|wish| wish.cseq).collect();
    assert!(cseqs.is_sorted() && cseqs[0] < cseqs[2], "{cseqs:?}");
    // At the end the session stays, and may play again.
    talk.session.played_to_end();
    assert_eq!(status(&talk.ask("PAUSE", RECORDED, &session)), 200, "GStreamer does");
    assert_eq!(status(&talk.ask("PAUSE", RECORDED, &session)), 455);
    assert_eq!(status(&talk.ask("PLAY", RECORDED, &session)), 200);
    assert_eq!(status(&talk.ask("TEARDOWN", RECORDED, &session)), 200);
    assert_eq!(
        talk.done,
        ["Setup", "Describe", "Replay", "Replay", "Pause", "Replay", "Pause", "Replay", "End"]
    );
}

#[test]
fn recordings_refuse_what_they_cannot_do() {
    let mut talk = Talk::new();
    let session = set_up_recorded(&mut talk);
    for (line, refused) in [
        ("Range: npt=now-", 457),
        ("Range: npt=61-", 457),
        ("Range: clock=20261120-", 457),
        ("Range: smpte=0-", 457),
        ("Scale: 0", 400),
        ("Scale: fast", 400),
        ("Speed: -1", 400),
        ("Rate-Control: perhaps", 400),
        ("Immediate: soon", 400),
        ("Frames: most", 400),
        ("Require: onvif-replay, com.example.more", 551),
        ("Require: com.example.more", 551),
    ] {
        let answer = talk.ask("PLAY", RECORDED, &format!("{session}{line}\r\n"));
        assert_eq!(status(&answer), refused, "{line}");
    }
    assert_eq!(status(&talk.ask("PAUSE", RECORDED, &session)), 455, "nothing played");
    for (url, refused) in [
        (URL, 454),
        ("rtsp://10.0.0.1:8554/ch1/main?start=2026-11-20T10:00:01Z", 454),
        ("rtsp://10.0.0.1:8554/ch1/main?start=x", 404),
    ] {
        assert_eq!(status(&talk.ask("PLAY", url, &session)), refused, "{url}");
    }
    // What is live is not replayed.
    let mut talk = Talk::new();
    talk.log_in();
    assert_eq!(
        status(&talk.ask("SETUP", &format!("{URL}/trackID=0"), &format!("Require: onvif-replay\r\n{TCP}"))),
        551
    );
}

#[test]
fn a_key_for_live_alone_has_no_recordings() {
    use std::sync::atomic::Ordering;

    let mut talk = Talk::new();
    talk.log_in();
    talk.gate.live_only.store(true, Ordering::SeqCst);
    let track = RECORDED.replacen("main?", "main/trackID=0?", 1);
    assert_eq!(status(&talk.ask("DESCRIBE", RECORDED, "")), 403);
    assert_eq!(status(&talk.ask("SETUP", &track, TCP)), 403);
    assert!(talk.done.is_empty());
    assert_eq!(status(&talk.ask("DESCRIBE", URL, "")), 200);
    talk.gate.live_only.store(false, Ordering::SeqCst);
    assert_eq!(status(&talk.ask("SETUP", &track, TCP)), 200);
    talk.pass(1);
    talk.gate.live_only.store(true, Ordering::SeqCst);
    talk.pass(1);
    assert_eq!(talk.done, ["Describe", "Setup", "End", "Close"]);
}
