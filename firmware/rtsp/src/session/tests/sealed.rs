//! SRTP: keys through TLS alone, each for one track of one session.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::*;

const SEALED: &str = "rtsps://10.0.0.1:8322/ch1/main/srtp";
const UDP: &str = "Transport: RTP/SAVP;unicast;client_port=5000-5001\r\n";
const IN_TLS: &str = "Transport: RTP/SAVP/TCP;unicast;interleaved=0-1\r\n";

/// The key that a description has for its only track.
fn key(described: &str) -> Vec<u8> {
    let line = described.lines().find_map(|line| line.strip_prefix("a=key-mgmt:mikey ")).unwrap();
    let message = BASE64.decode(line).unwrap();
    assert!(message.windows(4).any(|four| four == [0, 0, 0xab, 0xcd]), "it is about the track's SSRC");
    assert_eq!(message.last(), Some(&0), "no MAC");
    message[message.len() - 31..message.len() - 1].to_vec()
}

#[test]
fn a_key_is_told_at_each_description_and_used_once() {
    let mut talk = Talk::over_tls();
    talk.log_in();
    let track = format!("{SEALED}/trackID=0");
    assert_eq!(status(&talk.ask("SETUP", &track, UDP)), 461, "nobody knows a key");
    let first = talk.ask("DESCRIBE", SEALED, "");
    assert_eq!(header(&first, "Content-Base"), "rtsps://10.0.0.1:8322/ch1/main/srtp/");
    assert!(first.contains("\r\nm=video 0 RTP/SAVP 96\r\n") && !first.contains("RTP/AVP"), "{first}");
    let second = talk.ask("DESCRIBE", SEALED, "");
    assert_ne!(key(&first), key(&second));
    let setup = talk.ask("SETUP", &track, UDP);
    assert_eq!(
        header(&setup, "Transport"),
        "RTP/SAVP;unicast;client_port=5000-5001;server_port=8000-8001;ssrc=0000ABCD"
    );
    let session = format!("Session: {}\r\n", header(&setup, "Session"));
    assert_eq!(status(&talk.ask("SETUP", &track, &format!("{session}{UDP}"))), 461, "it is used");
    assert_eq!(status(&talk.ask("DESCRIBE", SEALED, "")), 200);
    let again = talk.ask("SETUP", &track, &format!("{session}{IN_TLS}"));
    assert_eq!(header(&again, "Transport"), "RTP/SAVP/TCP;unicast;interleaved=0-1;ssrc=0000ABCD");
    assert_eq!(status(&talk.ask("PLAY", SEALED, &session)), 200);
}

#[test]
fn no_key_in_clear_and_no_clear_datagrams_beside_tls() {
    let mut talk = Talk::new();
    talk.log_in();
    let clear = format!("{URL}/srtp");
    let answer = talk.ask("DESCRIBE", &clear, "");
    assert!(status(&answer) == 403 && !answer.contains("key-mgmt"), "{answer}");
    assert_eq!(status(&talk.ask("SETUP", &format!("{clear}/trackID=0"), IN_TLS)), 403);
    let mut talk = Talk::over_tls();
    talk.log_in();
    let plain = talk.ask("DESCRIBE", &SEALED.replace("/srtp", ""), "");
    assert!(status(&plain) == 200 && !plain.contains("key-mgmt") && plain.contains("RTP/AVP 96"), "{plain}");
    let track = format!("{SEALED}/trackID=0");
    let udp = "Transport: RTP/AVP;unicast;client_port=5000-5001\r\n";
    assert_eq!(status(&talk.ask("SETUP", &track, udp)), 461);
    assert_eq!(status(&talk.ask("SETUP", &track, TCP)), 200, "inside TLS nothing is in clear");
}

/// Of SRTCP the header alone can be read.
#[test]
fn sealed_reports_are_signs_of_life() {
    let mut talk = Talk::over_tls();
    talk.log_in();
    assert_eq!(status(&talk.ask("DESCRIBE", SEALED, "")), 200);
    let setup = talk.ask("SETUP", &format!("{SEALED}/trackID=0"), IN_TLS);
    assert_eq!(status(&setup), 200);
    let mut report = vec![b'$', 1, 0, 22, 0x80, 201, 0, 1, 0, 0, 0, 77];
    report.extend_from_slice(&[0xee; 14]);
    for _ in 0..4 {
        talk.pass(SESSION_TIMEOUT.as_secs() - 1);
        talk.bytes(&report);
    }
    assert!(!talk.done.contains(&"Close".to_owned()));
    report[3] = 21;
    report.pop();
    talk.pass(SESSION_TIMEOUT.as_secs() - 1);
    talk.bytes(&report);
    talk.pass(2);
    assert!(talk.done.contains(&"Close".to_owned()), "too short for a tag");
}
