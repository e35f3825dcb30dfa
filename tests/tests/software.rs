//! A PC's own software over HTTPS: its operating system looks after it.

use http::Method;
use serde_json::{Value, json};
use tests::{Recorder, Setup};

/// Everything that changes the recorder's software, its power or its disks, with a body that would do.
fn orders() -> [(Method, &'static str, Value); 7] {
    let code = "ABCD-EFGH";
    [
        (Method::DELETE, "/update", Value::Null),
        (Method::POST, "/update/usb", json!({ "device": "sdb1", "file": "candor-pc-9.9.9.bundle" })),
        (Method::POST, "/update/presence", Value::Null),
        (Method::PUT, "/update/owner-key", json!({ "public_key": "0a".repeat(32), "code": code })),
        (Method::DELETE, "/update/owner-key", json!({ "code": code })),
        (Method::POST, "/restart", Value::Null),
        (Method::POST, "/disks/sda/format", json!({ "confirm": "ERASE" })),
    ]
}

fn text(body: &Value) -> String {
    if body.is_null() { String::new() } else { body.to_string() }
}

#[test]
fn a_pc_says_what_runs_and_that_its_operating_system_updates_it() {
    let recorder = Recorder::start(&Setup::inputs(1));
    let owner = recorder.claim();
    let update = owner.get("/update");
    assert_eq!((&update["supported"], &update["stage"]["code"]), (&json!(false), &json!("idle")), "{update}");
    assert!(update["reason"].as_str().unwrap().contains("operating system"), "{update}");
    let image = &owner.get("/system")["image"];
    assert_eq!(image, &update["installed"]);
    let none = json!(null);
    assert_eq!((&image["slot"], &image["root_sha256"], &image["trying"]), (&none, &none, &json!(false)));
    assert_eq!(image["version"], owner.get("/system")["version"]);

    for (method, path, body) in orders() {
        let answer = owner.ask(&method, path, text(&body));
        let code = if path.ends_with("/format") { "not_formatted" } else { "not_supported" };
        assert_eq!((answer.status, answer.code()), (409, code.into()), "{method} {path} {answer:?}");
    }
    let bytes = [("content-type", "application/octet-stream")];
    let answer = owner.try_ask_with(&Method::POST, "/update", &bytes, vec![7_u8; 5_000_000]).unwrap();
    assert_eq!((answer.status, answer.code()), (409, "not_supported".into()), "{answer:?}");
    // It ran through all of that.
    assert_eq!(owner.get("/system")["roles"].as_array().unwrap().len(), 4);
}

#[test]
fn nobody_orders_without_a_session_its_token_and_the_recorders_own_page() {
    let recorder = Recorder::start(&Setup::inputs(1));
    let owner = recorder.claim();
    let client = recorder.client();
    let mut orders: Vec<_> =
        orders().into_iter().map(|(method, path, body)| (method, path, text(&body))).collect();
    orders.push((Method::POST, "/update", "CANDORUP".to_owned()));
    for (method, path, body) in orders {
        let origin = client.origin();
        let headers = [("origin", origin.as_str()), ("content-type", "application/json")];
        let answer = client.ask(&method, &format!("/api/v1{path}"), &headers, body.clone());
        assert_eq!(answer.status, 401, "{method} {path}");
        for forged in [("x-csrf-token", "wrong"), ("origin", "https://evil.example")] {
            let answer = owner.try_ask_with(&method, path, &[forged], body.clone()).unwrap();
            assert_eq!(answer.status, 403, "{method} {path} {forged:?}");
        }
    }
}
