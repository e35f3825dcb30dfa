//! Bodies, queries and paths that cannot be taken: refused clearly.
//!
//! Does not belong here: who may call.

use http::Method;
use serde_json::json;

use super::ask::{Asked, DELETION, LOCK, SPAN, asking, example, request};
use super::memory::DETAIL;
use crate::limits::MAX_BODY_BYTES;
use crate::routes::{Op, ROUTES, Route};
use crate::views::Role;

fn with_body() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| route.op != Op::InstallUpdate && example(route).1.is_some())
}

async fn send(asked: &Asked, route: &Route, body: &str) -> super::ask::Answer {
    let (path, _) = example(route);
    asked.ask(request(route.method.clone(), &path).of(Role::Owner).json(body)).await
}

#[tokio::test]
async fn every_body_is_read_strictly() {
    let asked = Asked::unclaimed();
    assert_eq!(with_body().count(), 18);
    for route in with_body() {
        let good = example(route).1.unwrap();
        for malformed in ["", "{", "nonsense", &good[..good.len() - 1], &format!("{good} {{}}"), "\u{feff}{}"]
        {
            let answer = send(&asked, route, malformed).await;
            assert_eq!(answer.refusal(), (400, "malformed_json".into()), "{route:?} {malformed}");
        }
        let unknown = good.replacen('{', r#"{"debug":true,"#, 1);
        let answer = send(&asked, route, &unknown).await;
        assert_eq!(answer.refusal(), (422, "wrong_field".into()), "{route:?}");
        assert_eq!(answer.field(), "debug");
        for wrong in ["[]", "null", "7", "{}", "\"text\""] {
            assert_eq!(send(&asked, route, wrong).await.refusal().0, 422, "{route:?} {wrong}");
        }
        let nested = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
        assert!(send(&asked, route, &nested).await.status.is_client_error());
        let large = format!("{good}{}", " ".repeat(MAX_BODY_BYTES));
        assert_eq!(send(&asked, route, &large).await.refusal(), (413, "body_too_large".into()));
        let fits = format!("{good}{}", " ".repeat(MAX_BODY_BYTES - good.len()));
        assert!(send(&Asked::unclaimed(), route, &fits).await.status.is_success(), "{route:?}");
    }
    assert!(asked.calls().is_empty());
}

#[tokio::test]
async fn only_json_is_json() {
    let asked = Asked::unclaimed();
    for route in with_body() {
        let (path, body) = example(route);
        for kind in
            ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "x"]
        {
            let asking = request(route.method.clone(), &path).of(Role::Owner).header("content-type", kind);
            let mut sent = asking.bare();
            *sent.body_mut() = body.clone().unwrap().into();
            assert_eq!(asked.ask(sent).await.refusal(), (400, "not_json".into()), "{route:?} {kind}");
        }
    }
    assert!(asked.calls().is_empty());
    let charset = request(Method::PUT, "/api/v1/channels/1")
        .of(Role::Owner)
        .header("content-type", "application/json; charset=utf-8");
    let mut sent = charset.bare();
    *sent.body_mut() = r#"{"title":"Tür"}"#.into();
    assert_eq!(asked.ask(sent).await.json()["title"], "Tür");
}

#[tokio::test]
async fn fields_are_checked_and_named() {
    let asked = Asked::new();
    let good = json!({"title": "Gate", "url": "rtsp://192.0.2.9/1", "transport": "tcp"});
    for (field, value) in [
        ("title", json!("")),
        ("title", json!("   ")),
        ("title", json!("x".repeat(65))),
        ("title", json!("two\nlines")),
        ("title", json!(7)),
        ("url", json!("http://192.0.2.9/1")),
        ("url", json!("file:///etc/passwd")),
        ("url", json!("rtsp://")),
        ("url", json!("rtsp:192.0.2.9")),
        ("url", json!("192.0.2.9")),
        ("url", json!("rtsp://admin:secret@192.0.2.9/1")),
        ("url", json!(format!("rtsp://192.0.2.9/{}", "x".repeat(2048)))),
        ("user", json!("x".repeat(129))),
        ("password", json!("x".repeat(129))),
        ("password", json!("a\r\nb")),
        ("transport", json!("multicast")),
        ("channel", json!(0)),
        ("channel", json!(65)),
        ("channel", json!(-1)),
        ("channel", json!(70_000)),
        ("channel", json!("1")),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let body = body.to_string();
        let answer = asked.ask(request(Method::POST, "/api/v1/cameras").of(Role::Owner).json(&body)).await;
        assert_eq!((answer.refusal().0, answer.field()), (422, field.into()), "{body}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
    }
    let moved = json!({"channel": 2, "title": "Gate", "url": "rtsp://192.0.2.9/1", "transport": "tcp"});
    let answer = request(Method::PUT, "/api/v1/cameras/1").of(Role::Owner).json(&moved.to_string());
    assert_eq!(asked.ask(answer).await.refusal(), (422, "channel_differs".into()));
    assert!(asked.calls().is_empty());
    let added =
        asked.ask(request(Method::POST, "/api/v1/cameras").of(Role::Owner).json(&good.to_string())).await;
    assert_eq!(added.status, 201);
    let expected = json!({"channel": 2, "title": "Gate", "url": "rtsp://192.0.2.9/1", "has_password": false, "transport": "tcp"});
    assert_eq!(added.json(), expected);
}

#[tokio::test]
async fn an_event_lasts_a_second_to_an_hour() {
    let asked = Asked::new();
    let mark = |seconds: &str| {
        let body = format!(r#"{{"seconds":{seconds}}}"#);
        request(Method::POST, "/api/v1/channels/1/event").of(Role::Owner).json(&body)
    };
    for seconds in ["0", "3601", "-1", "1.5", "null"] {
        let answer = asked.ask(mark(seconds)).await;
        assert_eq!((answer.refusal().0, answer.field()), (422, "seconds".into()), "{seconds}");
    }
    assert!(asked.calls().is_empty());
    for seconds in ["1", "3600"] {
        assert_eq!(asked.ask(mark(seconds)).await.status, 204);
    }
    assert_eq!(asked.calls(), ["mark_event 1 1", "mark_event 1 3600"]);
}

#[tokio::test]
async fn locks_are_of_channels_there_can_be_and_of_times_that_follow_each_other() {
    let asked = Asked::new();
    let good: serde_json::Value = serde_json::from_str(LOCK).unwrap();
    for (field, value) in [
        ("channels", json!([])),
        ("channels", json!([0])),
        ("channels", json!([65])),
        ("channels", json!(vec![1; 65])),
        ("end", json!("2026-11-20T10:00:00Z")),
        ("end", json!("2026-11-20T09:00:00Z")),
        ("start", json!("yesterday")),
        ("reason", json!("x".repeat(201))),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let body = body.to_string();
        let answer = asked.ask(request(Method::POST, "/api/v1/locks").of(Role::Owner).json(&body)).await;
        assert_eq!((answer.refusal().0, answer.field()), (422, field.into()), "{body}");
    }
    assert!(asked.calls().is_empty());
    let answer = asked.ask(request(Method::POST, "/api/v1/locks").of(Role::Owner).json(LOCK)).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["lock"]["by"]), (201, &json!("owner")));
    for id in ["x", "-1", "1.5"] {
        let path = format!("/api/v1/locks/{id}");
        let answer = asked.ask(request(Method::DELETE, &path).of(Role::Owner).bare()).await;
        assert!(answer.status.is_client_error(), "{id}");
    }
    assert_eq!(asked.calls(), ["lock a theft owner 192.0.2.7"]);
}

#[tokio::test]
async fn footage_is_deleted_by_whoever_says_so_and_of_times_that_follow_each_other() {
    let asked = Asked::new();
    let good: serde_json::Value = serde_json::from_str(DELETION).unwrap();
    for (field, value) in [
        ("channels", json!([])),
        ("channels", json!([65])),
        ("end", json!("2026-11-20T10:00:00Z")),
        ("confirm", json!("delete")),
        ("confirm", json!("")),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let body = body.to_string();
        let answer = asked.ask(request(Method::POST, "/api/v1/deletions").of(Role::Owner).json(&body)).await;
        assert_eq!((answer.refusal().0, answer.field()), (422, field.into()), "{body}");
    }
    assert!(asked.calls().is_empty());
    let answer = asked.ask(request(Method::POST, "/api/v1/deletions").of(Role::Owner).json(DELETION)).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["channels"]), (201, &json!([1])));
    assert_eq!(asked.calls(), ["delete_footage owner"]);
}

#[tokio::test]
async fn overlong_credentials_reach_nobody() {
    let asked = Asked::unclaimed();
    for (path, fields) in [("session", "user password"), ("claim", "setup_code user password")] {
        for field in fields.split(' ') {
            for chars in [257, 4096, 60_000] {
                let mut body = json!({"user": "anna", "password": "x"});
                if path == "claim" {
                    body["setup_code"] = "x".into();
                }
                body[field] = "x".repeat(chars).into();
                let sent = request(Method::POST, &format!("/api/v1/{path}")).json(&body.to_string());
                let answer = asked.ask(sent).await;
                assert_eq!((answer.refusal().0, answer.field()), (422, field.into()), "{path} {chars}");
            }
        }
    }
    assert!(asked.calls().is_empty());
}

#[tokio::test]
async fn queries_are_read_strictly() {
    let asked = Asked::new();
    for path in ["/channels/1/recording", "/channels/1/recording.mp4", "/timeline"] {
        for (query, status) in [
            ("", 400),
            ("start=2026-11-20T10:00:00Z", 400),
            ("start=yesterday&end=2026-11-20T10:00:00Z", 400),
            ("start=2026-11-20T10:00:00Z&end=2026-11-20T10:00:00Z", 422),
            ("start=2026-11-20T10:00:01Z&end=2026-11-20T10:00:00Z", 422),
            ("start=2020-11-20T10:00:00Z&end=2026-11-20T10:00:00Z", 422),
            ("start=-009999-01-03T00:00:00Z&end=9999-12-01T00:00:00Z", 422),
            (&format!("{SPAN}&debug=1"), 400),
            (&format!("{SPAN}&start=2026-11-20T10:00:00Z"), 400),
        ] {
            let answer = asked.get(&format!("/api/v1{path}?{query}")).await;
            assert_eq!(answer.refusal().0, status, "{path} {query}");
        }
    }
    for query in ["audio=2", "audio=", "audio=true", "audio=1&x"] {
        let answer = asked.get(&format!("/api/v1/channels/1/main/live?{query}")).await;
        assert_eq!(answer.refusal(), (400, "wrong_query".into()), "{query}");
    }
    for route in ROUTES.iter().filter(|route| !route.query && route.method == Method::GET) {
        let (path, _) = example(route);
        let sent = request(Method::GET, &format!("{path}?debug=1")).of(Role::Owner).bare();
        assert_eq!(asked.ask(sent).await.refusal(), (400, "unknown_query".into()), "{path}");
    }
    assert!(asked.calls().is_empty());
}

#[tokio::test]
async fn paths_that_name_nothing_are_not_found() {
    let asked = Asked::new();
    for path in [
        "/api/v1",
        "/api/v1/",
        "/api/v1/nothing",
        "/api/v1/channels/",
        "/api/v2/state",
        "/api",
        "/api/v1/STATE",
        "/api/v1/state/",
        "//api/v1/state",
    ] {
        assert_eq!(asked.get(path).await.refusal(), (404, "no_such_page".into()), "{path}");
    }
    for n in ["0", "65", "-1", "1.0", "x", "99999999999", "%31%00", "1%2F..%2F2"] {
        for tail in [format!("/recording?{SPAN}"), "/main/live".into()] {
            let answer = asked.get(&format!("/api/v1/channels/{n}{tail}")).await;
            assert_eq!(answer.refusal().0, 404, "{n}{tail}");
        }
    }
    assert_eq!(asked.get("/api/v1/channels/1/audio/live").await.refusal().0, 404);
    assert!(asked.calls().is_empty());
    assert_eq!(asked.get(&format!("/api/v1/channels/2/recording?{SPAN}")).await.refusal().1, "no_channel");
}

#[tokio::test]
async fn other_methods_are_refused_in_the_same_shape() {
    let asked = Asked::new();
    for route in &ROUTES {
        let (path, _) = example(route);
        for method in [Method::PATCH, Method::OPTIONS, Method::TRACE] {
            let answer = asked.ask(request(method, &path).of(Role::Owner).bare()).await;
            assert_eq!(answer.refusal(), (405, "wrong_method".into()), "{path}");
            assert!(answer.headers.contains_key("allow"));
        }
    }
    for path in ["/", "/live", "/nothing"] {
        assert_eq!(asked.ask(request(Method::POST, path).json("{}")).await.refusal().0, 405, "{path}");
    }
    assert!(asked.calls().is_empty());
}

#[tokio::test]
async fn what_only_the_log_may_say_is_not_sent() {
    let asked = Asked::new();
    asked.api.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = asked.get("/api/v1/system").await;
    assert_eq!(answer.refusal(), (500, "internal".into()));
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(!text.contains(DETAIL) && !text.contains("volume"), "{text}");
}

#[tokio::test]
async fn a_head_is_a_get_without_its_body() {
    let asked = Asked::new();
    for route in ROUTES.iter().filter(|route| route.method == Method::GET) {
        let (path, _) = example(route);
        let nobody = asked.ask(request(Method::HEAD, &path).bare()).await;
        let signed_in = asked.ask(request(Method::HEAD, &path).of(Role::Owner).bare()).await;
        assert!(nobody.body.is_empty() && signed_in.body.is_empty(), "{path}");
        if matches!(route.access, crate::routes::Access::Role(_)) {
            assert_eq!(nobody.status, 401, "{path}");
        }
    }
    let claim = ROUTES.iter().find(|route| route.method == Method::POST).unwrap();
    assert_eq!(asked.ask(asking(claim, |asking| asking)).await.status, 404);
}
