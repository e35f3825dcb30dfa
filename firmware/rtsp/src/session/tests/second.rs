//! The session in RTSP 2.0 (RFC 7826).

use super::talk::{RECORDED, TCP, Talk, URL, header, status};

fn second() -> Talk {
    let mut talk = Talk::new();
    talk.version = "2.0";
    talk
}

#[test]
fn the_answer_has_the_version_of_the_request() {
    let mut talk = second();
    let answer = talk.ask("OPTIONS", "*", "Supported: play.basic\r\n");
    assert!(answer.starts_with("RTSP/2.0 200 "), "{answer}");
    assert!(header(&answer, "Supported").contains("play.basic"));
    assert!(talk.ask("DESCRIBE", URL, "").starts_with("RTSP/2.0 401 "));
    talk.version = "1.0";
    assert!(talk.ask("OPTIONS", "*", "").starts_with("RTSP/1.0 200 "));
    talk.version = "3.0";
    assert!(talk.ask("OPTIONS", "*", "").starts_with("RTSP/1.0 505 "));
    assert!(talk.done.is_empty());
}

#[test]
fn a_live_stream_in_its_words() {
    let mut talk = second();
    talk.log_in();
    assert_eq!(status(&talk.ask("DESCRIBE", URL, "Require: play.basic, play.scale\r\n")), 200);
    let answer = talk.ask("DESCRIBE", URL, "Require: play.basic, setup.playlist\r\n");
    assert_eq!((status(&answer), header(&answer, "Unsupported")), (551, "setup.playlist"));
    let setup = talk.ask("SETUP", &format!("{URL}/trackID=0"), TCP);
    assert_eq!(header(&setup, "Accept-Ranges"), "npt");
    assert_eq!(header(&setup, "Media-Properties"), "No-Seeking, Time-Progressing, Time-Duration=0.0");
    let session = format!("Session: {}\r\n", header(&setup, "Session"));
    let play = talk.ask("PLAY", URL, &session);
    assert_eq!(header(&play, "Range"), "npt=now-");
    assert_eq!(
        header(&play, "RTP-Info"),
        "url=\"rtsp://10.0.0.1:8554/ch1/main/trackID=0\" ssrc=0000ABCD:seq=17;rtptime=4242"
    );
    let said = talk.said.len();
    talk.session.played_to_end();
    talk.settle();
    assert_eq!(talk.said.len(), said, "a live stream has no end to be told of");
}

#[test]
fn addresses_are_given_in_its_words_too() {
    let mut talk = second();
    talk.log_in();
    let transport = "Transport: RTP/AVP;unicast;dest_addr=\":5000\"/\":5001\"\r\n";
    let setup = talk.ask("SETUP", &format!("{URL}/trackID=0"), transport);
    let answer = header(&setup, "Transport");
    assert!(answer.contains(";dest_addr=\":5000\"/\":5001\";src_addr=\":8000\"/\":8001\""), "{answer}");
    assert!(answer.contains(";client_port=5000-5001;server_port=8000-8001"), "{answer}");
}

#[test]
fn requests_ahead_of_the_answer_that_names_the_session() {
    let mut talk = second();
    talk.log_in();
    let numbered = "Pipelined-Requests: 7\r\n";
    let track = format!("{URL}/trackID=0");
    let pipeline = [
        talk.text("SETUP", &track, &format!("{TCP}{numbered}"), 10),
        talk.text("PLAY", URL, numbered, 11),
        talk.text("PAUSE", URL, "Pipelined-Requests: 8\r\n", 12),
        talk.text("PAUSE", URL, "", 13),
        talk.text("TEARDOWN", URL, numbered, 14),
    ];
    talk.said.clear();
    talk.bytes(pipeline.concat().as_bytes());
    let statuses: Vec<u16> = talk.said.iter().map(|answer| status(answer)).collect();
    assert_eq!(statuses, [200, 200, 454, 454, 200]);
    assert_eq!(talk.done, ["Setup", "Play", "End"]);
    // In RTSP 1.0 there is no such thing.
    let mut talk = Talk::new();
    talk.log_in();
    talk.ask("SETUP", &track, &format!("{TCP}{numbered}"));
    assert_eq!(status(&talk.ask("PLAY", URL, numbered)), 454);
}

#[test]
fn the_end_of_a_recording_is_told() {
    let mut talk = second();
    talk.log_in();
    let track = RECORDED.replacen("main?", "main/trackID=0?", 1);
    let setup = talk.ask("SETUP", &track, TCP);
    assert_eq!(header(&setup, "Accept-Ranges"), "npt, clock");
    assert!(header(&setup, "Media-Properties").starts_with("Random-Access, "));
    let session = format!("Session: {}\r\n", header(&setup, "Session").split(';').next().unwrap());
    let play = talk.ask("PLAY", RECORDED, &format!("{session}Range: npt=10-\r\nSpeed: 1.0-2.0\r\n"));
    assert_eq!((header(&play, "Range"), header(&play, "Speed")), ("npt=10.000000-60.000000", "2.0-2.0"));
    assert_eq!(header(&play, "Seek-Style"), "RAP");
    let asked = talk.cseq;
    talk.session.played_to_end();
    talk.settle();
    let notice = talk.said.last().unwrap().clone();
    assert!(notice.starts_with(&format!("PLAY_NOTIFY {RECORDED} RTSP/2.0\r\n")), "{notice}");
    assert_eq!((header(&notice, "Notify-Reason"), header(&notice, "CSeq")), ("end-of-stream", "1"));
    assert_eq!(header(&notice, "Range"), "npt=-60.000000");
    assert_eq!(header(&notice, "Request-Status"), format!("cseq={asked} status=200 reason=\"OK\""));
    assert!(session.contains(header(&notice, "Session")));
    // Its answer is none of ours to answer, a second one is of nobody.
    let said = talk.said.len();
    talk.bytes(b"RTSP/2.0 200 OK\r\nCSeq: 1\r\n\r\n");
    assert_eq!(talk.said.len(), said);
    talk.bytes(b"RTSP/2.0 200 OK\r\nCSeq: 1\r\n\r\n");
    assert_eq!(status(talk.said.last().unwrap()), 400);
    talk.session.played_to_end();
    talk.settle();
    assert_eq!(talk.said.len(), said + 1, "it is told once");
    assert_eq!(status(&talk.ask("PLAY", RECORDED, &session)), 200);
}
