//! Recordings as files: whole, in part, not at all, and given up.
//!
//! Does not belong here: how a Range header is read (`range.rs`).

use std::sync::atomic::Ordering;

use http::Method;
use http_body_util::BodyExt;

use super::ask::{Answer, Asked, SPAN, request};
use super::memory::{FOOTAGE_BYTES, footage};
use crate::limits::MAX_READ_BYTES;
use crate::views::Role;

fn path(more: &str) -> String {
    format!("/api/v1/channels/1/recording.mp4?{SPAN}{more}")
}

async fn ask(asked: &Asked, headers: &[(&str, &str)]) -> Answer {
    let mut asking = request(Method::GET, &path("")).of(Role::Viewer);
    for (name, value) in headers {
        asking = asking.header(name, value);
    }
    asked.ask(asking.bare()).await
}

#[tokio::test]
async fn the_whole_file_comes_in_bounded_pieces() {
    let asked = Asked::new();
    let answer = ask(&asked, &[]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, footage());
    for (name, value) in [
        ("content-type", "video/mp4"),
        ("content-length", &*FOOTAGE_BYTES.to_string()),
        ("accept-ranges", "bytes"),
        ("etag", "\"v1\""),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(answer.headers[name], value);
    }
    assert!(!answer.headers.contains_key("content-disposition"));
    let reads = std::mem::take(&mut *asked.api.footage.reads.lock().unwrap());
    assert_eq!(reads.len(), 3);
    assert!(reads.iter().all(|read| read.end - read.start <= MAX_READ_BYTES));
    assert_eq!(asked.api.footage.open.load(Ordering::SeqCst), 0);
    assert_eq!(asked.calls(), ["recording Playback"]);
}

#[tokio::test]
async fn parts_are_the_asked_bytes() {
    let asked = Asked::new();
    let all = footage();
    let len = all.len();
    for (range, start, end) in [
        ("bytes=0-0", 0, 1),
        ("bytes=1000-1999", 1000, 2000),
        ("bytes=262143-262144", 262_143, 262_145),
        ("bytes=500000-", 500_000, len),
        ("bytes=-7", len - 7, len),
        ("bytes=-99999999", 0, len),
        ("bytes=0-99999999", 0, len),
    ] {
        let answer = ask(&asked, &[("range", range)]).await;
        assert_eq!(answer.status, 206, "{range}");
        assert_eq!(answer.body, all.slice(start..end), "{range}");
        assert_eq!(answer.headers["content-range"], format!("bytes {start}-{}/{len}", end - 1));
        assert_eq!(answer.headers["content-length"], (end - start).to_string());
        assert_eq!(answer.headers["etag"], "\"v1\"");
    }
}

#[tokio::test]
async fn what_is_not_there_cannot_be_asked_for() {
    let asked = Asked::new();
    for range in [format!("bytes={FOOTAGE_BYTES}-"), "bytes=99999999-99999999".into(), "bytes=-0".into()] {
        let answer = ask(&asked, &[("range", &range)]).await;
        assert_eq!(answer.refusal(), (416, "no_such_bytes".into()), "{range}");
        assert_eq!(answer.headers["content-range"], format!("bytes */{FOOTAGE_BYTES}"));
    }
    assert!(asked.api.footage.reads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn conditions_are_kept() {
    let asked = Asked::new();
    let part = ("range", "bytes=0-9");
    assert_eq!(ask(&asked, &[part, ("if-range", "\"v1\"")]).await.status, 206);
    let another = ask(&asked, &[part, ("if-range", "\"v0\"")]).await;
    assert_eq!((another.status.as_u16(), another.body.len() as u64), (200, FOOTAGE_BYTES));
    let same = ask(&asked, &[("if-none-match", "\"v0\", \"v1\"")]).await;
    assert_eq!((same.status.as_u16(), same.body.len()), (304, 0));
    assert_eq!(same.headers["etag"], "\"v1\"");
    assert_eq!(ask(&asked, &[("if-none-match", "\"v0\"")]).await.status, 200);
}

#[tokio::test]
async fn a_download_has_a_name_that_says_what_it_is() {
    let asked = Asked::new();
    let answer = asked.get(&path("&download=1")).await;
    assert_eq!(
        answer.headers["content-disposition"],
        "attachment; filename=\"candor-ch1-2026-11-20T10-00-00Z.mp4\""
    );
    assert_eq!(asked.calls(), ["recording Export"]);
    assert!(!asked.get(&path("&download=0")).await.headers.contains_key("content-disposition"));
}

#[tokio::test]
async fn a_head_reads_nothing() {
    let asked = Asked::new();
    let answer = asked.ask(request(Method::HEAD, &path("")).of(Role::Viewer).bare()).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
    assert_eq!(answer.headers["content-length"], FOOTAGE_BYTES.to_string());
    assert!(asked.api.footage.reads.lock().unwrap().is_empty());
    assert_eq!(asked.api.footage.open.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_reading() {
    let asked = Asked::new();
    let response = asked.open(request(Method::GET, &path("")).of(Role::Viewer).bare()).await;
    let mut body = response.into_body();
    let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(piece.len() as u64, MAX_READ_BYTES);
    assert_eq!(asked.api.footage.open.load(Ordering::SeqCst), 1);
    drop(body);
    assert_eq!(asked.api.footage.open.load(Ordering::SeqCst), 0);
    assert_eq!(asked.api.footage.reads.lock().unwrap().len(), 1, "nothing is read ahead");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_on_is_cut_short_and_never_filled_up() {
    let asked = Asked::new();
    asked.api.footage.broken.store(true, Ordering::SeqCst);
    let response = asked.open(request(Method::GET, &path("")).of(Role::Viewer).bare()).await;
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    assert!(body.frame().await.unwrap().is_err());
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_file_ends_with_its_session() {
    let asked = Asked::new();
    let response = asked.open(request(Method::GET, &path("")).of(Role::Viewer).bare()).await;
    let mut body = response.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    asked.api.alive.send_modify(Vec::clear);
    assert!(body.frame().await.unwrap().is_err());
    assert_eq!(asked.api.footage.reads.lock().unwrap().len(), 1);
}
