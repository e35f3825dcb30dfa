//! The OpenAPI document: the golden file, and that it tells the truth.
//!
//! Does not belong here: who may call (`access.rs`).

use serde_json::Value;

use super::ask::{Asked, example, request};
use crate::openapi::openapi_json;
use crate::routes::{Access, ROUTES};

/// Set it to write the golden file anew.
const UPDATE: &str = "UPDATE_OPENAPI";

#[test]
fn the_document_is_the_golden_file() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let now = openapi_json();
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    let differs = golden.lines().zip(now.lines()).position(|(golden, now)| golden != now);
    assert!(
        golden == now,
        "the API is not that of web/openapi.json (line {:?}); if that is meant: {UPDATE}=1 cargo nextest run -p web",
        differs.map(|line| line + 1)
    );
}

#[tokio::test]
async fn the_document_is_served_and_says_who_may_call() {
    let asked = Asked::new();
    let served = asked.ask(request(http::Method::GET, "/api/v1/openapi.json").bare()).await.json();
    assert_eq!(served, serde_json::from_str::<Value>(&openapi_json()).unwrap());
    assert!(served["openapi"].as_str().unwrap().starts_with("3.1"));
    for route in &ROUTES {
        let operation = &served["paths"][route.path][route.method.as_str().to_lowercase()];
        let secured = operation["security"].as_array().unwrap();
        assert_eq!(secured.is_empty(), !matches!(route.access, Access::Role(_)), "{route:?}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.contains_key("403"), "{route:?}");
        assert_eq!(responses.contains_key("401"), matches!(route.access, Access::Role(_)), "{route:?}");
        assert_eq!(operation["requestBody"].is_object(), example(route).1.is_some(), "{route:?}");
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{route:?}");
    }
}

#[test]
fn no_schema_that_is_sent_has_a_place_for_a_secret() {
    let document: Value = serde_json::from_str(&openapi_json()).unwrap();
    let mut with_secrets = Vec::new();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        for field in schema["properties"].as_object().into_iter().flat_map(|fields| fields.keys()) {
            if ["password", "setup_code", "key", "recovery_key", "token", "csrf"].contains(&field.as_str()) {
                with_secrets.push(format!("{name}.{field}"));
            }
        }
    }
    with_secrets.sort();
    let taken = [
        "CameraInput.password",
        "ClaimInput.password",
        "ClaimInput.setup_code",
        "LoginInput.password",
        "PasswordInput.password",
        "UnlockInput.recovery_key",
    ];
    // Each shown once, when it is made; and what a browser must say with every call.
    let sent = [
        "Claimed.csrf",
        "Claimed.recovery_key",
        "NewStreamKey.key",
        "RecoveryKey.recovery_key",
        "Session.csrf",
    ];
    let mut expected = [&taken[..], &sent].concat();
    expected.sort_unstable();
    assert_eq!(with_secrets, expected);
}
