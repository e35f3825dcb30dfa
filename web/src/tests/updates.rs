//! Server-sent events: at once, then at most one a second of each kind.
//!
//! Time stands still here and is moved by the runtime, so that a second is exactly one.
//!
//! Does not belong here: who may listen (`access.rs`).

use std::time::Duration;

use axum::body::Body;
use http::Method;
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::ask::{Asked, request};
use super::memory::{channel, system, trust, update};
use crate::views::{Channel, Role};
use crate::{Update, UtcTime};

async fn listen(asked: &Asked) -> (mpsc::Sender<Update>, Body) {
    let (updates, source) = mpsc::channel(64);
    *asked.api.updates.lock().unwrap() = Some(source);
    let response = asked.open(request(Method::GET, "/api/v1/updates").of(Role::Viewer).bare()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-store");
    (updates, response.into_body())
}

/// The next event's name and data; `None` at the end.
async fn event(body: &mut Body) -> Option<(String, serde_json::Value)> {
    loop {
        let frame = body.frame().await?.unwrap().into_data().unwrap();
        let text = std::str::from_utf8(&frame).unwrap();
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        if let (Some(name), Some(data)) = (field("event:"), field("data:")) {
            return Some((name.to_owned(), serde_json::from_str(data).unwrap()));
        }
        assert!(text.starts_with(':'), "neither event nor comment: {text}");
    }
}

fn titled(title: &str) -> Update {
    Update::Channels(vec![Channel { title: title.into(), ..channel() }])
}

#[tokio::test(start_paused = true)]
async fn the_first_of_each_kind_comes_at_once_and_whole() {
    let asked = Asked::new();
    let (updates, mut body) = listen(&asked).await;
    let start = elapsed();
    for update in [
        titled("Front door"),
        Update::Trust(trust()),
        Update::System(system()),
        Update::Software(Box::new(update())),
    ] {
        updates.send(update).await.unwrap();
    }
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(event(&mut body).await.unwrap());
    }
    assert!(start.elapsed() < Duration::from_millis(10));
    seen.sort_by(|one, other| one.0.cmp(&other.0));
    let [(channels, list), (system, _), (trust, line), (update, software)] = seen.try_into().unwrap();
    assert_eq!([&*channels, &*system, &*trust, &*update], ["channels", "system", "trust", "update"]);
    assert_eq!(software["stage"]["code"], "idle");
    assert_eq!(list[0]["title"], "Front door");
    assert_eq!(list[0]["sub"], serde_json::Value::Null);
    assert_eq!(line["recording"], serde_json::json!({"channels": 1, "total": 1}));
}

#[tokio::test(start_paused = true)]
async fn of_many_changes_only_the_newest_comes_and_not_within_a_second() {
    let asked = Asked::new();
    let (updates, mut body) = listen(&asked).await;
    updates.send(titled("0")).await.unwrap();
    assert_eq!(event(&mut body).await.unwrap().1[0]["title"], "0");
    let start = elapsed();
    for n in 1..=20 {
        updates.send(titled(&n.to_string())).await.unwrap();
    }
    assert_eq!(event(&mut body).await.unwrap().1[0]["title"], "20");
    let waited = start.elapsed();
    assert!((1000..=1500).contains(&waited.as_millis()), "{waited:?}");
    // Other kinds do not wait for this one.
    updates.send(titled("21")).await.unwrap();
    let later = crate::views::System { time: UtcTime::from_unix_micros(5), ..system() };
    updates.send(Update::System(later)).await.unwrap();
    let (name, _) = timeout(Duration::from_millis(100), event(&mut body)).await.unwrap().unwrap();
    assert_eq!(name, "system");
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_session_and_with_its_source() {
    let asked = Asked::new();
    let (updates, mut body) = listen(&asked).await;
    updates.send(titled("0")).await.unwrap();
    event(&mut body).await.unwrap();
    asked.api.alive.send_modify(Vec::clear);
    let end = timeout(Duration::from_secs(3), event(&mut body)).await;
    assert_eq!(end.unwrap(), None, "within two seconds");

    let asked = Asked::new();
    let (updates, mut body) = listen(&asked).await;
    drop(updates);
    assert_eq!(event(&mut body).await, None);
}

#[expect(clippy::disallowed_methods, reason = "the runtime's clock, which stands still in these tests")]
fn elapsed() -> tokio::time::Instant {
    tokio::time::Instant::now()
}
