//! Around every answer: security headers, and requests nobody honest sends.
//!
//! Does not belong here: who may do what (`gate.rs`).

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    CONTENT_SECURITY_POLICY, COOKIE, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue};
use url::form_urlencoded;

use crate::error::ApiError;
use crate::limits::MAX_COOKIE_BYTES;

/// Content Security Policy level 3: our own files only, nothing inline, nothing foreign, never in a frame.
/// `blob:` is for pictures and Media Source Extensions, `data:` for small pictures in style sheets.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; font-src 'self'; \
     manifest-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

const PERMISSIONS: &str = "accelerometer=(), autoplay=(self), camera=(), display-capture=(), \
     fullscreen=(self), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), \
     picture-in-picture=(self), publickey-credentials-get=(self), screen-wake-lock=(self), serial=(), usb=()";

/// On every answer, whoever gives it.
const ON_EVERY_ANSWER: [(HeaderName, &str); 7] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // A year (RFC 6797 section 6.1.1). Browsers heed it only where they trust the certificate.
    (STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    (HeaderName::from_static("permissions-policy"), PERMISSIONS),
];

/// Names in a query that would carry a secret through addresses, histories and logs. Published back doors of
/// recorders came this way (CVE-2017-7921, CVE-2017-8225); nothing of ours does.
const CREDENTIALS: [&str; 7] = ["auth", "csrf", "loginpas", "loginuse", "password", "session", "token"];

/// The outermost layer.
pub(crate) async fn around(request: Request, next: Next) -> Response {
    let mut response = match strange(&request) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    };
    // One page has its scripts within and brings a policy of its own, which lets out even less (`assets.rs`).
    let own = response.headers_mut().remove(CONTENT_SECURITY_POLICY);
    for (name, value) in ON_EVERY_ANSWER {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if let Some(policy) = own {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn strange(request: &Request) -> Option<ApiError> {
    if cookie_bytes(request.headers()) > MAX_COOKIE_BYTES {
        let message = "The cookies of this address are too long. Delete them.";
        return Some(ApiError::malformed("cookies_too_long", message));
    }
    let query = request.uri().query().unwrap_or_default();
    let carried = form_urlencoded::parse(query.as_bytes())
        .any(|(name, _)| CREDENTIALS.iter().any(|credential| name.eq_ignore_ascii_case(credential)));
    carried.then(|| {
        ApiError::malformed("credentials_in_address", "Credentials do not belong into an address. Sign in.")
    })
}

fn cookie_bytes(headers: &HeaderMap) -> usize {
    headers.get_all(COOKIE).iter().map(HeaderValue::len).sum()
}
