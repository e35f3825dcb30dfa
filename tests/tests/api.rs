//! An owner's life over HTTPS, from the set-up code to the recording.

use std::path::Path;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tests::{Client, Owner, PASSWORD, Recorder, Setup, USER, Viewer, until};

fn post(client: &Client, path: &str, body: &Value) -> tests::Response {
    client.post(path, body.to_string())
}

#[test]
fn claiming_takes_the_code_on_the_console_and_happens_once() {
    let recorder = Recorder::start(&Setup::inputs(1));
    let client = recorder.client();
    let state = client.ask(&Method::GET, "/api/v1/state", &[], "").json();
    assert_eq!((&state["claimed"], &state["name"]), (&json!(false), &json!("Test")));
    assert_eq!(client.ask(&Method::GET, "/api/v1/channels", &[], "").status, 401);

    let code = recorder.setup_code();
    let claim = |code: &str, password: &str| {
        post(&client, "/claim", &json!({ "setup_code": code, "user": USER, "password": password }))
    };
    let wrong = claim(if code == "ABCD-EFGH" { "ABCD-EFGJ" } else { "ABCD-EFGH" }, PASSWORD);
    assert_eq!((wrong.status, wrong.code()), (401, "wrong_setup_code".into()), "{wrong:?}");
    assert_eq!(wrong.json()["error"]["field"], "setup_code");
    let short = claim(&code, "short");
    assert_eq!((short.status, short.json()["error"]["field"].as_str()), (422, Some("password")), "{short:?}");
    assert_eq!(client.ask(&Method::GET, "/api/v1/state", &[], "").json()["claimed"], false);

    let owner = recorder.claim();
    assert_eq!(owner.get("/session")["role"], "owner");
    recorder.wait_console("Claimed");
    assert_eq!(client.ask(&Method::GET, "/api/v1/state", &[], "").json()["claimed"], true);
    assert_eq!(claim(&code, PASSWORD).status, 404);
}

#[test]
fn wrong_logins_are_slowed_down_and_the_right_one_still_gets_in() {
    let mut recorder = Recorder::start(&Setup::inputs(1));
    let _ = recorder.claim();
    let client = recorder.client();
    let login = |password: &str| post(&client, "/session", &json!({ "user": USER, "password": password }));
    let first = login("a wrong password");
    assert_eq!((first.status, first.code()), (401, "wrong_login".into()));
    let stranger = post(&client, "/session", &json!({ "user": "nobody", "password": PASSWORD }));
    assert_eq!((stranger.status, stranger.code()), (401, "wrong_login".into()));
    let slowed = until("the back-off", || {
        let answer = login("a wrong password");
        assert!([401, 429].contains(&answer.status), "{answer:?}");
        (answer.status == 429).then_some(answer)
    });
    assert_eq!(slowed.code(), "too_many_attempts");
    let wait: u64 = slowed.header("retry-after").parse().expect("seconds");
    assert!((1..=3600).contains(&wait), "{wait}");
    // The right one must wait as well, and then gets in.
    std::thread::sleep(Duration::from_secs(wait));
    let _ = Owner::sign_in(&client);

    // What an owner is survives a restart; sessions do not have to.
    recorder.stop();
    recorder.start_again();
    assert_eq!(Owner::sign_in(&client).get("/session")["user"], USER);
    assert!(
        !recorder.console().iter().any(|line| line.starts_with("Set-up code")),
        "{:?}",
        recorder.console()
    );
}

#[test]
fn changes_take_the_sessions_token() {
    let recorder = Recorder::start(&Setup::inputs(1));
    let owner = recorder.claim();
    let body = json!({ "title": "Gate" }).to_string();
    for token in ["", "wrong"] {
        let answer =
            owner.try_ask_with(&Method::PUT, "/channels/1", &[("x-csrf-token", token)], body.clone());
        assert_eq!(answer.unwrap().status, 403, "{token}");
    }
    let answer =
        owner.try_ask_with(&Method::PUT, "/channels/1", &[("origin", "https://evil.example")], body.clone());
    assert_eq!(answer.unwrap().status, 403);
    assert_eq!(owner.channel(1).unwrap()["title"], "Channel 1");
    assert_eq!(owner.ask(&Method::PUT, "/channels/1", body).json()["title"], "Gate");
    until("the new title", || owner.channel(1).filter(|channel| channel["title"] == "Gate"));
    assert_eq!(owner.ask(&Method::DELETE, "/session", "").status, 204);
    assert_eq!(owner.ask(&Method::GET, "/channels", "").status, 401);
}

#[test]
fn the_trust_line_lists_a_viewer_exactly_while_it_watches() {
    let recorder = Recorder::start(&Setup::inputs(2));
    let owner = recorder.claim();
    let watching = |via: &str| {
        let trust = owner.get("/trust");
        let list = trust["watching"].as_array().cloned().unwrap_or_default();
        list.into_iter().filter(|view| view["via"] == via).collect::<Vec<_>>()
    };
    owner.wait_channel(2, "ok");
    assert!(watching("browser").is_empty());
    let viewer = Viewer::watch(&owner, 2, "sub");
    viewer.wait_for_more(20);
    let views = watching("browser");
    assert_eq!(views.len(), 1, "{views:?}");
    assert_eq!((&views[0]["user"], &views[0]["channel"]), (&json!(USER), &json!(2)));
    assert_eq!((&views[0]["stream"], &views[0]["from"]), (&json!("sub"), &json!("127.0.0.1")));
    let seen = viewer.seen();
    let init: Value =
        seen.texts.iter().filter_map(|text| serde_json::from_str(text).ok()).next_back().unwrap();
    assert_eq!((&init["type"], &init["width"], &init["height"]), (&json!("init"), &json!(320), &json!(180)));
    assert_eq!(seen.init.get(4..8), Some(&b"ftyp"[..]));
    assert_eq!((seen.opened, seen.lost), (1, 0));
    println!("first fragment after {:?}", seen.first_fragment_after);
    drop(viewer);
    until("the list to be empty", || watching("browser").is_empty().then_some(()));
}

#[test]
fn what_is_recorded_is_on_the_timeline_and_in_the_plan() {
    let recorder = Recorder::start(&Setup::inputs(2));
    let owner = recorder.claim();
    let start = owner.wait_recorded_for(1, Duration::from_secs(5));
    let end = start + Duration::from_secs(4);
    let timeline = owner.get(&format!("/timeline?start={start:.3}&end={end:.3}"));
    let channels = timeline["channels"].as_array().unwrap();
    assert_eq!(channels.len(), 2);
    assert_eq!(channels[0]["runs"].as_array().unwrap().len(), 1, "{timeline}");

    let plan = owner.recording_plan(1, start, end);
    assert_eq!(plan["frame_rate"], 15.0, "{plan}");
    assert_eq!(plan["pieces"].as_array().unwrap().len(), 1, "{plan}");
    assert!(plan["mime"].as_str().unwrap().starts_with("video/mp4; codecs=\"avc1."), "{plan}");
    let whole = owner.recording(1, start, end);
    assert_eq!(plan["bytes"], whole.len());

    let length = whole.len() as u64;
    for (first, last) in
        [(0, 0), (0, 999), (length / 2, length / 2 + 70_000), (length - 1, length - 1), (7, length + 99)]
    {
        let part = owner.recording_range(1, (start, end), (first, last));
        let last = last.min(length - 1);
        assert_eq!(part.status, 206);
        assert_eq!(part.header("content-range"), format!("bytes {first}-{last}/{length}"));
        assert!(part.body == whole[first as usize..=last as usize], "bytes {first}-{last} differ");
    }
    assert_eq!(owner.recording_range(1, (start, end), (length, length)).status, 416);

    let nothing = owner.ask(
        &Method::GET,
        "/channels/1/recording?start=2001-01-01T00:00:00Z&end=2001-01-01T01:00:00Z",
        "",
    );
    assert_eq!((nothing.status, nothing.code()), (404, "no_footage".into()));

    let system = owner.get("/system");
    assert_eq!(system["disks"][0]["state"], "ok", "{system}");
    let roles: Vec<_> =
        system["roles"].as_array().unwrap().iter().map(|role| role["state"].as_str()).collect();
    assert_eq!(roles, [Some("running"); 4], "{system}");
    assert_eq!(owner.get("/trust")["recording"]["total"], 2);
}

#[test]
fn the_document_served_is_the_one_kept() {
    let recorder = Recorder::start(&Setup::inputs(1));
    let served = recorder.client().ask(&Method::GET, "/api/v1/openapi.json", &[], "").json();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/openapi.json");
    let kept: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(served["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(served, kept);
}
