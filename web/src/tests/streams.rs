//! Footage of unknown size: several channels, playback, and what ends them.
//!
//! Does not belong here: files whose size is known (`files.rs`).

use std::sync::atomic::Ordering;

use http::Method;
use http_body_util::BodyExt;

use super::ask::{Asked, SPAN, ZERO, request};
use super::memory::{FOOTAGE_BYTES, PIECE, PIECES};
use crate::limits::{MAX_CHANNEL, MAX_EXPORT_CHANNELS};
use crate::views::Role;

fn playback(more: &str) -> String {
    format!("/api/v1/channels/1/playback.mp4?{SPAN}{more}")
}

fn export(kind: &str, query: &str) -> String {
    format!("/api/v1/export.{kind}?{query}")
}

#[tokio::test]
async fn a_playback_comes_as_it_is_made() {
    let asked = Asked::new();
    let answer = asked.get(&playback(&format!("&{ZERO}"))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, PIECE.repeat(PIECES as usize));
    assert_eq!(answer.headers["content-type"], "video/mp4; codecs=\"avc1.64001f,mp4a.40.2\"");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(!answer.headers.contains_key("content-length"));
    assert_eq!(asked.calls(), ["playback 2026-11-20T09:00:00.000Z false"]);
    assert_eq!(asked.get(&playback(&format!("&{ZERO}&audio=1"))).await.status, 200);
    assert_eq!(asked.api.footage.open.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn media_time_begins_well_before_the_footage() {
    let asked = Asked::new();
    for zero in
        ["2026-11-20T09:55:01Z", "2026-11-20T10:00:00Z", "2026-11-18T09:00:00Z", "2027-01-01T00:00:00Z"]
    {
        let answer = asked.get(&playback(&format!("&zero={zero}"))).await;
        assert_eq!(answer.refusal(), (422, "out_of_range".into()), "{zero}");
    }
    assert_eq!(asked.get(&playback("")).await.status, 400);
    assert!(asked.calls().is_empty());
}

#[tokio::test]
async fn several_channels_are_one_file() {
    let asked = Asked::new();
    let query = format!("channel=3&{SPAN}&channel=1&channel=3");
    let answer = asked.get(&export("mp4", &query)).await;
    assert_eq!((answer.status.as_u16(), answer.body.len() as u64), (200, FOOTAGE_BYTES));
    assert_eq!(
        answer.headers["content-disposition"],
        "attachment; filename=\"candor-2026-11-20T10-00-00Z.mp4\""
    );
    assert_eq!(answer.headers["accept-ranges"], "bytes");
    let answer = asked.get(&export("zip", &query)).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, PIECE.len() * PIECES as usize));
    assert_eq!(answer.headers["content-type"], "application/zip");
    assert_eq!(
        answer.headers["content-disposition"],
        "attachment; filename=\"candor-2026-11-20T10-00-00Z.zip\""
    );
    assert_eq!(asked.calls(), ["export_mp4 [3, 1]", "export_zip [3, 1]"]);
}

#[tokio::test]
async fn what_an_export_cannot_be_is_refused() {
    let asked = Asked::new();
    let many: String = (1..=MAX_EXPORT_CHANNELS + 1).map(|channel| format!("channel={channel}&")).collect();
    for (query, status) in [
        (SPAN.to_owned(), 422),
        (format!("{many}{SPAN}"), 422),
        (format!("channel={}&{SPAN}", MAX_CHANNEL + 1), 404),
        (format!("channel=0&{SPAN}"), 404),
        (format!("channel=one&{SPAN}"), 400),
        (format!("channel=1&{SPAN}&{SPAN}"), 400),
        (format!("channel=1&{SPAN}&more=1"), 400),
        ("channel=1&start=2026-11-20T10:00:00Z".to_owned(), 400),
        ("channel=1&start=2026-11-20T10:00:00Z&end=soon".to_owned(), 400),
        ("channel=1&start=2026-11-20T10:00:00Z&end=2026-11-20T10:00:00Z".to_owned(), 422),
        ("channel=1&start=2026-11-20T10:00:00Z&end=2026-11-20T22:00:01Z".to_owned(), 422),
    ] {
        for kind in ["zip", "mp4"] {
            assert_eq!(asked.get(&export(kind, &query)).await.status, status, "{kind}: {query}");
        }
    }
    assert!(asked.calls().is_empty());
}

#[tokio::test]
async fn a_stream_ends_with_its_client_its_session_or_its_source() {
    let asked = Asked::new();
    let path = export("zip", &format!("channel=1&{SPAN}"));
    let open = async || asked.open(request(Method::GET, &path).of(Role::Viewer).bare()).await.into_body();
    let mut body = open().await;
    assert!(body.frame().await.unwrap().is_ok());
    assert_eq!(asked.api.footage.open.load(Ordering::SeqCst), 1);
    drop(body);
    assert_eq!(asked.api.footage.open.load(Ordering::SeqCst), 0);

    asked.api.footage.broken.store(true, Ordering::SeqCst);
    let mut body = open().await;
    for _ in 1..PIECES {
        assert!(body.frame().await.unwrap().is_ok());
    }
    assert!(body.frame().await.unwrap().is_err());
    assert!(body.frame().await.is_none());
    asked.api.footage.broken.store(false, Ordering::SeqCst);

    let mut body = open().await;
    assert!(body.frame().await.unwrap().is_ok());
    asked.api.alive.send_modify(Vec::clear);
    assert!(body.frame().await.unwrap().is_err());
}
