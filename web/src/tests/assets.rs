//! The browser app: what the UI's build made is served, and nothing else.
//!
//! Does not belong here: what is in the files.

use http::Method;

use super::ask::{Asked, request};
use crate::assets::names;

#[tokio::test]
async fn the_apps_places_are_its_page_and_other_addresses_are_not() {
    let asked = Asked::new();
    let page = asked.ask(request(Method::GET, "/").bare()).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(page.headers["cache-control"], "no-cache");
    for place in [
        "/live",
        "/live/3",
        "/playback",
        "/events",
        "/ledger",
        "/settings",
        "/settings/cameras",
        "/health",
        "/index.html",
    ] {
        let answer = asked.ask(request(Method::GET, place).bare()).await;
        assert_eq!((answer.status.as_u16(), &answer.body), (200, &page.body), "{place}");
    }
    let shared = asked.ask(request(Method::GET, "/playback?channel=1&at=2026-11-20T10:00:00Z").bare()).await;
    assert_eq!(shared.body, page.body);
    for path in [
        "/live/",
        "/live/3/4",
        "/live/..",
        "/live/%2e%2e",
        "/live/X",
        "/live/a.js",
        "/health/1",
        "/settings/123456789012345678901234567890123",
        "/settings.html",
        "/index",
        "/index.htm",
        "/.git/config",
        "/index.html.gz",
    ] {
        let answer = asked.ask(request(Method::GET, path).bare()).await;
        assert_eq!(answer.refusal(), (404, "no_such_page".into()), "{path}");
    }
}

#[tokio::test]
async fn every_file_of_the_app_is_served_and_revalidated() {
    let asked = Asked::new();
    let files: Vec<String> = names().filter(|name| !name.ends_with(".gz") && name != "verify.csp").collect();
    assert!(files.iter().any(|name| name == "index.html"));
    for name in files {
        let get = |header: (&str, &str)| {
            request(Method::GET, &format!("/{name}")).header(header.0, header.1).bare()
        };
        let plain = asked.ask(get(("accept-encoding", "gzip;q=0"))).await;
        assert_eq!(plain.status, 200, "{name} is of a type that is not served");
        assert!(!plain.headers.contains_key("content-encoding"), "{name}");
        let immutable = plain.headers["cache-control"].to_str().unwrap().contains("immutable");
        assert_eq!(immutable, name.starts_with("assets/"), "{name}");
        let etag = plain.headers["etag"].to_str().unwrap();
        let again = asked.ask(get(("if-none-match", etag))).await;
        assert_eq!((again.status.as_u16(), again.body.len()), (304, 0), "{name}");
        let packed = asked.ask(get(("accept-encoding", "br, gzip"))).await;
        if names().any(|other| other == format!("{name}.gz")) {
            assert_eq!(packed.headers["content-encoding"], "gzip", "{name}");
            assert_ne!(packed.headers["etag"], etag, "{name}");
            assert_eq!(&packed.body[..2], [0x1f, 0x8b], "{name}");
        } else {
            assert_eq!(packed.body, plain.body, "{name}");
        }
        assert_eq!(packed.headers["vary"], "accept-encoding", "{name}");
    }
}

#[tokio::test]
async fn the_page_keeps_its_own_policy() {
    let asked = Asked::new();
    let page = asked.ask(request(Method::GET, "/").bare()).await;
    let text = String::from_utf8_lossy(&page.body);
    for inline in ["<style", " style=", " onclick=", " onload=", "javascript:"] {
        assert!(!text.contains(inline), "{inline}");
    }
    for script in text.split("<script").skip(1) {
        assert!(script.split('>').next().unwrap().contains("src="), "an inline script");
    }
}

#[tokio::test]
async fn the_verify_page_may_do_less_than_the_app() {
    let asked = Asked::new();
    let page = asked.ask(request(Method::GET, "/verify").bare()).await;
    let file = asked.ask(request(Method::GET, "/verify.html").bare()).await;
    assert_eq!((page.status.as_u16(), &page.body), (200, &file.body));
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    assert!(policy.ends_with("; frame-ancestors 'none'"), "{policy}");
    for allowed in ["connect-src", "img-src", "'self'", "'unsafe-inline'", "'unsafe-eval'", "http", "*"] {
        assert!(!policy.contains(allowed), "{allowed}: {policy}");
    }
    for path in ["/verify.csp", "/verify/", "/verify/1"] {
        let answer = asked.ask(request(Method::GET, path).bare()).await;
        assert_eq!(answer.refusal(), (404, "no_such_page".into()), "{path}");
    }
}
