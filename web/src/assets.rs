//! The browser app: embedded files, by exact name.
//!
//! An address is looked up, never turned into a path: there is no file system behind it. The app's own places
//! answer with its page, so that they can be reloaded and shared; whatever else is not a file is 404.
//!
//! Does not belong here: the app itself (web/ui), and who may see it (anyone: there is no secret in it).

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use headers::{ETag, HeaderMapExt, IfNoneMatch};
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use rust_embed::EmbeddedFile;

use crate::error::{ApiError, ErrorKind};
use crate::gate::no_such_page;

// `Ui`: what the UI's build made, or the placeholder (`build.rs`).
include!(concat!(env!("OUT_DIR"), "/ui.rs"));

/// The app's page.
const INDEX: &str = "index.html";
/// The page that verifies exported files (web/verify), and the policy that it brings: it has its scripts within.
const VERIFY: &str = "verify.html";
const VERIFY_POLICY: &str = "verify.csp";
/// The app's places (web/ui): each answers with the app's page.
const PLACES: [&str; 6] = ["live", "playback", "events", "ledger", "settings", "health"];
/// Places with places in them, one level: a channel enlarged, a topic of the settings.
const WITH_PARTS: [&str; 2] = ["live", "settings"];
/// The longest name of such a part.
const MAX_PART_LEN: usize = 32;
/// Where the UI's build puts files whose names carry their content's hash.
const HASHED: &str = "assets/";

/// Every kind of file that is served; others are not.
const TYPES: [(&str, &str); 11] = [
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("webp", "image/webp"),
    ("ico", "image/x-icon"),
    ("woff2", "font/woff2"),
    ("json", "application/json"),
    ("webmanifest", "application/manifest+json"),
    ("txt", "text/plain; charset=utf-8"),
];

/// Answers whatever is not the API's.
pub(crate) async fn answer(request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return wrong_method().into_response();
    }
    let path = request.uri().path().strip_prefix('/').unwrap_or_default();
    let name = match path {
        "verify" => VERIFY,
        _ if path.is_empty() || is_place(path) => INDEX,
        _ => path,
    };
    file(name, request.headers()).unwrap_or_else(|| no_such_page().into_response())
}

fn is_place(path: &str) -> bool {
    match path.split_once('/') {
        None => PLACES.contains(&path),
        Some((place, part)) => {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            WITH_PARTS.contains(&place) && (1..=MAX_PART_LEN).contains(&part.len()) && part.bytes().all(plain)
        }
    }
}

/// The answer for a method that an address does not know.
pub(crate) fn wrong_method() -> ApiError {
    ApiError::new(ErrorKind::MethodNotAllowed, "wrong_method", "This address does not work that way.")
}

fn file(name: &str, asked: &HeaderMap) -> Option<Response> {
    let (_, extension) = name.rsplit_once('.')?;
    let (_, content_type) = TYPES.iter().find(|(known, _)| *known == extension)?;
    let plain = Ui::get(name)?;
    let packed = if takes_gzip(asked) { Ui::get(&format!("{name}.gz")) } else { None };
    let gzip = packed.is_some();
    let file = packed.unwrap_or(plain);

    let etag = etag(&file);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    // RFC 8246 for what never changes under its name; the page itself is asked for each time.
    let caching = if name.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    if name == VERIFY {
        let policy = Ui::get(VERIFY_POLICY)?;
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_bytes(&policy.data).ok()?);
    }
    let current =
        asked.typed_get::<IfNoneMatch>().is_some_and(|condition| !condition.precondition_passes(&etag));
    headers.typed_insert(etag);
    if current {
        return Some((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    if gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Some((headers, file.data.into_owned()).into_response())
}

/// 128 bits of the content's hash; the packed form is another content.
fn etag(file: &EmbeddedFile) -> ETag {
    let hash = file.metadata.sha256_hash();
    let digits: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"").parse().expect("hexadecimal digits in quotes are an entity tag")
}

/// RFC 9110 section 12.5.3; a weight of zero refuses.
fn takes_gzip(asked: &HeaderMap) -> bool {
    asked.get_all(ACCEPT_ENCODING).iter().filter_map(|field| field.to_str().ok()).any(|field| {
        field.split(',').any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
            gzip && !parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        })
    })
}

/// The names of all embedded files.
#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = String> {
    Ui::iter().map(std::borrow::Cow::into_owned)
}
