//! Asks the site without a network, and checks what must hold for every answer.
//!
//! Does not belong here: what particular answers must be.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, HOST, ORIGIN};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::memory::{Memory, PASSWORD, RECOVERY_KEY, SETUP_CODE, csrf, token};
use crate::cookie;
use crate::gate::{CSRF_HEADER, Peer};
use crate::router::router;
use crate::routes::{BASE, Op, Route};
use crate::security::POLICY;
use crate::site::Site;
use crate::views::Role;

pub(super) const HERE: &str = "recorder.lan:8443";
pub(super) const OWN: &str = "https://recorder.lan:8443";
/// What a recorder in memory takes for a bundle.
pub(super) const BUNDLE: &str = "CANDORUP, and so on";
pub(super) const SPAN: &str = "start=2026-11-20T10:00:00Z&end=2026-11-20T10:05:00Z";

/// Media time 0 for a playback of [`SPAN`].
pub(super) const ZERO: &str = "zero=2026-11-20T09:00:00Z";

/// The site over a recorder in memory.
pub(super) struct Asked {
    pub(super) api: Arc<Memory>,
    router: Router,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Asked {
    pub(super) fn new() -> Self {
        Self::over(Memory::new())
    }

    pub(super) fn over(memory: Memory) -> Self {
        let api = Arc::new(memory);
        Self { router: router(Site::new(Arc::clone(&api))), api }
    }

    pub(super) fn unclaimed() -> Self {
        let asked = Self::new();
        asked.api.claimed.store(false, Ordering::SeqCst);
        asked
    }

    /// Every answer, whatever it is, goes through here.
    pub(super) async fn open(&self, request: Request<Body>) -> http::Response<Body> {
        let mut request = request;
        let has_own_policy = matches!(request.uri().path(), "/verify" | "/verify.html");
        request.extensions_mut().insert(Peer(SocketAddr::from(([192, 0, 2, 7], 50_000))));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let headers = response.headers();
        assert_eq!(headers["content-security-policy"] == POLICY, !has_own_policy);
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("strict-transport-security", "max-age=31536000"),
        ] {
            assert_eq!(headers[name], value);
        }
        assert!(headers.contains_key("permissions-policy"));
        assert!(!headers.keys().any(|name| name.as_str().starts_with("access-control")));
        assert!(!headers.contains_key("server"));
        response
    }

    pub(super) async fn ask(&self, request: Request<Body>) -> Answer {
        let (head, body) = self.open(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    /// A GET of `path` as a viewer.
    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask(request(Method::GET, path).of(Role::Viewer).bare()).await
    }

    pub(super) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.api.calls.lock().unwrap())
    }
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        assert_eq!(self.headers[CONTENT_TYPE], "application/json");
        assert_eq!(self.headers["cache-control"], "no-store");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The error's code, once its shape is checked.
    pub(super) fn refusal(&self) -> (u16, String) {
        assert!(self.status.is_client_error() || self.status.is_server_error(), "{self:?}");
        let body = self.json();
        let error = &body["error"];
        assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
        for key in error.as_object().unwrap().keys() {
            assert!(["code", "message", "field"].contains(&key.as_str()), "{body}");
        }
        assert!(!error["message"].as_str().unwrap().is_empty());
        (self.status.as_u16(), error["code"].as_str().unwrap().to_owned())
    }

    pub(super) fn field(&self) -> String {
        self.json()["error"]["field"].as_str().unwrap_or_default().to_owned()
    }
}

/// A request in the making; it comes from our own page unless told otherwise.
pub(super) struct Asking {
    builder: http::request::Builder,
    unsafe_method: bool,
    origin: Option<String>,
    csrf: Option<String>,
}

/// A request without a session.
pub(super) fn request(method: Method, path: &str) -> Asking {
    let unsafe_method = !matches!(method, Method::GET | Method::HEAD);
    Asking {
        builder: Request::builder().method(method).uri(path).header(HOST, HERE),
        unsafe_method,
        origin: Some(OWN.into()),
        csrf: None,
    }
}

impl Asking {
    pub(super) fn of(mut self, role: Role) -> Self {
        self.csrf = self.unsafe_method.then(|| csrf(role));
        self.cookie(&token(role))
    }

    pub(super) fn cookie(self, token: &str) -> Self {
        self.header(COOKIE.as_str(), &format!("{}={token}", cookie::NAME))
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    pub(super) fn origin(mut self, origin: Option<&str>) -> Self {
        self.origin = origin.map(Into::into);
        self
    }

    pub(super) fn csrf(mut self, csrf: Option<&str>) -> Self {
        self.csrf = csrf.map(Into::into);
        self
    }

    pub(super) fn bare(self) -> Request<Body> {
        self.with(Body::empty())
    }

    pub(super) fn json(self, body: &str) -> Request<Body> {
        self.header(CONTENT_TYPE.as_str(), "application/json").with(Body::from(body.to_owned()))
    }

    pub(super) fn bytes(self, body: impl Into<Body>) -> Request<Body> {
        self.header(CONTENT_TYPE.as_str(), "application/octet-stream").with(body.into())
    }

    fn with(self, body: Body) -> Request<Body> {
        let mut builder = self.builder;
        for (name, value) in [(ORIGIN.as_str(), self.origin), (CSRF_HEADER, self.csrf)] {
            if let Some(value) = value {
                builder = builder.header(name, value);
            }
        }
        builder.body(body).unwrap()
    }
}

/// What somebody wants locked.
pub(super) const LOCK: &str =
    r#"{"channels":[1],"start":"2026-11-20T10:00:00Z","end":"2026-11-20T10:05:00Z","reason":"a theft"}"#;

/// What somebody may want deleted.
pub(super) const SCOPE: &str =
    r#"{"channels":[1],"start":"2026-11-20T10:00:00Z","end":"2026-11-20T10:05:00Z"}"#;

/// What somebody wants deleted.
pub(super) const DELETION: &str =
    r#"{"channels":[1],"start":"2026-11-20T10:00:00Z","end":"2026-11-20T10:05:00Z","confirm":"DELETE"}"#;

/// A request of `route` that would succeed for whoever may.
pub(super) fn example(route: &Route) -> (String, Option<String>) {
    let path = route
        .path
        .replace("{n}", "1")
        .replace("{stream}", "main")
        .replace("{name}", "wall")
        .replace("{device}", "sda")
        .replace("{id}", "7");
    let query = match route.op {
        Op::Timeline | Op::RecordingInfo | Op::Recording => format!("?{SPAN}"),
        Op::Playback => format!("?{SPAN}&{ZERO}&audio=1"),
        Op::ExportMp4 | Op::ExportZip => format!("?channel=1&channel=2&{SPAN}"),
        Op::Live => "?audio=1".into(),
        _ => String::new(),
    };
    let camera = r#"{"title":"Gate","url":"rtsp://192.0.2.9/stream1","user":"admin","password":"x","transport":"tcp"}"#;
    let body = match route.op {
        Op::Claim => {
            Some(format!(r#"{{"setup_code":"{SETUP_CODE}","user":"anna","password":"{PASSWORD}"}}"#))
        }
        Op::Login => Some(format!(r#"{{"user":"anna","password":"{PASSWORD}"}}"#)),
        Op::SetChannel => Some(r#"{"title":"Back door"}"#.into()),
        Op::MarkEvent => Some(r#"{"seconds":60}"#.into()),
        Op::AddCamera | Op::SetCamera => Some(camera.into()),
        Op::AddStreamKey => Some(r#"{"name":"wall"}"#.into()),
        Op::SetSettings => Some(
            r#"{"name":"Shop","time_zone":"Europe/Berlin","rtsp_enabled":true,"rtsp_allow":["192.0.2.0/24"],"encrypt_new_disks":true}"#
                .into(),
        ),
        Op::InstallUpdate => Some(BUNDLE.into()),
        Op::InstallUpdateFromUsb => {
            Some(r#"{"device":"sdb1","file":"candor-virt-a7-0.2.0.bundle","downgrade":false}"#.into())
        }
        Op::SetOwnerKey => Some(format!(r#"{{"public_key":"{}","code":"{SETUP_CODE}"}}"#, "0a".repeat(32))),
        Op::RemoveOwnerKey => Some(format!(r#"{{"code":"{SETUP_CODE}"}}"#)),
        Op::FormatDisk => Some(r#"{"confirm":"ERASE"}"#.into()),
        Op::NewRecoveryKey => Some(format!(r#"{{"password":"{PASSWORD}"}}"#)),
        Op::UnlockDisk => Some(format!(r#"{{"path":"/data/volume","recovery_key":"{RECOVERY_KEY}"}}"#)),
        Op::EraseFootage => Some(r#"{"path":"/data/volume","confirm":"ERASE"}"#.into()),
        Op::Lock => Some(LOCK.into()),
        Op::Deletable => Some(SCOPE.into()),
        Op::DeleteFootage => Some(DELETION.into()),
        _ => None,
    };
    (format!("{BASE}{path}{query}"), body)
}

/// [`example`] as a request that `asking` completes.
pub(super) fn asking(route: &Route, change: impl FnOnce(Asking) -> Asking) -> Request<Body> {
    let (path, body) = example(route);
    let asking = change(request(route.method.clone(), &path));
    match body {
        Some(body) if route.op == Op::InstallUpdate => asking.bytes(body),
        Some(body) => asking.json(&body),
        None => asking.bare(),
    }
}
