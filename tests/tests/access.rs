//! Who may open streams: networks, keys, and keys that are taken back.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tests::{Done, Owner, Recorder, RtspClient, Setup, finish, run, until};

/// What a player has to hear that it is cut off.
const LIMIT: Duration = Duration::from_secs(30);

/// Opens a stream and reads of it until there is a picture.
fn probe(url: &str) -> Done {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-rtsp_transport", "tcp", "-read_intervals", "%+#2", "-show_packets"]);
    run(LIMIT * 2, command.args(["-select_streams", "v:0", "-of", "csv"]).arg(url))
}

fn plays(url: &str) {
    assert!(probe(url).flawless().text().starts_with("packet,video"));
}

#[track_caller]
fn is_refused(url: &str, words: &str) {
    let done = probe(url);
    assert!(!done.status.success() && done.stderr.contains(words), "{done:?}");
}

/// A player that plays until it is cut off.
fn player(owner: &Owner, url: &str) -> Child {
    let mut command = Command::new("ffmpeg");
    command.args([
        "-v",
        "quiet",
        "-nostdin",
        "-rtsp_transport",
        "tcp",
        "-i",
        url,
        "-c",
        "copy",
        "-f",
        "null",
        "-",
    ]);
    let child = command.stdin(Stdio::null()).spawn().expect("ffmpeg can be run");
    until("somebody watches", || (watching(owner) > 0).then_some(()));
    child
}

fn watching(owner: &Owner) -> usize {
    let trust = owner.get("/trust");
    trust["watching"].as_array().map_or(0, |list| list.iter().filter(|one| one["via"] == "rtsp").count())
}

fn is_cut_off(mut player: Child, owner: &Owner) {
    assert!(finish(&mut player, LIMIT).is_some(), "it goes on");
    until("nobody watches", || (watching(owner) == 0).then_some(()));
}

/// The answer to a change of the list.
fn allow(owner: &Owner, list: &Value) -> tests::Response {
    let mut settings = owner.get("/settings");
    settings["rtsp_allow"] = list.clone();
    owner.ask(&Method::PUT, "/settings", settings.to_string())
}

/// What a connection hears; nothing where it may not be.
fn heard(port: u16) -> String {
    let mut client = RtspClient::connect(port);
    let _ = client.send(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n");
    client.answer()
}

#[test]
fn only_networks_on_the_list_may_connect() {
    let recorder = Recorder::start(&Setup::inputs(1));
    let owner = recorder.claim();
    let (url, secure) = (recorder.rtsp_url("ch1/main"), recorder.rtsps_url("ch1/main"));
    let watches = player(&owner, &url);
    assert_eq!(allow(&owner, &json!(["192.0.2.0/24", "2001:db8::/32"])).status, 200);
    is_cut_off(watches, &owner);
    until("a connection that hears nothing", || heard(recorder.rtsp_port()).is_empty().then_some(()));
    for url in [&url, &secure] {
        assert!(!probe(url).status.success(), "it is for both ports");
    }
    // It is for RTSP alone: the page by which it is mended is still there. An address is a network, too.
    assert_eq!(owner.get("/settings")["rtsp_allow"], json!(["192.0.2.0/24", "2001:db8::/32"]));
    assert_eq!(allow(&owner, &json!(["192.0.2.0/24", "127.0.0.1"])).status, 200);
    until("a connection that is answered", || heard(recorder.rtsp_port()).contains(" 200 ").then_some(()));
    plays(&url);
    plays(&secure);
    let many: Vec<String> = (0..33).map(|number| format!("10.0.{number}.0/24")).collect();
    for wrong in [json!(["192.0.2.0/33"]), json!(["localhost"]), json!([""]), json!(many)] {
        let answer = allow(&owner, &wrong);
        let field = answer.json()["error"]["field"].clone();
        assert_eq!((answer.status, field.as_str()), (422, Some("rtsp_allow")), "{wrong}");
    }
    plays(&url);
    assert_eq!(allow(&owner, &json!([])).status, 200);
    plays(&url);
}

#[test]
fn keys_are_for_live_streams_or_for_recordings_too_until_they_are_taken_back() {
    let recorder = Recorder::start(&Setup::inputs(1));
    let owner = recorder.claim();
    let make = |input: Value| {
        let answer = owner.ask(&Method::POST, "/stream-keys", input.to_string());
        assert_eq!(answer.status, 201, "{answer:?}");
        let (name, key) = (answer.json()["name"].clone(), answer.json()["key"].clone());
        format!(
            "rtsp://{}:{}@127.0.0.1:{}",
            name.as_str().unwrap(),
            key.as_str().unwrap(),
            recorder.rtsp_port()
        )
    };
    let guest = make(json!({ "name": "guest" }));
    let guard = make(json!({ "name": "guard", "replay": true }));
    let listed = owner.get("/stream-keys");
    let may_replay = |name: &str| {
        let keys = listed.as_array().unwrap();
        keys.iter().find(|key| key["name"] == name).map(|key| key["replay"].clone())
    };
    assert_eq!((may_replay("guest"), may_replay("guard")), (Some(json!(false)), Some(json!(true))));

    let start = owner.wait_recorded_for(1, Duration::from_secs(4));
    let recorded = format!("ch1/main?start={start}&end={}", start + SignedDuration::from_secs(3));
    plays(&format!("{guest}/ch1/main"));
    is_refused(&format!("{guest}/{recorded}"), "403 Forbidden");
    plays(&format!("{guard}/ch1/main"));
    plays(&format!("{guard}/{recorded}"));
    is_refused(&format!("{guard}/ch9/main"), "404 Not Found");

    // One that is taken back ends what is watched with it, and nothing else.
    let guests = player(&owner, &format!("{guest}/ch1/main"));
    assert_eq!(owner.ask(&Method::DELETE, "/stream-keys/guest", "").status, 204);
    is_cut_off(guests, &owner);
    is_refused(&format!("{guest}/ch1/main"), "401 Unauthorized");
    plays(&format!("{guard}/{recorded}"));
    assert_eq!(owner.ask(&Method::DELETE, "/stream-keys/guest", "").status, 404);
}
