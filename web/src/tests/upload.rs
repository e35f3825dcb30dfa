//! A bundle's way in: as fast as it is taken, bounded, and only as bytes.
//!
//! Does not belong here: who may send one (`access.rs`), and what a bundle is (the daemon's).

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::Method;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::ask::{Asked, BUNDLE, request};
use super::memory::Memory;
use crate::upload::{MAX_BUNDLE_BYTES, UPLOAD_STALL};
use crate::views::Role;

const PIECE: usize = 64 << 10;

fn post(query: &str) -> super::ask::Asking {
    request(Method::POST, &format!("/api/v1/update{query}")).of(Role::Owner)
}

/// A body of `pieces` pieces that counts those that were asked for.
fn counted(pieces: usize) -> (Body, Arc<AtomicUsize>) {
    let asked_for = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked_for);
    let body = Body::from_stream(stream::iter(0..pieces).map_counted(counter));
    (body, asked_for)
}

trait Counted: Sized {
    fn map_counted(
        self,
        counter: Arc<AtomicUsize>,
    ) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>>;
}

impl<S: futures_util::Stream<Item = usize>> Counted for S {
    fn map_counted(
        self,
        counter: Arc<AtomicUsize>,
    ) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> {
        futures_util::StreamExt::map(self, move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok(Bytes::from(vec![7; PIECE]))
        })
    }
}

#[tokio::test]
async fn a_bundle_is_taken_and_the_answer_says_what_happens_now() {
    let asked = Asked::new();
    let answer = asked.ask(post("").bytes(BUNDLE)).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json()["stage"]["code"], "idle");
    assert_eq!(asked.ask(post("?downgrade=1").bytes(BUNDLE)).await.status, 202);
    assert_eq!(asked.calls(), ["install_update false", "install_update true"]);
    for query in ["?downgrade=2", "?downgrade=yes", "?force=1", "?downgrade=1&downgrade=1"] {
        assert_eq!(asked.ask(post(query).bytes(BUNDLE)).await.refusal(), (400, "wrong_query".into()));
    }
    for kind in ["application/json", "multipart/form-data; boundary=x", "text/plain"] {
        let mut sent = post("").header("content-type", kind).bare();
        *sent.body_mut() = BUNDLE.into();
        assert_eq!(asked.ask(sent).await.refusal(), (400, "not_bytes".into()), "{kind}");
    }
    assert!(asked.calls().is_empty());
}

#[tokio::test]
async fn whoever_sends_waits_for_whoever_takes() {
    let mut memory = Memory::new();
    memory.room = Semaphore::new(2);
    let asked = Arc::new(Asked::over(memory));
    let (body, asked_for) = counted(100);
    let asking = Arc::clone(&asked);
    let answer = tokio::spawn(async move { asking.ask(post("").bytes(body)).await });
    while asked.api.uploaded.lock().unwrap().len() < 3 {
        tokio::task::yield_now().await;
    }
    // Two were written and the third waits for room: no further one is read meanwhile.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(asked_for.load(Ordering::SeqCst), 3);
    asked.api.room.add_permits(200);
    assert_eq!(answer.await.unwrap().status, 202);
    assert_eq!(asked.api.uploaded.lock().unwrap().iter().sum::<usize>(), 100 * PIECE);
}

#[tokio::test]
async fn what_is_larger_than_any_flash_is_refused_before_or_on_the_way() {
    let asked = Asked::new();
    let declared = Body::from(vec![0; MAX_BUNDLE_BYTES as usize + 1]);
    assert_eq!(asked.ask(post("").bytes(declared)).await.refusal(), (413, "too_large".into()));
    assert!(asked.calls().is_empty(), "refused by its length alone");
    let (endless, asked_for) = counted(usize::MAX);
    assert_eq!(asked.ask(post("").bytes(endless)).await.refusal(), (413, "too_large".into()));
    let fits = MAX_BUNDLE_BYTES as usize / PIECE;
    assert_eq!(asked.api.uploaded.lock().unwrap().len(), fits);
    assert!(asked_for.load(Ordering::SeqCst) <= fits + 2, "and not read on for ever");
}

#[tokio::test]
async fn a_refused_bundle_is_read_on_so_that_its_sender_sees_the_answer() {
    let asked = Asked::new();
    let rest = stream::iter((0..50).map(|n| {
        Ok::<_, Infallible>(if n == 0 { Bytes::from_static(b"refuse") } else { Bytes::from(vec![0; PIECE]) })
    }));
    let asked_for = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked_for);
    let body = Body::from_stream(futures_util::StreamExt::inspect(rest, move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
    }));
    assert_eq!(asked.ask(post("").bytes(body)).await.refusal(), (422, "not_a_bundle".into()));
    assert_eq!(asked_for.load(Ordering::SeqCst), 50);
    assert_eq!(asked.api.uploaded.lock().unwrap().len(), 1, "nothing after the refusal was taken");
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_stalls_or_is_cut_off_gets_no_further() {
    let asked = Asked::new();
    let stalled = Body::from_stream(futures_util::StreamExt::chain(
        stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"CANDORUP"))]),
        stream::pending(),
    ));
    let answer = timeout(UPLOAD_STALL * 3, asked.ask(post("").bytes(stalled))).await.unwrap();
    assert_eq!(answer.refusal(), (400, "body_too_slow".into()));
    let cut = Body::from_stream(stream::iter([
        Ok(Bytes::from_static(b"CANDORUP")),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ]));
    assert_eq!(asked.ask(post("").bytes(cut)).await.refusal(), (400, "body_cut_off".into()));
}

#[tokio::test]
async fn an_upload_ends_with_its_session() {
    let mut memory = Memory::new();
    memory.room = Semaphore::new(1);
    let asked = Arc::new(Asked::over(memory));
    let (body, _) = counted(100);
    let asking = Arc::clone(&asked);
    let answer = tokio::spawn(async move { asking.ask(post("").bytes(body)).await });
    while asked.api.uploaded.lock().unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    asked.api.alive.send_modify(Vec::clear);
    asked.api.room.add_permits(200);
    assert_eq!(answer.await.unwrap().refusal(), (401, "not_signed_in".into()));
    assert_eq!(asked.api.uploaded.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn names_that_are_no_names_reach_nobody() {
    let asked = Asked::new();
    for (device, file, field) in [
        ("../sda1", "candor.bundle", "device"),
        ("", "candor.bundle", "device"),
        (".", "candor.bundle", "device"),
        ("sdb1", "../../etc/passwd", "file"),
        ("sdb1", ".hidden", "file"),
        ("sdb1", "", "file"),
        ("sdb1", &"x".repeat(256), "file"),
    ] {
        let body = serde_json::json!({"device": device, "file": file}).to_string();
        let sent = request(Method::POST, "/api/v1/update/usb").of(Role::Owner).json(&body);
        let answer = asked.ask(sent).await;
        assert_eq!((answer.refusal().0, answer.field()), (422, field.into()), "{device} {file}");
    }
    for device in ["..%2fsda", "sd-a", "%00", &"s".repeat(32)] {
        let path = format!("/api/v1/disks/{device}/format");
        let sent = request(Method::POST, &path).of(Role::Owner).json(r#"{"confirm":"ERASE"}"#);
        assert_eq!(asked.ask(sent).await.refusal(), (404, "no_disk".into()), "{device}");
    }
    for confirm in ["", "erase", "ERASE ", "yes"] {
        let body = serde_json::json!({"confirm": confirm}).to_string();
        let sent = request(Method::POST, "/api/v1/disks/sda/format").of(Role::Owner).json(&body);
        assert_eq!(asked.ask(sent).await.refusal(), (422, "not_confirmed".into()), "{confirm}");
        let body = serde_json::json!({"path": "/data/volume", "confirm": confirm}).to_string();
        let sent = request(Method::POST, "/api/v1/storage/erase").of(Role::Owner).json(&body);
        assert_eq!(asked.ask(sent).await.refusal(), (422, "not_confirmed".into()), "{confirm}");
    }
    assert!(asked.calls().is_empty());
}

#[tokio::test]
async fn whoever_erases_a_disk_says_whether_it_is_encrypted_from_then_on_or_the_settings_do() {
    let asked = Asked::new();
    for choice in [None, Some(true), Some(false)] {
        for (path, mut body) in [
            ("/api/v1/disks/sda/format", serde_json::json!({"confirm": "ERASE"})),
            ("/api/v1/storage/erase", serde_json::json!({"path": "/data/volume", "confirm": "ERASE"})),
        ] {
            if let Some(choice) = choice {
                body["encrypt"] = choice.into();
            }
            let sent = request(Method::POST, path).of(Role::Owner).json(&body.to_string());
            assert!(asked.ask(sent).await.status.is_success(), "{path} {body}");
        }
    }
    let calls = ["", " encrypt true", " encrypt false"]
        .map(|choice| [format!("format_disk sda{choice}"), format!("erase_footage /data/volume{choice}")]);
    assert_eq!(asked.calls(), calls.concat());
}
