//! A recorder's days: starts and stops, changes, cameras that come and go.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use http::Method;
use serde_json::json;
use test_camera::{Auth, CameraOptions, Login, Source, TestCamera, Video};
use tests::{ChannelSetup, Owner, Recorder, Setup, now, run, until};

/// A clean stop takes 2 s by itself; a busy machine is given more.
const STOP_LIMIT: Duration = Duration::from_secs(8);

fn scene(port: u16, login: Option<(&str, &str)>) -> TestCamera {
    let login = login.map(|(user, password)| Login {
        user: user.to_owned(),
        password: password.to_owned(),
        auth: Auth::Digest,
    });
    let source = Source::Scene { video: Video::H264, audio: None };
    TestCamera::start(&CameraOptions { port, source, login }).unwrap()
}

#[test]
fn a_stopped_recorder_has_sealed_everything() {
    let mut recorder = Recorder::start(&Setup::inputs(2));
    let owner = recorder.claim();
    let _ = owner.wait_recorded_for(1, Duration::from_secs(3));
    owner.wait_recording_goes_on(&[1, 2]);
    let asked = now();
    let (status, took) = recorder.stop();
    println!("a clean stop took {took:?}");
    assert!(status.success(), "{status}");
    assert!(took < STOP_LIMIT, "{took:?}");
    let check = recorder.store("check");
    assert!(check.status.success(), "{}", check.text());
    assert!(check.text().contains("all as it was written"), "{}", check.text());
    for channel in [1, 2] {
        let runs = recorder.runs(channel);
        assert_eq!(runs.len(), 1, "channel {channel}: {runs:?}");
        // The last picture begins up to a frame before, and is the first one not to come any more.
        let missing = asked.duration_since(runs[0].1);
        assert!(missing < jiff::SignedDuration::from_millis(250), "channel {channel} ends {missing:#} early");
    }
    // And it starts again on what it left.
    recorder.start_again();
    Owner::sign_in(&recorder.client()).wait_recording_goes_on(&[1, 2]);
}

#[test]
fn a_second_recorder_on_the_same_folder_is_refused() {
    let recorder = Recorder::start(&Setup::inputs(1));
    let owner = recorder.claim();
    let second = run(Duration::from_secs(30), &mut recorder.command());
    assert!(!second.status.success());
    assert!(
        second.stderr.contains("another recorder runs on this folder; stop it first"),
        "{}",
        second.stderr
    );
    owner.wait_recording_goes_on(&[1]);
}

#[test]
fn a_taken_port_is_told_and_used_once_it_is_free() {
    let mut recorder = Recorder::prepare(&Setup::inputs(1));
    let web = TcpListener::bind((Ipv4Addr::LOCALHOST, recorder.web_port())).unwrap();
    let rtsp = TcpListener::bind((Ipv4Addr::LOCALHOST, recorder.rtsp_port())).unwrap();
    recorder.launch();
    let port = recorder.web_port();
    let words = recorder.wait_console(&format!("Web cannot listen on port {port}: "));
    assert!(words.contains("Address already in use") && words.contains("tried again"), "{words}");
    recorder.wait_console(&format!("RTSP cannot listen on port {}: ", recorder.rtsp_port()));
    drop(rtsp);
    recorder.wait_console("RTSP: ");
    assert!(!recorder.console().iter().any(|line| line.starts_with("Web: ")));
    drop(web);
    recorder.wait_console("Web: ");
    recorder.claim().wait_recording_goes_on(&[1]);
}

#[test]
fn changed_settings_survive_a_restart() {
    let mut recorder = Recorder::start(&Setup::inputs(1));
    let owner = recorder.claim();
    let settings = json!({
        "name": "Barn", "time_zone": "Europe/Berlin", "rtsp_enabled": false, "rtsp_allow": ["127.0.0.0/8", "fd00::/8"],
        "rtsp_multicast": { "enabled": true, "group": "239.192.4.0", "ttl": 2 },
        "encrypt_new_disks": true, "mirror_disks": true
    });
    let answer = owner.ask(&Method::PUT, "/settings", settings.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    until("plain RTSP to be off", || {
        std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, recorder.rtsp_port())).is_err().then_some(())
    });
    let title = owner.ask(&Method::PUT, "/channels/1", json!({ "title": "Gate" }).to_string());
    assert_eq!(title.status, 200, "{title:?}");
    let wrong = owner.ask(
        &Method::PUT,
        "/settings",
        json!({ "name": "Barn", "time_zone": "Europe/Atlantis", "rtsp_enabled": false, "encrypt_new_disks": true }).to_string(),
    );
    assert_eq!(
        (wrong.status, wrong.json()["error"]["field"].as_str()),
        (422, Some("time_zone")),
        "{wrong:?}"
    );
    owner.wait_recording_goes_on(&[1]);

    recorder.stop();
    recorder.launch();
    recorder.wait_console("Web: ");
    let owner = Owner::sign_in(&recorder.client());
    assert_eq!(owner.get("/settings"), settings);
    assert_eq!(owner.channel(1).unwrap()["title"], "Gate");
    owner.wait_recording_goes_on(&[1]);
}

#[test]
fn a_camera_is_added_gets_a_wrong_password_and_goes() {
    let camera = scene(0, Some(("admin", "right")));
    let recorder = Recorder::start(&Setup::inputs(1));
    let owner = recorder.claim();
    let input = |password: &str| {
        let url = camera.url();
        json!({ "title": "Yard", "url": url, "user": "admin", "password": password, "transport": "tcp" })
    };
    let added = owner.ask(&Method::POST, "/cameras", input("right").to_string());
    assert_eq!(added.status, 201, "{added:?}");
    assert_eq!((&added.json()["channel"], &added.json()["has_password"]), (&json!(2), &json!(true)));
    assert!(!String::from_utf8_lossy(&added.body).contains("right"));
    let channel = owner.wait_channel(2, "ok");
    assert_eq!(channel["source"], "camera");
    owner.wait_recording_goes_on(&[1, 2]);
    until("the picture's size", || {
        owner.channel(2).filter(|channel| channel["main"]["width"] == 320 && channel["recording"] == true)
    });

    let changed = owner.ask(&Method::PUT, "/cameras/2", input("wrong").to_string());
    assert_eq!(changed.status, 200, "{changed:?}");
    let channel = owner.wait_channel(2, "wrong_password");
    let message = channel["state"]["message"].as_str().unwrap();
    assert!(message.contains("password"), "{message}");
    owner.wait_recording_goes_on(&[1]);

    let changed = owner.ask(&Method::PUT, "/cameras/2", input("right").to_string());
    assert_eq!(changed.status, 200, "{changed:?}");
    owner.wait_channel(2, "ok");
    owner.wait_recording_goes_on(&[2]);

    assert_eq!(owner.ask(&Method::DELETE, "/cameras/2", "").status, 204);
    until("the camera to be gone", || owner.channel(2).is_none().then_some(()));
    assert_eq!(owner.ask(&Method::DELETE, "/cameras/2", "").status, 404);
    assert_eq!(owner.get("/cameras"), json!([]));
    owner.wait_recording_goes_on(&[1]);
}

#[test]
fn a_camera_that_is_gone_is_unreachable_until_it_is_back() {
    let camera = scene(0, None);
    let port = camera.port();
    let recorder = Recorder::start(&Setup::inputs(1).and_camera(&camera.url(), "tcp"));
    let owner = recorder.claim();
    owner.wait_recording_goes_on(&[2]);
    drop(camera);
    let channel = owner.wait_channel(2, "unreachable");
    let message = channel["state"]["message"].as_str().unwrap();
    assert!(message.contains("127.0.0.1"), "{message}");
    owner.wait_recording_goes_on(&[1]);
    let _camera = scene(port, None);
    owner.wait_channel(2, "ok");
    owner.wait_recording_goes_on(&[2]);
}

#[test]
fn an_input_without_signal_says_so_and_comes_back() {
    let setup = Setup::new(vec![ChannelSetup::input("sim:sim0:lost=3/8"), ChannelSetup::input("sim:sim1")]);
    let recorder = Recorder::start(&setup);
    let owner = recorder.claim();
    owner.wait_recording_goes_on(&[1]);
    let lost = owner.wait_channel(1, "no_signal");
    let message = lost["state"]["message"].as_str().unwrap();
    assert!(message.starts_with("Channel 1 has sent no picture since"), "{message}");
    assert_eq!(owner.channel(2).unwrap()["state"]["code"], "ok");
    owner.wait_channel(1, "ok");
    owner.wait_recording_goes_on(&[1, 2]);
}
