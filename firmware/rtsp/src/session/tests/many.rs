//! Sessions that are one of many in a group.

use std::sync::atomic::Ordering;

use super::*;
use talk::RECORDED;

const MANY: &str = "Transport: RTP/AVP/UDP;multicast\r\n";

fn set_up(talk: &mut Talk) -> String {
    talk.gate.multicast.store(2, Ordering::SeqCst);
    talk.log_in();
    let answer = talk.ask("SETUP", &format!("{URL}/trackID=0"), MANY);
    assert_eq!(
        header(&answer, "Transport"),
        "RTP/AVP;multicast;destination=239.192.0.0;port=16384-16385;ttl=2;ssrc=0000ABCD"
    );
    let id = header(&answer, "Session").split(';').next().unwrap();
    let sound = talk.ask("SETUP", &format!("{URL}/trackID=1"), &format!("Session: {id}\r\n{MANY}"));
    assert!(header(&sound, "Transport").contains("destination=239.192.0.2;port=16388-16389;"), "{sound}");
    format!("Session: {id}\r\n")
}

#[test]
fn a_session_is_told_its_group_while_the_owner_wants_multicast() {
    let mut talk = Talk::new();
    let session = set_up(&mut talk);
    assert_eq!(status(&talk.ask("PLAY", URL, &session)), 200);
    talk.pass(1);
    assert_eq!(talk.done, ["Setup", "Setup", "Play"]);
    talk.gate.multicast.store(3, Ordering::SeqCst);
    talk.pass(1);
    assert_eq!(talk.done, ["Setup", "Setup", "Play", "End", "Close"], "its group is another");
    let mut talk = Talk::new();
    set_up(&mut talk);
    talk.gate.multicast.store(0, Ordering::SeqCst);
    talk.pass(1);
    assert_eq!(talk.done, ["Setup", "Setup", "End", "Close"], "turned off");
}

#[test]
fn the_second_version_names_the_group_in_its_own_words() {
    let mut talk = Talk::new();
    talk.version = "2.0";
    talk.gate.multicast.store(1, Ordering::SeqCst);
    talk.log_in();
    let answer = talk.ask("SETUP", &format!("{URL}/trackID=0"), MANY);
    let transport = header(&answer, "Transport");
    assert!(transport.ends_with(";dest_addr=\"239.192.0.0:16384\"/\"239.192.0.0:16385\""), "{transport}");
}

#[test]
fn no_group_unless_the_owner_wants_it_nor_for_recordings_nor_where_there_is_no_interface() {
    let mut talk = Talk::new();
    talk.log_in();
    assert_eq!(status(&talk.ask("SETUP", &format!("{URL}/trackID=0"), MANY)), 461);
    talk.gate.multicast.store(1, Ordering::SeqCst);
    let recorded = RECORDED.replace("main?", "main/trackID=0?");
    assert_eq!(status(&talk.ask("SETUP", &recorded, MANY)), 461, "recorded");
    assert_eq!(status(&talk.ask("SETUP", &recorded, TCP)), 200);
    let mut talk = Talk::without_interface();
    talk.gate.multicast.store(1, Ordering::SeqCst);
    talk.log_in();
    assert_eq!(status(&talk.ask("SETUP", &format!("{URL}/trackID=0"), MANY)), 461);
    assert_eq!(talk.done, [""; 0]);
}
